"""What a download tells about itself: how far it is, and in the end what it did.

Values only: `behemoth.feeds.downloader` makes them, the command line shows them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date as Date
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is.

    Attributes
    ----------
    windows, windows_total
        Requests answered so far, of all that are planned.
    days, days_total
        Days stored so far, of all that are planned.
    date
        The day stored last.
    candles
        Candles stored so far.
    product
        The one that was answered last.
    """

    windows: int
    windows_total: int
    days: int
    days_total: int
    date: Date | None = None
    candles: int = 0
    product: str = ""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How days came to be missing.

    Attributes
    ----------
    partial
        Days of which a part was answered.
    failed
        Days that were asked, without a usable answer.
    unasked
        Days that were never asked.
    """

    partial: int = 0
    failed: int = 0
    unasked: int = 0

    def __str__(self) -> str:
        return f"{self.partial:,} partial, {self.failed:,} failed, {self.unasked:,} never asked"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a download did.

    Attributes
    ----------
    product, granularity, source
        What was downloaded, and from where.
    first_day, last_day
        The range that was wanted, ``[first_day, last_day]``.
    days
        Days stored in this run, partial days included.
    candles
        Candles in them.
    bins_without_trade
        Candles that their complete days do not have, because nobody traded then.
    versions_written
        New revisions; fewer than days where the content was known already, or is empty.
    requests, retries
        What was asked of the exchange, and how often again after a failure.
    days_already_complete
        Wanted days that were complete before, and not asked for.
    days_left
        Wanted days that are not over, left for a later run.
    days_in_doubt
        Days of which ticks are stored that the exchange, asked anew, answered without: nothing was
        changed, and a later run asks again.
    days_deleted
        Wanted days whose ticks were deleted, left alone.
    days_were_partial, days_were_failed, days_were_unasked
        How the days that this run had to ask came to be missing.
    failed
        The days that were asked in vain, twice.
    refused
        What the exchange said, if it refused the product.
    """

    product: str
    granularity: int
    source: str
    first_day: Date
    last_day: Date
    days: int = 0
    candles: int = 0
    bins_without_trade: int = 0
    versions_written: int = 0
    requests: int = 0
    retries: int = 0
    days_already_complete: int = 0
    days_left: int = 0
    days_in_doubt: int = 0
    days_deleted: int = 0
    days_were_partial: int = 0
    days_were_failed: int = 0
    days_were_unasked: int = 0
    failed: tuple[Date, ...] = ()
    refused: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every wanted day that is over was answered beyond doubt."""
        return not (self.failed or self.refused or self.days_in_doubt)

    def as_json(self) -> dict[str, Any]:
        """Give it as values that JSON knows; dates as ISO text."""
        return asdict(self) | {
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "failed": [day.isoformat() for day in self.failed],
        }
