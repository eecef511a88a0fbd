"""Commands that show how a table came to be: ``versions``, ``log``, ``diff``, ``vintages``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from behemoth.bitemporal import BiTimestamp
from behemoth.cli.printable import printable
from behemoth.cli.read import (
    DB,
    DEFAULT_DB,
    DEFAULT_TABLE,
    JSON,
    TABLE,
    no_symbol,
    open_table,
    records,
)
from behemoth.tickstore.times import whole_date

PIPE_WIDTH = 120
"""Characters of a table's line where no terminal says how many there are."""

SHOWN = 20
"""Ticks that differ, as many as a terminal shows by default."""

ONLY = ("added", "removed")
"""Changes of ticks that only the second state has, and that only the first has."""

ABOUT = ("end_time", "kind", "date", "version", "commit", "position")
"""What vintages say of a belief beside its values."""


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
            raise no_symbol(tickstore, symbol)
        frame = tickstore.versions(symbol, whole_date(start), whole_date(end)).reset_index()
    if as_json:
        typer.echo(json.dumps(records(frame.assign(date=frame["date"].dt.date)), allow_nan=False))
        return
    table_shown = Table(
        "date",
        "version",
        "kind",
        "rows",
        "known from",
        "known until",
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


def _said(fact: object) -> str:
    """Show what vintages say of a belief; or a column of ticks that has its name."""
    return _known(fact, "now") if isinstance(fact, pd.Timestamp) else printable(str(fact))


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
            raise no_symbol(tickstore, symbol)
        frame = tickstore.log(symbol, limit)
    if as_json:
        typer.echo(json.dumps(records(frame), allow_nan=False))
        return
    shown = Table("token", "time (UTC)", "who", "what", "why")
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
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(folded(table))


def folded(table: Table) -> Table:
    """Let what does not fit a column go on in its next line: half a time says nothing."""
    for column in table.columns:
        column.overflow = "fold"
    return table


def diff(
    symbol: Annotated[str, typer.Argument(help="The symbol.")],
    a: Annotated[
        str, typer.Argument(help="A state: a token, a tag, or a time of knowledge (UTC).")
    ],
    b: Annotated[str | None, typer.Argument(help="Another; by default, what is known now.")] = None,
    start: Annotated[str | None, typer.Option(help="First instant, or a whole date (UTC).")] = None,
    end: Annotated[str | None, typer.Option(help="Last instant, or a whole date (UTC).")] = None,
    columns: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=0, help="At most so many ticks; by default 20, in JSON all."
        ),
    ] = None,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
    as_json: JSON = False,
) -> None:
    """Show the ticks that were added, removed or changed between two states.

    Example: [bold]behemoth diff BTC-USD 2019-11-01T12:00 --start 2019-10-31[/bold]
    """
    with open_table(db, table) as tickstore:
        if not tickstore.revisions(symbol):
            raise no_symbol(tickstore, symbol)
        names = None if columns is None else columns.split(",")
        frame = tickstore.diff(symbol, a, b, start, end, names)
    found = differences(frame.iloc[:limit] if limit is not None or as_json else frame.iloc[:SHOWN])
    if as_json:
        typer.echo(json.dumps(found, allow_nan=False))
        return
    shown = Table("time", "date", "change", "a -> b")
    for row in found:
        colour = {"added": "green", "removed": "red"}.get(row["change"], "yellow")
        what = Text(printable(said_of(row["a"], row["b"])))
        shown.add_row(row["time"], row["date"][:10], Text(row["change"], style=colour), what)
    if found:
        show(shown)
    counts = ", ".join(
        f"{(frame['change', ''] == change).sum():,} {change}"
        for change in ("changed", "added", "removed")
    )
    days = frame["date", ""].nunique()
    typer.echo(f"{counts} on {days:,} {'day' if days == 1 else 'days'}")
    if len(found) < len(frame):
        typer.echo(f"the first {len(found):,} of {len(frame):,} are shown; see --limit")


def differences(
    frame: pd.DataFrame, states: tuple[str, str] = ("a", "b"), only: tuple[str, str] = ONLY
) -> list[dict[str, Any]]:
    """Give a difference as records: its values in both states, null for no tick.

    Parameters
    ----------
    frame
        As `View.diff` gives it.
    states
        What its two states are called.
    only
        What a change is called that only the second state has, and one that only the first has.
    """
    sides = {}
    for side in states:
        ours = frame.columns.get_level_values(1) == side
        values = frame.loc[:, ours].droplevel(1, axis="columns").reset_index(drop=True)
        sides[side] = records(values)
    found = []
    for place, (time, change, day) in enumerate(
        zip(frame.index, frame["change", ""], frame["date", ""], strict=True)
    ):
        found.append(
            {
                "time": time.isoformat(),
                "date": f"{day:%Y-%m-%d}",
                "change": change,
                **{
                    side: None if change == lacking else sides[side][place]
                    for side, lacking in zip(states, only, strict=True)
                },
            }
        )
    return found


def said_of(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> str:
    """Say what a tick was and is: of a changed one, only the columns that changed."""
    if a is None or b is None:
        return ", ".join(f"{name} {value}" for name, value in (a or b or {}).items())
    return ", ".join(
        f"{name} {value} -> {b[name]}" for name, value in a.items() if repr(value) != repr(b[name])
    )


def vintages(
    symbol: Annotated[str, typer.Argument(help="The symbol.")],
    time: Annotated[str, typer.Argument(help="The tick's time, or a whole date (UTC).")],
    column: Annotated[
        str | None,
        typer.Option("--column", "--columns", help="Only these, separated by commas."),
    ] = None,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
    as_json: JSON = False,
) -> None:
    """Show what was believed of a tick, since when and until when.

    Example: [bold]behemoth vintages BTC-USD 2019-10-31T12:00 --column close[/bold]
    """
    with open_table(db, table) as tickstore:
        if not tickstore.revisions(symbol):
            raise no_symbol(tickstore, symbol)
        names = None if column is None else column.split(",")
        frame = tickstore.vintages(symbol, (time, time), names)
    if as_json:
        dated = frame if "date" in (names or ()) else frame.assign(date=frame["date"].dt.date)
        typer.echo(json.dumps(records(dated), allow_nan=False))
        return
    if frame.empty:
        typer.echo(f"no tick of {printable(symbol)} was ever known at {printable(time)}", err=True)
        return
    values = names or [name for name in frame.columns if name not in ABOUT]
    shown = Table("time", "known from", "known until", "kind", "commit")
    for name in values:
        shown.add_column(Text(printable(name)))
    for (when, since), row in zip(frame.index, frame.to_dict("records"), strict=True):
        shown.add_row(
            when.isoformat(),
            _known(since, "the start of time"),
            *(Text(_said(row[name])) for name in ("end_time", "kind", "commit")),
            *(Text("" if pd.isna(row[name]) else printable(str(row[name]))) for name in values),
        )
    show(shown)
