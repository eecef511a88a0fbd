"""How a download looks while it runs: a bar on a terminal, else plain lines; all on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from behemoth.cli.printable import printable

if TYPE_CHECKING:  # the exchange client takes long to import, and most commands need none
    from behemoth.feeds import Progress

LINE_EVERY = 10.0
"""Seconds between two plain lines, at least."""


class Display(Protocol):
    """Something that shows how far a download is."""

    def progress(self, progress: Progress) -> None:
        """Show how far it is."""

    def note(self, line: str) -> None:
        """Show a line that a person should see."""


@contextmanager
def shown(
    *, quiet: bool, silent: bool = False, console: Console | None = None
) -> Iterator[Display]:
    """Show a download on stderr: a bar on a terminal, else lines; notes only, or nothing."""
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    if silent:
        yield Silent()
    elif quiet:
        yield Quiet(console)
    elif console.is_terminal:
        with Bars(console) as bars:
            yield bars
    else:
        yield Lines(console)


@contextmanager
def counted(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show how many of how many are done, on stderr if that is a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _done, _total: None
        return
    columns = SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn()
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Silent:
    """Shows nothing."""

    def progress(self, progress: Progress) -> None:
        """Show nothing."""

    def note(self, line: str) -> None:
        """Show nothing."""


class Quiet:
    """Shows nothing but notes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def progress(self, progress: Progress) -> None:
        """Show nothing."""

    def note(self, line: str) -> None:
        """Print a line."""
        self._console.print(printable(line), markup=False, highlight=False)


class Seldom:
    """Tells when another plain line is due.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock() + LINE_EVERY

    def due(self, *, at_once: bool = False) -> bool:
        """Say whether the last line was long ago; the next one is due after this one."""
        if not at_once and self._clock() < self._next:
            return False
        self._next = self._clock() + LINE_EVERY
        return True


class Lines(Quiet):
    """Prints a line now and then, for log files and pipes.

    Parameters
    ----------
    console
        Where to print.
    clock
        Monotonic seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console)
        self._seldom = Seldom(clock)

    def progress(self, progress: Progress) -> None:
        """Print a line if the last one was long ago, or if this is the end."""
        done = progress.days == progress.days_total > 0
        if progress.date is None or not self._seldom.due(at_once=done):
            return
        self.note(
            f"{progress.product} {progress.date}: "
            f"{progress.days:,} of {progress.days_total:,} days, "
            f"{progress.windows:,} of {progress.windows_total:,} requests, "
            f"{progress.candles:,} candles"
        )


class Bars:
    """Draws a bar with rate and time left."""

    def __init__(self, console: Console) -> None:
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("requests"),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("asking", total=None)

    def __enter__(self) -> Self:
        try:
            self._bar.start()
        except BaseException:  # Ctrl-C, while it is drawn for the first time
            self._bar.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def progress(self, progress: Progress) -> None:
        """Move the bar."""
        day = "" if progress.date is None else f"{progress.product} {progress.date}  "
        self._bar.update(
            self._task,
            total=progress.windows_total,
            completed=progress.windows,
            description=f"{day}{progress.days:,} of {progress.days_total:,} days",
        )

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(printable(line), markup=False, highlight=False)


class _Rate(ProgressColumn):
    """Requests a second."""

    def render(self, task: Task) -> Text:
        """Show the speed so far."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")
