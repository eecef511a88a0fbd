"""Two experiments, the same for each contender: writers at the same time, and `kill -9`.

Every writer and every reader is a process of its own (`benchmarks.worker`); the ledger is what the
writers said against what a fresh reader finds. Only processes started here are killed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer

from benchmarks import ledger, machine
from benchmarks.contenders import CONTENDERS, MOST_NUMBERS, ROWS, Found, Pair
from benchmarks.ledger import Kill, Race, Setting

ROOT = Path(__file__).parents[1]
GRACE = 60.0  # seconds that a process has to start, to read, or to end after its time
PATIENCE = 10.0  # seconds for a kill and what belongs to it, on average
MOST_BEFORE_KILL = 12


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    workers: int
    commits: int
    kills: int
    seconds: float  # for each experiment of each contender


SIZES = {
    "tiny": Size(2, 3, 1, 30.0),
    "small": Size(4, 25, 5, 60.0),
    "full": Size(8, 100, 40, 120.0),
}


class Said:
    """What the writers said: commits acknowledged, errors by kind."""

    def __init__(self) -> None:
        self.acknowledged: set[Pair] = set()
        self.kinds: Counter[str] = Counter()

    def hear(self, worker: int, line: str) -> bool:
        """Note a line; true if it acknowledges a commit."""
        word, _, rest = line.strip().partition(" ")
        if word == "ok":
            self.acknowledged.add((worker, int(rest)))
        elif word == "error":
            self.kinds[rest.partition(" ")[2]] += 1
        elif word == "failed":
            self.kinds[rest] += 1
        return word == "ok"


@contextmanager
def process(
    verb: str, contender: str, place: Path, *numbers: float, limit: float = GRACE
) -> Iterator[subprocess.Popen[str]]:
    """Run a process of `benchmarks.worker`; it is killed when its time is over, or left."""
    words = [verb, contender, str(place), *map(str, numbers)]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        watchdog = Timer(limit, child.kill)
        watchdog.start()
        try:
            yield child
        finally:
            watchdog.cancel()
            child.kill()


def lines(child: subprocess.Popen[str]) -> Iterable[str]:
    """Give the lines that a process says, as they come, until it ends."""
    return child.stdout or ()


def go(writer: subprocess.Popen[str]) -> None:
    """Let a writer that is ready begin."""
    if writer.stdin:
        with suppress(BrokenPipeError):  # it is gone already; its exit code tells
            os.write(writer.stdin.fileno(), b"go\n")


def until_ready(writer: subprocess.Popen[str], worker: int, said: Said) -> None:
    """Wait until a writer has opened the store, or has ended."""
    for line in lines(writer):
        if line == "ready\n":
            return
        said.hear(worker, line)


def make(contender: str, place: Path) -> None:
    """Make the empty store, in a process of its own."""
    with process("make", contender, place) as maker:
        text = "".join(lines(maker))
    if maker.returncode:
        raise RuntimeError(f"{contender}: no store could be made: {text.strip()}")


def read(contender: str, place: Path) -> Found | str:
    """Read the store in a fresh process; a text says why that did not work."""
    with process("read", contender, place) as reader:
        text = "".join(lines(reader))
        reader.wait()
    last = (text.strip().splitlines() or ["it said nothing"])[-1]
    if reader.returncode:
        return f"the reader ended with {reader.returncode}: {last.removeprefix('failed ')}"
    found = json.loads(last)
    rows = {(worker, number): count for worker, number, count in found["rows"]}
    return Found(rows, found["unreadable"])


def race(contender: str, place: Path, size: Size) -> Race:
    """Let writers commit at the same time into one store, and count."""
    make(contender, place)
    said = Said()
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                process(
                    "write",
                    contender,
                    place,
                    worker,
                    size.commits,
                    size.seconds,
                    limit=size.seconds + 2 * GRACE,
                )
            )
            for worker in range(size.workers)
        ]
        for worker, writer in enumerate(writers):
            until_ready(writer, worker, said)
        begun = time.monotonic()
        for writer in writers:
            go(writer)
        for worker, writer in enumerate(writers):
            for line in lines(writer):
                said.hear(worker, line)
            if writer.wait() < 0:
                said.kinds[f"a writer ended by signal {-writer.returncode}"] += 1
        seconds = time.monotonic() - begun
    found = read(contender, place)
    asked, done = size.workers * size.commits, len(said.acknowledged)
    errors = said.kinds.total()
    counts: dict[str, int | None] = dict.fromkeys(ledger.Balance._fields)
    if isinstance(found, Found):
        counts.update(ledger.balance(said.acknowledged, found.rows)._asdict())
    else:
        said.kinds[found] += 1
    return Race(
        contender=contender,
        asked=asked,
        acknowledged=done,
        **counts,
        errors=errors,
        untried=max(asked - done - errors, 0),
        seconds=seconds,
        kinds=dict(said.kinds),
    )


def kill(contender: str, place: Path, size: Size, chance: random.Random) -> Kill:
    """Kill a writer again and again on one store; after each kill, read it in a fresh process."""
    make(contender, place)
    said, missing, troubles = Said(), set[Pair](), Counter[str]()
    last, unopened, rounds = Found(), 0, 0
    begun = time.monotonic()
    while rounds < size.kills and time.monotonic() - begun < size.kills * PATIENCE:
        with process("write", contender, place, rounds, MOST_NUMBERS, GRACE) as writer:
            write_for_a_while(writer, rounds, said, chance)
            writer.kill()
            for line in lines(writer):
                said.hear(rounds, line)
        rounds += 1
        found = read(contender, place)
        if isinstance(found, Found):
            last = found
            missing |= {pair for pair in said.acknowledged if found.rows.get(pair, 0) < ROWS}
        else:
            unopened += 1
            troubles[found] += 1
    troubles.update(text.partition(": ")[2] for text in last.unreadable)
    balance = ledger.balance(said.acknowledged, last.rows)
    return Kill(
        contender=contender,
        kills=rounds,
        acknowledged=len(said.acknowledged),
        unopened=unopened,
        unreadable=len(last.unreadable),
        lost=len(missing),
        doubled=balance.doubled,
        torn=balance.torn,
        errors=said.kinds.total(),
        seconds=time.monotonic() - begun,
        kinds=dict(said.kinds + troubles),
    )


def write_for_a_while(
    writer: subprocess.Popen[str], worker: int, said: Said, chance: random.Random
) -> None:
    """Let a writer acknowledge some commits, and wait for a moment within the next two."""
    until_ready(writer, worker, said)
    go(writer)
    wanted = chance.randint(2, MOST_BEFORE_KILL)
    before = now = time.monotonic()
    for line in lines(writer):
        if said.hear(worker, line):
            wanted, before, now = wanted - 1, now, time.monotonic()
        if not wanted:
            break
    time.sleep(chance.uniform(0, 2 * (now - before)))


def setting(name: str, size: Size, contenders: Sequence[str], folder: Path) -> Setting:
    """Say when, where and on which packages."""
    used = [package for contender in contenders for package in CONTENDERS[contender].packages]
    return Setting(
        f"{datetime.now(UTC):%Y-%m-%d}",
        name,
        platform.python_version(),
        f"{platform.system()} {platform.machine()}",
        os.cpu_count() or 1,
        machine.file_system(folder),
        machine.versions(["behemoth", *used]),
        size.workers,
        size.commits,
        size.kills,
        size.seconds,
    )


def measure(
    contenders: Sequence[str], size: Size, folder: Path, seed: int = 0
) -> tuple[list[Race], list[Kill]]:
    """Run both experiments for each contender, and tell how it goes."""
    races, kills = [], []
    for name in contenders:
        if "race" in CONTENDERS[name].experiments:
            races.append(race(name, folder / f"{name}-race", size))
            tell(races[-1])
        if "kill" in CONTENDERS[name].experiments:
            chance = random.Random(seed)  # noqa: S311 - a moment that comes again, not a secret
            kills.append(kill(name, folder / f"{name}-kill", size, chance))
            tell(kills[-1])
        for place in folder.iterdir():
            shutil.rmtree(place)
    return races, kills


def tell(line: Race | Kill) -> None:
    """Say what came out, while the rest goes on."""
    print(json.dumps({type(line).__name__.lower(): asdict(line)}), file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the ledger."""
    parser = argparse.ArgumentParser(prog="scripts/peers", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="may be repeated")
    parser.add_argument("--output", type=Path, help="write everything as JSON to this file")
    parser.add_argument("--into", type=Path, help="a page with the ledger's two markers")
    given = parser.parse_args(arguments)
    size, wanted = SIZES[given.size], given.only or list(CONTENDERS)
    if given.into:
        ledger.into(given.into.read_text(encoding="utf-8"), "")  # before it takes minutes
    for name in (
        missing := [name for name in wanted if not machine.installed(CONTENDERS[name].packages)]
    ):
        print(f"{name}: not installed, left out; scripts/peers installs it", file=sys.stderr)
    contenders = [name for name in wanted if name not in missing]
    with tempfile.TemporaryDirectory(prefix="behemoth-peers-") as folder:
        about = setting(given.size, size, contenders, Path(folder))
        races, kills = measure(contenders, size, Path(folder))
    shown = ledger.page(about, races, kills)
    if given.output:
        measured = {"race": list(map(asdict, races)), "kill": list(map(asdict, kills))}
        everything = json.dumps({"setting": asdict(about), **measured}, indent=1)
        given.output.write_text(everything + "\n", encoding="utf-8")
    if given.into:
        text = given.into.read_text(encoding="utf-8")
        given.into.write_text(ledger.into(text, shown), encoding="utf-8")
    if not (given.output or given.into):
        print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
