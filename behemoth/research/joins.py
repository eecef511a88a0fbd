"""`asof_join`: to each row of a frame the stored tick that was the last one then.

Which span of the ticks can matter, and so which files are read, is decided here; joining is
`pandas.merge_asof`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import BadRequest
from behemoth.research.pinned import FIRST_NS, at_or_after, at_or_before, between, pinned
from behemoth.tickstore import request
from behemoth.tickstore.moments import AsOf
from behemoth.tickstore.view import View

Direction = Literal["backward", "forward", "nearest"]


def asof_join(
    left: pd.DataFrame,
    tickstore: View,
    symbol: str | Sequence[str],
    *,
    on: str | None = None,
    by: str | None = None,
    tolerance: Any = None,
    direction: Direction = "backward",
    allow_exact_matches: bool = True,
    columns: Sequence[str] | None = None,
    as_of_time: AsOf = LATEST_AS_OF,
    prefix: str = "",
    time: str | None = None,
) -> pd.DataFrame:
    """Join to each row of a frame the stored tick that was the last one then.

    As `pandas.merge_asof` joins, but the ticks stay where they are: of each symbol only the files
    are read that can hold a match.

    Parameters
    ----------
    left
        Any frame, sorted by its times: its index, datetime64 (a naive time is UTC, an aware one
        may be of any zone), or the column `on`.
    tickstore
        Where the ticks are.
    symbol
        One symbol; or, with `by`, a list of them.
    on
        The column of `left` that holds the times; by default its index does.
    by
        The column of `left` that says the symbol of each row. A row whose symbol is not in the
        list finds nothing.
    tolerance
        How far away a tick may be, as a Timedelta or a text such as ``"5s"``; by default, any way.
    direction
        ``"backward"``: the last tick at or before. ``"forward"``: the first at or after: it was
        not known then. ``"nearest"``: the nearer of both.
    allow_exact_matches
        ``False``: a tick at the very time is none, only earlier (or later) ones are.
    columns
        Only these columns of the ticks; by default all.
    as_of_time
        When the ticks were known, as for `View.select`: a time (a naive one is UTC), a token or a
        tag. By default, what is known now.
    prefix
        Put before the name of each column of the ticks.
    time
        Name of one more column: when the tick was that was found, in the zone of the ticks.

    Returns
    -------
    pandas.DataFrame
        `left`, its index unchanged, and behind its columns those of the ticks. Where nothing was
        found: NaN, NaT or missing text; whole numbers then become float64 and booleans object, as
        `pandas.merge_asof` does it. Among ticks of one time, `backward` gives the last and
        `forward` the first. Where symbols differ in their columns, their union, as `pandas.concat`
        makes it.

    Raises
    ------
    BadRequest
        When `left` is not sorted or has no times, a column would come twice, `by` is missing for a
        list or there for one symbol, or as `View.select` does.
    NotFound
        When a column is unknown.

    Examples
    --------
    >>> tickstore = MemoryTickstore()
    >>> quotes = pd.DataFrame(
    ...     {"bid": [9.0, 7.0]}, index=pd.to_datetime(["2019-10-31 12:00", "2019-10-31 12:01"])
    ... )
    >>> revision = tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), quotes)
    >>> trades = pd.DataFrame({"price": [9.5]}, index=pd.to_datetime(["2019-10-31 12:00:59"]))
    >>> asof_join(trades, tickstore, "BTC-USD")
                         price  bid
    2019-10-31 12:00:59    9.5  9.0
    """
    request.check_choice("direction", direction, ("backward", "forward", "nearest"))
    asked = _times(left, on)
    symbols, groups = _groups(left, symbol, by)
    reach = _reach(tolerance)
    state = pinned(tickstore, as_of_time)
    ticks = [
        _ticks(state, name, asked[groups == place], direction, reach, allow_exact_matches, columns)
        for place, name in enumerate(symbols)
    ]
    right, owner = _together(ticks)
    places = _match(
        pd.DataFrame({"time": asked, "group": groups}),
        pd.DataFrame({"time": _utc(pd.DatetimeIndex(right.index)), "group": owner}),
        tolerance=None if reach is None else pd.Timedelta(reach, unit="ns"),
        direction=direction,
        allow_exact_matches=allow_exact_matches,
    )
    found = right.add_prefix(prefix) if prefix else right
    if time is not None:
        _check_new([time], [*left.columns, *found.columns], "name it differently: time=")
        found = found.assign(**{time: right.index})
    _check_new(found.columns, left.columns, "say prefix=, or choose with columns=")
    found = found.reset_index(drop=True).reindex(places)
    return pd.concat([left, found.set_axis(left.index)], axis=1)


def _times(left: pd.DataFrame, on: str | None) -> pd.DatetimeIndex:
    """Read the times of the left side as UTC; raise `BadRequest` unless they can be joined."""
    if not isinstance(left, pd.DataFrame):
        raise BadRequest(f"left is a DataFrame, not {type(left).__name__}")
    if on is not None and on not in left.columns:
        raise BadRequest(f"left has no column {on!r}; it has {', '.join(map(repr, left.columns))}")
    where, given = ("index", left.index) if on is None else (f"column {on!r}", left[on])
    if isinstance(given, pd.MultiIndex):
        raise BadRequest(
            "left has levels before its times; say left.reset_index('symbol').sort_index() and "
            "by='symbol'"
        )
    if getattr(given.dtype, "kind", "") != "M":
        raise BadRequest(
            f"left's {where} is {given.dtype}, not datetime64; say pd.to_datetime(..., utc=True)"
        )
    try:
        times = _utc(pd.DatetimeIndex(given).as_unit("ns"))
    except pd.errors.OutOfBoundsDatetime as error:
        raise BadRequest(f"left's {where}: {error}") from error
    if times.hasnans:
        raise BadRequest(f"left's {where} has NaT; drop these rows")
    if not times.is_monotonic_increasing:
        raise BadRequest(f"left's {where} is not sorted; say left.sort_index() or sort_values")
    return times


def _utc(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return times.tz_localize("UTC") if times.tz is None else times.tz_convert("UTC")


def _groups(
    left: pd.DataFrame, symbol: str | Sequence[str], by: str | None
) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """Give the symbols, and for each row of the left side the place of its own, or -1."""
    if by is None:
        if not isinstance(symbol, str):
            raise BadRequest("for a list of symbols say by=, the column of left that names them")
        return (symbol,), np.zeros(len(left), dtype=np.intp)
    if isinstance(symbol, str):
        raise BadRequest(f"by= joins a list of symbols; write [{symbol!r}]")
    if by not in left.columns:
        raise BadRequest(f"left has no column {by!r}; it has {', '.join(map(repr, left.columns))}")
    symbols = request.names("symbol", symbol)
    named = pd.Index(np.array(symbols, dtype=object))
    return symbols, named.get_indexer(pd.Index(left[by].astype(object)))


def _reach(tolerance: Any) -> int | None:
    """Read a tolerance as nanoseconds; raise `BadRequest` unless it is one."""
    if tolerance is None:
        return None
    try:
        reach = int(pd.Timedelta(tolerance).as_unit("ns").value)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"tolerance is a Timedelta or like '5s', not {tolerance!r}") from error
    if reach < 0:  # NaT too
        raise BadRequest(f"tolerance is a Timedelta from 0 on, not {tolerance!r}")
    return reach


def _ticks(
    state: View,
    symbol: str,
    asked: pd.DatetimeIndex,
    direction: Direction,
    reach: int | None,
    allow_exact_matches: bool,
    columns: Sequence[str] | None,
) -> pd.DataFrame:
    """Select what can match these times."""
    if not len(asked):
        return between(state, symbol, FIRST_NS, FIRST_NS, columns=columns).iloc[:0]
    low, high = first, last = int(asked[0].value), int(asked[-1].value)
    nudge = 0 if allow_exact_matches else 1
    if direction != "forward":
        seen = at_or_before(state, symbol, first - nudge)
        low = first if seen is None else seen
        low = low if reach is None else max(low, first - reach)
    if direction != "backward":
        seen = at_or_after(state, symbol, last + nudge)
        high = last if seen is None else seen
        high = high if reach is None else min(high, last + reach)
    return between(state, symbol, low, high, columns=columns)


def _together(ticks: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, npt.NDArray[np.intp]]:
    """Put the ticks of all symbols into one frame by time; give the place of each one's symbol."""
    if not ticks:
        raise BadRequest("no symbol was named")
    full = [frame for frame in ticks if len(frame)] or list(ticks[:1])
    if len({frame.index.dtype for frame in full}) > 1:
        full = [frame.set_axis(_utc(pd.DatetimeIndex(frame.index))) for frame in full]
    owner = np.repeat(np.arange(len(ticks)), [len(frame) for frame in ticks])
    right = full[0]
    if len(full) > 1:
        right = pd.concat(full)
        order = np.argsort(pd.DatetimeIndex(right.index).asi8, kind="stable")
        right, owner = right.iloc[order], owner[order]
    nowhere = np.full(len(right), -1)
    for frame in ticks:  # of symbols without ticks in the span too
        lacking = frame[[name for name in frame.columns if name not in right.columns]]
        if len(lacking.columns):
            empty = lacking.iloc[:0].reset_index(drop=True).reindex(nowhere)
            right = pd.concat([right, empty.set_axis(right.index)], axis=1)
    names = dict.fromkeys(name for frame in ticks for name in frame.columns)
    return right[list(names)], owner


def _match(left: pd.DataFrame, right: pd.DataFrame, **how: Any) -> npt.NDArray[np.intp]:
    """Give for each left row the place of its right one, or -1."""
    right["place"] = np.arange(len(right))
    right["group"] = right["group"].astype(np.intp)
    found = pd.merge_asof(left, right, on="time", by="group", **how)["place"]
    return found.fillna(-1).to_numpy(dtype=np.intp)


def _check_new(names: Any, there: Any, way_out: str) -> None:
    """Raise `BadRequest` where a name is there already."""
    twice = [name for name in names if name in set(there)]
    if twice:
        raise BadRequest(f"the column {', '.join(map(repr, twice))} would come twice; {way_out}")
