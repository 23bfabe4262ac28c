# SPDX-License-Identifier: Apache-2.0
"""The ways of messages, counted in libraries where Postfix has them, and in the daemons where it has not."""
import pytest

import postfix_agents_steps
import watch
from beds import postfix
from beds.bed import SUITES
from beds.mailbed import MailBed
from beds.postfix_static import StaticPostfixBed
from collector import Collector
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
    if request.config.getoption("--log-only"):
        yield watch.Watch(bed, {})
        return
    with Collector(tmp_path_factory.mktemp("collector"), pid=postfix.master_pid(bed)) as collector:
        yield watch.Watch(bed, {"postfix": collector})


def test_step(watched, step):
    watched.check(step, "postfix")
