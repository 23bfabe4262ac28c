# SPDX-License-Identifier: Apache-2.0
"""The OTLP push as peers see it, and what it makes of their answers. Peers decode by OpenTelemetry's own definitions."""
import email.utils
import os
import random
import socket
import subprocess
import threading
import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from fake import wait_for
from peer import Answer, Peer

LATER = [429, 502, 503, 504]


def make(exporter, peer, value=3, **options):
    one = exporter(endpoint=peer.url, **options)
    one.counter("auth.success", value, server="postfix")
    return one


def status(message):
    """A google.rpc.Status: code 13 and a message."""
    return b"\x08\x0d\x12" + bytes([len(message)]) + message


def partial(rejected, message):
    reply = ExportMetricsServiceResponse()
    reply.partial_success.rejected_data_points = rejected
    reply.partial_success.error_message = message
    return reply.SerializeToString()


def test_request(exporter, peer):
    one = make(exporter, peer, header=["X-Scope-OrgID: tenant", "Authorization: Bearer abc"],
               resource=["deployment.environment.name=test", "host.name=mx1"])
    one.counter("auth.success", 2**63 + 5, server="dovecot")
    one.gauge("queue.count", -2.5, "{message}", server="postfix")
    one.start()
    request = peer.wait(1)[0]
    assert request.path == "/v1/metrics"
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert request.headers["User-Agent"] == "mailgauge/1.2.3-test OTel-OTLP-Exporter-C/1.2.3-test"
    assert request.headers["X-Scope-OrgID"] == "tenant"
    assert request.headers["Authorization"] == "Bearer abc"
    assert "Expect" not in request.headers

    resource = request.resource_metrics().resource
    attributes = {a.key: a.value.string_value or a.value.int_value for a in resource.attributes}
    assert attributes == {"service.name": "mailgauge", "service.version": "1.2.3-test", "host.name": "mx1",
                          "service.instance.id": os.uname().nodename, "process.pid": one.process.pid,
                          "deployment.environment.name": "test"}
    scope = request.resource_metrics().scope_metrics[0].scope
    assert (scope.name, scope.version) == ("mailgauge", "1.2.3-test")

    metrics = {metric.name: metric for metric in request.metrics()}
    success = metrics["mail.auth.success"]
    assert (success.unit, success.description) == ("{event}", "Set by a test.")
    assert success.sum.is_monotonic
    assert success.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    assert [(p.as_int, p.attributes[0].value.string_value) for p in success.sum.data_points] == [
        (2**63 - 1, "dovecot"), (3, "postfix")]  # OTLP's integers end there
    now = time.time_ns()
    for point in success.sum.data_points:
        assert now - 60e9 < point.start_time_unix_nano < point.time_unix_nano <= now
    assert metrics["mail.queue.count"].gauge.data_points[0].as_double == -2.5
    assert "mailgauge.push.exports" in metrics


def test_histograms(exporter, peer):
    """By OpenTelemetry's own definitions: buckets that are not cumulative, a sum even where it is 0, no min and max."""
    one = exporter(endpoint=peer.url)
    one.histogram("delivery.attempt-time", [0.005, 0.1, 1], [3, 0, 2**63, 4], 1234.0625, server="postfix")
    one.histogram("delivery.attempt-time", [0.005, 0.1, 1], [0, 0, 0, 0], 0.0, server="dovecot", protocol="lmtp")
    one.histogram("message.size", [1000000], [7, 2], 5e9, unit="By")
    one.start()
    metrics = {metric.name: metric for metric in peer.wait(1)[0].metrics()}
    times, sizes = metrics["mail.delivery.attempt-time"], metrics["mail.message.size"]
    assert (times.unit, sizes.unit, times.description) == ("s", "By", "Set by a test.")
    assert times.histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE

    def plain(point):
        assert point.HasField("sum") and not point.HasField("min") and not point.HasField("max")
        return ({a.key: a.value.string_value for a in point.attributes}, list(point.explicit_bounds),
                list(point.bucket_counts), point.sum, point.count)

    bounds = [0.005, 0.1, 1]
    assert [plain(point) for point in times.histogram.data_points] == [
        ({"protocol": "lmtp", "server": "dovecot"}, bounds, [0, 0, 0, 0], 0, 0),
        ({"server": "postfix"}, bounds, [3, 0, 2**63, 4], 1234.0625, 2**63 + 7)]
    assert [plain(point) for point in sizes.histogram.data_points] == [({}, [1000000], [7, 2], 5e9, 9)]
    now = time.time_ns()
    for point in [*times.histogram.data_points, *sizes.histogram.data_points]:
        assert now - 60e9 < point.start_time_unix_nano < point.time_unix_nano <= now
        assert not point.exemplars and not point.flags


