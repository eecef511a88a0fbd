"""The built-in market: invented prices with the habits of real ones, the same on every machine.

Each minute follows from product and date alone, never from what was asked before: a day is drawn
from random numbers keyed by its name (Philox, whose raw numbers numpy keeps stable), between two
prices that its midnights have in common with its neighbours. Nothing here is market data.

It has what an analysis looks for: busy hours when Europe and America are at work and quiet nights,
quieter weekends, livelier winters, calm and wild weeks, minutes in which nobody trades (more of
them when it is quiet), and now and then an outage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as Date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from behemoth.feeds.sandbox.bins import MINUTE, Table, empty

DAY = 86400
MINUTES = DAY // MINUTE
EPOCH = Date(1970, 1, 1).toordinal()
CACHED_DAYS = 512
"""About 35 MB at most; a request for 300 candles of a day each fits."""

HOURS = (
    *(0.75, 0.70, 0.65, 0.60, 0.55, 0.55, 0.65, 0.90, 1.05, 1.05, 0.95, 0.95),
    *(1.10, 1.40, 1.65, 1.60, 1.45, 1.25, 1.15, 1.15, 1.10, 0.95, 0.85, 0.80),
)
"""How busy each UTC hour begins: Europe opens at 8, America at 14."""
WEEKDAYS = (1.05, 1.05, 1.10, 1.10, 1.05, 0.80, 0.75)
MONTHS = (1.20, 1.10, 1.10, 0.95, 1.05, 0.95, 0.85, 0.85, 0.90, 1.00, 1.20, 1.25)
DAILY_MOVE = 0.03
"""Standard deviation of a day's log return, about."""
SWINGS = ((128, 0.16), (32, 0.09), (8, 0.045), (2, 0.02), (1, 0.01))
"""Waves of the price at midnight around its long course: days between knots, size."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the built-in market trades.

    Attributes
    ----------
    listed
        UTC day of the first trade.
    years
        The price around which each year begins, for the first year and those after it; the last
        one holds on.
    volume
        Volume of a busy minute, in base currency.
    thinness
        How often a minute stays empty, against that of the busiest product.
    """

    listed: Date
    years: Mapping[int, float]
    volume: float
    thinness: float


INSTRUMENTS: Mapping[str, Instrument] = {
    "BTC-USD": Instrument(
        Date(2015, 7, 20),
        {
            2015: 260,
            2016: 430,
            2017: 990,
            2018: 13500,
            2019: 3800,
            2020: 7200,
            2021: 29000,
            2022: 46000,
            2023: 16600,
            2024: 42500,
            2025: 94000,
        },
        volume=9.0,
        thinness=1.0,
    ),
    "ETH-USD": Instrument(
        Date(2016, 5, 18),
        {
            2016: 9,
            2017: 8,
            2018: 740,
            2019: 135,
            2020: 130,
            2021: 730,
            2022: 3700,
            2023: 1200,
            2024: 2300,
            2025: 3300,
        },
        volume=70.0,
        thinness=1.8,
    ),
    "LTC-USD": Instrument(
        Date(2016, 8, 17),
        {2016: 3.8, 2017: 4.4, 2018: 230, 2019: 31, 2020: 42, 2021: 125, 2022: 147, 2023: 70},
        volume=110.0,
        thinness=4.0,
    ),
}


