"""Reading the times and dates of a request: everything becomes UTC. Pure."""

from __future__ import annotations

import re
from datetime import date as Date
from datetime import datetime

import numpy as np
import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF, knowledge_time
from behemoth.errors import BadRequest

Bound = Date | datetime | np.datetime64 | str | None
"""What a select takes as ``start`` or ``end``."""

FIRST_NS, LAST_NS = int(pd.Timestamp.min.value), int(pd.Timestamp.max.value)
WHOLE_PERIOD = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
ISO_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}(:\d{2}(:\d{2}(\.\d{1,9})?)?)?.{0,6})?", re.ASCII
)
"""Other texts ("now", "10/31/2019") would be read in ways that nobody can be sure of."""


def tick_bounds(start: Bound, end: Bound) -> tuple[int, int]:
    """Read the range of a select, ``[start, end]``, as UTC nanoseconds since 1970.

    Parameters
    ----------
    start, end
        Inclusive instants; a naive time is UTC. A date, or a text that says only a year, a month
        or a date, means all of it: from its first instant as `start`, to its last as `end`.
        ``None`` is open.

    Raises
    ------
    BadRequest
        When one is no time, or the end comes before the start.
    """
    low = FIRST_NS if start is None else _nanoseconds(start, "start")
    high = LAST_NS if end is None else _nanoseconds(end, "end")
    if high < low:
        raise BadRequest(f"end {end} comes before start {start}")
    return low, high


def instant_or_range(
    given: Bound | tuple[Bound, Bound] | slice,
) -> tuple[tuple[int, int], bool]:
    """Read one time or a range, as UTC nanoseconds ``[start, end]``; and whether it is a range.

    Parameters
    ----------
    given
        A tuple of start and end, or a slice: a range. Else one time; a date, or a text that says
        only a year, a month or a date, is the range of all of it.

    Raises
    ------
    BadRequest
        When it is neither, or the end comes before the start.
    """
    if isinstance(given, slice) and given.step is None:
        return tick_bounds(given.start, given.stop), True
    if isinstance(given, tuple) and len(given) == 2:
        return tick_bounds(*given), True
    if given is None or isinstance(given, (slice, tuple)):
        raise BadRequest(f"say a time, or a range as (start, end), not {given!r}")
    low, high = tick_bounds(given, given)
    return (low, high), low != high


def _nanoseconds(value: Bound, side: str) -> int:
    try:
        if isinstance(value, str) and WHOLE_PERIOD.fullmatch(value.strip()):
            period = pd.Period(value.strip())
            if side == "start":
                return _instant(period.start_time)
            return min(_instant((period + 1).start_time) - 1, LAST_NS)
        if isinstance(value, Date) and not isinstance(value, datetime):
            midnight = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - naive is UTC
            if side == "start":
                return _instant(midnight)
            return min(_instant(midnight) + 86_400 * 10**9 - 1, LAST_NS)
        if isinstance(value, (str, datetime, np.datetime64)):
            return _instant(_iso(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"{side} is not a time: {value!r}; one looks like 2019-10-31 or 2019-10-31T12:00"
        ) from error
    raise BadRequest(f"{side} is a datetime, a date or a text, not {type(value).__name__}")


def _instant(value: str | datetime | np.datetime64) -> int:
    """Give an instant in nanoseconds; what lies beyond their range becomes its end."""
    time = pd.Timestamp(value)
    if pd.isna(time):
        raise ValueError("NaT")
    try:
        utc = time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
        return int(utc.as_unit("ns").value)
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return FIRST_NS if time.year < 1970 else LAST_NS


def _iso(text: str) -> str:
    if not ISO_TIME.fullmatch(text.strip()):
        raise ValueError("a time looks like 2019-10-31 or 2019-10-31T12:00")
    return text.strip()


def as_of(value: datetime | str) -> datetime:
    """Read an as-of time: aware UTC, whole microseconds; a naive time is UTC.

    It is an instant: a text that says only a date is that date's midnight.

    Raises
    ------
    BadRequest
        When it is no time.
    """
    if isinstance(value, str):
        try:
            value = pd.Timestamp(_iso(value))
        except ValueError as error:
            raise BadRequest(f"an as-of time looks like 2019-10-31T12:00, not {value!r}") from error
    if isinstance(value, Date) and not isinstance(value, datetime):
        raise BadRequest(
            f"an as-of time is an instant, not a whole day: {value!r}; say '{value}' for its "
            "midnight, or the time that you mean (UTC)"
        )
    if not isinstance(value, datetime):
        raise BadRequest(
            f"an as-of time is a datetime, or a token, a tag or a time as text, not {value!r}; "
            "leave it out for the latest"
        )
    return knowledge_time(value)


def not_in_the_future(as_of_time: datetime, now: datetime, newest: datetime | None) -> None:
    """Refuse to say what will be known.

    Raises
    ------
    BadRequest
        When the as-of time is later than both now and the newest commit.
    """
    horizon = max(now, newest) if newest is not None else now
    if as_of_time != LATEST_AS_OF and as_of_time > horizon:
        raise BadRequest(
            f"as_of_time {as_of_time} is in the future (now {horizon}); what will be known then "
            "is not known yet; leave it out for the latest"
        )


def whole_date(value: Date | str | None) -> Date | None:
    """Read a date, or a text ``YYYY-MM-DD``.

    Raises
    ------
    BadRequest
        When it is none.
    """
    try:
        if value is None or (isinstance(value, Date) and not isinstance(value, datetime)):
            return value
        return Date.fromisoformat(value)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise BadRequest(f"a date looks like 2019-10-31, not {value!r}") from error
