"""Gathering a day: its ids, its pages side by side, and whether all of it is there and in order.

Threads live here, and nothing is committed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from datetime import date as Date

from behemoth.errors import FeedError
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.fetching import workers
from behemoth.feeds.plan import DAY, ONE_DAY, complete_days, seconds_of
from behemoth.feeds.trades.seeking import Broken, Found, Seeker
from behemoth.feeds.trades.staging import Staging
from behemoth.feeds.trades.values import (
    MAX_TRADES,
    WHAT,
    MissingTrades,
    Page,
    Trades,
    joined,
    spans,
)
from behemoth.tickstore import Tickstore

SECOND = 1_000_000_000


class Overtaken(Exception):
    """Another run has completed the day meanwhile."""


class Gatherer:
    """Gather whole days of one product.

    Parameters
    ----------
    table
        Where days are stored; only read.
    client
        Whom to ask.
    product
        The exchange's id, ``"BTC-USD"`` for instance.
    staging
        Where pages are kept until their day is stored.
    clock
        Gives the present, aware UTC.
    on_pages
        Called with a day, how many of its pages are there, and how many it has.

    Attributes
    ----------
    pages_kept : int
        Pages that an earlier run had left, and that were not asked again.
    """

    def __init__(
        self,
        table: Tickstore,
        client: CoinbaseClient,
        product: str,
        staging: Staging,
        clock: Callable[[], datetime],
        on_pages: Callable[[Date, int, int], None],
    ) -> None:
        self.pages_kept = 0
        self._table = table
        self._client = client
        self._product = product
        self._staging = staging
        self._clock = clock
        self._tell = on_pages
        self._seeker = Seeker(client, product)

    def day(self, date: Date) -> tuple[Trades, datetime]:
        """Give all trades of a day, and when the last answer about them came.

        Raises
        ------
        Broken
            When they are not whole, also after asking again, or contradict themselves or a candle.
        Overtaken
            When another run has completed the day meanwhile.
        FeedError
            When the exchange failed for good.
        """
        self._tell(date, 0, 0)
        found = self._ids(date)
        pages = [
            Page(self._product, first, min(first + MAX_TRADES - 1, found.last))
            for first in range(found.first, found.last + 1, MAX_TRADES)
        ]
        if not pages:
            self._check_empty(date)
        self._gather(date, pages)
        parts = [self._staging.page(date, page) or self._again(date, page) for page in pages]
        trades = joined(part for part, _ in parts)
        start = seconds_of(date) * SECOND
        inside = (trades.time >= start) & (trades.time < start + DAY * SECOND)
        back = trades.time[1:] < trades.time[:-1]
        if back.any() or not inside.all():
            self._staging.clear({date})
            at = int(back.argmax()) + 1 if back.any() else int(inside.argmin())
            wrong = "is older than the one before it" if back.any() else "is of another day"
            raise Broken(f"trade {trades.trade_id[at]} {wrong}")
        return trades, max((at for _, at in parts), default=self._clock())

    def _ids(self, date: Date) -> Found:
        """Find the ids of a day: kept, told by the day before, or sought."""
        found = self._staging.ids(date)
        if found is not None:
            return found
        start = seconds_of(date) * SECOND
        last = self._last_before(date)
        if last is not None:
            self._seeker.know(start, last)
        found = self._seeker.find(start, start + DAY * SECOND)
        if found.final and found.last >= found.first:
            self._staging.keep_ids(date, found)
        return found

    def _check_empty(self, date: Date) -> None:
        """Raise `Broken` if the exchange has a candle of a day on which nobody is said to trade."""
        midnight = datetime.fromtimestamp(seconds_of(date), UTC)
        if len(self._client.candles(self._product, midnight, midnight, DAY)):
            raise Broken("no trade was found, but there is a candle of this day")

    def _last_before(self, date: Date) -> int | None:
        """Give the id of the last trade of the day before, if that is stored as it was answered."""
        before = date - ONE_DAY
        answered = [
            seen.rows
            for seen in self._table.observations(self._product)
            if complete_days([seen], self._client.base_url, WHAT, before, before)
        ]
        if not answered or not answered[-1]:
            return None
        frame = self._table.select(self._product, before, before, columns=["trade_id"])
        ids = frame["trade_id"].to_numpy()
        # What was corrected by hand does not tell.
        whole = len(ids) == answered[-1] and ids[-1] + 1 - ids[0] == len(ids)
        return int(ids[-1]) if whole else None

    def _gather(self, date: Date, pages: Sequence[Page]) -> None:
        """See to it that each page is kept.

        Raises
        ------
        Broken
            When trades are missing for good.
        """
        wanted = [page for page in pages if self._staging.page(date, page) is None]
        kept = len(pages) - len(wanted)
        self.pages_kept += kept
        self._tell(date, kept, len(pages))
        missing: list[tuple[int, int]] = []
        pool = ThreadPoolExecutor(workers(self._client.rate), thread_name_prefix="trades")
        try:
            futures = {pool.submit(self._fetch, date, page): page for page in wanted}
            for done, future in enumerate(as_completed(futures), kept + 1):
                missing += _lacking(future)
                self._tell(date, done, len(pages))
        finally:
            with self._client.abandoned():
                pool.shutdown(wait=True, cancel_futures=True)
        if missing:
            count = sum(last + 1 - first for first, last in missing)
            raise Broken(
                f"{count:,} trades are missing, also when asked for again: ids {spans(missing)}"
            )

    def _fetch(self, date: Date, page: Page) -> tuple[Trades, datetime]:
        trades, at = self._client.page(page), self._clock()
        self._staging.keep(date, page, trades, at)
        return trades, at

    def _again(self, date: Date, page: Page) -> tuple[Trades, datetime]:
        """Fetch a page that was kept and has gone, by a run that was quicker for instance."""
        self.check_open(date)
        return self._fetch(date, page)

    def check_open(self, date: Date) -> None:
        """Raise `Overtaken` if a day is complete."""
        if self.complete(date, date):
            raise Overtaken

    def complete(self, first: Date, last: Date) -> frozenset[Date]:
        """Give the days of ``[first, last]`` that need no asking."""
        seen = self._table.observations(self._product)
        return complete_days(seen, self._client.base_url, WHAT, first, last)


def _lacking(future: Future[tuple[Trades, datetime]]) -> tuple[tuple[int, int], ...]:
    """Give the ids that a page lacks for good; raise what else went wrong with it."""
    try:
        future.result()
    except CancelledError:
        return ()
    except FeedError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MissingTrades):
                return cause.missing
            cause = cause.__cause__
        raise
    return ()
