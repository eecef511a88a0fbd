"""Coverage: what is known of each UTC day of a symbol, from never asked to complete.

Folded from the observations and revisions of the log, and kept nowhere else. Pure: no disk, no
clock. Which candles are missing, and why, is the business of `behemoth.tickstore.missing`.

How askings come together, whatever their order:

- A complete answer answers for its range. A partial one does up to the end of its range, or up to
  when it was asked if that is earlier; only where that is a midnight, so that nothing would be
  partial, it answers for nothing: something was left out, and nobody knows what.
- What was answered once stays answered: neither a partial nor a failed asking takes it back. Parts
  of a day that adjoin make a whole.
- An answer with ticks of a day of which none is stored answers for nothing: they never came here.
- A day was failed if it was asked, and never answered.

A day has the ticks that lie in its time, and those that are filed under its date.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from behemoth import codec
from behemoth.bitemporal import FIRST_DATE, LAST_DATE, Observation, Revision
from behemoth.errors import BadRequest
from behemoth.index import DAY, EPOCH_DATE, NOTHING, microseconds
from behemoth.tickstore.kinds import Seen

State = Literal["complete", "empty", "partial", "stored", "deleted", "failed", "unasked"]
STATES: tuple[State, ...] = get_args(State)
Span = tuple[int, int]
"""``[start, end)``, UTC nanoseconds since 1970."""

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Day:
    """What is known of one UTC day.

    Attributes
    ----------
    date
        The day.
    state
        See `View.coverage`.
    held
        How many ticks lie in files that are of this date or may have ticks in its time.
    revision
        The newest known one of this as-at date; may be a delete.
    askings
        Every asking that touched the day, in the order of the commits.
    answered, failed
        Which parts of it were answered, and which asked in vain; each sorted and apart.
    short
        Whether the newest answer had more ticks than are stored.
    """

    date: Date
    state: State
    held: int = 0
    revision: Revision | None = None
    askings: tuple[Seen, ...] = ()
    answered: tuple[Span, ...] = ()
    failed: tuple[Span, ...] = ()
    short: bool = False

    @property
    def rows(self) -> int:
        """How many ticks are filed under its date."""
        return 0 if self.revision is None else self.revision.rows

    @property
    def span(self) -> Span:
        """When it begins and ends."""
        return span_of(self.date)


def span_of(date: Date) -> Span:
    """Give the time of a UTC day."""
    start = (date - EPOCH_DATE).days * DAY
    return start, start + DAY


def check_range(start: Date | None, end: Date | None) -> None:
    """Return if these can be the first and the last day, both included.

    Raises
    ------
    BadRequest
        When the end comes before the start, or one is no date that ticks can have.
    """
    for date in (start, end):
        if date is not None and not FIRST_DATE <= date <= LAST_DATE:
            raise BadRequest(f"days lie in {FIRST_DATE} to {LAST_DATE}, not {date}")
    if start is not None and end is not None and end < start:
        raise BadRequest(f"end {end} comes before start {start}")


def fold(
    seen: Sequence[Seen],
    revisions: Sequence[Revision],
    first: Date | None = None,
    last: Date | None = None,
) -> Iterator[Day]:
    """Say of each day what is known.

    Parameters
    ----------
    seen
        What counts of the observations of one symbol, each with the number of its commit.
    revisions
        What is known of its revisions, by date and version.
    first, last
        The days, both included; by default from the first to the last that was asked or stored.
    """
    newest = {each.date: each for each in revisions}
    spans = [_dates(*_range(each)) for _, each in seen if each.start < each.end]
    spans += [(date, date) for date in newest]
    ticks = [each for each in newest.values() if each.first is not None and each.last is not None]
    spans += [_dates_of(each) for each in ticks]
    low = min((span[0] for span in spans), default=LAST_DATE) if first is None else first
    high = max((span[1] for span in spans), default=FIRST_DATE) if last is None else last

    held: Counter[Date] = Counter()
    for revision in newest.values():
        for date in {revision.date, *_between(_dates_of(revision), low, high)}:
            held[date] += revision.rows
    askings: dict[Date, list[Seen]] = defaultdict(list)
    for each in seen:
        if each[1].start < each[1].end:
            for date in _between(_dates(*_range(each[1])), low, high):
                askings[date].append(each)
    for date in _between((low, high), low, high):
        yield _day(date, newest.get(date), held[date], tuple(askings.get(date, ())))


def _day(date: Date, revision: Revision | None, held: int, askings: tuple[Seen, ...]) -> Day:
    """Judge one day."""
    if revision is None and not held and not askings:
        return Day(date, "unasked")
    span = span_of(date)
    answers = [each for _, each in askings if each.outcome != "failed"]
    answered = union(_cut(_answered(each), span) for each in answers)
    failed = union(_cut(_range(each), span) for _, each in askings if each.outcome == "failed")
    own = [each.rows for each in answers if _cut(_range(each), span) == _range(each)]
    short = bool(own) and own[-1] > held
    if short and not held:
        answered = ()
    state: State
    if revision is not None and revision.kind == "delete" and not _agreed(revision, span, askings):
        state = "deleted"
    elif answered == (span,):
        state = "complete" if held else "empty"
    elif answers:
        state = "partial"
    else:
        state = "failed" if askings else "stored"
    return Day(date, state, held, revision, askings, answered, failed, short)


def _agreed(tombstone: Revision, span: Span, askings: Iterable[Seen]) -> bool:
    """Whether the source, asked with the delete or after it, had nothing of the day either."""
    return any(
        (each.outcome, each.rows) == ("complete", 0) and _cut(_range(each), span) == span
        for commit, each in askings
        if commit >= tombstone.commit
    )


def _range(seen: Observation) -> Span:
    return microseconds(seen.start) * 1000, microseconds(seen.end) * 1000


def _answered(seen: Observation) -> Span:
    """Say for which time an answer answers."""
    start, end = _range(seen)
    if seen.outcome == "partial":
        asked = microseconds(seen.asked_at) * 1000
        if end <= asked and end % DAY == 0:
            return start, start
        end = min(end, asked)
    return start, end


def _cut(part: Span, whole: Span) -> Span:
    return max(part[0], whole[0]), min(part[1], whole[1])


def union(parts: Iterable[Span]) -> tuple[Span, ...]:
    """Join what overlaps or adjoins; leave out what is empty."""
    found: list[Span] = []
    for start, end in sorted(part for part in parts if part[0] < part[1]):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def _dates(start: int, end: int) -> tuple[Date, Date]:
    """Give the first and the last day of ``[start, end)``."""
    days = start // DAY, (end - 1) // DAY
    return EPOCH_DATE + timedelta(days=days[0]), EPOCH_DATE + timedelta(days=days[1])


def _dates_of(revision: Revision) -> tuple[Date, Date]:
    """Give the first and the last day of its ticks; its own date where it has none."""
    if revision.first is None or revision.last is None:
        return revision.date, revision.date
    return _dates(revision.first, revision.last + 1)


def _between(dates: tuple[Date, Date], low: Date, high: Date) -> Iterator[Date]:
    """Give each day from the first to the last that is in ``[low, high]``."""
    first, last = max(dates[0], low), min(dates[1], high)
    for number in range(first.toordinal(), last.toordinal() + 1):
        yield Date.fromordinal(number)


def table(days: Iterable[Day]) -> pd.DataFrame:
    """Show days; see `View.coverage`."""
    shown = list(days)
    askings = [[each for _, each in day.askings] for day in shown]
    last = [max(each, key=lambda seen: seen.asked_at, default=None) for each in askings]
    first = [min(each, key=lambda seen: seen.asked_at, default=None) for each in askings]

    def texts(name: str) -> pd.Series[Any]:
        values = [None if seen is None else getattr(seen, name) for seen in last]
        return pd.Series(values, dtype=codec.TEXT_DTYPE)

    def times(asked: Sequence[Observation | None]) -> pd.DatetimeIndex:
        found = [NOTHING if seen is None else microseconds(seen.asked_at) for seen in asked]
        return pd.DatetimeIndex(np.array(found, dtype="<i8").view("M8[us]")).tz_localize("UTC")

    versions = [None if day.revision is None else day.revision.version for day in shown]
    dates = np.array([day.date for day in shown], dtype="M8[D]").astype("M8[ns]")
    columns = {
        "state": pd.Categorical([day.state for day in shown], categories=list(STATES)),
        "rows": np.array([day.rows for day in shown], dtype=np.int64),
        "version": pd.array(versions, dtype="Int64"),
        "asked_at": times(last),
        "first_asked_at": times(first),
        "askings": np.array([len(each) for each in askings], dtype=np.int64),
        "failures": np.array(
            [sum(seen.outcome == "failed" for seen in each) for each in askings], dtype=np.int64
        ),
        "source": texts("source"),
        "what": texts("what"),
    }
    frame = pd.DataFrame(columns)
    return frame.set_index(pd.DatetimeIndex(dates, name="date"))
