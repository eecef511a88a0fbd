"""Asking the source again, whether it still says what is stored.

Windows, threads and days are the downloader's (`behemoth.feeds.plan`, `behemoth.feeds.fetching`).
What is written of a day is the business of `behemoth.feeds.settling`; what was found, as values,
lives in `behemoth.feeds.verification`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date as Date
from datetime import datetime
from typing import Any

import pandas as pd

from behemoth.bitemporal import Revision, visible
from behemoth.errors import BadRequest, FeedError, NotFound, ReadOnly
from behemoth.feeds.candles import check_granularity
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.downloader import utc_now, what_of
from behemoth.feeds.fetching import Answer, Fetch, FetchedDay, by_day
from behemoth.feeds.plan import Plan, check_range, complete_days, days_between, plan
from behemoth.feeds.settling import Finding, Settler
from behemoth.feeds.summary import Progress
from behemoth.feeds.verification import Verification, VerifiedDay, table_of
from behemoth.tickstore import Tickstore, View
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
        When the range or the granularity cannot be, or `accept_deletions` comes without `update`.
    NotFound
        When there is nothing to compare with in the whole range.
    ReadOnly
        When the table cannot be written, and there is to be an `update`.
    FeedRefused, FeedUnavailable
        When the exchange cannot even tell its time.
    """
    check_granularity(granularity)
    check_range(first_day, last_day)
    if accept_deletions and not update:
        raise BadRequest("deletions are accepted with an update only; ask for both")
    if update and table.mode == "r":
        raise ReadOnly(f"{table!r} was opened with mode='r'; open it with mode='a' to update it")
    before, token = client.counts, table.token
    source, what = client.base_url, what_of(granularity)
    # What this run writes, and what others write meanwhile, is not compared.
    view = table.at(token)
    settler = Settler(
        table, product, source, what, update=update, accept_deletions=accept_deletions
    )
    run = _Run(view, client, product, granularity, settler, clock, on_progress, on_note)
    wanted, now = run.to_ask(first_day, last_day), client.time()
    todo = run.planned(wanted, (first_day, last_day), now)
    if todo.left:
        on_note(f"not over yet, and not asked: {', '.join(map(str, todo.left))}")
    report = _Report(keep, on_day)
    for batch in run.batches(todo, now):
        for day in run.settled(batch, now):
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
        pd.concat(report.frames or [beside(view, first_day, None, None)]),
        report.rows,
        settled=all(day.settled for day in report.days),
        requests=counts.requests,
        retries=counts.retries,
    )


class _Report:
    """Gathers what was found, and no more rows than are to be kept."""

    def __init__(self, keep: int, on_day: Callable[[VerifiedDay], None]) -> None:
        self._keep = keep
        self._on_day = on_day
        self.days: list[VerifiedDay] = []
        self.frames: list[pd.DataFrame] = []
        self.rows = 0

    def add(self, day: VerifiedDay) -> None:
        """Tell of a day, and keep it."""
        self._on_day(day)
        if day.differences is not None:
            if self.rows < self._keep:
                self.frames.append(day.differences.iloc[: self._keep - self.rows])
            self.rows += len(day.differences)
        self.days.append(replace(day, differences=None))


class _Run:
    """One verification under way: which days, what they answer, and when that is believed."""

    def __init__(
        self,
        view: View,
        client: CoinbaseClient,
        product: str,
        granularity: int,
        settler: Settler,
        clock: Callable[[], datetime],
        on_progress: Callable[[Progress], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._view = view
        self._client = client
        self._product = product
        self._granularity = granularity
        self._settler = settler
        self._clock = clock
        self._on_progress = on_progress
        self._on_note = on_note
        self._histories: dict[Date, list[Revision]] = {}
        self._progress = Progress(0, 0, 0, 0)
        self._error: FeedError | None = None

    def to_ask(self, first_day: Date, last_day: Date) -> frozenset[Date]:
        """Find the days of a range of which something is stored, or was answered."""
        for revision in self._view.revisions(self._product):
            if first_day <= revision.date <= last_day:
                self._histories.setdefault(revision.date, []).append(revision)
        seen = self._view.observations(self._product)
        what = what_of(self._granularity)
        answered = complete_days(seen, self._client.base_url, what, first_day, last_day)
        if not self._histories and not answered:
            raise NotFound(
                f"nothing of {self._product!r} from {first_day} to {last_day} is in "
                f"{self._view!r}, so there is nothing to verify; fill it with: behemoth download",
                symbol=self._product,
            )
        return answered.union(self._histories)

    def planned(self, days: Collection[Date], span: tuple[Date, Date], now: datetime) -> Plan:
        """Plan to ask for these days of a span, in the windows of a download."""
        others = frozenset(days_between(*span)).difference(days)
        return plan(self._product, *span, self._granularity, now=now, complete=others)

    def batches(self, todo: Plan, now: datetime) -> list[Plan]:
        """Cut a plan into some that are carried out one after the other."""
        dates = [day.date for day in todo.days]
        cut = [dates[at : at + BATCH] for at in range(0, len(dates), BATCH)]
        batches = [self.planned(batch, (batch[0], batch[-1]), now) for batch in cut]
        windows = sum(len(batch.windows) for batch in batches)
        self._advance(windows_total=windows, days_total=len(dates))
        return batches

    def settled(self, batch: Plan, now: datetime) -> list[VerifiedDay]:
        """Ask for some days until each can be settled, and settle it; in their order."""
        settled: dict[Date, VerifiedDay] = {}
        doubted: dict[Date, Finding] = {}
        waiting, asked = {day.date for day in batch.days}, batch
        for _ in range(ASKINGS):
            former, doubted = doubted, {}
            with closing(self._fetched(asked)) as answers:
                for fetched in answers:
                    date = fetched.day.date
                    finding = Finding.of(self._view, fetched, self._histories.get(date, []))
                    if self._is_believed(finding, former.get(date)):
                        settled[date] = self._settler.settle(finding)
                        self._settled_one(settled[date])
                    else:
                        doubted[date] = finding
            for date in waiting.difference(settled, doubted):
                settled[date] = self._failed(date, str(self._error))
            waiting = set(doubted)
            if not waiting:
                break
            asked = self.planned(waiting, (min(waiting), max(waiting)), now)
            self._advance(windows_total=self._progress.windows_total + len(asked.windows))
        for date in doubted:
            settled[date] = self._failed(
                date, f"asked {ASKINGS} times, it never gave the same answer twice running"
            )
        return [settled[date] for date in sorted(settled)]

    def _fetched(self, todo: Plan) -> Generator[FetchedDay, None, None]:
        """Ask, unless it was in vain before."""
        if self._error is not None:
            return
        telling = self._client.telling(self._on_note)
        with telling, Fetch(self._client, todo.windows, self._clock) as fetch:
            yield from by_day(todo.days, self._watched(fetch))
        self._error = fetch.error

    def _watched(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """Hand answers on, and tell how far it is."""
        for answer in answers:
            self._advance(windows=self._progress.windows + 1)
            yield answer

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
        known = visible(self._histories.get(date, []))
        failed = VerifiedDay(date, "failed", reason=reason)
        if known is not None:
            failed = replace(failed, stored=known.rows, version=known.version)
        self._settled_one(failed)
        return failed

    def _settled_one(self, day: VerifiedDay) -> None:
        self._advance(
            days=self._progress.days + 1,
            date=day.date,
            candles=self._progress.candles + day.answered,
        )

    def _advance(self, **changes: Any) -> None:
        self._progress = replace(self._progress, **changes)
        self._on_progress(self._progress)
