# SPDX-License-Identifier: Apache-2.0
"""Pull and push as real receivers see them: the same series, under the same names, with the same numbers.

Debian's Prometheus scrapes, but is built without its OTLP receiver; Debian's VictoriaMetrics receives OTLP and can
give the names that Prometheus gives. If PROMETHEUS names a Prometheus 3, it receives OTLP in addition."""
import json
import os
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from fake import Exporter, wait_for

# Each way in which Prometheus' translation of OTLP names treats a name.
SERIES = [
    ("counter", "auth.success", "{event}", {"server": "postfix"}),
    ("counter", "auth.success", "{event}", {"server": "dovecot", "protocol": "imap"}),
    ("counter", "queue.queue-message-authenticated", "{event}", {"server": "postfix"}),
    ("counter", "smtp.dkim-pass", "{event}", {}),
    ("counter", "x.total.y", "{event}", {}),
    ("counter", "message.volume", "By", {}),
    ("counter", "bytes.read", "By", {}),
    ("counter", "busy.time", "s", {}),
    ("counter", "plain", "1", {}),
    ("counter", "odd.unit", "furlong", {}),
    ("gauge", "queue.count", "{message}", {"k8s.pod.name": "mail-0", "0digit": "x"}),
    ("gauge", "queue.full", "1", {}),
    ("gauge", "x.total", "s", {}),
]
# The same, with bounds that each receiver writes in its own way.
HISTOGRAMS = [
    ("delivery.attempt-time", "s", {"server": "postfix"}, [0.005, 0.1, 1, 10], [0, 10, 80, 10, 0], 75.5),
    ("delivery.attempt-time", "s", {"server": "dovecot", "protocol": "lmtp"}, [0.005, 0.1, 1, 10], [0] * 5, 0.0),
    ("delivery.total-time", "s", {}, [1, 604800], [1, 2, 3], 2e6),
    ("message.size", "By", {"server": "postfix"}, [500, 1000000, 2.5e8], [1, 6, 2, 1], 1e9 + 0.5),
    ("message.bytes", "By", {}, [0.00001, 1], [2, 1, 0], 0.75),
    ("queue.recipients", "{recipient}", {}, [1, 2, 5], [8, 1, 0, 1], 20.0),
    ("share", "1", {}, [0.5], [4, 5], 6.5),
]
HISTOGRAM_NAMES = ("mail_delivery_attempt_time_seconds", "mail_delivery_total_time_seconds", "mail_message_size_bytes",
                   "mail_message_bytes", "mail_queue_recipients", "mail_share")
# What receivers add to tell who sent it.
SENDER = {"__name__", "job", "instance", "service_name", "service_version", "service_instance_id", "host_name",
          "process_pid", "otel_scope_name", "otel_scope_version", "scope_name", "scope_version"}


class Receiver:
    """One process with an HTTP interface of its own, which answers PromQL."""

    def __init__(self, directory, make_command):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.log = open(directory / "receiver.log", "wb")
        self.process = subprocess.Popen(make_command(f"127.0.0.1:{self.port}"), stdout=self.log, stderr=self.log)
        try:
            wait_for(self._is_ready, 60, "readiness of the receiver")
        except BaseException:
            self.close()
            raise

    def get(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.read()

    def _is_ready(self):
        assert self.process.poll() is None, "the receiver has ended"
        try:
            return self.get("/-/ready")
        except (urllib.error.URLError, ConnectionError):
            return False

    def query(self, text):
        reply = json.loads(self.get("/api/v1/query", query=text, nocache=1))
        assert reply["status"] == "success"
        return reply["data"]["result"]

    def series(self, label, value, of_histograms=False):
        """{(name, labels but those of the sender): value} of the events there, either the histograms or the others"""
        names = "|".join(f"{name}_(bucket|sum|count)" for name in HISTOGRAM_NAMES)
        found = self.query(f'{{{label}="{value}",__name__=~"mail_.*",__name__{"=~" if of_histograms else "!~"}"{names}"}}')
        return {(one["metric"]["__name__"], tuple(sorted((k, v) for k, v in one["metric"].items() if k not in SENDER))):
                float(one["value"][1]) for one in found}

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def configuration(directory, targets):
    (directory / "prometheus.yml").write_text(json.dumps({  # JSON is YAML
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "pull", "static_configs": [{"targets": targets}]}],
    }))


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    one = Exporter(tmp_path_factory.mktemp("web") / "log", listen="127.0.0.1:1").start()
    yield one
    one.close()


