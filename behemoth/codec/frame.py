"""Between pandas and `Ticks`: what of a frame can be kept exactly, and what is refused.

Changed by keeping, and nothing else: ticks are sorted stably by time, times become nanoseconds
UTC, an index's ``freq``, a name of the columns' axis and ``attrs`` are dropped, numbers are in the
machine's byte order, strings come back in this pandas' default type with NaN where one is missing.

Does not know about files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from behemoth.codec.ticks import PLAIN_DTYPES, Array, Column, Ticks
from behemoth.errors import BadFrame

TEXT_DTYPE = (
    pd.StringDtype(na_value=np.nan) if int(pd.__version__.split(".")[0]) >= 3 else np.dtype(object)
)
"""What this pandas gives a column of strings by default."""


def dismantle(frame: pd.DataFrame, time_name: str) -> Ticks:
    """Take a frame apart.

    Parameters
    ----------
    frame
        Ticks, with a ``DatetimeIndex`` or with a datetime column called `time_name`. A naive time
        is UTC. Columns: numbers, booleans, datetimes, timedeltas, strings, categories of strings.
    time_name
        The name of the time index.

    Raises
    ------
    BadFrame
        When something would not come back exactly; names the column and the way out.
    """
    if not isinstance(frame, pd.DataFrame):
        raise BadFrame(f"ticks are a pandas DataFrame, not {type(frame).__name__}")
    _check_names(frame.columns)
    index, frame = _time_index(frame, time_name)
    times = _nanoseconds(index, f"the time index {time_name!r}")
    if np.any(times == pd.NaT.value):
        raise BadFrame(f"the time index {time_name!r} has missing times (NaT); drop those rows")
    if np.any(times[1:] < times[:-1]):
        order = np.argsort(times, kind="stable")
        times, frame = times[order], frame.take(order)
    columns = tuple(_column(name, frame[name]) for name in frame.columns)
    return Ticks(times, columns, time_name, aware=index.tz is not None)


def _check_names(columns: pd.Index[Any]) -> None:
    if isinstance(columns, pd.MultiIndex):
        raise BadFrame("columns are one level of names; flatten the MultiIndex of columns first")
    for name in columns:
        if not isinstance(name, str):
            raise BadFrame(f"column names are text, not {name!r}; rename it to {str(name)!r}")
        if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise BadFrame(f"column {name!r} has a NUL or a lone surrogate in its name; rename it")
    if not columns.is_unique:
        twice = columns[columns.duplicated()][0]
        raise BadFrame(f"column {twice!r} is there more than once; rename one of them")


def _time_index(frame: pd.DataFrame, time_name: str) -> tuple[pd.DatetimeIndex, pd.DataFrame]:
    """Find the times: the column of that name, or the index."""
    if time_name in frame.columns:
        if not isinstance(frame.index, pd.RangeIndex):
            raise BadFrame(
                f"{time_name!r} is a column, and the index holds something too; keep that with "
                "reset_index(), or drop it with reset_index(drop=True)"
            )
        column = frame[time_name]
        if not pd.api.types.is_datetime64_any_dtype(column.dtype):
            raise BadFrame(
                f"the time column {time_name!r} is {column.dtype}, not datetime64; "
                "convert it with pandas.to_datetime"
            )
        return pd.DatetimeIndex(column), frame.drop(columns=time_name)
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        raise BadFrame(
            f"there is no column {time_name!r}, and the index is a {type(index).__name__} of "
            f"{index.dtype}, not a DatetimeIndex; convert it with pandas.to_datetime"
        )
    if index.name not in (None, time_name):
        raise BadFrame(
            f"the time index is called {index.name!r}, and this table's is {time_name!r}; "
            f"rename it with rename_axis({time_name!r})"
        )
    return index, frame


def _nanoseconds(index: pd.DatetimeIndex | pd.TimedeltaIndex, what: str) -> Array:
    try:
        return cast("Array", index.as_unit("ns").asi8)
    except (pd.errors.OutOfBoundsDatetime, pd.errors.OutOfBoundsTimedelta) as error:
        raise BadFrame(
            f"{what} has a time beyond what nanoseconds can say (years 1677 to 2262)"
        ) from error


def _column(name: str, series: pd.Series[Any]) -> Column:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _category(name, cast("pd.Categorical", series.array), dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        tz = str(dtype.tz)
        if not _is_named(dtype, tz):
            raise _refused(name, dtype, "convert it with dt.tz_convert('UTC')")
        values = _nanoseconds(pd.DatetimeIndex(series), f"column {name!r}")
        return Column(name, "datetime", values, unit=dtype.unit, tz=tz)
    if isinstance(dtype, pd.StringDtype):
        if dtype.na_value is pd.NA:
            raise _refused(name, dtype, "convert it with astype(object)")
        return _text(name, series.to_numpy(dtype=object))
    if isinstance(dtype, np.dtype):
        if dtype.kind == "M":
            times = pd.DatetimeIndex(series)
            values = _nanoseconds(times, f"column {name!r}")
            return Column(name, "datetime", values, unit=times.unit)
        if dtype.kind == "m":
            spans = pd.TimedeltaIndex(series)
            values = _nanoseconds(spans, f"column {name!r}")
            return Column(name, "timedelta", values, unit=spans.unit)
        if dtype.name in PLAIN_DTYPES:
            native = series.to_numpy().astype(dtype.newbyteorder("="), copy=False)
            return Column(name, "plain", np.ascontiguousarray(native))
        if dtype.kind == "O":
            return _text(name, series.to_numpy())
        way_out = "split it into real and imaginary part" if dtype.kind == "c" else "use float64"
        raise _refused(name, dtype, way_out)
    raise _refused(name, dtype, _way_out(dtype))


def _is_named(dtype: pd.DatetimeTZDtype, name: str) -> bool:
    """Tell whether a zone can be found again by its name."""
    try:
        return bool(pd.DatetimeTZDtype(dtype.unit, name) == dtype)
    except (TypeError, ValueError, LookupError):
        return False


def _way_out(dtype: object) -> str:
    if isinstance(dtype, pd.PeriodDtype):
        return "convert it with dt.to_timestamp()"
    if isinstance(dtype, pd.IntervalDtype):
        return "keep its left and its right ends as two columns"
    if isinstance(dtype, pd.SparseDtype):
        return "convert it with sparse.to_dense()"
    plain = getattr(dtype, "numpy_dtype", np.dtype(object))
    lossy = ", or with astype('float64') where values are missing" if plain.kind in "iub" else ""
    return f"convert it with astype({plain.name!r}){lossy}"


def _refused(name: str, dtype: object, way_out: str) -> BadFrame:
    return BadFrame(f"column {name!r} of {dtype} would not come back exactly; {way_out}")


def _text(name: str, values: Array) -> Column:
    place: dict[str, int] = {}  # pandas' factorize takes two strings with lone surrogates for one
    codes = np.full(len(values), -1, dtype=np.int64)
    for number, value in enumerate(values):
        if isinstance(value, str):
            codes[number] = place.setdefault(str.__str__(value), len(place))
        elif not _is_missing_text(value):
            kind = type(value).__name__
            way_out = {
                "Decimal": "use float64, or integers with a scale of your own",
                "bytes": "decode it to text",
            }.get(kind, "give the column one type that numpy knows, or convert it to text")
            raise BadFrame(f"column {name!r} holds {kind} objects, such as {value!r}; {way_out}")
    return Column(name, "text", _narrow(codes, len(place)), categories=tuple(place))


def _is_missing_text(value: object) -> bool:
    """Tell None, NaN and NA, which stand for a missing string, from NaT and a Decimal's NaN."""
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _category(name: str, values: pd.Categorical, dtype: pd.CategoricalDtype) -> Column:
    for category in dtype.categories:
        if not isinstance(category, str):
            raise BadFrame(
                f"column {name!r} has categories that are not text, such as {category!r}; "
                "keep its values instead, with astype(...)"
            )
    return Column(
        name,
        "category",
        _narrow(np.asarray(values.codes), len(dtype.categories)),
        categories=tuple(map(str.__str__, dtype.categories)),
        ordered=bool(dtype.ordered),
    )


