# SPDX-License-Identifier: Apache-2.0
"""OpenSMTPD in a bed: a listener per situation that is to be seen, local and remote actions, and a reader of its log.

On bookworm it cannot do TLS as a server: the package is made for an older OpenSSL. Its listeners offer it all the same,
and what comes of it is tested; it never lets anybody log in.
"""
import contextlib
import os
import pathlib
import re
import signal
import socket
import threading

from . import clients
from .bed import Bed, wait_until
from .peers import NameServer, Sink

EXE = "/usr/sbin/smtpd"
DOMAIN = "bed.test"
USER, PASSWORD = "alice", "right-password"  # in the table of credentials
SYSTEM_USER, SYSTEM_PASSWORD = "bob", "system-password"  # by PAM
SOURCE, STRANGE_SOURCE = "127.4.0.1", "127.4.0.2"  # whose names lead back to them, and do not
OTHER_ADDRESS = "10.0.0.1"  # the resolver asks for addresses only if the host has one that is not 127.0.0.1

# Remote servers, each at an address of its own: after a failure the server leaves an address alone for a while.
# address, proto of the relay URL, options of the action, how the server is made (see peers.Sink).
SINKS = {
    "rude.test": ("127.2.0.2", "smtp+notls", "", {"greeting": "554 5.7.1 go away"}),
    "deaf.test": ("127.2.0.3", "smtp+notls", "", {"deaf": True}),
    "tls.test": ("127.2.0.4", "smtp+tls", "tls no-verify", {"tls": "good"}),
    "broken-tls.test": ("127.2.0.5", "smtp+tls", "tls no-verify", {"tls": "broken"}),
    "refused-tls.test": ("127.2.0.6", "smtp+tls", "tls no-verify", {"tls": "refused"}),
    "perhaps-tls.test": ("127.2.0.7", "smtp", "", {"tls": "refused"}),
    "downgraded.test": ("127.2.0.8", "smtp", "", {"tls": "broken"}),
    "plain.test": ("127.2.0.9", "smtp+tls", "tls no-verify", {}),
    "auth.test": ("127.2.0.10", "smtp+tls", "tls no-verify auth <secrets>", {"tls": "good", "password": "right"}),
    "wrong-auth.test": ("127.2.0.11", "smtp+tls", "tls no-verify auth <secrets>", {"tls": "good", "password": "right"}),
    "implicit-tls.test": ("127.2.0.12", "smtps", "tls no-verify", {"tls": "implicit"}),
    "no-implicit-tls.test": ("127.2.0.13", "smtps", "tls no-verify", {}),
    "untrusted-tls.test": ("127.2.0.14", "smtp+tls", "tls", {"tls": "good"}),
    "untrusted-implicit-tls.test": ("127.2.0.16", "smtps", "tls", {"tls": "implicit"}),
    "lmtp.test": ("127.2.0.15", "lmtp", "", {}),
}
# One more at many addresses, with a domain for each: whoever comes again within ten seconds has to wait.
FRIENDLY = {f"sink{number}.test": f"127.2.3.{number}" for number in range(1, 25)}
FRIENDLY_PORT = 2601
DOWN = "127.2.0.99"  # nobody is there
RELAY_PORT = 2600
LMTP = "127.2.0.200:24"

# Domains whose local deliveries end as their name says.
MDA = {"ok.mda.test": "cat >/dev/null", "later.mda.test": "cat >/dev/null; exit 75", "never.mda.test": "cat >/dev/null; exit 77",
       "killed.mda.test": "cat >/dev/null; kill -9 $$", "early.mda.test": "true"}

ZONE = {
    "sink.mx.test": {"A": ["127.2.1.1"]},
    "mx.test": {"MX": [(10, "sink.mx.test")]},
    "no-mx.test": {"A": ["127.2.1.1"]},
    "null-mx.test": {"MX": [(0, "")]},
    "lost-mx.test": {"MX": [(10, "nowhere.lost-mx.test")]},
    "1.0.4.127.in-addr.arpa": {"PTR": ["good.client.test"]},
    "good.client.test": {"A": [SOURCE]},
    "2.0.4.127.in-addr.arpa": {"PTR": ["bad.client.test"]},
    "bad.client.test": {"A": ["127.4.0.9"]},
}
BY_MX = [name for name in ZONE if name.endswith("mx.test") and not name.startswith("sink")] + ["no-such.test"]

LISTENERS = {
    "smtp": (25, ""),
    "starttls": (2501, "tls pki bed"),
    "submission": (587, "tls pki bed auth <credentials>"),
    "smtps": (465, "smtps pki bed auth-optional <credentials>"),
    "pam": (588, "tls pki bed auth"),
    "senders": (589, "tls pki bed auth <credentials> senders <allowed>"),
    "optional": (590, "tls pki bed auth-optional <credentials>"),
    "tls-required": (591, "tls-require pki bed"),
    "no-table": (592, "tls pki bed auth <broken>"),
    "refuse-connect": (2510, "filter refuse-connect"),
    "drop-connect": (2511, "filter drop-connect"),
    "refuse-helo": (2512, "filter refuse-helo"),
    "refuse-mail": (2513, "filter refuse-mail"),
    "refuse-rcpt": (2514, "filter refuse-rcpt"),
    "refuse-data": (2515, "filter refuse-data"),
    "refuse-commit": (2516, "filter refuse-commit"),
    "junk": (2517, "filter mark-junk"),
}
PORTS = {name: port for name, (port, _) in LISTENERS.items()}


