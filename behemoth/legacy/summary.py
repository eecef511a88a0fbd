"""What an import of an old database tells about itself: how far it is, and in the end what it did.

Values only: `behemoth.legacy.importing` makes them, the command line shows them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date as Date
from typing import Any

from behemoth.legacy.protocol import printable


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is.

    Attributes
    ----------
    step
        What it does: ``"checking"``, ``"importing"`` or ``"verifying"``.
    done, total
        Files checked, changes committed or versions verified so far, of all.
    """

    step: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be imported.

    Attributes
    ----------
    file
        Its path.
    symbol, date, version
        What the old index calls it.
    why
        One line.
    """

    file: str
    symbol: str
    date: Date
    version: int
    why: str

    def __str__(self) -> str:
        return printable(f"{self.file}: {self.why}", most=5_000)


@dataclass(frozen=True, slots=True)
class Summary:
    """What an import did.

    Attributes
    ----------
    database
        The old database's folder.
    timestamp_column
        The name of the time index.
    symbols, dates, versions
        What the old index lists: symbols, pairs of symbol and date, rows.
    inserts, deletes
        Revisions that this run committed.
    already_there
        Revisions that an earlier run had committed.
    ticks
        Rows of all versions that are in the table now.
    verified
        Versions that were found in the table as the old database had them.
    bad
        Files that cannot be imported.
    committed
        Whether the table holds the import: not where `bad` files stopped it before it began.
    """

    database: str
    timestamp_column: str
    symbols: int = 0
    dates: int = 0
    versions: int = 0
    inserts: int = 0
    deletes: int = 0
    already_there: int = 0
    ticks: int = 0
    verified: int = 0
    bad: tuple[BadFile, ...] = ()
    committed: bool = True

    def as_json(self) -> dict[str, Any]:
        """Give it as values that JSON knows; dates as ISO text."""
        bad = [asdict(each) | {"date": each.date.isoformat()} for each in self.bad]
        return asdict(self) | {"bad": bad}
