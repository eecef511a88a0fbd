"""Holding everything that lies in a table against its log. Nothing here changes anything.

The log is read whole, from its first entry, and no checkpoint is trusted. What does not live here:
mending (`behemoth.tickstore.repairing`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date as Date
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from behemoth import codec, layout
from behemoth.bitemporal import Revision
from behemoth.errors import Corrupt, EnvironmentFailed, NotFound
from behemoth.index import Timeline
from behemoth.stores import ObjectStore
from behemoth.tickstore import checkpoints, moments, pages
from behemoth.tickstore.pages import Shelf
from behemoth.tickstore.state import State

Problem = Literal[
    "log", "missing", "damaged", "checkpoint", "tag", "stranger", "orphan", "leftover"
]

HARMLESS = ("stranger", "orphan", "leftover")
"""Problems that touch nothing that was acknowledged."""

Progress = Callable[[int, int], None]
"""Told how many of how many files are checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; see `Tickstore.verify` for what each means."""

    problem: Problem
    path: str
    detail: str
    symbol: str | None = None
    date: Date | None = None
    version: int | None = None
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, and what the log says."""

    findings: Sequence[Finding]
    state: State

    def of(self, *problems: Problem) -> list[Finding]:
        """Give the findings of these kinds."""
        return [finding for finding in self.findings if finding.problem in problems]


def verify(store: ObjectStore, progress: Progress | None = None) -> Verdict:
    """Check log, splays, checkpoints, and what else lies there.

    Writers may be at work: what they commit meanwhile is no orphan.
    """
    listed = store.keys("")  # first, so that the log explains whatever was listed
    state = State(store)
    findings = list(_log(store, state, listed))
    whole = not findings
    promises = _promises(state)
    for done, ((key, *_), revision) in enumerate(promises.items(), start=1):
        findings += _splay(store, key, revision)
        if progress is not None:
            progress(done, len(promises))
    if whole:
        findings += _checkpoints(store, state, listed)
        findings += _tags(store, state, listed)
        findings += _others(store, listed, {key for key, *_ in promises})
    return Verdict(findings, state)


def _promises(state: State) -> dict[tuple[str, int, str], Revision]:
    """Give for each file that a revision names, and each size and digest, the first such one."""
    promises: dict[tuple[str, int, str], Revision] = {}
    for symbol in state.symbols():
        for revision in state.timeline(symbol).revisions():
            if revision.splay is not None:
                key = layout.splay_key(revision.symbol, revision.date, revision.splay)
                promises.setdefault((key, revision.size, revision.digest), revision)
    return promises


def verify_index(store: ObjectStore) -> Verdict:
    """Check only log and checkpoints."""
    listed = store.keys("")
    state = State(store)
    findings = list(_log(store, state, listed))
    if not findings:
        findings += _checkpoints(store, state, listed)
    return Verdict(findings, state)


def _log(store: ObjectStore, state: State, listed: Sequence[str]) -> Iterator[Finding]:
    numbers = [n for n in map(layout.parse_log_key, listed) if n is not None]
    try:
        state.fold_log()
    except (Corrupt, EnvironmentFailed) as error:
        key = layout.log_key(state.tip.number + 1)
        yield Finding("log", key, _reason(store, key, error))
        return
    roots = [int(root.split("-")[0]) for root in map(layout.parse_root_key, listed) if root]
    if max([*numbers, *roots], default=0) > state.tip.number:
        key = layout.log_key(state.tip.number + 1)
        yield Finding("log", key, "it is missing, and there are later commits or checkpoints")
        return
    splays = sum(layout.parse_splay_key(key) is not None for key in listed)
    if state.tip.number == 0 and splays and layout.BEGINNING not in listed:
        detail = f"log/ is lost, and there are {splays} splays"
        yield Finding("log", layout.log_key(1), detail)
    for symbol in state.symbols():
        yield from _order(state.timeline(symbol))


def _order(timeline: Timeline) -> Iterator[Finding]:
    """Check that versions, starts and commits of each date increase; no start is in the future."""
    revisions = list(timeline.revisions())
    for revision in revisions:
        if revision.start_time > revision.commit_time:
            about = revision.symbol, revision.date, revision.version
            detail = f"its revision is known from {revision.start_time}, after its commit"
            yield Finding("log", layout.log_key(revision.commit), detail, *about)
    for before, after in pairwise(revisions):
        if before.date == after.date and not (
            before.version < after.version
            and before.start_time < after.start_time
            and before.commit < after.commit
            and before.commit_time < after.commit_time
        ):
            detail = f"its revision does not come after version {before.version}"
            key = layout.log_key(after.commit)
            yield Finding("log", key, detail, after.symbol, after.date, after.version)


