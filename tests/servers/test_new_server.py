# SPDX-License-Identifier: Apache-2.0
"""docs/NEW-SERVER.md, as it is written: the catalog file that stands in it counts popa3d exactly, and the survey
prints what it shows."""
import os
import re
import signal
import subprocess
import time

import pytest

from beds.bed import REPO, SUITES
from beds.popa3d import BROKEN_USER, PASSWORD, PORT, USER, Popa3dBed
from collector import BINARY, Collector, metric
from steps import table
from watch import moved, settles

DOCUMENT = (REPO / "docs/NEW-SERVER.md").read_text()


def block(language, begins):
    """The one fenced block of the document that begins so."""
    [found] = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL) if text.startswith(begins)]
    return found


# ---- What clients do. A dropped connection ends without a word.

def connect(bed, *lines):
    """A session without a login; each line is answered as the text behind "=>" begins."""
    with bed.pop3() as c:
        for line in lines:
            c.cmd(*line.split(" => "))


def login(bed, user=USER, password=PASSWORD, want="+OK"):
    with bed.pop3() as c:
        c.login("USER", user, password, want)


def session(*lines):
    def action(bed):
        bed.fill(3)
        with bed.pop3() as c:
            c.login("USER", USER, PASSWORD)
            for line in lines:
                command, _, want = line.partition(" => ")
                c.cmd(command, want or "+OK")
                if command in ("LIST", "UIDL") or command.startswith(("RETR", "TOP")) and not want:
                    while c.line() != ".":
                        pass
            c.cmd("QUIT")
    return action


MACROS = {
    "CONNECTION": "pop3.connection-start pop3.connection-end server.log-line",  # "Session from"
    "REFUSED": "CONNECTION auth.failed pop3.error server.log-line",
    "SESSION": "CONNECTION auth.success auth.login-completed 3*server.log-line",  # passed, loaded, left
}

STEPS = table(MACROS, [
    ("session without a command", 3, session(), "SESSION"),
    ("wrong password", 4, lambda bed: login(bed, password="wrong", want="-ERR"), "REFUSED"),
    ("unknown user", 2, lambda bed: login(bed, user="nobody-here", want="-ERR"), "REFUSED"),
    ("no login", 2, lambda bed: connect(bed, "QUIT => +OK"), "CONNECTION server.log-line"),
    ("dropped before the login", 2, connect, "CONNECTION server.log-line"),
    ("dropped in the middle of the login", 2, lambda bed: connect(bed, f"USER {USER} => +OK"), "CONNECTION server.log-line"),
    ("dropped after the login", 2, login, "SESSION"),
    ("unknown command before the login", 2, lambda bed: connect(bed, "NOSUCH => -ERR", "QUIT => +OK"), "CONNECTION pop3.error server.log-line"),
    ("STAT before the login", 1, lambda bed: connect(bed, "STAT => -ERR", "QUIT => +OK"), "CONNECTION pop3.error server.log-line"),
    ("no mailbox", 2, lambda bed: login(bed, user=BROKEN_USER, want="-ERR"), "CONNECTION auth.success pop3.error 2*server.log-line"),
    ("commands", 2, session("STAT", "LIST", "LIST 1 => +OK 1", "UIDL", "UIDL 2 => +OK 2", "RETR 1", "DELE 1", "DELE 2", "RSET", "NOOP", "NOOP", "NOOP"),
     "SESSION pop3.stat 2*pop3.list 2*pop3.uidl pop3.fetch 2*pop3.delete pop3.reset 3*pop3.noop"),
    ("small letters", 1, session("stat", "noop"), "SESSION pop3.stat pop3.noop"),
    ("commands that fail", 2, session("RETR 9 => -ERR", "DELE 9 => -ERR", "LIST 9 => -ERR", "UIDL 9 => -ERR", "STAT 1 => -ERR", "NOOP 1 => -ERR"),
     "SESSION pop3.fetch pop3.delete pop3.list pop3.uidl pop3.stat pop3.noop 6*pop3.error"),
    ("unknown command after the login", 1, session("NOSUCH => -ERR", "TOP 1 1"), "SESSION pop3.error"),
    ("deleted messages", 2, session("DELE 1", "DELE 3"), "SESSION 2*pop3.delete"),
])