def test_gauges(exporter, peer):
    one = exporter(endpoint=peer.url)
    one.gauge("smtp.active-connections", 12, "{connection}", server="postfix")
    one.start()
    metric = next(m for m in peer.wait(1)[0].metrics() if m.name == "mail.smtp.active-connections")
    assert metric.WhichOneof("data") == "gauge" and metric.unit == "{connection}"
    assert [(p.as_double, p.start_time_unix_nano) for p in metric.gauge.data_points] == [(12, 0)]


def test_start_time_stays_and_numbers_go_on(exporter, peer):
    one = make(exporter, peer, interval_ms=200)
    one.start()
    peer.wait(1)
    one.counter("auth.success", 8, server="postfix")
    wait_for(lambda: peer.requests[-1].counter() == 8)
    first, last = peer.requests[0], peer.requests[-1]
    assert first.counter() == 3

    def times(request):
        metric = next(m for m in request.metrics() if m.name == "mail.auth.success")
        return metric.sum.data_points[0].start_time_unix_nano, metric.sum.data_points[0].time_unix_nano

    assert times(first)[0] == times(last)[0]
    assert times(first)[1] < times(last)[1]


def test_empty_prefix_gives_bare_names(exporter, peer):
    make(exporter, peer, prefix="").start()
    names = [metric.name for metric in peer.wait(1)[0].metrics()]
    assert "auth.success" in names and "mailgauge.push.exports" in names


def test_interval_is_from_start_to_start(exporter, peer):
    """An answer that takes most of the interval does not delay the next export."""
    peer.answers = [Answer(delay=0.3)]
    make(exporter, peer, interval_ms=400).start()
    times = [request.time for request in peer.wait(6)]
    assert times[5] - times[0] == pytest.approx(5 * 0.4, abs=0.3)


@pytest.mark.parametrize("code", LATER)
def test_later_is_retried_with_the_newest_numbers(exporter, peer, code):
    peer.answers = [Answer(code, status(b"busy")), Answer(code, b"<html>"), Answer()]
    one = make(exporter, peer).start()
    peer.wait(1)
    one.counter("auth.success", 9, server="postfix")
    assert [request.counter() for request in peer.wait(3)] == [3, 9, 9]
    stats = wait_for(lambda: (s := one.stats())["success"] and s)
    assert stats == {"success": 1, "partial": 0, "rejected": 0, "failed": 0, "attempts": 3, "points": 0}
    assert one.messages() == ""  # the export succeeded


@pytest.mark.parametrize("header, at_least", [("2", 1.9), (lambda: email.utils.formatdate(time.time() + 3, usegmt=True), 1.5)])
def test_retry_after(exporter, peer, header, at_least):
    peer.answers = [Answer(503, headers={"Retry-After": header}), Answer()]
    make(exporter, peer).start()
    first, second = peer.wait(2)
    assert at_least < second.time - first.time < at_least + 5


@pytest.mark.parametrize("header", ["3600", "99999999999999999999", "-5", "soon", ""])
def test_retry_after_never_passes_the_next_export(exporter, peer, header):
    peer.answers = [Answer(503, headers={"Retry-After": header}), Answer()]
    one = make(exporter, peer, interval_ms=1000).start()
    first, second = peer.wait(2)[:2]
    assert second.time - first.time < 5
    wait_for(lambda: one.stats()["success"])


