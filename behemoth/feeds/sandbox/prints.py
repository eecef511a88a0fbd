"""Trades for the sandbox: invented prints that the candles of the same market are made of.

Each day's trades follow from the market's minutes and the product's name alone. In a minute the
first price is the open, the last the close, the extremes are low and high, and the sizes, in units
of 1e-8, sum up to the volume; a minute without a candle has no trade. How a page of them is asked
for is decided by `behemoth.feeds.sandbox.rules`.

All arithmetic is on integers, or on floats one operation at a time, so that every machine invents
the same. Two kinds of recorded minutes cannot be told by trades: one whose low or high does not
bracket its open and close, and one whose volume is less than one unit of 1e-8 for each price.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from behemoth.feeds.sandbox.bins import CLOSE, HIGH, LOW, MINUTE, OPEN, TIME, VOLUME, Market, Table
from behemoth.feeds.sandbox.market import DAY, EPOCH, BuiltInMarket

Ints = NDArray[np.int64]

UNIT = 100_000_000
"""Prices and sizes are counted in units of 1e-8."""
CENT = 1_000_000
MICROSECONDS = 1_000_000
TRADES: Mapping[str, int] = {"BTC-USD": 70_000, "ETH-USD": 30_000}
"""Trades a day. The number is fixed, so that the first id of any day is arithmetic."""
FEW = 6_000
"""Trades a day of any other product: enough for four prices in each minute."""
CACHED_DAYS = 8
"""About 2.5 MB for each day of the busiest product."""


@dataclass(frozen=True, slots=True, eq=False)
class DayOfTrades:
    """The trades of a product on one UTC day, oldest first.

    Attributes
    ----------
    first
        The id of the first; they have no gaps.
    time
        Microseconds since 1970, not decreasing.
    price, size
        In units of 1e-8.
    sold
        Whether the maker was the seller.
    """

    first: int
    time: Ints
    price: Ints
    size: Ints
    sold: NDArray[np.bool_]


class Prints:
    """The trades of a market; safe to share between threads.

    Parameters
    ----------
    market
        Whose minutes they make.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._sums: dict[str, list[int]] = {}
        self._drawing = threading.RLock()
        self._cached = lru_cache(maxsize=CACHED_DAYS)(self._draw)

    def day(self, product: str, number: int) -> DayOfTrades:
        """Give the trades of a day, the day's number counted from 1970."""
        with self._drawing:
            return self._cached(product, number)

    def before(self, product: str, number: int) -> int:
        """Count the trades from the listing to a day, which is not included."""
        listed = self._listed(product)
        if type(self._market) is BuiltInMarket:  # it trades on every day
            return max(0, number - listed) * a_day(product)
        with self._drawing:
            sums = self._sums.setdefault(product, [0])
            for day in range(listed + len(sums) - 1, number):
                sums.append(sums[-1] + _count(product, self._minutes(product, day)))
            return sums[max(0, number - listed)]

    def newest(self, product: str, now: datetime) -> int:
        """Give the id of the newest trade at a time, aware UTC; 0 before the first."""
        number = now.toordinal() - EPOCH
        if number < self._listed(product):
            return 0
        today = self.day(product, number)
        passed = int(now.timestamp()) * MICROSECONDS + now.microsecond
        return today.first - 1 + int(np.searchsorted(today.time, passed, "right"))

    def page(self, product: str, first: int, last: int, now: datetime) -> list[dict[str, Any]]:
        """Give the trades ``[first, last]`` as the exchange writes them, newest first.

        None of them may be newer than `newest`.
        """
        days = range(self._listed(product), now.toordinal() - EPOCH + 1)
        rows: list[dict[str, Any]] = []
        while last >= first:
            at = bisect_left(days, last, key=lambda number: self.before(product, number))
            day = self.day(product, days[at - 1])
            begin = max(first, day.first)
            rows += _written(day, begin - day.first, last - day.first + 1)
            last = begin - 1
        return rows

    def _draw(self, product: str, number: int) -> DayOfTrades:
        minutes = self._minutes(product, number)
        return _drawn(product, number, minutes, 1 + self.before(product, number))

    def _minutes(self, product: str, number: int) -> Table:
        return self._market.minutes(product, number * DAY, (number + 1) * DAY)

    def _listed(self, product: str) -> int:
        return self._market.listed(product).toordinal() - EPOCH


def a_day(product: str) -> int:
    """Give how many trades a product has on a day on which it trades."""
    return TRADES.get(product, FEW)


def _count(product: str, minutes: Table) -> int:
    """Give a day's number of trades: the fixed one, if the volume can be split so often."""
    return min(a_day(product), int(_units(minutes[:, VOLUME]).sum()))


def _units(values: NDArray[np.float64]) -> Ints:
    return np.asarray(np.rint(values * UNIT).astype(np.int64))


def _drawn(product: str, number: int, minutes: Table, first_id: int) -> DayOfTrades:
    minutes = minutes[_units(minutes[:, VOLUME]) > 0]
    count = _count(product, minutes)
    raw = _random(f"{product} {number} prints", 4 * count).reshape(4, count)
    open_, close, low, high, volume = (
        _units(minutes[:, column]) for column in (OPEN, CLOSE, LOW, HIGH, VOLUME)
    )
    needs_low, needs_high = low < np.minimum(open_, close), high > np.maximum(open_, close)
    needed = 1 + ((open_ != close) | needs_low | needs_high) + needs_low + needs_high
    length = _shared(count, np.minimum(needed, volume), volume)
    start = np.cumsum(length) - length
    minute = np.repeat(np.arange(len(minutes)), length)
    price = _prices((open_, close, low, high), (needs_low, needs_high), start, length, raw[0])
    size = _sizes(volume, start, length, raw[1])
    time = _times(minutes[:, TIME].astype(np.int64) * MICROSECONDS, minute, raw[2])
    step = np.diff(price, prepend=price[:1])
    # A taker who buys lifts the price, and the maker was the seller.
    sold = np.where(step == 0, raw[3] % 2 == 0, step > 0)
    return DayOfTrades(first_id, time, price, size, sold)


