# SPDX-License-Identifier: Apache-2.0
"""Who counts right: every step of the Postfix tests once more, seen by mailgauge and by prometheus-postfix-exporter.
Prints docs/COMPARISON.md. The truth is what the steps' tables say that the clients did."""
import collections
import re
import tempfile

from log_exporter import Exporter, unpack_exporter
from beds import postfix
from beds.bed import SUITES, wait_until
from beds.mailbed import MailBed
from collector import Collector, metric
from postfix_steps import STEPS

# What the exporter calls an event, if it has a metric that is meant to count it: a name, and labels where they matter.
# Of refusals it tells reply codes, not reasons.
METRICS = {
    "smtp.connection-start": r"postfix_smtpd_connects_total",
    "smtp.connection-end": r"postfix_smtpd_disconnects_total",
    "auth.failed": r"postfix_smtpd_sasl_authentication_failures_total",
    "queue.queue-message": r'postfix_smtpd_messages_processed_total\{sasl_method=""',
    "queue.queue-message-authenticated": r'postfix_smtpd_messages_processed_total\{sasl_method="[^"]',
    "smtp.rejected": r"postfix_smtpd_messages_rejected_total",
    "smtp.mailbox-does-not-exist": r'postfix_smtpd_messages_rejected_total\{code="550"',
    "tls.handshake": r"postfix_smtpd_tls_connections_total",
    "smtp.error": r"postfix_smtpd_connections_lost_total|postfix_smtpd_lost_connections_total",
    "milter.action-reject": r"postfix_cleanup_messages_rejected_total",
    "queue.message-active": r"postfix_qmgr_messages_inserted_receipients_count",
    "queue.message-removed": r"postfix_qmgr_messages_removed_total",
    "delivery.deferred": r"postfix_smtp_status_deferred(?:_total)?",
    "delivery.start-tls": r"postfix_smtp_tls_connections_total",
    "delivery.dsn-perm-fail": r"postfix_bounce_non_delivery_notification_total",
    "delivery.connect-error": r"postfix_smtp_connection_timed_out_total",
}

INTRO = """\
# Compared with reading the log
Every step of the Postfix tests (`tests/servers/postfix_steps.py`) was done once more in one go, seen by mailgauge and by `prometheus-postfix-exporter` {exporter}, Debian 12's exporter that reads the mail log (13 has none), at the same time. "Truth" is what the clients did. Made by `make comparison`.

The exporter has a metric for {named} of {all} events. It knows the log lines of `postfix/smtpd`; a service with another `syslog_name`, as Debian's master.cf proposes for submission, is not counted. A dash: no metric is meant to count this. Lines in bold: the exporter's number is not what happened.
"""


def truth():
    total = collections.Counter()
    for step in STEPS:
        total += step.expected()
    return {event: number for event, number in sorted(total.items()) if ":" not in event}


def theirs(scrape, pattern):
    """None: it has no such metric."""
    name = pattern.partition(r"\{")[0]
    if not re.search(rf"^# TYPE (?:{name}) ", scrape, re.MULTILINE):
        return None
    return int(sum(float(value) for value in re.findall(rf"^(?:{pattern})\S* (\S+)$", scrape, re.MULTILINE)))


def compare(suite):
    """[(event, truth, ours, theirs)], and the versions."""
    with tempfile.TemporaryDirectory(prefix="comparison-") as directory, MailBed(suite) as bed:
        unpack_exporter(bed)
        postfix.wait_idle(bed)
        with Collector(directory, pid=postfix.master_pid(bed)) as collector, Exporter(bed) as exporter:
            for step in STEPS:
                step.run(bed)
            want = truth()
            wait_until(lambda: collector.counts("postfix").get(metric("smtp.connection-end"), 0) >= want["smtp.connection-end"],
                       "the last session", timeout=30)
            postfix.wait_idle(bed)
            counts, scrape = collector.counts("postfix"), exporter.scrape()
        server = bed.run("dpkg-query", "-W", "-f", "${Version}", "postfix").strip()
        package = bed.run("dpkg-deb", "-f", "/tmp/exporter.deb", "Version").strip()
    rows = [(event, number, counts.get(metric(event)), theirs(scrape, METRICS[event]) if event in METRICS else None)
            for event, number in want.items()]
    return rows, server, package


def put(suite, rows, server):
    wrong = sum(ours != number for _, number, ours, _ in rows)
    named = [row for row in rows if row[3] is not None]
    print(f"## Postfix {server} (Debian {suite})")
    print(f"{len(STEPS)} steps, {sum(step.times for step in STEPS)} times in all. mailgauge: {len(rows) - wrong} of {len(rows)} events right. "
          f"The log exporter: {sum(row[1] == row[3] for row in named)} of {len(named)} that it has a metric for.\n")
    print("| event | truth | mailgauge | log exporter |\n|---|---|---|---|")
    for event, number, ours, other in rows:
        shown = "-" if other is None else str(other) if other == number else f"**{other}**"
        print(f"| {event} | {number} | {ours if ours == number else f'**{ours}**'} | {shown} |")
    print()


def main():
    results = [(suite, *compare(suite)) for suite in SUITES]
    _, rows, _, package = results[0]
    print(INTRO.format(exporter=package, named=sum(row[3] is not None for row in rows), all=len(rows)))
    for suite, rows, server, _ in results:
        put(suite, rows, server)


if __name__ == "__main__":
    main()
