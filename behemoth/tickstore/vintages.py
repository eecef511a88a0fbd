"""Ticks by when they were believed: what each revision of their day said of them.

How two beliefs are compared is `behemoth.codec.comparing`'s; which state is asked, the view's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from behemoth import codec, index
from behemoth.bitemporal import Revision
from behemoth.codec import Ticks
from behemoth.codec.ticks import Array
from behemoth.errors import BadRequest
from behemoth.index import Timeline
from behemoth.tickstore.moments import Moment
from behemoth.tickstore.reader import Reader

FACTS = ("time", "place", "date", "position", "version", "kind", "commit", "start", "end")


@dataclass
class _Beliefs:
    """What was believed, one row each; `place` is the row in `parts`, -1 for no tick."""

    parts: list[Ticks] = field(default_factory=list)
    rows: int = 0
    facts: dict[str, list[Array]] = field(default_factory=lambda: {name: [] for name in FACTS})

    def keep(self, ticks: Ticks) -> Array:
        """Keep ticks that are believed, and say where."""
        self.parts += [ticks] if len(ticks) else []
        self.rows += len(ticks)
        return np.arange(self.rows - len(ticks), self.rows)

    def fact(self, name: str) -> Array:
        """Give one fact of all rows."""
        return np.concatenate([np.empty(0, dtype=np.int64), *self.facts[name]])


def vintages(
    reader: Reader,
    timeline: Timeline,
    moment: Moment,
    bounds: tuple[int, int],
    columns: Sequence[str] | None,
    with_time: bool,
) -> pd.DataFrame:
    """Show what was believed; see `View.vintages`."""
    commit, known_at = moment.tip.number, moment.known_at
    known = timeline.known(known_at, commit)
    low, high = bounds
    within = (known["rows"] > 0) & (known["last"] >= low) & (known["first"] <= high)
    beliefs = _Beliefs()
    for day in np.unique(known["date"][within]).tolist():
        history = [
            each
            for each in timeline.history(index.EPOCH_DATE + timedelta(days=day))
            if each.commit <= commit and each.start_time <= known_at
        ]
        parts = _read(reader, timeline, history, bounds, columns)
        _believe(beliefs, day, history, parts)
    return _table(reader, timeline, moment, beliefs, columns, with_time)


def _read(
    reader: Reader,
    timeline: Timeline,
    history: Sequence[Revision],
    bounds: tuple[int, int],
    columns: Sequence[str] | None,
) -> list[Ticks]:
    """Read what each revision says, each content once; deletes and all outside say nothing."""
    nothing = Ticks(np.empty(0, np.int64), (), reader.nothing().time_name, aware=True)
    low, high = bounds
    read: dict[str, Ticks] = {}
    parts = []
    for each in history:
        if each.first is None or each.last is None or each.last < low or each.first > high:
            parts.append(nothing)
            continue
        if each.digest not in read:
            row = index.rows_of([each])
            read[each.digest] = reader.day(timeline.symbol, row, columns).between(low, high)
        parts.append(read[each.digest])
    return parts


def _believe(
    beliefs: _Beliefs, day: int, history: Sequence[Revision], parts: Sequence[Ticks]
) -> None:
    """Add the beliefs of one day: of each tick the first, and each that differs from the last."""
    times, positions, places = codec.align(parts)
    new = np.ones(places.shape, dtype=bool)
    for after in range(1, len(parts)):
        before = after - 1
        new[after] = ~codec.same(parts[before], parts[after], places[before], places[after])
    kept = np.full(places.shape, -1, dtype=np.int64)
    for number, part in enumerate(parts):
        there = new[number] & (places[number] >= 0)
        kept[number, there] = beliefs.keep(part.take(places[number, there]))
    tick, revision = np.nonzero(new.T)
    start = np.array([index.microseconds(each.start_time) for each in history], dtype=np.int64)
    end = np.full(len(tick), index.OPEN, dtype=np.int64)
    followed = tick[1:] == tick[:-1]
    end[:-1][followed] = start[revision[1:]][followed]
    found = {
        "time": times[tick],
        "place": kept[revision, tick],
        "date": np.full(len(tick), day, dtype=np.int64),
        "position": positions[tick],
        "version": np.array([each.version for each in history], dtype=np.int64)[revision],
        "kind": np.array([index.KINDS.index(each.kind) for each in history])[revision],
        "commit": np.array([each.commit for each in history], dtype=np.int64)[revision],
        "start": start[revision],
        "end": end,
    }
    for name, values in found.items():
        beliefs.facts[name].append(values)


def _table(
    reader: Reader,
    timeline: Timeline,
    moment: Moment,
    beliefs: _Beliefs,
    columns: Sequence[str] | None,
    with_time: bool,
) -> pd.DataFrame:
    nothing = Ticks(np.empty(0, np.int64), (), reader.nothing().time_name, aware=True)
    ticks = codec.concatenate(beliefs.parts or [nothing], sort=False)
    template = nothing
    if not beliefs.parts or not set(columns or ()) <= set(ticks.names):
        commit, known_at = moment.tip.number, moment.known_at
        template = reader.columns(timeline.symbol, known_at, commit, columns)
    order = np.argsort(beliefs.fact("time"), kind="stable")
    fact = {name: beliefs.fact(name)[order] for name in FACTS}
    values = codec.with_gaps(ticks, fact["place"], template)
    shown: dict[str, Any] = {name: values[name] for name in columns or values}
    about: dict[str, Any] = {
        "end_time": _knowledge(fact["end"]),
        "kind": np.array(index.KINDS, dtype=object)[fact["kind"]],
        "date": fact["date"].view("M8[D]").astype("M8[ns]"),
        "version": fact["version"],
        "commit": fact["commit"],
        "position": fact["position"],
    }
    taken = {"start_time", *about} & set(shown)
    if taken and columns is None:
        raise BadRequest(
            f"{timeline.symbol!r} has a column {min(taken)!r}, which a vintage says of the belief; "
            "name those to show, with column= or --column"
        )
    shown |= {name: fact for name, fact in about.items() if name not in shown}
    since: pd.Index[Any] = _knowledge(fact["start"]).rename("start_time")
    if with_time:
        some = template if ticks is nothing else ticks
        time = codec.time_index(replace(some, times=fact["time"], columns=()))
        since = pd.MultiIndex.from_arrays([time, since])
    frame = pd.DataFrame(dict(enumerate(shown.values())), index=since)
    frame.columns = pd.Index(list(shown), dtype=codec.TEXT_DTYPE)
    return frame


def _knowledge(microseconds: Array) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(microseconds.view("M8[us]")).tz_localize("UTC")
