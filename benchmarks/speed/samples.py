"""What is measured on: minute bars and trades, real or generated, in a file that processes share.

Real bars are never kept in the project; generated ones have their shape. Both are seeded.
"""

from __future__ import annotations

import os
from datetime import date as Date
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(
    os.environ.get("BEHEMOTH_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)
MINUTES = 1440
MINUTE, DAY = 60 * 10**9, 86_400 * 10**9
FIRST = Date(2016, 1, 1)
DAYS, ROWS = 1394, 1_831_665  # of the real bars
BARS = ["open", "close", "high", "low", "volume"]

Days = list[tuple[Date, pd.DataFrame]]


def real_bars(folder: Path = FOLDER) -> pd.DataFrame | None:
    """Read four years of real minute bars, where they are."""
    paths = sorted((folder / "bitfinex_1m").glob("*.csv.gz"))
    if not paths:
        return None
    table = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    times = table.pop("ts_ms").to_numpy(np.int64) * 10**6
    return _frame(times, {name: table[name].to_numpy(np.float64) for name in BARS})


def made_bars(rows: int, days: int, seed: int = 0) -> pd.DataFrame:
    """Make minute bars: a random walk in cents; the days are equally long, or differ by a row."""
    chance = np.random.default_rng(seed)
    counts = np.full(days, rows // days)
    counts[: rows % days] += 1
    minutes = np.concatenate([np.arange(count) for count in counts])
    start = np.datetime64(FIRST, "ns").astype(np.int64)
    times = start + np.repeat(np.arange(days), counts) * DAY + minutes * (DAY // counts.max())
    closes = 40_000 + np.abs(np.cumsum(chance.integers(-150, 151, rows)))
    opens = np.concatenate([closes[:1], closes[:-1]])
    highs = np.maximum(opens, closes) + chance.integers(0, 100, rows)
    lows = np.minimum(opens, closes) - chance.integers(0, 100, rows)
    volumes = np.round(chance.lognormal(1, 1.5, rows), 8)
    cents = {"open": opens, "close": closes, "high": highs, "low": lows}
    prices = {name: cents[name] / 100 for name in BARS[:4]}
    return _frame(times, {**prices, "volume": volumes})


def trades(rows: int, days: int, seed: int = 1) -> pd.DataFrame:
    """Make trades: a number, a price in cents, a size, a side and two orders each."""
    chance = np.random.default_rng(seed)
    each = rows // days
    within = np.sort(chance.integers(0, DAY // 1000, (days, each)), axis=1) * 1000
    start = np.datetime64(FIRST, "ns").astype(np.int64)
    times = (start + np.arange(days)[:, None] * DAY + within).reshape(-1)
    rows = len(times)
    ids = 10**8 + np.cumsum(chance.integers(1, 3, rows))
    prices = (4_000_000 + np.cumsum(chance.integers(-3, 4, rows))) / 100
    columns = {
        "trade_id": ids,
        "price": prices,
        "size": np.round(chance.lognormal(-3, 2, rows), 8),
        "side": chance.choice(np.array([-1, 1], dtype=np.int8), rows),
        "maker_order": ids * 5 - chance.integers(1, 5000, rows),
        "taker_order": ids * 5 + 1,
    }
    return _frame(times, columns)


def days_of(frame: pd.DataFrame) -> Days:
    """Cut a frame into the days that it has."""
    numbers = _times(frame) // DAY
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    ends = [*starts[1:], len(frame)]
    return [
        (Date(1970, 1, 1) + timedelta(int(numbers[start])), frame.iloc[start:end])
        for start, end in zip(starts, ends, strict=True)
    ]


def save(frame: pd.DataFrame, path: Path) -> None:
    """Keep a frame of plain columns."""
    columns = {str(name): frame[name].to_numpy() for name in frame.columns}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **{" time": _times(frame), **columns})


def load(path: Path) -> pd.DataFrame:
    """Read a frame that was kept."""
    with np.load(path) as found:
        columns = {name: found[name] for name in found.files}
    return _frame(columns.pop(" time"), columns)


def _frame(times: np.ndarray, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    index = pd.DatetimeIndex(times.view("datetime64[ns]"), name="time")
    return pd.DataFrame(columns, index=index, copy=True)


def _times(frame: pd.DataFrame) -> np.ndarray:
    return np.asarray(frame.index.to_numpy("datetime64[ns]").view(np.int64))
