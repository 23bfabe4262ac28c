# SPDX-License-Identifier: Apache-2.0
import pytest

from beds.dovecot import ELSEWHERE_USER, EXPIRED_USER, OTHER_USER, PASSWORD
from beds.bed import wait_until
from collector import metric
from dovecot_steps import POLICY, STEPS, STEPS_OF, UNKNOWN_USER, cram_md5, refused, with_settings
from watch import TIMEOUT_S


def test_step(watched, step):
    watched.check(step, "dovecot")


@pytest.mark.parametrize("number", range(len(STEPS_OF["trixie"])), ids=[step.name for step in STEPS_OF["trixie"]])
def test_step_of_one_release(watched, number):
    watched.check(STEPS_OF[watched.bed.suite][number], "dovecot")


@pytest.fixture
def collector(watched):
    if not watched.collectors:
        pytest.skip("--log-only")
    return watched.collectors["dovecot"]


def test_every_event_is_exported(collector):
    events = {event for step in [*STEPS, *STEPS_OF["bookworm"]] for event in step.events}
    assert {metric(event) for event in events} - {*collector.counts("dovecot")} == set()


@pytest.mark.parametrize("times, action, reason", [
    (3, refused("imap"), "password-mismatch"),
    (2, refused("pop3", user=UNKNOWN_USER), "user-unknown"),
    (1, refused("submission", user=ELSEWHERE_USER, password=PASSWORD), "rejected"),
    (2, cram_md5("wrong", "NO"), "rejected"),  # the database gave the password, and does not hear what came of it
    (2, refused("imap", user=EXPIRED_USER, password=PASSWORD), "expired"),
    (1, with_settings(POLICY, refused("imap", user=OTHER_USER, password=PASSWORD)), "rejected"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_reason_of_failed_login(watched, collector, times, action, reason):
    before = collector.by_label("dovecot", "auth.failed", "reason")
    for _ in range(times):
        action(watched.bed)
    want = {reason: times}
    wait_until(lambda: dict(collector.by_label("dovecot", "auth.failed", "reason") - before) == want,
               lambda: f"{want}, got {collector.by_label('dovecot', 'auth.failed', 'reason') - before}", timeout=TIMEOUT_S)


def test_metrics_agree(watched, collector):
    """After all of the above: each end and each verdict had its time, and nothing is open."""
    def number(event):
        return collector.counts("dovecot")[metric(event)]

    def times(event, **labels):
        return collector.histogram("dovecot", event, **labels).count

    for counted, timed in {"imap.connection-end": "imap.request-time", "pop3.connection-end": "pop3.request-time",
                           "manage-sieve.connection-end": "sieve.request-time", "smtp.connection-end": "smtp.request-time",
                           "tls.handshake": "tls.handshake-time", "message-ingest.lmtp": "message-ingest.time"}.items():
        assert times(timed) == number(counted), timed
    for protocol in ("lmtp", "submission"):
        assert times("smtp.request-time", protocol=protocol) == collector.by_label("dovecot", "smtp.connection-end", "protocol")[protocol]
    # An exchange that the client breaks off has no verdict.
    assert times("auth.time") == sum(number(f"auth.{end}") for end in ("success", "failed", "error")) - number("auth.sasl-aborted")
    for family in ("imap", "pop3", "sieve", "smtp"):
        assert collector.gauge("dovecot", f"{family}.active-connections") == 0
