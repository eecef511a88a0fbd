"""Commands that read a table: ``symbols``, ``select``, ``versions``."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import typer
from rich.console import Console
from rich.table import Column, Table

from behemoth import layout
from behemoth.bitemporal import BiTimestamp
from behemoth.errors import BadRequest, EnvironmentFailed, NotFound
from behemoth.tickstore import LocalTickstore
from behemoth.tickstore.times import whole_date

SHOWN = 10
"""How many rows of each end of a frame fit on a terminal."""

PIPE_WIDTH = 120
"""Characters of a table's line where no terminal says how many there are."""

DB = Annotated[
    Path, typer.Option("--db", envvar="BEHEMOTH_DB", help="The database: a folder of tables.")
]
TABLE = Annotated[str, typer.Option("--table", help="The table: a folder in it.")]
AS_OF = Annotated[
    str | None,
    typer.Option("--as-of", help="As it was known at this time (UTC); by default, now."),
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
DEFAULT_DB = Path("db")
DEFAULT_TABLE = "COINBASE_PRO_ONE_MIN_BINS"


def open_table(db: Path, table: str) -> LocalTickstore:
    """Open a table that is there.

    Raises
    ------
    NotFound
        When it is not.
    """
    tickstore = LocalTickstore(db / layout.encode_name(table))
    if tickstore.token.startswith("0-"):
        raise NotFound(f"no table {table!r} in {db}; fill it with: behemoth download, or see --db")
    return tickstore


def symbols(
    db: DB = DEFAULT_DB, table: TABLE = DEFAULT_TABLE, as_of: AS_OF = None, as_json: JSON = False
) -> None:
    """List the symbols that have ticks.

    Example: [bold]behemoth symbols --db db[/bold]
    """
    with open_table(db, table) as tickstore:
        names = tickstore.symbols(as_of or BiTimestamp.latest_as_of)
    typer.echo(json.dumps(names) if as_json else "\n".join(names))


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
    with open_table(db, table) as tickstore:
        frame = tickstore.select(
            symbol[0] if len(symbol) == 1 else symbol,
            start,
            end,
            as_of or BiTimestamp.latest_as_of,
            columns=None if columns is None else columns.split(","),
            tz=tz,
            missing="raise",
        )
    if output is not None:
        _write(frame, output)
        typer.echo(f"{len(frame):,} rows written to {output}", err=True)
    elif as_json:
        typer.echo(json.dumps(_records(frame), allow_nan=False))
    elif csv:
        frame.to_csv(sys.stdout)
    else:
        _show(frame)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows ready for JSON: exact numbers, ISO times, null for what is missing."""

    def plain(value: Any) -> Any:
        if pd.isna(value):
            return None
        if value in (math.inf, -math.inf):
            return str(value)  # JSON has no number for it
        return value.isoformat() if hasattr(value, "isoformat") else value

    named = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    return [{str(k): plain(v) for k, v in row.items()} for row in named.to_dict("records")]


def _write(frame: pd.DataFrame, output: Path) -> None:
    try:
        match output.suffix:
            case ".csv":
                frame.to_csv(output)
            case ".parquet":
                frame.to_parquet(output)
            case _:
                raise BadRequest(f"{output} is neither .csv nor .parquet")
    except ImportError as error:
        raise BadRequest("writing Parquet needs pyarrow; install it, or write .csv") from error
    except OSError as error:
        raise EnvironmentFailed(f"{output} cannot be written: {error.strerror or error}") from error


def _show(frame: pd.DataFrame) -> None:
    if len(frame) <= 2 * SHOWN:
        text = frame.to_string(max_cols=None)
    else:
        text = frame.to_string(max_rows=2 * SHOWN, min_rows=2 * SHOWN)
    typer.echo(f"{text}\n{len(frame):,} rows")


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
        typer.echo(json.dumps(_records(frame.assign(date=frame["date"].dt.date)), allow_nan=False))
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
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table_shown)


def _known(time: pd.Timestamp, beyond: Literal["the start of time", "now"]) -> str:
    """Show a knowledge time; its two open ends in words."""
    if time.to_pydatetime() in (BiTimestamp.start_as_of, BiTimestamp.latest_as_of):
        return beyond
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}"
