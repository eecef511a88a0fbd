"""What a table has of the days of a range, and from whom: what a source's answer is held against.

Reads the table, writes nothing, and asks nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date as Date

from behemoth.bitemporal import Revision, visible
from behemoth.feeds.plan import complete_days
from behemoth.feeds.unmixed import check_unmixed, histories, sources_of
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
        found = {
            date: history
            for date, history in histories(view, product).items()
            if first_day <= date <= last_day
        }
        sources = sources_of(view, product, found)
        self.days = {date: StoredDay(history, sources[date]) for date, history in found.items()}
        self.answered = complete_days(view.observations(product), source, what, first_day, last_day)

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
        check_unmixed(self.view, self._product, self.days, self._source, self._what, unnamed=False)
