"""Pandas' "fixed" HDF5 layout: the part that a splay and a checkpoint share.

In the group of a frame: ``axis0`` (the columns' names), ``axis1...`` (the index, laid out by the
two) and, for each type of column, ``blockN_items`` (names) and ``blockN_values`` as (columns,
rows). Only the values are listed in our header; names stand there in the schema.

Knows no facts of the header and not what the index means.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from behemoth.codec.container import Container
from behemoth.codec.hdf5 import Attribute, Stored
from behemoth.codec.ticks import Array, Column


@dataclass(frozen=True, slots=True)
class Block:
    """Columns that share one dataset: the same dtype and, for pandas, the same meaning."""

    dtype: str
    value_type: str | None
    tz: str | None
    columns: tuple[int, ...]


def blocks_of(columns: Sequence[Column]) -> list[Block]:
    """Group columns into datasets; two aware columns need one each, or pandas cannot read them."""
    groups: dict[tuple[str, str | None, str | None, int], list[int]] = {}
    for number, column in enumerate(columns):
        value_type = f"{column.kind}64" if column.kind in ("datetime", "timedelta") else None
        own = number if column.tz is not None else -1
        key = (column.values.dtype.name, value_type, column.tz, own)
        groups.setdefault(key, []).append(number)
    return [
        Block(dtype, value_type, tz, tuple(numbers))
        for (dtype, value_type, tz, _), numbers in groups.items()
    ]


def frame_attributes(blocks: int, index: str) -> dict[str, Attribute]:
    """Give the group attributes by which pandas knows a frame in fixed format.

    Parameters
    ----------
    blocks
        How many datasets of values there are.
    index
        ``"regular"``, or ``"multi"`` for a MultiIndex.
    """
    return {
        "pandas_type": "frame",
        "pandas_version": "0.15.2",
        "encoding": "UTF-8",
        "errors": "strict",
        "ndim": 2,
        "nblocks": blocks,
        "axis0_variety": "regular",
        "axis1_variety": index,
        **{f"block{number}_items_variety": "regular" for number in range(blocks)},
    }


def names_array(path: str, names: Sequence[str]) -> Stored:
    """Lay names out as pandas keeps them: fixed-width UTF-8, no string standing for NaN."""
    encoded = [name.encode() for name in names]
    width = max([1, *map(len, encoded)])
    return Stored(path, np.array(encoded, dtype=f"S{width}"), {"kind": "string", "nan_rep": ""})


def lay_out(group: str, columns: Sequence[Column]) -> tuple[list[Stored], list[Stored]]:
    """Lay columns out below a group.

    Returns
    -------
    arrays, plain
        The values, and the names that only other readers need.
    """
    arrays = []
    plain = [names_array(f"{group}/axis0", [column.name for column in columns])]
    for number, block in enumerate(blocks_of(columns)):
        own = [columns[c] for c in block.columns]
        meaning: dict[str, Attribute] = {"transposed": 0}
        if block.value_type is not None:
            meaning["value_type"] = block.value_type
        if block.tz is not None:
            meaning["tz"] = block.tz
        values = np.stack([column.values for column in own])
        arrays.append(Stored(f"{group}/block{number}_values", values, meaning))
        names = [column.name for column in own]
        plain.append(names_array(f"{group}/block{number}_items", names))
    return arrays, plain


def read_values(
    container: Container, group: str, blocks: Sequence[Block], rows: int, wanted: Collection[int]
) -> dict[int, Array]:
    """Decode the wanted columns; give each by its number."""
    values: dict[int, Array] = {}
    for number, block in enumerate(blocks):
        own = [place for place, column in enumerate(block.columns) if column in wanted]
        if not own:
            continue
        array = np.empty((len(own), rows), dtype=block.dtype)
        path = f"{group}/block{number}_values"
        container.read_into(path, array, own if len(own) < len(block.columns) else None)
        values.update(zip((block.columns[place] for place in own), array, strict=True))
    return values
