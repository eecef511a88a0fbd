"""Object stores that fail at a chosen call, in a chosen way, or give back other bytes."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from behemoth.errors import EnvironmentFailed
from behemoth.stores import MemoryStore, ObjectStore

T = TypeVar("T")

BEFORE = ("ENOSPC", "EIO", "EACCES")
"""The disk refuses before anything has happened."""
TORN = "torn"
"""A call that works on several bytes or objects did half of it; any other did nothing."""
LOST = "lost"
"""The call has done all of it, and its answer does not arrive."""
KINDS = (*BEFORE, TORN, LOST)
FOR_GOOD = 10**9


@dataclass(frozen=True)
class Fault:
    """Which call fails, the first is 1, how, and how many calls in a row do."""

    at: int
    kind: str
    calls: int = 1


class FaultyStore(ObjectStore):
    """Passes every call on to another store, but for those that fail.

    Attributes
    ----------
    fault
        What to do; ``None`` to let everything pass.
    asked
        What was called since `arm`.
    """

    def __init__(self, inner: ObjectStore, fault: Fault | None = None) -> None:
        self.inner = inner
        self.arm(fault)

    def arm(self, fault: Fault | None = None) -> None:
        """Count from here."""
        self.fault = fault
        self.asked: list[str] = []
        self._has_torn = False

    @property
    def has_failed(self) -> bool:
        """Whether the call that fails was reached."""
        return self.fault is not None and len(self.asked) >= self.fault.at

    @property
    def tore_nothing(self) -> bool:
        """Whether a torn call had nothing to tear, so that it merely refused."""
        torn = self.fault is not None and self.fault.kind == TORN
        return torn and self.has_failed and not self._has_torn

    def _call(
        self, what: str, whole: Callable[[], T], half: Callable[[], object] | None = None
    ) -> T:
        self.asked.append(what)
        fault, number = self.fault, len(self.asked)
        if fault is None or not fault.at <= number < fault.at + fault.calls:
            return whole()
        with suppress(FileExistsError, FileNotFoundError):
            if fault.kind == LOST:
                whole()
            elif fault.kind == TORN and half is not None:
                self._has_torn = True
                half()
        error = f"cannot {what}: {fault.kind} at call {number}"
        raise EnvironmentFailed(error) from OSError(getattr(errno, fault.kind, errno.EIO), error)

    @property
    def name(self) -> str:
        return self.inner.name

    def where(self, key: str) -> str:
        return self.inner.where(key)

    def stage(self, data: bytes) -> str:
        return self._call(
            "stage",
            lambda: self.inner.stage(data),
            lambda: self.inner.stage(data[: len(data) // 2]),
        )

    def publish(self, staged: str, key: str) -> None:
        self._call(f"publish {key}", lambda: self.inner.publish(staged, key))

    def sync(self, keys: Iterable[str]) -> None:
        all_keys = list(keys)
        self._call(
            f"sync {' '.join(all_keys)}",
            lambda: self.inner.sync(all_keys),
            lambda: self.inner.sync(all_keys[: len(all_keys) // 2]),
        )

    def get(self, key: str) -> bytes:
        return self._call(f"get {key}", lambda: self.inner.get(key))

    def exists(self, key: str) -> bool:
        return self._call(f"exists {key}", lambda: self.inner.exists(key))

    def keys(self, prefix: str) -> list[str]:
        return self._call(f"keys {prefix}", lambda: self.inner.keys(prefix))

    def remove(self, key: str) -> None:
        self._call(f"remove {key}", lambda: self.inner.remove(key))

    def destroy(self, prefixes: Sequence[str]) -> None:
        self._call(
            "destroy",
            lambda: self.inner.destroy(prefixes),
            lambda: self.inner.destroy(prefixes[: len(prefixes) // 2]),
        )


class DamagedStore(MemoryStore):
    """Gives other bytes for one key than it was given."""

    damaged: tuple[str, bytes] = "", b""

    def get(self, key: str) -> bytes:
        """Give what is left of an object."""
        return self.damaged[1] if key == self.damaged[0] else super().get(key)


def in_memory(store: ObjectStore) -> MemoryStore:
    """Copy a store into memory."""
    copy = MemoryStore()
    for key in store.keys(""):
        copy.put(key, store.get(key))
    return copy
