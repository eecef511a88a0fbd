"""What a torture writes: ticks that follow from a mark, so that any tick names its writer.

Pure: nothing here reads or writes a table.
"""

from __future__ import annotations

import hashlib
from datetime import date as Date
from datetime import timedelta

import numpy as np
import pandas as pd

DAYS = tuple(Date(2020, 1, 1) + timedelta(days=n) for n in range(4))

TOGETHER = tuple(f"T-{n}" for n in range(8))
"""Symbols that are only ever written all at once, with one mark."""

BACKDATED = tuple(f"B-{n}" for n in range(4))
"""Symbols whose knowledge is backdated."""

MOST_ROWS = 300
MINUTE = 60_000_000_000


def singles(count: int) -> list[str]:
    """Name the symbols that are written one by one."""
    return [f"S-{n}" for n in range(count)]


def intent_name(place: int, life: int, count: int) -> str:
    """Name one thing that one process is about to do; the log keeps it as the message.

    Examples
    --------
    >>> intent_name(3, 0, 17)
    '3.0-17'
    """
    return f"{place}.{life}-{count}"


def mark_of(intent: str) -> int:
    """Give the number that the ticks of an intent carry.

    Examples
    --------
    >>> mark_of("3.1-17")
    3000100000017
    """
    worker, _, count = intent.partition("-")
    place, _, life = worker.partition(".")
    return int(place) * 10**12 + int(life) * 10**8 + int(count)


def ticks(mark: int, day: Date) -> pd.DataFrame:
    """Make the ticks of a mark."""
    rows = 1 + mark * 7919 % MOST_ROWS
    midnight = pd.Timestamp(day, tz="UTC").as_unit("ns").value
    times = pd.DatetimeIndex(midnight + MINUTE * np.arange(rows), tz="UTC", name="time")
    price = np.random.default_rng(mark).normal(size=rows)
    return pd.DataFrame({"mark": np.full(rows, mark), "price": price}, index=times)


def is_whole(frame: pd.DataFrame, mark: int, day: Date) -> bool:
    """Say whether these are all ticks of a mark, bit by bit."""
    wanted = ticks(mark, day)
    return list(frame.columns) == list(wanted.columns) and digest(frame) == digest(wanted)


def digest(frame: pd.DataFrame) -> str:
    """Give a digest of all that is in a frame: index, columns and values."""
    facts = hashlib.blake2b(repr((list(frame.columns), frame.index.nlevels)).encode())
    facts.update(pd.util.hash_pandas_object(frame).to_numpy().tobytes())
    return facts.hexdigest()
