# SPDX-License-Identifier: Apache-2.0
"""Dovecot's labels, times and numbers of connections. That counters are right is for test_dovecot.py."""
import contextlib
import json
import os
import signal
import ssl
import time

import pytest

import dovecot_steps as do
from beds import dovecot
from beds.bed import wait_until
from beds.dovecot import DEAD_PROXY_USER, ELSEWHERE_USER, OTHER_USER, PAM_USER, PASSWORD, PROXY_USER, SECOND_USER, TLS_PROXY_USER, USER
from beds.clients import b64, tls_context
from beds.mailbed import MailBed
from collector import Collector
from watch import moved, settles
from test_collector import need_no_others

pytestmark = pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only")

OLD = "bookworm"


@pytest.fixture(scope="module")
def collector(bed, tmp_path_factory):
    with Collector(tmp_path_factory.mktemp("collector"), pid=dovecot.master_pid(bed)) as running:
        yield running


# ---- labels

def series(collector, *events):
    """{"auth.success imap PLAIN": value}, of what is not 0. The values of the labels stand in the order of their names."""
    names = {f"mail_{event.replace('.', '_').replace('-', '_')}_total": event for event in events}
    return {" ".join([names[name], *(labels[label] for label in sorted(labels, reverse=True) if label != "server")]): int(value)
            for name, labels, value in collector.samples() if name in names and labels["server"] == "dovecot" and value}


def imap_mechanism(name):
    """CRAM-MD5 as the client writes it."""
    def action(bed):
        with bed.imap() as c:
            c.start(f"AUTHENTICATE {name}")
            c.expect("+")
            c.send("*\r\n")
            c.finish("BAD")
            c.logout()
    return action


def postfix_login(bed):
    with bed.smtp("submission-dovecot") as c:
        c.ehlo()
        c.login("LOGIN", USER, PASSWORD)
        c.quit()


# What is done, and all that the events named here count of it. `reason` comes before `protocol`, then `mechanism`.
LABELS = [
    ("IMAP", do.session("imap"), "auth.success imap PLAIN, auth.login-completed imap"),
    ("IMAP LOGIN", do.session("imap", "LOGIN"), "auth.success imap PLAIN, auth.login-completed imap"),
    ("IMAP CRAM-MD5", do.cram_md5(PASSWORD), "auth.success imap CRAM-MD5, auth.login-completed imap"),
    ("POP3", do.session("pop3"), "auth.success pop3 PLAIN, auth.login-completed pop3"),
    ("ManageSieve", do.session("sieve"), "auth.success manage-sieve PLAIN, auth.login-completed manage-sieve"),
    ("submission", do.session("submission", "LOGIN"),
     "auth.success submission LOGIN, auth.login-completed submission, smtp.connection-start submission, smtp.connection-end submission, smtp.quit submission"),
    ("Postfix", postfix_login, "auth.success smtp LOGIN"),
    ("doveadm", do.auth_test(PASSWORD), "auth.success other PLAIN"),
    ("IMAP, wrong password", do.refused("imap"), "auth.failed password-mismatch imap PLAIN"),
    ("POP3, unknown user", do.refused("pop3", user=do.UNKNOWN_USER), "auth.failed user-unknown pop3 PLAIN"),
    ("CRAM-MD5, wrong password", do.cram_md5("wrong", "NO"), "auth.failed rejected imap CRAM-MD5"),
    ("submission, forbidden address", do.refused("submission", user=ELSEWHERE_USER, password=PASSWORD), "auth.failed rejected submission PLAIN, "
     "smtp.connection-start submission, smtp.connection-end submission, smtp.quit submission"),
    ("IMAP, backend broken", do.refused("imap", user=dovecot.BROKEN_USER, want=do.TROUBLE), "auth.error imap PLAIN"),
    ("ManageSieve, aborted", do.aborted("sieve"), "auth.error manage-sieve PLAIN, auth.sasl-aborted manage-sieve PLAIN"),
    ("IMAP, aborted, in small letters", imap_mechanism("cram-md5"), "auth.error imap CRAM-MD5, auth.sasl-aborted imap CRAM-MD5"),
    ("LMTP", do.lmtp(do.MAIL, do.to(USER), ["250"], ("NONSENSE", "5")),
     "smtp.connection-start lmtp, smtp.connection-end lmtp, smtp.mail-from lmtp, smtp.rcpt-to lmtp, smtp.data lmtp, smtp.message-accepted lmtp, "
     "smtp.error lmtp, smtp.quit lmtp"),
    ("submission, message", do.submission(("someone@sink.test", "250")),
     "auth.success submission PLAIN, auth.login-completed submission, smtp.connection-start submission, smtp.connection-end submission, "
     "smtp.mail-from submission, smtp.rcpt-to submission, smtp.data submission, smtp.message-accepted submission, smtp.quit submission"),
    ("IMAP over TLS", do.session("imaps", tls="now"), "auth.success imap PLAIN, auth.login-completed imap, tls.handshake imap"),
    ("POP3 STLS", do.session("pop3", tls="starttls"), "auth.success pop3 PLAIN, auth.login-completed pop3, tls.handshake pop3"),
    ("ManageSieve STARTTLS", do.session("sieve", tls="starttls"), "auth.success manage-sieve PLAIN, auth.login-completed manage-sieve, tls.handshake manage-sieve"),
    ("LMTP STARTTLS", do.lmtp_starttls, "smtp.connection-start lmtp, smtp.connection-end lmtp, smtp.quit lmtp, tls.handshake lmtp"),
    ("submissions port, garbage", do.tls_broken("submissions", do.GARBAGE),
     "smtp.connection-start submission, smtp.connection-end submission, tls.handshake-error submission"),
    ("too many POP3 clients", do.pop3_queue_full, "limit.concurrent-connection pop3"),
    ("IMAP, proxied", do.session("imap", user=PROXY_USER), "2*auth.success imap PLAIN, auth.login-completed imap, proxy.session-start imap, proxy.session-end imap"),
    ("POP3, proxied", do.session("pop3", user=PROXY_USER), "2*auth.success pop3 PLAIN, auth.login-completed pop3, proxy.session-start pop3, proxy.session-end pop3"),
    ("IMAP, proxied by TLS", do.session("imap", user=TLS_PROXY_USER),
     "2*auth.success imap PLAIN, auth.login-completed imap, proxy.session-start imap, proxy.session-end imap, tls.handshake imap"),
]
LABELLED = ["auth.success", "auth.failed", "auth.error", "auth.sasl-aborted", "auth.login-completed", "tls.handshake", "tls.handshake-error",
            "limit.concurrent-connection", "proxy.session-start", "proxy.session-end", "smtp.connection-start", "smtp.connection-end",
            "smtp.mail-from", "smtp.rcpt-to", "smtp.data", "smtp.message-accepted", "smtp.error", "smtp.quit"]


