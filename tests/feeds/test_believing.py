"""An empty answer is believed only with evidence."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth.errors import FeedUnavailable
from behemoth.feeds.believing import ENOUGH, MOST, Believer, judge, wider_questions
from behemoth.feeds.candles import GRANULARITIES, MAX_CANDLES, Candles, Window
from behemoth.feeds.plan import plan

DAY = 86400
NOW = datetime(2022, 1, 1, tzinfo=UTC)


class Exchange:
    """Trades each minute of a set of ranges, and answers empty as often as it is told to."""

    def __init__(self, *trading, lie=lambda _: False):
        self.trading = trading
        self.lie = lie
        self.asked = Counter()
        self.lock = threading.Lock()

    def truth(self, window):
        """The starts of the candles of a window that has trades."""
        length = window.granularity
        found = [
            np.arange(max(window.first, first // length * length), min(window.end, end), length)
            for first, end in self.trading
        ]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def fetch(self, window):
        """Answer a window."""
        with self.lock:
            self.asked[window.granularity] += 1
            lies = self.lie(window)
        time = np.empty(0, np.int64) if lies else self.truth(window)
        return Candles(window, time.astype(np.int64), np.ones((len(time), 5)))


def seconds(*when):
    """Unix seconds of a UTC time."""
    return int(datetime(*when, tzinfo=UTC).timestamp())


def windows(first, last, granularity=60):
    """What a download of these days asks."""
    return plan("X", first, last, granularity, now=NOW).windows


def random_lies(share, seed):
    """Answer empty so often."""
    rng = random.Random(seed)  # noqa: S311 - lies are no secrets
    return lambda _: rng.random() < share


def test_one_empty_answer_in_five_gets_no_wrong_empty_window_through():
    """5,000 windows of a product that trades each minute, asked by many threads."""
    days = 1042
    exchange = Exchange((0, 2**40), lie=random_lies(0.2, seed=1))
    believer = Believer(exchange)
    asked = windows(date(2019, 1, 1), date(2019, 1, 1) + timedelta(days=days - 1))
    with ThreadPoolExecutor(8) as pool:
        wrong = [
            window
            for window, candles in zip(asked, pool.map(believer.fetch, asked), strict=True)
            if len(candles) != len(window)
        ]
    assert wrong == []
    # One in four is asked again because of a lie, and hardly anything on top of that.
    assert exchange.asked.total() < 1.4 * len(asked)


@pytest.mark.parametrize("lies", [0.0, 0.2])
def test_three_years_before_a_listing_cost_a_handful_of_requests(lies):
    """And not one of the 5,260 windows more."""
    listing = seconds(2019, 6, 1, 14)
    exchange = Exchange((listing, 2**40), lie=random_lies(lies, seed=2))
    believer = Believer(exchange)
    asked = windows(date(2016, 6, 1), date(2019, 6, 1))
    found = [believer.fetch(window) for window in asked]
    assert sum(map(len, found)) == 600
    assert exchange.asked.total() - len(asked) < 60
    assert exchange.asked[DAY] < 60


def test_a_long_hole_costs_a_handful_of_requests():
    """Three weeks of maintenance between trades, from noon to noon."""
    hole = seconds(2019, 3, 3, 12), seconds(2019, 3, 24, 12)
    exchange = Exchange((0, hole[0]), (hole[1], 2**40))
    believer = Believer(exchange)
    asked = windows(date(2019, 3, 1), date(2019, 3, 31))
    empty = [window for window in asked if len(believer.fetch(window)) == 0]
    assert len(empty) == 100
    assert all(hole[0] <= window.first and window.end <= hole[1] for window in empty)
    assert exchange.asked.total() - len(asked) <= 8


def test_a_delisted_product_is_empty_after_its_last_day():
    """Two years after it cost a handful, too."""
    exchange = Exchange((0, seconds(2019, 1, 5)))
    believer = Believer(exchange)
    asked = windows(date(2019, 1, 4), date(2021, 1, 4))
    assert sum(len(believer.fetch(window)) for window in asked) == 1440
    assert exchange.asked.total() - len(asked) < 40


def test_a_product_that_never_traded_is_believed_after_several_askings():
    """Even the widest answers are empty."""
    exchange = Exchange()
    (window,) = windows(date(2019, 1, 1), date(2019, 1, 1))[:1]
    assert len(Believer(exchange).fetch(window)) == 0
    assert exchange.asked == {60: 1, 3600: 1, DAY: ENOUGH}


def test_a_lie_is_asked_again_when_wider_candles_show_trades():
    """The first answer is empty, the wider one is not, and the second one is taken."""
    lies = iter([True])
    exchange = Exchange((0, 2**40), lie=lambda _: next(lies, False))
    (window,) = windows(date(2019, 1, 1), date(2019, 1, 1))[:1]
    assert len(Believer(exchange).fetch(window)) == 300
    assert exchange.asked == {60: 2, 3600: 1}


def test_an_exchange_at_odds_with_itself_is_not_believed():
    """Its hours have trades where its minutes never have."""
    exchange = Exchange((0, 2**40), lie=lambda window: window.granularity == 60)
    (window,) = windows(date(2019, 1, 1), date(2019, 1, 1))[:1]
    with pytest.raises(FeedUnavailable, match="at odds"):
        Believer(exchange).fetch(window)
    assert exchange.asked == {60: MOST, 3600: 1}


def test_known_trades_outweigh_an_empty_answer_to_the_widest_question():
    """Where a window of the same days had candles, days without any cannot be."""
    exchange = Exchange((0, 2**40), lie=lambda window: window.granularity > 60)
    believer = Believer(exchange)
    first, second = windows(date(2019, 1, 1), date(2019, 1, 1))[:2]
    assert len(believer.fetch(first)) == 300
    lies = iter([True])
    exchange.lie = lambda window: window.granularity > 60 or next(lies, False)
    assert len(believer.fetch(second)) == 300


@given(
    st.sampled_from(sorted(GRANULARITIES)),
    st.integers(-1000, 10**6),
    st.integers(1, MAX_CANDLES),
)
def test_wider_questions_hold_the_window_and_are_few(granularity, first, length):
    """Coarser and wider, each one the exchange would answer."""
    window = Window("X", granularity, first * granularity, (first + length - 1) * granularity)
    questions = wider_questions(window)
    assert len(questions) <= 2
    for question in questions:
        assert question.first <= window.first
        assert window.end <= question.end
        assert len(question) == MAX_CANDLES
        assert question.first % question.granularity == 0


@given(st.integers(0, 40), st.integers(1, 30), st.sets(st.integers(0, 60)), st.data())
def test_the_verdict_on_a_window_is_never_wrong(first, length, traded, data):
    """Against a list of minutes: empty means none, traded means one, or they cannot tell."""
    step = data.draw(st.sampled_from([1, 2, 5]))
    window = Window("X", 60, first * 60, (first + length - 1) * 60)
    question = Window("X", 60 * step, 0, 299 * 60 * step)
    answer = np.array(sorted({minute // step * step * 60 for minute in traded}), np.int64)
    inside = any(first <= minute < first + length for minute in traded)
    verdict = judge(window, question, answer)
    if verdict != "unclear":
        assert (verdict == "traded") == inside
    else:
        assert step > 1
