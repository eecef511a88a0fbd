"""The downloader: carries a plan out, from the exchange into a tickstore, one commit for each day.

What to ask is decided by `behemoth.feeds.plan`; asking is done by `behemoth.feeds.fetching`. What
a run looks like to a person is the business of the command line, which listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from datetime import date as Date
from typing import Any

from behemoth.bitemporal import BiTimestamp, Observation, Revision, visible
from behemoth.feeds.candles import check_granularity
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.fetching import Answer, Fetch, FetchedDay, by_day
from behemoth.feeds.plan import (
    KnownFrom,
    Plan,
    PlannedDay,
    check_known_from,
    check_range,
    complete_days,
    days_between,
    knowledge_start,
    plan,
)
from behemoth.feeds.summary import Progress, Summary
from behemoth.tickstore import Tickstore


def utc_now() -> datetime:
    """Give the present, aware UTC."""
    return datetime.now(UTC)


def what_of(granularity: int) -> str:
    """Name candles of so many seconds in observations, ``"candles/60"`` for instance."""
    return f"candles/{granularity}"


def plan_download(
    table: Tickstore,
    source: str,
    product: str,
    first_day: Date,
    last_day: Date,
    granularity: int = 60,
    *,
    partial: bool = False,
    now: Callable[[], datetime],
) -> Plan:
    """Plan what a table still lacks; writes nothing.

    Parameters
    ----------
    table
        The tickstore.
    source
        The exchange's base URL, as `CoinbaseClient.base_url` gives it.
    product, first_day, last_day, granularity, partial
        As for `download`.
    now
        Asked for the exchange's time if any wanted day is not complete.

    Raises
    ------
    BadRequest
        As `behemoth.feeds.plan.plan`.
    """
    check_granularity(granularity)
    check_range(first_day, last_day)
    done = complete_days(
        table.observations(product), source, what_of(granularity), first_day, last_day
    )
    if all(day in done for day in days_between(first_day, last_day)):
        return Plan(product, granularity, first_day, last_day, complete=tuple(sorted(done)))
    return plan(
        product, first_day, last_day, granularity, now=now(), complete=done, partial=partial
    )


def download(
    table: Tickstore,
    client: CoinbaseClient,
    product: str,
    first_day: Date,
    last_day: Date,
    granularity: int = 60,
    *,
    partial: bool = False,
    known_from: KnownFrom = "now",
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Download candles into a tickstore: what it lacks, one commit for each UTC day.

    Each day is committed as soon as it is there, in the order of the days, with the observation
    that it is complete; so a download that was interrupted goes on where it was. The candle that
    is still open is never stored. A day without a single trade is kept as an observation only.

    Parameters
    ----------
    table
        The tickstore. Frames have the index ``time`` (datetime64[ns, UTC], start of the candle)
        and the columns ``low high open close volume`` (float64).
    client
        The exchange.
    product
        Its id for what to download, ``"BTC-USD"`` for instance; it becomes the symbol.
    first_day, last_day
        UTC days, ``[first_day, last_day]``.
    granularity
        Seconds of a candle: 60, 300, 900, 3600, 21600 or 86400.
    partial
        Store what there is of a day that is not over; a later run completes it.
    known_from
        Since when the ticks count as known: ``"now"``; ``"day-end"``, the midnight after their
        day; or ``"start"``, since always. The last two hold where law and history allow them, see
        `behemoth.feeds.plan.knowledge_start`.
    clock
        Gives the present, aware UTC, as the tickstore's clock does.
    on_progress
        Called after each answer and each day stored.
    on_note
        Called with a line that a person should see, from any thread.

    Returns
    -------
    Summary

    Raises
    ------
    BadRequest
        When the range or the granularity cannot be, or the range is all in the future.
    FeedRefused, FeedUnavailable
        When a window failed for good. What was answered by then is stored, as far as whole days
        are concerned.
    """
    check_known_from(known_from)
    before = client.counts
    todo = plan_download(
        table,
        client.base_url,
        product,
        first_day,
        last_day,
        granularity,
        partial=partial,
        now=client.time,
    )
    if todo.left:
        on_note(f"not over yet, left for a later run: {_span(todo.left)}")
    run = _Run(table, client.base_url, todo, known_from, clock, on_progress, on_note)
    with client.telling(on_note), Fetch(client, todo.windows, clock) as fetch:
        for fetched in by_day(todo.days, run.watched(fetch)):
            run.store(fetched)
    if fetch.error is not None:
        raise fetch.error
    counts = client.counts - before
    return replace(run.summary, requests=counts.requests, retries=counts.retries)


