"""Bars are what pandas' resample makes of the same selected frame."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from behemoth import BiTimestamp, MemoryTickstore, errors, receipt
from behemoth.research import bars
from tests.research.tables import NEW_YORK, repeatable, stored

BARS = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
RULES = ["7min", "1h", "4h", "90s", "1D", "2D", "7D", "W", "W-WED", "MS", "ME", "QS", "B"]
ORIGINS = ["epoch", "start", "start_day", "end", "end_day"]
LONDON = "Europe/London"
ZONES = [None, "UTC", NEW_YORK, LONDON, "Asia/Kolkata", "Australia/Lord_Howe"]
CHANGES = ["2019-03-10", "2019-11-03", "2019-03-31", "2019-10-27", "2019-06-15"]
"""Around them clocks change in New York and in London, and nowhere."""


def minutes(start, seconds, aware=True, seed=0):
    """Bars of a minute, at these seconds after the start."""
    times = pd.Timestamp(start) + pd.to_timedelta(sorted(seconds), unit="s")
    values = np.random.default_rng(seed).normal(100, 5, (len(times), 5)).round(2)
    values[values < 92] = np.nan
    index = pd.DatetimeIndex(times, tz="UTC" if aware else None, name="time").as_unit("ns")
    return pd.DataFrame(values, index=index, columns=list(BARS))


def resampled(frame, rule, **how):
    """What pandas makes of it; what it refuses is its own error."""
    return frame.resample(rule, **how).agg(BARS)


ticks = st.builds(
    minutes,
    st.sampled_from(CHANGES),
    st.lists(st.integers(-40 * 3600, 60 * 3600), min_size=1, max_size=30),
    st.booleans(),
    st.integers(0, 99),
)

times = st.datetimes(datetime(2018, 1, 1), datetime(2020, 1, 1))


@example(minutes("2019-11-03", range(0, 90000, 600)), "1D", None, None, "start_day", None, NEW_YORK)
@example(minutes("2019-03-10", range(0, 90000, 600)), "4h", None, None, "start_day", None, NEW_YORK)
@repeatable
@given(
    ticks,
    st.sampled_from(RULES),
    st.sampled_from(["left", "right", None]),
    st.sampled_from(["left", "right", None]),
    st.one_of(st.sampled_from(ORIGINS), times.map(pd.Timestamp)),
    st.sampled_from([None, "17min", "-2h", pd.Timedelta("3h")]),
    st.sampled_from(ZONES),
)
def test_bars_are_what_resample_makes(frame, rule, label, closed, origin, offset, tz):
    """Any rule, edge, origin and zone, bins without ticks included."""
    tickstore = stored(frame)
    selected = tickstore.select("A", tz=tz)
    if isinstance(origin, pd.Timestamp):
        origin = origin.tz_localize(selected.index.tz, ambiguous=True, nonexistent="shift_forward")
    how = {"label": label, "closed": closed, "origin": origin, "offset": offset}
    try:
        expected = resampled(selected, rule, **how)
    except Exception:  # noqa: BLE001 - each zone library raises its own
        with pytest.raises(errors.BadRequest, match="pandas cannot cut"):
            bars(tickstore, "A", rule, tz=tz, **how)
        return
    pd.testing.assert_frame_equal(expected, bars(tickstore, "A", rule, tz=tz, **how))


@repeatable
@given(ticks, st.sampled_from(RULES), st.sampled_from(ZONES), st.data())
def test_bars_of_a_part_are_of_what_is_selected(frame, rule, tz, data):
    """A first or last bar that reaches beyond the bounds holds only the ticks between them."""
    tickstore = stored(frame)
    low, high = sorted(data.draw(st.tuples(*[st.sampled_from(list(frame.index))] * 2)))
    expected = resampled(tickstore.select("A", low, high, tz=tz), rule)
    pd.testing.assert_frame_equal(expected, bars(tickstore, "A", rule, low, high, tz=tz))


@repeatable
@given(ticks, st.sampled_from(RULES), st.sampled_from(["size", "amount", "quantity", "volume"]))
def test_bars_of_trades_are_first_max_min_last_and_sum(frame, rule, size):
    trades = frame[["open", "volume"]].set_axis(["price", size], axis=1)
    tickstore = stored(trades)
    cut = tickstore.select("A").resample(rule)
    price = cut["price"].agg(["first", "max", "min", "last"])
    expected = price.set_axis(list(BARS)[:4], axis=1).assign(volume=cut[size].sum())
    pd.testing.assert_frame_equal(expected, bars(tickstore, "A", rule))


def test_each_symbol_of_a_list_is_cut_by_itself():
    """As one after the other; one that is unknown has no bars."""
    one, two = minutes("2019-10-31", range(0, 9000, 60)), minutes("2019-11-02 03:07", [0, 99])
    tickstore = stored(two, "B", stored(one))
    many = bars(tickstore, ["B", "nobody", "A"], "1h", origin="start", tz=NEW_YORK)
    assert many.index.names == ["symbol", "time"]
    assert many.index.unique("symbol").tolist() == ["B", "A"]
    for name in ("A", "B"):
        alone = bars(tickstore, name, "1h", origin="start", tz=NEW_YORK)
        pd.testing.assert_frame_equal(alone, many.loc[name], check_freq=False)


@pytest.mark.parametrize("tz", [None, NEW_YORK])
def test_what_is_not_known_has_no_bars(tz):
    """Nothing, with the columns and the zone of bars."""
    zone = tz or "UTC"
    for symbol in ("nobody", ["nobody"], []):
        empty = bars(MemoryTickstore(), symbol, "1h", tz=tz)
        assert empty.empty
        assert list(empty.columns) == list(BARS)
        assert set(empty.dtypes) == {np.dtype("float64")}
        assert str(empty.index.get_level_values(-1).tz) == zone


def test_whole_numbers_stay_whole_where_no_bin_is_empty():
    frame = minutes("2019-10-31", range(0, 7200, 60)).fillna(0).astype("int64")
    made = bars(stored(frame), "A", "1h")
    assert set(made.dtypes) == {np.dtype("int64")}


def test_bars_are_of_what_was_known_then():
    clock_ticks = minutes("2019-10-31", range(0, 7200, 60))
    tickstore = MemoryTickstore()
    first = tickstore.insert("A", BiTimestamp(date(2019, 10, 31)), clock_ticks)
    tickstore.insert("A", BiTimestamp(date(2019, 10, 31)), clock_ticks * 2)
    then = bars(tickstore, "A", "1h", as_of_time=first.start_time)
    pd.testing.assert_frame_equal(then * 2, bars(tickstore, "A", "1h"))


def test_bars_carry_the_receipt_of_their_ticks():
    """What they were made of can be cited, and selected again."""
    tickstore = stored(minutes("2019-10-31", range(0, 7200, 60)))
    made = bars(tickstore, "A", "1h", end="2019-10-31T01:30")
    ticks = tickstore.replay(receipt(made))
    pd.testing.assert_frame_equal(resampled(ticks, "1h"), made)


def test_columns_of_any_name_can_be_named():
    """And then only these are read."""
    frame = minutes("2019-10-31", range(0, 7200, 60)).fillna(1.0)
    expected = bars(stored(frame), "A", "1h")
    renamed = frame.rename(columns=str.upper).assign(note="x")
    names = {name: name.upper() for name in BARS}
    pd.testing.assert_frame_equal(expected, bars(stored(renamed), "A", "1h", columns=names))
    del names["volume"]
    without = bars(stored(renamed), "A", "1h", columns=names)
    pd.testing.assert_frame_equal(expected.drop(columns="volume"), without)
    trades = bars(stored(frame), "A", "1h", columns={"price": "close", "size": "volume"})
    assert list(trades.columns) == list(BARS)
    pd.testing.assert_series_equal(expected["close"], trades["close"])


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (["bid", "ask"], None),
        (["price", "size", "amount"], None),
        (["price", "open", "high", "low", "close"], None),
        (["open", "high", "low"], None),
        (["price"], {"size": "price"}),
        (["price"], {"price": "price", "volume": "price"}),
        (["price"], {}),
        (["price"], ["price"]),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_way_out(columns, named):
    frame = minutes("2019-10-31", [0])
    frame = pd.DataFrame(1.0, index=frame.index, columns=columns)
    with pytest.raises(errors.BadRequest, match=r"say which is which: columns=\{'price'"):
        bars(stored(frame), "A", "1h", columns=named)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"label": "middle"}, "cannot cut bars"),
        ({"closed": "middle"}, "cannot cut bars"),
        ({"offset": "soon"}, "cannot cut bars"),
        ({"origin": "noon"}, "origin is one of epoch, start"),
        ({"origin": object()}, "origin is one of epoch, start"),
        ({"tz": "Mars/Olympus"}, "no time zone"),
        ({"end": "2019-01-01", "start": "2019-01-02"}, "before start"),
        ({"as_of_time": pd.Timestamp("2100-01-01")}, "in the future"),
        ({"symbol": ["A", "A"]}, "twice"),
    ],
)
def test_a_request_that_cannot_be_is_one_clear_error(request_, message):
    tickstore = stored(minutes("2019-10-31", [0, 7200]))
    with pytest.raises(errors.BadRequest, match=message):
        bars(**{"tickstore": tickstore, "symbol": "A", "rule": "1h"} | request_)


def test_only_a_tickstore_has_ticks():
    frame = minutes("2019-10-31", [0])
    with pytest.raises(errors.BadRequest, match="ticks come from a tickstore, not from DataFrame"):
        bars(frame, "A", "1h")


@pytest.mark.parametrize("rule", [None, "0h", "-1h", "soon", 5, ""])
def test_a_rule_that_is_no_length_says_what_one_looks_like(rule):
    """However pandas would put it."""
    with pytest.raises(errors.BadRequest, match="a length like '7min'"):
        bars(MemoryTickstore(), "A", rule)


def test_bars_of_many_symbols_carry_no_receipt_of_one():
    """Whoever reads it would take it for all."""
    table = MemoryTickstore()
    index = pd.DatetimeIndex(["2019-10-31 12:00"], name="time")
    table.insert("A", BiTimestamp(date(2019, 10, 31)), pd.DataFrame({"price": [1.0]}, index))
    assert receipt(bars(table, "A", "1h")).symbol == "A"
    with pytest.raises(errors.NotFound, match="carries no receipt"):
        receipt(bars(table, ["A", "B"], "1h"))
