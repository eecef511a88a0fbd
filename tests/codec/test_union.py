import numpy as np
import pandas as pd
import pytest

from behemoth.codec import TEXT_DTYPE, concatenate, dismantle, to_frame
from behemoth.errors import BadRequest
from tests.codec.strategies import assert_same, times


def day(number, index=None, **columns):
    n = len(next(iter(columns.values()))) if columns else 2
    index = times(n) + pd.Timedelta(days=number) if index is None else index
    return dismantle(pd.DataFrame(columns, index=index), "time")


def joined(*parts, **options):
    return to_frame(concatenate(parts, **options))


def test_columns_are_united_in_the_order_of_their_appearance():
    """The first day's columns come first, then those that are new."""
    frame = joined(day(0, b=[1.0], a=[2.0]), day(1, c=[3.0], a=[4.0]))
    assert list(frame.columns) == ["b", "a", "c"]
    np.testing.assert_array_equal(frame, [[1, 2, np.nan], [np.nan, 4, 3]])


def test_one_part_is_given_as_it_is():
    """A single day needs no joining."""
    part = day(0, x=[1.0])
    assert concatenate([part]) is part


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("int8", "int16", "int16"),
        ("int8", "uint8", "int16"),
        ("int32", "float32", "float64"),
        ("bool", "int8", "int8"),
        ("float16", "float32", "float32"),
        ("int64", "uint64", "float64"),
    ],
)
def test_numbers_are_promoted_as_numpy_does(first, second, together):
    """Days of different number types meet in the type that numpy gives."""
    frame = joined(day(0, x=np.array([1], first)), day(1, x=np.array([1], second)))
    assert frame["x"].dtype == together
    assert frame["x"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("dtype", "together"),
    [("int64", "float64"), ("bool", "float64"), ("float32", "float32"), ("float16", "float16")],
)
def test_absent_numbers_are_nan(dtype, together):
    """A day without the column has NaN; whole numbers and booleans become float64 for that."""
    frame = joined(day(0, y=[1.0]), day(1, x=np.array([1], dtype)))
    assert frame["x"].dtype == together
    assert frame["x"].isna().tolist() == [True, False]


def test_an_empty_day_makes_no_column_float():
    """Where no row lacks the column, its type stays."""
    nothing = dismantle(pd.DataFrame(index=times(0)), "time")
    assert joined(nothing, day(1, x=[1, 2]))["x"].dtype == "int64"


def test_absent_times_are_nat():
    """A day without a datetime or timedelta column has NaT, and the finer unit wins."""
    seconds = {"d": np.array([1], "M8[s]"), "t": np.array([1], "m8[ms]")}
    micros = {"d": np.array([1], "M8[us]"), "t": np.array([1], "m8[s]")}
    frame = joined(day(0, **seconds), day(1, y=[1.0]), day(2, **micros))
    assert frame["d"].dtype == "M8[us]"
    assert frame["t"].dtype == "m8[ms]"
    assert frame["d"].isna().tolist() == frame["t"].isna().tolist() == [False, True, False]
    assert frame["d"].iloc[0] == pd.Timestamp(1, unit="s")


def test_time_zones_that_differ_meet_in_utc():
    """One zone stays; two become UTC, the instants being the same."""
    index = pd.DatetimeIndex(["2020-06-01"])
    here, there = (index.tz_localize("UTC").tz_convert(tz) for tz in ("Asia/Kolkata", "Asia/Tokyo"))
    frame = joined(day(0, d=here), day(1, d=there))
    assert str(frame["d"].dt.tz) == "UTC"
    assert frame["d"].nunique() == 1
    assert str(joined(day(0, d=here), day(1, d=here))["d"].dt.tz) == "Asia/Kolkata"


def test_absent_texts_are_missing():
    """A day without a text column has missing strings."""
    frame = joined(day(0, t=["a", "b"]), day(1, y=[1.0]), day(2, t=["b", None, "c"]))
    assert frame["t"].dtype == TEXT_DTYPE
    assert frame["t"].fillna("-").tolist() == ["a", "b", "-", "b", "-", "c"]


def category(values, categories, ordered=False):
    return pd.Categorical(values, pd.Index(categories, dtype=TEXT_DTYPE), ordered=ordered)


def test_unordered_categories_are_united():
    """Categories without an order meet in the union of the categories."""
    frame = joined(day(0, c=category(["a"], ["b", "a"])), day(1, c=category(["d"], ["d", "a"])))
    assert list(frame["c"].cat.categories) == ["b", "a", "d"]
    assert frame["c"].tolist() == ["a", "d"]


def test_the_same_ordered_categories_stay():
    """Ordered categories that are the same stay ordered, missing where absent."""
    part = {"c": category(["b", None], ["b", "a"], ordered=True)}
    frame = joined(day(0, **part), day(1, y=[1.0]), day(2, **part))
    assert frame["c"].cat.ordered
    assert frame["c"].isna().tolist() == [False, True, True, False, True]


def test_ordered_categories_that_differ_become_text():
    """Two orders have no union."""
    frame = joined(
        day(0, c=category(["a"], ["a", "b"], ordered=True)),
        day(1, c=category(["b"], ["b", "a"], ordered=True)),
    )
    assert frame["c"].dtype == TEXT_DTYPE
    assert frame["c"].tolist() == ["a", "b"]


def test_text_and_category_become_text():
    """What is text on one day is text on all."""
    frame = joined(day(0, c=category(["a"], ["a"])), day(1, c=["b"]))
    assert frame["c"].dtype == TEXT_DTYPE
    assert frame["c"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1.0], ["a"]),
        ([1.0], times(1)),
        (times(1), ["a"]),
        (times(1), np.array([1], "m8[ns]")),
        (times(1), times(1, tz="UTC")),
    ],
)
def test_types_without_a_union_are_refused(first, second):
    """The message names the column and both its types."""
    with pytest.raises(BadRequest, match=r"column 'x' cannot be joined .* it is .*, .*columns="):
        joined(day(0, x=first), day(1, x=second))


def test_rows_are_sorted_stably_by_time():
    """Days that overlap are merged; ticks of equal times stay in the order of the parts."""
    index = times(2)
    frame = joined(day(0, index, n=[0, 1]), day(0, index, n=[2, 3]))
    assert frame["n"].tolist() == [0, 2, 1, 3]
    assert joined(day(0, index, n=[0, 1]), day(0, index, n=[2, 3]), sort=False)["n"].tolist() == [
        *range(4)
    ]


def test_naive_and_aware_times_do_not_mix():
    """Ticks with and without a time zone are not joined."""
    with pytest.raises(BadRequest, match="time zone"):
        joined(day(0, times(1), x=[1.0]), day(1, times(1, tz="UTC"), x=[1.0]))


def test_strict_accepts_days_that_are_alike():
    """Days of the same columns and types join as ever."""
    parts = [day(0, x=[1.0], t=["a"]), day(1, x=[2.0], t=["b"])]
    assert_same(joined(*parts), joined(*parts, schema="strict"))


@pytest.mark.parametrize(
    ("other", "names"),
    [
        ({"x": [1], "t": ["a"]}, "x: float64, x: int64"),
        ({"x": [1.0]}, "t: text"),
        ({"x": [1.0], "t": ["a"], "z": [1.0]}, "z: float64"),
        ({"t": ["a"], "x": [1.0]}, "their order"),
    ],
)
def test_strict_refuses_days_that_differ(other, names):
    """The message says which columns differ."""
    with pytest.raises(BadRequest, match=f"columns differ between days .{names}.;.*strict"):
        joined(day(0, x=[1.0], t=["a"]), day(1, **other), schema="strict")
