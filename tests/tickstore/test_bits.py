"""Any damage to any file of a table: the right answer, or an error that names the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from behemoth import LocalTickstore, errors
from behemoth.layout import BEGINNING
from behemoth.stores import LocalStore
from behemoth.tickstore import Tickstore
from tests.clock import Clock
from tests.profile import FULL
from tests.tickstore.faulty import DamagedStore
from tests.tickstore.histories import DAYS, Step, frame_facts, say, ticks_at

pytestmark = pytest.mark.sweep

A = "BTC-USD"
CHANGES = {"bit": lambda old: old ^ 0x10}
if FULL:
    CHANGES |= {"zeros": lambda _: 0x00, "ones": lambda _: 0xFF, "low bit": lambda old: old ^ 0x01}


def filled(checkpoint: bool) -> DamagedStore:
    """A table of three commits, the third behind a checkpoint."""
    disk, clock = DamagedStore(), Clock()
    table = Tickstore(disk, clock=clock)
    say(table, clock, [Step("insert", A, ticks_at(1.5, 2.5)), Step("observe", A)])
    say(table, clock, [Step("insert", A, ticks_at(3.5, day=DAYS[1]), DAYS[1])])
    if checkpoint:
        table.flush()
    clock.tick()
    say(table, clock, [Step("insert", A, ticks_at(4.5, 5.5))])
    return disk


LOGGED, CHECKPOINTED = filled(checkpoint=False), filled(checkpoint=True)
SPLAYS = LOGGED.keys("2019/")
ENTRIES = [key for key in LOGGED.keys("log/") if key != BEGINNING]
PARTS = ["root", "observations", "revisions"]
"""Of a checkpoint, in the order of its keys, which hold a random digest."""


def key_of(name: str) -> str:
    """Give the key of a part of the checkpoint; any other name is a key."""
    parts = dict(zip(PARTS, CHECKPOINTED.keys("index/"), strict=True))
    return parts.get(name, name)


def told(disk: DamagedStore) -> object:
    """What a fresh open says, now and as of the second commit."""
    table = Tickstore(disk, clock=Clock())
    before = table.select(A, as_of_time="2020-01-01 00:00:00.5")
    return frame_facts(table.select(A)), frame_facts(before), table.observations(A)


TRUTH = told(LOGGED)


def changed(data: bytes, sparse: int = 1, dense: int = 600) -> Iterator[bytes]:
    """Change each byte in turn; of what lies behind the first ones every so-manieth."""
    places = [*range(min(dense, len(data))), *range(dense, len(data), 1 if FULL else sparse)]
    copy = bytearray(data)
    for place in places:
        for change in CHANGES.values():
            copy[place] = change(data[place])
            if copy[place] != data[place]:
                yield bytes(copy)
        copy[place] = data[place]


def cut(data: bytes, sparse: int = 1) -> Iterator[bytes]:
    """End at each length, or at every so-manieth; and go on too long."""
    for length in range(0, len(data), 1 if FULL else sparse):
        yield data[:length]
    yield data + b"\0"
    yield data + data


def is_refused(disk: DamagedStore, key: str, data: bytes) -> bool:
    """Whether damage is found; fail when the answer is wrong, or the error names no file."""
    disk.damaged = key, data
    refusal = None
    try:
        assert told(disk) == TRUTH
    except errors.Corrupt as error:
        refusal = str(error)
    finally:
        disk.damaged = "", b""
    assert refusal is None or disk.where(key) in refusal
    return refusal is not None


def test_the_table_answers_while_nothing_is_damaged():
    """With and without a checkpoint, the same."""
    assert told(CHECKPOINTED) == TRUTH
    assert (len(SPLAYS), len(ENTRIES)) == (3, 3)


@pytest.mark.parametrize("key", SPLAYS)
def test_a_splay_with_any_byte_changed(key):
    """Right where the byte means nothing to us, refused elsewhere."""
    found = [is_refused(LOGGED, key, data) for data in changed(LOGGED.get(key), sparse=17)]
    assert found.count(True) > 500
    assert all(found[:400])


@pytest.mark.parametrize("key", SPLAYS)
def test_a_splay_that_ends_anywhere(key):
    """Never taken for a day with fewer ticks."""
    assert all(is_refused(LOGGED, key, data) for data in cut(LOGGED.get(key), sparse=17))


@pytest.mark.parametrize("key", ENTRIES)
def test_a_log_entry_with_any_byte_changed(key):
    """Never taken for another commit, nor for none."""
    assert all(is_refused(LOGGED, key, data) for data in changed(LOGGED.get(key)))


@pytest.mark.parametrize("key", ENTRIES)
def test_a_log_entry_that_ends_anywhere(key):
    """An empty file is no end of the log."""
    assert all(is_refused(LOGGED, key, data) for data in cut(LOGGED.get(key), sparse=3))


def is_passed_over(key: str, data: bytes) -> bool:
    """Whether a checkpoint is passed over with a warning; fail when the answer is wrong."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not is_refused(CHECKPOINTED, key, data)
    assert {warning.category for warning in caught} <= {errors.CheckpointIgnored}
    return any(CHECKPOINTED.where(key) in str(warning.message) for warning in caught)


@pytest.mark.parametrize("part", PARTS)
def test_a_checkpoint_with_any_byte_changed(part):
    """The log answers, and a warning names the file."""
    key = key_of(part)
    sparse, dense = (1, 600) if part == "root" else (151, 50)
    damaged = changed(CHECKPOINTED.get(key), sparse, dense)
    assert all(is_passed_over(key, data) for data in damaged)


@pytest.mark.parametrize("part", PARTS)
def test_a_checkpoint_that_ends_anywhere(part):
    """The log answers, and a warning names the file."""
    key = key_of(part)
    damaged = cut(CHECKPOINTED.get(key), sparse=5 if part == "root" else 197)
    assert all(is_passed_over(key, data) for data in damaged)


@pytest.mark.parametrize("key", [*SPLAYS, *ENTRIES])
def test_verify_finds_what_select_refuses(key):
    """Every so-manieth byte."""
    for data in changed(LOGGED.get(key), sparse=1009, dense=20):
        refused = is_refused(LOGGED, key, data)
        LOGGED.damaged = key, data
        found = Tickstore(LOGGED, clock=Clock()).verify()
        LOGGED.damaged = "", b""
        assert key in found["path"].tolist() or not refused


@pytest.mark.parametrize("name", [*SPLAYS, *ENTRIES, *PARTS])
def test_files_on_disk_are_no_better(tmp_path, name):
    """The same with real files: the middle, the end and nothing of each."""
    disk = LocalStore(tmp_path / "TABLE")
    for each in CHECKPOINTED.keys(""):
        disk.put(each, CHECKPOINTED.get(each))
    key = key_of(name)
    path, data = tmp_path / "TABLE" / key, CHECKPOINTED.get(key)
    path.chmod(0o644)
    middle = len(data) // 2
    for damaged in (data[:middle] + b"?" + data[middle + 1 :], data[:-1], b"", data[:200]):
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.CheckpointIgnored)
            refusal = str(path)
            try:
                table = LocalTickstore(tmp_path / "TABLE", clock=Clock())
                assert frame_facts(table.select(A)) == TRUTH[0]
            except errors.Corrupt as error:
                refusal = str(error)
            assert str(path) in refusal