class BuiltInMarket:
    """A deterministic market.

    Examples
    --------
    >>> market = BuiltInMarket()
    >>> market.listed("BTC-USD")
    datetime.date(2015, 7, 20)
    """

    def __init__(self) -> None:
        self._day = lru_cache(maxsize=CACHED_DAYS)(_day)

    @property
    def products(self) -> tuple[str, ...]:
        """What is traded."""
        return tuple(INSTRUMENTS)

    def listed(self, product: str) -> Date:
        """Give the UTC day of a product's first trade."""
        return INSTRUMENTS[product].listed

    def delisted(self, product: str) -> Date | None:
        """Give ``None``: what is traded here is traded for ever."""
        if product not in INSTRUMENTS:
            raise KeyError(product)
        return None

    def minutes(self, product: str, start: int, end: int) -> Table:
        """Give the candles of one minute that start in ``[start, end)``."""
        first = max(start // DAY, self.listed(product).toordinal() - EPOCH)
        days = [self._day(product, number) for number in range(first, -(-end // DAY))]
        if not days:
            return empty()
        table = np.concatenate(days)
        inside = (table[:, 0] >= start) & (table[:, 0] < end)
        return np.asarray(table[inside])


def _day(product: str, number: int) -> Table:
    """Draw all minutes of a day, the day's number counted from 1970."""
    instrument = INSTRUMENTS[product]
    rng = _Draws(f"{product} {number}")
    activity = _activity(number) * _mood(product, number)
    path = _path(product, number, activity, rng)
    price = np.exp(path)
    move = DAILY_MOVE / np.sqrt(MINUTES) * activity * price[:-1]
    open_, close = np.round(price[:-1], 2), np.round(price[1:], 2)
    low = np.round(np.minimum(open_, close) - 0.4 * move * rng.uniform(), 2)
    high = np.round(np.maximum(open_, close) + 0.4 * move * rng.uniform(), 2)
    swing = np.abs(close - open_) / move
    # A product of uniforms has the long tail of real volume, without a logarithm.
    volume = instrument.volume * activity * (0.2 + swing) * rng.uniform() * rng.uniform()
    # At least a unit for each of four trades: open, low, high and close.
    volume = np.maximum(np.round(volume, 8), 4e-8)
    time = number * float(DAY) + np.arange(0, DAY, MINUTE)
    traded = rng.uniform() >= np.minimum(0.6, 0.012 * instrument.thinness / activity**2)
    traded &= ~_outage(rng)
    # Rounding to cents may not take a cheap product's price to nothing.
    low = np.maximum(low, 0.01)
    table = np.column_stack([time, low, high, open_, close, volume])[traded]
    table.flags.writeable = False
    return table


def _activity(number: int) -> NDArray[np.float64]:
    """Give how busy each minute of a day is, by hour, weekday and month; around 1."""
    date = Date.fromordinal(number + EPOCH)
    hours = np.interp(np.arange(MINUTES) / 60, np.arange(25), [*HOURS, HOURS[0]])
    return np.asarray(hours * WEEKDAYS[date.weekday()] * MONTHS[date.month - 1])


def _mood(product: str, number: int) -> float:
    """Give how wild a day is: calm and wild times last for days and weeks."""
    return (
        1 + 0.35 * _wave(f"{product} mood", number, 21) + 0.2 * _wave(f"{product} day", number, 3)
    )


def _path(
    product: str, number: int, activity: NDArray[np.float64], rng: _Draws
) -> NDArray[np.float64]:
    """Walk the log price from this midnight's to the next one's, in as many steps as minutes."""
    steps = activity * rng.bell() * (DAILY_MOVE / np.sqrt(MINUTES))
    walk = np.r_[0.0, np.cumsum(steps)]
    elapsed = np.r_[0.0, np.cumsum(activity**2)]
    elapsed /= elapsed[-1]
    start, end = _midnight(product, number), _midnight(product, number + 1)
    # A bridge: the walk must arrive, and what it misses is shared out by how busy it was.
    return np.asarray(start + walk + elapsed * (end - start - walk[-1]))


def _midnight(product: str, number: int) -> float:
    """Give the log price at a midnight: the long course, and waves around it."""
    waves = sum(size * _wave(f"{product} {period}", number, period) for period, size in SWINGS)
    return _course(product, number) + waves


def _course(product: str, number: int) -> float:
    date = Date.fromordinal(number + EPOCH)
    years = INSTRUMENTS[product].years
    this = years.get(date.year, years[max(years)])
    following = years.get(date.year + 1, this)
    passed = (date - Date(date.year, 1, 1)).days / 365.25
    return float(np.log(this) + passed * (np.log(following) - np.log(this)))


def _wave(name: str, number: int, period: int) -> float:
    """Give a smooth random wave at a day, in [-1, 1]: drawn every `period` days, eased between."""
    knot, offset = divmod(number, period)
    passed = offset / period
    eased = passed * passed * (3 - 2 * passed)
    return _draw(f"{name} {knot}") * (1 - eased) + _draw(f"{name} {knot + 1}") * eased


def _draw(name: str) -> float:
    """Draw a number in [-1, 1) from a name."""
    return int.from_bytes(_hash(name)[:4], "little") / 2**31 - 1


def _outage(rng: _Draws) -> NDArray[np.bool_]:
    """Mark the minutes of an outage; most days have none."""
    happens, begin, length = rng.uniform()[:3]
    minute = np.arange(MINUTES)
    first = int(begin * MINUTES)
    last = first + 20 + int(length * 100)
    return (minute >= first) & (minute < last) & bool(happens < 0.02)


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


class _Draws:
    """Random numbers for the minutes of a day, drawn from a name."""

    def __init__(self, name: str) -> None:
        self._bits = np.random.Philox(key=int.from_bytes(_hash(name), "little"))

    def uniform(self) -> NDArray[np.float64]:
        """Draw a number in [0, 1) for each minute."""
        raw = np.asarray(self._bits.random_raw(MINUTES), dtype=np.uint64)
        return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def bell(self) -> NDArray[np.float64]:
        """Draw a number of mean 0 and deviation 1 for each minute, bell-shaped."""
        draws = np.stack([self.uniform() for _ in range(4)])
        return np.asarray((draws.sum(axis=0) - 2.0) * np.sqrt(3.0))
