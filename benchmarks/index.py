"""What the length of the history costs: ``python -m benchmarks.index 1000 100000 1000000``.

Makes a table of each number of revisions, of up to 3,000 symbols: a commit for every day, and
between them commits of corrections, most of them of a tenth of the symbols and a hundredth of them
of a single one. Its log is real, and so is its index; of the splays only those of the days that
are selected. Then each figure is taken in new processes, the tables in turns.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from behemoth import BiTimestamp, LocalTickstore, layout
from behemoth import log as ledger
from behemoth.bitemporal import LATEST_AS_OF, Observation, Revision
from behemoth.log import Commit, Tip
from behemoth.stores import LocalStore
from behemoth.tickstore import checkpoints
from behemoth.tickstore.state import State
from behemoth.tickstore.verifying import verify_index

SYMBOLS = 3000
FIRST_DAY = date(2010, 1, 1)
START = datetime(2010, 1, 2, tzinfo=UTC)
CORRECTIONS = 4
"""Every fourth commit changes days that are there."""

BATCH = 2_500_000
"""Revisions between two checkpoints while a table is made."""

COMMITS = 200
SELECTED = date(2009, 12, 31)
DAY_NS = 86_400 * 10**9

Place = tuple[int, int]
"""Number of a symbol and of a day."""


def name(symbol: int) -> str:
    """Name a symbol."""
    return f"SYM-{symbol:04d}"


def splay_ticks(day: date) -> pd.DataFrame:
    """Make the ticks of a real day."""
    times = pd.date_range(str(day), periods=1440, freq="min", tz="UTC", name="time")
    return pd.DataFrame({"price": np.arange(1440.0)}, index=times)


def observation(number: int) -> Observation:
    """Make an observation."""
    moment = START + timedelta(minutes=number)
    return Observation(name(0), "benchmark", "bars", moment, moment, moment, "complete", number)


def places(revisions: int, symbols: int, rng: random.Random) -> Iterator[list[Place]]:
    """Say commit by commit which days of which symbols change."""
    day = 0
    for number in range(1, sys.maxsize):
        if number % CORRECTIONS or not day:
            found = [(symbol, day) for symbol in range(symbols)]
            day += 1
        else:
            hot = max(1, symbols // 10)
            found = []
            for place in range(symbols):
                among = 1 if place % 33 == 0 else hot if place % 10 else symbols
                found.append((rng.randrange(among), rng.randrange(day)))
            found = list(dict.fromkeys(found))
        yield found[:revisions]
        revisions -= len(found)
        if revisions <= 0:
            return


class Hasty(LocalStore):
    """A disk that nobody waits for; what is lost in a crash is made again."""

    def put(self, key: str, data: bytes) -> None:
        path = Path(self.where(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)


def make(folder: Path, revisions: int) -> None:
    """Make a table of about so many revisions."""
    store, rng = Hasty(folder), random.Random(revisions)  # noqa: S311 - the same each time
    state, tip, waiting = State(store), Tip(), 0
    state.refresh()
    newest: dict[Place, int] = {}
    symbols = min(SYMBOLS, max(10, revisions // 100))
    gc.disable()  # nothing here is a cycle, and there will be millions of objects
    for found in places(revisions, symbols, rng):
        moment = START + timedelta(minutes=tip.number)
        changed = [change(newest.get(at, -1), at, tip.number + 1, moment, rng) for at in found]
        newest.update((at, each.version) for at, each in zip(found, changed, strict=True))
        commit = Commit(
            number=tip.number + 1,
            commit_id=f"{tip.number + 1}-{rng.getrandbits(128):032x}",
            time=moment,
            previous=tip.digest,
            message="",
            source="benchmark",
            who="benchmark",
            tool="benchmark",
            revisions=tuple(changed),
        )
        data = ledger.encode(commit)
        tip = Tip(commit.number, data.split(b"\n")[1].decode(), moment)
        store.put(layout.log_key(commit.number), data)
        state.advance(commit, tip)
        waiting += len(changed)
        if waiting >= BATCH:
            state.checkpoint()
            waiting = 0
    gc.enable()
    state.checkpoint()
    with LocalTickstore(folder) as tickstore:
        tickstore.insert(name(1), BiTimestamp(SELECTED), splay_ticks(SELECTED))
        tickstore.flush()


def change(before: int, at: Place, commit: int, moment: datetime, rng: random.Random) -> Revision:
    """Make the next revision of a day; each version 99 is a delete."""
    symbol, day = at
    version = before + 1
    when = FIRST_DAY + timedelta(days=day)
    if version % 100 == 99:
        return Revision(name(symbol), when, version, "delete", moment, LATEST_AS_OF, commit, moment)
    first = (day + (FIRST_DAY - date(1970, 1, 1)).days) * DAY_NS
    return Revision(
        symbol=name(symbol),
        date=when,
        version=version,
        kind="insert",
        start_time=moment,
        end_time=LATEST_AS_OF,
        commit=commit,
        commit_time=moment,
        splay=version,
        rows=1440,
        first=first,
        last=first + DAY_NS - 60 * 10**9,
        size=rng.randrange(20_000, 30_000),
        digest=f"{rng.getrandbits(256):064x}",
    )


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """Run; give milliseconds, of the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return {
        "ms": 1e3 * (time.perf_counter() - clock),
        "cpu": 1e3 * (time.process_time() - processor),
    }


