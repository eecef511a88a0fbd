"""The commit protocol: one ordered, numbered, atomic set of revisions, or nothing.

1. Stage the splays under ``tmp/``, durable but without a name.
2. Read the newest state. Give each revision the next version of its (symbol, date), and link its
   splay to that name; creating a name is exclusive, so a name that is taken (the orphan of a
   crashed writer, or another writer's of this moment) only makes a number be skipped.
3. Make the names durable, then link the entry to ``log/N`` and make that durable too. The link is
   the commit: before it nothing happened, after it everything did.
4. When another writer took N: go back to 2. Only revisions whose (symbol, date) the other one
   touched get a new name.

Every entry carries an id chosen before the first try. After any answer that leaves doubt, ``log/N``
is read and the id compared.
"""

from __future__ import annotations

import getpass
import re
import socket
import uuid
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from behemoth import layout
from behemoth import log as ledger
from behemoth.bitemporal import (
    LATEST_AS_OF,
    BiTimestamp,
    Observation,
    Revision,
    known_from,
    next_commit_time,
    retract,
    supersede,
    visible,
)
from behemoth.codec import Splay
from behemoth.errors import BadFrame, BadRequest, ClockBehind, CommitUnknown, EnvironmentFailed
from behemoth.log import Commit, Tip
from behemoth.stores import ObjectStore
from behemoth.tickstore.state import State
from behemoth.version import __version__

CLOCK_TOLERANCE = timedelta(minutes=2)

COMMIT_ID = re.compile(r"([1-9][0-9]{0,17})-[0-9a-f]{32}")

NEW = 0
"""Commit number of a revision that is not committed yet; real ones begin with 1."""


@dataclass(slots=True)
class Change:
    """A wish to insert or delete, and how far it has come.

    Attributes
    ----------
    symbol, at
        What it is about, and since when it is known.
    splay
        What to insert; ``None`` deletes.
    if_changed
        Make no revision when the content is the visible one already.
    staged
        The store's handle of the staged splay.
    published
        The version under which the splay has been linked.
    after
        The newest version of its (symbol, date) when it was linked.
    """

    symbol: str
    at: BiTimestamp
    splay: Splay | None = None
    if_changed: bool = False
    staged: str = ""
    published: int | None = None
    after: int | None = None

    def key(self, version: int) -> str:
        """Name the splay file of a version."""
        return layout.splay_key(self.symbol, self.at.as_at_date, version)


@dataclass(frozen=True, slots=True)
class Reason:
    """What a commit says about itself."""

    message: str = ""
    source: str = ""


