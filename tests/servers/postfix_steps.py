# SPDX-License-Identifier: Apache-2.0
"""What clients do to Postfix, and the events of it."""
import concurrent.futures
import contextlib
import time

from beds import clients, dovecot, postfix
from beds.postfix import DENIED, DOMAIN, LISTED, PASSWORD, USER
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
                c.dislike_certificate()
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
    """The running session ends as it began; its successors are new processes. Its process has not talked with others
    yet: if it had, it would warn that they are gone, or not, as it happens."""
    with bed.smtp("reloaded") as c:
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


# ---- access rules

def talk(*lines, service="smtp", source=None, banner="220"):
    """lines: pairs of what is sent and the beginning of the reply. No EHLO unless it is among them."""
    def action(bed):
        with bed.smtp(service, source or bed.source(), banner=banner) as c:
            for text, want in lines:
                c.cmd(text, want)
            c.quit()
        postfix.wait_idle(bed)
    return action


def mail_rcpt(recipient, want, sender="<someone@client.test>"):
    return ("EHLO client.test", "250"), (f"MAIL FROM:{sender}", "250"), (f"RCPT TO:<{recipient}>", want)


def sender_login(sender, want, user=None):
    def action(bed):
        with bed.smtp("senders") as c:
            c.ehlo()
            if user:
                c.login("PLAIN", user, PASSWORD)
            c.mail(f"<{sender}>")
            c.rcpt(LOCAL, want)
            c.quit()
    return action


