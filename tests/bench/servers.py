# SPDX-License-Identifier: Apache-2.0
"""Real servers with and without mailgauge: what 1000 delivered messages cost, what the daemon needs, and who counts
right. Beside it runs what Debian has for the purpose, prometheus-postfix-exporter, which reads the log.

All processes of the servers are in one control group, each collector is in one of its own, and clients are in none.
Rounds alternate: nobody counts, mailgauge is attached, the exporter reads the log. The exporter does nothing to the
servers: the ratio of its rounds shows how far to trust that of mailgauge's.
"""
import concurrent.futures
import contextlib
import http.server
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

from measure import Group, mapped_kb, median, memory_kb, table
from beds import dovecot, postfix
from beds.bed import wait_until
from beds.mailbed import MailBed
from collector import BINARY, Collector, metric

ROUNDS, MESSAGES, CLIENTS = 12, 200, 4
REST = 10  # seconds: some rescans
CACHE = pathlib.Path(os.environ.get("MAILGAUGE_CACHE", "/var/cache/mailgauge"))
PACKAGE, EXPORTER_PORT = "prometheus-postfix-exporter", 9154
EXPORTER = f"/opt/{PACKAGE}/usr/bin/{PACKAGE}"


# ---- the other exporter

def unpack_exporter(bed):
    """Put Debian's package into the bed. It is downloaded once, by the bed's own apt, over the host's network."""
    kept = CACHE / f"{PACKAGE}-{bed.suite}.deb"
    if not kept.exists():
        outside = ["nsenter", "--target", str(bed.pid), "--mount", "--pid", "--root", "--wd"]
        script = f"cd /tmp && (apt-get download {PACKAGE} || (apt-get update && apt-get download {PACKAGE}))"
        subprocess.run([*outside, "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=120)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes(next(bed.path("/tmp").glob(f"{PACKAGE}_*.deb")).read_bytes())
        part.rename(kept)
    bed.path("/tmp/exporter.deb").write_bytes(kept.read_bytes())
    bed.run("dpkg-deb", "-x", "/tmp/exporter.deb", f"/opt/{PACKAGE}")


class Exporter:
    """It reads only what is logged after its start."""

    def __init__(self, bed):
        self.bed = bed

    def __enter__(self):
        self.process = subprocess.Popen(
            ["nsenter", "--target", str(self.bed.pid), "--mount", "--net", "--pid", "--root", "--wd", EXPORTER,
             f"--postfix.logfile_path={postfix.LOG}", f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.bed.wait_for_port(EXPORTER_PORT)
        self.pid, = self.bed.processes(EXPORTER).values()
        return self

    def __exit__(self, *_):
        self.process.kill()
        os.kill(self.pid, 9)
        self.process.wait()

    def scrape(self):
        with self.bed.connect(EXPORTER_PORT) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            with sock.makefile("rb") as answer:
                return answer.read().decode()

    def total(self, pattern):
        """The sum of the samples whose name and labels match."""
        return int(sum(float(value) for value in re.findall(rf"^{pattern}\S* (\S+)$", self.scrape(), re.MULTILINE)))


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


# ---- who counts right

def ordinary_day(bed):
    """What a server sees, and what of it happened: {event: number}."""
    def session(service, *steps, tls=False):
        with bed.smtp(service) as c:
            c.ehlo()
            if tls:
                c.starttls()
            for step in steps:
                step(c)
            c.quit()

    for _ in range(20):
        session("smtp", lambda c: c.message(postfix.USER))
    for _ in range(10):  # to a remote host, through the submission service
        session("submission", lambda c: c.login("PLAIN", postfix.USER, postfix.PASSWORD), lambda c: c.message("bob@sink.test", sender=f"<{postfix.USER}>"))
    for mechanism in ("PLAIN", "LOGIN"):
        for _ in range(6):
            session("submission", lambda c: c.login(mechanism, postfix.USER, "wrong", "535"))
    for _ in range(8):
        session("smtp", lambda c: c.mail(), lambda c: c.rcpt(f"missing@{postfix.DOMAIN}", "550"))
    for _ in range(7):
        session("smtp", lambda c: c.mail(), lambda c: c.rcpt("someone@elsewhere.test", "454"))
    for _ in range(5):
        session("smtp", lambda c: c.message(postfix.USER), tls=True)
    for _ in range(4):  # refused by the remote host: bounced, and a notice is delivered to a local sender
        session("submission", lambda c: c.login("PLAIN", postfix.USER, postfix.PASSWORD), lambda c: c.message("refuse@sink.test", sender=f"<{postfix.USER}>"))
    for _ in range(3):  # nobody listens: deferred
        session("submission", lambda c: c.login("PLAIN", postfix.USER, postfix.PASSWORD), lambda c: c.message("bob@down.test", sender=f"<{postfix.USER}>"))
    postfix.wait_idle(bed)
    return {
        "smtp.connection-start": 20 + 10 + 12 + 8 + 7 + 5 + 4 + 3,
        "auth.success": 10 + 4 + 3,
        "auth.failed": 12,
        "queue.queue-message": 20 + 5,
        "queue.queue-message-authenticated": 10 + 4 + 3,
        "smtp.mailbox-does-not-exist": 8,
        "smtp.relay-not-allowed": 7,
        "tls.handshake": 5,
        "delivery.delivered": 20 + 10 + 5 + 4,
        "delivery.failed": 4,
        "delivery.deferred": 3,
    }


# What the exporter calls them, if it has a name. Of refusals it tells the reply codes.
EXPORTER_METRICS = {
    "smtp.connection-start": r"postfix_smtpd_connects_total",
    "auth.failed": r"postfix_smtpd_sasl_authentication_failures_total",
    "queue.queue-message": r'postfix_smtpd_messages_processed_total\{sasl_method=""',
    "queue.queue-message-authenticated": r'postfix_smtpd_messages_processed_total\{sasl_method="[^"]',
    "smtp.mailbox-does-not-exist": r'postfix_smtpd_messages_rejected_total\{code="550"',
    "smtp.relay-not-allowed": r'postfix_smtpd_messages_rejected_total\{code="454"',
    "tls.handshake": r"postfix_smtpd_tls_connections_total",
    "delivery.deferred": r"postfix_smtp_status_deferred",
}


def counting(bed, directory):
    with Daemon(directory, pid=postfix.master_pid(bed)) as daemon, Exporter(bed) as exporter:
        truth = ordinary_day(bed)
        wait_until(lambda: daemon.counts("postfix")[metric("delivery.deferred")] == truth["delivery.deferred"], "the last event")
        counts = daemon.counts("postfix")
        rows = [[event, number, counts[metric(event)],
                 exporter.total(EXPORTER_METRICS[event]) if event in EXPORTER_METRICS else "has no metric"]
                for event, number in truth.items()]
    table(["what happened", "times", "mailgauge", "log exporter"], rows)


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
        counting(bed, directory)


def versions(bed):
    return bed.run("dpkg-query", "-W", "-f", "${Package} ${Version}\n", "postfix", "dovecot-core").splitlines()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bookworm")
