"""What an import tells about itself: how far it is, and in the end what it did.

Values only: `behemoth.feeds.files.importing` makes them, the command line shows them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date as Date
from typing import Any, Literal

from behemoth.feeds.files.pieces import BadRow


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far the import of a file is.

    Attributes
    ----------
    step
        ``"reading"``: bytes of the file; then ``"storing"``: days.
    done, total
        How many of how many; the total is ``None`` for a pipe.
    """

    step: Literal["reading", "storing"]
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What the import of a file did.

    Attributes
    ----------
    file, symbol, source, granularity
        What was imported, as what, and where the log says that it comes from.
    first_day, last_day, days
        The days of which the file has candles.
    candles
        Candles that the table has of this file now, whether new or there before.
    days_written
        Days that got a new revision.
    days_superseded
        Those of them that had ticks already.
    days_already_there
        Days whose ticks were there already, bit for bit.
    duplicates
        Identical repetitions of rows that were dropped.
    reordered
        Rows with a time before that of the row above.
    odd
        Candles whose high and low do not bracket open and close; they are kept.
    bad
        Rows that were left out.
    bad_rows
        The first ten of them.
    """

    file: str
    symbol: str
    source: str
    granularity: int
    first_day: Date
    last_day: Date
    days: int
    candles: int
    days_written: int = 0
    days_superseded: int = 0
    days_already_there: int = 0
    duplicates: int = 0
    reordered: int = 0
    odd: int = 0
    bad: int = 0
    bad_rows: tuple[BadRow, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give it as values that JSON knows; dates as ISO text."""
        return {
            name: value.isoformat() if isinstance(value, Date) else value
            for name, value in asdict(self).items()
        }
