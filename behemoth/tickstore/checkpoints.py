"""Index checkpoints in an object store: written now and then, so that nobody folds the whole log.

A root ``index/TOKEN.json`` says "complete through commit N" and lists the pages that hold it, with
their digests. Pages and roots are immutable; a page that did not change is shared with earlier
checkpoints.

Who writes them: a writer whose commit is at least `EVERY` after the newest root, or who finds more
than `MANY` revisions and observations after it; and whoever calls ``flush``. So the tail of the log
that a reader folds is bounded. The two newest roots stay; what only older ones need is removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from behemoth import layout
from behemoth import log as ledger
from behemoth.errors import Corrupt
from behemoth.index import Rows, Timeline
from behemoth.log import Commit, Tip
from behemoth.stores import ObjectStore
from behemoth.stores.base import check_key
from behemoth.tickstore import kinds
from behemoth.tickstore.kinds import KINDS, OBSERVATIONS, REVISIONS, Seen
from behemoth.tickstore.pages import File, Growth, Kind, Shelf, Summary, Tree
from behemoth.version import FORMAT

EVERY = 64
"""The log's tail behind the newest checkpoint is about this long at most."""

MANY = 1 << 13
"""Or it holds about so many revisions and observations at most."""

KEPT_ROOTS = 2
PAGE = re.compile(r"[0-3]{0,63}")
TOKEN_NUMBER = re.compile(r"index/(?:pages/)?(\d+)-")


@dataclass(frozen=True, slots=True)
class Root:
    """Which files together are the index up to a commit."""

    tip: Tip = field(default_factory=Tip)
    trees: Mapping[str, Tree] = field(default_factory=dict)
    retired: Sequence[str] = ()
    symbols: Mapping[str, Mapping[str, File]] = field(default_factory=dict)
    """Of formats 1 and 2, which had files for each symbol and no pages."""

    def files(self) -> Iterator[File]:
        """Give every file that the root lists."""
        for tree in self.trees.values():
            for files in tree.values():
                yield from files
        for older in self.symbols.values():
            yield from older.values()


def roots(store: ObjectStore) -> list[str]:
    """List the keys of all roots, the newest first."""
    keys = [key for key in store.keys("index/") if layout.parse_root_key(key) is not None]
    return sorted(keys, key=_number, reverse=True)


def _number(key: str) -> int:
    match = TOKEN_NUMBER.match(key)
    return int(match[1]) if match else -1


def entry(store: ObjectStore, number: int) -> tuple[Tip, Commit]:
    """Read one entry of the log by itself."""
    key = layout.log_key(number)
    commit, tip = ledger.decode(store.get(key), store.where(key))
    return tip, commit


def committed(store: ObjectStore, number: int) -> tuple[Tip, Commit]:
    """Read an entry that must be there.

    Raises
    ------
    Corrupt
        When it is not.
    """
    try:
        return entry(store, number)
    except FileNotFoundError as error:
        raise Corrupt(f"{store.where(layout.log_key(number))} is missing") from error


def read_root(store: ObjectStore, key: str) -> Root:
    """Read a root; raise `Corrupt` when it is damaged."""
    text, _ = ledger.unseal(store.get(key), store.where(key))
    try:
        number, time = ledger.whole(text, "number"), ledger.instant(text, "time")
        tip = Tip(number, ledger.text(text, "entry"), time)
        retired = ledger.list_of_texts(text, "retired")
        if "symbols" in text:
            for files in text["symbols"].values():
                for what, file in files.items():
                    _check_file(file, what)
            return Root(tip, retired=retired, symbols=text["symbols"])
        return Root(tip, {kind.what: _checked(text["pages"], kind) for kind in KINDS}, retired)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Corrupt(f"{store.where(key)} is not what it promises: it lacks {error}") from error


def _checked(trees: Mapping[str, Any], kind: Kind) -> Tree:
    """Give one of the trees of a root; raise unless it is one."""
    tree: Tree = trees[kind.what]
    for page, files in tree.items():
        if not PAGE.fullmatch(page) or not isinstance(files, list):
            raise ValueError("a list of the files of each page")
        for file in files:
            _check_file(file, kind.what)
            ledger.whole(file, "rows")
            if "symbol" in file:
                ledger.text(file, "symbol")
    return tree


def _check_file(file: File, what: str) -> None:
    """Raise unless it is a file of a checkpoint."""
    if not ledger.text(file, "key").startswith("index/"):
        raise ValueError("a key in index/")
    check_key(file["key"])
    ledger.text(file, "digest")
    ledger.whole(file, "size")
    if what == "observations":
        ledger.whole(file, "rows")
        ledger.text(file, "content")