@pytest.mark.parametrize("code", [300, 301, 304, 400, 401, 403, 404, 408, 413, 500, 501, 505, 599])
def test_other_statuses_are_not_retried(exporter, peer, code):
    elsewhere = f"http://127.0.0.1:{peer.port}/elsewhere"
    peer.answers = [Answer(code, b"" if code == 304 else status(b"do\nnot"), {"Location": elsewhere})]
    one = make(exporter, peer).start()
    wait_for(lambda: one.stats()["rejected"] == 1)
    time.sleep(0.8)  # longer than the first backoff
    assert [request.path for request in peer.requests] == ["/v1/metrics"]
    message = f"HTTP status {code}" + ("" if code == 304 else ": do\\x0anot")
    assert one.messages() == f"warning: push to {peer.url}: {message}; it is tried again every interval\n"


@pytest.mark.parametrize("body", [b"", partial(0, "")])
def test_full_success(exporter, peer, body):
    peer.answers = [Answer(200, body)]
    one = make(exporter, peer).start()
    stats = wait_for(lambda: (s := one.stats())["success"] and s)
    assert stats["attempts"] == 1
    assert one.messages() == ""


def test_partial_success_is_counted_and_not_retried(exporter, peer):
    peer.answers = [Answer(200, partial(2, "too old"))]
    one = make(exporter, peer, interval_ms=300).start()
    stats = wait_for(lambda: (s := one.stats())["partial"] >= 3 and s)
    assert stats["success"] == stats["failed"] == stats["rejected"] == 0
    assert stats["attempts"] == stats["partial"] and stats["points"] == 2 * stats["partial"]
    assert one.messages() == f"warning: push to {peer.url}: 2 data points were rejected: too old\n"


def test_success_with_a_warning(exporter, peer):
    peer.answers = [Answer(200, partial(0, "deprecated"))]
    one = make(exporter, peer, interval_ms=200).start()
    wait_for(lambda: one.stats()["success"] >= 3)
    assert one.messages() == f"warning: push to {peer.url}: accepted with a warning: deprecated\n"


@pytest.mark.parametrize("body", [
    pytest.param(b"<html>hello</html>", id="html"),
    pytest.param(b"\x0a\xff\xff\xff\xff\x0f", id="endless"),
    pytest.param(random.Random(1).randbytes(100_000), id="random"),
    pytest.param(b"\x00" * 1000, id="zeros"),
    pytest.param(b"\x0a\x02\x08", id="cut"),
])
def test_nonsense_in_a_success(exporter, peer, body):
    peer.answers = [Answer(200, body)]
    one = make(exporter, peer).start()
    wait_for(lambda: one.stats()["success"] == 1)
    assert one.messages() == f"warning: push to {peer.url}: accepted, but the reply is none of OTLP's\n"


def test_reply_of_any_size_is_cut(exporter, peer):
    peer.answers = [Answer(200, b"\x00" * (5 << 20))]
    one = make(exporter, peer).start()
    stats = wait_for(lambda: (s := one.stats())["failed"] and s)
    assert stats["attempts"] == 1
    assert "the reply is larger than 4194304 bytes" in one.messages()


