"""Further works, ours alone: many days, many versions, imports, and the index at scale."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks.speed import figures, samples
from benchmarks.speed.figures import COLD, US
from benchmarks.speed.measuring import Bench
from benchmarks.speed.session import ROOT, Session, environment, interleave, sessions
from benchmarks.speed.worker import Answer

TOLD = "import time; t = time.perf_counter(); from {} import {}; print(time.perf_counter() - t)"
MADE = (
    "import sys; from pathlib import Path; from benchmarks.index import make; "
    "make(Path(sys.argv[1]), int(sys.argv[2]))"
)
NEEDED = {"pandas": "DataFrame", US: "LocalTickstore"}
"""What is imported of each: a public name, because `import behemoth` alone loads nothing."""


def days_line(bench: Bench) -> None:
    """Select the same number of rows, in few days and in many."""
    if COLD not in bench.names:
        return
    with sessions(["behemoth-once", COLD], bench.folder, bench.sample) as two:
        asks = [
            partial(_open_and_select, two, _same_rows(bench, two["behemoth-once"], days))
            for days in bench.size.line_days
        ]
        bench.line(figures.DAYS_LINE, asks, bench.size.line_days)


def _same_rows(bench: Bench, writer: Session, days: int) -> dict[str, str]:
    """Write so many days that always hold as many rows together."""
    place, sample = bench.folder / f"days-{days}", bench.folder / f"days-{days}.npz"
    samples.save(samples.made_bars(bench.size.line_rows, days), sample)
    place.mkdir()
    where = {"folder": str(place), "sample": str(sample)}
    writer.ask("at", **where)
    writer.ask("begin")
    writer.ask("append", first=0, last=days)
    (place / "behemoth-once").rename(place / US)
    return where


def _open_and_select(two: Mapping[str, Session], where: dict[str, str]) -> Answer:
    two[COLD].ask("at", **where)
    two[COLD].ask("open")
    two[COLD].ask("select")
    return two[COLD].ask("select")


def as_of(bench: Bench) -> None:
    """Select as of a time, over days of many versions and of one."""
    names = [name for name in (US, COLD) if name in bench.names]
    if US not in names:
        return
    versions, days = bench.size.versions
    works = {figures.MANY: versions, figures.ONE: 1}
    times = {}
    with sessions([US], bench.folder, bench.sample) as one:
        for work, count in works.items():
            one[US].ask("at", folder=str(bench.folder / work), sample=str(bench.sample))
            times[work] = one[US].ask("revise", versions=count, days=days)["as_of"]
    bench.figures.setting.update(versions=versions, version_days=min(days, len(bench.days)))
    keys = [(work, name) for work in works for name in names]
    with ExitStack() as stack:
        asks = {}
        for work, name in keys:
            entered = sessions([name], bench.folder / work, bench.sample)
            session = stack.enter_context(entered)[name]
            session.get_ready("select", as_of=times[work])
            asks[f"{work}|{name}"] = partial(session.ask, "select", as_of=times[work])
        answers = interleave(asks, 2 * bench.size.rounds, bench.size.budget)
    for work, name in keys:
        found = answers[f"{work}|{name}"]
        bench.figures.add(work, name, *(answer["seconds"] for answer in found))
    for work in works:
        shutil.rmtree(bench.folder / work)


def imports(bench: Bench) -> None:
    """Import in fresh processes; what was compiled before is there."""
    for _ in range(bench.size.imports):
        for module, name in NEEDED.items():
            command = [sys.executable, "-c", TOLD.format(module, name)]
            said = subprocess.check_output(command, cwd=ROOT, env=environment(), text=True)
            bench.figures.add(figures.IMPORT, module, float(said))


def index(bench: Bench) -> None:
    """Open tables of few and of many revisions and select a day, each time in a new process."""
    tables = {number: bench.folder / f"index-{number}" for number in bench.size.revisions}
    for number, folder in tables.items():
        command = [sys.executable, "-c", MADE, str(folder), str(number)]
        subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    for _ in range(bench.size.rounds):
        for number, folder in tables.items():
            command = [sys.executable, "-m", "benchmarks.index", "--take", "select", str(folder)]
            said = subprocess.check_output(command, cwd=ROOT, env=environment(), text=True)
            taken = json.loads(said)
            seconds = (taken["open ms"] + taken["ms"]) / 1e3
            bench.figures.add(figures.INDEX, f"{number:,}", seconds)
    for folder in tables.values():
        shutil.rmtree(folder)


WORKS = (days_line, as_of, imports, index)
