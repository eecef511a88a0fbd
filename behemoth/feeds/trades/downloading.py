"""The downloader of trades: from the exchange into a tickstore, one commit for each whole day.

A day is gathered whole by `gathering`, page by page; here it is judged and committed. What a run
looks like to a person is the business of the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from datetime import date as Date
from typing import Literal

from behemoth.bitemporal import BiTimestamp, Observation, visible
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.plan import ONE_DAY, KnownFrom, check_known_from, knowledge_start, seconds_of
from behemoth.feeds.trades.gathering import Gatherer, Overtaken
from behemoth.feeds.trades.planning import TradesPlan, plan_trades
from behemoth.feeds.trades.seeking import Broken
from behemoth.feeds.trades.staging import Staging, place
from behemoth.feeds.trades.summary import TradesProgress, TradesSummary
from behemoth.feeds.trades.values import MAX_TRADES, WHAT, Trades
from behemoth.tickstore import Tickstore
from behemoth.tickstore.tickstore import utc_now


def download_trades(
    table: Tickstore,
    client: CoinbaseClient,
    product: str,
    first_day: Date,
    last_day: Date,
    *,
    known_from: KnownFrom = "now",
    supersede: bool = False,
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[TradesProgress], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> TradesSummary:
    """Download every trade into a tickstore: what it lacks, one commit for each UTC day.

    Pages are kept in the table's folder as they come, so that a download that was interrupted goes
    on mid-day; a day is committed when each of its trades is there, with the observation that it
    is complete. A day of which trades are missing, also when they are asked for again, is not
    stored: it becomes an observation that it failed, and the next run tries again; so does one that
    has a candle, but no trade. A day before the listing, or after the last trade of a product that
    is gone, is kept as an observation only. A day that was deleted is left alone.

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
    supersede
        Let them supersede, or stand beside, what came from another source or is no trades.
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
        When the range cannot be, or is all in the future; when the table holds ticks from another
        source, or candles.
    FeedRefused, FeedUnavailable, FeedError
        When the exchange failed for good. What came by then is kept.
    """
    check_known_from(known_from)
    asked = client.counts
    todo = plan_trades(
        table,
        client.base_url,
        product,
        first_day,
        last_day,
        supersede=supersede,
        now=client.time,
    )
    if todo.left:
        on_note(f"not over yet, left for a later run: {', '.join(map(str, todo.left))}")
    if todo.deleted:
        on_note(
            f"deleted before, and not asked: {', '.join(map(str, todo.deleted))}; undelete them to "
            "have them back"
        )
    run = _Run(table, client, product, todo, known_from, clock, on_progress, on_note)
    run.summary = TradesSummary(
        product,
        client.base_url,
        first_day,
        last_day,
        days_already_complete=len(todo.complete),
        days_left=len(todo.left),
        days_deleted=len(todo.deleted),
    )
    run.tidy()
    for day in todo.days:
        run.do(day)
    counts = client.counts - asked
    return replace(
        run.summary,
        requests=counts.requests,
        retries=counts.retries,
        pages_kept=run.pages_kept,
    )


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
        self._gatherer = Gatherer(table, client, product, self._staging, clock, self._tell)

    @property
    def pages_kept(self) -> int:
        """Pages that an earlier run had left."""
        return self._gatherer.pages_kept

    def tidy(self) -> None:
        """Forget pages of days that are complete: another run was killed right after that."""
        kept = self._staging.dates()
        if kept:
            self._staging.clear(self._gatherer.complete(min(kept), max(kept)))

    def do(self, date: Date) -> None:
        """Fetch a day and store it, or say that it failed."""
        try:
            self._gatherer.check_open(date)
            trades, asked_at = self._gatherer.day(date)
            self._gatherer.check_open(date)
            self._store(date, trades, asked_at)
        except Broken as broken:
            self._fail(date, str(broken))
            return
        except Overtaken:
            self._on_note(f"{date}: another run completed it meanwhile")
        self._staging.clear({date})

    def _store(self, date: Date, trades: Trades, asked_at: datetime) -> None:
        """Commit a whole day, unless its emptiness is not to be believed."""
        # A correction may have come meanwhile, so what is stored is read anew.
        history = tuple(r for r in self._table.revisions(self._product) if r.date == date)
        known = visible(history)
        if history and known is None:
            self._on_note(f"{date}: it was deleted meanwhile, and stays so")
            return
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

    def _tell(self, date: Date, pages: int, total: int) -> None:
        days, trades = self.summary.days, self.summary.trades
        self._on_progress(TradesProgress(date, pages, total, days, len(self._todo.days), trades))


def _message(seen: Observation) -> str:
    return f"download {seen.symbol} {seen.start:%Y-%m-%d} {seen.what}"
