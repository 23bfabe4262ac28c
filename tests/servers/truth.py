# SPDX-License-Identifier: Apache-2.0
"""What the servers' own logs say happened: the second opinion on every step's numbers. A log is told line by line, since
it is looked at again and again while it grows."""
import collections
import re

# Events that Postfix logs as lines of their own.
POSTFIX_LINES = {
    "smtp.connection-start": r"smtpd\[\d+\]: connect from ",
    "smtp.connection-end": r"smtpd\[\d+\]: disconnect from ",
    "auth.failed": r"SASL \S+ authentication failed",  # or the backend could not answer: the line is the same
    "auth.error": r"smtpd\[\d+\]: fatal: no SASL authentication mechanisms",
    "smtp.mailbox-does-not-exist": r"reject: RCPT from .* 550 5\.1\.1 ",
    "smtp.relay-not-allowed": r"reject: RCPT from .* Relay access denied",
    "smtp.rcpt-to-greylisted": r"reject: RCPT from .* 450 4\.(2\.0|7\.1) .*Greylisted",
    "smtp.message-too-large": r"552 5\.3\.4 |queue file size limit exceeded",
    "smtp.too-many-recipients": r"452 4\.5\.3 ",
    "smtp.rate-limit-exceeded": r" rate limit exceeded",
    "smtp.concurrency-limit-exceeded": r"Connection concurrency limit exceeded",
    "smtp.error": r"smtpd\[\d+\]: (\w+: )?(too many errors|lost connection|timeout|improper command pipelining) after |non-SMTP command from",
    "tls.handshake": r"smtpd\[\d+\]: .*TLS connection established from",
    "tls.handshake-error": r"SSL_accept error from",
    "delivery.delivered": r"status=sent ",
    "delivery.deferred": r"status=deferred ",
    "delivery.failed": r"status=bounced ",
    "delivery.connect-error": r"smtp\[\d+\]: connect to ",
    "delivery.dsn-perm-fail": r"sender non-delivery notification",
    "delivery.dsn-temp-fail": r"sender delay notification",
    "delivery.dsn-success": r"sender delivery status notification",
    "delivery.double-bounce": r"undeliverable postmaster notification discarded",
    "delivery.verified": r"status=(un)?deliverable ",
    "smtp.rejected": r"smtpd\[\d+\]: \w+: reject: ",
    "smtp.transaction-start": r"smtpd\[\d+\]: \w+: client=",
    "smtp.time-limit-exceeded": r"timeout after ",
    "spam.dnsbl": r"smtpd.* blocked using ",
    "queue.message-active": r"queue active",
    "queue.message-removed": r"qmgr\[\d+\]: \w+: removed",
    "milter.action-connection-failure": r"connect to Milter service",
    "milter.action-discard": r": milter-discard: ",
    "milter.action-quarantine": r": milter-hold: ",
    "postscreen.connect": r"postscreen\[\d+\]: CONNECT ",
    "postscreen.pregreet": r"postscreen\[\d+\]: PREGREET ",
    "postscreen.dnsbl": r"postscreen\[\d+\]: DNSBL rank ",
    "postscreen.denylisted": r"postscreen\[\d+\]: (DENY|BLACK)LISTED ",
    "postscreen.reject": r"postscreen\[\d+\]: NOQUEUE: reject: RCPT",
    "postscreen.hangup": r"postscreen\[\d+\]: HANGUP ",
    "postscreen.disconnect": r"postscreen\[\d+\]: DISCONNECT ",
    "server.log-warning": r"\]: warning: ",
    "server.fatal": r"\]: (fatal|panic): ",
    "server.startup-error": r"master\[\d+\]: warning: process \S+ pid \d+ (exit|killed)",
}
# Postfix' tallies at the end of a session, "rcpt=1/2": one of two was accepted. Which part is the event?
POSTFIX_TALLIES = {
    "auth": ("auth.success", "accepted"),
    "mail": ("smtp.mail-from", "accepted"),
    "rcpt": ("smtp.rcpt-to", "accepted"),
    "starttls": ("smtp.start-tls", "accepted"),
    "unknown": ("smtp.invalid-command", "refused"),
}
POSTFIX_EVENTS = {*POSTFIX_LINES, *(event for event, _ in POSTFIX_TALLIES.values()), "queue.rescheduled",
                  "queue.queue-message", "queue.queue-message-authenticated", "queue.local-submission", "queue.queue-dsn", "unknown-origin"}


