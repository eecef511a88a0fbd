"""Making a new table out of what is left of one whose files are damaged or lost.

The commits before the damage are copied as they were. Everything later that a whole log entry, a
checkpoint or a splay's own header still tells becomes new commits: the j-th revision that is left
of each (symbol, date) goes into the j-th of them. They keep what is known of since when something
was known, and the first one lists what is not. Where only splays are damaged, all commits are
copied, and one more lists those splays.
"""

from __future__ import annotations

import itertools
import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date as Date
from datetime import datetime
from pathlib import Path

from behemoth import codec, layout
from behemoth import log as ledger
from behemoth.bitemporal import (
    LATEST_AS_OF,
    RESOLUTION,
    Observation,
    Revision,
    knowledge_time,
    next_commit_time,
)
from behemoth.errors import Conflict, Corrupt, EnvironmentFailed, NotFound
from behemoth.log import Commit, Tip
from behemoth.stores import LocalStore, ObjectStore
from behemoth.tickstore import checkpoints, copying, moments, pages, verifying
from behemoth.tickstore.pages import Shelf
from behemoth.tickstore.state import State, begin
from behemoth.tickstore.verifying import Progress
from behemoth.tickstore.writer import TOOL, who

Name = tuple[str, Date]
"""Symbol and as-at date."""