def names(shelf: Shelf, root: Root) -> set[str]:
    """Name every symbol of a checkpoint."""
    return set(root.symbols).union(summaries(shelf, root), _tree(shelf, root, OBSERVATIONS))


def summaries(shelf: Shelf, root: Root) -> dict[str, Summary]:
    """Sum up the revisions of every symbol; of older formats nothing is known."""
    return _tree(shelf, root, REVISIONS)


def _tree(shelf: Shelf, root: Root, kind: Kind) -> dict[str, Summary]:
    return shelf.summaries(kind, root.trees.get(kind.what, {}))


def read_timeline(shelf: Shelf, root: Root, symbol: str) -> Timeline | None:
    """Read a symbol's revisions; ``None`` where the checkpoint has none."""
    rows = _rows(shelf, root, symbol, REVISIONS)
    return None if rows is None else Timeline(symbol, rows)


def read_observations(shelf: Shelf, root: Root, symbol: str) -> list[Seen] | None:
    """Read a symbol's observations; ``None`` where the checkpoint has none."""
    rows = _rows(shelf, root, symbol, OBSERVATIONS)
    return None if rows is None else kinds.observations(symbol, rows)


def _rows(shelf: Shelf, root: Root, symbol: str, kind: Kind) -> Rows | None:
    if symbol in root.symbols:
        return _older_rows(shelf, root, symbol, kind.what)
    return shelf.rows(kind, root.trees.get(kind.what, {}), symbol)


def _older_rows(shelf: Shelf, root: Root, symbol: str, what: layout.What) -> Rows | None:
    """Read a file of formats 1 and 2, which had one for each symbol."""
    file = root.symbols[symbol].get(what)
    if file is None:
        return None
    with shelf.noting(file):
        data, name = shelf.data(file)
        if what == "observations":
            return kinds.read_older_observations(symbol, data, file, name)
        return kinds.read_revisions(data, file, name).rows


def write(
    shelf: Shelf,
    tip: Tip,
    base: Root,
    added: Mapping[layout.What, Mapping[str, Rows]],
    retired: Sequence[str] = (),
) -> Root:
    """Write the checkpoint of a state.

    Parameters
    ----------
    shelf
        Of the table.
    tip
        The state's newest commit.
    base
        An earlier checkpoint; the pages that get nothing new are shared with it.
    added
        By kind and symbol, the rows of the commits since.
    retired
        For each date and symbol the key of the highest version that repair took away.
    """
    trees: dict[str, Tree] = {}
    for kind in KINDS:
        growth = Growth(shelf, kind, tip.token, dict(base.trees.get(kind.what, {})))
        parts = [
            ((symbol,), np.zeros(len(rows), dtype=np.intp), rows)
            for symbol, rows in (*_older(shelf, base, kind), *added[kind.what].items())
            if len(rows)
        ]
        if parts:
            growth.add(kind.sheet(parts))
        trees[kind.what] = growth.tree
    root = Root(tip, trees, retired)
    text = {
        "format": FORMAT,
        "number": tip.number,
        "entry": tip.digest,
        "time": (tip.time or datetime.now(UTC)).isoformat(),
        "pages": trees,
        "retired": list(retired),
    }
    with suppress(FileExistsError):  # another process checkpointed the same state
        shelf.store.put(layout.checkpoint_root_key(tip.token), ledger.seal(text))
    return root


def _older(shelf: Shelf, base: Root, kind: Kind) -> Iterator[tuple[str, Rows]]:
    """Read all that a root of an older format has; once, for the next one has pages."""
    for symbol in base.symbols:
        rows = _older_rows(shelf, base, symbol, kind.what)
        if rows is not None:
            yield symbol, rows


def prune(store: ObjectStore) -> None:
    """Remove old roots first, then the files that no kept root names; a damaged one names none."""
    keys = roots(store)
    kept = keys[:KEPT_ROOTS]
    if len(keys) == len(kept):
        return
    needed: set[str] = set()
    for key in kept:
        with suppress(Corrupt, FileNotFoundError):
            needed.update(file["key"] for file in read_root(store, key).files())
    oldest = _number(kept[-1])
    for key in keys[KEPT_ROOTS:]:
        store.remove(key)
    for key in store.keys("index/"):
        if key not in needed and key not in kept and _number(key) < oldest:
            store.remove(key)
