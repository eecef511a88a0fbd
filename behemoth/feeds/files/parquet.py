"""Candles out of Parquet, a batch of rows at a time. pyarrow is imported when it is asked for.

Numbers of any type become the nearest float64; texts are read as the cells of a CSV file are. Rows
are numbered from 1 on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from behemoth.codec.arrow import import_pyarrow
from behemoth.errors import BadRequest, BehemothError, Corrupt
from behemoth.feeds.files.formats import Format
from behemoth.feeds.files.judging import Bad, Judge, Times, Values, nanoseconds
from behemoth.feeds.files.opening import Source, unreadable
from behemoth.feeds.files.pieces import Piece, Tally, names_of

ROWS = 1 << 14
"""Rows of a batch."""


def read_parquet(
    source: Source, format_: Format, judge: Callable[[tuple[int, ...], int], Judge], tally: Tally
) -> Iterator[Piece]:
    """Read a Parquet file; parameters and errors as for `behemoth.feeds.files.text.read_text`.

    Raises
    ------
    EnvironmentFailed
        When pyarrow is not installed.
    """
    pa = import_pyarrow()
    from pyarrow import parquet as pq

    if source.total is None:
        raise BadRequest(f"{source.path}: Parquet cannot be read from a pipe; give the file itself")
    row = 0
    with _damaged(source, pa, row), pq.ParquetFile(source.path) as file:
        try:
            wanted = format_.named(file.schema_arrow.names)
        except BadRequest as error:
            raise BadRequest(f"{source.path}: {error}") from error
        made = judge(tuple(range(len(wanted))), len(wanted))
        kind = file.schema_arrow.field(wanted[0]).type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            made = replace(made, format=replace(made.format, unit="iso"))
        tally.names = names_of(made)
        for batch in file.iter_batches(ROWS, columns=list(dict.fromkeys(wanted))):
            columns = [batch.column(name) for name in wanted]
            yield _piece(pa, made, tally, row, columns)
            row += batch.num_rows


@contextmanager
def _damaged(source: Source, pa: Any, row: int) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, BehemothError):
            raise
        if isinstance(error, OSError) and error.errno:
            raise unreadable(source.path, error) from error
        why = " ".join(str(error).split())[:200]
        raise Corrupt(
            f"{source.path}: line {row + 1}, column 1: the file is no sound Parquet ({why}); get "
            "it again"
        ) from error


def _piece(pa: Any, judge: Judge, tally: Tally, row: int, columns: list[Any]) -> Piece:
    """Give the good rows of a batch; the judge says why the others are bad."""
    rows = len(columns[0])
    values = np.full((rows, len(columns) - 1), np.nan)
    for number, column in enumerate(columns[1:]):
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            values[:, number] = _floats(pa, column)
    times = _times(pa, columns[0], judge)
    keep = judge.good(times, values)
    for number in np.flatnonzero(~keep).tolist():
        try:
            time, row_values = judge.cells([_cell(column[number]) for column in columns])
        except Bad as bad:
            tally.add(row + number + 1, bad)
        else:
            keep[number] = True
            times[number], values[number] = time, row_values
    return Piece(times[keep], row + 1 + np.flatnonzero(keep), values[keep])


def _floats(pa: Any, column: Any) -> Values:
    """Give numbers as float64, NaN where one is missing or would not be exact."""
    numbers = column.to_numpy(zero_copy_only=False)
    if pa.types.is_integer(column.type) and numbers.dtype.kind in "iu":
        inexact = (numbers > 2**53) | (numbers < -(2**53) if numbers.dtype.kind == "i" else False)
        return np.where(inexact, np.nan, numbers.astype(np.float64))
    return np.asarray(numbers, dtype=np.float64)


def _times(pa: Any, column: Any, judge: Judge) -> Times:
    """Give times as nanoseconds, -1 where that is for the judge to say."""
    unit = judge.format.unit
    if column.null_count or not (
        pa.types.is_timestamp(column.type)
        or (pa.types.is_integer(column.type) and column.type != pa.uint64())
    ):
        return np.full(len(column), -1, np.int64)
    if pa.types.is_timestamp(column.type):
        unit = column.type.unit
    elif unit == "iso":
        return np.full(len(column), -1, np.int64)
    times, said = nanoseconds(np.asarray(column.cast(pa.int64())), unit)
    return np.where(said, times, -1)


def _cell(scalar: Any) -> str:
    """Write a value as a CSV file would."""
    value = scalar.as_py()
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)
