# SPDX-License-Identifier: Apache-2.0
"""What a mail server talks with: a remote mail server that answers as told, and a greylisting policy service."""
import contextlib
import socketserver
import threading


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
    """What a recipient's local part begins with decides: "refuse" 550, "later" 450, "drop" closes, else 250."""

    def handle(self):
        self.say("220 sink.test ESMTP")
        accepted = 0
        for raw in self.rfile:
            line = raw.decode("latin-1").strip()
            verb = line.split(" ")[0].upper()
            if verb == "RCPT":
                local_part = line.partition("<")[2]
                if local_part.startswith("drop"):
                    return
                if local_part.startswith("refuse"):
                    self.say("550 5.1.1 no such user here")
                elif local_part.startswith("later"):
                    self.say("450 4.2.1 come back later")
                else:
                    accepted += 1
                    self.say("250 2.1.5 ok")
            elif verb == "DATA":
                if not accepted:
                    self.say("554 5.5.1 no valid recipients")
                    continue
                self.say("354 go on")
                while (raw := self.rfile.readline()) not in (b".\r\n", b""):
                    pass
                self.server.messages += 1
                accepted = 0
                self.say("250 2.0.0 taken")
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            elif verb == "EHLO":
                self.say("250-sink.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
            else:
                self.say("250 2.0.0 ok")

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


class Sink(_Server):
    """A remote mail server."""

    def __init__(self, bed, port, address="127.0.0.1"):
        self.messages = 0
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


@contextlib.contextmanager
def silence(bed, port, address="127.0.0.1"):
    """Somebody who accepts connections, and never says a word."""
    listener = bed.listen(port, address)
    try:
        yield
    finally:
        listener.close()


class _MilterSession(socketserver.StreamRequestHandler):
    def handle(self):
        while len(size := self.rfile.read(4)) == 4:
            command = self.rfile.read(int.from_bytes(size, "big"))[:1]
            if command == b"O":  # version 6, no changes, and none of the steps that can be left out
                self.reply(b"O", (6).to_bytes(4, "big"), bytes(4), (0x1FFFFF & ~0x100000).to_bytes(4, "big"))
            elif command == b"Q":
                return
            elif command not in (b"A", b"D"):
                self.reply(b"c")

    def reply(self, *parts):
        text = b"".join(parts)
        self.wfile.write(len(text).to_bytes(4, "big") + text)


class Milter(_Server):
    """A milter that lets everything pass."""

    def __init__(self, bed, port, address="127.0.0.1"):
        super().__init__(bed, port, address, _MilterSession)
