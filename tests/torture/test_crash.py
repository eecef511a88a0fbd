"""Law 6: what was acknowledged survives kill -9, whatever was killed, and nobody has to mend it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from behemoth import LocalTickstore
from behemoth.torture import Settings, torture
from tests.tickstore.test_verbs import AT, bars, prices
from tests.torture.halted import HALTED, VERBS

pytestmark = pytest.mark.sweep

CREWS = {
    "a writer alone": {"writers": 1, "readers": 0, "repairers": 0, "stops": 0},
    "a writer and a repair": {"writers": 1, "readers": 0, "repairers": 1, "stops": 0},
    "many of each": {"writers": 4, "readers": 2, "repairers": 1, "stops": 5},
}


@pytest.mark.slow
@pytest.mark.parametrize("crew", CREWS)
def test_kill_9_at_random_moments_loses_nothing(tmp_path, full, tell, crew):
    """Insert, transaction, checkpoint, delete, undelete, repair; the next open works by itself."""
    kills = 110 if full else 14
    settings = Settings(seconds=1200, kills=kills, pace=6, seed=1, **CREWS[crew])
    ledger = torture(tmp_path, settings)
    tell(ledger)
    assert ledger.troubles == []
    assert ledger.sound
    assert ledger.acknowledged == ledger.present > kills
    assert ledger.kills == kills
    if full:
        assert ledger.kills_in.keys() >= {"insert", "transaction"}


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_kill_9_at_each_step_leaves_before_or_after(tmp_path, full, tell, verb):
    """The next open reads, verifies and writes by itself, and finds all of it or nothing."""
    step, outcomes = 1, []
    while halted_and_killed(tmp_path, verb, step):
        with LocalTickstore(tmp_path / str(step)) as store:
            log, index = store.log(), store.index.reset_index()
            (done, before) = ((log["message"] == text).sum() for text in ("halted", ""))
            assert len(index) == before + done * VERBS[verb], step
            assert all(prices(store.select(name)) for name in index["symbol"]), step
            store.flush()
            store.insert("A", AT, bars(5.0))
            assert prices(store.select("A")) == [5.0], step
            found = store.verify(repair=True)
            assert set(found["problem"]) <= {"orphan", "leftover"}, (step, found)
            assert store.verify().empty, step
        with LocalTickstore(tmp_path / str(step)) as store:
            assert len(store.index) == len(index) + 1, step
        outcomes.append(int(done))
        step += 1 if full else 4
    tell(f"  {verb}, killed at each of {step - 1} steps: committed or not {outcomes}")
    assert outcomes == sorted(outcomes)  # there is one moment after which it has happened
    assert step > 8


def halted_and_killed(folder, verb, step):
    """Kill a writer at this step; ``False`` when it was done before."""
    command = [sys.executable, "-c", HALTED, str(folder), verb, str(VERBS[verb]), str(step)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as writer:
        _, status = os.waitpid(writer.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            writer.returncode = os.waitstatus_to_exitcode(status)
            assert writer.returncode == 0
            return False
        writer.kill()
    return True
