# SPDX-License-Identifier: Apache-2.0
"""Postfix' labels, times, sizes, and numbers of connections and messages. That counters are right is for test_postfix.py."""
import contextlib
import os
import pathlib
import re
import signal
import time

import pytest

from beds import postfix
from beds.bed import wait_until
from beds.postfix import DOMAIN, PASSWORD, USER
from collector import Collector

pytestmark = pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only")

LOCAL = f"alice@{DOMAIN}"
SETTLE_S = 0.2
QUEUES = ("incoming", "active", "deferred", "hold")


def settles(read, want):
    """It comes to this, and stays there."""
    wait_until(lambda: read() == want, lambda: f"{want}, got {read()}", timeout=8)
    time.sleep(SETTLE_S)
    assert read() == want


@pytest.fixture
def collector(bed, tmp_path):
    """A new one for each test: some of them start Postfix again."""
    postfix.wait_idle(bed)
    with Collector(tmp_path, pid=postfix.master_pid(bed)) as running:
        yield running


def session(bed, service="smtp", tls=False):
    c = bed.smtp(service)
    c.ehlo()
    if tls:
        c.starttls()
    return c


def send(bed, *recipients, service="smtp", user=None, text="Subject: test\r\n\r\nHello.\r\n", source=None):
    with bed.smtp(service, source) as c:
        c.ehlo()
        if user:
            c.login("PLAIN", user, PASSWORD)
        c.mail(f"<{LOCAL}>" if user else "<someone@client.test>")
        for recipient in recipients:
            c.rcpt(recipient)
        c.data(text)
        c.quit()


# ---- connections

def connections(collector):
    return collector.gauge("postfix", "smtp.active-connections")


def test_connections(bed, collector):
    assert connections(collector) == 0
    with session(bed), session(bed, "submission"):
        settles(lambda: connections(collector), 2)
        with session(bed, tls=True):
            settles(lambda: connections(collector), 3)
        settles(lambda: connections(collector), 2)
    settles(lambda: connections(collector), 0)


def test_sessions_that_began_before_us(bed, tmp_path):
    """Plain, encrypted, at another port: they are there from the start, and end as all others. What waits is no session."""
    with contextlib.ExitStack() as sessions:
        first = [sessions.enter_context(session(bed, *how)) for how in (("smtp",), ("smtp", True), ("submission",))]
        with Collector(tmp_path, pid=postfix.master_pid(bed)) as collector:
            settles(lambda: connections(collector), 3)
            sessions.enter_context(session(bed))
            settles(lambda: connections(collector), 4)
            first[1].quit()
            settles(lambda: connections(collector), 3)
            first[0].drop()
            settles(lambda: connections(collector), 2)
        with Collector(tmp_path, pid=postfix.master_pid(bed)) as again:
            settles(lambda: connections(again), 2)


def test_killed_session(bed, collector):
    """All smtpd are killed, the one with the session and those that wait; nobody says goodbye."""
    with session(bed):
        settles(lambda: connections(collector), 1)
        for pid in bed.processes("/usr/lib/postfix/sbin/smtpd").values():
            os.kill(pid, signal.SIGKILL)
        settles(lambda: connections(collector), 0)


# ---- attempts and queues

def attempts(collector):
    return collector.gauge("postfix", "delivery.active-connections")


def queues(collector):
    found = {labels["queue"]: int(value) for name, labels, value in collector.samples() if name == "mail_queue_count" and labels["server"] == "postfix"}
    return tuple(found.get(queue) for queue in QUEUES)


def files(bed):
    """What is in the directories: in incoming only what is committed."""
    return tuple(sum(1 for file in bed.path(f"/var/spool/postfix/{queue}").rglob("*")
                     if file.is_file() and (queue != "incoming" or file.stat().st_mode & 0o100)) for queue in QUEUES)


