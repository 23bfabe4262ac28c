# SPDX-License-Identifier: Apache-2.0
"""The program under test: start it, read what it exports, end it."""
import collections
import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from beds.bed import REPO, wait_until

BINARY = pathlib.Path(os.environ.get("MAILGAUGE", REPO / "build/mailgauge"))
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def _name(event):
    return "mail_" + re.sub(r"[^a-z0-9]", "_", event)


def metric(event):
    """The name of an event's counter at the Prometheus endpoint."""
    return _name(event) + "_total"


@dataclasses.dataclass
class Histogram:
    count: int
    sum: float
    buckets: dict  # upper bound -> values up to it


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Collector:
    """with Collector(directory, pid=...) as collector: counting begins. config: more lines of the [metrics] table and
    other tables."""

    def __init__(self, directory, pid=None, config=""):
        self.port = free_port()
        self.arguments = ["--pid", str(pid)] if pid else []
        self.file = pathlib.Path(directory) / f"mailgauge-{self.port}.toml"
        self.log = self.file.with_suffix(".log")
        self.file.write_text(f'rescan-interval = "1s"\n[metrics]\n{config}\n[metrics.prometheus]\nlisten = "127.0.0.1:{self.port}"\n')
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def start(self):
        with self.log.open("a") as log:
            # It must not outlive us, however we end. setpriv becomes the collector: the process id is the same.
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", BINARY, "run", "--config.file", self.file, *self.arguments],
                                            stdout=log, stderr=log)
        wait_until(self._ready, lambda: f"/readyz of mailgauge, which said:\n{self.log.read_text()}", timeout=60)

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"mailgauge ended with {self.process.returncode}:\n{self.log.read_text()}")
        try:
            return self._get("/readyz").status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def _get(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30)

    def stop(self, how=signal.SIGTERM):
        """Returns the exit status: of a process that a signal ended, minus its number."""
        self.process.send_signal(how)
        status = self.process.wait(timeout=30)
        self.process = None
        return status

    def samples(self):
        """[(name, labels, value)] of a scrape."""
        text = self._get("/metrics").read().decode()
        return [(name, dict(LABEL.findall(labels or "")), float(value)) for name, labels, value in SAMPLE.findall(text)]

    def counts(self, server):
        """{metric: value} of a server's events, summed over the other labels. What is at 0 is there, too."""
        total = {}
        for name, labels, value in self.samples():
            if name.startswith("mail_") and name.endswith("_total") and labels.get("server") == server:
                total[name] = total.get(name, 0) + int(value)
        return total

    def by_label(self, server, event, label):
        total = collections.Counter()
        for name, labels, value in self.samples():
            if name == metric(event) and labels.get("server") == server:
                total[labels.get(label)] += int(value)
        return +total

    def gauge(self, server, event):
        """The sum over its labels, or None if it is not exported."""
        values = [value for name, labels, value in self.samples() if name == _name(event) and labels.get("server") == server]
        return sum(values) if values else None

    def histogram(self, server, event, **labels):
        """The sum of those that have these labels."""
        names = re.compile(re.escape(_name(event)) + "(?:_seconds|_bytes)?_(bucket|sum|count)")
        total = Histogram(0, 0.0, {})
        for name, found, value in self.samples():
            part = names.fullmatch(name)
            if not part or {"server": server, **labels}.items() - found.items():
                continue
            if part[1] == "count":
                total.count += int(value)
            elif part[1] == "sum":
                total.sum += value
            else:
                bound = float(found["le"])
                total.buckets[bound] = total.buckets.get(bound, 0) + int(value)
        return total

    def plan(self):
        done = subprocess.run([BINARY, "plan", "--format", "json", "--config.file", self.file, *self.arguments],
                              stdout=subprocess.PIPE, text=True, timeout=60, check=True)
        return json.loads(done.stdout)
