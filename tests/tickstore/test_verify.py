"""Verify finds what is not as it should be; repair mends it and takes nothing from the living."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import h5py
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, Observation, errors
from behemoth.log import Commit, decode, encode, seal, unseal
from behemoth.stores import LocalStore, MemoryStore
from behemoth.tickstore import Tickstore, verifying
from tests.tickstore.test_verbs import AT, DAY, bars, prices

NOON = datetime(2019, 10, 31, 12, tzinfo=UTC)


def at(number):
    """The n-th day."""
    return BiTimestamp(DAY + timedelta(days=number))


def fill(store, count=4):
    """A history with every kind of revision, and a checkpoint on the way."""
    for number in range(count):
        store.insert("A", at(number), bars(float(number), start=str(at(number).as_at_date)))
    store.delete("A", at(0))
    store.undelete("A", at(0))
    store.flush()
    store.insert("btc/usd", AT, bars(7.0))
    store.insert("A", at(1), bars(8.0, start="2019-11-01"))
    return store


def overwrite(path, data):
    """Damage a file."""
    path.chmod(0o644)
    path.write_bytes(data)


def flip(path, position=-30):
    """Damage one byte of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    overwrite(path, data)


def flip_time(path):
    """Damage the times of a splay."""
    with h5py.File(path) as file:
        position = file["ticks/axis1"].id.get_chunk_info(0).byte_offset
    flip(path, position)


def problems(frame):
    """Kinds and paths of findings."""
    return list(zip(frame["problem"], frame["path"], strict=True))


def test_a_sound_table_has_no_findings(store):
    """Whatever its history; and it is told how far it is."""
    told = []
    found = fill(store).verify(progress=lambda done, total: told.append((done, total)))
    assert found.empty
    assert found.columns.tolist() == [
        *("problem", "path", "detail", "symbol", "date", "version", "repaired")
    ]
    assert told == [(number, 6) for number in range(1, 7)]
    assert store.verify(repair=True).empty
    assert MemoryTickstore().verify().empty


def test_verify_names_what_is_damaged_and_what_is_missing(local):
    """Each with its symbol, date and version; repair leaves both alone."""
    fill(local)
    flip_time(local.path / "2019/10/31/A_0000.h5")
    (local.path / "2019/11/02/A_0000.h5").unlink()
    for repair in (False, True):
        found = local.verify(repair)
        assert problems(found) == [
            ("damaged", "2019/10/31/A_0000.h5"),
            ("missing", "2019/11/02/A_0000.h5"),
        ]
        assert found["symbol"].tolist() == ["A", "A"]
        assert found["version"].tolist() == [0, 0]
        assert not found["repaired"].any()


def test_a_splay_that_is_whole_but_not_the_one_of_the_log_is_damaged(local):
    """A header's digests alone prove nothing."""
    fill(local)
    other = MemoryTickstore()
    other.insert("A", at(2), bars(99.0))
    (key,) = other._store.keys("2019")
    overwrite(local.path / key, other._store.get(key))
    assert problems(local.verify()) == [("damaged", key)]


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_log_is_found_and_left_alone(local, damage):
    """Nothing can be told from what comes after, so nothing is moved."""
    fill(local)
    entry = local.path / "log/0000000003.json"
    flip(entry) if damage == "flipped" else entry.unlink()
    files = sorted(local.path.rglob("*"))
    damaged = LocalTickstore(local.path)
    found = damaged.verify(repair=True)
    assert problems(found) == [("log", "log/0000000003.json")]
    assert sorted(local.path.rglob("*")) == files
    assert prices(damaged.select("A")) == [0.0, 8.0, 2.0, 3.0]  # the checkpoint knows it
    with pytest.raises(errors.Corrupt, match="reindex"):
        damaged.reindex()


def test_a_log_that_is_gone_is_found_and_nothing_is_moved(local):
    """Splays without a commit may be all that is left."""
    fill(local)
    shutil.rmtree(local.path / "log")
    shutil.rmtree(local.path / "index")
    found = LocalTickstore(local.path).verify(repair=True)
    assert problems(found) == [("log", "log/0000000001.json")]
    assert len(list(local.path.glob("2019/**/*.h5"))) == 6


def test_a_log_shorter_than_its_checkpoint_is_found(local):
    """The last entries are gone, and the checkpoint remembers them."""
    fill(local).flush()
    (local.path / "log/0000000008.json").unlink()
    assert problems(LocalTickstore(local.path).verify()) == [("log", "log/0000000008.json")]


def test_entries_whose_versions_do_not_increase_are_found(local):
    """Well sealed and wrong all the same."""
    fill(local, 1)
    entry = LocalStore(local.path).get("log/0000000002.json")
    commit, tip = decode(entry, "it")
    key = "log/0000000006.json"
    last, tip = decode(LocalStore(local.path).get("log/0000000005.json"), "it")
    wrong = Commit(6, "x", last.time + timedelta(1), tip.digest, "", "", "", "", commit.revisions)
    (local.path / key).write_bytes(encode(wrong))
    assert ("log", key) in problems(LocalTickstore(local.path).verify())


