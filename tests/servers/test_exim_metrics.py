# SPDX-License-Identifier: Apache-2.0
"""Exim's labels, times, sizes and numbers of connections, in every build; that sessions are known that were open before,
or are killed; that counts do not depend on what is logged, and survive another binary. That counters are right is for
test_exim.py."""
import os
import re
import signal
import time

import pytest

import exim_steps as do
import test_exim
from beds import exim
from beds.bed import wait_until
from beds.exim import DENIED, DOMAIN, PASSWORD
from collector import Collector, metric
from exim_collector import exim_collector
from exim_steps import LOCAL
from test_exim import bed  # noqa: F401: the fixture, with all builds
from test_figures import check_largest_number_of_series
from watch import moved, settles

pytestmark = pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only")


@pytest.fixture(scope="module")
def collector(bed, tmp_path_factory):
    with Collector(tmp_path_factory.mktemp("collector"), pid=exim.daemon_pid(bed)) as running:
        yield running


def test_every_event_has_a_step(bed, collector):
    """Nothing is exported that no step moves."""
    steps = test_exim.STEPS + (test_exim.HEAVY_STEPS if bed.kind == "heavy" else [])
    assert {*collector.counts("exim")} == {metric(event) for step in steps for event in step.events}


def test_largest_number_of_series(collector):
    check_largest_number_of_series(collector, "Exim")


# ---- labels

LABELLED = ["auth.success", "auth.failed", "auth.error", "auth.sasl-aborted", "smtp.rejected", "delivery.delivered", "delivery.deferred", "delivery.failed",
            "delivery.attempt-start", "delivery.attempt-end"]


def series(collector):
    """{"auth.success PLAIN": value}, of what is not 0. The values of the labels stand in the order of their names."""
    names = {metric(event): event for event in LABELLED}
    return {" ".join([names[name], *(labels[label] for label in sorted(labels) if label != "server")]): int(value)
            for name, labels, value in collector.samples() if name in names and labels["server"] == "exim" and value}


def attempt(agent):
    return f"delivery.attempt-start {agent}, delivery.attempt-end {agent}"


