"""One process of an experiment: `write` commits day after day, `read` says what is there.

A writer says `ready`, waits for a line, and then says after each commit `ok NUMBER` or
`error NUMBER TEXT`; `late` when the time is over. A reader's last line is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Contender

LONGEST = 200


def write(contender: Contender, worker: int, commits: int, seconds: float) -> None:
    """Commit so many days, or as many as there is time for."""
    contender.open()
    say("ready")
    sys.stdin.readline()
    end = time.monotonic() + seconds
    for number in range(commits):
        if time.monotonic() > end:
            say("late")
            return
        try:
            contender.append(worker, number)
        except Exception as error:  # noqa: BLE001 - whatever a store raises is counted
            say(f"error {number} {in_short(error, contender.folder)}")
        else:
            say(f"ok {number}")


def read(contender: Contender) -> None:
    """Say what is there."""
    found = contender.present()
    rows = [(*pair, count) for pair, count in found.rows.items()]
    say(json.dumps({"rows": rows, "unreadable": found.unreadable}))


def in_short(error: Exception, folder: Path) -> str:
    """Give an error in one line, without the place where the store happens to lie."""
    text = f"{type(error).__name__}: {error}".replace(str(folder), "STORE")
    return " ".join(text.split())[:LONGEST]


def say(line: str) -> None:
    """Print a line for the one who started this process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    verb, name, place, *numbers = sys.argv[1:]
    chosen = CONTENDERS[name](Path(place))
    try:
        if verb == "make":
            chosen.make()
        elif verb == "read":
            read(chosen)
        else:
            write(chosen, int(numbers[0]), int(numbers[1]), float(numbers[2]))
    except Exception as error:  # noqa: BLE001 - told to the one who started this process
        say(f"failed {in_short(error, chosen.folder)}")
        sys.exit(1)
