# SPDX-License-Identifier: Apache-2.0
"""Postfix compiled without shared libraries, and stripped: what the plan says is counted is counted exactly, and what
it cannot count is known."""
import dataclasses

import pytest

import watch
from beds import postfix
from beds.bed import SUITES
from beds.postfix_static import StaticPostfixBed
from collector import Collector
from conftest import warm_up
from postfix_steps import STEPS

# (event, program, whether other programs count it), with a part of the reason.
_BOTH = {("tls.handshake", "tlsproxy", True): "the file has no function tls_server_post_accept"}
MISSING = {"bookworm": _BOTH, "trixie": _BOTH}


@pytest.fixture(scope="module", params=SUITES, ids=[f"{suite}-static" for suite in SUITES])
def bed(request):
    with StaticPostfixBed(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def watched(bed, request, tmp_path_factory):
    warm_up(bed)
    if request.config.getoption("--log-only"):
        yield watch.Watch(bed, {})
        return
    with Collector(tmp_path_factory.mktemp("collector"), pid=postfix.master_pid(bed)) as collector:
        yield watch.Watch(bed, {"postfix": collector})


@pytest.fixture(scope="module")
def plan(watched):
    return watched.collectors["postfix"].plan() if watched.collectors else {"points": [], "missing": []}


def test_missing(bed, plan):
    if not plan["points"]:
        pytest.skip("--log-only")
    known = MISSING[bed.suite]
    found = {(miss["event"], miss["file"].rpartition("/")[2], miss["partial"]): miss["reason"] for miss in plan["missing"]}
    assert {*found} == {*known}, found
    assert all(known[miss] in reason for miss, reason in found.items())
    told = {event for point in plan["points"] for event in point["events"]} | {event for event, _, _ in found}
    assert {event for step in STEPS for event in step.events if ":" not in event} - told == set()


def test_step(watched, plan, step):
    lost = {miss["event"] for miss in plan["missing"] if not miss["partial"]}
    kept = {event: number for event, number in step.events.items() if event not in lost}
    watched.check(dataclasses.replace(step, events=kept, log={**step.events, **step.log}), "postfix")
