"""A page of an index checkpoint: revisions as a frame in pandas' "fixed" HDF5 layout.

``pandas.read_hdf(path)`` opens the file to an equal frame. Under ``/index``: ``axis1_levelN`` and
``axis1_labelN`` are the levels and codes of the MultiIndex (symbol, date, version), dates as int64
nanoseconds; columns as in `fixed`.

Does not know what the columns mean; the index does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from behemoth.codec.container import Container, Sliced, pack
from behemoth.codec.fixed import (
    blocks_of,
    frame_attributes,
    lay_out,
    names_array,
    read_values,
)
from behemoth.codec.hdf5 import Attribute, Stored
from behemoth.codec.ticks import PLAIN_DTYPES, Array, Column
from behemoth.version import __version__

LEVELS = ("symbol", "date", "version")
NO_DIGEST = "00" * 32
"""The root of a checkpoint holds the digest of its files."""

TOOL = f"behemoth {__version__}"


def write_checkpoint(
    frame: pd.DataFrame, summary: Mapping[str, Sequence[int]] | None = None
) -> bytes:
    """Make the file of some symbols' revisions.

    Parameters
    ----------
    frame
        Index: MultiIndex of ``symbol`` (text), ``date`` (datetime64[ns], naive) and
        ``version`` (int64). Columns: numbers and booleans of numpy.
    summary
        What the header says beside the symbols: of each list an item for each of them.

    Raises
    ------
    ValueError
        When the frame is something else.
    """
    index = frame.index
    if not isinstance(index, pd.MultiIndex) or tuple(index.names) != LEVELS:
        raise ValueError(f"the index of a checkpoint is {LEVELS}, not {list(index.names)}")
    used, symbol_codes = np.unique(index.codes[0], return_inverse=True)
    symbols = index.levels[0][used].tolist()
    if not all(isinstance(symbol, str) for symbol in symbols) or -1 in used:
        raise ValueError("the symbols of a checkpoint are texts and none is missing")
    dates = pd.DatetimeIndex(index.get_level_values("date"))
    if dates.tz is not None or dates.hasnans:
        raise ValueError("the dates of a checkpoint are naive and none is missing")
    columns = [_column(name, frame[name]) for name in frame.columns]
    days, day_codes = np.unique(dates.as_unit("ns").asi8, return_inverse=True)
    versions, version_codes = np.unique(
        index.get_level_values("version").to_numpy(dtype=np.int64), return_inverse=True
    )
    schema = {"columns": [column.schema for column in columns]}
    facts = {"symbols": symbols, **(summary or {}), "tool": TOOL}
    symbol_level = names_array("/index/axis1_level0", symbols)
    day_meaning: dict[str, Attribute] = {"kind": "datetime64", "index_class": "datetime"}
    arrays, plain = lay_out("/index", columns)
    arrays = [
        Stored("/index/axis1_level1", days, {**day_meaning, "name": "date"}, rows=False),
        Stored("/index/axis1_level2", versions, {"kind": "integer", "name": "version"}, rows=False),
        Stored("/index/axis1_label0", symbol_codes.astype(np.int32)),
        Stored("/index/axis1_label1", day_codes.astype(np.int32)),
        Stored("/index/axis1_label2", version_codes.astype(np.int32)),
        *arrays,
    ]
    named = {**symbol_level.attributes, "name": "symbol"}
    plain.append(Stored(symbol_level.path, symbol_level.data, named))
    attributes = frame_attributes(len(blocks_of(columns)), "multi")
    return pack(
        schema,
        facts,
        len(frame),
        NO_DIGEST,
        arrays,
        {"/index": {**attributes, "axis1_nlevels": len(LEVELS)}},
        plain,
    )


def _column(name: str, series: pd.Series[Any]) -> Column:
    if not isinstance(series.dtype, np.dtype) or series.dtype.name not in PLAIN_DTYPES:
        raise ValueError(f"a checkpoint holds numbers and booleans, not {series.dtype} of {name!r}")
    return Column(name, "plain", series.to_numpy())


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """What a file holds, as arrays.

    Attributes
    ----------
    symbols, dates, versions
        Each value once; dates in nanoseconds since 1970.
    codes
        For each row the positions of its symbol, date and version in them.
    columns
        The others, by name.
    """

    symbols: list[str]
    dates: Array
    versions: Array
    codes: tuple[Array, Array, Array]
    columns: dict[str, Array]


def read_page(data: bytes, name: str) -> Page:
    """Read the rows of some symbols, through the header only.

    Parameters
    ----------
    data
        All bytes of the file.
    name
        What messages call the file.

    Raises
    ------
    Corrupt
        When header and digests do not all agree.
    """
    container = Container(data, name)
    try:
        facts = container.facts
        rows, described = container.rows, container.schema.more
        if rows < 0:  # an older format keeps them in the text, and has one symbol
            rows, described = facts["rows"], facts
            symbols = [] if facts["symbol"] is None else [facts["symbol"]]
        else:
            symbols = facts["symbols"]
        schema = [
            Column(fact["name"], "plain", np.empty(0, dtype=fact["dtype"]))
            for fact in described["columns"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise container.corrupt("its header has no schema that can be read") from error
    levels = [
        container.read(path, "int64", (container.length(path),))
        for path in ("/index/axis1_level1", "/index/axis1_level2")
    ]
    narrow = "int8" if container.rows < 0 else "int32"
    symbol_codes, date_codes, version_codes = (
        container.read(f"/index/axis1_label{number}", dtype, (rows,))
        for number, dtype in enumerate((narrow, "int32", "int32"))
    )
    codes = symbol_codes, date_codes, version_codes
    sizes = len(symbols), len(levels[0]), len(levels[1])
    for code, size in zip(codes, sizes, strict=True):
        if rows and not 0 <= code.min() <= code.max() < size:
            raise container.corrupt("its index has a code without a level")
    values = read_values(container, "/index", blocks_of(schema), rows, range(len(schema)))
    columns = {column.name: values[number] for number, column in enumerate(schema)}
    return Page(symbols, levels[0], levels[1], codes, columns)


def read_summary(data: bytes | Sliced, name: str) -> dict[str, Any]:
    """Read what a page's header says of its symbols; raise `Corrupt` when that is damaged."""
    return Container(data, name).facts