class Postfix:
    """What a log says, line by line. POSTFIX_EVENTS are those that it can tell."""

    def __init__(self):
        self.seen = collections.Counter()
        self._origin, self._queued = {}, set()

    def add(self, line):
        for event, pattern in POSTFIX_LINES.items():
            self.seen[event] += bool(re.search(pattern, line))
        if "disconnect from" in line:
            for command, accepted, total in re.findall(r" (\w+)=(\d+)(?:/(\d+))?", line):
                if command in POSTFIX_TALLIES:
                    event, part = POSTFIX_TALLIES[command]
                    self.seen[event] += int(accepted) if part == "accepted" else int(total or accepted) - int(accepted)
        # Where a message came from is said before, and that it is in the queue when it is tried first.
        if said := re.search(r"smtpd\[\d+\]: (\w+): client=.*?(, sasl_method=)?\S*(?:, sasl_username=.*)?$", line):
            self._origin[said[1]] = "queue.queue-message-authenticated" if "sasl_method=" in line else "queue.queue-message"
        elif said := re.search(r"pickup\[\d+\]: (\w+): uid=\d+ from=<[^>]*>$", line):
            self._origin[said[1]] = "queue.local-submission"
        elif said := re.search(r"bounce\[\d+\]: \w+: .* notification: (\w+)", line):
            self._origin[said[1]] = "queue.queue-dsn"
        if said := re.search(r"qmgr\[\d+\]: (\w+): from=.*queue active", line):
            self.seen["queue.rescheduled"] += 1
            self._queued.add(said[1])
        elif said := re.search(r"qmgr\[\d+\]: (\w+): removed", line):
            self.seen["queue.rescheduled"] -= 1  # what was tried and is not removed was put off

    def counts(self):
        """The line that tells a message's origin may stand behind that of its first try."""
        total = self.seen.copy()
        total.update(self._origin.get(queue_id, "unknown-origin") for queue_id in self._queued)
        return total

# ---- Dovecot: (2.3 | 2.4), where they differ

_LOGIN_ENDS = r"(imap|pop3|managesieve)-login: Info: (?!Authenticate |proxy)"
# A session whose client is gone at once may end before it knows whose it is.
_SESSION_ENDS = r" (imap|pop3|managesieve|sieve)(?:-hibernate)?(?:\([^)]*\)<.*>)?: Info: (Disconnected|Logged out|Connection closed)"
DOVECOT_LINES = {
    "auth.success": r"-login: Info: (Login|Logged in): |Maximum number of connections",
    "auth.failed": r"auth\b.*<\S+>.*: (Password mismatch|unknown user|allow_nets check failed)",
    "auth.error": r"-login: Info: .*(temporary failure|\(temp_fail\))",
    "log.error": r": Error: ",
    "server.fatal": r": (Fatal|Panic): ",
    "proxy.session-start": r"tarted proxying to|proxy\(.*: started",
    "limit.concurrent-connection": r"Maximum number of connections|Connection queue full",
    "tls.handshake-error": r"-login: Info: .*TLS handshaking",
    "message-ingest.lmtp": r"lmtp\(.*: Info: .*(saved mail to|stored mail into)",
    "message-ingest.error": r"lmtp\(.*: Info: .*(save failed to|failed to store into)",
}
PROTOCOLS = {"imap": "imap", "pop3": "pop3", "managesieve": "manage-sieve", "sieve": "manage-sieve"}
DOVECOT_EVENTS = {*DOVECOT_LINES, *(f"{protocol}.connection-{what}" for protocol in PROTOCOLS.values() for what in ("start", "end"))}