def _splay(store: ObjectStore, key: str, revision: Revision) -> Iterator[Finding]:
    about = revision.symbol, revision.date, revision.splay
    try:
        check_splay(store, key, revision)
    except FileNotFoundError:
        did = "brought" if revision.kind == "insert" else "names"
        yield Finding("missing", key, f"commit {revision.commit} {did} it", *about)
    except (Corrupt, EnvironmentFailed) as error:
        yield Finding("damaged", key, _reason(store, key, error), *about)


def check_splay(store: ObjectStore, key: str, revision: Revision) -> bytes:
    """Decode all of a splay, and hold it against its revision; give its bytes.

    Raises
    ------
    Corrupt
        When it is not what the revision says.
    FileNotFoundError
        When it is not there.
    """
    data, name = store.get(key), store.where(key)
    promise = codec.Promise(
        revision.symbol, revision.date, revision.rows, revision.size, revision.digest
    )
    ticks = codec.check_splay(data, promise, name)
    if (ticks.first, ticks.last, ticks.aware) != (revision.first, revision.last, revision.aware):
        raise Corrupt(f"{name} is not what it promises: its ticks do not match the log")
    return data


def _checkpoints(store: ObjectStore, state: State, listed: Sequence[str]) -> Iterator[Finding]:
    for key in listed:
        if layout.parse_root_key(key) is None:
            continue
        try:
            finding = _checkpoint(store, state, key)
        except (Corrupt, EnvironmentFailed) as error:
            finding = Finding("checkpoint", key, _reason(store, key, error))
        if finding is not None:
            yield finding


def _checkpoint(store: ObjectStore, state: State, key: str) -> Finding | None:
    try:
        reason = _difference(store, state, key)
    except FileNotFoundError as error:
        if not store.exists(key):  # pruned since it was listed
            return None
        if key not in checkpoints.roots(store)[: checkpoints.KEPT_ROOTS]:
            detail = "its files were pruned before it was written: its writer was slow"
            return Finding("leftover", key, detail)
        reason = f"{error} is missing"
    return Finding("checkpoint", key, reason) if reason else None


def _difference(store: ObjectStore, state: State, key: str) -> str | None:
    """Compare a checkpoint with the fold of the log up to its commit."""
    root = checkpoints.read_root(store, key)
    number = root.tip.number
    if checkpoints.entry(store, number)[0] != root.tip:
        return "it is of another copy of this table"
    shelf = Shelf(store)
    for symbol in sorted(state.symbols(), key=pages.path):  # page by page
        rows = state.timeline(symbol).rows
        rows = rows[rows["commit"] <= number]
        seen = [each for each in state.observations(symbol) if each[0] <= number]
        timeline = checkpoints.read_timeline(shelf, root, symbol)
        if not np.array_equal(rows, Timeline(symbol).rows if timeline is None else timeline.rows):
            return f"its revisions of {symbol!r} differ from the log's"
        if (checkpoints.read_observations(shelf, root, symbol) or []) != seen:
            return f"its observations of {symbol!r} differ from the log's"
    if not checkpoints.names(shelf, root) <= set(state.symbols()):
        return "it has a symbol that the log does not know"
    return None


def _tags(store: ObjectStore, state: State, listed: Sequence[str]) -> Iterator[Finding]:
    """Find tags that are damaged, or name what is no state of this table."""
    for key in filter(layout.is_tag_key, listed):
        try:
            tag = moments.read_tag(store, key)
            moments.tip_of(store, state.tip, tag.token)
            if layout.tag_key(tag.name) != key:
                yield Finding("tag", key, f"it is the tag {tag.name!r} under another name")
        except (Corrupt, NotFound, EnvironmentFailed) as error:
            yield Finding("tag", key, _reason(store, key, error))


def _others(
    store: ObjectStore, listed: Sequence[str], committed: Container[str]
) -> Iterator[Finding]:
    """Find what no commit names."""
    for key in listed:
        name, top = layout.parse_splay_key(key), key.split("/")[0]
        if name is not None:
            if key not in committed and store.exists(key):
                detail = "no commit names it: its writer died before, or is at work"
                yield Finding("orphan", key, detail, date=name[0], version=name[2])
        elif top == "tmp":
            if store.exists(key):
                yield Finding("leftover", key, "a writer died before it was published, or works")
        elif top not in layout.FOLDERS or (
            (top == "log" and key != layout.BEGINNING and layout.parse_log_key(key) is None)
            or (top == "tags" and not layout.is_tag_key(key))
        ):
            yield Finding("stranger", key, "nothing of a table has this name")


def _reason(store: ObjectStore, key: str, error: Exception) -> str:
    return str(error).removeprefix(f"{store.where(key)} is not what it promises: ")


def table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Show findings; see `Tickstore.verify`."""
    rows = [asdict(finding) for finding in findings]
    names = [field.name for field in fields(Finding)]
    data = {name: pd.Series([row[name] for row in rows], dtype=object) for name in names}
    return pd.DataFrame(data).astype({"repaired": bool})


def mended(finding: Finding, detail: str) -> Finding:
    """Say that a finding was repaired, and how."""
    return replace(finding, repaired=True, detail=detail)
