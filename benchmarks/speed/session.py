"""A contender's process from the outside: start it, ask it, end it; and rounds over many."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.speed.figures import US
from benchmarks.speed.worker import SIGN, Answer

ROOT = Path(__file__).parents[2]
LIMIT = 900.0  # seconds for one answer; then the process is killed
LEAST = 3  # rounds that each takes part in, however slow it is


Asks = Mapping[str, Callable[[], Answer]]


def environment() -> dict[str, str]:
    """Give the environment of a process that keeps what it compiled, as processes of users do."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class SessionFailed(Exception):
    """A contender could not do what it was asked."""


class Session:
    """A process of one contender.

    Parameters
    ----------
    name
        Which contender.
    folder, sample
        Where the stores lie, and the file of the data.
    """

    def __init__(self, name: str, folder: Path, sample: Path) -> None:
        self.name = name
        folder.mkdir(parents=True, exist_ok=True)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.worker", name, str(folder), str(sample)],
            cwd=ROOT,
            env={**environment(), "XDG_CACHE_HOME": str(folder / "caches")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, do: str, **wanted: Any) -> Answer:
        """Let it do something, and give its answer."""
        child = self._child
        if not (child.stdin and child.stdout):
            raise SessionFailed(f"{self.name}: it cannot be spoken to")
        watchdog = Timer(LIMIT, child.kill)
        watchdog.start()
        try:
            child.stdin.write(json.dumps({"do": do, **wanted}) + "\n")
            child.stdin.flush()
            for line in child.stdout:
                if line.startswith(SIGN):
                    return self._answer(do, json.loads(line[len(SIGN) :]))
        except BrokenPipeError:
            pass
        finally:
            watchdog.cancel()
        raise SessionFailed(f"{self.name}: it ended with {child.wait()} when asked to {do}")

    def get_ready(self, do: str, **wanted: Any) -> None:
        """Open, and do it before it counts; an image is kept of what is asked for again."""
        self.ask("open")
        for _ in range(3 if self.name == US else 1):
            self.ask(do, **wanted)

    def _answer(self, do: str, answer: Answer) -> Answer:
        if "error" in answer:
            raise SessionFailed(f"{self.name}: {do}: {answer['error']}")
        return answer

    def end(self) -> None:
        """Let the process end."""
        self._child.communicate()


@contextmanager
def sessions(names: Sequence[str], folder: Path, sample: Path) -> Iterator[dict[str, Session]]:
    """Start a process for each contender; end them all."""
    started: dict[str, Session] = {}
    try:
        for name in names:
            started[name] = Session(name, folder, sample)
        yield started
    finally:
        for session in started.values():
            session.end()


def fresh(name: str, folder: Path, sample: Path, **wanted: Any) -> Answer:
    """Read for the first time in a new process; ``total`` has its start and end too."""
    begun = time.perf_counter()
    with sessions([name], folder, sample) as one:
        answer = one[name].ask("fresh", **wanted)
    return {**answer, "total": time.perf_counter() - begun}


def interleave(asks: Asks, rounds: int, budget: float) -> dict[str, list[Answer]]:
    """Ask one after the other, round after round.

    Parameters
    ----------
    asks
        What to ask, by contender.
    rounds
        How many.
    budget
        Seconds; who has used up more sits out from the fourth round on.
    """
    answers: dict[str, list[Answer]] = {name: [] for name in asks}
    used = dict.fromkeys(asks, 0.0)
    for number in range(rounds):
        for name, ask in asks.items():
            if number >= LEAST and used[name] > budget:
                continue
            begun = time.perf_counter()
            answers[name].append(ask())
            used[name] += time.perf_counter() - begun
    return answers
