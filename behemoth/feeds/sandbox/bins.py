"""From minutes to candles: coarser granularities, and the candle that is still open.

Pure functions of arrays. A table of candles is float64 with one row for each candle, oldest
first, and the exchange's columns: time (unix seconds), low, high, open, close, volume.
"""

from __future__ import annotations

from datetime import date as Date
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]

MINUTE = 60
TIME, LOW, HIGH, OPEN, CLOSE, VOLUME = range(6)


class Market(Protocol):
    """Where the sandbox's candles come from."""

    @property
    def products(self) -> tuple[str, ...]:
        """What is traded."""

    def listed(self, product: str) -> Date:
        """Give the UTC day of a product's first trade."""

    def delisted(self, product: str) -> Date | None:
        """Give the UTC day after which nobody trades a product, if there is one."""

    def minutes(self, product: str, start: int, end: int) -> Table:
        """Give the candles of one minute that start in ``[start, end)``, as they end up."""


def empty() -> Table:
    """Give a table without candles."""
    return np.empty((0, 6))


def aggregate(minutes: Table, granularity: int) -> Table:
    """Join minutes to candles of so many seconds; a candle without a minute is not there."""
    if granularity == MINUTE or len(minutes) == 0:
        return minutes
    start = minutes[:, TIME] // granularity * granularity
    at = np.flatnonzero(np.r_[True, start[1:] != start[:-1]])
    last = np.r_[at[1:], len(minutes)] - 1
    return np.column_stack(
        [
            start[at],
            np.minimum.reduceat(minutes[:, LOW], at),
            np.maximum.reduceat(minutes[:, HIGH], at),
            minutes[at, OPEN],
            minutes[last, CLOSE],
            np.round(np.add.reduceat(minutes[:, VOLUME], at), 8),
        ]
    )


def seen_at(minutes: Table, now: float) -> Table:
    """Give minutes as they are known at a time: nothing of the future, the open one in part.

    The open minute keeps its open; its price is as far on the way to the close, and its volume as
    far on the way to the whole, as its time is.
    """
    begun = minutes[minutes[:, TIME] < now]
    if len(begun) == 0 or begun[-1, TIME] + MINUTE <= now:
        return begun
    passed = (now - begun[-1, TIME]) / MINUTE
    price = begun[-1, OPEN]
    price_now = round(price + passed * (begun[-1, CLOSE] - price), 2)
    volume_now = round(passed * begun[-1, VOLUME], 8)
    if volume_now == 0:
        return begun[:-1]
    low, high = min(price, price_now), max(price, price_now)
    so_far = [begun[-1, TIME], low, high, price, price_now, volume_now]
    return np.vstack([begun[:-1], so_far])


def candles(
    market: Market, product: str, start: int, end: int, granularity: int, now: float = np.inf
) -> Table:
    """Give the candles that start in ``[start, end]``, both included, as they are known at `now`.

    Parameters
    ----------
    market
        Where the minutes come from.
    product
        One of its products.
    start, end
        Unix seconds.
    granularity
        Seconds of a candle.
    now
        Unix seconds; by default every candle is over.
    """
    first = -(-start // granularity) * granularity
    after = min(end // granularity * granularity + granularity, _ceil(now))
    if after <= first:
        return empty()
    return aggregate(seen_at(market.minutes(product, first, after), now), granularity)


def _ceil(now: float) -> int:
    """Give the end of the minute that `now` is in, or a time later than any candle."""
    return 2**62 if np.isinf(now) else int(now // MINUTE + 1) * MINUTE
