"""Asking the source again, whether it still says what is stored.

Windows, threads and days are the downloader's (`behemoth.feeds.plan`, `behemoth.feeds.fetching`).
What is written of a day is the business of `behemoth.feeds.settling`; what was found, as values,
lives in `behemoth.feeds.verification`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date as Date
from datetime import datetime
from typing import Any

import pandas as pd

from behemoth.errors import BadRequest, FeedError, NotFound, ReadOnly
from behemoth.feeds.candles import Window, check_granularity
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.downloader import utc_now
from behemoth.feeds.fetching import Cutter, FailedDay, Fetch, FetchedDay
from behemoth.feeds.plan import (
    PlannedDay,
    check_range,
    days_between,
    plan,
    windows_of,
)
from behemoth.feeds.settling import Finding, Settler
from behemoth.feeds.stored import Stored
from behemoth.feeds.storing import what_of
from behemoth.feeds.summary import Progress
from behemoth.feeds.verification import Report, Verification, VerifiedDay, table_of
from behemoth.tickstore import Tickstore
from behemoth.tickstore.diffing import beside

BATCH = 300
"""Days that are asked and settled together, before the next: whole windows of every granularity,
and what differs in all of them fits into memory."""
ASKINGS = 4
"""How often a day is asked at most, until it gives the same shorter answer twice running."""
KEPT = 100_000
"""Rows that differ, as many as `Verification.rows` keeps by default."""


def verify_source(
    table: Tickstore,
    client: CoinbaseClient,
    product: str,
    first_day: Date,
    last_day: Date,
    granularity: int = 60,
    *,
    update: bool = False,
    accept_deletions: bool = False,
    supersede: bool = False,
    keep: int = KEPT,
    clock: Callable[[], datetime] = utc_now,
    on_day: Callable[[VerifiedDay], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Ask the source again for every day that it has answered, and compare to the bit.

    Asked are the complete days of the range that have ticks, that are deleted, or of which the
    source had said that there is nothing. Without `update` nothing is written, and the table may
    be opened read-only.

    An answer in which rows are missing that are stored is not believed at once: the day is asked
    again until it gives the very same answer twice running, four times at most.

    Parameters
    ----------
    table
        The tickstore; what it holds at the beginning is compared.
    client
        The exchange.
    product, first_day, last_day, granularity
        As for `download`.
    update
        Write a new version of each day that differs, and for each day that was asked an
        observation, also where it is the same. What was known stays readable as of then. A day
        that was deleted by hand, and that the source has, is there again.
    accept_deletions
        With `update`: delete a day of which the source has nothing any more. Without it such a day
        is kept, and nothing is written of it.
    supersede
        With `update`: let the source's word supersede ticks that came from elsewhere. Without it
        a day that somebody inserted without naming a source is compared, and kept.
    keep
        As many rows that differ are kept in the result; `on_day` is given all of them.
    clock
        Gives the present, aware UTC.
    on_day
        Called with each day in the order of the days, once a batch of up to 300 days is settled.
        The frame of its differences has the index ``time`` (datetime64[ns, UTC]) and two levels of
        columns: ``("change", "")``, a category: ``changed``, ``new`` (only the source has it) or
        ``vanished`` (only the table has it); ``("date", "")``: datetime64[ns], the as-at date; and
        for each column ``(NAME, "stored")`` and ``(NAME, "source")``, missing where there is no
        row.
    on_progress
        Called after each answer and each day.
    on_note
        Called with a line that a person should see, from any thread.

    Returns
    -------
    Verification
        Days that could not be asked are in it too, with the reason.

    Raises
    ------
    BadRequest
        When the range or the granularity cannot be, or `accept_deletions` or `supersede` comes
        without `update`; when the table holds ticks from another source, or of another
        granularity.
    NotFound
        When there is nothing to compare with in the whole range.
    ReadOnly
        When the table cannot be written, and there is to be an `update`.
    FeedRefused, FeedUnavailable
        When the exchange cannot even tell its time.
    """
    check_granularity(granularity)
    check_range(first_day, last_day)
    if not update and (accept_deletions or supersede):
        flag = "accept_deletions" if accept_deletions else "supersede"
        raise BadRequest(f"{flag} goes with an update only; ask for both")
    if update and table.mode == "r":
        raise ReadOnly(f"{table!r} was opened with mode='r'; open it with mode='a' to update it")
    before, token = client.counts, table.token
    source, what = client.base_url, what_of(granularity)
    # What this run writes, and what others write meanwhile, is not compared.
    stored = Stored(table.at(token), product, first_day, last_day, source, what)
    if not stored.wanted:
        raise NotFound(
            f"nothing of {product!r} from {first_day} to {last_day} is stored, so there is nothing "
            "to verify; fill it with: behemoth download",
            symbol=product,
        )
    if not supersede:
        stored.check_unmixed()
    settler = Settler(
        table,
        product,
        source,
        what,
        update=update,
        accept_deletions=accept_deletions,
        supersede=supersede,
    )
    run = _Run(stored, client, product, granularity, settler, clock, on_progress, on_note)
    others = frozenset(days_between(first_day, last_day)) - stored.wanted
    todo = plan(product, first_day, last_day, granularity, now=client.time(), complete=others)
    if todo.left:
        on_note(f"not over yet, and not asked: {', '.join(map(str, todo.left))}")
    report = Report(keep, on_day)
    for batch in run.batches(todo.days):
        for day in run.settled(batch):
            report.add(day)
    rest = [VerifiedDay(date, "not over") for date in todo.left]
    rest += [VerifiedDay(date, "not stored") for date in todo.complete]
    counts = client.counts - before
    return Verification(
        product,
        granularity,
        source,
        first_day,
        last_day,
        token,
        table_of([*report.days, *rest]),
        pd.concat(report.frames or [beside(stored.view, first_day, None, None)]),
        report.rows,
        settled=all(day.settled for day in report.days),
        requests=counts.requests,
        retries=counts.retries,
    )


