"""The rounds: what each contender is asked, in which order, on which data."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks import machine
from benchmarks.speed import figures, ours, samples
from benchmarks.speed.figures import CHUNKS, COLD, US, Figures
from benchmarks.speed.peers import WAYS
from benchmarks.speed.session import Asks, Session, fresh, interleave, sessions
from benchmarks.speed.worker import Answer

SLICES = 8
EIGHTHS = range(1, 9)
SINGLE_DAYS = 20


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    days: int | None  # of minute bars; None for all
    rounds: int
    starts: int  # of new processes that read all bars
    ingests: int
    versions: tuple[int, int]  # versions of a day, days
    trades: tuple[int, int]  # rows, days
    line_rows: int
    line_days: tuple[int, ...]
    imports: int
    revisions: tuple[int, ...]  # of the indexes
    budget: float  # seconds of a contender for one piece of work


SIZES = {
    "small": Size(60, 3, 1, 1, (10, 10), (100_000, 5), 20_000, (8, 16, 32), 1, (100, 1_000), 2.0),
    "full": Size(
        None,
        9,
        5,
        1,
        (100, 200),
        (5_000_000, 5),
        262_144,
        (64, 128, 256, 512, 1024),
        9,
        (1_000, 10_000_000),
        15.0,
    ),
}


class Bench:
    """One run.

    Parameters
    ----------
    folder
        An empty one.
    names
        The contenders.
    size
        How much.
    """

    def __init__(self, folder: Path, names: Sequence[str], size: Size) -> None:
        self.folder, self.names, self.size = folder, list(names), size
        self.figures = Figures()
        self.sample = folder / "bars.npz"
        self.days: list[str] = []

    def prepare(self) -> None:
        """Have the minute bars ready."""
        bars = samples.real_bars()
        kind = "real" if bars is not None else "generated"
        if bars is None:
            days = self.size.days or samples.DAYS
            bars = samples.made_bars(samples.ROWS * days // samples.DAYS, days)
        cut = samples.days_of(bars)[: self.size.days]
        bars = bars.iloc[: sum(len(frame) for _, frame in cut)]
        samples.save(bars, self.sample)
        self.days = [day.isoformat() for day, _ in cut]
        self.figures.setting.update(bars=kind, rows=len(bars), days=len(cut))

    def ingest(self) -> None:
        """Write the bars day by day, a slice of the days for each in turn."""
        for number in range(self.size.ingests):
            if number:
                shutil.rmtree(self.folder / "bars")
            with sessions(self._of(writes=True), self.folder / "bars", self.sample) as writers:
                self._ingest(writers, len(self.days), figures.INGEST)
        for name in self._of(writes=True):
            allocated, apparent = machine.on_disk(self.folder / "bars" / WAYS[name].home)
            self.figures.add(figures.ALLOCATED, name, allocated)
            self.figures.add(figures.APPARENT, name, apparent)

    def _ingest(self, writers: Mapping[str, Session], days: int, work: str) -> None:
        bounds = [days * n // SLICES for n in range(SLICES + 1)]
        for writer in writers.values():
            writer.ask("begin")
        seconds = dict.fromkeys(writers, 0.0)
        for first, last in pairwise(bounds):
            for name, writer in writers.items():
                if not WAYS[name].at_once:
                    seconds[name] += writer.ask("append", first=first, last=last)["seconds"]
                elif first == bounds[SLICES // 2]:
                    seconds[name] += writer.ask("append", first=0, last=days)["seconds"]
        for name, spent in seconds.items():
            self.figures.add(work, name, spent)

    def select(self) -> None:
        """Select all bars, and single days, the store open and read before."""
        homes = {WAYS[name].home for name in self.names} & {US}
        before = {home: self._image(home) for home in homes}
        step = max(1, len(self.days) // SINGLE_DAYS)
        with sessions(self._of(reads=True), self.folder / "bars", self.sample) as readers:
            self._read(figures.SELECT, readers, "select")
            self._read(figures.DAY, readers, "each", days=self.days[step // 2 :: step])
            if COLD in readers:
                self._profile(readers[COLD])
        for home in homes:
            grown = self._image(home) - before[home]
            self.figures.add(figures.IMAGE, home, grown)
            self.figures.images = grown > 0

    def _image(self, home: str) -> int:
        places = (self.folder / "bars" / home, self.folder / "bars" / "caches")
        return sum(machine.on_disk(place)[0] for place in places if place.exists())

    def _read(
        self, work: str, readers: Mapping[str, Session], verb: str, **wanted: object
    ) -> dict[str, list[Answer]]:
        """Open, ask without counting, then ask all in turn."""
        for reader in readers.values():
            reader.get_ready(verb, **wanted)
        asks = {name: partial(one.ask, verb, **wanted) for name, one in readers.items()}
        return self._rounds(work, asks)

    def _rounds(self, work: str, asks: Asks) -> dict[str, list[Answer]]:
        answers = interleave(asks, self.size.rounds, self.size.budget)
        figures.agree(work, {name: (a[-1]["rows"], a[-1]["sum"]) for name, a in answers.items()})
        for name, found in answers.items():
            self.figures.add(work, name, *(answer["seconds"] for answer in found))
        return answers

    def fresh(self) -> None:
        """Select all bars for the first time, in new processes."""
        place, sample = self.folder / "bars", self.sample
        names = [name for name in self._of(reads=True) if name not in ("floor", "memory")]
        asks = {name: partial(fresh, name, place, sample) for name in names}
        for name, found in interleave(asks, self.size.starts, self.size.budget).items():
            self.figures.add(figures.FIRST, name, *(answer["first"] for answer in found))
            self.figures.add(figures.TOTAL, name, *(answer["total"] for answer in found))
            self.figures.add(
                figures.PEAK,
                name,
                *(answer["memory_peak"] - answer["memory_before"] for answer in found),
            )

    def _profile(self, reader: Session) -> None:
        """Measure stages alone, and selects against rows."""
        self.figures.stages = reader.ask("stages", times=self.size.rounds)["stages"]
        last = [self.days[len(self.days) * n // 8 - 1] for n in EIGHTHS]
        self.line(figures.ROWS_LINE, [partial(reader.ask, "select", last=day) for day in last])

    def line(
        self, kind: str, asks: Sequence[Callable[[], Answer]], xs: Sequence[float] | None = None
    ) -> None:
        """Note points of rows, or of what is given, and median seconds."""
        numbered = {str(number): ask for number, ask in enumerate(asks)}
        found = interleave(numbered, self.size.rounds, self.size.budget).values()
        self.figures.lines[kind] = [
            (
                float(answers[0]["rows"] if xs is None else xs[number]),
                median(answer["seconds"] for answer in answers),
            )
            for number, answers in enumerate(found)
        ]

    def trades(self) -> None:
        """Write and read days of trades."""
        rows, days = self.size.trades
        place, sample = self.folder / "trades", self.folder / "trades.npz"
        frame = samples.trades(rows, days)
        samples.save(frame, sample)
        day = samples.days_of(frame)[days // 2][0].isoformat()
        one_day = {"first": day, "last": day}
        with sessions(self._of(projects=True), place, sample) as all_of_them:
            some = {name: all_of_them[name] for name in self._of(writes=True)}
            self._ingest(some, days, figures.TRADES_INGEST)
            for name in some:
                size, _ = machine.on_disk(place / WAYS[name].home)
                self.figures.add(figures.TRADES_DISK, name, size)
            some = {name: all_of_them[name] for name in self._of(reads=True, projects=True)}
            self._read(figures.TRADES_DAY, some, "select", **one_day)
            wanted = {**one_day, "columns": ["price"]}
            answers = self._read(figures.TRADES_COLUMN, some, "select", **wanted)
        if COLD in answers:
            self.figures.add(figures.COLUMN_BYTES, COLD, answers[COLD][-1]["bytes_read"])
            self.figures.add(figures.COLUMN_BYTES, CHUNKS, column_bytes(place / US, day))
        shutil.rmtree(place)

    def _of(self, **wanted: bool) -> list[str]:
        return [
            name
            for name in self.names
            if all(getattr(WAYS[name], what) == value for what, value in wanted.items())
        ]


def column_bytes(folder: Path, day: str) -> int:
    """Count the compressed bytes of the times and of the price of a day of trades."""
    (plan,) = (plan for plan in ours.plans(folder) if "-".join(plan.path.parts[-4:-1]) == day)
    return sum(
        chunk.size
        for chunk in plan.chunks
        if chunk.array.endswith("/axis1") or (chunk.dtype == "float64" and chunk.row == 0)
    )
