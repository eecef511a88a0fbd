"""What a table on disk looks like, and what happens when it is not as it should be."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import stat
import threading
import warnings
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, errors
from behemoth.layout import BEGINNING
from behemoth.stores import MemoryStore
from behemoth.tickstore import Tickstore
from behemoth.tickstore.checkpoints import EVERY
from tests.tickstore.test_verbs import AT, DAY, bars, prices


def fill(store, count):
    """Insert one date after the other."""
    for number in range(count):
        day = DAY + timedelta(days=number)
        store.insert("A", BiTimestamp(day), bars(float(number), start=str(day)))


def test_opening_and_reading_write_nothing(tmp_path):
    """A table is made by its first insert."""
    with LocalTickstore(tmp_path / "TABLE") as store:
        assert store.select("A").empty
        assert store.index.empty
        assert (store.token, store.symbols()) == ("0-00000000", [])
        store.flush()
    assert list(tmp_path.iterdir()) == []


def test_files_stand_where_the_format_says_and_are_read_only(local):
    """YYYY/MM/DD/symbol_version.h5, log/N; nothing is left in tmp."""
    local.insert("BTC-USD", AT, bars(1.0))
    local.insert("BTC-USD", AT, bars(2.0))
    files = [p for p in local.path.rglob("*") if p.is_file()]
    assert sorted(str(p.relative_to(local.path)) for p in files) == [
        "2019/10/31/BTC-USD_0000.h5",
        "2019/10/31/BTC-USD_0001.h5",
        "log/0000000000.json",
        "log/0000000001.json",
        "log/0000000002.json",
    ]
    assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o444}


def test_a_log_entry_can_be_read_by_people(local):
    """JSON with who, when, why, and the digest of the entry before."""
    local.insert("BTC-USD", AT, bars(1.0), message="first", source="by hand")
    local.delete("BTC-USD", AT)
    lines = (local.path / "log/0000000002.json").read_text().splitlines()
    entry = json.loads(lines[0])
    first = (local.path / "log/0000000001.json").read_text().splitlines()
    assert entry["previous"] == first[1]
    assert json.loads(first[0])["message"] == "first"
    assert set(entry) == {
        *("format", "number", "id", "time", "previous", "message", "source", "who", "tool"),
        *("revisions", "observations"),
    }


def test_every_file_of_a_table_opens_in_pandas(local):
    """Splays and index checkpoints, with plain read_hdf."""
    local.insert("BTC-USD", AT, bars(1.0, 2.0))
    local.flush()
    (splay,) = local.path.glob("2019/**/*.h5")
    pd.testing.assert_frame_equal(
        pd.read_hdf(splay), local.select("BTC-USD"), check_freq=False, check_column_type=False
    )
    (checkpoint,) = local.path.glob("index/*/*.h5")
    index = pd.read_hdf(checkpoint)
    assert index.index.names == ["symbol", "date", "version"]
    assert index.index.tolist() == [("BTC-USD", pd.Timestamp(DAY), 0)]
    assert index["rows"].tolist() == [2]


def test_a_corrupt_splay_is_an_error_that_names_the_file(local):
    """Any flipped bit in a chunk is found; other days stay readable."""
    fill(local, 2)
    path = local.path / "2019/10/31/A_0000.h5"
    damaged = bytearray(path.read_bytes())
    damaged[-60:] = bytes(255 - byte for byte in damaged[-60:])
    for position in range(40, 80):
        damaged[position] ^= 1
    path.chmod(0o644)
    path.write_bytes(damaged)
    with pytest.raises(errors.Corrupt, match=str(path)) as caught:
        local.select("A")
    assert (caught.value.symbol, caught.value.date, caught.value.version) == ("A", DAY, 0)
    assert prices(local.select("A", start="2019-11-01")) == [1.0]


def test_a_missing_or_exchanged_splay_is_an_error_that_names_the_file(local):
    """A file of another day in its place is no less wrong than none."""
    fill(local, 2)
    first, second = local.path / "2019/10/31/A_0000.h5", local.path / "2019/11/01/A_0000.h5"
    first.unlink()
    with pytest.raises(errors.Corrupt, match="missing"):
        local.select("A")
    shutil.copy(second, first)
    with pytest.raises(errors.Corrupt, match="date"):
        local.select("A")


def test_a_damaged_log_entry_is_an_error_that_names_the_file(local):
    """A flipped bit, or an entry that is gone while later ones are there."""
    fill(local, 3)
    entry = local.path / "log/0000000002.json"
    text = entry.read_bytes()
    entry.chmod(0o644)
    entry.write_bytes(text.replace(b"A", b"B", 1))
    with pytest.raises(errors.Corrupt, match="0000000002"):
        LocalTickstore(local.path).symbols()
    entry.unlink()
    with pytest.raises(errors.Corrupt, match="missing"):
        LocalTickstore(local.path).symbols()
    entry.write_bytes((local.path / "log/0000000003.json").read_bytes())
    with pytest.raises(errors.Corrupt, match="does not follow"):
        LocalTickstore(local.path).symbols()


def test_a_newer_format_is_refused_with_the_way_out(local):
    """A later version of the format is no damage."""
    from behemoth.log import seal

    fill(local, 1)
    (local.path / "log/0000000002.json").write_bytes(seal({"format": 999}))
    with pytest.raises(errors.Corrupt, match="upgrade"):
        LocalTickstore(local.path).symbols()


@pytest.mark.parametrize("spoil", ["all are gone", "the newest is damaged"])
def test_a_checkpoint_is_whole_though_the_one_it_would_build_on_is_no_more(local, spoil):
    """A process that opened at a checkpoint does not have in memory what that one held."""
    for symbol in "ABC":
        local.insert(symbol, AT, bars(1.0))
        local.flush()
    second = LocalTickstore(local.path, clock=local._clock)
    second.insert("D", AT, bars(1.0))
    for root in local.path.glob("index/*.json" if spoil == "all are gone" else "index/3-*.json"):
        root.unlink()
        if spoil == "the newest is damaged":
            root.write_bytes(b"{}")
    with pytest.warns(errors.CheckpointIgnored) if "damaged" in spoil else nullcontext():
        second.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.CheckpointIgnored)
        opened = LocalTickstore(local.path, clock=local._clock)
    assert opened.symbols() == ["A", "B", "C", "D"]
    assert prices(opened.select("C")) == [1.0]


def test_a_log_that_lost_its_end_is_an_error_and_not_a_shorter_answer(local):
    """A checkpoint knows how long it was; no number is used again."""
    fill(local, 5)
    local.flush()
    for number in (4, 5):
        (local.path / f"log/000000000{number}.json").unlink()
    with pytest.raises(errors.Corrupt, match="0000000005"):
        LocalTickstore(local.path).symbols()


def test_a_log_that_lost_its_beginning_cannot_replace_a_damaged_checkpoint(local):
    """It is not folded up to the hole."""
    fill(local, 5)
    local.flush()
    (path,) = local.path.glob("index/*/*.revisions.h5")
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    (local.path / "log/0000000001.json").unlink()
    with pytest.warns(errors.CheckpointIgnored), pytest.raises(errors.Corrupt, match="missing"):
        LocalTickstore(local.path).select("A")


def test_a_table_that_was_destroyed_or_exchanged_is_not_written_on(local, clock):
    """A handle of the former table is told; nothing is acknowledged into nowhere."""
    fill(local, 3)
    LocalTickstore(local.path).destroy()
    with pytest.raises(errors.Conflict, match="open it again"):
        local.insert("A", AT, bars(9.0))
    other = LocalTickstore(local.path, clock=clock)
    for _ in range(3):
        other.insert("B", AT, bars(1.0))
    with pytest.raises(errors.Conflict, match="exchanged"):
        local.insert("A", AT, bars(9.0))
    assert LocalTickstore(local.path).symbols() == ["B"]


def test_a_damaged_root_does_not_end_checkpoints(local):
    """The next one is based on an older one, or on the log."""
    fill(local, 1)
    local.flush()
    (root,) = local.path.glob("index/*.json")
    root.chmod(0o644)
    root.write_bytes(b"damaged")
    with pytest.warns(errors.CheckpointIgnored):
        again = LocalTickstore(local.path)
    again.insert("A", AT, bars(2.0))
    with pytest.warns(errors.CheckpointIgnored):
        again.flush()
    assert len(list(local.path.glob("index/2-*.json"))) == 1


def test_checkpoints_that_were_replaced_are_followed(local, recwarn):
    """A reader that opened at a checkpoint whose files are gone takes the newest one, quietly."""
    fill(local, 1)
    local.flush()
    reader = LocalTickstore(local.path)
    for _ in range(3):
        fill(local, 1)
        local.flush()
    assert prices(reader.select("A")) == [0.0]
    assert reader.observations("A") == ()
    pd.testing.assert_frame_equal(reader.index, local.index)
    assert not recwarn.list


@pytest.mark.parametrize("newest_only", [False, True])
def test_a_checkpoint_after_others_were_taken_away_is_whole(local, newest_only):
    """A handle that opened at one knows which symbols it had, and what had changed in it."""
    fill(local, 1)
    local.insert("B", AT, bars(5.0))
    local.flush()
    local.insert("B", AT, bars(6.0))
    local.flush()
    reader = LocalTickstore(local.path)
    for path in local.path.glob("index/3-*.json" if newest_only else "index/**/*.*"):
        path.unlink()
    reader.insert("C", AT, bars(1.0))
    reader.flush()
    again = LocalTickstore(local.path)
    assert again.symbols() == ["A", "B", "C"]
    assert prices(again.select("B")) == [6.0]
    pd.testing.assert_frame_equal(again.index, LocalTickstore(local.path).index)
    assert again.verify().empty


def test_checkpoints_are_written_now_and_then_and_old_ones_removed(local):
    """The log's tail stays bounded, and so does the number of checkpoints."""
    fill(local, 3 * EVERY + 1)
    roots = sorted(path.name for path in local.path.glob("index/*.json"))
    assert [int(name.split("-")[0]) for name in roots] == [2 * EVERY, 3 * EVERY]
    assert len(list(local.path.glob("index/*/*.h5"))) == 2
    reopened = LocalTickstore(local.path)
    pd.testing.assert_frame_equal(reopened.index, local.index)


