"""The object store in memory: the contract without a disk, for tests and for playing.

What does not live here: durability. The objects go when the store goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

from behemoth.stores.base import ObjectStore, check_key, staging_key


class MemoryStore(ObjectStore):
    """Objects in a dictionary, shared by threads.

    Parameters
    ----------
    name
        What messages call this store.

    Examples
    --------
    >>> store = MemoryStore()
    >>> store.put("log/0000000001.json", b"{}")
    >>> store.keys("log/")
    ['log/0000000001.json']
    """

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._objects: dict[str, bytes] = {}
        self._lock = Lock()

    @property
    def name(self) -> str:
        """What messages call this store."""
        return self._name

    def where(self, key: str) -> str:
        """Say what messages call the object of this key."""
        return f"{self._name}:{check_key(key)}"

    def stage(self, data: bytes) -> str:
        """Keep the bytes under a new key in ``tmp/``."""
        staged = staging_key()
        with self._lock:
            self._objects[staged] = bytes(data)
        return staged

    def publish(self, staged: str, key: str) -> None:
        """Give staged bytes a name; ``FileExistsError`` when it is taken."""
        with self._lock:
            if check_key(key) in self._objects:
                raise FileExistsError(self.where(key))
            if staged not in self._objects:
                raise FileNotFoundError(self.where(staged))
            self._objects[key] = self._objects[staged]

    def sync(self, keys: Iterable[str]) -> None:
        """Check the keys; memory has nothing more durable to offer."""
        for key in keys:
            check_key(key)

    def get(self, key: str) -> bytes:
        """Give the bytes of a key; ``FileNotFoundError`` when there is no such object."""
        with self._lock:
            if check_key(key) not in self._objects:
                raise FileNotFoundError(self.where(key))
            return self._objects[key]

    def exists(self, key: str) -> bool:
        """Say whether the key holds an object."""
        return check_key(key) in self._objects

    def keys(self, prefix: str) -> list[str]:
        """List all keys under a folder, sorted."""
        folder = check_key(prefix.removesuffix("/")) + "/" if prefix else ""
        with self._lock:
            return sorted(key for key in self._objects if key.startswith(folder))

    def tops(self) -> list[str]:
        """List the first segments of all keys."""
        with self._lock:
            return sorted({key.split("/")[0] for key in self._objects})

    def remove(self, key: str) -> None:
        """Remove one object; a missing one is fine."""
        with self._lock:
            self._objects.pop(check_key(key), None)

    def destroy(self, prefixes: Sequence[str]) -> None:
        """Remove all under these top-level names, in this order."""
        for prefix in prefixes:
            for key in self.keys(prefix):
                self.remove(key)
