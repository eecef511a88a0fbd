"""`asof_join` gives what merge_asof gives on everything, and reads only what can matter."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth import BiTimestamp, MemoryTickstore, errors
from behemoth.research import asof_join
from tests.research.tables import NEW_YORK, daily, recorded, repeatable, stored

START = pd.Timestamp("2019-10-31 12:00", tz="UTC")
HALF_HOURS = st.lists(st.integers(-150, 150), max_size=25).map(sorted)
"""Few enough places for ties, over a week of days with gaps."""
SYMBOLS = ["A", "B", "C"]


def at(places, zone="UTC"):
    """Times, so many half hours from the start."""
    times = [START + pd.Timedelta(minutes=30 * place) for place in places]
    index = pd.DatetimeIndex(times, tz="UTC", name="time").as_unit("ns")
    return index.tz_convert(zone) if zone else index.tz_localize(None)


def quotes(places):
    """Ticks of every kind of column."""
    count = np.arange(len(places))
    columns = {
        "bid": count + 0.5,
        "number": count,
        "odd": count % 2 == 1,
        "who": [f"q{n}" for n in count],
        "kind": pd.Categorical([f"k{n % 2}" for n in count], categories=["k0", "k1"]),
        "sent": pd.DatetimeIndex(count * 10**9).as_unit("ns"),
    }
    return pd.DataFrame(columns, index=at(places)).astype({"who": object})


def rows(places, zone="UTC"):
    """A left side."""
    return pd.DataFrame({"price": np.arange(len(places)) * 1.0}, index=at(places, zone))


def merged(left, right, **how):
    """What pandas gives on everything; the left index stays as it is."""
    keyed = left.set_axis(pd.DatetimeIndex(left.index).tz_convert("UTC").as_unit("ns"))
    found = pd.merge_asof(keyed, right, left_index=True, right_index=True, **how)
    return found.set_axis(left.index)


how = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["backward", "forward", "nearest"]),
        "allow_exact_matches": st.booleans(),
        "tolerance": st.sampled_from([None, pd.Timedelta(0), pd.Timedelta("1h"), "3 days"]),
    }
)


def as_pandas_takes_it(how):
    """A text is for us alone."""
    tolerance = how["tolerance"]
    return how | {"tolerance": tolerance if tolerance is None else pd.Timedelta(tolerance)}


@repeatable
@given(HALF_HOURS, HALF_HOURS.filter(bool), st.sampled_from(["UTC", NEW_YORK]), how)
def test_a_join_is_what_merge_asof_gives(left, right, zone, how):
    """Ties, duplicates, gaps, tolerances and directions; every kind of column."""
    tickstore = stored(quotes(right))
    left = rows(left, zone)
    expected = merged(left, tickstore.select("A"), **as_pandas_takes_it(how))
    pd.testing.assert_frame_equal(expected, asof_join(left, tickstore, "A", **how))


@repeatable
@given(
    st.lists(st.tuples(st.integers(-150, 150), st.sampled_from([*SYMBOLS, "?"])), max_size=25),
    st.lists(st.tuples(st.integers(-150, 150), st.sampled_from(SYMBOLS)), min_size=1, max_size=25),
    how,
    st.sampled_from([object, "category"]),
)
def test_a_join_by_symbol_is_what_merge_asof_gives(left, right, how, kind):
    """Each row finds ticks of its own symbol; one that is not asked for finds nothing."""
    left, right = sorted(left), sorted(right)
    tickstore = MemoryTickstore()
    for symbol in {symbol for _, symbol in right}:
        stored(quotes([place for place, name in right if name == symbol]), symbol, tickstore)
    left = rows([place for place, _ in left]).assign(symbol=[name for _, name in left])
    whole = tickstore.select(SYMBOLS).reset_index("symbol").sort_index(kind="stable")
    by = {"left_by": "symbol", "right_by": "symbol"}
    both = [frame.astype({"symbol": object}) for frame in (left, whole)]
    expected = merged(*both, **by, **as_pandas_takes_it(how))
    left = left.astype({"symbol": kind})
    expected = expected.astype({"symbol": left["symbol"].dtype})
    pd.testing.assert_frame_equal(
        expected, asof_join(left, tickstore, SYMBOLS, by="symbol", **how), check_categorical=False
    )


def test_only_files_that_can_matter_are_read():
    """Without a tolerance the last tick before the first row matters: one file more, no other."""
    tickstore, store = recorded(daily(days=10))
    noon = pd.Timestamp("2019-10-06 12:00")
    left = pd.DataFrame({"a": [1, 2]}, index=[noon, noon + pd.Timedelta(hours=1)])
    assert asof_join(left, tickstore, "A")["price"].tolist() == [11.0, 11.0]
    assert store.dates() == ["2019/10/06"]
    left.index -= pd.Timedelta(hours=12)  # midnight: the last tick is of the day before
    assert asof_join(left, tickstore, "A")["price"].tolist() == [9.0, 10.0]
    assert store.dates() == ["2019/10/05", "2019/10/06"]
    asof_join(left, tickstore, "A", tolerance="1h")
    assert store.dates() == ["2019/10/06"]
    asof_join(left, tickstore, "A", tolerance="1h", allow_exact_matches=False)
    assert store.dates() == ["2019/10/06"]
    asof_join(left, tickstore, "A", direction="forward")
    assert store.dates() == ["2019/10/06"]
    asof_join(left, tickstore, "A", direction="nearest")
    assert store.dates() == ["2019/10/05", "2019/10/06"]


def test_a_tick_of_long_ago_is_found_without_what_lies_around():
    """A year without ticks costs nothing, and neither do the days after the last row."""
    ticks = pd.concat([daily("2018-05-03", 3), daily("2019-10-30", 3)])
    tickstore, store = recorded(ticks)
    left = pd.DataFrame({"a": [1]}, index=[pd.Timestamp("2019-01-01")])
    assert asof_join(left, tickstore, "A", time="at")["at"].tolist() == [ticks.index[5]]
    assert store.dates() == ["2018/05/05"]
    asof_join(left, tickstore, "A", direction="forward")
    assert store.dates() == ["2019/10/30"]


def test_each_symbol_reads_its_own_span():
    """One that was delisted years ago does not make the others be read since then."""
    tickstore, store = recorded(daily(days=10), "ALIVE")
    stored(daily("2016-01-01", 2), "GONE", tickstore)
    noon = pd.Timestamp("2019-10-09 12:00")
    left = pd.DataFrame({"symbol": ["ALIVE", "GONE"]}, index=[noon, noon])
    found = asof_join(left, tickstore, ["ALIVE", "GONE"], by="symbol")
    assert found["price"].tolist() == [17.0, 3.0]
    assert sorted(store.dates()) == ["2016/01/02", "2019/10/09"]


def test_nothing_is_seen_that_was_not_known():
    """As of before a correction the join is as it was then."""
    day, tickstore = BiTimestamp(date(2019, 10, 1)), MemoryTickstore()
    first = tickstore.insert("A", day, daily(days=1))
    tickstore.insert("A", day, daily(days=1) + 100)
    left = pd.DataFrame({"a": [1]}, index=[pd.Timestamp("2019-10-05")])
    assert asof_join(left, tickstore, "A")["price"].tolist() == [101.0]
    then = asof_join(left, tickstore, "A", as_of_time=first.start_time)
    assert then["price"].tolist() == [1.0]


def test_the_times_of_the_left_side_may_be_a_column():
    """And its index, whatever it is, comes back."""
    tickstore = stored(daily())
    left = pd.DataFrame(
        {"when": pd.to_datetime(["2019-10-02 01:00", "2019-10-02 02:00"])}, index=[7, 5]
    )
    found = asof_join(left, tickstore, "A", on="when", prefix="tick_", time="seen")
    assert found.index.tolist() == [7, 5]
    assert list(found.columns) == ["when", "tick_price", "seen"]
    assert found["tick_price"].tolist() == [2.0, 3.0]
    assert found["seen"].dt.tz_localize(None).tolist() == left["when"].tolist()


def test_columns_choose_what_is_joined():
    tickstore = stored(quotes([0, 1]))
    found = asof_join(rows([2]), tickstore, "A", columns=["who", "bid"])
    assert found.iloc[0].to_dict() == {"price": 0.0, "who": "q1", "bid": 1.5}


def test_a_joined_frame_carries_no_receipt():
    """It is of two sources, and a receipt names one."""
    tickstore = stored(quotes([0, 1]))
    left = tickstore.select("A", columns=["bid"])
    assert left.attrs
    assert asof_join(left, tickstore, "A", prefix="again_").attrs == {}


@pytest.mark.parametrize("symbol", ["nobody", "A"])
def test_where_nothing_is_known_nothing_is_found(symbol):
    """Of a symbol that is known the columns come, empty."""
    tickstore = stored(daily())
    early = pd.DataFrame({"a": [1]}, index=[pd.Timestamp("2018-01-01")])
    found = asof_join(early, tickstore, symbol)
    assert found["a"].tolist() == [1]
    assert found.drop(columns="a").isna().all(axis=None)
    assert list(found.columns) == (["a", "price"] if symbol == "A" else ["a"])
    assert asof_join(early.iloc[:0], tickstore, symbol).empty


def test_symbols_may_differ_in_their_columns_and_in_naivety():
    """Their union, as pandas.concat makes it; times become UTC."""
    tickstore = stored(daily().rename(columns={"price": "bid"}), "B")
    stored(daily().tz_localize(None), "A", tickstore)
    noon = pd.Timestamp("2019-10-02 12:00")
    left = pd.DataFrame({"who": ["A", "B"]}, index=[noon, noon])
    found = asof_join(left, tickstore, ["B", "A"], by="who", time="at")
    assert found[["bid", "price"]].to_numpy().tolist()[0][1] == 3.0
    assert found[["bid", "price"]].isna().to_numpy().tolist() == [[True, False], [False, True]]
    assert str(found["at"].dt.tz) == "UTC"


UNSORTED = rows([0, 1]).iloc[::-1]


@pytest.mark.parametrize(
    ("left", "words", "message"),
    [
        ([1], {}, "left is a DataFrame, not list"),
        (UNSORTED, {}, r"not sorted; say left.sort_index\(\)"),
        (rows([0]).reset_index(drop=True), {}, r"int64, not datetime64; say pd.to_datetime\("),
        (rows([0]), {"on": "when"}, "no column 'when'; it has 'price'"),
        (rows([0]).set_index([["A"], at([0])]), {}, r"say left.reset_index\('symbol'\)"),
        (rows([0]).set_axis(pd.DatetimeIndex([pd.NaT])), {}, "has NaT; drop these rows"),
        (rows([0]), {"symbol": ["A"]}, "for a list of symbols say by="),
        (rows([0]), {"by": "price"}, r"by= joins a list of symbols; write \['A'\]"),
        (rows([0]), {"by": "who", "symbol": ["A"]}, "no column 'who'"),
        (rows([0]), {"by": "price", "symbol": []}, "no symbol was named"),
        (rows([0]), {"by": "price", "symbol": ["A", "A"]}, "twice"),
        (rows([0]), {}, "'price' would come twice; say prefix="),
        (rows([0]), {"time": "price", "prefix": "a_"}, "'price' would come twice; name it"),
        (rows([0]), {"direction": "sideways"}, "direction is 'backward' or"),
        (rows([0]), {"tolerance": "soon"}, "tolerance is a Timedelta"),
        (rows([0]), {"tolerance": pd.NaT}, "tolerance is a Timedelta"),
        (rows([0]), {"tolerance": "-1s"}, "tolerance is a Timedelta from 0 on"),
        (rows([0]), {"as_of_time": "2100-01-01T00:00"}, "in the future"),
    ],
)
def test_a_join_that_cannot_be_is_refused_with_the_way_out(left, words, message):
    tickstore = stored(daily())
    with pytest.raises(errors.BadRequest, match=message):
        asof_join(**{"left": left, "tickstore": tickstore, "symbol": "A"} | words)


def test_an_unknown_column_is_not_found():
    with pytest.raises(errors.NotFound, match="never had a column 'nope'"):
        asof_join(rows([0]), stored(daily()), "A", columns=["nope"])
