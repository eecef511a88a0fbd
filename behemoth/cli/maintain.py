"""Commands that look after a table: ``verify``, ``reindex``, ``copy``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from behemoth.cli.ending import stoppable
from behemoth.cli.printable import printable
from behemoth.cli.progress import counted
from behemoth.cli.read import (
    DB,
    DEFAULT_DB,
    DEFAULT_TABLE,
    JSON,
    TABLE,
    no_table,
    open_table,
    records,
    table_folder,
)
from behemoth.errors import NotFound
from behemoth.tickstore import LocalTickstore
from behemoth.tickstore.tickstore import Mode
from behemoth.tickstore.verifying import HARMLESS

ADVICE = {
    "log": "restore the entry from a copy; or make a new table out of what is left: "
    "behemoth reindex --into FOLDER",
    "missing": "restore the file from a copy",
    "damaged": "restore the file from a copy",
    "checkpoint": "make it anew: behemoth verify --repair",
}


def verify(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Put aside what is nobody's, make damaged checkpoints anew; no ticks are removed.",
        ),
    ] = False,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
    as_json: JSON = False,
) -> None:
    """Check every byte of a table against its log; also while it is written.

    Exit code 1 when something that was acknowledged is damaged or missing.

    Example: [bold]behemoth verify --repair[/bold]
    """
    checked = 0
    with (
        stoppable("run it again"),
        _open(db, table, "a" if repair else "r") as tickstore,
        counted("verify") as bar,
    ):

        def progress(done: int, total: int) -> None:
            nonlocal checked
            checked = done
            bar(done, total)

        found = tickstore.verify(repair, progress)
    left = found[~found["repaired"]]
    wrong = left[~left["problem"].isin(HARMLESS)]
    if as_json:
        facts = {"sound": wrong.empty, "splays": checked, "findings": _findings(found)}
        typer.echo(json.dumps(facts, allow_nan=False))
    else:
        _tell(found, checked, wrong)
    raise typer.Exit(0 if wrong.empty else 1)


def _findings(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the findings ready for JSON; a version is whole, also beside findings without one."""
    rows = records(found)
    return [
        row | {"version": None if row["version"] is None else int(row["version"])} for row in rows
    ]


def _tell(found: pd.DataFrame, checked: int, wrong: pd.DataFrame) -> None:
    for row in found.to_dict("records"):
        done = "repaired: " if row["repaired"] else ""
        typer.echo(printable(f"{done}{row['problem']}: {row['path']}: {row['detail']}"))
    for problem in wrong["problem"].unique():
        typer.echo(f"{problem}: {ADVICE[problem]}")
    more = "" if found.empty else f", {len(found):,} finding{'s' * (len(found) > 1)}"
    typer.echo(f"{checked:,} splays checked{more}: {'sound' if wrong.empty else 'NOT sound'}")


def _open(db: Path, table: str, mode: Mode) -> LocalTickstore:
    """Open a table that may be damaged."""
    folder = table_folder(db, table)
    if not folder.is_dir():
        raise no_table(db, table)
    try:
        return LocalTickstore(folder, mode=mode)
    except NotFound:  # no log, but there may be splays
        return LocalTickstore(folder)


def reindex(
    into: Annotated[
        Path | None,
        typer.Option(help="Make a new table in this folder out of what is left of a damaged one."),
    ] = None,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
    as_json: JSON = False,
) -> None:
    """Make the index anew from the log; or a new table, where the log is damaged.

    Exit code 1 when something cannot be known any more; it is listed, and the new table's log
    keeps the list.

    Example: [bold]behemoth reindex --into db/RECOVERED[/bold]
    """
    again = "run it again" if into is None else "run it again, into an empty folder"
    with stoppable(again), _open(db, table, "a") as tickstore, counted("reindex") as progress:
        unknown = tickstore.reindex(into, progress)
    if as_json:
        typer.echo(json.dumps({"unknown": unknown}))
    else:
        for line in unknown:
            typer.echo(printable(f"unknown: {line}"))
        typer.echo("the index equals the log" if into is None else f"made the table {into}")
    raise typer.Exit(1 if unknown else 0)


def copy(
    destination: Annotated[Path, typer.Argument(help="The folder of the copy.")],
    at: Annotated[
        str | None, typer.Option(help="The token of the state to copy; by default, the newest.")
    ] = None,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
    as_json: JSON = False,
) -> None:
    """Copy a table, checked byte by byte, also while it is written.

    To the same place again it copies only what came since: a backup.

    Example: [bold]behemoth copy --at 57-a1b2c3d4 /backup/COINBASE_PRO_ONE_MIN_BINS[/bold]
    """
    on = "the same command goes on from there"
    with stoppable(on), open_table(db, table) as tickstore, counted("copy") as progress:
        token = tickstore.copy(destination, at, progress)
    if as_json:
        typer.echo(json.dumps({"token": token, "path": str(destination)}))
    else:
        typer.echo(f"{destination} is the table at {token}")
