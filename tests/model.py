"""The brute-force model: what a bitemporal tick store must answer, as plainly as can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd

Tick = tuple[int, float]
"""A tick time in UTC nanoseconds, and a price."""


@dataclass(frozen=True)
class Fact:
    """One thing that was said: these are the ticks of a date, or there are none any more."""

    symbol: str
    date: date
    ticks: tuple[Tick, ...] | None
    start: datetime
    commit: int
    version: int = 0


@dataclass
class Model:
    """Everything that was ever said, in order."""

    facts: list[Fact] = field(default_factory=list)

    def newest(self, symbol: str, day: date) -> Fact | None:
        """The last thing said about a date."""
        said = [fact for fact in self.facts if (fact.symbol, fact.date) == (symbol, day)]
        return said[-1] if said else None

    def deleted(self, symbol: str, day: date) -> Fact | None:
        """What an undelete of the date would bring back, if it is deleted."""
        said = [fact for fact in self.facts if (fact.symbol, fact.date) == (symbol, day)]
        if not said or said[-1].ticks is not None:
            return None
        return next(fact for fact in reversed(said) if fact.ticks is not None)

    def holds(self, symbol: str, day: date) -> bool:
        """Whether the date has ticks now."""
        newest = self.newest(symbol, day)
        return newest is not None and newest.ticks is not None

    def select(self, symbol: str, start: int, end: int, as_of: datetime) -> list[Tick]:
        """The ticks in [start, end] as of a time: by time, then date, then position."""
        found = []
        for day in sorted({fact.date for fact in self.facts if fact.symbol == symbol}):
            known = [
                fact
                for fact in self.facts
                if (fact.symbol, fact.date) == (symbol, day) and fact.start <= as_of
            ]
            if known:
                ticks = sorted(known[-1].ticks or (), key=lambda tick: tick[0])
                found += [tick for tick in ticks if start <= tick[0] <= end]
        return sorted(found, key=lambda tick: tick[0])

    def boundaries(self) -> list[datetime]:
        """Every instant at which an answer may change."""
        return sorted({fact.start for fact in self.facts})


def frame_of(ticks: tuple[Tick, ...]) -> pd.DataFrame:
    """Make the frame that is inserted."""
    index = pd.DatetimeIndex([time for time, _ in ticks], name="time", tz="UTC").as_unit("ns")
    return pd.DataFrame({"price": [float(price) for _, price in ticks]}, index=index, dtype=float)


def ticks_of(frame: pd.DataFrame) -> list[Tick]:
    """Read back what `frame_of` made."""
    if "price" not in frame:
        assert frame.empty
        return []
    return list(zip(frame.index.asi8.tolist(), frame["price"].tolist(), strict=True))
