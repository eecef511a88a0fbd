"""Frames of every kind that can be kept, and what it means that two are the same."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

from behemoth.codec import (
    TEXT_DTYPE,
    Promise,
    Splay,
    Ticks,
    dismantle,
    read_page,
    read_splay,
    to_frame,
    write_splay,
)
from behemoth.codec.ticks import PLAIN_DTYPES, UNITS

repeatable = settings(derandomize=True, deadline=None)
"""The same examples in every run, however slow the machine."""

SYMBOL = "BTC-USD"
DATE = dt.date(2019, 10, 31)
WRITTEN_AT = dt.datetime(2019, 11, 1, tzinfo=dt.UTC)
PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
LIMIT = 2**63 - 2
NAT = -(2**63)
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "UTC+05:30")


def written(ticks: Ticks) -> Splay:
    """Make the splay file of ticks."""
    return write_splay(ticks, SYMBOL, DATE, WRITTEN_AT)


def promise_of(splay: Splay) -> Promise:
    """Give what the index would say of a splay."""
    return Promise(SYMBOL, DATE, splay.rows, splay.size, splay.digest)


def reread(splay: Splay, columns: Sequence[str] | None = None) -> Ticks:
    """Read a splay as the index promises it."""
    return read_splay(splay.data, promise_of(splay), "a.h5", columns)


def kept(frame: pd.DataFrame, time_name: str = "time") -> pd.DataFrame:
    """Take a frame through a file and back."""
    return to_frame(reread(written(dismantle(frame, time_name))))


def times(n: int, **options) -> pd.DatetimeIndex:
    """Make an index of n minutes."""
    index = pd.date_range("2019-10-31", periods=n, freq="min", name="time", **options)
    return pd.DatetimeIndex(index.as_unit("ns"), freq=None)


def _instants(n, unit):
    limit = LIMIT // PER_UNIT[unit]
    instant = st.just(NAT) | st.integers(-limit, limit)
    return st.lists(instant, min_size=n, max_size=n).map(lambda v: np.array(v, dtype=np.int64))


@st.composite
def plain_columns(draw, n, dtype=None):
    """Draw numbers of any bits, or booleans."""
    dtype = np.dtype(dtype or draw(st.sampled_from(sorted(PLAIN_DTYPES))))
    bits = draw(st.binary(min_size=n * dtype.itemsize, max_size=n * dtype.itemsize))
    if dtype.kind == "b":
        bits = bytes(byte & 1 for byte in bits)
    return np.frombuffer(bits, dtype=dtype).copy()


@st.composite
def datetime_columns(draw, n):
    """Draw naive datetimes of any unit, some NaT."""
    unit = draw(st.sampled_from(UNITS))
    return draw(_instants(n, unit)).view(f"M8[{unit}]")


@st.composite
def timedelta_columns(draw, n):
    """Draw timedeltas of any unit, some NaT."""
    unit = draw(st.sampled_from(UNITS))
    return draw(_instants(n, unit)).view(f"m8[{unit}]")


@st.composite
def aware_columns(draw, n):
    """Draw datetimes in a time zone."""
    index = pd.DatetimeIndex(draw(datetime_columns(n)))
    return index.tz_localize("UTC").tz_convert(draw(st.sampled_from(ZONES))).array


words = st.text(st.characters(), max_size=6) | st.sampled_from(
    ["", "nan", "\0", "a\0", "é", "😀", "\ud800", "\udfff\ud800"]
)


@st.composite
def text_columns(draw, n):
    """Draw strings, any of them missing."""
    values = draw(st.lists(st.none() | words, min_size=n, max_size=n))
    if isinstance(TEXT_DTYPE, np.dtype) or draw(st.booleans()):
        return np.array(values, dtype=object)
    return pd.array(values, dtype=pd.StringDtype("python", na_value=np.nan))


@st.composite
def category_columns(draw, n):
    """Draw categories of strings, used or not, ordered or not."""
    categories = draw(st.lists(words, unique=True, max_size=5))
    code = st.integers(-1, len(categories) - 1)
    codes = draw(st.lists(code, min_size=n, max_size=n))
    return pd.Categorical.from_codes(
        np.array(codes, dtype=np.int8),
        categories=pd.Index(categories, dtype=object),
        ordered=draw(st.booleans()),
    )


def names_without(*excluded):
    """Draw legal names of columns."""
    letters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
    return (st.text(letters, max_size=5) | st.sampled_from(["nan", "", "é"])).filter(
        lambda name: name not in {"time", *excluded}
    )


every_column = (
    plain_columns,
    datetime_columns,
    timedelta_columns,
    aware_columns,
    text_columns,
    category_columns,
)


@st.composite
def frames(draw, columns=every_column, names=None, max_rows=9):
    """Draw frames: naive or aware times, in any order, some of them equal."""
    n = draw(st.integers(0, max_rows))
    instant = st.integers(-LIMIT, LIMIT) | st.integers(0, 3)
    index = pd.DatetimeIndex(
        np.array(draw(st.lists(instant, min_size=n, max_size=n)), dtype=np.int64).view("M8[ns]"),
        name=draw(st.sampled_from(["time", None])),
    )
    if draw(st.booleans()):
        index = index.tz_localize("UTC")
    labels = draw(st.lists(names_without() if names is None else names, unique=True, max_size=5))
    drawn = {label: draw(draw(st.sampled_from(columns))(n)) for label in labels}
    data = {
        label: pd.Series(values, index, dtype=values.dtype)  # told, or pandas 3 guesses at text
        for label, values in drawn.items()
    }
    return pd.DataFrame(data, index=index, columns=pd.Index(labels, dtype=TEXT_DTYPE))


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort a frame stably by its index, as is stated."""
    return frame.iloc[np.argsort(frame.index.asi8, kind="stable")]


