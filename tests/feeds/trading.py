"""An exchange for tests of trades: the sandbox's rules without sockets, with a will of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import numpy as np

from behemoth.feeds import CoinbaseClient
from behemoth.feeds.sandbox import BuiltInMarket, rules
from behemoth.feeds.sandbox.prints import Prints

DAY = 86400
NOON = datetime(2019, 11, 1, 12, tzinfo=UTC)


class Exchange:
    """Answers as the sandbox does; without the trades of `lost`, `dead` after so many pages.

    `forgotten` counts how often a trade is left out before it is there. A `deaf` one passes over
    the cursor, and gives the newest trades whatever is asked.
    """

    def __init__(self, market=None, now=NOON, *, deaf=False):
        self.market = market or BuiltInMarket()
        self.now = now
        self.prints = Prints(self.market)
        self.asked = []
        self.lost = set()
        self.forgotten = {}
        self.dead = None
        self.late = {}
        self.empty = 0
        self.deaf = deaf

    def client(self, url="http://exchange"):
        """A client that no rate slows down, and that rests for no time."""
        transport = httpx.MockTransport(self._answer)
        return CoinbaseClient(
            url,
            rate=1e5,
            burst=10**5,
            sleep=lambda _: None,
            transport=transport,
        )

    def pages(self):
        """The requests for pages, the seeking ones left out."""
        return [target for target in self.asked if "?after=" in target]

    def _answer(self, request):
        target = request.url.raw_path.decode()
        self.asked.append(target)
        if self.dead is not None and len(self.pages()) > self.dead:
            return httpx.Response(503, json={"message": "dead"})
        if self.deaf:
            target = target.partition("?")[0]
        answer = rules.answer(target, self.market, self.now, self.prints)
        body = answer.body
        if "/trades" in target and answer.status == 200:
            if self.empty and len(self.asked) % self.empty == 0:
                return httpx.Response(200, json=[])
            body = [trade for trade in body if not self._left_out(trade["trade_id"])]
            for trade in body:
                trade["time"] = self.late.get(trade["trade_id"], trade["time"])
        return httpx.Response(answer.status, json=body)

    def _left_out(self, number):
        times = self.forgotten.get(number, 0)
        self.forgotten[number] = times - 1
        return number in self.lost or times > 0


class Gone(BuiltInMarket):
    """A market whose products were delisted: the last trade is of this day."""

    def __init__(self, last):
        super().__init__()
        self._last = int(datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp()) + DAY

    def minutes(self, product, start, end):
        """Give no minute after the last day."""
        return (
            super().minutes(product, start, min(end, self._last))
            if start < self._last
            else (np.empty((0, 6)))
        )


def truth(product, first, last, market=None):
    """What was traded in these days: ids, times in nanoseconds, prices, sizes, who was taker."""
    prints = Prints(market or BuiltInMarket())
    epoch = datetime(1970, 1, 1).date()
    numbers = range((first - epoch).days, (last - epoch + timedelta(1)).days)
    days = [prints.day(product, number) for number in numbers]
    ids = np.concatenate([day.first + np.arange(len(day.time)) for day in days])
    time, price, size, sold = (
        np.concatenate([getattr(day, name) for day in days])
        for name in ("time", "price", "size", "sold")
    )
    return ids, time * 1000, price, size, np.where(sold, "buy", "sell")


def same(frame, expected):
    """Whether a stored frame is the truth, to the bit and in its order."""
    ids, time, price, size, side = expected
    return (
        np.array_equal(frame["trade_id"], ids)
        and np.array_equal(frame.index.asi8, time)
        and np.array_equal(frame["price_e8"], price)
        and np.array_equal(frame["size_e8"], size)
        and (frame["price"].to_numpy() == price / 1e8).all()
        and (frame["size"].to_numpy() == size / 1e8).all()
        and (frame["side"].astype(str) == side).all()
    )
