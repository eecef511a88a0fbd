"""Histories: what is said to a table, the same said to the brute-force model, and all answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pandas as pd

from behemoth import BiTimestamp, Observation
from behemoth.bitemporal import LATEST_AS_OF, RESOLUTION
from behemoth.tickstore import Tickstore
from tests.clock import Clock
from tests.model import Fact, Model, Tick, frame_of, ticks_of

DAY = date(2019, 10, 31)
DAYS = [DAY, DAY + timedelta(days=1)]
SYMBOLS = ["BTC-USD", "eth/usd", "₿", "../new"]
MIDNIGHT = int(pd.Timestamp(DAY).value)
HOUR = 3600 * 10**9
EVER = (MIDNIGHT - 999 * HOUR, MIDNIGHT + 999 * HOUR)


def ticks_at(*prices: float, day: date = DAY) -> tuple[Tick, ...]:
    """One tick an hour."""
    start = int(pd.Timestamp(day).value)
    return tuple((start + place * HOUR, float(price)) for place, price in enumerate(prices))


@dataclass(frozen=True)
class Step:
    """One thing to say of a symbol and date; ``back`` seconds before now, to backdate it."""

    verb: str
    symbol: str
    ticks: tuple[Tick, ...] = ()
    day: date = DAY
    back: float | None = None


def observation(symbol: str, clock: Clock) -> Observation:
    """What a source answered just now."""
    return Observation(
        symbol,
        "by hand",
        "bars",
        clock.now - timedelta(days=1),
        clock.now,
        clock.now,
        "complete",
        3,
    )


def say(table: Tickstore, clock: Clock, steps: Sequence[Step], **words: Any) -> list[Any]:
    """Commit the steps together: by the verb itself, by `insert_many`, or as a transaction."""

    def at(step: Step) -> BiTimestamp:
        if step.back is None:
            return BiTimestamp(step.day)
        return BiTimestamp(step.day, as_of_time=clock.now - timedelta(seconds=step.back))

    verbs = {step.verb for step in steps}
    if len(steps) > 1 and verbs == {"insert"}:
        many = [(step.symbol, at(step), frame_of(step.ticks)) for step in steps]
        return table.insert_many(many, **words)
    if len(steps) > 1:
        with table.transaction(**words) as changes:
            for step in steps:
                if step.verb == "observe":
                    changes.observe([observation(step.symbol, clock)])
                elif step.verb == "insert":
                    changes.insert(step.symbol, at(step), frame_of(step.ticks))
                else:
                    getattr(changes, step.verb)(step.symbol, at(step))
        return changes.revisions
    (step,) = steps
    if step.verb == "observe":
        table.observe([observation(step.symbol, clock)], **words)
        return []
    if step.verb == "insert":
        return [table.insert(step.symbol, at(step), frame_of(step.ticks), **words)]
    return [getattr(table, step.verb)(step.symbol, at(step), **words)]


def note(model: Model, revisions: Sequence[Any], steps: Sequence[Step]) -> None:
    """Say the same to the model."""
    told = [step for step in steps if step.verb != "observe"]
    for step, revision in zip(told, revisions, strict=True):
        ticks: tuple[Tick, ...] | None = tuple(sorted(step.ticks, key=lambda tick: tick[0]))
        if step.verb == "delete":
            ticks = None
        elif step.verb == "undelete":
            before = [f for f in model.facts if (f.symbol, f.date) == (step.symbol, step.day)]
            ticks = [fact.ticks for fact in before if fact.ticks is not None][-1]
        model.facts.append(Fact(step.symbol, step.day, ticks, revision.start_time, revision.commit))


def random_steps(chance: Random, model: Model, clock: Clock) -> list[Step]:
    """Choose what to say next: one step, or several of different symbols and dates."""
    places = [(symbol, day) for symbol in SYMBOLS for day in DAYS]
    steps = []
    for symbol, day in chance.sample(places, chance.choice([1, 1, 1, 2, 4])):
        newest = model.newest(symbol, day)
        gone = newest is not None and newest.ticks is None
        verb = chance.choice(["insert", "insert", "observe", "undelete" if gone else "delete"])
        if verb == "delete" and (newest is None or gone):
            verb = "insert"
        back = chance.choice([None, None, 0.5])
        if back and newest and newest.start >= clock.now - timedelta(seconds=back):
            back = None
        hours = sorted(chance.choices(range(-6, 30), k=chance.randint(0, 4)))
        start = int(pd.Timestamp(day).value)
        ticks = tuple((start + hour * HOUR, float(chance.randint(0, 99))) for hour in hours)
        steps.append(Step(verb, symbol, ticks if verb == "insert" else (), day, back))
    return steps


def is_the_models(table: Tickstore, model: Model) -> None:
    """Every answer, at and around every instant at which it may change, is the model's."""
    around = {when + nudge * RESOLUTION for when in model.boundaries() for nudge in (-1, 0, 1)}
    latest = max([fact.start for fact in model.facts], default=LATEST_AS_OF)
    for symbol in SYMBOLS:
        for when in [*sorted(when for when in around if when <= latest), LATEST_AS_OF]:
            found = ticks_of(table.select(symbol, as_of_time=when))
            assert found == model.select(symbol, *EVER, when), (symbol, when)


def frame_facts(frame: pd.DataFrame) -> tuple[Any, ...]:
    """Everything about a frame that can be seen, to the bit; as plain values, quick to compare."""
    times = frame.index
    columns = [(name, str(frame[name].dtype), frame[name].to_numpy().tobytes()) for name in frame]
    return times.name, str(times.dtype), times.asi8.tobytes(), *columns


Answers = dict[Any, Any]


def answers(table: Tickstore) -> Answers:
    """Everything that a table says: revisions, observations, and ticks at every boundary.

    Which number a revision got is left out: a failed try may make one be skipped.
    """
    facts: Answers = {"commits": table.token.partition("-")[0], "symbols": table.symbols()}
    for symbol in SYMBOLS:
        known = table.revisions(symbol)
        facts[symbol] = (
            [replace(each, version=0, splay=each.splay and 0) for each in known],
            table.observations(symbol),
        )
        for when in {*(each.start_time for each in known), LATEST_AS_OF}:
            facts[symbol, when] = frame_facts(table.select(symbol, as_of_time=when))
    return facts