class Dovecot:
    """The same of Dovecot's log: DOVECOT_EVENTS."""

    def __init__(self):
        self.seen = collections.Counter()

    def add(self, line):
        for event, pattern in DOVECOT_LINES.items():
            self.seen[event] += bool(re.search(pattern, line))
        # Every connection has one line when its login phase ends, and one more when its session ends.
        if login := re.search(_LOGIN_ENDS, line):
            protocol = PROTOCOLS[login[1]]
            self.seen[f"{protocol}.connection-start"] += 1
            self.seen[f"{protocol}.connection-end"] += not re.search(r"Info: (Login|Logged in): ", line)
        elif end := re.search(_SESSION_ENDS, line):
            self.seen[f"{PROTOCOLS[end[1]]}.connection-end"] += 1

    def counts(self):
        return self.seen.copy()


# ---- OpenSMTPD. Sessions of the server with itself and of local programs are "local"; those of notices have no sender.

OPENSMTPD_LINES = {
    "smtp.error": r"smtp (?:disconnected  ?reason=(?:disconnect|timeout|\"io-error|ca-failure|tls-accept)|bad-input)",
    "smtp.time-limit-exceeded": r"smtp disconnected reason=timeout",
    "auth.success": r"smtp authentication user=\S+ result=ok",
    "auth.failed": r"smtp authentication user=\S+ result=permfail",
    "auth.error": r"smtp authentication user=\S+ result=tempfail|failed-command command=\"AUTH (?:PLAIN|LOGIN) \(.*result=\"501|AUTH method .* not supported",
    "tls.handshake": r"smtp tls ciphers=",
    "smtp.invalid-command": r"failed-command .*Command unrecognized",
    "smtp.message-too-large": r"failed-command .*message too big",
    "smtp.loop-detected": r"failed-command .*Loop detected",
    "smtp.too-many-recipients": r"failed-command .*: Too many recipients",
    "smtp.too-many-messages": r"failed-command .*Too many messages",
    "delivery.delivered": r" m[dt]a delivery .* result=\"?Ok",
    "delivery.deferred": r" m[dt]a delivery .* result=\"?TempFail",
    "delivery.failed": r" m[dt]a delivery .* result=\"?PermFail|(?:delivery|relay): Expire for ",
    "delivery.connect": r" mta connected$",
    "delivery.connect-error": r" mta error reason=(?:Connection failed|IO Error: Connection refused)",
    "delivery.greeting-failed": r" mta error reason=BANNER rejected",
    "delivery.ehlo-rejected": r" mta error reason=[EHL]+O rejected",
    "delivery.auth-failed": r" mta error reason=AUTH rejected",
    "delivery.start-tls-unavailable": r" mta error reason=TLS required but",
    "delivery.null-mx": r"Failed to resolve MX .*: Domain does not accept mail",
    "delivery.mx-lookup-failed": r"Failed to resolve MX .*: (?!Domain does not accept mail|Host not found)",
    "delivery.double-bounce": r"queue: (?:no return path|double bounce)!",
    "server.log-warning": r"^<19>",
    "server.fatal": r"^<18>",
}
OPENSMTPD_INTAKE = {"queue.queue-message", "queue.queue-message-authenticated", "queue.local-submission", "queue.queue-dsn"}
OPENSMTPD_EVENTS = {*OPENSMTPD_LINES, *OPENSMTPD_INTAKE, "smtp.connection-start", "smtp.connection-end", "smtp.message-accepted"}


