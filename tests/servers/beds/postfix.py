# SPDX-License-Identifier: Apache-2.0
"""Postfix in a bed: Debian's master.cf, chroots included, plus one service per situation that is to be seen."""
import re

from .bed import wait_until

LOG = "/var/log/mail.log"
DOMAIN = "bed.test"
USER, PASSWORD = f"alice@{DOMAIN}", "right-password"
SINK = "127.2.0.1"  # port 25: a remote mail server; nobody at 127.2.0.9

# Every situation has its own smtpd service: port, chroot, and what differs from the server on port 25.
SASL = "smtpd_sasl_auth_enable=yes", "smtpd_relay_restrictions=permit_sasl_authenticated,reject"
DOVECOT = *SASL, "smtpd_sasl_type=dovecot", "smtpd_sasl_path=private/auth"
SERVICES = {
    "submission": (587, "y", (*SASL, "smtpd_tls_auth_only=no")),
    "submission-no-chroot": (588, "n", SASL),
    "submission-dovecot": (589, "y", DOVECOT),
    "submission-dovecot-no-chroot": (590, "n", DOVECOT),
    "submission-tls-only": (591, "y", (*DOVECOT, "smtpd_tls_security_level=encrypt")),
    "submission-dead": (592, "y", (*SASL, "smtpd_sasl_type=dovecot", "smtpd_sasl_path=private/nobody")),
    "smtps": (465, "y", (*DOVECOT, "smtpd_tls_wrappermode=yes")),
    "greylisting": (2501, "y", ("smtpd_recipient_restrictions=check_policy_service inet:127.0.0.1:10040",)),
    "no-relay": (2511, "y", ("smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination",)),
    "strict": (2502, "y", ("smtpd_hard_error_limit=4",)),
    "impatient": (2503, "y", ("smtpd_timeout=1s",)),
    "no-pipelining": (2504, "y", ("smtpd_forbid_unauth_pipelining=yes",)),
    "limit-connections": (2505, "y", ("smtpd_client_connection_rate_limit=2",)),
    "limit-concurrency": (2506, "y", ("smtpd_client_connection_count_limit=2",)),
    "limit-messages": (2507, "y", ("smtpd_client_message_rate_limit=2",)),
    "limit-recipients": (2508, "y", ("smtpd_client_recipient_rate_limit=2",)),
    "limit-auth": (2509, "y", (*SASL, "smtpd_client_auth_rate_limit=2")),
    "limit-tls": (2510, "y", ("smtpd_client_new_tls_session_rate_limit=2",)),
}
PORTS = {"smtp": 25} | {name: port for name, (port, _, _) in SERVICES.items()}

MAIN_CF = f"""
compatibility_level = 3.6
maillog_file = {LOG}
myhostname = mx.{DOMAIN}
mydestination = {DOMAIN}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
relay_domains =
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtp_host_lookup = native
transport_maps = inline:{{ {{ sink.test = smtp:[{SINK}] }}, {{ down.test = smtp:[127.2.0.9] }} }}
alias_maps =
alias_database =
biff = no
enable_long_queue_ids = yes
recipient_delimiter = +
message_size_limit = 20000
smtpd_recipient_limit = 3
smtpd_error_sleep_time = 0
smtpd_forbid_unauth_pipelining = no
smtpd_sasl_local_domain = {DOMAIN}
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/ssl/bed.pem
smtpd_tls_loglevel = 1
smtpd_tls_session_cache_database =
# A deferred message stays where it is until a test asks for another try.
queue_run_delay = 1h
minimal_backoff_time = 1h
maximal_backoff_time = 1h
# One failed connection must not suspend a destination for the next test.
default_destination_concurrency_failed_cohort_limit = 100
# A service that died (no SASL backend) is there again for the next test.
service_throttle_time = 1s
"""


def configure(bed, extra=""):
    """Write the configuration. extra: more lines of main.cf, which win."""
    shipped = bed.path("/etc/postfix/master.cf").read_text()
    services = ""
    for name, (port, chroot, options) in SERVICES.items():
        services += f"{port} inet n - {chroot} - - smtpd\n  -o syslog_name=postfix/{name}\n"
        services += "".join(f"  -o {{ {option.replace('=', ' = ', 1)} }}\n" for option in options)
    bed.write("/etc/postfix/main.cf", MAIN_CF + extra)
    bed.write("/etc/postfix/master.cf", shipped + "\n" + services)
    bed.write("/etc/postfix/sasl/smtpd.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n")
    bed.run("saslpasswd2", "-p", "-c", "-u", DOMAIN, "alice", text_in=PASSWORD)
    # Chrooted services read the copy below the queue directory, as on a Debian host.
    bed.run("install", "-D", "-o", "postfix", "-m", "600", "/etc/sasldb2", "/var/spool/postfix/etc/sasldb2")
    bed.run("chown", "postfix", "/etc/sasldb2")
    passwd = bed.path("/etc/passwd")
    passwd.write_text(passwd.read_text() + "alice:x:2001:2001::/home/alice:/bin/sh\nbob:x:2002:2002::/home/bob:/bin/sh\n")
    bed.path("/var/mail").chmod(0o1777)


def start(bed):
    bed.run("postfix", "start")
    for port in PORTS.values():
        bed.wait_for_port(port)


def stop(bed):
    bed.run("postfix", "stop")


def kill(bed):
    bed.kill("/usr/lib/postfix/")


def reload(bed):
    bed.run("postfix", "reload")


def master_pid(bed):
    """The process id of Postfix' master, as the host sees it."""
    return bed.processes()[int(bed.path("/var/spool/postfix/pid/master.pid").read_text())]


def log(bed):
    path = bed.path(LOG)
    return path.read_text(errors="replace") if path.exists() else ""


def _queue(bed, *names):
    return [file for name in names for file in bed.path(f"/var/spool/postfix/{name}").rglob("*") if file.is_file()]


def wait_idle(bed):
    """Wait until every message is delivered, bounced or deferred."""
    wait_until(lambda: not _queue(bed, "maildrop", "incoming", "active"), "an idle queue")


def deferred(bed):
    return len(_queue(bed, "deferred"))


def flush(bed):
    """Try everything that is deferred once more."""
    tries = len(re.findall("queue active", log(bed)))
    wanted = tries + deferred(bed)
    bed.run("postqueue", "-f")
    wait_until(lambda: len(re.findall("queue active", log(bed))) >= wanted, "the next try of deferred messages")
    wait_idle(bed)


def forget_deferred(bed):
    wait_idle(bed)
    bed.run("postsuper", "-d", "ALL", "deferred")