@dataclass(slots=True)
class Remains:
    """What is left of the commits after the last one that the log still tells in order.

    Attributes
    ----------
    revisions
        By symbol, date and version.
    observations
        By commit, in its order.
    unknown
        What nothing tells any more, one line each.
    retired
        Keys of splays that repair took away after the last such commit.
    copied
        The splays that are in the new table, and those that cannot be.
    """

    revisions: dict[tuple[str, Date, int], Revision] = field(default_factory=dict)
    observations: dict[int, tuple[Observation, ...]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    retired: set[str] = field(default_factory=set)
    copied: set[str] = field(default_factory=set)

    def add(self, revisions: Iterable[Revision]) -> None:
        """Keep revisions, unless a better witness has told of them."""
        for revision in revisions:
            name = revision.symbol, revision.date, revision.version
            self.revisions.setdefault(name, revision)


def rebuild_into(
    source: ObjectStore,
    destination: Path | str,
    clock: Callable[[], datetime],
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Make a new table in a folder that is there when it is whole; see `rebuild`.

    It is made beside it, in ``NAME.unfinished``.

    Raises
    ------
    BadRequest
        When the destination is no path, or one is inside the other.
    Conflict
        When something is there, or is left of another attempt.
    """
    path = Path(os.path.realpath(copying.place(destination, source)))
    if not LocalStore(path).is_empty():
        raise Conflict(f"{path} is not empty; choose another place for the new table")
    unfinished = copying.place(path.with_name(f"{path.name}.unfinished"), source)
    target = LocalStore(unfinished)
    try:
        target.claim()
    except FileExistsError as error:
        raise Conflict(
            f"{unfinished} is there: a reindex that was killed left it half made, or one is at "
            "work; remove it and try again"
        ) from error
    try:
        unknown = rebuild(source, target, clock, progress)
        target.rename(path)
    except BaseException:
        target.abandon()
        raise
    return unknown


def rebuild(
    source: ObjectStore,
    target: ObjectStore,
    clock: Callable[[], datetime],
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Make a new table; give what cannot be known any more.

    Raises
    ------
    Conflict
        When something is in the new place.
    """
    if target.keys(""):
        raise Conflict(f"{target.name} is not empty; choose another place for the new table")
    verdict = verifying.verify_index(source)
    if verdict.state.tip.number or verdict.of("log"):
        begin(target)
    state, remains = verdict.state, Remains()
    if verdict.of("log"):
        listed = source.keys("")
        _from_entries(source, state.tip, listed, remains)
        _from_checkpoints(source, state.tip, listed, remains)
        _from_headers(source, state, listed, remains)
    for number in range(1, state.tip.number + 1):
        key = layout.log_key(number)
        _, commit = checkpoints.entry(source, number)
        _copy_splays(source, target, commit.revisions, remains)
        copying.put_same(target, key, source.get(key))
        if progress is not None:
            progress(number, state.tip.number + 1)
    _copy_tags(source, target, state.tip, remains)
    rounds = list(_rounds(state, remains))
    _copy_splays(source, target, itertools.chain(*rounds), remains)
    if verdict.of("log") or remains.unknown:
        what = "the log was damaged after" if verdict.of("log") else "splays were damaged at"
        reason = f"{what} {state.tip.token}"
        _commit_remains(source, target, state.tip, remains, rounds, reason, clock)
    State(target).checkpoint()
    if progress is not None:
        progress(state.tip.number + 1, state.tip.number + 1)
    return tuple(remains.unknown)


def _copy_tags(source: ObjectStore, target: ObjectStore, tip: Tip, remains: Remains) -> None:
    """Copy the tags of states that the new table has too."""
    for key in filter(layout.is_tag_key, source.keys("tags/")):
        try:
            moments.tip_of(source, tip, moments.read_tag(source, key).token)
            copying.put_same(target, key, source.get(key))
        except (Corrupt, NotFound) as error:
            remains.unknown.append(f"what the tag {key} named: {error}")


def _from_entries(source: ObjectStore, tip: Tip, listed: Sequence[str], remains: Remains) -> None:
    """Read the entries behind the damage: each is sealed, though the chain to it is broken."""
    numbers = [n for n in map(layout.parse_log_key, listed) if n is not None and n > tip.number]
    there = set(numbers)
    for number in range(tip.number + 1, max(numbers, default=tip.number) + 1):
        key = layout.log_key(number)
        if number not in there:
            remains.unknown.append(f"{key} is missing: who made that commit, when and why")
            continue
        try:
            _, commit = checkpoints.entry(source, number)
        except (Corrupt, EnvironmentFailed) as error:
            remains.unknown.append(f"{error}: who made that commit, when and why")
            continue
        remains.add(commit.revisions)
        remains.observations[number] = commit.observations
        remains.retired.update(commit.retired)


def _from_checkpoints(
    source: ObjectStore, tip: Tip, listed: Sequence[str], remains: Remains
) -> None:
    for key in listed:
        if layout.parse_root_key(key) is None:
            continue
        try:
            root = checkpoints.read_root(source, key)
            if root.tip.number <= tip.number:
                continue
            remains.retired.update(root.retired)
            shelf = Shelf(source)
            for symbol in sorted(checkpoints.names(shelf, root), key=pages.path):
                timeline = checkpoints.read_timeline(shelf, root, symbol)
                seen = checkpoints.read_observations(shelf, root, symbol) or []
                told = timeline.revisions() if timeline is not None else []
                remains.add(revision for revision in told if revision.commit > tip.number)
                _add_observations(seen, tip, remains)
        except (Corrupt, FileNotFoundError, EnvironmentFailed) as error:
            remains.unknown.append(f"what a checkpoint knew: {error}")


def _add_observations(seen: Iterable[tuple[int, Observation]], tip: Tip, remains: Remains) -> None:
    for number, observation in seen:
        told = remains.observations.get(number, ())
        if number > tip.number and observation not in told:
            remains.observations[number] = (*told, observation)


def _from_headers(
    source: ObjectStore, state: State, listed: Sequence[str], remains: Remains
) -> None:
    """Read the splays that nothing else knows."""
    splays = [key for key in listed if layout.parse_splay_key(key) is not None]
    known = state.committed(splays) | {
        layout.splay_key(revision.symbol, revision.date, revision.splay)
        for revision in remains.revisions.values()
        if revision.splay is not None
    }
    told, orphans = 0, 0
    for key in splays:
        if key in known:
            continue
        if state.is_retired(key) or key in remains.retired:
            orphans += 1
            continue
        try:
            revision = _read_header(source, key)
        except (Corrupt, FileNotFoundError, EnvironmentFailed) as error:
            remains.unknown.append(f"the ticks of {key}: {error}")
            continue
        if revision.version < state.next_version(revision.symbol, revision.date):
            orphans += 1
            continue
        remains.add([revision])
        told += 1
    if orphans:
        remains.unknown.append(f"why {orphans} splays were never committed; they were left out")
    if told:
        remains.unknown.append(
            f"of {told} splays only their headers tell: whether they were committed, and since "
            "when they were known (taken is when they were written)"
        )
    if told or remains.unknown:
        remains.unknown.append(
            f"deletes, undeletes and observations of lost commits after {state.tip.token}"
        )


def _read_header(source: ObjectStore, key: str) -> Revision:
    date, encoded, version = layout.parse_splay_key(key) or (Date.min, "", 0)
    data, name = source.get(key), source.where(key)
    facts = codec.read_facts(data, name)
    symbol, written_at = facts.promise.symbol, knowledge_time(facts.written_at)
    if (date, encoded) != (facts.promise.date, layout.encode_name(symbol)):
        raise Corrupt(f"{name} is not what it promises: it holds {symbol!r} {facts.promise.date}")
    revision = Revision(
        symbol=symbol,
        date=date,
        version=version,
        kind="insert",
        start_time=written_at,
        end_time=LATEST_AS_OF,
        commit=0,
        commit_time=written_at,
        splay=version,
        rows=facts.promise.rows,
        first=facts.first,
        last=facts.last,
        size=facts.promise.size,
        digest=facts.promise.digest,
        aware=facts.aware,
    )
    verifying.check_splay(source, key, revision)
    return revision


def _copy_splays(
    source: ObjectStore, target: ObjectStore, revisions: Iterable[Revision], remains: Remains
) -> None:
    """Copy what can be read; a revision without its file stays, and reading it is an error."""

    def damaged(key: str, error: Exception) -> None:
        reason = "it is missing" if isinstance(error, FileNotFoundError) else error
        remains.unknown.append(f"the ticks of {key}: {reason}")

    copying.copy_splays(source, target, revisions, remains.copied, damaged)


def _commit_remains(
    source: ObjectStore,
    target: ObjectStore,
    tip: Tip,
    remains: Remains,
    rounds: Sequence[Sequence[Revision]],
    reason: str,
    clock: Callable[[], datetime],
) -> None:
    observations = tuple(o for n in sorted(remains.observations) for o in remains.observations[n])
    unknown = tuple(remains.unknown)
    for revisions in rounds or [[]]:
        latest = max([clock(), *(revision.start_time for revision in revisions)])
        commit = Commit(
            number=tip.number + 1,
            commit_id=f"{tip.number + 1}-{uuid.uuid4().hex}",
            time=next_commit_time(latest, tip.time),
            previous=tip.digest,
            message=f"reconstructed: {reason}",
            source=source.name,
            who=who(),
            tool=TOOL,
            revisions=tuple(revisions),
            observations=observations,
            reconstructed=unknown,
        )
        key, data = layout.log_key(commit.number), ledger.encode(commit)
        target.put(key, data)
        _, tip = ledger.decode(data, target.where(key))
        observations, unknown = (), ()


def _rounds(state: State, remains: Remains) -> Iterator[list[Revision]]:
    """Put the j-th revision of each (symbol, date) into the j-th commit; starts increase."""
    histories: dict[Name, list[Revision]] = defaultdict(list)
    for (symbol, date, _), revision in sorted(remains.revisions.items()):
        newest = state.timeline(symbol).newest(date)
        history = histories[symbol, date]
        before = history[-1] if history else newest
        if before is not None and before.version >= revision.version:
            continue
        earliest = before.start_time + RESOLUTION if before else revision.start_time
        history.append(replace(revision, start_time=max(earliest, revision.start_time)))
    for place in range(max(map(len, histories.values()), default=0)):
        yield [history[place] for history in histories.values() if len(history) > place]
