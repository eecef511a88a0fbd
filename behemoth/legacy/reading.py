"""``python -m behemoth.legacy.reading FOLDER``: opens the files of an old database.

They can carry pickles that run when they are opened, so this is a process of its own and the one
place where PyTables and pandas read files. It tells what ``index.h5`` lists, then answers requests
for files with the bytes of a splay of today's format. What is made of it does not live here.

Messages of `behemoth.legacy.protocol`. To the importer: ``rows`` (some of the index), then
``index`` (that was all, and what of it makes no sense) or ``unreadable`` (why). For each request
(path, symbol, date, time name) then a ``splay`` (rows, digest, and its bytes) or ``bad`` (why).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import tables

from behemoth import codec
from behemoth.bitemporal import knowledge_time
from behemoth.errors import BehemothError
from behemoth.legacy import protocol

ROWS = 1_000
"""Rows of the index in one message."""

LONGEST = 200
"""Characters of what a library says about a file."""

NEEDED = ("start_time", "end_time", "path")


def serve(database: Path, requests: BinaryIO, answers: BinaryIO) -> None:
    """Tell what the index lists, then answer requests until there are no more."""
    try:
        index = _open(database / "index.h5")
        listed = list(_rows(index))
    except Exception as error:  # noqa: BLE001 - a pickle can raise anything
        protocol.send(answers, {"kind": "unreadable", "why": why(error)})
        return
    rows = [row for row in listed if isinstance(row, list)]
    for start in range(0, len(rows), ROWS):
        protocol.send(answers, {"kind": "rows", "rows": rows[start : start + ROWS]})
    odd = [row for row in listed if isinstance(row, str)]
    protocol.send(answers, {"kind": "index", "odd": odd})
    while (request := protocol.receive(requests)) is not None:
        protocol.send(answers, *_answer(request[0]))


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    symbol, date = request["symbol"], Date.fromisoformat(request["date"])
    try:
        frame = _open(Path(request["path"]))
        time_name = request["time_name"] or _time_name(frame)
        ticks = codec.dismantle(_uncounted(frame, time_name), time_name)
        splay = codec.write_splay(ticks, symbol, date, datetime.now(UTC))
    except MemoryError:  # says nothing about the file
        raise
    except Exception as error:  # noqa: BLE001 - a pickle can raise anything
        return {"kind": "bad", "why": why(error)}, b""
    return {"kind": "splay", "rows": splay.rows, "digest": splay.digest}, splay.data


def _open(path: Path) -> Any:
    """Read the one frame of a file, under any key."""
    with pd.HDFStore(path, mode="r") as store:
        keys = store.keys()
        if len(keys) != 1:
            raise ValueError(f"it holds {len(keys)} frames, not one: {', '.join(keys) or 'none'}")
        return store.get(keys[0])


def _time_name(frame: pd.DataFrame) -> str:
    """Name the time index of a frame, if it has one and that has a name."""
    index = frame.index if isinstance(frame, pd.DataFrame) else None
    named = isinstance(index, pd.DatetimeIndex) and isinstance(index.name, str)
    return str(index.name) if index is not None and named else "time"


def _uncounted(frame: Any, time_name: str) -> Any:
    """Drop an index that only counts the rows: beside a column of times, it says nothing."""
    if isinstance(frame, pd.DataFrame) and time_name in frame.columns:
        counted = frame.index.name is None and frame.index.equals(pd.RangeIndex(len(frame)))
        return frame.reset_index(drop=True) if counted else frame
    return frame


def why(error: Exception) -> str:
    """Say in one short line why a file cannot be read."""
    if isinstance(error, BehemothError):
        return error.message
    if isinstance(error, tables.exceptions.HDF5ExtError):
        return _why_hdf5(str(error))
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]


def _why_hdf5(text: str) -> str:
    """Give the sentence behind the trace through the HDF5 library, which helps nobody."""
    line = " ".join(text.rpartition("HDF5 error back trace")[2].split())
    if "Unable to open/create file" in line or not line:
        return "it is no HDF5 file, or cut off"
    return f"it is damaged: {line}"[:LONGEST]


def _rows(index: object) -> Iterator[list[Any] | str]:
    """Give each row of an index as values that JSON knows, or what makes no sense about it."""
    if not isinstance(index, pd.DataFrame):
        raise TypeError(f"its frame is a {type(index).__name__}, not a DataFrame")
    levels: list[Any] = list(index.index.names)
    if not isinstance(index.index, pd.MultiIndex) or levels[:2] != ["symbol", "date"]:
        raise ValueError(f"its index is {levels}, not symbol, date and perhaps version")
    lacking = [name for name in NEEDED if name not in index.columns]
    if "version" not in [*levels, *index.columns]:
        lacking.append("version")
    if lacking:
        raise ValueError(f"it has no {', '.join(lacking)}, only {', '.join(map(str, index))}")
    columns = {name: list(index.index.get_level_values(name)) for name in levels}
    columns |= {name: list(index[name]) for name in NEEDED}
    versions = [
        list(values)
        for values in (
            index.index.get_level_values("version") if "version" in levels else None,
            index["version"] if "version" in index.columns else None,
        )
        if values is not None
    ]
    for number in range(len(index)):
        row = {name: values[number] for name, values in columns.items()}
        try:
            yield [
                _text(row["symbol"], "symbol"),
                _date(row["date"]).isoformat(),
                _version([values[number] for values in versions]),
                _knowledge(row["start_time"]),
                _knowledge(row["end_time"]),
                _text(row["path"], "path"),
            ]
        except (ValueError, TypeError, OverflowError) as error:
            yield f"row {number} ({row['symbol']!s:.40}, {row['date']!s:.40}): {error}"


def _text(value: object, what: str) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(f"its {what} is {value!r}, not text")
    return str.__str__(value)


def _date(value: object) -> Date:
    if isinstance(value, (str, np.datetime64)):
        value = pd.Timestamp(value)
    if isinstance(value, datetime):
        plain = not pd.isna(value) and value.time() == datetime.min.time()
        return value.date() if plain else _no_date(value)
    return value if isinstance(value, Date) else _no_date(value)


def _no_date(value: object) -> Date:
    raise ValueError(f"its date is {value!r}")


def _version(values: list[Any]) -> int:
    whole = {int(value) for value in values}
    if len(whole) != 1 or any(value != int(value) for value in values):
        raise ValueError(f"its version is {' and '.join(map(str, values))}")
    return whole.pop()


def _knowledge(value: Any) -> str | None:
    """Give a knowledge time as ISO text, aware UTC; ``None`` where it is missing: an open end."""
    if isinstance(value, (str, np.datetime64)):
        value = pd.Timestamp(value)
    if value is None or (not isinstance(value, datetime) and value != value):
        return None
    if isinstance(value, datetime):
        return None if pd.isna(value) else knowledge_time(value).isoformat()
    raise ValueError(f"{value!r} is no knowledge time")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the importer decides when this ends
    # What is opened here may print; only messages go to the importer.
    answers, requests = os.dup(1), os.dup(0)
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with open(requests, "rb") as asked, open(answers, "wb") as told:  # noqa: PTH123 - descriptors
        serve(Path(sys.argv[1]), asked, told)
