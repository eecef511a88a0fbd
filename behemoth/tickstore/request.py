"""What a caller asks for, and checking it, so that a mistake is one clear line. Pure."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, SupportsIndex, TypeVar

import numpy as np
import pandas as pd

from behemoth.bitemporal import BiTimestamp
from behemoth.errors import BadRequest

T = TypeVar("T")


class Query(NamedTuple):
    """Ticks of one symbol, as they were known.

    Attributes
    ----------
    symbol
        Whose.
    bounds
        ``[start, end]``, UTC nanoseconds.
    known_at
        The as-of time, aware UTC.
    commit
        Only what was committed up to this number; ``None`` for everything.
    columns
        Their names; ``None`` for all.
    """

    symbol: str
    bounds: tuple[int, int]
    known_at: datetime
    commit: int | None
    columns: Sequence[str] | None = None


def items(what: str, given: Iterable[T], kind: type[T]) -> tuple[T, ...]:
    """Give the items; raise `BadRequest` unless they are items of that kind."""
    try:
        coming = iter(given)
    except TypeError as error:
        raise BadRequest(f"{what}: a list of {kind.__name__}, not {given!r}") from error
    found = tuple(coming)  # what a caller's generator raises is the caller's
    for item in found:
        if not isinstance(item, kind):
            raise BadRequest(f"{what}: a list of {kind.__name__}, not of {item!r}")
    return found


def names(what: str, given: Iterable[str]) -> tuple[str, ...]:
    """Give a list of names; raise `BadRequest` unless it is one, each name once."""
    if isinstance(given, str):
        raise BadRequest(f"{what} is a list of names; write [{given!r}]")
    found = items(what, given, str)
    if len(set(found)) != len(found):
        raise BadRequest(f"{what}: a name is in the list twice")
    return found


def triples(
    what: str, given: Iterable[tuple[str, BiTimestamp, pd.DataFrame]]
) -> Iterator[tuple[str, BiTimestamp, pd.DataFrame]]:
    """Give (symbol, bitemporal timestamp, frame) one by one; raise `BadRequest` for less."""
    if not isinstance(given, Iterable):
        raise BadRequest(f"{what}: a list of (symbol, BiTimestamp(date), frame), not {given!r}")
    for each in given:
        try:
            symbol, bi_timestamp, frame = each
        except (TypeError, ValueError) as error:
            raise BadRequest(f"{what}: a list of (symbol, BiTimestamp(date), frame)") from error
        yield symbol, bi_timestamp, frame


def text(what: str, given: str) -> str:
    """Give the text; raise `BadRequest` unless it is one."""
    if not isinstance(given, str):
        raise BadRequest(f"{what} is a text, not {given!r}")
    return given


def check_at(bi_timestamp: BiTimestamp) -> None:
    """Raise `BadRequest` unless it is a bitemporal timestamp."""
    if not isinstance(bi_timestamp, BiTimestamp):
        raise BadRequest(f"say when with BiTimestamp(date), not {bi_timestamp!r}")


def version(given: SupportsIndex | None) -> int | None:
    """Give a version, -1 for none, or ``None`` for any; raise `BadRequest` for anything else."""
    if given is None:
        return None
    try:
        found = -2 if isinstance(given, (bool, np.bool_)) else operator.index(given)
    except TypeError:
        found = -2
    if found < -1:
        raise BadRequest(f"expected_version is a version, or -1 for none yet, not {given!r}")
    return found


def check_choice(what: str, given: str, choices: Sequence[str]) -> None:
    """Raise `BadRequest` unless it is one of the choices."""
    if given not in choices:
        raise BadRequest(f"{what} is {' or '.join(map(repr, choices))}, not {given!r}")


def check_tz(tz: str | None) -> None:
    """Raise `BadRequest` unless it is a time zone."""
    if tz is None:
        return
    try:
        pd.DatetimeIndex(np.empty(0, "M8[ns]"), tz=str.strip(tz) and tz)
    except Exception as error:  # each zone library raises its own
        raise BadRequest(f"no time zone {tz!r}; try 'America/New_York'") from error