@pytest.fixture(scope="module")
def prometheus(trixie, tmp_path_factory, web):
    """Debian's Prometheus, which scrapes `web`."""
    directory = tmp_path_factory.mktemp("prometheus")
    configuration(directory, [f"127.0.0.1:{web.port}"])
    one = Receiver(directory, lambda address: trixie.command(
        directory, "prometheus", "--config.file=/shared/prometheus.yml", "--storage.tsdb.path=/tmp/data",
        f"--web.listen-address={address}", "--log.level=warn"))
    yield one
    one.close()


def victoria_metrics(trixie, directory):
    one = Receiver(directory, lambda address: trixie.command(
        directory, "victoria-metrics", f"-httpListenAddr={address}", "-storageDataPath=/tmp/data",
        "-opentelemetry.usePrometheusNaming", "-search.latencyOffset=0s", "-search.disableCache"))
    one.sender_label = "service_name"
    one.otlp_path = "/opentelemetry/v1/metrics"
    return one


def prometheus_3(_trixie, directory):
    configuration(directory, [])
    one = Receiver(directory, lambda address: [
        os.environ["PROMETHEUS"], f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={address}", "--web.enable-otlp-receiver", "--log.level=warn"])
    one.sender_label = "job"
    one.otlp_path = "/api/v1/otlp/v1/metrics"
    return one


RECEIVERS = [victoria_metrics, *([prometheus_3] if "PROMETHEUS" in os.environ else [])]


@pytest.fixture(scope="module", params=RECEIVERS, ids=lambda make: make.__name__)
def receiver(request, trixie, tmp_path_factory):
    one = request.param(trixie, tmp_path_factory.mktemp("receiver"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def push(receiver, tmp_path_factory):
    one = Exporter(tmp_path_factory.mktemp("push") / "log", interval_ms=500,
                   endpoint=f"http://127.0.0.1:{receiver.port}{receiver.otlp_path}").start()
    yield one
    one.close()


def set_all(exporters, offset):
    for one in exporters:
        for i, (kind, name, unit, labels) in enumerate(SERIES):
            getattr(one, kind)(name, i + offset, unit=unit, **labels)


@pytest.mark.parametrize("offset", [1, 1001])
def test_pull_and_push_give_the_same_series(prometheus, web, receiver, push, offset):
    set_all((web, push), offset)
    wanted = set(range(offset, offset + len(SERIES)))

    def with_all_numbers(series):
        return series if set(series.values()) == wanted else None

    pulled = wait_for(lambda: with_all_numbers(prometheus.series("job", "pull")), 30, "numbers by pull")
    pushed = wait_for(lambda: with_all_numbers(receiver.series(receiver.sender_label, "mailgauge")), 30,
                      "numbers by push")
    assert pulled == pushed
    assert pulled["mail_auth_success_total", (("server", "postfix"),)] == offset
    assert pulled["mail_auth_success_total", (("protocol", "imap"), ("server", "dovecot"))] == offset + 1
    assert pulled["mail_queue_count", (("k8s_pod_name", "mail-0"), ("key_0digit", "x"))] == offset + 10


def set_histograms(exporters, factor):
    for one in exporters:
        for name, unit, labels, bounds, counts, total in HISTOGRAMS:
            one.histogram(name, bounds, [factor * count for count in counts], factor * total, unit=unit, **labels)


def by_bound(series):
    """The same series with bounds as numbers: Prometheus 3 writes "1.0" for "1". None comes twice."""
    same = {(name, tuple((k, float(v) if k == "le" else v) for k, v in labels)): value
            for (name, labels), value in series.items()}
    assert len(same) == len(series)
    return same


def wanted_histograms(factor):
    wanted = {}
    for name, unit, labels, bounds, counts, total in HISTOGRAMS:
        name = "mail_" + name.replace(".", "_").replace("-", "_")
        name += {"s": "_seconds", "By": "_bytes"}.get(unit, "") if not name.endswith("_bytes") else ""
        for number, bound in enumerate([*bounds, float("inf")]):
            key = tuple(sorted({**labels, "le": bound}.items()))
            wanted[f"{name}_bucket", key] = factor * sum(counts[:number + 1])
        wanted[f"{name}_sum", tuple(sorted(labels.items()))] = factor * total
        wanted[f"{name}_count", tuple(sorted(labels.items()))] = factor * sum(counts)
    return wanted


@pytest.mark.parametrize("factor", [1, 3])
def test_pull_and_push_give_the_same_histograms(prometheus, web, receiver, push, factor):
    """Every bucket, sum and count is what was set, whichever way it came."""
    set_histograms((web, push), factor)
    wanted = wanted_histograms(factor)
    wait_for(lambda: by_bound(prometheus.series("job", "pull", True)) == wanted, 30, "histograms by pull")
    wait_for(lambda: by_bound(receiver.series(receiver.sender_label, "mailgauge", True)) == wanted, 30,
             "histograms by push")


@pytest.mark.parametrize("quantile, seconds", [(0.5, 0.1 + 0.9 * 40 / 80), (0.9, 1.0), (0.99, 1 + 9 * 9 / 10)])
def test_quantiles(prometheus, web, receiver, push, quantile, seconds):
    set_histograms((web, push), 1)
    for one, sender in ((prometheus, 'job="pull"'), (receiver, f'{receiver.sender_label}="mailgauge"')):
        selected = f'mail_delivery_attempt_time_seconds_bucket{{{sender},server="postfix"}}'

        def answer():
            found = one.query(f"histogram_quantile({quantile}, sum by (le) ({selected}))")
            return found and float(found[0]["value"][1]) == pytest.approx(seconds, rel=1e-12)

        wait_for(answer, 30, f"quantile {quantile}")


def test_mean(prometheus, web):
    """As docs/METRICS.md says."""
    set_histograms((web,), 1)
    wait_for(lambda: (found := prometheus.query(
        'mail_delivery_attempt_time_seconds_sum{server="postfix"} / mail_delivery_attempt_time_seconds_count'))
        and float(found[0]["value"][1]) == 0.755, 30, "the mean")


def test_push_without_complaint(receiver, push):
    stats = wait_for(lambda: (s := push.stats())["success"] >= 2 and s)
    assert stats["partial"] == stats["rejected"] == stats["failed"] == 0
    assert push.messages() == ""


def test_types_and_help_are_known(prometheus, web):
    set_all((web,), 1)
    set_histograms((web,), 1)
    metadata = wait_for(lambda: (m := json.loads(prometheus.get("/api/v1/metadata"))["data"]) and
                        "mail_plain_total" in m and "mail_message_size_bytes" in m and m, 30)
    assert metadata["mail_plain_total"][0] == {"type": "counter", "help": "Set by a test.", "unit": ""}
    assert metadata["mail_queue_count"][0]["type"] == "gauge"
    for name in HISTOGRAM_NAMES:
        assert metadata[name] == [{"type": "histogram", "help": "Set by a test.", "unit": ""}]
        assert not {f"{name}_{suffix}" for suffix in ("bucket", "sum", "count")} & set(metadata)


@pytest.mark.parametrize("naming, complaints", [
    ("prometheus", ""),
    # Stalwart's names are not Prometheus' style, which is what the linter says and nothing else.
    ("bare", 'auth_success counter metrics should have "_total" suffix\n'),
])
def test_promtool(trixie, exporter, tmp_path, naming, complaints):
    one = exporter(listen="127.0.0.1:1", naming=naming)
    one.counter("auth.success", 3, server="a\\b\"c")
    one.gauge("smtp.active-connections", -1, "{connection}")
    one.histogram("delivery.attempt-time", [0.005, 1], [1, 0, 2], 4.5, server="a\\b\"c")
    one.histogram("message.size", [500, 1000000], [0, 0, 0], 0.0, unit="By")
    done = trixie.run(tmp_path, "promtool", "check", "metrics", input=one.start().scrape(), text=True,
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.stdout == complaints
    assert done.returncode == (3 if complaints else 0)
