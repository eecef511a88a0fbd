"""The index of one symbol: its revisions as columns, folded from the log, asked "as of".

A `Timeline` is a value: folding gives a new one. It answers the same questions as the functions
of `behemoth.bitemporal`, for all dates of a symbol at once. The whole of it can be rebuilt from
the log at any time. Knows neither files nor the log's entries, only revisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF, Kind, Revision

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.void]

ROW = np.dtype(
    [
        ("date", "<i4"),  # days since 1970
        ("version", "<i4"),
        ("kind", "<i1"),
        ("aware", "?"),
        ("splay", "<i4"),  # -1: none
        ("start_time", "<i8"),  # microseconds since 1970 UTC, as all knowledge times
        ("commit", "<i8"),
        ("commit_time", "<i8"),
        ("rows", "<i8"),
        ("first", "<i8"),  # nanoseconds since 1970 UTC, as all tick times
        ("last", "<i8"),
        ("size", "<i8"),
        *((f"digest_{part}", "<u8") for part in range(4)),
    ]
)
KINDS: tuple[Kind, ...] = ("insert", "delete", "undelete")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DATE = EPOCH.date()
WAITING = 256
"""How many revisions wait to be sorted in: so many, or this part of those that are sorted."""

SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
DAY = 86_400 * 10**9
"""Nanoseconds."""

NOTHING = np.iinfo(np.int64).min
"""First and last tick of a splay without ticks; pandas' NaT."""


def microseconds(time: datetime) -> int:
    """Give a knowledge time as whole microseconds since 1970 UTC."""
    return (time - EPOCH) // timedelta(microseconds=1)


OPEN = microseconds(LATEST_AS_OF)


def _time(value: int) -> datetime:
    return EPOCH + timedelta(microseconds=value)


def _day(date: Date) -> int:
    return (date - EPOCH_DATE).days


