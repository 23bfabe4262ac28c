# SPDX-License-Identifier: Apache-2.0
"""Postfix in a bed: Debian's master.cf, chroots included, plus one service per situation that is to be seen."""
import re

from .bed import wait_until

LOG = "/var/log/mail.log"
DOMAIN = "bed.test"
USER, PASSWORD = f"alice@{DOMAIN}", "right-password"
SINK = "127.2.0.1"  # port 25: a remote mail server; nobody at 127.2.0.9

LISTED = "127.3.0.1"  # in the blocklist bl.test
DENIED = "127.3.0.9"  # in the access lists

# What the clients' name server knows.
ZONE = {
    "mx.test": {"MX": [(10, "sink.mx.test")]},
    "sink.mx.test": {"A": [SINK]},
    "no-mx.test": {"A": [SINK]},
    "null-mx.test": {"MX": [(0, "")]},
    "lost-mx.test": {"MX": [(10, "nowhere.lost-mx.test")]},
    "1.0.3.127.bl.test": {"A": ["127.0.0.2"]},
}

# Remote servers that are not like the one on port 25 of SINK: port, transport, and how they are made (see peers.Sink).
SINKS = {
    "rude.test": (2611, "smtp", {"greeting": "554 5.7.1 go away"}),
    "deaf.test": (2612, "smtp", {"deaf": True}),
    "tls.test": (2613, "smtp-encrypted", {"tls": "good"}),
    "broken-tls.test": (2614, "smtp-encrypted", {"tls": "broken"}),
    "refused-tls.test": (2615, "smtp-encrypted", {"tls": "refused"}),
    "perhaps-tls.test": (2616, "smtp-perhaps", {"tls": "refused"}),
    "plain.test": (2617, "smtp-encrypted", {}),
    "auth.test": (2618, "smtp-auth", {"password": "right"}),
    "wrong-auth.test": (2619, "smtp-auth", {"password": "right"}),
    "implicit-tls.test": (2620, "smtp-implicit", {"tls": "implicit"}),
    "no-implicit-tls.test": (2621, "smtp-implicit", {}),
    "soft.test": (2622, "smtp-soft", {}),
    "proxied-tls.test": (2624, "smtp-proxied", {"tls": "good"}),
    "broken-proxied-tls.test": (2625, "smtp-proxied", {"tls": "broken"}),
    "lmtp.test": (2623, "lmtp:inet", {}),
}

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
    "access": (2512, "y", ("smtpd_sender_restrictions=check_sender_access inline:{ { denied@client.test = REJECT } }",
                           "smtpd_helo_restrictions=check_helo_access inline:{ { denied.test = REJECT } }",
                           "smtpd_recipient_restrictions=check_recipient_access inline:{ { alice+denied@bed.test = 571 5.7.1 not you },"
                           " { alice+busy@bed.test = 450 4.3.2 later }, { alice+discard@bed.test = DISCARD }, { alice+hold@bed.test = HOLD } }")),
    "access-now": (2513, "y", ("smtpd_delay_reject=no", f"smtpd_client_restrictions=check_client_access inline:{{ {{ {DENIED} = REJECT }} }}",
                               "smtpd_helo_required=yes",
                               "smtpd_helo_restrictions=reject_invalid_helo_hostname,reject_non_fqdn_helo_hostname")),
    "access-warn": (2514, "y", ("smtpd_relay_restrictions=warn_if_reject,reject_unauth_destination,"
                                "check_recipient_access inline:{ { elsewhere.test = OK } },reject_unauth_destination",
                                "smtpd_recipient_restrictions=warn_if_reject,check_recipient_access inline:{ { alice+denied@bed.test = REJECT } }")),
    "blocklist": (2515, "n", ("smtpd_client_restrictions=reject_rbl_client bl.test",)),
    "blocklist-warn": (2516, "n", ("smtpd_client_restrictions=warn_if_reject,reject_rbl_client bl.test",)),
    "senders": (2517, "y", (*SASL, f"smtpd_sender_login_maps=inline:{{ {{ boss@{DOMAIN} = boss@{DOMAIN} }} }}",
                            "smtpd_sender_restrictions=reject_sender_login_mismatch")),
    "encrypted": (2518, "y", ("smtpd_tls_security_level=encrypt",)),
    "plaintext": (2519, "y", ("smtpd_client_restrictions=reject_plaintext_session",)),
    "full": (2521, "y", ("queue_minfree=1000000000000000", "notify_classes=")),
    "no-bare-lf": (2522, "y", ("smtpd_forbid_bare_newline=reject", "smtpd_forbid_bare_newline_exclusions=")),
    "no-vrfy": (2523, "y", ("disable_vrfy_command=yes",)),
    "verify": (2524, "y", ("smtpd_recipient_restrictions=reject_unverified_recipient",)),
    "warning": (2525, "y", ("cleanup_service_name=cleanup-warning",)),
    # What must not fool the collector.
    "soft-bounce": (2530, "y", ("soft_bounce=yes", "smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination",
                                "smtpd_recipient_restrictions=check_recipient_access inline:{ { alice+denied@bed.test = REJECT } }")),
    "footer": (2531, "y", ("smtpd_reject_footer=Ask the postmaster. Greylisted it is not.", "smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination")),
    "codes": (2532, "y", ("unknown_local_recipient_reject_code=450", "relay_domains_reject_code=571", "access_map_reject_code=450",
                          "smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination",
                          "smtpd_recipient_restrictions=check_recipient_access inline:{ { alice+denied@bed.test = REJECT 5.7.9 no } }")),
    "quiet": (2533, "y", (*SASL, "smtpd_tls_loglevel=0")),
    "reloaded": (2535, "y", SASL),
    "verbose": (2534, "y", (*SASL, "debug_peer_list=127.0.0.0/8", "debug_peer_level=3")),
    "milter": (2540, "y", ("smtpd_milters=inet:127.0.0.1:10041", "milter_default_action=accept")),
    "milter-down": (2541, "y", ("smtpd_milters=inet:127.0.0.1:10049", "milter_default_action=accept")),
    "milter-down-tempfail": (2542, "y", ("smtpd_milters=inet:127.0.0.1:10049", "milter_default_action=tempfail")),
    "limit-tls": (2510, "y", ("smtpd_client_new_tls_session_rate_limit=2",)),
}
PORTS = {"smtp": 25, "screened": 2600} | {name: port for name, (port, _, _) in SERVICES.items()}

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
transport_maps = inline:{{ {{ sink.test = smtp:[{SINK}] }}, {{ down.test = smtp:[127.2.0.9] }}, {{ discard.test = discard: }},
 {{ error.test = error:5.1.2 no such domain }}, {", ".join(
    [f"{{ {domain} = {transport}:[{SINK}]:{port} }}" for domain, (port, transport, _) in SINKS.items()]
    + [f"{{ {domain} = smtp-dns: }}" for domain in (*ZONE, "no-such.test")])} }}
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
address_verify_map =
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

