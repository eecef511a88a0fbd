"""Ticks as Arrow and polars: what pandas gets, without pandas."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given

from behemoth.codec import arrow, dismantle, to_frame, to_stacked_frame
from behemoth.codec.ticks import PLAIN_DTYPES
from behemoth.errors import BadRequest
from tests.codec.strategies import assert_same, frames, repeatable, times

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: behemoth[arrow]")

RECEIPT = {"token": "3-0a1b2c3d", "rows": 2}


def encodable(frame):
    """Whether all texts can be written in UTF-8, as Arrow does."""
    texts = [
        text
        for name in frame.columns
        for text in [*frame[name].array, *getattr(frame[name].array, "categories", ())]
        if isinstance(text, str)
    ]
    return not any("\ud800" <= letter <= "\udfff" for text in texts for letter in text)


@repeatable
@given(frames())
def test_pandas_makes_of_the_table_what_select_gives(frame):
    """Every bit of every column of every type, the index and its zone."""
    assume(encodable(frame))
    ticks = dismantle(frame, "time")
    table = arrow.to_arrow(ticks)
    table.validate(full=True)
    assert table.column_names == ["time", *frame.columns]
    assert_same(to_frame(ticks), table.to_pandas())


@repeatable
@given(frames())
def test_polars_holds_the_same(frame):
    """The same values and nulls in each column, only seconds finer and offsets in UTC."""
    pytest.importorskip("polars", reason="polars is not installed: behemoth[polars]")
    assume(encodable(frame))
    table = arrow.to_arrow(dismantle(frame, "time"))
    assume(all(representable(column) for column in table.columns))
    shown = arrow.to_polars(table)
    assert shown.columns == table.column_names
    for name, column in zip(table.column_names, table.columns, strict=True):
        expected, actual = column.combine_chunks(), shown[name].to_arrow()
        assert plain(expected) == plain(actual), name


def representable(column):
    """Whether seconds can be said in milliseconds."""
    if getattr(column.type, "unit", None) != "s":
        return True
    numbers = column.cast(pa.int64()).drop_null().to_numpy()
    return len(numbers) == 0 or np.abs(numbers).max() < 2**63 // 1000


def plain(array):
    """Give values that can be compared: bits of floats, instants in their finest unit, texts."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        return array.to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_temporal(array.type):
        factor = {"s": 10**3, "ms": 1}.get(array.type.unit, 1)
        return [None if n is None else n * factor for n in array.cast(pa.int64()).to_pylist()]
    return array.to_pylist()


@pytest.mark.parametrize("dtype", sorted(PLAIN_DTYPES - {"bool"}))
def test_numbers_are_not_copied(dtype):
    """The table's buffer is the array itself, also for one column of a block."""
    block = np.arange(12).reshape(2, 6).astype(dtype)
    index = times(6)
    ticks = dismantle(pd.DataFrame({"a": block[0], "b": block[1]}, index=index), "time")
    columns = tuple(
        dataclasses.replace(column, values=row)
        for column, row in zip(ticks.columns, block, strict=True)
    )
    table = arrow.to_arrow(dataclasses.replace(ticks, columns=columns))
    for number, row in enumerate(block):
        (chunk,) = table.column(number + 1).chunks
        assert chunk.buffers()[1].address == row.__array_interface__["data"][0]
        assert chunk.null_count == 0
    (chunk,) = table.column("time").chunks
    assert chunk.buffers()[1].address == ticks.times.__array_interface__["data"][0]


