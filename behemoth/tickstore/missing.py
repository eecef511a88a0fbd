"""Gaps: which candles of a symbol are missing, and why, as spans of time.

What is known of each day comes from `behemoth.tickstore.coverage`; the times of the ticks are
asked for a block of days at a time, and only of days whose files alone do not tell. Pure but for
that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth.bitemporal import Observation
from behemoth.errors import BadRequest
from behemoth.tickstore.coverage import Day, Span

Reason = Literal["no trade", "unknown", "not fetched", "failed", "deleted"]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""From the least to the worst: of a candle that several parts of a day share, the worst counts."""
NO_TRADE, UNKNOWN, NOT_FETCHED, FAILED, DELETED = range(1, 6)
"""Their codes; 0 is a candle that is there, or not over."""

SECOND = 10**9
SECONDS = 86_400
"""Of a day."""
BLOCK = 1 << 16
"""Ticks whose times are read together, about."""

CANDLES = re.compile(r"candles/([1-9][0-9]{0,4})")
ONE_MINUTE = re.compile(r"(^|_)(ONE|1)_?MIN", re.IGNORECASE)

Times = npt.NDArray[np.int64]
Pieces = tuple[Times, Times, npt.NDArray[np.int8]]
"""Starts, ends, and codes of reasons."""


def grain(observations: Iterable[Observation], table: str, given: int | None) -> int | None:
    """Decide how long the candles of a table are.

    Parameters
    ----------
    observations
        What was asked for: ``candles/60`` for instance.
    table
        The table's name; ``ONE_MIN`` in it means a minute, where nothing was asked for.
    given
        What the caller says.

    Returns
    -------
    int or None
        Seconds; ``None`` where there are no candles.

    Raises
    ------
    BadRequest
        When it is no part of a day, or candles of several lengths were asked for.
    """
    if given is not None:
        whole = isinstance(given, int) and not isinstance(given, bool)
        if not whole or given < 1 or SECONDS % given:
            raise BadRequest(f"granularity is seconds that divide a day, not {given!r}")
        return given
    asked = {each.what for each in observations}
    found = sorted(int(match[1]) for match in map(CANDLES.fullmatch, asked) if match)
    if len(found) > 1:
        raise BadRequest(
            f"candles of {', '.join(map(str, found))} seconds were asked for; say which are "
            f"meant: granularity={found[0]}"
        )
    if found:
        return grain((), table, found[0])
    return 60 if not asked and ONE_MINUTE.search(table) else None


def counts(seen: Observation, seconds: int | None) -> bool:
    """Whether an asking says something of candles of this length; others have candles too."""
    return not seen.what.startswith("candles/") or seen.what == f"candles/{seconds}"


