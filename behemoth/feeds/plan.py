"""What a download has to ask, decided from values: which days, in which windows, known since when.

Pure: no network, no clock, no disk. The plan is carried out by `behemoth.feeds.downloader`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from datetime import date as Date
from typing import Literal, get_args

from behemoth.bitemporal import FIRST_DATE, LAST_DATE, BiTimestamp, Observation, Revision
from behemoth.errors import BadRequest
from behemoth.feeds.candles import MAX_CANDLES, Window, check_granularity
from behemoth.feeds.summary import Shortfall

KnownFrom = Literal["now", "day-end", "start"]
"""Since when downloaded ticks count as known: the commit, the midnight after their day, always."""

DAY = 86400
"""Seconds of a UTC day."""
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """A day to store: all of it, or with the outcome ``"partial"`` as much as there is.

    Attributes
    ----------
    date
        The as-at date.
    start, end
        The candles to ask start in ``[start, end)``, in unix seconds.
    outcome
        ``"complete"`` if the day is over, else ``"partial"``.
    """

    date: Date
    start: int
    end: int
    outcome: Literal["complete", "partial"] = "complete"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, and what not.

    Attributes
    ----------
    product, granularity
        What is wanted, and the seconds of a candle.
    first_day, last_day
        The UTC days that are wanted, ``[first_day, last_day]``.
    days
        The days to store, in their order.
    windows
        The requests that cover them, in the order of time; they may span midnight.
    complete
        Wanted days that were complete before.
    left
        Wanted days that are not over and are left for a later run.
    deleted
        Wanted days whose ticks were deleted; they are left alone.
    shortfall
        How the days to store came to be missing.
    """

    product: str
    granularity: int
    first_day: Date
    last_day: Date
    days: tuple[PlannedDay, ...] = ()
    windows: tuple[Window, ...] = ()
    complete: tuple[Date, ...] = ()
    left: tuple[Date, ...] = ()
    deleted: tuple[Date, ...] = ()
    shortfall: Shortfall = field(default_factory=Shortfall)

    def seconds(self, rate: float) -> float:
        """Estimate how long the requests take at so many a second."""
        return len(self.windows) / rate


def check_range(first_day: Date, last_day: Date) -> None:
    """Return if the days are a range that can be stored.

    Raises
    ------
    BadRequest
        When a day is no date, the end comes before the start, or a day is not within the range of
        as-at dates.
    """
    for day in (first_day, last_day):
        if not isinstance(day, Date) or isinstance(day, datetime):
            raise BadRequest(
                f"a UTC day is a datetime.date, not {day!r}; say date(2019, 10, 31), or try .date()"
            )
    if last_day < first_day:
        raise BadRequest(f"the end {last_day} comes before the start {first_day}")
    if first_day < FIRST_DATE or last_day > LAST_DATE:
        raise BadRequest(f"days lie in {FIRST_DATE} to {LAST_DATE}, not {first_day} to {last_day}")


def days_between(first_day: Date, last_day: Date) -> Iterator[Date]:
    """Give each day of ``[first_day, last_day]``."""
    for number in range(first_day.toordinal(), last_day.toordinal() + 1):
        yield Date.fromordinal(number)


def complete_days(
    observations: Iterable[Observation], source: str, what: str, first_day: Date, last_day: Date
) -> frozenset[Date]:
    """Find the days of a range for which a source needs no more asking.

    Parameters
    ----------
    observations
        What sources answered about one symbol.
    source, what
        Only their answers count: a sandbox's are never taken for the exchange's.
    first_day, last_day
        The days that matter, ``[first_day, last_day]``.
    """
    found: set[Date] = set()
    for seen in observations:
        if (seen.source, seen.what, seen.outcome) == (source, what, "complete"):
            first = max(first_day, _first_whole_day(seen.start))
            last = min(last_day, seen.end.date() - ONE_DAY)
            found.update(days_between(first, last))
    return frozenset(found)


