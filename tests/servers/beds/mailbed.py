# SPDX-License-Identifier: Apache-2.0
"""A bed with everything: Postfix and Dovecot on one host, their peers, and clients for all ports."""
from . import clients, dovecot, postfix
from .bed import Bed
from .dovecot_peers import LoginPolicy, Relay
from .peers import Milter, NameServer, Policy, Sink


class MailBed(Bed):
    def __enter__(self):
        super().__enter__()
        try:
            self.prepare()
            self.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                     "-subj", "/CN=mx.bed.test", "-keyout", "/etc/ssl/key.pem", "-out", "/etc/ssl/cert.pem")
            self.write("/etc/ssl/bed.pem", self.path("/etc/ssl/key.pem").read_text() + self.path("/etc/ssl/cert.pem").read_text())
            self.sink = Sink(self, 25, postfix.SINK)
            for port, _, how in postfix.SINKS.values():
                Sink(self, port, postfix.SINK, **how)
            self.relay = Relay(self, dovecot.RELAY_PORT)
            self.policy = Policy(self, 10040)
            self.login_policy = LoginPolicy(self, dovecot.POLICY_PORT, {dovecot.OTHER_USER: -1, dovecot.FULL_USER: 1})
            self.milter = Milter(self, 10041)
            NameServer(self, postfix.ZONE)
            dovecot.configure(self)
            postfix.configure(self)
            postfix.start(self)  # first: it makes the directory of the socket that Dovecot serves for it
            dovecot.start(self)
        except BaseException:
            self.close()
            raise
        return self

    def prepare(self):
        """Change what is installed, before it is configured and started."""

    def smtp(self, service="smtp", source=None, **how):
        return clients.Smtp(self.connect(postfix.PORTS[service], source), **how)

    def submission(self, service="submission", source=None, **how):
        return clients.Smtp(self.connect(dovecot.PORTS[service], source), **how)

    def lmtp(self, **how):
        return clients.Smtp(self.connect(dovecot.PORTS["lmtp"]), **how)

    def imap(self, service="imap", source=None, **how):
        return clients.Imap(self.connect(dovecot.PORTS[service], source), **how)

    def pop3(self, service="pop3", source=None, **how):
        return clients.Pop3(self.connect(dovecot.PORTS[service], source), **how)

    def sieve(self, service="sieve", source=None, **how):
        return clients.ManageSieve(self.connect(dovecot.PORTS[service], source), **how)
