# SPDX-License-Identifier: Apache-2.0
"""A bed: a private Debian system (mount, network, process, IPC and host name namespaces) to run mail servers in.

Its files are an overlay: below the cached root that scripts/mail-root.sh makes, above a tmpfs. All of it hangs on
one process, the bed's init, which reads from a pipe that we hold: when we close the pipe, or die in whatever way,
init ends, and the kernel ends all processes of the bed and drops its mounts and its network. Nothing is left over.

The processes of a bed are ordinary processes in the host's /proc, as those of a container are.
Clients and peers live in our own process: a socket belongs to the network namespace that it was made in,
so only socket() itself runs inside.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[3]
SUITES = ("bookworm", "trixie")
CLONE_NEWNET = 0x40000000

# Runs as the first process of the new namespaces, $1 is the Debian root. It prints its process id as the host sees
# it: /proc is still the host's. PID 1 gets the orphans of all daemons; ignoring SIGCHLD reaps them.
#
# Where the host's own root is a chroot, it is no mount point: its mounts cannot be made private (they are in a new
# namespace all the same), nor can roots be swapped; then the bed is a chroot, too.
INIT = """
set -e
read -r pid rest </proc/self/stat
mount --make-rprivate / 2>/dev/null || true
mount -t tmpfs -o mode=755 bed /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay bed -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
cd /mnt/root
mount -t tmpfs -o mode=755 bed dev
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
	set -- $node
	mknod -m 666 "dev/$1" c "$2" "$3"
done
ln -s /proc/self/fd dev/fd
mkdir dev/shm old
mount -t tmpfs -o mode=755 bed run
mount -t proc bed proc
ip link set lo up
hostname bed
if pivot_root . old 2>/dev/null; then
	umount -l /old
	echo "$pid"
	exec env --ignore-signal=CHLD cat
fi
echo "$pid"
exec chroot . env --ignore-signal=CHLD cat
"""

_libc = ctypes.CDLL(None, use_errno=True)


def _enter_network(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def wait_until(condition, what, timeout=30.0, every=0.02):
    """Wait until condition() is true, and return what it returned."""
    end = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:g} s for {what() if callable(what) else what}")
        time.sleep(every)
    return result


class Bed:
    """with Bed("bookworm") as bed: ..."""

    root_kind = "postfix"  # of scripts/mail-root.sh: which servers are installed

    def __init__(self, suite):
        self.suite = suite
        self.pid = None  # of init, as the host sees it
        self._init = None
        self._network = None
        self._sources = 0
        self._on_close = []

    def __enter__(self):
        root = subprocess.run([REPO / "scripts/mail-root.sh", self.suite, self.root_kind], stdout=subprocess.PIPE, text=True, check=True)
        self._init = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "unchanged", "--net", "--pid", "--ipc", "--uts", "--fork", "sh", "-c", INIT, "init", root.stdout.strip()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        line = self._init.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the bed's namespaces could not be made (root is needed), see the message above")
        self.pid = int(line)
        self._network = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for stop in reversed(self._on_close):
            stop()
        self._on_close.clear()
        if self._init:
            self._init.stdin.close()
            self._init.wait(timeout=30)
            self._init.stdout.close()
            self._init = None
        if self._network is not None:
            os.close(self._network)
            self._network = None

    def on_close(self, stop):
        """Call stop() before the bed ends."""
        self._on_close.append(stop)

    # ---- files and processes

    def path(self, name):
        """A path of the bed, as seen from outside."""
        return pathlib.Path(f"/proc/{self.pid}/root") / name.lstrip("/")

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def run(self, *command, text_in="", check=True, timeout=120):
        """Run a command in the bed to its end. Returns what it printed."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--ipc", "--uts", "--root", "--wd"]
        # A daemon that goes to the background keeps its standard output: a file does not make us wait for it.
        with tempfile.TemporaryFile("w+") as out:
            done = subprocess.run([*enter, *command], input=text_in, stdout=out, stderr=subprocess.STDOUT, text=True, timeout=timeout)
            out.seek(0)
            printed = out.read()
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{printed}")
        return printed

    def processes(self, exe=""):
        """{process id in the bed: process id of the host}, of those whose executable's path begins with `exe`."""
        namespace = os.stat(f"/proc/{self.pid}/ns/pid").st_ino
        exe = os.readlink(f"/proc/{self.pid}/root").rstrip("/") + exe
        found = {}
        for process in pathlib.Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    if (process / "ns/pid").stat().st_ino == namespace and os.readlink(process / "exe").startswith(exe):
                        inner = re.search(r"^NSpid:.*\t(\d+)$", (process / "status").read_text(), re.MULTILINE)
                        found[int(inner[1])] = int(process.name)
        return found

    def kill(self, exe):
        """End processes as a crash does, and wait for it."""
        while victims := self.processes(exe):
            for pid in victims.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    # ---- network

    def source(self):
        """A client address that was not used before: limits and penalties go by address."""
        self._sources += 1
        return f"127.1.{self._sources // 250}.{self._sources % 250 + 1}"

    def socket(self, kind=socket.SOCK_STREAM):
        host = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter_network(self._network)
            try:
                return socket.socket(socket.AF_INET, kind)
            finally:
                _enter_network(host)
        finally:
            os.close(host)

    def connect(self, port, source=None, address="127.0.0.1", timeout=60):
        sock = self.socket()
        try:
            sock.bind((source or self.source(), 0))
            sock.settimeout(timeout)
            sock.connect((address, port))
        except OSError:
            sock.close()
            raise
        return sock

    def listen(self, port, address="127.0.0.1"):
        sock = self.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(64)
        return sock

    def wait_for_port(self, port):
        """Wait until somebody listens, without a connection that a server would count."""
        wanted = f":{port:04X} 00000000:0000 0A"
        wait_until(lambda: wanted in pathlib.Path(f"/proc/{self.pid}/net/tcp").read_text(), f"port {port}")
