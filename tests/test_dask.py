"""A dask DataFrame of a table is the frame that select gives, whoever writes meanwhile."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, errors
from tests.codec.strategies import assert_same
from tests.data import FOLDER
from tests.tickstore.test_export import FIRST, day, fill

dask = pytest.importorskip("dask", reason="dask is not installed: behemoth[dask]")
distributed = pytest.importorskip("distributed", reason="dask is not installed: behemoth[dask]")

from behemoth.dask import read  # noqa: E402 - once dask is there

YEARS = pd.date_range("2016-01-01", "2019-12-31", freq="D")

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def four_years():
    """Give minute bars, the real ones where they are; day by day."""
    paths = sorted((FOLDER / "bitfinex_1m").glob("*.csv.gz"))
    if paths:
        bars = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
        times = pd.DatetimeIndex(bars.pop("ts_ms").to_numpy().view("M8[ms]"), name="time")
        bars.index = times.as_unit("ns").tz_localize("UTC")
    else:
        minutes = pd.date_range("2016-01-01", periods=1440 * len(YEARS), freq="min", tz="UTC")
        walk = np.random.default_rng(0).normal(size=(len(minutes), 5)).cumsum(axis=0)
        bars = pd.DataFrame(walk, minutes.as_unit("ns"), ["open", "close", "high", "low", "volume"])
    return [(number, ticks) for number, ticks in bars.groupby(bars.index.floor("D"))]


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """A table of four years of minute bars."""
    store = LocalTickstore(tmp_path_factory.mktemp("db") / "BARS")
    with store.transaction() as together:
        for midnight, ticks in four_years():
            together.insert("BTC-USD", BiTimestamp(midnight.date()), ticks)
    return store


def two_processes(memory_limit):
    """Start two worker processes on this machine."""
    return distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=memory_limit,
    )


@pytest.fixture(scope="module")
def cluster():
    """Compute on two processes."""
    with two_processes("4GB") as running, distributed.Client(running) as client:
        yield client


@pytest.fixture
def local(tmp_path):
    """A table on disk."""
    return LocalTickstore(tmp_path / "TABLE")


@pytest.fixture
def mixed(local):
    """Days that differ in columns and types, and overlap in time."""
    text = np.array(["a", None, "b", "a", ""], dtype=object)
    fill(
        local,
        [
            day(0, n=np.arange(5, dtype=np.int16), side=pd.Categorical(["b", "s", "b", "s", "b"])),
            day(1, early=22, n=np.arange(5, dtype=np.uint16), text=text),
            day(2, early=2, side=pd.Categorical(["x", None, "b", "x", "x"])),
            day(3, rows=0),
            day(4, n=np.arange(5, dtype=np.float32), text=text),
        ],
    )
    return local


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_four_years_on_two_processes_are_those_of_pandas(bars):
    """To the bit; a partition a day or a month, read by the workers."""
    expected = bars.select("BTC-USD")
    for partition in ("day", "month"):
        frame = read(bars.path, "BTC-USD", partition=partition)
        assert frame.known_divisions
        assert_same(expected, frame.compute())
    assert frame.npartitions == len(expected.index.tz_localize(None).to_period("M").unique())
    hourly = frame["close"].resample("1h").last().compute()
    pd.testing.assert_series_equal(
        expected["close"].resample("1h").last(), hourly, check_freq=False
    )


@pytest.mark.slow
def test_more_than_the_workers_may_take_is_read(local):
    """Nearly a gigabyte of ticks, on workers of 400 MB each, a day at a time."""
    rows, days = 500_000, 30
    times = np.arange(rows, dtype=np.int64) * 170_000_000
    with local.transaction() as together:
        for number in range(days):
            index = pd.DatetimeIndex(
                (times + (pd.Timestamp(FIRST).value + number * 86_400 * 10**9)).view("M8[ns]"),
                name="time",
            )
            columns = {name: (np.arange(rows) + number) % 7.0 for name in "abcdefg"}
            at = BiTimestamp(FIRST + timedelta(days=number))
            together.insert("A", at, pd.DataFrame(columns, index))
    size = rows * days * 8 * 8
    assert size > 2 * 400 * 10**6
    with two_processes("400MB") as cluster, distributed.Client(cluster) as client:
        workers = client.scheduler_info()["workers"].values()
        assert [worker["memory_limit"] for worker in workers] == [400 * 10**6] * 2
        assert len({worker["id"] for worker in workers}) == 2
        frame = read(local, "A")
        sums, count = frame.sum().compute(), len(frame)
    expected = sum(((np.arange(rows) + number) % 7).sum() for number in range(days))
    assert sums.to_dict() == dict.fromkeys("abcdefg", float(expected))
    assert count == rows * days


@pytest.mark.parametrize("partition", ["day", "month"])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"start": "2019-10-31", "end": "2019-11-01T00:30"},
        {"columns": ["n", "price"], "tz": "America/New_York"},
        {"end": "2019-10-30", "columns": ["text", "side"]},
    ],
    ids=str,
)
def test_partitions_are_the_whole_and_divisions_are_true(mixed, asked, partition):
    """Of days that differ, overlap, and have no ticks; each partition has the whole's types."""
    frame = read(mixed, "A", **asked, partition=partition)
    whole = mixed.select("A", **asked)
    assert_same(whole, frame.compute(scheduler="sync"))
    divisions = frame.divisions
    assert list(divisions) == sorted(set(divisions))
    for number, part in enumerate(frame.partitions):
        got = part.compute(scheduler="sync")
        assert got.dtypes.astype(str).tolist() == frame._meta.dtypes.astype(str).tolist()
        assert got.dtypes.equals(whole.dtypes)
        assert (got.index >= divisions[number]).all()
        last = number + 1 == frame.npartitions
        upper = divisions[number + 1]
        assert ((got.index <= upper) if last else (got.index < upper)).all()


