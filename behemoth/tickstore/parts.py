"""One select in parts: cut by the times of the ticks, so that a part at a time fits into memory.

A part is a range of time, not a file: files of two dates may overlap in time, parts never do. Each
has the columns and types of the whole, so that all parts, one after the other, are the whole.

What a part becomes is not decided here: `behemoth.tickstore.export`, `behemoth.dask`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from behemoth.index import DAY, Rows

By = Literal["day", "month"]
Span = tuple[int, int]
"""First and last instant, both included, UTC nanoseconds since 1970."""


def _months(days: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    numbers: Any = days.view("M8[D]").astype("M8[M]").astype(np.int64)
    return numbers  # type: ignore[no-any-return]


def _start(period: int, by: By) -> int:
    """Give the first instant of a day or month, numbered since 1970."""
    if by == "month":
        period = int(np.datetime64(period, "M").astype("M8[D]").astype(np.int64))
    return period * DAY


def by_calendar(shown: Rows, bounds: Span, by: By) -> list[Span]:
    """Cut at the beginnings of UTC days or months; leave out those without files.

    Parameters
    ----------
    shown
        Rows of the index: the files to read, each with its first and last tick.
    bounds
        No part goes beyond.
    by
        ``"day"`` or ``"month"``.
    """
    lows = np.maximum(shown["first"], bounds[0]) // DAY
    highs = np.minimum(shown["last"], bounds[1]) // DAY
    if by == "month":
        lows, highs = _months(lows), _months(highs)
    counts = highs - lows + 1
    steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    covered = np.unique(np.repeat(lows, counts) + steps).tolist()
    return [
        (max(bounds[0], _start(period, by)), min(bounds[1], _start(period + 1, by) - 1))
        for period in covered
    ]


def by_rows(shown: Rows, bounds: Span, rows: int) -> Iterator[Span]:
    """Cut at the beginnings of UTC days, where about so many ticks have come together."""
    order = np.argsort(shown["first"], kind="stable")
    begins, sums = shown["first"][order], np.cumsum(shown["rows"][order])
    begin, done = None, 0
    for low, high in by_calendar(shown, bounds, "day"):
        begin, end = low if begin is None else begin, high
        until = int(sums[np.searchsorted(begins, high, side="right") - 1])
        if until - done >= rows:
            yield begin, end
            begin, done = None, until
    if begin is not None:
        yield begin, end
