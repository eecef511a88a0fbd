"""One adapter for each store: make it, append one day of bars, read back what is there.

Each uses its store as that store's documentation shows it to a user, with default settings. The
peers are imported only where they are used. What is measured, and how, is `benchmarks.durability`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from behemoth import BiTimestamp, LocalTickstore

Pair = tuple[int, int]  # (worker, number): in every row of one commit
ROWS = 1440  # of one commit: a day of minute bars
DAY = Date(2000, 1, 1)
SYMBOL = "BTC-USD"
MOST_WORKERS, MOST_NUMBERS = 64, 128


@dataclass(frozen=True)
class Found:
    """What a reader found: how many rows of each commit, and the files it could not read."""

    rows: dict[Pair, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


class Contender(ABC):
    """A store in a folder, used in one way. An append that returns has acknowledged its commit."""

    name: ClassVar[str]
    store: ClassVar[str]
    way: ClassVar[str]  # where the commits of all writers go
    packages: ClassVar[tuple[str, ...]]
    storage: ClassVar[str]
    syncs: ClassVar[str]  # what one commit asks of the disk, as strace shows it
    note: ClassVar[str]  # what its documentation says of writers at the same time
    experiments: ClassVar[tuple[str, ...]] = ("race", "kill")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def make(self) -> None:
        """Make the empty store."""

    @abstractmethod
    def open(self) -> None:
        """Open it for writing, before the first append."""

    @abstractmethod
    def append(self, worker: int, number: int) -> None:
        """Commit the rows of one day; return when the store says that they are written."""

    @abstractmethod
    def present(self) -> Found:
        """Open it anew and read everything."""


class Behemoth(Contender):
    """Behemoth itself, one symbol and one date: each commit is a new version."""

    name = "behemoth-versions"
    store = "Behemoth"
    way = "one symbol and date, each a new version"
    packages = ("behemoth",)
    storage = "a folder of HDF5 files and a log"
    syncs = "4 fsync, files and folders"
    note = "any number of writers, in any process, is supported"

    def make(self) -> None:
        """Nothing: the first insert makes the table."""

    def open(self) -> None:
        self.tickstore = LocalTickstore(self.folder)

    def append(self, worker: int, number: int) -> None:
        self._insert(SYMBOL, DAY, worker, number)

    def present(self) -> Found:
        self.open()
        return Found(
            count(
                self.tickstore.select(SYMBOL, as_of_time=revision.start_time)
                for revision in self.tickstore.revisions(SYMBOL)
            )
        )

    def _insert(self, symbol: str, day: Date, worker: int, number: int) -> None:
        ticks = bars(worker, number).set_index(minutes(day))
        self.tickstore.insert(symbol, BiTimestamp(day), ticks)


class BehemothDates(Behemoth):
    """One symbol: each commit is a new date."""

    name = "behemoth-dates"
    way = "one symbol, each a new date"

    def append(self, worker: int, number: int) -> None:
        self._insert(SYMBOL, DAY + timedelta(worker * MOST_NUMBERS + number), worker, number)

    def present(self) -> Found:
        self.open()
        return Found(count([self.tickstore.select(SYMBOL)]))


class BehemothSymbols(Behemoth):
    """A symbol for each writer."""

    name = "behemoth-symbols"
    way = "a symbol for each writer, each a new date"

    def append(self, worker: int, number: int) -> None:
        self._insert(f"{SYMBOL}-{worker}", DAY + timedelta(number), worker, number)

    def present(self) -> Found:
        self.open()
        return Found(count(map(self.tickstore.select, self.tickstore.symbols())))


class ArcticDB(Contender):
    """ArcticDB on LMDB: `append` to one symbol."""

    name = "arcticdb-append"
    store = "ArcticDB"
    way = "one symbol, `append`"
    packages = ("arcticdb", "pandas")
    storage = "LMDB in a local folder"
    syncs = "4 fdatasync"
    note = (
        "its documentation says that concurrent writers to one symbol are not supported; writers "
        "to different symbols are, and so is staging"
    )

    def make(self) -> None:
        self.open()

    def open(self) -> None:
        from arcticdb import Arctic

        arctic = Arctic(f"lmdb://{self.folder}")
        self.library: Any = arctic.get_library("ticks", create_if_missing=True)

    def append(self, worker: int, number: int) -> None:
        self.library.append(SYMBOL, bars(worker, number))

    def present(self) -> Found:
        self.open()
        return Found(count(self.library.read(name).data for name in self.library.list_symbols()))


class ArcticDBSymbols(ArcticDB):
    """A symbol for each writer, as its documentation asks."""

    name = "arcticdb-symbols"
    way = "a symbol for each writer, `append`"

    def append(self, worker: int, number: int) -> None:
        self.library.append(f"{SYMBOL}-{worker}", bars(worker, number))


class ArcticDBStaged(ArcticDB):
    """Staged by all writers, finalized by one process when they have ended."""

    name = "arcticdb-staged"
    way = "one symbol, `stage`; one process finalizes at the end"
    experiments = ("race",)  # what is staged is not readable before it is finalized

    def append(self, worker: int, number: int) -> None:
        day = DAY + timedelta(worker * MOST_NUMBERS + number)
        self.library.stage(SYMBOL, bars(worker, number).set_index(minutes(day)))

    def present(self) -> Found:
        self.open()
        self.library.finalize_staged_data(SYMBOL)
        return super().present()


class DeltaRs(Contender):
    """delta-rs: `write_deltalake(mode="append")` to one table."""

    name = "deltalake-append"
    store = "delta-rs"
    way = '`write_deltalake(mode="append")` to one table'
    packages = ("deltalake",)
    storage = "Parquet files and a log in a local folder"
    syncs = "none"
    note = (
        "appends of many writers are supported: a lost race is tried again, 15 times by default "
        "(`max_commit_retries`), and then refused with an error"
    )

    def make(self) -> None:
        from arro3.core import DataType, Field, Schema
        from deltalake import DeltaTable

        fields = [Field(name, DataType.int64()) for name in ("worker", "number")]
        DeltaTable.create(str(self.folder), schema=Schema(fields))

    def open(self) -> None:
        from arro3.core import Array, DataType, Table
        from deltalake import write_deltalake

        self._write: Any = write_deltalake
        self._column: Any = lambda value: Array([value] * ROWS, DataType.int64())
        self._table: Any = Table.from_pydict

    def append(self, worker: int, number: int) -> None:
        columns = {"worker": self._column(worker), "number": self._column(number)}
        self._write(str(self.folder), self._table(columns), mode="append")

    def present(self) -> Found:
        from deltalake import DeltaTable, QueryBuilder

        query = QueryBuilder().register("ticks", DeltaTable(str(self.folder)))
        table = query.execute(
            "select worker, number, count(*) as times from ticks group by worker, number"
        ).read_all()
        columns = [table[name].to_pylist() for name in ("worker", "number", "times")]
        return Found({(w, n): times for w, n, times in zip(*columns, strict=True)})


class Icechunk(Contender):
    """Icechunk on a local folder: every commit writes a chunk of its own and may rebase.

    An array that grows would make every two commits conflict, so its size is given beforehand.
    """

    name = "icechunk-chunks"
    store = "Icechunk"
    way = "one Zarr array, each a chunk of its own, `rebase_with=ConflictDetector()`"
    packages = ("icechunk", "zarr")
    storage = "its own format in a local folder"
    syncs = "none"
    note = (
        "it warns by itself that its local folder is not safe for concurrent commits and asks for "
        "an object store then; its documentation does not recommend the local folder for "
        "production. An object store was not measured. An array has one cell for each commit, so "
        "nothing can be doubled"
    )

    def make(self) -> None:
        import icechunk
        import zarr

        repository = icechunk.Repository.create(self._storage())
        session = repository.writable_session("main")
        zarr.create_array(
            session.store,
            name="ticks",
            shape=(MOST_WORKERS, MOST_NUMBERS, ROWS),
            chunks=(1, 1, ROWS),
            dtype="int32",
            fill_value=-1,
        )
        session.commit("make")

    def open(self) -> None:
        import icechunk

        self.repository: Any = icechunk.Repository.open(self._storage())

    def append(self, worker: int, number: int) -> None:
        import icechunk
        import zarr

        session = self.repository.writable_session("main")
        zarr.open_array(session.store, path="ticks", mode="r+")[worker, number] = number
        session.commit("append", rebase_with=icechunk.ConflictDetector())

    def present(self) -> Found:
        import zarr

        self.open()
        session = self.repository.readonly_session("main")
        found: Any = zarr.open_array(session.store, path="ticks", mode="r")[:]
        counts = (found == np.arange(MOST_NUMBERS)[:, None]).sum(axis=2)
        written = zip(*counts.nonzero(), strict=True)
        return Found({(int(w), int(n)): int(counts[w, n]) for w, n in written})

    def _storage(self) -> Any:
        import icechunk

        return icechunk.local_filesystem_storage(str(self.folder))


class PandasHdf(Contender):
    """pandas `to_hdf(append=True)`: a file for each writer."""

    name = "pandas-hdf"
    store = "pandas HDF5"
    way = "`to_hdf(append=True)`, a file for each writer"
    packages = ("pandas", "tables")
    storage = "HDF5 files"
    syncs = "none"
    note = (
        "pandas documents that one file cannot be written by several at once, so it is only killed"
    )
    experiments = ("kill",)

    def make(self) -> None:
        self.folder.mkdir()

    def open(self) -> None:
        """Nothing: `to_hdf` opens and closes the file each time."""

    def append(self, worker: int, number: int) -> None:
        path = self.folder / f"{worker:03}.h5"
        bars(worker, number).to_hdf(path, key="ticks", mode="a", format="table", append=True)

    def present(self) -> Found:
        frames, unreadable = [], []
        for path in sorted(self.folder.glob("*.h5")):
            try:
                frames.append(pd.DataFrame(pd.read_hdf(path, "ticks")))
            except Exception as error:  # noqa: BLE001 - whatever stops the reading is counted
                text = f"{path.name}: {type(error).__name__}: {error}"
                unreadable.append(text.replace(str(self.folder), "STORE"))
        return Found(count(frames), unreadable)


CONTENDERS: dict[str, type[Contender]] = {
    contender.name: contender
    for contender in (
        Behemoth,
        BehemothDates,
        BehemothSymbols,
        ArcticDB,
        ArcticDBSymbols,
        ArcticDBStaged,
        DeltaRs,
        Icechunk,
        PandasHdf,
    )
}


def bars(worker: int, number: int) -> pd.DataFrame:
    """Give the rows of one commit; each says whose and which it is."""
    return pd.DataFrame({"worker": [worker] * ROWS, "number": [number] * ROWS})


def minutes(day: Date) -> pd.DatetimeIndex:
    """Give the minutes of a day."""
    return pd.date_range(day, periods=ROWS, freq="min", name="time")


def count(frames: Iterable[pd.DataFrame]) -> Counter[Pair]:
    """Count the rows of each commit."""
    found: Counter[Pair] = Counter()
    for frame in frames:
        found.update(zip(*(frame[name].tolist() for name in ("worker", "number")), strict=True))
    return found