class _Run:
    """One verification under way: which days, what they answer, and when that is believed."""

    def __init__(
        self,
        stored: Stored,
        client: CoinbaseClient,
        product: str,
        granularity: int,
        settler: Settler,
        clock: Callable[[], datetime],
        on_progress: Callable[[Progress], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._stored = stored
        self._client = client
        self._product = product
        self._granularity = granularity
        self._settler = settler
        self._clock = clock
        self._on_progress = on_progress
        self._on_note = on_note
        self._progress = Progress(0, 0, 0, 0)
        self._ended: FeedError | None = None

    def batches(self, days: Sequence[PlannedDay]) -> list[Sequence[PlannedDay]]:
        """Cut days into batches that are carried out one after the other."""
        batches = [days[at : at + BATCH] for at in range(0, len(days), BATCH)]
        windows = sum(len(self._windows(batch)) for batch in batches)
        self._advance(windows_total=windows, days_total=len(days))
        return batches

    def settled(self, batch: Sequence[PlannedDay]) -> list[VerifiedDay]:
        """Ask for some days until each can be settled, and settle it; in their order."""
        settled: dict[Date, VerifiedDay] = {}
        doubted: dict[Date, Finding] = {}
        asked = batch
        for asking in range(ASKINGS):
            former, doubted = doubted, {}
            if asking:
                more = len(self._windows(asked))
                self._advance(windows_total=self._progress.windows_total + more)
            with closing(self._answered(asked)) as answered:
                for each in answered:
                    day = self._settled(each, former.get(each.day.date))
                    if isinstance(day, VerifiedDay):
                        settled[day.date] = day
                    else:
                        doubted[day.date] = day
            for date in {day.date for day in asked}.difference(settled, doubted):
                settled[date] = self._failed(date, f"no longer asked: {self._ended}")
            asked = [day for day in batch if day.date in doubted]
            if not asked:
                break
        for date in doubted:
            settled[date] = self._failed(
                date, f"asked {ASKINGS} times, it never gave the same answer twice running"
            )
        return [settled[date] for date in sorted(settled)]

    def _settled(
        self, answered: FetchedDay | FailedDay, former: Finding | None
    ) -> VerifiedDay | Finding:
        """Settle a day; give what was found back if it is to be asked again."""
        date = answered.day.date
        if isinstance(answered, FailedDay):
            return self._failed(date, str(answered.error))
        finding = Finding.of(self._stored.view, answered, self._stored.of(date))
        if not self._is_believed(finding, former):
            return finding
        day = self._settler.settle(finding)
        self._tell(day)
        return day

    def _answered(
        self, days: Sequence[PlannedDay]
    ) -> Generator[FetchedDay | FailedDay, None, None]:
        """Ask for days; not if the exchange refused or was down before."""
        if self._ended is not None:
            return
        cutter = Cutter(days)
        telling = self._client.telling(self._on_note)
        with telling, Fetch(self._client, self._windows(days), self._clock) as fetch:
            for answer in fetch:
                if answer.candles is not None:
                    self._advance(windows=self._progress.windows + 1)
                yield from cutter.take(answer)
        self._ended = fetch.down or fetch.refused.get(self._product)

    def _windows(self, days: Sequence[PlannedDay]) -> Sequence[Window]:
        return windows_of(self._product, days, self._granularity)

    def _is_believed(self, finding: Finding, former: Finding | None) -> bool:
        """Believe an answer that lacks nothing, or that says the same as the one before."""
        lacks = finding.count("vanished")
        if former is None:
            return not lacks
        if lacks and not finding.says_the_same(former):
            return False
        if not lacks:
            self._on_note(
                f"{finding.date}: {former.count('vanished'):,} rows were missing in one answer, "
                "and there again in the next"
            )
        return True

    def _failed(self, date: Date, reason: str) -> VerifiedDay:
        known = self._stored.of(date).known
        failed = VerifiedDay(date, "failed", reason=reason)
        if known is not None:
            failed = replace(failed, stored=known.rows, version=known.version)
        self._tell(failed)
        return failed

    def _tell(self, day: VerifiedDay) -> None:
        self._advance(
            days=self._progress.days + 1,
            date=day.date,
            candles=self._progress.candles + day.answered,
            product=self._product,
        )

    def _advance(self, **changes: Any) -> None:
        self._progress = replace(self._progress, **changes)
        self._on_progress(self._progress)
