# SPDX-License-Identifier: Apache-2.0
"""The collector's own behaviour with real servers: what is disabled, whom it counts, and how both sides may end."""
import contextlib
import os
import pathlib
import signal
import time

import pytest

from beds import dovecot, postfix
from beds.bed import SUITES, wait_until
from beds.mailbed import MailBed
from collector import Collector, metric
from otlp_sink import OtlpSink
from watch import TIMEOUT_S

pytestmark = pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only")


def logins(bed, right=0, wrong=0, aborted=0, unknown_commands=0):
    """Sessions with Postfix: right and wrong passwords, aborted exchanges; and sessions with commands that are none,
    which are then dropped."""
    for password, want, times in ((postfix.PASSWORD, "235", right), ("wrong", "535", wrong)):
        for _ in range(times):
            with bed.smtp("submission") as c:
                c.ehlo()
                c.login("PLAIN", postfix.USER, password, want)
                c.quit()
    for _ in range(aborted):
        with bed.smtp("submission") as c:
            c.ehlo()
            c.cmd("AUTH PLAIN", "334")
            c.cmd("*", "501")
            c.quit()
    for _ in range(unknown_commands):
        with bed.smtp() as c:
            c.ehlo()
            c.cmd("NONSENSE", "500")


def count(collector, event, server="postfix"):
    return collector.counts(server).get(metric(event))


def settles(collector, want, server="postfix"):
    """{event: number}: these come, and do not go beyond."""
    read = lambda: {event: count(collector, event, server) for event in want}  # noqa: E731
    wait_until(lambda: read() == want, lambda: f"{want}, got {read()}", timeout=TIMEOUT_S)
    time.sleep(0.2)
    assert read() == want


def need_no_others(*beds):
    """Without --pid all servers of the host are counted: the numbers are known only where there are no others."""
    ours = {pid for bed in beds for pid in bed.processes().values()}
    for process in pathlib.Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) not in ours:
            with contextlib.suppress(OSError):
                if os.readlink(process / "exe") in ("/usr/lib/postfix/sbin/master", "/usr/sbin/dovecot"):
                    pytest.skip(f"another mail server runs on this host (pid {process.name})")


def test_disabled_events_are_nowhere(bed, tmp_path):
    disabled = ["auth.error", "smtp.error"]
    with OtlpSink() as sink:
        config = f'''disabled-events = ["auth.error", "smtp.error"]
            [metrics.open-telemetry]
            transport = "http"
            endpoint = "{sink.endpoint}"
            interval = "200ms"'''
        with Collector(tmp_path, pid=postfix.master_pid(bed), config=config) as collector:
            logins(bed, right=2, wrong=3, aborted=2, unknown_commands=2)
            settles(collector, {"auth.success": 2, "auth.failed": 3, "smtp.invalid-command": 2})

            counts = collector.counts("postfix")
            assert not {metric(event) for event in disabled} & {*counts}

            plan = collector.plan()
            probed = {event for point in plan["points"] for event in point["events"]}
            assert {"auth.success", "auth.failed", "smtp.invalid-command"} <= probed
            assert not {*disabled} & probed
            assert not {*disabled} & {series["event"] for series in plan["series"]}

            seen = sink.pushes
            wait_until(lambda: sink.pushes >= seen + 2, "two more pushes")
            pushed = sink.latest()
            assert (pushed["mail.auth.success", "postfix"], pushed["mail.auth.failed", "postfix"]) == (2, 3)
            assert not {f"mail.{event}" for event in disabled} & {name for name, _ in pushed}


def test_not_disabled_they_are_everywhere(bed, tmp_path):
    """The control of the test above."""
    with OtlpSink() as sink:
        config = f'[metrics.open-telemetry]\ntransport = "http"\nendpoint = "{sink.endpoint}"\ninterval = "200ms"'
        with Collector(tmp_path, pid=postfix.master_pid(bed), config=config) as collector:
            logins(bed, aborted=2, unknown_commands=3)
            settles(collector, {"auth.error": 2, "smtp.error": 3})
            assert {"auth.error", "smtp.error"} <= {event for point in collector.plan()["points"] for event in point["events"]}
            seen = sink.pushes
            wait_until(lambda: sink.pushes >= seen + 2, "two more pushes")
            pushed = sink.latest()
            assert (pushed["mail.auth.error", "postfix"], pushed["mail.smtp.error", "postfix"]) == (2, 3)


