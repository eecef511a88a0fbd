"""The command ``import``: fill a table from files that are there, and say what became of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from behemoth import layout
from behemoth.cli.ending import stoppable
from behemoth.cli.printable import printable
from behemoth.cli.read import DB, DEFAULT_DB, JSON, table_folder
from behemoth.errors import (
    BadRequest,
    BehemothError,
    Conflict,
    Corrupt,
    EnvironmentFailed,
    NotFound,
)
from behemoth.feeds import (
    BadRow,
    ImportProgress,
    ImportSummary,
    KnownFrom,
    candle_format,
    import_candles,
    parse_columns,
    table_name,
)
from behemoth.feeds.files.importing import check_seconds
from behemoth.feeds.plan import check_known_from
from behemoth.tickstore import LocalTickstore

app = typer.Typer(
    name="import",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

REFUSED = (BadRequest, NotFound, Corrupt, Conflict, EnvironmentFailed)
"""What is wrong with one file; the next one may be better."""


@app.callback()
def group() -> None:
    """Import files that are there already.

    Example: [bold]behemoth import candles 2019.csv.gz --symbol BTC-USD --preset bitfinex[/bold]
    """


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not imported."""

    file: str
    why: str

    def as_json(self) -> dict[str, Any]:
        """Give it as values that JSON knows."""
        return {"file": self.file, "refused": self.why}


@app.command()
def candles(
    files: Annotated[list[Path], typer.Argument(help="CSV, plain or packed, or Parquet.")],
    symbol: Annotated[str, typer.Option(help="What the candles become: BTC-USD for instance.")],
    preset: Annotated[
        str | None, typer.Option(help="How the files look: coinbase, binance or bitfinex.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Or what they call the columns, or their numbers from 1: "
            "time=ts,low=l,high=h,open=o,close=c,volume=v. Further ones are kept too."
        ),
    ] = None,
    time_unit: Annotated[
        str | None,
        typer.Option(help="For --columns, what times are in: s, ms, us or ns since 1970, or iso."),
    ] = None,
    granularity: Annotated[int, typer.Option(help="Seconds of a candle.")] = 60,
    db: DB = DEFAULT_DB,
    table: Annotated[
        str | None, typer.Option(help="The table; by default, named after the granularity.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where they come from, for the log; by default file:NAME.")
    ] = None,
    known_from: Annotated[
        str,
        typer.Option(
            help="Since when candles count as known: now (the commit), day-end (the midnight "
            "after their day), or start (since always)."
        ),
    ] = "now",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out rows that are no candles.")
    ] = False,
    supersede: Annotated[
        bool,
        typer.Option(
            "--supersede", help="Replace days of another source, or that have more candles."
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Import files of candles: each in one commit, all of it or nothing.

    A file that is refused does not keep the others out. A file that was imported already changes
    nothing. Exit code 1 when a file was refused or a row left out.

    Example: [bold]behemoth import candles BTCUSD_2018.csv.gz BTCUSD_2019.csv.gz --symbol BTC-USD
    --preset bitfinex[/bold]
    """
    mapped = None if columns is None else parse_columns(columns)
    candle_format(preset, mapped, time_unit)
    check_seconds(granularity)
    layout.check_name(symbol)
    policy: KnownFrom = check_known_from(known_from)
    path = table_folder(db, table or table_name(granularity))
    outcomes: list[ImportSummary | Refused] = []
    then = "a file that was not done has changed nothing, the same command goes on from there"
    with stoppable(then), LocalTickstore(path) as store:
        for file in files:
            try:
                with shown(file.name, quiet=as_json) as on_progress:
                    outcome: ImportSummary | Refused = import_candles(
                        store,
                        file,
                        symbol,
                        preset=preset,
                        columns=mapped,
                        time_unit=time_unit,
                        granularity=granularity,
                        source=source,
                        known_from=policy,
                        skip_bad=skip_bad,
                        supersede=supersede,
                        on_progress=on_progress,
                    )
            except REFUSED as error:
                outcome = Refused(str(file), _line(error))
            outcomes.append(outcome)
            if isinstance(outcome, Refused):
                typer.echo(f"behemoth: {outcome.why}", err=True)
            elif not as_json:
                _tell(outcome, path)
    if as_json:
        typer.echo(json.dumps({"files": [outcome.as_json() for outcome in outcomes]}))
    if any(isinstance(outcome, Refused) or outcome.bad for outcome in outcomes):
        raise typer.Exit(1)


def _line(error: BehemothError) -> str:
    return printable(" ".join(str(error).split()))


def _tell(summary: ImportSummary, path: Path) -> None:
    lines = [
        printable(
            f"{summary.file}: {summary.symbol}, {summary.first_day} to {summary.last_day}, in "
            f"{path}"
        ),
        f"  candles                 {summary.candles:,}",
        f"  days                    {summary.days:,}",
        f"  days already there      {summary.days_already_there:,}",
        f"  days written            {summary.days_written:,}",
    ]
    further = {
        "days superseded": summary.days_superseded,
        "duplicates dropped": summary.duplicates,
        "rows out of order": summary.reordered,
        "odd candles, kept": summary.odd,
        "bad rows, left out": summary.bad,
    }
    lines += [f"  {name:<23} {count:,}" for name, count in further.items() if count]
    if not summary.days_written:
        lines.append("  it was imported already; nothing was changed")
    typer.echo("\n".join(lines))
    _tell_bad(summary.file, summary.bad_rows, summary.bad)


def _tell_bad(file: str, rows: tuple[BadRow, ...], count: int) -> None:
    """List the first bad rows on stderr, a line for each."""
    for row in rows:
        typer.echo(printable(f"behemoth: {file}: left out: {row}"), err=True)
    if count > len(rows):
        typer.echo(printable(f"behemoth: {file}: and {count - len(rows):,} more"), err=True)


@contextmanager
def shown(
    name: str, *, quiet: bool, console: Console | None = None
) -> Iterator[Callable[[ImportProgress], None]]:
    """Show how far a file is with a bar of its bytes, on stderr if that is a terminal."""
    console = console or Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn())
    count = TextColumn("{task.fields[count]}")
    with Bar(*columns, count, TimeRemainingColumn(), console=console, transient=True) as bar:
        size = DownloadColumn()
        task = bar.add_task(printable(name), total=None, count="")

        def show(now: ImportProgress) -> None:
            if now.step == "reading":
                bar.update(task, completed=now.done, total=now.total)
                bar.update(task, count=size.render(bar.tasks[0]).plain)
                return
            bar.update(task, completed=now.done, total=now.total)
            bar.update(task, count=f"{now.done:,} of {now.total:,} days")

        yield show