def test_attempts_under_way(bed, collector, tmp_path):
    assert attempts(collector) == 0
    bed.sink.gate.clear()
    for number in range(3):
        send(bed, f"slow{number}@sink.test", service="submission", user=USER)
    settles(lambda: attempts(collector), 3)
    with Collector(tmp_path, pid=postfix.master_pid(bed)) as late:
        settles(lambda: attempts(late), 3)
        assert queues(late) == files(bed) == (0, 3, 0, 0)
        bed.sink.gate.set()
        settles(lambda: (attempts(collector), attempts(late)), (0, 0))
        postfix.wait_idle(bed)
        settles(lambda: queues(late), (0, 0, 0, 0))


def test_killed_agent(bed, collector):
    bed.sink.gate.clear()
    send(bed, "slow@sink.test", service="submission", user=USER)
    settles(lambda: attempts(collector), 1)
    for pid in bed.processes("/usr/lib/postfix/sbin/smtp").values():
        if pathlib.Path(f"/proc/{pid}/comm").read_text() == "smtp\n":
            os.kill(pid, signal.SIGKILL)
    settles(lambda: attempts(collector), 0)
    bed.sink.gate.set()
    postfix.wait_idle(bed)
    settles(lambda: queues(collector), files(bed))
    postfix.forget_deferred(bed)


def test_queues(bed, tmp_path):
    postfix.wait_idle(bed)
    postfix.forget_deferred(bed)
    directory = tmp_path
    with Collector(directory, pid=postfix.master_pid(bed)) as collector:
        settles(lambda: queues(collector), (0, 0, 0, 0))
        send(bed, "later@sink.test", service="submission", user=USER)
        send(bed, "later@sink.test", service="submission", user=USER)
        postfix.wait_idle(bed)
        settles(lambda: queues(collector), (0, 0, 2, 0))
        send(bed, LOCAL)
        postfix.wait_idle(bed)
        settles(lambda: queues(collector), (0, 0, 2, 0))
        postfix.flush(bed)
        settles(lambda: queues(collector), (0, 0, 2, 0))
        assert files(bed) == (0, 0, 2, 0)
        send(bed, f"alice+end-hold@{DOMAIN}", service="milter")
        postfix.wait_idle(bed)
        settles(lambda: queues(collector), (0, 0, 2, 1))
        assert files(bed) == (0, 0, 2, 1)
    # What somebody else moves is seen when the files are counted again: at the start, or a minute later.
    bed.run("postsuper", "-h", "ALL", "deferred")
    assert files(bed) == (0, 0, 0, 3)
    with Collector(directory, pid=postfix.master_pid(bed)) as again:
        settles(lambda: queues(again), (0, 0, 0, 3))
        bed.run("postfix", "stop")
        postfix.start(bed)
        settles(lambda: queues(again), (0, 0, 0, 3))
        bed.run("postsuper", "-d", "ALL", "hold")


def test_directory_that_is_missing(bed, tmp_path):
    """It disables its own gauge only."""
    hold = bed.path("/var/spool/postfix/hold")
    hold.rename(hold.with_name("away"))
    try:
        with Collector(tmp_path, pid=postfix.master_pid(bed)) as collector:
            assert queues(collector) == (0, 0, 0, None)
            assert "hold" in collector.log.read_text()
            assert connections(collector) == 0
    finally:
        hold.with_name("away").rename(hold)


def test_restart(bed, tmp_path):
    with Collector(tmp_path) as collector, session(bed):
        settles(lambda: connections(collector), 1)
        bed.run("postfix", "stop")
        settles(lambda: connections(collector), 0)
        postfix.start(bed)
        with session(bed):
            settles(lambda: connections(collector), 1)
        settles(lambda: connections(collector), 0)


# ---- histograms

def log_since(bed, mark):
    return postfix.log(bed)[mark:]


class Grown:
    def __init__(self, collector, event, **labels):
        self.read = lambda: collector.histogram("postfix", event, **labels)
        self.before = self.read()

    def count(self):
        return self.read().count - self.before.count

    def sum(self):
        return self.read().sum - self.before.sum


