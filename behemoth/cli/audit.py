"""The command ``audit``: hold the candles of a table against the trades of another."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from behemoth.cli.printable import printable, printable_lines
from behemoth.cli.read import DB, DEFAULT_DB, DEFAULT_TABLE, JSON, open_table
from behemoth.cli.wanted import read_day
from behemoth.errors import BadRequest, NotFound
from behemoth.research.auditing import Audit
from behemoth.research.auditing import audit as run_audit

SHOWN = 20
"""How many minutes that differ fit on a terminal."""


def audit(
    symbol: Annotated[str, typer.Argument(help="The symbol, BTC-USD for instance.")],
    start: Annotated[str, typer.Argument(help="First UTC day: YYYY-MM-DD, or yesterday.")],
    end: Annotated[
        str | None, typer.Argument(help="Last UTC day, included; by default the first.")
    ] = None,
    trades_table: Annotated[
        str, typer.Option("--trades-table", help="The table of trades.")
    ] = "COINBASE_PRO_TRADES",
    table: Annotated[
        str, typer.Option("--table", help="The table of one-minute candles.")
    ] = DEFAULT_TABLE,
    db: DB = DEFAULT_DB,
    as_json: JSON = False,
) -> None:
    """Rebuild minute bars from the stored trades, and compare them with the stored candles.

    Prices are compared to the bit, volumes at their eighth decimal. Exit code 1 where a minute
    differs.

    Example: [bold]behemoth audit BTC-USD 2019-10-31[/bold]
    """
    today = datetime.now(UTC).date()
    first_day = read_day(start, "START", today)
    last_day = first_day if end is None else read_day(end, "END", today)
    if last_day < first_day:
        raise BadRequest(f"the end {last_day} comes before the start {first_day}")
    try:
        with open_table(db, trades_table) as trades, open_table(db, table) as candles:
            found = run_audit(trades, candles, symbol, first_day, last_day)
    except NotFound as error:
        if error.symbol is not None:
            raise
        raise NotFound(
            f"{error}; an audit needs both: behemoth download {printable(symbol)} {first_day} "
            f"{last_day}, once as it is and once with --what trades"
        ) from error
    if as_json:
        typer.echo(json.dumps(found.as_json(), allow_nan=False))
    else:
        _tell(found)
    if not found.whole:
        raise typer.Exit(1)


def _tell(found: Audit) -> None:
    only = len(found.only_candles) + len(found.only_trades)
    lines = [
        f"{printable(found.symbol)}, {found.first_day} to {found.last_day}: "
        f"{found.trades:,} trades against candles",
        f"  minutes equal           {found.equal:,}",
        f"  minutes that differ     {len(found.differing) - only:,}",
        f"  only in the candles     {len(found.only_candles):,}",
        f"  only in the trades      {len(found.only_trades):,}",
    ]
    if not found.whole:
        shown = found.differing.to_string(max_cols=None, max_rows=SHOWN, min_rows=SHOWN)
        lines.append(printable_lines(shown))
    typer.echo("\n".join(lines))
