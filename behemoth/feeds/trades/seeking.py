"""Seeking a day among trades: there is no seek by time, so ids are bisected.

The exchange gives trades that are older than a cursor, and ids grow with time. Each answer shows
up to 1,000 trades and their times; where the day begins is guessed by interpolation first, and by
halving when that does not close in. What becomes of the ids is decided by `gathering`.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

import numpy as np

from behemoth.errors import FeedUnavailable
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.trades.values import MAX_TRADES, Trades

Point = tuple[int, int]
"""A trade that was seen: its id, and its time in nanoseconds."""
ASKINGS = 5
"""How often an answer must be empty to be believed: now and then one is for no reason."""


class Broken(Exception):
    """What came of a day is not whole, or contradicts itself; the text says why."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a moment lies among the trades.

    Attributes
    ----------
    before
        Id of the last trade before it; if there is none, the number below the first of all.
    after
        Id of the first trade at or after it, ``None`` if there is none yet. Where it is not the
        next number, nobody knows on which side the trades between them were.
    """

    before: int
    after: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of a span of time, ``[first, last]``; none where `last` is less than `first`.

    Attributes
    ----------
    first, last
        The ids. A gap at either end belongs to it: it might have been traded in this time.
    final
        Whether a later trade is known, so that the span has its end.
    """

    first: int
    last: int
    final: bool


class Seeker:
    """Find ids by time, of one product; what was learnt is used again.

    Parameters
    ----------
    client
        Whom to ask.
    product
        The exchange's id, ``"BTC-USD"`` for instance.
    """

    def __init__(self, client: CoinbaseClient, product: str) -> None:
        self._client = client
        self._product = product
        self._points: list[Point] = []  # in their order
        self._edges: dict[int, Edge] = {}
        self._floor = 0  # no trade has this id, nor a smaller one
        self._newest: int | None = None

    def know(self, moment: int, before: int) -> None:
        """Learn from elsewhere which trade is the last before a moment, in nanoseconds."""
        after = before + 1
        self._edges[moment] = Edge(before, after if after <= self.newest() else None)

    def find(self, start: int, end: int) -> Found:
        """Find the trades of ``[start, end)``, nanoseconds since 1970.

        Raises
        ------
        Broken
            When a trade of a later day has an earlier id.
        FeedError
            As `CoinbaseClient.trades`, and when trades are gone that were there.
        """
        first, last = self.edge(start), self.edge(end)
        if last.before < first.before:
            raise Broken(f"trade {first.before} is said to be of an earlier day and of a later one")
        if last.after is None:
            return Found(first.before + 1, last.before, final=False)
        return Found(first.before + 1, last.after - 1, final=True)

    def newest(self) -> int:
        """Give the newest trade's id, 0 if there is none; asked once."""
        if self._newest is None:
            self._newest = int(max(self._ask(None).trade_id, default=0))
        return self._newest

    def edge(self, moment: int) -> Edge:
        """Find where a moment lies."""
        if moment not in self._edges:
            self._edges[moment] = self._sought(moment)
        return self._edges[moment]

    def _sought(self, moment: int) -> Edge:
        newest = self.newest()
        left, right = self._around(moment)
        if right is None:
            return Edge(max(newest, self._floor), None)
        low = self._floor if left is None else left[0]  # nothing is sought at or below it
        halve = False
        while right[0] - low > 1:
            width = right[0] - low
            after = _guess(low, left, right, moment, halve)
            trades = self._ask(after)
            if not len(trades):
                if left is not None:
                    raise FeedUnavailable(
                        f"{self._product!r}: no trade before {after}, answered "
                        f"{self._client.base_url}, but trade {left[0]} was there; try again later"
                    )
                low = self._floor = after - 1
                continue
            left, nearest = self._around(moment)
            right = nearest or right
            if trades.time[0] < moment <= trades.time[-1]:
                break  # both sides of it in one answer
            if trades.time[-1] < moment:
                low = max(low, after - 1)
            halve = not halve and right[0] - low > width // 2
        return Edge(low if left is None else left[0], right[0])

    def _around(self, moment: int) -> tuple[Point | None, Point | None]:
        """Give the nearest known trades before a moment, and at or after it."""
        before = max((point for point in self._points if point[1] < moment), default=None)
        after = min((point for point in self._points if point[1] >= moment), default=None)
        if before is not None and after is not None and before[0] > after[0]:
            raise Broken(f"trade {before[0]} is of an earlier day than trade {after[0]}")
        return before, after

    def _ask(self, after: int | None) -> Trades:
        """Ask for a page, again while it is empty; remember its ends and where days change."""
        for _ in range(ASKINGS):
            trades = self._client.trades(self._product, after=after, may_lack=True)
            if len(trades):
                break
        days = trades.time // 86_400_000_000_000
        turns = np.flatnonzero(np.diff(days, prepend=-1, append=-1))
        for place in {int(at) for turn in turns for at in (turn - 1, turn)}:
            if 0 <= place < len(trades):
                point = int(trades.trade_id[place]), int(trades.time[place])
                if point not in self._points:
                    insort(self._points, point)
        return trades


def _guess(low: int, left: Point | None, right: Point, moment: int, halve: bool) -> int:
    """Choose a cursor in ``[low + 2, right]``, with the guess in the middle of its page."""
    width = right[0] - low
    if width <= MAX_TRADES:
        return right[0]  # one page shows all that is left
    if left is None:
        guess = low + width // 2 if halve else low + MAX_TRADES // 2
    elif halve:
        guess = low + width // 2
    else:
        passed = (moment - left[1]) / max(1, right[1] - left[1])
        guess = left[0] + int(passed * (right[0] - left[0]))
    return max(low + 2, min(guess + MAX_TRADES // 2, right[0]))
