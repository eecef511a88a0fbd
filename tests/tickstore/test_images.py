"""Mapped images answer as the splays do, whatever happens to them and to the table."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tracemalloc
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore
from behemoth.log import seal, unseal
from behemoth.tickstore import images
from tests.codec.strategies import assert_same as same_bits
from tests.profile import FULL

DAYS = 80
ROWS = 1440
FIRST = date(2019, 1, 1)


def day_of(number, seed=0):
    """The bars of the n-th day."""
    values = np.random.default_rng([number, seed]).random((ROWS, 3))
    start = pd.Timestamp(FIRST + timedelta(days=number), tz="UTC")
    index = pd.date_range(start, periods=ROWS, freq="min", unit="ns", name="time")
    frame = pd.DataFrame(values, index=index, columns=["open", "close", "volume"])
    return frame.assign(trades=np.arange(ROWS) + seed)


def at(number):
    """The n-th day's place."""
    return BiTimestamp(FIRST + timedelta(days=number))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A table with enough ticks to be kept."""
    path = tmp_path_factory.mktemp("images") / "TABLE"
    with LocalTickstore(path) as store:
        store.insert_many([("A", at(number), day_of(number)) for number in range(DAYS)])
    return path


@pytest.fixture
def path(filled, tmp_path):
    """A table of one's own."""
    return shutil.copytree(filled, tmp_path / "TABLE")


@pytest.fixture
def warm(path):
    """A table whose image has been written, opened anew."""
    store = LocalTickstore(path)
    for _ in range(2):
        store.select("A")
    assert (path / "cache/A/manifest.json").is_file()
    return LocalTickstore(path)


def cold(path):
    """The same table without images."""
    return LocalTickstore(path, cache=False)


def is_mapped(frame):
    """Whether a frame's values are those of a file."""
    base = frame["open"].to_numpy()
    while isinstance(base, np.ndarray):
        base = base.base
    return type(base).__module__ == "mmap" or "mmap" in repr(type(getattr(base, "obj", base)))


def assert_same(warm, path, **query):
    """Both give the same frame."""
    same_bits(warm.select("A", **query), cold(path).select("A", **query))


def test_an_image_is_written_at_the_second_asking_and_not_without_leave(path):
    """Not at the first, not with cache=False, not when the table is opened to read."""
    for store in (cold(path), LocalTickstore(path, mode="r")):
        for _ in range(3):
            store.select("A")
    LocalTickstore(path).select("A")
    assert not (path / "cache").exists()


def test_an_image_answers_as_the_splays_do(warm, path):
    """Whole, cut within a day, some columns, one day, nothing."""
    assert is_mapped(warm.select("A"))
    assert_same(warm, path)
    assert_same(warm, path, start="2019-01-03T07:31", end="2019-02-20T23:59:30")
    assert_same(warm, path, columns=["volume", "open"])
    assert_same(warm, path, columns=["trades"], start="2019-02-01", end="2019-02-28")
    assert_same(warm, path, start="2019-01-05", end="2019-01-05")
    assert_same(warm, path, start="2025-01-01")
    assert_same(warm, path, tz="America/New_York", schema="strict")


def test_corrections_deletes_and_new_days_are_seen_at_once(warm, path):
    """What the image holds of other days is used; later it is written anew, or appended to."""
    generation = warm._images.find("A").generation
    warm.insert("A", at(DAYS), day_of(DAYS))
    for _ in range(3):
        assert_same(warm, path)
    image = warm._images.find("A")
    assert (image.generation, len(image.days)) == (generation, DAYS + 1)
    before = warm.log()["time"].max()
    warm.insert("A", at(7), day_of(7, seed=1))
    warm.delete("A", at(40))
    for _ in range(3):
        assert_same(warm, path)
        assert_same(warm, path, as_of_time=before)
    assert warm._images.find("A").generation != generation
    warm.undelete("A", at(40))
    for _ in range(3):
        assert_same(warm, path)


