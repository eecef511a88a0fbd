"""The pages of an index checkpoint: a tree of immutable files, shared between checkpoints.

A page holds the rows of all symbols whose digest begins with its name, as long as there is room:
new rows go to the page on top, and one that is too full gives those of its largest quarter to the
page below. So a checkpoint writes the page on top, and now and then one further down, however much
lies in the tree; a symbol's rows are in the pages on the way down to it. A page that is full of a
single symbol is sealed, and the next one begins beside it.

What does not live here: what the rows mean (`Kind`), and roots (`behemoth.tickstore.checkpoints`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from behemoth import layout
from behemoth.errors import Corrupt, EnvironmentFailed
from behemoth.index import Rows
from behemoth.layout import What
from behemoth.stores import ObjectStore

FULL = 1 << 14
"""Rows from which on a page gives some away."""

DECODED = 12
"""How many pages stay decoded: those on the way down to a symbol, and a few more."""

File = Mapping[str, Any]
"""Key, size, digest and number of rows of a page; of a sealed one the symbol."""

Tree = Mapping[str, Sequence[File]]
"""The files of each page, by its name: the sealed ones, then the one that still changes."""


@lru_cache(maxsize=65_536)
def path(symbol: str) -> str:
    """Give the digits, 0 to 3, by which a symbol finds its way down.

    Examples
    --------
    >>> path("BTC-USD")[:8]
    '30012230'
    """
    digest = hashlib.blake2b(symbol.encode(errors="surrogatepass"), digest_size=16).digest()
    return "".join(str(byte >> shift & 3) for byte in digest for shift in (6, 4, 2, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Rows of several symbols.

    Attributes
    ----------
    names
        The symbols, sorted.
    codes
        For each row the position of its symbol in `names`, ascending.
    rows
        Sorted by symbol, then as their kind says.
    """

    names: tuple[str, ...]
    codes: npt.NDArray[np.intp]
    rows: Rows

    def __len__(self) -> int:
        return len(self.codes)

    def of(self, symbol: str) -> Rows:
        """Give the rows of one symbol."""
        if symbol not in self.names:
            return self.rows[:0]
        code = self.names.index(symbol)
        return self.rows[slice(*np.searchsorted(self.codes, [code, code + 1]))]

    def take(self, wanted: npt.NDArray[Any] | slice) -> Sheet:
        """Give some rows, in their order."""
        used, codes = np.unique(self.codes[wanted], return_inverse=True)
        return Sheet(tuple(self.names[code] for code in used), codes, self.rows[wanted])


@dataclass(frozen=True, slots=True)
class Summary:
    """What is said of a symbol without reading its rows.

    Attributes
    ----------
    earliest, latest
        First and last start of knowledge.
    dates
        It has at least so many different dates.
    deletes
        How many revisions are deletes.
    """

    earliest: int = np.iinfo(np.int64).max
    latest: int = np.iinfo(np.int64).min
    dates: int = 0
    deletes: int = 0

    def __or__(self, other: Summary) -> Summary:
        """Say what is true of both together."""
        return Summary(
            min(self.earliest, other.earliest),
            max(self.latest, other.latest),
            max(self.dates, other.dates),
            self.deletes + other.deletes,
        )

    def shows(self, time: int) -> bool | None:
        """Whether anything was known at a time; ``None`` when only the rows can tell."""
        if self.earliest > time:
            return False
        if self.deletes == 0 or (self.latest <= time and self.dates > self.deletes):
            return True
        return None


@dataclass(frozen=True, slots=True)
class Kind:
    """What lies in the pages of a tree.

    Attributes
    ----------
    what
        Its name.
    order
        The fields by which the rows of a symbol are sorted, the most important one last.
    write
        Makes a file of a sheet; gives its bytes, and what reading it needs to know.
    read
        Undoes it.
    summaries
        Tells from the header of a file what it holds of each symbol.
    """

    what: What
    order: tuple[str, str]
    write: Callable[[Sheet], tuple[bytes, dict[str, Any]]]
    read: Callable[[bytes, File, str], Sheet]
    summaries: Callable[[ObjectStore, File], Mapping[str, Summary]]

    def sheet(self, parts: Sequence[tuple[Sequence[str], npt.NDArray[Any], Rows]]) -> Sheet:
        """Put rows together: of each part the names, the code of each row, and the rows."""
        names = tuple(sorted({name for some, _, _ in parts for name in some}))
        places = {name: place for place, name in enumerate(names)}
        codes = np.concatenate(
            [np.array([places[name] for name in some], dtype=np.intp)[c] for some, c, _ in parts]
        )
        rows = np.concatenate([rows for _, _, rows in parts])
        order = np.lexsort((rows[self.order[0]], rows[self.order[1]], codes))
        return Sheet(names, codes[order], rows[order])


