# SPDX-License-Identifier: Apache-2.0
"""Events that can be counted in two ways: at the call with a constant text, and in the library function behind it.
Both run side by side on the same traffic and must agree; the second way serves builds where the first finds nothing."""
import re

import pytest

from beds import postfix
from beds.bed import REPO
from collector import Collector, metric
from test_collector import count, logins, settles

pytestmark = pytest.mark.skipif("config.getoption('--log-only')", reason="--log-only")

EVENTS = ["auth.success", "auth.failed", "smtp.connection-start"]


def library_forms(directory):
    """A catalog whose rows `instead-of` EVENTS stand alone, the rows that they replace being left out."""
    head, *rows = (REPO / "src/catalog/postfix.toml").read_text().split("[[probe]]\n")
    names = "|".join(re.escape(event) for event in EVENTS)
    kept = [re.sub(rf'^instead-of = "({names})"\n', "", row, flags=re.MULTILINE) for row in rows
            if not re.search(rf'^id = "({names})"$', row, re.MULTILINE)]
    assert len(kept) == len(rows) - len(EVENTS)
    directory.mkdir()
    (directory / "postfix.toml").write_text("[[probe]]\n".join([head, *kept]))
    return directory


def test_both_ways_agree(bed, tmp_path):
    pid = postfix.master_pid(bed)
    by_call, by_function = Collector(tmp_path, pid), Collector(tmp_path, pid)
    by_function.arguments += ["--catalog-dir", str(library_forms(tmp_path / "catalog"))]
    with by_call, by_function:
        files = {name: {point["file"].rpartition("/")[2] for point in which.plan()["points"] if {*EVENTS} & {*point["events"]}}
                 for name, which in (("call", by_call), ("function", by_function))}
        assert files == {"call": {"smtpd"}, "function": {"libpostfix-global.so", "libpostfix-util.so"}}
        logins(bed, right=7, wrong=5, aborted=2, unknown_commands=3)
        want = {"auth.success": 7, "auth.failed": 5, "smtp.connection-start": 17}
        settles(by_call, want)
        settles(by_function, want)
        assert count(by_call, "auth.error") == count(by_function, "auth.error") == 2
        assert metric("auth.error") in by_function.counts("postfix")