class _Run:
    """One download under way: stores days, and keeps count."""

    def __init__(
        self,
        table: Tickstore,
        source: str,
        todo: Plan,
        known_from: KnownFrom,
        clock: Callable[[], datetime],
        on_progress: Callable[[Progress], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._table = table
        self._source = source
        self._todo = todo
        self._known_from = known_from
        self._clock = clock
        self._on_progress = on_progress
        self._on_note = on_note
        self._progress = Progress(0, len(todo.windows), 0, len(todo.days))
        self.summary = Summary(
            todo.product,
            todo.granularity,
            source,
            todo.first_day,
            todo.last_day,
            days_already_complete=len(todo.complete),
            days_left=len(todo.left),
        )

    def watched(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """Hand answers on, and tell how far the download is."""
        self._on_progress(self._progress)
        for answer in answers:
            if answer.candles is not None:
                self._advance(windows=self._progress.windows + 1)
            yield answer

    def store(self, fetched: FetchedDay) -> None:
        """Commit one day, unless its answer is not to be believed."""
        day, candles = fetched.day, len(fetched.frame)
        if day.outcome == "partial" and self._is_complete(day.date):
            self._on_note(f"{day.date}: another run completed it meanwhile")
            return
        # Another run or a correction may have come meanwhile, so what is stored is read anew.
        history = tuple(r for r in self._table.revisions(self._todo.product) if r.date == day.date)
        known = visible(history)
        if candles == 0 and known is not None and known.rows > 0:
            self._doubt(day.date, known)
            return
        observation = self._observation(fetched)
        message = f"download {self._todo.product} {day.date} {observation.what}"
        written = 0
        if candles == 0:
            self._table.observe([observation], message=message, source=self._source)
        else:
            start = knowledge_start(self._known_from, day.date, history, self._clock())
            revision = self._table.insert(
                self._todo.product,
                BiTimestamp(day.date, as_of_time=start),
                fetched.frame,
                message=message,
                source=self._source,
                if_changed=True,
                observations=[observation],
            )
            written = int(all(revision.version != earlier.version for earlier in history))
        self._tally(day, candles, written)

    def _is_complete(self, date: Date) -> bool:
        seen = self._table.observations(self._todo.product)
        return bool(complete_days(seen, self._source, what_of(self._todo.granularity), date, date))

    def _observation(self, fetched: FetchedDay) -> Observation:
        return Observation(
            symbol=self._todo.product,
            source=self._source,
            what=what_of(self._todo.granularity),
            start=datetime.fromtimestamp(fetched.day.start, UTC),
            end=datetime.fromtimestamp(fetched.day.end, UTC),
            asked_at=fetched.asked_at,
            outcome=fetched.day.outcome,
            rows=len(fetched.frame),
        )

    def _doubt(self, date: Date, known: Revision) -> None:
        self.summary = replace(self.summary, days_in_doubt=self.summary.days_in_doubt + 1)
        self._on_note(
            f"{date}: {self._source} answered without a single candle, but version "
            f"{known.version} has {known.rows:,}; it was kept, and the next run asks again"
        )

    def _tally(self, day: PlannedDay, candles: int, written: int) -> None:
        so_far = self.summary
        bins = (day.end - day.start) // self._todo.granularity
        missing = bins - candles if day.outcome == "complete" else 0
        self.summary = replace(
            so_far,
            days=so_far.days + 1,
            candles=so_far.candles + candles,
            bins_without_trade=so_far.bins_without_trade + missing,
            versions_written=so_far.versions_written + written,
        )
        self._advance(days=self.summary.days, date=day.date, candles=self.summary.candles)

    def _advance(self, **changes: Any) -> None:
        self._progress = replace(self._progress, **changes)
        self._on_progress(self._progress)


def _span(days: Sequence[Date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}, {len(days)} days"
