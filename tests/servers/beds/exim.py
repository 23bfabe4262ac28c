# SPDX-License-Identifier: Apache-2.0
"""Exim in a bed: one daemon with a configuration of our own, whose rules go by recipient, sender or port."""
import contextlib
import os
import signal
import time

from . import clients
from .bed import Bed, wait_until
from .peers import NameServer, Sink

LOG = "/var/log/exim4/mainlog"
SPOOL = "/var/spool/exim4"
DOMAIN = "bed.test"
PASSWORD = "right-password"
SINK = "127.2.0.1"  # port 25: a remote mail server; nobody at 127.2.0.9
FEW = "127.4.0.1"  # may have two connections at once
NAMED, MISNAMED, NAMELESS = "127.5.0.1", "127.5.0.2", "127.5.0.3"  # whose names are looked up
LISTED = "127.6.0.1"  # in the blocklist bl.test
DENIED = "127.7.0.1"  # refused by the rule for connections
SLOW = "127.7.0.5"  # is greeted late
FOREIGN = "10.9.0.1"  # not of this host, if one asks the SPF library
BANNED = "127.7.0.2"  # refused before any rule
SENDER_OK, SENDER_BAD, SENDER_SOFT = "spf-pass.test", "spf-fail.test", "spf-soft.test"

KINDS = ("heavy", "light")
PORTS = {"smtp": 25, "submission": 587, "smtps": 465, "impatient": 2502}

ZONE = {
    "mx.test": {"MX": [(10, "sink.mx.test")]},
    "sink.mx.test": {"A": [SINK]},
    "no-mx.test": {"A": [SINK]},
    "null-mx.test": {"MX": [(0, "")]},
    "lost-mx.test": {"MX": [(10, "nowhere.lost-mx.test")]},
    "1.0.6.127.bl.test": {"A": ["127.0.0.2"]},
    "1.0.5.127.in-addr.arpa": {"PTR": ["named.test"]},
    "2.0.5.127.in-addr.arpa": {"PTR": ["misnamed.test"]},
    "named.test": {"A": [NAMED]},
    "misnamed.test": {"A": ["127.5.0.99"]},
    SENDER_OK: {"TXT": ["v=spf1 ip4:10.9.0.0/24 -all"]},
    SENDER_BAD: {"TXT": ["v=spf1 -all"]},
    SENDER_SOFT: {"TXT": ["v=spf1 ~all"]},
    "spf-neutral.test": {"TXT": ["v=spf1 ?all"]},
    "spf-none.test": {"A": [SINK]},
    "spf-wrong.test": {"TXT": ["v=spf1 nonsense:nonsense -all"]},
    "spf-broken.test": {"TXT": ["v=spf1 include:broken.spf-broken.test -all"]},
    "broken.spf-broken.test": "SERVFAIL",
    "one._domainkey.signed.test": {"TXT": ["v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDFuyf516OSvsxe2NGgrHIla/cEjltUViDZ2l6GFrmaLYEsrucGriT8bRr7RuuE"
                                           "uLixhgjGFv5+RNQKM0IORBYyrdjsOLVPhUVTLZB4HX9P1cxkv70FSNy13rTNMimjCd9XzUgzQ9rQkdjbaTj1/rcx3/kNdHC1OMdo3KIHpX+ZVwIDAQAB"]},
}

# Signed with the key that the zone has for signed.test. What is not in the signature may be added.
SIGNED = """DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=signed.test;
 i=@signed.test; q=dns/txt; s=one; t=1795563027; h=from : subject;
 bh=yZQq1c8wjBl0fZ4Wc/oraMCAG1mZJv5v/hlvyFy+t6A=;
 b=Z2lOc2OVx6j/Q0HYg8nTeO6sbyKc+Z/xmxkZX0eeeJOBDgIll+RGbkgb3/WU0mlLd4Bly
 KFMEdcwMMCDmTmjfhfMv+OiejZlGFOZpu2KAKMH5IlmFH//K2wXUzap5QPl3g+Q0pj8QpPb
 e8zyQcVqRekMVDkp9oykhXRvGSY5/Ws=
From: someone@signed.test
Subject: signed

Hello.""".replace("\n", "\r\n")

# Remote servers that are not like the one on port 25 of SINK: port, and how they are made (see peers.Sink).
SINKS = {
    "rude.test": (2611, {"greeting": "554 5.7.1 go away"}),
    "deaf.test": (2612, {"deaf": True}),
    "tls.test": (2613, {"tls": "good"}),
    "broken-tls.test": (2614, {"tls": "broken"}),
    "refused-tls.test": (2615, {"tls": "refused"}),
    "auth.test": (2618, {"password": "right"}),
    "wrong-auth.test": (2619, {"password": "right"}),
    "lmtp.test": (2623, {}),
}

