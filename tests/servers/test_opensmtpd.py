# SPDX-License-Identifier: Apache-2.0
"""OpenSMTPD: every step counts what happened, and nothing else, on both releases."""
import pytest

import opensmtpd_steps
from beds.bed import SUITES
from beds.opensmtpd import OpenSmtpdBed
from opensmtpd_steps import NO_TLS_STEPS, STEPS, TLS_STEPS  # noqa: F401: conftest.py makes a test of each of STEPS

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
