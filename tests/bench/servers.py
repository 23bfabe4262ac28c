# SPDX-License-Identifier: Apache-2.0
"""Real servers with and without mailgauge: what 1000 delivered messages cost, and what the daemon needs. Beside it
runs what Debian has for the purpose, prometheus-postfix-exporter, which reads the log.

All processes of the servers are in one control group, each collector is in one of its own, and clients are in none.
Rounds alternate: nobody counts, mailgauge is attached, the exporter reads the log. The exporter does nothing to the
servers: the ratio of its rounds shows how far to trust that of mailgauge's.
"""
import concurrent.futures
import contextlib
import http.server
import os
import sys
import tempfile
import threading
import time

from log_exporter import Exporter, unpack_exporter
from measure import Group, mapped_kb, median, memory_kb, table
from beds import postfix
from beds.bed import wait_until
from beds.mailbed import MailBed
from collector import BINARY, Collector

ROUNDS, MESSAGES, CLIENTS = 12, 200, 4
REST = 10  # seconds: some rescans


# ---- mailgauge

class Daemon(Collector):
    """As a user runs it: with the defaults, for all that runs here."""

    def __init__(self, directory, **how):
        super().__init__(directory, **how)
        self.file.write_text(self.file.read_text().replace('rescan-interval = "1s"\n', ""))

    def own(self, name):
        return sum(value for sample, _, value in self.samples() if sample == name)


@contextlib.contextmanager
def otlp_receiver():
    """Takes everything; yields its URL."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/metrics"
    server.shutdown()


def memory(bed, directory):
    """The daemon when it has attached to both servers, has been read and has pushed."""
    rows, largest = [], []
    with otlp_receiver() as url:
        push = f'[metrics.open-telemetry]\ntransport = "http"\nendpoint = "{url}"\ninterval = "200ms"'
        for name, config in (("pull only", ""), ("pull and push", push)):
            with Daemon(directory, config=config) as daemon:
                daemon.samples()
                if config:
                    wait_until(lambda: daemon.own("mailgauge_push_exports_total") > 2, "pushes")
                size = memory_kb(daemon.process.pid)
                rows.append([name, *(round(size[key] / 1024, 1) for key in ("VmRSS", "RssAnon", "RssFile", "VmHWM"))])
                largest.append(f"{name}: " + ", ".join(f"{file} {kb / 1024:.1f}" for kb, file in mapped_kb(daemon.process.pid)[:7]))
    with Group("rest") as group, Daemon(directory) as daemon:
        group.take(daemon.process.pid)
        start = group.cpu_ms()
        time.sleep(REST)
        rest = (group.cpu_ms() - start) * 60 / REST
    table(["resident memory, MB", "all", "anonymous", "of files", "peak"], rows)
    print("largest, MB:\n- " + "\n- ".join(largest))
    print(f"CPU of the daemon at rest, nobody reading it: {rest:.0f} ms per minute\n")


# ---- deliveries

def send(bed, count):
    """Messages to a local mailbox, one per session, by some clients at a time; back when all are delivered."""
    def one(_):
        with bed.smtp() as c:
            c.ehlo()
            c.message(postfix.USER)
            c.quit()

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(count)))
    postfix.wait_idle(bed)


class Deliveries:
    """Rounds by turns. Times are CPU ms per 1000 messages."""

    def __init__(self, bed, directory, servers):
        self.bed, self.directory, self.servers = bed, directory, servers
        self.times = {"nobody": [], "mailgauge": [], "exporter": []}
        self.own = {"nobody": [], "mailgauge": [], "exporter": []}
        self.hits = 0

    def round(self, who, group=None):
        start, start_own = self.servers.cpu_ms(), group.cpu_ms() if group else 0
        send(self.bed, MESSAGES)
        self.times[who].append((self.servers.cpu_ms() - start) * 1000 / MESSAGES)
        self.own[who].append((group.cpu_ms() - start_own) * 1000 / MESSAGES if group else 0.0)

    def nobody(self):
        self.round("nobody")

    def mailgauge(self):
        with Group("mailgauge") as group, Daemon(self.directory) as daemon:
            group.take(daemon.process.pid)
            before = daemon.own("mailgauge_probe_hits_total")
            self.round("mailgauge", group)
            self.hits += daemon.own("mailgauge_probe_hits_total") - before

    def exporter(self):
        with Group("exporter") as group, Exporter(self.bed) as exporter:
            group.take(exporter.pid)
            self.round("exporter", group)
            self.exporter_kb = memory_kb(exporter.pid)["VmRSS"]

    def run(self):
        kinds = [self.nobody, self.mailgauge, self.exporter]
        for _ in range(ROUNDS):
            for kind in kinds:
                kind()
            kinds.append(kinds.pop(0))

    def report(self):
        rows = []
        for who, times in self.times.items():
            ratios = sorted(time / alone for time, alone in zip(times, self.times["nobody"]))
            rows.append([who, round(median(times)), median(ratios), f"{ratios[ROUNDS // 4]:.3f} - {ratios[-1 - ROUNDS // 4]:.3f}",
                         round(median(self.own[who]), 1)])
        table(["CPU ms per 1000 messages", "servers", "ratio", "quartiles", "collector itself"], rows)
        print(f"{ROUNDS} rounds of {MESSAGES} messages each; {self.hits / ROUNDS / MESSAGES:.1f} probe hits per message; "
              f"the exporter's RSS is {self.exporter_kb / 1024:.1f} MB.\n")


def main(suite):
    # The servers have a CPU of their own: they inherit it from us, and we leave.
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cpus)})
    with tempfile.TemporaryDirectory(prefix="bench-servers-") as directory, Group("servers") as servers, MailBed(suite) as bed:
        os.sched_setaffinity(0, cpus - {max(cpus)} or cpus)
        for pid in bed.processes().values():
            servers.take(pid)
        print(f"Servers: Debian {suite}, " + ", ".join(line.strip() for line in versions(bed)) + f"; {BINARY.name}\n")
        unpack_exporter(bed)
        # By default a process of Postfix ends after 100 uses: which round pays for the next one is chance.
        bed.run("postconf", "max_use=1000000", "max_idle=1h", "in_flow_delay=0s")
        postfix.reload(bed)
        send(bed, 50)
        memory(bed, directory)
        rounds = Deliveries(bed, directory, servers)
        rounds.run()
        rounds.report()


def versions(bed):
    return bed.run("dpkg-query", "-W", "-f", "${Package} ${Version}\n", "postfix", "dovecot-core").splitlines()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bookworm")
