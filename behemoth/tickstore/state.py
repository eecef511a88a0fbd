"""What a process knows of a table: the newest commit, and the timelines of the symbols asked for.

A state opens at the newest index checkpoint that is whole, folds the log's tail on top, and loads
the timeline of a symbol when it is first asked for. A damaged checkpoint costs time, never an
answer: the log is folded instead. A shortened or exchanged log is an error, never a shorter answer.
"""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TypeVar

from behemoth import layout
from behemoth import log as ledger
from behemoth.bitemporal import Revision
from behemoth.errors import CheckpointIgnored, Conflict, Corrupt, EnvironmentFailed
from behemoth.index import WAITING, Rows, Timeline, microseconds
from behemoth.log import Commit, Tip
from behemoth.stores import ObjectStore
from behemoth.tickstore import checkpoints
from behemoth.tickstore.checkpoints import Root
from behemoth.tickstore.kinds import Seen, observed_rows, sum_up
from behemoth.tickstore.pages import Shelf, Summary, path
from behemoth.version import FORMAT

PROBES = (*range(2, 65), *(1 << power for power in range(7, 31)))
"""Where behind the end of the log an entry would show that some are missing."""

YEAR = 4
"""Digits of a year's folder."""

Name = tuple[Date, str]
"""The date and the encoded symbol of a splay."""

T = TypeVar("T")

NO_NAMES: set[str] = set()
NO_SUMMARIES: dict[str, Summary] = {}


@dataclass(slots=True)
class _Symbol:
    """A symbol's timeline as far as it is loaded, and what came since."""

    timeline: Timeline | None = None
    seen: list[Seen] | None = None
    new_revisions: list[Revision] = field(default_factory=list)
    new_seen: list[Seen] = field(default_factory=list)
    touched: int = 0

    def fold(self, number: int, revisions: list[Revision], seen: list[Seen]) -> None:
        """Note what a commit brought; noting it twice, after an interrupt, changes nothing."""
        while self.new_revisions and self.new_revisions[-1].commit >= number:
            self.new_revisions.pop()
        while self.new_seen and self.new_seen[-1][0] >= number:
            self.new_seen.pop()
        self.new_revisions += revisions
        self.new_seen += seen
        self.touched = number
        if self.timeline is not None and len(self.new_revisions) > WAITING:
            self.timeline = self.timeline.with_revisions(self.new_revisions)
            self.new_revisions = []

    def forget(self, number: int) -> None:
        """Drop what is not loaded, and can be loaded up to this commit."""
        if self.timeline is None:
            self.new_revisions = [r for r in self.new_revisions if r.commit > number]
        if self.seen is None:
            self.new_seen = [each for each in self.new_seen if each[0] > number]

    @property
    def is_blank(self) -> bool:
        """Whether nothing is known that could not be loaded."""
        loaded = self.timeline is not None or self.seen is not None
        return not (loaded or self.new_revisions or self.new_seen)

    def rows_since(self, number: int) -> Rows:
        """Give what later commits brought, as rows of the index."""
        timeline = self.timeline or Timeline("")
        return timeline.with_revisions(self.new_revisions).since(number)

    def seen_since(self, number: int) -> Rows:
        """Give what was observed in later commits, as rows of the index."""
        last = self.seen[-1][0] if self.seen else 0
        new = [each for each in self.new_seen if each[0] > last]
        return observed_rows(each for each in (*(self.seen or ()), *new) if each[0] > number)


