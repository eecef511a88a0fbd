"""The command ``verify-source``: ask the exchange again for what is stored, and compare."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, Self

import typer
from rich.table import Table
from rich.text import Text

from behemoth.cli.history import differences, said_of, show
from behemoth.cli.locking import alone, doing
from behemoth.cli.printable import printable
from behemoth.cli.progress import shown
from behemoth.cli.read import open_table
from behemoth.cli.wanted import read_day
from behemoth.errors import BadRequest
from behemoth.feeds import (
    PUBLIC_RATE,
    PUBLIC_URL,
    CoinbaseClient,
    Verification,
    VerifiedDay,
    table_name,
)
from behemoth.feeds import verify_source as run_verification
from behemoth.tickstore import LocalTickstore
from behemoth.tickstore.export import whole

SHOWN = 20
"""Rows that differ, as many as a terminal shows by default; and days with a reason."""
STATES = "stored", "source"
ONLY = "new", "vanished"
"""Changes of rows that only the source has, and that only the table has."""
COLOURS = {"new": "green", "vanished": "red"}
RARE = ("days_vanished", "days_failed", "days_not_stored", "days_not_over")
"""Left out of the summary where they are none."""
IN_MEMORY = 1 << 24
"""Bytes of rows that wait in memory for the end; more wait in a file."""


def verify_source(
    symbol: Annotated[str, typer.Argument(help="The exchange's product, BTC-USD for instance.")],
    start: Annotated[str, typer.Argument(help="First UTC day: YYYY-MM-DD, or yesterday.")],
    end: Annotated[str, typer.Argument(help="Last UTC day, included.")],
    db: Annotated[
        Path, typer.Option("--db", envvar="BEHEMOTH_DB", help="The database: a folder of tables.")
    ] = Path("db"),
    table: Annotated[
        str | None, typer.Option(help="The table; by default, named after the granularity.")
    ] = None,
    granularity: Annotated[
        int, typer.Option(help="Seconds of a candle: 60, 300, 900, 3600, 21600 or 86400.")
    ] = 60,
    update: Annotated[
        bool,
        typer.Option("--update", help="Write a new version of each day that differs."),
    ] = False,
    accept_deletions: Annotated[
        bool,
        typer.Option(
            "--accept-deletions",
            help="With --update: delete a day of which the exchange has nothing any more.",
        ),
    ] = False,
    supersede: Annotated[
        bool,
        typer.Option(
            "--supersede",
            help="With --update: let the exchange's word supersede what came from elsewhere.",
        ),
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="With --update: wait for a download into this database to end."
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="Show at most so many rows that differ.")
    ] = SHOWN,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write all rows that differ into this file.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Requests a second at most.")] = PUBLIC_RATE,
    api_url: Annotated[
        str, typer.Option(envvar="BEHEMOTH_COINBASE_URL", help="Where the exchange is.")
    ] = PUBLIC_URL,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all that was found as JSON.")
    ] = False,
) -> None:
    """Ask the exchange again for the days that are stored, and show every row that differs.

    Without --update nothing is written. With it, each day that differs gets a new version, and
    what was known stays readable as of then. Rows that are missing in an answer are asked for
    again before they count as vanished. Exit code 0: all is the same, or was taken; 1: something
    differs, or could not be asked.

    Example: [bold]behemoth verify-source BTC-USD 2019-10-01 2019-10-31 --update[/bold]
    """
    for flag, given in (("--accept-deletions", accept_deletions), ("--supersede", supersede)):
        if given and not update:
            raise BadRequest(f"{flag} goes with --update only; say both")
    today = datetime.now(UTC).date()
    first_day, last_day = read_day(start, "START", today), read_day(end, "END", today)
    with (
        _open(db, table or table_name(granularity), update=update) as store,
        CoinbaseClient(api_url, rate=rate) as client,
        Rows(limit, keep=as_json or csv_file is not None) as rows,
        nullcontext() if csv_file is None else whole(csv_file) as new,
    ):
        with (
            _stoppable(update),  # so that the bar is gone before it says something
            shown(quiet=as_json) as display,
            # Whoever only reads writes no lock either.
            alone(
                db,
                client.base_url,
                doing("verify-source", [symbol]),
                wait=wait,
                on_wait=display.note,
            )
            if update
            else nullcontext(),
        ):
            found = run_verification(
                store,
                client,
                symbol,
                first_day,
                last_day,
                granularity,
                update=update,
                accept_deletions=accept_deletions,
                supersede=supersede,
                keep=0,
                on_day=rows.add,
                on_progress=display.progress,
                on_note=display.note,
            )
        if new is not None:
            rows.to_csv(new)
        if as_json:
            _tell_json(found, rows)
        else:
            _tell(found, rows, store.path)
    if not found.settled:
        raise typer.Exit(1)


def _open(db: Path, table: str, *, update: bool) -> LocalTickstore:
    """Open a table that is there; only to read it if nothing is to be written."""
    store = open_table(db, table)
    return LocalTickstore(store.path) if update else store


@contextmanager
def _stoppable(update: bool) -> Iterator[None]:
    """Make Ctrl-C one line that says what holds."""
    try:
        yield
    except KeyboardInterrupt:
        holds = "every day that was taken stays" if update else "nothing was written"
        typer.echo(
            f"behemoth: stopped; {holds}, the same command asks for all days again", err=True
        )
        raise typer.Exit(1) from None


class Rows:
    """The rows that differ: the first for eyes, all of them in a file that has no name.

    Parameters
    ----------
    limit
        How many are shown.
    keep
        Whether all are wanted in the end.
    """

    def __init__(self, limit: int, *, keep: bool) -> None:
        self._limit = limit
        self._keep = keep
        self._file = SpooledTemporaryFile(  # noqa: SIM115 - closed when this is left
            IN_MEMORY, "w+", encoding="utf-8"
        )
        self._names: dict[str, None] = {}
        self.first: list[dict[str, Any]] = []
        self.total = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, day: VerifiedDay) -> None:
        """Keep what differs on a day."""
        if day.differences is None:
            return
        self.total += len(day.differences)
        few = day.differences if self._keep else day.differences.iloc[: self._limit]
        for row in differences(few, STATES, ONLY):
            if len(self.first) < self._limit:
                self.first.append(row)
            if self._keep:
                self._names |= dict.fromkeys(row["stored"] or row["source"])
                self._file.write(json.dumps(row, allow_nan=False) + "\n")

    def texts(self) -> Iterator[str]:
        """Give each row as JSON."""
        self._file.seek(0)
        for line in self._file:
            yield line.rstrip("\n")

    def to_csv(self, path: Path) -> None:
        """Write all rows into a file."""
        names = [f"{name}_{state}" for name in self._names for state in STATES]
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ["time", "date", "change", *names], lineterminator="\n")
            table.writeheader()
            for row in map(json.loads, self.texts()):
                flat = {name: row[name] for name in ("time", "date", "change")}
                for state in STATES:
                    flat |= {f"{name}_{state}": v for name, v in (row[state] or {}).items()}
                table.writerow(flat)


def _tell_json(found: Verification, rows: Rows) -> None:
    """Print one JSON object, without having all rows in memory."""
    typer.echo(json.dumps(found.as_json())[:-1], nl=False)
    typer.echo(', "rows": [', nl=False)
    for number, text in enumerate(rows.texts()):
        typer.echo(f"{', ' if number else ''}{text}", nl=False)
    typer.echo("]}")


def _tell(found: Verification, rows: Rows, path: Path) -> None:
    if rows.first:
        shown_rows = Table("time", "date", "change", "stored -> source")
        for row in rows.first:
            what = Text(printable(said_of(row["stored"], row["source"])))
            colour = COLOURS.get(row["change"], "yellow")
            shown_rows.add_row(row["time"], row["date"], Text(row["change"], style=colour), what)
        show(shown_rows)
    if len(rows.first) < rows.total:
        typer.echo(
            f"the first {len(rows.first):,} of {rows.total:,} rows are shown; see --limit, --csv"
        )
    days = found.days[found.days["reason"] != ""]
    for date, reason in days["reason"].iloc[:SHOWN].items():
        typer.echo(printable(f"{date:%Y-%m-%d}: {reason}"))
    if len(days) > SHOWN:
        typer.echo(f"and {len(days) - SHOWN:,} more days; see --json")
    typer.echo("\n".join(_summary(found, path)))


def _summary(found: Verification, path: Path) -> Iterator[str]:
    yield (
        f"{found.product}, {found.first_day} to {found.last_day}, in {path} at {found.token}, "
        f"beside {found.source}"
    )
    facts = found.as_json()
    lines = {
        "days the same": "days_same",
        "days that differ": "days_differing",
        "days vanished whole": "days_vanished",
        "days that failed": "days_failed",
        "days not stored": "days_not_stored",
        "days not over": "days_not_over",
        "rows changed": "rows_changed",
        "rows new": "rows_new",
        "rows vanished": "rows_vanished",
        "versions written": "versions_written",
        "requests": "requests",
        "retries": "retries",
    }
    for label, name in lines.items():
        if facts[name] or name not in RARE:
            yield f"  {label:<23} {facts[name]:,}"
    if not found.settled and not found.versions_written and found.rows_total:
        yield "nothing was written; take what the exchange says now with --update"
