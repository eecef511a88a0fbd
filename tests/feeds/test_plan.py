"""What a download asks, decided from values."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth.bitemporal import LATEST_AS_OF, START_AS_OF, Observation, Revision
from behemoth.errors import BadRequest
from behemoth.feeds.plan import (
    check_known_from,
    complete_days,
    days_between,
    knowledge_start,
    plan,
    seconds_of,
)

NOW = datetime(2019, 11, 1, 12, 0, 30, tzinfo=UTC)
DAY = date(2019, 10, 31)


def test_the_articles_four_years_are_7512_requests():
    """At ten a second, 12.5 minutes (2.6 hours in the article)."""
    todo = plan("BTC-USD", date(2015, 7, 20), DAY, now=NOW)
    assert len(todo.windows) == 7512
    assert todo.seconds(10) < 20 * 60
    assert len(todo.days) == 1565


@given(
    st.sets(st.integers(0, 20)),
    st.sampled_from([60, 300, 900, 3600, 21600, 86400]),
    st.booleans(),
)
def test_windows_cover_every_missing_day_once_and_nothing_else(done, granularity, partial):
    """At most 300 candles each, both ends included, aligned, without overlap."""
    first, last = date(2019, 10, 15), date(2019, 11, 3)
    complete = {first + timedelta(days=number) for number in done}
    todo = plan("X", first, last, granularity, now=NOW, complete=complete, partial=partial)
    covered = [
        time
        for window in todo.windows
        for time in range(window.first, window.last + 1, granularity)
    ]
    wanted = [time for day in todo.days for time in range(day.start, day.end, granularity)]
    assert covered == wanted
    assert all(1 <= len(window) <= 300 for window in todo.windows)
    planned = {day.date for day in todo.days}
    wanted_days = {*days_between(first, last)}
    assert planned | set(todo.left) | set(todo.complete) == wanted_days
    assert not planned & complete
    assert all(window.end <= NOW.timestamp() for window in todo.windows)


def test_a_day_that_is_not_over_is_left_or_asked_up_to_the_last_candle_that_is():
    """The open candle is never asked."""
    left = plan("X", DAY, date(2019, 11, 2), now=NOW)
    assert [day.date for day in left.days] == [DAY]
    assert left.left == (date(2019, 11, 1), date(2019, 11, 2))
    partial = plan("X", DAY, date(2019, 11, 2), now=NOW, partial=True)
    assert [(day.date, day.outcome) for day in partial.days] == [
        (DAY, "complete"),
        (date(2019, 11, 1), "partial"),
    ]
    assert partial.days[-1].end == seconds_of(date(2019, 11, 1)) + 12 * 3600
    assert partial.left == (date(2019, 11, 2),)


@pytest.mark.parametrize("second", [-1, 0, 1])
def test_midnight_decides_whether_a_day_is_over(second):
    """By the exchange's clock."""
    midnight = datetime(2019, 11, 1, tzinfo=UTC)
    todo = plan("X", DAY, DAY, now=midnight + timedelta(seconds=second))
    assert len(todo.days) == (second >= 0)


@pytest.mark.parametrize(
    ("first", "last", "granularity", "message"),
    [
        (date(2019, 11, 2), date(2019, 11, 3), 60, "future"),
        (DAY, date(2019, 10, 30), 60, "before the start"),
        ("2019-10-31", "2019-10-31", 60, "a UTC day is a datetime.date, not '2019-10-31'"),
        (DAY, datetime(2019, 10, 31), 60, "try .date()"),
        (DAY, DAY, 61, "60, 300, 900, 3600, 21600, 86400"),
        (date(1, 1, 1), DAY, 60, "1677"),
    ],
)
def test_a_range_that_cannot_be_is_refused(first, last, granularity, message):
    """One clear line."""
    with pytest.raises(BadRequest, match=message):
        plan("X", first, last, granularity, now=NOW)


def seen(start, end, source="http://a", what="candles/60", outcome="complete"):
    """An observation."""
    return Observation("X", source, what, start, end, NOW, outcome, 1)


def test_a_day_is_complete_when_the_same_source_said_so_of_all_of_it():
    """Another source, another granularity, a partial answer or half a day do not count."""
    midnight = datetime(2019, 10, 29, tzinfo=UTC)
    day = timedelta(days=1)
    observations = [
        seen(midnight, midnight + day),
        seen(midnight + day, midnight + 2 * day, source="http://b"),
        seen(midnight + day, midnight + 2 * day, what="candles/300"),
        seen(midnight + day, midnight + 2 * day, outcome="partial"),
        seen(midnight + 1.5 * day, midnight + 3.5 * day),
    ]
    found = complete_days(observations, "http://a", "candles/60", date(2019, 1, 1), DAY)
    assert found == {date(2019, 10, 29), date(2019, 10, 31)}


def revision(start, version=0):
    """A revision that is known from a time."""
    return Revision("X", DAY, version, "insert", start, LATEST_AS_OF, 1, start, version)


def test_knowledge_is_backdated_where_law_and_history_allow():
    """Otherwise it starts with the commit."""
    midnight = datetime(2019, 11, 1, tzinfo=UTC)
    before, after = midnight - timedelta(hours=1), midnight + timedelta(hours=1)
    assert knowledge_start("now", DAY, (), NOW) == LATEST_AS_OF
    assert knowledge_start("start", DAY, (), NOW) == START_AS_OF
    assert knowledge_start("day-end", DAY, (), NOW) == midnight
    assert knowledge_start("start", DAY, (revision(before),), NOW) == LATEST_AS_OF
    assert knowledge_start("day-end", DAY, (revision(before),), NOW) == midnight
    assert knowledge_start("day-end", DAY, (revision(after),), NOW) == LATEST_AS_OF
    assert knowledge_start("day-end", DAY, (), before) == LATEST_AS_OF
    with pytest.raises(BadRequest, match="now, day-end, start"):
        check_known_from("yesterday")


def test_windows_of_one_run_meet_across_midnight():
    """1,440 is no multiple of 300, so a window may belong to two days."""
    todo = plan("X", date(2019, 10, 30), DAY, now=NOW)
    assert len(todo.windows) == 10
    assert all(a.end == b.first for a, b in itertools.pairwise(todo.windows))