FILED = f"{attempt('appendfile')}, delivery.delivered appendfile"
LABELS = [
    ("PLAIN", do.login("PLAIN"), "auth.success PLAIN"),
    ("LOGIN", do.login("LOGIN"), "auth.success LOGIN"),
    ("CRAM-MD5", do.login("CRAM-MD5"), "auth.success CRAM-MD5"),
    ("EXTERNAL", do.login("EXTERNAL", user=LOCAL), "auth.success EXTERNAL"),
    ("in small letters", do.exchange(("auth login", "334"), ("*", "501")), "auth.error LOGIN, auth.sasl-aborted LOGIN"),
    ("wrong passwords, then the right one", do.second_thoughts, "auth.failed PLAIN, auth.failed LOGIN, auth.success LOGIN"),
    ("wrong password", do.login("CRAM-MD5", password="wrong", want="535"), "auth.failed CRAM-MD5"),
    ("trouble", do.login("LOGIN", user="broken", want="435"), "auth.error LOGIN"),
    ("unknown mechanism", do.exchange(("AUTH X-NONE", "504")), "auth.error other"),
    ("known mechanism that is not offered", do.exchange(("AUTH GSSAPI", "504")), "auth.error GSSAPI"),

    ("connection", do.talk(source=DENIED, banner="550", end=None), "smtp.rejected connect 5xx"),
    ("connection, at once", do.talk(source=exim.BANNED, banner="554", end=None), "smtp.rejected connect 5xx"),
    ("greeting", do.talk(("EHLO denied.test", "550")), "smtp.rejected helo 5xx"),
    ("greeting, for now", do.talk(("EHLO busy.test", "451")), "smtp.rejected helo 4xx"),
    ("sender", do.exchange(do.mail("denied@client.test", "550")), "smtp.rejected mail 5xx"),
    ("sender, for now", do.exchange(do.mail("busy@client.test", "451")), "smtp.rejected mail 4xx"),
    ("recipient", do.mail_rcpt(f"denied@{DOMAIN}", "550"), "smtp.rejected rcpt 5xx"),
    ("recipient, for now", do.mail_rcpt(f"busy@{DOMAIN}", "451"), "smtp.rejected rcpt 4xx"),
    ("recipient, not logged", do.mail_rcpt(f"silent@{DOMAIN}", "550"), "smtp.rejected rcpt 5xx"),
    ("DATA", do.exchange(do.mail("predata@client.test"), do.rcpt(LOCAL), ("DATA", "550")), "smtp.rejected predata 5xx"),
    ("message", do.message(LOCAL, subject="refuse", want="550"), "smtp.rejected data 5xx"),
    ("message, for now", do.message(LOCAL, subject="later", want="451"), "smtp.rejected data 4xx"),
    ("AUTH", do.exchange(("AUTH PLAIN AAAA", "503"), source=do.NOBODY), "smtp.rejected auth 5xx"),
    ("STARTTLS", do.exchange(("STARTTLS", "550"), source=do.NOBODY), "smtp.rejected starttls 5xx"),
    ("VRFY", do.exchange((f"VRFY {LOCAL}", "252"), source=do.NOBODY), "smtp.rejected vrfy 5xx"),
    ("EXPN", do.exchange((f"EXPN {LOCAL}", "550"), source=do.NOBODY), "smtp.rejected expn 5xx"),
    ("ETRN", do.exchange(("ETRN #x", "458"), source=do.NOBODY), "smtp.rejected etrn 5xx"),

    ("filed", do.sendmail(LOCAL), FILED),
    ("sent", do.sendmail("a@sink.test"), f"{attempt('smtp')}, delivery.delivered smtp"),
    ("piped", do.sendmail(f"pipe-good@{DOMAIN}"), f"{attempt('pipe')}, delivery.delivered pipe"),
    ("by LMTP", do.sendmail(f"lmtp-good@{DOMAIN}"), f"{attempt('lmtp')}, delivery.delivered lmtp"),
    ("nowhere", do.sendmail(f"discard@{DOMAIN}"), "delivery.delivered router"),
    ("answered", do.message(f"vacation@{DOMAIN}", sender=LOCAL),
     "2*delivery.attempt-start appendfile, 2*delivery.attempt-end appendfile, 2*delivery.delivered appendfile,"
     f" {attempt('autoreply')}, delivery.delivered autoreply"),
    ("refused by a router", do.sendmail(f"fail@{DOMAIN}"), f"delivery.failed router, {FILED}"),
    ("put off by a router", do.tried(f"later@{DOMAIN}", how=do.sendmail), "delivery.deferred router"),
    ("refused by a command", do.sendmail(f"pipe-bad@{DOMAIN}"), f"{attempt('pipe')}, delivery.failed pipe, {FILED}"),
    ("put off by a command", do.tried(f"pipe-later@{DOMAIN}", how=do.sendmail), f"{attempt('pipe')}, delivery.deferred pipe"),
    ("refused by the next host", do.sendmail("refuse@sink.test"), f"{attempt('smtp')}, delivery.failed smtp, {FILED}"),
    ("put off by the next host", do.tried("later@sink.test", how=do.sendmail), f"{attempt('smtp')}, delivery.deferred smtp"),
    ("full mailbox", do.tried(f"full@{DOMAIN}", how=do.sendmail), f"{attempt('appendfile')}, delivery.deferred appendfile"),
]


@pytest.mark.parametrize("action, text", [row[1:] for row in LABELS], ids=[row[0] for row in LABELS])
def test_labels(bed, collector, action, text):
    want = {}
    for part in re.split(r",\s*", text):
        times, star, name = part.partition("*")
        want[name if star else part] = int(times) if star else 1
    before = series(collector)
    action(bed)
    settles(lambda: moved(before, series(collector)), want)


# ---- times and sizes

class Spread:
    """What a histogram got since this was made."""

    def __init__(self, collector, event, **labels):
        self._read = lambda: collector.histogram("exim", event, **labels)
        self._before = self._read()

    def expect(self, count, least, most):
        """So many values, whose sum is between the two."""
        settles(lambda: self._read().count - self._before.count, count)
        total = self._read().sum - self._before.sum
        assert least - 1e-9 <= total <= most + 1e-9, f"{total}, expected {least} to {most}"


