# SPDX-License-Identifier: Apache-2.0
"""The HTTP endpoint as clients see it: good ones, slow ones and bad ones."""
import base64
import concurrent.futures
import contextlib
import gzip
import http.client
import json
import socket
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fake import BINARY, IS_SANITIZED, wait_for

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
LIMIT = 100  # CONNECTIONS_MAX of http.c


def numbers(text):
    """{(sample name, labels): value}, by an independent parser; no sample may come twice"""
    samples = [((s.name, tuple(sorted(s.labels.items()))), s.value)
               for family in text_string_to_metric_families(text) for s in family.samples]
    assert len(dict(samples)) == len(samples)
    return dict(samples)


def test_numbers(exporter):
    one = exporter(listen="127.0.0.1:1")
    one.counter("auth.success", 3, server="postfix")
    one.counter("auth.success", 0, server="dovecot", protocol="imap")
    one.counter("smtp.dkim-pass", 9007199254740993, server="a\\b\"c")
    one.gauge("queue.count", -0.125, "{message}")
    one.start()
    got = numbers(one.scrape())
    assert got["mail_auth_success_total", (("server", "postfix"),)] == 3
    assert got["mail_auth_success_total", (("protocol", "imap"), ("server", "dovecot"))] == 0
    assert got["mail_smtp_dkim_pass_total", (("server", "a\\b\"c"),)] == 9007199254740993
    assert got["mail_queue_count", ()] == -0.125
    assert got["mailgauge_build_info", (("version", "1.2.3-test"),)] == 1
    assert got["process_open_fds", ()] > 3
    assert got["process_start_time_seconds", ()] == pytest.approx(time.time(), abs=120)
    one.counter("auth.success", 4, server="postfix")
    assert numbers(one.scrape())["mail_auth_success_total", (("server", "postfix"),)] == 4


def test_every_family_is_one_group_with_help_and_type(web):
    web.counter("auth.failed", 1, server="postfix")
    web.counter("auth.success", 1, server="dovecot")
    text = web.scrape()
    assert text.endswith("\n") and "\n\n" not in text
    seen = []
    for line in text.splitlines():
        name = line.split()[2] if line.startswith("#") else line.split("{")[0].split(" ")[0]
        if not seen or seen[-1] != name:
            seen.append(name)
            assert line.startswith("# HELP ")
    assert len(set(seen)) == len(seen)
    for name in seen:
        assert f"\n# TYPE {name} " in text


def test_bare_names(exporter):
    one = exporter(listen="127.0.0.1:1", naming="bare")
    one.counter("queue.queue-dsn", 3, server="postfix")
    text = one.start().scrape()
    assert text.startswith('# HELP queue_queue_dsn Set by a test.\n# TYPE queue_queue_dsn counter\n'
                           'queue_queue_dsn{server="postfix"} 3\n')
    assert "mailgauge_scrapes_total{" in text


HISTOGRAMS = [
    # naming, name, [(le, cumulative count), ...], sum
    ("prometheus", "mail_delivery_attempt_time_seconds", [("0.005", 3), ("0.035", 3), ("1", 9), ("+Inf", 10)], 12.375),
    ("prometheus", "mail_message_size_bytes", [("500", 0), ("1000000", 2**53), ("+Inf", 2**53 + 2)], 5e9),
    ("bare", "delivery_attempt_time", [("5", 3), ("35", 3), ("1000", 9), ("+Inf", 10)], 12375),  # in milliseconds
    ("bare", "message_size", [("500", 0), ("1000000", 2**53), ("+Inf", 2**53 + 2)], 5e9),
]


@pytest.mark.parametrize("naming, name, buckets, total", HISTOGRAMS)
def test_histograms(exporter, naming, name, buckets, total):
    one = exporter(listen="127.0.0.1:1", naming=naming)
    for server in ("postfix", "dovecot"):
        one.histogram("delivery.attempt-time", [0.005, 0.035, 1], [3, 0, 6, 1], 12.375, server=server)
        one.histogram("message.size", [500, 1e6], [0, 2**53, 2], 5e9, unit="By", server=server)
    text = one.start().scrape()
    families = [f for f in text_string_to_metric_families(text) if f.name == name]
    assert [(f.type, f.documentation) for f in families] == [("histogram", "Set by a test.")]
    assert families[0].samples == [
        (f"{name}_{suffix}", {"server": server, **labels}, value, None, None, None)
        for server in ("dovecot", "postfix")
        for suffix, labels, value in [*(("bucket", {"le": le}, count) for le, count in buckets),
                                      ("sum", {}, total), ("count", {}, buckets[-1][1])]]