def looping(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        c.rcpt(LOCAL)
        c.cmd("DATA", "354")
        c.send("Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n" * 60 + "Subject: test\r\n\r\nHello.\r\n")
        c.cmd(".", "554 5.4.0")
        c.quit()


def chunked(bed):
    """BDAT: no answer asks for the text."""
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        c.rcpt(LOCAL)
        text = "Subject: test\r\n\r\nHello.\r\n"
        c.send(f"BDAT {len(text)} LAST\r\n{text}")
        c.reply("250 2.0.0")
        c.quit()
    postfix.wait_idle(bed)


def bare_lf(bed):
    with bed.smtp("no-bare-lf") as c:
        c.send("EHLO client.test\n")
        c.reply("550 5.5.2")
        c.closed()


def starttls_twice(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.starttls()
        c.cmd("STARTTLS", "554 5.5.1")
        c.quit()


def held(service, recipient):
    """A message that stays in the queue, on hold."""
    def action(bed):
        with bed.smtp(service) as c:
            c.ehlo()
            c.message(recipient)
            c.quit()
        postfix.wait_idle(bed)
        bed.run("postsuper", "-d", "ALL", "hold")
    return action


def unlogged(bed):
    """The server has nowhere to write its log to."""
    bed.run("postconf", "-e", "maillog_file=")
    postfix.reload(bed)
    try:
        message(LOCAL)(bed)
        wrong("submission", "PLAIN")(bed)
    finally:
        bed.run("postconf", "-e", f"maillog_file={postfix.LOG}")
        postfix.reload(bed)


def refused_later(bed):
    """The reason is logged with a queue id instead of NOQUEUE."""
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        c.rcpt(LOCAL)
        c.rcpt(f"missing@{DOMAIN}", "550 5.1.1")
        c.quit()


def warned(bed):
    """warn_if_reject: what would be refused is only logged."""
    with bed.smtp("access-warn") as c:
        c.ehlo()
        c.mail()
        c.rcpt(f"alice+denied@{DOMAIN}")
        c.rcpt("someone@elsewhere.test")
        c.quit()


def deceived(service, unknown, relay, denied=None):
    """A recipient that does not exist, one that is not ours, and one that a rule refuses."""
    def action(bed):
        refused(f"missing@{DOMAIN}", unknown, service)(bed)
        refused("someone@elsewhere.test", relay, service)(bed)
        if denied:
            refused(f"alice+denied@{DOMAIN}", denied, service)(bed)
    return action


def at_the_end(wish, want):
    """A message whose fate a milter decides when it is complete."""
    def action(bed):
        with bed.smtp("milter") as c:
            c.ehlo()
            c.mail()
            c.rcpt(f"alice+{wish}@{DOMAIN}")
            c.data(want=want)
            c.quit()
        postfix.wait_idle(bed)
    return action


# ---- delivery

def delayed(bed):
    """The sender is told that the message is late."""
    with bed.smtp("warning", "127.0.0.1") as c:
        c.ehlo()
        c.message("later@sink.test", sender=f"<{LOCAL}>")
        c.quit()
    postfix.wait_idle(bed)
    time.sleep(2)
    postfix.flush(bed)
    postfix.forget_deferred(bed)


def notified(bed):
    """The sender asks to be told of the delivery."""
    with bed.smtp() as c:
        c.ehlo()
        c.mail(f"<{LOCAL}>")
        c.cmd("RCPT TO:<bob@bed.test> NOTIFY=SUCCESS", "250")
        c.data()
        c.quit()
    postfix.wait_idle(bed)


def submitted_at_once(*recipients):
    """Without waiting for what becomes of it."""
    return lambda bed: bed.run("sendmail", "-f", LOCAL, *recipients, text_in="Subject: test\n\nHello.\n")


def submitted(*arguments, text="Subject: test\n\nHello.\n"):
    def action(bed):
        bed.run("sendmail", "-f", LOCAL, *arguments, text_in=text)
        postfix.wait_idle(bed)
    return action


def requeued(bed):
    """postsuper -r: a new message, but none that came in."""
    authenticated("later@sink.test")(bed)
    postfix.requeue(bed)
    postfix.forget_deferred(bed)


# ---- postscreen

def screened(*lines, source=None, want="220"):
    def action(bed):
        with bed.smtp("screened", source or bed.source(), banner=want) as c:
            for text, reply in lines:
                c.cmd(text, reply)
            c.quit()
    return action


def screened_twice(bed):
    source = bed.source()
    for _ in range(2):
        screened(("EHLO client.test", "250"), source=source)(bed)


def pregreeting(bed):
    with bed.smtp("screened", banner=None) as c:
        c.send("EHLO client.test\r\n")
        c.reply("250")  # behind the beginning of a banner
        c.mail()
        c.rcpt(LOCAL, "550")
        c.quit()


def screened_starttls(broken=False):
    def action(bed):
        with bed.smtp("screened", DENIED) as c:
            c.ehlo()
            c.cmd("STARTTLS", "220")
            if broken:
                c.send("no TLS at all, and long enough\r\n")
                with contextlib.suppress(ConnectionResetError):
                    while c.sock.recv(4096):
                        pass
                return
            c.tls()
            c.ehlo()
            c.mail()
            c.rcpt(LOCAL, "550")
            c.quit()
    return action


def hang_up_on_screener(bed):
    bed.smtp("screened", banner=None).drop()


MACROS = {
    "CONNECTION": "smtp.connection-start smtp.connection-end",
    "SESSION": "CONNECTION smtp.ehlo smtp.quit",
    "HELLO": "CONNECTION smtp.ehlo",  # and no good-bye
    "TLS": "smtp.start-tls tls.handshake smtp.ehlo",
    "W": "server.log-warning",
    "FAILED": "auth.failed W",
    "ABORTED": "auth.error auth.sasl-aborted W",
    "BY-DOVECOT": "dovecot:auth.attempt dovecot:auth.passdb-lookup",
    "ENVELOPE": "smtp.mail-from smtp.rcpt-to smtp.transaction-start",
    "TAKEN": "smtp.data smtp.message-accepted",
    "ATTEMPT": "delivery.attempt-start delivery.attempt-end",
    "SENT": "delivery.connect delivery.mail-from delivery.rcpt-to",
    "TRIED": "queue.message-active ATTEMPT",
    "GONE": "delivery.delivered queue.message-removed",
    "DELIVERED": "TRIED GONE",
    "RECEIVED": "SESSION ENVELOPE TAKEN queue.queue-message",
    "SUBMITTED": "SESSION auth.success ENVELOPE TAKEN queue.queue-message-authenticated",
    "BOUNCED": "delivery.failed queue.message-removed queue.queue-dsn delivery.dsn-perm-fail DELIVERED",  # the DSN comes to the sender
    "DEFERRED": "delivery.deferred queue.rescheduled",
    "UNLOGGED": "0*smtp.connection-start 0*smtp.connection-end 0*smtp.mail-from 0*smtp.rcpt-to 0*smtp.transaction-start 0*auth.failed "
                "0*queue.queue-message 0*queue.message-active 0*queue.message-removed 0*delivery.delivered 0*W",
    "NOT-SENT": "SUBMITTED TRIED DEFERRED",
}

STEPS = table(MACROS, [
    # what the client does, how many times, with which action, what one time counts[, what the log says if it differs]
    ("PLAIN at once", 3, login("submission", "PLAIN"), "SESSION auth.success"),
    ("PLAIN when asked, no chroot", 2, login("submission-no-chroot", "PLAIN-334"), "SESSION auth.success"),
    ("LOGIN", 2, login("submission", "LOGIN"), "SESSION auth.success"),
    ("LOGIN by Dovecot", 2, login("submission-dovecot", "LOGIN"), "SESSION auth.success BY-DOVECOT dovecot:auth.success"),
    ("PLAIN by Dovecot, no chroot", 2, login("submission-dovecot-no-chroot", "PLAIN"), "SESSION auth.success BY-DOVECOT dovecot:auth.success"),
    ("PLAIN after STARTTLS", 2, login("submission", "PLAIN", tls=True), "SESSION TLS auth.success"),
    ("LOGIN by Dovecot after STARTTLS", 2, login("submission-tls-only", "LOGIN", tls=True),
     "SESSION TLS auth.success BY-DOVECOT dovecot:auth.success"),
    ("LOGIN over TLS", 2, login("smtps", "LOGIN"), "SESSION tls.handshake auth.success BY-DOVECOT dovecot:auth.success"),
    ("PLAIN, wrong password", 3, wrong("submission", "PLAIN"), "SESSION FAILED W"),
    ("LOGIN, wrong password, no chroot", 2, wrong("submission-no-chroot", "LOGIN"), "SESSION FAILED"),
    ("LOGIN by Dovecot, wrong password", 2, wrong("submission-dovecot", "LOGIN"), "SESSION FAILED BY-DOVECOT dovecot:auth.failed"),
    ("PLAIN by Dovecot over TLS, wrong password", 2, wrong("smtps", "PLAIN"), "SESSION tls.handshake FAILED BY-DOVECOT dovecot:auth.failed"),
    ("PLAIN, unknown user", 2, login("submission", "PLAIN", user="nobody", want="535 5.7.8"), "SESSION FAILED W"),
    ("PLAIN by Dovecot, unknown user", 2, login("submission-dovecot", "PLAIN", user=f"nobody@{DOMAIN}", want="535 5.7.8"),
     "SESSION FAILED BY-DOVECOT dovecot:auth.failed"),
    ("two wrong passwords, then the right one", 2, second_thoughts, "SESSION 2*FAILED W auth.success"),
    ("LOGIN aborted", 2, exchange(("AUTH LOGIN", "334"), ("*", "501 5.7.0")), "SESSION ABORTED", "0*auth.error"),
    ("LOGIN aborted at the password", 1, exchange(("AUTH LOGIN", "334"), (clients.b64(USER), "334"), ("*", "501 5.7.0")),
     "SESSION ABORTED", "0*auth.error"),
    ("PLAIN aborted, no chroot", 2, exchange(("AUTH PLAIN", "334"), ("*", "501 5.7.0"), service="submission-no-chroot"),
     "SESSION ABORTED", "0*auth.error"),
    ("not base64", 1, exchange(("AUTH PLAIN ***", "535 5.7.8")), "SESSION auth.error W", "auth.failed 0*auth.error"),
    ("not base64 by Dovecot", 1, exchange(("AUTH PLAIN ***", "535 5.7.8"), service="submission-dovecot"),
     "SESSION auth.error W", "auth.failed 0*auth.error"),
    ("unknown mechanism", 1, exchange(("AUTH X-NONE", "535 5.7.8")), "SESSION auth.error smtp.auth-mechanism-not-supported 2*W",
     "auth.failed 0*auth.error"),
    ("unknown mechanism by Dovecot", 1, exchange(("AUTH X-NONE", "535 5.7.8"), service="submission-dovecot"),
     "SESSION auth.error smtp.auth-mechanism-not-supported W", "auth.failed 0*auth.error"),
    ("Dovecot's own backend is broken", 1, login("submission-dovecot", "PLAIN", user=dovecot.BROKEN_USER, want="535 5.7.8"),
     "SESSION FAILED BY-DOVECOT dovecot:auth.error dovecot:log.error"),
    ("AUTH where none is offered", 2, exchange(("AUTH PLAIN AAAA", "503 5.5.1"), service="smtp"), "SESSION smtp.command-not-implemented"),
    ("AUTH before STARTTLS", 2, exchange(("AUTH PLAIN AAAA", "530 5.7.0"), service="submission-tls-only"), "SESSION smtp.tls-required"),
    ("AUTH without mechanism", 1, exchange(("AUTH", "501 5.5.4")), "SESSION smtp.syntax-error"),
    ("backend that nobody serves", 2, nobody_serves, "CONNECTION auth.error 3*W server.fatal server.startup-error", "0*smtp.connection-end"),

    ("EHLO, NOOP, RSET, VRFY, QUIT", 3, exchange(("NOOP", "250"), ("RSET", "250"), (f"VRFY {LOCAL}", "252"), service="smtp"),
     "SESSION smtp.noop smtp.rset smtp.vrfy"),
    ("HELO, and NOOP and RSET in small letters", 2, talk(("HELO client.test", "250"), ("noop x", "250"), ("rset", "250")),
     "SESSION smtp.noop smtp.rset"),
    ("EHLO twice", 2, talk(("EHLO client.test", "250"), ("EHLO client.test", "250")), "SESSION smtp.ehlo"),
    ("malformed commands", 2, talk(("EHLO", "501"), ("HELO", "501"), ("EHLO client.test", "250"), ("RSET now", "501 5.5.4"),
                                   ("MAIL someone", "501 5.5.4"), ("MAIL FROM:<someone@client.test> SIZE=big", "501 5.5.4"),
                                   ("VRFY", "501 5.5.4"), ("MAIL FROM:<>", "250"), ("RCPT alice", "501 5.5.4"), ("RCPT TO:<@>", "501 5.1.3")),
     "SESSION smtp.mail-from 8*smtp.syntax-error W"),
    ("malformed sender", 2, exchange(("MAIL FROM:<@>", "501 5.1.7"), service="smtp"), "SESSION smtp.invalid-sender-address W"),
    ("unknown parameters", 2, exchange(("MAIL FROM:<> X=Y", "555 5.5.4"), ("MAIL FROM:<>", "250"), (f"RCPT TO:<{LOCAL}> X=Y", "555 5.5.4"),
                                       service="smtp"), "SESSION smtp.mail-from 2*smtp.unsupported-parameter"),
    ("VRFY where it is off", 2, exchange((f"VRFY {LOCAL}", "502 5.5.1"), service="no-vrfy"), "SESSION smtp.command-not-implemented"),
    ("no greeting where one is needed", 2, talk(("MAIL FROM:<>", "503 5.5.1"), service="access-now"),
     "CONNECTION smtp.quit smtp.did-not-say-ehlo"),
    ("RCPT and DATA too early", 2, exchange((f"RCPT TO:<{LOCAL}>", "503 5.5.1"), ("MAIL FROM:<>", "250"), ("DATA", "554 5.5.1"), service="smtp"),
     "SESSION smtp.mail-from smtp.mail-from-missing smtp.rcpt-to-missing"),
    ("DATA without MAIL", 2, exchange(("DATA", "503 5.5.1"), service="smtp"), "SESSION smtp.rcpt-to-missing"),
    ("STARTTLS twice", 2, starttls_twice, "SESSION TLS smtp.start-tls-already"),
    ("MAIL before STARTTLS", 2, exchange(("MAIL FROM:<>", "530 5.7.0"), service="encrypted"), "SESSION smtp.tls-required"),
    ("recipient before STARTTLS", 2, talk(*mail_rcpt(LOCAL, "450 4.7.1"), service="plaintext"),
     "SESSION smtp.mail-from smtp.rejected smtp.tls-required"),

    ("unknown recipient", 2, refused(f"missing@{DOMAIN}", "550 5.1.1", times=2),
     "SESSION smtp.mail-from 2*smtp.mailbox-does-not-exist 2*smtp.rejected"),
    ("relay attempt, put off as Debian does", 2, refused("someone@elsewhere.test", "454 4.7.1"),
     "SESSION smtp.mail-from smtp.relay-not-allowed smtp.rejected"),
    ("relay attempt, refused", 2, refused("someone@elsewhere.test", "554 5.7.1", service="no-relay"),
     "SESSION smtp.mail-from smtp.relay-not-allowed smtp.rejected"),
    ("DATA without recipients", 1, refused(f"missing@{DOMAIN}", "550 5.1.1", end=("DATA", "554 5.5.1")),
     "SESSION smtp.mail-from smtp.mailbox-does-not-exist smtp.rejected smtp.rcpt-to-missing"),
    ("VRFY of an unknown recipient", 2, exchange((f"VRFY missing@{DOMAIN}", "550 5.1.1"), service="smtp"),
     "SESSION smtp.mailbox-does-not-exist smtp.rejected", "0*smtp.mailbox-does-not-exist"),
    ("refused after an accepted recipient", 2, refused_later, "SESSION ENVELOPE smtp.mailbox-does-not-exist smtp.rejected"),
    ("greylisted by a reply of the policy", 2, greylisted,
     "2*SESSION 2*smtp.mail-from smtp.rcpt-to-greylisted smtp.rejected smtp.rcpt-to smtp.transaction-start"),
    ("greylisted by DEFER_IF_PERMIT", 2, refused(f"alice+defer@{DOMAIN}", "450 4.7.1", service="greylisting"),
     "SESSION smtp.mail-from smtp.rcpt-to-greylisted smtp.rejected"),
    ("refused recipient", 2, talk(*mail_rcpt(f"alice+denied@{DOMAIN}", "571 5.7.1"), service="access"),
     "SESSION smtp.mail-from smtp.rcpt-to-rejected smtp.rejected"),
    ("recipient put off", 2, talk(*mail_rcpt(f"alice+busy@{DOMAIN}", "450 4.3.2"), service="access"),
     "SESSION smtp.mail-from smtp.rcpt-to-rejected smtp.rejected"),
    ("refused sender, told at the recipient", 2, talk(*mail_rcpt(LOCAL, "554 5.7.1", sender="<denied@client.test>"), service="access"),
     "SESSION smtp.mail-from smtp.rcpt-to-rejected smtp.rejected"),
    ("refused greeting, told at the recipient", 2, talk(("HELO denied.test", "250"), ("MAIL FROM:<>", "250"), (f"RCPT TO:<{LOCAL}>", "554 5.7.1"),
                                                        service="access"), "SESSION smtp.mail-from smtp.invalid-ehlo smtp.rejected"),
    ("refused greetings", 2, talk(("EHLO -.test", "501 5.5.2"), ("HELO short", "504 5.5.2"), ("EHLO client.test", "250"), service="access-now"),
     "SESSION 2*smtp.invalid-ehlo 2*smtp.rejected"),
    ("refused connection", 2, talk(("EHLO client.test", "503 5.7.0"), service="access-now", source=DENIED, banner="554 5.7.1"),
     "CONNECTION smtp.quit smtp.rejected"),
    ("warned, and let through", 2, warned, "SESSION 2*smtp.rcpt-to smtp.mail-from smtp.transaction-start"),
    ("client in a blocklist", 2, talk(*mail_rcpt(LOCAL, "554 5.7.1"), service="blocklist", source=LISTED),
     "SESSION smtp.mail-from spam.dnsbl smtp.rejected"),
    ("client in a blocklist, warned", 2, talk(*mail_rcpt(LOCAL, "250"), service="blocklist-warn", source=LISTED),
     "SESSION ENVELOPE spam.dnsbl"),
    ("client in no blocklist", 2, talk(*mail_rcpt(LOCAL, "250"), service="blocklist"), "SESSION ENVELOPE"),
    ("sender that needs a login", 2, sender_login(f"boss@{DOMAIN}", "553 5.7.1"), "SESSION smtp.mail-from smtp.mail-from-unauthenticated smtp.rejected"),
    ("sender of another login", 2, sender_login(f"boss@{DOMAIN}", "553 5.7.1", USER),
     "SESSION auth.success smtp.mail-from smtp.mail-from-unauthorized smtp.rejected"),
    ("queue that is full", 2, exchange(("MAIL FROM:<>", "452 4.3.1"), service="full"), "SESSION queue.quota-exceeded smtp.rejected W"),
    ("soft_bounce", 2, deceived("soft-bounce", "450 4.1.1", "454 4.7.1", "454 4.7.1"),
     "3*SESSION 3*smtp.mail-from smtp.mailbox-does-not-exist smtp.relay-not-allowed smtp.rcpt-to-rejected 3*smtp.rejected",
     "smtp.relay-not-allowed 0*smtp.mailbox-does-not-exist"),
    ("reject footer", 2, deceived("footer", "550 5.1.1", "554 5.7.1"),
     "2*SESSION 2*smtp.mail-from smtp.mailbox-does-not-exist smtp.relay-not-allowed 2*smtp.rejected"),
    ("changed reply codes", 2, deceived("codes", "450 4.1.1", "571 5.7.1", "450 4.7.9"),
     "3*SESSION 3*smtp.mail-from smtp.mailbox-does-not-exist smtp.relay-not-allowed smtp.rcpt-to-rejected 3*smtp.rejected",
     "0*smtp.mailbox-does-not-exist"),
    ("too large by SIZE=", 2, exchange(("MAIL FROM:<someone@client.test> SIZE=30000", "552 5.3.4"), service="smtp"),
     "SESSION smtp.message-too-large smtp.rejected"),
    ("too large in DATA", 2, too_big_in_data, "SESSION ENVELOPE smtp.data smtp.message-too-large W"),
    ("too many hops", 2, looping, "SESSION ENVELOPE smtp.data smtp.loop-detected W"),
    ("too many recipients", 2, too_many_recipients,
     "SESSION smtp.mail-from 3*smtp.rcpt-to 2*smtp.too-many-recipients smtp.transaction-start TAKEN queue.queue-message "
     "queue.message-active queue.message-removed 3*ATTEMPT 3*delivery.delivered",
     "5*smtp.rcpt-to 0*smtp.too-many-recipients"),
    ("connection rate", 2, connection_rate, "2*SESSION CONNECTION smtp.rate-limit-exceeded W"),
    ("connection concurrency", 2, concurrency, "2*SESSION CONNECTION smtp.concurrency-limit-exceeded W"),
    ("message rate", 2, message_rate, "SESSION 2*smtp.mail-from 3*smtp.rset smtp.rate-limit-exceeded W"),
    ("recipient rate", 2, recipient_rate, "SESSION smtp.mail-from smtp.transaction-start 2*smtp.rcpt-to smtp.rate-limit-exceeded W"),
    ("AUTH rate", 1, auth_rate, "SESSION 2*FAILED 3*W smtp.rate-limit-exceeded"),
    ("TLS session rate", 1, tls_rate, "2*SESSION 2*TLS HELLO smtp.start-tls tls.handshake smtp.rate-limit-exceeded W", "2*smtp.start-tls"),

    ("STARTTLS", 3, tls_session, "SESSION TLS"),
    ("STARTTLS, TLS not logged", 2, login("quiet", "PLAIN", tls=True), "SESSION TLS auth.success", "0*tls.handshake"),
    ("STARTTLS, then garbage", 2, tls_broken("smtp", b"no TLS at all, and long enough\r\n"),
     "HELLO smtp.start-tls tls.handshake-error smtp.error W", "0*smtp.start-tls"),
    ("STARTTLS, then garbage, TLS not logged", 2, tls_broken("quiet", b"no TLS at all, and long enough\r\n"),
     "HELLO smtp.start-tls tls.handshake-error smtp.error W", "0*smtp.start-tls"),
    ("STARTTLS, then gone", 2, tls_broken("smtp", None),
     "HELLO smtp.start-tls tls.handshake-error smtp.error", "0*smtp.start-tls"),
    ("STARTTLS, certificate disliked", 2, tls_broken("smtp", "alert"),
     "HELLO smtp.start-tls tls.handshake-error smtp.error W", "0*smtp.start-tls"),
    ("TLS port, plain text", 2, tls_broken("smtps", b"EHLO client.test\r\n"), "CONNECTION tls.handshake-error smtp.error W"),
    ("TLS port, gone", 2, tls_broken("smtps", None), "CONNECTION tls.handshake-error smtp.error"),
    ("TLS port, certificate disliked", 1, tls_broken("smtps", "alert"), "CONNECTION tls.handshake-error smtp.error W"),
    ("too many errors", 2, too_many_errors, "HELLO 4*smtp.invalid-command smtp.error"),
    ("gone at once", 2, lost_at_once, "CONNECTION smtp.error"),
    ("gone after EHLO", 2, lost_after_ehlo, "HELLO smtp.error"),
    ("gone in DATA", 2, lost_in_data, "HELLO ENVELOPE smtp.data smtp.error"),
    ("gone after the message", 2, lost_after_message, "HELLO ENVELOPE TAKEN queue.queue-message DELIVERED"),
    ("timeout", 1, timeout, "HELLO smtp.error smtp.time-limit-exceeded"),
    ("pipelining", 2, pipelining, "SESSION smtp.noop smtp.error"),
    ("pipelining where it is forbidden", 2, pipelining_forbidden, "CONNECTION smtp.error"),
    ("a line that ends badly where it is forbidden", 2, bare_lf, "CONNECTION smtp.error smtp.rejected", "0*smtp.error"),
    ("HTTP", 2, http, "CONNECTION smtp.error W", "smtp.invalid-command"),
    ("unknown commands", 2, exchange(("NONSENSE", "500 5.5.2"), ("XYZZY a b", "500 5.5.2"), service="smtp"), "SESSION 2*smtp.invalid-command"),

    ("unauthenticated message", 3, message(LOCAL), "RECEIVED DELIVERED"),
    ("unauthenticated message from the host itself", 2, message("someone@sink.test", source="127.0.0.1"), "RECEIVED SENT DELIVERED"),
    ("authenticated message", 3, authenticated("someone@sink.test"), "SUBMITTED SENT DELIVERED"),
    ("authenticated message, everything logged", 2, message(LOCAL, service="verbose", user=USER, sender=f"<{LOCAL}>"), "SUBMITTED DELIVERED"),
    ("two authenticated messages in a session", 2, authenticated(LOCAL, messages=2),
     "SESSION auth.success 2*ENVELOPE 2*TAKEN 2*queue.queue-message-authenticated 2*DELIVERED"),
    ("message by BDAT", 2, chunked, "SESSION ENVELOPE smtp.message-accepted queue.queue-message DELIVERED"),
    ("message of a local program", 3, sendmail, "queue.local-submission DELIVERED"),
    ("message on hold", 2, held("access", f"alice+hold@{DOMAIN}"), "RECEIVED", "0*queue.queue-message"),
    ("message thrown away", 2, message(f"alice+discard@{DOMAIN}", service="access"), "SESSION ENVELOPE TAKEN"),
    ("three recipients in one place", 2, authenticated("a@sink.test", "b@sink.test", "c@sink.test"),
     "SUBMITTED 2*smtp.rcpt-to TRIED SENT 2*delivery.rcpt-to 3*delivery.delivered queue.message-removed"),
    ("message given up by RSET", 2, changed_mind("smtp"), "SESSION ENVELOPE smtp.rset"),
    ("authenticated message given up by RSET", 2, changed_mind("submission", USER), "SESSION auth.success ENVELOPE smtp.rset"),

    ("refused by the next host", 2, authenticated("refuse@sink.test"), "SUBMITTED SENT TRIED delivery.rcpt-to-rejected BOUNCED"),
    ("bounce refused by the next host", 2, message("refuse@sink.test", sender="<>", source="127.0.0.1"),
     "RECEIVED SENT TRIED delivery.rcpt-to-rejected delivery.failed queue.message-removed"),
    ("notice about a notice", 2, message("refuse@sink.test", sender="<double-bounce@mx.bed.test>", source="127.0.0.1"),
     "RECEIVED SENT TRIED delivery.rcpt-to-rejected delivery.failed queue.message-removed delivery.double-bounce W"),
    ("put off by the next host", 2, deferred("later@sink.test"), "NOT-SENT SENT delivery.rcpt-to-rejected"),
    ("put off by the next host, three tries", 1, deferred("later@sink.test", tries=3),
     "SUBMITTED 3*TRIED 3*SENT 3*DEFERRED 3*delivery.rcpt-to-rejected"),
    ("taken, refused and put off", 2, deferred("a@sink.test", "refuse@sink.test", "later@sink.test"),
     "SUBMITTED 2*smtp.rcpt-to TRIED SENT 2*delivery.rcpt-to 2*delivery.rcpt-to-rejected delivery.delivered "
     "delivery.failed queue.queue-dsn delivery.dsn-perm-fail DELIVERED DEFERRED"),
    ("next host refuses the sender", 2, message("a@sink.test", service="submission", user=USER, sender=f"<alice+unwanted@{DOMAIN}>"),
     "SUBMITTED SENT TRIED delivery.mail-from-rejected BOUNCED"),
    ("next host hangs up", 2, deferred("drop@sink.test"), "NOT-SENT SENT"),
    ("next host refuses DATA", 2, authenticated("nodata@sink.test"), "SUBMITTED SENT TRIED delivery.message-rejected BOUNCED"),
    ("next host refuses the message", 2, authenticated("spam@sink.test"), "SUBMITTED SENT TRIED delivery.message-rejected BOUNCED"),
    ("next host is down", 2, deferred("someone@down.test"), "NOT-SENT delivery.connect-error"),
    ("next host refuses to talk", 2, deferred("someone@rude.test"), "NOT-SENT delivery.connect delivery.greeting-failed"),
    ("next host refuses the greeting", 2, authenticated("someone@deaf.test"), "SUBMITTED delivery.connect delivery.ehlo-rejected TRIED BOUNCED"),
    ("next host, STARTTLS", 2, authenticated("someone@tls.test"), "SUBMITTED SENT delivery.start-tls DELIVERED"),
    ("next host, STARTTLS, then garbage", 2, deferred("someone@broken-tls.test"), "NOT-SENT delivery.connect delivery.start-tls-error W"),
    ("next host, STARTTLS by tlsproxy", 2, authenticated("someone@proxied-tls.test"), "SUBMITTED SENT delivery.start-tls DELIVERED"),
    ("next host, STARTTLS by tlsproxy, then garbage", 2, deferred("someone@broken-proxied-tls.test"),
     "NOT-SENT delivery.connect delivery.start-tls-error W"),
    ("next host, STARTTLS refused", 2, deferred("someone@refused-tls.test"), "NOT-SENT delivery.connect delivery.start-tls-error"),
    ("next host, STARTTLS refused, plain text will do", 2, authenticated("someone@perhaps-tls.test"), "SUBMITTED SENT delivery.start-tls-error DELIVERED"),
    ("next host without the STARTTLS that is a must", 2, deferred("someone@plain.test"), "NOT-SENT delivery.connect delivery.start-tls-unavailable"),
    ("next host, TLS at once", 2, authenticated("someone@implicit-tls.test"), "SUBMITTED SENT DELIVERED"),
    ("next host without the TLS that is a must", 2, deferred("someone@no-implicit-tls.test"), "NOT-SENT delivery.connect delivery.implicit-tls-error W"),
    ("next host, login", 2, authenticated("someone@auth.test"), "SUBMITTED SENT delivery.auth DELIVERED"),
    ("next host, login refused", 2, deferred("someone@wrong-auth.test"), "NOT-SENT delivery.connect delivery.auth-failed"),
    ("next host by MX", 2, authenticated("someone@mx.test"), "SUBMITTED delivery.mx-lookup SENT DELIVERED"),
    ("next host without MX", 2, authenticated("someone@no-mx.test"), "SUBMITTED delivery.mx-lookup delivery.mx-lookup-failed SENT DELIVERED"),
    ("domain that takes no mail", 2, authenticated("someone@null-mx.test"), "SUBMITTED delivery.mx-lookup delivery.null-mx TRIED BOUNCED"),
    ("domain that does not exist", 2, authenticated("someone@no-such.test"),
     "SUBMITTED delivery.mx-lookup delivery.mx-lookup-failed delivery.ip-lookup-failed TRIED BOUNCED"),
    ("MX without address", 2, authenticated("someone@lost-mx.test"), "SUBMITTED delivery.mx-lookup delivery.ip-lookup-failed W TRIED BOUNCED"),
    ("late message", 1, delayed,
     "SESSION ENVELOPE TAKEN queue.queue-message 2*TRIED 2*SENT 2*DEFERRED 2*delivery.rcpt-to-rejected delivery.dsn-temp-fail queue.queue-dsn DELIVERED"),
    ("delivery notified", 2, notified, "RECEIVED DELIVERED delivery.dsn-success queue.queue-dsn DELIVERED"),
    ("sendmail -bv", 2, submitted("-bv", LOCAL), "queue.local-submission TRIED delivery.verified queue.message-removed delivery.dsn-success queue.queue-dsn DELIVERED"),

    ("recipient that is verified first", 1, talk(*mail_rcpt(f"bob@{DOMAIN}", "250"), service="verify"),
     "SESSION ENVELOPE TRIED delivery.verified queue.message-removed", "unknown-origin"),
    ("requeued", 2, requeued, "SUBMITTED 2*TRIED 2*SENT 2*DEFERRED 2*delivery.rcpt-to-rejected", "unknown-origin"),
    ("refused by the next host, soft_bounce", 2, deferred("refuse@soft.test"), "NOT-SENT SENT delivery.rcpt-to-rejected", "0*delivery.deferred"),
    ("next host by LMTP", 2, authenticated("someone@lmtp.test"), "SUBMITTED SENT DELIVERED"),

    ("milter refuses the recipient", 2, talk(*mail_rcpt(f"alice+reject@{DOMAIN}", "550 5.7.1"), service="milter"),
     "SESSION smtp.mail-from milter.action-reject"),
    ("milter puts the recipient off", 2, talk(*mail_rcpt(f"alice+later@{DOMAIN}", "451 4.7.1"), service="milter"),
     "SESSION smtp.mail-from milter.action-temp-fail"),
    ("milter throws the recipient's message away", 2, message(f"alice+discard@{DOMAIN}", service="milter"), "SESSION ENVELOPE TAKEN milter.action-discard"),
    ("milter likes the message", 2, message(f"alice+good@{DOMAIN}", service="milter"), "RECEIVED DELIVERED"),
    ("milter refuses the message", 2, at_the_end("end-reject", "550 5.7.1"), "SESSION ENVELOPE smtp.data milter.action-reject"),
    ("milter puts the message off", 2, at_the_end("end-later", "451 4.7.1"), "SESSION ENVELOPE smtp.data milter.action-temp-fail"),
    ("milter throws the message away", 2, at_the_end("end-discard", "250"), "SESSION ENVELOPE TAKEN milter.action-discard"),
    ("milter puts the message on hold", 2, held("milter", f"alice+end-hold@{DOMAIN}"), "RECEIVED milter.action-quarantine", "0*queue.queue-message"),
    ("milter breaks off", 2, message(f"alice+break@{DOMAIN}", service="milter"), "RECEIVED DELIVERED milter.io-error W"),
    ("milter is down", 2, message(LOCAL, service="milter-down"), "RECEIVED DELIVERED milter.action-connection-failure W"),
    ("milter is down, and must not be", 2, talk(("EHLO client.test", "250"), ("MAIL FROM:<>", "451 4.7.1"), service="milter-down-tempfail"),
     "SESSION milter.action-connection-failure W 3*milter.action-temp-fail"),

    ("screened, new", 2, screened(("EHLO client.test", "250")), "SESSION postscreen.connect postscreen.pass"),
    ("screened, new and known", 2, screened_twice, "2*SESSION 2*postscreen.connect 2*postscreen.pass"),
    ("screened, on the list of the allowed", 2, screened(("EHLO client.test", "250"), source="127.3.0.8"), "SESSION postscreen.connect postscreen.pass"),
    ("screened, on the list of the denied", 2, screened(("EHLO client.test", "250"), ("MAIL FROM:<>", "250"), (f"RCPT TO:<{LOCAL}>", "550"), source=DENIED),
     "postscreen.connect postscreen.denylisted postscreen.reject postscreen.disconnect"),
    ("screened, in a blocklist", 2, screened(("EHLO client.test", "250"), ("MAIL FROM:<>", "250"), (f"RCPT TO:<{LOCAL}>", "550"), source=LISTED),
     "postscreen.connect postscreen.dnsbl postscreen.reject postscreen.disconnect"),
    ("screened, speaks too early", 2, pregreeting, "postscreen.connect postscreen.pregreet postscreen.reject postscreen.disconnect"),
    ("screened, STARTTLS", 2, screened_starttls(),
     "postscreen.connect postscreen.denylisted tls.handshake postscreen.reject postscreen.disconnect", "0*tls.handshake"),
    ("screened, STARTTLS, then garbage", 2, screened_starttls(broken=True),
     "postscreen.connect postscreen.denylisted tls.handshake-error W postscreen.hangup postscreen.disconnect", "0*tls.handshake-error"),
    ("screened, hangs up", 2, hang_up_on_screener, "postscreen.connect postscreen.hangup postscreen.disconnect"),

    ("reload in a session", 1, reload_in_session, "2*SUBMITTED 2*DELIVERED"),
    ("nothing logged", 2, unlogged, "RECEIVED DELIVERED SESSION FAILED W", "UNLOGGED"),
    ("many clients at once", 1, crowd, "40*SUBMITTED 40*DELIVERED"),
    ("backend that stops", 1, backend_stops, "SESSION auth.error 2*W", "auth.failed 0*auth.error"),
])
