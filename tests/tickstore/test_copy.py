"""A copy is the table at a token, checked on the way, and can go on from where it is."""

from __future__ import annotations

import pandas as pd
import pytest

from behemoth import LocalTickstore, MemoryTickstore, errors
from behemoth.stores import LocalStore
from tests.tickstore.test_verbs import AT, bars, prices
from tests.tickstore.test_verify import at, fill, flip_time, overwrite


def assert_same(first, second):
    """Two tables give the same answers."""
    assert first.token == second.token
    pd.testing.assert_frame_equal(first.index, second.index)
    pd.testing.assert_frame_equal(first.log(), second.log())
    for symbol in first.symbols():
        for time in first.index["start_time"]:
            frames = [store.select(symbol, as_of_time=time) for store in (first, second)]
            pd.testing.assert_frame_equal(*frames)


def test_a_copy_gives_the_same_answers(store, tmp_path):
    """Every revision, every commit, the same token; it is sound, and opens from a checkpoint."""
    fill(store)
    assert store.copy(tmp_path / "COPY") == store.token
    copy = LocalTickstore(tmp_path / "COPY", mode="r")
    assert_same(copy, store)
    assert copy.verify().empty
    assert (tmp_path / f"COPY/index/{store.token}.json").is_file()


def test_a_copy_at_a_token_is_the_table_as_it_was(local, tmp_path):
    """Later commits are not in it; copying again follows what came since."""
    fill(local)
    token = local.token
    local.insert("A", AT, bars(55.0))
    told = []
    local.copy(tmp_path / "COPY", at=token, progress=lambda *step: told.append(step))
    copy = LocalTickstore(tmp_path / "COPY")
    assert (copy.token, told[-1]) == (token, (8, 8))
    assert prices(copy.select("A", end="2019-10-31")) == [0.0]
    local.copy(tmp_path / "COPY")
    assert_same(copy, local)


def test_a_copy_that_was_interrupted_goes_on(local, tmp_path):
    """What is there already stays, half a commit too."""
    fill(local)

    def stop(done, _):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.copy(tmp_path / "COPY", progress=stop)
    assert LocalTickstore(tmp_path / "COPY").log().index.tolist() == [1, 2, 3]
    (tmp_path / "COPY/2019/11/03").mkdir(parents=True)
    name = "2019/11/03/A_0000.h5"
    (tmp_path / "COPY" / name).write_bytes((local.path / name).read_bytes())
    local.copy(tmp_path / "COPY")
    assert_same(LocalTickstore(tmp_path / "COPY"), local)


def test_a_copy_never_mixes_with_something_else(local, tmp_path):
    """Another table, another branch, a later state, other bytes under the same name."""
    fill(local)
    other = LocalTickstore(tmp_path / "OTHER")
    other.insert("A", AT, bars(1.0))
    with pytest.raises(errors.Conflict, match="no earlier state"):
        local.copy(tmp_path / "OTHER")
    local.copy(tmp_path / "LATER")
    with pytest.raises(errors.Conflict, match="no earlier state"):
        local.copy(tmp_path / "LATER", at=local.log()["token"].iloc[0])
    (tmp_path / "COPY/2019/10/31").mkdir(parents=True)
    (tmp_path / "COPY/2019/10/31/A_0000.h5").write_bytes(b"other")
    with pytest.raises(errors.Conflict, match="other content"):
        local.copy(tmp_path / "COPY")


def test_a_token_of_another_branch_is_refused(local, tmp_path):
    """A copied table that was written on is another one from there on."""
    fill(local)
    local.copy(tmp_path / "COPY")
    branch = LocalTickstore(tmp_path / "COPY")
    branch.insert("A", AT, bars(1.0))
    local.insert("A", AT, bars(2.0))
    with pytest.raises(errors.NotFound, match="another branch"):
        local.copy(tmp_path / "X", at=branch.token)
    with pytest.raises(errors.NotFound, match="commits so far"):
        local.copy(tmp_path / "X", at="99-00000000")
    for wrong in ("57", "latest", "1-0000000g"):
        with pytest.raises(errors.NotFound, match=r"no tag .*a token like"):
            local.copy(tmp_path / "X", at=wrong)
    for wrong in (3, "2019-10-31", None.__class__):
        with pytest.raises(errors.BadRequest, match="by a token like"):
            local.copy(tmp_path / "X", at=wrong)
    assert not (tmp_path / "X").exists()


