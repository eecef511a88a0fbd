"""Fetching windows side by side, and handing their candles on in order, cut into days.

Threads live here and nowhere else in the feeds. What to fetch is decided by `behemoth.feeds.plan`,
what becomes of a day by `behemoth.feeds.downloader`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Self

import pandas as pd

from behemoth.errors import FeedError
from behemoth.feeds.believing import Believer
from behemoth.feeds.candles import Candles, Window, joined
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.feeds.plan import PlannedDay

PATIENCE = 2.0
"""Seconds that an answer may take without slowing the download down."""
MOST_WORKERS = 32
AHEAD = 256
"""Windows under way at most, counted from the oldest that is not answered: when a single one is
tried again and again, the others go on for a while, and memory stays bounded."""


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
        When the answer came, by this machine's clock.
    """

    window: Window
    candles: Candles | None = None
    at: datetime | None = None


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


class Fetch:
    """Fetch windows by threads; iterate to get the answers in the order of the windows.

    Leaving it as a context manager ends all threads, without waiting for retries.

    Parameters
    ----------
    client
        Whom to ask. Its rate decides how many requests are in flight.
    windows
        What to ask.
    clock
        Gives the present, aware UTC.

    Attributes
    ----------
    error : FeedError or None
        Why the first window failed that did. From then on nothing new is asked; what was answered
        by then is still handed on.
    """

    def __init__(
        self, client: CoinbaseClient, windows: Iterable[Window], clock: Callable[[], datetime]
    ) -> None:
        self.error: FeedError | None = None
        self._client = client
        self._believer = Believer(client)
        self._windows = iter(windows)
        self._clock = clock
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
            except FeedError as error:
                answer = Answer(window)
                if self.error is None:
                    self.error = error
                    self._stop()
            if self.error is None:
                self._submit(1)
            yield answer

    def _submit(self, count: int) -> None:
        for window in islice(self._windows, count):
            self._pending.append((window, self._pool.submit(self._fetch, window)))

    def _fetch(self, window: Window) -> Answer:
        return Answer(window, self._believer.fetch(window), self._clock())

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


def by_day(days: Iterable[PlannedDay], answers: Iterable[Answer]) -> Iterator[FetchedDay]:
    """Cut answers into days, each given as soon as its last window is there.

    Parameters
    ----------
    days
        In their order.
    answers
        To windows that cover the days, in the order of time. A day that a window without candles
        belongs to is passed over.
    """
    arriving = iter(answers)
    held: list[Answer] = []
    for day in days:
        held = [answer for answer in held if answer.window.end > day.start]
        while not held or held[-1].window.end < day.end:
            answer = next(arriving, None)
            if answer is None:
                return
            held.append(answer)
        candles = [answer.candles for answer in held if answer.candles is not None]
        if len(candles) == len(held):
            asked_at = max(answer.at for answer in held if answer.at is not None)
            yield FetchedDay(day, joined(candles, day.start, day.end), asked_at)
