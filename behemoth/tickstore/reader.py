"""Reading ticks: which files, which part of them, and how days are joined.

One way serves single and many, latest and as-of: find the visible revisions, read their files
through the codec, cut, join.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date as Date
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from behemoth import codec, index, layout
from behemoth.bitemporal import Revision
from behemoth.codec import Schema, Ticks
from behemoth.errors import Corrupt, EnvironmentFailed, NotFound
from behemoth.index import ROW, Rows
from behemoth.stores import ObjectStore, Ranges
from behemoth.tickstore.images import Images, width
from behemoth.tickstore.mapping import Mapping
from behemoth.tickstore.request import Query
from behemoth.tickstore.state import State

HEAD = 1 << 16
"""What is read at once of a big file of which only some columns are wanted."""

THREADED = 1 << 20
"""Bytes of a file from which on more threads than one help."""

EPOCH = index.EPOCH_DATE.toordinal()

NOWHERE = (np.iinfo(np.int64).max, np.iinfo(np.int64).min)
"""Bounds that no tick is in."""

DATE, VERSION, SPLAY, ROWS, SIZE = map(
    (ROW.names or ()).index, ("date", "version", "splay", "rows", "size")
)


def _parts(count: int, runs: Iterable[range]) -> list[range]:
    """Cover the places with these runs, and one by one where there is none."""
    parts, place = [], 0
    for run in sorted(runs, key=lambda each: each.start):
        parts += [range(each, each + 1) for each in range(place, run.start)]
        parts.append(run)
        place = run.stop
    return parts + [range(each, each + 1) for each in range(place, count)]


class Source(NamedTuple):
    """A file to read, what it must hold, and the version that the error is about."""

    key: str
    promise: codec.Promise
    version: int


@contextmanager
def _naming(source: Source, store: ObjectStore) -> Iterator[None]:
    """Say of which symbol, date and version a file is that cannot be read."""
    promise = source.promise
    about: dict[str, Any] = {
        "symbol": promise.symbol,
        "date": promise.date,
        "version": source.version,
    }
    try:
        yield
    except FileNotFoundError as error:
        raise Corrupt(f"{store.where(source.key)} is missing", **about) from error
    except Corrupt as error:
        raise Corrupt(error.message, **about) from error


class Reader:
    """Reads the ticks of one table.

    Parameters
    ----------
    store
        Where the table lives.
    state
        What this process knows of it.
    time_name
        The name of the time index.
    images
        Where decoded ticks are kept; ``None`` for nowhere.
    threads
        How many threads decode big files.
    """

    def __init__(
        self,
        store: ObjectStore,
        state: State,
        time_name: str,
        images: Images | None = None,
        threads: int | None = None,
    ) -> None:
        self._threads = threads or min(8, os.cpu_count() or 1)
        self._store = store
        self._state = state
        self._time_name = time_name
        self._mapping = Mapping(images, state, self._whole)

    def read(self, query: Query, schema: Schema) -> tuple[Ticks | None, Rows]:
        """Read one symbol's ticks; ``None`` where nothing of it was known.

        With them come the rows of the index whose splays hold them.
        """
        shown = self._shown(query)
        ticks = None
        if len(shown) and schema == "union":
            ticks = self._together(query, shown)
        if ticks is None:
            known = self._timeline(query).known(query.known_at, query.commit)
            ticks = self._joined(query, self._one_by_one(query), known, schema)
        return ticks, shown

    def _timeline(self, query: Query) -> index.Timeline:
        return self._state.timeline(query.symbol)

    def _shown(self, query: Query) -> Rows:
        return self._timeline(query).shown(query.known_at, query.commit, query.bounds)

    def _one_by_one(self, query: Query) -> list[Ticks]:
        """Read splays that may differ in their columns, or overlap in time."""
        visible = self._timeline(query).visible(query.known_at, query.commit, query.bounds)
        return [self._splay(each, query.columns).between(*query.bounds) for each in visible]

    def _joined(
        self, query: Query, parts: list[Ticks], known: Rows, schema: Schema
    ) -> Ticks | None:
        """Join the ticks of days; where there are none, give the columns of the last one known."""
        if not len(known):
            return None
        if not parts:
            parts = [
                replace(self._columns_of(query.symbol, known[-1:]), aware=index.are_aware(known))
            ]
        if query.columns is None:
            return codec.concatenate(parts, schema)
        parts += self._missing(query.symbol, query.columns, parts, known)
        return codec.concatenate(parts, schema).only(query.columns)

    def sample(self, query: Query, schema: Schema) -> tuple[Ticks | None, Rows, int]:
        """Give the columns and types that `read` would give; one tick of no meaning if it has any.

        With it the rows of the index, and how many ticks there are. Only headers are read, but for
        texts, and where the range cuts.
        """
        shown, bounds, columns = self._shown(query), query.bounds, query.columns
        outside = (shown["first"] < bounds[0]) | (shown["last"] > bounds[1])
        parts: dict[Any, Ticks] = {}
        count = int(shown["rows"][~outside].sum())
        for source, cut in zip(self._sources(query.symbol, shown), outside.tolist(), strict=True):
            sample = None if cut else self._open(source, ())[1].sample(columns)
            if sample is None:
                ticks = self._read(source, columns).between(*bounds)
                count += len(ticks) if cut else 0
                sample = ticks.take(slice(0, 1))
            parts.setdefault((len(sample), *sample.schemas), sample)
        known = self._timeline(query).known(query.known_at, query.commit)
        whole = self._joined(query, list(parts.values()), known, schema)
        return None if whole is None else whole.take(slice(0, 1)), shown, count

    def part(self, query: Query, like: Ticks) -> Ticks:
        """Read a part of what has the columns and types of these ticks; it has the same."""
        query = query._replace(columns=like.names)
        shown = self._shown(query)
        if len(shown):
            together = self._together(query, shown)
            if together is not None and together.schemas == like.schemas:
                return together
        return codec.concatenate([like.take(slice(0, 0)), *self._one_by_one(query)])

    def _together(self, query: Query, shown: Rows) -> Ticks | None:
        """Read splays of one schema that follow each other in time; ``None`` if they do not."""
        symbol, bounds, columns = query.symbol, query.bounds, query.columns
        if np.any(shown["last"][:-1] > shown["first"][1:]):
            return None
        mapped = self._mapping.find(query, shown)
        parts = _parts(len(shown), mapped)
        alone = [part.start for part in parts if part not in mapped]
        sources = dict(zip(alone, self._sources(symbol, shown[alone]), strict=True))
        outside = (shown["first"] < bounds[0]) | (shown["last"] > bounds[1])
        cut, counts = set(np.flatnonzero(outside).tolist()), shown["rows"].tolist()
        rows, ready = [], {}
        for number, part in enumerate(parts):
            if part in mapped:
                ready[number] = mapped[part].between(*bounds)
            elif part.start in cut:
                ready[number] = self._read(sources[part.start], columns).between(*bounds)
            rows.append(len(ready[number]) if number in ready else counts[part.start])

        def open_at(number: int) -> tuple[codec.Container, codec.Shape]:
            return self._open(sources[parts[number].start], columns)

        large = shown["size"].mean() >= THREADED
        ticks = codec.gather(open_at, rows, columns, ready, self._threads if large else 1)
        if ticks is not None and sources:
            decoded = sum(rows[number] for number, part in enumerate(parts) if part not in mapped)
            self._mapping.missed(query, ticks, decoded)
        return ticks

    def _whole(self, symbol: str, rows: Rows, fits: Callable[[int], bool]) -> Ticks | None:
        """Read all splays of these rows of the index, if they follow each other in time and fit."""
        if np.any(rows["last"][:-1] > rows["first"][1:]):
            return None
        sources = self._sources(symbol, rows)
        with suppress(Corrupt, EnvironmentFailed):  # a day that nobody has asked for
            if not fits(int(rows["rows"].sum()) * width(self._open(sources[0], None)[1].columns)):
                return None
            return codec.gather(
                lambda number: self._open(sources[number], None), rows["rows"].tolist()
            )
        return None

    def _missing(
        self, symbol: str, columns: Sequence[str], parts: Sequence[Ticks], known: Rows
    ) -> list[Ticks]:
        """Find columns that these days lack in what is known of other days, the last first."""
        lacking = set(columns).difference(*(part.names for part in parts))
        found = []
        for place in reversed(range(len(known))):
            if not lacking:
                break
            there = self._columns_of(symbol, known[place : place + 1])
            if not lacking.isdisjoint(there.names):
                new = there.only([name for name in there.names if name in lacking])
                found.append(replace(new, aware=parts[0].aware))
                lacking.difference_update(there.names)
        if lacking:
            names = ", ".join(map(repr, sorted(lacking)))
            raise NotFound(
                f"{symbol!r} never had a column {names}; it has "
                f"{', '.join(self._columns_of(symbol, known[-1:]).names) or 'none'}",
                symbol=symbol,
            )
        return found

    def _sources(self, symbol: str, rows: Rows) -> list[Source]:
        """Say which files hold these rows of the index."""
        digests, encoded = index.digests(rows), layout.encode_name(symbol)
        found = []
        for row, digest in zip(rows.tolist(), digests, strict=True):
            date = Date.fromordinal(EPOCH + row[DATE])
            key = layout.encoded_splay_key(encoded, date, row[SPLAY])
            promise = codec.Promise(symbol, date, row[ROWS], row[SIZE], digest)
            found.append(Source(key, promise, row[VERSION]))
        return found

    def _splay(self, revision: Revision, columns: Sequence[str] | None) -> Ticks:
        """Read one file."""
        key = layout.splay_key(revision.symbol, revision.date, revision.splay or 0)
        promise = codec.Promise(
            revision.symbol, revision.date, revision.rows, revision.size, revision.digest
        )
        return self._read(Source(key, promise, revision.version), columns)

    def _read(self, source: Source, columns: Sequence[str] | None) -> Ticks:
        with _naming(source, self._store):
            data = self._data(source, columns)
            return codec.read_splay(data, source.promise, self._store.where(source.key), columns)

    def _open(
        self, source: Source, columns: Sequence[str] | None
    ) -> tuple[codec.Container, codec.Shape]:
        try:
            data = self._data(source, columns)
            return codec.open_splay(data, source.promise, self._store.where(source.key))
        except (FileNotFoundError, Corrupt):
            with _naming(source, self._store):
                raise

    def _data(self, source: Source, columns: Sequence[str] | None) -> bytes | codec.Sliced:
        """Give a file's bytes: all of them, or of a big one only those that are asked for."""
        if columns is None or source.promise.size <= HEAD:
            return self._store.get_range(source.key, 0, source.promise.size + 1)
        return Ranges(self._store, source.key, HEAD)

    def day(self, symbol: str, row: Rows, columns: Sequence[str] | None = None) -> Ticks:
        """Read the file of one row of the index; columns that it does not have are left out."""
        (source,) = self._sources(symbol, row)
        return self._read(source, columns)

    def columns(
        self, symbol: str, known_at: datetime, commit: int, columns: Sequence[str] | None
    ) -> Ticks:
        """Give a symbol's columns without ticks, as a select that finds none does."""
        found, _ = self.read(Query(symbol, NOWHERE, known_at, commit, columns), "union")
        return self.nothing(columns) if found is None else found

    def _columns_of(self, symbol: str, row: Rows) -> Ticks:
        """Give the columns of a file, without ticks."""
        return self.day(symbol, row).take(slice(0, 0))

    def nothing(self, columns: Sequence[str] | None = None) -> Ticks:
        """Give the ticks of a symbol that nobody knows: none, with UTC times."""
        empty = np.empty(0, dtype=np.float64)
        return Ticks(
            times=np.empty(0, dtype=np.int64),
            columns=tuple(codec.Column(name, "plain", empty) for name in columns or ()),
            time_name=self._time_name,
            aware=True,
        )

    def stack(
        self,
        symbols: Sequence[str],
        parts: Sequence[Ticks | None],
        columns: Sequence[str] | None,
        schema: Schema,
    ) -> tuple[list[tuple[str, Ticks]], Ticks]:
        """Put the ticks of several symbols together; give those of each, and of all of them."""
        known = [
            (name, part) for name, part in zip(symbols, parts, strict=True) if part is not None
        ]
        if not known:
            known = [(name, self.nothing(columns)) for name in symbols[:1]] or [
                ("", self.nothing(columns))
            ]
        return known, codec.concatenate([part for _, part in known], schema, sort=False)
