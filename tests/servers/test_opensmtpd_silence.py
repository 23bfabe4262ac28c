# SPDX-License-Identifier: Apache-2.0
"""OpenSMTPD lets a client be silent for five minutes, which cannot be configured: one wait, with both releases at once."""
import contextlib
import time

import pytest

from beds import opensmtpd
from beds.bed import SUITES
from beds.opensmtpd import OpenSmtpdBed
from collector import Collector, metric
from watch import settles

pytestmark = [pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only"), pytest.mark.long]

SILENT_S = 300
EXPECTED = {"smtp.connection-start": 3, "smtp.connection-end": 3, "smtp.iprev-fail": 3, "smtp.ehlo": 2, "smtp.start-tls": 1, "smtp.error": 3,
            "smtp.time-limit-exceeded": 3, "tls.handshake-error": 2}


def numbers(collector):
    return {name: value for name, value in collector.counts("opensmtpd").items() if value}


def test_silence(tmp_path):
    """A client that says nothing after EHLO, one that does not begin its handshake after STARTTLS, and one that does
    not at a port for TLS: each is cut off once, and the latter two did not get their handshake."""
    with contextlib.ExitStack() as stack:
        watched = []
        began = time.monotonic()
        for suite in SUITES:
            bed = stack.enter_context(OpenSmtpdBed(suite))
            collector = stack.enter_context(Collector(tmp_path, pid=opensmtpd.master_pid(bed)))
            plain = stack.enter_context(bed.smtp())
            plain.ehlo()
            asking = stack.enter_context(bed.smtp("starttls"))
            asking.ehlo()
            asking.cmd("STARTTLS", "220")
            watched.append((collector, [plain, asking, stack.enter_context(bed.smtp("smtps", banner=None))]))
        for collector, clients in watched:
            for c in clients:
                c.sock.settimeout(SILENT_S + 60)
                c.closed()
            assert time.monotonic() - began >= SILENT_S - 1
            settles(lambda: numbers(collector), {metric(event): number for event, number in EXPECTED.items()})
            assert 3 * SILENT_S - 3 <= collector.histogram("opensmtpd", "smtp.request-time").sum <= 3 * SILENT_S + 30