@pytest.mark.parametrize(
    ("what", "damage"),
    [
        ("index/*.json", "flip"),
        ("index/*.json", "cut"),
        ("index/*/*.h5", "flip"),
        ("index/*/*.h5", "cut"),
        ("index/*/*.h5", "remove"),
    ],
)
def test_a_damaged_checkpoint_costs_time_and_no_answer(local, what, damage):
    """The log is folded instead, with a warning."""
    fill(local, 5)
    local.flush()
    fill(local, 1)
    expected = local.index
    (path,) = local.path.glob(what)
    data = bytearray(path.read_bytes())
    path.chmod(0o644)
    if damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    with pytest.warns(errors.CheckpointIgnored):
        pd.testing.assert_frame_equal(LocalTickstore(local.path).index, expected)


def test_another_process_sees_a_commit_without_reopening(local, clock):
    """Two tickstores on one folder follow each other."""
    other = LocalTickstore(local.path, clock=clock)
    local.insert("A", AT, bars(1.0))
    assert prices(other.select("A")) == [1.0]
    assert other.insert("A", AT, bars(2.0)).version == 1
    assert local.insert("A", AT, bars(3.0)).version == 2
    assert prices(other.select("A")) == [3.0]
    assert local.token == other.token


def test_an_orphan_of_a_crashed_writer_only_makes_a_number_be_skipped(local):
    """Nothing is overwritten."""
    local.insert("B", AT, bars(1.0))
    orphan = local.path / "2019/10/31/A_0000.h5"
    orphan.write_bytes(b"half a file")
    assert local.insert("A", AT, bars(1.0)).version == 1
    assert orphan.read_bytes() == b"half a file"
    assert prices(local.select("A")) == [1.0]


