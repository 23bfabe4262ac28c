# SPDX-License-Identifier: Apache-2.0
"""Postfix' labels, times, sizes, and numbers of connections and queued messages. That counters are right is for
test_postfix.py."""
import contextlib
import os
import pathlib
import re
import signal
import time

import pytest

import postfix_steps as do
from beds import postfix
from beds.bed import wait_until
from beds.clients import plain
from beds.mailbed import MailBed
from beds.postfix import DOMAIN, PASSWORD, USER
from collector import Collector, metric
from postfix_steps import LOCAL
from watch import moved, settles

pytestmark = pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only")

QUEUES = ["incoming", "active", "deferred", "hold"]


@pytest.fixture(scope="module")
def collector(bed, tmp_path_factory):
    with Collector(tmp_path_factory.mktemp("collector"), pid=postfix.master_pid(bed)) as running:
        yield running


# ---- labels

LABELLED = ["auth.success", "auth.failed", "auth.error", "auth.sasl-aborted", "smtp.connection-start", "smtp.connection-end", "smtp.rejected",
            "delivery.delivered", "delivery.deferred", "delivery.failed"]


def series(collector):
    """{"auth.success PLAIN submission": value}, of what is not 0. The values of the labels stand in the order of their names."""
    names = {metric(event): event for event in LABELLED}
    return {" ".join([names[name], *(labels[label] for label in sorted(labels) if label != "server")]): int(value)
            for name, labels, value in collector.samples() if name in names and labels["server"] == "postfix" and value}


def broken_off(service):
    """Gone in the middle of an exchange: the next one knows nothing of it."""
    def action(bed):
        with bed.smtp(service) as c:
            c.ehlo()
            c.cmd("AUTH LOGIN", "334")
    return action


def delivered(recipient):
    def action(bed):
        do.submitted(recipient)(bed)
        postfix.forget_deferred(bed)
    return action


SMTP = "smtp.connection-start smtp, smtp.connection-end smtp"
SUBMISSION = "smtp.connection-start submission, smtp.connection-end submission"

