"""`bars`: open, high, low, close and volume of any length, by pandas' own rules.

Which column is which, and in which zone bars are cut, is decided here; cutting is pandas'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import BadRequest
from behemoth.research.pinned import pinned, zone
from behemoth.tickstore import request
from behemoth.tickstore.moments import AsOf
from behemoth.tickstore.times import Bound
from behemoth.tickstore.view import View

Side = Literal["left", "right"]
Rows = dict[str, tuple[str, str]]
"""For each column of the result the column it comes from, and how."""

FIELDS = ("open", "high", "low", "close", "volume")
HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
SIZES = ("size", "amount", "quantity", "volume")
ORIGINS = ("epoch", "start", "start_day", "end", "end_day")
WAY_OUT = "say which is which: columns={'price': ..., 'size': ...} or {'open': ..., 'high': ...}"


def bars(
    tickstore: View,
    symbol: str | Sequence[str],
    rule: Any,
    start: Bound = None,
    end: Bound = None,
    as_of_time: AsOf = LATEST_AS_OF,
    *,
    label: Side | None = None,
    closed: Side | None = None,
    origin: Any = "start_day",
    offset: Any = None,
    tz: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Cut bars out of minute bars or trades, as ``frame.resample(rule, ...)`` cuts them.

    Parameters
    ----------
    tickstore
        Where the ticks are.
    symbol
        One symbol, or a list of them; each is cut by itself.
    rule
        The length of a bar, any of pandas: ``"7min"``, ``"4h"``, ``"1D"``, ``"W"``, ``"MS"``, a
        Timedelta or a DateOffset.
    start, end, as_of_time
        Which ticks, as for `View.select`: naive times are UTC, `end` is inclusive. A first bar
        that begins before `start`, or a last one that ends after `end`, is of what was selected:
        ask for whole bars to get whole bars.
    label, closed, origin, offset
        As for `pandas.DataFrame.resample`. An `origin` that is a time is aware, and of any zone; a
        naive one is UTC, and refused where bars are cut in another zone.
    tz
        Cut in this time zone, and give it: a ``"1D"`` bar of America/New_York is a day of New
        York, of 23, 24 or 25 hours. By default UTC. It changes nothing about how bounds are read.
    columns
        Which column is what. ``{"price": ..., "size": ...}`` for trades, ``{"open": ...,
        "high": ..., "low": ..., "close": ..., "volume": ...}`` for bars; without size or volume
        the bars have no volume. Only these columns are read. By default they are found by name:
        ``open``, ``high``, ``low``, ``close`` and, where it is there, ``volume``; or ``price`` and,
        where one is there, ``size``, ``amount``, ``quantity`` or ``volume``.

    Returns
    -------
    pandas.DataFrame
        Index: one time for each bar, left or right edge as pandas labels it, datetime64[ns, tz]
        (naive if the ticks are and no `tz` is given). For a list a ``symbol`` level before it.
        Columns: ``open``, ``high``, ``low``, ``close`` (first, max, min, last, in the unit of the
        price), ``volume`` (sum). A bar without ticks between others has NaN, and volume 0. No bars
        for a symbol that is unknown. The bars of one symbol carry the receipt of their ticks.

    Raises
    ------
    BadRequest
        When it cannot be told which column is what, when pandas knows no such rule, or as
        `View.select` does.
    NotFound
        When a column is unknown.

    Examples
    --------
    >>> tickstore = MemoryTickstore()
    >>> trades = pd.DataFrame(
    ...     {"price": [9.0, 7.0, 8.0], "size": [1.0, 2.0, 3.0]},
    ...     index=pd.to_datetime(["2019-10-31 12:00", "2019-10-31 12:59", "2019-10-31 13:00"]),
    ... )
    >>> revision = tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), trades)
    >>> bars(tickstore, "BTC-USD", "1h")  # doctest: +NORMALIZE_WHITESPACE
                         open  high  low  close  volume
    time
    2019-10-31 12:00:00   9.0   9.0  7.0    7.0     3.0
    2019-10-31 13:00:00   8.0   8.0  8.0    8.0     3.0
    """
    named = None if columns is None else _named(columns)
    read = None if named is None else list(dict.fromkeys(column for column, _ in named.values()))
    zone(tz)
    _check_rule(rule)
    state = pinned(tickstore, as_of_time)
    symbols = (symbol,) if isinstance(symbol, str) else request.names("symbol", symbol)
    made = {}
    for name in symbols:
        frame = state.select(name, start, end, columns=read, tz=tz)
        fields = _found(frame, name) if named is None else named
        if not len(frame.columns):
            frame = frame.reindex(columns=list(FIELDS)).astype("float64")
        made[name] = _cut(frame, fields, rule, label, closed, origin, offset)
        if isinstance(symbol, str):
            made[name].attrs = frame.attrs  # of many symbols none would tell all
    if isinstance(symbol, str):
        return made[symbol]
    return _stacked(made, tickstore.timestamp_column, tz)


