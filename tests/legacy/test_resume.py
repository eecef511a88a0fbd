"""An import that was killed goes on where it was, and doubles nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from behemoth import LocalTickstore
from behemoth.legacy import import_database
from tests.legacy.old_database import D1, END, OldDatabase, bars
from tests.legacy.test_importing import assert_answers_alike

IMPORT = """
import sys
from pathlib import Path
from behemoth.legacy import import_database
def told(now):
    print(now.step, now.done, flush=True)
    sys.stdin.readline()
database, table = map(Path, sys.argv[1:])
import_database(database, table, on_progress=told)
"""

VERSIONS = 12


@pytest.fixture
def old(tmp_path):
    """One day of two symbols that was corrected every hour."""
    old = OldDatabase(tmp_path / "old")
    hours = [datetime(2019, 11, 1) + timedelta(hours=n) for n in range(VERSIONS)]
    for symbol in ("A", "B"):
        for number, (start, end) in enumerate(zip(hours, [*hours[1:], END], strict=True)):
            old.put(symbol, D1, number, start, end, bars(D1, float(number)))
    old.write()
    return old


def killed_after(old, table, word):
    """Import in a process of its own, which is killed somewhere in what it does after this."""
    command = [sys.executable, "-c", IMPORT, str(old.folder), str(table)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as importer:
        for line in importer.stdout:
            importer.stdin.write("go on\n")
            importer.stdin.flush()
            if line.strip() == word:
                importer.kill()
                break
    assert importer.returncode == -9


def count(table):
    """How many revisions there are."""
    with LocalTickstore(table) as store:
        return sum(len(store.revisions(symbol)) for symbol in ("A", "B"))


@pytest.mark.slow
def test_a_killed_import_goes_on(old, tmp_path):
    """Killed while it checks, and twice while it commits, two changes at a time."""
    table = tmp_path / "db" / "TABLE"
    killed_after(old, table, "checking 5")
    assert not table.exists()
    killed_after(old, table, "importing 6")
    first = count(table)
    assert first in (6, 8)
    killed_after(old, table, "importing 10")
    second = count(table)
    assert second in (first + 10, first + 12)
    summary = import_database(old.folder, table)
    assert (summary.already_there, summary.inserts) == (second, 2 * VERSIONS - second)
    assert (count(table), summary.verified) == (2 * VERSIONS, 2 * VERSIONS)
    assert_answers_alike(old, table)


@pytest.mark.slow
def test_an_import_that_was_killed_at_its_end_is_done(old, tmp_path):
    table = tmp_path / "db" / "TABLE"
    killed_after(old, table, "verifying 3")
    assert import_database(old.folder, table).already_there == 2 * VERSIONS
