"""Four real years of Bitfinex minutes: weeks missing, days of one row; in full, or some weeks."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from itertools import islice

import numpy as np
import pandas as pd
import pytest

from behemoth import LocalTickstore
from behemoth.feeds import import_candles
from behemoth.feeds.candles import COLUMNS
from behemoth.feeds.files.text import EXACT
from tests.data import real
from tests.profile import FULL

YEARS = (2016, 2017, 2018, 2019)
FIRST, LAST = 85_000, 115_000
"""Lines of 2016, around a day of one row and the weeks that are missing behind it."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files; but for the full profile, a part of one."""
    paths = [real(f"bitfinex_1m/BTCUSD_{year}_1m.csv.gz") for year in YEARS]
    if FULL:
        return paths
    with gzip.open(paths[0]) as file:
        lines = list(islice(file, LAST))
    part = tmp_path_factory.mktemp("bitfinex") / paths[0].name
    part.write_bytes(gzip.compress(b"".join([lines[0], *lines[FIRST:]]), 1))
    return [part]


@pytest.mark.slow
def test_real_files_are_imported_to_the_bit(files, tmp_path):
    """Every value equals pandas' own; each day has the rows that it has in the file."""
    expected = pd.concat([pd.read_csv(path, **EXACT) for path in files])
    with LocalTickstore(tmp_path / "T") as store:
        done = [import_candles(store, path, "BTCUSD", preset="bitfinex") for path in files]
        token = store.token
        again = [import_candles(store, path, "BTCUSD", preset="bitfinex") for path in files]
        assert (store.token, sum(each.days_written for each in again)) == (token, 0)
        frame = store.select("BTCUSD")
        observed = store.observations("BTCUSD")
        rows = {each.date: each.rows for each in store.revisions("BTCUSD")}
    assert np.array_equal(frame.index.asi8 // 10**6, expected["ts_ms"])
    values = expected[list(COLUMNS)].to_numpy(np.float64)
    assert values.tobytes() == frame.to_numpy().tobytes()
    days = pd.to_datetime(expected["ts_ms"], unit="ms").dt.date.value_counts()
    assert rows == days.to_dict()
    assert sum(each.candles for each in done) == len(expected)
    assert sum(each.rows for each in observed) == len(expected)
    assert [each.bad + each.duplicates + each.reordered for each in done] == [0] * len(files)
    assert min(rows.values()) == 1
    if FULL:
        assert (len(rows), len(expected), max(rows.values())) == (1394, 1_831_665, 1440)


@pytest.mark.slow
def test_whole_days_that_a_real_file_lacks_were_never_observed(files, tmp_path):
    """So they are seen as missing, and not as days without a trade."""
    with LocalTickstore(tmp_path / "T") as store:
        import_candles(store, files[0], "BTCUSD", preset="bitfinex")
        there = {each.date for each in store.revisions("BTCUSD")}
        observed = store.observations("BTCUSD")
    days = pd.date_range(min(there), max(there)).date
    missing = [day for day in days if day not in there]
    assert len(missing) > 14
    for day in missing:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        assert not any(each.start <= noon < each.end for each in observed)
