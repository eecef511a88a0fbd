"""A splay file: the ticks of one (symbol, date) in pandas' "fixed" HDF5 layout.

``pandas.read_hdf(path)`` opens the file to an equal frame; text and category columns show their
integer codes there. Under ``/ticks``: ``axis1`` (the times, int64 UTC nanoseconds) and the columns
as in `fixed`. Under ``/categories/cN``, for column number N: ``text`` (all its strings joined,
UTF-8) and ``ends`` (int64, where each string ends).

Knows neither file names nor versions: the log holds those.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from behemoth.codec.container import Container, Schema, Sliced, corrupt, pack
from behemoth.codec.fixed import Block, blocks_of, frame_attributes, lay_out, read_values
from behemoth.codec.hdf5 import Attribute, Stored
from behemoth.codec.ticks import UNITS, Array, Column, Kind, Ticks
from behemoth.version import __version__

TOOL = f"behemoth {__version__}"


@dataclass(frozen=True, slots=True)
class Splay:
    """The bytes of a splay file, and what the log says of them."""

    data: bytes
    rows: int
    first: int | None
    last: int | None
    digest: str
    aware: bool

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.data)


class Promise(NamedTuple):
    """What the index says of a splay; its header must say the same."""

    symbol: str
    date: dt.date
    rows: int
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a splay's header says by itself, for when no log is left to say it."""

    promise: Promise
    first: int | None
    last: int | None
    aware: bool
    written_at: dt.datetime


def write_splay(ticks: Ticks, symbol: str, date: dt.date, written_at: dt.datetime) -> Splay:
    """Make the file of one (symbol, date).

    Parameters
    ----------
    ticks
        What to keep.
    symbol, date
        What the header says it is.
    written_at
        Aware UTC; for the curious, nothing depends on it.
    """
    digest = ticks.digest()
    schema = {
        "time": {"name": ticks.time_name, "aware": ticks.aware},
        "columns": [column.schema for column in ticks.columns],
    }
    facts = {
        "symbol": symbol,
        "date": date.isoformat(),
        "first": ticks.first,
        "last": ticks.last,
        "written_at": written_at.isoformat(),
        "tool": TOOL,
    }
    time_attributes: dict[str, Attribute] = {
        "kind": "datetime64",
        "index_class": "datetime",
        "name": ticks.time_name,
    }
    if ticks.aware:
        time_attributes["tz"] = "UTC"
    arrays, plain = lay_out("/ticks", ticks.columns)
    arrays.insert(0, Stored("/ticks/axis1", ticks.times, time_attributes))
    for number, column in enumerate(ticks.columns):
        if column.categories is not None:
            text, ends = join_texts(column.categories)
            arrays.append(Stored(f"/categories/c{number}/text", text, rows=False))
            arrays.append(Stored(f"/categories/c{number}/ends", ends, rows=False))
    groups = {"/ticks": frame_attributes(len(blocks_of(ticks.columns)), "regular")}
    data = pack(schema, facts, len(ticks), digest, arrays, groups, plain)
    return Splay(data, len(ticks), ticks.first, ticks.last, digest, ticks.aware)


