"""``download --what trades``: fill a table with every trade, and say how it goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from datetime import date as Date
from functools import cache
from pathlib import Path
from typing import Any

import typer

from behemoth.cli.ending import why
from behemoth.cli.locking import alone, doing
from behemoth.cli.printable import printable
from behemoth.cli.progress import Seldom, counted
from behemoth.cli.read import table_folder
from behemoth.cli.told import open_to_fill
from behemoth.errors import BadRequest, BehemothError, FeedRefused
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
    ended: dict[str, str] = {}
    with (
        open_to_fill(path, as_json=as_json) as store,
        CoinbaseClient(api_url, rate=rate) as client,
    ):
        if dry_run:
            now = datetime.now(UTC)
            plans = {
                symbol: plan_trades(
                    store,
                    client.base_url,
                    symbol,
                    first_day,
                    last_day,
                    supersede=supersede,
                    now=lambda: now,
                )
                for symbol in symbols
            }
            _tell_plans(plans, as_json)
            return

        def one(symbol: str) -> TradesSummary:
            with _shown(quiet=as_json or quiet) as progress:
                return run_download(
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

        holds = ""
        doings = doing("download --what trades", symbols)
        try:
            with alone(db, client.base_url, doings, wait=wait, on_wait=_note):
                holds, ask_time = HOLDS, cache(client.time)
                for symbol in symbols[1:]:  # what cannot be is refused before anything is stored
                    plan_trades(
                        store,
                        client.base_url,
                        symbol,
                        first_day,
                        last_day,
                        supersede=supersede,
                        now=ask_time,
                    )
                for symbol in symbols:
                    try:
                        summary = one(symbol)
                    except FeedRefused as error:  # the others go on
                        ended[symbol] = why(error, HOLDS)
                        _note(f"behemoth: {ended[symbol]}")
                        continue
                    told.append(summary)
                    if not (as_json or quiet):
                        _tell(summary, path)
                    for line in summary.failures if quiet else ():
                        _note(line)
        except BadRequest:
            raise
        except (KeyboardInterrupt, BehemothError) as error:
            rest = symbols[len(told) + len(ended) :]
            if not rest:  # all was done, and is about to be told
                raise
            reason = why(error, holds)
            _note(f"behemoth: {reason}")
            ended |= {rest[0]: reason} | dict.fromkeys(rest[1:], "not begun")
    if as_json:
        _tell_json(told, ended)
    if ended or not all(summary.whole for summary in told):
        raise typer.Exit(1)


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


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[TradesProgress], None]]:
    """Show how far a day is: a bar of its pages where stderr is a terminal, else lines."""
    if quiet or sys.stderr.isatty():
        with counted("pages of the day", quiet=quiet) as show:
            yield lambda progress: show(progress.pages, progress.pages_total)
        return
    seldom = Seldom()

    def tell(progress: TradesProgress) -> None:
        if seldom.due():
            _note(
                f"{progress.date}: {progress.pages:,} of {progress.pages_total:,} pages, "
                f"{progress.days:,} of {progress.days_total:,} days stored"
            )

    yield tell


def _hush(_line: str) -> None:
    """Say nothing."""


def _note(line: str) -> None:
    typer.echo(printable(line), err=True)


def _tell_plans(plans: Mapping[str, TradesPlan], as_json: bool) -> None:
    facts = [
        {
            "product": symbol,
            "what": "trades",
            "days": len(plan.days),
            "requests": None,
            "days_already_complete": len(plan.complete),
            "days_left": len(plan.left),
            "days_deleted": len(plan.deleted),
        }
        for symbol, plan in plans.items()
    ]
    if as_json:
        typer.echo(json.dumps(_added(facts) | ({"symbols": facts} if len(facts) > 1 else {})))
        return
    for each in facts:
        typer.echo(
            f"{printable(str(each['product']))}: the trades of {_days(each['days'])}, one request "
            "for each 1,000 and some to find them; how many that is, only the exchange knows; "
            f"complete already: {_days(each['days_already_complete'])}, "
            f"not over: {_days(each['days_left'])}"
        )


def _tell_json(told: Sequence[TradesSummary], ended: Mapping[str, str]) -> None:
    """Print one object, as of candles: of many symbols the totals, and a list with each."""
    each = [
        summary.as_json()
        | {"error": None if summary.whole else "; ".join(summary.failures) or DOUBT}
        for summary in told
    ]
    each += [{"product": symbol, "what": "trades", "error": why} for symbol, why in ended.items()]
    error = "; ".join(dict.fromkeys(facts["error"] for facts in each if facts["error"])) or None
    facts = _added(each) | {"complete": error is None, "error": error}
    typer.echo(json.dumps(facts | ({"symbols": each} if len(each) > 1 else {})))


def _added(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the one object; of more the sums of their numbers, and what they have in common."""
    if len(each) == 1:
        return dict(each[0])
    total: dict[str, Any] = {}
    for name in dict.fromkeys(name for facts in each for name in facts):
        values = [facts[name] for facts in each if name in facts]
        if all(isinstance(value, int) for value in values):
            total[name] = sum(values)
        elif all(value == values[0] for value in values) and len(values) == len(each):
            total[name] = values[0]
    return total


def _days(count: Any) -> str:
    """Say a number of days."""
    return f"{count:,} {'day' if count == 1 else 'days'}"


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
    if summary.days_deleted:
        lines.append(f"  days deleted, left      {summary.days_deleted:,}")
    if summary.days_in_doubt:
        lines.append(f"  days in doubt, kept     {summary.days_in_doubt:,}")
    if summary.days_failed:
        lines.append(f"  days failed, not stored {summary.days_failed:,}")
    typer.echo("\n".join(lines))
