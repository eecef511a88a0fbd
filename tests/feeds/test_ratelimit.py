"""Nobody asks faster than allowed."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth.errors import BadRequest
from behemoth.feeds.ratelimit import TokenBucket


class Watch:
    """A stopwatch whose sleep moves its hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@given(
    st.floats(0.5, 100),
    st.integers(1, 20),
    st.lists(st.one_of(st.just(0.0), st.floats(0, 3)), min_size=2, max_size=60),
)
def test_no_stretch_of_time_sees_more_than_burst_plus_rate(rate, burst, rests):
    """Whatever the rests between the requests."""
    watch = Watch()
    bucket = TokenBucket(rate, burst, clock=watch, sleep=watch.sleep)
    taken = []
    for rest in rests:
        watch.sleep(rest)
        bucket.take()
        taken.append(watch.now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            allowed = burst + rate * (taken[last] - taken[first])
            assert last - first + 1 <= allowed + 1e-6


def test_a_steady_asker_gets_the_whole_rate():
    """Nothing is lost to rounding."""
    watch = Watch()
    bucket = TokenBucket(10, 1, clock=watch, sleep=watch.sleep)
    for _ in range(1001):
        bucket.take()
    assert watch.now == pytest.approx(100.0)


def test_a_pause_holds_for_everybody_and_uses_the_burst_up():
    """After it the tokens come one by one."""
    watch = Watch()
    bucket = TokenBucket(10, 5, clock=watch, sleep=watch.sleep)
    bucket.pause(3)
    assert not bucket.try_take()
    bucket.take()
    assert watch.now == pytest.approx(3.0)
    bucket.take()
    assert watch.now == pytest.approx(3.1)


def test_threads_share_one_bucket():
    """Eight threads together get what one would."""
    watch = Watch()
    bucket = TokenBucket(10, 1, clock=watch, sleep=watch.sleep)
    threads = [
        threading.Thread(target=lambda: [bucket.take() for _ in range(25)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.now == pytest.approx(19.9)


def test_the_burst_is_saved_by_idling_alone():
    """One who has just begun has none: the program before it may have used it up."""
    watch = Watch()
    bucket = TokenBucket(10, 5, clock=watch, sleep=watch.sleep)
    assert [bucket.try_take() for _ in range(2)] == [True, False]
    watch.sleep(0.4)
    assert [bucket.try_take() for _ in range(5)] == [True] * 4 + [False]
    watch.sleep(100)
    assert [bucket.try_take() for _ in range(6)] == [True] * 5 + [False]


def test_an_exchange_begins_rested():
    """It has not heard of anybody yet."""
    bucket = TokenBucket(10, 3, clock=Watch(), rested=True)
    assert [bucket.try_take() for _ in range(4)] == [True] * 3 + [False]


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (10, 0)])
def test_a_bucket_that_cannot_be_is_refused(rate, burst):
    """A rate above 0, a burst of at least 1."""
    with pytest.raises(BadRequest):
        TokenBucket(rate, burst)