def digest_of(data: bytes) -> str:
    """Digest the bytes of a file."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


class Shelf:
    """Reads pages, and keeps the last few decoded; safe to share, for files never change.

    Parameters
    ----------
    store
        Where the table lives.

    Attributes
    ----------
    damaged
        Keys of pages that could not be read.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.damaged: set[str] = set()
        self._decoded: OrderedDict[tuple[str, str], Sheet] = OrderedDict()
        self._summaries: dict[tuple[str, str], Mapping[str, Summary]] = {}

    def sheet(self, kind: Kind, file: File) -> Sheet:
        """Read a page.

        Raises
        ------
        Corrupt
            When it is not the one that was written.
        FileNotFoundError
            When it is not there.
        """
        name = file["key"], file["digest"]
        found = self._decoded.pop(name, None)
        if found is None:
            with self.noting(file):
                data, where = self.data(file)
                found = kind.read(data, file, where)
        return self.keep(file, found)

    def data(self, file: File) -> tuple[bytes, str]:
        """Give the bytes of a file that are the ones that were written, and its name."""
        data, where = self.store.get(file["key"]), self.store.where(file["key"])
        if len(data) != file["size"] or digest_of(data) != file["digest"]:
            raise Corrupt(f"{where} is not what it promises: it does not match its digest")
        return data, where

    @contextmanager
    def noting(self, file: File) -> Iterator[None]:
        """Remember a page that cannot be read, so that no checkpoint shares it again."""
        try:
            yield
        except (Corrupt, FileNotFoundError, EnvironmentFailed):
            self.damaged.add(file["key"])
            raise

    def keep(self, file: File, sheet: Sheet) -> Sheet:
        """Remember what a file holds."""
        self._decoded[file["key"], file["digest"]] = sheet
        while len(self._decoded) > DECODED:
            self._decoded.popitem(last=False)
        return sheet

    def rows(self, kind: Kind, tree: Tree, symbol: str) -> Rows | None:
        """Read the rows of one symbol; ``None`` where there are none."""
        parts = []
        for file in _on_the_way(tree, symbol):
            sheet = self.sheet(kind, file)
            if len(rows := sheet.of(symbol)):
                parts.append(((symbol,), np.zeros(len(rows), dtype=np.intp), rows))
        if not parts:
            return None
        return kind.sheet(parts).rows if len(parts) > 1 else parts[0][2].copy()

    def summaries(self, kind: Kind, tree: Tree) -> dict[str, Summary]:
        """Sum up every symbol of a tree, from the headers of its files."""
        found: dict[str, Summary] = {}
        for file in (file for files in tree.values() for file in files):
            name = file["key"], file["digest"]
            if name not in self._summaries:
                with self.noting(file):
                    self._summaries[name] = kind.summaries(self.store, file)
            for symbol, summary in self._summaries[name].items():
                found[symbol] = found.get(symbol, NOTHING) | summary
        return found


NOTHING = Summary()


def _on_the_way(tree: Tree, symbol: str) -> Iterator[File]:
    """Find the files that may hold rows of a symbol, from the top down."""
    digits = path(symbol)
    for depth in range(len(digits) + 1):
        if digits[:depth] not in tree:
            return
        yield from (f for f in tree[digits[:depth]] if f.get("symbol") in (None, symbol))


@dataclass(slots=True)
class Growth:
    """A tree while rows are added to it.

    Attributes
    ----------
    shelf, kind
        Where pages are, and what lies in them.
    token
        Of the checkpoint; new files carry it in their names.
    tree
        As it is so far.
    """

    shelf: Shelf
    kind: Kind
    token: str
    tree: dict[str, Sequence[File]] = field(default_factory=dict)

    def add(self, new: Sheet, page: str = "") -> None:
        """Add rows to a page; write it, and those below that it gives some to."""
        files = list(self.tree.get(page, ()))
        if files and "symbol" not in files[-1]:
            old = self.shelf.sheet(self.kind, files.pop())
            new = self.kind.sheet([(each.names, each.codes, each.rows) for each in (old, new)])
        while len(new) > FULL:
            if len(new.names) == 1:
                sealed, new = new.take(slice(FULL)), new.take(slice(FULL, None))
                files.append({**self._write(page, sealed), "symbol": sealed.names[0]})
            else:
                digits = np.array([int(path(name)[len(page)]) for name in new.names])[new.codes]
                largest = int(np.bincount(digits).argmax())
                self.add(new.take(digits == largest), f"{page}{largest}")
                new = new.take(digits != largest)
        if len(new):
            files.append(self._write(page, new))
        self.tree[page] = files

    def _write(self, page: str, sheet: Sheet) -> File:
        """Write a file under the first name that is free: others may be damaged leftovers."""
        data, more = self.kind.write(sheet)
        attempt = 0
        while True:
            key = layout.page_key(self.token, page, self.kind.what, attempt)
            try:
                self.shelf.store.put(key, data)
            except FileExistsError:
                attempt += 1
            else:
                file = {"key": key, "size": len(data), "digest": digest_of(data), **more}
                self.shelf.keep(file, sheet)
                return file
