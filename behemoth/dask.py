"""A table as a dask DataFrame: the workers read it themselves, all of them the same state.

The cluster's scheduler never sees a tick. A worker opens the table read-only, at its path, once for
each process. What does not live here: how ticks are cut and read (`behemoth.tickstore`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behemoth import codec
from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import EnvironmentFailed
from behemoth.tickstore import LocalTickstore, View, request
from behemoth.tickstore.moments import AsOf
from behemoth.tickstore.parts import By, Plan, Span
from behemoth.tickstore.times import Bound

if TYPE_CHECKING:
    import dask.dataframe as dd

MANY = 16
"""Tables and states that a thread keeps open."""


def read(
    table: Path | str | View,
    symbol: str,
    start: Bound = None,
    end: Bound = None,
    as_of_time: AsOf = LATEST_AS_OF,
    *,
    columns: Sequence[str] | None = None,
    tz: str | None = None,
    partition: By = "day",
) -> dd.DataFrame:
    """Read one symbol's ticks as a dask DataFrame, pinned to the state that is there now.

    Parameters
    ----------
    table
        The folder of a table, or a table on disk, open or frozen. Every worker must find it at the
        same path.
    symbol, start, end, as_of_time, columns, tz
        As for `select`. A token, a tag or a frozen view pins that state.
    partition
        ``"day"`` or ``"month"``: one partition for each that has files, UTC whatever the `tz`.

    Returns
    -------
    dask.dataframe.DataFrame
        ``compute()`` gives what `select` gives. The divisions are known: the beginnings of the days
        or months between the first tick and the last. What is written meanwhile changes nothing.

    Raises
    ------
    BadRequest
        When the table is not on disk, or the request makes no sense.
    NotFound
        When the symbol is unknown, or a column, tag or token.
    EnvironmentFailed
        When dask is not installed.
    """
    try:
        import dask
        import dask.dataframe as dd
    except ImportError as error:
        raise EnvironmentFailed(
            "dask is not installed; get it with: pip install 'behemoth[dask]'"
        ) from error
    request.check_tz(tz)
    if not isinstance(table, View):
        table = LocalTickstore(table, mode="r", cache=False)
    plan = Plan.of(table, symbol, start, end, as_of_time, columns, partition)
    with dask.config.set({"dataframe.convert-string": False}):  # texts stay what they are
        from_map: Any = dd.from_map
        frame: dd.DataFrame = from_map(
            read_part,
            plan.spans or [plan.bounds],
            plan=replace(plan, spans=()),  # it goes with every task
            tz=tz,
            meta=codec.to_frame(plan.like, tz),
            divisions=_divisions(plan, tz),
            label="behemoth",
        )
    return frame


def read_part(span: Span, plan: Plan, tz: str | None, columns: list[str] | None = None) -> Any:
    """Read one partition, in a worker; dask says which columns it needs."""
    wanted = plan.like if columns is None else plan.like.only(columns)
    ticks = plan.read(_opened(plan.path, plan.timestamp_column, plan.token), span, wanted)
    return codec.to_frame(ticks, tz)


def _divisions(plan: Plan, tz: str | None) -> tuple[pd.Timestamp, ...] | None:
    if not plan.spans:
        return None
    edges = np.array([*(start for start, _ in plan.spans), plan.spans[-1][1]], dtype=np.int64)
    return tuple(codec.time_index(replace(plan.like, times=edges, columns=()), tz))


class _Tables(threading.local):
    """The tables that are open in a thread; none is shared, so that none has to wait."""

    def __init__(self) -> None:
        self.views: dict[tuple[str, str, str], View] = {}


_tables = _Tables()


def _opened(path: str, timestamp_column: str, token: str) -> View:
    """Open a table once for each thread of a worker, frozen at the state of the plan."""
    key = path, timestamp_column, token
    if key not in _tables.views:
        table = LocalTickstore(path, timestamp_column, mode="r", cache=False)
        if len(_tables.views) == MANY:
            _tables.views.clear()
        _tables.views[key] = table.at(token)
    return _tables.views[key]
