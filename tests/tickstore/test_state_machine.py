"""Any history of verbs over a tickstore answers as the brute-force model does."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from behemoth import BiTimestamp, LocalTickstore
from behemoth.bitemporal import RESOLUTION
from behemoth.errors import BadRequest, ClockBehind, NotFound
from tests.clock import Clock
from tests.model import Fact, Model, frame_of, ticks_of

SYMBOLS = ["BTC-USD", "eth/usd"]
DATES = [date(2019, 10, 30), date(2019, 10, 31), date(2019, 11, 1)]
MIDNIGHT = int(pd.Timestamp("2019-10-31").value)
HOUR = 3600 * 10**9
tick_times = st.integers(-30, 30).map(lambda hours: MIDNIGHT + hours * HOUR)
ticks = st.lists(st.tuples(tick_times, st.integers(0, 99).map(float)), max_size=6).map(tuple)
symbols = st.sampled_from(SYMBOLS)
dates = st.sampled_from(DATES)


class TickstoreMachine(RuleBasedStateMachine):
    """Drives a tickstore on disk and the model side by side."""

    @initialize()
    def open(self):
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.model = Model()
        self.store = self.opened()

    def opened(self, path=None):
        return LocalTickstore(path or self.folder / "TABLE", clock=self.clock)

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(seconds=st.sampled_from([0, 1, 60, -30]))
    def turn_clock(self, seconds):
        """The clock goes on, stands still or steps back."""
        self.clock.tick(seconds)

    @rule(symbol=symbols, day=dates, ticks=ticks, changed=st.booleans())
    def insert(self, symbol, day, ticks, changed):
        """An insert is known from its commit on; an unchanged one makes no revision."""
        newest = self.model.newest(symbol, day)
        revision = self.store.insert(symbol, BiTimestamp(day), frame_of(ticks), if_changed=changed)
        stored = tuple(sorted(ticks, key=lambda tick: tick[0]))
        if changed and newest is not None and newest.ticks == stored:
            assert revision.commit == newest.commit
            return
        self.model.facts.append(Fact(symbol, day, stored, revision.start_time, revision.commit))

    @rule(symbol=symbols, day=dates, ticks=ticks, back=st.integers(-2, 40))
    def backdate(self, symbol, day, ticks, back):
        """Knowledge may be backdated, but not before what it supersedes nor into the future."""
        known_from = self.clock.now - timedelta(seconds=back)
        newest = self.model.newest(symbol, day)
        latest = max([self.clock.now, *self.last_times()])
        at = BiTimestamp(day, as_of_time=known_from)
        try:
            revision = self.store.insert(symbol, at, frame_of(ticks))
        except BadRequest:
            assert known_from > latest or (newest and known_from <= newest.start)
            return
        assert revision.start_time == known_from
        stored = tuple(sorted(ticks, key=lambda tick: tick[0]))
        self.model.facts.append(Fact(symbol, day, stored, known_from, revision.commit))

    def last_times(self):
        index = self.store.index
        return [] if index.empty else [index["commit_time"].max().to_pydatetime() + RESOLUTION]

    @rule(symbol=symbols, day=dates)
    def delete(self, symbol, day):
        """What is there can be deleted, what is not cannot."""
        try:
            revision = self.store.delete(symbol, BiTimestamp(day))
        except NotFound:
            assert not self.model.holds(symbol, day)
            return
        assert self.model.holds(symbol, day)
        self.model.facts.append(Fact(symbol, day, None, revision.start_time, revision.commit))

    @rule()
    def reopen(self):
        """Closing and opening changes nothing."""
        self.store.close()
        self.store = self.opened()

    @rule()
    def checkpoint(self):
        """An index checkpoint changes nothing."""
        self.store.flush()

    @rule()
    def rebuild(self):
        """The index equals the fold of the log: a copy without checkpoints shows the same one."""
        source = self.folder / "TABLE"
        if not source.exists():
            return
        copy = self.folder / "COPY"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("index"))
        pd.testing.assert_frame_equal(self.opened(copy).index, self.store.index)
        shutil.rmtree(copy)

    @precondition(lambda self: self.model.facts)
    @rule(symbol=symbols, start=tick_times, hours=st.integers(0, 60), data=st.data())
    def select(self, symbol, start, hours, data):
        """Every answer, at and around every instant at which it may change, is the model's."""
        boundary = data.draw(st.sampled_from(self.model.boundaries()))
        as_of = boundary + data.draw(st.sampled_from([-1, 0, 1])) * RESOLUTION
        end = start + hours * HOUR
        bounds = pd.Timestamp(start, tz="UTC"), pd.Timestamp(end)
        if as_of > max([self.clock.now, *(t - RESOLUTION for t in self.last_times())]):
            return
        found = self.store.select(symbol, *bounds, as_of)
        assert ticks_of(found) == self.model.select(symbol, start, end, as_of)

    @invariant()
    def latest_is_right(self):
        """The latest state is the model's, for every symbol."""
        if not hasattr(self, "store"):
            return
        for symbol in SYMBOLS:
            expected = self.model.select(
                symbol, MIDNIGHT - 99 * HOUR, MIDNIGHT + 99 * HOUR, BiTimestamp.latest_as_of
            )
            assert ticks_of(self.store.select(symbol)) == expected


def test_any_history_answers_as_the_model_does():
    """Laws 1 to 5, 7, 8 and 10 over LocalTickstore."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClockBehind)
        from hypothesis.stateful import run_state_machine_as_test

        run_state_machine_as_test(
            TickstoreMachine,
            settings=settings(
                max_examples=40,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
