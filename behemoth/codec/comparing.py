"""Ticks beside ticks: which tick of one is which of another, and whether it is the same.

Within one symbol and date a tick is known by its time and its position among the ticks of that
time. Values are compared bit by bit. Pure; knows neither states nor files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from behemoth.codec.ticks import Array, Column, Ticks

NAT = np.iinfo(np.int64).min


class Aligned(NamedTuple):
    """Every tick that one of several parts has, by time and position.

    Attributes
    ----------
    times, positions
        Of each tick: its time, and how many ticks of its time come before it.
    places
        For each part and tick its row in that part; -1 where the part has no such tick.
    """

    times: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


def align(parts: Sequence[Ticks]) -> Aligned:
    """Find which tick of one part is which of the others."""
    rows = [np.arange(len(part), dtype=np.int64) for part in parts]
    time = np.concatenate([part.times for part in parts])
    position = np.concatenate(
        [
            row - np.searchsorted(part.times, part.times)
            for row, part in zip(rows, parts, strict=True)
        ]
    )
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.lexsort((position, time))
    time, position = time[order], position[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (time[1:] != time[:-1]) | (position[1:] != position[:-1])
    places = np.full((len(parts), int(new.sum())), -1, dtype=np.int64)
    places[owner[order], np.cumsum(new) - 1] = np.concatenate(rows)[order]
    return Aligned(time[new], position[new], places)


def same(a: Ticks, b: Ticks, at_a: Array, at_b: Array) -> npt.NDArray[np.bool_]:
    """Say of each pair of rows whether the tick is the same; -1 is a tick that is not there.

    Numbers, times and booleans are the same when their bits are: 0.0 is not -0.0, any NaN is NaN.
    Where two numeric types meet, when their numbers are. Texts and categories when their text is.
    A column that one has not is missing in each of its ticks. Types that cannot be compared (text
    and numbers) are the same only where both are missing.
    """
    alike: npt.NDArray[np.bool_] = (at_a < 0) == (at_b < 0)
    both = np.flatnonzero((at_a >= 0) & (at_b >= 0))
    mine, theirs = ({column.name: column for column in ticks.columns} for ticks in (a, b))
    found = np.ones(len(both), dtype=bool)
    for name in dict.fromkeys((*mine, *theirs)):
        found &= _same_values(
            mine[name].take(at_a[both]) if name in mine else None,
            theirs[name].take(at_b[both]) if name in theirs else None,
        )
    alike[both] = found
    return alike


def _same_values(a: Column | None, b: Column | None) -> npt.NDArray[np.bool_]:
    if a is None or b is None:
        (there,) = (column for column in (a, b) if column is not None)
        return _is_missing(there)
    kinds = {a.kind, b.kind}
    if kinds <= {"text", "category"}:
        number = {text: code for code, text in enumerate(a.categories or ())}
        codes = [number.get(text, -2) for text in b.categories or ()]
        same_text: npt.NDArray[np.bool_] = (
            a.values.astype(np.int64) == np.array([*codes, -1], dtype=np.int64)[b.values]
        )
        return same_text
    if len(kinds) > 1:
        return _is_missing(a) & _is_missing(b)
    if a.values.dtype == b.values.dtype:
        bits = f"u{a.values.dtype.itemsize}"
        same_bits: npt.NDArray[np.bool_] = a.values.view(bits) == b.values.view(bits)
        return same_bits | (_is_missing(a) & _is_missing(b))
    pairs = zip(a.values.tolist(), b.values.tolist(), strict=True)
    return np.array([_is_one_number(x, y) for x, y in pairs], dtype=bool)


def _is_one_number(x: float, y: float) -> bool:
    """Compare numbers of two types, exactly."""
    if x != x or y != y:
        return x != x and y != y
    return x == y and (x != 0 or math.copysign(1, x) == math.copysign(1, y))


def _is_missing(column: Column) -> npt.NDArray[np.bool_]:
    missing: npt.NDArray[np.bool_]
    match column.kind:
        case "text" | "category":
            missing = column.values < 0
        case "datetime" | "timedelta":
            missing = column.values == NAT
        case _:
            missing = column.values != column.values
    return missing
