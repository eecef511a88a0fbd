"""A table is its files: however they were carried, every answer is the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from behemoth import LocalTickstore
from tests.clock import Clock
from tests.model import Model
from tests.profile import FULL
from tests.tickstore.histories import answers, is_the_models, note, random_steps, say

SEEDS = range(40 if FULL else 2)
COMMITS = 10
LATER = Clock().tick(3600)


class Told:
    """A table with a random history, its model, and what it said after each commit."""

    def __init__(self, path: Path, seed: int) -> None:
        chance, clock = Random(seed), Clock()  # noqa: S311 - a reproducible history, not a secret
        self.table = LocalTickstore(path, clock=clock)
        self.model, self.states = Model(), {}
        while len(self.states) < COMMITS:
            steps = random_steps(chance, self.model, clock)
            note(self.model, say(self.table, clock, steps), steps)
            clock.tick(chance.choice([0, 1, 60]))
            if chance.random() < 0.2:
                self.table.flush()
            self.states[self.table.token] = answers(self.table)


def opened(path: Path) -> LocalTickstore:
    """Open a table some time later."""
    return LocalTickstore(path, clock=Clock(LATER))


@pytest.fixture(params=SEEDS)
def told(request, tmp_path):
    """A table with a random history."""
    return Told(tmp_path / "TABLE", request.param)


def stamps(folder: Path) -> dict[Path, tuple[int, ...]]:
    """Everything that a write would change."""
    return {
        path: (stat.st_ino, stat.st_mode, stat.st_size, stat.st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
        for stat in [path.stat()]
    }


def says_the_same(path: Path, told: Told) -> None:
    """Fail unless a table at rest answers as the one that was written, and reading writes nothing.

    All of it: index, log, token, observations, and ticks at and around every boundary.
    """
    before = stamps(path)
    table = opened(path)
    token, state = list(told.states.items())[-1]
    assert table.token == token
    assert answers(table) == state
    is_the_models(table, told.model)
    pd.testing.assert_frame_equal(table.index, told.index)
    pd.testing.assert_frame_equal(table.log(), told.log)
    assert table.verify().empty
    assert stamps(path) == before


@pytest.fixture(autouse=True)
def remembered(told):
    """Keep the frames of the written table, which may be moved away."""
    told.index, told.log = told.table.index, told.table.log()


def shake(folder: Path, chance: Random) -> None:
    """Set all times of all files and folders to anything."""
    for path in [folder, *folder.rglob("*")]:
        when = chance.randrange(2**31)
        os.utime(path, (when, when))


def test_cp(told, tmp_path):
    """With the times of the copy."""
    subprocess.run(["/bin/cp", "-r", told.table.path, tmp_path / "COPY"], check=True)
    says_the_same(tmp_path / "COPY", told)
    says_the_same(told.table.path, told)


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
def test_rsync(told, tmp_path):
    """Without times and modes, and again over an older copy."""
    for _ in range(2):
        words = ["rsync", "-r", f"{told.table.path}/", str(tmp_path / "COPY")]
        subprocess.run(words, check=True)
    says_the_same(tmp_path / "COPY", told)


def test_a_copy_with_other_times_and_modes(told, tmp_path):
    """File by file in any order, as synchronizers do."""
    chance, copy = Random(1), tmp_path / "COPY"  # noqa: S311
    files = [path for path in told.table.path.rglob("*") if path.is_file()]
    for path in chance.sample(files, len(files)):
        target = copy / path.relative_to(told.table.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shake(copy, chance)
    says_the_same(copy, told)


def test_mv(told, tmp_path):
    """The place does not matter."""
    (tmp_path / "else" / "where").mkdir(parents=True)
    subprocess.run(["/bin/mv", told.table.path, tmp_path / "else" / "where" / "NAME"], check=True)
    says_the_same(tmp_path / "else" / "where" / "NAME", told)


def test_tar(told, tmp_path):
    """Out of an archive."""
    with tarfile.open(tmp_path / "table.tar.gz", "w:gz") as archive:
        archive.add(told.table.path, "COPY")
    with tarfile.open(tmp_path / "table.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    says_the_same(tmp_path / "COPY", told)


def test_a_copy_without_an_index(told, tmp_path):
    """The log alone says it all."""
    shutil.copytree(told.table.path, tmp_path / "COPY", ignore=shutil.ignore_patterns("index"))
    says_the_same(tmp_path / "COPY", told)
    table = opened(tmp_path / "COPY")
    table.reindex()
    says_the_same(table.path, told)


def test_other_times_at_the_same_place(told):
    """No answer comes from a file's time, and an open handle does not look at it."""
    shake(told.table.path, Random(2))  # noqa: S311
    says_the_same(told.table.path, told)
    assert answers(told.table) == list(told.states.values())[-1]


def test_a_copy_at_any_token(told, tmp_path):
    """What it said then, for ever."""
    for number, (token, state) in enumerate(told.states.items()):
        copy = tmp_path / f"COPY{number}"
        assert told.table.copy(copy, at=token) == token
        assert opened(copy).token == token
        assert answers(opened(copy)) == state
    assert answers(told.table) == state