EXTERNAL = f"""
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = yes
  server_param2 = $auth1
  server_condition = ${{if eq{{$auth1}}{{alice@{DOMAIN}}}}}
"""
SPF = """
  deny    sender_domains = ^spf-
          message = not from there
          spf = fail
"""
MAIN = """
acl_smtp_connect = connecting
acl_smtp_helo = greeting
acl_smtp_mail = sending
acl_smtp_rcpt = receiving
acl_smtp_predata = beginning
acl_smtp_data = ending
acl_smtp_auth = logging_in
acl_smtp_vrfy = asking
acl_smtp_expn = asking
acl_smtp_etrn = waking
acl_smtp_starttls = encrypting
acl_smtp_quit = leaving
acl_not_smtp = submitting
"""
CONFIG = """
primary_hostname = mx.{domain}
domainlist local_domains = {domain}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {ports}
tls_on_connect_ports = 465
tls_advertise_hosts = *
tls_certificate = /etc/ssl/bed.pem
tls_privatekey = /etc/ssl/bed.pem
{acls}
host_lookup = 127.5.0.0/16
host_reject_connection = {banned}
smtp_accept_max = 200
smtp_accept_max_per_host = ${{if eq{{$sender_host_address}}{{{few}}}{{2}}{{0}}}}
smtp_accept_max_per_connection = 5
recipients_max = 6
message_size_limit = 20000
smtp_receive_timeout = ${{if eq{{$received_port}}{{2502}}{{1s}}{{1m}}}}
smtp_enforce_sync = true
pipelining_connect_advertise_hosts =
received_headers_max = 30
rfc1413_query_timeout = 0s
dns_ipv4_lookup = *
disable_ipv6
keep_environment =
trusted_users = root
prdr_enable = false
dsn_advertise_hosts = *
ignore_bounce_errors_after = 0s
delay_warning =
auto_thaw = 0s
queue_run_max = 5
# What becomes of a message is not told by smtp_setup_msg, but by processes of its own.
log_selector = {selectors}
retry_interval_max = 1h

begin acl

connecting:
  warn    hosts = {slow}
          delay = 1s
  deny    hosts = {denied}
          message = you are not welcome
  accept

greeting:
  deny    condition = ${{if eq{{$sender_helo_name}}{{denied.test}}}}
  defer   condition = ${{if eq{{$sender_helo_name}}{{busy.test}}}}
  accept  condition = ${{if eq{{$sender_helo_name}}{{welcome.test}}}}
          message = you are welcome
  accept

sending:
  deny    senders = denied@client.test
          message = not you
  defer   senders = busy@client.test
  accept  senders = welcome@client.test
          message = nice to hear of you
  discard senders = discard@client.test
{spf}
  accept

receiving:
  deny    local_parts = denied
          message = not this one
  drop    local_parts = dropped
  defer   local_parts = busy
          message = come back later
  defer   local_parts = grey
          message = Greylisted, see you in a minute
  deny    local_parts = silent
          log_message = silence
          logwrite =
          log_reject_target =
  defer   local_parts = limited
          ratelimit = 2 / 1h / strict / $sender_host_address
          message = Sender rate limit exceeded, $sender_rate
  deny    local_parts = listed
          dnslists = bl.test
  deny    local_parts = verified-sender
          !verify = sender
  deny    local_parts = reverse
          !verify = reverse_host_lookup
  accept  local_parts = welcome
          message = they will be glad
  discard local_parts = discarded
  accept  authenticated = *
  deny    domains = !+local_domains : !*.test
          message = relay not permitted
  deny    domains = elsewhere.test
          message = relay not permitted
  deny    domains = +local_domains
          local_parts = !limited
          !verify = recipient
  accept

beginning:
  deny    condition = ${{if eq{{$sender_address}}{{predata@client.test}}}}
  accept  condition = ${{if eq{{$sender_address}}{{predata-welcome@client.test}}}}
          message = go on, please
  accept

ending:
  deny    condition = ${{if match{{$h_subject:}}{{refuse}}}}
          message = nobody wants that
  defer   condition = ${{if match{{$h_subject:}}{{later}}}}
  discard condition = ${{if match{{$h_subject:}}{{discard}}}}
  accept  condition = ${{if match{{$h_subject:}}{{welcome}}}}
          message = thank you
  warn    condition = ${{if match{{$h_subject:}}{{freeze}}}}
          control = freeze
  accept

logging_in:
  deny    hosts = 127.7.0.3
  accept

asking:
  deny    hosts = 127.7.0.3
  accept

waking:
  deny    hosts = 127.7.0.3
  accept

encrypting:
  deny    hosts = 127.7.0.3
  accept

leaving:
  accept  hosts = 127.7.0.4
          message = see you

submitting:
  deny    message = not that
            condition = ${{if match{{$h_subject:}}{{refuse}}}}
  accept

begin routers

forwarded:
  driver = redirect
  domains = +local_domains
  local_parts = discard : both : fail : later : defer
  data = ${{lookup{{$local_part}}lsearch{{/etc/exim4/aliases}}}}
  allow_fail
  allow_defer
  forbid_file = false
  pipe_transport = pipe_good
  file_transport = filed
  reply_transport = replied

{pipes}
answers:
  driver = accept
  domains = +local_domains
  local_parts = vacation
  senders = !:
  transport = replied
  unseen

full:
  driver = accept
  domains = +local_domains
  local_parts = full
  transport = filed_with_quota

local:
  driver = accept
  domains = +local_domains
  local_parts = alice : bob : vacation : welcome : freeze : grey
  transport = filed

{routers}

sinks:
  driver = manualroute
  domains = sink.test
  route_data = {sink}
  transport = remote
  self = send

down:
  driver = manualroute
  domains = down.test
  route_data = 127.2.0.9
  transport = remote
  self = send

half_down:
  driver = manualroute
  domains = half-down.test
  route_list = * 127.2.0.9:{sink}
  hosts_randomize = false
  transport = remote
  self = send

by_dns:
  driver = dnslookup
  domains = {zone_domains}
  transport = remote
  self = send
  no_more

begin transports

remote:
  driver = smtp
  allow_localhost
  hosts_try_fastopen =

{transports}

filed:
  driver = appendfile
  file = /var/mail/all
  use_lockfile = false
  lock_fcntl_timeout = 30s
  user = mail
  group = mail

filed_with_quota:
  driver = appendfile
  file = /var/mail/all
  use_lockfile = false
  lock_fcntl_timeout = 30s
  user = mail
  group = mail
  quota = 100

{pipe_transports}
replied:
  driver = autoreply
  user = mail
  to = $sender_address
  subject = away
  text = away

begin retry

* * F,1h,1h

begin authenticators

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = {check2}
  server_set_id = $auth2

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = {check1}
  server_set_id = $auth1

cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{alice}}{{{password}}}fail}}
  server_set_id = $auth1

{external}

client_plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^alice^${{if eq{{$host_port}}{{2618}}{{right}}{{wrong}}}}
"""
COMMANDS = ("pipe", "good"), ("pipe", "bad"), ("pipe", "later"), ("lmtp", "good"), ("lmtp", "bad")
LMTPD = r"""#!/bin/sh
echo "220 lmtpd"
text=
while IFS= read -r line; do
	line=${line%?}
	if [ "$text" ]; then
		[ "$line" != . ] || { text=; echo "250 taken"; }
		continue
	fi
	case $line in
	LHLO*) echo "250 lmtpd" ;;
	RCPT*) [ "$1" = bad ] && echo "550 no such user" || echo "250 ok" ;;
	DATA*) [ "$1" = bad ] && echo "503 no recipients" || { text=yes; echo "354 go on"; } ;;
	QUIT*) echo "221 bye"; exit ;;
	*) echo "250 ok" ;;
	esac
done
"""
PIPED = """#!/bin/sh
case $1 in
good) exit 0 ;;
bad) exit 1 ;;
*) exit 75 ;;
esac
"""
ALIASES = """discard: :blackhole:
both: alice@bed.test, bob@bed.test
fail: :fail: gone away
later: :defer: not now
"""
SELECTORS = "+smtp_protocol_error +smtp_syntax_error +smtp_connection +dkim_verbose"


