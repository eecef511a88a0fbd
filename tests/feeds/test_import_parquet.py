"""Candles out of Parquet files."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from behemoth import LocalTickstore, MemoryTickstore
from behemoth.errors import BadRequest, Corrupt
from behemoth.feeds import import_candles
from behemoth.feeds.files import parquet
from tests.clock import Clock
from tests.feeds.test_import import MAP, NOW, START, csv, row

NAMES = ("time", "low", "high", "open", "close", "volume")


@pytest.fixture
def arrow():
    """The package, or no test."""
    return pytest.importorskip("pyarrow")


@pytest.fixture
def put(arrow, tmp_path):
    """Imports a table of these columns, and gives the summary and what is stored."""

    def put(table, store=None, **options):
        from pyarrow import parquet as pq

        path = tmp_path / "candles.parquet"
        pq.write_table(arrow.table(table), path)
        store = MemoryTickstore() if store is None else store
        options = {"preset": "coinbase", **options} if "columns" not in options else options
        summary = import_candles(store, path, "BTC-USD", clock=Clock(NOW), **options)
        return summary, store.select("BTC-USD")

    return put


def columns(rows=3, **others):
    """Columns by name, in the order of the coinbase preset."""
    made = {"time": [START + 60 * n for n in range(rows)]}
    made |= {name: [float(n) for n in range(rows)] for name in NAMES[1:]}
    return made | others


@pytest.mark.parametrize("rows", [1, parquet.ROWS + 1])
def test_columns_are_found_by_name_and_rows_read_in_batches(put, rows):
    """In any order, and with others among them."""
    made = columns(rows)
    made = {"other": ["x"] * rows, **dict(reversed(made.items()))}
    summary, frame = put(made)
    assert summary.candles == rows
    assert np.array_equal(frame["low"], np.arange(rows))
    assert list(frame.columns) == list(NAMES[1:])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("tz", [None, "UTC", "America/New_York"])
def test_a_time_with_a_unit_of_its_own_needs_no_other(put, arrow, unit, tz):
    """A naive one is UTC, an aware one is the instant that it is."""
    times = arrow.array([datetime.fromtimestamp(START, UTC)], arrow.timestamp(unit, tz))
    _, frame = put(columns(1, time=times))
    assert frame.index.asi8.tolist() == [START * 10**9]


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        (["2019-10-31 00:00Z"], "iso"),
        ([START * 1000], "ms"),
        ([float(START)], "s"),
        ([str(START)], "s"),
    ],
)
def test_other_times_are_read_as_in_csv(put, times, unit):
    _, frame = put(
        columns(1, time=times), columns=dict(zip(NAMES, NAMES, strict=True)), time_unit=unit
    )
    assert frame.index.asi8.tolist() == [START * 10**9]


def test_numbers_of_any_type_become_the_nearest_float64(put, arrow):
    """Halves, singles, integers, decimals, texts."""
    made = columns(
        1,
        low=arrow.array([0.1], arrow.float32()),
        high=arrow.array([2**53 + 1], arrow.int64()),
        open=arrow.array([Decimal("0.10")], arrow.decimal128(5, 2)),
        close=["1.5e-3"],
        volume=arrow.array([np.float16(0.1)], arrow.float16()),
    )
    _, frame = put(made)
    expected = [float(np.float32(0.1)), 2.0**53, 0.1, 1.5e-3, float(np.float16(0.1))]
    assert frame.to_numpy().tolist() == [expected]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("low", None, "the cell is empty"),
        ("open", float("nan"), "'nan' is not finite"),
        ("close", float("inf"), "'inf' is not finite"),
        ("volume", -1.0, "'-1.0' is a negative volume"),
        ("time", None, "the cell is empty"),
        ("time", START + 1, "starts no candle"),
        ("time", 10**15, "is not a time in s"),
    ],
)
def test_a_bad_row_is_named_by_its_number(put, name, value, why):
    """From 1 on, among many; the rest can be imported without it."""
    made = columns(100)
    made[name][41] = value
    with pytest.raises(Corrupt) as error:
        put(made)
    assert f"line 42, column {NAMES.index(name) + 1} ({name}): " in str(error.value)
    assert why in str(error.value)
    summary, _ = put(made, skip_bad=True)
    assert (summary.bad, summary.candles) == (1, 99)


def test_columns_that_are_not_there_or_no_numbers_are_refused(put):
    with pytest.raises(BadRequest, match="no column 't' among 'time', 'low'"):
        put(columns(), columns=MAP, time_unit="s")
    with pytest.raises(Corrupt, match=r"line 1, column 3 \(high\): 'True' is not a number"):
        put(columns(1, high=[True]))


@pytest.mark.usefixtures("arrow")
def test_what_was_exported_is_imported_bit_by_bit(tmp_path):
    """The way back from `Tickstore.to_parquet`."""
    file = tmp_path / "some.csv"
    file.write_bytes(csv(*(row(n, n / 7, 4, 2, 3, -0.0) for n in range(0, 5000, 7))))
    with LocalTickstore(tmp_path / "A") as one, LocalTickstore(tmp_path / "B") as two:
        import_candles(one, file, "BTC-USD", preset="coinbase")
        one.to_parquet(tmp_path / "out.parquet", "BTC-USD")
        import_candles(two, tmp_path / "out.parquet", "BTC-USD", preset="coinbase")
        digests = [[each.digest for each in store.revisions("BTC-USD")] for store in (one, two)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("cut", [4, 100, -1])
def test_a_damaged_file_is_refused(put, tmp_path, cut):
    put(columns(1000))
    path = tmp_path / "candles.parquet"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Corrupt, match=r"candles.parquet: line 1, column 1: the file is no sound"):
        import_candles(MemoryTickstore(), path, "BTC-USD", preset="coinbase")


def test_without_pyarrow_the_error_names_the_extra(tmp_path):
    """Whatever the file is called, its first bytes say that it is Parquet."""
    path = tmp_path / "candles.csv"
    path.write_bytes(b"PAR1")
    (tmp_path / "pyarrow.py").write_text("raise ImportError\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from behemoth import MemoryTickstore\n"
        "from behemoth.feeds import import_candles\n"
        f"import_candles(MemoryTickstore(), {str(path)!r}, 'A', preset='coinbase')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'behemoth[arrow]'" in ended.stderr.splitlines()[-1]