class Writer:
    """Commits changes to one table.

    Parameters
    ----------
    store
        Where the table lives.
    state
        What this process knows of it; every commit is folded into it.
    clock
        Gives the present, aware UTC.
    """

    def __init__(self, store: ObjectStore, state: State, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._state = state
        self._clock = clock

    def commit(
        self,
        changes: Sequence[Change],
        observations: Sequence[Observation] = (),
        reason: Reason = Reason(),
        commit_id: str | None = None,
    ) -> list[Revision]:
        """Commit all changes and observations together.

        Returns
        -------
        list of Revision
            For each change the revision that now holds: the new one, or with ``if_changed`` the
            one that was visible already.

        Raises
        ------
        BadRequest, BadFrame, NotFound
            When a change does not fit the newest state.
        CommitUnknown
            When the store failed so that nobody can tell; carries the id to retry with.
        EnvironmentFailed
            When the store failed and nothing was committed.
        """
        if commit_id is not None and (done := self._find(commit_id)) is not None:
            return [self._revision_of(change, done) for change in changes]
        attempt = _Attempt()
        try:
            for change in changes:
                if change.splay is not None:
                    change.staged = self._store.stage(change.splay.data)
            with self._state.lock:
                return self._commit_staged(changes, observations, reason, commit_id, attempt)
        except BaseException:
            if not attempt.may_have_landed:
                for change in changes:
                    self._withdraw(change)
            raise
        finally:
            for change in changes:
                self._discard(change.staged)

    def _commit_staged(
        self,
        changes: Sequence[Change],
        observations: Sequence[Observation],
        reason: Reason,
        commit_id: str | None,
        attempt: _Attempt,
    ) -> list[Revision]:
        while True:
            tip = self._state.refresh_to_write()
            time = self._next_time(tip)
            placed = [self._place(change, time) for change in changes]
            new = tuple(revision for revision in placed if revision.commit == NEW)
            if not new and not observations:
                return placed
            commit = Commit(
                number=tip.number + 1,
                commit_id=(commit_id := commit_id or f"{tip.number + 1}-{uuid.uuid4().hex}"),
                time=time,
                previous=tip.digest,
                message=reason.message,
                source=reason.source,
                who=_who(),
                tool=f"behemoth {__version__}",
                revisions=new,
                observations=tuple(observations),
            )
            self._store.sync([c.key(c.published) for c in changes if c.published is not None])
            if self._append(commit, attempt):
                number = commit.number
                return [replace(r, commit=number) if r.commit == NEW else r for r in placed]

    def _next_time(self, tip: Tip) -> datetime:
        now = self._clock()
        if tip.time is not None and tip.time - now > CLOCK_TOLERANCE:
            warnings.warn(
                f"the newest commit ({tip.time}) is ahead of this clock ({now}); commit times go "
                "on from there",
                ClockBehind,
                stacklevel=5,
            )
        return next_commit_time(now, tip.time)

    def _place(self, change: Change, time: datetime) -> Revision:
        """Decide what a change becomes after the newest state; `NEW` marks a new revision."""
        date = change.at.as_at_date
        timeline = self._state.timeline(change.symbol)
        newest = timeline.newest(date)
        history = () if newest is None else (newest,)
        splay, shown = change.splay, visible(history)
        if splay and change.if_changed and shown is not None and shown.digest == splay.digest:
            self._withdraw(change)
            return shown
        blank = Revision(
            symbol=change.symbol,
            date=date,
            version=0 if newest is None else newest.version + 1,
            kind="delete" if change.splay is None else "insert",
            start_time=known_from(change.at, time, newest),
            end_time=LATEST_AS_OF,
            commit=NEW,
            commit_time=time,
        )
        if splay is None:
            return retract(history, replace(blank, aware=timeline.aware is not False))[-1]
        if splay.rows and timeline.aware not in (None, splay.aware):
            raise BadFrame(
                f"the ticks of {change.symbol!r} have {'no ' * (not timeline.aware)}time zone so "
                f"far, and these have {'one' if splay.aware else 'none'}; use tz_localize('UTC') "
                "or tz_convert('UTC').tz_localize(None)",
                symbol=change.symbol,
                date=date,
            )
        version = self._publish(change, blank.version)
        revision = replace(
            blank,
            version=version,
            splay=version,
            rows=splay.rows,
            first=splay.first,
            last=splay.last,
            size=splay.size,
            digest=splay.digest,
            aware=splay.aware,
        )
        return supersede(history, revision)[-1]

    def _publish(self, change: Change, version: int) -> int:
        """Link the staged splay to the first free version from here on, unless it still fits."""
        if change.published is not None and change.after == version:
            return change.published
        former, change.after = change.published, version
        while True:
            try:
                self._store.publish(change.staged, change.key(version))
            except FileExistsError:
                version += 1
                continue
            change.published = version
            if former is not None:
                self._remove(change.key(former))
            return version

    def _withdraw(self, change: Change) -> None:
        """Take back a name that was never committed."""
        if change.published is not None:
            self._remove(change.key(change.published))
            change.published = change.after = None

    def _remove(self, key: str) -> None:
        """Remove an own name that was never committed; left behind, it is a harmless orphan."""
        with suppress(EnvironmentFailed):
            self._store.remove(key)

    def _discard(self, staged: str) -> None:
        """Forget staged bytes; left behind, they are harmless, and the commit stands."""
        if staged:
            with suppress(EnvironmentFailed):
                self._store.discard(staged)

    def _append(self, commit: Commit, attempt: _Attempt) -> bool:
        """Link the entry to its number; ``False`` when another commit took that number."""
        key = layout.log_key(commit.number)
        data = ledger.encode(commit)
        staged = self._store.stage(data)
        attempt.may_have_landed = True
        try:
            self._store.publish(staged, key)
        except FileExistsError:
            landed: bool | None = self._is_ours(key, commit)
        except EnvironmentFailed:
            landed = self._is_ours(key, commit)
            if landed is None and self._is_absent(key):
                attempt.may_have_landed = False
                raise
        else:
            landed = True
        finally:
            self._discard(staged)
        if landed is None:
            raise self._unknown(commit)
        attempt.may_have_landed = landed
        if landed:
            self._make_durable(key, commit)
            self._state.advance(*ledger.decode(data, self._store.where(key)))
        return landed

    def _is_ours(self, key: str, commit: Commit) -> bool | None:
        """Say whose entry stands there; ``None`` when it cannot be read."""
        try:
            there, _ = ledger.decode(self._store.get(key), self._store.where(key))
        except (FileNotFoundError, EnvironmentFailed):
            return None
        return there.commit_id == commit.commit_id

    def _is_absent(self, key: str) -> bool:
        try:
            return not self._store.exists(key)
        except EnvironmentFailed:
            return False

    def _make_durable(self, key: str, commit: Commit) -> None:
        try:
            self._store.sync([key])
        except EnvironmentFailed as error:  # a second fsync may succeed and prove nothing
            raise self._unknown(commit) from error

    def _unknown(self, commit: Commit) -> CommitUnknown:
        return CommitUnknown(
            f"commit {commit.commit_id} may or may not have happened; try again with "
            f"commit_id={commit.commit_id!r} to find out, it never commits twice",
            commit_id=commit.commit_id,
        )

    def _find(self, commit_id: str) -> Commit | None:
        """Look for a commit that was tried before; its id says from which number on to look."""
        match = COMMIT_ID.fullmatch(commit_id) if isinstance(commit_id, str) else None
        if match is None:
            raise BadRequest(f"no commit has the id {commit_id!r}; use that of a CommitUnknown")
        tip = self._state.refresh()
        for number in range(int(match[1]), tip.number + 1):
            key = layout.log_key(number)
            commit, _ = ledger.decode(self._store.get(key), self._store.where(key))
            if commit.commit_id == commit_id:
                self._store.sync([key])
                return commit
        return None

    def _revision_of(self, change: Change, commit: Commit) -> Revision:
        """Find what a change became in a commit that has happened."""
        digest = "" if change.splay is None else change.splay.digest
        newest = self._state.timeline(change.symbol).newest(change.at.as_at_date)
        for revision in (*commit.revisions, *([newest] if newest and change.if_changed else [])):
            where = (revision.symbol, revision.date)
            if (*where, revision.digest) == (change.symbol, change.at.as_at_date, digest):
                return revision
        raise BadRequest(
            f"commit {commit.commit_id} was about something else; give its id to the same change",
            symbol=change.symbol,
            date=change.at.as_at_date,
        )


@dataclass(slots=True)
class _Attempt:
    """Whether the entry of this commit may stand in the log."""

    may_have_landed: bool = False


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container for instance
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
