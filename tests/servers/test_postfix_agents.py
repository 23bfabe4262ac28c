# SPDX-License-Identifier: Apache-2.0
"""The ways of messages, counted in libraries where Postfix has them, and in the daemons where it has not."""
import dataclasses

import pytest

import postfix_agents_steps
from beds.bed import SUITES
from beds.mailbed import MailBed
from beds.postfix_static import StaticPostfixBed
from conftest import postfix_watched
from postfix_agents_steps import STEPS  # noqa: F401: conftest.py makes a test of each

KINDS = [(suite, kind) for suite in SUITES for kind in (MailBed, StaticPostfixBed)]


@pytest.fixture(scope="module", params=KINDS, ids=[suite + ("-static" if kind is StaticPostfixBed else "") for suite, kind in KINDS])
def bed(request):
    suite, kind = request.param
    with kind(suite) as made:
        postfix_agents_steps.configure(made)
        yield made


@pytest.fixture(scope="module")
def watched(bed, request, tmp_path_factory):
    with postfix_watched(bed, request, tmp_path_factory) as alone:
        yield alone


@pytest.fixture(scope="module")
def lost(watched):
    """What a build without shared libraries does not tell: see test_postfix_static.py."""
    return {miss["event"] for collector in watched.collectors.values() for miss in collector.plan()["missing"] if not miss["partial"]}


def test_step(watched, lost, step):
    kept = {event: number for event, number in step.events.items() if event not in lost}
    watched.check(dataclasses.replace(step, events=kept, log={**step.events, **step.log}), "postfix")
