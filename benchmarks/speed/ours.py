"""The ways of this project, and the floor below: the same bytes read and decompressed, no more."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from datetime import date as Date
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import blosc
import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth import BiTimestamp, LocalTickstore, layout
from behemoth.codec.container import CONTENT, PREFIX, ROW, START, Container
from behemoth.codec.hdf5 import Entry, chunk_shape
from benchmarks.speed import samples
from benchmarks.speed.samples import Days
from benchmarks.speed.way import SYMBOL, Way


def has_images() -> bool:
    """Tell whether this version keeps images of columns that were read."""
    return "cache" in inspect.signature(LocalTickstore.__init__).parameters


def tickstore(folder: Path, cold: bool = False) -> LocalTickstore:
    """Open a table as a user does, or without images."""
    options: dict[str, Any] = {"cache": False} if cold and has_images() else {}
    return LocalTickstore(folder, **options)


class Behemoth(Way):
    """A commit for each day; read as a user reads, with an image where this version has them."""

    name = home = "behemoth"
    title = "Behemoth"
    packages = ("behemoth", "pandas", "blosc")
    syncs = "every commit is on the medium: fsync of files and folders"
    writes = True
    cold = False

    def begin(self) -> None:
        self.open()

    def append(self, days: Days) -> None:
        for day, frame in days:
            self.tickstore.insert(SYMBOL, BiTimestamp(day), frame)

    def open(self) -> None:
        self.tickstore = tickstore(self.folder, self.cold)

    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        known = as_of or BiTimestamp.latest_as_of
        return self.tickstore.select(SYMBOL, first, last, known, columns=columns)

    def revise(self, versions: int, days: int) -> datetime:
        """Make a history of versions; give a time at which the middle one was known.

        This is not measured, so nothing is flushed: the same files, made sooner.
        """
        os.fsync = lambda fd: None  # noqa: ARG005 - called by this name
        cut = samples.days_of(samples.load(self.sample))[:days]
        middle = BiTimestamp.latest_as_of
        for version in range(versions):
            with self.tickstore.transaction() as many:
                for day, frame in cut:
                    many.insert(SYMBOL, BiTimestamp(day), frame + version / 128)
            if version == versions // 2:
                middle = many.revisions[0].start_time
        return middle


class BehemothCold(Behemoth):
    """The same files without an image: every select reads and decodes them."""

    name = "behemoth-cold"
    title = "Behemoth, no image"
    writes = False
    cold = True


class BehemothOnce(Behemoth):
    """Everything in one transaction."""

    name = home = "behemoth-once"
    title = "Behemoth, one transaction"
    syncs = "the one commit is on the medium"
    at_once = True
    reads = False

    def append(self, days: Days) -> None:
        with self.tickstore.transaction() as many:
            for day, frame in days:
                many.insert(SYMBOL, BiTimestamp(day), frame)


class Chunk(NamedTuple):
    """A compressed piece of an array in a splay."""

    array: str
    dtype: str
    row: int
    offset: int
    size: int
    decoded: int
    raw: bool


class Plan(NamedTuple):
    """What is to be read of a splay."""

    path: Path
    header: int
    end: int
    chunks: list[Chunk]


def plan(path: Path) -> Plan:
    """Find the chunks of a splay, as docs/format.md says."""
    data = path.read_bytes()
    container = Container(data, path.name)
    _, _, length, count, more = PREFIX.unpack_from(data)
    place = START + CONTENT.size + length + more
    header = place + count * ROW.size
    chunks = []
    for listed in container.schema.arrays:
        shape = tuple(container.rows if n is None else n for n in listed.shape)
        size = np.dtype(listed.dtype).itemsize
        entry = Entry(listed.path, listed.dtype, shape, chunk_shape(shape, size))
        decoded = int(np.prod(entry.chunk)) * size
        for number in range(int(np.prod(entry.grid))):
            offset, stored, mask, _ = ROW.unpack_from(data, place)
            row, raw = number // entry.grid[-1], mask == 1
            chunks.append(Chunk(listed.path, listed.dtype, row, offset, stored, decoded, raw))
            place += ROW.size
    return Plan(path, header, max((c.offset + c.size for c in chunks), default=header), chunks)


def plans(folder: Path) -> list[Plan]:
    """Find the chunks of the newest version of every day."""
    return [
        plan(folder / layout.splay_key(SYMBOL, revision.date, revision.splay))
        for revision in tickstore(folder, cold=True).revisions(SYMBOL)
        if revision.splay is not None and revision.end_time == BiTimestamp.latest_as_of
    ]


def read(one: Plan) -> bytes:
    """Read the part of a file that holds its chunks."""
    file = os.open(one.path, os.O_RDONLY)
    try:
        return os.read(file, one.end)
    finally:
        os.close(file)


def decompress(one: Plan, data: bytes, target: npt.NDArray[np.uint8]) -> int:
    """Decompress the chunks of a file one behind the other; give how many bytes that makes."""
    view, used = memoryview(data), 0
    for chunk in one.chunks:
        stored = view[chunk.offset : chunk.offset + chunk.size]
        if chunk.raw:
            target[used : used + chunk.size] = np.frombuffer(stored, dtype=np.uint8)
        else:
            blosc.decompress_ptr(stored, target.ctypes.data + used)
        used += chunk.decoded
    return used


class Floor(Way):
    """Our compressed bytes, read with `os.read` and decompressed by blosc in one thread."""

    name = "floor"
    title = "the floor: our bytes read and decompressed, nothing else"
    packages = ("blosc",)
    home = "behemoth"
    projects = False
    result = "bytes"

    def open(self) -> None:
        self.plans = plans(self.folder)

    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,  # noqa: ARG002 - it knows no columns
    ) -> npt.NDArray[np.uint8]:
        low, high = (f"{day:%Y/%m/%d}" for day in (first or Date(1, 1, 1), last or Date.max))
        wanted = [one for one in self.plans if low <= "/".join(one.path.parts[-4:-1]) <= high]
        result = np.empty(sum(c.decoded for one in wanted for c in one.chunks), dtype=np.uint8)
        used = 0
        for one in wanted:
            used += decompress(one, read(one), result[used:])
        return result

    def touch(self, found: npt.NDArray[np.uint8]) -> float:
        return float(found[: len(found) // 8 * 8].view(np.int64).sum() * 0)

    def rows(self, found: npt.NDArray[np.uint8]) -> int:  # noqa: ARG002 - bytes have none
        return -1
