# SPDX-License-Identifier: Apache-2.0
"""Dovecot in a bed: one set of users and services, written in the words of 2.3 (bookworm) or 2.4 (trixie)."""
import contextlib

from .bed import wait_until

LOG = "/var/log/dovecot.log"
DOMAIN = "bed.test"
USER, PASSWORD = f"alice@{DOMAIN}", "right-password"
OTHER_USER = f"bob@{DOMAIN}"
FULL_USER = f"full@{DOMAIN}"  # has a quota of a few kilobytes
ELSEWHERE_USER = f"elsewhere@{DOMAIN}"  # may only log in from an address that no client has
BROKEN_USER = "alice@broken.test"  # the file with this domain's users can not be read
NOLOGIN_USER = f"nologin@{DOMAIN}"  # is told off after the right password
PROXY_USER = f"proxy@{DOMAIN}"  # is OTHER_USER of another server, which is this one, too
TLS_PROXY_USER = f"tls-proxy@{DOMAIN}"  # the same, reached by TLS
DEAD_PROXY_USER = f"dead-proxy@{DOMAIN}"  # the same at a server that is not there
SIEVE_USER = f"sieve@{DOMAIN}"  # has the script below
NO_UID_USER, NO_HOME_USER = f"no-uid@{DOMAIN}", f"no-home@{DOMAIN}"  # can log in, but have no mailbox
SECOND_USER = "alice@second.test"  # the first password database knows another password, the second the right one
PAM_USER, EXPIRED_USER = "carol@pam.test", "expired@pam.test"  # asked by an auth worker
PORTS = {"imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "sieve": 4190, "lmtp": 24, "submission": 1587, "submissions": 1465}
POLICY_PORT = 4001  # where the policy server for logins is
RELAY_PORT = 2526  # where submission hands its messages to
USER_SESSIONS = 3  # IMAP sessions that one user may have from one address
SUBMISSION_MAX = 100000  # bytes of a message
POP3_LOGINS = 5  # clients that pop3-login serves at once, all together

# Debian 12. pop3-login is set up as "high performance" (one process, many clients), the others as shipped:
# a process per connection.
CONFIG_2_3 = f"""
protocols = imap pop3 lmtp submission sieve
log_path = {LOG}
auth_verbose = yes
auth_failure_delay = 0
auth_mechanisms = plain login cram-md5
disable_plaintext_auth = no
ssl = yes
ssl_cert = </etc/ssl/bed.pem
ssl_key = </etc/ssl/bed.pem
mail_location = maildir:~/Maildir
mail_plugins = quota acl
first_valid_uid = 2000
passdb {{
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users.%d
  username_filter = !*@pam.test
}}
passdb {{
  driver = passwd-file
  args = username_format=%u /etc/dovecot/more-passwords
  username_filter = *@second.test
}}
passdb {{
  driver = pam
  username_filter = *@pam.test
}}
userdb {{
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users.%d
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  acl = vfile
  sieve = file:~/sieve;active=~/.dovecot.sieve
}}
submission_host = 127.0.0.1:{RELAY_PORT}
submission_max_mail_size = {SUBMISSION_MAX}
submission_relay_host = 127.0.0.1
submission_relay_port = {RELAY_PORT}
protocol imap {{
  mail_plugins = $mail_plugins imap_quota imap_acl
  mail_max_userip_connections = {USER_SESSIONS}
}}
protocol lmtp {{
  mail_plugins = $mail_plugins sieve
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
auth_mechanisms = plain login cram-md5
auth_allow_cleartext = yes
ssl = yes
ssl_server_cert_file = /etc/ssl/bed.pem
ssl_server_key_file = /etc/ssl/bed.pem
mail_driver = maildir
mail_path = ~/Maildir
mail_plugins {{
  quota = yes
  acl = yes
}}
acl_driver = vfile
first_valid_uid = 2000
passdb passwd-file {{
  passwd_file_path = /etc/dovecot/users.%{{user | domain}}
  username_filter = !*@pam.test
}}
passdb more {{
  driver = passwd-file
  passwd_file_path = /etc/dovecot/more-passwords
  username_filter = *@second.test
}}
passdb pam {{
  username_filter = *@pam.test
}}
userdb passwd-file {{
  passwd_file_path = /etc/dovecot/users.%{{user | domain}}
}}
quota "User quota" {{
}}
quota_storage_grace = 0
sieve_script personal {{
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}}
submission_host = 127.0.0.1:{RELAY_PORT}
submission_max_mail_size = {SUBMISSION_MAX}
submission_relay_host = 127.0.0.1
submission_relay_port = {RELAY_PORT}
protocol imap {{
  mail_plugins {{
    imap_quota = yes
    imap_acl = yes
  }}
  mail_max_userip_connections = {USER_SESSIONS}
}}
protocol lmtp {{
  mail_plugins {{
    sieve = yes
  }}
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


# The subject of a message says what the script does with it. Nothing: the implicit keep.
SIEVE_SCRIPT = """
require ["fileinto", "mailbox", "reject", "vacation", "enotify"];
if header :is "subject" "keep" { keep; }
elsif header :is "subject" "file" { fileinto :create "Filed"; }
elsif header :is "subject" "discard" { discard; }
elsif header :is "subject" "reject" { reject "not wanted"; }
elsif header :is "subject" "redirect" { redirect "someone@sink.test"; }
elsif header :is "subject" "redirect and keep" { redirect "someone@sink.test"; keep; }
elsif header :is "subject" "vacation" { vacation "away"; }
elsif header :is "subject" "notify" { notify "mailto:someone@sink.test"; }
"""

PAM = f"""
auth required pam_unix.so nodelay
account [success=1 default=ignore] pam_succeed_if.so quiet user != {EXPIRED_USER}
account required pam_debug.so acct=acct_expired
account required pam_permit.so
"""


def configure(bed):
    quota = {"bookworm": "userdb_quota_rule=*:bytes=3000", "trixie": "userdb_quota_storage_size=3000B"}[bed.suite]
    users = _users(bed, (USER, ""), (OTHER_USER, ""), (FULL_USER, quota), (ELSEWHERE_USER, "allow_nets=192.0.2.1"), (SIEVE_USER, ""),
                   (NOLOGIN_USER, "nologin reason=closed"), (PROXY_USER, f"proxy host=127.0.0.1 destuser={OTHER_USER}"),
                   (TLS_PROXY_USER, f"proxy host=127.0.0.1 port={PORTS['imaps']} ssl=any-cert destuser={OTHER_USER}"),
                   (DEAD_PROXY_USER, f"proxy host=127.0.0.1 port=1 destuser={OTHER_USER}"))
    bed.write(f"/etc/dovecot/users.{DOMAIN}", users + f"{NO_UID_USER}:{{PLAIN}}{PASSWORD}:7:7::/srv/mail/nobody::\n"
              f"{NO_HOME_USER}:{{PLAIN}}{PASSWORD}:2000:2000::/proc/nobody::\n")
    bed.write("/etc/dovecot/users.broken.test", users, mode=0o000)
    bed.write("/etc/dovecot/users.second.test", _users(bed, (SECOND_USER, "")).replace(PASSWORD, "another-password"))
    bed.write("/etc/dovecot/more-passwords", _users(bed, (SECOND_USER, "")))
    bed.write("/etc/dovecot/users.pam.test", _users(bed, (PAM_USER, ""), (EXPIRED_USER, "")))
    bed.write("/etc/pam.d/dovecot", PAM)
    password = bed.run("openssl", "passwd", "-6", PASSWORD).strip()
    for user in (PAM_USER, EXPIRED_USER):
        _append(bed, "/etc/passwd", f"{user}:x:2001:2001::/nonexistent:/bin/sh\n")
        _append(bed, "/etc/shadow", f"{user}:{password}:19000:0:99999:7:::\n")
    script = f"/srv/mail/{SIEVE_USER.partition('@')[0]}/.dovecot.sieve"
    bed.write(script, SIEVE_SCRIPT)
    bed.run("chown", "2000:2000", script)
    bed.write("/etc/dovecot/dovecot.conf", config(bed))


# Sessions that idle are handed to imap-hibernate. Its socket is not open to the users as installed.
HIBERNATE = """
protocol imap {
  imap_hibernate_timeout = 1 secs
}
service imap {
  unix_listener imap-master {
    user = dovecot
  }
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0666
  }
}
"""


def wait_hibernated(bed):
    """Until no session has a process of its own."""
    wait_until(lambda: len(bed.processes("/usr/lib/dovecot/imap")) == len(bed.processes("/usr/lib/dovecot/imap-")), "hibernation")


@contextlib.contextmanager
def settings(bed, text):
    """Dovecot with more settings, for a while."""
    bed.write("/etc/dovecot/dovecot.conf", config(bed) + text)
    reload(bed)
    try:
        yield
    finally:
        bed.write("/etc/dovecot/dovecot.conf", config(bed))
        reload(bed)


def config(bed):
    return {"bookworm": CONFIG_2_3, "trixie": CONFIG_2_4}[bed.suite]


def _users(bed, *users):
    """A file of users: (name, more fields)."""
    text = ""
    for user, extra in users:
        home = f"/srv/mail/{user.partition('@')[0]}"
        text += f"{user}:{{PLAIN}}{PASSWORD}:2000:2000::{home}::{extra}\n"
        bed.run("install", "-d", "-o", "2000", "-g", "2000", home)
    return text


def _append(bed, name, text):
    with bed.path(name).open("a") as file:
        file.write(text)


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
    """Until the successors of all processes may come. Clients that are quicker may get old settings, and what is
    logged then may be lost."""
    before = bed.processes("/usr/lib/dovecot/log").keys()
    bed.run("doveadm", "reload")
    wait_until(lambda: bed.processes("/usr/lib/dovecot/log").keys() - before, "the reload")


def master_pid(bed):
    """The process id of Dovecot's master, as the host sees it."""
    return bed.processes()[int(bed.path("/run/dovecot/master.pid").read_text())]


def log(bed):
    path = bed.path(LOG)
    return path.read_text(errors="replace") if path.exists() else ""
