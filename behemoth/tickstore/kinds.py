"""What the pages of an index checkpoint hold: revisions, or observations; and how as files.

What does not live here: which page holds what (`behemoth.tickstore.pages`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import Any

import numpy as np
import pandas as pd

from behemoth import codec, index
from behemoth.bitemporal import Observation, Revision
from behemoth.errors import Corrupt
from behemoth.index import EPOCH, Rows, microseconds
from behemoth.stores import ObjectStore, Ranges
from behemoth.tickstore.pages import File, Kind, Sheet, Summary

Seen = tuple[int, Observation]
"""An observation and the number of the commit that brought it."""

EPOCH_DATE = Date(1970, 1, 1)
FIRST_TIME = microseconds(datetime.min.replace(tzinfo=UTC))
HEAD = 1 << 14
"""What is read of a page at first when only its header is wanted."""

TIMES = ("start", "end", "asked_at")
TEXTS = ("source", "what", "outcome")
OBSERVED = np.dtype(
    [
        ("commit", "<i8"),
        ("position", "<i8"),  # among those of its symbol and commit
        *((name, "<i8") for name in TIMES),  # microseconds since 1970 UTC
        ("rows", "<i8"),
        *((name, "O") for name in TEXTS),
    ]
)


@contextmanager
def made_of(name: str) -> Iterator[None]:
    """Raise `Corrupt` where a whole file lacks what it is read for."""
    try:
        yield
    except (
        ValueError, TypeError, KeyError, AttributeError, OverflowError, IndexError
    ) as error:  # fmt: skip
        raise Corrupt(f"{name} is not what it promises: it lacks {error}") from error


def observed_rows(seen: Iterable[Seen]) -> Rows:
    """Give a row for each observation of one symbol."""
    return np.array(
        [
            (
                commit,
                position,
                *(microseconds(getattr(observation, name)) for name in TIMES),
                observation.rows,
                *(getattr(observation, name) for name in TEXTS),
            )
            for position, (commit, observation) in enumerate(seen)
        ],
        dtype=OBSERVED,
    )


def observations(symbol: str, rows: Rows) -> list[Seen]:
    """Undo `observed_rows`."""
    found = []
    for commit, _, *times, count, source, what, outcome in rows.tolist():
        start, end, asked_at = (EPOCH + timedelta(microseconds=each) for each in times)
        seen = Observation(symbol, source, what, start, end, asked_at, outcome, count)
        found.append((commit, seen))
    return found


def _write_revisions(sheet: Sheet) -> tuple[bytes, dict[str, Any]]:
    frame = index.checkpoint(sheet.names, sheet.codes, sheet.rows)
    return codec.write_checkpoint(frame, _sum_up(sheet)), {"rows": len(sheet)}


def _sum_up(sheet: Sheet) -> dict[str, list[int]]:
    """Say of each symbol what a `Summary` does."""
    rows, firsts = sheet.rows, np.searchsorted(sheet.codes, np.arange(len(sheet.names)))
    dates = np.append(True, (rows["date"][1:] != rows["date"][:-1]))
    dates[firsts] = True
    deletes = rows["kind"] == index.KINDS.index("delete")
    return {
        "earliest": np.minimum.reduceat(rows["start_time"], firsts).tolist(),
        "latest": np.maximum.reduceat(rows["start_time"], firsts).tolist(),
        "dates": np.add.reduceat(dates.astype(int), firsts).tolist(),
        "deletes": np.add.reduceat(deletes.astype(int), firsts).tolist(),
    }


def sum_up(revision: Revision) -> Summary:
    """Say of a single revision what a `Summary` does."""
    start = microseconds(revision.start_time)
    return Summary(start, start, 1, int(revision.kind == "delete"))


def read_revisions(data: bytes, _: File, name: str) -> Sheet:
    """Read a page of revisions, of any format."""
    with made_of(name):
        page = codec.read_page(data, name)
        codes, dates, versions = page.codes
        if min(codes.min(initial=0), dates.min(initial=0), versions.min(initial=0)) < 0:
            raise ValueError("codes that stand for something")
        days = (page.dates // index.DAY)[dates]
        rows = index.from_checkpoint(days, page.versions[versions], page.columns)
        _check_order(list(page.symbols), codes, rows)
        if np.any((rows["kind"] < 0) | (rows["kind"] >= len(index.KINDS))):
            raise ValueError("a kind that can be")
        for time in ("start_time", "commit_time"):
            if np.any((rows[time] < FIRST_TIME) | (rows[time] > index.OPEN)):
                raise ValueError(f"a time as {time}")
        return Sheet(tuple(page.symbols), codes, rows)


def _check_order(names: list[str], codes: index.Array, rows: Rows) -> None:
    """Raise unless names are different texts, and rows sorted by name, date and version."""
    if not all(isinstance(each, str) for each in names) or names != sorted(set(names)):
        raise ValueError("the names of symbols in their order")
    if np.any(codes >= len(names)):
        raise ValueError("codes that stand for a name")
    order = np.lexsort((rows["version"], rows["date"], codes))
    if np.any(order != np.arange(len(rows))):
        raise ValueError("rows in their order")


def _revisions_in(store: ObjectStore, file: File) -> Mapping[str, Summary]:
    where = store.where(file["key"])
    with made_of(where):
        facts = codec.read_summary(Ranges(store, file["key"], HEAD), where)
        lists = [facts[name] for name in ("earliest", "latest", "dates", "deletes")]
        if not all(type(each) is int for told in lists for each in told):
            raise ValueError("numbers that sum up")
        if not all(isinstance(each, str) for each in facts["symbols"]):
            raise ValueError("the names of symbols")
        return {
            symbol: Summary(*told) for symbol, *told in zip(facts["symbols"], *lists, strict=True)
        }


def _write_observations(sheet: Sheet) -> tuple[bytes, dict[str, Any]]:
    rows = sheet.rows

    def times(name: str) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(rows[name].view("M8[us]")).as_unit("ns").tz_localize("UTC")

    frame = pd.DataFrame(
        {
            "symbol": np.array(sheet.names, dtype=object)[sheet.codes],
            "start": times("start"),
            "end": times("end"),
            **{name: rows[name] for name in ("rows", "commit", "position", *TEXTS)},
        },
        index=times("asked_at").rename("asked_at"),
    )
    ticks = codec.dismantle(frame, "asked_at")
    splay = codec.write_splay(ticks, "", EPOCH_DATE, datetime(1970, 1, 1, tzinfo=UTC))
    return splay.data, {"rows": splay.rows, "content": splay.digest}


def _read_observations(data: bytes, file: File, name: str) -> Sheet:
    with made_of(name):
        frame = _observed(data, file, "", name)
        symbols = _texts(frame["symbol"])
        codes, names = pd.factorize(symbols, sort=True)
        rows = _rows_of(frame)
        order = np.lexsort((rows["position"], rows["commit"], codes))
        return Sheet(tuple(names), codes[order], rows[order])


def read_older_observations(symbol: str, data: bytes, file: File, name: str) -> Rows:
    """Read a file of formats 1 and 2, which is of one symbol."""
    with made_of(name):
        rows = _rows_of(_observed(data, file, symbol, name))
    return rows[np.argsort(rows["position"])]


def _observed(data: bytes, file: File, symbol: str, name: str) -> pd.DataFrame:
    promise = codec.Promise(symbol, EPOCH_DATE, file["rows"], len(data), file["content"])
    return codec.to_frame(codec.read_splay(data, promise, name)).reset_index()


def _rows_of(frame: pd.DataFrame) -> Rows:
    rows = np.empty(len(frame), dtype=OBSERVED)
    for name in OBSERVED.names or ():
        if name in TIMES:
            times = pd.DatetimeIndex(frame[name])
            if times.tz is None or times.hasnans:
                raise ValueError(f"a time as {name}")
            rows[name] = times.as_unit("us").asi8
        elif name in TEXTS:
            rows[name] = _texts(frame[name])
        elif frame[name].dtype == np.int64:
            rows[name] = frame[name].to_numpy()
        else:
            raise TypeError(f"whole numbers as {name}")
    return rows


def _texts(column: pd.Series[Any]) -> index.Array:
    """Give a column that must be of texts."""
    found = column.to_numpy(dtype=object)
    if not all(isinstance(each, str) for each in found):
        raise TypeError(f"texts as {column.name}")
    return found


def _observations_in(store: ObjectStore, file: File) -> Mapping[str, Summary]:
    data, name = store.get(file["key"]), store.where(file["key"])
    promise = codec.Promise("", EPOCH_DATE, file["rows"], file["size"], file["content"])
    with made_of(name):
        (column,) = codec.read_splay(data, promise, name, ["symbol"]).columns
        if column.kind != "text":
            raise TypeError("texts as symbol")
        return dict.fromkeys(column.categories or (), Summary())


REVISIONS = Kind("revisions", ("version", "date"), _write_revisions, read_revisions, _revisions_in)
OBSERVATIONS = Kind(
    "observations", ("position", "commit"), _write_observations, _read_observations,
    _observations_in,
)  # fmt: skip
KINDS = (REVISIONS, OBSERVATIONS)
