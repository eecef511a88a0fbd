"""One download under way: asks for the days of its products in turn, and has them stored.

Windows that fail cost their days, which are asked once more at the end. What an answer may do to
the table is decided by `behemoth.feeds.storing`; threads are those of `behemoth.feeds.fetching`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date as Date
from datetime import datetime
from functools import cache
from threading import RLock
from typing import Any, TypeVar

from behemoth.errors import BadRequest, FeedError, FeedRefused
from behemoth.feeds.asking import Counts
from behemoth.feeds.believing import Believer
from behemoth.feeds.candles import check_granularity, joined
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.fetching import Cutter, FailedDay, Fetch, FetchedDay
from behemoth.feeds.plan import KnownFrom, Plan, PlannedDay, check_known_from, windows_of
from behemoth.feeds.preparing import plan_download, wanted_range
from behemoth.feeds.storing import Storing, what_of
from behemoth.feeds.summary import Progress, Summary
from behemoth.tickstore import Tickstore

T = TypeVar("T")


class Run:
    """One run under way, of one product or of many."""

    def __init__(
        self,
        table: Tickstore,
        client: CoinbaseClient,
        known_from: KnownFrom,
        clock: Callable[[], datetime],
        on_progress: Callable[[Progress], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._table = table
        self._client = client
        self._known_from = check_known_from(known_from)
        self._clock = clock
        self._on_progress = on_progress
        self._on_note = _one_at_a_time(on_note)
        self._believer = Believer(client)
        self._before = client.counts
        self._asked_before: dict[str, Counts] = {}
        self._wanted: dict[str, Summary] = {}
        self._plans: dict[str, Plan] = {}
        self._stores: dict[str, Storing] = {}
        self._progress = Progress(0, 0, 0, 0)
        self.refused: dict[str, FeedRefused] = {}

    def prepare(
        self,
        products: Sequence[str],
        first_day: Date | None,
        last_day: Date | None,
        granularity: int,
        partial: bool,
        repair: bool,
        supersede: bool,
    ) -> None:
        """Plan for each product, before anything is asked but the time."""
        if isinstance(products, str) or not products:
            raise BadRequest("name one product or more, in a list")
        now = cache(self._client.time)
        source, what = self._client.base_url, what_of(check_granularity(granularity))
        for product in products:
            first, last = wanted_range(
                self._table, source, product, first_day, last_day, what, repair=repair
            )
            self._asked_before[product] = self._client.counts_of(product)
            self._wanted[product] = Summary(product, granularity, source, first, last)
        for product, wanted in self._wanted.items():
            self._plans[product] = plan_download(
                self._table,
                source,
                product,
                wanted.first_day,
                wanted.last_day,
                granularity,
                partial=partial,
                repair=repair,
                supersede=supersede,
                now=now,
            )
        for todo in self._plans.values():
            self._tell(todo, repair)
        self._compare_clocks({day for todo in self._plans.values() for day in todo.left}, now)

    def _compare_clocks(self, left: Collection[Date], now: Callable[[], datetime]) -> None:
        """Say so if a day that is not over at the exchange is over by this machine's clock."""
        here = self._clock()
        if left and min(left) < here.date():
            self._on_note(
                f"this machine's clock is ahead: it says {here:%Y-%m-%d %H:%M} UTC, but at the "
                f"exchange it is {now():%Y-%m-%d %H:%M}; no day is stored before it is over there"
            )

    def _tell(self, todo: Plan, repair: bool) -> None:
        """Say what a person may not expect of a plan."""
        if repair:
            self._on_note(f"{todo.product}: days to repair: {todo.shortfall}")
        if todo.left:
            self._on_note(f"{todo.product}: not over yet, left for a later run: {_span(todo.left)}")
        if todo.deleted:
            self._on_note(
                f"{todo.product}: deleted before, and not asked: {_span(todo.deleted)}; undelete "
                "them to have them back"
            )
        if todo.complete and self._known_from != "now":
            self._on_note(
                f"{todo.product}: {len(todo.complete):,} days are stored already; since when they "
                "are known is not changed"
            )

    def carry_out(self) -> list[Summary]:
        """Ask and store it all, what failed once more, and give the summaries."""
        self._stores = {product: self._storing(todo) for product, todo in self._plans.items()}
        self._progress = Progress(0, 0, 0, sum(len(todo.days) for todo in self._plans.values()))
        with self._client.telling(self._on_note):
            self._round({product: todo.days for product, todo in self._plans.items()})
            failed = {
                product: tuple(storing.failed.values())
                for product, storing in self._stores.items()
                if storing.failed and product not in self.refused
            }
            if failed:
                days = sum(map(len, failed.values()))
                self._on_note(f"{days:,} days failed; they are asked once more")
                self._round(failed)
        return self.summaries()

    def summaries(self) -> list[Summary]:
        """Tell what was done so far, also where the run ended early."""
        return [self._summary(product) for product in self._wanted]

    def _storing(self, todo: Plan) -> Storing:
        return Storing(
            self._table,
            self._client.base_url,
            todo,
            self._known_from,
            self._clock,
            lambda day: self._ask_again(todo, day),
            self._on_note,
        )

    def _round(self, days: Mapping[str, Sequence[PlannedDay]]) -> None:
        """Ask for days of some products, which take turns, and store them."""
        cutters = {product: Cutter(wanted) for product, wanted in days.items()}
        windows = {
            product: windows_of(product, wanted, self._plans[product].granularity)
            for product, wanted in days.items()
        }
        total = sum(map(len, windows.values()))
        self._advance(windows_total=self._progress.windows_total + total)
        with Fetch(self._client, in_turn(windows.values()), self._clock, self._believer) as fetch:
            for answer in fetch:
                product = answer.window.product
                if answer.candles is not None:
                    self._advance(windows=self._progress.windows + 1, product=product)
                for day in cutters[product].take(answer):
                    if product not in fetch.refused or isinstance(day, FetchedDay):
                        self._take(product, day)
        self.refused |= fetch.refused
        if fetch.down is not None:
            raise fetch.down

    def _take(self, product: str, day: FetchedDay | FailedDay) -> None:
        storing = self._stores[product]
        before = storing.summary
        if storing.take(day):
            self._advance(
                days=self._progress.days + 1,
                date=day.day.date,
                product=product,
                candles=self._progress.candles + storing.summary.candles - before.candles,
            )

    def _ask_again(self, todo: Plan, day: PlannedDay) -> FetchedDay | None:
        windows = windows_of(todo.product, [day], todo.granularity)
        try:
            parts = [self._believer.fetch(window) for window in windows]
        except FeedError:
            return None
        return FetchedDay(day, joined(parts, day.start, day.end), self._clock())

    def _summary(self, product: str) -> Summary:
        """Give a product's summary; the time that was asked for counts for a product alone."""
        storing, refused = self._stores.get(product), self.refused.get(product)
        asked = self._client.counts_of(product) - self._asked_before[product]
        if len(self._wanted) == 1:
            asked = self._client.counts - self._before
        return replace(
            self._wanted[product] if storing is None else storing.summary,
            requests=asked.requests,
            retries=asked.retries,
            failed=() if storing is None else tuple(sorted(storing.failed)),
            refused=None if refused is None else str(refused),
        )

    def _advance(self, **changes: Any) -> None:
        self._progress = replace(self._progress, **changes)
        self._on_progress(self._progress)


def in_turn(sequences: Iterable[Iterable[T]]) -> Iterator[T]:
    """Give the first of each, the second of each, and so on.

    Examples
    --------
    >>> "".join(in_turn(["abc", "d", "ef"]))
    'adebfc'
    """
    waiting = deque(map(iter, sequences))
    while waiting:
        one = waiting.popleft()
        for item in one:
            yield item
            waiting.append(one)
            break


def _one_at_a_time(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Let no two threads tell at once."""
    lock = RLock()

    def tell_alone(line: str) -> None:
        with lock:
            tell(line)

    return tell_alone


def _span(days: Sequence[Date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}, {len(days)} days"
