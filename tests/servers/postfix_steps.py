# SPDX-License-Identifier: Apache-2.0
"""What clients do to Postfix, and the events of it."""
import concurrent.futures
import contextlib
import ssl

import pytest

from beds import clients, dovecot, postfix
from beds.postfix import DOMAIN, PASSWORD, USER
from steps import table

LOCAL = f"alice@{DOMAIN}"


# ---- logins

def login(service, mechanism, user=USER, password=PASSWORD, want="235", tls=False):
    def action(bed):
        with bed.smtp(service, tls=service == "smtps") as c:
            c.ehlo()
            if tls:
                c.starttls()
            c.login(mechanism, user, password, want)
            c.quit()
    return action


def wrong(service, mechanism, tls=False):
    return login(service, mechanism, password="wrong", want="535 5.7.8", tls=tls)


def second_thoughts(bed):
    """Two wrong passwords and a right one in one session."""
    with bed.smtp("submission") as c:
        c.ehlo()
        c.login("PLAIN", USER, "wrong", "535")
        c.login("LOGIN", USER, "wrong too", "535")
        c.login("LOGIN", USER, PASSWORD)
        c.quit()


def exchange(*lines, service="submission"):
    """lines: pairs of what is sent and the beginning of the reply."""
    def action(bed):
        with bed.smtp(service) as c:
            c.ehlo()
            for text, want in lines:
                c.cmd(text, want)
            c.quit()
    return action


def nobody_serves(bed):
    """The socket of the backend does not exist: the server gives up before its banner."""
    with bed.smtp("submission-dead", banner=None) as c:
        c.closed()


def backend_stops(bed):
    """The backend is gone when the client logs in."""
    with bed.smtp("submission-dovecot") as c:
        c.ehlo()
        dovecot.kill(bed)
        try:
            c.login("PLAIN", USER, PASSWORD, "454 4.7.0")
        finally:
            dovecot.start(bed)
        c.quit()


# ---- recipients and limits

def refused(recipient, want, service="smtp", times=1, end=None):
    def action(bed):
        with bed.smtp(service) as c:
            c.ehlo()
            c.mail()
            for _ in range(times):
                c.rcpt(recipient, want)
            if end:
                c.cmd(*end)
            c.quit()
    return action


def greylisted(bed):
    """Put off at first, taken at the second try."""
    source = bed.source()
    for want in ("450 4.2.0", "250"):
        with bed.smtp("greylisting", source) as c:
            c.ehlo()
            c.mail(f"<{source}@client.test>")
            c.rcpt(f"alice+grey@{DOMAIN}", want)
            c.quit()


