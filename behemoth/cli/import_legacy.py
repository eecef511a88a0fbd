"""The command ``import-legacy``: turn a database of the 2019 code into a table."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bar

from behemoth.cli.printable import printable
from behemoth.cli.progress import LINE_EVERY
from behemoth.cli.read import DB, DEFAULT_DB, JSON, table_folder
from behemoth.errors import BadRequest, CommitUnknown, EnvironmentFailed
from behemoth.legacy import Progress, Summary, import_database

WARNING = (
    "opening the files of a 2019 database can run code that is hidden in them, with your rights; "
    "import only a database that you trust"
)
SHOWN = 10
"""How many bad files are listed for people; ``--json`` lists all."""


def import_legacy(
    old: Annotated[Path, typer.Argument(help="The 2019 database: the folder with index.h5.")],
    table: Annotated[str, typer.Option("--table", help="The new table.")],
    db: DB = DEFAULT_DB,
    timestamp_column: Annotated[
        str | None,
        typer.Option(
            help="The time index, or the column that becomes it; by default, the index's name."
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out files that cannot be kept exactly.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="The old files are trusted; do not ask.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Import a database of the 2019 code: every version and delete, known since it was.

    Every file is checked before the first is committed, and everything is verified in the end. An
    import that was stopped goes on where it was: give the same command again. Exit code 1 when
    something was left out.

    Example: [bold]behemoth import-legacy old-db --db db --table MINUTES[/bold]
    """
    path = table_folder(db, table)
    typer.echo(f"behemoth: warning: {WARNING}", err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise BadRequest("nobody is there to confirm that; nothing was opened, see --yes")
        _ask(old)
    with _shown(quiet=as_json) as on_progress:
        summary = _run(
            lambda: import_database(
                old,
                path,
                timestamp_column=timestamp_column,
                skip_bad=skip_bad,
                on_progress=on_progress,
            )
        )
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    elif summary.committed:
        _tell(summary, db, table)
    _tell_bad(summary)
    if summary.bad:
        raise typer.Exit(1)


def _ask(old: Path) -> None:
    """Let a person say that the old files are trusted; else it ends here."""
    try:
        if typer.confirm(f"Open the files of {old}?", err=True):
            return
    except (typer.Abort, KeyboardInterrupt):
        typer.echo(err=True)  # ends the line of the question
    typer.echo("behemoth: stopped; nothing was opened", err=True)
    raise typer.Exit(1)


def _run(work: Callable[[], Summary]) -> Summary:
    """Do the work; where it ends early and going on helps, say so."""
    on = "what was committed stays, the same command goes on from there"
    try:
        return work()
    except KeyboardInterrupt:
        typer.echo(f"behemoth: stopped; {on}", err=True)
    except EnvironmentFailed as error:
        typer.echo(f"behemoth: {error}; {on}", err=True)
    except CommitUnknown:
        typer.echo(f"behemoth: the disk failed, the last commit may or may not be; {on}", err=True)
    raise typer.Exit(1)


def _tell(summary: Summary, db: Path, table: str) -> None:
    lines = [
        printable(f"{summary.database}, as the table {table} in {db}"),
        f"  symbols                 {summary.symbols:,}",
        f"  dates                   {summary.dates:,}",
        f"  versions                {summary.versions:,}",
        f"  versions written        {summary.inserts:,}",
        f"  deletes written         {summary.deletes:,}",
        f"  already there           {summary.already_there:,}",
        f"  ticks                   {summary.ticks:,}",
        f"  versions verified       {summary.verified:,}",
    ]
    if summary.bad:
        lines.append(f"  files left out          {len(summary.bad):,}")
    typer.echo("\n".join(lines))


def _tell_bad(summary: Summary) -> None:
    """List the bad files on stderr, a line for each."""
    for bad in summary.bad[:SHOWN]:
        typer.echo(f"behemoth: {bad}", err=True)
    if len(summary.bad) > SHOWN:
        typer.echo(f"behemoth: and {len(summary.bad) - SHOWN:,} more; --json lists all", err=True)
    if not summary.committed:
        typer.echo(
            f"behemoth: {len(summary.bad):,} of {summary.versions:,} files cannot be imported, "
            "nothing was committed; restore them, or leave them out with --skip-bad",
            err=True,
        )


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show an import on stderr: nothing if `quiet`, else a bar on a terminal, or lines."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if quiet:
        yield lambda _: None
    elif console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
        with Bar(*columns, MofNCompleteColumn(), console=console) as bar:
            task = bar.add_task("reading the index", total=None)
            yield lambda now: bar.update(
                task, description=now.step, completed=now.done, total=now.total
            )
    else:
        yield _Lines(console).progress


class _Lines:
    """Prints a line now and then, and one at the end of each step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = time.monotonic() + LINE_EVERY

    def progress(self, now: Progress) -> None:
        if now.done == now.total or time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY
            self._console.print(f"{now.step}: {now.done:,} of {now.total:,}", markup=False)
