"""What happens between the placing of a commit's files and the link of its entry."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from behemoth import BiTimestamp, LocalTickstore, errors
from behemoth.stores import LocalStore
from behemoth.tickstore import Tickstore
from tests.tickstore.test_verbs import AT, DAY, bars, prices


class Raced(LocalStore):
    """Calls out once, before the entry of a commit is linked; may fail after it."""

    def __init__(self, root, call, after=0, fail=False):
        super().__init__(root)
        self.call, self.after, self.fail = call, after, fail

    def publish(self, staged, key):
        is_entry = key.startswith("log/") and not key.endswith("0000.json")
        if is_entry and self.after == 0 and self.call:
            call, self.call = self.call, None
            call()
        self.after -= is_entry
        super().publish(staged, key)

    def sync(self, keys):
        keys = list(keys)
        if self.fail and any(key.startswith("log/0000000002") for key in keys):
            self.fail = False
            raise errors.EnvironmentFailed("the disk failed")
        super().sync(keys)


def days(count):
    """The first days of 2019."""
    return [BiTimestamp(DAY + timedelta(days=number)) for number in range(count)]


@pytest.mark.parametrize("remade", [0, 1, 2, 3])
def test_a_writer_that_outlives_its_table_touches_nothing_of_the_next_one(tmp_path, remade):
    """Destroyed, and made again with as many commits: Conflict, and all of the new one is there."""
    path = tmp_path / "TABLE"

    def other():
        LocalTickstore(path).destroy()
        new = LocalTickstore(path)
        for number in range(remade):
            new.insert("S", AT, bars(10.0 + number))

    writer = Tickstore(Raced(path, other, after=1))
    writer.insert("S", AT, bars(0.0))
    with pytest.raises((errors.Conflict, errors.Corrupt)):
        writer.insert("S", AT, bars(1.0))
    new = LocalTickstore(path)
    assert prices(new.select("S")) == [9.0 + remade] * bool(remade)
    assert set(new.verify()["problem"]) <= {"orphan", "leftover"}
    new.insert("S", AT, bars(5.0))
    assert prices(LocalTickstore(path).select("S")) == [5.0]


def test_naive_and_aware_ticks_never_meet_in_a_symbol(tmp_path):
    """Neither by two writers at once, nor in one commit."""
    path = tmp_path / "TABLE"
    naive = bars(2.0, start="2019-11-01").tz_localize(None)
    first, second = days(2)
    writer = Tickstore(Raced(path, lambda: LocalTickstore(path).insert("S", first, bars(1.0))))
    with pytest.raises(errors.BadFrame, match="time zone"):
        writer.insert("S", second, naive)
    assert prices(LocalTickstore(path).select("S")) == [1.0]
    with pytest.raises(errors.BadFrame, match="time zone"):
        writer.insert_many([("T", first, bars(1.0)), ("T", second, naive)])
    assert LocalTickstore(path).symbols() == ["S"]


def test_knowledge_never_starts_after_its_commit(tmp_path, clock):
    """The clock steps back between two tries of one commit."""
    path = tmp_path / "TABLE"

    def other():
        clock.tick(-7200)
        LocalTickstore(path, clock=clock).insert("T", AT, bars(1.0))

    writer = Tickstore(Raced(path, other), clock=clock)
    known = clock.now - timedelta(minutes=1)
    revision = writer.insert("S", BiTimestamp(DAY, as_of_time=known), bars(1.0))
    assert revision.start_time <= revision.commit_time
    with pytest.warns(errors.ClockBehind):
        writer.insert("S", AT, bars(2.0))
    assert writer.verify().empty


@pytest.mark.parametrize("gap", [1, 2, 5, 40])
def test_a_gap_in_the_log_is_never_a_shorter_answer(local, gap):
    """However many entries are missing, and nobody writes into the gap."""
    for day in days(50):
        local.insert("S", day, bars(1.0, start=str(day.as_at_date)))
    for number in range(5, 5 + gap):
        (local.path / f"log/{number:010d}.json").unlink()
    for verb in (lambda s: s.select("S"), lambda s: s.insert("S", AT, bars(9.0))):
        with pytest.raises(errors.Corrupt, match=r"0000000005\.json is missing"):
            verb(LocalTickstore(local.path))


def test_a_table_that_lost_its_log_is_not_begun_anew(local):
    """Neither read as empty nor written, nor tidied away; a new table can be made of it."""
    for day in days(3):
        local.insert("S", day, bars(1.0, start=str(day.as_at_date)))
    shutil.rmtree(local.path / "log")
    lost = LocalTickstore(local.path, clock=local._clock)
    for verb in (
        lambda: lost.select("S"),
        lambda: lost.symbols(),
        lambda: lost.insert("S", AT, bars(9.0)),
    ):
        with pytest.raises(errors.Corrupt, match=r"log is missing.*reindex"):
            verb()
    found = lost.verify(repair=True)
    assert found["problem"].tolist() == ["log"]
    assert len(list(local.path.glob("2019/**/*.h5"))) == 3


def test_a_first_writer_that_died_leaves_a_table_that_works(tmp_path, clock):
    """Its splays are orphans, not a lost log."""
    path = tmp_path / "TABLE"

    def die():
        raise KeyboardInterrupt

    store = Raced(path, die)
    store.remove = lambda _: None  # killed: it takes nothing back
    with pytest.raises(KeyboardInterrupt):
        Tickstore(store, clock=clock).insert("S", AT, bars(1.0))
    assert len(list(path.glob("2019/**/*.h5"))) == 1
    table = LocalTickstore(path, clock=clock)
    assert table.select("S").empty
    assert "orphan" in table.verify()["problem"].tolist()
    assert table.verify(repair=True)["repaired"].all()
    assert table.insert("S", AT, bars(2.0)).version == 1
    assert table.verify().empty


def test_a_database_of_2019_is_not_taken_for_a_new_table(tmp_path):
    """The error names the command that makes a table of it."""
    (tmp_path / "OLD").mkdir()
    (tmp_path / "OLD/index.h5").write_bytes(b"pandas")
    store = LocalTickstore(tmp_path / "OLD")
    for verb in (lambda: store.select("S"), lambda: store.insert("S", AT, bars(1.0))):
        with pytest.raises(errors.Corrupt, match="import-legacy"):
            verb()


def test_a_retry_finds_what_was_unchanged_then(tmp_path):
    """With if_changed the revision that was visible at that commit, whatever came later."""
    path = tmp_path / "TABLE"
    other = LocalTickstore(path)
    unchanged = other.insert("A", AT, bars(1.0))
    store = Raced(path, None, fail=True)
    changes = [("A", AT, bars(1.0)), ("B", AT, bars(2.0))]
    with pytest.raises(errors.CommitUnknown) as caught:
        Tickstore(store).insert_many(changes, if_changed=True)
    other.insert("A", AT, bars(3.0))
    again = Tickstore(store).insert_many(changes, if_changed=True, commit_id=caught.value.commit_id)
    assert [(r.symbol, r.commit) for r in again] == [("A", unchanged.commit), ("B", 2)]
    with pytest.raises(errors.BadRequest, match="something else"):
        other.insert("A", AT, bars(1.0), if_changed=True, commit_id=caught.value.commit_id)
    with pytest.raises(errors.BadRequest, match="can have the id"):
        other.insert("A", AT, bars(1.0), commit_id="999-" + "0" * 32)


def test_a_number_that_no_version_has_is_a_strangers(local):
    """Somebody's copy with a time in its name changes no version."""
    local.insert("S", AT, bars(1.0))
    stray = local.path / "2019/10/31/S_20191101120000.h5"
    shutil.copy(local.path / "2019/10/31/S_0000.h5", stray)
    assert local.verify(repair=True)["problem"].tolist() == ["stranger"]
    assert local.insert("S", AT, bars(2.0)).version == 1
    assert prices(LocalTickstore(local.path).select("S")) == [2.0]