def join_texts(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Join strings into one array of UTF-8 bytes and the places where each of them ends."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), ends


def split_texts(text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Undo `join_texts`; raise `ValueError` for what it never makes."""
    data = text.tobytes()
    starts = [0, *ends.tolist()]
    if starts[-1] != len(data) or starts != sorted(starts):
        raise ValueError("strings end where there is no text")
    return tuple(
        data[start:end].decode("utf-8", "surrogatepass")
        for start, end in itertools.pairwise(starts)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What the splays of one schema have in common: columns, and where their values lie."""

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    time_name: str
    aware: bool

    def sample(self, names: Sequence[str] | None = None) -> Ticks | None:
        """Give one tick that means nothing; ``None`` where a column has texts of each file."""
        columns = self.columns
        if names is not None:
            columns = tuple(columns[place] for place in _positions(columns, names))
        if any(column.kind in ("text", "category") for column in columns):
            return None
        return Ticks(
            times=np.zeros(1, dtype=np.int64),
            columns=tuple(
                replace(column, values=np.zeros(1, dtype=column.values.dtype)) for column in columns
            ),
            time_name=self.time_name,
            aware=self.aware,
        )


@lru_cache(maxsize=256)
def _shape(schema: Schema) -> Shape:
    """Read the columns off a schema; raise what a malformed one makes Python raise."""
    facts = schema.more.get("facts", schema.more)
    columns = tuple(_column_of(fact) for fact in facts["columns"])
    time = facts["time"]
    return Shape(columns, tuple(blocks_of(columns)), time["name"], time["aware"])


def open_splay(data: bytes | Sliced, promise: Promise, name: str) -> tuple[Container, Shape]:
    """Check a splay's header against what the index says of it, and read its columns.

    Raises
    ------
    Corrupt
        When they do not agree.
    """
    if len(data) != promise.size:
        raise corrupt(name, f"it has {len(data)} bytes, not {promise.size}")
    container = Container(data, name)
    if not (
        container.rows == promise.rows
        and container.content.hex() == promise.digest
        and container.says(_beginning(promise.symbol, promise.date))
    ):
        _check_facts(container, promise)
    try:
        return container, _shape(container.schema)
    except (KeyError, TypeError, AttributeError) as error:
        raise container.corrupt("its header has no schema that can be read") from error


@lru_cache(maxsize=4096)
def _symbol_text(symbol: str) -> str:
    return json.dumps(symbol, ensure_ascii=True)


def _beginning(symbol: str, date: dt.date) -> bytes:
    """Say how the text of a splay's facts begins."""
    return f'{{"symbol":{_symbol_text(symbol)},"date":"{date.isoformat()}",'.encode()


def _check_facts(container: Container, promise: Promise) -> None:
    """Name the first fact that differs; older formats keep them all in the text."""
    facts = dict(container.facts)
    if container.rows >= 0:
        facts |= {"rows": container.rows, "digest": container.content.hex()}
    promised = promise._asdict() | {"date": promise.date.isoformat()}
    for key in ("symbol", "date", "rows", "digest"):
        if facts.get(key) != promised[key]:
            raise container.corrupt(f"its {key} is {facts.get(key)!r}, not {promised[key]!r}")


def read_splay(
    data: bytes | Sliced, promise: Promise, name: str, columns: Sequence[str] | None = None
) -> Ticks:
    """Read ticks from a splay file, through its header only.

    Parameters
    ----------
    data
        All bytes of the file, or something that gives a slice of them when it is asked.
    promise
        What the index says of it.
    name
        What messages call the file.
    columns
        Decode only these, in this order; those that the file does not have are left out.

    Raises
    ------
    Corrupt
        When header, digests and promise do not all agree.
    """
    container, shape = open_splay(data, promise, name)
    times = container.read("/ticks/axis1", "int64", (promise.rows,))
    count = len(shape.columns)
    wanted = range(count) if columns is None else _positions(shape.columns, columns)
    values = read_values(container, "/ticks", shape.blocks, promise.rows, wanted)
    return Ticks(
        times=times,
        columns=tuple(_filled(container, n, shape.columns[n], values[n]) for n in wanted),
        time_name=shape.time_name,
        aware=shape.aware,
    )


def check_splay(data: bytes, promise: Promise, name: str) -> Ticks:
    """Check every byte of a splay: what `read_splay` reads, and what only other readers need.

    Raises
    ------
    Corrupt
        When one differs from what was written, or the ticks from their digest.
    """
    container, _ = open_splay(data, promise, name)
    container.check_rest()
    ticks = read_splay(data, promise, name)
    if ticks.digest() != promise.digest:
        raise container.corrupt("its ticks do not match their digest")
    return ticks


def read_facts(data: bytes, name: str) -> Facts:
    """Read what a splay's header says, and nothing else; raise `Corrupt` when it is damaged."""
    container = Container(data, name)
    facts = container.facts
    try:
        date = dt.date.fromisoformat(facts["date"])
        rows, digest = container.rows, container.content.hex()
        if rows < 0:  # an older format keeps them in the text
            rows, digest = facts["rows"], facts["digest"]
        promise = Promise(facts["symbol"], date, rows, len(data), digest)
        written_at = dt.datetime.fromisoformat(facts["written_at"])
        aware = _shape(container.schema).aware
        return Facts(promise, facts["first"], facts["last"], aware, written_at)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise container.corrupt("its header does not say what it is") from error


def _column_of(fact: dict[str, Any]) -> Column:
    timed = fact["kind"] in ("datetime", "timedelta")
    if fact["kind"] not in get_args(Kind) or (timed and fact["unit"] not in UNITS):
        raise TypeError(f"no column is like {fact}")
    return Column(
        name=fact["name"],
        kind=fact["kind"],
        values=np.empty(0, dtype=fact["dtype"]),
        unit=fact.get("unit"),
        tz=fact.get("tz"),
        ordered=fact.get("ordered", False),
    )


def _positions(schema: Sequence[Column], names: Sequence[str]) -> list[int]:
    place = {column.name: number for number, column in enumerate(schema)}
    return [place[name] for name in names if name in place]


def _filled(container: Container, number: int, column: Column, values: Array) -> Column:
    categories = None
    if column.kind in ("text", "category"):
        text_path, ends_path = f"/categories/c{number}/text", f"/categories/c{number}/ends"
        text = container.read(text_path, "uint8", (container.length(text_path),))
        ends = container.read(ends_path, "int64", (container.length(ends_path),))
        try:
            categories = split_texts(text, ends)
        except ValueError as error:
            raise container.corrupt(f"the texts of column {column.name!r} are not UTF-8") from error
        if len(values) and not -1 <= values.min() <= values.max() < len(categories):
            raise container.corrupt(f"column {column.name!r} has a code that stands for no text")
    return Column(
        column.name, column.kind, values, column.unit, column.tz, categories, column.ordered
    )
