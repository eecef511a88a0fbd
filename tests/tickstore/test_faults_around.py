"""Faults while a table is read, checkpointed, verified, mended, copied or destroyed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import pytest

from behemoth import LocalTickstore, errors
from behemoth.stores import MemoryStore, ObjectStore
from behemoth.tickstore import Tickstore, copying, rebuilding
from tests.clock import Clock
from tests.profile import FULL
from tests.tickstore.faulty import KINDS, LOST, TORN, FaultyStore, in_memory
from tests.tickstore.histories import SYMBOLS, Answers, Step, answers, frame_facts, say, ticks_at
from tests.tickstore.test_faults import HISTORY, NOW, VERBS, faults, history, opened

pytestmark = pytest.mark.sweep

A, B, C, NEW = SYMBOLS
KINDS_TRIED = KINDS if FULL else ("before", TORN, LOST)
OF_READS = KINDS if FULL else ("before", LOST)


def is_tried(faulty: FaultyStore) -> bool:
    """Whether the fault is of the same kind as another that is tried."""
    return faulty.tore_nothing and not FULL


READS: dict[str, Callable[[Tickstore], Any]] = {
    "select": lambda table: [frame_facts(table.select(symbol)) for symbol in SYMBOLS],
    "select as of": lambda table: frame_facts(table.select(A, as_of_time="2020-01-01 00:00")),
    "index": lambda table: table.index.to_dict("list"),
    "symbols": lambda table: table.symbols(),
    "revisions": lambda table: table.revisions(B),
    "observations": lambda table: [table.observations(symbol) for symbol in SYMBOLS],
    "gaps": lambda table: table.gaps(A, granularity=60).to_dict("list"),
    "log": lambda table: table.log().to_dict("list"),
    "token": lambda table: table.token,
}


def has_state(disk: ObjectStore, *states: Answers) -> None:
    """Fail unless a fresh open shows one of these states."""
    assert answers(opened(disk)) in states


@pytest.mark.parametrize("kind", OF_READS)
@pytest.mark.parametrize("read", READS)
def test_a_fresh_open_reads_right_or_says_that_it_cannot(read, kind):
    """Whichever call fails; the next try of the same handle is right."""
    disk, _ = history()
    expected = READS[read](opened(disk))
    for fault in faults(kind):
        faulty, table = FaultyStore(disk, fault), None
        with suppress(errors.EnvironmentFailed):
            table = opened(faulty)
            assert READS[read](table) == expected, fault
        if not faulty.has_failed:
            break
        if is_tried(faulty):
            continue
        faulty.arm()
        assert READS[read](table or opened(faulty)) == expected, fault


@pytest.mark.parametrize("kind", OF_READS)
def test_a_refresh_that_fails_is_made_up_for(kind):
    """A handle that follows another writer never shows a part of what that one committed."""
    disk, _ = history()
    grown = in_memory(disk)
    for steps in (VERBS["insert"], VERBS["transaction"][2:], VERBS["observe"]):
        say(opened(grown), Clock(NOW), steps)
    expected = answers(opened(grown))
    for fault in faults(kind):
        here = in_memory(disk)
        faulty = FaultyStore(here)
        table = opened(faulty)
        answers(table)
        for key in grown.keys(""):
            with suppress(FileExistsError):
                here.put(key, grown.get(key))
        faulty.arm(fault)
        with suppress(errors.EnvironmentFailed):
            assert answers(table) == expected
        if not faulty.has_failed:
            break
        if is_tried(faulty):
            continue
        faulty.arm()
        assert answers(table) == expected, fault


@cache
def small() -> MemoryStore:
    """A table with a symbol that only its checkpoint tells of, and one that goes on."""
    disk, clock = MemoryStore(), Clock()
    table = opened(disk)
    say(table, clock, [Step("insert", A, ticks_at(1, 2)), Step("insert", B, ticks_at(3))])
    say(table, clock, [Step("observe", A)])
    table.flush()
    say(table, clock, [Step("insert", A, ticks_at(4))])
    return disk


@pytest.mark.parametrize("kind", KINDS_TRIED)
def test_a_checkpoint_that_fails_changes_no_answer(kind):
    """Whatever it left behind; the next flush writes a whole one."""
    source = small()
    expected = answers(opened(source))
    for fault in faults(kind):
        disk = in_memory(source)
        faulty = FaultyStore(disk)
        table = opened(faulty)
        faulty.arm(fault)
        with suppress(errors.EnvironmentFailed):
            table.flush()
        if not faulty.has_failed:
            break
        if is_tried(faulty):
            continue
        faulty.arm()
        has_state(disk, expected)
        table.flush()
        assert answers(table) == expected
        has_state(disk, expected)
        assert [key for key in disk.keys("index/") if key.startswith("index/3-")]
        assert opened(disk).verify()["problem"].isin(["leftover"]).all()


ORPHANS = ["2019/10/31/BTC-USD_0002.h5", "2019/11/02/BTC-USD_0000.h5"]
LEFTOVER = "tmp/0123456789abcdef0123456789abcdef"


def shabby() -> MemoryStore:
    """A table with orphans, a leftover and a damaged checkpoint."""
    disk = in_memory(small())
    splay = disk.get("2019/10/31/BTC-USD_0000.h5")
    for key in (*ORPHANS, LEFTOVER):
        disk.put(key, splay)
    damaged = next(key for key in disk.keys("index/") if "top.rev" in key)
    data = bytearray(disk.get(damaged))
    data[len(data) // 2] ^= 1
    disk.remove(damaged)
    disk.put(damaged, bytes(data))
    return disk


def without_commits(found: Answers) -> Answers:
    """Leave out how many commits there are: repair makes one."""
    return {name: answer for name, answer in found.items() if name != "commits"}


@pytest.mark.parametrize("kind", KINDS_TRIED)
def test_a_repair_that_fails_takes_nothing_away(kind):
    """No answer changes, what was moved lies in quarantine, and the next repair ends it."""
    source = shabby()
    expected = without_commits(answers(opened(small())))
    orphan = source.get(ORPHANS[0])
    for fault in faults(kind):
        disk = in_memory(source)
        faulty = FaultyStore(disk)
        table = opened(faulty)
        faulty.arm(fault)
        with suppress(errors.EnvironmentFailed, errors.CommitUnknown):
            table.verify(repair=True)
        reached = faulty.has_failed
        if is_tried(faulty):
            continue
        faulty.arm()
        if reached:
            assert without_commits(quietly(disk)) == expected, fault
        table.verify(repair=True)
        assert opened(disk).verify().empty, fault
        assert without_commits(answers(opened(disk))) == expected, fault
        assert without_commits(answers(table)) == expected, fault
        assert table.log()["retired"].tolist() == [0, 0, 0, 2], fault
        kept = {key.split("/", 2)[2]: disk.get(key) for key in disk.keys("quarantine/")}
        assert [kept[key] for key in ORPHANS] == [orphan, orphan]
        if not reached:
            break


def quietly(disk: ObjectStore) -> Answers:
    """Read a table whose checkpoint may be damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.CheckpointIgnored)
        return answers(opened(disk))


