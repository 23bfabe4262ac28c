# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest

from fake import Exporter
from mail_root import MailRoot
from peer import Peer


@pytest.fixture
def exporter(tmp_path):
    """Makes fake exporters; at the end each must have survived."""
    made, numbers = [], itertools.count()

    def make(**options):
        made.append(Exporter(tmp_path / f"exporter-{next(numbers)}.log", **options))
        return made[-1]

    yield make
    for one in made:
        if one.process.stdout and not one.process.stdout.closed:
            one.close()


@pytest.fixture
def web(exporter):
    """One that serves, with a counter."""
    one = exporter(listen="127.0.0.1:1", deadline_ms=1000)
    one.counter("auth.success", 3, server="postfix")
    return one.start()


@pytest.fixture
def peer():
    with Peer() as one:
        yield one


@pytest.fixture(scope="session")
def trixie():
    """Debian 13's root; it has Prometheus 2.53 with the OTLP receiver."""
    return MailRoot("trixie")
