# SPDX-License-Identifier: Apache-2.0
"""What happens to messages on their ways through Postfix: every delivery agent, and what cleanup makes of them."""
from beds import postfix
from beds.postfix import DOMAIN, SINK
from postfix_steps import LOCAL, MACROS, authenticated, deferred, message
from steps import table

MAIN_CF = {
    "transport_maps": f"inline:{{ {{ sink.test = smtp:[{SINK}] }}, {{ discard.test = discard: }}, {{ error.test = error:5.1.2 no such domain }},"
                      " { later.test = retry:4.1.2 come back later }, { pipe.test = pipe-true: }, { fail.test = pipe-false: },"
                      f" {{ virtual.test = virtual: }}, {{ soft.test = smtp-soft:[{SINK}] }} }}",
    "mailbox_transport_maps": f"inline:{{ {{ bob = smtp:[{SINK}] }} }}",
    "body_checks": "regexp:{ { /^discard me/ DISCARD }, { /^hold me/ HOLD }, { /^refuse me/ REJECT } }",
    "smtpd_milters": "inet:127.0.0.1:10041",
    "virtual_mailbox_maps": "inline:{ { carol@virtual.test = carol } }",
    "virtual_mailbox_base": "/srv/virtual",
    "virtual_uid_maps": "static:2000",
    "virtual_gid_maps": "static:2000",
}
MASTER_CF = """
pipe-true unix - n n - - pipe
  user=nobody argv=/bin/true
pipe-false unix - n n - - pipe
  user=nobody argv=/bin/false
"""


def configure(bed):
    bed.run("postconf", "-e", *[f"{name} = {value}" for name, value in MAIN_CF.items()])
    path = bed.path("/etc/postfix/master.cf")
    path.write_text(path.read_text() + MASTER_CF)
    bed.run("install", "-d", "-o", "2000", "-g", "2000", "/srv/virtual")
    postfix.reload(bed)


def with_text(text, want="250"):
    def action(bed):
        with bed.smtp() as c:
            c.ehlo()
            c.mail()
            c.rcpt(LOCAL)
            c.data(f"{text}\r\n", want)
            c.quit()
        postfix.wait_idle(bed)
        bed.run("postsuper", "-d", "ALL", "hold")
    return action


def sendmail(recipient):
    def action(bed):
        bed.run("sendmail", "-f", LOCAL, recipient, text_in="Subject: test\n\nHello.\n")
        postfix.wait_idle(bed)
        postfix.forget_deferred(bed)
    return action


STEPS = table(MACROS, [
    ("thrown away for its text", 2, with_text("discard me"), "SESSION ENVELOPE TAKEN"),
    ("put on hold for its text", 2, with_text("hold me"), "RECEIVED", "0*queue.queue-message"),
    ("refused for its text", 2, with_text("refuse me", "550 5.7.1"), "SESSION ENVELOPE smtp.data"),
    ("taken", 2, message(LOCAL), "RECEIVED DELIVERED"),
    ("thrown away by discard", 2, message("a@discard.test", source="127.0.0.1"), "RECEIVED DELIVERED"),
    ("refused by error", 2, sendmail("a@error.test"), "queue.local-submission TRIED BOUNCED"),
    ("put off by retry", 2, sendmail("a@later.test"), "queue.local-submission TRIED DEFERRED"),
    ("taken by a command", 2, authenticated("a@pipe.test"), "SUBMITTED DELIVERED"),
    ("refused by a command", 2, authenticated("a@fail.test"), "SUBMITTED TRIED BOUNCED"),
    ("filed by virtual", 2, authenticated("carol@virtual.test"), "SUBMITTED DELIVERED"),
    ("refused by virtual", 2, authenticated("nobody@virtual.test"), "SUBMITTED TRIED BOUNCED"),
    ("passed on by local", 2, message(f"bob@{DOMAIN}"), "RECEIVED TRIED ATTEMPT SENT GONE"),
    ("refused, with soft_bounce", 2, deferred("refuse@soft.test"), "NOT-SENT SENT delivery.rcpt-to-rejected", "0*delivery.deferred"),
])