@pytest.mark.parametrize("method, path, status, headers, body", [
    ("GET", "/metrics", 200, {"Content-Type": EXPOSITION}, None),
    ("GET", "/metrics?name[]=x", 200, {"Content-Type": EXPOSITION}, None),
    ("HEAD", "/metrics", 200, {"Content-Type": EXPOSITION}, b""),
    ("GET", "/healthz", 200, {"Content-Type": "text/plain; charset=utf-8"}, b"ok\n"),
    ("HEAD", "/healthz", 200, {"Content-Length": "3"}, b""),
    ("GET", "/", 200, {"Content-Type": "text/html; charset=utf-8"}, None),
    ("GET", "/nothing", 404, {}, b"not found\n"),
    ("GET", "/metrics/", 404, {}, None),
    ("GET", "/..%2fetc/passwd", 404, {}, None),
    ("POST", "/metrics", 405, {"Allow": "GET, HEAD, OPTIONS"}, None),
    ("DELETE", "/healthz", 405, {"Allow": "GET, HEAD, OPTIONS"}, None),
    ("NONSENSE", "/", 405, {"Allow": "GET, HEAD, OPTIONS"}, None),
    ("OPTIONS", "/metrics", 204, {"Allow": "GET, HEAD, OPTIONS"}, b""),
    ("OPTIONS", "*", 204, {"Allow": "GET, HEAD, OPTIONS"}, b""),
])
def test_requests(web, method, path, status, headers, body):
    reply = web.request(method, path)
    assert reply.status == status
    assert {name: reply.getheader(name) for name in headers} == headers
    assert body is None or reply.body == body


def test_ready(web):
    reply = web.request(path="/readyz")
    assert (reply.status, reply.body) == (503, b"no mail server was found\n")
    web.say("ready 1")
    reply = web.request(path="/readyz")
    assert (reply.status, reply.body) == (200, b"ready\n")


def test_page(exporter):
    one = exporter(listen="127.0.0.1:1", path="/my/metrics").start()
    page = one.request(path="/").body.decode()
    assert "1.2.3-test" in page and "postfix &lt;3.10&gt;" in page
    for link in ("/my/metrics", "/healthz", "/readyz"):
        assert f'href="{link}"' in page
    assert one.request(path="/my/metrics").status == 200
    assert one.request(path="/metrics").status == 404


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("authorization, status", [
    (basic("user:pass:word"), 200),
    (basic("user:pass:word").replace("Basic", "bAsIc"), 200),
    (basic("user:pass:wor"), 401),
    (basic("user:pass:word!"), 401),
    (basic(""), 401),
    ("Basic ", 401),
    ("Basic", 401),
    ("Basic ====", 401),
    ("Bearer " + basic("user:pass:word")[6:], 401),
    (None, 401),
])
def test_credentials(exporter, authorization, status):
    one = exporter(listen="127.0.0.1:1", username="user", secret="pass:word").start()
    headers = {"Authorization": authorization} if authorization else {}
    for path in ("/metrics", "/"):
        reply = one.request(path=path, headers=headers)
        assert reply.status == status
        assert (status == 401) == (reply.getheader("WWW-Authenticate") is not None)
        assert status == 200 or reply.body == b"credentials are needed\n"
    assert one.request(path="/healthz").status == 200  # tells nothing, and probes have no credentials


def test_gzip(web):
    for i in range(500):
        web.counter("auth.failed", i, server=f"s{i}")
    plain = web.request(headers={"Accept-Encoding": "identity"})
    packed = web.request(headers={"Accept-Encoding": "gzip"})
    assert plain.getheader("Content-Encoding") is None
    assert packed.getheader("Content-Encoding") == "gzip"
    assert packed.getheader("Content-Type") == EXPOSITION
    events = [line for line in plain.body.splitlines() if line.startswith(b"mail_")]
    assert len(events) == 501
    assert [line for line in gzip.decompress(packed.body).splitlines() if line.startswith(b"mail_")] == events
    assert len(packed.body) < len(plain.body) / 5
    assert web.request("HEAD", headers={"Accept-Encoding": "gzip"}).getheader("Content-Encoding") == "gzip"


def test_numbers_that_cannot_be_had(web):
    web.say("fail 1")
    reply = web.request()
    assert (reply.status, reply.body) == (500, b"cannot collect the metrics: Input/output error\n")
    web.say("fail 0")
    got = numbers(web.scrape())
    assert got["mailgauge_scrapes_total", (("outcome", "failed"),)] == 1
    web.request("GET", "/metrics")
    assert numbers(web.scrape())["mailgauge_scrapes_total", (("outcome", "success"),)] == 2


