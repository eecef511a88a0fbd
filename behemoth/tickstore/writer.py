"""The commit protocol: one ordered, numbered, atomic set of revisions, or nothing.

1. Stage the splays under ``tmp/``, durable but without a name.
2. Read the newest state. Give each revision the next version of its (symbol, date), and link its
   splay to that name; creating a name is exclusive, so a name that is taken (the orphan of a
   crashed writer, or another writer's of this moment) only makes a number be skipped.
3. Make the names durable, then link the entry to ``log/N`` and make that durable too. The link is
   the commit: before it nothing happened, after it everything did.
4. When another writer took N: go back to 2. Only revisions whose (symbol, date) the other one
   touched are placed anew, so a big commit tries again as fast as a small one.

Every entry carries an id chosen before the first try. After any answer that leaves doubt, ``log/N``
is read and the id compared. Staged bytes may vanish at any moment, because repair tidies ``tmp/``:
they are staged again.
"""

from __future__ import annotations

import getpass
import re
import socket
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from behemoth import layout
from behemoth import log as ledger
from behemoth.bitemporal import Observation, Revision, next_commit_time, visible
from behemoth.errors import (
    BadRequest,
    ClockBehind,
    CommitUnknown,
    Conflict,
    Corrupt,
    EnvironmentFailed,
)
from behemoth.log import Commit, Tip
from behemoth.stores import ObjectStore
from behemoth.tickstore import checkpoints
from behemoth.tickstore.changes import Change, Placer, discard
from behemoth.tickstore.state import State
from behemoth.version import __version__

CLOCK_TOLERANCE = timedelta(minutes=2)

TOOL = f"behemoth {__version__}"

