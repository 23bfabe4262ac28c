#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""demo.py [MINUTES]: mail servers to look at where there are none.

Starts Postfix and Dovecot in a throw-away Debian system (see tests/servers/beds), prints one line when they are
ready, and lets a few clients a second log in and send mail. All of it is gone after MINUTES (default 60), or at
SIGTERM or SIGINT. The servers are ordinary processes in the host's /proc; their network is their own.
"""
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/servers"))

from beds import dovecot, postfix  # noqa: E402
from beds.mailbed import MailBed  # noqa: E402

PAUSE_S = 0.3
CLEAN_EVERY = 200  # clients


def send(bed, recipient, password=postfix.PASSWORD):
    with bed.smtp("submission-dovecot") as c:
        c.ehlo()
        c.starttls()
        c.login("PLAIN", postfix.USER, password)
        c.message(recipient, sender=f"<{postfix.USER}>")
        c.quit()


def receive(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.message(postfix.USER)
        c.quit()


def wrong_password(bed):
    with bed.smtp("submission") as c:
        c.ehlo()
        c.login("LOGIN", postfix.USER, "wrong", "535")
        c.quit()


def strangers(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.mail()
        c.rcpt(f"nobody-we-know@{postfix.DOMAIN}", "550")
        c.rcpt("someone@elsewhere.test", "454")
        c.quit()


def read_mail(bed):
    with bed.imap("imaps", tls=True) as c:
        c.login("LOGIN", dovecot.USER, dovecot.PASSWORD)
        c.cmd("SELECT INBOX")
        c.append(500)
        c.cmd("STORE 1:* +FLAGS (\\Deleted)")
        c.cmd("EXPUNGE")
        c.logout()


def wrong_reader(bed):
    with bed.pop3() as c:
        c.login("USER", dovecot.USER, "wrong", "-ERR")
        c.logout()


CLIENTS = [  # how often, relative to each other
    (6, receive),
    (4, lambda bed: send(bed, "someone@sink.test")),
    (1, lambda bed: send(bed, "refuse@sink.test")),
    (1, lambda bed: send(bed, "later@sink.test")),
    (2, wrong_password),
    (2, strangers),
    (6, read_mail),
    (1, wrong_reader),
]


def clean(bed):
    """What the clients leave behind must not grow."""
    postfix.forget_deferred(bed)
    for log in (postfix.LOG, dovecot.LOG, "/var/mail/alice"):
        if bed.path(log).exists():
            bed.path(log).write_text("")


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end = time.monotonic() + minutes * 60
    weights, clients = zip(*CLIENTS)
    try:
        with MailBed("bookworm") as bed:
            print(f"demo: Postfix (pid {postfix.master_pid(bed)}) and Dovecot (pid {dovecot.master_pid(bed)}) are running", flush=True)
            served = 0
            while time.monotonic() < end:
                try:
                    random.choices(clients, weights)[0](bed)
                except (AssertionError, EOFError, OSError) as error:
                    print(f"demo: a client was served badly: {error!r}", file=sys.stderr)
                served += 1
                if served % CLEAN_EVERY == 0:
                    clean(bed)
                time.sleep(PAUSE_S)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