def test_an_image_that_is_current_is_not_written_again(warm, path):
    """Asking for another time, again and again, decodes what it needs and no more."""
    before = warm.log()["time"].max()
    for number in range(DAYS):
        warm.insert("A", at(number), day_of(number, seed=3))
    for _ in range(2):
        warm.select("A")
    files = {file.name: file.stat().st_ino for file in (path / "cache/A").iterdir()}
    for _ in range(3):
        assert_same(warm, path, as_of_time=before)
    after = {file.name: file.stat().st_ino for file in (path / "cache/A").iterdir()}
    assert files == after


def test_a_former_state_that_is_asked_for_again_has_an_image_of_its_own(warm, path):
    """By token or by time, in this process and the next, whatever is corrected meanwhile."""
    token, before = warm.token, warm.log()["time"].max()
    warm.insert("A", at(7), day_of(7, seed=1))
    for _ in range(2):
        warm.select("A")
    for known in (token, before) * 2:
        assert not is_mapped(warm.select("A", as_of_time=known))
    warm.insert("A", at(40), day_of(40, seed=1))
    for opened in (warm, LocalTickstore(path), LocalTickstore(path, mode="r")):
        for known in (token, before):
            assert is_mapped(opened.select("A", as_of_time=known))
            assert_same(opened, path, as_of_time=known)
            assert_same(opened, path, as_of_time=known, start="2019-01-05T12", columns=["close"])
        assert_same(opened, path)
    (former,) = (path / "cache").glob("A@*")
    file = next(former.glob("*.2"))
    file.write_bytes(bytes(len(file.read_bytes())))
    for _ in range(3):
        assert_same(LocalTickstore(path), path, as_of_time=token)
    assert not former.exists()


def test_a_pin_that_is_taken_anew_each_time_is_asked_for_again_all_the_same(warm, path):
    """What was asked counts for all views of a table; the image is written once for all of them."""
    token = warm.token
    warm.insert("A", at(7), day_of(7, seed=1))
    for _ in range(2):
        warm.select("A")
    mapped = [is_mapped(warm.at(token).select("A")) for _ in range(6)]
    assert (mapped[0], mapped[-1]) == (False, True)
    (former,) = (path / "cache").glob("A@*")
    shutil.rmtree(former)
    assert not any(is_mapped(warm.at(token).select("A")) for _ in range(6))
    assert_same(warm.at(token), path, as_of_time=token)
    assert not former.exists()


def test_what_is_asked_of_one_column_is_weighed_with_all_of_them(path, monkeypatch):
    """An image holds them all, so they must fit; nothing is decoded to be thrown away."""
    monkeypatch.setattr(images, "LIMIT", DAYS * ROWS * 3 * 8)
    opened, peaks = LocalTickstore(path), []
    opened.select("A", columns=["close"], end="2019-01-10")
    for _ in range(4):
        tracemalloc.start()
        opened.select("A", columns=["close"])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 1.5 * peaks[0]
    assert not (path / "cache").exists()


def test_a_scan_of_former_states_writes_none_that_differ_by_a_day(warm, path):
    """Each asked twice is mapped from the image of the latest state, but for the days that left."""
    tokens = []
    for number in range(6):
        tokens.append(warm.token)
        warm.insert("A", at(number), day_of(number, seed=1))
    for _ in range(2):
        warm.select("A")
    for token in tokens * 2:
        assert_same(warm, path, as_of_time=token)
    assert [folder.name for folder in (path / "cache").iterdir()] == ["A"]