def test_two_instances_of_the_same_files(bed, tmp_path):
    """Both beds run the same inodes of the cached root: --pid tells them apart."""
    with (MailBed(bed.suite) as other,
          Collector(tmp_path, pid=postfix.master_pid(bed)) as here,
          Collector(tmp_path, pid=postfix.master_pid(other)) as there):
        logins(bed, right=3, wrong=1)
        logins(other, right=2, wrong=4)
        settles(here, {"auth.success": 3, "auth.failed": 1})
        settles(there, {"auth.success": 2, "auth.failed": 4})
        assert not here.counts("dovecot")


@pytest.mark.alone
def test_two_instances_together(bed, tmp_path):
    """Without --pid each is counted once, though the same file can be seen by two ways."""
    with MailBed(bed.suite) as other:
        need_no_others(bed, other)
        with Collector(tmp_path) as collector:
            logins(bed, right=3, wrong=1)
            logins(other, right=2, wrong=4)
            settles(collector, {"auth.success": 5, "auth.failed": 5})


def test_killed_collector(bed, tmp_path):
    """kill -9 in the middle of a session: the server does not notice, and the next collector begins at 0."""
    with Collector(tmp_path, pid=postfix.master_pid(bed)) as collector:
        logins(bed, right=2)
        settles(collector, {"auth.success": 2})
        with bed.smtp("submission") as c:
            c.ehlo()
            collector.stop(signal.SIGKILL)
            c.login("PLAIN", postfix.USER, postfix.PASSWORD)
            c.quit()
        logins(bed, wrong=1)
        collector.start()
        logins(bed, right=3)
        settles(collector, {"auth.success": 3, "auth.failed": 0})


@pytest.mark.alone
def test_sigterm_ends_within_a_second(bed, tmp_path):
    with Collector(tmp_path, pid=postfix.master_pid(bed)) as collector:
        logins(bed, right=1)
        settles(collector, {"auth.success": 1})
        began = time.monotonic()
        assert collector.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 1


@pytest.mark.alone
def test_collector_first(bed, tmp_path):
    """The collector runs before any server with these files does: the other suite's."""
    need_no_others(bed)
    other_suite = next(suite for suite in SUITES if suite != bed.suite)
    with Collector(tmp_path) as collector, MailBed(other_suite) as late:
        before = None

        def counted():
            nonlocal before
            logins(late, right=1)
            time.sleep(0.1)
            before = count(collector, "auth.success")
            return before

        wait_until(counted, "the new instance to be counted", every=0.2)
        logins(late, right=5)
        settles(collector, {"auth.success": before + 5})


@pytest.fixture(scope="module")
def mortal(bed):
    """A bed of its own, whose servers may be killed."""
    with MailBed(bed.suite) as made:
        yield made


def imap_logins(bed, times):
    for _ in range(times):
        with bed.imap() as c:
            c.login("LOGIN", dovecot.USER, dovecot.PASSWORD)
            c.logout()


@pytest.mark.alone
@pytest.mark.parametrize("server, login, event", [
    ("postfix", lambda bed, times: logins(bed, right=times), "auth.success"),
    ("dovecot", imap_logins, "imap.connection-end"),
])
def test_killed_server(bed, mortal, tmp_path, server, login, event):
    """kill -9 of all of a server's processes, and a new start: the collector misses nothing and doubles nothing."""
    need_no_others(bed, mortal)
    module = {"postfix": postfix, "dovecot": dovecot}[server]
    with Collector(tmp_path) as collector:
        login(mortal, 2)
        settles(collector, {event: 2}, server)
        module.kill(mortal)
        module.start(mortal)
        login(mortal, 5)  # at once: the files stayed attached
        settles(collector, {event: 7}, server)
