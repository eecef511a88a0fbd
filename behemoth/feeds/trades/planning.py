"""Which days a download of trades has to fetch, decided from what was observed; writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime

from behemoth.errors import BadRequest
from behemoth.feeds.plan import DAY, check_range, complete_days, days_between, seconds_of
from behemoth.feeds.trades.values import WHAT
from behemoth.feeds.unmixed import check_unmixed, histories
from behemoth.tickstore import Tickstore
from behemoth.tickstore.tickstore import utc_now


@dataclass(frozen=True, slots=True)
class TradesPlan:
    """Which days a download of trades has to fetch; how many requests, only their ids tell.

    Attributes
    ----------
    days
        Wanted days that are over and not complete.
    complete
        Wanted days that were complete before.
    left
        Wanted days that are not over.
    deleted
        Wanted days whose ticks were deleted; they are left alone.
    """

    days: tuple[Date, ...]
    complete: tuple[Date, ...]
    left: tuple[Date, ...]
    deleted: tuple[Date, ...] = ()


def plan_trades(
    table: Tickstore,
    source: str,
    product: str,
    first_day: Date,
    last_day: Date,
    *,
    supersede: bool = False,
    now: Callable[[], datetime],
) -> TradesPlan:
    """Plan which days a table still lacks; writes nothing.

    Parameters
    ----------
    table, product, first_day, last_day, supersede
        As for `download_trades`.
    source
        The exchange's base URL, as `CoinbaseClient.base_url` gives it.
    now
        Asked for the exchange's time if any wanted day is not complete.

    Raises
    ------
    BadRequest
        When the range cannot be, or is all in the future; when other ticks are there already.
    """
    check_range(first_day, last_day)
    done = complete_days(table.observations(product), source, WHAT, first_day, last_day)
    wanted = [day for day in days_between(first_day, last_day) if day not in done]
    time = now() if wanted else utc_now()
    if wanted and first_day > time.date():
        raise BadRequest(
            f"the start {first_day} is in the future, it is {time:%Y-%m-%d %H:%M} UTC at the "
            "exchange; ask for a range that has begun"
        )
    over = tuple(day for day in wanted if seconds_of(day) + DAY <= time.timestamp())
    left = tuple(wanted[len(over) :])
    gone = {
        date
        for date, history in (histories(table, product) if over else {}).items()
        if history[-1].kind == "delete"
    }
    days = tuple(day for day in over if day not in gone)
    if not supersede:
        check_unmixed(table, product, days, source, WHAT, unnamed=True)
    return TradesPlan(days, tuple(sorted(done)), left, tuple(day for day in over if day in gone))
