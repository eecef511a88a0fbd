"""Commands that read ticks: ``symbols``, ``select``; and how a table is opened and shown."""

from __future__ import annotations

import json
import math
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from behemoth import layout
from behemoth.bitemporal import BiTimestamp
from behemoth.cli.printable import printable, printable_lines
from behemoth.errors import BadRequest, NotFound
from behemoth.tickstore import LocalTickstore, receipt
from behemoth.tickstore.export import whole

SHOWN = 10
"""How many rows of each end of a frame fit on a terminal."""

DB = Annotated[
    Path, typer.Option("--db", envvar="BEHEMOTH_DB", help="The database: a folder of tables.")
]
TABLE = Annotated[str, typer.Option("--table", help="The table: a folder in it.")]
AS_OF = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="As it was known at this time (UTC), token or tag; by default, now."
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
DEFAULT_DB = Path("db")
DEFAULT_TABLE = "COINBASE_PRO_ONE_MIN_BINS"


def open_table(db: Path, table: str) -> LocalTickstore:
    """Open a table to read it.

    Raises
    ------
    NotFound
        When it is not.
    """
    try:
        return LocalTickstore(table_folder(db, table), mode="r")
    except NotFound as error:
        raise no_table(db, table) from error


def table_folder(db: Path, table: str) -> Path:
    """Give the folder of a table: the one of exactly this name where there is one.

    So is what `copy` or `reindex --into` made under a name of the user's own. Names are compared
    as they are listed, also on a disk where upper and lower case are one.
    """
    encoded = layout.encode_name(table)
    if encoded == table or table in (".", "..") or "/" in table or "\\" in table:
        return db / encoded
    try:
        given = any(path.name == table and path.is_dir() for path in db.iterdir())
    except OSError:
        given = False
    return db / (table if given else encoded)


def no_table(db: Path, table: str) -> NotFound:
    """Make the error for a table that is not there; it names those that are."""
    tables = sorted(log.parent.name for log in db.glob("*/log"))
    there = f"--table is one of {', '.join(tables)}" if tables else "see --db"
    return NotFound(f"no table {table!r} in {db}; fill it with: behemoth download, or {there}")


def no_symbol(tickstore: LocalTickstore, symbol: str) -> NotFound:
    """Make the error for a symbol that was never heard of."""
    return NotFound(
        f"no symbol {symbol!r} in {tickstore.path}; symbols lists those there are", symbol=symbol
    )


def state_of(as_of: str | None) -> str | datetime:
    """Give the state that was asked for; an empty text, as of an unset variable, is not the newest.

    Raises
    ------
    BadRequest
        When it is empty.
    """
    if as_of is None:
        return BiTimestamp.latest_as_of
    if not as_of.strip():
        raise BadRequest("--as-of is empty; name a time, a token or a tag, or leave it out for now")
    return as_of


def symbols(
    db: DB = DEFAULT_DB, table: TABLE = DEFAULT_TABLE, as_of: AS_OF = None, as_json: JSON = False
) -> None:
    """List the symbols that have ticks.

    Example: [bold]behemoth symbols --db db[/bold]
    """
    with open_table(db, table) as tickstore:
        names = tickstore.symbols(state_of(as_of))
    if as_json:
        typer.echo(json.dumps(names))
    for name in () if as_json else names:
        typer.echo(printable(name))


def select(
    symbol: Annotated[list[str], typer.Argument(help="One symbol or several.")],
    start: Annotated[str | None, typer.Option(help="First instant, or a whole date (UTC).")] = None,
    end: Annotated[str | None, typer.Option(help="Last instant, or a whole date (UTC).")] = None,
    as_of: AS_OF = None,
    columns: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    tz: Annotated[str | None, typer.Option(help="Show times in this zone.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write FILE.csv or FILE.parquet.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JSON = False,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
) -> None:
    """Select ticks by time, as they were known at a time.

    Example: [bold]behemoth select BTC-USD --start 2019-10-31 --end 2019-10-31
    --as-of 2019-11-02[/bold]
    """
    of = symbol[0] if len(symbol) == 1 else symbol
    known_at = state_of(as_of)
    chosen = None if columns is None else columns.split(",")
    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise BadRequest(f"{output} is neither .csv nor .parquet")
    with open_table(db, table) as tickstore:
        if output is not None and output.suffix == ".parquet":
            written = tickstore.to_parquet(
                output, of, start, end, known_at, columns=chosen, tz=tz, missing="raise"
            )
            typer.echo(f"{written.rows:,} rows written to {output}", err=True)
            return
        frame = tickstore.select(of, start, end, known_at, columns=chosen, tz=tz, missing="raise")
    if output is not None:
        with whole(output) as new:
            frame.to_csv(new)
        typer.echo(f"{len(frame):,} rows written to {output}", err=True)
    else:
        deliver(frame, csv=csv, as_json=as_json)


def deliver(frame: pd.DataFrame, *, csv: bool, as_json: bool) -> None:
    """Print a selected frame: for machines, as CSV, or its ends and its receipt for eyes."""
    if as_json:
        typer.echo(json.dumps(records(frame), allow_nan=False))
    elif csv:
        print_csv(frame)
    else:
        _show(frame)
        typer.echo(str(receipt(frame)))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows ready for JSON: exact numbers, ISO times, null for what is missing.

    Raises
    ------
    BadRequest
        When a column has the name of an index level: a record has each name once.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return list(value)
        if pd.isna(value):
            return None
        if value in (math.inf, -math.inf):
            return str(value)  # JSON has no number for it
        return value.isoformat() if hasattr(value, "isoformat") else value

    twice = [str(name) for name in frame.index.names if name in frame.columns]
    if twice:
        raise BadRequest(
            f"two values of a record would be called {twice[0]!r}; leave that column out: name the "
            "others with --column or --columns"
        )
    named = frame if frame.index.names == [None] else frame.reset_index()
    return [{str(k): plain(v) for k, v in row.items()} for row in named.to_dict("records")]


def print_csv(frame: pd.DataFrame, *, index: bool = True) -> None:
    """Print exactly what is there; but for eyes, control characters escaped."""
    if sys.stdout.isatty():
        typer.echo(printable_lines(frame.to_csv(lineterminator="\n", index=index)), nl=False)
    else:
        frame.to_csv(sys.stdout, index=index)


def _show(frame: pd.DataFrame) -> None:
    if len(frame) <= 2 * SHOWN:
        text = frame.to_string(max_cols=None)
    else:
        text = frame.to_string(max_rows=2 * SHOWN, min_rows=2 * SHOWN)
    typer.echo(f"{printable_lines(text)}\n{len(frame):,} rows")
