"""Code that is hidden in old files never runs in the importer, and does not get into the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from behemoth.errors import Corrupt
from behemoth.legacy import import_database
from tests.legacy.hostile import DIE, HANG, LEAVE, MARK, SHOUT, poison
from tests.legacy.old_database import small

IMPORT = """
import json, os, pickle, sys
from datetime import date
from pathlib import Path
from behemoth.legacy import import_database
unpickled = []
sys.addaudithook(lambda event, args: event.startswith("pickle.") and unpickled.append(args))
database, table = map(Path, sys.argv[1:])
summary = import_database(database, table)
seen = len(unpickled)
pickle.loads(pickle.dumps(date(2019, 10, 31)))  # that it would have been seen
print(json.dumps([os.getpid(), summary.verified, summary.deletes, seen, len(unpickled)]))
"""

USE = """
import json, sys
from datetime import date
from pathlib import Path
from behemoth import BiTimestamp, LocalTickstore
unpickled = []
sys.addaudithook(lambda event, args: event.startswith("pickle.") and unpickled.append(args))
with LocalTickstore(Path(sys.argv[1])) as store:
    ticks = store.select(store.symbols())
    for symbol in store.symbols():
        store.versions(symbol), store.revisions(symbol), store.observations(symbol)
        store.insert(symbol, BiTimestamp(date(2019, 10, 29)), store.select(symbol))
        store.delete(symbol, BiTimestamp(date(2019, 10, 29)))
        store.undelete(symbol, BiTimestamp(date(2019, 10, 29)))
        store.delete(symbol, BiTimestamp(date(2019, 10, 29)))
    store.index, store.token, store.log(), store.flush()
    store.copy(sys.argv[1] + "-COPY")
    assert store.verify().empty and store.verify(repair=True).empty
    store.reindex()
with LocalTickstore(sys.argv[1] + "-COPY") as store:
    again = len(store.select(store.symbols()))
    store.destroy()
print(json.dumps([len(ticks), again, unpickled]))
"""


@pytest.fixture
def old(tmp_path):
    """A small database with its index."""
    old = small(tmp_path / "old")
    old.write()
    return old


def said(code, *arguments):
    """Run Python code in a process of its own, and give what it prints as JSON."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return json.loads(subprocess.check_output(command, timeout=120))


def test_hidden_code_runs_in_no_process_of_ours(old, tmp_path):
    """It runs, as it must to be read, in the one that opens files; and never again after that."""
    marker, table = tmp_path / "marker", tmp_path / "db" / "TABLE"
    for row in old.rows:
        poison(row["path"], MARK.format(path=str(marker)))
    poison(old.folder / "index.h5", MARK.format(path=str(marker)), axis="axis0")
    importer, verified, deletes, unpickled, control = said(IMPORT, old.folder, table)
    assert (verified, deletes, unpickled, control) == (7, 2, 0, 1)
    ran_in = {int(number) for number in marker.read_text().split()}
    assert len(ran_in) == 1
    assert not {importer, os.getpid()} & ran_in
    marker.unlink()
    rows, again, unpickled = said(USE, table)
    assert rows == again > 0
    assert unpickled == []
    assert not marker.exists()


@pytest.mark.parametrize(
    ("expression", "what"),
    [(DIE, "by signal SIGKILL"), (LEAVE, "with code 1: had enough")],
    ids=["dies", "leaves"],
)
def test_a_file_that_ends_its_reader_is_named(old, tmp_path, expression, what):
    path = old.rows[3]["path"]
    poison(path, expression)
    with pytest.raises(Corrupt) as ended:
        import_database(old.folder, tmp_path / "db" / "TABLE")
    assert str(ended.value).startswith(f"{path}: ")
    assert what in str(ended.value)
    assert not (tmp_path / "db").exists()


def test_an_index_that_ends_its_reader_is_named(old, tmp_path):
    poison(old.folder / "index.h5", DIE, axis="axis0")
    with pytest.raises(Corrupt, match=r"index\.h5: opening it ended the process"):
        import_database(old.folder, tmp_path / "db" / "TABLE")


def test_a_file_that_hangs_is_given_up_and_named(old, tmp_path):
    path = old.rows[0]["path"]
    poison(path, HANG)
    with pytest.raises(Corrupt, match="took longer than 1 seconds") as ended:
        import_database(old.folder, tmp_path / "db" / "TABLE", patience=1)
    assert path in str(ended.value)


def test_a_file_that_prints_does_not_disturb(old, tmp_path):
    for row in old.rows:
        poison(row["path"], SHOUT)
    assert import_database(old.folder, tmp_path / "db" / "TABLE").verified == 7
