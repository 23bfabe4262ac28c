# SPDX-License-Identifier: Apache-2.0
"""A receiver of OTLP/HTTP pushes that remembers every data point."""
import gzip
import http.server
import threading

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportMetricsServiceRequest.FromString(body)
        self.server.requests.append(request)
        answer = ExportMetricsServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class OtlpSink:
    """with OtlpSink() as sink: pushes go to sink.endpoint."""

    def __enter__(self):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
        self._server.requests = []
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/v1/metrics"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def pushes(self):
        return len(self._server.requests)

    def latest(self):
        """{(metric, server): value} of the last push's sums, over all other attributes."""
        total = {}
        for resource in self._server.requests[-1].resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.sum.data_points:
                        attributes = {a.key: a.value.string_value for a in point.attributes}
                        key = metric.name, attributes.get("server")
                        total[key] = total.get(key, 0) + point.as_int
        return total
