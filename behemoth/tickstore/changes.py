"""Changes on their way into a commit: staged, placed after the newest state, linked to a name.

What does not live here: the log entry that makes them happen (`behemoth.tickstore.writer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from behemoth import layout
from behemoth import log as ledger
from behemoth.bitemporal import (
    LATEST_AS_OF,
    BiTimestamp,
    Kind,
    Revision,
    known_from,
    restore,
    retract,
    supersede,
    visible,
)
from behemoth.codec import Splay
from behemoth.errors import BadFrame, BadRequest, Conflict, EnvironmentFailed
from behemoth.stores import ObjectStore
from behemoth.tickstore.state import State

STEPS = {"insert": supersede, "delete": retract, "undelete": restore}

NEW = 0
"""Commit number of a revision that is not committed yet; real ones begin with 1."""


@dataclass(slots=True)
class Change:
    """A wish to insert, delete or undelete, and how far it has come.

    Attributes
    ----------
    symbol, at
        What it is about, and since when it is known.
    kind
        What to do.
    splay
        What to insert; ``None`` for the other kinds.
    if_changed
        Make no revision when the content is the visible one already.
    expected_version
        The version that must be the newest one; -1 for none; ``None`` for any.
    staged
        The store's handle of the staged splay.
    aside
        Bytes of the splay where they are staged alone, and not in memory any more; else 0.
    published
        The version under which the splay has been linked.
    after
        The version that it would have had, were no name taken.
    aware
        Whether the symbol's ticks had a time zone then.
    revision
        What it becomes after the state that was read last; not there before it is placed.
    text
        That revision as the log writes it.
    """

    symbol: str
    at: BiTimestamp
    kind: Kind = "insert"
    splay: Splay | None = None
    if_changed: bool = False
    expected_version: int | None = None
    staged: str = ""
    aside: int = 0
    published: int | None = None
    after: int | None = None
    aware: bool | None = None
    revision: Revision = field(init=False)
    text: str = ""

    @property
    def is_new(self) -> bool:
        """Whether it becomes a revision that is not committed yet."""
        return self.revision.commit == NEW

    @property
    def size(self) -> int:
        """Bytes of the splay file."""
        return self.aside or (0 if self.splay is None else self.splay.size)

    def key(self, version: int) -> str:
        """Name the splay file of a version."""
        return layout.splay_key(self.symbol, self.at.as_at_date, version)


class Placer:
    """Puts changes where the newest state wants them.

    Parameters
    ----------
    store
        Where the table lives.
    state
        What this process knows of it.
    """

    def __init__(self, store: ObjectStore, state: State) -> None:
        self._store = store
        self._state = state

    def stage(self, changes: Sequence[Change]) -> None:
        """Make the bytes of all splays durable, without a name; those put aside are."""
        splays = [(c, c.splay) for c in changes if c.splay is not None and not c.aside]
        handles = self._store.stage_all([splay.data for _, splay in splays])
        for (change, _), staged in zip(splays, handles, strict=True):
            change.staged = staged

    def put_aside(self, changes: Sequence[Change]) -> None:
        """Stage the splays and hold their bytes no more."""
        self.stage(changes)
        for change in changes:
            if change.splay is not None and not change.aside:
                change.aside = change.splay.size
                change.splay = replace(change.splay, data=b"")

    def outdated(self, changes: Sequence[Change], placed_after: int | None) -> Sequence[Change]:
        """Find the changes that commits after the one that they were placed after touched."""
        if placed_after is None:
            return changes
        state = self._state
        timelines = {symbol: state.timeline(symbol) for symbol in {c.symbol for c in changes}}
        touched = {symbol: each.dates_after(placed_after) for symbol, each in timelines.items()}
        fenced = state.fenced > placed_after
        return [
            change
            for change in changes
            if change.at.as_at_date in touched[change.symbol]
            or timelines[change.symbol].aware != change.aware
            or (
                fenced
                and change.published is not None
                and state.is_retired(change.key(change.published))
            )
        ]

    def check(self, changes: Sequence[Change]) -> None:
        """Make sure that the ticks of one symbol all have a time zone, or none has."""
        seen: dict[str, bool] = {}
        for change in changes:
            if change.splay is not None and change.splay.rows:
                aware = seen.setdefault(change.symbol, change.splay.aware)
                self._check_aware(change, change.splay, aware)

    def place(self, change: Change, time: datetime) -> None:
        """Decide what a change becomes after the newest state."""
        symbol, date, splay = change.symbol, change.at.as_at_date, change.splay
        timeline = self._state.timeline(symbol)
        change.aware = timeline.aware
        history = timeline.history(date)
        newest = history[-1] if history else None
        self._check_expected(change, newest)
        shown = visible(history)
        if splay and change.if_changed and shown is not None and shown.digest == splay.digest:
            self.withdraw([change])
            change.revision = shown
            return
        blank = Revision(
            symbol=symbol,
            date=date,
            version=self._state.next_version(symbol, date),
            kind=change.kind,
            start_time=known_from(change.at, time, newest),
            end_time=LATEST_AS_OF,
            commit=NEW,
            commit_time=time,
            aware=timeline.aware is not False,
        )
        if splay is not None:
            self._check_aware(change, splay, timeline.aware)
            version = self._publish(change, splay, blank.version)
            blank = replace(
                blank,
                version=version,
                splay=version,
                rows=splay.rows,
                first=splay.first,
                last=splay.last,
                size=change.size,
                digest=splay.digest,
                aware=splay.aware,
            )
        change.revision = STEPS[change.kind](history, blank)[-1]
        change.text = ledger.revision_text(change.revision, change.at.as_of_time == LATEST_AS_OF)

    def _check_expected(self, change: Change, newest: Revision | None) -> None:
        found = -1 if newest is None else newest.version
        if change.expected_version not in (None, found):
            there = "has no version yet" if newest is None else f"is at version {found}"
            raise Conflict(
                f"{change.symbol!r} {change.at.as_at_date} {there}, not at "
                f"{change.expected_version} as expected; read it, decide, try again",
                symbol=change.symbol,
                date=change.at.as_at_date,
                version=None if newest is None else found,
            )

    def _check_aware(self, change: Change, splay: Splay, aware: bool | None) -> None:
        if splay.rows and aware not in (None, splay.aware):
            raise BadFrame(
                f"the ticks of {change.symbol!r} have {'no ' * (not aware)}time zone so "
                f"far, and these have {'one' if splay.aware else 'none'}; use tz_localize('UTC') "
                "or tz_convert('UTC').tz_localize(None)",
                symbol=change.symbol,
                date=change.at.as_at_date,
            )

    def _publish(self, change: Change, splay: Splay, version: int) -> int:
        """Link the staged splay to the first free version from here on, unless it still fits."""
        if change.published is not None and change.after == version:
            return change.published
        former, change.after = change.published, version
        while True:
            try:
                self._link(change, splay, change.key(version))
            except FileExistsError:
                version += 1
                if version > layout.LAST_VERSION:
                    raise BadRequest(
                        f"{change.symbol!r} {change.at.as_at_date} has no version left",
                        symbol=change.symbol,
                        date=change.at.as_at_date,
                    ) from None
                continue
            change.published = version
            if former is not None:
                self._remove(change, former)
            return version

    def _link(self, change: Change, splay: Splay, key: str) -> None:
        """Give the staged splay a name; where it was tidied away, stage it again if it is held."""
        if not change.aside:
            change.staged = self._store.publish_again(change.staged, splay.data, key)
            return
        try:
            self._store.publish(change.staged, key)
        except FileNotFoundError:
            raise EnvironmentFailed(
                f"{self._store.where('tmp')} was emptied while a transaction kept ticks there, and "
                "nothing was committed; try again",
                symbol=change.symbol,
                date=change.at.as_at_date,
            ) from None

    def withdraw(self, changes: Sequence[Change]) -> None:
        """Take back names that were never committed."""
        for change in changes:
            if change.published is not None and change.splay is not None:
                self._remove(change, change.published)
                change.published = change.after = None

    def discard(self, changes: Sequence[Change]) -> None:
        """Forget staged bytes; what was committed stands."""
        for change in changes:
            discard(self._store, change.staged)
            change.staged = ""

    def _remove(self, change: Change, version: int) -> None:
        """Remove an own name that was never committed; left behind, it is a harmless orphan.

        In a table that was destroyed and made again meanwhile the name may be another's.
        """
        if change.splay is None:
            return
        key = change.key(version)
        with suppress(EnvironmentFailed, FileNotFoundError):
            data = self._store.get(change.staged) if change.aside else change.splay.data
            if self._store.get(key) == data:
                self._store.remove(key)


def discard(store: ObjectStore, staged: str) -> None:
    """Forget staged bytes; left behind, they are harmless."""
    if staged:
        with suppress(EnvironmentFailed):
            store.discard(staged)
