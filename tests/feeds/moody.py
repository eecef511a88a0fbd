"""A market that changes its mind between two askings, for the sandbox."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

from behemoth.feeds import CoinbaseClient
from behemoth.feeds.sandbox import Sandbox

DAY = 86400
NOW = datetime(2019, 11, 1, 12, 0, 30, tzinfo=UTC)
FIRST, LAST = date(2019, 10, 29), date(2019, 10, 31)


def midnight(day):
    """Unix seconds of the beginning of a UTC day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def trades(*days, every=3600):
    """Minutes with a trade: one each hour by default, told apart by their volume."""
    start = np.concatenate([np.arange(midnight(d), midnight(d) + DAY, every) for d in days])
    price = 9000 + (start // every % 97) / 8
    volume = 0.1 + (start // every % 89) / 10
    return np.column_stack([start, price - 0.5, price + 0.5, price, price + 0.25, volume])


class Moody:
    """What was traded is `table`, to be changed at will; `mood` may falsify an answer."""

    products = ("BTC-USD", "ETH-USD")

    def __init__(self, table):
        self.table = np.array(table, dtype=float)
        self.mood = lambda _start, _end, rows: rows

    def listed(self, _product):
        """Not asked for."""
        return date(2015, 7, 20)

    def minutes(self, _product, start, end):
        """Give what was traded, as the mood shows it."""
        inside = (self.table[:, 0] >= start) & (self.table[:, 0] < end)
        return self.mood(start, end, self.table[inside])

    def without(self, *times):
        """Lose the candles at these times."""
        self.table = self.table[~np.isin(self.table[:, 0], times)]

    def put(self, *rows):
        """Change the candles of these times, or add them."""
        rows = np.array(rows, dtype=float)
        self.without(*rows[:, 0])
        table = np.vstack([self.table, rows])
        self.table = table[np.argsort(table[:, 0])]


def opened(market, now=NOW, **options):
    """Open a sandbox with this market, whose clock stands still."""
    return Sandbox(market, now=now, clock=lambda: 0.0, rate=1e6, burst=10**6, **options)


def fast(exchange):
    """A client that the rate does not slow down."""
    return CoinbaseClient(exchange.url, rate=1e5, burst=10**5)
