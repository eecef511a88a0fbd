"""Fetching windows side by side, and handing their candles on in order, cut into days.

Threads live here and nowhere else in the feeds. What to fetch is decided by `behemoth.feeds.plan`,
whether an empty answer is true by `behemoth.feeds.believing`, what becomes of a day by
`behemoth.feeds.downloader`.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Self

import pandas as pd

from behemoth import codec
from behemoth.errors import FeedError, FeedRefused, FeedUnavailable
from behemoth.feeds.believing import AtOdds, Believer
from behemoth.feeds.candles import Candles, Window, joined
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.plan import PlannedDay

PATIENCE = 2.0
"""Seconds that an answer may take without slowing the download down."""
MOST_WORKERS = 32
AHEAD = 256
"""Windows under way at most, counted from the oldest that is not answered: when a single one is
tried again and again, the others go on for a while, and memory stays bounded."""
DOWN = 10
"""Windows without a usable answer one after the other before the exchange counts as down; more than
a day has. An empty answer is one, believed or not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one window.

    Attributes
    ----------
    window
        What was asked.
    candles
        The candles, or ``None`` if it failed or was given up.
    at
        When the answer came, by this machine's clock; ``None`` if it was given up.
    error
        Why it failed.
    """

    window: Window
    candles: Candles | None = None
    at: datetime | None = None
    error: FeedError | None = None


@dataclass(frozen=True, slots=True)
class FetchedDay:
    """A day of which every window was answered.

    Attributes
    ----------
    day
        What was planned.
    frame
        Its candles, as `Candles.frame` gives them.
    asked_at
        When the last of its answers came, by this machine's clock.
    """

    day: PlannedDay
    frame: pd.DataFrame
    asked_at: datetime

    @property
    def digest(self) -> str:
        """What tells its candles from others, to the bit: -0.0 is not 0.0."""
        return codec.dismantle(self.frame, str(self.frame.index.name)).digest()


@dataclass(frozen=True, slots=True)
class FailedDay:
    """A day of which a window failed for good.

    Attributes
    ----------
    day
        What was planned.
    asked_at
        When it was given up, by this machine's clock.
    error
        Why.
    """

    day: PlannedDay
    asked_at: datetime
    error: FeedError


class Fetch:
    """Fetch windows by threads; iterate to get the answers in the order of the windows.

    A window that fails for good costs only itself. A refusal ends its product: no more of it is
    asked. When many windows in a row got no usable answer, nothing more is asked at all. What was
    answered by then is still handed on.

    Leaving it as a context manager ends all threads, without waiting for retries.

    Parameters
    ----------
    client
        Whom to ask. Its rate decides how many requests are in flight.
    windows
        What to ask, of one product or of many.
    clock
        Gives the present, aware UTC.
    believer
        What is known of empty answers, if somebody keeps it.

    Attributes
    ----------
    error : FeedError or None
        Why the first window failed that did.
    down : FeedUnavailable or None
        Why it ended before its end.
    refused : dict of str to FeedRefused
        The products that the exchange refused.
    """

    def __init__(
        self,
        client: CoinbaseClient,
        windows: Iterable[Window],
        clock: Callable[[], datetime],
        believer: Believer | None = None,
    ) -> None:
        self.error: FeedError | None = None
        self.down: FeedUnavailable | None = None
        self.refused: dict[str, FeedRefused] = {}
        self._client = client
        self._believer = believer or Believer(client)
        self._windows = (window for window in windows if window.product not in self.refused)
        self._clock = clock
        self._failed_in_a_row = 0
        self._judging = threading.Lock()
        self._pool = ThreadPoolExecutor(workers(client.rate), thread_name_prefix="candles")
        self._pending: deque[tuple[Window, Future[Answer]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __iter__(self) -> Iterator[Answer]:
        self._submit(AHEAD)
        while self._pending:
            window, future = self._pending.popleft()
            try:
                answer = future.result()
            except CancelledError:
                answer = Answer(window)
            if self.down is None:
                self._submit(1)
            else:
                self._stop()
            yield answer

    def _submit(self, count: int) -> None:
        for window in islice(self._windows, count):
            self._pending.append((window, self._pool.submit(self._fetch, window)))

    def _fetch(self, window: Window) -> Answer:
        if window.product in self.refused or self.down is not None:
            return Answer(window)
        try:
            candles = self._believer.fetch(window)
        except FeedError as error:
            return self._failed(window, error)
        self._failed_in_a_row = 0
        return Answer(window, candles, self._clock())

    def _failed(self, window: Window, error: FeedError) -> Answer:
        with self._judging:
            if self.down is not None:  # it may only have been called off
                return Answer(window)
            self.error = self.error or error
            if isinstance(error, FeedRefused):
                self.refused.setdefault(window.product, error)
            elif isinstance(error, AtOdds):  # it was answered
                self._failed_in_a_row = 0
            elif isinstance(error, FeedUnavailable):
                self._failed_in_a_row += 1
                if self._failed_in_a_row >= DOWN:
                    self.down = error
        return Answer(window, at=self._clock(), error=error)

    def _stop(self) -> None:
        with self._client.abandoned():
            self._pool.shutdown(wait=True, cancel_futures=True)


def workers(rate: float) -> int:
    """Give how many requests may be in flight, so that slow answers do not slow the rate.

    Examples
    --------
    >>> workers(10)
    20
    """
    return max(2, min(MOST_WORKERS, math.ceil(rate * PATIENCE)))


class Cutter:
    """Cut the answers of one product into days, each given as soon as its last window is there.

    Parameters
    ----------
    days
        In their order.
    """

    def __init__(self, days: Iterable[PlannedDay]) -> None:
        self._days = deque(days)
        self._held: list[Answer] = []

    def take(self, answer: Answer) -> Iterator[FetchedDay | FailedDay]:
        """Take the next answer, in the order of time, and give the days that it ends.

        A day with a window that was given up is passed over.
        """
        self._held.append(answer)
        while self._days and self._days[0].end <= answer.window.end:
            day = self._days.popleft()
            ended = _day_of(day, [held for held in self._held if held.window.first < day.end])
            following = self._days[0].start if self._days else day.end
            self._held = [held for held in self._held if held.window.end > following]
            if ended is not None:
                yield ended


def _day_of(day: PlannedDay, held: list[Answer]) -> FetchedDay | FailedDay | None:
    candles = [answer.candles for answer in held if answer.candles is not None]
    times = [answer.at for answer in held if answer.at is not None]
    if len(candles) == len(held):
        return FetchedDay(day, joined(candles, day.start, day.end), max(times))
    error = next((answer.error for answer in held if answer.error is not None), None)
    return None if error is None else FailedDay(day, max(times), error)
