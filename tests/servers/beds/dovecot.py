# SPDX-License-Identifier: Apache-2.0
"""Dovecot in a bed: one set of users and services, written in the words of 2.3 (bookworm) or 2.4 (trixie)."""
from .bed import wait_until

LOG = "/var/log/dovecot.log"
DOMAIN = "bed.test"
USER, PASSWORD = f"alice@{DOMAIN}", "right-password"
OTHER_USER = f"bob@{DOMAIN}"
FULL_USER = f"full@{DOMAIN}"  # has a quota of a few kilobytes
ELSEWHERE_USER = f"elsewhere@{DOMAIN}"  # may only log in from an address that no client has
BROKEN_USER = "alice@broken.test"  # the file with this domain's users can not be read
PORTS = {"imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "sieve": 4190, "lmtp": 24, "submission": 1587, "submissions": 1465}
RELAY_PORT = 2526  # where submission hands its messages to
USER_SESSIONS = 3  # IMAP sessions that one user may have from one address
POP3_LOGINS = 5  # clients that pop3-login serves at once, all together

# Debian 12. pop3-login is set up as "high performance" (one process, many clients), the others as shipped:
# a process per connection.
CONFIG_2_3 = f"""
protocols = imap pop3 lmtp submission sieve
log_path = {LOG}
auth_verbose = yes
auth_failure_delay = 0
auth_mechanisms = plain login
disable_plaintext_auth = no
ssl = yes
ssl_cert = </etc/ssl/bed.pem
ssl_key = </etc/ssl/bed.pem
mail_location = maildir:~/Maildir
mail_plugins = quota
first_valid_uid = 2000
passdb {{
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users.%d
}}
userdb {{
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users.%d
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {RELAY_PORT}
protocol imap {{
  mail_max_userip_connections = {USER_SESSIONS}
}}
service auth {{
  unix_listener /var/spool/postfix/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
service pop3-login {{
  service_count = 0
  process_limit = 1
  client_limit = {POP3_LOGINS}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {PORTS["lmtp"]}
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {PORTS["submission"]}
  }}
  inet_listener submissions {{
    port = {PORTS["submissions"]}
    ssl = yes
  }}
}}
"""

# Debian 13.
CONFIG_2_4 = f"""
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
protocols = imap pop3 lmtp submission sieve
log_path = {LOG}
auth_verbose = yes
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_mechanisms = plain login
auth_allow_cleartext = yes
ssl = yes
ssl_server_cert_file = /etc/ssl/bed.pem
ssl_server_key_file = /etc/ssl/bed.pem
mail_driver = maildir
mail_path = ~/Maildir
mail_plugins {{
  quota = yes
}}
first_valid_uid = 2000
passdb passwd-file {{
  passwd_file_path = /etc/dovecot/users.%{{user | domain}}
}}
userdb passwd-file {{
  passwd_file_path = /etc/dovecot/users.%{{user | domain}}
}}
quota "User quota" {{
}}
quota_storage_grace = 0
submission_relay_host = 127.0.0.1
submission_relay_port = {RELAY_PORT}
protocol imap {{
  mail_max_userip_connections = {USER_SESSIONS}
}}
service auth {{
  unix_listener /var/spool/postfix/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
service pop3-login {{
  restart_request_count = unlimited
  process_limit = 1
  client_limit = {POP3_LOGINS}
}}
service lmtp {{
  inet_listener lmtp {{
    listen = 127.0.0.1
    port = {PORTS["lmtp"]}
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {PORTS["submission"]}
  }}
  inet_listener submissions {{
    port = {PORTS["submissions"]}
    ssl = yes
  }}
}}
"""


def configure(bed):
    quota = {"bookworm": "userdb_quota_rule=*:bytes=3000", "trixie": "userdb_quota_storage_size=3000B"}[bed.suite]
    users = ""
    for user, extra in ((USER, ""), (OTHER_USER, ""), (FULL_USER, quota), (ELSEWHERE_USER, "allow_nets=192.0.2.1")):
        home = f"/srv/mail/{user.partition('@')[0]}"
        users += f"{user}:{{PLAIN}}{PASSWORD}:2000:2000::{home}::{extra}\n"
        bed.run("install", "-d", "-o", "2000", "-g", "2000", home)
    bed.write(f"/etc/dovecot/users.{DOMAIN}", users)
    bed.write("/etc/dovecot/users.broken.test", users, mode=0o000)
    bed.write("/etc/dovecot/dovecot.conf", {"bookworm": CONFIG_2_3, "trixie": CONFIG_2_4}[bed.suite])


def start(bed):
    bed.run("dovecot")
    for port in PORTS.values():
        bed.wait_for_port(port)


def stop(bed):
    bed.run("doveadm", "stop")
    wait_until(lambda: not bed.path("/run/dovecot/master.pid").exists(), "the end of Dovecot")


def kill(bed):
    bed.kill("/usr/sbin/dovecot")
    bed.kill("/usr/lib/dovecot/")


def reload(bed):
    bed.run("doveadm", "reload")


def master_pid(bed):
    """The process id of Dovecot's master, as the host sees it."""
    return bed.processes()[int(bed.path("/run/dovecot/master.pid").read_text())]


def log(bed):
    path = bed.path(LOG)
    return path.read_text(errors="replace") if path.exists() else ""
