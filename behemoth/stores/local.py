"""The object store on a local disk: one read-only file for each object, named by hard links.

A hard link is the exclusive, atomic create that a commit needs; a file system without them is
refused with an error that says so. What does not live here: what any folder or file means.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from behemoth.errors import EnvironmentFailed
from behemoth.stores.at_once import MANY, at_once
from behemoth.stores.base import ObjectStore, check_key, staging_key

_REASONS = {
    errno.ENOSPC: "no space is left there: free some and try again",
    errno.EDQUOT: "the disk quota is used up: free some space and try again",
    errno.EACCES: "permission denied: have it granted, or use another database folder",
    errno.EPERM: "permission denied: have it granted, or use another database folder",
    errno.EROFS: "the file system is read-only: mount it writable, or put the database elsewhere",
    errno.ENOTDIR: "a file stands where a folder should be: move it, or use another folder",
    errno.ENOENT: "it is not there and cannot be made: check the path, or use another folder",
    errno.ENAMETOOLONG: "the path is too long: use a database folder with a shorter one",
}
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
_KEPT = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR}


def _fail(verb: str, path: str | Path, error: OSError) -> NoReturn:
    number = error.errno or 0
    if verb == "link" and number in _NO_HARD_LINKS:
        reason = "its file system has no hard links: put the database on one that has"
    else:
        reason = _REASONS.get(number) or f"{error.strerror or error}: mend that and try again"
    raise EnvironmentFailed(f"cannot {verb} {path}: {reason}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


@contextmanager
def _doing(verb: str, path: str | Path, *passing: type[OSError]) -> Iterator[None]:
    """Turn what the operating system refuses into one clear line; `passing` errors pass."""
    told: tuple[type[OSError], ...] = (EnvironmentFailed, *passing)
    try:
        yield
    except told:
        raise
    except OSError as error:
        _fail(verb, path, error)


def _flush(descriptor: int) -> None:
    """Bring what was written to the medium, through the drive's own cache too."""
    if sys.platform == "darwin":  # fsync stops at the drive's cache there
        import fcntl

        with suppress(OSError):  # a network file system may not know it: fsync then
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