def write_many(path, symbol, start, count, gate):
    """Commit again and again, in a process of its own."""
    gate.wait(30)
    with LocalTickstore(path) as store:
        for number in range(count):
            store.insert(symbol, AT, bars(float(start + number)))


def test_concurrent_writers_lose_nothing(tmp_path):
    """Four processes insert into one (symbol, date): every acknowledged revision is there."""
    context = multiprocessing.get_context("spawn")
    gate = context.Event()
    path = tmp_path / "TABLE"
    writers = [
        context.Process(target=write_many, args=(path, "A", 100 * number, 15, gate))
        for number in range(4)
    ]
    for writer in writers:
        writer.start()
    gate.set()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    store = LocalTickstore(path)
    revisions = store.revisions("A")
    assert len(revisions) == 60
    versions = [revision.version for revision in revisions]
    assert versions == sorted(set(versions))
    found = {prices(store.select("A", as_of_time=revision.start_time))[0] for revision in revisions}
    assert found == {float(100 * writer + number) for writer in range(4) for number in range(15)}
    on_disk = {str(p.relative_to(path)) for p in path.glob("2019/**/*.h5")}
    assert on_disk == set(store.index["path"])


def test_threads_share_a_tickstore(local):
    """Readers and a writer in one process."""
    stop, wrong = threading.Event(), []
    local.insert("A", AT, bars(-1.0, -1.0))

    def read():
        while not stop.is_set():
            found = prices(local.select("A"))
            if len(found) != 2 or found[0] != found[1]:
                wrong.append(found)

    def write(first):
        for number in range(first, first + 30):
            try:
                local.insert("A", AT, bars(float(number), float(number)))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(100 * n,)) for n in range(3)]
    for thread in readers + writers:
        thread.start()
    for writer in writers:
        writer.join()
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert [revision.version for revision in local.revisions("A")] == list(range(91))