def test_former_states_make_room_and_never_drive_each_other_out_in_turn(path, monkeypatch):
    """The latest state's image stays; a former state's is written once in a process."""
    monkeypatch.setattr(images, "LIMIT", int(DAYS * ROWS * 5 * 8 * 2.5))
    store = LocalTickstore(path)
    tokens = []
    for seed in (1, 2):
        tokens.append(store.token)
        store.insert_many([("A", at(n), day_of(n, seed=seed)) for n in range(DAYS)])
    asked = [{}, *({"as_of_time": token} for token in tokens)]
    for query in asked:
        for _ in range(2):
            assert_same(store, path, **query)
    kept = {folder.name: folder.stat().st_ino for folder in (path / "cache").iterdir()}
    assert len(kept) == 2
    assert "A" in kept
    for _ in range(3):
        for query in asked:
            assert_same(store, path, **query)
    assert kept == {folder.name: folder.stat().st_ino for folder in (path / "cache").iterdir()}


def test_an_image_that_is_used_stays_so_without_being_read_again_in_turn(warm, path):
    """A process says that it uses one as long as it does, but not at each select."""
    manifest, other = path / "cache/A/manifest.json", LocalTickstore(path)
    for _ in range(2):
        os.utime(manifest, (0, 0))
        warm.select("A")
        used = manifest.stat().st_mtime_ns
        assert used > 0
        for store in (other, warm) * 2:
            store.select("A")
        assert manifest.stat().st_mtime_ns == used
        assert warm._images.find("A") is warm._images.find("A")


def test_a_few_days_of_many_are_no_reason_to_decode_them_all(path):
    """An image is written when more was read than it would hold."""
    store = LocalTickstore(path)
    store.insert_many([("A", at(n), day_of(n)) for n in range(DAYS, DAYS * 5)])
    for _ in range(5):
        store.select("A", end="2019-03-21")
        assert not (path / "cache").exists()
    store.select("A", end="2019-03-21")
    assert is_mapped(store.select("A"))


def test_a_former_state_without_the_newest_days_needs_no_image_of_its_own(warm, path):
    """That of the latest state holds all of it."""
    token = warm.token
    warm.insert("A", at(DAYS), day_of(DAYS))
    for _ in range(3):
        assert is_mapped(warm.select("A", as_of_time=token))
        assert_same(warm, path)
    assert [folder.name for folder in (path / "cache").iterdir()] == ["A"]


def test_days_whose_columns_differ_are_never_kept(warm, path):
    """They are joined from their splays, each time."""
    warm.insert("A", at(DAYS), day_of(DAYS).rename(columns={"open": "first"}))
    for _ in range(4):
        assert_same(warm, path)


def test_a_frame_from_an_image_is_its_holders(warm, path):
    """It can be written into, and nobody else sees that."""
    frame = warm.select("A")
    frame.iloc[0, 0] = -1.0
    frame["close"] = 0.0
    assert_same(warm, path)
    assert frame.iloc[0, 0] == -1.0


def test_a_frame_survives_its_image(warm):
    """A new generation, a removed cache, a destroyed table: who holds a frame keeps it."""
    frame = warm.select("A")
    expected = frame.copy(deep=True)
    held = warm.select("A", start="2019-03-01")
    held_expected = held.copy(deep=True)
    warm.insert("A", at(3), day_of(3, seed=2))
    for _ in range(3):
        warm.select("A")
    warm.insert("A", at(DAYS), day_of(DAYS))
    for _ in range(3):
        warm.select("A")
    warm.destroy()
    same_bits(frame, expected)
    same_bits(held, held_expected)


@pytest.mark.sweep
@pytest.mark.usefixtures("warm")
def test_damage_is_found_and_the_splays_answer(path):
    """Any byte of any file, any length, any file gone; a new image is written later."""
    chance = random.Random(1)  # noqa: S311 - a reproducible place, not a secret
    folder = path / "cache" / "A"
    kept = shutil.copytree(folder, path.parent / "kept")
    expected = cold(path).select("A")
    names = sorted(file.name for file in kept.iterdir() if file.name != "lock")
    assert names[-1] == "manifest.json"
    for name in names:
        harms = ("flip", "cut", "empty", "gone", "longer")
        for harm in harms if FULL or name == names[-1] else chance.sample(harms, 2):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(kept, folder)
            data = bytearray((folder / name).read_bytes())
            if harm == "flip":
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            elif harm in ("cut", "empty"):
                del data[chance.randrange(len(data)) if harm == "cut" else 0 :]
            elif harm == "longer":
                data += b"more"
            if harm == "gone":
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(data)
            fresh = LocalTickstore(path)
            for _ in range(3):
                same_bits(fresh.select("A"), expected)
            assert is_mapped(fresh.select("A"))