def smtpd_conf(extra=()):
    """The whole configuration; the order of its rules matters."""
    lines = [
        *extra,
        'pki bed cert "/etc/ssl/cert.pem"',
        'pki bed key "/etc/ssl/key.pem"',
        "table aliases file:/etc/aliases",
        "table credentials file:/etc/mail/credentials",
        "table broken file:/etc/mail/broken",
        "table secrets file:/etc/mail/secrets",
        f'table allowed {{ {USER} = "{USER}@{DOMAIN}" }}',
        f'table virtuals {{ "carol@virtual.test" = {USER}, "loop@virtual.test" = "loop@virtual.test" }}',
        'table catchall { "@" = alice }',
        "smtp max-message-size 20000",
        "smtp limit max-rcpt 3 max-mails 3",
        "mta limit inet4 conn-delay-route 0 conn-delay-relay 0 reconn-delay-route 0 session-keepalive 0",
        'filter refuse-connect phase connect match !rdns <credentials> reject "550 5.7.1 not you"',
        'filter drop-connect phase connect match !rdns <credentials> disconnect "421 4.7.0 not you"',
        'filter refuse-helo phase ehlo match helo "denied.test" reject "550 5.7.1 not you"',
        'filter refuse-mail phase mail-from match mail-from "denied@client.test" reject "550 5.7.1 not from there"',
        f'filter refuse-rcpt phase rcpt-to match rcpt-to "denied@{DOMAIN}" reject "450 4.7.1 not now"',
        'filter refuse-data phase data match helo "denied.test" reject "550 5.7.1 not that"',
        'filter refuse-commit phase commit match helo "denied.test" reject "550 5.7.1 not that"',
        'filter mark-junk phase mail-from match mail-from "junk@client.test" junk',
        *[f"listen on 127.0.0.1 port {port} hostname mx.{DOMAIN} {options}" for port, options in LISTENERS.values()],
        'action "mbox" mbox alias <aliases>',
        'action "maildir" maildir "/home/%{user.username}/Maildir"',
        f'action "lmtp" lmtp "{LMTP}"',
        'action "virtual" mbox virtual <virtuals>',
        'action "expired" relay host "smtp+notls://127.2.0.98:25" ttl 2s',
        f'action "down" relay host "smtp+notls://{DOWN}:{RELAY_PORT}"',
        f'action "lost" relay host "smtp+notls://nowhere.test:{RELAY_PORT}"',
        'action "mx" relay',
        f'match from any for rcpt-to "denied@{DOMAIN}" reject',
        f'match from any for rcpt-to "bob@{DOMAIN}" action "maildir"',
        f'match from any for rcpt-to "lmtp@{DOMAIN}" action "lmtp"',
        f'match from any for domain "{DOMAIN}" action "mbox"',
        'match from any for domain "virtual.test" action "virtual"',
        'match from any for domain "down.test" action "down"',
        'match from any for domain "lost.test" action "lost"',
        'match from any for domain "expired.test" action "expired"',
        f'match from any for domain {{ {", ".join(BY_MX)} }} action "mx"',
    ]
    for number, (domain, command) in enumerate(MDA.items()):
        lines += [f'action "mda{number}" mda "{command}" virtual <catchall>', f'match from any for domain "{domain}" action "mda{number}"']
    for number, (domain, (address, proto, options, _)) in enumerate(SINKS.items()):
        label = "secret@" if domain == "auth.test" else "wrong@" if domain == "wrong-auth.test" else ""
        lines += [f'action "sink{number}" relay host "{proto}://{label}{address}:{RELAY_PORT}" {options}',
                  f'match from any for domain "{domain}" action "sink{number}"']
    for domain, address in FRIENDLY.items():
        lines += [f'action "{domain}" relay host "smtp+notls://{address}:{FRIENDLY_PORT}"', f'match from any for domain "{domain}" action "{domain}"']
    return "\n".join(lines) + "\n"