@dataclass(frozen=True, slots=True)
class Grid:
    """Finds what is missing of candles that begin at midnight and follow each other.

    Parameters
    ----------
    seconds
        Of a candle.
    horizon
        Only candles that are over by then, UTC nanoseconds since 1970.
    read
        Gives the times of the ticks in ``[low, high]``, sorted, UTC nanoseconds since 1970.
    """

    seconds: int
    horizon: int
    read: Callable[[int, int], Times]

    def missing(self, days: Iterable[Day]) -> Iterator[Pieces]:
        """Give what is missing, in the order of time; what adjoins is not joined yet."""
        for block in self._blocks(days):
            wanted = [day for day in block if self._is_to_read(day)]
            times = np.empty(0, dtype=np.int64)
            if wanted:
                times = self.read(wanted[0].span[0], wanted[-1].span[1] - 1)
            for day in block:
                yield self._of_day(day, times)

    def _blocks(self, days: Iterable[Day]) -> Iterator[list[Day]]:
        """Put days together whose ticks are read at once: none between them is left unread."""
        block: list[Day] = []
        rows = 0
        for day in days:
            full = self._is_full(day)
            if block and (full or rows + day.held > BLOCK):
                yield block
                block, rows = [], 0
            if not full:
                block.append(day)
                rows += day.held
        yield block

    def _is_to_read(self, day: Day) -> bool:
        return day.held > 0 and day.span[0] < self.horizon

    def _is_full(self, day: Day) -> bool:
        """Whether the index alone says that every candle is there.

        So it is where one commit brought a file and the answer that it is: as many rows as the day
        has candles, the first and the last in their places.
        """
        start, end = day.span
        revision, step = day.revision, self.seconds * SECOND
        return (
            revision is not None
            and revision.rows == SECONDS // self.seconds
            and (revision.first, revision.last) == (start, end - step)
            and (start, end) in day.answered
            and any(
                commit == revision.commit
                and seen.what == f"candles/{self.seconds}"
                and (seen.outcome, seen.rows) == ("complete", revision.rows)
                for commit, seen in day.askings
            )
        )

    def _of_day(self, day: Day, times: Times) -> Pieces:
        start, end = day.span
        step = self.seconds * SECOND
        size = max(0, min(self.horizon, end) - start) // step
        codes = np.zeros(size, dtype=np.int8)
        for low, high, code in segments(day):
            part = slice((low - start) // step, -((start - high) // step))
            np.maximum(codes[part], code, out=codes[part])
        first, last = np.searchsorted(times, [start, start + size * step])
        codes[(times[first:last] - start) // step] = 0
        edges = np.flatnonzero(np.diff(codes, prepend=np.int8(-1), append=np.int8(-1)))
        lows, highs = edges[:-1], edges[1:]
        keep = codes[lows] > 0
        return start + lows[keep] * step, start + highs[keep] * step, codes[lows[keep]]


def without_grid(days: Iterable[Day], horizon: int) -> Iterator[Pieces]:
    """Give what is missing where there are no candles: the days, or parts of them, not answered."""
    for day in days:
        found = [
            (low, min(high, horizon), code)
            for low, high, code in segments(day)
            if low < horizon and not (day.held and code in (NO_TRADE, UNKNOWN) and not day.short)
        ]
        whole = np.array(found, dtype=np.int64).reshape(-1, 3)
        yield whole[:, 0], whole[:, 1], whole[:, 2].astype(np.int8)


def segments(day: Day) -> list[tuple[int, int, int]]:
    """Cut a day where its reasons change: what a candle that is not there is missing for."""
    start, end = day.span
    if day.state in ("deleted", "stored"):
        return [(start, end, DELETED if day.state == "deleted" else UNKNOWN)]
    cuts = sorted({start, end, *(time for part in (*day.answered, *day.failed) for time in part)})
    found = []
    for low, high in pairwise(cuts):
        code = NOT_FETCHED
        if _within(low, day.answered):
            code = UNKNOWN if day.short else NO_TRADE
        elif _within(low, day.failed):
            code = FAILED
        found.append((low, high, code))
    return found


def _within(time: int, parts: Iterable[Span]) -> bool:
    return any(start <= time < end for start, end in parts)


def table(pieces: Iterable[Pieces], seconds: int | None) -> pd.DataFrame:
    """Join what adjoins for the same reason; see `View.gaps`."""
    nothing = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int8))
    starts, ends, codes = (np.concatenate(each) for each in zip(nothing, *pieces, strict=True))
    begins = np.ones(len(starts), dtype=bool)
    begins[1:] = (starts[1:] != ends[:-1]) | (codes[1:] != codes[:-1])
    lasts = np.append(begins[1:], [True])[: len(begins)]
    starts, ends, codes = starts[begins], ends[lasts], codes[begins]
    bins = pd.array([pd.NA] * len(starts), dtype="Int64")
    if seconds is not None:
        step = seconds * SECOND  # divided before: the length of centuries does not fit into int64
        bins = pd.array(ends // step - starts // step, dtype="Int64")
    frame = pd.DataFrame(
        {
            "start": pd.DatetimeIndex(starts.view("M8[ns]"), tz="UTC"),
            "end": pd.DatetimeIndex(ends.view("M8[ns]"), tz="UTC"),
            "bins": bins,
            "reason": pd.Categorical(
                np.array(REASONS, dtype=object)[codes - 1], categories=list(REASONS)
            ),
        }
    )
    frame.attrs["granularity"] = seconds
    return frame
