# SPDX-License-Identifier: Apache-2.0
"""An OTLP peer that behaves as a test wants: up, down, slow, hanging, refusing, talking nonsense."""
import http.server
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from fake import wait_for


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    delay: float = 0
    close: bool = False  # break the connection instead of answering


@dataclass
class Request:
    time: float
    path: str
    headers: dict
    body: bytes

    def points(self):
        """{(metric, sorted labels): number}"""
        return {(metric.name, tuple((a.key, a.value.string_value) for a in point.attributes)):
                point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
                for metric in self.metrics()
                for point in (metric.sum.data_points or metric.gauge.data_points)}

    def metrics(self):
        return self.resource_metrics().scope_metrics[0].metrics

    def resource_metrics(self):
        message = ExportMetricsServiceRequest.FromString(self.body)
        assert len(message.resource_metrics) == 1 and len(message.resource_metrics[0].scope_metrics) == 1
        return message.resource_metrics[0]

    def counter(self):
        return self.points()["mail.auth.success", (("server", "postfix"),)]


class Peer:
    """`answers` are given in turn, the last one for ever."""

    def __init__(self, tls=None):
        self.answers = [Answer()]
        self.requests = []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.tls = tls
        self.server = None
        self.port = self._free_port()

    @staticmethod
    def _free_port():
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return one.getsockname()[1]

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1/metrics"

    def start(self):
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.close_connection = peer.ended.is_set()
                if self.close_connection:
                    return  # a kept connection of a peer that has gone
                with peer.lock:
                    number = len(peer.requests)
                    peer.requests.append(Request(time.monotonic(), self.path, dict(self.headers), body))
                answer = peer.answers[min(number, len(peer.answers) - 1)]
                peer.ended.wait(answer.delay)
                self.close_connection = answer.close
                if answer.close or (answer.delay and peer.ended.is_set()):
                    return
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value() if callable(value) else value)
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                except OSError:
                    self.close_connection = True  # the client has gone, as some tests want

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.ended.set()
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def wait(self, count, timeout=60.0):
        """At least so many requests have come."""
        wait_for(lambda: len(self.requests) >= count, timeout, f"request {count}")
        return self.requests

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
