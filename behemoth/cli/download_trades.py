"""``download --what trades``: fill a table with every trade, and say how it goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path
from typing import NoReturn

import typer

from behemoth.cli.ending import why
from behemoth.cli.locking import alone, doing
from behemoth.cli.printable import printable
from behemoth.cli.progress import counted
from behemoth.cli.read import table_folder
from behemoth.errors import BadRequest, BehemothError
from behemoth.feeds import (
    CoinbaseClient,
    KnownFrom,
    TradesPlan,
    TradesProgress,
    TradesSummary,
    plan_trades,
)
from behemoth.feeds import download_trades as run_download
from behemoth.feeds.trades import TABLE
from behemoth.tickstore import LocalTickstore

DOUBT = "days in doubt: the exchange answered without a trade, what was stored was kept"
HOLDS = "every day and page that came stays, the same command goes on from there"


def download_trades(
    symbols: Sequence[str],
    first_day: Date,
    last_day: Date,
    *,
    db: Path,
    table: str | None,
    known_from: str,
    dry_run: bool,
    rate: float,
    api_url: str,
    as_json: bool,
    partial: bool = False,
    supersede: bool = False,
    quiet: bool = False,
    wait: bool = False,
) -> None:
    """Download the trades of some symbols, one after the other.

    Raises
    ------
    BadRequest
        When a part of a day is wanted.
    typer.Exit
        With 1 when a day failed or is in doubt, or the run ended early.
    """
    if partial:
        raise BadRequest("trades are stored in whole days; leave --partial out")
    # The downloader checks the policy's name, and says which there are.
    policy: KnownFrom = known_from  # type: ignore[assignment]
    path = table_folder(db, table or TABLE)
    told: list[TradesSummary] = []
    with (
        LocalTickstore(path) as store,
        CoinbaseClient(api_url, rate=rate) as client,
        _locked(
            db,
            client.base_url,
            doing("download --what trades", symbols),
            dry_run=dry_run,
            wait=wait,
        ),
    ):
        for symbol in symbols:
            if dry_run:
                plan = plan_trades(
                    store,
                    client.base_url,
                    symbol,
                    first_day,
                    last_day,
                    supersede=supersede,
                    now=lambda: datetime.now(UTC),
                )
                _tell_plan(symbol, plan, as_json)
                continue
            try:
                with _shown(quiet=as_json or quiet) as progress:
                    summary = run_download(
                        store,
                        client,
                        symbol,
                        first_day,
                        last_day,
                        known_from=policy,
                        supersede=supersede,
                        on_progress=progress,
                        on_note=_hush if quiet else _note,
                    )
            except BadRequest:
                raise
            except (KeyboardInterrupt, BehemothError) as ended:
                _end(symbol, why(ended, HOLDS), as_json)
            told.append(summary)
            if as_json:
                error = None if summary.whole else "; ".join(summary.failures) or DOUBT
                facts = {"complete": summary.whole, "error": error}
                typer.echo(json.dumps(summary.as_json() | facts))
            elif not quiet:
                _tell(summary, path)
            for line in summary.failures if quiet else ():
                _note(line)
    if not all(summary.whole for summary in told):
        raise typer.Exit(1)


def _locked(
    db: Path, source: str, what: str, *, dry_run: bool, wait: bool
) -> AbstractContextManager[None]:
    return nullcontext() if dry_run else alone(db, source, what, wait=wait, on_wait=_note)


def check_what(what: str) -> str:
    """Give back what is to be downloaded, if there is such a thing.

    Raises
    ------
    BadRequest
        When there is not.
    """
    if what not in ("candles", "trades"):
        raise BadRequest(f"--what is candles or trades, not {what!r}")
    return what


def _end(symbol: str, error: str, as_json: bool) -> NoReturn:
    """Say why it ended early, to machines too."""
    if as_json:
        facts = {"product": symbol, "what": "trades", "complete": False, "error": error}
        typer.echo(json.dumps(facts))
    typer.echo(f"behemoth: {printable(error)}", err=True)
    raise typer.Exit(1)


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[TradesProgress], None]]:
    """Show how far a day is: a bar of its pages where stderr is a terminal."""
    with counted("pages of the day", quiet=quiet) as show:
        yield lambda progress: show(progress.pages, progress.pages_total)


def _hush(_line: str) -> None:
    """Say nothing."""


def _note(line: str) -> None:
    typer.echo(printable(line), err=True)


def _tell_plan(symbol: str, plan: TradesPlan, as_json: bool) -> None:
    if as_json:
        facts = {
            "product": symbol,
            "what": "trades",
            "days": len(plan.days),
            "requests": None,
            "days_already_complete": len(plan.complete),
            "days_left": len(plan.left),
        }
        typer.echo(json.dumps(facts))
        return
    typer.echo(
        f"{printable(symbol)}: the trades of {len(plan.days):,} days, one request for each 1,000 "
        "and some to find them; how many that is, only the exchange knows; "
        f"{len(plan.complete):,} days are complete, {len(plan.left):,} are not over"
    )


def _tell(summary: TradesSummary, path: Path) -> None:
    lines = [
        f"{printable(summary.product)}, trades, {summary.first_day} to {summary.last_day}, in "
        f"{path}",
        f"  days stored             {summary.days:,}",
        f"  days already complete   {summary.days_already_complete:,}",
        f"  trades                  {summary.trades:,}",
        f"  versions written        {summary.versions_written:,}",
        f"  requests                {summary.requests:,}",
        f"  retries                 {summary.retries:,}",
    ]
    if summary.pages_kept:
        lines.append(f"  pages kept before       {summary.pages_kept:,}")
    if summary.days_left:
        lines.append(f"  days not over, left     {summary.days_left:,}")
    if summary.days_in_doubt:
        lines.append(f"  days in doubt, kept     {summary.days_in_doubt:,}")
    if summary.days_failed:
        lines.append(f"  days failed, not stored {summary.days_failed:,}")
    typer.echo("\n".join(lines))