def too_big_in_data(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        c.rcpt(LOCAL)
        c.data("x" * 70 * 1000 + "\r\n", "552 5.3.4")
        c.quit()


def too_many_recipients(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        for number in range(5):
            c.rcpt(f"alice+{number}@{DOMAIN}", "250" if number < 3 else "452 4.5.3")
        c.data()
        c.quit()


def connection_rate(bed):
    source = bed.source()
    for _ in range(2):
        with bed.smtp("limit-connections", source) as c:
            c.ehlo()
            c.quit()
    with bed.smtp("limit-connections", source, banner="421 4.7.0") as c:
        c.closed()


def concurrency(bed):
    source = bed.source()
    with bed.smtp("limit-concurrency", source) as first, bed.smtp("limit-concurrency", source) as second:
        with bed.smtp("limit-concurrency", source, banner="421 4.7.0") as third:
            third.closed()
        for c in (first, second):
            c.ehlo()
            c.quit()


def message_rate(bed):
    with bed.smtp("limit-messages") as c:
        c.ehlo()
        for want in ("250", "250", "450 4.7.1"):
            c.mail(want=want)
            c.cmd("RSET", "250")
        c.quit()


def recipient_rate(bed):
    with bed.smtp("limit-recipients") as c:
        c.ehlo()
        c.mail()
        for want in ("250", "250", "450 4.7.1"):
            c.rcpt(LOCAL, want)
        c.quit()


def auth_rate(bed):
    with bed.smtp("limit-auth") as c:
        c.ehlo()
        c.login("PLAIN", USER, "wrong", "535")
        c.login("PLAIN", USER, "wrong", "535")
        c.login("PLAIN", USER, PASSWORD, "450 4.7.1")
        c.quit()


def tls_rate(bed):
    source = bed.source()
    for _ in range(2):
        with bed.smtp("limit-tls", source) as c:
            c.ehlo()
            c.starttls()
            c.quit()
    with bed.smtp("limit-tls", source) as c:
        c.ehlo()
        c.cmd("STARTTLS", "220 2.0.0")
        c.tls()
        c.reply("421 4.7.0")
        c.closed()


# ---- sessions that go wrong

def tls_session(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.starttls()
        c.quit()


def tls_broken(service, how):
    """how: what the client sends instead of TLS, or None to close, or "alert" to dislike the certificate."""
    def action(bed):
        with bed.smtp(service, banner=None if service == "smtps" else "220") as c:
            if service != "smtps":
                c.ehlo()
                c.cmd("STARTTLS", "220 2.0.0")
            if how == "alert":
                context = ssl.create_default_context()
                context.check_hostname = False
                context.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 would let the server finish first
                with pytest.raises(ssl.SSLError):
                    c.sock = context.wrap_socket(c.sock)
            elif how:
                c.send(how)
                with contextlib.suppress(ConnectionResetError):
                    while c.sock.recv(4096):  # perhaps an alert, then the end
                        pass
    return action


def too_many_errors(bed):
    with bed.smtp("strict") as c:
        c.ehlo()
        for _ in range(4):
            c.cmd("NONSENSE", "500 5.5.2")
        c.reply("421 4.7.0")
        c.closed()


def lost_at_once(bed):
    bed.smtp().drop()


def lost_after_ehlo(bed):
    with bed.smtp() as c:
        c.ehlo()


def lost_in_data(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        c.rcpt(LOCAL)
        c.cmd("DATA", "354")
        c.send("Subject: never ends\r\n\r\n")


def lost_after_message(bed):
    """No QUIT, but nothing was lost."""
    with bed.smtp() as c:
        c.ehlo()
        c.message(LOCAL)


def timeout(bed):
    with bed.smtp("impatient") as c:
        c.ehlo()
        c.reply("421 4.4.2")
        c.closed()


def pipelining(bed):
    """Commands sent before the answer to EHLO: noted, and the session goes on."""
    with bed.smtp() as c:
        c.send("EHLO client.test\r\nNOOP\r\n")
        c.reply("250")
        c.reply("250")
        c.quit()


def pipelining_forbidden(bed):
    with bed.smtp("no-pipelining") as c:
        c.send("EHLO client.test\r\nNOOP\r\n")
        c.reply("554 5.5.0")
        c.closed()


def http(bed):
    with bed.smtp() as c:
        c.cmd("GET / HTTP/1.0", "221 2.7.0")
        c.closed()


# ---- messages

def message(*recipients, service="smtp", sender="<someone@client.test>", source=None, messages=1, user=None):
    def action(bed):
        with bed.smtp(service, source) as c:
            c.ehlo()
            if user:
                c.login("PLAIN", user, PASSWORD)
            for _ in range(messages):
                c.message(*recipients, sender=sender)
            c.quit()
        postfix.wait_idle(bed)
    return action


def authenticated(*recipients, **how):
    return message(*recipients, service="submission", user=USER, sender=f"<{LOCAL}>", **how)


def deferred(*recipients, tries=1):
    def action(bed):
        authenticated(*recipients)(bed)
        for _ in range(tries - 1):
            postfix.flush(bed)
        postfix.forget_deferred(bed)
    return action


def changed_mind(service, user=None):
    """A message that is begun, and given up before it is there."""
    def action(bed):
        with bed.smtp(service) as c:
            c.ehlo()
            if user:
                c.login("PLAIN", user, PASSWORD)
            c.mail()
            c.rcpt(LOCAL)
            c.cmd("RSET", "250")
            c.quit()
    return action


def sendmail(bed):
    bed.run("sendmail", "-f", LOCAL, LOCAL, text_in="Subject: test\n\nHello.\n")
    postfix.wait_idle(bed)


def reload_in_session(bed):
    """The running session ends as it began; its successors are new processes."""
    with bed.smtp("submission") as c:
        c.ehlo()
        postfix.reload(bed)
        c.login("PLAIN", USER, PASSWORD)
        c.message(LOCAL)
        c.quit()
    authenticated(LOCAL)(bed)


def crowd(bed):
    """40 sessions of 8 clients at once."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(authenticated(LOCAL), bed) for _ in range(40)]:
            done.result()


MACROS = {
    "SESSION": "smtp.connection-start smtp.connection-end",
    "TLS": "smtp.start-tls tls.handshake",
    "ENVELOPE": "smtp.mail-from smtp.rcpt-to",
    "ATTEMPT": "delivery.attempt-start delivery.attempt-end",
    "DELIVERED": "ATTEMPT delivery.delivered",
    "RECEIVED": "SESSION ENVELOPE queue.queue-message",
    "SUBMITTED": "SESSION auth.success ENVELOPE queue.queue-message-authenticated",
    "BOUNCED": "delivery.failed queue.queue-dsn delivery.dsn-perm-fail DELIVERED",  # the DSN comes to the sender
    "DEFERRED": "delivery.deferred queue.rescheduled",
}

STEPS = table(MACROS, [
    # what the client does, how many times, with which action, what one time counts[, what the log says if it differs]
    ("PLAIN at once", 3, login("submission", "PLAIN"), "SESSION auth.success"),
    ("PLAIN when asked, no chroot", 2, login("submission-no-chroot", "PLAIN-334"), "SESSION auth.success"),
    ("LOGIN", 2, login("submission", "LOGIN"), "SESSION auth.success"),
    ("LOGIN by Dovecot", 2, login("submission-dovecot", "LOGIN"), "SESSION auth.success dovecot:auth.success"),
    ("PLAIN by Dovecot, no chroot", 2, login("submission-dovecot-no-chroot", "PLAIN"), "SESSION auth.success dovecot:auth.success"),
    ("PLAIN after STARTTLS", 2, login("submission", "PLAIN", tls=True), "SESSION TLS auth.success"),
    ("LOGIN by Dovecot after STARTTLS", 2, login("submission-tls-only", "LOGIN", tls=True),
     "SESSION TLS auth.success dovecot:auth.success"),
    ("LOGIN over TLS", 2, login("smtps", "LOGIN"), "SESSION tls.handshake auth.success dovecot:auth.success"),
    ("PLAIN, wrong password", 3, wrong("submission", "PLAIN"), "SESSION auth.failed"),
    ("LOGIN, wrong password, no chroot", 2, wrong("submission-no-chroot", "LOGIN"), "SESSION auth.failed"),
    ("LOGIN by Dovecot, wrong password", 2, wrong("submission-dovecot", "LOGIN"), "SESSION auth.failed dovecot:auth.failed"),
    ("PLAIN by Dovecot over TLS, wrong password", 2, wrong("smtps", "PLAIN"), "SESSION tls.handshake auth.failed dovecot:auth.failed"),
    ("PLAIN, unknown user", 2, login("submission", "PLAIN", user="nobody", want="535 5.7.8"), "SESSION auth.failed"),
    ("PLAIN by Dovecot, unknown user", 2, login("submission-dovecot", "PLAIN", user=f"nobody@{DOMAIN}", want="535 5.7.8"),
     "SESSION auth.failed dovecot:auth.failed"),
    ("two wrong passwords, then the right one", 2, second_thoughts, "SESSION 2*auth.failed auth.success"),
    ("LOGIN aborted", 2, exchange(("AUTH LOGIN", "334"), ("*", "501 5.7.0")), "SESSION auth.error", "0*auth.error"),
    ("LOGIN aborted at the password", 1, exchange(("AUTH LOGIN", "334"), (clients.b64(USER), "334"), ("*", "501 5.7.0")),
     "SESSION auth.error", "0*auth.error"),
    ("PLAIN aborted, no chroot", 2, exchange(("AUTH PLAIN", "334"), ("*", "501 5.7.0"), service="submission-no-chroot"),
     "SESSION auth.error", "0*auth.error"),
    ("not base64", 1, exchange(("AUTH PLAIN ***", "535 5.7.8")), "SESSION auth.error", "auth.failed 0*auth.error"),
    ("not base64 by Dovecot", 1, exchange(("AUTH PLAIN ***", "535 5.7.8"), service="submission-dovecot"),
     "SESSION auth.error", "auth.failed 0*auth.error"),
    ("unknown mechanism", 1, exchange(("AUTH X-NONE", "535 5.7.8")), "SESSION auth.error", "auth.failed 0*auth.error"),
    ("unknown mechanism by Dovecot", 1, exchange(("AUTH X-NONE", "535 5.7.8"), service="submission-dovecot"),
     "SESSION auth.error", "auth.failed 0*auth.error"),
    ("Dovecot's own backend is broken", 2, login("submission-dovecot", "PLAIN", user=dovecot.BROKEN_USER, want="535 5.7.8"),
     "SESSION auth.failed dovecot:auth.error"),
    ("AUTH where none is offered", 2, exchange(("AUTH PLAIN AAAA", "503 5.5.1"), service="smtp"), "SESSION"),
    ("AUTH before STARTTLS", 2, exchange(("AUTH PLAIN AAAA", "530 5.7.0"), service="submission-tls-only"), "SESSION"),
    ("AUTH without mechanism", 1, exchange(("AUTH", "501 5.5.4")), "SESSION"),
    ("backend that nobody serves", 2, nobody_serves, "SESSION auth.error", "0*smtp.connection-end"),

    ("EHLO, NOOP, RSET, VRFY, QUIT", 3, exchange(("NOOP", "250"), ("RSET", "250"), (f"VRFY {LOCAL}", "252"), service="smtp"), "SESSION"),
    ("unknown recipient", 2, refused(f"missing@{DOMAIN}", "550 5.1.1", times=2), "SESSION smtp.mail-from 2*smtp.mailbox-does-not-exist"),
    ("relay attempt, put off as Debian does", 2, refused("someone@elsewhere.test", "454 4.7.1"),
     "SESSION smtp.mail-from smtp.relay-not-allowed"),
    ("relay attempt, refused", 2, refused("someone@elsewhere.test", "554 5.7.1", service="no-relay"),
     "SESSION smtp.mail-from smtp.relay-not-allowed"),
    ("DATA without recipients", 1, refused(f"missing@{DOMAIN}", "550 5.1.1", end=("DATA", "554 5.5.1")),
     "SESSION smtp.mail-from smtp.mailbox-does-not-exist"),
    ("greylisted by a reply of the policy", 2, greylisted, "2*SESSION 2*smtp.mail-from smtp.rcpt-to-greylisted smtp.rcpt-to"),
    ("greylisted by DEFER_IF_PERMIT", 2, refused(f"alice+defer@{DOMAIN}", "450 4.7.1", service="greylisting"),
     "SESSION smtp.mail-from smtp.rcpt-to-greylisted"),
    ("too large by SIZE=", 2, exchange(("MAIL FROM:<someone@client.test> SIZE=30000", "552 5.3.4"), service="smtp"),
     "SESSION smtp.message-too-large"),
    ("too large in DATA", 2, too_big_in_data, "SESSION ENVELOPE smtp.message-too-large"),
    ("too many recipients", 2, too_many_recipients,
     "SESSION smtp.mail-from 3*smtp.rcpt-to 2*smtp.too-many-recipients queue.queue-message 3*DELIVERED",
     "5*smtp.rcpt-to 0*smtp.too-many-recipients"),
    ("connection rate", 2, connection_rate, "3*SESSION smtp.rate-limit-exceeded"),
    ("connection concurrency", 2, concurrency, "3*SESSION smtp.concurrency-limit-exceeded"),
    ("message rate", 2, message_rate, "SESSION 2*smtp.mail-from smtp.rate-limit-exceeded"),
    ("recipient rate", 2, recipient_rate, "SESSION smtp.mail-from 2*smtp.rcpt-to smtp.rate-limit-exceeded"),
    ("AUTH rate", 1, auth_rate, "SESSION 2*auth.failed smtp.rate-limit-exceeded"),
    ("TLS session rate", 1, tls_rate, "3*SESSION 3*TLS smtp.rate-limit-exceeded", "2*smtp.start-tls"),

    ("STARTTLS", 3, tls_session, "SESSION TLS"),
    ("STARTTLS, then garbage", 2, tls_broken("smtp", b"no TLS at all, and long enough\r\n"),
     "SESSION smtp.start-tls tls.handshake-error smtp.error", "0*smtp.start-tls"),
    ("STARTTLS, then gone", 2, tls_broken("smtp", None),
     "SESSION smtp.start-tls tls.handshake-error smtp.error", "0*smtp.start-tls"),
    ("STARTTLS, certificate disliked", 2, tls_broken("smtp", "alert"),
     "SESSION smtp.start-tls tls.handshake-error smtp.error", "0*smtp.start-tls"),
    ("TLS port, plain text", 2, tls_broken("smtps", b"EHLO client.test\r\n"), "SESSION tls.handshake-error smtp.error"),
    ("TLS port, gone", 2, tls_broken("smtps", None), "SESSION tls.handshake-error smtp.error"),
    ("TLS port, certificate disliked", 1, tls_broken("smtps", "alert"), "SESSION tls.handshake-error smtp.error"),
    ("too many errors", 2, too_many_errors, "SESSION 4*smtp.invalid-command smtp.error"),
    ("gone at once", 2, lost_at_once, "SESSION smtp.error"),
    ("gone after EHLO", 2, lost_after_ehlo, "SESSION smtp.error"),
    ("gone in DATA", 2, lost_in_data, "SESSION ENVELOPE smtp.error"),
    ("gone after the message", 2, lost_after_message, "RECEIVED DELIVERED"),
    ("timeout", 1, timeout, "SESSION smtp.error"),
    ("pipelining", 2, pipelining, "SESSION smtp.error"),
    ("pipelining where it is forbidden", 2, pipelining_forbidden, "SESSION smtp.error"),
    ("HTTP", 2, http, "SESSION smtp.error", "smtp.invalid-command"),
    ("unknown commands", 2, exchange(("NONSENSE", "500 5.5.2"), ("XYZZY a b", "500 5.5.2"), service="smtp"), "SESSION 2*smtp.invalid-command"),

    ("unauthenticated message", 3, message(LOCAL), "RECEIVED DELIVERED"),
    ("unauthenticated message from the host itself", 2, message("someone@sink.test", source="127.0.0.1"), "RECEIVED DELIVERED"),
    ("authenticated message", 3, authenticated("someone@sink.test"), "SUBMITTED DELIVERED"),
    ("two authenticated messages in a session", 2, authenticated(LOCAL, messages=2),
     "SESSION auth.success 2*ENVELOPE 2*queue.queue-message-authenticated 2*DELIVERED"),
    ("message of a local program", 3, sendmail, "queue.local-submission DELIVERED"),
    ("three recipients in one place", 2, authenticated("a@sink.test", "b@sink.test", "c@sink.test"),
     "SUBMITTED 2*smtp.rcpt-to ATTEMPT 3*delivery.delivered"),
    ("message given up by RSET", 2, changed_mind("smtp"), "SESSION ENVELOPE"),
    ("authenticated message given up by RSET", 2, changed_mind("submission", USER), "SESSION auth.success ENVELOPE"),

    ("refused by the next host", 2, authenticated("refuse@sink.test"), "SUBMITTED ATTEMPT BOUNCED"),
    ("bounce refused by the next host", 2, message("refuse@sink.test", sender="<>", source="127.0.0.1"), "RECEIVED ATTEMPT delivery.failed"),
    ("put off by the next host", 2, deferred("later@sink.test"), "SUBMITTED ATTEMPT DEFERRED"),
    ("put off by the next host, three tries", 1, deferred("later@sink.test", tries=3), "SUBMITTED 3*ATTEMPT 3*DEFERRED"),
    ("taken, refused and put off", 2, deferred("a@sink.test", "refuse@sink.test", "later@sink.test"),
     "SUBMITTED 2*smtp.rcpt-to ATTEMPT delivery.delivered BOUNCED DEFERRED"),
    ("next host hangs up", 2, deferred("drop@sink.test"), "SUBMITTED ATTEMPT DEFERRED"),
    ("next host is down", 2, deferred("someone@down.test"), "SUBMITTED ATTEMPT delivery.connect-error DEFERRED"),

    ("reload in a session", 2, reload_in_session, "2*SUBMITTED 2*DELIVERED"),
    ("many clients at once", 1, crowd, "40*SUBMITTED 40*DELIVERED"),
    ("backend that stops", 1, backend_stops, "SESSION auth.error", "auth.failed 0*auth.error"),
])