class State:
    """The newest known state of a table; safe to share between threads.

    Parameters
    ----------
    store
        Where the table lives.

    Attributes
    ----------
    lock
        Whoever decides something from the state and acts on it holds this.
    tip
        The newest commit that is folded.
    root
        The newest checkpoint that is known.
    retired
        For each date and encoded symbol the highest version that repair took away: no revision
        ever gets it or one below.
    fenced
        The newest commit that retired anything.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._shelf = Shelf(store)
        self._symbols: dict[str, _Symbol] = defaultdict(_Symbol)
        self._opened = False
        self._identity = ""
        self.lock = threading.RLock()
        self.tip = Tip()
        self.root = Root()
        self.retired: dict[Name, int] = {}
        self.fenced = 0
        self._brought: deque[tuple[int, int]] = deque(maxlen=checkpoints.EVERY)
        self._looked = 0
        self._distrusted: set[str] = set()

    def refresh(self) -> Tip:
        """Read what was committed since; give the newest commit.

        Costs one look for a file when nothing is new.

        Raises
        ------
        Corrupt
            When the log is damaged.
        """
        with self.lock:
            if not self._opened:
                self._symbols.clear()  # of a try that failed
                self._brought.clear()
                self.root = self._newest_root()
                self.tip = self.root.tip
                self._retire(self.root.retired)
                self._follow()
                self._check_end(PROBES)
                if self.tip.number == 0:
                    self._check_beginning()
                self._opened = True
            self._follow()
            if self.tip.number - max(self.root.tip.number, self._looked) >= checkpoints.EVERY:
                self._look_for_newer()
            return self.tip

    @property
    def identity(self) -> str:
        """What all copies of a table share: the beginning of its first commit's digest."""
        if not self._identity and self.refresh().number:
            first, _ = checkpoints.committed(self._store, 1)
            self._identity = first.digest[:16]
        return self._identity

    def _look_for_newer(self) -> None:
        """Let go of what others have checkpointed meanwhile: a reader may follow for years."""
        self._looked = self.tip.number
        newest = self._newest_root()
        if newest.tip.number > self.root.tip.number:
            self._rest_on(newest)

    def refresh_to_write(self) -> Tip:
        """Refresh, and make sure that the table is still the one that was opened.

        Raises
        ------
        Conflict
            When the table was destroyed or exchanged meanwhile.
        Corrupt
            When an entry of the log is missing.
        """
        with self.lock:
            tip = self.refresh()
            self._check_end(PROBES[:1])
            if tip.number == 0:
                self._check_beginning()
                begin(self._store)
            self.check_log()
            return tip

    def check_log(self) -> None:
        """Make sure that the newest commit that was read is still the one in the log.

        Raises
        ------
        Conflict
            When the table was destroyed or exchanged meanwhile.
        Corrupt
            When the entry is damaged.
        """
        tip = self.tip
        if not tip.number:
            return
        key = layout.log_key(tip.number)
        try:
            data: bytes | None = self._store.get(key)
        except FileNotFoundError:
            data = None
        if data is None or not ledger.is_entry(tip, data):
            if data is not None:
                ledger.decode(data, self._store.where(key))
            raise Conflict(
                f"{self._store.where(key)} is not the commit that was read before: the "
                "table was destroyed or exchanged; open it again"
            )

    def _newest_root(self) -> Root:
        """Find the newest checkpoint that is whole and of this log.

        Raises
        ------
        Corrupt
            When a whole checkpoint goes further than the log.
        """
        for key in checkpoints.roots(self._store):
            if key in self._distrusted:
                continue
            try:
                root = checkpoints.read_root(self._store, key)
            except FileNotFoundError:  # removed since it was listed, so there is a newer one
                continue
            except (Corrupt, EnvironmentFailed) as error:
                _warn(error)
                continue
            try:
                there, _ = checkpoints.entry(self._store, root.tip.number)
            except FileNotFoundError as error:
                missing = self._store.where(layout.log_key(root.tip.number))
                raise Corrupt(
                    f"{missing} is missing, and the checkpoint {self._store.where(key)} knows it"
                ) from error
            if there == root.tip:
                return root
            _warn(f"{self._store.where(key)} is of another copy of this table")
        return Root()

    def _follow(self) -> None:
        """Fold the entries after the tip."""
        while True:
            key = layout.log_key(self.tip.number + 1)
            try:
                data = self._store.get(key)
            except FileNotFoundError:
                return
            self._fold(*ledger.follow(self.tip, data, self._store.where(key)))

    def _check_end(self, probes: Iterable[int]) -> None:
        """Make sure that the newest commit really is the newest: look for some behind a gap."""
        with self.lock:
            for ahead in probes:
                number = self.tip.number + ahead
                if self._store.exists(layout.log_key(number)):
                    self._follow()
                    if self.tip.number < number:
                        missing = self._store.where(layout.log_key(self.tip.number + 1))
                        raise Corrupt(f"{missing} is missing, and later commits are there")

    def _check_beginning(self) -> None:
        """Make sure that a table without a commit is a new one, and not one that lost its log."""
        if self._store.exists(layout.BEGINNING):
            return
        tops = self._store.tops()
        if "index.h5" in tops:
            raise Corrupt(
                f"{self._store.name} is a database of the 2019 code; make a table out of it with: "
                "behemoth import-legacy"
            )
        years = [top for top in tops if top.isdecimal() and len(top) == YEAR]
        if any(layout.parse_splay_key(key) for top in years for key in self._store.keys(f"{top}/")):
            self._follow()  # somebody may have begun since
            if self.tip.number or self._store.exists(layout.BEGINNING):
                return
            raise Corrupt(
                f"{self._store.where('log')} is missing, and there are splays: restore it from a "
                "copy, or make a new table out of them with reindex(into=...)"
            )

    def advance(self, commit: Commit, tip: Tip) -> None:
        """Fold a commit that this process has just made."""
        with self.lock:
            if tip.number == self.tip.number + 1:
                self._fold(commit, tip)

    def _fold(self, commit: Commit, tip: Tip) -> None:
        revisions: dict[str, list[Revision]] = defaultdict(list)
        seen: dict[str, list[Seen]] = defaultdict(list)
        for revision in commit.revisions:
            revisions[revision.symbol].append(revision)
        for observation in commit.observations:
            seen[observation.symbol].append((tip.number, observation))
        for name in revisions.keys() | seen.keys():
            if not self.root.tip.number and name not in self._symbols:  # nothing is to be loaded
                self._symbols[name] = _Symbol(Timeline(name), [])
            self._symbols[name].fold(tip.number, revisions[name], seen[name])
        if commit.retired:
            self._retire(commit.retired)
            self.fenced = tip.number
        if tip.number == 1:
            self._identity = tip.digest[:16]
        self._brought.append((tip.number, len(commit.revisions) + len(commit.observations)))
        self.tip = tip

    def _retire(self, keys: Iterable[str]) -> None:
        for date, encoded, version in filter(None, map(layout.parse_splay_key, keys)):
            name = date, encoded
            self.retired[name] = max(version, self.retired.get(name, version))

    def next_version(self, symbol: str, date: Date) -> int:
        """Give the version after every one that was committed or retired."""
        newest = self.timeline(symbol).newest(date)
        after = -1 if newest is None else newest.version
        return 1 + max(after, self.retired.get((date, layout.encode_name(symbol)), -1))

    def symbols(self) -> list[str]:
        """Name every symbol that was ever written or observed, sorted."""
        with self.lock:
            return sorted(self._read(checkpoints.names, NO_NAMES) | self._symbols.keys())

    def shown(self, as_of_time: datetime, commit: int) -> list[str]:
        """Name the symbols of which something was known at a time, sorted.

        Only where a delete may have taken everything the revisions are read, and not kept.
        """
        with self.lock:
            names, time = self.symbols(), microseconds(as_of_time)
            summaries = self._read(checkpoints.summaries, NO_SUMMARIES)
            found = {name: self._shows(name, time, commit, summaries) for name in names}
            for name in sorted((n for n in names if found[n] is None), key=path):  # page by page
                found[name] = len(self._look_at(name).shown(as_of_time, commit)) > 0
            return [name for name in names if found[name]]

    def _shows(
        self, name: str, time: int, commit: int, summaries: Mapping[str, Summary]
    ) -> bool | None:
        """Say from summaries alone whether anything was known; ``None`` when they cannot tell."""
        symbol = self._symbols.get(name, _Symbol())
        if self.root.tip.number > commit:  # summaries tell of later ones too
            return None
        if name in self.root.symbols or symbol.timeline is not None or symbol.touched > commit:
            return None
        new = map(sum_up, symbol.new_revisions)
        return reduce(or_, new, summaries.get(name, Summary())).shows(time)

    def timeline(self, name: str) -> Timeline:
        """Give the timeline of a symbol, empty for one that is unknown."""
        with self.lock:
            timeline = self._look_at(name)
            if name in self._symbols or timeline.last_commit:
                symbol = self._symbols[name]
                symbol.timeline, symbol.new_revisions = timeline, []
            return timeline

    def _look_at(self, name: str) -> Timeline:
        """Give a timeline, and keep nothing of it."""
        timeline = self._symbols[name].timeline if name in self._symbols else None
        if timeline is None:
            timeline = self._load(name, checkpoints.read_timeline) or Timeline(name)
        symbol = self._symbols.get(name, _Symbol())  # loading may have begun anew
        return (symbol.timeline or timeline).with_revisions(symbol.new_revisions)

    def committed(self, keys: Iterable[str]) -> set[str]:
        """Find those of these splays that hold a revision's ticks."""
        symbols = {layout.encode_name(symbol): symbol for symbol in self.symbols()}
        found = set()
        for key in keys:
            date, encoded, version = layout.parse_splay_key(key) or (None, "", 0)
            if date is not None and encoded in symbols:
                history = self.timeline(symbols[encoded]).history(date)
                if any(revision.splay == version for revision in history):
                    found.add(key)
        return found

    def is_retired(self, key: str) -> bool:
        """Say whether this file's version will never be used."""
        date, encoded, version = layout.parse_splay_key(key) or (None, "", 0)
        return date is not None and version <= self.retired.get((date, encoded), -1)

    def observations(self, name: str) -> list[Seen]:
        """Give what was observed of a symbol, in the order of the commits."""
        with self.lock:
            if name not in self._symbols or self._symbols[name].seen is None:
                found = self._load(name, checkpoints.read_observations)
                if found is None and name not in self._symbols:
                    return []
                if self._symbols[name].seen is None:
                    self._symbols[name].seen = found or []
            symbol = self._symbols[name]
            seen = symbol.seen or []
            last = seen[-1][0] if seen else 0
            symbol.seen = seen = seen + [each for each in symbol.new_seen if each[0] > last]
            symbol.new_seen = []
            return list(seen)

    def _load(self, name: str, read: Callable[[Shelf, Root, str], T | None]) -> T | None:
        return self._read(lambda shelf, root: read(shelf, root, name), None)

    def _read(self, read: Callable[[Shelf, Root], T], nothing: T) -> T:
        """Read from the checkpoint; where that fails fold the whole log, and give nothing."""
        try:
            return read(self._shelf, self.root)
        except (Corrupt, FileNotFoundError, EnvironmentFailed) as error:
            if not self._pass_over(error):
                return nothing
        return self._read(read, nothing)

    def _pass_over(self, error: Exception) -> bool:
        """Go on from a newer checkpoint, if there is one; or without any."""
        if isinstance(error, FileNotFoundError):
            newest = self._newest_root()  # a writer removed the files of the one known here
            if newest.tip.number > self.root.tip.number:
                self._rest_on(newest)
                return True
            _warn(f"files of {self.root.tip.token} are missing")
        else:
            _warn(error)
        bad = layout.checkpoint_root_key(self.root.tip.token)
        self.begin_anew()
        self._distrusted.add(bad)
        return False

    def _rest_on(self, root: Root) -> None:
        """Take a newer checkpoint, and forget what can be loaded from it."""
        self._follow()
        if self.tip.number < root.tip.number:
            missing = self._store.where(layout.log_key(self.tip.number + 1))
            raise Corrupt(f"{missing} is missing, and later commits are there")
        self.root = root
        for name, symbol in list(self._symbols.items()):
            symbol.forget(root.tip.number)
            if symbol.is_blank:
                del self._symbols[name]

    def fold_log(self) -> None:
        """Fold the whole log, without a checkpoint.

        Raises
        ------
        Corrupt
            When an entry is damaged; what comes before it is folded.
        """
        with self.lock:
            self._opened = True  # at nothing
            self._follow()

    def begin_anew(self) -> None:
        """Fold the whole log, and hold it against what was known."""
        anew = State(self._store)
        anew.fold_log()
        if anew.tip.number < self.tip.number:
            missing = self._store.where(layout.log_key(anew.tip.number + 1))
            raise Corrupt(f"{missing} is missing, and later commits are there")
        self.check_log()
        self._symbols, self.root, self.tip = anew._symbols, Root(), anew.tip
        self.retired, self.fenced, self._brought = anew.retired, anew.fenced, anew._brought
        self._distrusted.clear()

    def is_due(self) -> bool:
        """Whether the log's tail behind the newest checkpoint, whoever wrote it, is too long."""
        with self.lock:
            if self._tail_is_long():
                self._look_for_newer()
            return self._tail_is_long()

    def _tail_is_long(self) -> bool:
        number = self.root.tip.number
        brought = sum(count for commit, count in self._brought if commit > number)
        return self.tip.number - number >= checkpoints.EVERY or brought >= checkpoints.MANY

    def checkpoint(self) -> None:
        """Write an index checkpoint of the newest state, unless there is one."""
        with self.lock:
            self.refresh()
            base = self._newest_root()
            if base.tip.number < self.root.tip.number:  # what lies between is not in memory
                self.begin_anew()
            if base.tip.number < self.tip.number:
                base = self._write(base)
            self._rest_on(base)
            checkpoints.prune(self._store)

    def _write(self, base: Root) -> Root:
        """Write on a checkpoint; on none, with all in memory, where a page of it is damaged."""
        if not self._is_damaged(base):
            try:
                return self._written(base)
            except (Corrupt, FileNotFoundError, EnvironmentFailed) as error:
                if not self._is_damaged(base):
                    raise
                _warn(error)
        if self.root.tip.number:
            self.begin_anew()
        return self._written(Root())

    def _is_damaged(self, base: Root) -> bool:
        return any(file["key"] in self._shelf.damaged for file in base.files())

    def _written(self, base: Root) -> Root:
        number = base.tip.number
        touched = {name: each for name, each in self._symbols.items() if each.touched > number}
        retired = sorted(
            layout.encoded_splay_key(encoded, date, version)
            for (date, encoded), version in self.retired.items()
        )
        added: dict[layout.What, dict[str, Rows]] = {
            "revisions": {name: each.rows_since(number) for name, each in touched.items()},
            "observations": {name: each.seen_since(number) for name, each in touched.items()},
        }
        return checkpoints.write(self._shelf, self.tip, base, added, retired)


def begin(store: ObjectStore) -> None:
    """Begin a table, unless somebody has."""
    if not store.exists(layout.BEGINNING):
        with suppress(FileExistsError):
            store.put(layout.BEGINNING, ledger.seal({"format": FORMAT, "number": 0}))


def _warn(reason: object) -> None:
    with suppress(
        CheckpointIgnored
    ):  # where warnings are errors, the answer must come all the same
        warnings.warn(
            f"index checkpoint passed over, the log answers: {reason}",
            CheckpointIgnored,
            stacklevel=2,
        )