def _shared(count: int, least: Ints, most: Ints) -> Ints:
    """Share a day's trades out over its minutes: the livelier, the more."""
    if count <= least.sum():
        least, most = np.zeros_like(least), least
    room, more = most - least, count - int(least.sum())
    weight = np.minimum(room, np.sqrt(most).astype(np.int64))
    if weight.sum() < more:
        weight = np.minimum(room, count)
    shares = np.cumsum(weight) * more // max(1, int(weight.sum()))
    return np.asarray(least + np.diff(shares, prepend=0))


def _prices(
    edges: tuple[Ints, Ints, Ints, Ints],
    needs: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    start: Ints,
    length: Ints,
    raw: Ints,
) -> Ints:
    """Lead the price of each minute from its open over its extremes to its close, in cents."""
    open_, close, low, high = edges
    inside = np.maximum(1, length - 2)
    two = needs[0] & needs[1] & (length > 3)
    # A place for the low, and another one for the high.
    place = raw[start] % inside
    other = (place + 1 + (raw[start] >> 20) % np.maximum(1, inside - 1)) % inside
    place_high = np.where(two, other, place)
    at = [start, start + length - 1, start + 1 + place, start + 1 + place_high]
    is_low = needs[0] & (length > 2)
    is_high = needs[1] & (length > 2) & (two | ~is_low)
    has = [length > 0, length > 1, is_low, is_high]
    spots = np.concatenate([each[there] for each, there in zip(at, has, strict=True)])
    values = np.concatenate(
        [each[there] for each, there in zip((open_, close, low, high), has, strict=True)]
    )
    order = np.argsort(spots)
    spots, values = spots[order], values[order]
    trade = np.arange(len(raw))
    before = np.searchsorted(spots, trade, "right") - 1
    after = np.minimum(before + 1, len(spots) - 1)
    passed, whole = trade - spots[before], np.maximum(1, spots[after] - spots[before])
    path = values[before] + (values[after] - values[before]) * passed // whole
    # Whole cents from the open, towards it, so that no price leaves the range.
    path = values[before] + np.fix((path - values[before]) / CENT).astype(np.int64) * CENT
    path[spots] = values
    return np.asarray(path)


def _sizes(volume: Ints, start: Ints, length: Ints, raw: Ints) -> Ints:
    """Split each minute's volume: at least one unit for each trade, many small, a few large."""
    weight = (raw % 1024) * ((raw >> 10) % 1024) + 1
    total = np.cumsum(weight)
    traded = length > 0
    ends = start[traded] + length[traded] - 1
    base = np.repeat(total[ends] - np.add.reduceat(weight, start[traded]), length[traded])
    whole = np.repeat(np.add.reduceat(weight, start[traded]), length[traded])
    spare = np.repeat((volume - length)[traded], length[traded])
    given = np.floor(spare * ((total - base) / whole)).astype(np.int64)
    before = np.concatenate([[0], given[:-1]])
    before[start[traded]] = 0
    return np.asarray(1 + given - before)


def _times(opened: Ints, minute: Ints, raw: Ints) -> Ints:
    """Draw the times within each minute; a third of the trades share that of the one before.

    Where a day's first or last minute is traded, there is a trade at its very beginning or end.
    """
    time = np.sort(opened[minute] + raw % (MINUTE * MICROSECONDS))
    if len(time):
        day = DAY * MICROSECONDS
        if opened[minute[0]] % day == 0:
            time[0] = opened[minute[0]]
        if opened[minute[-1]] % day == day - MINUTE * MICROSECONDS and len(time) > 1:
            time[-1] = opened[minute[-1]] + MINUTE * MICROSECONDS - 1
    shared = (raw >> 26) % 3 == 0
    shared[np.flatnonzero(np.diff(minute, prepend=-1))] = False
    shared[-1:] = False
    return np.asarray(np.maximum.accumulate(np.where(shared, 0, time)))


def _random(name: str, count: int) -> Ints:
    """Draw whole numbers in [0, 2**52) from a name."""
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "little")
    raw = np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64)
    return (raw >> np.uint64(12)).astype(np.int64)


def _written(day: DayOfTrades, begin: int, end: int) -> list[dict[str, Any]]:
    """Write some trades of a day as the exchange does, newest first."""
    part = slice(begin, end)
    times = np.datetime_as_string(day.time[part].view("datetime64[us]"))
    columns = zip(
        range(day.first + begin, day.first + end),
        times.tolist(),
        day.price[part].tolist(),
        day.size[part].tolist(),
        day.sold[part].tolist(),
        strict=True,
    )
    rows = [
        {
            "time": f"{time}Z",
            "trade_id": number,
            "price": _decimal(price),
            "size": _decimal(size),
            "side": "sell" if sold else "buy",
        }
        for number, time, price, size, sold in columns
    ]
    return rows[::-1]


def _decimal(units: int) -> str:
    return f"{units // UNIT}.{units % UNIT:08d}"
