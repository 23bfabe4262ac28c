# SPDX-License-Identifier: Apache-2.0
"""OpenSMTPD's labels, times, sizes and numbers of connections; processes that die; what must not be counted. That
counters are right is for test_opensmtpd.py."""
import concurrent.futures
import contextlib
import fnmatch
import os
import re
import signal
import time
import tomllib

import pytest

import opensmtpd_steps as do
from beds import opensmtpd
from beds.bed import REPO, SUITES, wait_until
from beds.clients import b64
from beds.opensmtpd import DOMAIN, PASSWORD, USER, OpenSmtpdBed
from collector import Collector, metric
from test_figures import check_largest_number_of_series
from watch import moved, settles

pytestmark = pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only")

NEW = "trixie"
LASTING = 0.6
BUSY_S = 20  # what a busy host may add


@pytest.fixture(scope="module", params=SUITES)
def bed(request):
    with OpenSmtpdBed(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def collector(bed, tmp_path_factory):
    with Collector(tmp_path_factory.mktemp("collector"), pid=opensmtpd.master_pid(bed)) as running:
        yield running


def test_queue(mortal, tmp_path):
    """Each message is one, whatever it has of recipients."""
    with mortal.smtp() as c:
        c.ehlo()
        c.message("a@later.mda.test", "b@later.mda.test")
        c.message("a@later.mda.test")
        c.quit()
    wait_until(lambda: len(opensmtpd.queued(mortal)) == 3, "three recipients in the queue")
    with Collector(tmp_path, pid=opensmtpd.master_pid(mortal)) as collector:
        settles(lambda: collector.gauge("opensmtpd", "queue.count"), 2)


def test_largest_number_of_series(collector):
    check_largest_number_of_series(collector, "OpenSMTPD")


@pytest.fixture
def mortal(bed):
    """A bed whose server may be killed."""
    with OpenSmtpdBed(bed.suite) as made:
        yield made


# ---- labels

LABELLED = ["auth.success", "auth.failed", "auth.error", "auth.sasl-aborted", "smtp.rejected", "delivery.delivered", "delivery.deferred", "delivery.failed", "delivery.attempt-start",
            "delivery.attempt-end"]


def series(collector):
    """{"auth.success PLAIN": value}, of what is not 0."""
    names = {metric(event): event for event in LABELLED}
    return {" ".join([names[name], *(labels[label] for label in sorted(labels) if label != "server")]): int(value)
            for name, labels, value in collector.samples() if name in names and labels["server"] == "opensmtpd" and value}


MDA = "delivery.attempt-start mda, delivery.attempt-end mda, delivery.delivered mda"
MTA = "delivery.attempt-start mta, delivery.attempt-end mta"

# What is done, and all that the events named above count of it.
LABELS = [
    ("filed", do.message(f"bob@{DOMAIN}"), MDA),
    ("put off here", do.tried("a@later.mda.test"), "delivery.attempt-start mda, delivery.attempt-end mda, delivery.deferred mda"),
    ("refused here", do.message("a@never.mda.test"), f"delivery.failed mda, {MDA.replace('delivery.attempt', '2*delivery.attempt')}"),
    ("sent", do.message("a@sink10.test"), f"{MTA}, delivery.delivered mta"),
    ("refused there", do.message("refuse@sink11.test"), f"{MTA}, delivery.failed mta, {MDA}"),
    ("put off there", do.tried("later@sink12.test"), f"{MTA}, delivery.deferred mta"),
    ("too old", do.message("a@expired.test"), f"delivery.deferred mta, delivery.failed queue, {MDA}"),
    ("recipient refused", do.refused(f"missing@{DOMAIN}", "550"), "smtp.rejected 5xx"),
    ("recipient put off by a filter", do.refused(f"denied@{DOMAIN}", "450", service="refuse-rcpt"), "smtp.rejected 4xx"),
]
TLS_LABELS = [
    ("PLAIN", do.login("submission", "PLAIN"), "auth.success PLAIN"),
    ("PLAIN when asked", do.login("submission", "PLAIN-334"), "auth.success PLAIN"),
    ("LOGIN", do.login("submission", "LOGIN"), "auth.success LOGIN"),
    ("in two ways", do.second_thoughts, "auth.failed PLAIN, auth.failed LOGIN, auth.success LOGIN"),
    ("broken off, then another", do.exchange(("AUTH LOGIN", "334"), ("*", "501"), ("AUTH PLAIN ***", "501"), service="submission", tls=True),
     "auth.error LOGIN, auth.sasl-aborted LOGIN, auth.error PLAIN"),
    ("LOGIN, malformed at once", do.exchange(("AUTH LOGIN ***", "501"), service="submission", tls=True), "auth.error LOGIN"),
    ("unknown mechanism", do.exchange(("AUTH X-NONE", "504"), service="submission", tls=True), "auth.error other"),
    ("sender of another login", lambda bed: do.senders(bed, f"<boss@{DOMAIN}>", "530"), "auth.success PLAIN, smtp.rejected 5xx"),
]


def check_labels(bed, collector, action, text):
    want = {}
    for part in text.split(", "):
        times, star, name = part.partition("*")
        want[name if star else part] = int(times) if star else 1
    before = series(collector)
    action(bed)
    settles(lambda: moved(before, series(collector)), want)


@pytest.mark.parametrize("action, text", [row[1:] for row in LABELS], ids=[row[0] for row in LABELS])
def test_labels(bed, collector, action, text):
    check_labels(bed, collector, action, text)


# ---- times and sizes

class Values:
    """What a histogram got since this was made."""

    def __init__(self, collector, event):
        self._read = lambda: collector.histogram("opensmtpd", event)
        self._before = self._read()

    def expect(self, count, least=0.0, most=float("inf")):
        settles(lambda: self._read().count - self._before.count, count)
        total = self._read().sum - self._before.sum
        assert least <= total <= most, total


def test_request_time(bed, collector):
    """Of sessions at the same time, each for itself."""
    values = Values(collector, "smtp.request-time")
    with bed.smtp() as one, bed.smtp() as two:
        one.ehlo()
        two.ehlo()
        time.sleep(LASTING)
        one.quit()
        time.sleep(LASTING)
        two.quit()
    values.expect(2, 3 * LASTING, 3 * LASTING + BUSY_S)


def test_sizes_and_recipients(bed, collector):
    """As the server's own log has them; a notice and a message of a local program, too."""
    mark = len(opensmtpd.log(bed))
    sizes, recipients = Values(collector, "message.size"), Values(collector, "message.recipients")
    do.message(f"bob@{DOMAIN}", f"lmtp@{DOMAIN}", body="x" * 60 + "\r\n")(bed)
    do.message("a@never.mda.test", body=("y" * 70 + "\r\n") * 100)(bed)
    do.sendmail("-f", do.LOCAL, do.LOCAL)(bed)
    told = [(int(size), int(number)) for size, number in re.findall(r"smtp message msgid=\w+ size=(\d+) nrcpt=(\d+)", opensmtpd.log(bed)[mark:])]
    assert [number for _, number in told] == [2, 1, 1, 1]
    sizes.expect(4, sum(size for size, _ in told), sum(size for size, _ in told))
    recipients.expect(4, 5, 5)


def test_total_time(bed, collector):
    """In whole seconds, of what was delivered only."""
    values = Values(collector, "delivery.total-time")
    do.message(f"bob@{DOMAIN}", "a@sink13.test")(bed)
    do.tried("later@sink14.test")(bed)
    values.expect(2, 0, BUSY_S)
    bed.run("smtpctl", "pause", "mda")
    with bed.smtp() as c:
        c.ehlo()
        c.message(f"bob@{DOMAIN}")
        c.quit()
    time.sleep(3)
    bed.run("smtpctl", "resume", "mda")
    opensmtpd.wait_idle(bed)
    values.expect(3, 2, 3 + 2 * BUSY_S)


def test_attempt_time(bed, collector):
    """A remote server that takes its time; meanwhile the attempt is under way."""
    values = Values(collector, "delivery.attempt-time")
    assert collector.gauge("opensmtpd", "delivery.active-connections") == 0
    bed.sink.gate.clear()
    with bed.smtp() as c:
        c.ehlo()
        c.message("slow@sink15.test")
        c.quit()
    settles(lambda: collector.gauge("opensmtpd", "delivery.active-connections"), 1)
    time.sleep(LASTING)
    bed.sink.gate.set()
    opensmtpd.wait_idle(bed)
    values.expect(1, LASTING, LASTING + BUSY_S)
    settles(lambda: collector.gauge("opensmtpd", "delivery.active-connections"), 0)


# ---- logins, where there are any

@pytest.fixture(scope="module")
def new_bed():
    with OpenSmtpdBed(NEW) as made:
        yield made


@pytest.fixture(scope="module")
def new_collector(new_bed, tmp_path_factory):
    with Collector(tmp_path_factory.mktemp("collector"), pid=opensmtpd.master_pid(new_bed)) as running:
        yield running


@pytest.mark.parametrize("action, text", [row[1:] for row in TLS_LABELS], ids=[row[0] for row in TLS_LABELS])
def test_labels_of_logins(new_bed, new_collector, action, text):
    check_labels(new_bed, new_collector, action, text)


def test_auth_time(new_bed, new_collector):
    """From the client's last word to the verdict: a slow client is no part of it, nor is the pause after bad news, which
    is half a second on average."""
    values = Values(new_collector, "auth.time")
    with new_bed.smtp("submission") as c:
        c.ehlo()
        c.starttls()
        c.cmd("AUTH LOGIN", "334")
        c.cmd(b64(USER), "334")
        time.sleep(5)
        c.cmd(b64(PASSWORD), "235")
        c.quit()
    values.expect(1, 0.0001, 5)
    values = Values(new_collector, "auth.time")
    with new_bed.smtp("submission") as c:
        c.ehlo()
        c.starttls()
        began = time.monotonic()
        for _ in range(6):
            c.login("PLAIN", USER, "wrong", "535")
        took = time.monotonic() - began
        c.quit()
    values.expect(6, 0.0006, took - 0.5)


def test_handshake_time(new_bed, new_collector):
    values = Values(new_collector, "tls.handshake-time")
    do.exchange(service="starttls", tls=True)(new_bed)
    do.exchange(service="smtps")(new_bed)
    values.expect(2, 0.0001, BUSY_S)
    with new_bed.smtp("starttls") as c:
        c.ehlo()
        c.cmd("STARTTLS", "220")
        time.sleep(LASTING)
        c.tls()
        c.ehlo()
        c.quit()
    values.expect(3, LASTING, LASTING + 2 * BUSY_S)


def test_logged_in_before(new_bed, tmp_path):
    """A session that was there before the collector, logged in: its messages are known as those of a login."""
    with new_bed.smtp("submission") as c, new_bed.smtp("optional") as stranger:
        c.ehlo()
        c.starttls()
        c.login("PLAIN", USER, PASSWORD)
        stranger.ehlo()
        with Collector(tmp_path, pid=opensmtpd.master_pid(new_bed)) as collector:
            c.message(f"bob@{DOMAIN}")
            stranger.message(f"bob@{DOMAIN}")
            c.quit()
            stranger.quit()
            opensmtpd.wait_idle(new_bed)
            settles(lambda: [collector.counts("opensmtpd")[metric(f"queue.queue-message{kind}")] for kind in ("", "-authenticated")], [1, 1])


def test_sizes_of_logged_in(new_bed, new_collector):
    sizes, others = Values(new_collector, "message.authenticated-size"), Values(new_collector, "message.size")
    do.authenticated(f"bob@{DOMAIN}", messages=2)(new_bed)
    sizes.expect(2, 400, 1000)
    others.expect(0)


# ---- what it costs

@pytest.mark.parametrize("number, action", [(0, do.exchange()), (1, do.message(f"bob@{DOMAIN}")), (2, do.message("a@sink19.test"))],
                         ids=["session", "message, filed", "message, sent on"])
def test_hits(bed, collector, number, action):
    """As the catalog says it."""
    def hits():
        return sum(value for name, _, value in collector.samples() if name == "mailgauge_probe_hits_total")
    action(bed)
    before = None
    while before != hits():
        before = hits()
        time.sleep(1)
    action(bed)
    settles(lambda: hits() - before, collector.plan()["costs"][number]["hits"])


def test_postfix_is_another_server():
    """Its server is called smtpd, too."""
    globs = tomllib.loads((REPO / "src/catalog/opensmtpd.toml").read_text())["server"]["exe"]
    assert any(fnmatch.fnmatchcase("/usr/sbin/smtpd", glob) for glob in globs)
    for path in ("/usr/lib/postfix/sbin/smtpd", "/usr/libexec/postfix/smtpd"):
        assert not any(fnmatch.fnmatchcase(path, glob) for glob in globs)


# ---- connections

def connections(collector):
    return collector.gauge("opensmtpd", "smtp.active-connections")


def ended(collector):
    counts = collector.counts("opensmtpd")
    return counts[metric("smtp.connection-start")], counts[metric("smtp.connection-end")]


def test_connections(bed, tmp_path):
    """Those from before the collector are told from the sockets; deliveries and notices are none."""
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(bed.smtp()) for _ in range(4)]
        with Collector(tmp_path, pid=opensmtpd.master_pid(bed)) as collector:
            settles(lambda: connections(collector), 4)
            sessions += [stack.enter_context(bed.smtp()) for _ in range(3)]
            settles(lambda: connections(collector), 7)
            do.message("refuse@sink16.test")(bed)
            do.sendmail("-f", do.LOCAL, do.LOCAL)(bed)
            settles(lambda: connections(collector), 7)
            for c in sessions[2:5]:
                c.quit()
            settles(lambda: connections(collector), 4)
            for c in [*sessions[:2], *sessions[5:]]:
                c.drop()
            settles(lambda: connections(collector), 0)
            assert ended(collector) == (4, 8)