def send_raw(port, data, timeout=20):
    """What comes back until the server closes or answers once."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as one:
        with contextlib.suppress(ConnectionError):
            one.sendall(data)
        reply = b""
        with contextlib.suppress(ConnectionError):
            while part := one.recv(65536):
                reply += part
        return reply


@pytest.mark.parametrize("request_, status", [
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000, 413),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", 413),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
    (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 600, None),  # TLS on a plain port
    (b"\x00" * 20000, None),
    (b"\r\n" * 5000, None),
    (b"GET\r\n\r\n", None),
    (b"", None),
])
def test_bad_requests(web, request_, status):
    reply = send_raw(web.port, request_)
    if status:
        assert reply.startswith(b"HTTP/1."), reply[:100]
        assert int(reply.split()[1]) == status
    assert web.request(path="/healthz").status == 200


def test_small_body_is_ignored(web):
    assert web.request("GET", "/healthz", body=b"x" * 1000).status == 200
    assert web.request("POST", "/healthz", body=b"x" * 1000).status == 405


def test_connection_is_kept(web):
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
    connection.connect()
    first = connection.sock
    for _ in range(20):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read()
        assert connection.sock is first
    connection.close()


def seconds_until_closed(one):
    start = time.monotonic()
    one.settimeout(20)
    with contextlib.suppress(ConnectionError):
        while one.recv(65536):
            pass
    return time.monotonic() - start


@pytest.mark.parametrize("hello", [b"", b"GET", b"GET /metrics HTTP/1.1\r\nHost: x\r\n",
                                   b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"])
def test_silent_client_is_cut_and_others_go_on(web, hello):
    with socket.create_connection(("127.0.0.1", web.port)) as silent:
        silent.sendall(hello)
        assert web.scrape()
        assert 0.5 < seconds_until_closed(silent) < 10
    assert web.scrape()


def test_slow_client_is_cut_although_never_silent(web):
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", web.port)) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
        with pytest.raises(ConnectionError):
            while time.monotonic() < start + 10:
                slow.sendall(b"x")
                assert web.request(path="/healthz").status == 200
                time.sleep(0.05)
    assert 0.9 < time.monotonic() - start < 5


def test_client_that_never_reads_is_cut(web):
    """Its requests are pipelined until every buffer between the two is full."""
    for i in range(500):
        web.counter("auth.failed", i, server=f"s{i}")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", web.port))
        deaf.settimeout(20)
        start = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() < start + 15:
                deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert web.scrape()


def test_parallel_scrapes(web):
    for i in range(200):
        web.counter("auth.failed", i, server=f"s{i}")
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        texts = list(pool.map(lambda _: web.scrape(), range(300)))
    for text in texts:
        got = numbers(text)
        assert sum(value for (name, _), value in got.items() if name == "mail_auth_failed_total") == sum(range(200))
    assert numbers(web.scrape())["mailgauge_scrapes_total", (("outcome", "success"),)] == 300


def test_more_silent_clients_than_there_are_connections(web):
    with contextlib.ExitStack() as stack:
        for _ in range(LIMIT + 50):
            stack.enter_context(socket.create_connection(("127.0.0.1", web.port), timeout=20))
        assert web.scrape()  # waits until the first of them are cut


def test_address_that_cannot_be_had(tmp_path):
    """An address in use is tested in tests/unit/test-http.c, since the fake exporter takes any free port."""
    done = subprocess.run([BINARY, "listen=192.0.2.1:1"], input="start\n", capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr == 'fake-exporter: cannot listen on "192.0.2.1:1": Cannot assign requested address\n'


@pytest.mark.parametrize("listen, hosts", [("[::1]:1", ["::1"]), ("[::]:1", ["::1", "127.0.0.1"]),
                                           ("0.0.0.0:1", ["127.0.0.1"])])
def test_addresses(exporter, listen, hosts):
    one = exporter(listen=listen).start()
    for host in hosts:
        assert one.request(path="/healthz", host=host).status == 200


def test_stop_closes_everything(web):
    with socket.create_connection(("127.0.0.1", web.port)) as idle:
        assert web.stop() < 5
        assert seconds_until_closed(idle) < 5
    with pytest.raises(ConnectionError):
        web.request()


@pytest.mark.skipif(IS_SANITIZED, reason="the sanitizer costs memory and time of its own")
def test_cost(exporter):
    """500 series in less than a millisecond, packed or not, and no memory that grows with the number of scrapes."""
    one = exporter(listen="127.0.0.1:1")
    for i in range(500):
        one.counter(f"group{i % 50}.event-{i % 50}", i, server=f"server{i // 50}", protocol="smtp")
    one.start()
    for encoding in ("identity", "gzip"):
        headers = {"Accept-Encoding": encoding}
        for _ in range(100):
            one.request(headers=headers)
        before = one.resident_bytes()
        for _ in range(2000):
            one.request(headers=headers)
        assert one.resident_bytes() <= before + 65536
        durations = []
        for _ in range(50):
            one.request(headers=headers)
            durations.append(numbers(one.scrape())["mailgauge_scrape_duration_seconds", ()])
        print(json.dumps({"encoding": encoding, "resident": before, "best_s": min(durations)}))
        assert min(durations) < 0.001  # the best one: a busy machine is not our cost
