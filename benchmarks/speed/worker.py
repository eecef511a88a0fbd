"""The process of one contender: told on its standard input what to do, it answers with seconds.

A line in is JSON with the verb under ``do``; a line out begins with `SIGN` and is JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date as Date
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.speed import samples, stages
from benchmarks.speed.ours import Behemoth
from benchmarks.speed.peers import WAYS
from benchmarks.speed.samples import Days
from benchmarks.speed.way import Way

SIGN = "= "
LONGEST = 300
Answer = dict[str, Any]


class Worker:
    """What a contender can be told to do.

    Parameters
    ----------
    way
        The contender.
    """

    def __init__(self, way: Way) -> None:
        self.way = way
        self.days: Days = []

    def at(self, folder: str, sample: str) -> Answer:
        """Go to other stores and other data."""
        self.way = type(self.way)(Path(folder), Path(sample))
        return {}

    def begin(self) -> Answer:
        """Have the data ready, and the store open for writing."""
        self.days = samples.days_of(samples.load(self.way.sample))
        self.way.begin()
        return {"days": len(self.days)}

    def append(self, first: int, last: int) -> Answer:
        """Write the days of these numbers."""
        gc.collect()
        begun = time.perf_counter()
        self.way.append(self.days[first:last])
        return {"seconds": time.perf_counter() - begun}

    def open(self) -> Answer:
        """Open the store for reading."""
        begun = time.perf_counter()
        self.way.open()
        return {"seconds": time.perf_counter() - begun}

    def select(
        self,
        first: str | None = None,
        last: str | None = None,
        columns: Sequence[str] | None = None,
        as_of: str | None = None,
    ) -> Answer:
        """Read, and touch every value."""
        gc.collect()
        return self._select(first, last, columns, as_of)

    def _select(
        self,
        first: str | None,
        last: str | None,
        columns: Sequence[str] | None = None,
        as_of: str | None = None,
    ) -> Answer:
        low, high = (Date.fromisoformat(day) if day else None for day in (first, last))
        more: dict[str, Any] = {"as_of": datetime.fromisoformat(as_of)} if as_of else {}
        asking = machine.bytes_read()
        before = machine.bytes_read()
        asking = before - asking  # to ask reads some bytes itself
        begun = time.perf_counter()
        found = self.way.select(low, high, columns, **more)
        got = time.perf_counter()
        total = self.way.touch(found)
        ended = time.perf_counter()
        return {
            "seconds": ended - begun,
            "select": got - begun,
            "rows": self.way.rows(found),
            "sum": total,
            "bytes_read": machine.bytes_read() - before - asking,
        }

    def each(self, days: Sequence[str]) -> Answer:
        """Read days one by one; the seconds of one."""
        gc.collect()
        answers = [self._select(day, day) for day in days]
        return {
            "seconds": sum(answer["seconds"] for answer in answers) / len(days),
            "rows": sum(answer["rows"] for answer in answers),
            "sum": sum(answer["sum"] for answer in answers),
        }

    def fresh(self, **wanted: Any) -> Answer:
        """Open, and read for the first time; what that makes of the memory."""
        before, _ = machine.memory()
        opened = self.open()["seconds"]
        answer = self.select(**wanted)
        _, peak = machine.memory()
        more = {"open": opened, "memory_before": before, "memory_peak": peak}
        return {**answer, "first": opened + answer["seconds"], **more}

    def revise(self, versions: int, days: int) -> Answer:
        """Make a history of versions."""
        if not isinstance(self.way, Behemoth):
            raise TypeError(f"{self.way.name} keeps no history")
        self.way.begin()
        return {"as_of": self.way.revise(versions, days).isoformat()}

    def stages(self, times: int) -> Answer:
        """Measure each stage of a select alone."""
        return {"stages": stages.measure(self.way.folder, times)}


def serve(worker: Worker) -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            verb: Callable[..., Answer] = getattr(worker, wanted.pop("do"))
            answer = verb(**wanted)
        except Exception as error:  # noqa: BLE001 - told to the one who started this process
            text = " ".join(f"{type(error).__name__}: {error}".split())
            answer = {"error": text.replace(str(worker.way.folder), "STORE")[:LONGEST]}
        sys.stdout.write(f"{SIGN}{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    name, folder, sample = sys.argv[1:]
    for package in WAYS[name].packages + WAYS[name].modules:
        import_module(package)
    gc.freeze()  # what was imported is not looked through before every measurement
    serve(Worker(WAYS[name](Path(folder), Path(sample))))
