"""Every way to read gives the same frame: threads, columns, images, times of knowledge."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behemoth import BiTimestamp, LocalTickstore, codec
from behemoth.stores import LocalStore
from behemoth.tickstore.images import Images
from behemoth.tickstore.reader import THREADED, Reader
from behemoth.tickstore.request import Query
from behemoth.tickstore.state import State
from tests.clock import Clock
from tests.profile import FULL

FIRST = date(2019, 1, 1)
START = datetime(2020, 1, 1, tzinfo=UTC)
COLUMNS = ["open", "close", "volume", "trades"]
MINUTES, MANY = 1440, 45_000
LENGTHS = {
    "SMALL": [MINUTES] * 72,
    "BIG": [MANY] * 6,
    "MIXED": [MINUTES, MANY, 7, 0, MANY, MINUTES] * 2,
}
"""Rows of each day of each symbol."""

THREADS = (1, 2, 8)
IMAGES = ("none", "of the latest state", "of the first state", "of each state")


def day_of(symbol, number, seed):
    """Make the ticks of a day; noise, so that many are many bytes."""
    rows = LENGTHS[symbol][number]
    chance = np.random.default_rng([rows, number, seed])
    start = np.datetime64(FIRST + timedelta(days=number), "ns")
    step = np.timedelta64(86_400 * 10**9 // max(rows, 1), "ns")
    index = pd.DatetimeIndex(start + np.arange(rows) * step, tz="UTC", name="time")
    frame = pd.DataFrame(chance.random((rows, 3)), index=index, columns=COLUMNS[:3])
    return frame.assign(trades=chance.integers(-(2**62), 2**62, rows))


def commits():
    """Give for each commit what it says of each symbol and day: ticks, or that there are none."""
    yield {
        (symbol, number): day_of(symbol, number, 0)
        for symbol, lengths in LENGTHS.items()
        for number in range(len(lengths) - 1)
    }
    yield {(symbol, n): day_of(symbol, n, 1) for symbol in LENGTHS for n in (0, 3, 4)}
    yield dict.fromkeys([("SMALL", 30), ("BIG", 2), ("MIXED", 1)])
    yield {
        (symbol, number): day_of(symbol, number, 2)
        for symbol, lengths in LENGTHS.items()
        for number in (1, 3, len(lengths) - 1)
    }


HISTORY = list(commits())


def told(symbol, commit, bounds, columns):
    """What a plain loop over the commits says."""
    days = {}
    for changes in HISTORY[:commit]:
        days |= {number: frame for (name, number), frame in changes.items() if name == symbol}
    frames = [days[number] for number in sorted(days) if days[number] is not None]
    low, high = (pd.Timestamp(bound, tz="UTC") for bound in bounds)
    return pd.concat(frames).loc[low:high, columns or COLUMNS]


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """Open the table in each way, by images and threads."""
    path, clock = tmp_path_factory.mktemp("paths") / "TABLE", Clock(START)
    caches = {"none": None}
    for number, changes in enumerate(HISTORY, start=1):
        with LocalTickstore(path, clock=clock) as store, store.transaction() as many:
            for (symbol, day), frame in changes.items():
                at = BiTimestamp(FIRST + timedelta(days=day))
                if frame is None:
                    many.delete(symbol, at)
                else:
                    many.insert(symbol, at, frame)
        clock.tick(3600)
        if number in (1, len(HISTORY)):
            shutil.rmtree(path / "cache", ignore_errors=True)
            with LocalTickstore(path, clock=clock) as store:
                for symbol in [*LENGTHS] * 2:
                    store.select(symbol)
            name = IMAGES[1] if number > 1 else IMAGES[2]
            caches[name] = shutil.copytree(path / "cache", path.parent / name)
    with LocalTickstore(path) as store:
        for commit in [*range(len(HISTORY))] * 2:
            for symbol in LENGTHS:
                store.select(symbol, as_of_time=START + timedelta(hours=commit))
    caches[IMAGES[3]] = shutil.copytree(path / "cache", path.parent / IMAGES[3])
    assert len(list(caches[IMAGES[3]].iterdir())) > 2 * len(LENGTHS)
    store = LocalStore(path)
    found = {}
    for name, cache in caches.items():
        for threads in THREADS:
            images = cache and Images(cache, writable=False)
            found[name, threads] = Reader(store, State(store), "time", images, threads)
            assert images is None or all(images.find(symbol) for symbol in LENGTHS)
            found[name, threads]._state.refresh()
    return found


def test_some_files_are_big_enough_for_threads(readers):
    """Else nothing of this would be of threads."""
    for reader in readers.values():
        sizes = {symbol: reader._state.timeline(symbol).shown()["size"] for symbol in LENGTHS}
        assert sizes["BIG"].min() > THREADED > sizes["SMALL"].max()
        assert sizes["MIXED"].max() > THREADED > sizes["MIXED"].min()


def nanoseconds(bound):
    return pd.Timestamp(bound).as_unit("ns").value


def ways_agree(readers, symbol, commit, bounds, columns):
    """Fail unless each way gives what the loop does, and the same bytes of content."""
    expected = told(symbol, commit, bounds, columns)
    time = START + timedelta(hours=commit - 1)
    digests = set()
    for way, reader in readers.items():
        between = nanoseconds(bounds[0]), nanoseconds(bounds[1])
        ticks, _ = reader.read(Query(symbol, between, time, len(HISTORY), columns), "union")
        frame = codec.to_frame(ticks)
        assert frame.equals(expected), way
        assert (frame.index.name, frame.index.dtype) == ("time", expected.index.dtype), way
        digests.add(ticks.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("columns", [None, ["volume"], ["trades", "open"]], ids=str)
@pytest.mark.parametrize("commit", range(1, len(HISTORY) + 1))
@pytest.mark.parametrize("symbol", LENGTHS)
def test_every_way_gives_all_ticks(readers, symbol, commit, columns):
    """As of each commit, whichever columns."""
    ways_agree(readers, symbol, commit, ("2018-01-01", "2020-01-01"), columns)


MOMENTS = st.integers(-1, 75 * 24 * 3600).map(
    lambda second: datetime.combine(FIRST, datetime.min.time()) + timedelta(seconds=second)
)


@settings(max_examples=200 if FULL else 30, deadline=None)
@given(
    symbol=st.sampled_from(sorted(LENGTHS)),
    commit=st.integers(1, len(HISTORY)),
    bounds=st.tuples(MOMENTS, MOMENTS).map(sorted).map(tuple),
    columns=st.none() | st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True),
)
def test_every_way_gives_the_same_part(readers, symbol, commit, bounds, columns):
    """Cut anywhere."""
    ways_agree(readers, symbol, commit, bounds, columns)
