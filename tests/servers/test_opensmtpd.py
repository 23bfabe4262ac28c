# SPDX-License-Identifier: Apache-2.0
"""OpenSMTPD: every step counts what happened, and nothing else, on both releases."""
import tomllib

import pytest

import opensmtpd_steps
from beds.bed import REPO, SUITES
from beds.opensmtpd import OpenSmtpdBed
from collector import metric
from opensmtpd_steps import NO_TLS_STEPS, STEPS, TLS_STEPS  # noqa: F401: conftest.py makes a test of each of STEPS

# Proven in test_opensmtpd_silence.py and test_opensmtpd_metrics.py.
ELSEWHERE = {"smtp.time-limit-exceeded", "server.fatal"}
STEPS_OF = {"bookworm": NO_TLS_STEPS, "trixie": TLS_STEPS}


def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        cases = [pytest.param(suite, number, id=f"{suite}-{step.name}") for suite, steps in STEPS_OF.items() for number, step in enumerate(steps)]
        metafunc.parametrize("bed, number", cases, indirect=["bed"], scope="module")
    elif "bed" in metafunc.fixturenames:
        metafunc.parametrize("bed", SUITES, indirect=True, scope="module")


@pytest.fixture(scope="module")
def bed(request):
    with OpenSmtpdBed(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def watched(bed, request, tmp_path_factory):
    with opensmtpd_steps.watched(bed, request, tmp_path_factory) as alone:
        yield alone


def test_step(watched, step):
    watched.check(step, "opensmtpd")


def test_step_of_one_release(watched, number):
    """TLS and logins on trixie; that bookworm cannot do TLS on bookworm."""
    watched.check(STEPS_OF[watched.bed.suite][number], "opensmtpd")


@pytest.fixture
def exported(watched):
    if not watched.collectors:
        pytest.skip("--log-only")
    return watched.collectors["opensmtpd"].counts("opensmtpd")


def test_every_event_is_exported(exported):
    """Also those that nothing of the table has moved."""
    events = {event for step in [*STEPS, *NO_TLS_STEPS, *TLS_STEPS] for event in step.events}
    assert {metric(event) for event in events} - {*exported} == set()


def test_no_event_is_without_a_step():
    """What the catalog counts is moved by a step on trixie; those that need TLS by none on bookworm."""
    catalog = tomllib.loads((REPO / "src/catalog/opensmtpd.toml").read_text())
    counted = set()
    for row in catalog["probe"]:
        for rule in row.get("rules", [row]):
            what = rule.get("count", rule.get("event", []))
            counted |= {what} if isinstance(what, str) else {*what}
    moved = {event for step in [*STEPS, *TLS_STEPS] for event, number in step.events.items() if number}
    assert counted - moved == ELSEWHERE
    assert {event for event in counted - {event for step in [*STEPS, *NO_TLS_STEPS] for event, number in step.events.items() if number}} - ELSEWHERE \
        == {event for event in moved if event.startswith("auth.")} | {
            "tls.handshake", "smtp.start-tls-already", "smtp.tls-required", "smtp.mail-from-unauthenticated", "smtp.mail-from-unauthorized",
            "smtp.auth-mechanism-not-supported", "queue.queue-message-authenticated", "delivery.null-mx"}
