"""What was asked before: how far a source's answers go, and how days came to be missing.

Pure: observations in, facts out. What to ask next is decided by `behemoth.feeds.plan`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date as Date
from datetime import timedelta

from behemoth.bitemporal import Observation, Outcome
from behemoth.feeds.plan import days_between
from behemoth.feeds.summary import Shortfall


def shortfall(
    days: Iterable[Date], observations: Iterable[Observation], source: str, what: str
) -> Shortfall:
    """Tell apart the days that are not complete.

    Parameters
    ----------
    days
        Those days.
    observations
        What sources answered about one symbol.
    source, what
        Only their answers count.
    """
    missing = set(days)
    if not missing:
        return Shortfall()
    found: dict[Date, Outcome] = {}
    for seen in observations:
        if (seen.source, seen.what) != (source, what) or seen.end <= seen.start:
            continue
        first, last = _days_of(seen)
        for day in days_between(max(first, min(missing)), min(last, max(missing))):
            if day in missing and found.get(day) != "partial":
                found[day] = "failed" if seen.outcome == "failed" else "partial"
    kinds = Counter(found.values())
    return Shortfall(kinds["partial"], kinds["failed"], len(missing) - len(found))


def asked_range(
    observations: Iterable[Observation], source: str, what: str
) -> tuple[Date, Date] | None:
    """Give the first and the last UTC day that a source was ever asked for, or ``None``."""
    spans = [
        _days_of(seen)
        for seen in observations
        if (seen.source, seen.what) == (source, what) and seen.end > seen.start
    ]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def _days_of(seen: Observation) -> tuple[Date, Date]:
    return seen.start.date(), (seen.end - timedelta(microseconds=1)).date()
