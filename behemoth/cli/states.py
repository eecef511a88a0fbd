"""Commands that name a state and come back to it: ``tag``, ``replay``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from behemoth.cli.history import show
from behemoth.cli.printable import printable
from behemoth.cli.read import (
    DB,
    DEFAULT_DB,
    DEFAULT_TABLE,
    JSON,
    TABLE,
    deliver,
    no_table,
    open_table,
    records,
    table_folder,
)
from behemoth.errors import BadRequest
from behemoth.tickstore import LocalTickstore


def tag(
    name: Annotated[str | None, typer.Argument(help="The name; without one, list all.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="The token it names; by default, the newest.")
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="Why.")] = "",
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
    as_json: JSON = False,
) -> None:
    """Give the table's state a name that never moves, or list the names.

    Example: [bold]behemoth tag paper-v1 -m "as submitted"[/bold]
    """
    if name is None:
        if at is not None or message:
            raise BadRequest("which name? write: behemoth tag NAME --at TOKEN -m MESSAGE")
        _list(db, table, as_json)
        return
    if not table_folder(db, table).is_dir():
        raise no_table(db, table)
    with LocalTickstore(table_folder(db, table)) as tickstore:
        found = tickstore.tag(name, message, at)
    typer.echo(json.dumps({"tag": name, "token": found}) if as_json else found)


def _list(db: Path, table: str, as_json: bool) -> None:
    with open_table(db, table) as tickstore:
        tags = tickstore.tags().reset_index()
    if as_json:
        typer.echo(json.dumps(records(tags), allow_nan=False))
        return
    if tags.empty:
        typer.echo("no tag yet; give one with: behemoth tag NAME", err=True)
        return
    shown = Table("tag", "token", "made (UTC)", "who", "why")
    for row in tags.to_dict("records"):
        who, name, why = (Text(printable(row[key])) for key in ("who", "tag", "message"))
        shown.add_row(name, row["token"], f"{row['time']:%Y-%m-%dT%H:%M:%S}", who, why)
    show(shown)


def replay(
    receipt: Annotated[
        str, typer.Argument(help="The line that a select printed: behemoth:57-a1b2c3d4?...")
    ],
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JSON = False,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
) -> None:
    """Give again what a receipt tells of, to the bit, or say which file differs.

    Example: [bold]behemoth replay "behemoth:57-a1b2c3d4?store=..."[/bold]
    """
    with open_table(db, table) as tickstore:
        frame = tickstore.replay(receipt)
    deliver(frame, csv=csv, as_json=as_json)
