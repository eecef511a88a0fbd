"""Makes databases as the 2019 code left them, with plain pandas: frames, and an index of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

START, END = datetime.min, datetime.max
"""What the old code wrote for "since the start of time" and "still known"."""

D1, D2 = date(2019, 10, 30), date(2019, 10, 31)
T1, T2, T3 = datetime(2019, 11, 1, 8), datetime(2019, 11, 2, 9, 30), datetime(2019, 11, 3, 0, 0, 1)


def bars(day: date, *closes: float, name: str | None = "time") -> pd.DataFrame:
    """Give so many minutes of a day, UTC."""
    index = pd.date_range(day.isoformat(), periods=len(closes), freq="min", tz="UTC", name=name)
    return pd.DataFrame(
        {"close": list(closes), "volume": [2.0 * each for each in closes]}, index=index
    )


@dataclass
class OldDatabase:
    """A folder in the making; `write` the index when all versions are there."""

    folder: Path
    recorded_in: str | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def put(
        self,
        symbol: str,
        day: date,
        version: int,
        start: Any,
        end: Any,
        frame: pd.DataFrame | pd.Series,
        *,
        key: str = "ticks",
        **options: Any,
    ) -> Path:
        """Write the file of a version, and note its row of the index."""
        inside = f"{day:%Y/%m/%d}/{symbol}_{version:04d}.h5"
        path = self.folder / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(frame, path, key, **options)
        recorded = str(path) if self.recorded_in is None else f"{self.recorded_in}/{inside}"
        self.note(symbol, day, version, start, end, recorded)
        return path

    def note(self, symbol: Any, day: Any, version: Any, start: Any, end: Any, path: Any) -> None:
        """Note a row of the index."""
        self.rows.append(
            {
                "symbol": symbol,
                "date": day,
                "start_time": start,
                "end_time": end,
                "version": version,
                "path": path,
            }
        )

    def index(self, *levels: str, keep_version: bool = False) -> pd.DataFrame:
        """Give the index as a frame, its times and dates as they were noted."""
        times = {"start_time", "end_time", "date", "symbol", "path"}
        columns = {
            name: pd.Series(
                [row[name] for row in self.rows], dtype=object if name in times else None
            )
            for name in ("symbol", "date", "start_time", "end_time", "version", "path")
        }
        frame = pd.DataFrame(columns)
        indexed = frame.set_index(list(levels or ("symbol", "date")))
        return indexed.assign(version=frame["version"].to_numpy()) if keep_version else indexed

    def write(self, frame: pd.DataFrame | None = None) -> Path:
        """Write ``index.h5`` and give the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.index() if frame is None else frame, self.folder / "index.h5", "index")
        return self.folder


def _write(frame: pd.DataFrame | pd.Series, path: Path, key: str, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # objects are pickled
        frame.to_hdf(path, key=key, mode="w", format="fixed", **options)


def small(folder: Path) -> OldDatabase:
    """Make what a small desk would have: a corrected day, a deleted one, one that came back."""
    old = OldDatabase(folder)
    old.put("BTC-USD", D1, 0, START, END, bars(D1, 1.0, 2.0, 3.0))
    old.put("BTC-USD", D2, 0, START, T1, bars(D2, 4.0, 5.0))
    old.put("BTC-USD", D2, 1, T1, T2, bars(D2, 4.0, 5.5))
    old.put("BTC-USD", D2, 2, T2, END, bars(D2, 4.0, 5.5, 6.0))
    old.put("ETH-USD", D1, 0, START, T2, bars(D1, 0.1 + 0.2))
    old.put("ETH-USD", D2, 0, T1, T2, bars(D2, 7.0))
    old.put("ETH-USD", D2, 1, T3, END, bars(D2, 8.0))
    return old