def _narrow(codes: Array, count: int) -> Array:
    """Keep codes in the smallest integers that hold them."""
    return codes.astype(np.min_scalar_type(-max(1, count)))


def to_frame(ticks: Ticks, tz: str | None = None) -> pd.DataFrame:
    """Put a frame together.

    Parameters
    ----------
    ticks
        What it holds.
    tz
        Convert the index to this time zone; by default it stays UTC, or naive if it came so.

    Returns
    -------
    pandas.DataFrame
        Index: the times, datetime64[ns]. Columns: as they were inserted.
    """
    data: Any = _one_block(ticks)
    if data is None:
        data = {column.name: _values(column) for column in ticks.columns}
    names = pd.Index(ticks.names, dtype=TEXT_DTYPE)
    return pd.DataFrame(data, index=time_index(ticks, tz), columns=names, copy=False)


def _one_block(ticks: Ticks) -> Array | None:
    """Give all values as one array of (rows, columns), where they lie so in memory already."""
    block = ticks.columns[0].values.base if ticks.columns else None
    if (
        not isinstance(block, np.ndarray)
        or block.shape != (len(ticks.columns), len(ticks))
        or not block.flags.c_contiguous
    ):
        return None
    start, step = block.__array_interface__["data"][0], block.strides[0]
    for number, column in enumerate(ticks.columns):
        if (
            column.kind != "plain"
            or column.values.base is not block
            or column.values.__array_interface__["data"][0] != start + number * step
        ):
            return None
    whole: Array = block.T
    return whole


