"""Ticks to pandas where some are not there: each value exact, and missing where there is none.

`frame` makes frames of ticks that are all there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from behemoth.codec.frame import to_frame
from behemoth.codec.ticks import Array, Ticks


def with_gaps(ticks: Ticks, places: Array, *others: Ticks) -> dict[str, Any]:
    """Give the values at these rows, column by column; -1 is a tick that is not there.

    Whole numbers and booleans come in the nullable type of pandas (``Int64``, ``boolean``), because
    float64 would not hold each of them beside a missing one. All others keep their type.

    Parameters
    ----------
    ticks
        Where the values are.
    places
        Rows of it.
    others
        Their columns that `ticks` has not are there too, missing everywhere.
    """
    nowhere = np.full(len(places), -1, dtype=np.int64)
    found = _columns(ticks, places)
    for other in others:
        lacking = [name for name in other.names if name not in found]
        found |= _columns(other.only(lacking), nowhere)
    return found


def _columns(ticks: Ticks, places: Array) -> dict[str, Any]:
    frame = to_frame(ticks)
    return {name: _taken(frame[name], places) for name in ticks.names}


def _taken(series: pd.Series[Any], places: Array) -> Any:
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        nullable: Any = "boolean" if dtype.kind == "b" else dtype.name.replace("i", "I", 1)
        nullable = nullable.replace("uI", "UI")
        return pd.array(series.to_numpy(), dtype=nullable).take(places, allow_fill=True)
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        values = np.full(len(places), np.nan, dtype=dtype)
        values[places >= 0] = series.to_numpy()[places[places >= 0]]
        return values
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        texts = np.full(len(places), np.nan, dtype=object)
        texts[places >= 0] = series.to_numpy()[places[places >= 0]]
        return texts
    return series.array.take(places, allow_fill=True)