@pytest.mark.parametrize("action, text", [row[1:] for row in LABELS], ids=[row[0] for row in LABELS])
def test_labels(bed, collector, action, text):
    want = {}
    for part in text.split(", "):
        times, star, name = part.partition("*")
        want[name if star else part] = int(times) if star else 1
    before = series(collector, *LABELLED)
    action(bed)
    settles(lambda: moved(before, series(collector, *LABELLED)), want)


# ---- times

class Times:
    """What histograms got since this was made."""

    def __init__(self, collector, event, **labels):
        self._read = lambda: collector.histogram("dovecot", event, **labels)
        self._before = self._read()
        self._began = time.monotonic()

    def expect(self, count, least_s=0.0, most_s=None, waited_s=0.0):
        """So many values, whose sum is between the two. No time is longer than the one since this was made, less what
        was waited and is not part of it: on a busy host there is no other limit. Beyond that the buckets must agree
        with each other."""
        settles(lambda: self._read().count - self._before.count, count)
        most_s = count * (time.monotonic() - self._began - waited_s) if most_s is None else most_s
        now = self._read()
        total = now.sum - self._before.sum
        assert least_s <= total <= most_s, f"{total} s, expected {least_s} to {most_s}"
        upper = [now.buckets[bound] for bound in sorted(now.buckets)]
        assert upper == sorted(upper) and now.buckets[float("inf")] == now.count
        return total

    def between(self):
        """{bound: how many came into this bucket and those below}"""
        now = self._read()
        return {bound: number - self._before.buckets[bound] for bound, number in now.buckets.items()}


def opened(bed, service, user=USER, login=True, tls=None, stack=None):
    """A client, logged in or not, that stays."""
    c = stack.enter_context(do.client(bed, service, tls=tls == "now"))
    do.greet(service, c)
    if tls == "starttls":
        c.starttls()
    if login and service != "lmtp":
        c.login("PLAIN", user, PASSWORD)
    return c


