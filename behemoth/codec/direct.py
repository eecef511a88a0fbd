"""Many splays of one schema, decoded straight into the arrays of the result.

No column of one day is ever held by itself. Where the splays do not all have the same columns of
plain values this gives up, and whoever asked joins them one by one (`union`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np

from behemoth.codec.compressor import blosc
from behemoth.codec.container import Container
from behemoth.codec.splay import Shape
from behemoth.codec.ticks import Array, Column, Ticks
from behemoth.codec.union import concatenate

CODED = ("text", "category")
"""Kinds whose values mean nothing without the strings of their own file."""


class Target:
    """The arrays of a result, while they are filled.

    Parameters
    ----------
    shape
        What the splays have in common.
    columns
        Numbers of the wanted columns, in their order.
    rows
        How many ticks there are.
    """

    def __init__(self, shape: Shape, columns: Sequence[int], rows: int) -> None:
        self._shape = shape
        self._columns = columns
        self.times = np.empty(rows, dtype=np.int64)
        self._values: dict[int, Array] = {}
        self._blocks: list[tuple[str, Array, list[int] | None]] = []
        for number, block in enumerate(shape.blocks):
            own = [place for place, column in enumerate(block.columns) if column in columns]
            if not own:
                continue
            array = np.empty((len(own), rows), dtype=block.dtype)
            part = own if len(own) < len(block.columns) else None
            self._blocks.append((f"/ticks/block{number}_values", array, part))
            self._values.update(zip((block.columns[p] for p in own), array, strict=True))

    @classmethod
    def of(cls, shape: Shape, rows: int, names: Sequence[str] | None) -> Target | None:
        """Make the arrays; ``None`` where a column is not there, or needs its own file's texts."""
        place = {column.name: number for number, column in enumerate(shape.columns)}
        if names is not None and not place.keys() >= set(names):
            return None
        wanted = range(len(place)) if names is None else [place[name] for name in names]
        if any(shape.columns[number].kind in CODED for number in wanted):
            return None
        return cls(shape, wanted, rows)

    def decode(self, container: Container, start: int, end: int) -> None:
        """Decode a splay into the rows ``[start, end)``."""
        container.read_into("/ticks/axis1", self.times[start:end])
        for path, array, part in self._blocks:
            container.read_into(path, array[:, start:end], part)

    def put(self, ticks: Ticks, start: int, end: int) -> bool:
        """Copy ticks into the rows ``[start, end)``; say whether they have these columns."""
        wanted = [self._shape.columns[number] for number in self._columns]
        if [column.schema for column in ticks.columns] != [column.schema for column in wanted]:
            return False
        self.times[start:end] = ticks.times
        for number, column in zip(self._columns, ticks.columns, strict=True):
            self._values[number][start:end] = column.values
        return True

    @property
    def ticks(self) -> Ticks:
        """What has been filled."""
        return Ticks(
            times=self.times,
            columns=tuple(self._column(number) for number in self._columns),
            time_name=self._shape.time_name,
            aware=self._shape.aware,
        )

    def _column(self, number: int) -> Column:
        return replace(self._shape.columns[number], values=self._values[number])


def gather(
    open_at: Callable[[int], tuple[Container, Shape]],
    rows: Sequence[int],
    columns: Sequence[str] | None = None,
    ready: Mapping[int, Ticks] | None = None,
    threads: int = 1,
) -> Ticks | None:
    """Read parts one after the other into one `Ticks`.

    Parameters
    ----------
    open_at
        Opens the n-th part, a splay.
    rows
        How many ticks each part brings.
    columns
        Only these, in this order.
    ready
        Parts that are decoded already, by their number.
    threads
        How many threads decode; more than one helps where chunks are large.

    Returns
    -------
    Ticks or None
        ``None`` when they cannot be read in this way.
    """
    ready = ready or {}
    if len(ready) == len(rows):
        ticks = concatenate([ready[number] for number in range(len(rows))])
        if columns is None:
            return ticks
        return ticks.only(columns) if set(columns) <= set(ticks.names) else None
    beginning = next(number for number in range(len(rows)) if number not in ready)
    opened, shape = open_at(beginning)
    target = Target.of(shape, sum(rows), columns)
    if target is None:
        return None
    ends = list(accumulate(rows, initial=0))

    def fill(numbers: range) -> bool:
        for number in numbers:
            start, end = ends[number], ends[number + 1]
            if number in ready:
                same = target.put(ready[number], start, end)
            else:
                container, found = (opened, shape) if number == beginning else open_at(number)
                same = found is shape
                if same:
                    target.decode(container, start, end)
            if not same:
                return False
        return True

    shares = [range(low, high) for low, high in pairwise(_cuts(rows, threads))]
    if len(shares) < 2:
        whole = all(map(fill, shares))
    else:
        blosc().set_releasegil(True)
        try:
            with ThreadPoolExecutor(len(shares)) as pool:
                whole = all(list(pool.map(fill, shares)))
        finally:
            blosc().set_releasegil(False)
    return target.ticks if whole else None


def _cuts(rows: Sequence[int], threads: int) -> list[int]:
    """Cut the splays into parts of about as many rows, one for each thread."""
    sums = np.cumsum(rows)
    total = int(sums[-1]) if len(rows) else 0
    shares = [total * part // threads for part in range(1, threads)]
    cuts = {0, len(rows), *(int(cut) for cut in np.searchsorted(sums, shares))}
    return sorted(cuts)
