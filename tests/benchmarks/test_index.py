"""A table of many revisions is a table as any other, and its checkpoints share pages."""

from __future__ import annotations

import shutil
import warnings
from datetime import timedelta

import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, errors
from behemoth.stores import LocalStore
from behemoth.tickstore import checkpoints
from behemoth.tickstore.checkpoints import MANY
from behemoth.tickstore.pages import path
from behemoth.tickstore.verifying import verify_index
from benchmarks import index


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """More revisions than a page holds."""
    folder = tmp_path_factory.mktemp("made") / "TABLE"
    index.make(folder, 20_000)
    return folder


@pytest.fixture
def table(made, tmp_path):
    """A copy of it, to write on."""
    return shutil.copytree(made, tmp_path / "TABLE")


def pages(table):
    """The files of the pages."""
    return {path.name for path in table.glob("index/pages/*.h5")}


def newest_files(table):
    """What the newest root lists."""
    store = LocalStore(table)
    return list(checkpoints.read_root(store, checkpoints.roots(store)[0]).files())


def versions(table, symbol):
    """Every revision of a symbol, in a new process's eyes."""
    return LocalTickstore(table, mode="r").versions(symbol)


def test_pages_are_shared_pruned_and_answer_when_damaged(table):
    """A lower page outlives its checkpoint; without it the log answers, with a warning."""
    assert not verify_index(LocalStore(table)).findings
    (low,) = sorted(name for name in pages(table) if ".top." not in name)
    first = pages(table)
    ticks = index.splay_ticks(index.SELECTED)
    with LocalTickstore(table) as store:
        for number in range(3):
            at = BiTimestamp(index.SELECTED - timedelta(days=number + 1))
            store.insert(index.name(1), at, ticks)
            store.flush()
    assert first & pages(table) == {low}
    assert len(list(table.glob("index/*.json"))) == 2
    assert len(pages(table)) == 3
    assert not verify_index(LocalStore(table)).findings

    names = [index.name(number) for number in range(100)]
    below = [name for name in names if path(name)[0] == low.split(".")[1]]
    beside = [name for name in names if name not in below]
    assert below
    expected = {name: versions(table, name) for name in (below[0], beside[0])}
    file = table / "index/pages" / low
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-100])
    pd.testing.assert_frame_equal(versions(table, beside[0]), expected[beside[0]])
    with pytest.warns(errors.CheckpointIgnored):
        pd.testing.assert_frame_equal(versions(table, below[0]), expected[below[0]])
    with LocalTickstore(table) as store:
        store.insert(below[0], BiTimestamp(index.SELECTED), ticks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.CheckpointIgnored)
            store.versions(below[1])
            store.flush()
    assert low not in {each["key"].split("/")[-1] for each in newest_files(table)}
    assert len(versions(table, below[1])) > 100
    with LocalTickstore(table) as store:
        assert store.reindex() == ()
    assert not verify_index(LocalStore(table)).findings


def test_a_wide_tail_is_checkpointed_before_it_is_many_commits_long(table):
    """What a reader folds is bounded in revisions too."""
    before = pages(table)
    with LocalTickstore(table) as store:
        seen = [index.observation(number) for number in range(MANY + 1)]
        store.observe(seen)
    assert pages(table) != before
    assert LocalTickstore(table).observations(index.name(0)) == tuple(seen)


@pytest.mark.slow
def test_figures_are_taken_in_processes_of_their_own(table):
    """Each what, once."""
    found = index.measure([table], rounds=1)
    assert set(found) == set(index.WHATS)
    assert found["select"]["TABLE"]["ms"] > 0
