# SPDX-License-Identifier: Apache-2.0
"""Tests with real mail servers: every step of the tables in *_steps.py has known numbers, and both the server's own
log and the collector must tell them, no more and no less.

    pytest tests/servers                    build/mailgauge, or what MAILGAUGE names
    pytest tests/servers --log-only         without collector: are the tables right?
    pytest tests/servers -k "trixie and greylist"
    pytest tests/servers -m "not alone" -n 8 --dist loadgroup --no-loadscope-reorder, then -m alone: as `make servers` does it

Most of the time is spent waiting, so tests run side by side, each worker with beds of its own. Those marked `alone`
count all servers of the host, or must be quick: no other test may run beside them.

For another server, look at test_postfix.py and follow its imports: beds/NAME.py configures and starts it in a bed,
NAME_steps.py is the table, truth.py counts its log, watch.py names both. A test file whose server is not in MailBed
has fixtures `bed` and `watched` of its own.
"""
import collections
import contextlib
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import pytest  # noqa: E402

import watch  # noqa: E402
from beds import dovecot, postfix  # noqa: E402
from beds.bed import SUITES  # noqa: E402
from beds.mailbed import MailBed  # noqa: E402
from collector import Collector  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--log-only", action="store_true", help="compare with the servers' logs alone")


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: must not run beside other tests")
    config.addinivalue_line("markers", "long: takes minutes, so it begins first")
    # SIGTERM unwinds the stack as an interrupt from the keyboard does, so that beds are removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


# A bed costs as much as some ten steps: tests of one file and bed stay together, but no more than so many.
PIECE = 45


@pytest.hookimpl(tryfirst=True)  # pytest-xdist looks for the marks in the same hook
def pytest_collection_modifyitems(items):
    """What one worker gets at once, and what begins first."""
    number = collections.Counter()
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        which = item.path.stem, item.callspec.indices.get("bed", 0) if hasattr(item, "callspec") else 0
        item.add_marker(pytest.mark.xdist_group("-".join(map(str, (*which, number[which] // PIECE)))))
        number[which] += 1


@pytest.fixture(scope="session", params=SUITES)
def bed(request):
    with MailBed(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def watched(bed, request, tmp_path_factory):
    """The bed, and who counts what happens in it. Some server processes are older than the collector: they came with
    the sessions of warm_up()."""
    warm_up(bed)
    if request.config.getoption("--log-only"):
        yield watch.Watch(bed, {})
        return
    directory = tmp_path_factory.mktemp("collector")
    with Collector(directory, pid=postfix.master_pid(bed)) as of_postfix:
        with Collector(directory, pid=dovecot.master_pid(bed)) as of_dovecot:
            yield watch.Watch(bed, {"postfix": of_postfix, "dovecot": of_dovecot})


@contextlib.contextmanager
def postfix_watched(bed, request, tmp_path_factory):
    """The bed, and who counts what its Postfix does."""
    if request.config.getoption("--log-only"):
        yield watch.Watch(bed, {})
        return
    with Collector(tmp_path_factory.mktemp("collector"), pid=postfix.master_pid(bed)) as collector:
        yield watch.Watch(bed, {"postfix": collector})


def warm_up(bed):
    with bed.smtp() as c:
        c.ehlo()
        c.message(postfix.USER)
        c.quit()
    with bed.imap() as c:
        c.login("LOGIN", dovecot.USER, dovecot.PASSWORD)
        c.logout()
    postfix.wait_idle(bed)


def pytest_generate_tests(metafunc):
    """A test with an argument `step` is run for every step of its module's table."""
    if "step" in metafunc.fixturenames:
        metafunc.parametrize("step", metafunc.module.STEPS, ids=lambda step: step.name)
