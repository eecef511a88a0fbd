"""The command ``torture``: try a disk before trusting it with ticks."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from behemoth.torture import Progress, Settings
from behemoth.torture import torture as run_torture


def torture(
    db: Annotated[
        Path,
        typer.Option("--db", envvar="BEHEMOTH_DB", help="A folder on the disk to be tried."),
    ] = Path("db"),
    seconds: Annotated[float, typer.Option(help="How long; the comparison comes after.")] = 30.0,
    writers: Annotated[int, typer.Option(help="Processes that write.")] = 4,
    readers: Annotated[int, typer.Option(help="Processes that read and check.")] = 2,
    kills: Annotated[
        int | None,
        typer.Option(help="How often one is killed; by default, once a second."),
    ] = None,
    stops: Annotated[
        int | None,
        typer.Option(help="How often one is halted for a moment; by default, every 3 seconds."),
    ] = None,
    max_mb: Annotated[int, typer.Option(help="End early when it takes more megabytes.")] = 500,
    seed: Annotated[int, typer.Option(help="Of all that is drawn by lot.")] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the table there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ledger as JSON.")] = False,
) -> None:
    """Find out whether a disk keeps what it acknowledged: local, network or cloud.

    Processes write, read and repair a table of their own, in a fresh folder that is removed at the
    end, and are killed at random moments. A ledger holds what was acknowledged against what is
    there. Exit code 0 says that everything held.

    Example: [bold]behemoth torture --db /mnt/share --seconds 60[/bold]
    """
    settings = Settings(
        seconds=seconds,
        writers=writers,
        readers=readers,
        kills=kills,
        stops=stops,
        max_mb=max_mb,
        seed=seed,
    )
    with _ended_by_signals(), _shown(quiet=as_json) as show:
        try:
            ledger = run_torture(db, settings, keep=keep, on_progress=show)
        except KeyboardInterrupt:
            left = "its folder stays" if keep else "its folder is removed"
            typer.echo(f"behemoth: stopped before the end, so nothing is known; {left}", err=True)
            raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(ledger.as_json()))
    else:
        typer.echo(str(ledger))
    for trouble in ledger.troubles:
        typer.echo(f"behemoth: {trouble}", err=True)
    if not ledger.sound:
        raise typer.Exit(1)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end it as Ctrl-C does, so that its folder is removed."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show how far it is: a bar on a terminal, else nothing."""
    console = Console(stderr=True, highlight=False)
    if quiet or not (console.is_terminal and sys.stderr.isatty()):
        yield lambda _: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting")

        def show(progress: Progress) -> None:
            said = f"{progress.acknowledged:,} commits, {progress.kills:,} kills"
            bar.update(
                task,
                total=progress.seconds_total,
                completed=min(progress.seconds, progress.seconds_total),
                description=f"{said}; comparing" if progress.checking else said,
            )

        yield show
