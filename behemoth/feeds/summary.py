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
    """

    windows: int
    windows_total: int
    days: int
    days_total: int
    date: Date | None = None
    candles: int = 0


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
        Days of which ticks are stored, but the exchange answered that there are none: nothing was
        changed, and a later run asks again.
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

    def as_json(self) -> dict[str, Any]:
        """Give it as values that JSON knows; dates as ISO text."""
        return {
            name: value.isoformat() if isinstance(value, Date) else value
            for name, value in asdict(self).items()
        }