def raw_peer(reply):
    """A listener that gives everyone these bytes and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                one = listener.accept()[0]
            except OSError:
                return
            with one:
                one.recv(65536)
                one.sendall(reply)

    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize("reply", [
    pytest.param(b"", id="nothing"),
    pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", id="short"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="chunks"),
    pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, id="headers"),
    pytest.param(b"\x15\x03\x01\x00\x02\x02\x46", id="tls"),
    pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
])
def test_peer_that_speaks_no_http(exporter, reply):
    with raw_peer(reply) as listener:
        one = exporter(endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}/", interval_ms=500)
        one.counter("auth.success", 1)
        one.start()
        stats = wait_for(lambda: (s := one.stats())["failed"] >= 2 and s)
        assert stats["success"] == stats["rejected"] == 0
        assert len(one.messages().splitlines()) == 1


def test_peer_that_comes_and_goes(exporter):
    peer = Peer()
    one = make(exporter, peer, interval_ms=300).start()
    wait_for(lambda: one.stats()["failed"] >= 2)
    peer.start()
    peer.wait(2)
    wait_for(lambda: one.stats()["success"] >= 2)
    peer.stop()
    failed = one.stats()["failed"]
    wait_for(lambda: one.stats()["failed"] >= failed + 2)
    lines = one.messages().splitlines()
    assert len(lines) == 3, lines  # said once per change
    assert lines[0].startswith(f"warning: push to {peer.url}: ") and lines[0].endswith("; it is tried again every interval")
    assert lines[1] == f"push to {peer.url} works again"
    assert lines[2] == lines[0]


def test_connection_that_breaks_is_retried(exporter, peer):
    peer.answers = [Answer(close=True), Answer()]
    one = make(exporter, peer).start()
    peer.wait(2)
    stats = wait_for(lambda: (s := one.stats())["success"] and s)
    assert stats["attempts"] == 2 and stats["failed"] == 0


def test_peer_that_hangs(exporter, peer):
    peer.answers = [Answer(delay=60), Answer()]
    one = make(exporter, peer, timeout_ms=300).start()
    first, second = peer.wait(2)
    assert 0.3 <= second.time - first.time < 5
    wait_for(lambda: one.stats()["success"])


def test_peer_that_always_hangs_never_delays_the_next_export(exporter, peer):
    peer.answers = [Answer(delay=60)]
    one = make(exporter, peer, interval_ms=500, timeout_ms=10000).start()
    times = [request.time for request in peer.wait(5)]
    assert times[4] - times[0] == pytest.approx(2.0, abs=1.5)
    assert one.stats()["success"] == 0


def test_last_push_has_the_newest_numbers(exporter, peer):
    one = make(exporter, peer).start()
    peer.wait(1)
    one.counter("auth.success", 77, server="postfix")
    assert one.stop() < 5
    assert [request.counter() for request in peer.requests] == [3, 77]


@pytest.mark.parametrize("answer", [Answer(delay=60), Answer(503, headers={"Retry-After": "60"}), Answer(close=True)])
def test_stop_waits_no_longer_than_the_timeout(exporter, peer, answer):
    """Whatever is under way, be it an attempt or a pause, gives way to one last attempt."""
    peer.answers = [answer]
    one = make(exporter, peer, timeout_ms=700).start()
    peer.wait(1)
    one.counter("auth.success", 78, server="postfix")
    assert one.stop() < 5
    assert peer.requests[-1].counter() == 78


def test_stop_without_peer(exporter):
    one = make(exporter, Peer(), timeout_ms=700).start()
    assert one.stop() < 5


def test_numbers_that_cannot_be_had(exporter, peer):
    one = exporter(endpoint=peer.url, interval_ms=100)
    one.say("fail 1")
    one.start()
    wait_for(lambda: one.stats()["failed"] >= 2)
    assert not peer.requests
    one.counter("auth.success", 5, server="postfix")
    one.say("fail 0")
    assert peer.wait(1)[0].counter() == 5
    assert one.messages().splitlines()[0].endswith("cannot collect: Input/output error; it is tried again every interval")


def test_secrets_of_the_url_are_not_logged(exporter):
    peer = Peer()
    one = exporter(endpoint=f"http://me:hush@127.0.0.1:{peer.port}/v1?key=hush#hush", interval_ms=200)
    one.counter("auth.success", 1)
    one.start()
    wait_for(lambda: one.stats()["failed"] >= 1)
    assert f"push to http://127.0.0.1:{peer.port}/v1: " in one.messages()
    assert "hush" not in one.messages()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://127.0.0.1:70/", "ftp://127.0.0.1/x"])
def test_only_http_is_spoken(exporter, url):
    """The configuration refuses such a URL; should one come through all the same, nothing is fetched."""
    one = exporter(endpoint=url, interval_ms=200)
    one.counter("auth.success", 1)
    assert one.say("start") == "" or one.stats()["success"] == 0
    one.process.stdin.close()
    assert one.process.wait(20) in (0, 1)
    one.process.stdout.close()


def test_untrusted_certificate(exporter, tmp_path):
    pem = tmp_path / "peer.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem, "-out", tmp_path / "crt.pem"],
                   check=True, capture_output=True)
    pem.write_text(pem.read_text() + (tmp_path / "crt.pem").read_text())
    with Peer(tls=pem) as peer:
        one = make(exporter, peer, interval_ms=60000).start()
        stats = wait_for(lambda: (s := one.stats())["failed"] and s)
        assert stats["attempts"] == 1  # only a human can mend it
        assert not peer.requests
        assert "certificate" in one.messages()