# What is done, and all that the events named above count of it.
LABELS = [
    ("PLAIN", do.login("submission", "PLAIN"), f"{SUBMISSION}, auth.success PLAIN submission"),
    ("PLAIN when asked", do.login("submission", "PLAIN-334"), f"{SUBMISSION}, auth.success PLAIN submission"),
    ("LOGIN", do.login("submission", "LOGIN"), f"{SUBMISSION}, auth.success LOGIN submission"),
    ("in small letters", do.exchange((f"auth plain {plain(USER, PASSWORD)}", "235")), f"{SUBMISSION}, auth.success PLAIN submission"),
    ("LOGIN by Dovecot, at another port", do.login("submission-dovecot", "LOGIN"), f"{SMTP}, auth.success LOGIN smtp"),
    ("PLAIN by Dovecot over TLS", do.login("smtps", "PLAIN"), f"{SUBMISSION}, auth.success PLAIN submission"),
    ("wrong password", do.wrong("submission", "LOGIN"), f"{SUBMISSION}, auth.failed LOGIN submission other"),
    ("wrong password, by Dovecot", do.wrong("smtps", "PLAIN"), f"{SUBMISSION}, auth.failed PLAIN submission other"),
    ("two wrong passwords, then the right one", do.second_thoughts,
     f"{SUBMISSION}, auth.failed PLAIN submission other, auth.failed LOGIN submission other, auth.success LOGIN submission"),
    ("aborted", do.exchange(("AUTH LOGIN", "334"), ("*", "501 5.7.0")), f"{SUBMISSION}, auth.error LOGIN submission, auth.sasl-aborted LOGIN submission"),
    ("not base64", do.exchange(("AUTH PLAIN ***", "535 5.7.8")), f"{SUBMISSION}, auth.error other submission"),
    ("unknown mechanism", do.exchange(("AUTH X-NONE", "535 5.7.8")), f"{SUBMISSION}, auth.error other submission"),
    ("unknown mechanism by Dovecot, after a known one", do.exchange(("AUTH LOGIN", "334"), ("*", "501"), ("AUTH X-NONE", "535"), service="submission-dovecot"),
     f"{SMTP}, auth.error LOGIN smtp, auth.sasl-aborted LOGIN smtp, auth.error other smtp"),
    ("broken off", broken_off("submission-dovecot"), SMTP),
    ("unknown mechanism by Dovecot, the session before broken off", do.exchange(("AUTH X-NONE", "535"), service="submission-dovecot"),
     f"{SMTP}, auth.error other smtp"),
    ("backend that nobody serves", do.nobody_serves, f"{SMTP}, auth.error other smtp"),
    ("backend that stops", do.backend_stops, f"{SMTP}, auth.error PLAIN smtp"),
    ("handed on by postscreen", do.screened(("EHLO client.test", "250")), SMTP),

    ("unknown recipient", do.refused(f"missing@{DOMAIN}", "550 5.1.1", times=2), f"{SMTP}, 2*smtp.rejected 5xx 5.1"),
    ("relay attempt, put off", do.refused("someone@elsewhere.test", "454 4.7.1"), f"{SMTP}, smtp.rejected 4xx 4.7"),
    ("relay attempt, refused", do.refused("someone@elsewhere.test", "554 5.7.1", service="no-relay"), f"{SMTP}, smtp.rejected 5xx 5.7"),
    ("access table, own code", do.talk(*do.mail_rcpt(f"alice+denied@{DOMAIN}", "571 5.7.1"), service="access"), f"{SMTP}, smtp.rejected 5xx 5.7"),
    ("access table, for now", do.talk(*do.mail_rcpt(f"alice+busy@{DOMAIN}", "450 4.3.2"), service="access"), f"{SMTP}, smtp.rejected 4xx 4.3"),
    ("queue that is full", do.exchange(("MAIL FROM:<>", "452 4.3.1"), service="full"), f"{SMTP}, smtp.rejected 4xx 4.3"),
    ("warned only", do.warned, SMTP),
    ("soft_bounce", do.refused(f"missing@{DOMAIN}", "450 4.1.1", service="soft-bounce"), f"{SMTP}, smtp.rejected 4xx 4.1"),
    ("changed reply code", do.refused(f"missing@{DOMAIN}", "450 4.1.1", service="codes"), f"{SMTP}, smtp.rejected 4xx 4.1"),
    ("a line that ends badly", do.bare_lf, f"{SMTP}, smtp.rejected other other"),

    ("delivered by local", delivered(LOCAL), "delivery.delivered local 2xx 2.0"),
    ("delivered by smtp", delivered("a@sink.test"), "delivery.delivered smtp 2xx 2.0"),
    ("delivered by lmtp", delivered("a@lmtp.test"), "delivery.delivered lmtp 2xx 2.0"),
    ("discarded", delivered("a@discard.test"), "delivery.delivered discard 2xx 2.0"),
    ("refused by the next host", delivered("refuse@sink.test"), "delivery.failed smtp 5xx 5.1, delivery.delivered local 2xx 2.0"),
    ("refused by the agent error", delivered("a@error.test"), "delivery.failed error 5xx 5.1, delivery.delivered local 2xx 2.0"),
    ("put off by the next host", delivered("later@sink.test"), "delivery.deferred smtp 4xx 4.2"),
    ("next host is down", delivered("a@down.test"), "delivery.deferred smtp 4xx 4.4"),
    ("refused by the next host, soft_bounce", delivered("refuse@soft.test"), "delivery.deferred smtp 5xx 4.1"),
]


@pytest.mark.parametrize("action, text", [row[1:] for row in LABELS], ids=[row[0] for row in LABELS])
def test_labels(bed, collector, action, text):
    want = {}
    for part in text.split(", "):
        times, star, name = part.partition("*")
        want[name if star else part] = int(times) if star else 1
    before = series(collector)
    action(bed)
    settles(lambda: moved(before, series(collector)), want)


# ---- times and sizes

