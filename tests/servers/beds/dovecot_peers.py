# SPDX-License-Identifier: Apache-2.0
"""Whom Dovecot talks with: the mail server that submission and Sieve hand messages to, and a policy server for logins."""
import http.server
import json
import socketserver

from .peers import _Server

# What a recipient's local part begins with decides about it.
RECIPIENTS = {"refuse": "550 5.1.1 no such user here", "forbid": "550 5.7.1 not for you", "later": "450 4.2.1 come back later"}
MESSAGES = {"spam": "554 5.7.1 not this message"}


class _RelaySession(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 relay.test ESMTP")
        accepted = []
        for raw in self.rfile:
            line = raw.decode("latin-1").strip()
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                self.say("250-relay.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
            elif verb == "RCPT":
                local_part = line.partition("<")[2]
                if local_part.startswith("drop"):
                    return
                answer = decided(RECIPIENTS, local_part)
                if not answer:
                    accepted.append(local_part)
                self.say(answer or "250 2.1.5 ok")
            elif verb == "DATA":
                self.say("354 go on" if accepted else "554 5.5.1 no valid recipients")
                if not accepted:
                    continue
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.say(decided(MESSAGES, accepted[0]) or "250 2.0.0 taken")
                accepted = []
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("250 2.0.0 ok")

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


def decided(answers, local_part):
    return next((answer for begin, answer in answers.items() if local_part.startswith(begin)), None)


class Relay(_Server):
    def __init__(self, bed, port, address="127.0.0.1"):
        super().__init__(bed, port, address, _RelaySession)


class _LoginPolicySession(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.verdicts.get(request.get("login"), 0) if "command=allow" in self.path else 0
        body = json.dumps({"status": status, "msg": "policy"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class LoginPolicy(_Server):
    """verdicts: {user: -1 to refuse, or for how many seconds to delay}; all others pass."""

    def __init__(self, bed, port, verdicts, address="127.0.0.1"):
        self.verdicts = verdicts
        super().__init__(bed, port, address, _LoginPolicySession)
