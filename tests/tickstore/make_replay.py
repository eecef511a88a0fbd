"""Makes ``tests/fixtures/replay``: a table that pandas 2 wrote, and what was selected of it then.

``python -m tests.tickstore.make_replay``, with pandas 2. It stays as it is for ever.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from behemoth import BiTimestamp, LocalTickstore, receipt

FOLDER = Path(__file__).parents[1] / "fixtures" / "replay"
QUERIES = [
    {"symbol": "A"},
    {"symbol": "A", "start": "2019-10-30T00:02", "end": "2019-10-31T00:01"},
    {"symbol": "A", "columns": ["text", "price"], "tz": "America/New_York"},
    {"symbol": ["A", "B"], "columns": ["price"]},
    {"symbol": "A", "as_of_time": "2020-01-01T00:00:00.5"},
    {"symbol": "NOPE"},
]


def digest(frame: pd.DataFrame) -> str:
    """Digest times, names and values to the bit, whatever pandas calls their types."""
    whole = hashlib.sha256()
    shown = frame.reset_index()
    for name in shown.columns:
        column = shown[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            whole.update(f"{column.dt.tz} ".encode())
            values = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("M8[ns]")
            data = values.tobytes()
        elif column.dtype.kind in "biufmM":
            data = column.to_numpy().tobytes()
        else:
            data = json.dumps([None if pd.isna(text) else str(text) for text in column]).encode()
        whole.update(f"{name} {len(column)} ".encode() + data)
    return whole.hexdigest()


def ticks(day: date, price: float) -> pd.DataFrame:
    """Five minutes of every kind."""
    index = pd.date_range(str(day), periods=5, freq="min", tz="UTC", name="time").as_unit("ns")
    payload = np.array([0x7FF8_0000_0000_BEEF], dtype=np.uint64).view(np.float64)[0]
    return pd.DataFrame(
        {
            "price": [price, -0.0, payload, np.inf, price / 3],
            "count": np.array([1, -(2**62), 3, 0, 5]),
            "flag": [True, False, True, True, False],
            "text": pd.Series(["a", None, "Ü", "", "a"], index=index, dtype=object),
            "kind": pd.Categorical(["buy", "sell", None, "buy", "sell"]),
            "when": index.as_unit("us").shift(3, freq="s"),
        },
        index=index,
    )


def main() -> None:
    """Write the table and the receipts."""
    now = datetime(2020, 1, 1, tzinfo=UTC)

    def clock() -> datetime:
        nonlocal now
        now += timedelta(seconds=1)
        return now

    days = [BiTimestamp(date(2019, 10, number)) for number in (30, 31)]
    found = []
    with LocalTickstore(FOLDER / "TABLE", clock=clock, cache=False) as table:
        for number, day in enumerate(days):
            table.insert("A", day, ticks(day.as_at_date, 1.5 + number))
            table.insert("B", day, ticks(day.as_at_date, 7.0)[["price"]])
        for correction in (2.5, 3.5):
            for query in QUERIES:
                frame = table.select(**query)
                found.append({"receipt": str(receipt(frame)), "digest": digest(frame)})
            table.insert("A", days[0], ticks(days[0].as_at_date, correction))
            table.delete("B", days[1])
            table.undelete("B", days[1])
    text = {"pandas": pd.__version__, "selected": found}
    (FOLDER / "receipts.json").write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