def test_a_revision_that_is_known_from_after_its_commit_is_found(local):
    """No writer makes one: an answer as of now would change by itself."""
    local.insert("A", AT, bars(1.0))
    key = "log/0000000001.json"
    commit, _ = decode(LocalStore(local.path).get(key), "it")
    late = replace(commit.revisions[0], start_time=commit.time + timedelta(1))
    overwrite(local.path / key, encode(replace(commit, revisions=(late,))))
    (finding,) = LocalTickstore(local.path).verify().to_dict("records")
    assert (finding["problem"], finding["path"], finding["version"]) == ("log", key, 0)
    assert "after its commit" in finding["detail"]


class Unreadable(MemoryStore):
    """Fails to read or to list what has this key."""

    key = "nothing"

    def get(self, key):
        """Fail for a key."""
        if key == self.key:
            raise errors.EnvironmentFailed(f"cannot read {key}: input/output error")
        return super().get(key)

    def keys(self, prefix):
        """Fail for a folder."""
        if prefix == self.key:
            raise errors.EnvironmentFailed(f"cannot list {prefix}: input/output error")
        return super().keys(prefix)


@pytest.mark.parametrize("failing", ["root", "revisions", "folder"])
def test_a_checkpoint_that_the_disk_refuses_is_a_finding(clock, failing):
    """All else is checked all the same."""
    store = Unreadable()
    token = fill(Tickstore(store, clock=clock)).token
    Tickstore(store, clock=clock).flush()
    root, revisions = f"index/{token}.json", f"index/pages/{token}.top.revisions.h5"
    if failing == "folder":
        store.remove(revisions)
    store.key = {"root": root, "revisions": revisions, "folder": "index/"}[failing]
    (finding,) = verifying.verify(store).findings
    assert (finding.problem, finding.path) == ("checkpoint", root)
    assert "input/output error" in finding.detail


def test_orphans_and_leftovers_of_a_crash_are_put_aside(local):
    """Their bytes are kept, their versions never used again, also after a checkpoint."""
    fill(local)
    store = LocalStore(local.path)
    orphan, leftover = "2019/10/31/A_0007.h5", store.stage(b"half")
    shutil.copy(local.path / "2019/10/31/A_0000.h5", local.path / orphan)
    assert problems(local.verify()) == [("orphan", orphan), ("leftover", leftover)]
    token = local.token
    found = local.verify(repair=True)
    assert problems(found) == [("orphan", orphan), ("leftover", leftover)]
    assert found["repaired"].all()
    assert (local.path / "quarantine" / token / orphan).is_file()
    assert (local.path / "quarantine" / token / leftover).read_bytes() == b"half"
    assert local.verify().empty
    assert local.log()["retired"].iloc[-1] == 1
    local.flush()
    for opened in (local, LocalTickstore(local.path, clock=local._clock)):
        assert opened.insert("A", AT, bars(1.0)).version > 7


def test_a_checkpoint_whose_writer_was_overtaken_is_a_leftover(local):
    """Others wrote two newer ones and pruned its files before it named them: no damage."""
    local.insert("A", at(0), bars(1.0))
    local.flush()
    (root,) = local.path.glob("index/*.json")
    slow = root.read_bytes()
    for number in (1, 2):
        local.insert("A", at(number), bars(1.0, start=str(at(number).as_at_date)))
        local.flush()
    assert not root.exists()
    root.write_bytes(slow)
    key = str(root.relative_to(local.path))
    assert problems(local.verify()) == [("leftover", key)]
    assert local.verify(repair=True)["repaired"].all()
    assert local.verify().empty
    assert len(list(local.path.glob("index/*.json"))) == 2


def test_versions_of_findings_are_whole_numbers(local):
    """Also where other findings have none."""
    fill(local)
    (local.path / "notes.txt").write_text("mine")
    (local.path / "2019/11/02/A_0000.h5").unlink()
    found = local.verify().set_index("problem")
    assert repr(found["version"]["missing"]) == "0"
    assert found["version"]["stranger"] is None