def test_a_damaged_splay_stops_a_copy_and_is_named(local, tmp_path):
    """Damage is not handed on; the commits before it are copied."""
    fill(local)
    flip_time(local.path / "2019/11/01/A_0000.h5")
    with pytest.raises(
        errors.Corrupt, match=r"A_0000.*reindex\(into=...\) makes a new table of all"
    ):
        local.copy(tmp_path / "COPY")
    assert LocalTickstore(tmp_path / "COPY").log().index.tolist() == [1]


def test_an_empty_table_has_an_empty_copy(tmp_path):
    """Nothing to copy, nothing made."""
    MemoryTickstore().copy(tmp_path / "COPY")
    assert not (tmp_path / "COPY").exists()


def test_a_table_in_memory_can_be_kept(tmp_path):
    """What was tried out can be saved."""
    memory = MemoryTickstore()
    memory.insert("A", at(0), bars(1.0))
    memory.copy(tmp_path / "KEPT")
    assert prices(LocalTickstore(tmp_path / "KEPT").select("A")) == [1.0]


@pytest.mark.parametrize("name", ["notes.txt", "tmp/notes.txt", "2019/10/31/B_0000.h5"])
def test_a_copy_goes_into_no_folder_of_somebody_else(local, tmp_path, name):
    """Neither empty nor a table: nothing is written."""
    fill(local)
    theirs = tmp_path / "THEIRS" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    with pytest.raises(errors.Conflict, match=f"neither empty nor a table: .*{name}"):
        local.copy(tmp_path / "THEIRS")
    assert [path for path in (tmp_path / "THEIRS").rglob("*") if path.is_file()] == [theirs]


def test_a_copy_that_was_killed_before_its_first_commit_goes_on(local, tmp_path):
    """Splays of that commit and staged bytes are its own."""
    fill(local)
    name = "2019/10/31/A_0000.h5"
    LocalStore(tmp_path / "COPY").put(name, (local.path / name).read_bytes())
    LocalStore(tmp_path / "COPY").stage(b"half")
    local.copy(tmp_path / "COPY")
    assert_same(LocalTickstore(tmp_path / "COPY"), local)


@pytest.mark.parametrize("verb", ["copy", "reindex"])
@pytest.mark.parametrize("where", [".", "sub/COPY", "index", "..", "../LINK/COPY"])
def test_no_table_goes_into_another(local, tmp_path, verb, where):
    """Nor around it, whatever the path is called."""
    fill(local)
    (tmp_path / "LINK").symlink_to(local.path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(errors.BadRequest, match="one inside the other"):
        getattr(local, verb)(local.path / where)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("verb", ["copy", "reindex"])
@pytest.mark.parametrize("destination", ["", 3, b"COPY", "CO\0PY", "CO\ud800PY"])
def test_a_destination_is_a_path(local, verb, destination):
    """One clear line, and nothing is written."""
    fill(local)
    with pytest.raises(errors.BadRequest, match=r"a table is in a folder, not in [^\n]*\Z"):
        getattr(local, verb)(destination)


def test_copying_again_brings_back_what_the_copy_lost(local, tmp_path):
    """Each splay of the earlier commits is looked for."""
    fill(local)
    local.copy(tmp_path / "COPY")
    for name in ("2019/10/31/A_0000.h5", "2019/11/02/A_0000.h5"):
        (tmp_path / "COPY" / name).unlink()
    local.copy(tmp_path / "COPY")
    copy = LocalTickstore(tmp_path / "COPY")
    assert copy.verify().empty
    assert_same(copy, local)


def test_copying_again_names_a_splay_of_another_size(local, tmp_path):
    """It is not overwritten: remove it, and it is copied anew."""
    fill(local)
    local.copy(tmp_path / "COPY")
    cut = tmp_path / "COPY/2019/11/02/A_0000.h5"
    overwrite(cut, cut.read_bytes()[:-1])
    with pytest.raises(errors.Corrupt, match=f"{cut} has .*: remove it and copy again"):
        local.copy(tmp_path / "COPY")
    cut.unlink()
    local.copy(tmp_path / "COPY")
    assert LocalTickstore(tmp_path / "COPY").verify().empty