def test_sizes(bed, collector):
    """Of every message, as the log tells them."""
    own, others, recipients = (Spread(collector, event) for event in ("message.authenticated-size", "message.size", "message.recipients"))
    mark = len(exim.log(bed))
    for size in (0, 3000, 15000):
        do.message(LOCAL, size=size)(bed)
    do.message("a@sink.test", "b@sink.test", LOCAL, login="PLAIN", size=700, times=2)(bed)
    do.sendmail(LOCAL, f"bob@{DOMAIN}")(bed)
    do.sendmail("refuse@sink.test")(bed)  # and the notice
    do.message(LOCAL, f"bob@{DOMAIN}")(bed)
    lines = re.findall(r"<= .*", exim.log(bed)[mark:])
    sizes = [int(re.search(r" S=(\d+)", line)[1]) for line in lines]
    logged_in = [size for size, line in zip(sizes, lines) if " A=" in line]
    assert (len(lines), len(logged_in)) == (9, 2)
    own.expect(2, sum(logged_in), sum(logged_in))
    others.expect(7, sum(sizes) - sum(logged_in), sum(sizes) - sum(logged_in))
    recipients.expect(9, 3 + 2 * 3 + 2 + 1 + 1 + 2, 3 + 2 * 3 + 2 + 1 + 1 + 2)


def test_request_time(bed, collector):
    spread = Spread(collector, "smtp.request-time")
    with bed.smtp() as first, bed.smtp() as second, bed.smtp("smtps", tls=True) as third:
        began = time.monotonic()
        first.ehlo()
        time.sleep(0.6)
        first.quit()
        second.drop()
        third.quit()
        took = time.monotonic() - began
    exim.wait_idle(bed)
    spread.expect(3, 1.8, 3 * took + 1)


def test_delivery_times(bed, collector):
    """The next host takes its time, and a second message waits for another try."""
    attempts, total = Spread(collector, "delivery.attempt-time", agent="smtp"), Spread(collector, "delivery.total-time")
    bed.sink.gate.clear()
    before = bed.sink.waiting
    do.message("slow@sink.test", wait=False)(bed)
    wait_until(lambda: bed.sink.waiting > before, "the message at the next host")
    time.sleep(0.6)
    bed.sink.gate.set()
    exim.wait_idle(bed)
    attempts.expect(1, 0.6, 1.5)
    total.expect(1, 0.6, 1.8)
    do.message(LOCAL, subject="freeze")(bed)
    time.sleep(0.5)
    bed.run("exim4", "-Mt", *exim.queued(bed))
    bed.run("exim4", "-qff")
    exim.wait_idle(bed)
    total.expect(2, 1.1, 4)
    attempts.expect(1, 0.6, 1.5)


def test_handshake_times(bed, collector):
    incoming, outgoing = Spread(collector, "tls.handshake-time"), Spread(collector, "delivery.start-tls-time")
    do.tls_broken("smtp", do.GARBAGE)(bed)
    do.tls_now(bed)
    with bed.smtp() as c:
        c.ehlo()
        c.cmd("STARTTLS", "220")
        time.sleep(0.6)
        c.tls()
        c.ehlo()
        c.quit()
    incoming.expect(2, 0.6, 1.2)
    do.sendmail("a@tls.test")(bed)
    do.tried("a@broken-tls.test", how=do.sendmail)(bed)
    outgoing.expect(1, 0.0005, 0.6)


def test_login_and_lookup_time(bed, collector):
    logins, lookups = Spread(collector, "auth.time"), Spread(collector, "dns.lookup-time")
    with bed.smtp() as c:
        c.ehlo()
        c.cmd("AUTH LOGIN", "334")
        time.sleep(0.5)
        c.cmd("*", "501")
        c.login("PLAIN", "alice", PASSWORD)
        c.quit()
    exim.wait_idle(bed)
    logins.expect(2, 0.5, 1)
    bed.names.delay_s = 0.2
    try:
        do.sendmail("a@mx.test")(bed)
    finally:
        bed.names.delay_s = 0.0
    lookups.expect(2, 0.4, 1)


# ---- connections

def connections(collector):
    return collector.gauge("exim", "smtp.active-connections")


def test_connections(bed, collector):
    settles(lambda: connections(collector), 0)
    with bed.smtp() as first, bed.smtp() as second:
        first.ehlo()
        settles(lambda: connections(collector), 2)
        first.quit()
        settles(lambda: connections(collector), 1)
        second.ehlo()
        second.message(LOCAL)
        settles(lambda: connections(collector), 1)  # a delivery is none
    settles(lambda: connections(collector), 0)
    exim.wait_idle(bed)


