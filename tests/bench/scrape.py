# SPDX-License-Identifier: Apache-2.0
"""A scrape of 500 event series: how long a client on this host waits, how long the daemon works for it.

    scrape.py LIBRARY    the library of tests/bpf/toys: 250 of its functions are probed, each counts two series
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from measure import Group, Http, median, memory_kb, table
from collector import BINARY, Collector

PROBES, EVENTS, SCRAPES = 250, 50, 500
WAYS = [("plain", ""), ("gzip", "Accept-Encoding: gzip\r\n")]


def write_catalog(directory, library):
    (directory / "events.toml").write_text("".join(f'bench.event-{i} = "Made-up event number {i}."\n' for i in range(EVENTS)))
    text = f'[server]\nname = "bench"\nexe = ["*/bench-server"]\n[object.library]\nfile = "{library.name}"\n'
    for i in range(PROBES):
        rules = ", ".join(f'{{ {condition}count = "bench.event-{i % EVENTS}", labels = {{ reason = "{i // EVENTS}-{half}" }} }}'
                          for half, condition in (("low", 'if = "arg0:u8 < 128", '), ("high", "")))
        text += f'[[probe]]\nobject = "library"\nsymbol = "toy_many_{100 + i}"\nrules = [ {rules} ]\n'
    (directory / "bench.toml").write_text(text)


class Daemon(Collector):
    def __init__(self, directory, catalog, **how):
        super().__init__(directory, **how)
        self.file.write_text(f'catalog-dir = "{catalog}"\n' + self.file.read_text())


def measure(daemon, group, headers):
    connection = Http(daemon.port, headers)
    for _ in range(20):
        connection.get()
    cpu, waits = group.cpu_ms(), []
    for _ in range(SCRAPES):
        start = time.perf_counter()
        body = connection.get()
        waits.append((time.perf_counter() - start) * 1e3)
    cpu = (group.cpu_ms() - cpu) / SCRAPES
    waits.sort()
    own = {name: value for name, _, value in daemon.samples()}["mailgauge_scrape_duration_seconds"]
    return median(waits), waits[int(SCRAPES * 0.99)], cpu, own * 1e3, len(body)


def main(library):
    with tempfile.TemporaryDirectory(prefix="bench-scrape-") as name, Group("scrape") as group:
        directory = pathlib.Path(name)
        catalog = directory / "catalog"
        catalog.mkdir()
        write_catalog(catalog, library)
        # A process that maps the library, with a name of its own.
        shutil.copy(shutil.which("sleep"), directory / "bench-server")
        server = subprocess.Popen([directory / "bench-server", "600"], env={**os.environ, "LD_PRELOAD": str(library)})
        try:
            with Daemon(directory, catalog, pid=server.pid) as daemon:
                group.take(daemon.process.pid)
                text = Http(daemon.port).get().decode()
                series = len(re.findall(r"^mail_bench_event_\d+_total\{", text, re.MULTILINE))
                samples = len(re.findall(r"^[^#]", text, re.MULTILINE))
                rows = [[way, *measure(daemon, group, headers)] for way, headers in WAYS]
                memory = memory_kb(daemon.process.pid)
        finally:
            server.kill()
            server.wait()
    print(f"{series} series of events, {samples} samples in all ({PROBES} probes); {BINARY.name}: "
          f"RSS {memory['VmRSS'] / 1024:.1f} MB, {memory['RssAnon'] / 1024:.1f} MB of it anonymous")
    table(["scrape, ms", "client median", "client p99", "CPU of the daemon", "daemon says", "bytes"], rows)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