def bits(values) -> object:
    """Give what must be equal where two columns or indexes are the same."""
    array = values.array
    if isinstance(array.dtype, pd.CategoricalDtype):
        return (list(array.categories), array.ordered, array.codes.tolist())
    if array.dtype.kind in "Mm":
        return (str(array.dtype), array.asi8.tobytes())
    if array.dtype.kind == "O":
        return [None if pd.isna(text) else text for text in array]
    return (array.dtype.name, array.to_numpy().tobytes())


def assert_same(expected: pd.DataFrame, actual: pd.DataFrame, time_name: str = "time") -> None:
    """Assert that two frames hold the same, bit by bit."""
    assert list(expected.columns) == list(actual.columns)
    assert actual.index.name == time_name
    assert bits(expected.index) == bits(actual.index)
    for name in expected.columns:
        assert bits(expected[name]) == bits(actual[name]), name


def revisions(n):
    """Make a frame as the index keeps it."""
    days = pd.DatetimeIndex(np.repeat(times(n).normalize() + pd.to_timedelta(np.arange(n), "D"), 2))
    index = pd.MultiIndex.from_arrays(
        [
            np.array(["BTC-USD"] * (2 * n), dtype=object),
            days.as_unit("ns"),
            np.tile(np.array([0, 7]), n),
        ],
        names=["symbol", "date", "version"],
    )
    index = index.set_levels(index.levels[0].astype(TEXT_DTYPE), level=0)
    data = {
        "start": np.arange(2 * n) * 10**15,
        "share": np.linspace(0, 1, 2 * n),
        "kind": np.zeros(2 * n, dtype=np.int8),
        "aware": np.arange(2 * n) % 2 == 0,
        "digest0": np.random.default_rng(0).integers(0, 2**64, size=2 * n, dtype=np.uint64),
    }
    return pd.DataFrame(data, index=index)


def read_checkpoint(data: bytes, name: str) -> pd.DataFrame:
    """Make the frame that `write_checkpoint` was given of what `read_page` gives."""
    page = read_page(data, name)
    levels = [
        pd.Index(page.symbols, dtype=TEXT_DTYPE),
        pd.DatetimeIndex(page.dates.view("M8[ns]")),
        pd.Index(page.versions),
    ]
    names = ["symbol", "date", "version"]
    index = pd.MultiIndex(levels=levels, codes=list(page.codes), names=names)
    columns = pd.Index(list(page.columns), dtype=TEXT_DTYPE)
    frame = pd.DataFrame(page.columns, columns=columns, index=pd.RangeIndex(len(index)))
    return frame.set_axis(index)
