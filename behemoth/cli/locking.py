"""One download at a time from one exchange into one database; the second one waits or says so.

The lock is the operating system's own, so it ends with its process, however that ends. What is
locked against is a second program that would double the rate and ask everything twice: the table
itself needs no lock. Beside it lies a note of who holds it, which is read only while somebody does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock, Timeout

from behemoth.errors import Conflict, EnvironmentFailed

NAMED = 3
"""Symbols that are named at most."""


@contextmanager
def alone(
    db: Path, source: str, what: str, *, wait: bool, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Hold the lock of a database and a source within this block.

    Parameters
    ----------
    db
        The database's folder; made if it is not there.
    source
        Who is asked.
    what
        What for, as `doing` gives it; others are told while the lock is held.
    wait
        Wait until the other one has ended, however long.
    on_wait
        Called with who is waited for.

    Raises
    ------
    Conflict
        When another one runs, and nobody waits; says which, what it does, and since when.
    EnvironmentFailed
        When the folder cannot be locked.
    """
    name = f".download-{blake2b(source.encode(), digest_size=6).hexdigest()}"
    path, note = db / f"{name}.lock", db / f"{name}.json"
    try:
        db.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            who = f"another download from {source} into {db} is running{_holder(note)}"
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
        _sign(note, what)
        yield
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def doing(verb: str, symbols: Sequence[str]) -> str:
    """Give what a command does in a few words.

    Examples
    --------
    >>> doing("download", ["BTC-USD", "ETH-USD", "LTC-USD", "XRP-USD", "ETC-USD"])
    'download BTC-USD ETH-USD LTC-USD and 2 more'
    """
    more = f" and {len(symbols) - NAMED:,} more" if len(symbols) > NAMED else ""
    return f"{verb} {' '.join(symbols[:NAMED])}{more}"


def _sign(note: Path, what: str) -> None:
    """Leave a note of who holds the lock, which is good only while it is held."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    fresh = note.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # it is a courtesy
        fresh.write_text(json.dumps({"pid": os.getpid(), "since": since, "doing": what}))
        fresh.replace(note)


def _holder(note: Path) -> str:
    """Say who holds the lock; nothing if the note is of one that was killed, before this one."""
    try:
        signature = json.loads(note.read_text())
        pid = int(signature["pid"])
        told = f" (pid {pid}, since {signature['since']}: {signature['doing']})"
        return told if _lives(pid) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _lives(pid: int) -> bool:
    """Say whether there is such a process."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:  # it is another user's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
