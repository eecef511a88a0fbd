"""A new table out of what is left of a damaged one, and what it says it cannot know."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from behemoth import LocalTickstore, Observation, errors
from tests.tickstore.test_transactions import DAY_TIME
from tests.tickstore.test_verbs import AT, bars, prices
from tests.tickstore.test_verify import at, fill, flip, flip_time


def rebuilt(local, tmp_path):
    """The new table, and what nobody knows."""
    damaged = LocalTickstore(local.path, clock=local._clock)
    unknown = damaged.reindex(into=tmp_path / "NEW")
    new = LocalTickstore(tmp_path / "NEW", clock=local._clock)
    assert new.verify().empty or any("ticks of" in line for line in unknown)
    return new, unknown


def knowledge(store):
    """The index without what a lost log cannot tell: the commits."""
    return store.index.drop(columns=["commit", "commit_time"])


def test_without_damage_it_is_a_copy(local, tmp_path):
    """Nothing is unknown."""
    fill(local)
    shutil.copy(local.path / "2019/10/31/A_0000.h5", local.path / "2019/10/31/A_0009.h5")
    new, unknown = rebuilt(local, tmp_path)
    assert (unknown, new.token) == ((), local.token)
    pd.testing.assert_frame_equal(new.index, local.index)


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_one_entry_is_lost(local, clock, tmp_path, number, damage):
    """Entries and the checkpoint tell of all other commits, headers of the rest."""
    fill(local).observe(
        [Observation("A", "by hand", "bars", DAY_TIME, DAY_TIME, DAY_TIME, "complete", 1)]
    )
    expected, frames = knowledge(local), {s: local.select(s) for s in local.symbols()}
    entry = local.path / f"log/{number:010d}.json"
    flip(entry) if damage == "flipped" else entry.unlink()
    clock.tick(3600)
    new, unknown = rebuilt(local, tmp_path)
    assert any(entry.name in line for line in unknown)
    for symbol, frame in frames.items():
        pd.testing.assert_frame_equal(new.select(symbol), frame)
    if number <= 6:  # a checkpoint knows them
        pd.testing.assert_frame_equal(knowledge(new), expected)
    assert new.observations("A") == local.observations("A") if damage == "" else True
    assert len(new.observations("A")) == 1
    assert "reconstructed" in new.log()["message"].iloc[-1]


def test_the_whole_log_and_its_checkpoints_are_lost(local, clock, tmp_path):
    """Headers alone: every splay is an insert that is known since it was written."""
    store = fill(local)
    store.delete("A", at(3))
    for folder in ("log", "index"):
        shutil.rmtree(local.path / folder)
    clock.tick(3600)
    new, unknown = rebuilt(local, tmp_path)
    assert prices(new.select("A")) == [0.0, 8.0, 2.0, 3.0]  # the delete cannot be known
    assert prices(new.select("btc/usd")) == [7.0]
    assert set(new.index["kind"]) == {"insert"}
    assert any("headers" in line for line in unknown)
    assert any("deletes" in line for line in unknown)
    first = (tmp_path / "NEW/log/0000000001.json").read_text()
    assert '"reconstructed":[' in first
    new.insert("A", AT, bars(1.0))
    assert new.verify().empty


def test_the_log_is_lost_and_a_checkpoint_is_left(local, clock, tmp_path):
    """It knows deletes, undeletes and since when everything was known."""
    expected = knowledge(fill(local))
    local.flush()
    shutil.rmtree(local.path / "log")
    clock.tick(3600)
    new, unknown = rebuilt(local, tmp_path)
    pd.testing.assert_frame_equal(knowledge(new), expected)
    assert not any("headers" in line for line in unknown)


def test_a_splay_that_cannot_be_read_is_named(local, clock, tmp_path):
    """What the log knows of it stays, and reading it is an error, not a shorter answer."""
    fill(local)
    flip_time(local.path / "2019/11/02/A_0000.h5")
    flip(local.path / "log/0000000008.json")
    clock.tick(3600)
    new, unknown = rebuilt(local, tmp_path)
    assert any("2019/11/02/A_0000.h5" in line for line in unknown)
    with pytest.raises(errors.Corrupt, match="missing"):
        new.select("A")
    assert prices(new.select("A", end="2019-11-01")) == [0.0, 8.0]


def test_the_new_place_must_be_empty(local, tmp_path):
    """Nothing is mixed."""
    fill(local)
    (tmp_path / "NEW").mkdir()
    (tmp_path / "NEW/notes.txt").write_text("mine")
    with pytest.raises(errors.Conflict, match="not empty"):
        local.reindex(into=tmp_path / "NEW")


def test_the_ticks_of_an_undelete_whose_insert_is_lost_are_kept(local, clock, tmp_path):
    """The undelete names the file, and a copy of the new table has it too."""
    for symbol in ("X", "S"):
        local.insert(symbol, AT, bars(1.0))
    local.delete("S", AT)
    local.undelete("S", AT)
    (local.path / "log/0000000002.json").unlink()
    clock.tick(3600)
    new, _ = rebuilt(local, tmp_path)
    assert new.verify().empty
    assert prices(new.select("S")) == [1.0]
    new.copy(tmp_path / "COPY")
    assert prices(LocalTickstore(tmp_path / "COPY").select("S")) == [1.0]


@pytest.mark.parametrize("told_by", ["entry", "checkpoint"])
def test_a_splay_that_repair_retired_is_left_out(local, clock, tmp_path, told_by):
    """Nobody committed it, though its file is there again."""
    local.insert("A", at(0), bars(0.0))
    local.insert("A", at(1), bars(1.0, start="2019-11-01"))
    orphan = local.path / "2019/10/31/A_0007.h5"
    shutil.copy(local.path / "2019/10/31/A_0000.h5", orphan)
    local.verify(repair=True)
    shutil.copy(local.path / "2019/10/31/A_0000.h5", orphan)
    if told_by == "checkpoint":
        local.flush()
        (local.path / "log/0000000003.json").unlink()
    (local.path / "log/0000000002.json").unlink()
    clock.tick(3600)
    new, unknown = rebuilt(local, tmp_path)
    assert new.index.index.get_level_values("version").tolist() == [0, 0]
    assert prices(new.select("A")) == [0.0, 1.0]
    assert any("why 1 splays were never committed" in line for line in unknown)


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_whole_log_and_a_splay_that_is_lost(local, clock, tmp_path, damage):
    """All else is copied, all commits stay, and one more lists what is gone."""
    fill(local)
    shutil.copy(local.path / "2019/10/31/A_0000.h5", local.path / "2019/10/31/A_0009.h5")
    expected, lost = local.index, local.path / "2019/11/02/A_0000.h5"
    flip_time(lost) if damage == "flipped" else lost.unlink()
    clock.tick(3600)
    new, unknown = rebuilt(local, tmp_path)
    (line,) = unknown
    assert line.startswith("the ticks of 2019/11/02/A_0000.h5: ")
    pd.testing.assert_frame_equal(new.index, expected)
    assert new.log()["token"].tolist()[:-1] == local.log()["token"].tolist()
    assert new.log()["message"].iloc[-1] == f"reconstructed: splays were damaged at {local.token}"
    with pytest.raises(errors.Corrupt, match="missing"):
        new.select("A")
    assert prices(new.select("A", end="2019-11-01")) == [0.0, 8.0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no disk")])
def test_what_was_interrupted_leaves_nothing(local, tmp_path, error):
    """No half table that looks sound."""
    fill(local)

    def stop(done, _):
        if done == 3:
            raise error

    with pytest.raises((KeyboardInterrupt, OSError)):
        local.reindex(into=tmp_path / "NEW", progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["TABLE"]


def test_what_was_killed_is_no_table_and_is_named(local, tmp_path):
    """Until it is whole it has another name; what is left of it is refused, not mixed in."""
    fill(local)
    seen = []
    unfinished = tmp_path / "NEW.unfinished"
    local.reindex(
        into=tmp_path / "NEW",
        progress=lambda *_: seen.append((unfinished.exists(), (tmp_path / "NEW").exists())),
    )
    assert set(seen) == {(True, False)}
    assert not unfinished.exists()
    shutil.rmtree(tmp_path / "NEW")
    (unfinished / "log").mkdir(parents=True)
    with pytest.raises(errors.Conflict, match=f"{unfinished} is there: .* remove it and try again"):
        local.reindex(into=tmp_path / "NEW")
    assert not (tmp_path / "NEW").exists()
    unfinished.joinpath("log").rmdir()
    unfinished.rmdir()
    assert local.reindex(into=tmp_path / "NEW") == ()


def test_an_empty_folder_is_a_place(local, tmp_path):
    """Also behind a link; one of empty folders is none."""
    fill(local)
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "LINK").symlink_to("EMPTY")
    local.reindex(into=tmp_path / "LINK")
    assert LocalTickstore(tmp_path / "EMPTY").token == local.token
    (tmp_path / "NEW/folder").mkdir(parents=True)
    with pytest.raises(errors.Conflict, match="not empty"):
        local.reindex(into=tmp_path / "NEW")