def time_index(ticks: Ticks, tz: str | None = None) -> pd.DatetimeIndex:
    """Make the time index of a frame."""
    if ticks.aware or tz is not None:
        utc = pd.DatetimeTZDtype("ns", "UTC")
        index = pd.DatetimeIndex(ticks.times, dtype=utc, name=ticks.time_name, copy=False)
    else:
        index = pd.DatetimeIndex(ticks.times.view("M8[ns]"), name=ticks.time_name, copy=False)
    return index if tz is None else index.tz_convert(tz)


def to_stacked_frame(
    symbols: Sequence[str], parts: Sequence[Ticks], whole: Ticks, tz: str | None = None
) -> pd.DataFrame:
    """Put one frame together for several symbols.

    Parameters
    ----------
    symbols, parts
        The symbols and the ticks of each.
    whole
        The ticks of all parts, one after the other.

    Returns
    -------
    pandas.DataFrame
        Index: MultiIndex of ``symbol`` and the times. Columns: the union.
    """
    frame = to_frame(whole, tz)
    names = np.array(symbols, dtype=object)
    level = _texts(np.repeat(names, [len(part) for part in parts]))
    frame.index = pd.MultiIndex.from_arrays([level, frame.index], names=["symbol", whole.time_name])
    return frame


def _values(column: Column) -> Any:
    match column.kind:
        case "plain":
            return column.values
        case "datetime":
            index = pd.DatetimeIndex(column.values.view("M8[ns]"))
            if column.tz is not None:
                index = index.tz_localize("UTC").tz_convert(column.tz)
            return index.as_unit(column.unit or "ns").array
        case "timedelta":
            spans = pd.TimedeltaIndex(column.values.view("m8[ns]"))
            return spans.as_unit(column.unit or "ns").array
        case "category":
            categories: pd.Index[Any] = pd.Index(_texts(np.array(column.categories, dtype=object)))
            return pd.Categorical.from_codes(
                column.values.astype(np.intp), categories=categories, ordered=column.ordered
            )
    return _texts(np.array([*(column.categories or ()), np.nan], dtype=object)[column.values])


def _texts(values: Array) -> Any:
    if isinstance(TEXT_DTYPE, np.dtype):
        return values
    try:
        return pd.array(values, dtype=TEXT_DTYPE)
    except UnicodeEncodeError:  # arrow-backed strings cannot hold a lone surrogate
        return pd.array(values, dtype=pd.StringDtype("python", na_value=np.nan))