def test_missing_is_null_and_nan_is_nan():
    """Arrow tells them apart, and so do we."""
    data = {
        "x": [np.nan, 1.0],
        "text": np.array([None, "a"], dtype=object),
        "category": pd.Categorical([None, "b"]),
        "when": pd.DatetimeIndex([pd.NaT, pd.Timestamp("2020-01-01")]).as_unit("s"),
        "span": pd.TimedeltaIndex([pd.NaT, pd.Timedelta("1s")]).as_unit("ms"),
    }
    ticks = dismantle(pd.DataFrame(data, index=times(2, tz="UTC")), "time")
    table = arrow.to_arrow(ticks)
    assert [column.null_count for column in table.columns] == [0, 0, 1, 1, 1, 1]
    assert table.schema.types == [
        pa.timestamp("ns", "UTC"),
        pa.float64(),
        pa.large_string(),
        pa.dictionary(pa.int32(), pa.large_string()),
        pa.timestamp("s"),
        pa.duration("ms"),
    ]


@pytest.mark.parametrize("tz", ["America/New_York", "UTC", "UTC+05:30"])
@pytest.mark.parametrize("aware", ["UTC", None])
def test_times_come_in_the_zone_that_is_asked_for(tz, aware):
    """As in pandas, also over the end of summer time."""
    index = pd.date_range("2019-11-03", periods=9, freq="h", tz=aware, name="time").as_unit("ns")
    ticks = dismantle(pd.DataFrame({"n": np.arange(9)}, index=index), "time")
    table = arrow.to_arrow(ticks, tz)
    assert table.schema.types[0] == pa.timestamp("ns", tz.removeprefix("UTC") or "UTC")
    assert_same(to_frame(ticks, tz), table.to_pandas())


def test_a_zone_that_arrow_cannot_name_is_refused():
    """With another one to try."""
    ticks = dismantle(pd.DataFrame({"n": [1]}, index=times(1)), "time")
    with pytest.raises(BadRequest, match="Arrow knows no time zone 'Mars/Utopia'"):
        arrow.to_arrow(ticks, "Mars/Utopia")


def test_several_symbols_have_a_column_first():
    """And come back in pandas as the index level that they are there."""
    parts = [dismantle(pd.DataFrame({"x": np.ones(n)}, index=times(n)), "time") for n in (2, 0, 1)]
    whole = dismantle(pd.DataFrame({"x": np.ones(3)}, index=times(3)), "time")
    table = arrow.to_arrow(whole, symbols=[("B", 2), ("C", 0), ("A", 1)])
    assert table.column_names == ["symbol", "time", "x"]
    assert table.column("symbol").to_pylist() == ["B", "B", "A"]
    pd.testing.assert_frame_equal(
        to_stacked_frame(["B", "C", "A"], parts, whole), table.to_pandas()
    )


def test_two_columns_of_one_name_are_refused():
    """A column may be called symbol, but not beside the symbols."""
    ticks = dismantle(pd.DataFrame({"symbol": ["x"]}, index=times(1)), "time")
    assert arrow.to_arrow(ticks).column("symbol").to_pylist() == ["x"]
    with pytest.raises(BadRequest, match="two columns would be called 'symbol'"):
        arrow.to_arrow(ticks, symbols=[("A", 1)])


@pytest.mark.parametrize("kind", ["text", "category"])
def test_a_lone_surrogate_is_refused_with_the_way_out(kind):
    """Arrow texts are UTF-8, which has none."""
    texts = pd.Index(["\ud800"], dtype=object)
    values = pd.Categorical.from_codes([0], texts) if kind == "category" else texts
    frame = pd.DataFrame({"t": pd.Series(values, times(1), dtype=values.dtype)})
    ticks = dismantle(frame, "time")
    with pytest.raises(BadRequest, match=r"column 't' .* leave it out with columns="):
        arrow.to_arrow(ticks)


def test_the_receipt_lies_in_the_schema():
    """As JSON for every tool, and in attrs when pandas takes the table."""
    ticks = dismantle(pd.DataFrame({"x": [1.0]}, index=times(1)), "time")
    table = arrow.to_arrow(ticks, receipt=RECEIPT)
    assert json.loads(table.schema.metadata[b"behemoth"]) == RECEIPT
    assert table.to_pandas().attrs == {"behemoth": RECEIPT}
    assert b"behemoth" not in arrow.to_arrow(ticks).schema.metadata
