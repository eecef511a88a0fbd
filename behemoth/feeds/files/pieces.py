"""What readers hand on: many good rows at once, and a tally of the bad ones.

Values only; which row is good is decided in `behemoth.feeds.files.judging`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from behemoth.feeds.files.judging import Bad, Judge, Times, Values

SHOWN = 10
"""So many bad rows are kept to be shown."""

ENOUGH = 1_000
"""After so many bad rows a file that is not to be skipped through is read no further."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Good rows, in the order of the file.

    Attributes
    ----------
    times
        int64 nanoseconds since 1970, one for each row.
    lines
        int64, where each row is in the file: the number of its line, or in a Parquet file of the
        row, from 1 on.
    values
        float64 of (rows, columns).
    """

    times: Times
    lines: Times
    values: Values


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no candle.

    Attributes
    ----------
    line
        Its line in the file, from 1 on; in a Parquet file, the number of the row.
    column
        The column, from 1 on, and `name` what it is called.
    why
        What was found there.
    """

    line: int
    column: int
    name: str
    why: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column} ({self.name}): {self.why}"


class Enough(Exception):
    """There are so many bad rows that nobody needs to read on."""


@dataclass(slots=True)
class Tally:
    """The bad rows so far.

    Attributes
    ----------
    skip
        Whether they are left out; else `Enough` is raised when there are many.
    names
        What each column is called in messages.
    count
        How many there are.
    first
        The first of them.
    """

    skip: bool
    names: tuple[str, ...] = ()
    count: int = 0
    first: list[BadRow] = field(default_factory=list)

    def add(self, line: int, bad: Bad) -> None:
        """Count a bad row; raise `Enough` where that settles it."""
        self.count += 1
        self.first.append(self.row(line, bad))
        if len(self.first) > 2 * SHOWN:
            self.first = self.shown()
        if not self.skip and self.count >= ENOUGH:
            raise Enough

    def row(self, line: int, bad: Bad) -> BadRow:
        """Name the column of a bad row."""
        name = self.names[bad.place] if bad.place < len(self.names) else "none"
        return BadRow(line, bad.place + 1, name, bad.why)

    def shown(self) -> list[BadRow]:
        """Give the first of them, in the order of the file."""
        return sorted(self.first, key=lambda row: row.line)[:SHOWN]


def names_of(judge: Judge) -> tuple[str, ...]:
    """Call each column as we do, and those that nobody asked for by their number."""
    known = dict(zip(judge.places, ("time", *judge.format.columns), strict=True))
    return tuple(known.get(place, str(place + 1)) for place in range(judge.width))