class Log:
    """Reads what is said to /dev/log."""

    def __init__(self, bed):
        self.text = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        path = bed.path("/dev/log")
        self._socket.bind(str(path))
        path.chmod(0o666)
        threading.Thread(target=self._read, daemon=True).start()
        bed.on_close(self._stop)

    def _read(self):
        while data := self._socket.recv(65536):
            self.text += data.rstrip(b"\n\0") + b"\n"

    def _stop(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.connect(self._socket.getsockname())
            end.send(b"")


class OpenSmtpdBed(Bed):
    root_kind = "opensmtpd"

    """logged: whether anybody reads what it says to /dev/log. extra: more lines of its configuration."""

    def __init__(self, suite, logged=True, extra=()):
        super().__init__(suite)
        self.logged, self.extra = logged, extra

    def __enter__(self):
        super().__enter__()
        try:
            self.run("ip", "address", "add", f"{OTHER_ADDRESS}/32", "dev", "lo")
            self.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN=mx.{DOMAIN}",
                     "-keyout", "/etc/ssl/key.pem", "-out", "/etc/ssl/cert.pem")
            self.path("/etc/ssl/key.pem").chmod(0o600)
            self.write("/etc/ssl/bed.pem", self.path("/etc/ssl/key.pem").read_text() + self.path("/etc/ssl/cert.pem").read_text())
            # The server will not start without the host's certificates of authorities.
            self.write("/etc/ssl/certs/ca-certificates.crt", self.path("/etc/ssl/cert.pem").read_text())
            self.sinks = {domain: Sink(self, RELAY_PORT, address, **how) for domain, (address, _, _, how) in SINKS.items()}
            self.sink = Sink(self, FRIENDLY_PORT, "0.0.0.0")
            self.mx_sink = Sink(self, 25, "127.2.1.1")
            self.lmtp_sink = Sink(self, 24, LMTP.partition(":")[0])
            self.names = NameServer(self, ZONE)
            self.log = Log(self) if self.logged else None
            configure(self)
            start(self)
        except BaseException:
            self.close()
            raise
        return self

    def smtp(self, service="smtp", source=None, **how):
        return clients.Smtp(self.connect(PORTS[service], source), **how)


def configure(bed):
    bed.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    bed.write("/etc/mailname", f"mx.{DOMAIN}\n")
    bed.write("/etc/smtpd.conf", smtpd_conf(bed.extra))
    crypted = bed.run("openssl", "passwd", "-6", PASSWORD).strip()
    bed.write("/etc/mail/credentials", f"{USER} {crypted}\n", 0o644)
    bed.write("/etc/mail/broken", f"other {chr(120) * 5000}\n")  # longer than any password may be
    bed.write("/etc/mail/secrets", "secret alice:right\nwrong alice:wrong\n", 0o644)
    bed.write("/etc/aliases", f"root: {USER}\nboth: {USER}, bob\npiped: |\"cat >/dev/null\"\nrefused: error:550 5.7.1 gone away\n"
              "later: error:450 4.7.1 come back\n")
    for number, name in enumerate(("alice", "bob", "lmtp", "denied")):
        bed.run("useradd", "--create-home", "--uid", str(2001 + number), "--shell", "/bin/sh", name)
    bed.run("chpasswd", text_in=f"{SYSTEM_USER}:{SYSTEM_PASSWORD}\n")


def start(bed):
    bed.run(EXE)
    for port in PORTS.values():
        bed.wait_for_port(port)


def parent(bed):
    """(in the bed, on the host): the process ids of the first process."""
    processes = bed.processes(EXE)
    for inner, outer in processes.items():
        with open(f"/proc/{outer}/status") as status:
            if int(re.search(r"^PPid:\t(\d+)", status.read(), re.MULTILINE)[1]) not in processes.values():
                return inner, outer
    raise RuntimeError("no smtpd")


def master_pid(bed):
    return parent(bed)[1]


def dispatcher(bed):
    """The process id, on the host, of the process that serves clients: it listens."""
    listening = {line.split()[9] for line in open(f"/proc/{bed.pid}/net/tcp").read().splitlines()[1:] if line.split()[3] == "0A"}
    mine = {f"socket:[{inode}]" for inode in listening}
    for pid in bed.processes(EXE).values():
        for file in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(file) in mine:
                    return pid
    raise RuntimeError("nobody listens")


def stop(bed):
    os.kill(master_pid(bed), signal.SIGTERM)
    wait_until(lambda: not bed.processes(EXE), "the end of smtpd", timeout=60)


def kill(bed):
    bed.kill(EXE)


def log(bed):
    return bed.log.text.decode(errors="replace") if bed.log else ""


def queued(bed):
    """The names of the files of envelopes, notices that are to be written included. Directories may go away meanwhile."""
    return [name for _, _, names in os.walk(bed.path("/var/spool/smtpd/queue")) for name in names if re.fullmatch("[0-9a-f]{16}", name)]


def wait_idle(bed, left=0):
    """Wait until all mail is gone but for so many recipients."""
    wait_until(lambda: len(queued(bed)) <= left, lambda: f"{left} envelopes, there are {len(queued(bed))}", timeout=60)


def forget(bed):
    """Remove what is left in the queue, and try addresses that failed once more next time."""
    for message in {name[:8] for name in queued(bed)}:
        bed.run("smtpctl", "remove", message, check=False)
    wait_idle(bed)
    for route in re.findall(r"^(\d+)\.", bed.run("smtpctl", "show", "routes"), re.MULTILINE):
        bed.run("smtpctl", "resume", "route", route)