def test_connections_of_a_killed_server(mortal, tmp_path):
    """The process that served them took them with it; the next server begins anew."""
    with Collector(tmp_path, pid=opensmtpd.master_pid(mortal)) as collector, contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(mortal.smtp()).ehlo()
        settles(lambda: connections(collector), 5)
        opensmtpd.kill(mortal)
        settles(lambda: connections(collector), 0)
        assert ended(collector) == (5, 5)
    opensmtpd.start(mortal)
    with Collector(tmp_path, pid=opensmtpd.master_pid(mortal)) as collector, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(mortal.smtp()).ehlo()
        settles(lambda: connections(collector), 3)
        opensmtpd.stop(mortal)
        settles(lambda: connections(collector), 0)
        assert ended(collector) == (3, 3)


# ---- what must not be counted, and what must all the same

def numbers(collector):
    return {name: value for name, value in collector.counts("opensmtpd").items() if value}


def test_another_server(bed, mortal, collector):
    """With --pid, what another smtpd does is not counted."""
    before = numbers(collector)
    do.message(f"bob@{DOMAIN}", "refuse@sink17.test")(mortal)
    do.refused(f"missing@{DOMAIN}", "550")(mortal)
    time.sleep(0.5)
    assert moved(before, numbers(collector)) == {}
    do.exchange()(bed)
    settles(lambda: collector.counts("opensmtpd")[metric("smtp.quit")] - before.get(metric("smtp.quit"), 0), 1)


