"""`Ticks`: a frame of ticks as plain columns, the form between pandas and a file.

Holds values and says what they mean; knows neither pandas nor HDF5.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from behemoth.errors import NotFound

Array = npt.NDArray[Any]
Kind = Literal["plain", "datetime", "timedelta", "text", "category"]
Unit = Literal["s", "ms", "us", "ns"]

PLAIN_DTYPES = frozenset(
    ["bool", "float16", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
UNITS: tuple[Unit, ...] = get_args(Unit)
"""Resolutions of datetime columns, coarse to fine."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column: its values as they are stored, and what they mean.

    Attributes
    ----------
    name
        The column's name.
    kind
        ``"plain"``: numbers or booleans as they are. ``"datetime"`` and ``"timedelta"``: int64
        nanoseconds. ``"text"`` and ``"category"``: integer codes into `categories`, -1 = missing.
    values
        1-D, native byte order.
    unit
        The resolution that a datetime or timedelta column had in its frame.
    tz
        The time zone of an aware datetime column.
    categories
        The strings that the codes stand for.
    ordered
        Whether the categories have an order.
    """

    name: str
    kind: Kind
    values: Array
    unit: Unit | None = None
    tz: str | None = None
    categories: tuple[str, ...] | None = None
    ordered: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """What the values mean, ready for JSON; the header keeps it."""
        schema: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "dtype": self.values.dtype.name,
        }
        if self.unit is not None:
            schema["unit"] = self.unit
        if self.tz is not None:
            schema["tz"] = self.tz
        if self.kind == "category":
            schema["ordered"] = self.ordered
        return schema

    @property
    def type_name(self) -> str:
        """What a user would call the type, for messages and strict comparison."""
        match self.kind:
            case "plain":
                return self.values.dtype.name
            case "datetime":
                return f"datetime64[{self.unit}{', ' + self.tz if self.tz else ''}]"
            case "timedelta":
                return f"timedelta64[{self.unit}]"
            case "category":
                return "ordered category" if self.ordered else "category"
        return self.kind

    def take(self, rows: slice | Array) -> Column:
        """Give some rows of the column."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Ticks in the order of their times, as columns.

    Attributes
    ----------
    times
        int64 nanoseconds since 1970 UTC, ascending; equal times keep their order.
    columns
        In the frame's order; all as long as `times`.
    time_name
        The name of the time index.
    aware
        Whether the times came with a time zone.
    """

    times: npt.NDArray[np.int64]
    columns: tuple[Column, ...]
    time_name: str
    aware: bool

    def __len__(self) -> int:
        return len(self.times)

    @property
    def first(self) -> int | None:
        """The first tick time, UTC nanoseconds; ``None`` where there are no ticks."""
        return int(self.times[0]) if len(self) else None

    @property
    def last(self) -> int | None:
        """The last tick time, UTC nanoseconds; ``None`` where there are no ticks."""
        return int(self.times[-1]) if len(self) else None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def schemas(self) -> tuple[Any, ...]:
        """What the columns are: the same for ticks that lie in memory in the same way."""
        return tuple((*column.schema.items(), column.categories) for column in self.columns)

    def take(self, rows: slice | Array) -> Ticks:
        """Give some rows."""
        return replace(
            self,
            times=self.times[rows],
            columns=tuple(column.take(rows) for column in self.columns),
        )

    def between(self, start: int, end: int) -> Ticks:
        """Give the ticks in ``[start, end]``, both in UTC nanoseconds."""
        low = int(np.searchsorted(self.times, start, side="left"))
        high = int(np.searchsorted(self.times, end, side="right"))
        return self if (low, high) == (0, len(self)) else self.take(slice(low, high))

    def only(self, names: Sequence[str]) -> Ticks:
        """Give the named columns, in that order; raise `NotFound` for one that is not there."""
        by_name = {column.name: column for column in self.columns}
        for name in names:
            if name not in by_name:
                raise NotFound(f"no column {name!r}; there are {', '.join(self.names) or 'none'}")
        return replace(self, columns=tuple(by_name[name] for name in names))

    def digest(self) -> str:
        """Digest the content: BLAKE2b-256 over schema, times and values, in hex.

        Two frames have the same digest exactly when they hold the same values, bit by bit, with
        the same meaning; how a file packs them does not matter.
        """
        parts: list[bytes | memoryview] = [_bytes_of(self.times)]
        schemas = []
        for column in map(_canonical, self.columns):
            schema = column.schema
            parts.append(_bytes_of(column.values))
            if column.categories is not None:
                texts = [text.encode("utf-8", "surrogatepass") for text in column.categories]
                schema["categories"] = [len(text) for text in texts]
                parts.append(b"".join(texts))
            schemas.append(schema)
        head = {
            "rows": len(self),
            "time": {"name": self.time_name, "aware": self.aware},
            "columns": schemas,
        }
        blake = hashlib.blake2b(digest_size=32)
        blake.update(json.dumps(head, sort_keys=True, separators=(",", ":")).encode())
        for part in parts:
            blake.update(part)
        return blake.hexdigest()


def _bytes_of(values: Array) -> memoryview:
    data: Any = np.ascontiguousarray(values).view(np.uint8)
    return memoryview(data)


def _canonical(column: Column) -> Column:
    """Give codes one width, and number texts by their first appearance, the unused left out."""
    if column.categories is None:
        return column
    codes, categories = column.values.astype(np.int64), column.categories
    if column.kind == "text":
        used, first = np.unique(codes, return_index=True)
        ranked = [int(code) for code in used[np.argsort(first)] if code >= 0]
        place = np.full(len(categories) + 1, -1, dtype=np.int64)
        place[ranked] = np.arange(len(ranked))
        codes, categories = place[codes], tuple(categories[code] for code in ranked)
    return replace(column, values=codes, categories=categories)