@pytest.mark.parametrize("wrong", ["nonsense", "0-" + 32 * "a", "5", 5])
def test_an_id_that_no_commit_can_have_is_refused(store, wrong):
    """commit_id= takes only what CommitUnknown gave."""
    with pytest.raises(errors.BadRequest, match="no commit has the id"):
        store.insert("A", AT, bars(1.0), commit_id=wrong)


def test_an_id_is_for_the_same_change_only(local):
    """Other ticks, another symbol or another verb are never acknowledged with it."""
    local.insert("A", AT, bars(1.0))
    local.insert("B", AT, bars(5.0))
    entry = (local.path / "log/0000000001.json").read_text().splitlines()[0]
    commit_id = json.loads(entry)["id"]
    assert local.insert("A", AT, bars(1.0), commit_id=commit_id).commit == 1
    for call in (
        lambda: local.insert("A", AT, bars(2.0), commit_id=commit_id),
        lambda: local.insert("B", AT, bars(6.0), commit_id=commit_id),
        lambda: local.delete("A", AT, commit_id=commit_id),
    ):
        with pytest.raises(errors.BadRequest, match="something else"):
            call()
    assert local.token.startswith("2-")


class RacingStore(MemoryStore):
    """Lets another writer commit just before a log entry is published."""

    def __init__(self):
        super().__init__()
        self.race = []

    def publish(self, staged, key):
        """Race first."""
        if key.startswith("log/") and key != BEGINNING and self.race:
            self.race.pop()()
        super().publish(staged, key)


def test_losing_a_race_renumbers_only_what_the_winner_touched(clock):
    """Same date: the next version, and the own old name is removed. Another date: nothing moves."""
    disk = RacingStore()
    store, rival = Tickstore(disk, clock=clock), Tickstore(disk, clock=clock)
    disk.race.append(lambda: rival.insert("A", AT, bars(1.0)))
    # the loser holds name 0 while the winner commits, so the winner takes 1
    assert store.insert("A", AT, bars(2.0)).version == 2
    disk.race.append(lambda: rival.insert("B", AT, bars(3.0)))
    assert store.insert("A", AT, bars(4.0)).version == 3
    assert [key for key in disk.keys("2019/") if "A_" in key] == [
        f"2019/10/31/A_000{version}.h5" for version in (1, 2, 3)
    ]
    assert prices(store.select("A")) == [4.0]


