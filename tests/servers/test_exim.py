# SPDX-License-Identifier: Apache-2.0
"""Every step of the table in every build: Exim's own log and the collector tell the known numbers, and that nothing else
happened."""
import pytest

import watch
from beds import exim
from beds.bed import SUITES
from collector import Collector, metric
from exim_steps import HEAVY_STEPS, STEPS  # noqa: F401: conftest.py makes a test of each of STEPS

BUILDS = [(suite, kind) for suite in SUITES for kind in exim.KINDS]


@pytest.fixture(scope="module", params=BUILDS, ids=["-".join(build) for build in BUILDS])
def bed(request):
    with exim.EximBed(*request.param) as made:
        yield made


@pytest.fixture(scope="module")
def watched(bed, request, tmp_path_factory):
    if request.config.getoption("--log-only"):
        yield watch.Watch(bed, {})
        return
    with Collector(tmp_path_factory.mktemp("collector"), pid=exim.daemon_pid(bed)) as collector:
        yield watch.Watch(bed, {"exim": collector})


def test_step(watched, step):
    watched.check(step, "exim")


@pytest.mark.parametrize("heavy_step", HEAVY_STEPS, ids=lambda step: step.name)
def test_heavy_step(watched, heavy_step):
    """SPF is not in the light package."""
    if watched.bed.kind == "light":
        assert not watched.collectors or metric("smtp.spf-from-pass") not in watched.collectors["exim"].counts("exim")
        return
    watched.check(heavy_step, "exim")