def test_what_is_not_the_tables_is_named_and_left_alone(local):
    """A file of somebody else."""
    fill(local)
    (local.path / "notes.txt").write_text("mine")
    found = local.verify(repair=True)
    assert problems(found) == [("stranger", "notes.txt")]
    assert (local.path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("which", ["root", "revisions", "exchanged"])
def test_checkpoints_that_differ_from_the_log_are_made_anew(local, which):
    """Damage, or a well sealed one that says something else."""
    fill(local)
    token = local.token
    local.flush()
    if which == "root":
        flip(local.path / f"index/{token}.json")
    elif which == "revisions":
        flip(local.path / f"index/pages/{token}.top.revisions.h5")
    else:
        root = local.path / f"index/{token}.json"
        text, _ = unseal(root.read_bytes(), "it")
        text["pages"]["revisions"] = {}
        overwrite(root, seal(text))
    damaged = LocalTickstore(local.path, clock=local._clock)
    found = damaged.verify()
    assert problems(found) == [("checkpoint", f"index/{token}.json")]
    assert damaged.verify(repair=True)["repaired"].all()
    assert damaged.verify().empty
    assert damaged.symbols() == LocalTickstore(local.path).symbols() == ["A", "btc/usd"]
    assert prices(damaged.select("btc/usd")) == [7.0]


def test_reindex_makes_the_index_from_the_log(local):
    """Whatever lay there."""
    fill(local)
    expected = local.index
    flip(local.path / f"index/{min(p.name for p in local.path.glob('index/*.json'))}")
    assert local.reindex() == ()
    opened = LocalTickstore(local.path)
    pd.testing.assert_frame_equal(opened.index, expected)
    assert opened.verify().empty
    assert (local.path / f"index/{local.token}.json").is_file()


class Interrupted(LocalStore):
    """Calls out once, before it links a name that matches."""

    def __init__(self, root, when, call):
        super().__init__(root)
        self.when, self.call = when, call

    def publish(self, staged, key):
        if self.call and self.when(key):
            call, self.call = self.call, None
            call()
        super().publish(staged, key)


@pytest.mark.parametrize(
    "when", [lambda key: key.startswith("2019"), lambda key: key.startswith("log/")]
)
@pytest.mark.parametrize("kind", ["insert", "transaction"])
def test_repair_takes_nothing_from_a_writer_that_is_alive(tmp_path, clock, when, kind):
    """Staged or linked, it comes back to its ticks and commits them under a later version."""
    repairer = LocalTickstore(tmp_path / "TABLE", clock=clock)
    repairer.insert("A", at(5), bars(0.0))
    found = []
    store = Interrupted(tmp_path / "TABLE", when, lambda: found.append(repairer.verify(True)))
    writer = Tickstore(store, clock=clock)
    if kind == "insert":
        revision = writer.insert("A", AT, bars(1.0))
    else:
        revision = writer.insert_many([("A", AT, bars(1.0)), ("B", AT, bars(2.0))])[0]
        assert prices(repairer.select("B")) == [2.0]
    assert "leftover" in found[0]["problem"].tolist()
    assert prices(repairer.select("A")) == [1.0, 0.0]
    assert revision.version == (1 if "orphan" in found[0]["problem"].tolist() else 0)
    assert set(repairer.verify()["problem"]) <= {"orphan", "leftover"}
    repairer.verify(repair=True)
    assert repairer.verify().empty


def test_a_table_to_read_can_be_verified_but_not_repaired(local):
    """Nothing is written."""
    fill(local)
    reader = LocalTickstore(local.path, mode="r")
    assert reader.verify().empty
    with pytest.raises(errors.ReadOnly):
        reader.verify(repair=True)
    with pytest.raises(errors.ReadOnly):
        reader.reindex()


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_the_file_of_an_undelete_whose_insert_nobody_knows_is_checked(local, tmp_path, damage):
    """A new table out of a damaged one may have an undelete without its insert."""
    for symbol in ("X", "S"):
        local.insert(symbol, AT, bars(1.0))
    local.delete("S", AT)
    local.undelete("S", AT)
    (local.path / "log/0000000002.json").unlink()
    LocalTickstore(local.path).reindex(into=tmp_path / "NEW")
    new = LocalTickstore(tmp_path / "NEW")
    assert new.verify().empty
    key = "2019/10/31/S_0000.h5"
    (flip_time if damage == "flipped" else type(new.path).unlink)(new.path / key)
    found = new.verify()
    assert problems(found) == [("damaged" if damage == "flipped" else "missing", key)]
    assert found["version"].tolist() == [0]


@pytest.mark.parametrize("folder", ["log", "2019", "index"])
def test_a_folder_may_be_a_link(local, tmp_path, folder):
    """Damage behind it is found, repair takes nothing away, and destroy refuses to begin."""
    fill(local).flush()
    (local.path / folder).rename(tmp_path / "ELSEWHERE")
    (local.path / folder).symlink_to(tmp_path / "ELSEWHERE")
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    linked = LocalTickstore(local.path, clock=local._clock)
    assert linked.verify(repair=True).empty
    assert prices(linked.select("A")) == [0.0, 8.0, 2.0, 3.0]
    with pytest.raises(errors.EnvironmentFailed, match=f"{folder} is a symbolic link"):
        linked.destroy()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == files
    (local.path / "log/0000000003.json").unlink()
    assert problems(LocalTickstore(local.path).verify(repair=True)) == [
        ("log", "log/0000000003.json")
    ]


@pytest.mark.parametrize(
    ("outcome", "rows"),
    [("complete", True), ("complete", 2**63), ("complete", -1), ("done", 1), ("", 1)],
)
def test_an_observation_that_no_checkpoint_could_keep_is_refused(outcome, rows):
    """Before it is committed; the largest that can be kept is kept."""
    with pytest.raises(errors.BadRequest, match="an observation's"):
        Observation("A", "by hand", "bars", NOON, NOON, NOON, outcome, rows)
    store = MemoryTickstore()
    store.observe([Observation("A", "by hand", "bars", NOON, NOON, NOON, "partial", 2**63 - 1)])
    store.flush()
    assert store.verify().empty
