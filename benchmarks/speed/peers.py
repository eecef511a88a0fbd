"""The peers: the 2019 article's way, ArcticDB, and Parquet a day through three readers.

Each is used as its documentation shows it to a user, with default settings, and gives what it gives
by itself. They are imported only where they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as Date
from datetime import datetime, time
from typing import Any, ClassVar

import pandas as pd

from benchmarks.speed.ours import Behemoth, BehemothCold, BehemothOnce, Floor
from benchmarks.speed.samples import Days
from benchmarks.speed.way import SYMBOL, Files, Memory, Way


class Article(Files):
    """`to_hdf` a file a day, `read_hdf` each path, `concat`: what the article of 2019 did."""

    name = home = "article"
    title = "the 2019 article's way"
    packages = ("pandas", "tables")
    syncs = "none"
    writes = True
    suffix = ".h5"

    def append(self, days: Days) -> None:
        for day, frame in days:
            frame.to_hdf(
                self.path(day), key="ticks", mode="w", format="fixed", complib="blosc", complevel=9
            )

    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        frames = [pd.DataFrame(pd.read_hdf(path)) for path in self.between(first, last)]
        whole = pd.concat(frames)
        return whole if columns is None else whole[list(columns)]


class ArcticDB(Way):
    """ArcticDB on LMDB, an `append` a day."""

    name = home = "arcticdb"
    title = "ArcticDB, daily appends"
    packages = ("arcticdb", "pandas")
    syncs = "every append: 4 fdatasync, as strace shows"
    writes = True
    prune = False

    def begin(self) -> None:
        self.open()

    def append(self, days: Days) -> None:
        for _, frame in days:
            self.library.append(SYMBOL, frame, prune_previous_versions=self.prune)

    def open(self) -> None:
        from arcticdb import Arctic

        arctic = Arctic(f"lmdb://{self.folder}")
        self.library: Any = arctic.get_library("ticks", create_if_missing=True)

    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,
    ) -> Any:
        low = datetime.combine(first, time.min) if first else None
        high = datetime.combine(last, time.max) if last else None
        more: dict[str, Any] = {"date_range": (low, high)} if low or high else {}
        if columns is not None:
            more["columns"] = list(columns)
        return self.library.read(SYMBOL, **more).data


class ArcticDBPruned(ArcticDB):
    """The same, keeping no older version."""

    name = home = "arcticdb-pruned"
    title = "ArcticDB, daily appends, pruned"
    prune = True


class ArcticDBOnce(ArcticDB):
    """One write of everything."""

    name = home = "arcticdb-once"
    title = "ArcticDB, one write"
    syncs = "the one write"
    at_once = True

    def append(self, days: Days) -> None:
        self.library.write(SYMBOL, pd.concat([frame for _, frame in days]))


class Parquet(Files):
    """Parquet with zstd a day, read by pyarrow as a dataset of the paths that are wanted."""

    name = home = "parquet"
    title = "zstd Parquet a day, pyarrow"
    packages = ("pyarrow", "pandas")
    modules: ClassVar[tuple[str, ...]] = ("pyarrow.dataset", "pyarrow.parquet")
    syncs = "none"
    writes = True
    suffix = ".parquet"

    def append(self, days: Days) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        for day, frame in days:
            table = pa.Table.from_pandas(frame)
            parquet.write_table(table, self.path(day), compression="zstd")

    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,
    ) -> Any:
        from pyarrow import dataset

        wanted = None if columns is None else [*columns, "time"]
        found = dataset.dataset([str(path) for path in self.between(first, last)])
        return found.to_table(columns=wanted).to_pandas()


class Polars(Parquet):
    """The same files through polars, on all processors."""

    name = "polars"
    title = "the same Parquet, polars"
    packages = ("polars", "pandas")
    modules = ()
    writes = False
    result = "a polars frame"

    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,
    ) -> Any:
        import polars as pl

        lazy = pl.scan_parquet(self.between(first, last))
        return (lazy if columns is None else lazy.select("time", *columns)).collect()

    def touch(self, found: Any) -> float:
        import polars as pl

        times = pl.col("time").to_physical().sum()
        sums = found.select(times, pl.all().exclude("time").sum())
        return float(sums.row(0)[-1])


class DuckDB(Parquet):
    """The same files through DuckDB, on all processors."""

    name = "duckdb"
    title = "the same Parquet, DuckDB"
    packages = ("duckdb", "pandas")
    modules = ()
    writes = False

    def open(self) -> None:
        import duckdb

        super().open()
        self.connection: Any = duckdb.connect()

    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,
    ) -> Any:
        paths = [str(path) for path in self.between(first, last)]
        names = "time, * exclude (time)" if columns is None else ", ".join(["time", *columns])
        query = f"select {names} from read_parquet($paths)"  # noqa: S608 - our own names
        return self.connection.execute(query, {"paths": paths}).df().set_index("time")


WAYS: dict[str, type[Way]] = {
    way.name: way
    for way in (
        *(Behemoth, BehemothCold, BehemothOnce),
        *(Article, ArcticDB, ArcticDBPruned, ArcticDBOnce),
        *(Parquet, Polars, DuckDB, Floor, Memory),
    )
}
