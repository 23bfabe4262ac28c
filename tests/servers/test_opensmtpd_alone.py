# SPDX-License-Identifier: Apache-2.0
"""OpenSMTPD killed and started again, where all servers of the host are counted."""
import contextlib
import os
import pathlib

import pytest

import opensmtpd_steps as do
from beds import opensmtpd
from beds.bed import SUITES
from beds.opensmtpd import DOMAIN, OpenSmtpdBed
from collector import Collector, metric
from watch import settles

pytestmark = [pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only"), pytest.mark.alone]


@pytest.fixture(params=SUITES)
def mortal(request):
    with OpenSmtpdBed(request.param) as made:
        yield made


def need_no_others(bed):
    """Without --pid all servers of the host are counted."""
    ours = {*bed.processes(opensmtpd.EXE).values()}
    for process in pathlib.Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) not in ours:
            with contextlib.suppress(OSError):
                if os.readlink(process / "exe").endswith(opensmtpd.EXE):
                    pytest.skip(f"another mail server runs on this host (pid {process.name})")


def connections(collector):
    return collector.gauge("opensmtpd", "smtp.active-connections")


def ended(collector):
    counts = collector.counts("opensmtpd")
    return counts[metric("smtp.connection-start")], counts[metric("smtp.connection-end")]


def test_restarted_server(mortal, tmp_path):
    """Without --pid the next server counts on at once, since the file stayed attached, and nothing is lost or counted twice."""
    need_no_others(mortal)
    with Collector(tmp_path) as collector, contextlib.ExitStack() as stack:
        for _ in range(2):
            do.message(f"bob@{DOMAIN}")(mortal)
        for _ in range(3):
            stack.enter_context(mortal.smtp()).ehlo()
        settles(lambda: [connections(collector), *ended(collector)], [3, 5, 2])
        opensmtpd.kill(mortal)
        settles(lambda: [connections(collector), *ended(collector)], [0, 5, 5])
        opensmtpd.start(mortal)
        do.message(f"bob@{DOMAIN}")(mortal)
        with mortal.smtp():
            settles(lambda: [connections(collector), *ended(collector)], [1, 7, 6])
        settles(lambda: collector.counts("opensmtpd")[metric("delivery.delivered")], 3)
