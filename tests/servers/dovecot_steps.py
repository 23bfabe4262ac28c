# SPDX-License-Identifier: Apache-2.0
"""What clients do to Dovecot, and the events of it."""
import concurrent.futures
import contextlib
import ssl

import pytest

from beds import dovecot
from beds.dovecot import BROKEN_USER, DOMAIN, ELSEWHERE_USER, FULL_USER, OTHER_USER, PASSWORD, USER
from steps import table

UNKNOWN_USER = f"missing@{DOMAIN}"


def client(bed, service, **how):
    """A client for a port, by the name of the port."""
    protocol = {"imaps": "imap", "pop3s": "pop3", "submissions": "submission"}.get(service, service)
    return getattr(bed, protocol)(service, **how) if protocol != "lmtp" else bed.lmtp(**how)


# ---- logins and sessions of all protocols

def session(service, mechanism="PLAIN", user=USER, commands=(), tls=None, drop=False):
    """Log in, say some commands, log out. tls: "now" or "starttls"; drop: go without a word."""
    def action(bed):
        with client(bed, service, tls=tls == "now") as c:
            greet(service, c)
            if tls == "starttls":
                c.starttls()
            c.login(mechanism, user, PASSWORD)
            for command in commands:
                c.cmd(*command)
            if not drop:
                leave(c)
    return action


def greet(service, c):
    if service.startswith("submission"):
        c.ehlo()


def leave(c):
    (c.logout if hasattr(c, "logout") else c.quit)()


REFUSED = {"imap": "NO", "pop3": "-ERR", "sieve": "NO", "submission": "535"}
TROUBLE = {"imap": "NO [UNAVAILABLE]", "pop3": "-ERR", "sieve": "NO", "submission": "4"}


def refused(service, mechanism="PLAIN", user=USER, password="wrong", want=REFUSED):
    def action(bed):
        with client(bed, service) as c:
            greet(service, c)
            c.login(mechanism, user, password, want[service])
            leave(c)
    return action


def aborted(service):
    def action(bed):
        with client(bed, service) as c:
            greet(service, c)
            if service == "submission":
                c.cmd("AUTH PLAIN", "334")
                c.cmd("*", "501")
            else:
                c.abort_login()
            leave(c)
    return action


def no_login(service, drop):
    def action(bed):
        with client(bed, service) as c:
            greet(service, c)
            if not drop:
                leave(c)
    return action


def tls_broken(service, how, starttls=None):
    """how: what the client sends instead of TLS, None to close, or "alert" to dislike the certificate."""
    def action(bed):
        with client(bed, service, **({} if starttls else {"banner": None})) as c:
            if starttls:
                greet(service, c)
                c.cmd(*starttls)
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


# ---- IMAP

def imap(*commands, user=USER):
    """commands: (text, beginning of the tagged reply), or a number: append a message of that size."""
    def action(bed):
        with bed.imap() as c:
            c.login("LOGIN", user, PASSWORD)
            for command in commands:
                if isinstance(command, int):
                    c.append(command)
                else:
                    c.cmd(*command)
            c.logout()
    return action


def over_quota(bed):
    with bed.imap() as c:
        c.login("LOGIN", FULL_USER, PASSWORD)
        c.append(4000, "NO [OVERQUOTA]")
        c.logout()


def too_many_sessions(bed):
    source = bed.source()
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(bed.imap(source=source)) for _ in range(dovecot.USER_SESSIONS)]
        for c in sessions:
            c.login("LOGIN", OTHER_USER, PASSWORD)
        with bed.imap(source=source) as c:
            c.login("LOGIN", OTHER_USER, PASSWORD, "NO [")
            c.closed()
        for c in sessions:
            c.logout()


# ---- POP3

def pop3_queue_full(bed):
    """The oldest client that has not logged in must go when one too many comes."""
    with contextlib.ExitStack() as stack:
        oldest = stack.enter_context(bed.pop3())
        others = [stack.enter_context(bed.pop3()) for _ in range(dovecot.POP3_LOGINS)]
        oldest.expect("-ERR")
        oldest.closed()
        for c in others:
            c.logout()


# ---- LMTP and submission