# What the server's log tells of the same.
LOG = {
    "pop3.connection-start": ": Session from ",
    "auth.success": ": Authentication passed for ",
    "auth.failed": ": Authentication failed for ",
    "auth.login-completed": " loaded",
    "server.log-line": "",
}


# ---- A bed, and who counts what happens in it

@pytest.fixture(scope="module", params=SUITES)
def bed(request):
    with Popa3dBed(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    directory = tmp_path_factory.mktemp("catalog")
    (directory / "popa3d.toml").write_text(block("toml", "[server]\n"))
    return directory


def count(bed, catalog, directory):
    collector = Collector(directory, pid=bed.server_pid)
    collector.arguments += ["--catalog-dir", str(catalog)]
    return collector


@pytest.fixture(scope="module")
def collector(request, bed, catalog, tmp_path_factory):
    if request.config.getoption("--log-only"):
        yield None
        return
    with count(bed, catalog, tmp_path_factory.mktemp("collector")) as started:
        yield started


def of_log(bed):
    return {event: sum(text in line for line in bed.log()) for event, text in LOG.items()}


def test_step(bed, collector, step):
    before, log_before = collector and collector.counts("popa3d"), of_log(bed)
    step.run(bed)
    expected = step.expected()
    settles(lambda: moved(log_before, of_log(bed)), {event: number for event, number in expected.items() if event in LOG})
    if collector:
        settles(lambda: moved(before, collector.counts("popa3d")), {metric(event): number for event, number in expected.items()})


@pytest.fixture
def counted(collector):
    if not collector:
        pytest.skip("--log-only")
    return collector


def test_every_event_is_exported(counted):
    assert {metric(event) for step in STEPS for event in step.events} == {*counted.counts("popa3d")}


def test_nothing_is_missing(counted):
    plan = counted.plan()
    assert plan["missing"] == []
    assert len(plan["points"]) == int(re.search(r"(\d+) probes", block("text", "popa3d  /usr/sbin/popa3d"))[1])


def test_connections(bed, counted):
    """The gauge follows sessions, however they end, and each that ends has had a time."""
    def gauge():
        return counted.gauge("popa3d", "pop3.active-connections")

    settles(gauge, 0)
    before = counted.histogram("popa3d", "pop3.request-time")
    logged_in, waiting, refused = bed.pop3(), bed.pop3(), bed.pop3()
    logged_in.login("USER", USER, PASSWORD)
    refused.login("USER", USER, "wrong", "-ERR")
    settles(gauge, 2)
    refused.drop()
    time.sleep(0.3)
    logged_in.logout()
    settles(gauge, 1)
    waiting.drop()
    settles(gauge, 0)
    after = counted.histogram("popa3d", "pop3.request-time")
    assert after.count - before.count == 3
    assert 0.3 <= after.sum - before.sum < 30


def test_crash(bed, counted):
    client = bed.pop3()
    client.login("USER", USER, PASSWORD)
    settles(lambda: counted.gauge("popa3d", "pop3.active-connections"), 1)
    before = counted.counts("popa3d")
    [session_pid] = {*bed.processes("/usr/sbin/popa3d").values()} - {bed.server_pid}
    os.kill(session_pid, signal.SIGKILL)
    settles(lambda: moved(before, counted.counts("popa3d")), {metric("pop3.connection-end"): 1})
    assert counted.gauge("popa3d", "pop3.active-connections") == 0
    client.drop()


def test_throttled_text(bed, counted):
    """Ten clients are refused, and one line tells of it: the document says why that is no event."""
    source = bed.source()
    before = counted.counts("popa3d")
    clients = [bed.connect(PORT, source) for _ in range(60)]
    settles(lambda: moved(before, counted.counts("popa3d")), {metric("pop3.connection-start"): 50, metric("server.log-line"): 51})
    for client in clients:
        client.close()
    settles(lambda: moved(before, counted.counts("popa3d")),
            {metric("pop3.connection-start"): 50, metric("pop3.connection-end"): 50, metric("server.log-line"): 101})


def test_sessions_that_were_there_before(bed, catalog, tmp_path):
    """One that is logged in is one; one that is not has two processes with its connection, as the document says."""
    if bed.session_count():
        pytest.fail("sessions of another test are left")
    logged_in = bed.pop3()
    logged_in.login("USER", USER, PASSWORD)
    with count(bed, catalog, tmp_path) as late:
        assert late.gauge("popa3d", "pop3.active-connections") == 1
        logged_in.logout()
        settles(lambda: late.gauge("popa3d", "pop3.active-connections"), 0)
        assert late.counts("popa3d")[metric("pop3.connection-end")] == 1
        assert late.histogram("popa3d", "pop3.request-time").count == 0
    waiting = bed.pop3()
    with count(bed, catalog, tmp_path) as late:
        assert late.gauge("popa3d", "pop3.active-connections") == 2
        waiting.login("USER", USER, PASSWORD)
        settles(lambda: late.gauge("popa3d", "pop3.active-connections"), 1)
        waiting.logout()
        settles(lambda: late.gauge("popa3d", "pop3.active-connections"), 0)


def test_one_text_in_two_tables(bed, catalog, tmp_path):
    """The pitfall that the document tells of."""
    changed = tmp_path / "catalog"
    changed.mkdir()
    (changed / "popa3d.toml").write_text((catalog / "popa3d.toml").read_text() + """
[function.quit]
table = { text = "QUIT", slot = 1 }
[[probe]]
object = "daemon"
function = "quit"
when = "return"
event = "pop3.quit"
""")
    plan = count(bed, changed, tmp_path).plan()
    [(event, reason)] = [(miss["event"], miss["reason"]) for miss in plan["missing"]]
    assert event == "pop3.quit"
    assert "tables with the text have 2 functions" in reason


# ---- The survey

def survey(suite, kind, program):
    root = subprocess.run([REPO / "scripts/mail-root.sh", suite, kind], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    done = subprocess.run([REPO / "scripts/new-server.sh", program, root], stdout=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, "MAILGAUGE": str(BINARY)})
    return done.stdout


def test_survey_prints_what_the_document_shows(bed):
    """Line by line; "..." stands for what is left out."""
    printed = survey(bed.suite, bed.root_kind, "/usr/sbin/popa3d").split("\n")
    at = 0
    for line in block("text", "# What can be probed in popa3d").splitlines():
        if line != "...":
            assert line in printed[at:], line
            at = printed.index(line, at) + 1


def test_survey_is_a_catalog_file(bed, tmp_path):
    """As it is, and with all that is commented out."""
    text = survey(bed.suite, bed.root_kind, "/usr/sbin/popa3d")
    everything = re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)
    assert everything != text
    for content in (text, everything):
        (tmp_path / "popa3d.toml").write_text(content)
        done = subprocess.run([BINARY, "events", "--catalog-dir", tmp_path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        [line] = [line for line in done.stdout.splitlines() if line.startswith("server.log-line ")]
        assert "popa3d" in line


# Programs of the servers that the catalog has: (kind of root, program, a text, how the hub that gets it is found).
KNOWN = [
    ("exim-heavy", "/usr/sbin/exim4", 'arg2 = "%s authenticator failed H=%s [%s] %s"', 'symbol = "log_write"'),
    ("exim-heavy", "/usr/sbin/exim4", 'arg0 = "354 Enter message', 'symbol = "smtp_printf"'),
    ("opensmtpd", "/usr/sbin/smtpd", 'arg0 = "%016lx smtp connected ', "vote = {"),
    ("postfix", "/usr/lib/postfix/sbin/smtpd", 'arg1 = "235 2.7.0 Authentication successful"', "vote = {"),
    ("postfix", "/usr/lib/postfix/sbin/smtpd", 'arg0 = "connect from %s"', 'import = "msg_info"'),
    ("postfix", "/usr/lib/dovecot/imap-login", 'arg3 = "Too many invalid IMAP commands."', "vote = {"),
]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind, program, text, found", KNOWN, ids=[f"{row[1].rpartition('/')[2]}-{row[3].split(' ')[-1]}" for row in KNOWN])
def test_survey_of_known_servers(suite, kind, program, text, found):
    printed = survey(suite, kind, program)
    assert "could be looked at" not in printed
    assert len(printed) < 256 << 10
    [hub] = [part for part in printed.split("\n# ---- ") if f" {text}" in part]
    assert f"\n{found}" in hub or f"\n#{found}" in hub