REQUESTS = {"imap": "imap", "imaps": "imap", "pop3": "pop3", "pop3s": "pop3", "sieve": "sieve", "submission": "smtp", "submissions": "smtp", "lmtp": "smtp"}
LASTING = 0.6


@pytest.mark.parametrize("service, tls", [("imap", None), ("imaps", "now"), ("pop3", None), ("pop3s", "now"), ("sieve", None), ("sieve", "starttls"),
                                          ("submission", None), ("submissions", "now"), ("lmtp", None)])
@pytest.mark.parametrize("login", [True, False], ids=["session", "no login"])
def test_request_time(bed, collector, service, tls, login):
    """From the client's coming, which is before the login, to the end."""
    labels = {"protocol": service.rstrip("s")} if REQUESTS[service] == "smtp" else {}
    times = Times(collector, f"{REQUESTS[service]}.request-time", **labels)
    with contextlib.ExitStack() as stack:
        c = opened(bed, service, login=False, tls=tls, stack=stack)
        time.sleep(LASTING / 2)
        if login and service != "lmtp":
            c.login("PLAIN", USER, PASSWORD)
        time.sleep(LASTING / 2)
        do.leave(c)
    late = LASTING / 2 if login and service == "sieve" and bed.suite == OLD else 0  # begins with the login there
    total = times.expect(1, LASTING - late)
    assert times.between()[0.25] == 0 and times.between()[1.0] == (1 if total <= 1 else 0)


def test_request_time_of_dropped_session(bed, collector):
    times = Times(collector, "imap.request-time")
    with contextlib.ExitStack() as stack:
        opened(bed, "imap", stack=stack)
        time.sleep(LASTING)
    times.expect(1, LASTING)


def test_request_time_of_session_that_cannot_start(bed, collector):
    times = Times(collector, "imap.request-time")
    do.no_session("imap", dovecot.NO_UID_USER)(bed)
    times.expect(1, 0)


def test_request_time_of_proxied_sessions(bed, collector):
    """Two connections each: of the client, and of the proxy."""
    times = Times(collector, "imap.request-time")
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            opened(bed, "imap", user=PROXY_USER, stack=stack)
        time.sleep(LASTING)
    times.expect(4, 4 * LASTING)


def test_request_time_of_hibernated_sessions(bed, collector):
    times = Times(collector, "imap.request-time")
    with dovecot.settings(bed, dovecot.HIBERNATE):
        do.idle_long(bed)
        times.expect(1, 1)
        times = Times(collector, "imap.request-time")
        do.idle_forever(bed)
        times.expect(1, 1)


def test_request_time_of_earlier_sessions(bed, tmp_path):
    """Of a session the server knows when it began; 2.3 does not tell of ManageSieve. Of clients without one nobody knows."""
    services = ["imap", "imaps", "pop3", "sieve", "submission", "lmtp"]
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [opened(bed, service, tls="now" if service == "imaps" else None, stack=stack) for service in services]
        clients += [opened(bed, service, login=False, stack=stack) for service in services if service not in ("imaps", "lmtp")]
        with Collector(tmp_path, pid=dovecot.master_pid(bed)) as collector:
            time.sleep(LASTING)
            for c in clients:
                do.leave(c)
            settles(lambda: [collector.histogram("dovecot", f"{family}.request-time").count for family in ("imap", "pop3", "sieve", "smtp")],
                    [2, 1, 0 if bed.suite == OLD else 1, 2])
            took = time.monotonic() - began
            for family, number in (("imap", 2), ("pop3", 1), ("smtp", 2)):
                total = collector.histogram("dovecot", f"{family}.request-time").sum
                assert number * LASTING <= total <= number * took


EXPORTER = {
    "bookworm": "event_exporter test {\n format = json\n format_args = time-rfc3339\n transport = log\n}\n",
    "trixie": "event_exporter test {\n driver = log\n format = json\n time_format = rfc3339\n}\n",
}


TOLD = ' stats: Info: {"event"'


def wait_quiet(bed):
    """Until nothing more comes into the log."""
    length = None
    while length != (length := len(dovecot.log(bed))):
        time.sleep(1)


