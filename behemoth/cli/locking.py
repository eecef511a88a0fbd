"""One download at a time from one exchange into one database; the second one waits or says so.

The lock is the operating system's own, so it ends with its process, however that ends. What is
locked against is a second program that would double the rate and ask everything twice: the table
itself needs no lock.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock, Timeout

from behemoth.errors import Conflict, EnvironmentFailed


@contextmanager
def alone(db: Path, source: str, *, wait: bool, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a database and a source within this block.

    Parameters
    ----------
    db
        The database's folder; made if it is not there.
    source
        Who is asked.
    wait
        Wait until the other one has ended, however long.
    on_wait
        Called with who is waited for.

    Raises
    ------
    Conflict
        When another one runs, and nobody waits; says which, and since when.
    EnvironmentFailed
        When the folder cannot be locked.
    """
    name = f".download-{blake2b(source.encode(), digest_size=6).hexdigest()}"
    path = db / f"{name}.lock"
    try:
        db.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            who = f"another download from {source} into {db} is running{_holder(path)}"
            if not wait:
                raise Conflict(
                    f"{who}; let it end, or wait for it with --wait", symbol=None
                ) from None
            on_wait(f"{who}; waiting for it")
            lock.acquire(timeout=-1)
    except OSError as error:
        raise EnvironmentFailed(
            f"{path} cannot be locked: {error.strerror or error}; choose a folder of your own, on "
            "a disk that knows locks, with --db"
        ) from error
    try:
        _sign(path)
        yield
    finally:
        lock.release()


def _sign(path: Path) -> None:
    """Leave a note of who holds the lock, which is good only while it is held."""
    signature = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    note = path.with_suffix(".json")
    fresh = note.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # it is a courtesy
        fresh.write_text(json.dumps(signature))
        fresh.replace(note)


def _holder(path: Path) -> str:
    try:
        signature = json.loads(path.with_suffix(".json").read_text())
        return f" (pid {int(signature['pid'])}, since {signature['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