# Clients of their own for remote servers, a screener, and what it hands connections to.
MORE_SERVICES = f"""
smtp-encrypted unix - - y - - smtp
  -o smtp_tls_security_level=encrypt
smtp-proxied unix - - y - - smtp
  -o smtp_tls_security_level=encrypt
  -o smtp_tls_connection_reuse=yes
smtp-perhaps unix - - y - - smtp
  -o smtp_tls_security_level=may
smtp-implicit unix - - y - - smtp
  -o smtp_tls_security_level=encrypt
  -o smtp_tls_wrappermode=yes
smtp-auth unix - - n - - smtp
  -o smtp_sasl_auth_enable=yes
  -o smtp_sasl_security_options=
  -o {{ smtp_sasl_password_maps = inline:{{ {{ [{SINK}]:2618 = alice:right }}, {{ [{SINK}]:2619 = alice:wrong }} }} }}
smtp-soft unix - - y - - smtp
  -o soft_bounce=yes
smtp-dns unix - - n - - smtp
  -o disable_dns_lookups=no
  -o smtp_dns_support_level=enabled
  -o smtp_host_lookup=dns
cleanup-warning unix n - y - 0 cleanup
  -o delay_warning_time=1s
2600 inet n - n - 1 postscreen
  -o {{ postscreen_access_list = cidr:/etc/postfix/screened.cidr }}
  -o postscreen_denylist_action=enforce
  -o postscreen_greet_action=enforce
  -o postscreen_greet_wait=3s
  -o postscreen_dnsbl_sites=bl.test
  -o postscreen_dnsbl_action=enforce
smtpd pass - - y - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - y - 0 tlsproxy
  -o tlsproxy_client_security_level=may
"""


def configure(bed, extra=""):
    """Write the configuration. extra: more lines of main.cf, which win."""
    shipped = bed.path("/etc/postfix/master.cf").read_text()
    services = ""
    for name, (port, chroot, options) in SERVICES.items():
        services += f"{port} inet n - {chroot} - - smtpd\n  -o syslog_name=postfix/{name}\n"
        services += "".join(f"  -o {{ {option.replace('=', ' = ', 1)} }}\n" for option in options)
    bed.write("/etc/postfix/main.cf", MAIN_CF + extra)
    bed.write("/etc/postfix/master.cf", shipped + "\n" + services + MORE_SERVICES)
    bed.write("/etc/postfix/screened.cidr", f"{DENIED} reject\n127.3.0.8 permit\n")
    bed.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
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


def queued(bed, *names):
    return [file for name in names for file in bed.path(f"/var/spool/postfix/{name}").rglob("*") if file.is_file()]


def wait_idle(bed):
    """Wait until every message is delivered, bounced or deferred."""
    wait_until(lambda: not queued(bed, "maildrop", "incoming", "active"), "an idle queue")


def deferred(bed):
    return len(queued(bed, "deferred"))


def flush(bed):
    """Try everything that is deferred once more."""
    tries = len(re.findall("queue active", log(bed)))
    wanted = tries + deferred(bed)
    bed.run("postqueue", "-f")
    wait_until(lambda: len(re.findall("queue active", log(bed))) >= wanted, "the next try of deferred messages")
    wait_idle(bed)


def requeue(bed):
    """postsuper -r, and pickup looks at once what there is. It may be done before postkick has said all that it wanted to say."""
    bed.run("postsuper", "-r", "ALL")
    bed.run("postkick", "public", "pickup", "W", check=False)


def forget_deferred(bed):
    wait_idle(bed)
    bed.run("postsuper", "-d", "ALL", "deferred")