class Spread:
    """What a histogram got since this was made."""

    def __init__(self, collector, event, **labels):
        self._read = lambda: collector.histogram("postfix", event, **labels)
        self._before = self._read()
        self._began = time.monotonic()

    def expect(self, count, least, most=None):
        """So many values, whose sum is between the two. No time is longer than the one since this was made: on a busy
        host there is no other limit. The buckets must agree with each other."""
        settles(lambda: self._read().count - self._before.count, count)
        most = count * (time.monotonic() - self._began) if most is None else most
        now = self._read()
        total = now.sum - self._before.sum
        assert least - 1e-9 <= total <= most + 1e-9, f"{total}, expected {least} to {most}"
        upper = [now.buckets[bound] for bound in sorted(now.buckets)]
        assert upper == sorted(upper) and now.buckets[float("inf")] == now.count
        return total

    def between(self):
        """{bound: how many came into this bucket and those below}"""
        now = self._read()
        return {bound: number - self._before.buckets.get(bound, 0) for bound, number in now.buckets.items()}


def activations(text):
    """[(queue id, size, recipients)] of a log, in order."""
    return [(queue_id, int(size), int(recipients)) for queue_id, size, recipients in
            re.findall(r"qmgr\[\d+\]: (\w+): from=.*, size=(\d+), nrcpt=(\d+) \(queue active\)", text)]