def test_sizes(bed, collector):
    """Counts and sums are those of the log; a message that is tried again is one message."""
    mark = len(postfix.log(bed))
    size, authenticated, recipients = (Grown(collector, event) for event in ("message.size", "message.authenticated-size", "message.recipients"))
    for length in (10, 500, 5000):
        send(bed, LOCAL, text="x" * 70 + "\r\n" + "y\r\n" * length)
    send(bed, f"alice+1@{DOMAIN}", f"alice+2@{DOMAIN}", service="submission", user=USER)
    send(bed, "later@sink.test", service="submission", user=USER)
    postfix.wait_idle(bed)
    postfix.flush(bed)
    postfix.forget_deferred(bed)
    logged = {}
    for queue_id, sender, size_text, nrcpt in re.findall(r"qmgr\[\d+\]: (\w+): from=<(.*?)>, size=(\d+), nrcpt=(\d+)", log_since(bed, mark)):
        logged[queue_id] = (sender == LOCAL, int(size_text), int(nrcpt))
    want = [sum(value for is_ours, value, _ in logged.values() if is_ours == kind) for kind in (False, True)]
    settles(lambda: (size.count(), authenticated.count(), recipients.count()), (3, 2, 5))
    assert [size.sum(), authenticated.sum()] == want
    assert recipients.sum() == sum(number for *_, number in logged.values()) == 3 + 2 + 1


def test_delivery_times(bed, collector):
    """The stages are those that Postfix logs, to its precision; their sum is the total."""
    stages = ("before-active", "active", "connect", "transmit")
    mark = len(postfix.log(bed))
    total, attempt = Grown(collector, "delivery.total-time"), Grown(collector, "delivery.attempt-time")
    grown = [Grown(collector, "delivery.stage-time", stage=stage) for stage in stages]
    for recipient in ("a@sink.test", "b@sink.test", LOCAL, "refuse@sink.test"):
        send(bed, recipient, source="127.0.0.1")
    postfix.wait_idle(bed)
    delays = [tuple(map(float, found)) for found in
              re.findall(r"delays=([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+), dsn=2\.\d\.\d, status=sent", log_since(bed, mark))]
    settles(total.count, len(delays))
    assert [one.count() for one in grown] == [len(delays)] * 4
    for number, one in enumerate(grown):
        # Two digits are logged of each, and at least 0.01 s.
        assert one.sum() == pytest.approx(sum(delay[number] for delay in delays), abs=0.012 * len(delays))
    assert sum(one.sum() for one in grown) == pytest.approx(total.sum(), abs=0.001 * len(delays))
    assert attempt.count() >= len(delays)


def test_session_times(bed, collector):
    smtp, submission = (Grown(collector, "smtp.request-time", protocol=protocol) for protocol in ("smtp", "submission"))
    began = time.monotonic()
    with session(bed) as c:
        time.sleep(0.3)
        c.quit()
    took = time.monotonic() - began
    with session(bed, "submission") as c:
        c.quit()
    settles(lambda: (smtp.count(), submission.count()), (1, 1))
    assert 0.3 <= smtp.sum() <= took + 0.1
    assert submission.sum() < 0.3


def test_handshake_times(bed, collector):
    incoming, outgoing = Grown(collector, "tls.handshake-time"), Grown(collector, "delivery.start-tls-time")
    began = time.monotonic()
    for _ in range(3):
        with session(bed, tls=True) as c:
            c.quit()
    took = time.monotonic() - began
    send(bed, "someone@tls.test", service="submission", user=USER)
    postfix.wait_idle(bed)
    settles(lambda: (incoming.count(), outgoing.count()), (3, 1))
    assert 0 < incoming.sum() <= took
    assert 0 < outgoing.sum() < 5


# ---- labels

