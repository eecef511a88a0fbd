"""Any history of verbs over two tickstores on one folder answers as the brute-force model does."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from behemoth import BiTimestamp, LocalTickstore
from behemoth.bitemporal import RESOLUTION
from behemoth.errors import BadRequest, ClockBehind, Conflict, NotFound
from behemoth.layout import splay_key
from behemoth.stores import LocalStore
from tests.clock import Clock
from tests.model import Fact, Model, frame_of, ticks_of
from tests.profile import FULL

SYMBOLS = ["BTC-USD", "eth/usd"]
DATES = [date(2019, 10, 30), date(2019, 10, 31), date(2019, 11, 1)]
MIDNIGHT = int(pd.Timestamp("2019-10-31").value)
HOUR = 3600 * 10**9
tick_times = st.integers(-30, 30).map(lambda hours: MIDNIGHT + hours * HOUR)
ticks = st.lists(st.tuples(tick_times, st.integers(0, 99).map(float)), max_size=6).map(tuple)
symbols = st.sampled_from(SYMBOLS)
dates = st.sampled_from(DATES)
whose = st.sampled_from([0, 1])
kinds = st.sampled_from(["insert", "insert", "delete", "undelete"])
changes = st.lists(
    st.tuples(kinds, symbols, dates, ticks), max_size=5, unique_by=lambda each: each[1:3]
)


def sorted_ticks(given):
    """What a store makes of ticks."""
    return tuple(sorted(given, key=lambda tick: tick[0]))


class TickstoreMachine(RuleBasedStateMachine):
    """Drives two tickstores on one folder, in turns, and the model beside them."""

    @initialize()
    def open(self):
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "TABLE"
        self.clock = Clock()
        self.model = Model()
        self.stores = [self.opened(), self.opened()]

    def opened(self, path=None):
        return LocalTickstore(path or self.path, clock=self.clock)

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def said(self, revision, ticks):
        """Tell the model what a revision says."""
        self.model.facts.append(
            Fact(
                revision.symbol,
                revision.date,
                ticks,
                revision.start_time,
                revision.commit,
                revision.version,
            )
        )

    @rule(seconds=st.sampled_from([0, 1, 60, -30]))
    def turn_clock(self, seconds):
        """The clock goes on, stands still or steps back."""
        self.clock.tick(seconds)

    @rule(who=whose, symbol=symbols, day=dates, ticks=ticks, changed=st.booleans())
    def insert(self, who, symbol, day, ticks, changed):
        """An insert is known from its commit on; an unchanged one makes no revision."""
        newest = self.model.newest(symbol, day)
        revision = self.stores[who].insert(
            symbol, BiTimestamp(day), frame_of(ticks), if_changed=changed
        )
        if changed and newest is not None and newest.ticks == sorted_ticks(ticks):
            assert revision.commit == newest.commit
            return
        self.said(revision, sorted_ticks(ticks))

    @rule(who=whose, symbol=symbols, day=dates, ticks=ticks, back=st.integers(-2, 40))
    def backdate(self, who, symbol, day, ticks, back):
        """Knowledge may be backdated, but not before what it supersedes nor into the future."""
        known_from = self.clock.now - timedelta(seconds=back)
        newest = self.model.newest(symbol, day)
        latest = max([self.clock.now, *self.last_times()])
        at = BiTimestamp(day, as_of_time=known_from)
        try:
            revision = self.stores[who].insert(symbol, at, frame_of(ticks))
        except BadRequest:
            assert known_from > latest or (newest and known_from <= newest.start)
            return
        assert revision.start_time == known_from
        self.said(revision, sorted_ticks(ticks))

    def last_times(self):
        log = self.stores[0].log(limit=1)
        return [] if log.empty else [log["time"].max().to_pydatetime() + RESOLUTION]

    @rule(who=whose, symbol=symbols, day=dates)
    def delete(self, who, symbol, day):
        """What is there can be deleted, what is not cannot."""
        try:
            revision = self.stores[who].delete(symbol, BiTimestamp(day))
        except NotFound:
            assert not self.model.holds(symbol, day)
            return
        assert self.model.holds(symbol, day)
        self.said(revision, None)

    @rule(who=whose, symbol=symbols, day=dates)
    def undelete(self, who, symbol, day):
        """What was deleted comes back as it was, and nothing else can."""
        deleted = self.model.deleted(symbol, day)
        try:
            revision = self.stores[who].undelete(symbol, BiTimestamp(day))
        except NotFound:
            assert deleted is None
            return
        self.said(revision, deleted.ticks)

    @rule(who=whose, symbol=symbols, day=dates, ticks=ticks, expected=st.integers(-1, 4))
    def insert_if(self, who, symbol, day, ticks, expected):
        """An expected version that is not the newest is a conflict."""
        newest = self.model.newest(symbol, day)
        at = BiTimestamp(day)
        try:
            revision = self.stores[who].insert(
                symbol, at, frame_of(ticks), expected_version=expected
            )
        except Conflict:
            assert expected != (-1 if newest is None else newest.version)
            return
        assert expected == (-1 if newest is None else newest.version)
        self.said(revision, sorted_ticks(ticks))

    @rule(who=whose, changes=changes)
    def transaction(self, who, changes):
        """All of it in one commit, or nothing."""
        possible = all(
            kind == "insert"
            or (kind == "delete" and self.model.holds(symbol, day))
            or (kind == "undelete" and self.model.deleted(symbol, day))
            for kind, symbol, day, _ in changes
        )
        before = self.stores[who].token
        try:
            with self.stores[who].transaction() as many:
                for kind, symbol, day, ticks in changes:
                    more = (frame_of(ticks),) if kind == "insert" else ()
                    getattr(many, kind)(symbol, BiTimestamp(day), *more)
        except NotFound:
            assert not possible
            assert self.stores[who].token == before
            return
        assert possible
        assert len({revision.commit for revision in many.revisions}) == bool(changes)
        for (kind, symbol, day, ticks), revision in zip(changes, many.revisions, strict=True):
            if kind == "insert":
                self.said(revision, sorted_ticks(ticks))
            else:
                deleted = self.model.deleted(symbol, day)
                self.said(revision, deleted.ticks if deleted else None)

    @rule(who=whose)
    def reopen(self, who):
        """Closing and opening changes nothing."""
        self.stores[who].close()
        self.stores[who] = self.opened()

    @rule(who=whose)
    def checkpoint(self, who):
        """An index checkpoint changes nothing."""
        self.stores[who].flush()

    @rule(who=whose)
    def reindex(self, who):
        """Making the index anew changes nothing."""
        assert self.stores[who].reindex() == ()

    @precondition(lambda self: self.model.facts)
    @rule(symbol=symbols, day=dates, version=st.integers(0, 6), half=st.booleans())
    def crash(self, symbol, day, version, half):
        """A writer dies, and leaves staged bytes, or a splay that no commit names."""
        store = LocalStore(self.path)
        staged = store.stage(b"half a splay")
        if not half:
            try:
                store.publish(staged, splay_key(symbol, day, version))
            except FileExistsError:
                return
            store.discard(staged)

    @rule(who=whose, repair=st.booleans())
    def verify(self, who, repair):
        """Nothing is wrong but what crashes have left, and after a repair not even that."""
        found = self.stores[who].verify(repair)
        assert set(found["problem"]) <= {"orphan", "leftover"}
        if repair:
            assert found["repaired"].all()
            assert self.stores[1 - who].verify().empty

    @rule(who=whose)
    def rebuild(self, who):
        """The index equals the fold of the log: a copy shows the same one."""
        if not self.model.facts:
            return
        copy = self.folder / "COPY"
        shutil.copytree(self.path, copy, ignore=shutil.ignore_patterns("index"))
        pd.testing.assert_frame_equal(self.opened(copy).index, self.stores[who].index)
        shutil.rmtree(copy)
        self.stores[who].copy(copy)
        pd.testing.assert_frame_equal(self.opened(copy).index, self.stores[who].index)
        shutil.rmtree(copy, ignore_errors=True)

    @precondition(lambda self: self.model.facts)
    @rule(who=whose, symbol=symbols, start=tick_times, hours=st.integers(0, 60), data=st.data())
    def select(self, who, symbol, start, hours, data):
        """Every answer, at and around every instant at which it may change, is the model's."""
        boundary = data.draw(st.sampled_from(self.model.boundaries()))
        as_of = boundary + data.draw(st.sampled_from([-1, 0, 1])) * RESOLUTION
        end = start + hours * HOUR
        bounds = pd.Timestamp(start, tz="UTC"), pd.Timestamp(end)
        if as_of > max([self.clock.now, *(t - RESOLUTION for t in self.last_times())]):
            return
        found = self.stores[who].select(symbol, *bounds, as_of)
        assert ticks_of(found) == self.model.select(symbol, start, end, as_of)

    @invariant()
    def latest_is_right(self):
        """The latest state is the model's, for every symbol, in both."""
        for store in getattr(self, "stores", ()):
            for symbol in SYMBOLS:
                expected = self.model.select(
                    symbol, MIDNIGHT - 99 * HOUR, MIDNIGHT + 99 * HOUR, BiTimestamp.latest_as_of
                )
                assert ticks_of(store.select(symbol)) == expected


@pytest.mark.slow
@pytest.mark.sweep
def test_any_history_answers_as_the_model_does():
    """Laws 1 to 5, 7, 8 and 10: 400 steps and more, or with the full profile 10,000."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClockBehind)
        run_state_machine_as_test(
            TickstoreMachine,
            settings=settings(
                max_examples=200 if FULL else 20,
                stateful_step_count=50 if FULL else 25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
