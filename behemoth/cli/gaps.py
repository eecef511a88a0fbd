"""The command ``gaps``: which days are covered, what is missing and why."""

from __future__ import annotations

import json
from datetime import date as Date
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.table import Column, Table
from rich.text import Text

from behemoth.cli.history import show
from behemoth.cli.printable import printable
from behemoth.cli.read import (
    AS_OF,
    DB,
    DEFAULT_DB,
    DEFAULT_TABLE,
    JSON,
    TABLE,
    no_symbol,
    open_table,
    print_csv,
    records,
    state_of,
)
from behemoth.errors import BadRequest
from behemoth.tickstore.export import whole
from behemoth.tickstore.missing import REASONS
from behemoth.tickstore.times import whole_date

SHOWN = 20
"""Spans or days, as many as a terminal shows by default."""

DAY = 86_400
"""Seconds."""

TO_FETCH = ("not fetched", "failed")
"""What a download would mend."""


def gaps(
    symbol: Annotated[str, typer.Argument(help="The symbol.")],
    start: Annotated[
        str | None, typer.Argument(help="First UTC day; by default the first one known.")
    ] = None,
    end: Annotated[
        str | None, typer.Argument(help="Last UTC day; by default the last one known.")
    ] = None,
    reason: Annotated[
        list[str] | None,
        typer.Option(help=f"Show only these spans: {', '.join(REASONS)}. May come twice."),
    ] = None,
    longest: Annotated[bool, typer.Option("--longest", help="Show the longest first.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=0, help="At most so many; by default 20, as JSON or CSV all."
        ),
    ] = None,
    days: Annotated[
        bool, typer.Option("--days", help="Show days with their states, not what is missing.")
    ] = False,
    granularity: Annotated[
        int | None,
        typer.Option(help="Seconds of a candle; by default of those that were asked for."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw a calendar into FILE.html.")
    ] = None,
    as_of: AS_OF = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")] = False,
    as_json: JSON = False,
    db: DB = DEFAULT_DB,
    table: TABLE = DEFAULT_TABLE,
) -> None:
    """Tell minutes without a trade from those that were not fetched.

    Exit code 0: nothing of the range is to be fetched. 1: something was not fetched, or failed;
    what was deleted, or stored without asking, is shown and does not count.

    Example: [bold]behemoth gaps BTC-USD 2019-10-01 2019-10-31 --longest[/bold]
    """
    _check(reason or [], plot)
    state, first, last = state_of(as_of), whole_date(start), whole_date(end)
    with open_table(db, table) as opened:
        view = opened if as_of is None else opened.at(state)
        if not view.revisions(symbol) and not view.observations(symbol):
            raise no_symbol(opened, symbol)
        missing = view.gaps(symbol, first, last, granularity=granularity)
        covered = view.coverage(symbol, first, last)
    if plot is not None:
        _draw(covered, symbol, plot)
    wanted = missing[missing["reason"].isin(reason)] if reason else missing
    if longest:
        wanted = wanted.loc[(-_seconds(wanted)).sort_values(kind="stable").index]
    full = covered.reset_index() if days else wanted
    told = full if limit is None else full.head(limit)
    if as_json:
        facts = _facts(symbol, covered, missing)
        rows = _records(told)
        typer.echo(json.dumps({**facts, "coverage" if days else "gaps": rows}, allow_nan=False))
    elif csv:
        print_csv(told.assign(date=told["date"].dt.date) if days else told, index=False)
    else:
        _sum_up(symbol, covered, missing)
        told = told.head(SHOWN if limit is None else limit)
        if len(told):
            show(_days(told) if days else _spans(told))
        if len(told) < len(full):
            typer.echo(f"{len(told):,} of {len(full):,} are shown; see --limit")
    if missing["reason"].isin(TO_FETCH).any():
        raise typer.Exit(1)


def _check(reasons: list[str], plot: Path | None) -> None:
    for each in reasons:
        if each not in REASONS:
            raise BadRequest(f"a reason is one of {', '.join(REASONS)}, not {each!r}")
    if plot is not None and plot.suffix != ".html":
        raise BadRequest(f"{plot} is not .html; the calendar is a page")


def _draw(covered: pd.DataFrame, symbol: str, file: Path) -> None:
    """Write a page that carries plotly.js, so that it needs no network."""
    from behemoth.research.calendar import coverage_calendar

    figure = coverage_calendar(covered, title=f"{symbol}: coverage by UTC day")
    with whole(file) as new:
        new.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")
    typer.echo(f"calendar written to {file}", err=True)


def _facts(symbol: str, covered: pd.DataFrame, missing: pd.DataFrame) -> dict[str, Any]:
    """Sum up for machines: days by state, what is missing by reason, as candles and seconds."""
    first, last = _ends(covered)
    return {
        "symbol": symbol,
        "first_day": None if first is None else first.isoformat(),
        "last_day": None if last is None else last.isoformat(),
        "granularity": missing.attrs["granularity"],
        "days": _counts(covered["state"]),
        "missing_bins": _added(missing, "bins"),
        "missing_seconds": _added(missing, "seconds"),
    }


def _ends(covered: pd.DataFrame) -> tuple[Date | None, Date | None]:
    if covered.empty:
        return None, None
    return covered.index[0].date(), covered.index[-1].date()


def _counts(states: pd.Series[Any]) -> dict[str, int]:
    """Count by category; none that is not there."""
    found = states.value_counts(sort=False)
    return {str(name): int(count) for name, count in found.items() if count}


def _added(missing: pd.DataFrame, what: str) -> dict[str, int]:
    """Add up by reason; none that is not there."""
    values = missing["bins"] if what == "bins" else _seconds(missing)
    added = values.dropna().groupby(missing["reason"], observed=True).sum()
    return {str(name): int(count) for name, count in added.items()}


def _seconds(missing: pd.DataFrame) -> pd.Series[Any]:
    """Give the length of each span; in nanoseconds, centuries would not fit into int64."""
    start, end = (missing[name].dt.as_unit("us") for name in ("start", "end"))
    seconds: pd.Series[Any] = (end - start).dt.total_seconds()
    return seconds


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.assign(date=frame["date"].dt.date) if "date" in frame else frame
    return records(plain.reset_index(drop=True))


def _sum_up(symbol: str, covered: pd.DataFrame, missing: pd.DataFrame) -> None:
    """Say it in three lines."""
    first, last = _ends(covered)
    if first is None:
        typer.echo(f"{printable(symbol)}: nothing was asked for in these days, nothing is stored")
        return
    states = ", ".join(f"{count:,} {state}" for state, count in _counts(covered["state"]).items())
    typer.echo(f"{printable(symbol)}, {first} to {last} (UTC), {_number(len(covered), 'day')}")
    typer.echo(f"days: {states}")
    seconds = missing.attrs["granularity"]
    added = _added(missing, "bins" if seconds is not None else "seconds")
    if not added:
        typer.echo("missing: nothing")
        return
    if seconds is None:
        parts = [f"{_number(count / DAY, 'day')} {reason}" for reason, count in added.items()]
        typer.echo(f"missing: {', '.join(parts)}")
    else:
        parts = [f"{count:,} {reason}" for reason, count in added.items()]
        typer.echo(f"missing candles of {seconds} s: {', '.join(parts)}")


def _number(count: float, noun: str) -> str:
    return f"{count:,.6g} {noun}{'' if count == 1 else 's'}"


def _spans(missing: pd.DataFrame) -> Table:
    shown = Table("start (UTC)", "end, not included", Column("candles", justify="right"), "reason")
    for row in missing.to_dict("records"):
        bins = "" if pd.isna(row["bins"]) else f"{row['bins']:,}"
        shown.add_row(_time(row["start"]), _time(row["end"]), bins, row["reason"])
    return shown


def _days(covered: pd.DataFrame) -> Table:
    rows = Column("rows", justify="right")
    shown = Table(
        "date", "state", rows, "last asked (UTC)", "askings", "failures", "what", "source"
    )
    for row in covered.to_dict("records"):
        asked = row["asked_at"]
        said = (row["what"], row["source"])
        shown.add_row(
            f"{row['date']:%Y-%m-%d}",
            row["state"],
            f"{row['rows']:,}",
            "" if pd.isna(asked) else f"{asked:%Y-%m-%dT%H:%M:%S}",
            str(row["askings"] or ""),
            str(row["failures"] or ""),
            *(Text("" if pd.isna(text) else printable(text)) for text in said),
        )
    return shown


def _time(time: pd.Timestamp) -> str:
    """Show a time to the second, or exactly where it is between two."""
    exact = time.tz_localize(None).isoformat()
    return exact if time.second or time.microsecond or time.nanosecond else exact[:16]
