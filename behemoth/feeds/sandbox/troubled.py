"""A market with troubles: not yet or no longer listed, closed for hours, corrected afterwards.

`Troubled` lays the troubles that `faults` decides over another market; `Revising` keeps which days
were asked, and with that which version of a day is answered. HTTP is the business of `server`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Date

import numpy as np
from numpy.typing import NDArray

from behemoth.feeds.sandbox.bins import (
    CLOSE,
    LOW,
    MINUTE,
    OPEN,
    TIME,
    VOLUME,
    Market,
    Table,
    candles,
    empty,
)
from behemoth.feeds.sandbox.faults import Faults

DAY = 86400
CHANGED, MISSING = 8, 4
"""Minutes of a former version that have other values, and that are not there yet, at most."""


class Troubled:
    """A market as it is in the end: listed late, closed now and then, gone again.

    Parameters
    ----------
    market
        Where the candles come from.
    faults
        Decides ``listing``, ``delisted`` and ``maintenance``.
    """

    FAULTS = frozenset({"listing", "delisted", "maintenance"})

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market = market
        self._faults = faults

    @property
    def products(self) -> tuple[str, ...]:
        """What is traded."""
        return self._market.products

    def listed(self, product: str) -> Date:
        """Give the UTC day of a product's first trade."""
        own, moved = self._market.listed(product), self._faults.day("listing")
        return own if moved is None else max(own, moved)

    def delisted(self, product: str) -> Date | None:
        """Give the UTC day after which nobody trades, if there is one."""
        return self._faults.day("delisted") or self._market.delisted(product)

    def minutes(self, product: str, start: int, end: int) -> Table:
        """Give the candles of one minute that start in ``[start, end)``, as they end up."""
        last = self.delisted(product)
        start = max(start, seconds_of(self.listed(product)))
        end = end if last is None else min(end, seconds_of(last) + DAY)
        if end <= start:
            return empty()
        table = self._market.minutes(product, start, end)
        for first, after in self._holes(start, end):
            closed = (table[:, TIME] >= first) & (table[:, TIME] < after)
            table = table[~closed] if closed.any() else table
        return table

    def hole(self, day: Date) -> tuple[int, int] | None:
        """Give the seconds ``[first, after)`` for which the exchange was closed on a day, if so."""
        if not self._faults.happens("maintenance", day):
            return None
        first = seconds_of(day) + MINUTE * self._faults.pick(0, 1379, "maintenance", day, "begin")
        minutes = self._faults.pick(60, 480, "maintenance", day, "minutes")
        return first, min(first + MINUTE * minutes, seconds_of(day) + DAY)

    def _holes(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        if "maintenance" in self._faults:
            for day in _days(start, end):
                if (hole := self.hole(day)) is not None:
                    yield hole


@dataclass(frozen=True, slots=True)
class Standing:
    """How a day that is revised stands.

    Attributes
    ----------
    product, day, granularity
        What is revised.
    answered
        How many of its candles were asked and answered; when it is all of them, the day changes.
    of
        How many it is made of.
    """

    product: str
    day: Date
    granularity: int
    answered: int
    of: int

    @property
    def changed(self) -> bool:
        """Whether the day has changed by now."""
        return self.answered == self.of


class Revising:
    """The days that are revised: first answered in a former version, then in the final one.

    A day changes when each of its candles was answered once. For candles of another granularity
    it changes when it was asked in those. Safe to share between threads.

    Parameters
    ----------
    market
        The market in the end.
    faults
        Decides which days are revised, and what is different in their former versions.
    """

    def __init__(self, market: Market, faults: Faults) -> None:
        self.final = market
        self._faults = faults
        self._answered: dict[tuple[str, Date, int], NDArray[np.bool_]] = {}
        self._lock = threading.Lock()

    def seen(self, granularity: int) -> Market:
        """Give the market as candles of so many seconds show it now."""
        return _Seen(self, granularity) if "revised" in self._faults else self.final

    def answered(self, product: str, granularity: int, start: int, end: int) -> None:
        """Remember that the candles that start in ``[start, end]`` were answered."""
        for day in _days(start, end + 1):
            if not self.is_revised(product, day):
                continue
            midnight = seconds_of(day)
            first, last = (max(0, min(t - midnight, DAY)) for t in (start, end + granularity))
            with self._lock:
                bins = self._answered.setdefault(
                    (product, day, granularity), np.zeros(DAY // granularity, np.bool_)
                )
                bins[-(-first // granularity) : last // granularity] = True

    def is_revised(self, product: str, day: Date) -> bool:
        """Whether a day has a former version at all."""
        if not self._faults.happens("revised", product, day):
            return False
        minutes = self._minutes(product, day)
        return not np.array_equal(minutes, self.former(product, day, minutes))

    def is_former(self, product: str, day: Date, granularity: int) -> bool:
        """Whether a day would now be answered in its former version."""
        if not self._faults.happens("revised", product, day):
            return False
        with self._lock:
            bins = self._answered.get((product, day, granularity))
            return bins is None or not bins.all()

    def former(self, product: str, day: Date, minutes: Table) -> Table:
        """Give the former version of a day's minutes: a few differ, a few are not there."""
        chosen = self._chosen(product, day)
        table = minutes[~np.isin(minutes[:, TIME], chosen[CHANGED:])]
        differs = np.isin(table[:, TIME], chosen[:CHANGED])
        table[differs, CLOSE] = table[differs, OPEN]
        table[differs, LOW] = np.maximum(0.01, np.round(table[differs, LOW] * 0.999, 2))
        table[differs, VOLUME] = np.round(table[differs, VOLUME] * 0.5, 8) + 1e-8
        return table

    def standings(self) -> tuple[Standing, ...]:
        """Tell how the revised days stand that were asked by now, sorted."""
        with self._lock:
            return tuple(
                Standing(*key, int(bins.sum()), len(bins))
                for key, bins in sorted(self._answered.items())
            )

    def truth(self, product: str, day: Date, granularity: int, now: float) -> Table:
        """Give a day's candles as they would be answered now."""
        start = seconds_of(day)
        end = start + DAY - granularity
        return candles(self.seen(granularity), product, start, end, granularity, now)

    def _chosen(self, product: str, day: Date) -> NDArray[np.float64]:
        """Choose the minutes in which the former version differs: times, no two the same."""
        drawn = dict.fromkeys(
            self._faults.pick(0, DAY // MINUTE - 1, "revised", product, day, number)
            for number in range(CHANGED + MISSING)
        )
        return seconds_of(day) + MINUTE * np.array(list(drawn), dtype=np.float64)

    def _minutes(self, product: str, day: Date) -> Table:
        return self.final.minutes(product, seconds_of(day), seconds_of(day) + DAY)


class _Seen:
    """The market as candles of one granularity show it now."""

    def __init__(self, revising: Revising, granularity: int) -> None:
        self._revising = revising
        self._granularity = granularity

    @property
    def products(self) -> tuple[str, ...]:
        return self._revising.final.products

    def listed(self, product: str) -> Date:
        return self._revising.final.listed(product)

    def delisted(self, product: str) -> Date | None:
        return self._revising.final.delisted(product)

    def minutes(self, product: str, start: int, end: int) -> Table:
        table = self._revising.final.minutes(product, start, end)
        for day in _days(start, end):
            if self._revising.is_former(product, day, self._granularity):
                midnight = seconds_of(day)
                first, after = np.searchsorted(table[:, TIME], [midnight, midnight + DAY])
                former = self._revising.former(product, day, table[first:after])
                table = np.concatenate([table[:first], former, table[after:]])
        return table


def seconds_of(day: Date) -> int:
    """Give the unix seconds of a UTC day's midnight."""
    return (day.toordinal() - Date(1970, 1, 1).toordinal()) * DAY


def _days(start: int, end: int) -> Iterator[Date]:
    """Give the UTC days that ``[start, end)`` touches."""
    for midnight in range(start // DAY * DAY, end, DAY):
        yield datetime.fromtimestamp(midnight, UTC).date()