def _check(user, password):
    """A lookup in a file that is not there comes to no verdict."""
    return (f"${{if eq{{${user}}}{{broken}}{{${{lookup{{x}}lsearch{{/nowhere/at/all}}{{1}}{{0}}}}}}"
            f"{{${{if and{{{{eq{{${user}}}{{alice}}}}{{eq{{${password}}}{{{PASSWORD}}}}}}}}}}}}}")


def config(kind, selectors=SELECTORS, change=None):
    """change: (old, new) text of the configuration."""
    heavy = kind == "heavy"
    transports = "\n".join(f"""remote_{port}:
  driver = smtp
  allow_localhost
  port = {port}
  hosts_try_fastopen =
  {"protocol = lmtp" if domain == "lmtp.test" else ""}
  {"hosts_require_auth = *" if "auth" in domain else ""}
  {"hosts_try_auth = *" if "auth" in domain else ""}
  {"hosts_require_tls = *" if "tls" in domain and domain != "refused-tls.test" else ""}
""" for domain, (port, _) in SINKS.items())
    routers = "\n".join(f"""to_{port}:
  driver = manualroute
  domains = {domain}
  route_data = {SINK}
  transport = remote_{port}
  self = send
""" for domain, (port, _) in SINKS.items())
    # A command line must not hold what a client said.
    pipes = "\n".join(f"""{kind}_{what}:
  driver = accept
  domains = +local_domains
  local_parts = {kind}-{what}
  transport = {kind}_{what}
""" for kind, what in COMMANDS)
    pipe_transports = "\n".join(f"""{kind}_{what}:
  driver = {kind}
  command = /usr/local/bin/{kind}d {what}
  user = mail
  {"return_fail_output" if kind == "pipe" else ""}
""" for kind, what in COMMANDS)
    text = CONFIG.format(
        domain=DOMAIN, ports=" : ".join(map(str, PORTS.values())), acls=MAIN, banned=BANNED, few=FEW, slow=SLOW, denied=DENIED, selectors=selectors,
        spf=SPF if heavy else "", sink=SINK, routers=routers, pipes=pipes, pipe_transports=pipe_transports, transports=transports, password=PASSWORD,
        zone_domains="mx.test : no-mx.test : null-mx.test : lost-mx.test : no-such.test",
        check1=_check("auth1", "auth2"), check2=_check("auth2", "auth3"), external=EXTERNAL)
    if change:
        assert text.count(change[0]) == 1, change[0]
        text = text.replace(*change)
    return text