def plan(
    product: str,
    first_day: Date,
    last_day: Date,
    granularity: int = 60,
    *,
    now: datetime,
    complete: Collection[Date] = frozenset(),
    deleted: Collection[Date] = frozenset(),
    partial: bool = False,
) -> Plan:
    """Plan a download.

    Parameters
    ----------
    product
        The exchange's id, ``"BTC-USD"`` for instance.
    first_day, last_day
        UTC days, ``[first_day, last_day]``.
    granularity
        Seconds of a candle.
    now
        The time by the exchange's clock, aware UTC. Neither a candle nor a day is planned before
        it is over.
    complete
        Days that need no asking.
    deleted
        Days that are not to be asked, because their ticks were deleted.
    partial
        Whether to ask for what there is of a day that is not over.

    Raises
    ------
    BadRequest
        When the range or the granularity cannot be, or the range is all in the future.

    Examples
    --------
    >>> from datetime import date
    >>> now = datetime(2019, 11, 1, 12, tzinfo=UTC)
    >>> len(plan("BTC-USD", date(2015, 7, 20), date(2019, 10, 31), now=now).windows)
    7512
    """
    check_granularity(granularity)
    check_range(first_day, last_day)
    if first_day > now.date():
        raise BadRequest(
            f"the start {first_day} is in the future, it is {now:%Y-%m-%d %H:%M} UTC at the "
            "exchange; ask for a range that has begun"
        )
    days, left = [], []
    for date in days_between(first_day, last_day):
        if date in complete or date in deleted:
            continue
        day = _planned(date, granularity, now)
        if day.outcome == "complete" or (partial and day.end > day.start):
            days.append(day)
        else:
            left.append(date)
    return Plan(
        product,
        granularity,
        first_day,
        last_day,
        tuple(days),
        windows_of(product, days, granularity),
        tuple(date for date in days_between(first_day, last_day) if date in complete),
        tuple(left),
        tuple(
            date
            for date in days_between(first_day, last_day)
            if date in deleted and date not in complete
        ),
    )


def knowledge_start(
    policy: KnownFrom, date: Date, history: Sequence[Revision], now: datetime
) -> datetime:
    """Choose the as-of time for a day's new revision.

    Parameters
    ----------
    policy
        What is wished for.
    date
        The as-at date.
    history
        All revisions of that (symbol, date).
    now
        By the clock that dates the commit.

    Returns
    -------
    datetime
        The midnight after the day, or the start of time, if that is wished for and allowed: not
        in the future, and later than the start of every revision there is. Otherwise
        `BiTimestamp.latest_as_of`, which means the moment of the commit.

    Raises
    ------
    BadRequest
        When there is no such policy.
    """
    match check_known_from(policy):
        case "now":
            return BiTimestamp.latest_as_of
        case "day-end":
            wished = datetime.combine(date + ONE_DAY, time(), UTC)
        case "start":
            wished = BiTimestamp.start_as_of
    allowed = wished <= now and all(revision.start_time < wished for revision in history)
    return wished if allowed else BiTimestamp.latest_as_of


def check_known_from(policy: str) -> KnownFrom:
    """Give the policy back, if there is such a one.

    Raises
    ------
    BadRequest
        When there is not; the message names the three that exist.
    """
    choices: tuple[KnownFrom, ...] = get_args(KnownFrom)
    for choice in choices:
        if policy == choice:
            return choice
    raise BadRequest(f"knowledge starts {', '.join(choices)}, not {policy!r}; choose one of them")


def windows_of(product: str, days: Iterable[PlannedDay], granularity: int) -> tuple[Window, ...]:
    """Cut each unbroken run of days into windows as long as the exchange allows."""
    longest = MAX_CANDLES * granularity
    return tuple(
        Window(product, granularity, first, min(first + longest, end) - granularity)
        for start, end in _runs(days)
        for first in range(start, end, longest)
    )


def seconds_of(date: Date) -> int:
    """Give the unix seconds of a UTC day's midnight."""
    return (date - Date(1970, 1, 1)).days * DAY


def _first_whole_day(start: datetime) -> Date:
    return start.date() if start.timetz() == time(tzinfo=UTC) else start.date() + ONE_DAY


def _planned(date: Date, granularity: int, now: datetime) -> PlannedDay:
    """Plan one day: up to its end, or up to the candle that is still open."""
    start = seconds_of(date)
    over = int(now.timestamp() // granularity) * granularity
    if over >= start + DAY:
        return PlannedDay(date, start, start + DAY)
    return PlannedDay(date, start, max(start, over), "partial")


def _runs(days: Iterable[PlannedDay]) -> Iterator[tuple[int, int]]:
    run: tuple[int, int] | None = None
    for day in days:
        if run is not None and run[1] == day.start:
            run = run[0], day.end
            continue
        if run is not None:
            yield run
        run = day.start, day.end
    if run is not None:
        yield run