@pytest.mark.parametrize("kind", OF_READS)
def test_a_verify_that_fails_changes_nothing(kind):
    """It says that it could not read, in an error or in a finding; and it never writes."""
    source = shabby()
    expected = opened(source).verify()
    before = {key: source.get(key) for key in source.keys("")}
    for fault in faults(kind):
        faulty = FaultyStore(source)
        table = opened(faulty)
        faulty.arm(fault)
        with suppress(errors.EnvironmentFailed):
            found = table.verify()
            told = found["detail"].str.contains(f"at call {fault.at}", regex=False)
            assert told.any() or found.equals(expected), fault
        if not faulty.has_failed:
            break
        if is_tried(faulty):
            continue
        faulty.arm()
        assert table.verify().equals(expected)
        assert {key: source.get(key) for key in source.keys("")} == before


@pytest.mark.parametrize("kind", KINDS_TRIED)
def test_a_reindex_that_fails_changes_no_answer(kind):
    """The index is derived: the log answers meanwhile."""
    source = shabby()
    expected = answers(opened(small()))
    for fault in faults(kind):
        disk = in_memory(source)
        faulty = FaultyStore(disk)
        table = opened(faulty)
        faulty.arm(fault)
        with suppress(errors.EnvironmentFailed, errors.Corrupt):
            table.reindex()
        if not faulty.has_failed:
            break
        if is_tried(faulty):
            continue
        faulty.arm()
        assert quietly(disk) == expected, fault
        table.reindex()
        has_state(disk, expected)
        assert answers(table) == expected, fault


def cut(disk: ObjectStore, commits: int) -> MemoryStore:
    """A table as it was after so many commits."""
    table = MemoryStore()
    for key in disk.keys(""):
        if not key.startswith("index/") and not (
            key.startswith("log/") and int(key[4:14]) > commits
        ):
            table.put(key, disk.get(key))
    return table


@pytest.mark.parametrize("kind", KINDS_TRIED)
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_copy_that_fails_is_an_earlier_state(side, kind):
    """Copying again to the same place ends it."""
    source = cut(history()[0], len(HISTORY) if FULL else 2)
    tip = opened(source)._refresh()
    states = [answers(opened(cut(source, number))) for number in range(tip.number + 1)]
    for fault in faults(kind):
        target = MemoryStore()
        faulty = FaultyStore(source if side == "source" else target, fault)
        ends = (faulty, target) if side == "source" else (source, faulty)
        with suppress(errors.EnvironmentFailed):
            copying.copy(*ends, tip)
        if is_tried(faulty):
            continue
        has_state(target, *states)
        copying.copy(source, target, tip)
        has_state(target, states[-1])
        if not faulty.has_failed:
            break


