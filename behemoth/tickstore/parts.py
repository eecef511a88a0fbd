"""One select in parts: cut by the times of the ticks, so that a part at a time fits into memory.

A part is a range of time, not a file: files of two dates may overlap in time, parts never do. Each
has the columns and types of the whole, so that all parts, one after the other, are the whole.

What a part becomes is not decided here: `behemoth.tickstore.export`, `behemoth.dask`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from behemoth.codec import Ticks
from behemoth.errors import BadRequest
from behemoth.index import DAY, Rows
from behemoth.stores import LocalStore
from behemoth.tickstore import request

if TYPE_CHECKING:
    from behemoth.tickstore.moments import AsOf
    from behemoth.tickstore.times import Bound
    from behemoth.tickstore.view import View

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


def _like(sample: Ticks) -> Ticks:
    """Give no ticks, with these columns and types; texts that are no category can be any."""
    columns = tuple(
        replace(column, categories=()) if column.kind == "text" else column
        for column in sample.take(slice(0, 0)).columns
    )
    return replace(sample, times=sample.times[:0], columns=columns)


@dataclass(frozen=True, slots=True)
class Plan:
    """A select in parts that other processes read; a value that can be sent to them.

    Attributes
    ----------
    path, timestamp_column, token
        The table on disk, and its state.
    symbol, bounds, known_at
        What is selected: first and last instant, and the as-of time.
    like
        No ticks, with the columns and types of the whole.
    spans
        The parts, in the order of time; none where there are no files.
    """

    path: str
    timestamp_column: str
    token: str
    symbol: str
    bounds: Span
    known_at: datetime
    like: Ticks
    spans: tuple[Span, ...]

    @classmethod
    def of(
        cls,
        view: View,
        symbol: str,
        start: Bound,
        end: Bound,
        as_of_time: AsOf,
        columns: Sequence[str] | None,
        by: By,
    ) -> Plan:
        """Plan to read a table that is on disk.

        Raises
        ------
        BadRequest
            When it is not, or the request makes no sense.
        NotFound
            When the symbol is unknown, or a column, tag or token.
        """
        request.check_choice("partition", by, ("day", "month"))
        if not isinstance(symbol, str):
            raise BadRequest(f"one symbol at a time, not {symbol!r}")
        if not isinstance(view._store, LocalStore):
            raise BadRequest(f"{view!r} is not on disk, where other processes could read it")
        asked = view._asked(symbol, start, end, as_of_time, columns, None, "union", "raise")
        sample, shown, _ = view._sample(symbol, asked, "union", "raise")
        low, high = asked.bounds
        if len(shown):  # the divisions end where the ticks do
            low, high = max(low, int(shown["first"].min())), min(high, int(shown["last"].max()))
        return cls(
            path=view._store.name,
            timestamp_column=view.timestamp_column,
            token=asked.moment.tip.token,
            symbol=symbol,
            bounds=asked.bounds,
            known_at=asked.moment.known_at,
            like=view._reader.nothing() if sample is None else _like(sample),
            spans=tuple(by_calendar(shown, (low, high), by)),
        )

    def read(self, view: View, span: Span, like: Ticks) -> Ticks:
        """Read one part, or some columns of it, from a view of the same state."""
        commit = view._moment().tip.number
        query = request.Query(self.symbol, span, self.known_at, commit)
        return view._reader.part(query, like)
