# SPDX-License-Identifier: Apache-2.0
"""Run a step, and compare what the server's log and the collector tell of it with what happened."""
import collections
import re
import time

import truth
from beds import dovecot, exim, opensmtpd, postfix
from beds.bed import wait_until
from collector import metric

# What a collector may say late, or twice, must have come by then.
SETTLE_S = 0.1
TIMEOUT_S = 30  # a host may be busy

_LOGS = {"postfix": postfix.log, "dovecot": dovecot.log, "exim": exim.log, "opensmtpd": opensmtpd.log}


class _Log:
    """The server's own log. It knows fewer events."""

    name = "log"

    def __init__(self, bed, server):
        teller, self._events = {
            "postfix": (truth.Postfix, truth.POSTFIX_EVENTS),
            "dovecot": (truth.Dovecot, truth.DOVECOT_EVENTS),
            "exim": (truth.Exim, truth.EXIM_EVENTS),
            "opensmtpd": (truth.OpenSmtpd, truth.OPENSMTPD_EVENTS),
        }[server]
        self._text = lambda: _LOGS[server](bed)
        self._told, self._truth = 0, teller()

    def read(self):
        *lines, _ = self._text()[self._told:].split("\n")  # the rest of the last one may be still to come
        for line in lines:
            self._told += len(line) + 1
            self._truth.add(line)
        return self._truth.counts()

    def expected(self, step, by_chance):
        return {event: number for event, number in (step.expected_log() + collections.Counter(by_chance)).items() if event in self._events}


class _Collector:
    """The collector's counters of one server."""

    def __init__(self, collector, server, under_test):
        self.name = f"mailgauge, {server}"
        self._prefix = "" if server == under_test else f"{server}:"
        self.read = lambda: collector.counts(server)

    def expected(self, step, by_chance):
        """An event of this server is written plainly in the server's own table, else with the server's name."""
        return {metric(event.removeprefix(self._prefix)): number for event, number in (step.expected() + collections.Counter(by_chance)).items()
                if event.startswith(self._prefix) and (self._prefix or ":" not in event)}


def settles(read, want):
    """It comes to this, and stays there."""
    wait_until(lambda: read() == want, lambda: f"{want}, got {read()}", timeout=TIMEOUT_S)
    time.sleep(2 * SETTLE_S)
    assert read() == want


def moved(before, after):
    """{name: by how much}, of all that changed."""
    return {name: after.get(name, 0) - before.get(name, 0) for name in {*before, *after} if after.get(name, 0) != before.get(name, 0)}


def _difference(got, want):
    return [f"{name}: {got.get(name, 0)}, expected {want.get(name, 0)}" for name in sorted({*got, *want}) if got.get(name, 0) != want.get(name, 0)]


# The clock of a file system in memory may be a tick behind, and be taken for a second off when that passes.
_CLOCK_WARNING = re.compile(r"warning: (?:file system clock is|resetting file time stamps)")


class Watch:
    def __init__(self, bed, collectors):
        self.bed = bed
        self.collectors = collectors
        self._logs = {server: _Log(bed, server) for server in _LOGS}
        self._last = {}

    def check(self, step, server):
        log = _LOGS[server]
        mark = len(log(self.bed))
        try:
            self._check(step, server, lambda: len(_CLOCK_WARNING.findall(log(self.bed)[mark:])))
        except Exception as error:
            error.add_note(f"{server}'s log of this step:\n{log(self.bed)[mark:]}")
            raise

    def _check(self, step, server, chance_warnings):
        witnesses = [self._logs[server], *(_Collector(collector, name, server) for name, collector in self.collectors.items())]
        before = {witness.name: witness.read() for witness in witnesses}
        stray = [f"{witness.name}: {name}: {number:+d} after the step before" for witness in witnesses
                 for name, number in moved(self._last.get(witness.name, before[witness.name]), before[witness.name]).items()]
        self._last = {}  # a step that breaks off leaves no number to hold the next one to
        step.run(self.bed)

        def wrong():
            by_chance = {"server.log-warning": chance_warnings()} if server == "postfix" else {}
            return [f"{witness.name}: {line}" for witness in witnesses
                    for line in _difference(moved(before[witness.name], witness.read()), witness.expected(step, by_chance))]

        try:
            wait_until(lambda: not wrong(), "the counts", timeout=TIMEOUT_S)
            time.sleep(SETTLE_S)
        except TimeoutError:
            pass  # the comparison below says what is missing
        differences = stray + wrong()
        self._last = {witness.name: witness.read() for witness in witnesses}
        assert not differences, "\n".join(differences)
