"""Candles as values: the window that is asked, and what a body of candles says.

Pure: bytes in, arrays out. Asking for the bytes is the business of `behemoth.feeds.coinbase`,
choosing the windows that of `behemoth.feeds.plan`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from behemoth.errors import BadRequest

COLUMNS = ("low", "high", "open", "close", "volume")
"""Columns of a frame of candles, in the exchange's own order: low and high come first."""

GRANULARITIES = {
    60: "ONE_MIN",
    300: "FIVE_MIN",
    900: "FIFTEEN_MIN",
    3600: "ONE_HOUR",
    21600: "SIX_HOUR",
    86400: "ONE_DAY",
}
"""Seconds of a candle that the exchange knows, and their names in tables."""

MAX_CANDLES = 300
"""The exchange answers at most so many candles to one request."""


class BrokenAnswer(ValueError):
    """A body that is not what it promises; never leaves `behemoth.feeds`."""


def check_granularity(granularity: int) -> int:
    """Give the granularity back, if the exchange knows it.

    Raises
    ------
    BadRequest
        When it does not; the message names the six that exist.
    """
    if granularity not in GRANULARITIES:
        known = ", ".join(map(str, GRANULARITIES))
        raise BadRequest(f"there are no candles of {granularity} seconds; choose one of {known}")
    return granularity


def table_name(granularity: int) -> str:
    """Name the table for candles of so many seconds.

    Examples
    --------
    >>> table_name(60)
    'COINBASE_PRO_ONE_MIN_BINS'
    """
    return f"COINBASE_PRO_{GRANULARITIES[check_granularity(granularity)]}_BINS"


