"""`torture`: a table of its own in a fresh folder, a crew on it, and the comparison at the end."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from behemoth.bitemporal import BiTimestamp
from behemoth.errors import BadRequest
from behemoth.tickstore import LocalTickstore
from behemoth.torture import content
from behemoth.torture.audit import audit
from behemoth.torture.crew import Account, Crew, Intent
from behemoth.torture.ledger import Ledger
from behemoth.torture.settings import Settings

FIRST = content.intent_name(0, 0, 0)
WEIGH_EVERY = 2.0
WEIGH_SHARE = 20
"""Weighing the table takes a twentieth of the time at most."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a torture is."""

    seconds: float
    seconds_total: float
    acknowledged: int
    kills: int
    checking: bool = False


def torture(
    db: Path,
    settings: Settings | None = None,
    *,
    keep: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Ledger:
    """Let processes write, read and repair a table, kill them, and see what is there.

    Parameters
    ----------
    db
        A folder that is there; the table is made in a fresh one in it, and nothing else touched.
    settings
        How hard; by default as `Settings` says.
    keep
        Leave the table there; by default it is removed, after an interrupt too.
    on_progress
        Told now and then how far it is.

    Raises
    ------
    BadRequest
        When there is no such folder.
    EnvironmentFailed
        When its file system cannot hold a table: it has no hard links, or is read-only.
    """
    if not db.is_dir():
        raise BadRequest(f"there is no folder {db}; name the one to be tried, or make it")
    folder = db / f"behemoth-torture-{uuid.uuid4().hex[:8]}"
    try:
        return _torture(folder, settings or Settings(), on_progress)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _torture(folder: Path, settings: Settings, on_progress: Callable[[Progress], None]) -> Ledger:
    begun, table = time.monotonic(), folder / "TABLE"
    account, ledger, scale = Account(), Ledger(), _Scale(folder, settings.max_mb)
    _first_commit(table, account)

    def tell(seconds: float, checking: bool = False) -> None:
        done = len(account.done)
        on_progress(Progress(seconds, settings.seconds, done, ledger.kills, checking))

    def until(seconds: float) -> bool:
        tell(seconds)
        return scale.is_full()

    with Crew(table, settings, account, ledger) as crew:
        crew.work(until)
    tell(time.monotonic() - begun, checking=True)
    audit(table, account, ledger)
    ledger.bytes = _weigh(folder)
    ledger.seconds = time.monotonic() - begun
    return ledger


def _first_commit(table: Path, account: Account) -> None:
    """Make the table; says clearly where that cannot be."""
    symbol, day = content.BACKDATED[0], content.DAYS[0]
    account.intents[FIRST] = Intent("insert", frozenset({(symbol, str(day))}))
    with LocalTickstore(table) as tickstore:
        at, frame = BiTimestamp(day), content.ticks(content.mark_of(FIRST), day)
        made = tickstore.insert(symbol, at, frame, message=FIRST)
    account.done[FIRST] = {
        "commit": made.commit,
        "revisions": [[symbol, str(day), made.version, made.digest]],
    }


class _Scale:
    """Weighs a folder now and then."""

    def __init__(self, folder: Path, max_mb: int) -> None:
        self._folder = folder
        self._most = max_mb * 1_000_000
        self._next = time.monotonic() + WEIGH_EVERY

    def is_full(self) -> bool:
        """Say whether it weighs too much; looks only when it is time to."""
        begun = time.monotonic()
        if begun < self._next:
            return False
        full = _weigh(self._folder) > self._most
        spent = time.monotonic() - begun
        self._next = begun + max(WEIGH_EVERY, WEIGH_SHARE * spent)
        return full


def _weigh(folder: Path) -> int:
    """Add up the files; some vanish while they are weighed."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