class EximBed(Bed):
    def __init__(self, suite, kind):
        super().__init__(suite)
        self.kind = kind
        self.root_kind = f"exim-{kind}"

    def __enter__(self):
        super().__enter__()
        try:
            self.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                     "-subj", "/CN=mx.bed.test", "-keyout", "/etc/ssl/key.pem", "-out", "/etc/ssl/cert.pem")
            self.write("/etc/ssl/bed.pem", self.path("/etc/ssl/key.pem").read_text() + self.path("/etc/ssl/cert.pem").read_text(), 0o640)
            self.run("chown", "root:Debian-exim", "/etc/ssl/bed.pem")
            self.sink = Sink(self, 25, SINK)
            for port, how in SINKS.values():
                Sink(self, port, SINK, **how)
            self.names = NameServer(self, ZONE)
            self.run("install", "-d", "-o", "Debian-exim", "-g", "Debian-exim", "/run/exim4")
            self.run("ip", "address", "add", FOREIGN, "dev", "lo")
            self.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
            self.write("/etc/exim4/aliases", ALIASES)
            self.write("/usr/local/bin/piped", PIPED, 0o755)
            self.write("/usr/local/bin/lmtpd", LMTPD, 0o755)
            configure(self)
            start(self)
        except BaseException:
            self.close()
            raise
        return self

    def smtp(self, service="smtp", source=None, **how):
        return clients.Smtp(self.connect(PORTS[service], source), **how)


def configure(bed, **how):
    bed.write("/etc/exim4/exim4.conf", config(bed.kind, **how))


def start(bed):
    bed.run("exim4", "-bd")
    for port in PORTS.values():
        bed.wait_for_port(port)


def daemon_pid(bed):
    """The process id of the daemon, as the host sees it."""
    return bed.processes()[int(bed.path("/run/exim4/exim.pid").read_text())]


def stop(bed):
    pid = daemon_pid(bed)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the daemon's end")


def reload(bed):
    mark = len(log(bed))
    os.kill(daemon_pid(bed), signal.SIGHUP)
    wait_until(lambda: "daemon started" in log(bed)[mark:], "the daemon's new start")


@contextlib.contextmanager
def settings(bed, **how):
    """Another configuration for a while."""
    configure(bed, **how)
    reload(bed)
    try:
        yield
    finally:
        configure(bed)
        reload(bed)


def log(bed):
    path = bed.path(LOG)
    return path.read_text(errors="replace") if path.exists() else ""


def queued(bed):
    """The ids of the messages in the queue."""
    return sorted(file.name[:-2] for file in bed.path(f"{SPOOL}/input").glob("*-H"))


def wait_idle(bed, sessions=0):
    """Wait until nothing is being received or delivered. sessions: processes beside the daemon that may stay."""
    def idle():
        return len(bed.processes("/usr/sbin/exim4")) <= 1 + sessions
    wait_until(idle, "an idle Exim", timeout=30)
    time.sleep(0.02)  # a process that was about to start another
    wait_until(idle, "an idle Exim")


def flush(bed):
    """Try everything that is deferred once more."""
    bed.run("exim4", "-qff")
    wait_idle(bed)


def forget_deferred(bed):
    """Empty the queue, and forget which hosts were down."""
    wait_idle(bed)
    for message in queued(bed):
        for part in bed.path(f"{SPOOL}/input").glob(f"{message}*"):
            part.unlink()
    for database in bed.path(f"{SPOOL}/db").glob("*"):
        database.unlink()