class LocalStore(ObjectStore):
    """Objects as read-only files below one folder.

    Parameters
    ----------
    root
        The folder. It need not exist: it is made by the first write, never by a read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._prefix = f"{self._root}/".replace("//", "/")
        self._made: set[Path] = set()  # by this process, so their parents changed
        self._durable: set[Path] = set()  # their entry in the parent has been flushed

    @property
    def name(self) -> str:
        """The root folder's full path."""
        return str(self._root)

    def where(self, key: str) -> str:
        """Give the full path of a key."""
        return self._prefix + check_key(key)

    def stage(self, data: bytes) -> str:
        """Write the bytes to a new read-only file in ``tmp/`` and flush it to the medium."""
        staged = staging_key()
        self._write(staged, data)
        return staged

    def stage_all(self, data: Sequence[bytes]) -> list[str]:
        """Stage many files, a few at a time; where one fails, none stays staged."""
        if len(data) < MANY:
            return super().stage_all(data)
        staged = [staging_key() for _ in data]
        try:
            at_once(lambda pair: self._write(*pair), list(zip(staged, data, strict=True)))
        except BaseException:
            self._discard_all(staged)
            raise
        return staged

    def _write(self, key: str, data: bytes) -> None:
        path = Path(self.where(key))
        with _doing("write", path):
            self._make_folder(path.parent)
            try:
                with path.open("xb") as file:
                    file.write(data)
                    file.flush()
                    # A courtesy only: FAT and some shares refuse, and repair may have tidied up.
                    with suppress(PermissionError, FileNotFoundError):
                        path.chmod(0o444)
                    _flush(file.fileno())
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise

    def publish(self, staged: str, key: str) -> None:
        """Link the staged file to its name; ``FileExistsError`` when that is taken."""
        source, target = self.where(staged), self.where(key)
        with _doing("make the folder of", target):
            self._make_folder(Path(target).parent)
        with _doing("link", target, FileExistsError, FileNotFoundError):
            os.link(source, target)

    def sync(self, keys: Iterable[str]) -> None:
        """Flush every folder that holds one of the names, and every folder new to this process."""
        changed: set[Path] = set()
        entered: set[Path] = set()
        for folder in {Path(self.where(key)).parent for key in keys}:
            changed.add(folder)
            # Another process may have made a folder and not flushed it yet, so within the root
            # all folders count as new until this process has flushed their parent once.
            while folder not in self._durable | entered and (
                folder.is_relative_to(self._root) or folder in self._made
            ):
                entered.add(folder)
                folder = folder.parent
                changed.add(folder)
        at_once(self._flush_folder, sorted(changed, reverse=True))
        self._durable |= entered

    def _flush_folder(self, folder: Path) -> None:
        with _doing("flush", folder):
            try:
                _flush_folder(folder)
            except PermissionError:  # a parent of the root may be closed to reading
                if folder.is_relative_to(self._root):
                    raise

    def get(self, key: str) -> bytes:
        """Read one file whole; ``FileNotFoundError`` when there is no such object."""
        return self._read(key, 0, None)

    def size(self, key: str) -> int:
        """Give the size of a file; one stat."""
        path = self.where(key)
        with _doing("look for", path, FileNotFoundError):
            return os.stat(path).st_size  # noqa: PTH116 - one call, no Path

    def get_range(self, key: str, start: int, size: int) -> bytes:
        """Read a part of a file; one open, one read, one close."""
        return self._read(key, start, size)

    def _read(self, key: str, start: int, size: int | None) -> bytes:
        path = self.where(key)
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if size is None:  # one more than there is now: whatever it is, to its end
                    size = os.fstat(descriptor).st_size + 1
                if start:
                    os.lseek(descriptor, start, os.SEEK_SET)
                data = os.read(descriptor, size)
                while 0 < len(data) < size and (more := os.read(descriptor, size - len(data))):
                    data += more  # beyond the 2 GiB that one call gives
                return data
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            _fail("read", path, error)

    def exists(self, key: str) -> bool:
        """Say whether the key is a file; one stat."""
        path = self.where(key)
        with _doing("look for", path):
            try:
                return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - one call, no Path
            except FileNotFoundError:
                return False

    def keys(self, prefix: str) -> list[str]:
        """List all files below a folder, sorted; links to folders are followed, as by `get`."""
        top = self.where(prefix.removesuffix("/")) if prefix else str(self._root)
        return sorted(
            entry.path.removeprefix(self._prefix)
            for entry in self._walk(top)
            if not _is_folder(entry)
        )

    def tops(self) -> list[str]:
        """List what lies in the root."""
        with _doing("list", self._root), suppress(FileNotFoundError, NotADirectoryError):
            return sorted(entry.name for entry in os.scandir(self._root))
        return []

    def _walk(self, folder: str, links: bool = True) -> Iterator[os.DirEntry[str]]:
        """Give all that is below a folder; nothing for one that is not there."""
        with _doing("list", folder):
            try:
                with os.scandir(folder) as scan:
                    entries = list(scan)
            except FileNotFoundError:
                return
        for entry in entries:
            yield entry
            if _is_folder(entry) and not (
                entry.is_symlink() and (not links or self._leads_back(entry.path))
            ):
                yield from self._walk(entry.path, links)

    def _leads_back(self, link: str) -> bool:
        """Say whether a link leads to a folder that it is in."""
        above = [path for path in Path(link).parents if path.is_relative_to(self._root)]
        real = os.path.realpath(link)
        return any(os.path.realpath(path) == real for path in above)

    def remove(self, key: str) -> None:
        """Remove one file; a missing one is fine."""
        path = self.where(key)
        with _doing("remove", path), suppress(FileNotFoundError):
            Path(path).unlink()

    def destroy(self, prefixes: Sequence[str]) -> None:
        """Remove these folders in this order, then the root if nothing else is in it.

        Where anything is a symbolic link nothing is removed: what it leads to would stay.
        """
        for entry in self._walk(str(self._root), links=False):
            if entry.is_symlink():
                raise EnvironmentFailed(
                    f"cannot remove {self._root}: {entry.path} is a symbolic link, and what it "
                    "leads to would stay; take it away first"
                )
        self._made.clear()
        self._durable.clear()
        for path in map(self.where, prefixes):
            with _doing("remove", path), suppress(FileNotFoundError):
                shutil.rmtree(path)
        with _doing("remove", self._root):
            try:
                self._root.rmdir()
            except OSError as error:
                if error.errno not in _KEPT:
                    raise

    def is_empty(self) -> bool:
        """Say whether nothing is in the root folder, no empty folder either."""
        with _doing("list", self._root):
            try:
                return not os.listdir(self._root)  # noqa: PTH208 - one call, no Path
            except FileNotFoundError:
                return True

    def claim(self) -> None:
        """Make the root folder; ``FileExistsError`` when anything has its name."""
        with _doing("make", self._root, FileExistsError):
            self._make_folder(self._root.parent)
            self._root.mkdir()
        self._made.add(self._root)

    def rename(self, root: Path) -> None:
        """Give the root folder another name beside it, free or of an empty folder, durably."""
        with _doing("make", root):
            self._root.rename(root)
            _flush_folder(root.parent)

    def abandon(self) -> None:
        """Remove the root folder and all that is in it, as far as that goes."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and its ancestors, and remember which; a file in the way shows later."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
        self._made.add(folder)
        self._durable.discard(folder)