class OpenSmtpd:
    """What a log says, line by line. OPENSMTPD_EVENTS are those that it can tell."""

    def __init__(self):
        self.seen = collections.Counter()
        self._local, self._logged_in, self._finished, self._message = set(), set(), set(), set()

    def add(self, line):
        said = re.match(r"<\d+>.*? smtpd\[\d+\]: (?:([0-9a-f]{16}) )?(.*)", line)
        if not said:
            return
        session, what = said.groups()
        if what.startswith("smtp connected address=local"):
            self._local.add(session)
        if session in self._local and what.startswith("smtp ") and not what.startswith(("smtp message", "smtp envelope")):
            return
        self.seen["smtp.connection-start"] += what.startswith("smtp connected")
        if what.startswith("smtp disconnected"):
            self.seen["smtp.connection-end"] += 1
            if what.endswith("reason=disconnect") and session in self._finished:
                return  # without QUIT, but nothing was lost
        if re.match("smtp authentication .*result=ok", what):
            self._logged_in.add(session)
        if what.startswith("smtp message"):
            self._message.add(session)
            self._finished.add(session)
            self.seen["smtp.message-accepted"] += session not in self._local
        if what.startswith("smtp envelope") and session in self._message:  # the first of its message
            self._message.discard(session)
            self.seen[self._intake(session, what)] += 1
        for event, pattern in OPENSMTPD_LINES.items():
            self.seen[event] += bool(re.search(pattern, line))

    def _intake(self, session, what):
        if session in self._local:
            return "queue.queue-dsn" if " from=<> " in what else "queue.local-submission"
        return "queue.queue-message-authenticated" if session in self._logged_in else "queue.queue-message"

    def counts(self):
        return self.seen.copy()


# ---- Exim

EXIM_LINES = {
    "smtp.connection-start": r"SMTP connection from .*TCP/IP connection count",
    "smtp.rejected": r" (temporarily )?rejected (connection in|EHLO or HELO|MAIL <|RCPT|DATA|after DATA|AUTH|VRFY|EXPN|ETRN|STARTTLS)|refused connection from",
    "smtp.relay-not-allowed": r" rejected RCPT .*: relay not permitted",
    "smtp.mailbox-does-not-exist": r" rejected RCPT .*: Unrouteable address",
    "smtp.rcpt-to-greylisted": r" temporarily rejected RCPT .*Greylisted",
    "smtp.rate-limit-exceeded": r" rejected .*rate limit exceeded",
    "smtp.concurrency-limit-exceeded": r"refused: too many connections from that IP",
    "smtp.too-many-recipients": r"too many recipients: ",
    "smtp.too-many-messages": r"too many messages in one connection",
    "smtp.message-too-large": r"message too big",
    "smtp.time-limit-exceeded": r" timeout .*connection from",
    "smtp.invalid-command": r"SMTP syntax error in .* unrecognized command",
    "smtp.auth-mechanism-not-supported": r"authentication mechanism not supported",
    "auth.failed": r"authenticator failed for .*: 535 ",
    "auth.sasl-aborted": r"authenticator failed for .*: 501 Authentication cancelled",
    "queue.queue-message": r"<= \S+ H=(?!.* A=)",
    "queue.queue-message-authenticated": r"<= \S+ H=.* A=",
    "queue.local-submission": r"<= (?!<> R=)\S+ U=",
    "delivery.delivered": r" [=-]> (?!blackhole)\S+ ",
    "delivery.failed": r" \*\* \S+ ",
    "delivery.deferred": r" == (?!.*defer \(-5[1-9]\))",
    "delivery.auth-failed": r"authenticator failed H=",
    "queue.message-removed": r" Completed",
}
EXIM_EVENTS = {*EXIM_LINES}


class Exim:
    """The same of Exim's log: EXIM_EVENTS."""

    def __init__(self):
        self.seen = collections.Counter()

    def add(self, line):
        for event, pattern in EXIM_LINES.items():
            self.seen[event] += bool(re.search(pattern, line))

    def counts(self):
        return self.seen.copy()