@contextlib.contextmanager
def told(bed, *events):
    """Dovecot itself tells of these events, a login's among them: a list of (name, fields) that is filled at the end.
    Sessions make it ready for that."""
    names = " OR ".join(f"event={event}" for event in events)
    found = []
    with dovecot.settings(bed, EXPORTER[bed.suite] + f"metric test {{\n exporter = test\n filter = {names}\n}}\n"):
        mark = len(dovecot.log(bed))

        def tells():
            do.session("imap")(bed)
            return TOLD in dovecot.log(bed)[mark:]

        wait_until(tells, "Dovecot to tell", every=0.5)
        wait_quiet(bed)
        mark = len(dovecot.log(bed))
        yield found
        wait_quiet(bed)
        for line in dovecot.log(bed)[mark:].splitlines():
            _, brace, text = line.partition(TOLD)
            if brace:
                event = json.loads('{"event"' + text)
                found.append((event["event"], event["fields"]))


@pytest.mark.alone
def test_times_are_those_that_dovecot_tells(bed, collector):
    """imap.command-time is exactly Dovecot's running_usecs. Of the others Dovecot notes the end a little later, or earlier."""
    names = {"imap_command_finished": ("imap.command-time", "running_usecs", 2e-6),
             "auth_request_finished": ("auth.time", "duration", 0.02),
             "mail_delivery_finished": ("message-ingest.time", "duration", 0.02)}
    with told(bed, *names) as found:
        times = {name: Times(collector, event) for name, (event, _, _) in names.items()}
        do.imap(40000, ("SELECT INBOX", "OK"), ("FETCH 1:* (FLAGS)", "OK"), ("SEARCH BODY nothing", "OK"), ("NONSENSE", "BAD"), ("CHECK", "OK"))(bed)
        do.idle(bed)
        do.idle_dropped(bed)
        do.session("imap", user=PAM_USER)(bed)
        do.session("imap", user=SECOND_USER)(bed)
        do.refused("imap")(bed)
        do.lmtp(do.MAIL, do.to(USER), do.to(OTHER_USER), ["250", "250"])(bed)
        do.sieve("file")(bed)
        do.sieve("discard", OTHER_USER)(bed)
    for name, (_, field, tolerance) in names.items():
        values = [fields[field] / 1e6 for event, fields in found if event == name and fields.get("cmd_name") != "IDLE"]
        if name == "mail_delivery_finished":  # what a script discards is not filed
            assert len(values) == 5
            times[name].expect(4, 0, sum(values) + tolerance)
            continue
        assert len(values) >= 5
        total = times[name].expect(len(values), 0, sum(values) + tolerance)
        assert abs(total - sum(values)) <= tolerance, (total, values)


def test_command_time_is_without_waiting(bed, collector):
    """For the client, or for what the client is waiting for."""
    times = Times(collector, "imap.command-time")
    with do.selected(bed, "PLAIN") as c:
        c.start("IDLE")
        c.expect("+")
        time.sleep(LASTING)
        c.send("DONE\r\n")
        c.finish("OK")
        c.start("APPEND INBOX {300}")
        c.expect("+")
        time.sleep(LASTING)
        c.send("Subject: test\r\n\r\n".ljust(300, "x") + "\r\n")
        c.finish("OK")
        c.logout()
    times.expect(3, waited_s=2 * LASTING)


@pytest.mark.alone
def test_auth_time(bed, collector):
    """A client that is slow is part of it. That bad news have to wait is not."""
    times = Times(collector, "auth.time")
    with bed.submission() as c:
        c.ehlo()
        c.cmd("AUTH LOGIN", "334")
        time.sleep(LASTING)
        c.cmd(b64(USER), "334")
        c.cmd(b64(PASSWORD), "235")
        c.quit()
    times.expect(1, LASTING)
    times = Times(collector, "auth.time")
    with dovecot.settings(bed, "auth_failure_delay = 1 secs\n"):
        do.refused("imap")(bed)
    times.expect(1, 0, 0.8)


