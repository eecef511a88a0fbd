"""A transaction that is too large for memory puts splays aside in ``tmp/``, and is one still."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore
from behemoth.errors import BadRequest, CommitUnknown, Conflict, EnvironmentFailed
from behemoth.stores import MemoryStore
from behemoth.tickstore import Tickstore
from behemoth.tickstore.transaction import HELD
from tests.profile import FULL
from tests.tickstore.faulty import LOST, Fault, FaultyStore

FIRST = date(2019, 1, 1)
ROWS = 400_000
DAYS = HELD // (8 * ROWS) + 3
"""Days of noise, so that they put aside all but the last ones."""


@lru_cache
def ticks(number, seed=0):
    """A day of noise, which no compression makes smaller."""
    chance = np.random.default_rng([number, seed])
    start = np.datetime64(FIRST + timedelta(days=number), "ns")
    index = pd.DatetimeIndex(start + np.arange(ROWS), tz="UTC", name="time")
    return pd.DataFrame({"noise": chance.random(ROWS)}, index=index)


def fill(transaction):
    """Insert all days."""
    for number in range(DAYS):
        transaction.insert("A", at(number), ticks(number))


def broken(store):
    """Fail in the block."""
    with store.transaction() as transaction:
        fill(transaction)
        transaction.insert("A", at(0), ticks(0))


def late(store):
    """Expect a state that is gone."""
    with store.transaction() as transaction:
        fill(transaction)
        transaction.insert("A", at(DAYS), ticks(DAYS), expected_version=-1)


def tidied(store):
    """Repair the table in the middle."""
    with store.transaction() as transaction:
        fill(transaction)
        with LocalTickstore(store.path) as other:
            other.verify(repair=True)


def at(number):
    """The day of a number."""
    return BiTimestamp(FIRST + timedelta(days=number))


def staged(path):
    """What lies in tmp/."""
    return [each.name for each in (path / "tmp").glob("*")]


def test_it_is_committed_whole(tmp_path):
    """With the sizes and the digests that it has when it is small, and nothing stays in tmp/."""
    with LocalTickstore(tmp_path / "T") as store:
        with store.transaction() as transaction:
            fill(transaction)
            assert len(staged(tmp_path / "T")) >= DAYS - 5
            assert store.symbols() == []
        assert [each.commit for each in transaction.revisions] == [1] * DAYS
        assert staged(tmp_path / "T") == []
        assert np.array_equal(store.select("A", end=at(0).as_at_date)["noise"], ticks(0)["noise"])
        assert store.verify().empty


def test_an_error_in_the_block_takes_it_all_back(tmp_path):
    """Nothing happened, and nothing is left."""
    with LocalTickstore(tmp_path / "T") as store:
        with pytest.raises(BadRequest, match="in this commit already"):
            broken(store)
        assert (store.symbols(), staged(tmp_path / "T")) == ([], [])


def test_a_conflict_at_the_commit_takes_it_all_back(tmp_path):
    with LocalTickstore(tmp_path / "T") as store:
        store.insert("A", at(DAYS), ticks(DAYS))
        with pytest.raises(Conflict):
            late(store)
        assert (len(store.revisions("A")), staged(tmp_path / "T")) == (1, [])
        assert store.verify().empty


def test_a_lost_race_places_it_anew(tmp_path):
    """Another writer takes a version and the number meanwhile."""
    with LocalTickstore(tmp_path / "T") as store, LocalTickstore(tmp_path / "T") as other:
        with store.transaction() as transaction:
            fill(transaction)
            other.insert("A", at(0), ticks(0, seed=1))
        assert transaction.revisions[0].version == 1
        assert {each.commit for each in transaction.revisions} == {2}
        assert store.verify().empty


def test_a_repair_that_tidies_tmp_up_makes_it_fail_whole(tmp_path):
    """Its bytes are nowhere else then; the error says what happened, and trying again helps."""
    with LocalTickstore(tmp_path / "T") as store:
        with pytest.raises(EnvironmentFailed, match="emptied while a transaction kept ticks"):
            tidied(store)
        assert store.symbols() == []
        with store.transaction() as transaction:
            fill(transaction)
        assert len(store.revisions("A")) == DAYS


KILLED = """
import sys
from behemoth import LocalTickstore
from tests.tickstore.test_aside import fill

with LocalTickstore(sys.argv[1]) as store, store.transaction() as transaction:
    fill(transaction)
    print("here", flush=True)
    sys.stdin.read()
"""


def test_a_kill_leaves_the_state_before_and_what_a_repair_takes_away(tmp_path):
    """What was put aside is nobody's then, and harmless."""
    with LocalTickstore(tmp_path / "T") as store:
        store.insert("A", at(0), ticks(0, seed=1))
    words = [sys.executable, "-c", KILLED, str(tmp_path / "T")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        process.kill()
    with LocalTickstore(tmp_path / "T") as store:
        assert [each.version for each in store.revisions("A")] == [0]
        assert set(store.verify(repair=True)["problem"]) == {"leftover"}
        assert store.verify().empty


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ENOSPC", LOST])
def test_a_disk_that_fails_on_the_way_leaves_all_or_nothing(kind):
    """While it is put aside, while it is linked, at the commit; and nothing is left staged."""
    store = FaultyStore(MemoryStore())
    outcome(store)
    calls = len(store.asked)
    seen = set()
    for call in range(1, calls + 1, 1 if FULL else calls // 3):
        store = FaultyStore(MemoryStore(), Fault(call, kind))
        said = outcome(store)
        with Tickstore(store.inner) as after:
            found = len(after.revisions("A"))
            assert found == {"nothing": 0, "all": DAYS}.get(said, found)
            assert found in (0, DAYS)
        seen.add(said)
    assert "nothing" in seen


def outcome(store):
    """Commit all days, and give what was said about it."""
    try:
        with Tickstore(store) as table, table.transaction() as transaction:
            fill(transaction)
    except CommitUnknown:
        return "unknown"
    except EnvironmentFailed:
        return "nothing"
    return "all"
