"""What an HTTP answer of an exchange means: good, worth asking again, or a refusal.

Pure: answers in, verdicts out. How long to wait and how often to ask is decided by
`behemoth.feeds.coinbase`; what a body of candles says, by `behemoth.feeds.candles`.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from behemoth.feeds.candles import BrokenAnswer, excerpt

PASSING_STATUSES = frozenset({408, 425, 429})
"""Refusals that a later request may not meet, beside all of 5xx."""


class PassingFailure(Exception):
    """An answer, or none, that asking again may mend; never leaves `behemoth.feeds`.

    Parameters
    ----------
    reason
        What was found, for the end of a message.
    status
        The HTTP status, where there was an answer.
    limited
        Whether the exchange found that it was asked too often.
    rest
        Seconds for which the exchange asked to be left alone.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        limited: bool = False,
        rest: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.limited = limited
        self.rest = rest


class Refusal(Exception):
    """An answer that asking again will not change; never leaves `behemoth.feeds`."""

    def __init__(self, reason: str, *, status: int) -> None:
        super().__init__(reason)
        self.status = status


def judge(response: httpx.Response, accept: Container[int] = (200,)) -> None:
    """Return if the status is one to accept.

    Raises
    ------
    PassingFailure
        When asking again may help: 408, 425, 429, 5xx.
    Refusal
        When it will not: everything else.
    """
    status = response.status_code
    if status in accept:
        return
    found = f"{status} {_message(response)}"
    if status in PASSING_STATUSES or status >= 500:
        limited = status == 429
        raise PassingFailure(
            found, status=status, limited=limited, rest=retry_after(response.headers)
        )
    raise Refusal(found, status=status)


def lost(error: httpx.RequestError) -> PassingFailure:
    """Say in a few words that there was no answer."""
    kind = "a time-out" if isinstance(error, httpx.TimeoutException) else "no answer"
    detail = str(error) or type(error).__name__
    return PassingFailure(f"{kind}: {detail}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds that a ``Retry-After`` header asks for, if it asks for any.

    The header holds seconds, or a date (RFC 9110, section 10.2.3). A date is compared with the
    answer's own date, so that a wrong clock on this machine does not matter.

    Examples
    --------
    >>> retry_after({"retry-after": "3"})
    3.0
    >>> retry_after({}) is None
    True
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        seconds = float(text)
    else:
        until, now = _http_date(text), date_of(headers)
        seconds = (until - now).total_seconds() if until and now else 0.0
    return seconds if seconds > 0 else None


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Give the time at which an answer says that it was made, aware UTC."""
    return _http_date(headers.get("date", ""))


def read_time(response: httpx.Response) -> datetime:
    """Read the exchange's time: from the body of a 200, from the date of another answer.

    Where a body and its date differ it is the earlier one, so that no day counts as over too soon.

    Raises
    ------
    BrokenAnswer
        When neither tells it.
    """
    date = date_of(response.headers)
    if response.status_code != 200:
        if date is None:
            raise BrokenAnswer(f"{response.status_code} without a date")
        return date
    try:
        time = datetime.fromisoformat(json.loads(response.content)["iso"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BrokenAnswer(f"a body that tells no time: {excerpt(response.content)}") from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time if date is None else min(time, date)


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):  # no date, or one of no year that there is
        return None


def _message(response: httpx.Response) -> str:
    """Give what an error says of itself: ``{"message": ...}``, or how its body begins."""
    try:
        body: Any = json.loads(response.content)
        return repr(str(body["message"])[:200])
    except (ValueError, TypeError, KeyError, RecursionError):
        return excerpt(response.content)
