"""Arrow, polars and Parquet hold what select gives; splays names the files behind it."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, errors, receipt
from behemoth.tickstore import export
from behemoth.tickstore.parts import by_calendar, by_rows
from tests.clock import Clock
from tests.codec.strategies import assert_same, bits

FIRST = date(2019, 10, 30)
DAY = 86_400 * 10**9


def arrow():
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed: behemoth[arrow]")


def day(number, rows=5, *, early=0, **columns):
    """Make ticks of a day, the first of them some hours early."""
    start = pd.Timestamp(FIRST, tz="UTC") + pd.Timedelta(days=number, hours=-early)
    index = pd.date_range(start, periods=rows, freq="h", name="time").as_unit("ns")
    data = {"price": np.arange(rows) + number * 10.5, **columns}
    return pd.DataFrame(data, index=pd.DatetimeIndex(index, freq=None))


def fill(store, days, symbol="A"):
    with store.transaction() as all_days:
        for number, ticks in enumerate(days):
            all_days.insert(symbol, BiTimestamp(FIRST + timedelta(days=number)), ticks)


@pytest.fixture
def mixed(store):
    """Days that differ in columns and types, overlap in time, and one month that follows."""
    text = pd.Series(["a", None, "b", "a", ""], dtype=object)
    fill(
        store,
        [
            day(0, n=np.arange(5, dtype=np.int16), side=pd.Categorical(["b", "s", "b", "s", "b"])),
            day(1, early=22, n=np.arange(5, dtype=np.uint16), text=text.to_numpy()),
            day(2, early=2, side=pd.Categorical(["x", None, "b", "x", "x"])),
            day(3, rows=0),
            day(
                4,
                n=np.arange(5, dtype=np.float32),
                when=np.array([1, 2, 3, 4, -(2**63)]).view("M8[ms]"),
            ),
        ],
    )
    fill(store, [day(1, n=np.arange(5))], symbol="B")
    return store


ASKED = [
    {"symbol": "A"},
    {"symbol": "A", "start": "2019-10-31", "end": datetime(2019, 11, 1, 0)},
    {"symbol": "A", "columns": ["n", "price"], "tz": "America/New_York"},
    {"symbol": "A", "end": "2019-10-30", "columns": ["when", "text"]},
    {"symbol": "A", "start": "2020-01-01"},
    {"symbol": ["B", "A", "NOPE"]},
    {"symbol": ["A"], "columns": ["n"]},
    {"symbol": ["NOPE"]},
    {"symbol": "NOPE", "columns": ["x"]},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_an_arrow_table_is_the_frame(mixed, asked):
    """Values, types, names, order, zone and receipt."""
    arrow()
    frame = mixed.select(**asked)
    table = mixed.select(**asked, output="arrow")
    pd.testing.assert_frame_equal(frame, table.to_pandas())
    assert receipt(table) == receipt(table.to_pandas()) == receipt(frame)


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_a_polars_frame_has_the_same_rows(mixed, asked):
    """As the Arrow table has."""
    arrow()
    polars = pytest.importorskip("polars", reason="polars is not installed: behemoth[polars]")
    frame = mixed.select(**asked, output="polars")
    table = mixed.select(**asked, output="arrow")
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == table.column_names
    for name in frame.columns:
        expected = [None if v != v else v for v in table.column(name).to_pylist()]
        actual = [None if v != v else v for v in frame[name].to_list()]
        if name in ("time", "when"):
            expected = [None if v is None else pd.Timestamp(v).to_pydatetime() for v in expected]
        assert expected == actual, name


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("group", [1, 7, 1 << 19])
def test_a_parquet_file_is_the_frame(mixed, asked, group, tmp_path):
    """However many ticks are written at a time."""
    arrow()
    from pyarrow import parquet

    frame = mixed.select(**asked)
    given_back = mixed.to_parquet(tmp_path / "x.parquet", **asked, group_rows=group)
    table = parquet.read_table(tmp_path / "x.parquet")
    assert same_but_for_unused(frame, table.to_pandas())
    assert receipt(table) == receipt(frame) == given_back
    assert receipt(parquet.read_schema(tmp_path / "x.parquet")) == given_back
    assert given_back.rows == len(frame)
    assert [path.name for path in tmp_path.glob("*.parquet*")] == ["x.parquet"]


def same_but_for_unused(expected, actual):
    """Compare frames; Parquet keeps only those categories that a tick has."""
    for name in expected.columns:
        if isinstance(expected[name].dtype, pd.CategoricalDtype):
            assert expected[name].astype(object).equals(actual[name].astype(object))
            actual[name] = expected[name]
    pd.testing.assert_frame_equal(expected, actual)
    return True


def test_pandas_reads_the_parquet_file_with_its_receipt(mixed, tmp_path):
    """And the table replays it."""
    arrow()
    mixed.to_parquet(tmp_path / "x.parquet", "A", "2019-10-31", columns=["price"])
    frame = pd.read_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(mixed.replay(frame), frame)


def test_a_frozen_state_is_written(tmp_path):
    """A pin, a token and an as-of time mean what they mean for select."""
    arrow()
    store = MemoryTickstore(clock=Clock())
    fill(store, [day(0)])
    token = store.token
    fill(store, [day(0) * 2, day(1)])
    store.at(token).to_parquet(tmp_path / "at.parquet", "A")
    store.to_parquet(tmp_path / "as_of.parquet", "A", as_of_time=token)
    for name in ("at", "as_of"):
        frame = pd.read_parquet(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(day(0), frame)
        assert receipt(frame).token == token


def test_what_fails_midway_leaves_the_old_file(tmp_path):
    """A damaged day, found while the file is written."""
    arrow()
    store = LocalTickstore(tmp_path / "TABLE", cache=False)
    noise = np.random.default_rng(0).normal(size=5000)
    fill(store, [day(0), day(1, rows=5000).assign(price=noise)])
    old = tmp_path / "x.parquet"
    store.to_parquet(old, "A", end="2019-10-30")
    before = old.read_bytes()
    path = Path(store.splays("A")["path"].iloc[1])
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(errors.Corrupt):
        store.to_parquet(old, "A")
    assert old.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if each.name != "TABLE"] == ["x.parquet"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_what_stops_a_file_leaves_none(tmp_path, stop):
    """Ctrl-C, or a full disk: nothing half, under any name."""

    def write():
        with export.whole(tmp_path / "x.csv") as new:
            new.write_text("half")
            raise stop

    with pytest.raises(errors.EnvironmentFailed if stop is OSError else stop):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(mixed, tmp_path):
    """As one line, that names the file."""
    arrow()
    with pytest.raises(errors.EnvironmentFailed, match=r"x\.parquet cannot be written"):
        mixed.to_parquet(tmp_path / "nowhere" / "x.parquet", "A")


def test_unknown_symbols_can_be_refused(mixed, tmp_path):
    """As by select; and nothing is written."""
    arrow()
    with pytest.raises(errors.NotFound, match="no symbol 'NOPE'"):
        mixed.to_parquet(tmp_path / "x.parquet", "NOPE", missing="raise")
    with pytest.raises(errors.BadRequest, match="columns differ between days"):
        mixed.to_parquet(tmp_path / "x.parquet", "A", schema="strict")
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize(("output", "extra"), [("arrow", "arrow"), ("polars", "polars")])
def test_a_package_that_lacks_is_named_with_its_extra(output, extra):
    """In one line."""
    module = {"arrow": "pyarrow", "polars": "polars"}[output]
    if output == "polars":
        arrow()
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from behemoth import MemoryTickstore, errors\n"
        "try:\n"
        f"    MemoryTickstore().select('A', output={output!r})\n"
        "except errors.EnvironmentFailed as error:\n"
        "    print(error)\n"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said == f"{module} is not installed; get it with: pip install 'behemoth[{extra}]'\n"


def test_another_output_is_refused(store):
    """With those that there are."""
    with pytest.raises(errors.BadRequest, match="output is 'pandas' or 'arrow' or 'polars'"):
        store.select("A", output="excel")


def test_splays_are_the_files_that_a_select_reads(local, clock):
    """By date, in the version that was known, with the path in full; pandas opens it."""
    fill(local, [day(0), day(1), day(2)])
    token = local.token
    clock.tick(60)
    local.insert("A", BiTimestamp(FIRST), day(0) * 2)
    local.delete("A", BiTimestamp(FIRST + timedelta(days=2)))
    table = local.splays("A")
    assert table["date"].tolist() == [pd.Timestamp(FIRST), pd.Timestamp("2019-10-31")]
    assert table["version"].tolist() == [1, 0]
    assert table["rows"].tolist() == [5, 5]
    assert table["first"].tolist() == [day(0).index[0], day(1).index[0]]
    assert table["size"].tolist() == [Path(path).stat().st_size for path in table["path"]]
    read = pd.concat([pd.read_hdf(path) for path in table["path"]])
    assert_same(local.select("A"), read)
    assert local.splays("A", as_of_time=token)["version"].tolist() == [0, 0, 0]
    assert local.at(token).splays("A", "2019-11-01")["date"].tolist() == [
        pd.Timestamp("2019-11-01")
    ]
    assert local.splays("NOPE").columns.tolist() == table.columns.tolist()
    with pytest.raises(errors.BadRequest, match="one symbol"):
        local.splays(["A"])


ROW = np.dtype([("first", "<i8"), ("last", "<i8"), ("rows", "<i8")])


@st.composite
def files(draw):
    """Draw files with their first and last ticks, and a range that each has a part in."""
    spans = st.tuples(st.integers(-400 * DAY, 400 * DAY), st.integers(0, 40 * DAY))
    drawn = draw(st.lists(spans, max_size=6))
    rows = np.array([(first, first + long, 3) for first, long in drawn], dtype=ROW)
    low = draw(st.integers(-500 * DAY, rows["last"].min(initial=500 * DAY)))
    high = draw(st.integers(max(low, rows["first"].max(initial=-500 * DAY)), 501 * DAY))
    return rows, (low, high)


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), st.sampled_from(["day", "month", 1, 7]))
def test_parts_follow_each_other_and_cover_every_tick(drawn, by):
    """No two overlap, none goes beyond the range, and each tick of a file is in one."""
    rows, bounds = drawn
    if isinstance(by, int):
        spans = list(by_rows(rows, bounds, by))
    else:
        spans = by_calendar(rows, bounds, by)
    ends = [bounds[0] - 1, *(edge for span in spans for edge in span)]
    assert all(low < high for low, high in zip(ends[::2], ends[1::2], strict=False))
    assert all(low <= high for low, high in spans)
    assert not spans or spans[-1][1] <= bounds[1]
    for row in rows:
        for tick in np.linspace(row["first"], row["last"], 20).astype(np.int64).tolist():
            if bounds[0] <= tick <= bounds[1]:
                assert sum(low <= tick <= high for low, high in spans) == 1
    if by == "day":
        assert all((low // DAY) == (high // DAY) for low, high in spans)


def test_bits_survive_the_parquet_file(tmp_path):
    """NaN payloads and negative zeros too."""
    arrow()
    store = MemoryTickstore()
    odd = np.array([0x7FF8000000000123, 0x8000000000000000, 0xFFF8000000000001], "<u8").view("<f8")
    fill(store, [day(0, rows=3).assign(price=odd)])
    store.to_parquet(tmp_path / "x.parquet", "A")
    frame = pd.read_parquet(tmp_path / "x.parquet")
    assert bits(frame["price"]) == bits(store.select("A")["price"])
