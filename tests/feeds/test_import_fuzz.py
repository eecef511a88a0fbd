"""Files that somebody or something spoiled are refused by line and column, or imported exactly."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, MemoryTickstore
from behemoth.errors import BadRequest, Corrupt
from behemoth.feeds import import_candles
from tests.clock import Clock
from tests.feeds import slow_reader, spoiler
from tests.profile import FULL

NOW = datetime(2020, 1, 1, tzinfo=UTC)
FILES = 1000 if FULL else 250


@pytest.fixture
def store():
    """A table that holds a day of another symbol."""
    store = MemoryTickstore(clock=Clock(NOW))
    index = pd.DatetimeIndex(["2018-05-03"], tz="UTC", name="time")
    store.insert("ETH-USD", BiTimestamp(date(2018, 5, 3)), pd.DataFrame({"a": [1.0]}, index=index))
    return store


def assert_holds(store, symbol, rows):
    """The table holds these rows of a symbol, bit by bit."""
    frame = store.select(symbol)
    assert [time for time, _ in rows] == frame.index.asi8.tolist()
    assert list(frame.columns) == list(slow_reader.STORED)
    assert np.array([values for _, values in rows]).tobytes() == frame.to_numpy().tobytes()


@pytest.mark.sweep
@pytest.mark.slow
def test_a_thousand_spoiled_files_are_refused_by_name_or_imported_exactly(store, tmp_path):
    """As a slow reader says that shares no code; a refusal changes nothing."""
    path = tmp_path / "candles.csv"
    outcomes = {"imported": 0, "refused": 0, "skipped": 0}
    for seed in range(FILES):
        preset, data = spoiler.spoiled(seed)
        path.write_bytes(data)
        said = slow_reader.read(data, preset, int(NOW.timestamp()) * 10**9)
        options = {"preset": preset, "clock": Clock(NOW)}
        if said.refused or said.bad or not said.good:
            token = store.token
            with pytest.raises((BadRequest, Corrupt)) as error:
                import_candles(store, path, str(seed), **options)
            message = str(error.value)
            assert re.match(re.escape(str(path)) + r": line \d+(, column \d+|: )", message), seed
            if said.bad and not said.refused:
                assert f": line {min(said.bad)}, column " in message, seed
                assert f"{len(said.bad):,} row" in message, seed
            assert (store.token, "\n" in message, message.isascii()) == (token, False, True), seed
            outcomes["refused"] += 1
        if not said.refused and said.good:
            done = import_candles(store, path, str(seed), skip_bad=True, **options)
            assert (done.bad, done.candles) == (len(said.bad), len(said.good)), seed
            assert_holds(store, str(seed), said.good)
            outcomes["skipped" if said.bad else "imported"] += 1
    assert min(outcomes.values()) > FILES // 10, outcomes
