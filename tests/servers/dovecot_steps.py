# SPDX-License-Identifier: Apache-2.0
"""What clients do to Dovecot, and the events of it."""
import concurrent.futures
import contextlib
import itertools
import ssl
import time

from beds import dovecot
from beds.bed import wait_until
from beds.dovecot import (BROKEN_USER, DEAD_PROXY_USER, DOMAIN, ELSEWHERE_USER, EXPIRED_USER, FULL_USER, NO_HOME_USER, NO_UID_USER, NOLOGIN_USER,
                          OTHER_USER, PAM_USER, PASSWORD, PROXY_USER, SECOND_USER, SIEVE_USER, SUBMISSION_MAX, TLS_PROXY_USER, USER)
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
    elif service == "lmtp":
        c.lhlo()


def leave(c):
    (c.logout if hasattr(c, "logout") else c.quit)()


REFUSED = {"imap": "NO", "pop3": "-ERR", "sieve": "NO", "submission": "535"}
TROUBLE = {"imap": "NO [UNAVAILABLE]", "pop3": "-ERR", "sieve": "NO", "submission": "4"}


def refused(service, mechanism="PLAIN", user=USER, password="wrong", want=REFUSED):
    def action(bed):
        if want is TROUBLE:
            time.sleep(1 - time.time() % 1)  # the file is tried once a second, and only that makes an error in the log
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
                c.dislike_certificate()
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


@contextlib.contextmanager
def selected(bed, mechanism="LOGIN"):
    """A session with the mailbox open."""
    with bed.imap() as c:
        c.login(mechanism, USER, PASSWORD)
        c.cmd("SELECT INBOX")
        yield c


def idle(bed):
    with selected(bed) as c:
        c.idle()
        c.logout()


def idle_long(bed):
    """Long enough to be left to imap-hibernate."""
    with selected(bed) as c:
        c.start("IDLE")
        c.expect("+")
        dovecot.wait_hibernated(bed)
        c.send("DONE\r\n")
        c.finish("OK")
        c.cmd("NOOP")
        c.logout()


def idle_forever(bed):
    with selected(bed) as c:
        c.start("IDLE")
        c.expect("+")
        dovecot.wait_hibernated(bed)


def idle_dropped(bed):
    with selected(bed) as c:
        c.start("IDLE")
        c.expect("+")


# ---- POP3, ManageSieve

def pop3(*commands):
    """A session with a message in the mailbox."""
    def action(bed):
        lmtp(MAIL, to(USER), ["250"])(bed)
        with bed.pop3() as c:
            c.login("USER", USER, PASSWORD)
            for text, want in commands:
                c.cmd(text, want)
                if want == "+OK" and text.split()[0] in ("CAPA", "TOP", "RETR"):
                    while c.line() != ".":
                        pass
            c.logout()
    return action


def manage_sieve(*commands):
    def action(bed):
        with bed.sieve() as c:
            c.login("PLAIN", OTHER_USER, PASSWORD)
            for command in commands:
                c.cmd(*command)
            c.logout()
    return action


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


def lmtp_starttls(bed):
    with bed.lmtp() as c:
        c.lhlo()
        c.cmd("STARTTLS", "220")
        c.tls()
        c.lhlo()
        c.quit()


def lda(bed):
    bed.run("/usr/lib/dovecot/dovecot-lda", "-d", USER, text_in="Subject: test\n\nx\n")


_numbers = itertools.count()


def sieve(subject, *others):
    """A message to the user with a script, and to others."""
    def action(bed):
        with bed.lmtp() as c:
            c.lhlo()
            c.cmd(*MAIL)
            for user in (SIEVE_USER, *others):
                c.cmd(*to(user))
            c.cmd("DATA", "354")
            # Dovecot does not answer or redirect twice what looks like the same message from the same sender.
            number = next(_numbers)
            c.send(f"From: <{number}@client.test>\r\nTo: <{SIEVE_USER}>\r\nMessage-ID: <{number}@client.test>\r\nSubject: {subject}\r\n\r\nx\r\n.\r\n")
            for _ in (SIEVE_USER, *others):
                c.reply("250")
            c.quit()
    return action


