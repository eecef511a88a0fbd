"""What was measured, and what follows from it: medians, ratios, straight lines, bars. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

SELECT, DAY = "select", "day"
FIRST, TOTAL, PEAK = "first select", "process", "peak memory"
INGEST, ALLOCATED, APPARENT = "ingest", "allocated", "apparent"
IMAGE = "image"
MANY, ONE = "as-of, many versions", "as-of, one version"
IMPORT = "import"
TRADES_INGEST, TRADES_DISK = "trades: ingest", "trades: allocated"
TRADES_DAY, TRADES_COLUMN = "trades: a day", "trades: a column of a day"
COLUMN_BYTES = "trades: bytes read for a column of a day"
INDEX = "open and select a day, by the revisions of the index"
ROWS_LINE, DAYS_LINE = "rows", "days"
CHUNKS = "the column's and the times' chunks"
STRAIGHT = 0.99

Place = tuple[str, str]  # what was measured, and of whom


@dataclass
class Figures:
    """All numbers of one run.

    Attributes
    ----------
    setting
        When, where, on what.
    numbers
        By what was measured and by contender: seconds or bytes, one for each round.
    lines
        Points ``(x, seconds)``: select time against rows, and against days.
    stages
        Seconds of each stage of a cold select.
    images
        Whether an image was there.
    """

    setting: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    images: bool = False

    def add(self, work: str, name: str, *values: float) -> None:
        """Keep what a contender needed."""
        self.numbers.setdefault(work, {}).setdefault(name, []).extend(values)

    def median(self, work: str, name: str) -> float | None:
        """Give the median of all rounds; ``None`` for what was not measured."""
        found = self.numbers.get(work, {}).get(name)
        return statistics.median(found) if found else None


class Line(NamedTuple):
    """A straight line through points, and how well it fits."""

    slope: float
    start: float
    r2: float


def line(points: Sequence[tuple[float, float]]) -> Line:
    """Fit a straight line by least squares."""
    xs, ys = zip(*points, strict=True)
    slope, start = statistics.linear_regression(xs, ys)
    mean = statistics.fmean(ys)
    off = sum((y - start - slope * x) ** 2 for x, y in points)
    spread = sum((y - mean) ** 2 for y in ys)
    return Line(slope, start, 1 - off / spread if spread else 1.0)


@dataclass(frozen=True)
class Bar:
    """What must be reached.

    Attributes
    ----------
    what
        In words.
    ours, theirs
        What is compared.
    limit
        Of the ratio ours to theirs; of theirs to ours where `kind` is ``"faster"``; of the
        difference where it is ``"more"``.
    aim
        What would be better still.
    image
        Whether it is about an image.
    """

    what: str
    ours: Place
    theirs: Place
    limit: float
    kind: Literal["times", "faster", "more"] = "times"
    aim: float | None = None
    image: bool = False


class Verdict(NamedTuple):
    """A bar, and what came out; ``None`` where something was not measured."""

    bar: Bar
    value: float | None
    reached: bool | None
    aimed: bool | None


US, COLD, ARCTIC = "behemoth", "behemoth-cold", "arcticdb"
BARS = [
    Bar(
        "all bars, no image, against the 2019 way",
        (SELECT, COLD),
        (SELECT, "article"),
        100,
        "faster",
    ),
    Bar(
        "all bars, no image, against ArcticDB's daily appends",
        (SELECT, COLD),
        (SELECT, ARCTIC),
        1.3,
        aim=1.0,
    ),
    Bar(
        "all bars, warm image, against ArcticDB's daily appends",
        (SELECT, US),
        (SELECT, ARCTIC),
        5,
        "faster",
        image=True,
    ),
    Bar(
        "all bars, warm image, against the sum of the frame in memory",
        (SELECT, US),
        (SELECT, "memory"),
        1.5,
        image=True,
    ),
    Bar("a day, no image, against ArcticDB's daily appends", (DAY, COLD), (DAY, ARCTIC), 1),
    Bar(
        "a day, default settings, against ArcticDB's daily appends",
        (DAY, US),
        (DAY, ARCTIC),
        1,
    ),
    Bar("as-of, many versions a day against one, no image", (MANY, COLD), (ONE, COLD), 1.2),
    Bar(
        "as-of, many versions a day against one, warm image", (MANY, US), (ONE, US), 1.2, image=True
    ),
    Bar(
        "bytes on disk against ArcticDB's daily appends, pruned",
        (ALLOCATED, US),
        (ALLOCATED, "arcticdb-pruned"),
        1,
    ),
    Bar(
        "bytes on disk against ArcticDB's daily appends, not pruned",
        (ALLOCATED, US),
        (ALLOCATED, ARCTIC),
        1,
        aim=0.5,
    ),
    Bar("bytes on disk against zstd Parquet a day", (ALLOCATED, US), (ALLOCATED, "parquet"), 1.1),
    Bar("ingest day by day, against ArcticDB's daily appends", (INGEST, US), (INGEST, ARCTIC), 2),
    Bar(
        "ingest in one transaction, against ArcticDB's daily appends",
        (INGEST, "behemoth-once"),
        (INGEST, ARCTIC),
        1,
    ),
    Bar(
        "10 million revisions: open and select a day in a new process, seconds more than with a "
        "thousand",
        (INDEX, "10,000,000"),
        (INDEX, "1,000"),
        0.5,
        "more",
    ),
    Bar("import behemoth against import pandas", (IMPORT, US), (IMPORT, "pandas"), 1.2),
    Bar(
        "a column of six: bytes read more than its chunks and the times'",
        (COLUMN_BYTES, COLD),
        (COLUMN_BYTES, CHUNKS),
        65536,
        "more",
    ),
    Bar(
        "a column of six, no image, against ArcticDB",
        (TRADES_COLUMN, COLD),
        (TRADES_COLUMN, ARCTIC),
        1,
    ),
    Bar(
        "a column of six, default settings, against ArcticDB",
        (TRADES_COLUMN, US),
        (TRADES_COLUMN, ARCTIC),
        1,
    ),
]


def verdict(bar: Bar, figures: Figures) -> Verdict:
    """Hold a bar against what was measured."""
    ours, theirs = figures.median(*bar.ours), figures.median(*bar.theirs)
    if ours is None or theirs is None or (bar.image and not figures.images):
        return Verdict(bar, None, None, None)
    if bar.kind == "more":
        value = ours - theirs
    else:
        value = theirs / ours if bar.kind == "faster" else ours / theirs
    aimed = None if bar.aim is None else value <= bar.aim
    return Verdict(
        bar, value, value >= bar.limit if bar.kind == "faster" else value <= bar.limit, aimed
    )


def agree(work: str, sums: Mapping[str, tuple[int, float]]) -> None:
    """Insist that all contenders read the same: rows, and the sum of the last column.

    Raises
    ------
    ValueError
        When one read something else.
    """
    known = {name: found for name, found in sums.items() if found[0] >= 0}
    for name, (rows, total) in known.items():
        first, (right, wanted) = next(iter(known.items()))
        if rows != right or abs(total - wanted) > 1e-9 * max(abs(wanted), 1):
            raise ValueError(
                f"{work}: {name} read {rows} rows with the sum {total!r}, "
                f"{first} read {right} with {wanted!r}"
            )
