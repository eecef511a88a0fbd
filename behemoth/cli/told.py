"""What a download says when it has ended, or of what it would do: for people, and as JSON.

What it shows while it runs is in `behemoth.cli.progress`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from behemoth.cli.ending import why
from behemoth.cli.printable import printable
from behemoth.errors import BadRequest, BehemothError
from behemoth.feeds import Plan, Summary
from behemoth.tickstore import LocalTickstore

COUNTS = (
    *("days", "candles", "bins_without_trade", "versions_written", "requests", "retries"),
    *("days_already_complete", "days_left", "days_in_doubt", "days_deleted"),
    *("days_were_partial", "days_were_failed", "days_were_unasked"),
)
"""What adds up over symbols."""


def open_to_fill(path: Path, *, as_json: bool) -> LocalTickstore:
    """Open a table, made if it is not there; where that fails, JSON tells it too."""
    try:
        return LocalTickstore(path)
    except BadRequest:
        raise
    except BehemothError as error:
        if as_json:
            tell_summaries_as_json([], why(error, ""))
        raise


def tell_summaries(summaries: Sequence[Summary], path: Path) -> None:
    """Print what was done, for each symbol and in all."""
    for summary in summaries:
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
        more = {
            "days not over, left    ": summary.days_left,
            "days deleted, left     ": summary.days_deleted,
            "days in doubt, kept    ": summary.days_in_doubt,
            "days failed            ": len(summary.failed),
        }
        lines += [f"  {name} {count:,}" for name, count in more.items() if count]
        typer.echo(printable_block(lines))
    if len(summaries) > 1:
        total = _total(summaries)
        typer.echo(
            f"{len(summaries):,} symbols: {total['days']:,} days stored, {total['candles']:,} "
            f"candles, {total['requests']:,} requests, {total['retries']:,} retries"
        )


def tell_summaries_as_json(summaries: Sequence[Summary], error: str | None) -> None:
    """Print one object: what was done, of many symbols the totals and a list with one for each.

    Parameters
    ----------
    summaries
        Those that there are; none if it was not even begun.
    error
        Why something is missing, in one line.
    """
    each = [summary.as_json() for summary in summaries]
    facts = each[0] if len(each) == 1 else _total(summaries) if each else {}
    ended = {"complete": error is None, "error": error}
    typer.echo(json.dumps(facts | ended | ({"symbols": each} if len(each) > 1 else {})))


def what_is_missing(summaries: Sequence[Summary]) -> list[str]:
    """Say why a run is not complete, a line for each symbol and reason."""
    lines = []
    for summary in summaries:
        reasons = []
        if summary.refused:
            reasons.append(summary.refused)
        if summary.failed:
            days = ", ".join(map(str, summary.failed))
            reasons.append(f"days failed: {days}; the same command, or --repair, asks them again")
        if summary.days_in_doubt:
            reasons.append(
                f"days in doubt: {summary.days_in_doubt:,}; what was stored was kept, see "
                "behemoth verify-source"
            )
        lines += [f"{summary.product}: {reason}" for reason in reasons]
    return lines


def tell_plans(plans: Sequence[Plan], rate: float, *, as_json: bool) -> None:
    """Print what would be asked, for each symbol and in all."""
    each = [_facts(plan, rate) for plan in plans]
    numbers = [name for name in each[0] if name not in ("product", "granularity")]
    total = {name: sum(facts[name] for facts in each) for name in numbers}
    if as_json:
        many = {"granularity": plans[0].granularity, **total, "symbols": each}
        typer.echo(json.dumps(each[0] if len(each) == 1 else many))
        return
    if len(each) > 1:
        each.append({"product": f"{len(each):,} symbols"} | total)
    for facts in each:
        typer.echo(
            printable(
                f"{facts['product']}: {facts['days']:,} days in {facts['requests']:,} requests, "
                f"about {_duration(facts['seconds'])} at {rate:g} requests a second; "
                f"{facts['days_already_complete']:,} days are complete, {facts['days_left']:,} "
                "are not over"
            )
        )


def printable_block(lines: Sequence[str]) -> str:
    """Join lines, each made harmless for a terminal."""
    return "\n".join(map(printable, lines))


def _total(summaries: Sequence[Summary]) -> dict[str, Any]:
    return {
        "granularity": summaries[0].granularity,
        "source": summaries[0].source,
        "first_day": min(summary.first_day for summary in summaries).isoformat(),
        "last_day": max(summary.last_day for summary in summaries).isoformat(),
        **{name: sum(getattr(summary, name) for summary in summaries) for name in COUNTS},
        "days_failed": sum(len(summary.failed) for summary in summaries),
    }


def _facts(plan: Plan, rate: float) -> dict[str, Any]:
    return {
        "product": plan.product,
        "granularity": plan.granularity,
        "days": len(plan.days),
        "requests": len(plan.windows),
        "seconds": plan.seconds(rate),
        "days_already_complete": len(plan.complete),
        "days_left": len(plan.left),
        "days_deleted": len(plan.deleted),
        "days_were_partial": plan.shortfall.partial,
        "days_were_failed": plan.shortfall.failed,
        "days_were_unasked": plan.shortfall.unasked,
    }


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"
