"""What one row of a file says, or why it says nothing: the rules for cells, one row at a time.

What is accepted is decided here alone. `text` and `parquet` read many rows at once where they can
prove that these rules would give the same, and ask here about every other row.

A number is decimal, with or without a point, a sign and an exponent (``-1.5e-3``), blanks around it
do not count, nor do quotes around the cell. It becomes the nearest float64, and must be finite:
``nan``, ``inf``, an empty cell, ``1,234.5``, ``1_000`` and ``0x10`` are no numbers. Prices have any
sign, a volume is not negative. A time starts a candle, and is not more than a day in the future; a
count since 1970 that gives January or February 1970 was counted in another unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from behemoth.bitemporal import FIRST_DATE
from behemoth.feeds.files.formats import Format, Unit

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds."""
FIRST_MICROSECOND = 10**14
"""From here on a time of unit ``"ms or us"`` is microseconds."""
EARLIEST = int(np.datetime64(FIRST_DATE, "ns").astype(np.int64))
ABSURD = 59 * 86400 * 10**9
"""A count since 1970 below this, and not below 0, was counted in another unit."""
LONGEST = 1 << 16
"""Bytes of a line at most."""

BLANKS = " \t"
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
CELL = re.compile(rb'(?:"((?:[^"]|"")*)"|([^",]*))(?:,|\Z)')


class Bad(Exception):
    """Why a row says nothing.

    Attributes
    ----------
    place
        The column, from 0 on.
    why
        What was found there.
    """

    def __init__(self, place: int, why: str) -> None:
        super().__init__(why)
        self.place = place
        self.why = why


@dataclass(frozen=True, slots=True)
class Judge:
    """The rules for the rows of one file.

    Attributes
    ----------
    format
        What its columns mean.
    granularity
        Seconds of a candle.
    latest
        No candle starts later, in nanoseconds since 1970.
    places
        Where the time and the columns are, from 0 on.
    width
        How many cells a row has.
    """

    format: Format
    granularity: int
    latest: int
    places: tuple[int, ...]
    width: int

    def line(self, line: bytes) -> tuple[int, list[float]] | None:
        """Read a line without its newline; ``None`` for a blank one.

        Raises
        ------
        Bad
            When it is no candle.
        """
        line = line.removesuffix(b"\r")
        if not line.strip(BLANKS.encode()):
            return None
        check_length(line)
        return self.cells(cells_of(line))

    def cells(self, cells: list[str]) -> tuple[int, list[float]]:
        """Read the cells of a row.

        Raises
        ------
        Bad
            When they are no candle.
        """
        if len(cells) != self.width:
            raise Bad(
                min(len(cells), self.width),
                f"the row has {len(cells)} cell{'s'[: len(cells) != 1]}, not {self.width}",
            )
        time = self._time(cells[self.places[0]].strip(BLANKS), self.places[0])
        values = [0.0] * len(self.format.columns)
        for number in sorted(range(len(values)), key=lambda number: self.places[number + 1]):
            place = self.places[number + 1]
            cell = cells[place].strip(BLANKS)
            value = values[number] = _number(cell, place)
            if value < 0 and self.format.columns[number] == "volume":
                raise Bad(place, f"{shown(cell)} is a negative volume")
        return time, values

    def _time(self, cell: str, place: int) -> int:
        if not cell:
            raise Bad(place, "the cell is empty")
        unit = self.format.unit
        time = _iso(cell) if unit == "iso" else _counted(cell, unit)
        if time is None or time < EARLIEST:
            what = "an ISO 8601 time with its date" if unit == "iso" else f"a time in {unit}"
            raise Bad(place, f"{shown(cell)} is not {what} between 1677 and 2262")
        when = pd.Timestamp(time, tz="UTC")
        if unit != "iso" and 0 <= time < ABSURD:
            raise Bad(
                place,
                f"{shown(cell)} would be {when:%Y-%m-%d} in {unit}; name the unit that it is in, "
                "or choose another preset",
            )
        if time > self.latest:
            raise Bad(place, f"{shown(cell)} is {when:%Y-%m-%d %H:%M} UTC, which is to come")
        if time % (self.granularity * 10**9):
            raise Bad(
                place,
                f"{shown(cell)} is {when:%Y-%m-%d %H:%M:%S.%f} UTC, which starts no candle of "
                f"{self.granularity} s",
            )
        return time

    def good(self, times: Times, values: Values) -> Mask:
        """Tell which of many rows are candles without asking `cells`."""
        volume = self.format.columns.index("volume")
        good: Mask = (
            (times >= EARLIEST) & (times <= self.latest) & (times % (self.granularity * 10**9) == 0)
        )
        if self.format.unit != "iso":
            good &= (times < 0) | (times >= ABSURD)
        good &= np.isfinite(values).all(axis=1) & (values[:, volume] >= 0)
        return good