def test_sizes(bed, collector):
    """Once for each message, when it is made ready for the first time: as the log tells them then."""
    events = ["message.size", "message.authenticated-size", "message.recipients"]
    spreads = {event: Spread(collector, event) for event in events}
    mark = len(postfix.log(bed))
    for length in (10, 3000, 15000):
        with bed.smtp() as c:
            c.ehlo()
            c.message(LOCAL, body="x" * 70 * (length // 70) + "\r\n")
            c.quit()
    do.authenticated("a@sink.test", "b@sink.test", "c@sink.test", messages=2)(bed)
    do.sendmail(bed)
    do.submitted("refuse@sink.test")(bed)  # and the notice
    do.authenticated("later@sink.test")(bed)
    for _ in range(2):
        postfix.flush(bed)
    postfix.requeue(bed)
    wait_until(lambda: "orig_id=" in postfix.log(bed)[mark:], "the message that is queued once more")
    postfix.forget_deferred(bed)

    with bed.smtp("access") as c:
        c.ehlo()
        c.message(f"alice+hold@{DOMAIN}")
        c.quit()
    bed.run("postsuper", "-H", "ALL")
    bed.run("postqueue", "-f")
    wait_until(lambda: not postfix.queued(bed, *QUEUES), "an empty queue")

    text = postfix.log(bed)[mark:]
    requeued = set(re.findall(r"pickup\[\d+\]: (\w+): uid=.* orig_id=", text))
    logged_in = set(re.findall(r"smtpd\[\d+\]: (\w+): client=.*sasl_method=", text))
    first = {}
    for queue_id, size, recipients in activations(text):
        first.setdefault(queue_id, (size, recipients))
    kept = {queue_id: told for queue_id, told in first.items() if queue_id not in requeued}
    assert (len(requeued), len(kept)) == (1, 3 + 2 + 1 + 2 + 1 + 1)
    own = [size for queue_id, (size, _) in kept.items() if queue_id in logged_in]
    others = [size for queue_id, (size, _) in kept.items() if queue_id not in logged_in]
    everybody = [recipients for _, recipients in kept.values()]
    spreads["message.authenticated-size"].expect(len(own), sum(own), sum(own))
    spreads["message.size"].expect(len(others), sum(others), sum(others))
    spreads["message.recipients"].expect(len(everybody), sum(everybody), sum(everybody))
    for bound, number in spreads["message.size"].between().items():
        assert number == sum(size <= bound for size in others), bound


STAGES = ["before-active", "active", "connect", "transmit"]


def rounding(text):
    """How far a time in the log may be from the true one: two digits, but no more than 10 ms."""
    whole, _, fraction = text.partition(".")
    return max(0.5 * 10 ** -len(fraction), 0.01) if fraction or int(whole) < 10 else 0.5 * 10 ** (len(whole) - 2)


def test_delays(bed, collector):
    """The log tells the same times, rounded."""
    total, stages = Spread(collector, "delivery.total-time"), {stage: Spread(collector, "delivery.stage-time", stage=stage) for stage in STAGES}
    mark = len(postfix.log(bed))
    do.authenticated("a@sink.test", "b@sink.test", LOCAL)(bed)
    do.sendmail(bed)
    do.submitted("a@tls.test", "a@discard.test", "a@lmtp.test")(bed)
    do.deferred("later@sink.test")(bed)
    do.submitted("refuse@sink.test")(bed)
    with bed.smtp("submission") as c:  # some time in each stage
        c.ehlo()
        c.login("PLAIN", USER, PASSWORD)
        c.mail()
        c.rcpt("slow@mx.test")
        c.cmd("DATA", "354")
        c.send("Subject: test\r\n\r\n")
        time.sleep(0.5)
        bed.names.delay_s = 0.4
        bed.sink.gate.clear()
        before = bed.sink.waiting
        c.cmd(".", "250")
        c.quit()
    wait_until(lambda: bed.sink.waiting > before, "the message at the next host")
    time.sleep(0.7)
    bed.sink.gate.set()
    bed.names.delay_s = 0.0
    postfix.wait_idle(bed)

    told = re.findall(r" delay=([\d.]+), delays=([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+), dsn=\S+ status=sent ", postfix.log(bed)[mark:])
    assert len(told) == 3 + 1 + 3 + 1 + 1
    for spread, column in ((total, 0), *((stages[stage], number + 1) for number, stage in enumerate(STAGES))):
        values = [line[column] for line in told]
        tolerance = sum(map(rounding, values))
        spread.expect(len(values), sum(map(float, values)) - tolerance, sum(map(float, values)) + tolerance)
    assert [float(value) >= least for value, least in zip(told[-1][1:], (0.5, 0, 0.8, 0.7))] == [True] * 4, told[-1]


def test_attempt_time(bed, collector):
    spreads = {agent: Spread(collector, "delivery.attempt-time", agent=agent) for agent in ("smtp", "local", "discard", "error", "other")}
    bed.sink.gate.clear()
    before = bed.sink.waiting
    do.submitted_at_once("slow@sink.test")(bed)
    wait_until(lambda: bed.sink.waiting > before, "the message at the next host")
    time.sleep(0.6)
    bed.sink.gate.set()
    postfix.wait_idle(bed)
    do.submitted("later@sink.test")(bed)
    postfix.forget_deferred(bed)
    do.submitted(LOCAL, "a@discard.test")(bed)
    do.submitted("a@error.test")(bed)  # and the notice
    spreads["smtp"].expect(2, 0.6)
    assert spreads["smtp"].between()[0.5] <= 1
    spreads["local"].expect(2, 0)
    spreads["discard"].expect(1, 0)
    spreads["error"].expect(1, 0)
    spreads["other"].expect(0, 0)


def test_request_time(bed, collector):
    spreads = {protocol: Spread(collector, "smtp.request-time", protocol=protocol) for protocol in ("smtp", "submission")}
    with bed.smtp() as first, bed.smtp("submission") as second, bed.smtp("smtps", tls=True) as third:
        first.ehlo()
        time.sleep(0.6)
        first.quit()
        second.drop()
        third.quit()
    do.nobody_serves(bed)
    spreads["smtp"].expect(2, 0.6)
    spreads["submission"].expect(2, 1.2)


def test_request_time_of_earlier_sessions(bed, tmp_path):
    """Nobody knows when they began."""
    with bed.smtp() as early:
        early.ehlo()
        with Collector(tmp_path, pid=postfix.master_pid(bed)) as collector:
            do.exchange(service="smtp")(bed)
            early.quit()
            settles(lambda: collector.counts("postfix")[metric("smtp.connection-end")], 2)
            assert collector.histogram("postfix", "smtp.request-time").count == 1


def test_handshake_times(bed, collector):
    """Of handshakes that succeed: they take as long as the client does."""
    incoming, outgoing = Spread(collector, "tls.handshake-time"), Spread(collector, "delivery.start-tls-time")
    for action in (do.tls_broken("smtp", b"no TLS at all, and long enough\r\n"), do.tls_session, do.login("smtps", "PLAIN"),
                   do.screened(("EHLO client.test", "250"))):
        action(bed)
    with bed.smtp() as c:
        c.ehlo()
        c.cmd("STARTTLS", "220")
        time.sleep(1)  # the server begins a little after its answer
        c.tls()
        c.ehlo()
        c.quit()
    incoming.expect(3, 0.6)
    do.submitted("a@tls.test", "a@implicit-tls.test")(bed)
    do.submitted("a@broken-tls.test", "a@sink.test")(bed)
    postfix.forget_deferred(bed)
    outgoing.expect(2, 0.001)


def test_lookup_time(bed, collector):
    """A domain's mail server and its address; a domain without one, and its own address; a blocklist."""
    spread = Spread(collector, "dns.lookup-time")
    bed.names.delay_s = 0.3
    try:
        do.submitted("a@mx.test")(bed)
        do.submitted("a@no-mx.test")(bed)
    finally:
        bed.names.delay_s = 0.0
    spread.expect(4, 1.2)
    assert spread.between()[0.1] == 0
    do.talk(*do.mail_rcpt(LOCAL, "250"), service="blocklist")(bed)
    spread.expect(5, 1.2)


# ---- connections

def connections(collector):
    return collector.gauge("postfix", "smtp.active-connections")


def attempts(collector):
    return collector.gauge("postfix", "delivery.active-connections")


@pytest.fixture(scope="module")
def mortal(bed):
    """A bed of its own, whose processes may be killed."""
    with MailBed(bed.suite) as made:
        yield made


def smtpd_of(bed, source):
    """The process that serves the client at this address, as the host sees it."""
    inner = re.findall(rf"smtpd\[(\d+)\]: connect from unknown\[{re.escape(source)}\]", postfix.log(bed))[-1]
    return bed.processes("/usr/lib/postfix/sbin/smtpd")[int(inner)]


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def test_connections(mortal, tmp_path):
    do.exchange(service="smtp")(mortal)  # a process that waits for its next client
    with contextlib.ExitStack() as stack:
        def opened(service, tls=False, source=None):
            c = stack.enter_context(mortal.smtp(service, source, tls=tls))
            c.ehlo()
            return c

        early = [opened("smtp"), opened("smtps", tls=True), opened("submission"), opened("submission-no-chroot"), opened("screened")]
        early[2].starttls()
        victims = [mortal.source(), mortal.source()]
        opened("smtp", source=victims[0])
        collector = stack.enter_context(Collector(tmp_path, pid=postfix.master_pid(mortal)))
        settles(lambda: connections(collector), 6)
        late = [opened("smtp"), opened("smtps", tls=True)]
        opened("submission", source=victims[1])
        settles(lambda: connections(collector), 9)
        for c in (early[0], late[0]):
            c.quit()
        settles(lambda: connections(collector), 7)
        early[1].drop()
        late[1].drop()
        settles(lambda: connections(collector), 5)
        for number, source in enumerate(victims):
            kill(smtpd_of(mortal, source))
            settles(lambda: connections(collector), 4 - number)
        do.nobody_serves(mortal)
        do.too_many_errors(mortal)
        do.timeout(mortal)
        settles(lambda: connections(collector), 3)
        again = early[3]
        postfix.reload(mortal)
        again.cmd("NOOP", "250")
        settles(lambda: connections(collector), 3)
        for c in early[2:]:
            c.quit()
        settles(lambda: connections(collector), 0)


def test_attempts(mortal, tmp_path):
    """A remote server that is slow: attempts that began before the collector, and after it; one whose agent is killed."""
    sink = mortal.sink
    sink.gate.clear()

    def waiting(number):
        wait_until(lambda: sink.waiting - before == number, f"{number} messages at the next host")

    with contextlib.ExitStack() as stack:
        stack.callback(sink.gate.set)
        before = sink.waiting
        for number in (1, 2):
            do.submitted_at_once(f"slow{number}@sink.test")(mortal)
        waiting(2)
        collector = stack.enter_context(Collector(tmp_path, pid=postfix.master_pid(mortal)))
        settles(lambda: attempts(collector), 2)
        for number in (3, 4, 5):
            do.submitted_at_once(f"slow{number}@sink.test")(mortal)
        waiting(5)
        settles(lambda: attempts(collector), 5)
        agents = {inner: pid for inner, pid in mortal.processes("/usr/lib/postfix/sbin/smtp").items()
                  if pathlib.Path(f"/proc/{pid}/comm").read_text() == "smtp\n"}
        assert len(agents) == 5
        kill(agents[max(agents)])
        settles(lambda: attempts(collector), 4)
        sink.gate.set()
        settles(lambda: attempts(collector), 0)
        postfix.flush(mortal)
        settles(lambda: attempts(collector), 0)
    postfix.wait_idle(mortal)


def test_restart_of_postfix(mortal, tmp_path):
    with mortal.smtp() as open_session, Collector(tmp_path, pid=postfix.master_pid(mortal)) as collector:
        open_session.ehlo()
        settles(lambda: connections(collector), 1)
        postfix.stop(mortal)
        settles(lambda: connections(collector), 0)
    postfix.start(mortal)
    with Collector(tmp_path, pid=postfix.master_pid(mortal)) as collector:
        settles(lambda: connections(collector), 0)
        with mortal.smtp() as c:
            settles(lambda: connections(collector), 1)
            c.quit()
        settles(lambda: connections(collector), 0)


# ---- the queue

def counted(collector):
    return {labels["queue"]: int(value) for name, labels, value in collector.samples() if name == "mail_queue_count" and labels["server"] == "postfix"}


def files(bed):
    return {queue: len(postfix.queued(bed, queue)) for queue in QUEUES}


def test_queue(mortal, tmp_path):
    bed, sink = mortal, mortal.sink
    postfix.forget_deferred(bed)
    qmgr, = bed.processes("/usr/lib/postfix/sbin/qmgr").values()
    with contextlib.ExitStack() as stack:
        stack.callback(sink.gate.set)

        def collecting():
            return Collector(tmp_path, pid=postfix.master_pid(bed))

        def holds(collector, **numbers):
            want = {queue: numbers.get(queue, 0) for queue in QUEUES}
            settles(lambda: files(bed), want)
            settles(lambda: counted(collector), want)

        def message(recipient, service="smtp"):
            with bed.smtp(service, "127.0.0.1") as c:
                c.ehlo()
                c.message(recipient)
                c.quit()

        message("later@sink.test")
        postfix.wait_idle(bed)
        with collecting() as collector:
            holds(collector, deferred=1)
            message(f"alice+hold@{DOMAIN}", "access")
            holds(collector, deferred=1, hold=1)
            message("later@sink.test")
            holds(collector, deferred=2, hold=1)
            os.kill(qmgr, signal.SIGSTOP)
            try:
                for _ in range(3):
                    message(LOCAL)
                holds(collector, incoming=3, deferred=2, hold=1)
            finally:
                os.kill(qmgr, signal.SIGCONT)
            holds(collector, deferred=2, hold=1)
            sink.gate.clear()
            before = sink.waiting
            for _ in range(2):
                message("slow@sink.test")
            wait_until(lambda: sink.waiting - before == 2, "messages at the next host")
            holds(collector, active=2, deferred=2, hold=1)
        with collecting() as collector:
            holds(collector, active=2, deferred=2, hold=1)
            sink.gate.set()
            holds(collector, deferred=2, hold=1)
            postfix.flush(bed)
            holds(collector, deferred=2, hold=1)
            message(f"alice+discard@{DOMAIN}", "access")
            message("refuse@sink.test")  # and the notice
            do.changed_mind("smtp")(bed)
            holds(collector, deferred=2, hold=1)
            bed.run("postsuper", "-h", "ALL", "deferred")
            settles(lambda: counted(collector), {"incoming": 0, "active": 0, "deferred": 2, "hold": 1})  # not seen
        with collecting() as collector:  # counts the files
            holds(collector, hold=3)
            bed.run("postsuper", "-d", "ALL")
        with collecting() as collector:
            holds(collector)


def test_restart_with_active_messages(mortal, tmp_path):
    """A new qmgr puts what was active back into incoming, and takes it out when no agent has it any more."""
    bed, sink = mortal, mortal.sink
    sink.gate.clear()
    with contextlib.ExitStack() as stack:
        stack.callback(sink.gate.set)
        before = sink.waiting
        do.submitted_at_once("slow@sink.test")(bed)
        wait_until(lambda: sink.waiting > before, "the message at the next host")
        collector = stack.enter_context(Collector(tmp_path, pid=postfix.master_pid(bed)))
        settles(lambda: counted(collector)["active"], 1)
        postfix.reload(bed)
        wait_until(lambda: files(bed)["incoming"] == 1, "a new qmgr")
        settles(lambda: (counted(collector)["incoming"], counted(collector)["active"]), (1, 0))
        sink.gate.set()
        bed.run("postsuper", "-d", "ALL")


def test_queue_that_is_missing(mortal, tmp_path):
    """Only what it would have told is not told."""
    hold = mortal.path("/var/spool/postfix/hold")
    away = hold.rename(hold.with_name("hold.away"))
    try:
        with Collector(tmp_path, pid=postfix.master_pid(mortal)) as collector:
            settles(lambda: counted(collector), {"incoming": 0, "active": 0, "deferred": 0})
            do.message(LOCAL)(mortal)
            settles(lambda: counted(collector), {"incoming": 0, "active": 0, "deferred": 0})
            assert collector.counts("postfix")[metric("delivery.delivered")] == 1
            assert "not exported until it can be counted" in collector.log.read_text()
    finally:
        away.rename(hold)


# ---- all of it at once

MESSAGES = 2000


def test_load(bed, tmp_path):
    """Ten clients at a time: nothing is lost, and nothing counted twice."""
    with Collector(tmp_path, pid=postfix.master_pid(bed)) as collector:
        mark = len(postfix.log(bed))
        bed.run("smtp-source", "-s", "10", "-l", "1000", "-m", str(MESSAGES), "-f", "someone@client.test", "-t", "a@discard.test", "127.0.0.1:25", timeout=240)
        wait_until(lambda: not postfix.queued(bed, *QUEUES), "an empty queue", timeout=240)
        events = ["smtp.connection-start", "smtp.connection-end", "smtp.ehlo", "smtp.mail-from", "smtp.rcpt-to", "smtp.data", "smtp.quit",
                  "smtp.transaction-start", "smtp.message-accepted", "queue.queue-message", "queue.message-active", "queue.message-removed",
                  "delivery.attempt-start", "delivery.attempt-end", "delivery.delivered"]
        lost = {miss["event"] for miss in collector.plan()["missing"]}
        spreads = {"smtp.request-time", "message.size", "message.recipients", "delivery.attempt-time", "delivery.total-time"} - lost
        read = lambda: {metric(event): number for event in events if (number := collector.counts("postfix")[metric(event)])}  # noqa: E731
        settles(read, {metric(event): MESSAGES for event in events})
        assert {event: collector.histogram("postfix", event).count for event in spreads} == {event: MESSAGES for event in spreads}
        assert collector.histogram("postfix", "delivery.stage-time").count == 4 * MESSAGES
        assert collector.histogram("postfix", "message.recipients").sum == MESSAGES
        assert (connections(collector), attempts(collector) or 0, counted(collector)) == (0, 0, {queue: 0 for queue in QUEUES})
        others = {name: number for name, number in collector.counts("postfix").items() if number and name not in read()}
        # On a slow host Postfix may warn of its load and of clocks: then it is counted as often as it is logged.
        warnings = 0 if "server.log-warning" in lost else len(re.findall(r"\]: warning: ", postfix.log(bed)[mark:]))
        assert others == ({metric("server.log-warning"): warnings} if warnings else {})
