"""One state of a table, kept while a question asks several times; only what can matter is read.

Each answer of `behemoth.research` is of one state, whoever writes meanwhile. What the verbs make of
the ticks lives beside this. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import BadRequest
from behemoth.tickstore import request, times
from behemoth.tickstore.moments import AsOf
from behemoth.tickstore.view import View

FIRST_NS, LAST_NS = times.FIRST_NS, times.LAST_NS


def pinned(tickstore: View, as_of_time: AsOf = LATEST_AS_OF) -> View:
    """Freeze the state that a table has now.

    Parameters
    ----------
    tickstore
        The table.
    as_of_time
        When it was known; a naive time is UTC. A token or a tag is that state. By default, what is
        known now.
    """
    if not isinstance(tickstore, View):
        raise BadRequest(f"ticks come from a tickstore, not from {type(tickstore).__name__}")
    return tickstore.at(as_of_time)


def between(
    state: View, symbol: str | Sequence[str], low: int, high: int, **how: Any
) -> pd.DataFrame:
    """Select ticks in ``[low, high]``, UTC nanoseconds since 1970."""
    low, high = (min(max(time, FIRST_NS), LAST_NS) for time in (low, high))
    start, end = (pd.Timestamp(time, unit="ns", tz="UTC") for time in (low, high))
    frame: pd.DataFrame = state.select(symbol, start, end, **how)
    return frame


def spans(state: View, symbol: str) -> npt.NDArray[np.int64]:
    """Give the first and the last tick of each file that can be seen; reads no file.

    Returns
    -------
    numpy.ndarray
        Two columns, UTC nanoseconds since 1970; one row for each file with ticks.
    """
    seen = state.splays(symbol)[["first", "last"]]
    return np.column_stack([pd.DatetimeIndex(seen[name]).asi8 for name in seen])


def at_or_before(state: View, symbol: str, time: int) -> int | None:
    """Find a tick's time such that the last tick at or before `time` is not before it.

    Reads no file. What is selected from there on holds every tick that a look back from `time` can
    find, and no file that lies before these is touched.

    Parameters
    ----------
    state
        The table.
    symbol
        Its name.
    time
        UTC nanoseconds since 1970.

    Returns
    -------
    int or None
        UTC nanoseconds since 1970; ``None`` when there is no tick at or before `time`.
    """
    ends = spans(state, symbol)
    ends = ends[ends <= time]
    return int(ends.max()) if len(ends) else None


def at_or_after(state: View, symbol: str, time: int) -> int | None:
    """Find a tick's time such that the first tick at or after `time` is not after it."""
    ends = spans(state, symbol)
    ends = ends[ends >= time]
    return int(ends.min()) if len(ends) else None


def zone(tz: str | None) -> str:
    """Give the time zone to cut in, UTC by default; raise `BadRequest` unless it is one."""
    request.check_tz(tz)
    return "UTC" if tz is None else tz.strip()
