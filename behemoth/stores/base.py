"""The contract of an object store: bytes under names that are made once and never changed.

What does not live here: any backend, any meaning of a key. Keys are relative posix paths such as
``2019/10/31/BTC-USD_0000.h5``; bytes reach a key in three steps, so that a crash leaves all of an
object or nothing of it:

1. `ObjectStore.stage` writes them, durably, where no reader looks;
2. `ObjectStore.publish` gives them their name, atomically, and fails if the name is taken;
3. `ObjectStore.sync` makes the name durable.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from uuid import uuid4

from behemoth.errors import EnvironmentFailed

TIDIED = 100
"""How often staged bytes may vanish before that is somebody's mistake."""


def check_key(key: str) -> str:
    """Give the key back if it names one place inside the store.

    Raises
    ------
    ValueError
        For an absolute key, an empty, ``.`` or ``..`` segment, or a NUL.
    """
    if "/." not in key and "//" not in key and key[:1] not in (".", "/", "") and key[-1] != "/":
        odd = False  # the common case: no segment can be odd
    else:
        odd = not {"", ".", ".."}.isdisjoint(key.split("/"))
    if odd or "\0" in key:
        raise ValueError(f"a key is a relative path of plain segments, not {key!r}")
    return key


def staging_key() -> str:
    """Draw a new name under ``tmp/``; it will not come twice."""
    return f"tmp/{uuid4().hex}"


class ObjectStore(ABC):
    """Bytes under names: exclusive to create, never overwritten, listed by folder.

    Every method raises `behemoth.errors.EnvironmentFailed` when the disk, the permissions or the
    network fail underneath, and ``ValueError`` for a key that would leave the store.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call this store."""

    @abstractmethod
    def where(self, key: str) -> str:
        """Say what messages call the object of this key: a full path where there is one."""

    @abstractmethod
    def stage(self, data: bytes) -> str:
        """Keep the bytes durably under a new key in ``tmp/``, and give that key as the handle."""

    def stage_all(self, data: Sequence[bytes]) -> list[str]:
        """Stage many objects, and give their handles; where one fails, none stays staged."""
        staged: list[str] = []
        try:
            for each in data:
                staged += [self.stage(each)]
        except BaseException:
            self._discard_all(staged)
            raise
        return staged

    def _discard_all(self, staged: Iterable[str]) -> None:
        """Forget staged bytes; left behind, they are harmless."""
        for each in staged:
            with suppress(EnvironmentFailed):
                self.discard(each)

    @abstractmethod
    def publish(self, staged: str, key: str) -> None:
        """Give staged bytes a name, exclusively and atomically; again for a second name.

        Raises
        ------
        FileExistsError
            When the key is taken. It is left as it is.
        FileNotFoundError
            When nothing is staged there, or not any more.
        """

    @abstractmethod
    def sync(self, keys: Iterable[str]) -> None:
        """Make published names durable: on return they survive a loss of power."""

    def discard(self, staged: str) -> None:
        """Forget staged bytes; names published from them stay. A missing handle is fine."""
        self.remove(staged)

    def publish_again(self, staged: str, data: bytes, key: str) -> str:
        """Publish; stage the bytes again where the handle has vanished, and give the valid one.

        Staged bytes may vanish at any moment: repair tidies ``tmp/`` without asking who is alive.

        Raises
        ------
        FileExistsError
            When the key is taken. It is left as it is.
        """
        for _ in range(TIDIED):
            try:
                self.publish(staged, key)
            except FileNotFoundError:
                staged = self.stage(data)
            else:
                return staged
        raise EnvironmentFailed(f"{self.where('tmp')} is emptied again and again: stop that")

    def put(self, key: str, data: bytes) -> None:
        """Stage, publish, sync and discard: on return the object is there to stay.

        Raises
        ------
        FileExistsError
            When the key is taken. It is left as it is.
        """
        staged = self.stage(data)
        try:
            staged = self.publish_again(staged, data, key)
            self.sync([key])
        finally:
            self.discard(staged)

    def move(self, key: str, other: str) -> str:
        """Give an object another name, or one with a number after it, and take the first away.

        Never overwrites; a crash on the way leaves both names. Gives the name that it got.

        Raises
        ------
        FileNotFoundError
            When there is no such object.
        """
        names = itertools.chain([other], (f"{other}.{n}" for n in itertools.count(1)))
        name = next(name for name in names if self._gets(key, name))
        self.sync([name])
        self.remove(key)
        return name

    def _gets(self, key: str, name: str) -> bool:
        try:
            self.publish(key, name)
        except FileExistsError:
            return False
        return True

    @abstractmethod
    def get(self, key: str) -> bytes:
        """Give the bytes of a key.

        Raises
        ------
        FileNotFoundError
            When there is no such object.
        """

    def size(self, key: str) -> int:
        """Give the number of bytes of a key; ``FileNotFoundError`` when it is not there."""
        return len(self.get(key))

    def get_range(self, key: str, start: int, size: int) -> bytes:
        """Give some bytes of a key, fewer where it ends; ``FileNotFoundError`` as for `get`."""
        return self.get(key)[start : start + size]

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Say whether the key holds an object."""

    @abstractmethod
    def keys(self, prefix: str) -> list[str]:
        """List all keys under a folder such as ``index/``, sorted; ``""`` lists everything."""

    def tops(self) -> list[str]:
        """List the first segments of all keys, sorted."""
        return sorted({key.split("/")[0] for key in self.keys("")})

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove one object; a missing one is fine."""

    @abstractmethod
    def destroy(self, prefixes: Sequence[str]) -> None:
        """Remove all under these top-level names, in this order, then the root if it is empty."""