def _row(revision: Revision) -> tuple[Any, ...]:
    digest = np.frombuffer(bytes.fromhex(revision.digest or "00" * 32), dtype="<u8")
    return (
        _day(revision.date),
        revision.version,
        KINDS.index(revision.kind),
        revision.aware,
        -1 if revision.splay is None else revision.splay,
        microseconds(revision.start_time),
        revision.commit,
        microseconds(revision.commit_time),
        revision.rows,
        NOTHING if revision.first is None else revision.first,
        NOTHING if revision.last is None else revision.last,
        revision.size,
        *digest.tolist(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """All revisions of one symbol.

    The newest ones may wait beside the sorted rows, so that a commit costs what it brings, not
    what the history is long; they are sorted in when all rows are asked for, or when they are many.

    Parameters
    ----------
    symbol
        Its name.
    """

    symbol: str
    _sorted: Rows = field(default_factory=lambda: np.empty(0, dtype=ROW))
    _waiting: tuple[Revision, ...] = ()
    _known: dict[str, Any] = field(default_factory=dict, repr=False)
    _columns: dict[str, Array] = field(default_factory=dict, repr=False)

    @property
    def rows(self) -> Rows:
        """One row for each revision, sorted by date and version."""
        if not self._waiting:
            return self._sorted
        if "" not in self._columns:
            self._columns[""] = _merged(self._sorted, rows_of(self._waiting))
        return self._columns[""]

    @property
    def aware(self) -> bool | None:
        """Whether the symbol's ticks came with a time zone; ``None`` before the first tick."""
        if "aware" not in self._known:
            inserted = np.flatnonzero(self._sorted["rows"] > 0)
            self._known["aware"] = (
                bool(self._sorted["aware"][inserted[0]]) if len(inserted) else None
            )
        waiting = (revision.aware for revision in self._waiting if revision.rows > 0)
        return next(waiting, None) if self._known["aware"] is None else self._known["aware"]

    @property
    def last_commit(self) -> int:
        """The newest commit that touched the symbol; 0 for none."""
        if self._waiting:
            return self._waiting[-1].commit
        if "commit" not in self._known:
            self._known["commit"] = int(self._sorted["commit"].max(initial=0))
        return int(self._known["commit"])

    def with_revisions(self, revisions: Iterable[Revision]) -> Timeline:
        """Fold new revisions in; those of commits that are folded already change nothing."""
        folded = self.last_commit
        new = [each for each in revisions if each.commit > folded]
        if not new:
            return self
        waiting = (*self._waiting, *new)
        if len(waiting) > max(WAITING, len(self._sorted) // WAITING):
            return Timeline(self.symbol, _merged(self._sorted, rows_of(waiting)))
        return Timeline(self.symbol, self._sorted, waiting, self._known)

    def newest(self, date: Date) -> Revision | None:
        """Find the newest revision of a date, whatever its kind."""
        return next(reversed(self.history(date)), None)

    def history(self, date: Date) -> list[Revision]:
        """Give every revision of a date, by version."""
        if "dates" not in self._known:
            self._known["dates"] = np.ascontiguousarray(self._sorted["date"])
        day = np.int32(_day(date))  # of another type all dates would be converted
        first, last = (np.searchsorted(self._known["dates"], day, side) for side in SIDES)
        rows = self._sorted[first:last]
        if new := [each for each in self._waiting if each.date == date]:
            rows = _merged(rows, rows_of(new))
        return self._revisions(rows, _end_times(rows))

    def since(self, commit: int) -> Rows:
        """Give the rows that later commits brought, in no order."""
        new = rows_of(each for each in self._waiting if each.commit > commit)
        return np.concatenate([self._sorted[self._sorted["commit"] > commit], new])

    def dates_after(self, commit: int) -> set[Date]:
        """Find the dates that later commits touched."""
        return {EPOCH_DATE + timedelta(days=day) for day in self.since(commit)["date"].tolist()}

    def shown(
        self,
        as_of_time: datetime = LATEST_AS_OF,
        commit: int | None = None,
        ticks: tuple[int, int] | None = None,
    ) -> Rows:
        """Find what was known at a time: at most one row for each date, by date.

        Parameters
        ----------
        as_of_time
            Aware UTC.
        commit
            Look only at what was committed up to this number; everything by default.
        ticks
            Only revisions with ticks in ``[start, end]``, UTC nanoseconds.
        """
        return self.rows[self._shown(as_of_time, commit, ticks)]

    def visible(
        self,
        as_of_time: datetime = LATEST_AS_OF,
        commit: int | None = None,
        ticks: tuple[int, int] | None = None,
    ) -> list[Revision]:
        """Find what was known at a time, as `shown` does, as revisions."""
        rows = self._until(commit)
        places = Timeline(self.symbol, rows)._shown(as_of_time, None, ticks)
        return self._revisions(rows[places], _end_times(rows)[places])

    def _shown(
        self, as_of_time: datetime, commit: int | None, ticks: tuple[int, int] | None
    ) -> npt.NDArray[np.intp]:
        known = self._column("start_time") <= microseconds(as_of_time)
        if commit is not None and commit < self.last_commit:
            known &= self._column("commit") <= commit
        places = np.flatnonzero(known)
        dates = self._column("date")[places]
        newest = places[np.append(dates[1:] != dates[:-1], [True])[: len(places)]]
        keep = self._column("kind")[newest] != KINDS.index("delete")
        if ticks is not None:
            start, end = ticks
            keep &= self._column("rows")[newest] > 0
            keep &= self._column("last")[newest] >= start
            keep &= self._column("first")[newest] <= end
        found: npt.NDArray[np.intp] = newest[keep]
        return found

    def _column(self, name: str) -> Array:
        """Give a field of all rows as an array of its own, made once."""
        if name not in self._columns:
            self._columns[name] = np.ascontiguousarray(self.rows[name])
        return self._columns[name]

    def known(self, as_of_time: datetime, commit: int | None = None) -> Rows:
        """Find all that ever had ticks, as far as it was known at a time; by date and version."""
        known = self._column("start_time") <= microseconds(as_of_time)
        known &= self._column("splay") >= 0
        if commit is not None and commit < self.last_commit:
            known &= self._column("commit") <= commit
        return self.rows[known]

    def revisions(
        self, commit: int | None = None, as_of_time: datetime = LATEST_AS_OF
    ) -> list[Revision]:
        """Give every revision with its knowledge interval, by date and version.

        Parameters
        ----------
        commit
            Only what was committed up to this number.
        as_of_time
            Only what was known at this time, aware UTC; what came after ends no interval.
        """
        rows = self._until(commit)
        if as_of_time != LATEST_AS_OF:
            rows = rows[rows["start_time"] <= microseconds(as_of_time)]
        return self._revisions(rows, _end_times(rows))

    def _until(self, commit: int | None) -> Rows:
        if commit is None or commit >= self.last_commit:
            return self.rows
        return self.rows[self._column("commit") <= commit]

    def _revisions(self, rows: Rows, end_times: npt.NDArray[np.int64]) -> list[Revision]:
        digests = np.stack([rows[f"digest_{part}"] for part in range(4)], axis=-1)
        return [
            Revision(
                symbol=self.symbol,
                date=EPOCH_DATE + timedelta(days=row[0]),
                version=row[1],
                kind=KINDS[row[2]],
                start_time=_time(row[5]),
                end_time=_time(end),
                commit=row[6],
                commit_time=_time(row[7]),
                splay=None if row[4] < 0 else row[4],
                rows=row[8],
                first=None if row[9] == NOTHING else row[9],
                last=None if row[10] == NOTHING else row[10],
                size=row[11],
                digest="" if row[4] < 0 else digest.tobytes().hex(),
                aware=row[3],
            )
            for row, end, digest in zip(rows.tolist(), end_times.tolist(), digests, strict=True)
        ]


def rows_of(revisions: Iterable[Revision]) -> Rows:
    """Give a row for each revision."""
    return np.array([_row(each) for each in revisions], dtype=ROW)


def are_aware(known: Rows) -> bool:
    """Whether these ticks come with a time zone, as all or none do; where there are none, they do.

    Days without a tick do not decide, unless there is no other.
    """
    with_ticks = known[known["rows"] > 0]
    deciding = with_ticks if len(with_ticks) else known
    return bool(deciding["aware"][-1]) if len(deciding) else True


def _merged(rows: Rows, new: Rows) -> Rows:
    both = np.concatenate([rows, new])
    return both[np.lexsort((both["version"], both["date"]))]


def checkpoint(names: Sequence[str], codes: Array, rows: Rows) -> pd.DataFrame:
    """Give rows as the frame that a checkpoint file keeps.

    Parameters
    ----------
    names
        The symbols, each once.
    codes
        For each row the position of its symbol in `names`.
    rows
        Sorted by symbol, date and version.

    Returns
    -------
    pandas.DataFrame
        Index: ``symbol``, ``date``, ``version``. Columns: whole numbers; ``start_time`` and
        ``commit_time`` in microseconds, ``first`` and ``last`` in nanoseconds since 1970 UTC;
        ``digest_0`` to ``digest_3`` are 32 bytes of BLAKE2b.
    """
    days, day_codes = np.unique(rows["date"], return_inverse=True)
    versions, version_codes = np.unique(rows["version"], return_inverse=True)
    levels: list[Any] = [
        pd.Index(np.array(names, dtype=object)),
        pd.DatetimeIndex(days.astype("<i8").view("M8[D]").astype("M8[ns]")),
        pd.Index(versions.astype(np.int64)),
    ]
    ranks: list[Any] = [codes, day_codes, version_codes]
    index = pd.MultiIndex(levels=levels, codes=ranks, names=["symbol", "date", "version"])
    data = {name: rows[name] for name in ROW.names or () if name not in ("date", "version")}
    return pd.DataFrame(data, index=index)


def from_checkpoint(days: Array, versions: Array, columns: Mapping[str, Array]) -> Rows:
    """Undo `checkpoint`, given the index row by row (dates in days since 1970) and the columns."""
    rows = np.empty(len(days), dtype=ROW)
    rows["date"], rows["version"] = days, versions
    for name in ROW.names or ():
        if name not in ("date", "version"):
            rows[name] = columns[name]
    return rows


def digests(rows: Rows) -> list[str]:
    """Give the digests of rows, in hex."""
    data = np.stack([rows[f"digest_{part}"] for part in range(4)], axis=-1).tobytes()
    return [data[start : start + 32].hex() for start in range(0, len(data), 32)]


def _end_times(rows: Rows) -> npt.NDArray[np.int64]:
    """A revision ends where the next one of its date starts."""
    ends = np.full(len(rows), OPEN, dtype=np.int64)
    followed = rows["date"][1:] == rows["date"][:-1]
    ends[:-1][followed] = rows["start_time"][1:][followed]
    return ends


def _multi_index(symbols: Sequence[str], days: Array, versions: Array) -> pd.MultiIndex:
    dates = pd.DatetimeIndex(days.astype("<i8").view("M8[D]").astype("M8[ns]"))
    names = pd.Index(np.array(symbols, dtype=object))
    return pd.MultiIndex.from_arrays(
        [names, dates, versions.astype(np.int64)], names=["symbol", "date", "version"]
    )


def table(revisions: Sequence[Revision], paths: Sequence[str | None]) -> pd.DataFrame:
    """Show revisions as the index that users see.

    Parameters
    ----------
    revisions
        In the order of the rows.
    paths
        The file of each; ``None`` for a delete.

    Returns
    -------
    pandas.DataFrame
        Index: ``symbol``, ``date`` (datetime64, the as-at date), ``version``. Columns:
        ``start_time``, ``end_time`` (datetime64[us, UTC], knowledge ``[start, end)``), ``kind``,
        ``path``, ``rows``, ``first``, ``last`` (datetime64[ns, UTC], tick times), ``size``
        (bytes), ``digest``, ``commit``, ``commit_time`` (datetime64[us, UTC]).
    """

    def knowledge(name: str) -> pd.DatetimeIndex:
        values = [microseconds(getattr(revision, name)) for revision in revisions]
        return pd.DatetimeIndex(np.array(values, dtype="<i8").view("M8[us]")).tz_localize("UTC")

    def ticks(name: str) -> pd.DatetimeIndex:
        values = [getattr(revision, name) for revision in revisions]
        filled = np.array([NOTHING if v is None else v for v in values], dtype="<i8")
        return pd.DatetimeIndex(filled.view("M8[ns]")).tz_localize("UTC")

    index = _multi_index(
        [revision.symbol for revision in revisions],
        np.array([_day(revision.date) for revision in revisions], dtype="<i8"),
        np.array([revision.version for revision in revisions], dtype="<i8"),
    )
    return pd.DataFrame(
        {
            "start_time": knowledge("start_time"),
            "end_time": knowledge("end_time"),
            "kind": np.array([revision.kind for revision in revisions], dtype=object),
            "path": np.array(paths, dtype=object),
            "rows": np.array([revision.rows for revision in revisions], dtype=np.int64),
            "first": ticks("first"),
            "last": ticks("last"),
            "size": np.array([revision.size for revision in revisions], dtype=np.int64),
            "digest": np.array([revision.digest for revision in revisions], dtype=object),
            "commit": np.array([revision.commit for revision in revisions], dtype=np.int64),
            "commit_time": knowledge("commit_time"),
        },
        index=index,
    )
