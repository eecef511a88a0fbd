"""The downloader: from the exchange into a tickstore, one commit for each day.

The verbs, and what they promise. How a run goes is the business of `behemoth.feeds.running`; what
it looks like to a person, that of the command line, which listens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from datetime import date as Date

from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.plan import KnownFrom
from behemoth.feeds.preparing import plan_download
from behemoth.feeds.running import Run
from behemoth.feeds.storing import what_of
from behemoth.feeds.summary import Progress, Summary
from behemoth.tickstore import Tickstore

__all__ = ["download", "download_many", "plan_download", "utc_now", "what_of"]


def utc_now() -> datetime:
    """Give the present, aware UTC."""
    return datetime.now(UTC)


def download(
    table: Tickstore,
    client: CoinbaseClient,
    product: str,
    first_day: Date | None = None,
    last_day: Date | None = None,
    granularity: int = 60,
    *,
    partial: bool = False,
    known_from: KnownFrom = "now",
    repair: bool = False,
    supersede: bool = False,
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Download candles into a tickstore: what it lacks, one commit for each UTC day.

    Each day is committed as soon as it is there, in the order of the days, with the observation
    that it is complete; so a download that was interrupted goes on where it was. The candle that
    is still open is never stored. A day without a single trade is kept as an observation only.

    An empty answer is believed with evidence alone, see ``behemoth.feeds.believing``. One that
    lacks ticks which are stored must come twice before it supersedes them, and one without any
    never does. A day that fails is kept as an observation that says so, and is asked once more at
    the end.

    Parameters
    ----------
    table
        The tickstore. Frames have the index ``time`` (datetime64[ns, UTC], start of the candle)
        and the columns ``low high open close volume`` (float64).
    client
        The exchange.
    product
        Its id for what to download, ``"BTC-USD"`` for instance; it becomes the symbol.
    first_day, last_day
        UTC days, ``[first_day, last_day]``; may be left out for a repair, which then goes from the
        first day that was ever asked to the last one.
    granularity
        Seconds of a candle: 60, 300, 900, 3600, 21600 or 86400.
    partial
        Store what there is of a day that is not over; a later run completes it.
    known_from
        Since when the ticks count as known: ``"now"``; ``"day-end"``, the midnight after their
        day; or ``"start"``, since always. The last two hold where law and history allow them, see
        ``behemoth.feeds.plan.knowledge_start``; they change nothing for days that are stored.
    repair
        Say how the days that are asked came to be missing.
    supersede
        Let it supersede, or stand beside, what came from another source or is of another
        granularity.
    clock
        Gives the present, aware UTC, as the tickstore's clock does.
    on_progress
        Called after each answer and each day stored.
    on_note
        Called with a line that a person should see; from any thread, by one at a time.

    Returns
    -------
    Summary

    Raises
    ------
    BadRequest
        When the range or the granularity cannot be, the range is all in the future, there is no
        range and nothing was asked before, or the table holds another source's ticks.
    FeedRefused
        When the exchange refused the product. What was answered by then is stored, as far as
        whole days are concerned.
    FeedUnavailable
        When the exchange cannot be reached, or many windows in a row have failed; likewise.
    """
    run = Run(table, client, known_from, clock, on_progress, on_note)
    run.prepare([product], first_day, last_day, granularity, partial, repair, supersede)
    (summary,) = run.carry_out()
    if product in run.refused:
        raise run.refused[product]
    return summary


def download_many(
    table: Tickstore,
    client: CoinbaseClient,
    products: Sequence[str],
    first_day: Date | None = None,
    last_day: Date | None = None,
    granularity: int = 60,
    *,
    partial: bool = False,
    known_from: KnownFrom = "now",
    repair: bool = False,
    supersede: bool = False,
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> list[Summary]:
    """Download candles of many products in one run, within one rate.

    They take turns, window by window, so that none waits for another's end. One that the exchange
    refuses does not stop the others: its summary says so.

    Parameters
    ----------
    products
        Their ids; one that is named twice is downloaded once.
    table, client, first_day, last_day, granularity, partial, known_from, repair, supersede, clock
        As for `download`.
    on_progress, on_note
        As for `download`; progress is that of all of them.

    Returns
    -------
    list of Summary
        One for each product, in their order.

    Raises
    ------
    BadRequest, FeedUnavailable
        As `download`.
    """
    run = Run(table, client, known_from, clock, on_progress, on_note)
    run.prepare(products, first_day, last_day, granularity, partial, repair, supersede)
    return run.carry_out()
