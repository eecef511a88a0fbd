"""What a process knows of a table: the newest commit, and the timelines of the symbols asked for.

Reading only. A state opens at the newest index checkpoint that is whole, folds the log's tail on
top, and loads the timeline of a symbol when it is first asked for. A damaged checkpoint costs
time, never an answer: the log is folded instead.
"""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from behemoth import layout
from behemoth import log as ledger
from behemoth.bitemporal import Observation, Revision
from behemoth.errors import CheckpointIgnored, Corrupt
from behemoth.index import Timeline
from behemoth.log import Commit, Tip
from behemoth.stores import ObjectStore
from behemoth.tickstore import checkpoints
from behemoth.tickstore.checkpoints import Root

Seen = tuple[int, Observation]
"""An observation and the number of the commit that brought it."""


@dataclass(slots=True)
class _Symbol:
    """A symbol's timeline as far as it is loaded, and what came since."""

    timeline: Timeline | None = None
    seen: list[Seen] | None = None
    new_revisions: list[Revision] = field(default_factory=list)
    new_seen: list[Seen] = field(default_factory=list)
    touched: int = 0


class State:
    """The newest known state of a table; safe to share between threads.

    Parameters
    ----------
    store
        Where the table lives.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._symbols: dict[str, _Symbol] = defaultdict(_Symbol)
        self._opened = False
        self.tip = Tip()
        self.root = Root()

    def refresh(self) -> Tip:
        """Read what was committed since; give the newest commit.

        Costs one look for a file when nothing is new.

        Raises
        ------
        Corrupt
            When the log is damaged.
        """
        with self._lock:
            if not self._opened:
                self._open(checkpoints.roots(self._store))
            self._follow()
            return self.tip

    def _open(self, roots: list[str]) -> None:
        for key in roots:
            try:
                root = checkpoints.read_root(self._store, key)
                name = layout.log_key(root.tip.number)
                _, tip = ledger.decode(self._store.get(name), self._store.where(name))
            except (Corrupt, FileNotFoundError) as error:
                _warn(error)
                continue
            if tip != root.tip:
                _warn(f"{self._store.where(key)} is of another copy of this table")
                continue
            self.root, self.tip = root, tip
            break
        self._opened = True
        self._follow()
        self.check_no_gap()

    def _follow(self) -> None:
        while True:
            key = layout.log_key(self.tip.number + 1)
            try:
                data = self._store.get(key)
            except FileNotFoundError:
                return
            self._fold(*ledger.follow(self.tip, data, self._store.where(key)))

    def check_no_gap(self) -> None:
        """Make sure that the newest commit really is the newest.

        Raises
        ------
        Corrupt
            When an entry of the log is missing.
        """
        if self._store.exists(layout.log_key(self.tip.number + 2)):
            before = self.tip.number
            self._follow()
            if self.tip.number == before:
                missing = self._store.where(layout.log_key(before + 1))
                raise Corrupt(f"{missing} is missing, and later commits are there")

    def advance(self, commit: Commit, tip: Tip) -> None:
        """Fold a commit that this process has just made."""
        with self._lock:
            if tip.number == self.tip.number + 1:
                self._fold(commit, tip)

    def _fold(self, commit: Commit, tip: Tip) -> None:
        for revision in commit.revisions:
            symbol = self._symbols[revision.symbol]
            symbol.new_revisions.append(revision)
            symbol.touched = tip.number
        for observation in commit.observations:
            symbol = self._symbols[observation.symbol]
            symbol.new_seen.append((tip.number, observation))
            symbol.touched = tip.number
        self.tip = tip

    def adopt(self, root: Root) -> None:
        """Take a checkpoint as the newest; what is loaded stays loaded."""
        with self._lock:
            self.root = root

    def symbols(self) -> list[str]:
        """Name every symbol that was ever written or observed, sorted."""
        with self._lock:
            return sorted(self.root.symbols.keys() | self._symbols.keys())

    def touched_since(self, number: int) -> list[str]:
        """Name the symbols that commits after a number have changed."""
        with self._lock:
            return [name for name, symbol in self._symbols.items() if symbol.touched > number]

    def timeline(self, name: str) -> Timeline:
        """Give the timeline of a symbol, empty for one that is unknown."""
        with self._lock:
            if not self._is_known(name):
                return Timeline(name)
            symbol = self._symbols[name]
            if symbol.timeline is None:
                loaded = self._load(name, checkpoints.read_timeline)
                symbol = self._symbols[name]  # loading may have started over from the log
                symbol.timeline = loaded or Timeline(name)
                done = self.root.tip.number
                symbol.new_revisions = [r for r in symbol.new_revisions if r.commit > done]
            if symbol.new_revisions:
                symbol.timeline = symbol.timeline.with_revisions(symbol.new_revisions)
                symbol.new_revisions = []
            return symbol.timeline

    def observations(self, name: str) -> list[Seen]:
        """Give what was observed of a symbol, in the order of the commits."""
        with self._lock:
            if not self._is_known(name):
                return []
            symbol = self._symbols[name]
            if symbol.seen is None:
                loaded = self._load(name, checkpoints.read_observations)
                symbol = self._symbols[name]
                symbol.seen = loaded or []
                done = self.root.tip.number
                symbol.new_seen = [seen for seen in symbol.new_seen if seen[0] > done]
            symbol.seen += symbol.new_seen
            symbol.new_seen = []
            return list(symbol.seen)

    def _is_known(self, name: str) -> bool:
        return name in self._symbols or name in self.root.symbols

    def _load(self, name: str, read: Any) -> Any:
        """Read a checkpoint file; fold the whole log instead where that fails."""
        try:
            return read(self._store, self.root, name)
        except (Corrupt, FileNotFoundError) as error:
            _warn(error)
            self._symbols.clear()
            self.root, self.tip = Root(), Tip()
            self._follow()
            return None


def _warn(reason: object) -> None:
    warnings.warn(
        f"index checkpoint passed over, the log answers: {reason}", CheckpointIgnored, stacklevel=2
    )
