"""From what a table holds to what a download has to ask: reads the table, writes nothing.

The decisions are those of `behemoth.feeds.plan`, `behemoth.feeds.asked` and
`behemoth.feeds.unmixed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date as Date
from datetime import datetime

from behemoth.errors import BadRequest
from behemoth.feeds.asked import asked_range, shortfall
from behemoth.feeds.candles import check_granularity
from behemoth.feeds.plan import Plan, check_range, complete_days, days_between, plan
from behemoth.feeds.storing import what_of
from behemoth.feeds.unmixed import check_unmixed, histories
from behemoth.tickstore import Tickstore


def plan_download(
    table: Tickstore,
    source: str,
    product: str,
    first_day: Date | None = None,
    last_day: Date | None = None,
    granularity: int = 60,
    *,
    partial: bool = False,
    repair: bool = False,
    supersede: bool = False,
    now: Callable[[], datetime],
) -> Plan:
    """Plan what a table still lacks; writes nothing.

    Parameters
    ----------
    table
        The tickstore.
    source
        The exchange's base URL, as `CoinbaseClient.base_url` gives it.
    product, first_day, last_day, granularity, partial, repair, supersede
        As for `download`.
    now
        Asked for the exchange's time if any wanted day is not complete.

    Raises
    ------
    BadRequest
        As `download`.
    """
    what = what_of(check_granularity(granularity))
    first_day, last_day = wanted_range(
        table, source, product, first_day, last_day, what, repair=repair
    )
    seen = table.observations(product)
    done = complete_days(seen, source, what, first_day, last_day)
    if all(day in done for day in days_between(first_day, last_day)):
        return Plan(product, granularity, first_day, last_day, complete=tuple(sorted(done)))
    todo = plan(
        product,
        first_day,
        last_day,
        granularity,
        now=now(),
        complete=done,
        deleted={
            date
            for date, history in histories(table, product).items()
            if history[-1].kind == "delete"
        },
        partial=partial,
    )
    dates = [day.date for day in todo.days]
    if not supersede:
        check_unmixed(table, product, dates, source, what, unnamed=True)
    return replace(todo, shortfall=shortfall(dates, seen, source, what))


def wanted_range(
    table: Tickstore,
    source: str,
    product: str,
    first_day: Date | None,
    last_day: Date | None,
    what: str,
    *,
    repair: bool,
) -> tuple[Date, Date]:
    """Give the range of a download: where no days are named, all that was ever asked.

    Raises
    ------
    BadRequest
        When there is none, or it cannot be.
    """
    if first_day is None or last_day is None:
        if not repair:
            raise BadRequest("a download needs a first and a last day; only a repair knows them")
        asked = asked_range(table.observations(product), source, what)
        if asked is None:
            raise BadRequest(
                f"{product}: {source} was never asked for {what} into this table, so there is "
                "nothing to repair; say from which day to which"
            )
        first_day, last_day = asked
    check_range(first_day, last_day)
    return first_day, last_day