def test_a_slice_by_time_reads_only_its_days(mixed):
    """Because the divisions are known."""
    frame = read(mixed, "A").loc["2019-11-03":]
    assert frame.optimize().npartitions == 1
    assert_same(mixed.select("A").loc["2019-11-03":], frame.compute(scheduler="sync"))


def test_only_the_columns_that_are_needed_are_read(mixed):
    """Dask asks for them."""
    frame = read(mixed, "A")["n"]
    assert "columns=['n']" in str(frame.optimize().expr.tree_repr()).replace('"', "'")
    pd.testing.assert_series_equal(mixed.select("A")["n"], frame.compute(scheduler="sync"))


def test_what_is_written_meanwhile_changes_nothing(local):
    """The frame is of the state that was there when it was made, or was asked for."""
    fill(local, [day(0), day(1)])
    token = local.token
    frame, before = read(local, "A"), local.select("A")
    fill(local, [day(0) * 2, day(1) * 2, day(2)])
    assert_same(before, frame.compute(scheduler="sync"))
    assert_same(before, read(local.at(token), "A").compute(scheduler="sync"))
    assert_same(before, read(local, "A", as_of_time=token).compute(scheduler="sync"))
    assert_same(local.select("A"), read(local.path, "A").compute(scheduler="sync"))


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_workers_read_the_state_of_the_token_while_somebody_writes(local):
    """In processes that opened the table before it was written on."""
    fill(local, [day(0), day(1)])
    frame, before = read(local, "A"), local.select("A")
    assert_same(before, frame.compute())
    fill(local, [day(0) * 2, day(1) * 2])
    assert_same(before, frame.map_partitions(lambda part: part).compute())
    assert_same(local.select("A"), read(local, "A").compute())


def test_a_range_without_ticks_is_an_empty_frame(local):
    """With the columns of the symbol."""
    fill(local, [day(0)])
    frame = read(local, "A", start="2021-01-01").compute(scheduler="sync")
    assert_same(local.select("A", start="2021-01-01"), frame)


def test_what_cannot_be_is_refused(local):
    """In one line each."""
    fill(local, [day(0)])
    with pytest.raises(errors.NotFound, match="no symbol 'NOPE'"):
        read(local, "NOPE")
    with pytest.raises(errors.BadRequest, match="not on disk"):
        read(MemoryTickstore(), "A")
    with pytest.raises(errors.BadRequest, match="partition is 'day' or 'month'"):
        read(local, "A", partition="year")
    with pytest.raises(errors.BadRequest, match="one symbol at a time"):
        read(local, ["A"])
    with pytest.raises(errors.BadRequest, match="no time zone"):
        read(local, "A", tz="Mars")
    with pytest.raises(errors.NotFound, match="no table"):
        read(local.path / "nowhere", "A")


def test_without_dask_the_extra_is_named(tmp_path):
    """In one line."""
    code = (
        "import sys; sys.modules['dask'] = None\n"
        "from behemoth import errors\n"
        "from behemoth.dask import read\n"
        "try:\n"
        f"    read({str(tmp_path)!r}, 'A')\n"
        "except errors.EnvironmentFailed as error:\n"
        "    print(error)\n"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said == "dask is not installed; get it with: pip install 'behemoth[dask]'\n"
