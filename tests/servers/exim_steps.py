# SPDX-License-Identifier: Apache-2.0
"""What clients do to Exim, and the events of it."""
import base64
import concurrent.futures
import contextlib
import hmac
import time

from beds import clients, exim
from beds.exim import BANNED, DENIED, DOMAIN, FEW, FOREIGN, LISTED, MISNAMED, NAMED, NAMELESS, PASSWORD, SENDER_BAD, SENDER_OK, SENDER_SOFT, SLOW
from steps import table

LOCAL = f"alice@{DOMAIN}"
HELLO = "EHLO client.test", "250"
GARBAGE = b"no TLS at all, and long enough\r\n"
NOBODY = "127.7.0.3"  # may not do what is asked for


L = {"sender": LOCAL}


def talk(*lines, service="smtp", source=None, banner="220", end=("QUIT", "221")):
    """lines: pairs of what is sent and the beginning of the reply. No EHLO unless it is among them."""
    def action(bed):
        with bed.smtp(service, source, banner=banner, tls=service == "smtps") as c:
            for text, want in lines:
                c.cmd(text, want)
            if end:
                c.cmd(*end)
        exim.wait_idle(bed)
    return action


def exchange(*lines, **how):
    return talk(HELLO, *lines, **how)


def mail(sender="someone@client.test", want="250"):
    return f"MAIL FROM:<{sender}>", want


def rcpt(recipient, want="250"):
    return f"RCPT TO:<{recipient}>", want


def mail_rcpt(recipient, want, sender="someone@client.test", **how):
    return exchange(mail(sender), rcpt(recipient, want), **how)


def login(mechanism, user="alice", password=PASSWORD, want="235", tls=False, service="submission"):
    def action(bed):
        with bed.smtp(service, tls=service == "smtps") as c:
            c.ehlo()
            if tls:
                c.starttls()
            if mechanism == "CRAM-MD5":
                cram_md5(c, user, password, want)
            elif mechanism == "EXTERNAL":
                c.cmd(f"AUTH EXTERNAL {clients.b64(user)}", want)
            else:
                c.login(mechanism, user, password, want)
            c.quit()
        exim.wait_idle(bed)
    return action


def cram_md5(c, user, password, want):
    challenge = base64.b64decode(c.cmd("AUTH CRAM-MD5", "334")[4:])
    c.cmd(clients.b64(f"{user} {hmac.new(password.encode(), challenge, 'md5').hexdigest()}"), want)


def second_thoughts(bed):
    """Two wrong passwords and a right one in one session."""
    with bed.smtp() as c:
        c.ehlo()
        c.login("PLAIN", "alice", "wrong", "535")
        c.login("LOGIN", "alice", "wrong too", "535")
        c.login("LOGIN", "alice", PASSWORD)
        c.quit()
    exim.wait_idle(bed)