def lmtp(*dialogue, drop=False):
    """dialogue: (text, beginning of the reply), or a list of replies to a message's end: one for each recipient."""
    def action(bed):
        with bed.lmtp() as c:
            c.lhlo()
            for item in dialogue:
                if isinstance(item, tuple):
                    c.cmd(*item)
                    continue
                c.cmd("DATA", "354")
                c.send("Subject: test\r\n\r\n" + "x" * 70 * 60 + "\r\n.\r\n")
                for want in item:
                    c.reply(want)
            if not drop:
                c.quit()
    return action


def to(user, want="250"):
    return f"RCPT TO:<{user}>", want


MAIL = "MAIL FROM:<someone@client.test>", "250"


def submission(*recipients, service="submission", tls=None):
    """A message. recipients: (address, beginning of the reply)."""
    def action(bed):
        with client(bed, service, tls=tls == "now") as c:
            c.ehlo()
            if tls == "starttls":
                c.starttls()
            c.login("PLAIN", USER, PASSWORD)
            c.mail()
            for recipient, want in recipients:
                c.rcpt(recipient, want)
            if any(want == "250" for _, want in recipients):
                c.data()
            c.quit()
    return action


def submission_words(*before, after=()):
    """Commands before and after login."""
    def action(bed):
        with bed.submission() as c:
            c.ehlo()
            for command in before:
                c.cmd(*command)
            if after:
                c.login("PLAIN", USER, PASSWORD)
                for command in after:
                    c.cmd(*command)
            c.quit()
    return action


def submission_too_many_errors(bed):
    with bed.submission() as c:
        c.ehlo()
        c.login("PLAIN", USER, PASSWORD)
        for _ in range(20):
            c.send("NONSENSE\r\n")
            if c.line().startswith("421"):
                return
        raise AssertionError("the server never had enough")


# ---- life

def reload_in_session(bed):
    """The running sessions end as they began; their successors are new processes."""
    with bed.imap() as c, bed.pop3() as p:
        c.login("LOGIN", USER, PASSWORD)
        p.login("USER", USER, PASSWORD)
        dovecot.reload(bed)
        c.cmd("SELECT INBOX")
        c.append(500)
        c.logout()
        p.logout()
    imap(("SELECT INBOX", "OK"))(bed)


def crowd(bed):
    """40 sessions of 8 clients at once."""
    action = imap(("SELECT INBOX", "OK"), 500)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(action, bed) for _ in range(40)]:
            done.result()


MACROS = {
    "IMAP": "imap.connection-start imap.connection-end",
    "POP3": "pop3.connection-start pop3.connection-end",
    "SIEVE": "manage-sieve.connection-start manage-sieve.connection-end",
}
GARBAGE = b"no TLS at all, and long enough\r\n"

