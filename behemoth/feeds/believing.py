"""Whether an empty answer is to be believed: only with evidence from wider questions.

The exchange has been seen to answer empty where there are candles. So whoever stores answers asks
through a `Believer`. What lives here: which wider questions to ask, what their answers prove, and
a small class that asks them and keeps the proofs. Nothing is written here, and nothing is known of
days or tables.
"""

from __future__ import annotations

import threading
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from behemoth.errors import FeedUnavailable
from behemoth.feeds.candles import GRANULARITIES, MAX_CANDLES, Candles, Window

Verdict = Literal["empty", "traded", "unclear"]
"""What wider candles say of a window: nobody traded in it, somebody did, or they cannot tell."""

WIDEST = max(GRANULARITIES)
HALF = MAX_CANDLES // 2
MARGIN = MAX_CANDLES // 4
"""Candles on either side of a short window, at least."""
ENOUGH = 5
"""Empty answers to the widest question, in all, that are believed."""
MOST = 8
"""Empty answers to one window that end the asking."""


class AtOdds(FeedUnavailable):
    """A window stays empty although wider candles show trades in it: the exchange is not down."""


class Asks(Protocol):
    """Whoever answers a window, `behemoth.feeds.CoinbaseClient` for one."""

    def fetch(self, window: Window) -> Candles:
        """Ask for one window of candles."""


def wider_questions(window: Window) -> tuple[Window, ...]:
    """Give the questions whose answers tell whether a window is empty, the narrowest first.

    The first is of the coarsest candles that the window is cut along, because only those tell for
    certain that somebody traded within it; the last is of 300 days. Windows that lie near each
    other have the same questions.

    Examples
    --------
    >>> for question in wider_questions(Window("BTC-USD", 60, 1572480000, 1572497940)):
    ...     print(question)
    'BTC-USD', candles of 3600 s from 2019-10-26 18:00 to 2019-11-08 05:00 UTC
    'BTC-USD', candles of 86400 s from 2019-08-20 00:00 to 2020-06-14 00:00 UTC
    """
    own = window.granularity
    along = [
        coarser
        for coarser in GRANULARITIES
        if coarser > own and window.first % coarser == 0 == window.end % coarser
    ]
    questions = [_around(window, granularity) for granularity in {max(along, default=own), WIDEST}]
    return tuple(
        question
        for question in sorted(questions, key=lambda question: question.granularity)
        if question.first <= window.first and window.last <= question.last and question != window
    )


def judge(window: Window, question: Window, traded: NDArray[np.int64]) -> Verdict:
    """Tell what the answer to a wider question says of a window.

    Parameters
    ----------
    window
        What is in doubt.
    question
        A wider question.
    traded
        int64, start of each candle that it was answered with, unix seconds, increasing.

    Returns
    -------
    Verdict
        ``"empty"`` if no candle that overlaps the window is there; ``"traded"`` if one is that
        lies within it; ``"unclear"`` if those that are there stand out of it.
    """
    length = question.granularity
    over = traded[(traded > window.first - length) & (traded < window.end)]
    if len(over) == 0:
        return "empty"
    inside = (over >= window.first) & (over + length <= window.end)
    return "traded" if inside.any() else "unclear"


class Believer:
    """Ask an exchange for windows, and believe an empty answer only with evidence.

    The evidence is kept: it serves all windows of a run, in all threads.

    Parameters
    ----------
    client
        Whom to ask.
    """

    def __init__(self, client: Asks) -> None:
        self._client = client
        self._state = threading.Lock()
        self._locks: dict[Window, threading.Lock] = {}
        self._answers: dict[Window, NDArray[np.int64]] = {}
        self._in_vain: set[Window] = set()
        self._traded: dict[str, set[int]] = {}

    def fetch(self, window: Window) -> Candles:
        """Ask for a window until its answer is one to believe.

        An answer with candles is. An empty one is if wider candles show trades elsewhere and none
        in it; or if the widest are empty too, as often as they are asked. One that wider candles
        contradict is asked again.

        Raises
        ------
        FeedRefused, FeedUnavailable
            As the client does; and `AtOdds` if the window stays empty although wider candles show
            trades in it.
        """
        verdict: Verdict = "unclear"
        for _ in range(MOST):
            candles = self._client.fetch(window)
            if len(candles):
                self._remember_trades(candles)
                return candles
            verdict = self._inquire(window)
            if verdict == "empty":
                return candles
        if verdict == "unclear":
            return candles
        raise AtOdds(
            f"{window}: answered empty {MOST} times, but wider candles show trades in it; "
            "the exchange is at odds with itself, try again later"
        )

    def _inquire(self, window: Window) -> Verdict:
        """Ask wider and wider, as far as it is not known, until there is a verdict."""
        questions = wider_questions(window)
        verdict = self._known(window, questions)
        for question in questions:
            if verdict != "unclear":
                return verdict
            self._ask(question, questions[-1])
            verdict = self._known(window, questions)
        return verdict

    def _known(self, window: Window, questions: tuple[Window, ...]) -> Verdict:
        with self._state:
            answers = [(q, self._answers[q]) for q in questions if q in self._answers]
        verdicts = {judge(window, question, traded) for question, traded in answers}
        # Those that contradict the window come first.
        return "traded" if "traded" in verdicts else "empty" if "empty" in verdicts else "unclear"

    def _ask(self, question: Window, widest: Window) -> None:
        """Ask a wider question; one thread does, and the others wait for what it learns."""
        with self._state:
            lock = self._locks.setdefault(question, threading.Lock())
        with lock:
            # One that was empty itself is asked again only if the widest does not settle it.
            if question in self._answers or (
                question in self._in_vain and widest not in self._answers
            ):
                return
            for _ in range(ENOUGH if question == widest else 1):
                candles = self._client.fetch(question)
                if len(candles):
                    self._remember_trades(candles)
                    break
            with self._state:
                if len(candles) or (question == widest and not self._has_traded(question)):
                    self._answers[question] = candles.time
                elif question != widest:
                    self._in_vain.add(question)

    def _remember_trades(self, candles: Candles) -> None:
        """Keep the days of which candles were seen: no empty answer speaks for them as a whole."""
        days = set((candles.time // WIDEST).tolist())
        with self._state:
            self._traded.setdefault(candles.window.product, set()).update(days)

    def _has_traded(self, question: Window) -> bool:
        days = range(question.first // WIDEST, question.end // WIDEST)
        return not self._traded.get(question.product, set()).isdisjoint(days)


def _around(window: Window, granularity: int) -> Window:
    """Give a question of 300 candles that holds a window, the same one for its neighbours.

    A short window lies well within it, so that trades before it and after it are seen.
    """
    first = window.first // granularity
    last = (window.end - 1) // granularity
    begin = first // HALF * HALF - MARGIN if last - first < MARGIN else last - MAX_CANDLES + 1
    begin *= granularity
    return Window(window.product, granularity, begin, begin + (MAX_CANDLES - 1) * granularity)