def test_sessions_that_were_there(bed, tmp_path):
    """They are counted as open, and their end is; how long they took nobody knows."""
    with bed.smtp() as early, bed.smtp() as other:
        early.ehlo()
        with Collector(tmp_path, pid=exim.daemon_pid(bed)) as late:
            settles(lambda: connections(late), 2)
            with bed.smtp() as third:
                settles(lambda: connections(late), 3)
                third.quit()
            early.quit()
            settles(lambda: connections(late), 1)
            other.drop()
            settles(lambda: connections(late), 0)
            settles(lambda: late.counts("exim")[metric("smtp.connection-end")], 3)
            assert late.counts("exim")[metric("smtp.connection-start")] == 1
            assert late.histogram("exim", "smtp.request-time").count == 1
    exim.wait_idle(bed)


def test_killed_sessions(bed, collector):
    before = collector.counts("exim")
    with bed.smtp() as first, bed.smtp() as second:
        for c in (first, second):
            c.ehlo()
        settles(lambda: connections(collector), 2)
        daemon = exim.daemon_pid(bed)
        for pid in bed.processes("/usr/sbin/exim4").values():
            if pid != daemon:
                os.kill(pid, signal.SIGKILL)
        settles(lambda: connections(collector), 0)
    now = collector.counts("exim")
    assert [now[metric(event)] - before[metric(event)] for event in ("smtp.connection-start", "smtp.connection-end", "smtp.error", "smtp.quit")] == [2, 2, 0, 0]


# ---- the queue

def test_queue(bed, tmp_path):
    """What was there before, what comes and goes, and what somebody takes away behind its back."""
    exim.forget_deferred(bed)
    do.message("later@sink.test")(bed)
    exim.wait_idle(bed)
    assert len(exim.queued(bed)) == 1
    with Collector(tmp_path, pid=exim.daemon_pid(bed)) as collector:
        queue = lambda: collector.gauge("exim", "queue.count")  # noqa: E731
        settles(queue, 1)
        do.message("later@sink.test")(bed)
        do.message(LOCAL)(bed)
        exim.wait_idle(bed)
        settles(queue, len(exim.queued(bed)))
        assert queue() == 2
        for message in exim.queued(bed):
            bed.run("exim4", "-Mrm", message)
        exim.wait_idle(bed)
        settles(queue, 0)
    exim.forget_deferred(bed)


# ---- what must not matter

def test_silence(bed, collector):
    """All that is logged by choice is switched off, and the counts are the same."""
    names = ["CRAM-MD5, wrong password", "unknown commands", "gone after RCPT", "too many connections", "recipient that a rule refuses", "connection that a rule refuses",
             "message from a login", "put off by the remote server", "message to an alias of two", "client without a name", "too large", "silent for too long",
             "recipient that a rule puts off", "not yet time for another try"]
    steps = [step for step in test_exim.STEPS if step.name in names]
    assert len(steps) == len(names)
    with exim.settings(bed, selectors="-all"):
        for step in steps:
            before = collector.counts("exim")
            step.run(bed)
            settles(lambda: moved(before, collector.counts("exim")), {metric(event): number for event, number in step.expected().items()})  # noqa: B023


@pytest.mark.alone
def test_another_binary(bed, tmp_path):
    """Exim is upgraded, and its daemon started anew: from the next look at what runs on, everything is counted as before.
    Deliveries of the old daemon's sessions run the new file already."""
    with exim_collector(tmp_path) as collector:
        bed.run("sh", "-c", "cp -a /usr/sbin/exim4 /usr/sbin/exim4.new && mv /usr/sbin/exim4.new /usr/sbin/exim4")
        do.message(LOCAL)(bed)  # the first process of the new file
        exim.stop(bed)
        exim.start(bed)
        time.sleep(2.5)  # two looks
        before = collector.counts("exim")
        do.message(LOCAL)(bed)
        want = next(step for step in test_exim.STEPS if step.name == "message").events
        settles(lambda: moved(before, collector.counts("exim")), {metric(event): number for event, number in want.items()})