STEPS = table(MACROS, [
    # what the client does, how many times, with which action, what one time counts[, what the log says if it differs]
    ("IMAP LOGIN", 3, session("imap", "LOGIN"), "IMAP auth.success"),
    ("IMAP AUTHENTICATE", 2, session("imap"), "IMAP auth.success"),
    ("IMAP over TLS", 2, session("imaps", "LOGIN", tls="now"), "IMAP auth.success tls.handshake"),
    ("IMAP STARTTLS", 2, session("imap", "LOGIN", tls="starttls"), "IMAP auth.success tls.handshake"),
    ("POP3 USER and PASS", 3, session("pop3", "USER"), "POP3 auth.success"),
    ("POP3 AUTH", 2, session("pop3"), "POP3 auth.success"),
    ("POP3 over TLS", 2, session("pop3s", "USER", tls="now"), "POP3 auth.success tls.handshake"),
    ("POP3 STLS", 2, session("pop3", "USER", tls="starttls"), "POP3 auth.success tls.handshake"),
    ("ManageSieve", 3, session("sieve"), "SIEVE auth.success"),
    ("ManageSieve STARTTLS", 2, session("sieve", tls="starttls"), "SIEVE auth.success tls.handshake"),
    ("submission LOGIN", 2, session("submission", "LOGIN"), "auth.success"),
    ("submission over TLS", 2, session("submissions", tls="now"), "auth.success tls.handshake"),
    ("submission STARTTLS", 2, session("submission", tls="starttls"), "auth.success tls.handshake"),

    ("IMAP, wrong password", 3, refused("imap", "LOGIN"), "IMAP auth.failed"),
    ("POP3, wrong password", 2, refused("pop3", "USER"), "POP3 auth.failed"),
    ("ManageSieve, wrong password", 2, refused("sieve"), "SIEVE auth.failed"),
    ("submission, wrong password", 2, refused("submission"), "auth.failed"),
    ("IMAP, unknown user", 2, refused("imap", user=UNKNOWN_USER), "IMAP auth.failed"),
    ("submission, unknown user", 1, refused("submission", "LOGIN", user=UNKNOWN_USER), "auth.failed"),
    ("IMAP from a forbidden address", 2, refused("imap", user=ELSEWHERE_USER, password=PASSWORD), "IMAP auth.failed"),
    ("POP3 from a forbidden address", 1, refused("pop3", user=ELSEWHERE_USER, password=PASSWORD), "POP3 auth.failed"),
    ("IMAP, backend broken", 2, refused("imap", "LOGIN", user=BROKEN_USER, want=TROUBLE), "IMAP auth.error"),
    ("POP3, backend broken", 1, refused("pop3", user=BROKEN_USER, want=TROUBLE), "POP3 auth.error"),
    ("ManageSieve, backend broken", 1, refused("sieve", user=BROKEN_USER, want=TROUBLE), "SIEVE auth.error"),
    ("submission, backend broken", 1, refused("submission", user=BROKEN_USER, want=TROUBLE), "auth.error"),
    ("IMAP, login aborted", 2, aborted("imap"), "IMAP auth.error", "0*auth.error"),
    ("POP3, login aborted", 2, aborted("pop3"), "POP3 auth.error", "0*auth.error"),
    ("ManageSieve, login aborted", 2, aborted("sieve"), "SIEVE auth.error", "0*auth.error"),
    ("submission, login aborted", 2, aborted("submission"), "auth.error", "0*auth.error"),

    ("IMAP, no login", 2, no_login("imap", drop=False), "IMAP"),
    ("IMAP, gone before login", 2, no_login("imap", drop=True), "IMAP"),
    ("POP3, no login", 2, no_login("pop3", drop=False), "POP3"),
    ("POP3, gone before login", 2, no_login("pop3", drop=True), "POP3"),
    ("ManageSieve, no login", 2, no_login("sieve", drop=False), "SIEVE"),
    ("ManageSieve, gone before login", 2, no_login("sieve", drop=True), "SIEVE"),
    ("IMAP, session dropped", 2, session("imap", "LOGIN", drop=True), "IMAP auth.success"),
    ("IMAP over TLS, session dropped", 2, session("imaps", "LOGIN", tls="now", drop=True), "IMAP auth.success tls.handshake"),
    ("POP3, session dropped", 2, session("pop3", "USER", drop=True), "POP3 auth.success"),
    ("ManageSieve, session dropped", 2, session("sieve", drop=True), "SIEVE auth.success"),

    ("IMAPS port, garbage", 2, tls_broken("imaps", GARBAGE), "IMAP tls.handshake-error"),
    ("IMAPS port, gone", 2, tls_broken("imaps", None), "IMAP tls.handshake-error"),
    ("IMAPS port, certificate disliked", 2, tls_broken("imaps", "alert"), "IMAP tls.handshake-error"),
    ("IMAP STARTTLS, then garbage", 2, tls_broken("imap", GARBAGE, ("STARTTLS", "OK")), "IMAP tls.handshake-error"),
    ("IMAP STARTTLS, then gone", 2, tls_broken("imap", None, ("STARTTLS", "OK")), "IMAP tls.handshake-error"),
    ("POP3S port, garbage", 2, tls_broken("pop3s", GARBAGE), "POP3 tls.handshake-error"),
    ("POP3 STLS, certificate disliked", 1, tls_broken("pop3", "alert", ("STLS", "+OK")), "POP3 tls.handshake-error"),
    ("ManageSieve STARTTLS, then garbage", 1, tls_broken("sieve", GARBAGE, ("STARTTLS", "OK")), "SIEVE tls.handshake-error"),

    ("IMAP SELECT and NOOP", 2, imap(("SELECT INBOX", "OK"), ("NOOP", "OK"), ("SELECT INBOX", "OK")), "IMAP auth.success 2*imap.select"),
    ("IMAP APPEND", 2, imap(300, 700, 40000), "IMAP auth.success 3*imap.append"),
    ("IMAP, unknown and malformed commands", 2, imap(("NONSENSE", "BAD"), ("FETCH 1 NONSENSE", "BAD"), ("CREATE", "BAD")),
     "IMAP auth.success 3*imap.error"),
    ("IMAP, refused command", 2, imap(("DELETE Missing", "NO"), ("STATUS Missing (MESSAGES)", "NO")), "IMAP auth.success 2*imap.error"),
    ("IMAP APPEND over quota", 2, over_quota, "IMAP auth.success imap.append imap.error limit.quota"),
    ("IMAP SELECT of a missing folder", 1, imap(("SELECT Missing", "NO")), "IMAP auth.success imap.select imap.error"),
    ("too many IMAP sessions of a user", 2, too_many_sessions, "4*IMAP 4*auth.success limit.concurrent-connection"),
    ("too many POP3 clients", 2, pop3_queue_full, f"{dovecot.POP3_LOGINS + 1}*POP3 limit.concurrent-connection"),

    ("LMTP, one recipient", 3, lmtp(MAIL, to(USER), ["250"]), "smtp.rcpt-to message-ingest.lmtp"),
    ("LMTP, two recipients", 2, lmtp(MAIL, to(USER), to(OTHER_USER), ["250", "250"]), "2*smtp.rcpt-to 2*message-ingest.lmtp"),
    ("LMTP, two messages", 1, lmtp(MAIL, to(USER), ["250"], MAIL, to(OTHER_USER), ["250"]), "2*smtp.rcpt-to 2*message-ingest.lmtp"),
    ("LMTP, unknown recipient", 2, lmtp(MAIL, to(UNKNOWN_USER, "550 5.1.1")), "smtp.mailbox-does-not-exist"),
    ("LMTP, known and unknown recipient", 2, lmtp(MAIL, to(UNKNOWN_USER, "550 5.1.1"), to(USER), ["250"]),
     "smtp.mailbox-does-not-exist smtp.rcpt-to message-ingest.lmtp"),
    ("LMTP, over quota", 2, lmtp(MAIL, to(FULL_USER), ["552 5.2.2"]), "smtp.rcpt-to message-ingest.error limit.quota"),
    ("LMTP, over quota and not", 1, lmtp(MAIL, to(FULL_USER), to(USER), ["552 5.2.2", "250"]),
     "2*smtp.rcpt-to message-ingest.error limit.quota message-ingest.lmtp"),
    ("LMTP, unknown command", 2, lmtp(("NONSENSE", "5")), "smtp.error"),
    ("LMTP, bad sequence", 2, lmtp(to(USER, "503"), ("DATA", "503")), "2*smtp.error"),
    ("LMTP, bad syntax", 2, lmtp(("MAIL FROM:nobody@@", "501")), "smtp.error"),
    ("LMTP, gone", 1, lmtp(MAIL, to(USER), drop=True), "smtp.rcpt-to"),

    ("submission, message", 3, submission(("someone@sink.test", "250")), "auth.success smtp.rcpt-to"),
    ("submission, message over TLS", 2, submission(("someone@sink.test", "250"), service="submissions", tls="now"),
     "auth.success tls.handshake smtp.rcpt-to"),
    ("submission, two recipients", 1, submission(("a@sink.test", "250"), ("b@sink.test", "250")), "auth.success 2*smtp.rcpt-to"),
    ("submission, the relay refuses", 2, submission(("refuse@sink.test", "550")), "auth.success smtp.mailbox-does-not-exist"),
    ("submission, the relay puts off", 2, submission(("later@sink.test", "450")), "auth.success"),
    ("submission, unknown command before login", 2, submission_words(("NONSENSE", "5")), "smtp.error"),
    ("submission, unknown command", 2, submission_words(after=(("NONSENSE", "5"),)), "auth.success smtp.error"),
    ("submission, bad sequence", 2, submission_words(after=(("DATA", "503"),)), "auth.success smtp.error"),

    ("reload in sessions", 2, reload_in_session, "2*IMAP POP3 3*auth.success 2*imap.select imap.append"),
    ("many clients at once", 1, crowd, "40*IMAP 40*auth.success 40*imap.select 40*imap.append"),
])
