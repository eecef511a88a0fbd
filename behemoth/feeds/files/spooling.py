"""Rows put aside while a file is read, and given back day by day in the order of time.

Rows lie in a temporary file without a name, which ends with the process; memory holds where each
day's rows are. So a file may be of any length and its rows in any order. Which rows of a day stay
is decided here: each time once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date as Date
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from behemoth.errors import EnvironmentFailed
from behemoth.feeds.files.pieces import Piece

DAY = 86400 * 10**9
IN_MEMORY = 1 << 25
"""Bytes that are put aside in memory; more of them in a file."""
NUMBER = 8


@dataclass(frozen=True, slots=True)
class Settled:
    """The rows of one day, each time once.

    Attributes
    ----------
    times
        int64 nanoseconds since 1970, strictly increasing.
    values
        float64 of (rows, columns).
    repeated
        Identical repetitions that were dropped.
    differing
        Rows of times for which there are two different rows then: the line of each, and that of
        another one. None of them is among the rows.
    """

    times: NDArray[np.int64]
    values: NDArray[np.float64]
    repeated: int
    differing: tuple[tuple[int, int], ...]


class Spool:
    """Rows put aside.

    Parameters
    ----------
    file
        Where they are put.
    columns
        How many values a row has.

    Attributes
    ----------
    rows
        How many rows were put aside.
    repeated
        How many were not, because they repeat one that was.
    reordered
        Those of them with a time before that of the row above.
    """

    def __init__(self, file: IO[bytes], columns: int) -> None:
        self._file = file
        self._width = 2 + columns
        self._parts: list[NDArray[np.int64]] = []  # rows of: day, first row, number of rows
        self._last: int | None = None
        self._days: dict[int, NDArray[np.int64]] = {}
        self.rows = 0
        self.repeated = 0
        self.reordered = 0

    def add(self, piece: Piece) -> None:
        """Put rows aside."""
        times = piece.times
        if not len(times):
            return
        self.reordered += int((times[1:] < times[:-1]).sum())
        self.reordered += int(self._last is not None and times[0] < self._last)
        self._last = int(times[-1])
        record = np.empty((len(times), self._width), np.int64)
        record[:, 0], record[:, 1] = times, piece.lines
        record[:, 2:] = np.ascontiguousarray(piece.values).view(np.int64)
        if (times[1:] <= times[:-1]).any():  # a day of nothing but repetitions stays small
            record = _once(record)
            self.repeated += len(times) - len(record)
        days = record[:, 0] // DAY
        if (days[1:] < days[:-1]).any():
            order = np.argsort(days, kind="stable")
            record, days = record[order], days[order]
        starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
        counts = np.diff(starts, append=len(days))
        self._parts.append(np.column_stack([days[starts], self.rows + starts, counts]))
        self.rows += len(record)
        self._file.write(record.data)

    def days(self) -> list[Date]:
        """Give the days that have rows, in their order; nothing is put aside any more."""
        parts = np.concatenate([np.empty((0, 3), np.int64), *self._parts])
        parts = parts[np.argsort(parts[:, 0], kind="stable")]
        days, starts = np.unique(parts[:, 0], return_index=True)
        self._days = dict(
            zip(days.tolist(), np.split(parts[:, 1:], starts[1:]), strict=True) if len(days) else ()
        )
        return [Date(1970, 1, 1).fromordinal(_EPOCH + day) for day in self._days]

    def day(self, date: Date) -> Settled:
        """Give the rows of a day."""
        size = self._width * NUMBER
        found = []
        for start, count in self._days[date.toordinal() - _EPOCH].tolist():
            self._file.seek(start * size)
            found.append(self._file.read(count * size))
        return settle(np.frombuffer(b"".join(found), np.int64).reshape(-1, self._width))


_EPOCH = Date(1970, 1, 1).toordinal()


def settle(record: NDArray[np.int64]) -> Settled:
    """Put rows into the order of time, each time once.

    Parameters
    ----------
    record
        Time, line, and the bits of the values of each row.
    """
    times = record[:, 0]
    if (times[1:] < times[:-1]).any():
        record = record[np.argsort(times, kind="stable")]
        times = record[:, 0]
    repeated, differing = 0, []
    if (times[1:] == times[:-1]).any():
        count = len(record)
        record = _once(record)
        repeated, times = count - len(record), record[:, 0]
        bad = np.isin(times, times[1:][times[1:] == times[:-1]])
        differing = sorted(_differing(record[bad]))
        record = record[~bad]
    values = np.ascontiguousarray(record[:, 2:]).view(np.float64)
    return Settled(record[:, 0].copy(), values, repeated, tuple(differing))


def _once(record: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put rows into the order of time, and drop all but the first of those that are identical."""
    record = record[np.lexsort((record[:, 1], *record[:, 2:].T, record[:, 0]))]
    same = (record[1:, 2:] == record[:-1, 2:]).all(axis=1) & (record[1:, 0] == record[:-1, 0])
    once: NDArray[np.int64] = record[np.concatenate([[True], ~same])]
    return once


def _differing(record: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Give the line of each row, and the first line of another row of its time."""
    times, starts = np.unique(record[:, 0], return_index=True)
    for rows in np.split(record, starts[1:]) if len(times) else ():
        first, second, *_ = np.sort(rows[:, 1]).tolist()
        for line in rows[:, 1].tolist():
            yield line, second if line == first else first


@contextmanager
def spool(folder: Path | None, columns: int) -> Iterator[Spool]:
    """Open a place for rows of so many columns, and remove it in the end.

    Parameters
    ----------
    folder
        Where it is made once it does not fit into memory; by default, the system's folder for
        temporary files.

    Raises
    ------
    EnvironmentFailed
        When the disk fails.
    """
    try:
        with tempfile.SpooledTemporaryFile(
            IN_MEMORY, dir=None if folder is None else str(folder)
        ) as file:
            yield Spool(file, columns)
    except OSError as error:
        if isinstance(error, EnvironmentFailed) or not error.errno:
            raise
        raise EnvironmentFailed(
            f"cannot put rows aside in {folder or tempfile.gettempdir()}: {error.strerror}; make "
            "room there"
        ) from error
