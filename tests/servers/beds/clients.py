# SPDX-License-Identifier: Apache-2.0
"""Clients that say exactly what they are told, one line at a time, and check every answer.

The clients of Python's library fall back from one mechanism to the next, retry and log in by themselves: with them
nobody knows how many exchanges a server has seen.
"""
import base64
import hmac
import ssl


def b64(text):
    return base64.b64encode(text.encode()).decode()


def plain(user, password):
    return b64(f"\0{user}\0{password}")


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Line:
    """A connection that speaks lines. Leaving the `with` block drops it, whatever state it is in."""

    def __init__(self, sock, tls=False):
        self.sock = sock
        self._seen = b""
        if tls:
            self.tls()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.drop()

    def drop(self):
        self.sock.close()

    def tls(self):
        try:
            self.sock = tls_context().wrap_socket(self.sock)
        except OSError:
            self.drop()
            raise

    def dislike_certificate(self):
        """Begin TLS, and break it off by an alert when the server has shown its certificate."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 would let the server finish first
        try:
            self.sock = context.wrap_socket(self.sock)
        except ssl.SSLError:
            return
        raise AssertionError("the certificate was believed")

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self._seen:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"the server closed the connection, last: {self._seen!r}")
            self._seen += data
        line, self._seen = self._seen.split(b"\n", 1)
        return line.rstrip(b"\r").decode()

    def closed(self):
        """The server closes the connection, without another word."""
        try:
            data = self._seen + self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            data = b""
        assert not data, f"more from the server: {data!r}"

    def expect(self, want):
        """The next line begins with this text."""
        got = self.line()
        assert got.startswith(want), f"got {got!r}, want {want!r}"
        return got


class Smtp(Line):
    """SMTP and LMTP. want = the beginning of the last line of a reply, such as "250" or "450 4.2.0"."""

    def __init__(self, sock, tls=False, banner="220"):
        super().__init__(sock, tls)
        if banner:
            self.reply(banner)

    def reply(self, want):
        while (got := self.line())[3:4] == "-":
            pass
        assert got.startswith(want), f"got {got!r}, want {want!r}"
        return got

    def cmd(self, text, want):
        self.send(text + "\r\n")
        return self.reply(want)

    def ehlo(self):
        self.cmd("EHLO client.test", "250")

    def lhlo(self):
        self.cmd("LHLO client.test", "250")

    def starttls(self):
        self.cmd("STARTTLS", "220")
        self.tls()
        self.ehlo()

    def login(self, mechanism, user, password, want="235"):
        """One AUTH exchange. PLAIN: at once; PLAIN-334: asked for; LOGIN: in two questions."""
        if mechanism == "PLAIN":
            self.cmd(f"AUTH PLAIN {plain(user, password)}", want)
        elif mechanism == "PLAIN-334":
            self.cmd("AUTH PLAIN", "334")
            self.cmd(plain(user, password), want)
        elif mechanism == "LOGIN":
            self.cmd("AUTH LOGIN", "334")
            self.cmd(b64(user), "334")
            self.cmd(b64(password), want)
        else:
            raise ValueError(mechanism)

    def mail(self, sender="<someone@client.test>", want="250"):
        self.cmd(f"MAIL FROM:{sender}", want)

    def rcpt(self, recipient, want="250"):
        self.cmd(f"RCPT TO:<{recipient}>", want)

    def data(self, body="Hello.\r\n", want="250"):
        self.cmd("DATA", "354")
        self.send(f"Subject: test\r\n\r\n{body}")
        self.cmd(".", want)

    def message(self, *recipients, sender="<someone@client.test>", body="Hello.\r\n"):
        """One message that is accepted."""
        self.mail(sender)
        for recipient in recipients:
            self.rcpt(recipient)
        self.data(body)

    def quit(self):
        self.cmd("QUIT", "221")
        self.drop()


class Imap(Line):
    """want = the beginning of the tagged reply after its tag, such as "OK" or "NO [OVERQUOTA]"."""

    def __init__(self, sock, tls=False, banner="* OK"):
        super().__init__(sock, tls)
        self._tag = 0
        if banner:
            self.expect(banner)

    def start(self, text):
        self._tag += 1
        self.send(f"a{self._tag} {text}\r\n")

    def finish(self, want):
        tag = f"a{self._tag} "
        while not (got := self.line()).startswith(tag):
            pass
        assert got.startswith(tag + want), f"got {got!r}, want {want!r}"
        return got

    def cmd(self, text, want="OK"):
        self.start(text)
        return self.finish(want)

    def login(self, mechanism, user, password, want="OK"):
        """One exchange: the LOGIN command, or AUTHENTICATE PLAIN."""
        if mechanism == "LOGIN":
            self.cmd(f'LOGIN "{user}" "{password}"', want)
        elif mechanism == "PLAIN":
            self.start("AUTHENTICATE PLAIN")
            self.expect("+")
            self.send(plain(user, password) + "\r\n")
            self.finish(want)
        else:
            raise ValueError(mechanism)

    def abort_login(self):
        self.start("AUTHENTICATE PLAIN")
        self.expect("+")
        self.send("*\r\n")
        self.finish("BAD")

    def cram_md5(self, user, password, want="OK"):
        self.start("AUTHENTICATE CRAM-MD5")
        challenge = base64.b64decode(self.expect("+ ")[2:])
        self.send(b64(f"{user} {hmac.new(password.encode(), challenge, 'md5').hexdigest()}") + "\r\n")
        self.finish(want)

    def idle(self):
        self.start("IDLE")
        self.expect("+")
        self.send("DONE\r\n")
        self.finish("OK")

    def append(self, size, want="OK"):
        """A server that knows from the size alone that it will not take the message does not ask for it."""
        message = ("Subject: test\r\n\r\n" + "x" * 76 + "\r\n").ljust(size - 2, "y") + "\r\n"
        self.start(f"APPEND INBOX {{{len(message)}}}")
        while (got := self.line()).startswith("* "):
            pass
        if not got.startswith("+"):
            assert got.startswith(f"a{self._tag} {want}"), f"got {got!r}, want {want!r}"
            return
        self.send(message + "\r\n")
        self.finish(want)

    def starttls(self):
        self.cmd("STARTTLS")
        self.tls()

    def logout(self):
        self.cmd("LOGOUT")
        self.drop()


class Pop3(Line):
    def __init__(self, sock, tls=False, banner="+OK"):
        super().__init__(sock, tls)
        if banner:
            self.expect(banner)

    def cmd(self, text, want="+OK"):
        self.send(text + "\r\n")
        return self.expect(want)

    def login(self, mechanism, user, password, want="+OK"):
        """One exchange: USER and PASS, or AUTH PLAIN."""
        if mechanism == "USER":
            self.cmd(f"USER {user}")
            self.cmd(f"PASS {password}", want)
        elif mechanism == "PLAIN":
            self.cmd("AUTH PLAIN", "+ ")
            self.cmd(plain(user, password), want)
        else:
            raise ValueError(mechanism)

    def abort_login(self):
        self.cmd("AUTH PLAIN", "+ ")
        self.cmd("*", "-ERR")

    def starttls(self):
        self.cmd("STLS")
        self.tls()

    def logout(self):
        self.cmd("QUIT")
        self.drop()


class ManageSieve(Line):
    def __init__(self, sock, tls=False, banner="OK"):
        super().__init__(sock, tls)
        if banner:
            self.finish(banner)

    def finish(self, want):
        while not (got := self.line()).startswith(("OK", "NO", "BYE")):
            pass
        assert got.startswith(want), f"got {got!r}, want {want!r}"
        return got

    def cmd(self, text, want="OK"):
        self.send(text + "\r\n")
        return self.finish(want)

    def login(self, mechanism, user, password, want="OK"):
        assert mechanism == "PLAIN"
        self.cmd(f'AUTHENTICATE "PLAIN" "{plain(user, password)}"', want)

    def abort_login(self):
        self.send('AUTHENTICATE "PLAIN"\r\n')
        self.line()
        self.cmd('"*"', "NO")

    def starttls(self):
        self.cmd("STARTTLS")
        self.tls()
        self.finish("OK")

    def logout(self):
        self.cmd("LOGOUT")
        self.drop()
