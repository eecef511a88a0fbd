"""The command ``download``: fill a table from an exchange, and say how it goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path
from typing import Annotated

import typer

from behemoth.cli.download_trades import check_what, download_trades
from behemoth.cli.progress import shown
from behemoth.cli.read import table_folder
from behemoth.errors import BadRequest, EnvironmentFailed, FeedUnavailable
from behemoth.feeds import (
    PUBLIC_RATE,
    PUBLIC_URL,
    CoinbaseClient,
    KnownFrom,
    Plan,
    Summary,
    plan_download,
    table_name,
)
from behemoth.feeds import download as run_download
from behemoth.tickstore import LocalTickstore


def download(
    symbol: Annotated[str, typer.Argument(help="The exchange's product, BTC-USD for instance.")],
    start: Annotated[str, typer.Argument(help="First UTC day, YYYY-MM-DD.")],
    end: Annotated[str, typer.Argument(help="Last UTC day, included.")],
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
    partial: Annotated[
        bool, typer.Option("--partial", help="Store what there is of a day that is not over.")
    ] = False,
    known_from: Annotated[
        str,
        typer.Option(
            help="Since when ticks count as known: now (the commit), day-end (the midnight after "
            "their day), or start (since always)."
        ),
    ] = "now",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be asked; uses no network.")
    ] = False,
    rate: Annotated[float, typer.Option(help="Requests a second at most.")] = PUBLIC_RATE,
    api_url: Annotated[
        str, typer.Option(envvar="BEHEMOTH_COINBASE_URL", help="Where the exchange is.")
    ] = PUBLIC_URL,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Download candles or trades from a Coinbase Exchange: what a table lacks, a commit a day.

    A run that was interrupted goes on where it was: give the same command again. The candle that
    is still open is never stored, and a complete day is never asked for again.

    Example: [bold]behemoth download BTC-USD 2015-07-20 2019-10-31[/bold]
    """
    first_day, last_day = _day(start, "START"), _day(end, "END")
    if check_what(what) == "trades":
        download_trades(
            [symbol],
            first_day,
            last_day,
            db=db,
            table=table,
            known_from=known_from,
            dry_run=dry_run,
            rate=rate,
            api_url=api_url,
            as_json=as_json,
            partial=partial,
        )
        return
    path = table_folder(db, table or table_name(granularity))
    with LocalTickstore(path) as store, CoinbaseClient(api_url, rate=rate) as client:
        if dry_run:
            plan = plan_download(
                store,
                client.base_url,
                symbol,
                first_day,
                last_day,
                granularity,
                partial=partial,
                now=lambda: datetime.now(UTC),
            )
            _tell_plan(plan, client, as_json)
            return
        # The downloader checks the policy's name, and says which there are.
        policy: KnownFrom = known_from  # type: ignore[assignment]
        with shown(quiet=as_json) as display:
            summary = _run(
                lambda: run_download(
                    store,
                    client,
                    symbol,
                    first_day,
                    last_day,
                    granularity,
                    partial=partial,
                    known_from=policy,
                    on_progress=display.progress,
                    on_note=display.note,
                )
            )
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    else:
        _tell(summary, path)
    if summary.days_in_doubt:
        raise typer.Exit(1)


def _run(work: Callable[[], Summary]) -> Summary:
    """Do the work; where it ends early, say what holds and how to go on."""
    try:
        return work()
    except KeyboardInterrupt:
        typer.echo(
            "behemoth: stopped; every day that was stored stays, the same command goes on from "
            "there",
            err=True,
        )
    except (FeedUnavailable, EnvironmentFailed) as error:
        typer.echo(
            f"behemoth: {error}; every day that was stored stays, the same command goes on from "
            "there",
            err=True,
        )
    raise typer.Exit(1)


def _day(text: str, name: str) -> Date:
    with suppress(ValueError):
        day = Date.fromisoformat(text)
        if day.isoformat() == text:
            return day
    raise BadRequest(f"{name} is a date such as 2019-10-31, not {text!r}")


def _tell_plan(plan: Plan, client: CoinbaseClient, as_json: bool) -> None:
    seconds = plan.seconds(client.rate)
    if as_json:
        facts = {
            "product": plan.product,
            "granularity": plan.granularity,
            "days": len(plan.days),
            "requests": len(plan.windows),
            "seconds": seconds,
            "days_already_complete": len(plan.complete),
            "days_left": len(plan.left),
        }
        typer.echo(json.dumps(facts))
        return
    typer.echo(
        f"{plan.product}: {len(plan.days):,} days in {len(plan.windows):,} requests, about "
        f"{_duration(seconds)} at {client.rate:g} requests a second; {len(plan.complete):,} days "
        f"are complete, {len(plan.left):,} are not over"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def _tell(summary: Summary, path: Path) -> None:
    bins = "minutes" if summary.granularity == 60 else "candles"
    lines = [
        f"{summary.product}, {summary.first_day} to {summary.last_day}, in {path}",
        f"  days stored             {summary.days:,}",
        f"  days already complete   {summary.days_already_complete:,}",
        f"  candles                 {summary.candles:,}",
        f"  {bins} without a trade {summary.bins_without_trade:,}",
        f"  versions written        {summary.versions_written:,}",
        f"  requests                {summary.requests:,}",
        f"  retries                 {summary.retries:,}",
    ]
    if summary.days_left:
        lines.append(f"  days not over, left     {summary.days_left:,}")
    if summary.days_in_doubt:
        lines.append(f"  days in doubt, kept     {summary.days_in_doubt:,}")
    typer.echo("\n".join(lines))