def labelled(collector, event, *names):
    metric = "mail_" + re.sub(r"\W", "_", event) + "_total"
    return {tuple(labels[name] for name in names): int(value) for name, labels, value in collector.samples()
            if name == metric and labels["server"] == "postfix" and value}


def grew(before, after):
    return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}


def login(bed, mechanism, password, want, service="submission"):
    with bed.smtp(service) as c:
        c.ehlo()
        c.login(mechanism, USER, password, want)
        c.quit()


def test_deliveries_by_agent_and_class(bed, collector):
    labels = ("agent", "code_class", "enhanced_class")
    events = ("delivery.delivered", "delivery.deferred", "delivery.failed")
    before = [labelled(collector, event, *labels) for event in events]
    for recipient in ("a@sink.test", LOCAL, "refuse@sink.test", "later@sink.test"):
        send(bed, recipient, service="submission", user=USER)
    postfix.wait_idle(bed)
    postfix.forget_deferred(bed)
    want = [{("smtp", "2xx", "2.0"): 1, ("local", "2xx", "2.0"): 2}, {("smtp", "4xx", "4.2"): 1}, {("smtp", "5xx", "5.1"): 1}]
    settles(lambda: [grew(was, labelled(collector, event, *labels)) for was, event in zip(before, events)], want)


def test_refusals_by_class(bed, collector):
    labels = ("code_class", "enhanced_class")
    before = labelled(collector, "smtp.rejected", *labels)
    with session(bed) as c:
        c.mail()
        c.rcpt(f"missing@{DOMAIN}", "550")
        c.rcpt("someone@elsewhere.test", "454")
        c.quit()
    settles(lambda: sum(grew(before, labelled(collector, "smtp.rejected", *labels)).values()), 2)
    moved = grew(before, labelled(collector, "smtp.rejected", *labels))
    assert moved[("5xx", "5.1")] == 1
    assert sum(number for (kind, _), number in moved.items() if kind in ("4xx", "5xx")) == 2


def test_logins_by_mechanism(bed, collector):
    labels = ("protocol", "mechanism")
    before = [labelled(collector, event, *labels) for event in ("auth.success", "auth.failed")]
    login(bed, "PLAIN", PASSWORD, "235")
    login(bed, "LOGIN", PASSWORD, "235")
    login(bed, "LOGIN", "wrong", "535")
    want = [{("submission", "PLAIN"): 1, ("submission", "LOGIN"): 1}, {("submission", "LOGIN"): 1}]
    settles(lambda: [grew(was, labelled(collector, event, *labels)) for was, event in zip(before, ("auth.success", "auth.failed"))], want)


# ---- load

def test_load(bed, collector):
    """2000 messages, 10 at a time."""
    count = 2000
    names = {"smtp.connection-start": count, "smtp.connection-end": count, "smtp.mail-from": count, "smtp.rcpt-to": count,
             "smtp.message-accepted": count, "queue.queue-message": count, "queue.message-active": count, "queue.message-removed": count,
             "delivery.attempt-start": count, "delivery.attempt-end": count, "delivery.delivered": count, "delivery.deferred": 0, "delivery.failed": 0,
             "smtp.error": 0, "smtp.rejected": 0, "auth.success": 0}
    read = lambda: {event: collector.counts("postfix").get("mail_" + re.sub(r"\W", "_", event) + "_total") for event in names}  # noqa: E731
    before, size, total = read(), Grown(collector, "message.size"), Grown(collector, "delivery.total-time")
    bed.run("smtp-source", "-m", str(count), "-s", "10", "-c", "-f", "someone@client.test", "-t", "somebody@sink.test", "127.0.0.1:25", timeout=240)
    wait_until(lambda: read()["queue.message-removed"] - before["queue.message-removed"] >= count, "the last message", timeout=120)
    settles(lambda: {event: value - before[event] for event, value in read().items()}, names)
    settles(lambda: (size.count(), total.count()), (count, count))
    settles(lambda: (connections(collector), attempts(collector), *queues(collector)), (0, 0, 0, 0, 0, 0))
