"""The downloader of trades: from the exchange into a tickstore, one commit for each whole day.

A day's ids are found by `seeking`; its pages are asked side by side on the client's one rate, kept
by `staging` as they come, in no order, and committed together. What a run looks like to a person
is the business of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from datetime import date as Date
from typing import Literal

from behemoth.bitemporal import BiTimestamp, Observation, visible
from behemoth.errors import BadRequest, FeedError
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.fetching import workers
from behemoth.feeds.plan import (
    DAY,
    ONE_DAY,
    KnownFrom,
    check_known_from,
    check_range,
    complete_days,
    days_between,
    knowledge_start,
    seconds_of,
)
from behemoth.feeds.trades.seeking import Found, Seeker
from behemoth.feeds.trades.staging import Staging, place
from behemoth.feeds.trades.summary import TradesProgress, TradesSummary
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
from behemoth.tickstore.tickstore import utc_now

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TradesPlan:
    """Which days a download of trades has to fetch; how many requests, only their ids tell.

    Attributes
    ----------
    days
        Wanted days that are over and not complete.
    complete
        Wanted days that were complete before.
    left
        Wanted days that are not over.
    """

    days: tuple[Date, ...]
    complete: tuple[Date, ...]
    left: tuple[Date, ...]


class _Broken(Exception):
    """What came of a day is not whole; the text says why."""


class _Overtaken(Exception):
    """Another run has completed the day meanwhile."""


def plan_trades(
    table: Tickstore,
    source: str,
    product: str,
    first_day: Date,
    last_day: Date,
    *,
    now: Callable[[], datetime],
) -> TradesPlan:
    """Plan which days a table still lacks; writes nothing.

    Parameters
    ----------
    table, product, first_day, last_day
        As for `download_trades`.
    source
        The exchange's base URL, as `CoinbaseClient.base_url` gives it.
    now
        Asked for the exchange's time if any wanted day is not complete.

    Raises
    ------
    BadRequest
        When the range cannot be, or is all in the future.
    """
    check_range(first_day, last_day)
    done = complete_days(table.observations(product), source, WHAT, first_day, last_day)
    wanted = [day for day in days_between(first_day, last_day) if day not in done]
    time = now() if wanted else utc_now()
    if wanted and first_day > time.date():
        raise BadRequest(
            f"the start {first_day} is in the future, it is {time:%Y-%m-%d %H:%M} UTC at the "
            "exchange; ask for a range that has begun"
        )
    days = tuple(day for day in wanted if seconds_of(day) + DAY <= time.timestamp())
    return TradesPlan(days, tuple(sorted(done)), tuple(wanted[len(days) :]))


def download_trades(
    table: Tickstore,
    client: CoinbaseClient,
    product: str,
    first_day: Date,
    last_day: Date,
    *,
    known_from: KnownFrom = "now",
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[TradesProgress], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> TradesSummary:
    """Download every trade into a tickstore: what it lacks, one commit for each UTC day.

    Pages are kept in the table's folder as they come, so that a download that was interrupted goes
    on mid-day; a day is committed when each of its trades is there, with the observation that it
    is complete. A day of which trades are missing, also when they are asked for again, is not
    stored: it becomes an observation that it failed, and the next run tries again. A day before
    the listing, or after the last trade of a product that is gone, is kept as an observation only.

    Parameters
    ----------
    table
        The tickstore. Frames are those of `Trades.frame`.
    client
        The exchange.
    product
        Its id for what to download, ``"BTC-USD"`` for instance; it becomes the symbol.
    first_day, last_day
        UTC days, ``[first_day, last_day]``. A day that is not over is left for a later run.
    known_from
        Since when the trades count as known, as for `behemoth.feeds.download`.
    clock
        Gives the present, aware UTC, as the tickstore's clock does.
    on_progress
        Called after each page and each day stored.
    on_note
        Called with a line that a person should see.

    Returns
    -------
    TradesSummary

    Raises
    ------
    BadRequest
        When the range cannot be, or is all in the future.
    FeedRefused, FeedUnavailable, FeedError
        When the exchange failed for good. What came by then is kept.
    """
    check_known_from(known_from)
    asked = client.counts
    todo = plan_trades(table, client.base_url, product, first_day, last_day, now=client.time)
    if todo.left:
        on_note(f"not over yet, left for a later run: {', '.join(map(str, todo.left))}")
    run = _Run(table, client, product, todo, known_from, clock, on_progress, on_note)
    run.summary = TradesSummary(
        product,
        client.base_url,
        first_day,
        last_day,
        days_already_complete=len(todo.complete),
        days_left=len(todo.left),
    )
    run.tidy()
    for day in todo.days:
        run.do(day)
    counts = client.counts - asked
    return replace(run.summary, requests=counts.requests, retries=counts.retries)


class _Run:
    """One download under way: fetches days, stores them, and keeps count."""

    summary: TradesSummary

    def __init__(
        self,
        table: Tickstore,
        client: CoinbaseClient,
        product: str,
        todo: TradesPlan,
        known_from: KnownFrom,
        clock: Callable[[], datetime],
        on_progress: Callable[[TradesProgress], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._table = table
        self._client = client
        self._product = product
        self._todo = todo
        self._known_from = known_from
        self._clock = clock
        self._on_progress = on_progress
        self._on_note = on_note
        self._staging = Staging(place(table), client.base_url, product)
        self._seeker = Seeker(client, product)

    def tidy(self) -> None:
        """Forget pages of days that are complete: another run was killed right after that."""
        kept = self._staging.dates()
        if kept:
            self._staging.clear(self._complete(min(kept), max(kept)))

    def do(self, date: Date) -> None:
        """Fetch a day and store it, or say that it failed."""
        try:
            self._check_open(date)
            trades, asked_at = self._fetched(date)
            self._check_open(date)
            self._store(date, trades, asked_at)
        except _Broken as broken:
            self._fail(date, str(broken))
            return
        except _Overtaken:
            self._on_note(f"{date}: another run completed it meanwhile")
        self._staging.clear({date})

    def _fetched(self, date: Date) -> tuple[Trades, datetime]:
        """Give all trades of a day, and when the last answer about them came."""
        self._tell(date, 0, 0)
        found = self._ids(date)
        pages = [
            Page(self._product, first, min(first + MAX_TRADES - 1, found.last))
            for first in range(found.first, found.last + 1, MAX_TRADES)
        ]
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
            raise _Broken(f"trade {trades.trade_id[at]} {wrong}")
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

    def _last_before(self, date: Date) -> int | None:
        """Give the id of the last trade of the day before, if that is stored and complete."""
        before = date - ONE_DAY
        if not self._complete(before, before):
            return None
        frame = self._table.select(self._product, before, before, columns=["trade_id"])
        ids = frame["trade_id"].to_numpy()
        # What was corrected by hand does not tell.
        return int(ids[-1]) if len(ids) and ids[-1] + 1 - ids[0] == len(ids) else None

    def _gather(self, date: Date, pages: Sequence[Page]) -> None:
        """See to it that each page is kept.

        Raises
        ------
        _Broken
            When trades are missing for good.
        """
        wanted = [page for page in pages if self._staging.page(date, page) is None]
        kept = len(pages) - len(wanted)
        self.summary = replace(self.summary, pages_kept=self.summary.pages_kept + kept)
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
            raise _Broken(
                f"{count:,} trades are missing, also when asked for again: ids {spans(missing)}"
            )

    def _fetch(self, date: Date, page: Page) -> tuple[Trades, datetime]:
        trades, at = self._client.page(page), self._clock()
        self._staging.keep(date, page, trades, at)
        return trades, at

    def _again(self, date: Date, page: Page) -> tuple[Trades, datetime]:
        """Fetch a page that was kept and has gone, by a run that was quicker for instance."""
        self._check_open(date)
        return self._fetch(date, page)

    def _check_open(self, date: Date) -> None:
        if self._complete(date, date):
            raise _Overtaken

    def _store(self, date: Date, trades: Trades, asked_at: datetime) -> None:
        """Commit a whole day, unless its emptiness is not to be believed."""
        # A correction may have come meanwhile, so what is stored is read anew.
        history = tuple(r for r in self._table.revisions(self._product) if r.date == date)
        known = visible(history)
        if not len(trades) and known is not None and known.rows > 0:
            self.summary = replace(self.summary, days_in_doubt=self.summary.days_in_doubt + 1)
            self._on_note(
                f"{date}: {self._client.base_url} answered without a single trade, but version "
                f"{known.version} has {known.rows:,}; it was kept, and the next run asks again"
            )
            return
        seen = self._observation(date, asked_at, "complete", len(trades))
        written = 0
        if not len(trades):
            self._observe(seen)
        else:
            start = knowledge_start(self._known_from, date, history, self._clock())
            revision = self._table.insert(
                self._product,
                BiTimestamp(date, as_of_time=start),
                trades.frame(),
                message=_message(seen),
                source=self._client.base_url,
                if_changed=True,
                observations=[seen],
            )
            written = int(all(revision.version != earlier.version for earlier in history))
        self.summary = replace(
            self.summary,
            days=self.summary.days + 1,
            trades=self.summary.trades + len(trades),
            versions_written=self.summary.versions_written + written,
        )
        pages = -(-len(trades) // MAX_TRADES)
        self._tell(date, pages, pages)

    def _fail(self, date: Date, reason: str) -> None:
        line = f"{date}: {reason}"
        self.summary = replace(
            self.summary,
            days_failed=self.summary.days_failed + 1,
            failures=(*self.summary.failures, line),
        )
        self._on_note(f"{line}; the day was not stored")
        self._observe(self._observation(date, self._clock(), "failed", 0))

    def _observation(
        self, date: Date, asked_at: datetime, outcome: Literal["complete", "failed"], rows: int
    ) -> Observation:
        start = datetime.fromtimestamp(seconds_of(date), UTC)
        return Observation(
            symbol=self._product,
            source=self._client.base_url,
            what=WHAT,
            start=start,
            end=start + ONE_DAY,
            asked_at=asked_at,
            outcome=outcome,
            rows=rows,
        )

    def _observe(self, seen: Observation) -> None:
        self._table.observe([seen], message=_message(seen), source=self._client.base_url)

    def _complete(self, first: Date, last: Date) -> frozenset[Date]:
        seen = self._table.observations(self._product)
        return complete_days(seen, self._client.base_url, WHAT, first, last)

    def _tell(self, date: Date, pages: int, total: int) -> None:
        days, trades = self.summary.days, self.summary.trades
        self._on_progress(TradesProgress(date, pages, total, days, len(self._todo.days), trades))


def _message(seen: Observation) -> str:
    return f"download {seen.symbol} {seen.start:%Y-%m-%d} {seen.what}"


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