def test_nobody_reads_the_log(bed, collector, tmp_path):
    """Counts do not depend on it: the same traffic gives the same numbers."""
    def traffic(bed):
        do.message(f"bob@{DOMAIN}", "a@sink18.test")(bed)
        do.message("a@never.mda.test")(bed)
        do.refused("someone@elsewhere.test", "550")(bed)
        do.exchange(("NONSENSE", "500"))(bed)
        do.sendmail("-f", do.LOCAL, do.LOCAL)(bed)
        do.lost()(bed)
    before = numbers(collector)
    traffic(bed)
    with OpenSmtpdBed(bed.suite, logged=False) as silent, Collector(tmp_path, pid=opensmtpd.master_pid(silent)) as other:
        traffic(silent)
        settles(lambda: numbers(other), moved(before, numbers(collector)))
        assert numbers(other)[metric("queue.queue-dsn")] == 1


def test_load(bed, collector):
    """300 sessions of 8 clients at once: every one is counted, once."""
    before = numbers(collector)

    def session(_):
        with bed.smtp() as c:
            c.ehlo()
            c.mail(f"<{do.LOCAL}>")
            c.rcpt(f"missing@{DOMAIN}", "550")
            c.rcpt("a@ok.mda.test")
            c.data()
            c.quit()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(session, range(300)))
    wait_until(lambda: not opensmtpd.queued(bed), "the deliveries", timeout=120)
    one = ["smtp.connection-start", "smtp.connection-end", "smtp.iprev-fail", "smtp.ehlo", "smtp.mail-from", "smtp.rcpt-to", "smtp.rejected",
           "smtp.mailbox-does-not-exist", "smtp.data", "smtp.message-accepted", "smtp.quit", "queue.queue-message", "delivery.attempt-start",
           "delivery.attempt-end", "delivery.delivered"]
    settles(lambda: moved(before, numbers(collector)), {metric(event): 300 for event in one})


