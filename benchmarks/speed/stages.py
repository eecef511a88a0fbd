"""Where a cold select's milliseconds go: each stage alone, in one thread, on the same files."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import xxhash

from benchmarks.speed import ours, way
from benchmarks.speed.ours import Plan
from benchmarks.speed.way import SYMBOL

UNKNOWN = "NOBODY-USD"
WHOLE = "the whole: select and sum"
REST = "the rest: finding the files, reading headers, Python in between"
FLOOR = ("open, read, close", "decompress", "first touch of the result's memory")
"""What no reader of these bytes can do without."""


def measure(folder: Path, times: int) -> dict[str, float]:
    """Give the seconds of each stage, medians; the rest is what is left of the whole."""
    store = ours.tickstore(folder, cold=True)
    plans = ours.plans(folder)
    frame = store.select(SYMBOL)
    files = [ours.read(plan) for plan in plans]
    size = sum(chunk.decoded for plan in plans for chunk in plan.chunks)
    scratch = np.zeros(size, dtype=np.uint8)
    wide = np.ascontiguousarray(frame.to_numpy().T)
    nanoseconds = frame.index.to_numpy().view(np.int64)

    works: dict[str, Callable[[], object]] = {
        WHOLE: lambda: way.touch(store.select(SYMBOL)),
        "a select of an unknown symbol: is there something new?": lambda: store.select(UNKNOWN),
        FLOOR[0]: lambda: read(plans),
        "digests": lambda: digest(plans, files),
        FLOOR[1]: lambda: decompress(plans, files, scratch),
        FLOOR[2]: lambda: np.empty(size, dtype=np.uint8).fill(0),
        "the frame around the arrays": lambda: pd.DataFrame(
            wide.T, index=pd.DatetimeIndex(nanoseconds), columns=list(frame.columns), copy=False
        ),
        "the sum": lambda: way.touch(frame),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(times):
        for name, work in works.items():
            begun = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    return {**medians, REST: 2 * medians[WHOLE] - sum(medians.values())}


def read(plans: Sequence[Plan]) -> None:
    """Read each file, and let it go: what lies in the processor's cache costs a select less."""
    for plan in plans:
        ours.read(plan)


def digest(plans: Sequence[Plan], files: Sequence[bytes]) -> None:
    """Compute the digests that a select checks."""
    for plan, data in zip(plans, files, strict=True):
        view = memoryview(data)
        xxhash.xxh3_128_digest(view[: plan.header])
        for chunk in plan.chunks:
            xxhash.xxh3_64_intdigest(view[chunk.offset : chunk.offset + chunk.size])


def decompress(
    plans: Sequence[Plan], files: Sequence[bytes], scratch: npt.NDArray[np.uint8]
) -> None:
    """Decompress everything into memory that has been touched before."""
    used = 0
    for plan, data in zip(plans, files, strict=True):
        used += ours.decompress(plan, data, scratch[used:])