@dataclass(frozen=True, slots=True)
class Window:
    """One request: the candles of a product that start in ``[first, last]``, both included.

    Attributes
    ----------
    product
        The exchange's id, ``"BTC-USD"`` for instance.
    granularity
        Seconds of a candle.
    first, last
        Start of the first and of the last candle, in unix seconds, multiples of the granularity.
    """

    product: str
    granularity: int
    first: int
    last: int

    @classmethod
    def between(cls, product: str, start: datetime, end: datetime, granularity: int) -> Window:
        """Give the window of all candles that start in ``[start, end]``; naive times are UTC.

        Raises
        ------
        BadRequest
            When no candle starts there, or more than the exchange answers at once.
        """
        check_granularity(granularity)
        first = -(-_microseconds(start) // (granularity * 1_000_000)) * granularity
        last = _microseconds(end) // (granularity * 1_000_000) * granularity
        window = cls(product, granularity, first, last)
        if not 1 <= len(window) <= MAX_CANDLES:
            raise BadRequest(
                f"{start} to {end} holds {max(len(window), 0)} candles of {granularity} seconds; "
                f"one request is for 1 to {MAX_CANDLES}"
            )
        return window

    @property
    def end(self) -> int:
        """Where the last candle ends, in unix seconds."""
        return self.last + self.granularity

    def __len__(self) -> int:
        return (self.end - self.first) // self.granularity

    def __str__(self) -> str:
        first, last = (datetime.fromtimestamp(t, UTC) for t in (self.first, self.last))
        until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
        return (
            f"{self.product!r}, candles of {self.granularity} s from {first:%Y-%m-%d %H:%M} "
            f"to {until} UTC"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """What the exchange answered to one window: each candle once, oldest first.

    Attributes
    ----------
    window
        What was asked.
    time
        int64, start of each candle in unix seconds, strictly increasing; read-only.
    values
        float64, one row for each candle, columns as in `COLUMNS`; read-only.
    """

    window: Window
    time: NDArray[np.int64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        self.time.flags.writeable = False
        self.values.flags.writeable = False

    def __len__(self) -> int:
        return len(self.time)

    def frame(self) -> pd.DataFrame:
        """Give the candles as a frame.

        Returns
        -------
        DataFrame
            Index ``time``: datetime64[ns, UTC], start of the candle. Columns ``low high open
            close``: float64, quote currency; ``volume``: float64, base currency.
        """
        return frame_of(self.time, self.values)


def frame_of(time: NDArray[np.int64], values: NDArray[np.float64]) -> pd.DataFrame:
    """Give a frame of candles from unix seconds and values; columns as `Candles.frame` says."""
    index = pd.DatetimeIndex((time * 1_000_000_000).view("datetime64[ns]"), tz="UTC", name="time")
    return pd.DataFrame(values, index=index, columns=list(COLUMNS), copy=True)


def parse_candles(body: bytes, window: Window) -> Candles:
    """Read a body of candles: clipped to the window, each candle once, oldest first.

    Parameters
    ----------
    body
        JSON ``[[time_s, low, high, open, close, volume], ...]`` in any order. Numbers are read
        as the nearest float64, which is what the exchange computed with.
    window
        What was asked. The exchange may answer candles from before it: they are clipped.

    Raises
    ------
    BrokenAnswer
        When the body is not such JSON, holds a number that is not finite, a time that starts no
        candle, or two different candles for one time.
    """
    table = _table(body)
    time = table[:, 0]
    off_grid = time[time % window.granularity != 0]
    if len(off_grid):
        raise BrokenAnswer(f"time {off_grid[0]!r} starts no candle of {window.granularity} s")
    table = table[(time >= window.first) & (time <= window.last)]
    table = table[np.argsort(table[:, 0], kind="stable")]
    table = _each_time_once(table)
    return Candles(window, table[:, 0].astype(np.int64), table[:, 1:].copy())


def _table(body: bytes) -> NDArray[np.float64]:
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        raise BrokenAnswer(f"a body that is no JSON: {excerpt(body)}") from None
    if not isinstance(rows, list):
        raise BrokenAnswer(f"a body that is no list of candles: {excerpt(body)}")
    for row in rows:
        if not _is_candle(row):
            raise BrokenAnswer(f"a row that is no candle: {str(row)[:80]}")
    try:
        table = np.array(rows, dtype=np.float64).reshape(-1, 1 + len(COLUMNS))
    except OverflowError:
        raise BrokenAnswer("a number that no float64 can hold") from None
    if not np.isfinite(table).all():
        raise BrokenAnswer("a number that is not finite")
    return table


def _is_candle(row: Any) -> bool:
    # numpy would quietly turn text, None and booleans into floats, so types are compared exactly.
    return (
        isinstance(row, list)
        and len(row) == 1 + len(COLUMNS)
        and all(type(number) in (int, float) for number in row)
    )


def _each_time_once(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop the repetitions from a sorted table of rows."""
    repeated = np.zeros(len(table), dtype=bool)
    repeated[1:] = table[1:, 0] == table[:-1, 0]
    differs = repeated[1:] & (table[1:] != table[:-1]).any(axis=1)
    if differs.any():
        time = int(table[1:][differs][0, 0])
        raise BrokenAnswer(f"two different candles for {datetime.fromtimestamp(time, UTC)}")
    return table[~repeated]


def joined(parts: Iterable[Candles], start: int, end: int) -> pd.DataFrame:
    """Give the candles of adjoining windows that start in ``[start, end)`` as one frame."""
    parts = list(parts)
    time = np.concatenate([np.empty(0, np.int64), *(part.time for part in parts)])
    values = np.concatenate([np.empty((0, len(COLUMNS))), *(part.values for part in parts)])
    wanted = (time >= start) & (time < end)
    return frame_of(time[wanted], values[wanted])


def excerpt(body: bytes, length: int = 60) -> str:
    """Show the beginning of a body on one line."""
    text = " ".join(body[: 4 * length].decode("utf-8", "replace").split())
    return repr(text if len(text) <= length else text[:length] + "...") if text else "(empty)"


def _microseconds(time: datetime) -> int:
    utc = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    since = utc - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