def test_a_damaged_day_that_nobody_asks_for_is_no_error(path):
    """Keeping an image reads all days; that it cannot is no reason to answer nothing."""
    splay = path / "2019/01/01/A_0000.h5"
    splay.chmod(0o644)
    splay.write_bytes(splay.read_bytes()[:-100])
    store = LocalTickstore(path)
    for _ in range(3):
        assert_same(store, path, start="2019-01-02")
    assert not (path / "cache/A/manifest.json").exists()


def test_a_table_that_is_opened_to_read_uses_an_image_and_leaves_it_as_it_is(warm, path):
    """Not even its times change."""
    assert warm.select("A").shape == (DAYS * ROWS, 4)

    def state():
        found = [path / "cache", *(path / "cache").rglob("*")]
        return {str(each): (each.stat().st_mtime_ns, each.stat().st_ino) for each in found}

    before = state()
    assert is_mapped(LocalTickstore(path, mode="r").select("A"))
    assert state() == before


@pytest.mark.parametrize("link", ["lock", "folder", "cache", "values"])
def test_a_cache_that_leads_elsewhere_changes_nothing_there(path, tmp_path, link):
    """A table from somebody else may hold links: nothing outside it is written, cut or removed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    precious = elsewhere / "precious.1"
    precious.write_text("mine")
    folder = path / "cache" / "A"
    if link == "cache":
        (path / "cache").symlink_to(elsewhere)
    elif link == "folder":
        folder.parent.mkdir()
        folder.symlink_to(elsewhere)
    elif link == "lock":
        folder.mkdir(parents=True)
        (folder / "lock").symlink_to(precious)
    else:
        store = LocalTickstore(path)
        for _ in range(2):
            store.select("A")
        (values,) = folder.glob("*.1")
        values.unlink()
        values.symlink_to(precious)
        store.insert("A", at(DAYS), day_of(DAYS))
    fresh = LocalTickstore(path)
    for _ in range(3):
        assert_same(fresh, path)
    assert sorted(elsewhere.iterdir()) == [precious]
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    "nonsense",
    [
        {"generation": "../../../elsewhere"},
        {"generation": 3},
        {"columns": [{"name": "open", "kind": "plain", "dtype": "object"}]},
        {"columns": [{"name": "open", "kind": "text", "dtype": "int8"}]},
        {"segments": [[2**80, "a", "b"]]},
        {"segments": []},
        {"days": {"date": [1], "splay": [2**70], "rows": [1], "digest": [1]}},
        {"days": {"date": [1], "splay": [0], "rows": [-5], "digest": [1]}},
        {"days": 7},
        {"time": None},
    ],
    ids=str,
)
def test_a_sealed_manifest_of_nonsense_is_passed_over(warm, path, nonsense):
    """Whatever it says: the splays answer, and nothing outside the cache is touched."""
    manifest = path / "cache/A/manifest.json"
    text, _ = unseal(manifest.read_bytes(), "it")
    manifest.write_bytes(seal({**text, **nonsense}))
    before = sorted(each for each in path.parent.rglob("*") if "cache" not in each.parts)
    assert_same(warm, path)
    fresh = LocalTickstore(path)
    for _ in range(2):
        assert_same(fresh, path)
    assert sorted(each for each in path.parent.rglob("*") if "cache" not in each.parts) == before


@pytest.mark.usefixtures("warm")
def test_an_image_of_another_branch_is_not_believed(path, tmp_path):
    """The same versions with other content: the digest of each day tells."""
    branch = shutil.copytree(path, tmp_path / "BRANCH")
    for place, seed in ((path, 5), (branch, 6)):
        store = LocalTickstore(place)
        store.insert("A", at(11), day_of(11, seed=seed))
        for _ in range(2):
            store.select("A")
    shutil.rmtree(branch / "cache")
    shutil.copytree(path / "cache", branch / "cache")
    assert_same(LocalTickstore(branch), branch)


def test_a_full_or_closed_disk_goes_without(path):
    """A file stands where the cache should be."""
    (path / "cache").write_text("in the way")
    store = LocalTickstore(path)
    for _ in range(3):
        assert_same(store, path)


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: os.truncate(file, 100)])
def test_nothing_is_appended_to_files_that_have_gone(path, harm):
    """Days that were checked before would be holes, and nobody would look."""
    store = LocalTickstore(path)
    for _ in range(3):
        store.select("A")
    for file in (path / "cache/A").glob("*.[0-9]"):
        harm(file)
    store.insert_many([("A", at(n), day_of(n)) for n in range(DAYS, DAYS * 2)])
    for _ in range(4):
        store.select("A", start=FIRST + timedelta(days=DAYS))
    for _ in range(2):
        assert_same(store, path)
    assert is_mapped(store.select("A"))


SMALL_DISK = """
import resource, sys
from behemoth import LocalTickstore
store = LocalTickstore(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))
for _ in range(4):
    assert len(store.select("A")) == int(sys.argv[2])
