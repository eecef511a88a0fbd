"""A market of recorded candles: one product's minutes, read from a CSV file.

Reading and judging the file lives here; serving it is the business of `rules` and `server`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path

import numpy as np

from behemoth.errors import BadRequest, EnvironmentFailed
from behemoth.feeds.sandbox.bins import MINUTE, Table

HEADER = ("time", "low", "high", "open", "close", "volume")
"""The columns that the file must have: unix seconds, and the exchange's own order."""


class Tape:
    """A market of one product whose candles were recorded.

    Parameters
    ----------
    product
        The product's id.
    table
        Its candles, as `read_tape` gives them.
    """

    def __init__(self, product: str, table: Table) -> None:
        self._product = product
        self._table = table
        self._time = np.ascontiguousarray(table[:, 0])

    @property
    def products(self) -> tuple[str, ...]:
        """What is traded: the one product."""
        return (self._product,)

    def listed(self, product: str) -> Date:
        """Give the UTC day of the first candle."""
        if product != self._product:
            raise KeyError(product)
        return datetime.fromtimestamp(self._time[0], UTC).date()

    def delisted(self, product: str) -> Date | None:
        """Give ``None``: that the tape ends says nothing about the product."""
        if product != self._product:
            raise KeyError(product)
        return None

    def minutes(self, product: str, start: int, end: int) -> Table:
        """Give the candles that start in ``[start, end)``."""
        if product != self._product:
            raise KeyError(product)
        first, after = np.searchsorted(self._time, [start, end])
        return self._table[first:after]


def read_tape(path: Path) -> Table:
    """Read recorded one-minute candles from CSV, in any order.

    Parameters
    ----------
    path
        A file with the header ``time,low,high,open,close,volume``, time in unix seconds.

    Returns
    -------
    ndarray
        A table of candles as in `behemoth.feeds.sandbox.bins`, every number the nearest float64.

    Raises
    ------
    BadRequest
        When something is not as it should be; names file, row (the header is row 1) and column.
    EnvironmentFailed
        When the file cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = dict(_rows(path, csv.reader(file)))
    except OSError as error:
        raise EnvironmentFailed(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"{path} is no CSV file of candles: {error}") from error
    if not rows:
        raise BadRequest(f"{path} holds no candle; give a file with a header and candles")
    table, numbers = np.array(list(rows.values())), list(rows)
    order = np.argsort(table[:, 0], kind="stable")
    for repeated in order[1:][np.diff(table[order, 0]) == 0]:
        raise BadRequest(
            f"{path} row {numbers[repeated]}, column time: {table[repeated, 0]:.0f} is there twice"
        )
    table = table[order]
    table.flags.writeable = False
    return table


def _rows(path: Path, lines: Iterator[Sequence[str]]) -> Iterator[tuple[int, list[float]]]:
    """Give each row's number in the file and its values."""
    header = next(lines, [])
    if tuple(header) != HEADER:
        raise BadRequest(
            f"{path} row 1: the header is {','.join(header)!r}, not {','.join(HEADER)!r}"
        )
    for number, line in enumerate(lines, start=2):
        if line:
            yield number, _row(f"{path} row {number}", line)


def _row(where: str, line: Sequence[str]) -> list[float]:
    if len(line) != len(HEADER):
        raise BadRequest(f"{where}: {len(line)} columns, not {len(HEADER)}")
    row = [
        _number(f"{where}, column {name}", text) for name, text in zip(HEADER, line, strict=True)
    ]
    if row[0] % MINUTE != 0:
        raise BadRequest(f"{where}, column time: {line[0]} starts no minute, in unix seconds")
    return row


def _number(where: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadRequest(f"{where}: {text!r} is no finite number")
    return number
