"""The questions that the Coinbase Exchange answers: its time, a window of candles, trades.

How to ask is the business of `behemoth.feeds.asking`; what a body of candles says is read by
`behemoth.feeds.candles`, one of trades by `behemoth.feeds.trades`; which windows to ask is decided
by `behemoth.feeds.plan`.

The rules are the exchange's own: https://docs.cdp.coinbase.com/exchange/ (product candles, product
trades, rate limits).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Self
from urllib.parse import quote

import httpx

from behemoth.errors import BadRequest
from behemoth.feeds.answers import read_time
from behemoth.feeds.asking import PATIENT, QUICK, Asker, Counts
from behemoth.feeds.candles import BrokenAnswer, Candles, Window, parse_candles
from behemoth.feeds.trades.values import MAX_TRADES, Page, Trades, parse_trades

PUBLIC_URL = "https://api.exchange.coinbase.com"
PUBLIC_RATE = 10.0
"""Requests a second that the exchange allows to one address."""
BURST = 12
"""A little below the 15 that the exchange allows, so that a request delayed on its way is safe."""


class CoinbaseClient:
    """Ask a Coinbase Exchange; safe to share between threads, and a context manager.

    Parameters
    ----------
    base_url
        Where the exchange is; the sandbox prints its own.
    rate, burst
        Requests a second, and at once after a rest, over all threads.
    clock
        Monotonic seconds.
    sleep
        Called with seconds; by default a sleep that `abandoned` cuts short.
    transport
        Another way to send requests than the network.

    Notes
    -----
    A 429, a 5xx, a time-out, a lost connection or a broken body is asked again, with exponential
    backoff and jitter; a 429 makes all threads rest, for as long as its ``Retry-After`` says.
    Any other answer than 200 is a `FeedRefused` at once. The exchange has been seen to answer
    empty now and then where there are candles: what that is worth is decided by
    ``behemoth.feeds.believing``, not here.

    Examples
    --------
    >>> with CoinbaseClient() as client:  # doctest: +SKIP
    ...     hour = client.candles("BTC-USD", datetime(2019, 10, 31), datetime(2019, 10, 31, 0, 59))
    ...     hour.frame()
    """

    def __init__(
        self,
        base_url: str = PUBLIC_URL,
        *,
        rate: float = PUBLIC_RATE,
        burst: int = BURST,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._asker = Asker(
            base_url, rate=rate, burst=burst, clock=clock, sleep=sleep, transport=transport
        )

    @property
    def base_url(self) -> str:
        """Where the exchange is, as it is written into the log."""
        return self._asker.base_url

    @property
    def rate(self) -> float:
        """Requests a second, over all threads."""
        return self._asker.bucket.rate

    @property
    def counts(self) -> Counts:
        """What was asked so far."""
        return self._asker.counts

    def counts_of(self, product: str) -> Counts:
        """Give what was asked so far about one product."""
        return self._asker.counts_of(product)

    def telling(self, tell: Callable[[str], None]) -> AbstractContextManager[None]:
        """Within this block, tell when a failing exchange costs more than a few seconds.

        Parameters
        ----------
        tell
            Called with a line, from any thread, by one at a time.
        """
        return self._asker.telling(tell)

    def time(self) -> datetime:
        """Ask what time it is at the exchange, aware UTC.

        This is the first contact of a download, so it gives up after a few seconds. Where the
        exchange does not serve its time, the date of that very answer tells it, to the second.

        Raises
        ------
        FeedUnavailable
            When the exchange cannot be reached.
        """
        return self._asker.ask(
            "the exchange's time", "/time", {}, read_time, effort=QUICK, accept=(200, 404)
        )

    def candles(
        self, product: str, start: datetime, end: datetime, granularity: int = 60
    ) -> Candles:
        """Ask for the candles that start in ``[start, end]``, at most 300; naive times are UTC.

        Raises
        ------
        BadRequest
            When the range is empty or too long for one request.
        FeedRefused
            When the exchange knows no such product, or says no for another reason.
        FeedUnavailable
            When it cannot be reached or keeps failing.
        """
        return self.fetch(Window.between(product, start, end, granularity))

    def fetch(self, window: Window) -> Candles:
        """Ask for one window of candles; raises as `candles`."""

        def read(response: httpx.Response) -> Candles:
            return parse_candles(response.content, window)

        path = f"/products/{product_segment(window.product)}/candles"
        # With only one of the two ends, the exchange would ignore it.
        params = {
            "granularity": str(window.granularity),
            "start": _iso(window.first),
            "end": _iso(window.last),
        }
        return self._asker.ask(
            str(window), path, params, read, effort=PATIENT, topic=window.product
        )

    def trades(
        self,
        product: str,
        *,
        after: int | None = None,
        limit: int = MAX_TRADES,
        may_lack: bool = False,
    ) -> Trades:
        """Ask for the newest trades that are older than a cursor; there is no seek by time.

        Parameters
        ----------
        product
            The exchange's id, ``"BTC-USD"`` for instance.
        after
            A trade's id: only older trades are given. By default the newest of all.
        limit
            How many, 1 to 1000.
        may_lack
            Whether ids may be missing between others; else that is asked again like any answer
            that is broken.

        Raises
        ------
        BadRequest
            When the limit or the cursor cannot be.
        FeedRefused, FeedUnavailable
            As `candles`.
        FeedError
            When a price or a size cannot be kept exactly.
        """
        if not 1 <= limit <= MAX_TRADES or (after is not None and after < 1):
            raise BadRequest(
                f"one request is for 1 to {MAX_TRADES} trades older than a trade's id, not for "
                f"{limit} older than {after}"
            )
        newest = "" if after is None else f" before {after}"

        def parse(body: bytes) -> Trades:
            trades = parse_trades(body, may_lack=may_lack)
            if after is not None and len(trades) and trades.trade_id[-1] >= after:
                raise BrokenAnswer(f"a body with trade {trades.trade_id[-1]}, not older than asked")
            return trades

        return self._ask_trades(
            f"{product!r}, trades{newest}",
            product,
            {"limit": str(limit)} | ({} if after is None else {"after": str(after)}),
            parse,
        )

    def page(self, page: Page) -> Trades:
        """Ask for one page of trades, again until all of them are there; raises as `trades`."""
        return self._ask_trades(
            str(page),
            page.product,
            {"after": str(page.last + 1), "limit": str(len(page))},
            lambda body: parse_trades(body, may_lack=True).check(page),
        )

    def abandoned(self) -> AbstractContextManager[None]:
        """Let no question wait or be retried within this block, in any thread.

        What is on the wire may still be answered; all else ends with `FeedUnavailable`.
        """
        return self._asker.abandoned()

    def close(self) -> None:
        """Close the connections."""
        self._asker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask_trades(
        self, about: str, product: str, params: dict[str, str], parse: Callable[[bytes], Trades]
    ) -> Trades:
        def read(response: httpx.Response) -> Trades:
            return parse(response.content)

        path = f"/products/{product_segment(product)}/trades"
        return self._asker.ask(about, path, params, read, effort=PATIENT, topic=product)


def product_segment(product: str) -> str:
    """Give a product's id as one segment of a URL's path, whatever it contains.

    Raises
    ------
    BadRequest
        When no path can carry it.

    Examples
    --------
    >>> product_segment("../etc")
    '..%2Fetc'
    """
    if product in ("", ".", "..") or not product.isprintable():
        raise BadRequest(f"{product!r} cannot be a product; one is called 'BTC-USD', for instance")
    return quote(product, safe="")


def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
