# SPDX-License-Identifier: Apache-2.0
import pytest

from beds.dovecot import ELSEWHERE_USER, PASSWORD
from beds.bed import wait_until
from collector import metric
from dovecot_steps import STEPS, UNKNOWN_USER, refused


def test_step(watched, step):
    watched.check(step, "dovecot")


@pytest.fixture
def collector(watched):
    if not watched.collectors:
        pytest.skip("--log-only")
    return watched.collectors["dovecot"]


def test_every_event_is_exported(collector):
    events = {event for step in STEPS for event in step.events}
    assert {metric(event) for event in events} - {*collector.counts("dovecot")} == set()


def test_reasons_of_failed_logins(watched, collector):
    before = collector.by_label("dovecot", "auth.failed", "reason")
    for times, action in ((3, refused("imap")), (2, refused("pop3", user=UNKNOWN_USER)),
                          (1, refused("submission", user=ELSEWHERE_USER, password=PASSWORD))):
        for _ in range(times):
            action(watched.bed)
    want = {"password_mismatch": 3, "user_unknown": 2, "rejected": 1}
    wait_until(lambda: dict(collector.by_label("dovecot", "auth.failed", "reason") - before) == want,
               lambda: f"{want}, got {collector.by_label('dovecot', 'auth.failed', 'reason') - before}", timeout=5)
