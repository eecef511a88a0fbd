"""A database for the commands that read and look after it."""

from __future__ import annotations

import signal
from datetime import date

import pytest

from behemoth import BiTimestamp, LocalTickstore
from tests.clock import Clock
from tests.tickstore.test_verbs import bars

TABLE = "COINBASE_PRO_ONE_MIN_BINS"


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard():
    """Whoever runs the tests in the background may have them, and what they start, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def db(tmp_path):
    """A database with one corrected day."""
    clock = Clock()
    with LocalTickstore(tmp_path / TABLE, clock=clock) as store:
        store.insert("BTC-USD", BiTimestamp(date(2019, 10, 31)), bars(1.1, 2.0))
        clock.tick(3600)
        store.insert("BTC-USD", BiTimestamp(date(2019, 10, 31)), bars(0.1 + 0.2, 2.0))
        store.insert("ETH-USD", BiTimestamp(date(2019, 11, 1)), bars(*range(100)))
    return tmp_path
