"""The days of a file beside those of a table: which may be replaced, and what was seen.

Pure: values in, decisions out. Reading and writing is the business of `importing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import Any, NamedTuple

import numpy as np

from behemoth.bitemporal import Revision
from behemoth.feeds.files.judging import Values


class Difference(NamedTuple):
    """A day of which the table has other ticks than the file, and how many rows the file has."""

    date: Date
    known: Revision
    rows: int


def needing_a_word(
    differing: Iterable[Difference], sources: Mapping[Any, str], source: str
) -> list[str]:
    """Name the days that are not replaced silently: of another source, or with more ticks.

    Parameters
    ----------
    differing
        The days to look at.
    sources
        For each commit, where it came from.
    source
        Where the file comes from.
    """
    found = []
    for date, known, rows in differing:
        theirs = sources.get(known.commit, "")
        if theirs != source:
            found.append(f"{date} from {theirs or 'an unnamed source'}")
        elif rows < known.rows:
            found.append(f"{date} with {known.rows:,} candles, {rows:,} in the file")
    return found


def runs(counts: Mapping[Date, int]) -> list[tuple[datetime, datetime, int]]:
    """Give the unbroken runs of days: start, end, and how many rows they have together."""
    found: list[tuple[datetime, datetime, int]] = []
    for date in sorted(counts):
        start = datetime(date.year, date.month, date.day, tzinfo=UTC)
        if found and found[-1][1] == start:
            first, _, rows = found.pop()
            found.append((first, start + timedelta(days=1), rows + counts[date]))
        else:
            found.append((start, start + timedelta(days=1), counts[date]))
    return found


def count_odd(values: Values) -> int:
    """Count the candles whose high and low do not bracket open and close."""
    low, high, first, last = values[:, :4].T
    odd = (low > np.minimum(first, last)) | (high < np.maximum(first, last)) | (low > high)
    return int(odd.sum())