"""


@pytest.mark.parametrize("behind", [False, True])
def test_what_could_not_be_written_whole_is_not_left_behind(path, behind):
    """On a full disk an image is not tried at each select, and its pieces are removed."""
    store = LocalTickstore(path)
    if behind:
        for _ in range(2):
            store.select("A")
        store.insert("A", at(DAYS), day_of(DAYS))
    rows = str(ROWS * (DAYS + behind))
    subprocess.run([sys.executable, "-c", SMALL_DISK, str(path), rows], check=True)
    assert not (path / "cache/A").exists()
    for _ in range(3):
        assert_same(store, path)


def test_the_images_of_a_table_take_a_bounded_space(path, monkeypatch):
    """The one that was not used for longest goes; one that is too large is not written."""
    size = DAYS * ROWS * 5 * 8
    store = LocalTickstore(path)
    store.insert_many([("B", at(number), day_of(number)) for number in range(DAYS)])
    for limit, expected in ((size * 3, {"A", "B"}), (int(size * 1.5), {"B"}), (size // 2, set())):
        shutil.rmtree(path / "cache", ignore_errors=True)
        monkeypatch.setattr(images, "LIMIT", limit)
        for symbol in "AB":
            opened = LocalTickstore(path)
            for _ in range(3):
                opened.select(symbol)
        kept = path / "cache"
        found = {f.parent.name for f in kept.glob("*/manifest.json")} if kept.exists() else set()
        assert found == expected


READER = """
import sys
from behemoth import LocalTickstore
from tests.codec.strategies import assert_same
store, plain = LocalTickstore(sys.argv[1]), LocalTickstore(sys.argv[1], cache=False)
for _ in range(4):
    found, token = store.select("A"), store.token
    time = store.log(limit=1)["time"].max()
    left = store.select("A", as_of_time=time)
    right = plain.select("A", as_of_time=time)
    assert_same(left, right)
print("same")
"""


@pytest.mark.sweep
def test_processes_share_images_while_a_writer_is_at_work(warm, path):
    """Two readers that write and use images, and a writer that corrects and appends."""
    command = [sys.executable, "-c", READER, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    readers = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    number = 0
    while any(reader.poll() is None for reader in readers):
        number += 1
        warm.insert("A", at(number % 20), day_of(number % 20, seed=number))
        warm.insert("A", at(DAYS + number), day_of(DAYS + number))
        warm.select("A")
        if number % 7 == 0:
            shutil.rmtree(path / "cache", ignore_errors=True)
    for reader in readers:
        out, err = reader.communicate()
        assert out == "same\n", err
