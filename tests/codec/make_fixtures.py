"""Write the stored files of today's format: ``python -m tests.codec.make_fixtures``.

Run once for a format, and never again: what is stored must stay readable.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from behemoth.codec import dismantle, write_checkpoint
from behemoth.version import FORMAT
from tests.codec.strategies import revisions, times, written

STORED = Path(__file__).parents[1] / "fixtures"
FOLDER = STORED / f"format-{FORMAT}"
ROWS = 6


def every_kind() -> pd.DataFrame:
    """Make a frame with a column of every kind."""
    n = np.arange(ROWS)
    nan = np.array([0x7FF8000000000001, 0x8000000000000000, 0xFFF0000000000000], np.uint64)
    numbers = {
        f"{kind}{bits}": (n - (kind != "uint")).astype(f"{kind}{bits}")
        for kind in ("int", "uint", "float")
        for bits in (8, 16, 32, 64)
        if (kind, bits) != ("float", 8)
    }
    instants = n.astype("M8[s]") + np.timedelta64(1_572_480_000, "s")
    instants[1] = np.datetime64("NaT")
    spans = n.astype("m8[ms]")
    spans[2] = np.timedelta64("NaT")
    aware = pd.DatetimeIndex(instants).tz_localize("UTC")
    return pd.DataFrame(
        {
            **numbers,
            "bits": nan.view("f8")[n % 3],
            "bool": n % 2 == 0,
            "datetime s": instants,
            "datetime ns": instants.astype("M8[ns]") + np.timedelta64(1, "ns"),
            "New York": aware.tz_convert("America/New_York"),
            "UTC": aware,
            "timedelta": spans,
            "text": np.array(["buy", "", None, "\0 é 😀", "nan", "buy"], dtype=object),
            "category": pd.Categorical(
                ["x", None, "y", "x", "y", "x"], pd.Index(["y", "unused", "x"], dtype=object)
            ),
            "ordered": pd.Categorical(["low", "high"] * 3, ["low", "high"], ordered=True),
            "nan": n,
            "": n,
        },
        index=times(ROWS, tz="UTC"),
    )


def large() -> pd.DataFrame:
    """Make a frame of several chunks, small in its file."""
    n = 2**16 + 1
    return pd.DataFrame({"flat": np.ones(n), "step": np.arange(n) // 1000}, index=times(n))


SPLAYS = {
    "every-kind.h5": every_kind,
    "empty.h5": lambda: every_kind().iloc[:0],
    "large.h5": large,
}


def checkpoint() -> pd.DataFrame:
    """Make some revisions."""
    return revisions(3)


def main() -> None:
    """Write every file that is not there yet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = {name: written(dismantle(make(), "time")).data for name, make in SPLAYS.items()}
    for name, data in {**files, "checkpoint.h5": write_checkpoint(checkpoint())}.items():
        if not (FOLDER / name).exists():
            (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
