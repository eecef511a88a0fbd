"""The command ``download``: fill a table from an exchange, and say how it goes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from behemoth.cli import told
from behemoth.cli.download_trades import check_what, download_trades
from behemoth.cli.ending import why
from behemoth.cli.locking import alone, doing
from behemoth.cli.printable import printable
from behemoth.cli.progress import shown
from behemoth.cli.read import table_folder
from behemoth.cli.wanted import read_symbols, told_apart
from behemoth.errors import BadRequest, BehemothError
from behemoth.feeds import (
    PUBLIC_RATE,
    PUBLIC_URL,
    CoinbaseClient,
    KnownFrom,
    plan_download,
    table_name,
)
from behemoth.feeds.downloader import utc_now
from behemoth.feeds.running import Run

HOLDS = "every day that was stored stays, the same command goes on from there"


def download(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SYMBOL... START END",
            help="The exchange's products, BTC-USD for instance; the first and the last UTC day, "
            "both included: YYYY-MM-DD, yesterday or today.",
            show_default=False,
        ),
    ] = None,
    db: Annotated[
        Path, typer.Option("--db", envvar="BEHEMOTH_DB", help="The database: a folder of tables.")
    ] = Path("db"),
    table: Annotated[
        str | None, typer.Option(help="The table; by default, named after what is in it.")
    ] = None,
    what: Annotated[
        str, typer.Option(help="candles, or trades: every single one, in whole days.")
    ] = "candles",
    granularity: Annotated[
        int, typer.Option(help="Seconds of a candle: 60, 300, 900, 3600, 21600 or 86400.")
    ] = 60,
    until: Annotated[
        str | None, typer.Option(help="The last day, instead of END: yesterday, for instance.")
    ] = None,
    symbols_file: Annotated[
        Path | None,
        typer.Option("--symbols-file", help="More symbols: one a line, comments after a #."),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Fetch what is missing or failed, and say how much of each; without days, from "
            "the first to the last one that was ever asked.",
        ),
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Store what there is of a day that is not over.")
    ] = False,
    known_from: Annotated[
        str,
        typer.Option(
            help="Since when ticks count as known: now (the commit), day-end (the midnight after "
            "their day), or start (since always). It changes nothing for days that are stored."
        ),
    ] = "now",
    supersede: Annotated[
        bool,
        typer.Option("--supersede", help="Let it mix with what another source brought."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be asked; uses no network.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for another download into this database to end.")
    ] = False,
    rate: Annotated[float, typer.Option(help="Requests a second at most.")] = PUBLIC_RATE,
    api_url: Annotated[
        str, typer.Option(envvar="BEHEMOTH_COINBASE_URL", help="Where the exchange is.")
    ] = PUBLIC_URL,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Say nothing, unless something is wrong.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Download candles or trades from a Coinbase Exchange: what a table lacks, a commit a day.

    A run that was interrupted goes on where it was: give the same command again. The candle that
    is still open is never stored, and a complete day is never asked for again. Many symbols take
    turns within one rate. Only one download from an exchange into a database runs at a time.

    Exit codes: 0, everything that was wanted is there; 1, something is missing: a day failed or is
    in doubt, a product was refused, the exchange is down, or another download is running; 2, the
    command cannot be.

    Example: [bold]behemoth download BTC-USD 2015-07-20 2019-10-31[/bold]

    Each night: [bold]behemoth download BTC-USD ETH-USD 2015-07-20 --until yesterday --quiet[/bold]
    """
    more = [] if symbols_file is None else read_symbols(symbols_file)
    today = datetime.now(UTC).date()
    wanted = told_apart(words or [], today, until=until, symbols=more, repair=repair)
    if check_what(what) == "trades":
        if wanted.first_day is None or wanted.last_day is None or repair:
            raise BadRequest("trades are downloaded by their days; leave --repair out")
        if granularity != 60:
            raise BadRequest("trades have no granularity; leave --granularity out")
        download_trades(
            wanted.symbols,
            wanted.first_day,
            wanted.last_day,
            db=db,
            table=table,
            known_from=known_from,
            dry_run=dry_run,
            rate=rate,
            api_url=api_url,
            as_json=as_json,
            partial=partial,
            supersede=supersede,
            quiet=quiet,
            wait=wait,
        )
        return
    path = table_folder(db, table or table_name(granularity))
    # The downloader checks the policy's name, and says which there are.
    policy: KnownFrom = known_from  # type: ignore[assignment]
    with (
        told.open_to_fill(path, as_json=as_json) as store,
        CoinbaseClient(api_url, rate=rate) as client,
    ):
        if dry_run:
            plans = [
                plan_download(
                    store,
                    client.base_url,
                    symbol,
                    wanted.first_day,
                    wanted.last_day,
                    granularity,
                    partial=partial,
                    repair=repair,
                    supersede=supersede,
                    now=lambda: datetime.now(UTC),
                )
                for symbol in wanted.symbols
            ]
            told.tell_plans(plans, client.rate, as_json=as_json)
            return

        with shown(quiet=as_json, silent=quiet) as display:
            run = Run(store, client, policy, utc_now, display.progress, display.note)
            error = None
            try:
                with alone(
                    db,
                    client.base_url,
                    doing("download", wanted.symbols),
                    wait=wait,
                    on_wait=display.note,
                ):
                    run.prepare(
                        wanted.symbols,
                        wanted.first_day,
                        wanted.last_day,
                        granularity,
                        partial,
                        repair,
                        supersede,
                    )
                    run.carry_out()
            except BadRequest:
                raise
            except (KeyboardInterrupt, BehemothError) as ended:
                error = why(ended, HOLDS if run.summaries() else "")
    summaries = run.summaries()
    if error is None and len(summaries) == 1:
        error = summaries[0].refused
    missing = told.what_is_missing(summaries) if error is None else [error]
    if as_json:
        told.tell_summaries_as_json(summaries, "; ".join(missing) or None)
    elif error is None and not quiet:
        told.tell_summaries(summaries, path)
    for line in missing:
        typer.echo(f"behemoth: {printable(line)}", err=True)
    if missing:
        raise typer.Exit(1)