def submission(*recipients, service="submission", tls=None, size=0, data="250"):
    """A message. recipients: (address, beginning of the reply); size in bytes; data: the reply to its text."""
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
                c.data("x\r\n" * (size // 3), data)
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


def submission_gone(bed):
    with bed.submission() as c:
        c.ehlo()
        c.login("PLAIN", USER, PASSWORD)
        c.mail()
        c.rcpt("someone@sink.test")
        c.cmd("DATA", "354")
        c.send("Subject: test\r\n")


def submission_relay_gone(bed):
    with bed.submission() as c:
        c.ehlo()
        c.login("PLAIN", USER, PASSWORD)
        c.mail()
        c.cmd("RCPT TO:<drop@sink.test>", "421")
        c.closed()


def submission_too_many_errors(bed):
    with bed.submission() as c:
        c.ehlo()
        c.login("PLAIN", USER, PASSWORD)
        for _ in range(20):
            c.send("NONSENSE\r\n")
            if c.line().startswith("421"):
                return
        raise AssertionError("the server never had enough")


# ---- more about logins

POLICY = f"auth_policy_server_url = http://127.0.0.1:{dovecot.POLICY_PORT}/\nauth_policy_hash_nonce = salt"


def with_settings(text, *actions):
    def action(bed):
        with dovecot.settings(bed, text + "\n"):
            for each in actions:
                each(bed)
    return action


def two_proxied(bed):
    with bed.imap() as c, bed.imap() as other:
        for each in (c, other):
            each.login("PLAIN", PROXY_USER, PASSWORD)
        c.logout()
        other.logout()


def cram_md5(password, want="OK"):
    def action(bed):
        with bed.imap() as c:
            c.cram_md5(USER, password, want)
            c.logout()
    return action


def gone_in_login(bed):
    with bed.imap() as c:
        c.start("AUTHENTICATE PLAIN")
        c.expect("+")


def no_session(service, user):
    """The right password, and then no session: an answer of any kind or none, and the end."""
    def action(bed):
        with client(bed, service) as c:
            greet(service, c)
            with contextlib.suppress(AssertionError, EOFError, OSError):
                c.login("PLAIN", user, PASSWORD)
            with contextlib.suppress(OSError, ssl.SSLError):
                while c.sock.recv(4096):
                    pass
    return action


def gone_before_news(bed):
    """The auth process has decided, and makes the client wait for it."""
    mark = len(dovecot.log(bed))
    with bed.imap() as c:
        c.start(f'LOGIN "{USER}" "wrong"')
        wait_until(lambda: "assword mismatch" in dovecot.log(bed)[mark:], "the verdict")


def penalties(bed):
    """The second failure has to wait for the first, and the success for both."""
    with bed.imap() as c:
        c.login("PLAIN", USER, "wrong", "NO")
        c.login("PLAIN", USER, "wrong", "NO")
        c.login("PLAIN", USER, PASSWORD)
        c.logout()


def loiterer(service):
    def action(bed):
        with client(bed, service) as c, contextlib.suppress(EOFError, OSError):
            for _ in range(100):
                c.send("a NONSENSE\r\n")
                c.line()
            raise AssertionError("the server never had enough")
    return action


def auth_test(password):
    def action(bed):
        bed.run("doveadm", "auth", "test", USER, password, check=False)
    return action


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


def throng(bed):
    """500 sessions of 50 clients at once."""
    action = imap(("SELECT INBOX", "OK"))
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        for done in [pool.submit(action, bed) for _ in range(500)]:
            done.result()


MACROS = {
    # one authentication exchange
    "CHECKED": "auth.attempt auth.passdb-lookup",
    "ALLOWED": "CHECKED auth.success",
    "DENIED": "CHECKED auth.failed",
    "BROKEN": "CHECKED auth.error log.error",
    "ABORTED": "auth.attempt auth.error auth.sasl-aborted",
    "LOGGED-IN": "ALLOWED auth.userdb-lookup auth.login-completed",
    # connections, and whole sessions of users
    "IMAP": "imap.connection-start imap.connection-end",
    "IMAP-DROPPED": "IMAP LOGGED-IN imap.login-result imap.session-start",
    "IMAP-USER": "IMAP-DROPPED imap.logout",
    "FILED": "imap.append message-ingest.imap-append",
    "PROXIED-LOG": "IMAP auth.success",
    "POP3": "pop3.connection-start pop3.connection-end",
    "POP3-DROPPED": "POP3 LOGGED-IN",
    "POP3-USER": "POP3-DROPPED pop3.quit",
    "SIEVE": "manage-sieve.connection-start manage-sieve.connection-end",
    "SIEVE-USER": "SIEVE LOGGED-IN",
    "SMTP": "smtp.connection-start smtp.connection-end",
    "SUBMISSION": "SMTP smtp.ehlo smtp.quit",
    "SUBMISSION-USER": "SUBMISSION LOGGED-IN",
    "LMTP": "SMTP smtp.ehlo smtp.quit",
    "MESSAGE": "smtp.mail-from smtp.data smtp.message-accepted",
    "SIEVED": "LMTP MESSAGE RECIPIENT sieve.script-run",
    "RELAYED": "smtp.rcpt-to delivery.delivered",
    "RECIPIENT": "auth.userdb-lookup smtp.rcpt-to",
}
LITERAL = "{20+}\r\nSubject: test\r\n\r\nx\r\n"
GOOD_SCRIPT, BAD_SCRIPT = "{5+}\r\nkeep;", "{5+}\r\nkeep?"
GARBAGE = b"no TLS at all, and long enough\r\n"

STEPS = table(MACROS, [
    # what the client does, how many times, with which action, what one time counts[, what the log says if it differs]
    ("IMAP LOGIN", 3, session("imap", "LOGIN"), "IMAP-USER"),
    ("IMAP AUTHENTICATE", 2, session("imap"), "IMAP-USER"),
    ("IMAP over TLS", 2, session("imaps", "LOGIN", tls="now"), "IMAP-USER tls.handshake"),
    ("IMAP STARTTLS", 2, session("imap", "LOGIN", tls="starttls"), "IMAP-USER tls.handshake"),
    ("POP3 USER and PASS", 3, session("pop3", "USER"), "POP3-USER"),
    ("POP3 AUTH", 2, session("pop3"), "POP3-USER"),
    ("POP3 over TLS", 2, session("pop3s", "USER", tls="now"), "POP3-USER tls.handshake"),
    ("POP3 STLS", 2, session("pop3", "USER", tls="starttls"), "POP3-USER tls.handshake"),
    ("ManageSieve", 3, session("sieve"), "SIEVE-USER"),
    ("ManageSieve STARTTLS", 2, session("sieve", tls="starttls"), "SIEVE-USER tls.handshake"),
    ("submission LOGIN", 2, session("submission", "LOGIN"), "SUBMISSION-USER"),
    ("submission over TLS", 2, session("submissions", tls="now"), "SUBMISSION-USER tls.handshake"),
    ("submission STARTTLS", 2, session("submission", tls="starttls"), "SUBMISSION-USER smtp.ehlo smtp.start-tls tls.handshake"),

    ("IMAP, wrong password", 3, refused("imap", "LOGIN"), "IMAP DENIED imap.login-result imap.login-aborted"),
    ("POP3, wrong password", 2, refused("pop3", "USER"), "POP3 DENIED"),
    ("ManageSieve, wrong password", 2, refused("sieve"), "SIEVE DENIED"),
    ("submission, wrong password", 2, refused("submission"), "SUBMISSION DENIED"),
    ("IMAP, unknown user", 2, refused("imap", user=UNKNOWN_USER), "IMAP DENIED imap.login-result imap.login-aborted"),
    ("submission, unknown user", 1, refused("submission", "LOGIN", user=UNKNOWN_USER), "SUBMISSION DENIED"),
    ("IMAP from a forbidden address", 2, refused("imap", user=ELSEWHERE_USER, password=PASSWORD), "IMAP DENIED imap.login-result imap.login-aborted"),
    ("POP3 from a forbidden address", 1, refused("pop3", user=ELSEWHERE_USER, password=PASSWORD), "POP3 DENIED"),
    ("IMAP, backend broken", 2, refused("imap", "LOGIN", user=BROKEN_USER, want=TROUBLE), "IMAP BROKEN imap.login-result imap.login-aborted"),
    ("POP3, backend broken", 1, refused("pop3", user=BROKEN_USER, want=TROUBLE), "POP3 BROKEN"),
    ("ManageSieve, backend broken", 1, refused("sieve", user=BROKEN_USER, want=TROUBLE), "SIEVE BROKEN"),
    ("submission, backend broken", 1, refused("submission", user=BROKEN_USER, want=TROUBLE), "SUBMISSION BROKEN"),
    ("IMAP, login aborted", 2, aborted("imap"), "IMAP ABORTED imap.login-result imap.login-aborted", "0*auth.error"),
    ("POP3, login aborted", 2, aborted("pop3"), "POP3 ABORTED", "0*auth.error"),
    ("ManageSieve, login aborted", 2, aborted("sieve"), "SIEVE ABORTED", "0*auth.error"),
    ("submission, login aborted", 2, aborted("submission"), "SUBMISSION ABORTED", "0*auth.error"),

    ("IMAP, no login", 2, no_login("imap", drop=False), "IMAP imap.login-aborted"),
    ("IMAP, gone before login", 2, no_login("imap", drop=True), "IMAP imap.login-aborted"),
    ("POP3, no login", 2, no_login("pop3", drop=False), "POP3"),
    ("POP3, gone before login", 2, no_login("pop3", drop=True), "POP3"),
    ("ManageSieve, no login", 2, no_login("sieve", drop=False), "SIEVE"),
    ("ManageSieve, gone before login", 2, no_login("sieve", drop=True), "SIEVE"),
    ("IMAP, session dropped", 2, session("imap", "LOGIN", drop=True), "IMAP-DROPPED"),
    ("IMAP over TLS, session dropped", 2, session("imaps", "LOGIN", tls="now", drop=True), "IMAP-DROPPED tls.handshake"),
    ("POP3, session dropped", 2, session("pop3", "USER", drop=True), "POP3-DROPPED"),
    ("ManageSieve, session dropped", 2, session("sieve", drop=True), "SIEVE-USER"),

    ("IMAPS port, garbage", 2, tls_broken("imaps", GARBAGE), "IMAP tls.handshake-error imap.login-aborted"),
    ("IMAPS port, gone", 2, tls_broken("imaps", None), "IMAP tls.handshake-error imap.login-aborted"),
    ("IMAPS port, certificate disliked", 2, tls_broken("imaps", "alert"), "IMAP tls.handshake-error imap.login-aborted"),
    ("IMAP STARTTLS, then garbage", 2, tls_broken("imap", GARBAGE, ("STARTTLS", "OK")), "IMAP tls.handshake-error imap.login-aborted"),
    ("IMAP STARTTLS, then gone", 2, tls_broken("imap", None, ("STARTTLS", "OK")), "IMAP tls.handshake-error imap.login-aborted"),
    ("POP3S port, garbage", 2, tls_broken("pop3s", GARBAGE), "POP3 tls.handshake-error"),
    ("POP3 STLS, certificate disliked", 1, tls_broken("pop3", "alert", ("STLS", "+OK")), "POP3 tls.handshake-error"),
    ("submission STARTTLS, then garbage", 2, tls_broken("submission", GARBAGE, ("STARTTLS", "220")),
     "SMTP smtp.ehlo smtp.start-tls tls.handshake-error"),
    ("submissions port, garbage", 1, tls_broken("submissions", GARBAGE), "SMTP tls.handshake-error"),
    ("ManageSieve STARTTLS, then garbage", 1, tls_broken("sieve", GARBAGE, ("STARTTLS", "OK")), "SIEVE tls.handshake-error"),

    ("IMAP SELECT and NOOP", 2, imap(("SELECT INBOX", "OK"), ("NOOP", "OK"), ("SELECT INBOX", "OK")), "IMAP-USER 2*imap.select imap.noop"),
    ("IMAP APPEND", 2, imap(300, 700, 40000), "IMAP-USER 3*FILED"),
    ("IMAP, unknown and malformed commands", 2, imap(("NONSENSE", "BAD"), ("FETCH 1 NONSENSE", "BAD"), ("CREATE", "BAD")),
     "IMAP-USER imap.fetch imap.create-mailbox 3*imap.error"),
    ("IMAP, refused command", 2, imap(("DELETE Missing", "NO"), ("STATUS Missing (MESSAGES)", "NO")), "IMAP-USER imap.delete-mailbox imap.status 2*imap.error"),
    ("IMAP APPEND over quota", 2, over_quota, "IMAP-USER imap.append imap.error limit.quota"),
    ("IMAP SELECT of a missing folder", 1, imap(("SELECT Missing", "NO")), "IMAP-USER imap.select imap.error"),
    ("too many IMAP sessions of a user", 2, too_many_sessions, "3*IMAP-USER IMAP ALLOWED imap.login-result imap.login-aborted limit.concurrent-connection"),
    ("too many POP3 clients", 2, pop3_queue_full, f"{dovecot.POP3_LOGINS + 1}*POP3 limit.concurrent-connection"),

    ("LMTP, one recipient", 3, lmtp(MAIL, to(USER), ["250"]), "LMTP MESSAGE RECIPIENT message-ingest.lmtp"),
    ("LMTP, two recipients", 2, lmtp(MAIL, to(USER), to(OTHER_USER), ["250", "250"]), "LMTP MESSAGE 2*RECIPIENT 2*message-ingest.lmtp"),
    ("LMTP, two messages", 1, lmtp(MAIL, to(USER), ["250"], MAIL, to(OTHER_USER), ["250"]), "LMTP 2*MESSAGE 2*RECIPIENT 2*message-ingest.lmtp"),
    ("LMTP, unknown recipient", 2, lmtp(MAIL, to(UNKNOWN_USER, "550 5.1.1")), "LMTP smtp.mail-from auth.userdb-lookup smtp.mailbox-does-not-exist"),
    ("LMTP, known and unknown recipient", 2, lmtp(MAIL, to(UNKNOWN_USER, "550 5.1.1"), to(USER), ["250"]),
     "LMTP MESSAGE auth.userdb-lookup smtp.mailbox-does-not-exist RECIPIENT message-ingest.lmtp"),
    ("LMTP, over quota", 2, lmtp(MAIL, to(FULL_USER), ["552 5.2.2"]), "LMTP smtp.mail-from smtp.data RECIPIENT message-ingest.error limit.quota"),
    ("LMTP, over quota and not", 1, lmtp(MAIL, to(FULL_USER), to(USER), ["552 5.2.2", "250"]),
     "LMTP MESSAGE 2*RECIPIENT message-ingest.error limit.quota message-ingest.lmtp"),
    ("LMTP, unknown command", 2, lmtp(("NONSENSE", "5")), "LMTP smtp.error"),
    ("LMTP, bad sequence", 2, lmtp(to(USER, "503"), ("DATA", "503")), "LMTP 2*smtp.error"),
    ("LMTP, bad syntax", 2, lmtp(("MAIL FROM:nobody@@", "501")), "LMTP smtp.error"),
    ("LMTP, gone", 1, lmtp(MAIL, to(USER), drop=True), "SMTP smtp.ehlo smtp.mail-from RECIPIENT"),
    ("LMTP, gone in a message", 2, lmtp(MAIL, to(USER), ("DATA", "354"), drop=True), "SMTP smtp.ehlo smtp.mail-from RECIPIENT smtp.data"),
    ("LMTP, other commands", 2, lmtp(("NOOP", "250"), ("VRFY x", "252"), ("VRFY y", "252"), MAIL, ("RSET", "250"), ("NOOP", "250")),
     "LMTP 2*smtp.noop 2*smtp.vrfy smtp.mail-from smtp.rset"),
    ("LMTP STARTTLS", 2, lmtp_starttls, "LMTP smtp.ehlo smtp.start-tls tls.handshake"),
    ("dovecot-lda", 2, lda, "auth.userdb-lookup"),

    ("Sieve keeps", 2, sieve("keep"), "SIEVED sieve.action-accept message-ingest.lmtp"),
    ("Sieve keeps without a word", 1, sieve("nothing"), "SIEVED sieve.action-accept message-ingest.lmtp"),
    ("Sieve files", 2, sieve("file"), "SIEVED sieve.action-accept message-ingest.lmtp"),
    ("Sieve discards", 2, sieve("discard"), "SIEVED sieve.action-discard"),
    ("Sieve rejects", 2, sieve("reject"), "SIEVED sieve.action-reject"),
    ("Sieve redirects", 2, sieve("redirect"), "SIEVED sieve.send-message"),
    ("Sieve redirects and keeps", 2, sieve("redirect and keep"), "SIEVED sieve.send-message sieve.action-accept message-ingest.lmtp"),
    ("Sieve answers", 1, sieve("vacation"), "SIEVED sieve.send-message sieve.action-accept message-ingest.lmtp"),
    ("Sieve notifies", 1, sieve("notify"), "SIEVED sieve.send-message sieve.action-accept message-ingest.lmtp"),
    ("Sieve discards for one of two", 1, sieve("discard", OTHER_USER), "SIEVED RECIPIENT sieve.action-discard message-ingest.lmtp"),

    ("submission, message", 3, submission(("someone@sink.test", "250")), "SUBMISSION-USER MESSAGE RELAYED"),
    ("submission, message over TLS", 2, submission(("someone@sink.test", "250"), service="submissions", tls="now"),
     "SUBMISSION-USER tls.handshake MESSAGE RELAYED"),
    ("submission, two recipients", 1, submission(("a@sink.test", "250"), ("b@sink.test", "250")), "SUBMISSION-USER MESSAGE 2*RELAYED"),
    ("submission, the relay refuses", 2, submission(("refuse@sink.test", "550")),
     "SUBMISSION-USER smtp.mail-from smtp.mailbox-does-not-exist delivery.rcpt-to-rejected"),
    ("submission, the relay refuses one of two", 2, submission(("refuse@sink.test", "550"), ("a@sink.test", "250")),
     "SUBMISSION-USER MESSAGE RELAYED smtp.mailbox-does-not-exist delivery.rcpt-to-rejected"),
    ("submission, the relay puts off", 2, submission(("later@sink.test", "450")), "SUBMISSION-USER smtp.mail-from delivery.rcpt-to-rejected"),
    ("submission, the relay forbids", 2, submission(("forbid@sink.test", "550 5.7.1")),
     "SUBMISSION-USER smtp.mail-from smtp.rcpt-to-rejected delivery.rcpt-to-rejected"),
    ("submission, the relay dislikes the message", 2, submission(("spam@sink.test", "250"), data="554"),
     "SUBMISSION-USER smtp.mail-from smtp.rcpt-to smtp.data delivery.message-rejected"),
    ("submission, the relay is gone", 2, submission_relay_gone, "SMTP LOGGED-IN smtp.ehlo smtp.mail-from"),
    ("submission, gone in a message", 2, submission_gone, "SMTP LOGGED-IN smtp.ehlo smtp.mail-from smtp.rcpt-to smtp.data"),
    ("submission, message announced too large", 2, submission_words(after=((f"MAIL FROM:<a@client.test> SIZE={10 * SUBMISSION_MAX}", "552"),)),
     "SUBMISSION-USER smtp.message-too-large"),
    ("submission, message too large", 2, submission(("someone@sink.test", "250"), size=2 * SUBMISSION_MAX, data="552"),
     "SUBMISSION-USER smtp.mail-from smtp.rcpt-to smtp.data smtp.message-too-large"),
    ("submission, other commands before login", 2, submission_words(("NOOP", "250"), ("RSET", "250"), ("EHLO again", "250")),
     "SUBMISSION smtp.noop smtp.rset smtp.ehlo"),
    ("submission, other commands", 2, submission_words(after=(("NOOP", "250"), ("RSET", "250"), ("VRFY x", "250"), ("EHLO again", "250"))),
     "SUBMISSION-USER smtp.noop smtp.rset smtp.vrfy smtp.ehlo"),
    ("submission, unknown command before login", 2, submission_words(("NONSENSE", "5")), "SUBMISSION smtp.error"),
    ("submission, unknown command", 2, submission_words(after=(("NONSENSE", "5"),)), "SUBMISSION-USER smtp.error"),
    ("submission, bad sequence", 2, submission_words(after=(("DATA", "503"),)), "SUBMISSION-USER smtp.error"),
    ("submission, no login", 2, no_login("submission", drop=False), "SUBMISSION"),
    ("submission, gone before login", 2, no_login("submission", drop=True), "SMTP smtp.ehlo"),
    ("submission, session dropped", 2, session("submission", drop=True), "SMTP LOGGED-IN smtp.ehlo"),

    ("CRAM-MD5", 2, cram_md5(PASSWORD), "IMAP-USER"),
    ("CRAM-MD5, wrong password", 2, cram_md5("wrong", "NO"), "IMAP DENIED imap.login-result imap.login-aborted"),
    ("two password databases", 2, session("imap", user=SECOND_USER), "IMAP-USER auth.passdb-lookup", "auth.failed"),
    ("two password databases, wrong password", 1, refused("imap", user=SECOND_USER),
     "IMAP DENIED auth.passdb-lookup imap.login-result imap.login-aborted", "2*auth.failed"),
    ("auth worker", 2, session("imap", user=PAM_USER), "IMAP-USER auth.worker-request"),
    ("auth worker, wrong password", 1, refused("imap", user=PAM_USER), "IMAP DENIED auth.worker-request imap.login-result imap.login-aborted",
     "0*auth.failed"),
    ("expired account", 2, refused("imap", user=EXPIRED_USER, password=PASSWORD),
     "IMAP DENIED auth.worker-request imap.login-result imap.login-aborted log.error", "0*auth.failed"),
    ("closed account", 2, refused("imap", user=NOLOGIN_USER, password=PASSWORD), "IMAP ALLOWED imap.login-result imap.login-aborted",
     "0*auth.success"),
    ("IMAP, gone in the middle of login", 2, gone_in_login, "IMAP ABORTED imap.login-aborted", "0*auth.error"),
    ("proxied session", 2, session("imap", user=PROXY_USER),
     "IMAP-USER IMAP ALLOWED imap.login-result proxy.session-start proxy.session-end",
     "PROXIED-LOG"),
    ("proxied session, dropped", 2, session("imap", user=PROXY_USER, drop=True),
     "IMAP-DROPPED IMAP ALLOWED imap.login-result proxy.session-start proxy.session-end",
     "PROXIED-LOG"),
    ("two proxied sessions at once", 1, two_proxied, "2*IMAP-USER 2*IMAP 2*ALLOWED 2*imap.login-result 2*proxy.session-start 2*proxy.session-end",
     "2*PROXIED-LOG"),
    ("proxied session over TLS", 2, session("imap", user=TLS_PROXY_USER),
     "IMAP-USER tls.handshake IMAP ALLOWED imap.login-result proxy.session-start proxy.session-end", "PROXIED-LOG"),
    ("proxied session that cannot be", 1, refused("imap", user=DEAD_PROXY_USER, password=PASSWORD, want={"imap": "NO"}),
     "IMAP ALLOWED imap.login-result imap.login-aborted log.error", "0*auth.success"),
    ("proxied session that cannot be, POP3", 1, refused("pop3", user=DEAD_PROXY_USER, password=PASSWORD, want={"pop3": "-ERR"}),
     "POP3 ALLOWED log.error", "0*auth.success"),
    ("POP3, proxied session", 2, session("pop3", user=PROXY_USER), "POP3-USER POP3 ALLOWED proxy.session-start proxy.session-end",
     "POP3 auth.success"),
    ("ManageSieve, proxied session", 2, session("sieve", user=PROXY_USER), "SIEVE-USER SIEVE ALLOWED proxy.session-start proxy.session-end",
     "SIEVE auth.success"),
    ("IMAP, session that cannot start", 2, no_session("imap", NO_UID_USER), "IMAP-DROPPED log.error", "0*imap.connection-end"),
    ("POP3, session that cannot start", 2, no_session("pop3", NO_UID_USER), "POP3-DROPPED log.error", "0*pop3.connection-end"),
    ("ManageSieve, session that cannot start", 2, no_session("sieve", NO_UID_USER), "SIEVE-USER log.error", "0*manage-sieve.connection-end"),
    ("submission, session that cannot start", 2, no_session("submission", NO_UID_USER), "SMTP LOGGED-IN smtp.ehlo log.error"),
    ("POP3, mailbox that cannot be opened", 2, no_session("pop3", NO_HOME_USER), "POP3-DROPPED 5*log.error"),
    ("IMAP, gone before the bad news", 1, with_settings("auth_failure_delay = 2 secs", gone_before_news), "IMAP DENIED imap.login-result imap.login-aborted"),
    ("penalties", 1, with_settings("auth_failure_delay = 1 secs", penalties), "IMAP-USER 2*DENIED 2*imap.login-result 2*auth.too-many-attempts"),
    ("auth cache", 1, with_settings("auth_cache_size = 1M", *[session("imap")] * 3), "3*IMAP-USER"),
    ("auth cache, wrong password", 1, with_settings("auth_cache_size = 1M", *[refused("imap")] * 2),
     "2*IMAP 2*DENIED 2*imap.login-result 2*imap.login-aborted"),
    ("policy server", 1, with_settings(POLICY, session("imap")), "IMAP-USER"),
    ("policy server refuses", 1, with_settings(POLICY, refused("imap", user=OTHER_USER, password=PASSWORD)),
     "IMAP auth.attempt auth.failed auth.too-many-attempts imap.login-result imap.login-aborted", "0*auth.failed"),
    ("policy server delays", 1, with_settings(POLICY, session("imap", user=FULL_USER)), "IMAP-USER auth.too-many-attempts"),
    ("IMAP, nonsense before login", 1, loiterer("imap"), "IMAP imap.login-aborted security.loiter-ban"),
    ("POP3, nonsense before login", 1, loiterer("pop3"), "POP3 security.loiter-ban"),
    ("ManageSieve, nonsense before login", 1, loiterer("sieve"), "SIEVE security.loiter-ban"),
    ("submission, nonsense before login", 1, loiterer("submission"), "SMTP 10*smtp.error"),
    ("submission, nonsense", 1, submission_too_many_errors, "SMTP LOGGED-IN smtp.ehlo 10*smtp.error"),
    ("doveadm auth test", 2, auth_test(PASSWORD), "ALLOWED", "0*auth.success"),
    ("doveadm auth test, wrong password", 1, auth_test("wrong"), "DENIED", "0*auth.failed"),

    ("IMAP, all commands about mailboxes", 2, imap(
        ("CAPABILITY", "OK"), ("ID NIL", "OK"), ("ENABLE CONDSTORE", "OK"), ("NAMESPACE", "OK"), ("NOOP", "OK"), ("NOOP", "OK"),
        ("CREATE Work", "OK"), ("SUBSCRIBE Work", "OK"), ('LIST "" *', "OK"), ('LSUB "" *', "OK"), ("UNSUBSCRIBE Work", "OK"),
        ("STATUS Work (MESSAGES)", "OK"), ("GETACL Work", "OK"), ("SETACL Work bob lr", "OK"), ("GETQUOTAROOT Work", "OK"),
        ('GETQUOTA "User quota"', "OK"), ("RENAME Work Play", "OK"), ("EXAMINE Play", "OK"), ("CLOSE", "OK"), ("DELETE Play", "OK")),
     "IMAP-USER imap.capabilities imap.id imap.enable imap.namespace 2*imap.noop imap.create-mailbox imap.subscribe imap.list imap.lsub "
     "imap.unsubscribe imap.status imap.get-acl imap.set-acl 2*imap.get-quota imap.rename-mailbox imap.select imap.close imap.delete-mailbox"),
    ("IMAP, all commands about messages", 2, imap(
        ("CREATE Box", "OK"), (f"APPEND Box {LITERAL}", "OK"), (f"APPEND Box {LITERAL} {LITERAL} {LITERAL}", "OK"), ("SELECT Box", "OK"),
        ("FETCH 1 FLAGS", "OK"), ("UID FETCH 1:* FLAGS", "OK"), ("STORE 1 +FLAGS (\\Seen)", "OK"), ("UID STORE 1 +FLAGS (\\Flagged)", "OK"),
        ("SEARCH ALL", "OK"), ("UID SEARCH ALL", "OK"), ("SORT (DATE) UTF-8 ALL", "OK"), ("UID SORT (DATE) UTF-8 ALL", "OK"),
        ("THREAD REFERENCES UTF-8 ALL", "OK"), ("UID THREAD REFERENCES UTF-8 ALL", "OK"), ("COPY 1 Box", "OK"), ("UID COPY 1 Box", "OK"),
        ("STORE 1:2 +FLAGS (\\Deleted)", "OK"), ("EXPUNGE", "OK"), ("STORE 1 +FLAGS (\\Deleted)", "OK"), ("UID EXPUNGE 1:*", "OK"),
        ("UNSELECT", "OK"), ("DELETE Box", "OK")),
     "IMAP-USER imap.create-mailbox 2*FILED imap.select 2*imap.fetch 4*imap.store 2*imap.search 2*imap.sort 2*imap.thread 2*imap.copy "
     "2*imap.expunge imap.delete-mailbox 6*message.expunged"),
    ("IMAP MOVE", 2, imap(
        ("CREATE From", "OK"), ("CREATE To", "OK"), (f"APPEND From {LITERAL} {LITERAL}", "OK"), ("SELECT From", "OK"), ("MOVE 1 To", "OK"),
        ("UID MOVE 2 To", "OK"), ("UNSELECT", "OK"), ("DELETE From", "OK"), ("DELETE To", "OK")),
     "IMAP-USER 2*imap.create-mailbox FILED imap.select 2*imap.move 2*imap.delete-mailbox 4*message.expunged"),
    ("IMAP IDLE", 2, idle, "IMAP-USER imap.select imap.idle-stop"),
    ("IMAP IDLE, dropped", 1, idle_dropped, "IMAP-DROPPED imap.select imap.idle-stop"),

    ("IMAP IDLE, hibernated", 1, with_settings(dovecot.HIBERNATE, idle_long), "IMAP-USER imap.select imap.idle-stop imap.noop"),
    ("IMAP IDLE, hibernated and dropped", 1, with_settings(dovecot.HIBERNATE, idle_forever), "IMAP-DROPPED imap.select imap.idle-stop"),

    ("POP3, all commands", 2, pop3(
        ("STAT", "+OK"), ("LIST 1", "+OK"), ("UIDL 1", "+OK"), ("NOOP", "+OK"), ("stat", "+OK"), ("nOOp", "+OK"), ("DELE 1", "+OK"), ("RSET", "+OK"),
        ("CAPA", "+OK"), ("TOP 1 0", "+OK"), ("RETR 1", "+OK"), ("DELE 1", "+OK")),
     "POP3-USER LMTP MESSAGE RECIPIENT message-ingest.lmtp 2*pop3.stat pop3.list pop3.uidl 2*pop3.noop 2*pop3.delete pop3.reset pop3.fetch message.expunged"),
    ("POP3, refused commands", 2, pop3(("RETR 99999", "-ERR"), ("DELE 99999", "-ERR"), ("NONSENSE", "-ERR"), ("LIST x", "-ERR"), ("DELE", "-ERR")),
     "POP3-USER LMTP MESSAGE RECIPIENT message-ingest.lmtp pop3.fetch 2*pop3.delete pop3.list 5*pop3.error"),

    ("ManageSieve, all commands", 2, manage_sieve(
        (f'CHECKSCRIPT {GOOD_SCRIPT}', "OK"), (f'PUTSCRIPT "one" {GOOD_SCRIPT}', "OK"), ("LISTSCRIPTS", "OK"), ('GETSCRIPT "one"', "OK"),
        ('HAVESPACE "one" 100', "OK"), ('RENAMESCRIPT "one" "two"', "OK"), ('SETACTIVE "two"', "OK"), ('SETACTIVE ""', "OK"), ("NOOP", "OK"),
        ('DELETESCRIPT "two"', "OK")),
     "SIEVE-USER manage-sieve.check-script manage-sieve.create-script manage-sieve.list-scripts manage-sieve.get-script manage-sieve.have-space "
     "manage-sieve.rename-script manage-sieve.set-active manage-sieve.delete-script"),
    ("ManageSieve, refused commands", 2, manage_sieve(
        (f'PUTSCRIPT "bad" {BAD_SCRIPT}', "NO"), ('GETSCRIPT "missing"', "NO"), ('SETACTIVE "missing"', "NO"), ('DELETESCRIPT "missing"', "NO")),
     "SIEVE-USER manage-sieve.get-script manage-sieve.delete-script 4*manage-sieve.error"),

    ("reload in sessions", 2, reload_in_session, "2*IMAP-USER POP3-USER 2*imap.select FILED"),
    ("many clients at once", 1, crowd, "40*IMAP-USER 40*imap.select 40*FILED"),
    ("500 logins", 1, throng, "500*IMAP-USER 500*imap.select"),
])

# What the releases do in different ways: (name, times, action, events of one time of 2.3, of 2.4).
_DIFFERENT = [
    ("ManageSieve, storage that cannot be opened", 1, no_session("sieve", NO_HOME_USER),
     "SIEVE-USER log.error server.fatal", "SIEVE-USER 2*log.error"),
    ("LMTP STARTTLS, then garbage", 1, tls_broken("lmtp", GARBAGE, ("STARTTLS", "220")),
     "SMTP smtp.ehlo smtp.start-tls tls.handshake-error", "SMTP smtp.ehlo smtp.start-tls tls.handshake-error log.error"),
]
_DIFFERENT_LOG = "0*manage-sieve.connection-end 0*tls.handshake-error"
STEPS_OF = {
    "bookworm": table(MACROS, [(name, times, action, old, _DIFFERENT_LOG) for name, times, action, old, _ in _DIFFERENT]),
    "trixie": table(MACROS, [(name, times, action, new, _DIFFERENT_LOG) for name, times, action, _, new in _DIFFERENT]),
}