COMMIT_ID = re.compile(r"([1-9][0-9]{0,17})-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Reason:
    """What a commit says about itself."""

    message: str = ""
    source: str = ""


def unknown(commit_id: str) -> CommitUnknown:
    """Make the error that says that nobody can tell."""
    return CommitUnknown(
        f"commit {commit_id} may or may not have happened; try again with "
        f"commit_id={commit_id!r} to find out, it never commits twice",
        commit_id=commit_id,
    )


@contextmanager
def in_doubt(commit_id: str | None) -> Iterator[None]:
    """Whatever fails before a commit that was tried before is looked for leaves the doubt."""
    try:
        yield
    except EnvironmentFailed as error:
        if commit_id is None:
            raise
        raise unknown(commit_id) from error


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
        self._behind = False
        self._placer = Placer(store, state)

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
        with in_doubt(commit_id):
            if commit_id is not None and (done := self._find(commit_id)) is not None:
                return self._became(changes, done)
        attempt = _Attempt()
        self._placer.check(changes)
        try:
            self._placer.stage(changes)
            with self._state.lock:
                return self._commit_staged(changes, observations, reason, commit_id, attempt)
        except BaseException:
            if not attempt.may_have_landed:
                self._placer.withdraw(changes)
            raise
        finally:
            self._placer.discard(changes)

    def put_aside(self, changes: Sequence[Change]) -> None:
        """Stage changes of a commit to come, and hold their bytes no more.

        Raises
        ------
        EnvironmentFailed
            When the store failed; what is staged stays so until it is forgotten.
        """
        self._placer.put_aside(changes)

    def forget(self, changes: Sequence[Change]) -> None:
        """Take away what is staged of changes; what was committed stands."""
        self._placer.discard(changes)

    def retire(self, orphans: Sequence[str], reason: Reason) -> list[str]:
        """Fence splays that nobody committed: commit that their versions are never used.

        A writer that has linked one of them, and not committed it yet, loses the race for the
        number of this commit, reads it, and takes a later version. So once this has returned, the
        files can be moved.

        Returns
        -------
        list of str
            Those that really are nobody's: what was committed meanwhile is left out.
        """
        with self._state.lock:
            attempt, number = _Attempt(), 0
            while True:
                tip = self._state.refresh_to_write()
                committed = self._state.committed(orphans)
                lost = [key for key in orphans if key not in committed]
                fresh = [key for key in lost if not self._state.is_retired(key)]
                if not fresh:
                    return lost
                number = number or tip.number + 1
                commit = self._entry(tip, f"{number}-{uuid.uuid4().hex}", reason)
                data = ledger.encode(replace(commit, retired=tuple(fresh)))
                if self._append(data, commit, attempt):
                    return lost

    def _commit_staged(
        self,
        changes: Sequence[Change],
        observations: Sequence[Observation],
        reason: Reason,
        commit_id: str | None,
        attempt: _Attempt,
    ) -> list[Revision]:
        seen = [ledger.observation_text(each) for each in observations]
        placed_after: int | None = None
        time: datetime | None = None
        while True:
            tip = self._state.refresh_to_write()
            commit_id = commit_id or f"{tip.number + 1}-{uuid.uuid4().hex}"
            commit = self._entry(tip, commit_id, reason, time)
            time = commit.time
            moved = self._placer.outdated(changes, placed_after)
            for change in moved:
                self._placer.place(change, commit.time)
            placed_after = tip.number
            new = [change for change in changes if change.is_new]
            if not new and not seen:
                return [change.revision for change in changes]
            self._store.sync([c.key(c.published) for c in moved if c.published is not None])
            data = ledger.assemble(commit, [change.text for change in new], seen)
            landed = self._append(data, commit, attempt)
            if landed is not None:
                became = iter(landed.revisions)
                return [next(became) if c.is_new else c.revision for c in changes]

    def _entry(
        self, tip: Tip, commit_id: str, reason: Reason, earliest: datetime | None = None
    ) -> Commit:
        """Begin the entry that would follow a tip; a clock that steps back reorders nothing."""
        time = self._next_time(tip)
        return Commit(
            number=tip.number + 1,
            commit_id=commit_id,
            time=time if earliest is None else max(time, earliest),
            previous=tip.digest,
            message=reason.message,
            source=reason.source,
            who=who(),
            tool=TOOL,
        )

    def _next_time(self, tip: Tip) -> datetime:
        now = self._clock()
        was_behind = self._behind
        self._behind = tip.time is not None and tip.time - now > CLOCK_TOLERANCE
        if self._behind and not was_behind:  # once, not for each commit of a long run
            warnings.warn(
                f"the newest commit ({tip.time}) is ahead of this clock ({now}); commit times go "
                "on from there",
                ClockBehind,
                stacklevel=5,
            )
        return next_commit_time(now, tip.time)

    def _append(self, data: bytes, commit: Commit, attempt: _Attempt) -> Commit | None:
        """Link the entry to its number; ``None`` when another commit took that number."""
        key = layout.log_key(commit.number)
        staged = self._store.stage(data)
        attempt.may_have_landed = True
        try:
            staged = self._store.publish_again(staged, data, key)
        except FileExistsError:
            ours: bool | None = self._is_ours(key, commit)
        except EnvironmentFailed:
            ours = self._is_ours(key, commit)
            if ours is None and self._is_absent(key):
                attempt.may_have_landed = False
                raise
        else:
            ours = True
        finally:
            discard(self._store, staged)
        if ours is None:
            raise unknown(commit.commit_id)
        attempt.may_have_landed = ours
        if not ours:
            return None
        self._check_follows(key, data, commit, attempt)
        self._make_durable(key, commit)
        landed, tip = ledger.decode(data, self._store.where(key))
        self._state.advance(landed, tip)
        return landed

    def _check_follows(self, key: str, data: bytes, commit: Commit, attempt: _Attempt) -> None:
        """Take the entry back where the table was destroyed, and perhaps made again, meanwhile."""
        if commit.number == 1:
            return
        former = layout.log_key(commit.number - 1)
        try:
            before = self._store.get(former)
            if ledger.is_entry(Tip(commit.number - 1, commit.previous), before):
                return
            ledger.decode(before, self._store.where(former))
        except FileNotFoundError:
            pass
        except (Corrupt, EnvironmentFailed):  # damaged, or out of reach: no other table's
            return
        with suppress(EnvironmentFailed, FileNotFoundError):
            if self._store.get(key) == data:
                self._store.remove(key)
        attempt.may_have_landed = False
        raise Conflict(
            f"{self._store.name} was destroyed or exchanged meanwhile, and nothing was committed; "
            "open it again"
        )

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
            raise unknown(commit.commit_id) from error

    def _find(self, commit_id: str) -> Commit | None:
        """Look for a commit that was tried before; its id says from which number on to look."""
        match = COMMIT_ID.fullmatch(commit_id) if isinstance(commit_id, str) else None
        if match is None:
            raise BadRequest(f"no commit has the id {commit_id!r}; use that of a CommitUnknown")
        tip, first = self._state.refresh(), int(match[1])
        if first > tip.number + 1:
            raise BadRequest(f"no commit of {self._store.name} can have the id {commit_id!r} yet")
        for number in range(first, tip.number + 1):
            _, commit = checkpoints.committed(self._store, number)
            if commit.commit_id == commit_id:
                self._store.sync([layout.log_key(number)])
                return commit
        return None

    def _became(self, changes: Sequence[Change], commit: Commit) -> list[Revision]:
        """Find what changes became in a commit that has happened."""
        made = {(revision.symbol, revision.date): revision for revision in commit.revisions}
        names = [(change.symbol, change.at.as_at_date) for change in changes]
        if made.keys() <= set(names):
            found = [
                self._revision_of(change, commit, made.get(name))
                for change, name in zip(changes, names, strict=True)
            ]
            if None not in found:
                return [revision for revision in found if revision is not None]
        raise BadRequest(
            f"commit {commit.commit_id} was about something else; give its id to the same changes"
        )

    def _revision_of(
        self, change: Change, commit: Commit, made: Revision | None
    ) -> Revision | None:
        """Find what one change became: a new revision, or with ``if_changed`` the visible one."""
        if made is not None:
            same = made.digest == change.splay.digest if change.splay else made.kind == change.kind
            return made if same else None
        if not change.if_changed or change.splay is None:
            return None
        history = self._state.timeline(change.symbol).history(change.at.as_at_date)
        shown = visible(history, commit=commit.number)
        return shown if shown is not None and shown.digest == change.splay.digest else None


@dataclass(slots=True)
class _Attempt:
    """Whether the entry of this commit may stand in the log."""

    may_have_landed: bool = False


def who() -> str:
    """Name the user and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container for instance
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
