"""`Ticks` as an Arrow table, and as a polars frame by way of it, without a detour over pandas.

Numbers and times are not copied. ``table.to_pandas()`` gives the frame that `to_frame` gives, bit
by bit. pyarrow and polars are imported here alone, when they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from behemoth.codec.frame import to_frame, to_stacked_frame
from behemoth.codec.ticks import Array, Column, Ticks
from behemoth.errors import BadRequest, EnvironmentFailed

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

NAT = np.iinfo(np.int64).min
PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds."""

RECEIPT = "behemoth"
"""Key of the receipt: in the attrs of a frame, and in the metadata of an Arrow schema."""


def to_arrow(
    ticks: Ticks,
    tz: str | None = None,
    symbols: Sequence[tuple[str, int]] | None = None,
    receipt: Mapping[str, Any] | None = None,
) -> pa.Table:
    """Put an Arrow table together.

    Parameters
    ----------
    ticks
        What it holds.
    tz
        Show the times in this time zone; by default they stay UTC, or naive if they came so.
    symbols
        For the ticks of several symbols, one after the other: each name and how many are its.
    receipt
        For the schema's metadata, ready for JSON.

    Returns
    -------
    pyarrow.Table
        Columns: ``symbol`` (large_string) where there are `symbols`; the times, timestamp[ns] and
        the zone; the columns as they were inserted. A NaN stays NaN; null is a missing text or
        category, or NaT. Texts are large_string, categories dictionaries of it. In the
        schema's metadata ``behemoth`` is the receipt as JSON.

    Raises
    ------
    BadRequest
        When a text has a lone surrogate, which Arrow cannot hold, or a name is there twice.
    EnvironmentFailed
        When pyarrow is not installed.
    """
    pa = import_pyarrow()
    names, arrays = [ticks.time_name, *ticks.names], [_times(pa, ticks, tz)]
    arrays += [_array(pa, column) for column in ticks.columns]
    if symbols is not None:
        texts = tuple(name for name, _ in symbols)
        codes = np.repeat(np.arange(len(symbols)), [rows for _, rows in symbols])
        names.insert(0, "symbol")
        arrays.insert(0, _coded(pa, Column("symbol", "text", codes, categories=texts)))
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise BadRequest(
            f"two columns would be called {twice!r}; leave one out with columns=, or select one "
            "symbol at a time"
        )
    metadata = _metadata(pa, ticks, tz, symbols, receipt)
    fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Give a polars frame of an Arrow table; numbers are not copied.

    Parameters
    ----------
    table
        As `to_arrow` gives it.

    Returns
    -------
    polars.DataFrame
        The same columns; resolutions of seconds become milliseconds, and zones that have no name,
        such as +05:30, become UTC, because polars has neither.

    Raises
    ------
    EnvironmentFailed
        When polars is not installed.
    """
    pa = import_pyarrow()
    try:
        import polars as pl
    except ImportError as error:
        raise _lacking("polars", "polars") from error
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and (field.type.tz or "").startswith(("+", "-")):
            utc = pa.timestamp(field.type.unit, "UTC")
            table = table.set_column(place, field.name, table.column(place).cast(utc))
    frame = cast("pl.DataFrame", pl.from_arrow(table))
    frame.columns = table.column_names  # a name without letters would become another
    return frame


def import_pyarrow() -> Any:
    """Give the module, or the error that says how to get it."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise _lacking("pyarrow", "arrow") from error
    return pa


def _lacking(package: str, extra: str) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"{package} is not installed; get it with: pip install 'behemoth[{extra}]'"
    )


def _times(pa: Any, ticks: Ticks, tz: str | None) -> Any:
    zone = _zone(pa, tz or "UTC") if ticks.aware or tz is not None else None
    return pa.array(ticks.times.view("M8[ns]"), pa.timestamp("ns", zone))


def _zone(pa: Any, name: str) -> str:
    """Call a time zone as Arrow does; only an offset is called otherwise by pandas."""
    try:
        zone: str = pa.lib.tzinfo_to_string(pd.DatetimeTZDtype("ns", name.strip()).tz)
    except (TypeError, ValueError, LookupError) as error:
        raise BadRequest(f"Arrow knows no time zone {name!r}; try 'America/New_York'") from error
    return zone


def _array(pa: Any, column: Column) -> Any:
    match column.kind:
        case "plain":
            return pa.array(column.values)
        case "datetime":
            return pa.array(_coarse(column).view(f"M8[{column.unit}]"), _timestamp(pa, column))
        case "timedelta":
            return pa.array(_coarse(column).view(f"m8[{column.unit}]"), pa.duration(column.unit))
    return _coded(pa, column)


def _timestamp(pa: Any, column: Column) -> Any:
    return pa.timestamp(column.unit, None if column.tz is None else _zone(pa, column.tz))


def _coarse(column: Column) -> Array:
    """Give times in the unit that they had; as nanoseconds they are whole ones of it."""
    values, factor = column.values, PER_UNIT[column.unit or "ns"]
    return values if factor == 1 else np.where(values == NAT, NAT, values // factor)


def _coded(pa: Any, column: Column) -> Any:
    """Give texts or categories; a code below zero is a missing one."""
    try:
        texts = pa.array(column.categories or (), pa.large_string())
    except UnicodeEncodeError as error:
        raise BadRequest(
            f"column {column.name!r} has a text with a lone surrogate, which Arrow cannot hold; "
            "leave it out with columns=, or select it with output='pandas'"
        ) from error
    missing: Array = column.values < 0
    codes = pa.array(column.values.astype(np.int32), mask=missing if missing.any() else None)
    coded = pa.DictionaryArray.from_arrays(codes, texts, ordered=column.ordered)
    return coded if column.kind == "category" else coded.dictionary_decode()


def _metadata(
    pa: Any,
    ticks: Ticks,
    tz: str | None,
    symbols: Sequence[tuple[str, int]] | None,
    receipt: Mapping[str, Any] | None,
) -> dict[bytes, bytes]:
    """Say what pandas has to make of the table, and what the table is."""
    none = ticks.take(slice(0, 0))
    frame = to_frame(none, tz) if symbols is None else to_stacked_frame([], [], none, tz)
    metadata = {}
    if receipt is not None:
        frame.attrs[RECEIPT] = dict(receipt)
        metadata[RECEIPT.encode()] = json.dumps(receipt, separators=(",", ":")).encode()
    return {**pa.Schema.from_pandas(frame, preserve_index=True).metadata, **metadata}
