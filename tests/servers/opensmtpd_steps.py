# SPDX-License-Identifier: Apache-2.0
"""What clients do to OpenSMTPD, and the events of it."""
import concurrent.futures
import contextlib
import re
import ssl
import subprocess

import pytest

import watch
from beds import opensmtpd
from beds.bed import wait_until
from beds.clients import b64
from beds.opensmtpd import DOMAIN, PASSWORD, SOURCE, STRANGE_SOURCE, SYSTEM_PASSWORD, SYSTEM_USER, USER
from collector import Collector
from steps import table

LOCAL = f"{USER}@{DOMAIN}"


@contextlib.contextmanager
def watched(bed, request, tmp_path_factory):
    """The bed, and who counts what its OpenSMTPD does."""
    if request.config.getoption("--log-only"):
        yield watch.Watch(bed, {})
        return
    with Collector(tmp_path_factory.mktemp("collector"), pid=opensmtpd.master_pid(bed)) as collector:
        yield watch.Watch(bed, {"opensmtpd": collector})


# ---- sessions and commands

def exchange(*lines, service="smtp", source=None, tls=False, end=True):
    """lines: pairs of what is sent and the beginning of the reply, after EHLO."""
    def action(bed):
        with bed.smtp(service, source, tls=service == "smtps") as c:
            c.ehlo()
            if tls:
                c.starttls()
            for text, want in lines:
                c.cmd(text, want)
            if end:
                c.quit()
    return action


def talk(*lines, service="smtp", banner="220", quit_want="221"):
    """The same without EHLO, unless it is among them."""
    def action(bed):
        with bed.smtp(service, banner=banner) as c:
            for text, want in lines:
                c.cmd(text, want)
            if quit_want:
                c.cmd("QUIT", quit_want)
    return action


def envelope(recipient, want="250", sender="someone@client.test"):
    return (f"MAIL FROM:<{sender}>", "250"), (f"RCPT TO:<{recipient}>", want)


def refused(recipient, want, **how):
    return exchange(*envelope(recipient, want), **how)


def sent(text, want, closed=False):
    """Raw bytes after EHLO."""
    def action(bed):
        with bed.smtp() as c:
            c.ehlo()
            c.send(text)
            c.reply(want)
            if closed:
                c.closed()
    return action


def lost(*lines, raw=None, helo=True):
    """The client goes away after that."""
    def action(bed):
        with bed.smtp() as c:
            if helo:
                c.ehlo()
            for text, want in lines:
                c.cmd(text, want)
            if raw:
                c.send(raw)
    return action


def refused_at_once(want):
    def action(service):
        def act(bed):
            with bed.smtp(service, banner=want) as c:
                c.cmd("QUIT", "221")
        return act
    return action


def dropped(service, want):
    def action(bed):
        with bed.smtp(service, banner=want) as c:
            c.closed()
    return action


# ---- logins

def login(service, mechanism, user=USER, password=PASSWORD, want="235"):
    def action(bed):
        with bed.smtp(service, tls=service == "smtps") as c:
            c.ehlo()
            if service != "smtps":
                c.starttls()
            c.login(mechanism, user, password, want)
            c.quit()
    return action


def second_thoughts(bed):
    with bed.smtp("submission") as c:
        c.ehlo()
        c.starttls()
        c.login("PLAIN", USER, "wrong", "535")
        c.login("LOGIN", USER, "wrong too", "535")
        c.login("LOGIN", USER, PASSWORD)
        c.quit()


def no_second_greeting(bed):
    """What was said before the encryption is forgotten."""
    with bed.smtp("starttls") as c:
        c.ehlo()
        c.cmd("STARTTLS", "220")
        c.tls()
        c.cmd("MAIL FROM:<>", "503")
        c.quit()


def lost_in_login(bed):
    with bed.smtp("submission") as c:
        c.ehlo()
        c.starttls()
        c.cmd("AUTH LOGIN", "334")


def tls_broken(service, how):
    """how: what the client sends instead of TLS, or None to close, or "alert" to dislike the certificate."""
    def action(bed):
        with bed.smtp(service, banner=None if service == "smtps" else "220") as c:
            if service != "smtps":
                c.ehlo()
                c.cmd("STARTTLS", "220")
            if how == "alert":
                c.dislike_certificate()
            elif how:
                c.send(how)
                with contextlib.suppress(ConnectionResetError):
                    while c.sock.recv(4096):
                        pass
    return action