def slow_tls(sock, pause_s):
    """A handshake in which the client stops before its second word: the server has answered, so it has begun."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = tls_context().wrap_bio(to_client, to_server)
    spoken = done = False
    while not done:
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        if words := to_server.read():
            if spoken:
                time.sleep(pause_s)
            sock.sendall(words)
            spoken = True
        if not done:
            to_client.write(sock.recv(65536))


@pytest.mark.parametrize("service, protocol", [("imaps", "imap"), ("pop3s", "pop3"), ("submissions", "submission")])
def test_handshake_time(bed, collector, service, protocol):
    """It takes as long as the client does. One that fails has no time."""
    times = Times(collector, "tls.handshake-time", protocol=protocol)
    do.tls_broken(service, do.GARBAGE)(bed)
    with do.client(bed, service, banner=None) as c:
        slow_tls(c.sock, LASTING)
    times.expect(1, LASTING)


# ---- connections

GAUGES = ["imap", "pop3", "sieve", "smtp"]


class Connections:
    """The numbers of connections that are open, as the collector tells them."""

    def __init__(self, collector):
        self.collector = collector

    def read(self):
        return {family: self.collector.gauge("dovecot", f"{family}.active-connections") for family in GAUGES}

    def are(self, **numbers):
        settles(self.read, {family: float(numbers.get(family, 0)) for family in GAUGES})


# One process of each kind for many clients, and some that wait for work.
BUSY = """
service imap-login {{
  {forever}
  process_min_avail = 2
}}
service imap {{
  {forever}
  client_limit = 4
  process_min_avail = 1
}}
service submission-login {{
  {forever}
  process_min_avail = 1
}}
"""
MODES = {"a process each": "", "few processes": BUSY}


def forever(bed, text):
    return text.format(forever={"bookworm": "service_count = 0", "trixie": "restart_request_count = unlimited"}[bed.suite])


@pytest.fixture(scope="module")
def mortal(bed):
    """A bed of its own, whose processes may be killed."""
    with MailBed(bed.suite) as made:
        yield made


def open_all(bed, stack):
    """Sessions of all kinds, with and without TLS, and clients that have not logged in. Returns {name: client}."""
    kinds = [("imap", None), ("imaps", "now"), ("imap", "starttls"), ("pop3", None), ("pop3s", "now"), ("sieve", None), ("sieve", "starttls"),
             ("submission", None), ("submissions", "now"), ("lmtp", None)]
    clients = {f"{service} {tls or 'plain'}": opened(bed, service, tls=tls, stack=stack) for service, tls in kinds}
    for service, tls in (("imap", None), ("imaps", "now"), ("pop3", None), ("sieve", None), ("submission", None)):
        clients[f"{service} before login"] = opened(bed, service, tls=tls, login=False, stack=stack)
    return clients


@pytest.mark.parametrize("mode", MODES)
def test_connections(mortal, tmp_path, mode):
    with dovecot.settings(mortal, forever(mortal, MODES[mode])), contextlib.ExitStack() as stack:
        do.session("imap")(mortal)
        early = open_all(mortal, stack)
        with Collector(tmp_path, pid=dovecot.master_pid(mortal)) as collector:
            connections = Connections(collector)
            connections.are(imap=5, pop3=3, sieve=3, smtp=4)
            late = open_all(mortal, stack)
            connections.are(imap=10, pop3=6, sieve=6, smtp=8)
            for name in ("imap before login", "pop3 before login", "sieve before login", "submission before login"):
                for c in (early[name], late[name]):
                    c.login("PLAIN", USER, PASSWORD)
            connections.are(imap=10, pop3=6, sieve=6, smtp=8)
            for name, c in early.items():
                do.leave(c) if "plain" in name else c.drop()
            connections.are(imap=5, pop3=3, sieve=3, smtp=4)
            for name, c in late.items():
                c.drop() if "plain" in name else do.leave(c)
            connections.are()


def test_connections_that_come_to_nothing(mortal, tmp_path):
    with Collector(tmp_path, pid=dovecot.master_pid(mortal)) as collector:
        connections = Connections(collector)
        connections.are()
        for service in ("imap", "pop3", "sieve", "submission"):
            do.no_session(service, dovecot.NO_UID_USER)(mortal)
            do.refused(service)(mortal)
            do.no_login(service, drop=True)(mortal)
        do.no_session("sieve", dovecot.NO_HOME_USER)(mortal)
        do.no_session("pop3", dovecot.NO_HOME_USER)(mortal)
        do.tls_broken("imaps", do.GARBAGE)(mortal)
        do.pop3_queue_full(mortal)
        do.too_many_sessions(mortal)
        do.loiterer("imap")(mortal)
        gives_up(mortal)
        connections.are()


def gives_up(bed):
    """A client that goes while its proxy tries in vain."""
    with contextlib.suppress(TimeoutError), bed.imap() as c:
        c.sock.settimeout(0.5)
        c.login("PLAIN", DEAD_PROXY_USER, PASSWORD)


def test_connections_proxied(mortal, tmp_path):
    """Each is two of this server: of the client with the proxy, and of the proxy."""
    with contextlib.ExitStack() as stack:
        early = [opened(mortal, "imap", user=PROXY_USER, stack=stack), opened(mortal, "imap", user=TLS_PROXY_USER, stack=stack),
                 opened(mortal, "pop3s", user=PROXY_USER, tls="now", stack=stack)]
        with Collector(tmp_path, pid=dovecot.master_pid(mortal)) as collector:
            connections = Connections(collector)
            connections.are(imap=4, pop3=2)
            late = [opened(mortal, "imaps", user=PROXY_USER, tls="now", stack=stack), opened(mortal, "pop3", user=PROXY_USER, stack=stack),
                    opened(mortal, "sieve", user=PROXY_USER, stack=stack)]
            connections.are(imap=6, pop3=4, sieve=2)
            early[0].drop()
            late[1].drop()
            connections.are(imap=4, pop3=2, sieve=2)
            for c in (*early[1:], late[0], late[2]):
                do.leave(c)
            connections.are()


def test_connections_hibernated(mortal, tmp_path):
    def idles(service, tls):
        c = opened(mortal, service, tls=tls, stack=stack)
        c.cmd("SELECT INBOX")
        c.start("IDLE")
        c.expect("+")
        return c

    def wakes(c):
        c.send("DONE\r\n")
        c.finish("OK")
        c.cmd("NOOP")

    with dovecot.settings(mortal, dovecot.HIBERNATE), contextlib.ExitStack() as stack:
        clients = [idles("imap", None), idles("imaps", "now"), idles("imap", None), idles("imaps", "now")]
        dovecot.wait_hibernated(mortal)
        with Collector(tmp_path, pid=dovecot.master_pid(mortal)) as collector:
            connections = Connections(collector)
            connections.are(imap=4)
            wakes(clients[0])
            wakes(clients[1])
            connections.are(imap=4)
            clients += [idles("imap", None), idles("imaps", "now"), idles("imap", None)]
            connections.are(imap=7)
            time.sleep(2)  # those are hibernated now
            connections.are(imap=7)
            wakes(clients[4])
            wakes(clients[5])
            connections.are(imap=7)
            for c in clients[:2]:
                do.leave(c)
            for c in clients[2:]:
                c.drop()
            connections.are()


def test_connections_of_killed_processes(mortal, tmp_path):
    def kill_one(exe):
        os.kill(max(mortal.processes(exe).values()), signal.SIGKILL)

    with contextlib.ExitStack() as stack:
        open_all(mortal, stack)
        with Collector(tmp_path, pid=dovecot.master_pid(mortal)) as collector:
            connections = Connections(collector)
            connections.are(imap=5, pop3=3, sieve=3, smtp=4)
            mortal.kill("/usr/lib/dovecot/lmtp")
            mortal.kill("/usr/lib/dovecot/managesieve")  # and managesieve-login
            connections.are(imap=5, pop3=3, smtp=3)
            opened(mortal, "imap", stack=stack)
            connections.are(imap=6, pop3=3, smtp=3)
            mortal.kill("/usr/lib/dovecot/imap-login")  # two sessions over TLS lose their clients, and two clients had none
            connections.are(imap=2, pop3=3, smtp=3)
            kill_one("/usr/lib/dovecot/imap")
            connections.are(imap=1, pop3=3, smtp=3)
            dovecot.kill(mortal)
            connections.are()
            dovecot.start(mortal)


@pytest.mark.alone
def test_connections_of_a_new_server(bed, mortal, tmp_path):
    """Killed and started again, and stopped and started again."""
    need_no_others(bed, mortal)
    with Collector(tmp_path) as collector, contextlib.ExitStack() as stack:
        connections = Connections(collector)
        open_all(mortal, stack)
        connections.are(imap=5, pop3=3, sieve=3, smtp=4)
        dovecot.kill(mortal)
        connections.are()
        dovecot.start(mortal)
        sessions = [opened(mortal, "imap", stack=stack), opened(mortal, "imaps", tls="now", stack=stack)]
        connections.are(imap=2)
        dovecot.stop(mortal)
        for c in sessions:
            c.cmd("NOOP")  # Dovecot leaves them alone
        connections.are(imap=2)
        for c in sessions:
            c.drop()
        connections.are()
        dovecot.start(mortal)
        opened(mortal, "imap", stack=stack)
        connections.are(imap=1)