class Unreadable(LocalStore):
    """A disk that fails where the index lies."""

    def get(self, key):
        if key.startswith("index/"):
            raise errors.EnvironmentFailed(f"cannot read {key}")
        return super().get(key)


def test_an_index_that_cannot_be_read_is_passed_over(local):
    """The log answers, and a writer goes on."""
    local.insert("S", AT, bars(1.0))
    local.flush()
    with pytest.warns(errors.CheckpointIgnored):
        opened = Tickstore(Unreadable(local.path))
    assert prices(opened.select("S")) == [1.0]
    opened.insert("S", AT, bars(2.0))
    assert prices(LocalTickstore(local.path).select("S")) == [2.0]


def test_an_entry_before_the_checkpoint_that_is_missing_is_our_error(local):
    """Ticks are answered; what needs the entry names it."""
    for day in days(3):
        local.insert("S", day, bars(1.0, start=str(day.as_at_date)))
    local.flush()
    (local.path / "log/0000000002.json").unlink()
    opened = LocalTickstore(local.path)
    assert len(opened.select("S")) == 3
    with pytest.raises(errors.Corrupt, match=r"0000000002\.json is missing"):
        opened.log()
    with pytest.raises(errors.Corrupt, match=r"0000000002\.json is missing"):
        opened.copy(local.path.parent / "COPY")
