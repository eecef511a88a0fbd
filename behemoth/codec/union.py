"""Many `Ticks` into one: days whose columns or types differ, joined by stated rules.

The union of the columns in the order in which they first appear; numpy's promotion of number
types; NaN, NaT or a missing string where a day has no such column (whole numbers and booleans
become float64 for that). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from behemoth.codec.ticks import UNITS, Array, Column, Ticks
from behemoth.errors import BadRequest

Schema = Literal["union", "strict"]
NAT = np.iinfo(np.int64).min


def concatenate(parts: Sequence[Ticks], schema: Schema = "union", sort: bool = True) -> Ticks:
    """Join ticks, one part after the other.

    Parameters
    ----------
    parts
        At least one.
    schema
        ``"strict"`` refuses parts whose columns or types differ.
    sort
        Sort stably by time where the parts overlap.

    Raises
    ------
    BadRequest
        When columns of one name cannot be joined, or differ under ``"strict"``.
    """
    first = parts[0]
    if any(part.aware != first.aware for part in parts):
        raise BadRequest(
            "some ticks came with a time zone and some without; select them one symbol at a time"
        )
    if schema == "strict":
        _check_same(parts)
    if len(parts) == 1:
        return first
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    whole = Ticks(
        times=np.concatenate([part.times for part in parts]),
        columns=tuple(_join(name, parts) for name in names),
        time_name=first.time_name,
        aware=first.aware,
    )
    if sort and np.any(whole.times[1:] < whole.times[:-1]):
        return whole.take(np.argsort(whole.times, kind="stable"))
    return whole


def _check_same(parts: Sequence[Ticks]) -> None:
    def described(ticks: Ticks) -> list[str]:
        return [f"{column.name}: {column.type_name}" for column in ticks.columns]

    expected = described(parts[0])
    for part in parts:
        if described(part) != expected:
            odd = sorted(set(described(part)) ^ set(expected)) or ["their order"]
            raise BadRequest(
                f"columns differ between days ({', '.join(odd)}); select fewer days, or without "
                "schema='strict'"
            )


def _join(name: str, parts: Sequence[Ticks]) -> Column:
    pieces = [
        next((column for column in part.columns if column.name == name), None) for part in parts
    ]
    present = [piece for piece in pieces if piece is not None]
    lengths = [len(part) for part in parts]
    kinds = {column.kind for column in present}
    if kinds == {"plain"}:
        return _join_plain(name, pieces, lengths)
    if len(kinds) == 1 and kinds <= {"datetime", "timedelta"}:
        return _join_times(name, pieces, lengths)
    if kinds <= {"text", "category"}:
        return _join_texts(name, pieces, lengths)
    raise _cannot(name, present)


def _cannot(name: str, columns: Sequence[Column]) -> BadRequest:
    types = ", ".join(sorted({column.type_name for column in columns}))
    return BadRequest(
        f"column {name!r} cannot be joined over these days, it is {types}; select fewer days, or "
        "leave it out with columns="
    )


def _filled(
    pieces: Sequence[Array | None], lengths: Sequence[int], dtype: npt.DTypeLike, fill: object
) -> Array:
    return np.concatenate(
        [
            np.full(length, fill, dtype=dtype) if piece is None else piece.astype(dtype, copy=False)
            for piece, length in zip(pieces, lengths, strict=True)
        ]
    )


def _join_plain(name: str, pieces: Sequence[Column | None], lengths: Sequence[int]) -> Column:
    dtype = np.result_type(*(piece.values.dtype for piece in pieces if piece is not None))
    if dtype.kind != "f" and any(
        piece is None and length for piece, length in zip(pieces, lengths, strict=True)
    ):
        dtype = np.dtype(np.float64)
    values = [None if piece is None else piece.values for piece in pieces]
    fill = np.nan if dtype.kind == "f" else 0  # 0 fills only parts without rows
    return Column(name, "plain", _filled(values, lengths, dtype, fill))


def _join_times(name: str, pieces: Sequence[Column | None], lengths: Sequence[int]) -> Column:
    present = [piece for piece in pieces if piece is not None]
    zones = {column.tz for column in present}
    if None in zones and len(zones) > 1:
        raise _cannot(name, present)
    values = [None if piece is None else piece.values for piece in pieces]
    return Column(
        name,
        present[0].kind,
        _filled(values, lengths, np.int64, NAT),
        unit=max((column.unit or "ns" for column in present), key=UNITS.index),
        tz=zones.pop() if len(zones) == 1 else "UTC",
    )


def _join_texts(name: str, pieces: Sequence[Column | None], lengths: Sequence[int]) -> Column:
    present = [piece for piece in pieces if piece is not None]
    same = len({(column.categories, column.ordered, column.kind) for column in present}) == 1
    category = same and present[0].kind == "category"
    if not category:
        category = all(column.kind == "category" and not column.ordered for column in present)
    place: dict[str, int] = {}
    codes: list[Array | None] = []
    for piece in pieces:
        if piece is None:
            codes.append(None)
            continue
        lookup = [place.setdefault(text, len(place)) for text in piece.categories or ()]
        codes.append(np.array([*lookup, -1], dtype=np.int64)[piece.values])
    return Column(
        name,
        "category" if category else "text",
        _filled(codes, lengths, np.int64, -1),
        categories=tuple(place),
        ordered=category and present[0].ordered,
    )
