"""From the rows of an old index to what happened: which ticks came or went, in which order.

Pure functions of values. Reading an index, finding files and committing do not live here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime

from behemoth.bitemporal import FIRST_DATE, LAST_DATE, LATEST_AS_OF, START_AS_OF

Key = tuple[str, Date]
"""What a history is of: a symbol and an as-at date."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an old index.

    Attributes
    ----------
    symbol, date, version
        What it is called.
    start, end
        The ticks were known in ``[start, end)``, aware UTC; `START_AS_OF` and `LATEST_AS_OF` are
        the open ends.
    path
        Where the index says that the file is.
    """

    symbol: str
    date: Date
    version: int
    start: datetime
    end: datetime
    path: str

    def __str__(self) -> str:
        return f"{self.symbol!r} {self.date} version {self.version}"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became known.

    Attributes
    ----------
    symbol, date
        What it is about.
    time
        Since when it was known, aware UTC.
    row
        Whose ticks came; ``None`` where the ticks went.
    """

    symbol: str
    date: Date
    time: datetime
    row: Row | None


def problems(rows: Sequence[Row], now: datetime) -> list[str]:
    """Say what in an old index cannot be, a line for each; nothing where all is well.

    Parameters
    ----------
    rows
        All rows.
    now
        The present, aware UTC: nothing can be known from later on.
    """
    found = []
    for history in _by_key(rows).values():
        names = [row.version for row in history]
        for row in history:
            found += [f"{row}: {what}" for what in _problems_of(row, now)]
        found += [
            f"{row} is there {names.count(row.version)} times"
            for row in {row.version: row for row in history}.values()
            if names.count(row.version) > 1
        ]
        for earlier, later in itertools.pairwise(history):
            if earlier.version == later.version:
                continue
            if earlier.start == later.start:
                found.append(
                    f"{later} starts when version {earlier.version} starts, {_shown(later.start)}"
                )
            elif earlier.end > later.start:
                found.append(
                    f"{later} starts {_shown(later.start)}, before version {earlier.version} ends, "
                    f"{_shown(earlier.end)}"
                )
    return found


def _problems_of(row: Row, now: datetime) -> Iterator[str]:
    if not FIRST_DATE <= row.date <= LAST_DATE:
        yield f"dates lie in {FIRST_DATE} to {LAST_DATE}"
    if row.end <= row.start:
        yield f"it ends {_shown(row.end)}, not after it starts, {_shown(row.start)}"
    if row.start > now:
        yield f"it starts in the future, {_shown(row.start)}"
    elif now < row.end != LATEST_AS_OF:
        yield f"it ends in the future, {_shown(row.end)}"


def _shown(time: datetime) -> str:
    return {START_AS_OF: "at the start of time", LATEST_AS_OF: "never"}.get(time) or (
        f"at {time.isoformat()}"
    )


def decide(rows: Iterable[Row]) -> dict[Key, tuple[Event, ...]]:
    """Decide what happened to each symbol and date, in the order of time.

    Ticks come where a row starts. They go where a row ends and no other starts at that moment.

    Parameters
    ----------
    rows
        Without `problems`; a row that is left out leaves a gap.
    """
    return {key: tuple(_events(history)) for key, history in sorted(_by_key(rows).items())}


def _events(history: Sequence[Row]) -> Iterator[Event]:
    for row, following in itertools.zip_longest(history, history[1:]):
        yield Event(row.symbol, row.date, row.start, row)
        if row.end != LATEST_AS_OF and (following is None or following.start != row.end):
            yield Event(row.symbol, row.date, row.end, None)


def rounds(histories: Mapping[Key, Sequence[Event]]) -> Iterator[list[Event]]:
    """Give the first events of all histories, then the second ones, and so on."""
    for number in range(max(map(len, histories.values()), default=0)):
        yield [events[number] for events in histories.values() if number < len(events)]


def known(history: Iterable[Row], time: datetime) -> Row | None:
    """Find the row of one symbol and date that was known at a time, as an old index answers."""
    return next((row for row in history if row.start <= time < row.end), None)


def _by_key(rows: Iterable[Row]) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.start, row.end, row.version)):
        found.setdefault((row.symbol, row.date), []).append(row)
    return found
