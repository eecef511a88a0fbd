import errno
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from behemoth.errors import EnvironmentFailed
from behemoth.stores import LocalStore
from behemoth.stores.at_once import MANY
from tests.stores.contract import KEY, StoreContract


class TestLocalStore(StoreContract):
    """A local folder keeps the contract."""

    @pytest.fixture
    def root(self, tmp_path):
        """Give a folder that does not exist, in one that does not exist either."""
        return tmp_path / "db" / "TABLE"

    @pytest.fixture
    def store(self, root):
        """Give an empty store."""
        return LocalStore(root)

    def test_reading_writes_nothing(self, store, root):
        """Opening and reading make no folder."""
        assert store.keys("") == []
        assert not store.exists(KEY)
        assert not root.parent.exists()

    def test_files_are_read_only(self, store, root):
        """An object is a read-only file at its key."""
        store.put(KEY, b"ticks")
        assert stat.S_IMODE((root / KEY).stat().st_mode) == 0o444
        assert (root / KEY).read_bytes() == b"ticks"

    def test_leftovers_are_harmless(self, store, root):
        """What a crash left in tmp hinders nobody, and a new store reads and writes on."""
        store.stage(b"left")
        (root / "tmp" / "half").write_bytes(b"")
        LocalStore(root).put(KEY, b"ticks")
        assert LocalStore(root).get(KEY) == b"ticks"

    def test_a_working_directory_may_change(self, tmp_path, monkeypatch):
        """A relative root stays where it was when the store was opened."""
        monkeypatch.chdir(tmp_path)
        store = LocalStore(Path("db"))
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.put(KEY, b"ticks")
        assert (tmp_path / "db" / KEY).is_file()

    def test_sync_in_another_process_than_publish(self, store, root):
        """Names can be made durable by a store that did not make their folders."""
        store.publish(store.stage(b"ticks"), KEY)
        LocalStore(root).sync([KEY])

    def test_destroy_removes_the_root(self, store, root):
        """When nothing else is in the root, it goes too, and its parent stays."""
        store.put(KEY, b"ticks")
        store.destroy(["2019", "tmp", "log"])
        assert list(root.parent.iterdir()) == []

    @pytest.mark.parametrize("blocked", ["2019", "2019/10/31", "tmp"])
    def test_a_file_where_a_folder_should_be(self, store, root, blocked):
        """A file in the way is an error that names the path and says what to do."""
        (root / blocked).parent.mkdir(parents=True)
        (root / blocked).write_text("in the way")
        with pytest.raises(EnvironmentFailed, match=rf"{root}/{blocked}.*a file stands where"):
            store.put(KEY, b"ticks")

    def test_a_file_as_root(self, store, root):
        """A file as root is refused by reads, rather than taken for an empty store."""
        root.parent.mkdir()
        root.write_text("no folder")
        for ask in (store.get, store.exists, store.remove):
            with pytest.raises(EnvironmentFailed, match="a file stands where a folder should be"):
                ask(KEY)
        with pytest.raises(EnvironmentFailed, match="a file stands where a folder should be"):
            store.keys("")

    @pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
    def test_a_place_that_cannot_be_made(self):
        """A folder that cannot be made is one clear line."""
        store = LocalStore(Path("/proc/no-such-database"))
        with pytest.raises(EnvironmentFailed, match=r"cannot write /proc/no-such[^\n]*another"):
            store.put(KEY, b"ticks")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_permission_denied(self, store, root):
        """A folder without permission is one clear line."""
        root.mkdir(parents=True)
        root.chmod(0o555)
        with pytest.raises(EnvironmentFailed, match="permission denied"):
            store.put(KEY, b"ticks")

    def test_no_hard_links(self, store, monkeypatch):
        """A file system without hard links is refused with where to go instead."""

        def refuse(*_):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(EnvironmentFailed, match="no hard links: put the database on one"):
            store.put(KEY, b"ticks")
        assert store.keys("") == []

    def test_no_space_left(self, store, monkeypatch):
        """A full disk is one clear line, and no half file stays behind."""

        def refuse(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(EnvironmentFailed, match="no space is left"):
            store.stage(b"ticks")
        assert store.keys("") == []

    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS flushes by fcntl")
    @pytest.mark.parametrize("count", [3, 2 * MANY])
    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
    def test_where_one_of_many_fails_none_stays_staged(self, store, monkeypatch, count, error):
        """The error is that of a single one, and no thread is still writing."""
        flush = os.fsync

        def refuse(descriptor):
            flush(descriptor)
            if os.fstat(descriptor).st_size == 2:
                raise error

        monkeypatch.setattr(os, "fsync", refuse)
        expected = EnvironmentFailed if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected) as caught:
            store.stage_all([bytes(number) for number in range(count)])
        assert expected is KeyboardInterrupt or "no space is left" in str(caught.value)
        assert store.keys("tmp/") == []
        assert not [each for each in threading.enumerate() if each.name.startswith("files")]

    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS flushes by fcntl")
    def test_sync_flushes_each_of_many_folders(self, store, root, monkeypatch):
        """When it returns all are flushed; and again when one could not be."""
        flush, flushed, broken = os.fsync, [], []

        def note(descriptor):
            flush(descriptor)
            flushed.append(os.fstat(descriptor).st_ino)
            if flushed[-1] in broken:
                raise OSError(errno.EIO, "broken")

        keys = [f"{year}/{month}/x" for year in range(2015, 2020) for month in range(1, 13)]
        staged = store.stage(b"ticks")
        for key in keys:
            store.publish(staged, key)
        folders = {root.parents[1], *(up for key in keys for up in (root / key).parents)}
        expected = {each.stat().st_ino for each in folders if each.is_relative_to(root.parents[1])}
        monkeypatch.setattr(os, "fsync", note)

        broken.append((root / "2017/5").stat().st_ino)
        with pytest.raises(EnvironmentFailed, match=r"cannot flush .*2017/5: broken"):
            store.sync(keys)
        broken.clear()
        flushed.clear()
        store.sync(keys)
        assert sorted(flushed) == sorted(expected)

    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS flushes by fcntl")
    def test_sync_flushes_every_new_folder(self, store, root, monkeypatch):
        """The first sync flushes each new folder and its parent, a later one what it changed."""
        flushed = []
        monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(os.fstat(fd).st_ino))
        other = KEY.replace("0000", "0001")
        staged = store.stage(b"ticks")
        for key in (KEY, other):
            store.publish(staged, key)

        flushed.clear()
        store.sync([KEY, other])
        folders = [(root / KEY).parents[up] for up in range(6)]
        assert folders[-1] == root.parents[1]
        assert flushed == [folder.stat().st_ino for folder in folders]

        flushed.clear()
        store.sync([other])
        assert flushed == [folders[0].stat().st_ino]

    @pytest.mark.parametrize("linked", ["2019", "2019/10", "log"])
    def test_folders_behind_links_are_listed(self, store, root, tmp_path, linked):
        """What a link to a folder leads to can be got, so it is listed too."""
        keys = [KEY, "log/1"]
        for key in keys:
            store.put(key, b"ticks")
        (root / linked).rename(tmp_path / "elsewhere")
        (root / linked).symlink_to(tmp_path / "elsewhere")
        assert store.keys("") == keys
        assert [*store.keys("2019/"), *store.keys("log/")] == keys
        assert [store.get(key) for key in store.keys("")] == [b"ticks"] * 2

    def test_links_that_lead_back_are_not_followed(self, store, root, tmp_path):
        """To a folder they are in, to themselves, or in a circle of two."""
        store.put(KEY, b"ticks")
        (root / "2019/self").symlink_to("self")
        (root / "2019/10/up").symlink_to(root / "2019")
        (tmp_path / "other").mkdir()
        (root / "there").symlink_to(tmp_path / "other")
        (tmp_path / "other/back").symlink_to(root)
        (tmp_path / "other/note").write_text("")
        assert store.keys("") == [KEY, "2019/self", "there/note"]

    @pytest.mark.parametrize("linked", ["2019", "2019/10", "log", KEY])
    def test_destroy_refuses_links(self, store, root, tmp_path, linked):
        """What they lead to would stay, so nothing is removed, and the link is named."""
        for key in (KEY, "log/1"):
            store.put(key, b"ticks")
        (root / linked).rename(tmp_path / "elsewhere")
        (root / linked).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(EnvironmentFailed, match=f"{root / linked} is a symbolic link"):
            store.destroy(["tmp", "2019"])
        assert [store.get(key) for key in (KEY, "log/1")] == [b"ticks"] * 2