def _check_rule(rule: Any) -> None:
    """Raise `BadRequest` unless it is a length of time."""
    try:
        length = pd.tseries.frequencies.to_offset(rule)
    except (ValueError, TypeError):
        length = None
    if length is None or length.n <= 0:
        raise BadRequest(f"bars are of a length like '7min', '1h', '1D' or 'W', not {rule!r}")


def _named(columns: Mapping[str, str]) -> Rows:
    """Read which column is what; raise `BadRequest` for what cannot be."""
    given = dict(columns) if isinstance(columns, Mapping) else {}
    needed = {"price"} if "price" in given else {"open", "high", "low", "close"}
    more = {"size"} if "price" in given else {"volume"}
    if not needed <= set(given) <= needed | more:
        raise BadRequest(f"columns={columns!r}: {WAY_OUT}")
    if "price" in given:
        fields: Rows = {field: (given["price"], HOW[field]) for field in FIELDS[:-1]}
        return fields | ({"volume": (given["size"], "sum")} if "size" in given else {})
    return {field: (given[field], HOW[field]) for field in FIELDS if field in given}


def _found(frame: pd.DataFrame, symbol: str) -> Rows:
    """Find which column is what by the names; raise `BadRequest` when it cannot be told."""
    there = list(frame.columns)
    if not there:
        return _named({field: field for field in FIELDS})
    is_bars = set(FIELDS[:-1]) <= set(there)
    sizes = [name for name in SIZES if name in there]
    if is_bars and "price" not in there:
        return _named({field: field for field in FIELDS if field in there})
    if "price" in there and not is_bars and len(sizes) <= 1:
        return _named(dict(zip(("price", "size"), ("price", *sizes), strict=False)))
    raise BadRequest(
        f"{symbol!r} has the columns {', '.join(map(repr, there))}; {WAY_OUT}", symbol=symbol
    )


def _cut(
    frame: pd.DataFrame,
    fields: Rows,
    rule: Any,
    label: Side | None,
    closed: Side | None,
    origin: Any,
    offset: Any,
) -> pd.DataFrame:
    index = pd.DatetimeIndex(frame.index)
    origin = _origin(origin, index)
    try:
        cut = frame.resample(rule, label=label, closed=closed, origin=origin, offset=offset)
        return pd.DataFrame({field: cut[name].agg(how) for field, (name, how) in fields.items()})
    except Exception as error:  # each zone library raises its own
        raise BadRequest(f"pandas cannot cut bars of {rule!r}: {error}") from error


def _origin(origin: Any, index: pd.DatetimeIndex) -> Any:
    """Bring an origin that is a time into the zone in which bars are cut."""
    if isinstance(origin, str) and origin in ORIGINS:
        return origin
    try:
        time = pd.Timestamp(origin)
    except (ValueError, TypeError) as error:
        raise BadRequest(
            f"origin is one of {', '.join(ORIGINS)} or a time, not {origin!r}"
        ) from error
    if index.tz is None:
        return time if time.tz is None else time.tz_convert("UTC").tz_localize(None)
    if time.tz is not None:
        return time.tz_convert(index.tz)
    if str(index.tz) != "UTC":
        raise BadRequest(
            f"the origin {origin} is naive and the bars are cut in {index.tz}; write "
            f"pd.Timestamp({str(origin)!r}, tz={str(index.tz)!r}), or tz='UTC' for UTC"
        )
    return time.tz_localize("UTC")


def _stacked(frames: Mapping[str, pd.DataFrame], time_name: str, tz: str | None) -> pd.DataFrame:
    """Put the bars of several symbols into one frame, with a ``symbol`` level before the time."""
    full = {name: frame for name, frame in frames.items() if len(frame)}
    if len({frame.index.dtype for frame in full.values()}) > 1:
        raise BadRequest("some of the symbols have naive times and some have not; say tz='UTC'")
    if not frames:
        times = pd.DatetimeIndex([], dtype="datetime64[ns, UTC]").tz_convert(zone(tz))
        full = {"": pd.DataFrame(index=times, columns=list(FIELDS), dtype="float64")}
    return pd.concat(full or dict(list(frames.items())[:1]), names=["symbol", time_name])