@pytest.mark.parametrize("kind", KINDS_TRIED)
def test_a_new_table_that_fails_while_it_is_made_takes_nothing_from_the_old(kind):
    """What is there of it is an earlier state; it is made again in another place."""
    source = in_memory(history()[0])
    source.remove("log/0000000004.json")
    before = {key: source.get(key) for key in source.keys("")}
    whole = MemoryStore()
    rebuilding.rebuild(source, whole, Clock(NOW))
    states = [answers(opened(cut(whole, number))) for number in range(len(whole.keys("log/")) + 1)]
    for fault in faults(kind):
        target = MemoryStore()
        faulty = FaultyStore(target, fault)
        with suppress(errors.EnvironmentFailed):
            rebuilding.rebuild(source, faulty, Clock(NOW))
        if not faulty.has_failed:
            break
        if is_tried(faulty):
            continue
        has_state(target, *states)
        assert {key: source.get(key) for key in source.keys("")} == before


@pytest.mark.parametrize("kind", KINDS_TRIED)
def test_a_destroy_that_fails_can_be_called_again(kind):
    """Until then nothing reads wrong: it is whole, or an error, or gone."""
    source, _ = history()
    whole = answers(opened(source))
    gone = answers(opened(MemoryStore()))
    for fault in faults(kind):
        disk = in_memory(source)
        faulty = FaultyStore(disk)
        table = opened(faulty)
        faulty.arm(fault)
        with suppress(errors.EnvironmentFailed):
            table.destroy()
        if not faulty.has_failed:
            break
        if is_tried(faulty):
            continue
        with suppress(errors.Corrupt):
            has_state(disk, whole, gone)
        if disk.keys(""):
            opened(disk).destroy()
        assert disk.keys("") == []


LIMITED = """
import resource, sys
from behemoth import LocalTickstore, errors
from tests.tickstore.test_verbs import AT, bars, prices

path, hard = sys.argv[1], resource.getrlimit(resource.RLIMIT_FSIZE)[1]
table = LocalTickstore(path)
acknowledged = 0
for limit in [0, 1, 300, 511, 512, None, 0, 100, 30_000, 2, None]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if limit is None else limit, hard))
    try:
        table.insert("A", AT, bars(float(acknowledged)))
        assert limit in (None, 30_000), limit
        acknowledged += 1
    except errors.EnvironmentFailed as error:
        assert "File too large" in str(error), error
    for each in (table, LocalTickstore(path)):
        assert len(each.revisions("A")) == acknowledged
        assert prices(each.select("A")) == [float(acknowledged - 1)][:acknowledged]
assert acknowledged == 3
assert table.verify().empty
"""


def run(code: str, *words: object) -> None:
    """Run a program of ours to a good end."""
    subprocess.run([sys.executable, "-W", "error", "-c", code, *map(str, words)], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="limits are set otherwise there")
def test_files_that_may_not_grow_are_no_half_commit(tmp_path):
    """The system cuts a write in the middle and refuses the rest."""
    run(LIMITED, tmp_path / "TABLE")


FULL_DISK = """
import subprocess, sys
from pathlib import Path
from behemoth import LocalTickstore, errors
from tests.tickstore.test_verbs import AT, bars, prices

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
path, acknowledged = disk / "TABLE", 0
(disk / "ballast").write_bytes(bytes(100_000))
table = LocalTickstore(path)


def insert():
    global acknowledged
    table.insert("A", AT, bars(float(acknowledged)))
    acknowledged += 1


def fails(message):
    try:
        while True:
            insert()
    except errors.EnvironmentFailed as error:
        assert message in str(error), error
    for each in (table, LocalTickstore(path)):
        assert len(each.revisions("A")) == acknowledged
        assert prices(each.select("A")) == [acknowledged - 1]


fails("no space is left")
(disk / "ballast").unlink()
fails("no space is left")
assert acknowledged > 30
subprocess.run(["mount", "-o", "remount,ro,size=1m", disk], check=True)
fails("read-only")
subprocess.run(["mount", "-o", "remount,rw,size=9m", disk], check=True)
insert()
assert prices(LocalTickstore(path).select("A")) == [acknowledged - 1]
assert LocalTickstore(path).verify()["problem"].isin(["leftover", "orphan"]).all()
"""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def test_a_disk_that_is_full_and_one_that_is_read_only(tmp_path):
    """A real one, of one mebibyte; what was acknowledged stays, and space makes it go on."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        pytest.skip("no way to mount a small disk here")
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if subprocess.run([*NAMESPACE, *mount], check=False, capture_output=True).returncode:
        pytest.skip("not allowed to mount a small disk here")
    words = [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path)]
    subprocess.run([*NAMESPACE, *words], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    """Reads are right, writes are one clear line, and granting it makes them go on."""
    table = LocalTickstore(tmp_path / "TABLE")
    say(table, Clock(), VERBS["insert"])
    expected = answers(table)
    folders = [path for path in [table.path, *table.path.rglob("*")] if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    for steps in (VERBS["insert"], VERBS["observe"]):
        with pytest.raises(errors.EnvironmentFailed, match="permission denied"):
            say(table, Clock(), steps)
    assert answers(LocalTickstore(table.path)) == answers(table) == expected
    for folder in folders:
        folder.chmod(0o755)
    say(table, Clock(), VERBS["observe"])
    assert answers(table) != expected