def test_losing_a_race_that_makes_a_change_impossible_says_so(clock):
    """A delete finds that another writer deleted first; nothing is committed."""
    disk = RacingStore()
    store, rival = Tickstore(disk, clock=clock), Tickstore(disk, clock=clock)
    store.insert("A", AT, bars(1.0))
    disk.race.append(lambda: rival.delete("A", AT))
    with pytest.raises(errors.NotFound):
        store.delete("A", AT)
    assert store.token.startswith("2-")


def test_commit_times_increase_under_a_clock_that_steps_back(local, clock):
    """With a warning when the newest commit is minutes ahead."""
    first = local.insert("A", AT, bars(1.0))
    clock.tick(-60)
    second = local.insert("A", AT, bars(2.0))
    assert second.commit_time > first.commit_time
    clock.tick(-600)
    with pytest.warns(errors.ClockBehind, match="ahead of this clock"):
        third = local.insert("A", AT, bars(3.0))
    assert third.commit_time > second.commit_time
    assert prices(local.select("A", as_of_time=first.commit_time)) == [1.0]


def test_copying_a_table_changes_no_answer(local, tmp_path, clock):
    """Times come from the log, never from the file system."""
    fill(local, 3)
    clock.tick()
    local.insert("A", AT, bars(9.0))
    shutil.copytree(local.path, tmp_path / "COPY", copy_function=shutil.copyfile)
    copy = LocalTickstore(tmp_path / "COPY", clock=clock)
    pd.testing.assert_frame_equal(copy.index, local.index)
    assert copy.token == local.token
    before = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1)
    assert prices(copy.select("A", as_of_time=before)) == prices(
        local.select("A", as_of_time=before)
    )


def test_checkpoints_of_another_copy_are_passed_over(local, tmp_path, clock):
    """Two copies that were both written have logs of their own."""
    fill(local, 2)
    shutil.copytree(local.path, tmp_path / "COPY")
    copy = LocalTickstore(tmp_path / "COPY", clock=clock)
    copy.insert("A", AT, bars(5.0))
    local.insert("A", AT, bars(6.0))
    local.flush()
    shutil.copytree(local.path / "index", copy.path / "index")
    with pytest.warns(errors.CheckpointIgnored, match="another copy"):
        mixed = LocalTickstore(copy.path, clock=clock)
    assert prices(mixed.select("A", end=DAY)) == [5.0]


def test_destroy_removes_the_table_and_nothing_else(local):
    """Foreign files stay, and a folder that is no table is refused."""
    fill(local, 2)
    local.flush()
    note = local.path / "NOTES.txt"
    note.write_text("mine")
    path = local.path
    local.destroy()
    assert [p.name for p in path.iterdir()] == ["NOTES.txt"]
    again = LocalTickstore(path)
    again.insert("A", AT, bars(1.0))
    (path / "2019" / "mine.txt").write_text("mine")
    with pytest.raises(errors.BadRequest, match=r"mine\.txt"):
        again.destroy()
    assert prices(again.select("A")) == [1.0]
    (path / "2019" / "mine.txt").unlink()
    again.destroy()
    with pytest.raises(errors.NotFound, match="no table"):
        LocalTickstore(path).destroy()
    assert note.exists()


def test_a_file_where_a_folder_should_be_is_one_clear_line(tmp_path):
    """The environment's fault, with the path."""
    (tmp_path / "TABLE").write_text("not a folder")
    with pytest.raises(errors.EnvironmentFailed, match="TABLE") as caught:
        LocalTickstore(tmp_path / "TABLE").insert("A", AT, bars(1.0))
    assert isinstance(caught.value, OSError)
    assert "\n" not in str(caught.value)


def test_two_tables_keep_apart(tmp_path):
    """A table is a folder with its own log."""
    one, two = LocalTickstore(tmp_path / "ONE"), LocalTickstore(tmp_path / "TWO")
    one.insert("A", AT, bars(1.0))
    assert two.select("A").empty
    assert date.fromisoformat(str(one.index.index[0][1].date())) == DAY