def tls_impossible(service):
    """On bookworm nobody can encrypt a session."""
    def action(bed):
        with bed.smtp(service, banner=None if service == "smtps" else "220") as c:
            if service != "smtps":
                c.ehlo()
                c.cmd("STARTTLS", "220")
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                c.tls()
    return action


# ---- messages

def message(*recipients, service="smtp", sender=f"<{LOCAL}>", messages=1, user=None, left=0, body="Hello.\r\n"):
    def action(bed):
        with bed.smtp(service, tls=service == "smtps") as c:
            c.ehlo()
            if user:
                c.login("PLAIN", user, PASSWORD)
            for _ in range(messages):
                c.message(*recipients, sender=sender, body=body)
            c.quit()
        opensmtpd.wait_idle(bed, left)
    return action


def authenticated(*recipients, **how):
    return message(*recipients, service="smtps", user=USER, **how)


def tries(bed):
    return len(re.findall(" m[dt]a delivery ", opensmtpd.log(bed)))


def tried(*recipients, number=None, **how):
    """A message that is not delivered at the first try, and taken out of the queue then."""
    def action(bed):
        before = tries(bed)
        message(*recipients, left=len(recipients), **how)(bed)
        wait_until(lambda: tries(bed) - before >= (number or len(recipients)), "the tries", timeout=60)
        opensmtpd.forget(bed)
    return action


def then_forget(action):
    """After a failure the server leaves an address alone, unless it is told otherwise."""
    def act(bed):
        action(bed)
        opensmtpd.forget(bed)
    return act


def text(text_, want, recipient=LOCAL, service="smtp", helo="client.test", sender="<someone@client.test>"):
    def action(bed):
        with bed.smtp(service) as c:
            c.cmd(f"EHLO {helo}", "250")
            c.mail(sender)
            c.rcpt(recipient)
            c.cmd("DATA", "354")
            c.send(text_)
            c.cmd(".", want)
            c.quit()
        opensmtpd.wait_idle(bed)
    return action


def sendmail(*arguments, want=0):
    def action(bed):
        enter = bed.run("sh", "-c", f"sendmail {' '.join(arguments)}; echo status $?", text_in="Subject: test\n\nHello.\n")
        assert f"status {want}" in enter or want and "status 0" not in enter, enter
        opensmtpd.wait_idle(bed)
    return action


def notified(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.mail(f"<{LOCAL}>")
        c.cmd(f"RCPT TO:<bob@{DOMAIN}> NOTIFY=SUCCESS", "250")
        c.data()
        c.quit()
    opensmtpd.wait_idle(bed)


def crowd(bed):
    """40 sessions of 8 clients at once."""
    def session():
        with bed.smtp() as c:
            c.ehlo()
            c.message(f"bob@{DOMAIN}")
            c.quit()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(session) for _ in range(40)]:
            done.result()
    opensmtpd.wait_idle(bed)


