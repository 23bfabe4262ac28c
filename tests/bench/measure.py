# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks with running programs share: exact CPU time, memory, requests, and tables."""
import pathlib
import re
import socket
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))

median = statistics.median


class Group:
    """A control group: the CPU time of all processes that were ever in it, to the microsecond. Only version 2 is used,
    and no controller of it: its accounting is always on."""

    def __init__(self, name):
        mount = re.search(r"^\S+ (\S+) cgroup2 ", pathlib.Path("/proc/mounts").read_text(), re.MULTILINE)
        if not mount:
            raise RuntimeError("no cgroup2 is mounted")
        self.path = pathlib.Path(mount[1]) / f"mailgauge-bench-{name}"

    def __enter__(self):
        self.path.mkdir(exist_ok=True)
        return self

    def __exit__(self, *_):
        for _ in range(100):  # until its last process is gone
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.05)

    def take(self, pid):
        """Move a process in; its children follow."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def cpu_ms(self):
        return int(re.search(r"usage_usec (\d+)", (self.path / "cpu.stat").read_text())[1]) / 1e3


def memory_kb(pid):
    """{"VmRSS": ..., "RssAnon": ..., "RssFile": ...}"""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {name: int(size) for name, size in re.findall(r"^(Vm\w+|Rss\w+):\s+(\d+) kB", status, re.MULTILINE)}


def mapped_kb(pid):
    """[(resident kB, file)] of a process, the largest first."""
    sizes, name = {}, ""
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if head := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+\s*(.*)", line):
            name = head[1].rsplit("/", 1)[-1] or "(anonymous)"
        elif size := re.match(r"Rss:\s+(\d+) kB", line):
            sizes[name] = sizes.get(name, 0) + int(size[1])
    return sorted(((size, name) for name, size in sizes.items() if size), reverse=True)


class Http:
    """A connection that stays."""

    def __init__(self, port, headers=""):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = f"GET /metrics HTTP/1.1\r\nHost: bench\r\n{headers}\r\n".encode()

    def get(self):
        self.sock.sendall(self.request)
        got = self.sock.recv(1 << 20)
        while b"\r\n\r\n" not in got:
            got += self.sock.recv(1 << 20)
        head, _, body = got.partition(b"\r\n\r\n")
        size = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        while len(body) < size:
            body += self.sock.recv(1 << 20)
        return body


def table(head, rows):
    rows = [head, *[[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if not number:
            print("|" + "---|" * len(head))
    print(flush=True)
