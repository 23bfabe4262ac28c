# SPDX-License-Identifier: Apache-2.0
"""What a mail server talks with: a remote mail server that answers as told, a greylisting policy service, a milter and
a name server."""
import base64
import contextlib
import socket
import socketserver
import ssl
import struct
import threading
import time


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True

    def __init__(self, bed, port, address, handler):
        super().__init__((address, port), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bed.listen(port, address)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        bed.on_close(self.stop)

    def stop(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A peer that goes away in the middle is part of the tests."""


class _SinkSession(socketserver.StreamRequestHandler):
    """What a recipient's local part begins with decides about it: "refuse" 550, "later" 450, "drop" closes, else 250;
    and about the message: "nodata" refuses DATA, "spam" its text, "slow" waits for the server's gate, all others are
    taken."""

    def handle(self):
        how = self.server
        self.say(how.greeting)
        accepted = []
        while raw := self.rfile.readline():  # of whichever file it is now: encryption changes it
            line = raw.decode("latin-1").strip()
            verb = line.split(" ")[0].upper()
            if verb == "MAIL":
                accepted = []
                self.say("550 5.7.1 not from there" if "+unwanted@" in line else "250 2.1.0 ok")
            elif verb == "RCPT":
                local_part = line.partition("<")[2]
                if local_part.startswith("drop"):
                    return
                if local_part.startswith("refuse"):
                    self.say("550 5.1.1 no such user here")
                elif local_part.startswith("later"):
                    self.say("450 4.2.1 come back later")
                else:
                    accepted.append(local_part)
                    self.say("250 2.1.5 ok")
            elif verb == "DATA":
                if not accepted or accepted[0].startswith("nodata"):
                    self.say("554 5.5.1 no valid recipients")
                    continue
                self.say("354 go on")
                while (raw := self.rfile.readline()) not in (b".\r\n", b""):
                    pass
                if accepted[0].startswith("slow"):
                    how.waiting += 1
                    how.gate.wait()
                if accepted[0].startswith("spam"):
                    self.say("554 5.7.1 nobody wants that")
                    continue
                self.server.messages += 1
                self.say("250 2.0.0 taken")
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            elif verb in ("EHLO", "HELO") and how.deaf:
                self.say("550 5.7.1 not you")
            elif verb == "EHLO":
                features = ["sink.test", *(["STARTTLS"] if how.tls and not self.encrypted() else []), *(["AUTH PLAIN"] if how.password else [])]
                self.say("".join(f"250-{feature}\r\n" for feature in features) + "250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
            elif verb == "STARTTLS" and how.tls == "refused":
                self.say("454 4.7.0 not now")
            elif verb == "STARTTLS":
                self.say("220 2.0.0 go ahead")
                if how.tls == "broken":
                    self.rfile.peek(1)  # the client would throw away what comes before it speaks TLS
                    self.say("this is no TLS")
                    self.rfile.read()  # the client is the one to hang up
                    return
                self.encrypt(how.context)
            elif verb == "AUTH":
                right = base64.b64encode(f"\0alice\0{how.password}".encode()).decode()
                self.say("235 2.7.0 welcome" if line.endswith(right) else "535 5.7.8 wrong")
            else:
                self.say("250 2.0.0 ok")

    def setup(self):
        super().setup()
        if self.server.tls == "implicit":
            self.encrypt(self.server.context)

    def encrypt(self, context):
        self.request = self.connection = context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)

    def encrypted(self):
        return isinstance(self.request, ssl.SSLSocket)

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


class Sink(_Server):
    """A remote mail server. tls: None, "good", "broken" (talks nonsense after STARTTLS), "refused" (offers it only) or
    "implicit"; password: of alice, where a login is offered; deaf: refuses every greeting."""

    def __init__(self, bed, port, address="127.0.0.1", greeting="220 sink.test ESMTP", tls=None, password=None, deaf=False):
        self.messages = self.waiting = 0
        self.gate = threading.Event()  # of those that are slow: closed
        self.greeting, self.tls, self.password, self.deaf = greeting, tls, password, deaf
        if tls:
            self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.context.load_cert_chain(bed.path("/etc/ssl/bed.pem"))
        super().__init__(bed, port, address, _SinkSession)


class _PolicySession(socketserver.StreamRequestHandler):
    def handle(self):
        request = {}
        for raw in self.rfile:
            name, equals, value = raw.decode().rstrip("\n").partition("=")
            if equals:
                request[name] = value
                continue
            self.wfile.write(f"action={self.server.action(request)}\n\n".encode())
            request = {}


class Policy(_Server):
    """Postfix' policy delegation protocol. The recipient decides: NAME+grey is put off with a reply of the policy's own
    the first time, NAME+defer with one of Postfix', every time; all others pass."""

    def __init__(self, bed, port, address="127.0.0.1"):
        self._seen = set()
        super().__init__(bed, port, address, _PolicySession)

    def action(self, request):
        key = (request["client_address"], request["sender"], request["recipient"])
        if "+defer@" in request["recipient"]:
            return "DEFER_IF_PERMIT Greylisted"
        if "+grey@" in request["recipient"] and key not in self._seen:
            self._seen.add(key)
            return "450 4.2.0 Greylisted, see you in a minute"
        return "DUNNO"


class _MilterSession(socketserver.StreamRequestHandler):
    """The recipient decides: "+reject", "+later", "+discard" or "+break" (the connection) when it is named, and with
    "end-" before it at the end of the message, where "+end-hold" puts it on hold."""

    REPLIES = {"reject": b"r", "later": b"t", "discard": b"d", "hold": b"q" + b"held\0"}

    def handle(self):
        wish = ""
        while len(size := self.rfile.read(4)) == 4:
            command, *_ = packet = self.rfile.read(struct.unpack(">I", size)[0])
            kind = chr(command)
            if kind == "O":
                self.say(b"O" + struct.pack(">III", 6, 0x20, 0))  # version 6, may quarantine, all steps please
            elif kind in "CHLNBTUM":
                wish = "" if kind == "M" else wish
                self.say(b"c")
            elif kind == "R":
                wish = packet.split(b"\0")[0].decode().partition("+")[2].partition("@")[0]
                if wish == "break":
                    return
                self.say(self.REPLIES.get(wish, b"c"))
            elif kind == "E":
                reply = self.REPLIES.get(wish.partition("end-")[2], b"c")
                self.say(reply)
                if reply.startswith(b"q"):
                    self.say(b"c")
            elif kind == "Q":
                return

    def say(self, reply):
        self.wfile.write(struct.pack(">I", len(reply)) + reply)


class Milter(_Server):
    def __init__(self, bed, port, address="127.0.0.1"):
        super().__init__(bed, port, address, _MilterSession)


def _dns_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


class NameServer:
    """Answers from `zone`: {name: {"A": [addresses], "MX": [(preference, host)], "PTR": [names], "TXT": [texts]}}, or
    {name: "SERVFAIL"}; other names do not exist. delay_s: how long it thinks about each question."""

    TYPES = {1: "A", 12: "PTR", 15: "MX", 16: "TXT"}

    def __init__(self, bed, zone, address="127.0.0.1"):
        self._zone = zone
        self.delay_s = 0.0
        self._socket = bed.socket(socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()
        bed.on_close(self._socket.close)

    def _serve(self):
        with contextlib.suppress(OSError):  # the socket is closed
            while True:
                question, client = self._socket.recvfrom(1500)
                time.sleep(self.delay_s)
                self._socket.sendto(self._answer(question), client)

    def _answer(self, question):
        labels, at = [], 12
        while size := question[at]:
            labels.append(question[at + 1:at + 1 + size].decode().lower())
            at += 1 + size
        kind, = struct.unpack(">H", question[at + 1:at + 3])
        name = self._zone.get(".".join(labels))
        known = name if isinstance(name, dict) else {}
        records = [self._data(kind, value) for value in known.get(self.TYPES.get(kind), [])]
        header = question[:2] + struct.pack(">HHHHH", 0x8583 if name is None else 0x8582 if name == "SERVFAIL" else 0x8580, 1, len(records), 0, 0)
        return header + question[12:at + 5] + b"".join(
            struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(data)) + data for data in records)

    @staticmethod
    def _data(kind, value):
        if kind == 1:
            return socket.inet_aton(value)
        if kind == 12:
            return _dns_name(value)
        if kind == 16:
            return b"".join(bytes([len(part)]) + part for part in (value[at:at + 255].encode() for at in range(0, len(value), 255)))
        return struct.pack(">H", value[0]) + _dns_name(value[1])


@contextlib.contextmanager
def silence(bed, port, address="127.0.0.1"):
    """Somebody who accepts connections, and never says a word."""
    listener = bed.listen(port, address)
    try:
        yield
    finally:
        listener.close()