def peak() -> float:
    """Give the most memory that this process has had, in MiB."""
    status = Path("/proc/self/status")
    if not status.exists():  # what getrusage says counts the process that started this one
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def take(what: str, folder: Path) -> dict[str, float]:
    """Take one figure, in this process."""
    if what == "commits":
        return commits(folder)
    before = peak()
    began = time.perf_counter()
    tickstore = LocalTickstore(folder, mode="r")
    opened = 1e3 * (time.perf_counter() - began)
    works: dict[str, Callable[[], Any]] = {
        "select": lambda: tickstore.select(name(1), SELECTED, SELECTED),
        "versions": lambda: tickstore.versions(name(2)),
        "versions of the busiest": lambda: tickstore.versions(name(0)),
        "symbols": tickstore.symbols,
    }
    found = timed(works[what])
    return {"open ms": opened, **found, "MiB": peak() - before}


def commits(folder: Path) -> dict[str, float]:
    """Commit a day of a symbol, of others at first, then of those met before; then flush."""
    rng = random.Random(time.time_ns())  # noqa: S311 - anything
    ticks = splay_ticks(SELECTED)
    symbols = len(checkpoints.entry(LocalStore(folder), 1)[1].revisions)

    def insert(symbol: int) -> dict[str, float]:
        at = BiTimestamp(FIRST_DAY + timedelta(days=rng.randrange(5000)))
        return timed(partial(tickstore.insert, name(symbol), at, ticks))

    before = peak()
    with LocalTickstore(folder) as tickstore:
        tickstore.insert(name(1), BiTimestamp(SELECTED), ticks)
        met = [rng.randrange(symbols) for _ in range(COMMITS)]
        first = [insert(symbol) for symbol in met]
        again = [insert(symbol) for symbol in met]
        flush = timed(tickstore.flush)
    found = {"flush": flush["ms"], "flush cpu": flush["cpu"], "MiB": peak() - before}
    for what, taken in (("first", first), ("again", again)):
        for unit in ("ms", "cpu"):
            values = [each[unit] for each in taken]
            found[f"{what} {unit}"] = statistics.median(values)
            found[f"{what} mean {unit}"] = statistics.mean(values)
            found[f"{what} worst {unit}"] = max(values)
    return found


def size_of_index(folder: Path) -> dict[str, float]:
    """Count the files of the index, and their bytes."""
    files = [path for path in (folder / "index").rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    root = max(path.stat().st_size for path in (folder / "index").glob("*.json"))
    return {"files": len(files), "MiB": total / 2**20, "root KiB": root / 2**10}


WHATS = ("select", "versions", "versions of the busiest", "symbols", "commits")


def measure(folders: Sequence[Path], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Take every figure of every table, in turns; give the medians."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for what in WHATS:
        taken: dict[str, list[dict[str, float]]] = {folder.name: [] for folder in folders}
        for _ in range(1 if what == "commits" else rounds):
            for folder in folders:
                command = [sys.executable, "-m", "benchmarks.index", "--take", what, str(folder)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                taken[folder.name].append(json.loads(done.stdout))
        found[what] = {
            table: {key: round(statistics.median(one[key] for one in all_), 2) for key in all_[0]}
            for table, all_ in taken.items()
        }
        print(what, json.dumps(found[what]), flush=True)
    return found


def main() -> None:
    """Make the tables that are not there, check them, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revisions", nargs="*")
    parser.add_argument("--folder", type=Path, help="where the tables are, and stay")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="hold each index against its log")
    parser.add_argument("--take", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.take:
        print(json.dumps(take(asked.take, Path(asked.revisions[0]))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        tables = [folder / f"{int(number)}" for number in asked.revisions]
        for table in tables:
            if not table.exists():
                print(f"made {table.name} in {timed(partial(make, table, int(table.name)))}")
            if asked.check:
                findings = verify_index(LocalStore(table)).findings
                print(f"{table.name}: {len(findings)} findings", *findings[:3], flush=True)
            print(table.name, size_of_index(table), flush=True)
        measure(tables, asked.rounds)


if __name__ == "__main__":
    main()
