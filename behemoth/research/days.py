"""`days`: going through ticks day by day, for what does not fit in memory.

Where a day begins is decided here; what is done with it is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date as Date
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF
from behemoth.research.pinned import FIRST_NS, LAST_NS, between, pinned, spans, zone
from behemoth.tickstore import request, times
from behemoth.tickstore.moments import AsOf
from behemoth.tickstore.times import Bound
from behemoth.tickstore.view import View


def days(
    tickstore: View,
    symbol: str | Sequence[str],
    start: Bound = None,
    end: Bound = None,
    as_of_time: AsOf = LATEST_AS_OF,
    *,
    columns: Sequence[str] | None = None,
    tz: str | None = None,
) -> Iterator[tuple[Date, pd.DataFrame]]:
    """Give the ticks day by day, all of one state of the table.

    What is written meanwhile is not seen. Memory holds one day, and what the caller keeps.

    Parameters
    ----------
    tickstore
        Where the ticks are.
    symbol
        One symbol, or a list of them.
    start, end, as_of_time, columns
        Which ticks, as for `View.select`.
    tz
        The zone of the days and of the times; by default UTC. Days of another zone than UTC
        straddle two files, so that each file is read twice.

    Yields
    ------
    date : datetime.date
        The calendar day in `tz`, rising; days without ticks are left out.
    ticks : pandas.DataFrame
        Of that day, as `View.select` gives them. For one symbol, whose days have the same columns,
        all of them one after the other are what `View.select` gives at once.

    Raises
    ------
    BadRequest, NotFound, Corrupt
        As `View.select`; what can be known of the request is refused at the call.

    Examples
    --------
    >>> tickstore = MemoryTickstore()
    >>> ticks = pd.DataFrame(
    ...     {"price": [1.0, 3.0]}, index=pd.to_datetime(["2019-10-31 12:00", "2019-11-02 09:00"])
    ... )
    >>> revision = tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), ticks)
    >>> for day, frame in days(tickstore, "BTC-USD"):
    ...     print(day, frame["price"].sum())
    2019-10-31 1.0
    2019-11-02 3.0
    """
    where = zone(tz)
    low, high = times.tick_bounds(start, end)
    names = None if columns is None else request.names("columns", columns)
    symbols = (symbol,) if isinstance(symbol, str) else request.names("symbol", symbol)
    state = pinned(tickstore, as_of_time)
    none = np.empty((0, 2), dtype=np.int64)
    there = np.concatenate([none, *(spans(state, name) for name in symbols)])
    there = there[(there[:, 0] <= high) & (there[:, 1] >= low)]
    asked = symbol if isinstance(symbol, str) else symbols
    return _each(state, asked, there.clip(low, high), names, tz, where)


def _each(
    state: View,
    symbol: str | Sequence[str],
    there: npt.NDArray[np.int64],
    columns: Sequence[str] | None,
    tz: str | None,
    where: str,
) -> Iterator[tuple[Date, pd.DataFrame]]:
    for day in _dates(there, where):
        first, last = _midnight(day, where), _midnight(day + timedelta(days=1), where) - 1
        if last < first:
            continue  # a day that a zone has left out
        inside = there[(there[:, 0] <= last) & (there[:, 1] >= first)]
        low, high = max(first, int(inside[:, 0].min())), min(last, int(inside[:, 1].max()))
        ticks = between(state, symbol, low, high, columns=columns, tz=tz)
        if len(ticks):
            yield day, ticks


def _dates(there: npt.NDArray[np.int64], where: str) -> Iterator[Date]:
    """Give the days that these spans of ticks touch, rising."""
    utc = pd.DatetimeIndex(there.ravel().view("M8[ns]"), tz="UTC")
    local = utc.tz_convert(where).tz_localize(None).to_numpy().astype("M8[D]").reshape(-1, 2)
    done = None
    for first, last in local[np.argsort(local[:, 0], kind="stable")].tolist():
        day = first if done is None else max(first, done + timedelta(days=1))
        while day <= last:
            yield day
            done = day
            day += timedelta(days=1)


def _midnight(day: Date, where: str) -> int:
    """Give a day's first instant: the first of two midnights, or what follows one left out."""
    try:
        time = pd.Timestamp(day).tz_localize(where, ambiguous=True, nonexistent="shift_forward")
        return int(time.as_unit("ns").value)
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return FIRST_NS if day.year < 1970 else LAST_NS
