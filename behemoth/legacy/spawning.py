"""The process that opens old files, as the importer sees it: started, asked, checked, ended.

Nothing that it says is trusted: messages are bounded and checked, ticks are decoded through our own
codec and held against their digest. Which files to ask for does not live here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from behemoth import codec
from behemoth.bitemporal import FIRST_DATE, LAST_DATE, LATEST_AS_OF, START_AS_OF
from behemoth.codec import Ticks
from behemoth.errors import Corrupt, EnvironmentFailed
from behemoth.legacy import protocol
from behemoth.legacy.history import Row
from behemoth.legacy.protocol import printable

PATIENCE = 600.0
"""Seconds that one file may take."""

GRACE = 5.0
"""Seconds that the process may take to end after its last word."""

AHEAD = 4
"""Files that are asked for before the first of them is answered."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to read.

    Attributes
    ----------
    row
        What the old index says of it.
    place
        Where it is.
    time_name
        The name of the time index; ``None`` takes the file's own.
    """

    row: Row
    place: Path
    time_name: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file cannot be read, or not be kept exactly; one line."""

    why: str


class Reading:
    """A process that opens the files of an old database; a context manager.

    Parameters
    ----------
    database
        The old database's folder.
    patience
        Seconds that one file may take.

    Attributes
    ----------
    pid
        The number of the process.
    """

    def __init__(self, database: Path, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._at = database / "index.h5"
        self._hung = False
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # It imports from where this process does; with -P, not from the folder it is started in.
        paths = [str(Path(path).absolute()) for path in sys.path]
        command = [sys.executable, "-P", "-W", "ignore", "-m", "behemoth.legacy.reading"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [*command, str(database.absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._noise,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
        except OSError as error:
            self._noise.close()
            raise EnvironmentFailed(f"no process to open old files can start: {error}") from error
        self.pid = self._process.pid
        self._requests = cast("BinaryIO", self._process.stdin)
        self._answers = cast("BinaryIO", self._process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # a request that nobody read any more
            self._requests.close()
        self._answers.close()
        self._noise.close()

    def rows(self) -> tuple[list[Row], list[str]]:
        """Give the rows of the index, and a line for each that makes no sense. To be called first.

        Raises
        ------
        Corrupt
            When the index cannot be read.
        """
        rows: list[Row] = []
        odd: list[str] = []
        while True:
            header, _ = self._receive(PATIENCE)
            match header:
                case {"kind": "rows", "rows": list(listed)}:
                    for values in listed:
                        try:
                            rows.append(row_of(*values))
                        except (ValueError, TypeError) as error:
                            odd.append(printable(f"row {values!s:.80}: {error}"))
                case {"kind": "index", "odd": list(more)}:
                    return rows, [*odd, *(printable(str(line)) for line in more)]
                case {"kind": "unreadable", "why": str(why)}:
                    raise Corrupt(f"{self._at} is no index of an old database: {printable(why)}")
                case _:
                    raise self._nonsense()

    def read(self, wanted: Iterable[Wanted]) -> Iterator[Ticks | Unreadable]:
        """Read files, in this order.

        Raises
        ------
        Corrupt
            When the process ends, hangs or answers nonsense; names the file it was at.
        """
        waiting: deque[Wanted] = deque()
        coming = iter(wanted)
        while True:
            while len(waiting) < AHEAD and (ahead := next(coming, None)) is not None:
                self._ask(ahead)
                waiting.append(ahead)
            if not waiting:
                return
            yield self._take(waiting.popleft())

    def _ask(self, wanted: Wanted) -> None:
        request = {
            "path": str(wanted.place.absolute()),
            "symbol": wanted.row.symbol,
            "date": wanted.row.date.isoformat(),
            "time_name": wanted.time_name,
        }
        with suppress(BrokenPipeError):  # it has ended; its answers say where
            protocol.send(self._requests, request)

    def _take(self, wanted: Wanted) -> Ticks | Unreadable:
        self._at = wanted.place
        header, body = self._receive(self._patience)
        match header:
            case {"kind": "bad", "why": str(why)}:
                return Unreadable(printable(why))
            case {"kind": "splay", "rows": int(rows), "digest": str(digest)}:
                row = wanted.row
                promise = codec.Promise(row.symbol, row.date, rows, len(body), digest)
                ticks = codec.read_splay(body, promise, f"what was read of {wanted.place}")
                if ticks.digest() != digest:
                    raise self._nonsense()
                return ticks
        raise self._nonsense()

    def _receive(self, patience: float) -> tuple[dict[str, Any], bytes]:
        """Wait for a message, but not for ever."""
        watch = threading.Timer(patience, self._give_up)
        watch.daemon = True  # an interrupt while it starts must not leave it to wait for
        try:
            watch.start()
            message = protocol.receive(self._answers)
        except EOFError as error:
            raise self._ended() from error
        except ValueError as error:
            raise self._nonsense() from error
        finally:
            watch.cancel()
        if message is None:
            raise self._ended()
        return message

    def _give_up(self) -> None:
        self._hung = True
        self._process.kill()

    def _ended(self) -> Corrupt:
        try:
            code = self._process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:  # it says nothing any more, but goes on
            self._process.kill()
            code = self._process.wait()
        if self._hung:
            return Corrupt(
                f"{self._at}: opening it took longer than {self._patience:g} seconds, given up; "
                "move the file away, or restore it"
            )
        try:
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        except ValueError:
            how = f"by signal {-code}"
        self._noise.seek(0)
        said = self._noise.read()[-10_000:].decode(errors="replace").split("\n")
        last = next((f": {printable(line)}" for line in reversed(said) if line.strip()), "")
        return Corrupt(
            f"{self._at}: opening it ended the process that reads old files, {how}{last}; move the "
            "file away, or restore it"
        )

    def _nonsense(self) -> Corrupt:
        return Corrupt(
            f"{self._at}: the process that reads old files answered nonsense there; do not trust "
            "this file"
        )


def row_of(*values: Any) -> Row:
    """Check a row of the index as the process tells it; raise `ValueError` or `TypeError`."""
    symbol, date, version, start, end, path = values
    if not (isinstance(symbol, str) and isinstance(path, str) and isinstance(version, int)):
        raise TypeError("a row is symbol, date, version, start, end and path")
    return Row(
        symbol=symbol,
        date=Date.fromisoformat(date),
        version=version,
        start=START_AS_OF if start is None else _time(start),
        end=LATEST_AS_OF if end is None else _time(end),
        path=path,
    )


def _time(text: str) -> datetime:
    """Read a knowledge time; what lies beyond the years of nanoseconds stands for an open end."""
    time = datetime.fromisoformat(text)
    if time.utcoffset() != timedelta(0):
        raise ValueError(f"{text} is not UTC")
    if time.date() < FIRST_DATE:
        return START_AS_OF
    return LATEST_AS_OF if time.date() > LAST_DATE else time
