"""What differs: between two states of a symbol, or between a day and what a source says of it now.

Days that hold the same, by the digests in the index, are not read. How two ticks are compared is
`behemoth.codec.comparing`'s; what a state is, the view's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date as Date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from behemoth import codec, index
from behemoth.bitemporal import Revision
from behemoth.codec import Ticks
from behemoth.codec.ticks import Array
from behemoth.index import Rows, Timeline
from behemoth.tickstore.moments import Moment
from behemoth.tickstore.reader import Reader

if TYPE_CHECKING:
    from behemoth.tickstore.view import View

CHANGES = ("added", "removed", "changed")
BESIDE = ("new", "vanished", "changed")
"""What became of a tick, seen from the table: a source has it too, no more, or otherwise."""
DIGEST = ["date", *(f"digest_{part}" for part in range(4))]


class _Day(NamedTuple):
    """What differs on one date: its ticks in state a and b, and their rows (-1: not there)."""

    date: int
    sides: tuple[Ticks, Ticks]
    times: Array
    places: Array


def diff(
    reader: Reader,
    timeline: Timeline,
    states: tuple[Moment, Moment],
    bounds: tuple[int, int],
    columns: Sequence[str] | None,
) -> pd.DataFrame:
    """Show what differs; see `View.diff`."""
    rows = [timeline.shown(known_at, tip.number, bounds) for tip, known_at in states]
    days = []
    for pair in _unlike(*rows):
        day = _differences(reader, timeline.symbol, pair, bounds, columns)
        if len(day.times):
            days.append(day)
    nothing = _nothing(reader)
    names = columns or _names(days)
    template = nothing
    if not days or not set(names) <= set(_names(days)):
        latest = max(when for _, when in states), max(tip.number for tip, _ in states)
        template = reader.columns(timeline.symbol, *latest, columns)
        names = columns or template.names
    return _framed(days, names, template, nothing, CHANGES, ("a", "b"))


def beside(
    view: View, date: Date, stored: Revision | None, frame: pd.DataFrame | None
) -> pd.DataFrame:
    """Hold what a source says of a day beside what a table has.

    Parameters
    ----------
    view
        The table.
    date
        The as-at date.
    stored
        The revision that has the day's ticks; ``None`` where there is none.
    frame
        What the source says, as it would be inserted; ``None`` for nothing.

    Returns
    -------
    pandas.DataFrame
        One row for each tick that is not the same, bit by bit; index and columns as those of
        `View.diff`. ``change`` is ``"new"`` (only the source has it), ``"vanished"`` (only the
        table) or ``"changed"``; the states are ``"stored"`` and ``"source"``.
    """
    reader = view._reader
    nothing = _nothing(reader)
    theirs = nothing if frame is None else codec.dismantle(frame, view.timestamp_column)
    ours = replace(nothing, aware=theirs.aware)
    if stored is not None and stored.rows:
        is_same = stored.digest == theirs.digest()
        ours = theirs if is_same else reader.day(stored.symbol, index.rows_of([stored]))
    day = _odd((date - index.EPOCH_DATE).days, ours, theirs)
    template = (theirs if len(theirs.columns) else ours).take(slice(0, 0))
    names = dict.fromkeys((*template.names, *_names([day])))
    return _framed([day], list(names), template, nothing, BESIDE, ("stored", "source"))


def _nothing(reader: Reader) -> Ticks:
    return Ticks(np.empty(0, np.int64), (), reader.nothing().time_name, aware=True)


def _names(days: Sequence[_Day]) -> list[str]:
    """Name the columns of the ticks that differ, those of the first state first."""
    sides = [day.sides[n] for n in range(2) for day in days]
    return list(dict.fromkeys(name for side in sides if len(side) for name in side.names))


def _framed(
    days: Sequence[_Day],
    names: Sequence[str],
    template: Ticks,
    nothing: Ticks,
    changes: Sequence[str],
    states: tuple[str, str],
) -> pd.DataFrame:
    """Show all days in one frame, by time."""
    sides = [
        codec.concatenate(
            [day.sides[n] for day in days if len(day.sides[n])] or [nothing], sort=False
        )
        for n in range(2)
    ]
    times = np.concatenate([nothing.times, *(day.times for day in days)])
    order = np.argsort(times, kind="stable")
    places = [_joined(days, side)[order] for side in range(2)]
    values = [
        codec.with_gaps(sides[side], places[side], sides[1 - side], template) for side in range(2)
    ]
    dates = np.repeat(
        np.array([day.date for day in days], dtype="<i8"), [len(day.times) for day in days]
    )
    codes: Array = np.select([places[0] < 0, places[1] < 0], [0, 1], 2).astype(np.intp)
    shown: dict[tuple[str, str], Any] = {
        ("change", ""): pd.Categorical.from_codes(codes, categories=pd.Index(changes)),
        ("date", ""): dates[order].view("M8[D]").astype("M8[ns]"),
    }
    for name in names:
        shown |= {(name, state): values[n][name] for n, state in enumerate(states)}
    some = next((each for each in (*sides, template) if each is not nothing), nothing)
    frame = pd.DataFrame(
        dict(enumerate(shown.values())),
        index=codec.time_index(replace(some, times=times[order], columns=())),
    )
    labels = [pd.Index(list(level), dtype=codec.TEXT_DTYPE) for level in zip(*shown, strict=True)]
    frame.columns = pd.MultiIndex.from_arrays(labels, names=["column", "state"])
    return frame


def _unlike(a: Rows, b: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Give the rows of each date whose content is not the same in both; none or one of each."""
    for date in np.union1d(a["date"], b["date"]).tolist():
        before, after = (rows[_run(rows, date)] for rows in (a, b))
        if before[DIGEST].tolist() != after[DIGEST].tolist():
            yield before, after


def _run(rows: Rows, date: int) -> slice:
    low = int(np.searchsorted(rows["date"], date))
    return slice(low, low + int(low < len(rows) and rows["date"][low] == date))


def _differences(
    reader: Reader,
    symbol: str,
    pair: tuple[Rows, Rows],
    bounds: tuple[int, int],
    columns: Sequence[str] | None,
) -> _Day:
    there = [reader.day(symbol, row, columns).between(*bounds) for row in pair if len(row)]
    absent = replace(there[0].take(slice(0, 0)), columns=())
    a, b = (there.pop(0) if len(row) else absent for row in pair)
    return _odd(next(int(row["date"][0]) for row in pair if len(row)), a, b)


def _odd(date: int, a: Ticks, b: Ticks) -> _Day:
    """Find the ticks of a date that are not the same."""
    aligned = codec.align([a, b])
    odd = ~codec.same(a, b, *aligned.places)
    places, sides = np.full((2, int(odd.sum())), -1, dtype=np.int64), []
    for number, side in enumerate((a, b)):
        kept = aligned.places[number, odd]
        places[number, kept >= 0] = np.arange(np.count_nonzero(kept >= 0))
        sides.append(side.take(kept[kept >= 0]))
    return _Day(date, (sides[0], sides[1]), aligned.times[odd], places)


def _joined(days: Sequence[_Day], side: int) -> Array:
    """Give the rows in the ticks of all days, one day after the other."""
    start, found = 0, [np.empty(0, dtype=np.int64)]
    for day in days:
        found.append(np.where(day.places[side] < 0, -1, day.places[side] + start))
        start += len(day.sides[side])
    return np.concatenate(found)
