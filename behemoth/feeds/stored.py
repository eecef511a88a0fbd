"""What a table has of the days of a range, and from whom: what a source's answer is held against.

Reads the table, writes nothing, and asks nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timedelta

from behemoth.bitemporal import Observation, Revision, visible
from behemoth.feeds.asked import check_unmixed
from behemoth.feeds.plan import complete_days, days_between
from behemoth.tickstore import View


@dataclass(frozen=True, slots=True)
class StoredDay:
    """What a table has of one day.

    Attributes
    ----------
    history
        All its revisions.
    source
        Who brought the ticks that are visible, as the log says; empty where it names nobody.
    """

    history: Sequence[Revision] = ()
    source: str = ""

    @property
    def known(self) -> Revision | None:
        """The revision that is visible."""
        return visible(self.history)

    @property
    def newest(self) -> int:
        """The newest version; -1 for none."""
        return self.history[-1].version if self.history else -1


class Stored:
    """What a table has of the days of a range.

    Parameters
    ----------
    view
        The table, in one state.
    product
        The symbol.
    first_day, last_day
        UTC days, ``[first_day, last_day]``.
    source, what
        Who is asked now, and for what.

    Attributes
    ----------
    view
        The table.
    days : dict of Date to StoredDay
        The days that have revisions, deleted ones too.
    answered : frozenset of Date
        The days of which this source gave all that it has, also those of which it has nothing.
    """

    def __init__(
        self, view: View, product: str, first_day: Date, last_day: Date, source: str, what: str
    ) -> None:
        self.view = view
        self._product = product
        self._source = source
        self._what = what
        histories: dict[Date, list[Revision]] = defaultdict(list)
        for revision in view.revisions(product):
            if first_day <= revision.date <= last_day:
                histories[revision.date].append(revision)
        sources = dict(view.log(product)["source"]) if histories else {}
        self.days = {
            date: StoredDay(history, sources[_origin(history).commit])
            for date, history in histories.items()
        }
        self._observations = view.observations(product)
        self.answered = complete_days(self._observations, source, what, first_day, last_day)

    @property
    def wanted(self) -> frozenset[Date]:
        """The days that there is something to compare with."""
        return self.answered.union(self.days)

    def of(self, date: Date) -> StoredDay:
        """Give what there is of a day."""
        return self.days.get(date, StoredDay())

    def check_unmixed(self) -> None:
        """Return if what is stored came from the source that is asked now, as far as it is named.

        Raises
        ------
        BadRequest
            When ticks came from another source, or are of another granularity.
        """
        sources = {
            day.source
            for date, day in self.days.items()
            if day.known is not None
            and day.source not in ("", self._source)
            and not self._has_said(date, day.known.commit_time)
        }
        check_unmixed(self._product, self._otherwise(), sources, self._source, self._what)

    def _has_said(self, date: Date, since: datetime) -> bool:
        """Say whether the source has answered a day since ticks of another were stored."""
        later = (seen for seen in self._observations if seen.asked_at > since)
        return bool(complete_days(later, self._source, self._what, date, date))

    def _otherwise(self) -> list[Observation]:
        """Find what the source answered of stored days that it was never asked this for."""
        said: dict[Date, list[Observation]] = defaultdict(list)
        for seen in self._observations:
            if seen.source == self._source and seen.outcome != "failed" and self.days:
                first = max(min(self.days), seen.start.date())
                last = min(max(self.days), (seen.end - timedelta(microseconds=1)).date())
                for date in days_between(first, last):
                    said[date].append(seen)
        return [
            seen
            for date, every in said.items()
            if date in self.days and all(each.what != self._what for each in every)
            for seen in every
        ]


def _origin(history: Sequence[Revision]) -> Revision:
    """Give the revision that brought the ticks: an undelete's are another's."""
    newest = history[-1]
    return next((each for each in history if each.version == newest.splay), newest)
