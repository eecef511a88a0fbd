"""The sandbox's order book: invented orders around the price at the exchange's time.

The orders of a second follow from product and second alone, so all three levels tell of one book:
level 2 adds up level 3 by price, level 1 is its top. It is never crossed. The shape is the
exchange's: https://docs.cdp.coinbase.com/exchange/ (product book).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from random import Random
from typing import Any
from uuid import UUID

from behemoth.feeds.sandbox.bins import CLOSE, MINUTE, Market, seen_at

PRICES = 50
"""Prices on each side."""
LOOKBACK = 86400
"""Seconds in which somebody must have traded for there to be a book."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order: its price in cents, its size in units of 1e-8, its id."""

    price: int
    size: int
    id: str


def book(product: str, level: int, market: Market, now: datetime) -> dict[str, Any]:
    """Give the book of a product at one of the levels 1, 2 and 3.

    Returns
    -------
    dict
        ``bids`` and ``asks``, best first: rows ``[price, size, orders]``, at level 3
        ``[price, size, order id]``, prices and sizes as text. Both are empty where nobody trades.
        ``sequence`` grows with ``time``.
    """
    second = int(now.timestamp())
    last = _last_price(product, market, now)
    sides = {
        side: _rows(list(_orders(f"{product} {second} {side}", last, step)) if last else [], level)
        for side, step in (("bids", -1), ("asks", 1))
    }
    time = datetime.fromtimestamp(second, UTC)
    return {
        **sides,
        "sequence": second,
        "auction_mode": False,
        "auction": None,
        "time": f"{time:%Y-%m-%dT%H:%M:%S}.000000Z",
    }


def _last_price(product: str, market: Market, now: datetime) -> int | None:
    """Give the price of the last trade in cents, if there was one lately."""
    delisted = market.delisted(product)
    if delisted is not None and delisted < now.date():
        return None
    seconds = now.timestamp()
    after = int(seconds // MINUTE + 1) * MINUTE
    minutes = seen_at(market.minutes(product, after - LOOKBACK, after), seconds)
    return round(minutes[-1, CLOSE] * 100) if len(minutes) else None


def _orders(name: str, last: int, step: int) -> Iterator[Order]:
    """Invent the orders of one side, best first."""
    rng = Random(int.from_bytes(hashlib.blake2b(name.encode()).digest(), "little"))  # noqa: S311 - no secret
    # The last trade was at one of the two best prices.
    price = last + (step > 0)
    for _ in range(PRICES):
        if price < 1:
            return
        for _ in range(rng.randint(1, 4)):
            size = 1 + int(rng.random() ** 4 * 500_000_000)
            yield Order(price, size, str(UUID(int=rng.getrandbits(128), version=4)))
        price += step * rng.randint(1, 1 + last // 20_000)


def _rows(orders: list[Order], level: int) -> list[list[Any]]:
    if level == 3:
        return [[_text(order.price, 2), _text(order.size, 8), order.id] for order in orders]
    rows: list[list[Any]] = []
    for price, at_price in groupby(orders, key=lambda order: order.price):
        sizes = [order.size for order in at_price]
        rows.append([_text(price, 2), _text(sum(sizes), 8), len(sizes)])
    return rows if level == 2 else rows[:1]


def _text(number: int, places: int) -> str:
    """Write a number of units without needless zeros."""
    return f"{(Decimal(number).scaleb(-places)).normalize():f}"
