# SPDX-License-Identifier: Apache-2.0
"""Postfix compiled without shared libraries, and stripped: what the plan says is counted is counted exactly, and what
it cannot count is known."""
import dataclasses

import pytest

from beds.bed import SUITES
from beds.postfix_static import StaticPostfixBed
from conftest import postfix_watched, warm_up
from postfix_steps import STEPS
from test_postfix_metrics import test_connections, test_delays, test_labels, test_load, test_queue, test_sizes  # noqa: F401

# (event, program, whether other programs or places count it), with a part of the reason. What is told by the result of a
# library's function, or of a function that no text leads to, has no place of its own in such a build.
_NO_LIBRARY = "no running process has it, nor is it on disk"
_BOTH = {
    ("tls.handshake", "tlsproxy", True): "the file has no function tls_server_post_accept",
    ("tls.handshake-time", "libpostfix-tls.so*", False): _NO_LIBRARY,
    ("delivery.start-tls", "libpostfix-tls.so*", True): _NO_LIBRARY,  # in tlsproxy, for smtp_tls_connection_reuse
    ("delivery.start-tls-error", "libpostfix-tls.so*", True): _NO_LIBRARY,
    ("delivery.implicit-tls-error", "libpostfix-tls.so*", True): _NO_LIBRARY,
    ("delivery.start-tls-time", "libpostfix-tls.so*", False): _NO_LIBRARY,
    ("delivery.active-connections", "libpostfix-global.so*", False): _NO_LIBRARY,
    ("delivery.attempt-time", "libpostfix-global.so*", False): _NO_LIBRARY,
    ("delivery.connect", "smtp", False): "the file neither imports nor has the function vstream_fdopen",
    ("delivery.auth-failed", "smtp", False): "the file neither imports nor has the function dsb_update",
    ("delivery.mx-lookup", "smtp", False): "the file neither imports nor has the function dns_lookup_x",
    ("delivery.mx-lookup-failed", "smtp", False): "the file neither imports nor has the function dns_lookup_x",
    ("delivery.mx-lookup-failed", "libpostfix-dns.so*", False): _NO_LIBRARY,
    ("delivery.null-mx", "smtp", False): "the file neither imports nor has the function dns_lookup_x",
    ("delivery.null-mx", "libpostfix-dns.so*", False): _NO_LIBRARY,
    ("delivery.ip-lookup-failed", "libpostfix-dns.so*", True): _NO_LIBRARY,
    ("dns.lookup-time", "libpostfix-dns.so*", False): _NO_LIBRARY,
    ("server.log-warning", "libpostfix-util.so*", False): _NO_LIBRARY,
    ("server.fatal", "libpostfix-util.so*", False): _NO_LIBRARY,
}
MISSING = {"bookworm": _BOTH, "trixie": _BOTH}

# Steps in which some of an event are not seen.
PARTLY = {
    "next host, STARTTLS by tlsproxy": {"delivery.start-tls": 0},
    "domain that does not exist": {"delivery.ip-lookup-failed": 0},
    "MX without address": {"delivery.ip-lookup-failed": 0},
    "screened, STARTTLS": {"tls.handshake": 0},
}


@pytest.fixture(scope="module", params=SUITES, ids=[f"{suite}-static" for suite in SUITES])
def bed(request):
    with StaticPostfixBed(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def watched(bed, request, tmp_path_factory):
    warm_up(bed)
    with postfix_watched(bed, request, tmp_path_factory) as alone:
        yield alone


@pytest.fixture(scope="module")
def collector(watched):
    """For the tests that are those of every build."""
    if not watched.collectors:
        pytest.skip("--log-only")
    return watched.collectors["postfix"]


@pytest.fixture(scope="module")
def mortal(bed):
    with StaticPostfixBed(bed.suite) as made:
        yield made


@pytest.fixture(scope="module")
def plan(watched):
    return watched.collectors["postfix"].plan() if watched.collectors else {"points": [], "missing": []}


def test_missing(bed, plan):
    if not plan["points"]:
        pytest.skip("--log-only")
    known = MISSING[bed.suite]
    found = {(miss["event"], miss["file"].rpartition("/")[2], miss["partial"]): miss["reason"] for miss in plan["missing"]}
    assert {*found} == {*known}, found
    assert all(known[miss] in miss_reason for miss, miss_reason in found.items()), found
    told = {event for point in plan["points"] for event in point["events"]} | {event for event, _, _ in found}
    assert {event for step in STEPS for event in step.events if ":" not in event} - told == set()


def test_step(watched, plan, step):
    lost = {miss["event"] for miss in plan["missing"] if not miss["partial"]}
    kept = {event: number for event, number in {**step.events, **PARTLY.get(step.name, {})}.items() if event not in lost}
    watched.check(dataclasses.replace(step, events=kept, log={**step.events, **step.log}), "postfix")
