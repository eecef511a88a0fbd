"""Order books: rebuilt at any instant from stored snapshots and updates.

Both are tables of one shape: ``side`` (text or category, ``buy`` or ``bid``, ``sell`` or ``ask``),
``price`` and ``size`` (numbers). A snapshot is all rows of one time: the whole book then. An update
says the size that a price has from then on; size 0 removes it. Updates of a snapshot's own time
come after it, and updates of one time in the order in which they were inserted. Prices are compared
as they are stored, to the bit.

How a table keeps them does not live here, nor does drawing.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import BadRequest
from behemoth.research.pinned import FIRST_NS, LAST_NS, at_or_before, between, pinned, zone
from behemoth.tickstore import times
from behemoth.tickstore.moments import AsOf
from behemoth.tickstore.times import Bound
from behemoth.tickstore.view import View

COLUMNS = ["side", "price", "size"]
SIDES = {"buy": "bid", "bid": "bid", "sell": "ask", "ask": "ask"}
Levels = dict[float, float]


def book_at(
    updates: View,
    symbol: str,
    time: Bound = None,
    *,
    snapshots: View | None = None,
    levels: int | None = None,
    as_of_time: AsOf = LATEST_AS_OF,
) -> pd.DataFrame:
    """Rebuild the book of an instant: the snapshot before it, and all updates until then.

    Parameters
    ----------
    updates
        The table of updates; see `behemoth.research.book` for its columns.
    symbol
        Its name, the same in both tables.
    time
        The instant; a naive time is UTC. Snapshots and updates of that very time are in it. By
        default, the end of what is stored.
    snapshots
        The table of snapshots; by default the book was empty before the first update.
    levels
        Only so many best prices of each side.
    as_of_time
        When it was known, as for `View.select`: a time (a naive one is UTC) or a tag. By default,
        what is known now.

    Returns
    -------
    pandas.DataFrame
        Index: ``side`` (``"bid"``, ``"ask"``) and ``level`` (int64, 0 is the best), so that
        ``book.loc["bid"]`` is one side, best first. Columns: ``price`` and ``size``, float64, in
        the units of the market. No rows where nothing is known.

    Raises
    ------
    BadRequest
        When `time` is no instant, or the rows are no book: an unknown side, a price that is no
        number, a size that is none or negative.
    NotFound
        When a table has no such columns.

    Examples
    --------
    >>> updates = MemoryTickstore()
    >>> said = pd.DataFrame(
    ...     {"side": ["buy", "buy", "sell"], "price": [9.0, 8.0, 9.5], "size": [1.0, 2.0, 3.0]},
    ...     index=pd.to_datetime(["2019-10-31 12:00", "2019-10-31 12:01", "2019-10-31 12:02"]),
    ... )
    >>> revision = updates.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), said)
    >>> book_at(updates, "BTC-USD", "2019-10-31T12:01")  # doctest: +NORMALIZE_WHITESPACE
                price  size
    side level
    bid  0        9.0   1.0
         1        8.0   2.0
    """
    moment = _moment(time)
    if levels is not None and (not isinstance(levels, int) or levels < 0):
        raise BadRequest(f"levels is a number of prices, not {levels!r}")
    said = pinned(updates, as_of_time)
    shots = None if snapshots is None else pinned(snapshots, as_of_time)
    since, whole = _snapshot(shots, symbol, moment)
    rows = pd.concat([whole, _rows(said, symbol, since, moment)])
    rows = rows.drop_duplicates(["ask", "price"], keep="last")
    rows = rows[rows["size"] > 0]
    sides = []
    for is_ask in (False, True):
        side = rows[rows["ask"] == is_ask].sort_values("price", ascending=is_ask)[:levels]
        sides.append(side[["price", "size"]].reset_index(drop=True))
    return pd.concat(sides, keys=["bid", "ask"], names=["side", "level"])


def best(
    updates: View,
    symbol: str,
    start: Bound = None,
    end: Bound = None,
    *,
    snapshots: View | None = None,
    tz: str | None = None,
    as_of_time: AsOf = LATEST_AS_OF,
) -> pd.DataFrame:
    """Follow the best bid and ask: one row for each instant that brought a snapshot or updates.

    Parameters
    ----------
    updates, symbol, snapshots, as_of_time
        As for `book_at`.
    start, end
        Inclusive instants, as for `View.select`. What was said before `start` counts, but has no
        row.
    tz
        Convert the index to this time zone.

    Returns
    -------
    pandas.DataFrame
        Index: ``time``, datetime64[ns, UTC] or of `tz`, each once. Columns, float64: ``bid``,
        ``bid_size``, ``ask``, ``ask_size``; NaN where a side is empty. A row holds until the next,
        and says what `book_at` says of its time.

    Raises
    ------
    BadRequest, NotFound
        As `book_at`, and when a bound is no time.
    """
    where = zone(tz)
    low, high = times.tick_bounds(start, end)
    said = pinned(updates, as_of_time)
    shots = None if snapshots is None else pinned(snapshots, as_of_time)
    since, whole = _snapshot(shots, symbol, low)
    fresh = [] if shots is None else _later(shots, symbol, low + 1, high)
    parts = []
    for number, (begin, book) in enumerate([(since, whole), *fresh]):
        last = fresh[number][0] - 1 if number < len(fresh) else high
        rows = pd.concat([book, _rows(said, symbol, begin, last)])
        parts.append(_follow(rows))
    seen = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    keep = seen >= low
    index = pd.DatetimeIndex(seen[keep].view("M8[ns]"), tz="UTC", name=updates.timestamp_column)
    columns = ["bid", "bid_size", "ask", "ask_size"]
    return pd.DataFrame(values[keep], index=index.tz_convert(where), columns=columns)


def depth(book: pd.DataFrame, within: float | None = None) -> pd.DataFrame:
    """Add up a book from the best price outwards: what a depth chart shows.

    Parameters
    ----------
    book
        As `book_at` gives it.
    within
        Only prices that differ from the middle of best bid and ask by at most this part of it:
        0.01 is one per cent. Real books hold asks of any price.

    Returns
    -------
    pandas.DataFrame
        Index and columns as those of the book, and ``total``: float64, the size from the best
        price of that side up to this one.

    Raises
    ------
    BadRequest
        When it is no book; or with `within`, when a side is empty.

    Examples
    --------
    >>> index = pd.MultiIndex.from_tuples([("bid", 0), ("bid", 1), ("ask", 0)])
    >>> book = pd.DataFrame({"price": [9.0, 8.0, 9.5], "size": [1.0, 2.0, 3.0]}, index=index)
    >>> depth(book)["total"].tolist()
    [1.0, 3.0, 3.0]
    """
    if not isinstance(book, pd.DataFrame) or not {"price", "size"} <= set(book.columns):
        raise BadRequest("a book is what book_at gives: price and size by side and level")
    shown = book.assign(total=book.groupby(level=0, sort=False)["size"].cumsum())
    if within is None:
        return shown
    sides = book.index.get_level_values(0)
    if set(sides) != {"bid", "ask"}:
        raise BadRequest("within= is seen from the middle, and a side is empty; leave it out")
    middle = (book["price"][sides == "bid"].max() + book["price"][sides == "ask"].min()) / 2
    near: pd.Series[bool] = (shown["price"] - middle).abs() <= within * middle
    return shown[near]


def _moment(time: Bound) -> int:
    """Read an instant as UTC nanoseconds since 1970."""
    if time is None:
        return LAST_NS
    low, high = times.tick_bounds(time, time)
    if low != high:
        raise BadRequest(f"a book is of one instant, and {time} is a span; write {time}T00:00")
    return low


def _snapshot(shots: View | None, symbol: str, moment: int) -> tuple[int, pd.DataFrame]:
    """Find the last snapshot at or before a moment: when it was, and its rows."""
    near = None if shots is None else at_or_before(shots, symbol, moment)
    if shots is None or near is None:
        return FIRST_NS, _nothing()
    rows = _rows(shots, symbol, near, moment)
    when = int(rows["time"].iloc[-1])
    return when, rows[rows["time"] == when]


def _later(shots: View, symbol: str, low: int, high: int) -> list[tuple[int, pd.DataFrame]]:
    """Give the snapshots in ``[low, high]``."""
    if high < low:
        return []
    rows = _rows(shots, symbol, low, high)
    return [(int(shot["time"].iloc[0]), shot) for _, shot in rows.groupby("time", sort=False)]


def _rows(state: View, symbol: str, low: int, high: int) -> pd.DataFrame:
    """Select what was said; raise `BadRequest` for what is of no book.

    Returns
    -------
    pandas.DataFrame
        Columns: ``time`` (int64, UTC nanoseconds since 1970), ``ask`` (bool), ``price``, ``size``.
    """
    ticks = between(state, symbol, low, high, columns=COLUMNS)
    codes, said = pd.factorize(ticks["side"])
    known = [SIDES.get(side, "") for side in said] if len(ticks) else []
    try:
        numbers = ticks[["price", "size"]].to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise BadRequest(
            f"price and size of {symbol!r} are numbers: {error}", symbol=symbol
        ) from error
    wrong = (codes < 0) | ~np.isfinite(numbers).all(axis=1) | (numbers[:, 1] < 0)
    if "" in known or wrong.any():
        odd = ticks[wrong | (np.array(["", *known])[codes + 1] == "")].iloc[0].to_dict()
        raise BadRequest(
            f"{odd} of {symbol!r} is of no book; side is one of {', '.join(SIDES)}, price a "
            "number, size a number that is not negative",
            symbol=symbol,
        )
    return pd.DataFrame(
        {
            "time": pd.DatetimeIndex(ticks.index).asi8,
            "ask": np.array([side == "ask" for side in known], dtype=bool)[codes],
            "price": numbers[:, 0],
            "size": numbers[:, 1],
        }
    )


def _nothing() -> pd.DataFrame:
    types = {"time": np.int64, "ask": bool, "price": np.float64, "size": np.float64}
    return pd.DataFrame({name: np.empty(0, dtype=kind) for name, kind in types.items()})


class _Side:
    """One side of a book that is followed: the live sizes, and a heap of prices, best on top."""

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._sizes: Levels = {}
        self._heap: list[float] = []

    def say(self, price: float, size: float) -> None:
        """Take an update; a price that is gone stays in the heap until it comes to the top."""
        if size == 0:
            self._sizes.pop(price, None)
        else:
            if price not in self._sizes:
                heappush(self._heap, self._sign * price)
            self._sizes[price] = size

    def top(self) -> tuple[float, float]:
        """Give the best price and its size; NaN when the side is empty."""
        while self._heap:
            price = self._sign * self._heap[0]
            size = self._sizes.get(price)
            if size is not None:
                return price, size
            heappop(self._heap)
        return np.nan, np.nan


def _follow(rows: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Give each time, and the best prices after all rows of that time."""
    ends = np.append(rows["time"].to_numpy()[1:] != rows["time"].to_numpy()[:-1], [True])
    ends = ends[: len(rows)]
    return rows["time"].to_numpy()[ends], np.array(list(_tops(rows, ends))).reshape(-1, 4)


def _tops(rows: pd.DataFrame, ends: npt.NDArray[Any]) -> Iterator[tuple[float, ...]]:
    bids, asks = _Side(-1.0), _Side(1.0)
    columns = (rows[name].to_list() for name in ("ask", "price", "size"))
    for is_ask, price, size, is_end in zip(*columns, ends.tolist(), strict=True):
        (asks if is_ask else bids).say(price, size)
        if is_end:
            yield *bids.top(), *asks.top()
