"""What a download of trades tells about itself: how far it is, and in the end what it did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date as Date
from typing import Any


@dataclass(frozen=True, slots=True)
class TradesProgress:
    """How far a download is.

    Attributes
    ----------
    date
        The day that is fetched.
    pages, pages_total
        Its pages that are there, of all it has; both 0 while its ids are sought.
    days, days_total
        Days stored so far, of all that are wanted.
    trades
        Trades stored so far.
    """

    date: Date
    pages: int
    pages_total: int
    days: int
    days_total: int
    trades: int


@dataclass(frozen=True, slots=True)
class TradesSummary:
    """What a download of trades did.

    Attributes
    ----------
    product, source
        What was downloaded, and from where.
    first_day, last_day
        The range that was wanted, ``[first_day, last_day]``.
    days, trades
        Days stored in this run, and trades in them.
    versions_written
        New revisions; fewer than days where the content was known already, or is empty.
    requests, retries
        What was asked of the exchange, and how often again after a failure.
    pages_kept
        Pages that an interrupted run had left, and that were not asked again.
    days_already_complete
        Wanted days that were complete before, and not asked for.
    days_left
        Wanted days that are not over, left for a later run.
    days_deleted
        Wanted days whose ticks were deleted; they are left alone.
    days_in_doubt
        Days of which trades are stored, but the exchange answered that there are none.
    days_failed
        Days that were not stored, because what came was not whole.
    failures
        What was wrong with those, a line for each.
    """

    product: str
    source: str
    first_day: Date
    last_day: Date
    days: int = 0
    trades: int = 0
    versions_written: int = 0
    requests: int = 0
    retries: int = 0
    pages_kept: int = 0
    days_already_complete: int = 0
    days_left: int = 0
    days_deleted: int = 0
    days_in_doubt: int = 0
    days_failed: int = 0
    failures: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing failed and nothing is in doubt."""
        return not (self.days_in_doubt or self.days_failed)

    def as_json(self) -> dict[str, Any]:
        """Give it as values that JSON knows; dates as ISO text."""
        return {
            name: value.isoformat() if isinstance(value, Date) else value
            for name, value in asdict(self).items()
        }