def starttls(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.starttls()
        c.quit()
    exim.wait_idle(bed)


def tls_now(bed):
    with bed.smtp("smtps", tls=True) as c:
        c.ehlo()
        c.quit()
    exim.wait_idle(bed)


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
                time.sleep(0.1)
        exim.wait_idle(bed)
    return action


def dropped(*lines, **how):
    """Gone without a good-bye."""
    return talk(*lines, end=None, **how)


def lost_in_data(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        c.rcpt(LOCAL)
        c.cmd("DATA", "354")
        c.send("Subject: never ends\r\n\r\n")
    exim.wait_idle(bed)


def cut_off(*lines, last, service="smtp", source=None):
    """The server has enough at the last command, says so, and goes."""
    def action(bed):
        with bed.smtp(service, source) as c:
            for text, want in lines:
                c.cmd(text, want)
            c.cmd(*last)
            with contextlib.suppress(EOFError, ConnectionResetError):
                while c.line():
                    pass
        exim.wait_idle(bed)
    return action


def impatient(bed):
    with bed.smtp("impatient") as c:
        c.ehlo()
        c.reply("421")
        c.closed()
    exim.wait_idle(bed)


def impatient_in_data(bed):
    with bed.smtp("impatient") as c:
        c.ehlo()
        c.mail()
        c.rcpt(LOCAL)
        c.cmd("DATA", "354")
        c.send("Subject: never ends\r\n\r\n")
        c.reply("421")
    exim.wait_idle(bed)


def too_early(bed):
    """A word before the greeting."""
    with bed.smtp(source=SLOW, banner=None) as c:
        c.send("EHLO client.test\r\n")
        c.reply("554")
    exim.wait_idle(bed)


def out_of_step(bed):
    """Commands sent before the answer to EHLO."""
    with bed.smtp() as c:
        c.send("EHLO client.test\r\nNOOP\r\n")
        c.reply("554")
    exim.wait_idle(bed)


def message(*recipients, subject="test", sender="someone@client.test", want="250", size=0, login=None, source=None, times=1, service="smtp", wait=True):
    def action(bed):
        with bed.smtp(service, source) as c:
            c.ehlo()
            if login:
                c.login(login, "alice", PASSWORD)
            for _ in range(times):
                c.mail(f"<{sender}>")
                for recipient in recipients:
                    c.rcpt(recipient)
                c.cmd("DATA", "354")
                c.send(f"Subject: {subject}\r\n\r\n" + "x" * 70 * (size // 70) + "\r\n")
                c.cmd(".", want)
            c.quit()
        if wait:
            exim.wait_idle(bed)
    return action


def chunked(bed):
    """BDAT, in two pieces: no answer asks for the text."""
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        c.rcpt(LOCAL)
        first, second = "Subject: test\r\n", "\r\nHello.\r\n"
        c.send(f"BDAT {len(first)}\r\n{first}")
        c.reply("250")
        c.send(f"BDAT {len(second)} LAST\r\n{second}")
        c.reply("250")
        c.quit()
    exim.wait_idle(bed)


def looping(bed):
    """Taken, and found out by whoever delivers it."""
    with bed.smtp() as c:
        c.ehlo()
        c.mail(f"<{LOCAL}>")
        c.rcpt(LOCAL)
        c.cmd("DATA", "354")
        c.send("Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n" * 40 + "Subject: test\r\n\r\nHello.\r\n")
        c.cmd(".", "250")
        c.quit()
    exim.wait_idle(bed)


def too_many_connections(bed):
    with bed.smtp(source=FEW) as first, bed.smtp(source=FEW) as second:
        with bed.smtp(source=FEW, banner="421") as third:
            third.closed()
        for c in (first, second):
            c.ehlo()
            c.quit()
    exim.wait_idle(bed)
    time.sleep(0.3)  # the daemon has to see that they are gone


def too_fast(bed):
    """Two are let through, the third is put off."""
    source = bed.source()
    for want in ("250", "250", "451"):
        mail_rcpt(f"limited@{DOMAIN}", want, source=source)(bed)


def sendmail(*recipients, sender=LOCAL, text="Subject: test\n\nHello.\n", check=True, options=()):
    def action(bed):
        bed.run("sendmail", *options, "-f", sender, *recipients, text_in=text, check=check)
        exim.wait_idle(bed)
    return action


def batch(bed):
    """SMTP from a file."""
    bed.run("sendmail", "-bS", text_in=f"MAIL FROM:<{LOCAL}>\nRCPT TO:<{LOCAL}>\nDATA\nSubject: test\n\nHello.\n.\nQUIT\n")
    exim.wait_idle(bed)


def tried(*recipients, tries=1, how=message, **more):
    """A message that cannot be delivered now."""
    def action(bed):
        how(*recipients, **more)(bed)
        for _ in range(tries - 1):
            exim.flush(bed)
        exim.forget_deferred(bed)
    return action


def not_yet(bed):
    """A second message to a host that is down: nobody tries, before it is time."""
    message("a@down.test")(bed)
    message("b@down.test")(bed)
    exim.forget_deferred(bed)


def queue_run_too_early(bed):
    """A queue run finds that it is not yet time."""
    message("a@down.test")(bed)
    for _ in range(2):
        bed.run("exim4", "-q")
        exim.wait_idle(bed)
    exim.forget_deferred(bed)


def frozen(bed):
    """A message that stays, until it is thawed."""
    message(LOCAL, subject="freeze")(bed)
    bed.run("exim4", "-q")
    exim.wait_idle(bed)
    bed.run("exim4", "-Mt", *exim.queued(bed))
    bed.run("exim4", "-q")
    exim.wait_idle(bed)


def removed(bed):
    message("a@down.test")(bed)
    bed.run("exim4", "-Mrm", *exim.queued(bed))
    exim.forget_deferred(bed)


def looked_at(bed):
    """What an administrator asks."""
    for command in (["-bp"], ["-bpc"], ["-bt", LOCAL], ["-bv", LOCAL], ["-bP", "primary_hostname"], ["-be", "$primary_hostname"], ["-bV"], ["-q"]):
        bed.run("exim4", *command)
    bed.run("exim4", "-bt", f"missing@{DOMAIN}", check=False)
    exim.wait_idle(bed)


def rehearsed(bed):
    """A session that only seems to be one."""
    bed.run("exim4", "-bh", "127.9.9.9", text_in="\r\n".join(
        ["EHLO client.test", "MAIL FROM:<someone@client.test>", f"RCPT TO:<{LOCAL}>", f"RCPT TO:<denied@{DOMAIN}>", "NONSENSE", "DATA", "Subject: test", "", "x", ".",
         "RSET", "NOOP", "QUIT", ""]), check=False)
    exim.wait_idle(bed)


def at_once(action, number, clients_):
    def together(bed):
        with concurrent.futures.ThreadPoolExecutor(clients_) as pool:
            for done in [pool.submit(action, bed) for _ in range(number)]:
                done.result()
        exim.wait_idle(bed)
    return together


def reload_in_session(bed):
    """The running session ends as it began; its successors are children of a daemon that began anew."""
    with bed.smtp() as c:
        c.ehlo()
        exim.reload(bed)
        c.login("PLAIN", "alice", PASSWORD)
        c.message(LOCAL)
        c.quit()
    message(LOCAL)(bed)


def with_settings(change, action):
    def changed(bed):
        with exim.settings(bed, change=change):
            action(bed)
            exim.wait_idle(bed)
    return changed


def full_house(bed):
    """The daemon has no place for a third connection."""
    with bed.smtp() as first, bed.smtp() as second:
        with bed.smtp(banner="421") as third:
            third.closed()
        for c in (first, second):
            c.ehlo()
            c.quit()


def sent_as_it_is(text):
    return exchange(mail("someone@signed.test"), rcpt(LOCAL), ("DATA", "354"), (f"{text}\r\n.", "250"))


def delayed(bed):
    """The sender is told that the message is late."""
    message("later@sink.test", **L)(bed)
    time.sleep(2)
    exim.flush(bed)
    exim.forget_deferred(bed)


def broken_configuration(bed):
    bed.write("/etc/broken.conf", "nonsense\n")
    bed.run("exim4", "-C", "/etc/broken.conf", "-bP", "primary_hostname", check=False)


def restart(bed):
    exim.stop(bed)
    exim.start(bed)
    message(LOCAL)(bed)


MACROS = {
    "CONNECTION": "smtp.connection-start smtp.connection-end",
    "SESSION": "CONNECTION smtp.ehlo smtp.quit",
    "HELLO": "CONNECTION smtp.ehlo",  # and no good-bye
    "TLS": "smtp.start-tls tls.handshake smtp.ehlo",
    "GRANTED": "auth.attempt auth.success",
    "DENIED": "auth.attempt auth.failed",
    "BROKEN": "auth.attempt auth.error",
    "ENVELOPE": "smtp.mail-from smtp.rcpt-to",
    "TAKEN": "smtp.data smtp.message-accepted",
    "ACCEPTED": "SESSION ENVELOPE TAKEN",
    "RECEIVED": "ACCEPTED queue.queue-message",
    "ATTEMPT": "delivery.attempt-start delivery.attempt-end",
    "CONNECTED": "ATTEMPT delivery.connect",
    "SENT": "CONNECTED delivery.mail-from delivery.rcpt-to",
    "GONE": "delivery.completed queue.message-removed",
    "DELIVERED": "ATTEMPT delivery.delivered GONE",
    "NOTICE": "queue.queue-dsn DELIVERED",
    "BOUNCED": "delivery.failed GONE delivery.dsn-perm-fail NOTICE",
    "MAIL-REFUSED": "SESSION smtp.rejected",
    "RCPT-REFUSED": "SESSION smtp.mail-from smtp.rejected",
}

STEPS = table(MACROS, [
    # what the client does, how many times, with which action, what one time counts[, what the log says if it differs]
    ("PLAIN at once", 3, login("PLAIN"), "SESSION GRANTED"),
    ("PLAIN when asked", 2, login("PLAIN-334"), "SESSION GRANTED"),
    ("LOGIN", 2, login("LOGIN"), "SESSION GRANTED"),
    ("CRAM-MD5", 2, login("CRAM-MD5"), "SESSION GRANTED"),
    ("PLAIN after STARTTLS", 2, login("PLAIN", tls=True), "SESSION TLS GRANTED"),
    ("LOGIN over TLS", 2, login("LOGIN", service="smtps"), "SESSION tls.handshake GRANTED"),
    ("PLAIN, wrong password", 3, login("PLAIN", password="wrong", want="535"), "SESSION DENIED"),
    ("LOGIN, wrong password", 2, login("LOGIN", password="wrong", want="535"), "SESSION DENIED"),
    ("CRAM-MD5, wrong password", 2, login("CRAM-MD5", password="wrong", want="535"), "SESSION DENIED"),
    ("CRAM-MD5, unknown user", 2, login("CRAM-MD5", user="nobody", want="535"), "SESSION DENIED"),
    ("EXTERNAL", 2, login("EXTERNAL", user=LOCAL), "SESSION GRANTED"),
    ("EXTERNAL, unknown user", 2, login("EXTERNAL", user="nobody", want="535"), "SESSION DENIED"),
    ("two wrong passwords, then the right one", 2, second_thoughts, "SESSION 2*DENIED GRANTED"),
    ("backend that fails", 2, login("PLAIN", user="broken", want="435"), "SESSION BROKEN"),
    ("LOGIN aborted", 2, exchange(("AUTH LOGIN", "334"), ("*", "501")), "SESSION BROKEN auth.sasl-aborted"),
    ("CRAM-MD5 aborted", 2, exchange(("AUTH CRAM-MD5", "334"), ("*", "501")), "SESSION BROKEN auth.sasl-aborted"),
    ("not base64", 2, exchange(("AUTH PLAIN ***", "501")), "SESSION BROKEN"),
    ("unexpected initial data", 2, exchange(("AUTH CRAM-MD5 AAAA", "553")), "SESSION BROKEN"),
    ("unknown mechanism", 2, exchange(("AUTH X-NONE", "504")), "SESSION auth.error smtp.auth-mechanism-not-supported"),
    ("AUTH before EHLO", 2, talk(("AUTH PLAIN AAAA", "503")), "CONNECTION smtp.quit smtp.command-not-implemented"),
    ("AUTH that a rule refuses", 2, exchange(("AUTH PLAIN AAAA", "503"), source=NOBODY), "SESSION smtp.rejected"),
    ("AUTH with a mechanism that is no word", 2, exchange(("AUTH !!", "501")), "SESSION smtp.syntax-error"),

    ("EHLO, NOOP, RSET, VRFY, QUIT", 3, exchange(("NOOP", "250"), ("RSET", "250"), (f"VRFY {LOCAL}", "250")), "SESSION smtp.noop smtp.rset smtp.vrfy"),
    ("HELO, and NOOP and RSET in small letters", 2, talk(("HELO client.test", "250"), ("noop x", "250"), ("rset", "250")), "SESSION smtp.noop smtp.rset"),
    ("EHLO twice", 2, talk(HELLO, HELLO), "SESSION smtp.ehlo"),
    ("greeted with words of a rule", 2, talk(("EHLO welcome.test", "250")), "SESSION"),
    ("good-bye with words of a rule", 2, exchange(source="127.7.0.4"), "SESSION"),
    ("VRFY of an unknown recipient", 2, exchange((f"VRFY missing@{DOMAIN}", "550")), "SESSION smtp.vrfy"),
    ("VRFY that a rule refuses", 2, exchange((f"VRFY {LOCAL}", "252"), source=NOBODY), "SESSION smtp.rejected"),
    ("EXPN that a rule refuses", 2, exchange((f"EXPN {LOCAL}", "550"), source=NOBODY), "SESSION smtp.rejected"),
    ("ETRN", 2, exchange(("ETRN #x", "250")), "SESSION"),
    ("ETRN that a rule refuses", 2, exchange(("ETRN #x", "458"), source=NOBODY), "SESSION smtp.rejected"),
    ("unknown commands", 2, exchange(("NONSENSE", "500"), ("GET /", "500")), "SESSION 2*smtp.invalid-command"),
    ("malformed commands", 2, exchange(("MAIL FROM:", "501"), mail(""), ("RCPT TO:", "501")),
     "SESSION smtp.mail-from 2*smtp.syntax-error"),
    ("malformed sender", 2, exchange(("MAIL FROM:<@>", "501")), "SESSION smtp.invalid-sender-address"),
    ("malformed recipient", 2, exchange(mail(), rcpt("a@b@c", "501")), "SESSION smtp.mail-from smtp.syntax-error"),
    ("malformed greeting", 2, talk(("EHLO _", "501"), HELLO), "SESSION smtp.invalid-ehlo"),
    ("greeting that a rule refuses", 2, talk(("EHLO denied.test", "550"), HELLO), "SESSION smtp.invalid-ehlo smtp.rejected"),
    ("greeting that a rule puts off", 2, talk(("HELO busy.test", "451"), HELLO), "SESSION smtp.invalid-ehlo smtp.rejected"),
    ("RCPT and DATA too early", 2, exchange(rcpt(LOCAL, "503"), mail(), ("DATA", "503")), "SESSION smtp.mail-from smtp.mail-from-missing smtp.rcpt-to-missing"),
    ("MAIL twice", 2, exchange(mail(), mail(want="503")), "SESSION smtp.mail-from"),
    ("STARTTLS", 3, starttls, "SESSION TLS"),
    ("TLS from the start", 3, tls_now, "SESSION tls.handshake"),
    ("STARTTLS before EHLO", 2, talk(("STARTTLS", "503")), "CONNECTION smtp.quit smtp.command-not-implemented"),
    ("STARTTLS that a rule refuses", 2, exchange(("STARTTLS", "550"), source=NOBODY), "SESSION smtp.rejected"),
    ("STARTTLS, then garbage", 2, tls_broken("smtp", GARBAGE), "HELLO smtp.start-tls tls.handshake-error"),
    ("STARTTLS, then gone", 2, tls_broken("smtp", None), "HELLO smtp.start-tls tls.handshake-error"),
    ("STARTTLS, then an alert", 2, tls_broken("smtp", "alert"), "HELLO smtp.start-tls tls.handshake-error"),
    ("TLS from the start, garbage", 2, tls_broken("smtps", GARBAGE), "CONNECTION tls.handshake-error"),

    ("no greeting where one is needed", 2, talk(mail(want="503")), "CONNECTION smtp.quit smtp.did-not-say-ehlo"),
    ("gone at once", 2, dropped(), "CONNECTION smtp.error"),
    ("gone after EHLO", 2, dropped(HELLO), "HELLO smtp.error"),
    ("gone after RCPT", 2, dropped(HELLO, mail(), rcpt(LOCAL)), "HELLO ENVELOPE smtp.error"),
    ("gone in DATA", 2, lost_in_data, "HELLO ENVELOPE smtp.data smtp.error"),
    ("silent for too long", 2, impatient, "HELLO smtp.error smtp.time-limit-exceeded"),
    ("silent for too long in DATA", 2, impatient_in_data, "HELLO ENVELOPE smtp.data smtp.error smtp.time-limit-exceeded"),
    ("too many unknown commands", 2, cut_off(HELLO, *[("NONSENSE", "500")] * 3, last=("NONSENSE", "500")), "HELLO 4*smtp.invalid-command smtp.error"),
    ("too many malformed commands", 2, cut_off(HELLO, *[("RCPT TO:<x>", "503")] * 3, last=("RCPT TO:<x>", "503")), "HELLO 4*smtp.mail-from-missing smtp.error"),
    ("too many commands that bring no mail", 2, cut_off(HELLO, *[("NOOP", "250")] * 10, last=("NOOP", "554")), "HELLO 10*smtp.noop smtp.error"),
    ("speaks before the greeting", 2, too_early, "CONNECTION smtp.error"),
    ("speaks before the answer", 2, out_of_step, "CONNECTION smtp.error"),

    ("connection that a rule refuses", 2, talk(source=DENIED, banner="550", end=None), "CONNECTION smtp.rejected"),
    ("connection refused at once", 2, talk(source=BANNED, banner="554", end=None), "CONNECTION smtp.rejected"),
    ("too many connections", 2, too_many_connections, "2*SESSION smtp.concurrency-limit-exceeded"),
    ("sender that a rule refuses", 2, exchange(mail("denied@client.test", "550")), "MAIL-REFUSED"),
    ("sender that a rule puts off", 2, exchange(mail("busy@client.test", "451")), "MAIL-REFUSED"),
    ("sender welcomed by a rule", 2, exchange(mail("welcome@client.test"), rcpt(LOCAL)), "SESSION ENVELOPE"),
    ("sender whose messages are thrown away", 2, exchange(mail("discard@client.test"), rcpt(LOCAL)), "SESSION ENVELOPE"),
    ("recipient that a rule refuses", 2, mail_rcpt(f"denied@{DOMAIN}", "550"), "RCPT-REFUSED smtp.rcpt-to-rejected"),
    ("recipient that a rule puts off", 2, mail_rcpt(f"busy@{DOMAIN}", "451"), "RCPT-REFUSED smtp.rcpt-to-rejected"),
    ("recipient refused without a word in the log", 2, mail_rcpt(f"silent@{DOMAIN}", "550"), "RCPT-REFUSED smtp.rcpt-to-rejected", "0*smtp.rejected"),
    ("recipient at which the session is cut off", 2, cut_off(HELLO, mail(), last=rcpt(f"dropped@{DOMAIN}", "550")), "HELLO smtp.mail-from smtp.rejected smtp.rcpt-to-rejected"),
    ("recipient greylisted by a rule", 2, mail_rcpt(f"grey@{DOMAIN}", "451"), "RCPT-REFUSED smtp.rcpt-to-greylisted"),
    ("client too fast for a rule", 2, too_fast, "3*SESSION 3*smtp.mail-from 2*smtp.rcpt-to smtp.rejected smtp.rate-limit-exceeded"),
    ("unknown recipient", 2, mail_rcpt(f"missing@{DOMAIN}", "550"), "RCPT-REFUSED smtp.mailbox-does-not-exist"),
    ("relay attempt", 2, mail_rcpt("someone@elsewhere.test", "550"), "RCPT-REFUSED smtp.relay-not-allowed"),
    ("unknown recipient after a known one", 2, exchange(mail(), rcpt(LOCAL), rcpt(f"missing@{DOMAIN}", "550")),
     "RCPT-REFUSED smtp.rcpt-to smtp.mailbox-does-not-exist"),
    ("recipient welcomed by a rule", 2, exchange(mail(), rcpt(f"welcome@{DOMAIN}")), "SESSION ENVELOPE"),
    ("recipient thrown away by a rule", 2, exchange(mail(), rcpt(f"discarded@{DOMAIN}")), "SESSION ENVELOPE"),
    ("client in a blocklist", 2, mail_rcpt(f"listed@{DOMAIN}", "550", source=LISTED), "RCPT-REFUSED smtp.rcpt-to-rejected spam.dnsbl"),
    ("client in no blocklist", 2, mail_rcpt(f"listed@{DOMAIN}", "550"), "RCPT-REFUSED smtp.mailbox-does-not-exist"),
    ("DATA that a rule refuses", 2, exchange(mail("predata@client.test"), rcpt(LOCAL), ("DATA", "550")), "SESSION ENVELOPE smtp.rejected"),
    ("message that a rule refuses", 2, message(LOCAL, subject="refuse", want="550"), "SESSION ENVELOPE smtp.data smtp.rejected"),
    ("message that a rule puts off", 2, message(LOCAL, subject="later", want="451"), "SESSION ENVELOPE smtp.data smtp.rejected"),
    ("message that a rule throws away", 2, message(LOCAL, subject="discard"), "ACCEPTED queue.queue-message GONE"),
    ("DATA and message welcomed by rules", 2, message(LOCAL, subject="welcome", sender="predata-welcome@client.test"), "RECEIVED DELIVERED"),
    ("too many recipients", 2, exchange(mail(), *[rcpt(LOCAL)] * 6, rcpt(LOCAL, "452")), "SESSION smtp.mail-from 6*smtp.rcpt-to smtp.too-many-recipients"),
    ("too many messages in a session", 2, exchange(*[mail(), ("RSET", "250")] * 5, mail(want="421")),
     "SESSION 5*smtp.mail-from 5*smtp.rset smtp.too-many-messages"),
    ("too large, announced", 2, exchange(("MAIL FROM:<someone@client.test> SIZE=1000000", "552")), "SESSION smtp.message-too-large"),
    ("too large", 2, message(LOCAL, size=40000, want="552"), "SESSION ENVELOPE smtp.data smtp.message-too-large"),
    ("looping message", 2, looping, "RECEIVED BOUNCED"),
    ("queue that is full", 1, with_settings(("log_selector =", "check_spool_space = 1000G\nlog_selector ="), exchange(mail(want="452"))),
     "SESSION queue.quota-exceeded"),
    ("daemon that is full", 1, with_settings(("smtp_accept_max = 200", "smtp_accept_max = 2"), full_house), "2*SESSION limit.concurrent-connection"),
    ("broken configuration", 2, broken_configuration, "log.error server.fatal"),
    ("client with a name", 2, exchange(source=NAMED), "SESSION smtp.iprev-pass"),
    ("client with another's name", 2, exchange(source=MISNAMED), "SESSION smtp.iprev-fail"),
    ("client without a name", 2, exchange(source=NAMELESS), "SESSION smtp.iprev-fail"),

    ("message", 3, message(LOCAL), "RECEIVED DELIVERED"),
    ("messages in one session", 2, message(LOCAL, times=3), "SESSION 3*ENVELOPE 3*TAKEN 3*queue.queue-message 3*DELIVERED"),
    ("message in pieces", 2, chunked, "SESSION ENVELOPE smtp.message-accepted queue.queue-message DELIVERED"),
    ("message from a login", 2, message(LOCAL, login="PLAIN"), "ACCEPTED GRANTED queue.queue-message-authenticated DELIVERED"),
    ("message to two, as one delivery", 2, message(LOCAL, f"bob@{DOMAIN}"), "RECEIVED smtp.rcpt-to 2*ATTEMPT 2*delivery.delivered GONE"),
    ("message to an alias of two", 2, message(f"both@{DOMAIN}"), "RECEIVED 2*ATTEMPT 2*delivery.delivered GONE"),
    ("message from a notice", 2, message(LOCAL, sender=""), "RECEIVED DELIVERED"),
    ("sendmail", 3, sendmail(LOCAL), "queue.local-submission DELIVERED"),
    ("sendmail with a null sender", 2, sendmail(LOCAL, sender="<>"), "queue.local-submission DELIVERED"),
    ("sendmail -t", 2, sendmail("-t", text=f"To: {LOCAL}\nSubject: test\n\nHello.\n"), "queue.local-submission DELIVERED"),
    ("SMTP from a file", 2, batch, "queue.local-submission DELIVERED"),
    ("sendmail, refused by a rule", 2, sendmail(LOCAL, text="Subject: refuse\n\nx\n", check=False), "NOTICE"),

    ("to a remote server", 2, message("a@sink.test"), "RECEIVED SENT delivery.delivered GONE"),
    ("to two at a remote server", 2, message("a@sink.test", "b@sink.test"), "RECEIVED smtp.rcpt-to SENT delivery.rcpt-to 2*delivery.delivered GONE"),
    ("to a remote server, encrypted", 2, message("a@tls.test"), "RECEIVED SENT delivery.start-tls delivery.delivered GONE"),
    ("to a remote server by LMTP", 2, message("a@lmtp.test"), "RECEIVED SENT delivery.delivered GONE"),
    ("to a remote server with a login", 2, message("a@auth.test"), "RECEIVED SENT delivery.auth delivery.delivered GONE"),
    ("refused by the remote server", 2, message("refuse@sink.test", **L), "RECEIVED SENT BOUNCED delivery.rcpt-to-rejected"),
    ("put off by the remote server", 2, tried("later@sink.test"), "RECEIVED SENT delivery.deferred delivery.rcpt-to-rejected"),
    ("put off twice", 2, tried("later@sink.test", tries=2), "RECEIVED 2*SENT 2*delivery.deferred 2*delivery.rcpt-to-rejected"),
    ("remote server is down", 2, tried("a@down.test"), "RECEIVED ATTEMPT delivery.connect-error delivery.deferred"),
    ("remote server is down, the next is not", 2, tried("a@half-down.test"), "RECEIVED SENT delivery.connect-error delivery.delivered GONE"),
    ("not yet time for another try", 2, not_yet, "2*RECEIVED 2*ATTEMPT delivery.connect-error delivery.deferred"),
    ("queue run before it is time", 2, queue_run_too_early, "RECEIVED 3*ATTEMPT delivery.connect-error delivery.deferred"),
    ("remote server is rude", 2, tried("a@rude.test", **L), "RECEIVED CONNECTED BOUNCED delivery.greeting-failed"),
    ("remote server is deaf", 2, tried("a@deaf.test", **L), "RECEIVED CONNECTED BOUNCED delivery.ehlo-rejected"),
    ("remote server talks nonsense after STARTTLS", 2, tried("a@broken-tls.test"), "RECEIVED CONNECTED delivery.start-tls-error delivery.deferred"),
    ("remote server refuses the login", 2, tried("a@wrong-auth.test"), "RECEIVED CONNECTED delivery.auth-failed delivery.deferred"),
    ("remote server refuses the text", 2, message("spam@sink.test", **L), "RECEIVED SENT BOUNCED delivery.message-rejected"),
    ("by MX", 2, message("a@mx.test"), "RECEIVED delivery.mx-lookup SENT delivery.delivered GONE"),
    ("domain without MX", 2, message("a@no-mx.test"), "RECEIVED delivery.mx-lookup delivery.mx-lookup-failed SENT delivery.delivered GONE"),
    ("domain that does not exist", 2, message("a@no-such.test", **L), "RECEIVED delivery.mx-lookup delivery.mx-lookup-failed BOUNCED"),

    ("to nowhere", 2, message(f"discard@{DOMAIN}"), "RECEIVED delivery.delivered GONE"),
    ("refused by a router", 2, sendmail(f"fail@{DOMAIN}"), "queue.local-submission BOUNCED"),
    ("put off by a router", 2, tried(f"later@{DOMAIN}", how=sendmail), "queue.local-submission delivery.deferred"),
    ("no router wants it", 2, sendmail(f"missing@{DOMAIN}"), "queue.local-submission BOUNCED"),
    ("taken by a command", 2, message(f"pipe-good@{DOMAIN}"), "RECEIVED DELIVERED"),
    ("refused by a command", 2, message(f"pipe-bad@{DOMAIN}", **L), "RECEIVED ATTEMPT BOUNCED"),
    ("put off by a command", 2, tried(f"pipe-later@{DOMAIN}"), "RECEIVED ATTEMPT delivery.deferred"),
    ("taken by a local LMTP server", 2, message(f"lmtp-good@{DOMAIN}"), "RECEIVED DELIVERED"),
    ("refused by a local LMTP server", 2, message(f"lmtp-bad@{DOMAIN}", **L), "RECEIVED ATTEMPT BOUNCED"),
    ("mailbox that is full", 2, tried(f"full@{DOMAIN}"), "RECEIVED ATTEMPT delivery.deferred limit.quota"),
    ("answered", 2, message(f"vacation@{DOMAIN}", **L), "RECEIVED 2*ATTEMPT 2*delivery.delivered GONE queue.queue-autogenerated DELIVERED"),
    ("notice that cannot be delivered", 2, sendmail(f"missing@{DOMAIN}", sender=f"missing@{DOMAIN}"),
     "queue.local-submission delivery.failed delivery.dsn-perm-fail GONE queue.queue-dsn delivery.failed delivery.double-bounce GONE"),
    ("sender refused by the remote server", 2, message("a@sink.test", sender=f"alice+unwanted@{DOMAIN}"),
     "RECEIVED CONNECTED delivery.mail-from delivery.mail-from-rejected delivery.failed delivery.dsn-perm-fail GONE"
     " queue.queue-dsn delivery.failed delivery.double-bounce GONE"),
    ("delivery notified", 2, exchange(mail(LOCAL), (f"RCPT TO:<bob@{DOMAIN}> NOTIFY=SUCCESS", "250"), ("DATA", "354"), ("Subject: test\r\n\r\nx\r\n.", "250")),
     "RECEIVED DELIVERED delivery.dsn-success NOTICE"),
    ("late message", 1, with_settings(("delay_warning =", "delay_warning = 1s:1h"), delayed),
     "RECEIVED 2*SENT 2*delivery.deferred 2*delivery.rcpt-to-rejected delivery.dsn-temp-fail NOTICE"),
    ("frozen, and thawed", 2, frozen, "RECEIVED DELIVERED"),
    ("removed", 2, removed, "RECEIVED ATTEMPT delivery.connect-error delivery.deferred queue.message-removed"),

    ("what an administrator asks", 2, looked_at, ""),
    ("a rehearsed session", 2, rehearsed, ""),
    ("reload in a session", 1, reload_in_session, "ACCEPTED GRANTED queue.queue-message-authenticated DELIVERED RECEIVED DELIVERED"),
    ("signed message", 2, sent_as_it_is(exim.SIGNED), "RECEIVED DELIVERED dkim.pass"),
    ("signed message with another subject", 3, sent_as_it_is(exim.SIGNED.replace("Subject: signed", "Subject: sealed")),
     "RECEIVED DELIVERED dkim.failed-verification"),
    ("signed message with another text", 1, sent_as_it_is(exim.SIGNED.replace("Hello", "Goodbye")), "RECEIVED DELIVERED"),
    ("restart", 2, restart, "RECEIVED DELIVERED"),
    ("many clients at once", 1, at_once(message(LOCAL, login="PLAIN", wait=False), 40, 8), "40*ACCEPTED 40*GRANTED 40*queue.queue-message-authenticated 40*DELIVERED"),
])

# What only the heavy package has.
HEAVY_STEPS = table(MACROS, [
    ("SPF passes", 2, exchange(mail(f"a@{SENDER_OK}"), source=FOREIGN), "SESSION smtp.mail-from spf.pass smtp.spf-from-pass"),
    ("SPF fails", 2, exchange(mail(f"a@{SENDER_BAD}", "550"), source=FOREIGN), "MAIL-REFUSED spf.fail smtp.spf-from-fail"),
    ("SPF nearly fails", 2, exchange(mail(f"a@{SENDER_SOFT}"), source=FOREIGN), "SESSION smtp.mail-from spf.soft-fail"),
    ("SPF is neutral", 1, exchange(mail("a@spf-neutral.test"), source=FOREIGN), "SESSION smtp.mail-from spf.neutral"),
    ("SPF is not there", 3, exchange(mail("a@spf-none.test"), source=FOREIGN), "SESSION smtp.mail-from spf.none"),
    ("SPF is wrong", 2, exchange(mail("a@spf-wrong.test"), source=FOREIGN), "SESSION smtp.mail-from spf.perm-error"),
    ("SPF cannot be had", 1, exchange(mail("a@spf-broken.test"), source=FOREIGN), "SESSION smtp.mail-from spf.temp-error"),
])
