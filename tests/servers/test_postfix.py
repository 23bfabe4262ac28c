# SPDX-License-Identifier: Apache-2.0
import pytest

from collector import metric
from postfix_steps import STEPS  # noqa: F401: conftest.py makes a test of each


def test_step(watched, step):
    watched.check(step, "postfix")


@pytest.fixture
def exported(watched):
    if not watched.collectors:
        pytest.skip("--log-only")
    return watched.collectors["postfix"].counts("postfix")


def test_every_event_is_exported(exported):
    """Also those that nothing of the table has moved."""
    events = {event for step in STEPS for event in step.events if ":" not in event}
    assert {metric(event) for event in events} - {*exported} == set()
