# SPDX-License-Identifier: Apache-2.0
"""The fake exporter as a Python object, and small helpers for talking to it."""
import http.client
import json
import os
import pathlib
import subprocess
import time

BINARY = pathlib.Path(os.environ.get("FAKE_EXPORTER", "build/exporters/fake-exporter"))
IS_SANITIZED = b"__asan_init" in BINARY.read_bytes()


def wait_for(condition, timeout=60.0, what="condition"):
    """Poll until the condition holds, and return its value."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come true within {timeout} s"
        time.sleep(0.01)
    return value


class Exporter:
    """One process. Numbers are set by counter(), gauge() and histogram(), before or after start()."""

    def __init__(self, log, env=None, **options):
        arguments = [f"{key}={item}" for key, value in options.items()
                     for item in (value if isinstance(value, list) else [value])]
        self.log = log
        self.port = None
        with open(log, "wb") as stderr:
            self.process = subprocess.Popen([BINARY, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=stderr, text=True, bufsize=1, env={**os.environ, **(env or {})})

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def counter(self, name, value, unit="{event}", **labels):
        self._set("counter", name, unit, value, labels)

    def gauge(self, name, value, unit="1", **labels):
        self._set("gauge", name, unit, value, labels)

    def histogram(self, name, bounds, counts, total, unit="s", **labels):
        """`counts` are those of each bucket alone, the last one of what is above all bounds; `total` is their sum."""
        value = ":".join((",".join(map(repr, bounds)), ",".join(map(str, counts)), repr(total)))
        self._set("histogram", name, unit, value, labels)

    def _set(self, kind, name, unit, value, labels):
        pairs = "".join(f" {key}={text}" for key, text in labels.items())
        assert self.say(f"{kind} {name} {unit} {value}{pairs}") == "ok"

    def start(self):
        answer = self.say("start")
        assert answer.startswith("port "), self.messages()
        self.port = int(answer.split()[1])
        return self

    def stats(self):
        return json.loads(self.say("stats"))

    def stop(self):
        """Stop both exporters; returns the seconds it took."""
        return int(self.say("stop")) / 1000

    def messages(self):
        return pathlib.Path(self.log).read_text()

    def close(self):
        """End the process; a crash, a leak or a sanitizer's finding gives another status than 0."""
        self.process.stdin.close()
        assert self.process.wait(30) == 0, self.messages()
        self.process.stdout.close()

    def resident_bytes(self):
        pages = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def request(self, method="GET", path="/metrics", headers=None, body=None, host="127.0.0.1"):
        connection = http.client.HTTPConnection(host, self.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            reply = connection.getresponse()
            reply.body = reply.read()
            return reply
        finally:
            connection.close()

    def scrape(self):
        reply = self.request()
        assert reply.status == 200
        return reply.body.decode()
