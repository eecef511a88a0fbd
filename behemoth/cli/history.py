"""Commands that show how a table came to be: ``versions``, ``log``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pandas as pd
import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from behemoth.bitemporal import BiTimestamp
from behemoth.cli.printable import printable
from behemoth.cli.read import DB, DEFAULT_DB, DEFAULT_TABLE, JSON, TABLE, open_table, records
from behemoth.errors import NotFound
from behemoth.tickstore.times import whole_date

PIPE_WIDTH = 120
"""Characters of a table's line where no terminal says how many there are."""


def versions(
    symbol: Annotated[str, typer.Argument(help="The symbol.")],
    start: Annotated[str | None, typer.Option(help="First as-at date.")] = None,
    end: Annotated[str | None, typer.Option(help="Last as-at date.")] = None,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
    as_json: JSON = False,
) -> None:
    """List every revision of a symbol: what was known of which date, since when, until when.

    Example: [bold]behemoth versions BTC-USD --start 2019-10-31[/bold]
    """
    with open_table(db, table) as tickstore:
        if not tickstore.revisions(symbol):
            raise NotFound(f"no symbol {symbol!r} in {tickstore.path}", symbol=symbol)
        frame = tickstore.versions(symbol, whole_date(start), whole_date(end)).reset_index()
    if as_json:
        typer.echo(json.dumps(records(frame.assign(date=frame["date"].dt.date)), allow_nan=False))
        return
    table_shown = Table(
        "date",
        "version",
        "kind",
        "rows",
        Column("known from", overflow="fold"),
        Column("known until", overflow="fold"),
    )
    for row in frame.to_dict("records"):
        table_shown.add_row(
            f"{row['date']:%Y-%m-%d}",
            str(row["version"]),
            row["kind"],
            f"{row['rows']:,}",
            _known(row["start_time"], "the start of time"),
            _known(row["end_time"], "now"),
        )
    show(table_shown)


def _known(time: pd.Timestamp, beyond: Literal["the start of time", "now"]) -> str:
    """Show a knowledge time; its two open ends in words."""
    if time.to_pydatetime() in (BiTimestamp.start_as_of, BiTimestamp.latest_as_of):
        return beyond
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}"


def log(
    symbol: Annotated[str | None, typer.Argument(help="Only what says something of it.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="The newest commits, at most so many.")
    ] = 20,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
    as_json: JSON = False,
) -> None:
    """Show the newest commits, the newest last: who, when, why, and what they brought.

    Example: [bold]behemoth log BTC-USD -n 5[/bold]
    """
    with open_table(db, table) as tickstore:
        if symbol is not None and tickstore.log(symbol, limit=1).empty:
            raise NotFound(f"no symbol {symbol!r} in {tickstore.path}", symbol=symbol)
        frame = tickstore.log(symbol, limit)
    if as_json:
        typer.echo(json.dumps(records(frame), allow_nan=False))
        return
    shown = Table("token", "time (UTC)", "who", Column("what", overflow="fold"), "why")
    for row in frame.to_dict("records"):
        why = "; from ".join(text for text in (row["message"], row["source"]) if text)
        shown.add_row(
            row["token"],
            f"{row['time']:%Y-%m-%dT%H:%M:%S.%f}",
            Text(printable(row["who"])),
            _what(row),
            Text(printable(why)),
        )
    show(shown)
    for row in frame.to_dict("records"):
        for line in row["unknown"]:
            typer.echo(printable(f"unknown in {row['token']}: {line}"))


def _what(row: Mapping[Any, Any]) -> str:
    """Say what a commit brought, in a few words."""
    words = [
        f"{row[name]:,} {name if row[name] != 1 else name.removesuffix('s')}"
        for name in ("inserts", "deletes", "undeletes", "observations", "retired", "backdated")
        if row[name]
    ]
    if row["rows"]:
        words.insert(1, f"{row['rows']:,} rows")
    return ", ".join(words)


def show(table: Table) -> None:
    """Print a table as wide as the terminal, or as a pipe takes."""
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