def side_by_side(bed):
    """Sessions of one process that know nothing of each other."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(bed.smtp()) for _ in range(3)]
        for c in clients:
            c.ehlo()
        clients[0].mail()
        clients[1].cmd("RCPT TO:<alice@bed.test>", "503")
        clients[0].rcpt(LOCAL)
        clients[2].mail()
        clients[2].rcpt(f"missing@{DOMAIN}", "550")
        clients[0].data()
        for c in clients:
            c.quit()
    opensmtpd.wait_idle(bed)


def administration(bed):
    """Looking at the server, pausing and resuming it."""
    for command in ("show queue", "show stats", "show hosts", "show relays", "show routes", "show status", "show hoststats", "log verbose", "log brief",
                    "pause smtp", "resume smtp", "pause mda", "resume mda", "pause mta", "resume mta", "trace smtp", "untrace smtp", "encrypt secret", "schedule all",
                    "update table credentials", "resume route 1"):
        bed.run("smtpctl", *command.split())
    bed.run("smtpd", "-n")
    bed.run("sh", "-c", "mailq; sendmail -bi; newaliases; makemap -h", check=False)


def limit_files(pid, soft):
    """Only somebody with its own rights may do that to a process that has given up those of root."""
    with open(f"/proc/{pid}/status") as status:
        (uid,), (gid,) = (re.findall(rf"^{which}:\t(\d+)", text, re.MULTILINE) for text in [status.read()] for which in ("Uid", "Gid"))
    subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "prlimit", f"--pid={pid}", f"--nofile={soft}:"], check=True)


def crowded(bed):
    """The server may open no more files: it lets clients wait until another one has gone."""
    pid = opensmtpd.dispatcher(bed)
    with open(f"/proc/{pid}/limits") as limits:
        before = re.search(r"^Max open files +(\d+)", limits.read(), re.MULTILINE)[1]
    with bed.smtp() as first:
        first.ehlo()
        limit_files(pid, 6)  # five are kept; it cannot see how many it has open
        mark = len(opensmtpd.log(bed))
        with bed.smtp(banner=None) as second:
            wait_until(lambda: "Client limit reached" in opensmtpd.log(bed)[mark:], "the limit", timeout=60)
            limit_files(pid, before)
            first.quit()
            second.reply("220")
            second.ehlo()
            second.quit()


MACROS = {
    "CONNECTION": "smtp.connection-start smtp.connection-end smtp.iprev-fail",
    "SESSION": "CONNECTION smtp.ehlo smtp.quit",
    "HELLO": "CONNECTION smtp.ehlo",  # and no good-bye
    "TLS": "smtp.start-tls tls.handshake smtp.ehlo",
    "SECURE": "SESSION TLS",
    "AUTHENTICATED": "auth.attempt auth.passdb-lookup auth.success",
    "FAILED": "auth.attempt auth.passdb-lookup auth.failed",
    "W": "server.log-warning",
    "ENVELOPE": "smtp.mail-from smtp.rcpt-to",
    "TAKEN": "smtp.data smtp.message-accepted",
    "ATTEMPT": "delivery.attempt-start delivery.attempt-end",
    "DELIVERED": "ATTEMPT delivery.delivered",
    "RECEIVED": "SESSION ENVELOPE TAKEN queue.queue-message",
    "SUBMITTED": "SESSION tls.handshake AUTHENTICATED ENVELOPE TAKEN queue.queue-message-authenticated",
    "SENT": "delivery.connect delivery.mail-from delivery.rcpt-to",
    "BOUNCED": "delivery.failed delivery.dsn-perm-fail queue.queue-dsn DELIVERED",  # the notice comes to the sender
    "REFUSED": "SESSION smtp.mail-from smtp.rejected",
}
GARBAGE = b"no TLS at all, and long enough\r\n"

STEPS = table(MACROS, [
    # what the client does, how many times, with which action, what one time counts[, what the log says if it differs]
    ("EHLO, NOOP, RSET, QUIT", 3, exchange(("NOOP", "250"), ("RSET", "250"), ("HELP", "214")), "SESSION smtp.noop smtp.rset"),
    ("HELO", 2, talk(("HELO client.test", "250")), "SESSION"),
    ("small letters", 2, talk(("ehlo client.test", "250"), ("noop", "250"), ("mail from:<a@client.test>", "250"), (f"rcpt to:<{LOCAL}>", "250"), ("rset", "250")),
     "SESSION smtp.noop ENVELOPE smtp.rset"),
    ("name that leads back", 2, exchange(source=SOURCE), "smtp.connection-start smtp.connection-end smtp.iprev-pass smtp.ehlo smtp.quit"),
    ("name that leads elsewhere", 2, exchange(source=STRANGE_SOURCE), "SESSION"),
    ("unknown commands", 2, exchange(("NONSENSE", "500 5.5.1"), ("XYZZY a b", "500 5.5.1")), "SESSION 2*smtp.invalid-command"),
    ("known commands that do nothing", 2, exchange(("WIZ", "500")), "SESSION smtp.command-not-implemented"),
    ("STARTTLS and AUTH where they are not offered", 2, exchange(("STARTTLS", "503"), ("AUTH PLAIN AAAA", "503")),
     "SESSION 2*smtp.command-not-implemented"),
    ("malformed commands", 2, exchange(("RSET now", "500"), ("QUIT now", "500"), ("DATA now", "500")), "SESSION 3*smtp.syntax-error"),
    ("greeting without a name", 2, talk(("EHLO", "501"), ("HELO", "501")), "CONNECTION smtp.quit 2*smtp.syntax-error"),
    ("greeting with a bad name", 2, talk(("EHLO bad_name!", "501"), ("HELO bad name", "501")), "CONNECTION smtp.quit 2*smtp.invalid-ehlo"),
    ("greeting twice", 2, exchange(("EHLO client.test", "503"), ("HELO client.test", "503")), "SESSION"),
    ("commands before a greeting", 2, talk(("MAIL FROM:<>", "503"), ("RSET", "503"), ("STARTTLS", "503"), ("AUTH PLAIN", "503")),
     "CONNECTION smtp.quit 4*smtp.did-not-say-ehlo"),
    ("commands before a sender", 2, exchange((f"RCPT TO:<{LOCAL}>", "503"), ("DATA", "503")), "SESSION 2*smtp.mail-from-missing"),
    ("commands before a recipient", 2, exchange(("MAIL FROM:<>", "250"), ("DATA", "503")), "SESSION smtp.mail-from smtp.rcpt-to-missing"),
    ("two senders", 2, exchange(("MAIL FROM:<>", "250"), ("MAIL FROM:<>", "503")), "SESSION smtp.mail-from"),
    ("malformed sender", 2, exchange(("MAIL FROM:nobody", "553"), ("MAIL FROM:<a b@client.test>", "553")), "SESSION 2*smtp.invalid-sender-address"),
    ("malformed recipient", 2, exchange(("MAIL FROM:<>", "250"), ("RCPT TO:nobody", "501"), ("RCPT TO:<>", "501")),
     "SESSION smtp.mail-from 2*smtp.syntax-error"),
    ("unsupported parameters", 2, exchange(("MAIL FROM:<> NONSENSE=1", "503"), ("MAIL FROM:<>", "250"), (f"RCPT TO:<{LOCAL}> NONSENSE=1", "503")),
     "SESSION smtp.mail-from 2*smtp.unsupported-parameter"),
    ("malformed parameters", 2, exchange(("MAIL FROM:<>", "250"), (f"RCPT TO:<{LOCAL}> NOTIFY=NEVER,SUCCESS", "553"),
                                         (f"RCPT TO:<{LOCAL}> ORCPT=rfc822;<>+", "553")), "SESSION smtp.mail-from 2*smtp.syntax-error"),
    ("pipelining", 2, sent("NOOP\r\nNOOP\r\n", "500 5.5.1", closed=True), "HELLO smtp.error"),
    ("line that is too long", 2, sent("x" * 70000 + "\r\n", "500", closed=False), "HELLO smtp.error"),
    ("command that is too long", 2, sent("NOOP " + "x" * 5000 + "\r\n", "500", closed=True), "HELLO smtp.error"),
    ("gone at once", 2, lost(helo=False), "CONNECTION smtp.error"),
    ("gone after EHLO", 2, lost(), "HELLO smtp.error"),
    ("gone in DATA", 2, lost(*envelope(LOCAL), ("DATA", "354"), raw="Subject: never ends\r\n"), "HELLO ENVELOPE smtp.data smtp.error"),
    ("gone after the message", 2, then_forget(lost(*envelope(f"bob@{DOMAIN}"), ("DATA", "354"), ("Subject: test\r\n\r\n.", "250"))),
     "HELLO ENVELOPE TAKEN queue.queue-message DELIVERED"),
    ("gone after another sender", 2, lost(*envelope(f"bob@{DOMAIN}"), ("DATA", "354"), ("Subject: test\r\n\r\n.", "250"), ("MAIL FROM:<>", "250")),
     "HELLO ENVELOPE TAKEN queue.queue-message DELIVERED smtp.mail-from smtp.error", "0*smtp.error"),

    ("recipient that does not exist", 3, refused(f"missing@{DOMAIN}", "550"), "REFUSED smtp.mailbox-does-not-exist"),
    ("virtual recipient that does not exist", 2, refused("dave@virtual.test", "524"), "REFUSED smtp.mailbox-does-not-exist"),
    ("recipient elsewhere", 3, refused("someone@elsewhere.test", "550"), "REFUSED smtp.relay-not-allowed"),
    ("recipient refused by a rule", 2, refused(f"denied@{DOMAIN}", "550"), "REFUSED smtp.rcpt-to-rejected"),
    ("recipient refused by an alias", 2, refused(f"refused@{DOMAIN}", "550 5.7.1"), "REFUSED smtp.rcpt-to-rejected"),
    ("recipient put off by an alias", 2, refused(f"later@{DOMAIN}", "450 4.7.1"), "REFUSED smtp.rcpt-to-rejected"),
    ("too many recipients", 2, then_forget(exchange(("MAIL FROM:<>", "250"), *[(f"RCPT TO:<{LOCAL}>", "250")] * 3, (f"RCPT TO:<{LOCAL}>", "451"))),
     "SESSION smtp.mail-from 3*smtp.rcpt-to smtp.too-many-recipients"),
    ("too many messages", 2, then_forget(exchange(*[*envelope(f"bob@{DOMAIN}"), ("DATA", "354"), ("Subject: test\r\n\r\n.", "250")] * 3, ("MAIL FROM:<>", "452"))),
     "SESSION 3*ENVELOPE 3*TAKEN 3*queue.queue-message 3*DELIVERED smtp.too-many-messages"),
    ("too large", 2, text("x" * 70 + ("\r\n" + "x" * 70) * 400 + "\r\n", "554 5.3.4"), "SESSION ENVELOPE smtp.data smtp.message-too-large"),
    ("too many hops", 2, text("Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n" * 110 + "Subject: test\r\n\r\n", "500"),
     "SESSION ENVELOPE smtp.data smtp.loop-detected W"),
    ("message that is none", 2, text(" begins badly\r\n\r\n", "550"), "SESSION ENVELOPE smtp.data smtp.message-parse-failed"),

    ("filter refuses the connection", 2, refused_at_once("550 5.7.1")("refuse-connect"), "CONNECTION smtp.rejected smtp.quit"),
    ("filter ends the connection", 2, dropped("drop-connect", "421 4.7.0"), "CONNECTION smtp.rejected"),
    ("filter refuses the greeting", 2, talk(("EHLO denied.test", "550 5.7.1"), service="refuse-helo"), "CONNECTION smtp.rejected smtp.quit"),
    ("filter refuses the sender", 2, exchange(("MAIL FROM:<denied@client.test>", "550 5.7.1"), service="refuse-mail"), "SESSION smtp.rejected"),
    ("filter puts the recipient off", 2, exchange(*envelope(f"denied@{DOMAIN}", "450 4.7.1"), service="refuse-rcpt"), "REFUSED smtp.rcpt-to-rejected"),
    ("filter refuses DATA", 2, talk(("EHLO denied.test", "250"), *envelope(LOCAL), ("DATA", "550 5.7.1"), service="refuse-data"),
     "SESSION ENVELOPE smtp.rejected"),
    ("filter refuses the message", 2, text("Subject: test\r\n\r\n", "550 5.7.1", service="refuse-commit", helo="denied.test"),
     "SESSION ENVELOPE smtp.data smtp.rejected"),
    ("filter marks the message", 2, message(f"bob@{DOMAIN}", service="junk", sender="<junk@client.test>"), "RECEIVED DELIVERED"),
    ("filter lets the message through", 2, message(f"bob@{DOMAIN}", service="refuse-rcpt"), "RECEIVED DELIVERED"),

    ("message, mbox", 3, message(LOCAL), "RECEIVED DELIVERED"),
    ("message, maildir", 2, message(f"bob@{DOMAIN}"), "RECEIVED DELIVERED"),
    ("message, LMTP", 2, message(f"lmtp@{DOMAIN}"), "RECEIVED DELIVERED"),
    ("message, command", 2, message("a@ok.mda.test"), "RECEIVED DELIVERED"),
    ("message, virtual", 2, message("carol@virtual.test"), "RECEIVED DELIVERED"),
    ("message, two by an alias", 2, message(f"both@{DOMAIN}"), "RECEIVED 2*DELIVERED"),
    ("three recipients", 2, message(LOCAL, f"bob@{DOMAIN}", "a@ok.mda.test"), "RECEIVED 2*smtp.rcpt-to 3*DELIVERED"),
    ("two messages in a session", 2, message(f"bob@{DOMAIN}", messages=2), "SESSION 2*ENVELOPE 2*TAKEN 2*queue.queue-message 2*DELIVERED"),
    ("command puts the message off", 2, tried("a@later.mda.test"), "RECEIVED ATTEMPT delivery.deferred"),
    ("command that is killed", 2, tried("a@killed.mda.test"), "RECEIVED ATTEMPT delivery.deferred"),
    ("command refuses the message", 2, message("a@never.mda.test"), "RECEIVED ATTEMPT BOUNCED"),
    ("message that was here before", 2, text(f"Delivered-To: {LOCAL}\r\nSubject: test\r\n\r\n", "250", sender=f"<{LOCAL}>"),
     "RECEIVED ATTEMPT delivery.failed delivery.dsn-temp-fail queue.queue-dsn DELIVERED"),  # the notice calls it late
    ("notice to a sender that may not be", 2, text(f"Delivered-To: {LOCAL}\r\nSubject: test\r\n\r\n", "250"), "RECEIVED ATTEMPT delivery.failed W"),
    ("message of a local program", 3, sendmail("-f", LOCAL, LOCAL), "queue.local-submission DELIVERED"),
    ("message of a local program without a sender", 2, sendmail("-f", "''", LOCAL), "queue.local-submission DELIVERED", "queue.queue-dsn 0*queue.local-submission"),
    ("local program names nobody", 2, sendmail("-f", LOCAL, f"missing@{DOMAIN}", want=1), ""),
    ("delivery notified", 2, notified, "RECEIVED DELIVERED delivery.dsn-success queue.queue-dsn DELIVERED"),

    ("next host", 1, message("someone@sink1.test"), "RECEIVED SENT DELIVERED"),
    ("next host once more", 1, message("someone@sink1.test"), "RECEIVED SENT DELIVERED"),
    ("next host, three recipients", 1, message("a@sink2.test", "b@sink2.test", "c@sink2.test"),
     "RECEIVED 2*smtp.rcpt-to SENT 2*delivery.rcpt-to ATTEMPT 3*delivery.delivered"),
    ("refused by the next host", 1, message("refuse@sink3.test"), "RECEIVED SENT ATTEMPT delivery.rcpt-to-rejected BOUNCED"),
    ("notice refused by the next host", 1, message("refuse@sink4.test", sender="<>"),
     "RECEIVED SENT ATTEMPT delivery.rcpt-to-rejected delivery.failed delivery.double-bounce W"),
    ("put off by the next host", 1, tried("later@sink5.test"), "RECEIVED SENT ATTEMPT delivery.rcpt-to-rejected delivery.deferred"),
    ("next host refuses the sender", 1, message("a@sink6.test", sender=f"<{USER}+unwanted@{DOMAIN}>"),
     "RECEIVED delivery.connect delivery.mail-from ATTEMPT delivery.mail-from-rejected BOUNCED"),
    ("next host refuses DATA", 1, message("nodata@sink7.test"), "RECEIVED SENT ATTEMPT delivery.message-rejected BOUNCED"),
    ("next host refuses the message", 1, message("spam@sink8.test"), "RECEIVED SENT ATTEMPT delivery.message-rejected BOUNCED"),
    ("next host hangs up", 1, tried("drop@sink9.test"), "RECEIVED SENT ATTEMPT delivery.deferred"),
    ("next host is down", 1, tried("someone@down.test"), "RECEIVED delivery.connect-error delivery.deferred"),
    ("next host refuses to talk", 1, tried("someone@rude.test"), "RECEIVED delivery.connect delivery.greeting-failed delivery.deferred"),
    ("next host refuses the greeting", 1, tried("someone@deaf.test"), "RECEIVED delivery.connect delivery.ehlo-rejected delivery.deferred"),
    ("next host, STARTTLS refused, plain text will do", 1, message("someone@perhaps-tls.test"), "RECEIVED SENT delivery.start-tls-error DELIVERED"),
    ("next host, STARTTLS refused", 1, tried("someone@refused-tls.test"), "RECEIVED delivery.connect delivery.start-tls-error delivery.deferred"),
    ("next host, STARTTLS, then garbage", 1, tried("someone@broken-tls.test"), "RECEIVED delivery.connect delivery.start-tls-error delivery.deferred"),
    ("next host, STARTTLS, then garbage, plain text will do", 1, message("someone@downgraded.test"),
     "RECEIVED 2*delivery.connect delivery.mail-from delivery.rcpt-to delivery.start-tls-error DELIVERED"),
    ("next host without the STARTTLS that is a must", 1, tried("someone@plain.test"), "RECEIVED delivery.connect delivery.start-tls-unavailable delivery.deferred"),
    ("next host without the TLS that is a must", 1, tried("someone@no-implicit-tls.test"), "RECEIVED delivery.connect delivery.implicit-tls-error delivery.deferred"),
    ("next host, STARTTLS", 1, message("someone@tls.test"), "RECEIVED SENT delivery.start-tls DELIVERED"),
    ("next host, TLS at once", 1, message("someone@implicit-tls.test"), "RECEIVED SENT DELIVERED"),
    ("next host, login", 1, message("someone@auth.test"), "RECEIVED SENT delivery.start-tls delivery.auth DELIVERED"),
    ("next host, login refused", 1, tried("someone@wrong-auth.test"), "RECEIVED delivery.connect delivery.start-tls delivery.auth-failed delivery.deferred"),
    ("next host, TLS at once, certificate disliked", 1, tried("someone@untrusted-implicit-tls.test"),
     "RECEIVED delivery.connect delivery.implicit-tls-error delivery.deferred"),
    ("next host by LMTP", 1, message("someone@lmtp.test"), "RECEIVED SENT DELIVERED"),
    ("next host by MX", 1, message("someone@mx.test"), "RECEIVED SENT DELIVERED"),
    ("next host without MX", 1, message("someone@no-mx.test"), "RECEIVED SENT DELIVERED"),
    ("domain that does not exist", 1, message("someone@no-such.test"), "RECEIVED delivery.mx-lookup-failed BOUNCED"),
    ("MX without address", 1, tried("someone@lost-mx.test"), "RECEIVED delivery.mx-lookup-failed delivery.deferred"),

    ("next host without address", 1, tried("someone@lost.test"), "RECEIVED delivery.ip-lookup-failed delivery.deferred"),
    ("more clients than files", 2, crowded, "2*SESSION limit.concurrent-connection 2*W"),

    ("sessions side by side", 2, side_by_side, "3*SESSION ENVELOPE TAKEN queue.queue-message DELIVERED smtp.mail-from-missing smtp.mail-from "
     "smtp.mailbox-does-not-exist smtp.rejected"),
    ("administration", 1, administration, ""),
    ("many clients at once", 1, crowd, "40*RECEIVED 40*DELIVERED"),
])

# Where the server can encrypt.
TLS_STEPS = table(MACROS, [
    ("STARTTLS", 3, exchange(service="starttls", tls=True), "SECURE"),
    ("TLS at once", 2, exchange(service="smtps"), "SESSION tls.handshake"),
    ("STARTTLS twice", 2, exchange(("STARTTLS", "503"), service="starttls", tls=True), "SECURE smtp.start-tls-already"),
    ("STARTTLS with an argument", 2, exchange(("STARTTLS now", "501"), service="starttls"), "SESSION smtp.syntax-error"),
    ("STARTTLS, then garbage", 2, tls_broken("starttls", GARBAGE), "HELLO smtp.start-tls tls.handshake-error smtp.error"),
    ("STARTTLS, then gone", 2, tls_broken("starttls", None), "HELLO smtp.start-tls tls.handshake-error smtp.error"),
    ("STARTTLS, certificate disliked", 2, tls_broken("starttls", "alert"), "HELLO smtp.start-tls tls.handshake-error smtp.error"),
    ("TLS port, plain text", 2, tls_broken("smtps", b"EHLO client.test\r\n"), "CONNECTION tls.handshake-error smtp.error"),
    ("TLS port, gone", 2, tls_broken("smtps", None), "CONNECTION tls.handshake-error smtp.error"),
    ("TLS port, certificate disliked", 2, tls_broken("smtps", "alert"), "CONNECTION tls.handshake-error smtp.error"),
    ("sender before the STARTTLS that is a must", 2, exchange(("MAIL FROM:<>", "530"), service="tls-required"), "SESSION smtp.tls-required"),
    ("sender before the login that is a must", 2, exchange(("MAIL FROM:<>", "530"), service="submission", tls=True), "SECURE smtp.mail-from-unauthenticated"),
    ("command before the second greeting", 2, no_second_greeting, "HELLO smtp.quit smtp.start-tls tls.handshake smtp.did-not-say-ehlo"),

    ("PLAIN at once", 3, login("submission", "PLAIN"), "SECURE AUTHENTICATED"),
    ("PLAIN when asked", 2, login("submission", "PLAIN-334"), "SECURE AUTHENTICATED"),
    ("LOGIN", 2, login("submission", "LOGIN"), "SECURE AUTHENTICATED"),
    ("LOGIN over TLS", 2, login("smtps", "LOGIN"), "SESSION tls.handshake AUTHENTICATED"),
    ("PLAIN of a system user", 2, login("pam", "PLAIN", SYSTEM_USER, SYSTEM_PASSWORD), "SECURE AUTHENTICATED"),
    ("PLAIN, wrong password", 3, login("submission", "PLAIN", password="wrong", want="535"), "SECURE FAILED"),
    ("LOGIN, wrong password", 2, login("submission", "LOGIN", password="wrong", want="535"), "SECURE FAILED"),
    ("PLAIN, unknown user", 2, login("submission", "PLAIN", user="nobody", want="535"), "SECURE FAILED"),
    ("LOGIN of a system user, wrong password", 2, login("pam", "LOGIN", SYSTEM_USER, "wrong", "535"), "SECURE FAILED"),
    ("two wrong passwords, then the right one", 2, second_thoughts, "SECURE 2*FAILED AUTHENTICATED"),
    ("PLAIN, cannot be checked", 2, login("no-table", "PLAIN", "other", want="421"), "SECURE auth.attempt auth.passdb-lookup auth.error W"),
    ("PLAIN aborted", 2, exchange(("AUTH PLAIN", "334"), ("*", "501"), service="submission", tls=True), "SECURE auth.attempt auth.error auth.sasl-aborted"),
    ("LOGIN aborted", 2, exchange(("AUTH LOGIN", "334"), ("*", "501"), service="submission", tls=True), "SECURE auth.attempt auth.error auth.sasl-aborted"),
    ("LOGIN aborted at the password", 2, exchange(("AUTH LOGIN", "334"), (b64(USER), "334"), ("*", "501"), service="submission", tls=True),
     "SECURE auth.attempt auth.error auth.sasl-aborted"),
    ("PLAIN, not base64", 2, exchange(("AUTH PLAIN ***", "501"), service="submission", tls=True), "SECURE auth.attempt auth.error"),
    ("LOGIN, not base64", 2, exchange(("AUTH LOGIN ***", "501"), service="submission", tls=True), "SECURE auth.attempt auth.error"),
    ("unknown mechanism", 2, exchange(("AUTH X-NONE", "504"), service="submission", tls=True),
     "SECURE auth.attempt auth.error smtp.auth-mechanism-not-supported"),
    ("AUTH without mechanism", 2, exchange(("AUTH", "501"), service="submission", tls=True), "SECURE smtp.syntax-error"),
    ("gone in a login", 2, lost_in_login, "CONNECTION TLS smtp.ehlo auth.attempt smtp.error"),
    ("authenticated message", 3, authenticated(f"bob@{DOMAIN}"), "SUBMITTED DELIVERED"),
    ("two authenticated messages in a session", 2, authenticated(f"bob@{DOMAIN}", messages=2),
     "SESSION tls.handshake AUTHENTICATED 2*ENVELOPE 2*TAKEN 2*queue.queue-message-authenticated 2*DELIVERED"),
    ("message over TLS without login", 2, message(f"bob@{DOMAIN}", service="smtps"), "RECEIVED tls.handshake DELIVERED"),
    ("sender of another login", 2, lambda bed: senders(bed, f"<boss@{DOMAIN}>", "530"), "SECURE AUTHENTICATED smtp.mail-from-unauthorized smtp.rejected"),
    ("sender of this login", 2, lambda bed: senders(bed, f"<{LOCAL}>", "250"), "SECURE AUTHENTICATED smtp.mail-from"),

    ("message that gets too old", 1, message("someone@expired.test"),
     "RECEIVED delivery.connect-error delivery.deferred BOUNCED"),
    ("domain that takes no mail", 1, message("someone@null-mx.test"), "RECEIVED delivery.null-mx BOUNCED"),
    ("next host, certificate disliked", 1, tried("someone@untrusted-tls.test"), "RECEIVED delivery.connect delivery.start-tls-error delivery.deferred"),
])

# Where it cannot: the handshake fails, whoever asks for it.
NO_TLS_STEPS = table(MACROS, [
    ("STARTTLS", 2, tls_impossible("starttls"), "HELLO smtp.start-tls tls.handshake-error smtp.error"),
    ("TLS port", 2, tls_impossible("smtps"), "CONNECTION tls.handshake-error smtp.error"),
    ("STARTTLS, then gone", 2, tls_broken("starttls", None), "HELLO smtp.start-tls tls.handshake-error smtp.error"),
    ("message that gets too old", 1, message("someone@expired.test"),
     "RECEIVED delivery.connect-error delivery.deferred delivery.failed delivery.dsn-temp-fail queue.queue-dsn DELIVERED"),  # the notice calls it late
    ("next host, certificate disliked", 1, tried("someone@untrusted-tls.test"),
     "RECEIVED delivery.connect delivery.start-tls delivery.start-tls-error delivery.deferred"),
    ("domain that takes no mail", 1, tried("someone@null-mx.test"), "RECEIVED delivery.mx-lookup-failed delivery.deferred"),
])


def senders(bed, sender, want):
    with bed.smtp("senders") as c:
        c.ehlo()
        c.starttls()
        c.login("PLAIN", USER, PASSWORD)
        c.mail(sender, want)
        c.quit()
