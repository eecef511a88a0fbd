"""The bytes of an object as a sequence, fetched where they are asked for."""

from __future__ import annotations

from behemoth.stores.base import ObjectStore


class Ranges:
    """An object of which not all bytes are wanted; its beginning is fetched at once, and kept.

    Parameters
    ----------
    store, key
        Which object.
    beginning
        How many bytes of it are kept.
    """

    def __init__(self, store: ObjectStore, key: str, beginning: int) -> None:
        self._store, self._key = store, key
        self._size = store.size(key)
        self._head = memoryview(store.get_range(key, 0, beginning))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> memoryview:
        start, end, _ = part.indices(self._size)
        if end <= len(self._head):
            return self._head[start:end]
        return memoryview(self._store.get_range(self._key, start, max(0, end - start)))
