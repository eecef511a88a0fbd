"""Storing the days of one product as they come, each in a commit of its own, with care.

What an answer may do to what is stored already is decided here. Who asks, and in what order, is
the business of `behemoth.feeds.downloader`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from datetime import date as Date

import pandas as pd

from behemoth.bitemporal import BiTimestamp, Observation, Outcome, Revision, visible
from behemoth.feeds.fetching import FailedDay, FetchedDay
from behemoth.feeds.plan import KnownFrom, Plan, PlannedDay, complete_days, knowledge_start
from behemoth.feeds.summary import Summary
from behemoth.tickstore import Tickstore


def what_of(granularity: int) -> str:
    """Name candles of so many seconds in observations, ``"candles/60"`` for instance."""
    return f"candles/{granularity}"


class Storing:
    """Stores the days of one product, and keeps count.

    Parameters
    ----------
    table
        The tickstore.
    source
        Who was asked.
    todo
        What was planned.
    known_from
        Since when the ticks count as known.
    clock
        Gives the present, aware UTC, as the tickstore's clock does.
    ask_again
        Asks for a whole day once more; ``None`` if it fails.
    on_note
        Called with a line that a person should see.

    Attributes
    ----------
    summary : Summary
        What was done so far.
    failed : dict of Date to PlannedDay
        The days that were asked in vain, and were not answered since.
    """

    def __init__(
        self,
        table: Tickstore,
        source: str,
        todo: Plan,
        known_from: KnownFrom,
        clock: Callable[[], datetime],
        ask_again: Callable[[PlannedDay], FetchedDay | None],
        on_note: Callable[[str], None],
    ) -> None:
        self._table = table
        self._source = source
        self._product = todo.product
        self._granularity = todo.granularity
        self._known_from = known_from
        self._clock = clock
        self._ask_again = ask_again
        self._on_note = on_note
        self.failed: dict[Date, PlannedDay] = {}
        self.summary = Summary(
            todo.product,
            todo.granularity,
            source,
            todo.first_day,
            todo.last_day,
            days_already_complete=len(todo.complete),
            days_left=len(todo.left),
            days_deleted=len(todo.deleted),
            days_were_partial=todo.shortfall.partial,
            days_were_failed=todo.shortfall.failed,
            days_were_unasked=todo.shortfall.unasked,
        )

    def take(self, day: FetchedDay | FailedDay) -> bool:
        """Commit one day, and tell whether it was stored."""
        if isinstance(day, FailedDay):
            self._fail(day)
            return False
        self.failed.pop(day.day.date, None)
        return self._store(day)

    def _store(self, fetched: FetchedDay) -> bool:
        date = fetched.day.date
        if fetched.day.outcome == "partial" and self._is_complete(date):
            self._on_note(f"{self._product} {date}: another run completed it meanwhile")
            return False
        # Another run or a correction may have come meanwhile, so what is stored is read anew.
        history = tuple(r for r in self._table.revisions(self._product) if r.date == date)
        if history and visible(history) is None:
            self._on_note(f"{self._product} {date}: it was deleted meanwhile, and stays so")
            return False
        sure = self._confirmed(fetched, visible(history))
        if sure is not None:
            self._commit(sure, history)
        return sure is not None

    def _confirmed(self, fetched: FetchedDay, known: Revision | None) -> FetchedDay | None:
        """Give the answer that may be stored: one that lacks ticks must come twice."""
        if known is None or known.rows == 0:
            return fetched
        if len(fetched.frame) == 0:
            self._doubt(
                fetched, f"there are no candles at all, but version {known.version} has", known
            )
            return None
        missing = self._missing(fetched)
        if not missing:
            return fetched
        again = self._ask_again(fetched.day)
        if again is not None and again.digest == fetched.digest:
            self._on_note(
                f"{self._product} {fetched.day.date}: {missing:,} rows of version {known.version} "
                "are not in the answer, nor in the next one; it is superseded"
            )
            return again
        if again is not None and not self._missing(again):
            return again
        self._doubt(fetched, f"{missing:,} rows are missing, now and then, of", known)
        return None

    def _missing(self, fetched: FetchedDay) -> int:
        """Count the ticks of the day that are stored, and not in an answer."""
        day = fetched.day
        start, last = (datetime.fromtimestamp(t, UTC) for t in (day.start, day.end - 1))
        frame = self._table.select(self._product, start=start, end=last)
        stored = pd.to_datetime(frame.index, utc=True)
        return int((~stored.isin(fetched.frame.index)).sum())

    def _commit(self, fetched: FetchedDay, history: tuple[Revision, ...]) -> None:
        day, candles = fetched.day, len(fetched.frame)
        observation = self._observation(day, fetched.asked_at, day.outcome, candles)
        message = f"download {self._product} {day.date} {observation.what}"
        written = 0
        if candles == 0:
            self._table.observe([observation], message=message, source=self._source)
        else:
            start = knowledge_start(self._known_from, day.date, history, self._clock())
            revision = self._table.insert(
                self._product,
                BiTimestamp(day.date, as_of_time=start),
                fetched.frame,
                message=message,
                source=self._source,
                if_changed=True,
                observations=[observation],
            )
            written = int(all(revision.version != earlier.version for earlier in history))
        self._tally(day, candles, written)

    def _fail(self, failed: FailedDay) -> None:
        day = failed.day
        self.failed[day.date] = day
        self._on_note(f"{self._product} {day.date}: failed: {failed.error}")
        self._table.observe(
            [self._observation(day, failed.asked_at, "failed", 0)],
            message=f"download {self._product} {day.date} {what_of(self._granularity)}: failed",
            source=self._source,
        )

    def _is_complete(self, date: Date) -> bool:
        seen = self._table.observations(self._product)
        return bool(complete_days(seen, self._source, what_of(self._granularity), date, date))

    def _observation(
        self, day: PlannedDay, asked_at: datetime, outcome: Outcome, rows: int
    ) -> Observation:
        return Observation(
            symbol=self._product,
            source=self._source,
            what=what_of(self._granularity),
            start=datetime.fromtimestamp(day.start, UTC),
            end=datetime.fromtimestamp(day.end, UTC),
            asked_at=asked_at,
            outcome=outcome,
            rows=rows,
        )

    def _doubt(self, fetched: FetchedDay, what: str, known: Revision) -> None:
        date, seconds = fetched.day.date, self._granularity
        length = "" if seconds == 60 else f"--granularity {seconds} "
        self.summary = replace(self.summary, days_in_doubt=self.summary.days_in_doubt + 1)
        self._on_note(
            f"{self._product} {date}: {self._source} answered that {what} {known.rows:,}; it was "
            "kept, and the next run asks again. To take the answer over: behemoth verify-source "
            f"{self._product} {date} {date} {length}--update --accept-deletions"
        )

    def _tally(self, day: PlannedDay, candles: int, written: int) -> None:
        so_far = self.summary
        bins = (day.end - day.start) // self._granularity
        missing = bins - candles if day.outcome == "complete" else 0
        self.summary = replace(
            so_far,
            days=so_far.days + 1,
            candles=so_far.candles + candles,
            bins_without_trade=so_far.bins_without_trade + missing,
            versions_written=so_far.versions_written + written,
        )
