# SPDX-License-Identifier: Apache-2.0
"""Figures that are written down: the largest number of series, and what a message costs."""
import re
import time

import pytest

from beds import postfix
from beds.bed import REPO
from watch import settles

pytestmark = pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only")


def check_largest_number_of_series(collector, title):
    """As the README says it; nothing that clients do makes more."""
    said = re.search(rf"At most [^.]*?(\d+) for {title}\b", (REPO / "README.md").read_text())
    assert sum(series["count"] for series in collector.plan()["series"]) <= int(said[1])


@pytest.mark.parametrize("title", ["Postfix", "Dovecot"])
def test_largest_number_of_series(watched, title):
    check_largest_number_of_series(watched.collectors[title.lower()], title)


def test_hits_of_a_message(watched):
    collector, bed = watched.collectors["postfix"], watched.bed
    cost, = (cost["hits"] for cost in collector.plan()["costs"] if "smtpd" in cost["for"])

    def hits():
        return sum(value for name, _, value in collector.samples() if name == "mailgauge_probe_hits_total")

    def message():
        with bed.smtp(source="127.0.0.1") as c:
            c.ehlo()
            c.message("someone@sink.test")
            c.quit()
        postfix.wait_idle(bed)

    message()
    before = None
    while before != (before := hits()):
        time.sleep(0.3)
    for _ in range(10):
        message()
    settles(lambda: hits() - before, 10 * cost)
