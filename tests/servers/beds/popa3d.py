# SPDX-License-Identifier: Apache-2.0
"""A bed with popa3d, the server that docs/NEW-SERVER.md adds as its example."""
import os
import socket
import threading

from . import clients
from .bed import Bed

PORT = 110
USER, PASSWORD = "someone", "secret"
BROKEN_USER = "broken"  # whose mailbox is none
MAILBOX = f"/var/mail/{USER}"
MESSAGE = "From a@b.test Thu Jan  1 00:00:00 1970\nSubject: test\n\nHello.\n\n"


class Popa3dBed(Bed):
    root_kind = "popa3d"

    def __enter__(self):
        super().__enter__()
        try:
            self._listen_to_log()
            for user in (USER, BROKEN_USER):
                self.run("useradd", user)
            self.run("chpasswd", text_in="".join(f"{user}:{PASSWORD}\n" for user in (USER, BROKEN_USER)))
            # a wrong password is answered at once
            self.write("/etc/pam.d/popa3d", "auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
            self.write(f"/var/mail/{BROKEN_USER}", "no mailbox\n")
            self.fill(3)
            self.run("popa3d", "-D")
            self.wait_for_port(PORT)
            [self.server_pid] = self.processes("/usr/sbin/popa3d").values()
        except BaseException:
            self.close()
            raise
        return self

    def _listen_to_log(self):
        log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        log.bind(str(self.path("/dev/log")))
        os.chmod(self.path("/dev/log"), 0o666)
        self._lines = []
        reader = threading.Thread(target=self._read_log, args=(log,), daemon=True)
        reader.start()
        self.on_close(lambda: (log.shutdown(socket.SHUT_RD), reader.join(), log.close()))

    def _read_log(self, log):
        """At once: who writes waits while ten lines are unread."""
        while line := log.recv(65536).decode():
            self._lines.append(line)

    def log(self):
        """All lines that the server itself has written: what PAM says in its name is not among them."""
        return [line for line in self._lines if "popa3d[" in line and ": pam_" not in line]

    def fill(self, messages):
        self.write(MAILBOX, MESSAGE * messages, mode=0o660)
        self.run("chown", f"{USER}:mail", MAILBOX)

    def pop3(self):
        """popa3d limits the sessions of one address: each has one of its own."""
        return clients.Pop3(self.connect(PORT))

    def session_count(self):
        return len(self.processes("/usr/sbin/popa3d")) - 1
