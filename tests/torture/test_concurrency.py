"""Many processes on one table: nothing is lost, doubled or seen by halves, and nobody starves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest

from behemoth import BiTimestamp, LocalTickstore
from behemoth.stores import LocalStore
from behemoth.tickstore import Tickstore
from behemoth.torture import Settings, torture
from tests.tickstore.test_verbs import AT, DAY, bars, prices
from tests.torture.halted import HALTED, SYMBOLS, VERBS

pytestmark = pytest.mark.sweep

CROWDS = {
    "one symbol": {"verbs": {"insert": 1}, "symbols": 1},
    "many symbols": {"verbs": {"insert": 1}, "symbols": 24},
    "transactions over the same symbols": {"verbs": {"transaction": 1}},
}


@pytest.mark.slow
@pytest.mark.parametrize("crowd", CROWDS)
def test_eight_processes_commit_and_nothing_is_lost(tmp_path, full, tell, crowd):
    """Readers see no half and no error; repair all the while takes nothing from the living."""
    commits = 100 if full else 5
    settings = Settings(seconds=1200, writers=8, commits=commits, kills=0, stops=0, **CROWDS[crowd])
    ledger = torture(tmp_path, settings)
    tell(ledger)
    assert ledger.troubles == []
    assert ledger.sound
    assert ledger.acknowledged == ledger.present == 8 * commits + 1  # one makes the table
    assert ledger.unacknowledged == 0
    assert ledger.repairs > 1
    assert ledger.reader_checks > 0


COMMITTER = """
import sys
from behemoth import LocalTickstore
from tests.tickstore.test_verbs import AT, bars
with LocalTickstore(sys.argv[1]) as store:
    while True:
        store.insert(sys.argv[2], AT, bars(1.0))
        print(flush=True)
"""


class Counting(LocalStore):
    """Counts how often a commit was tried."""

    tries = 0

    def publish(self, staged, key):
        self.tries += key.startswith("log/")
        super().publish(staged, key)


@pytest.mark.slow
def test_a_big_transaction_does_not_starve(tmp_path, full, tell):
    """Four processes commit without a pause, two of them to its own dates; it comes through."""
    splays = 1565 if full else 60
    days = [BiTimestamp(DAY + timedelta(days=n)) for n in range(splays)]
    store = Counting(tmp_path / "TABLE")
    with ExitStack() as stack:
        for symbol in ("BIG", "BIG", "S", "T"):
            command = [sys.executable, "-c", COMMITTER, str(tmp_path / "TABLE"), symbol]
            small = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(small.kill)
            small.stdout.readline()
            threading.Thread(target=small.stdout.read, daemon=True).start()
        with Tickstore(store) as tickstore, tickstore.transaction() as big:
            for day in days:
                big.insert("BIG", day, bars(1.0, start=str(day.as_at_date)))
            begun, before = time.monotonic(), int(tickstore.token.split("-")[0])
        seconds = time.monotonic() - begun
    (number,) = {revision.commit for revision in big.revisions}
    tell(
        f"  {splays:,} splays committed in {seconds:.1f} s, at try {store.tries}, while four "
        f"processes made {number - before - 1:,} commits"
    )
    index = LocalTickstore(tmp_path / "TABLE").index
    assert (index["commit"] == number).sum() == splays
    assert store.tries < 100


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_a_writer_that_is_halted_at_any_step_loses_and_doubles_nothing(tmp_path, tell, verb):
    """Meanwhile others commit the same symbol and date, write checkpoints, and repair."""
    command = [sys.executable, "-c", HALTED, str(tmp_path), verb, str(VERBS[verb]), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        step = 1
        while os.WIFSTOPPED(os.waitpid(writer.pid, os.WUNTRACED)[1]):
            table = tmp_path / str(step)
            with LocalTickstore(table) as other:
                for price in (1.0, 2.0):
                    other.insert("A", AT, bars(price))
                    other.flush()
                    found = other.verify(repair=True)
                    assert set(found["problem"]) <= {"orphan", "leftover"}, (step, found)
            os.kill(writer.pid, signal.SIGCONT)
            assert writer.stdout.readline() == "\n", step
            check(table, verb, step)
            step += 1
        writer.returncode = 0
    tell(f"  {verb}: {step - 1} steps")
    assert step > 8


def check(table, verb, step):
    """One commit by each, whole and readable, from the log and from the checkpoint alike."""
    with LocalTickstore(table) as store:
        log = store.log()
        assert log["message"].tolist().count("halted") == 1, step
        number = log.index[log["message"] == "halted"][0]
        written = store.index.reset_index().query(f"commit == {number}")
        assert written["symbol"].tolist() == sorted(SYMBOLS[: VERBS[verb]]), step
        for row in written.itertuples():
            assert prices(store.select(row.symbol, as_of_time=row.commit_time)) == [9.0], step
        assert sorted(map(price_of(store), store.revisions("A"))) == [1.0, 2.0, 9.0], step
        repaired = store.verify(repair=True)
        assert set(repaired["problem"]) <= {"orphan", "leftover"}, (step, repaired)
        assert store.verify().empty, step


def price_of(store):
    """Read the one price of a revision."""
    return lambda revision: prices(store.select(revision.symbol, as_of_time=revision.start_time))[0]
