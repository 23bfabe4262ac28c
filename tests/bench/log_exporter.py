# SPDX-License-Identifier: Apache-2.0
"""What Debian has for the purpose: prometheus-postfix-exporter, which reads the log."""
import os
import pathlib
import re
import subprocess

import measure  # noqa: F401: makes the servers' beds importable
from beds import postfix

CACHE = pathlib.Path(os.environ.get("MAILGAUGE_CACHE", "/var/cache/mailgauge"))
PACKAGE, EXPORTER_PORT = "prometheus-postfix-exporter", 9154
EXPORTER = f"/opt/{PACKAGE}/usr/bin/{PACKAGE}"


def unpack_exporter(bed):
    """Put Debian 12's package into the bed (13 has none). It is downloaded once, by the apt of a bed of 12, over the host's
    network."""
    kept = CACHE / f"{PACKAGE}-bookworm.deb"
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