def test_late_message(bed, tmp_path):
    """The sender is told that a message is late, while it is kept."""
    with OpenSmtpdBed(bed.suite, extra=["bounce warn-interval 1s"]) as late, Collector(tmp_path, pid=opensmtpd.master_pid(late)) as collector:
        with late.smtp() as c:
            c.ehlo()
            c.message("someone@down.test", sender=f"<{do.LOCAL}>")
            c.quit()
        settles(lambda: [collector.counts("opensmtpd")[metric(event)] for event in ("delivery.deferred", "delivery.dsn-temp-fail", "queue.queue-dsn", "delivery.delivered")],
                [1, 1, 1, 1])


def test_removed_by_administrator(bed, collector):
    """A message that is taken out of the queue by hand was not given up."""
    do.tried("a@later.mda.test")(bed)
    before = numbers(collector)
    bed.run("smtpctl", "pause", "mda")
    with bed.smtp() as c:
        c.ehlo()
        c.message(f"bob@{DOMAIN}")
        c.quit()
    bed.run("smtpctl", "show", "queue")
    opensmtpd.forget(bed)
    bed.run("smtpctl", "resume", "mda")
    time.sleep(0.5)
    assert not {metric("delivery.failed"), metric("delivery.deferred"), metric("delivery.delivered")} & {*moved(before, numbers(collector))}


def test_fatal(mortal, tmp_path):
    """When one process is killed, another one says so and gives up, unless it hears first of it in another way."""
    seen = 0
    while not seen:
        with Collector(tmp_path, pid=opensmtpd.master_pid(mortal)) as collector:
            mark = len(opensmtpd.log(mortal))
            inner, _ = opensmtpd.parent(mortal)
            os.kill(mortal.processes(opensmtpd.EXE)[inner + 2], signal.SIGKILL)
            wait_until(lambda: not mortal.processes(opensmtpd.EXE), "the end of smtpd", timeout=60)
            said = opensmtpd.log(mortal)[mark:]
            seen = len(re.findall(r"^<18>", said, re.MULTILINE))
            settles(lambda: [collector.counts("opensmtpd")[metric(event)] for event in ("server.fatal", "server.log-warning")],
                    [seen, len(re.findall(r"^<19>", said, re.MULTILINE))])
        opensmtpd.start(mortal)