def check_length(line: bytes) -> None:
    """Raise `Bad` for a line that is too long to be a candle."""
    if len(line) > LONGEST:
        raise Bad(0, f"the line has {len(line):,} bytes, more than {LONGEST:,}")


def cells_of(line: bytes) -> list[str]:
    """Cut a line at its commas; one in quotes is of its cell.

    Raises
    ------
    Bad
        When a quote is not around a whole cell.
    """
    if b'"' not in line:
        return [cell.decode("utf-8", "backslashreplace") for cell in line.split(b",")]
    cells: list[str] = []
    start = 0
    while True:
        match = CELL.match(line, start)
        if match is None:
            raise Bad(len(cells), "a quote is not around a whole cell")
        cell = match[2] if match[1] is None else match[1].replace(b'""', b'"')
        cells.append(cell.decode("utf-8", "backslashreplace"))
        start = match.end()
        if start == len(line) and not match[0].endswith(b","):
            return cells
        if start == len(line):
            return [*cells, ""]


def is_number(cell: str) -> bool:
    """Tell whether a cell has the form of a number."""
    return NUMBER.fullmatch(cell.strip(BLANKS)) is not None


def shown(cell: str) -> str:
    """Show a cell in a message."""
    return ascii(cell if len(cell) <= 40 else cell[:40] + "...")


def _number(cell: str, place: int) -> float:
    if NUMBER.fullmatch(cell) is None:
        _refuse(cell, place)
    value = float(cell)
    if not np.isfinite(value):
        raise Bad(place, f"{shown(cell)} is more than a float64 can hold")
    return value


def _refuse(cell: str, place: int) -> NoReturn:
    if not cell:
        raise Bad(place, "the cell is empty")
    if cell.lower().strip("+-") in ("nan", "inf", "infinity"):
        raise Bad(place, f"{shown(cell)} is not finite")
    comma = "; write it without commas" if "," in cell else ""
    raise Bad(place, f"{shown(cell)} is not a number{comma}")


def nanoseconds(counts: Times, unit: Unit) -> tuple[Times, Mask]:
    """Give many counts since 1970 as nanoseconds, and which of them can be said so."""
    if unit == "ms or us":
        late = counts >= FIRST_MICROSECOND
        times, said = nanoseconds(np.where(late, 0, counts), "ms")
        later, said_later = nanoseconds(np.where(late, counts, 0), "us")
        return np.where(late, later, times), np.where(late, said_later, said)
    factor = PER_UNIT[unit]
    most = (2**63 - 1) // factor
    said = (counts >= -most) & (counts <= most)
    return np.where(said, counts, 0) * factor, said


def _counted(cell: str, unit: Unit) -> int | None:
    """Give a count since 1970 as nanoseconds, if it is one."""
    if NUMBER.fullmatch(cell) is None:
        return None
    try:
        count = Decimal(cell)
    except InvalidOperation:  # an exponent beyond all bounds
        return None
    if unit == "ms or us":
        unit = "us" if count >= FIRST_MICROSECOND else "ms"
    factor = PER_UNIT[unit]
    if abs(count) > (2**63 - 1) // factor or (count and count.adjusted() < -30):
        return None
    above, below = count.as_integer_ratio() if count else (0, 1)
    return above * factor // below if above * factor % below == 0 else None


def _iso(cell: str) -> int | None:
    if DATE.match(cell) is None:
        return None
    try:
        time = pd.to_datetime(cell, format="ISO8601", utc=True).as_unit("ns")
    except (ValueError, OverflowError):
        return None
    return None if pd.isna(time) else int(time.value)


def iso_nanoseconds(cells: pd.Series[str]) -> Times | None:
    """Give many ISO times as nanoseconds; ``None`` where one is in doubt."""
    try:
        letters = np.asarray(cells.to_numpy(dtype=object), dtype="S")
    except (UnicodeEncodeError, ValueError):
        return None
    size = letters.dtype.itemsize
    if size < 10 or not len(letters):
        return None
    codes = letters.view(np.uint8).reshape(len(letters), size)[:, :10]
    dashes = codes[:, [4, 7]] == ord("-")
    digits = np.delete(codes, [4, 7], axis=1)
    if not dashes.all() or (digits < ord("0")).any() or (digits > ord("9")).any():
        return None
    try:
        times = pd.DatetimeIndex(pd.to_datetime(cells, format="ISO8601", utc=True)).as_unit("ns")
    except (ValueError, OverflowError):
        return None
    return None if times.hasnans else times.asi8
