"""The laws of knowledge time, over the pure core."""

from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth import bitemporal
from behemoth.bitemporal import (
    LATEST_AS_OF,
    RESOLUTION,
    START_AS_OF,
    BiTimestamp,
    Revision,
    known_from,
    next_commit_time,
    retract,
    supersede,
    visible,
)
from behemoth.errors import BadRequest, NotFound

DAY = date(2019, 10, 31)
times = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


def revision(version, start, kind="insert", commit=None):
    """A revision of one date, known from a time."""
    number = version + 1 if commit is None else commit
    splay = version if kind == "insert" else None
    return Revision("A", DAY, version, kind, start, LATEST_AS_OF, number, start, splay)


@st.composite
def histories(draw):
    """Histories of inserts and deletes, as commits make them."""
    starts = sorted(draw(st.lists(times, unique=True, max_size=8)))
    history = ()
    for version, start in enumerate(starts):
        if visible(history) is not None and draw(st.booleans()):
            history = retract(history, revision(version, start, "delete"))
        else:
            history = supersede(history, revision(version, start))
    return history


def instants(history):
    """Every boundary of a history and its neighbours."""
    starts = [one.start_time for one in history]
    near = [start + step for start in starts for step in (-RESOLUTION, 0 * RESOLUTION, RESOLUTION)]
    return [START_AS_OF, *near, LATEST_AS_OF]


@given(histories())
def test_at_most_one_revision_is_visible_at_any_instant(history):
    """Law 1: knowledge intervals [start, end) of one date never overlap."""
    for instant in instants(history):
        inside = [one for one in history if one.start_time <= instant < one.end_time]
        if instant == LATEST_AS_OF:
            inside = [one for one in history if one.end_time == LATEST_AS_OF]
        expected = [one for one in inside if one.kind == "insert"]
        shown = visible(history, instant)
        assert expected == ([] if shown is None else [shown])


@given(histories(), times)
def test_an_answer_about_the_past_never_changes(history, later):
    """Law 2: a new revision changes no answer before its start, and none at an older commit."""
    newest = max([one.start_time for one in history], default=START_AS_OF)
    if later <= newest:
        later = newest + RESOLUTION
    longer = supersede(history, revision(len(history), later))
    commits = len(history)
    for instant in instants(history):
        before = visible(history, instant)
        at_old_commit = visible(longer, instant, commit=commits)
        assert (at_old_commit and at_old_commit.version) == (before and before.version)
        if instant < later:
            now = visible(longer, instant)
            assert (now and now.version) == (before and before.version)


@given(histories())
def test_the_latest_is_the_last_insert_unless_deleted(history):
    """Law 3: latest is the last insert; after a delete it is nothing."""
    shown = visible(history)
    if not history or history[-1].kind == "delete":
        assert shown is None
    else:
        assert shown == history[-1]


@given(histories())
def test_before_the_first_start_nothing_is_seen(history):
    """Law 4: no look-ahead."""
    if history:
        assert visible(history, history[0].start_time - RESOLUTION) is None


@given(st.lists(times, min_size=1))
def test_commit_times_strictly_increase_under_any_clock(clock):
    """Law 5: even when the clock stands still or steps back."""
    newest = None
    for now in clock:
        time = next_commit_time(now, newest)
        assert time >= now
        assert newest is None or time > newest
        newest = time


def test_knowledge_is_backdated_only_within_bounds():
    """Law 7: later than the start of what it supersedes, and not in the future."""
    start, now = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 6, 1, tzinfo=UTC)
    first = revision(0, start)
    assert known_from(BiTimestamp(DAY), now, first) == now
    assert known_from(BiTimestamp(DAY, BiTimestamp.start_as_of), now, None) == START_AS_OF
    later = start + RESOLUTION
    assert known_from(BiTimestamp(DAY, later), now, first) == later
    with pytest.raises(BadRequest, match="never changes"):
        known_from(BiTimestamp(DAY, start), now, first)
    with pytest.raises(BadRequest, match="never changes"):
        known_from(BiTimestamp(DAY, BiTimestamp.start_as_of), now, first)
    with pytest.raises(BadRequest, match="future"):
        known_from(BiTimestamp(DAY, now + RESOLUTION), now, first)


def test_only_what_is_there_can_be_deleted():
    """A delete of nothing is refused, also right after another delete."""
    start = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(NotFound):
        retract((), revision(0, start, "delete"))
    history = retract((revision(0, start),), revision(1, start + RESOLUTION, "delete"))
    with pytest.raises(NotFound):
        retract(history, revision(2, start + 2 * RESOLUTION, "delete"))


@pytest.mark.parametrize("broken", [revision(0, LATEST_AS_OF), revision(1, START_AS_OF)])
def test_a_history_only_grows(broken):
    """Versions and start times of a history strictly increase."""
    history = (revision(0, datetime(2020, 1, 1, tzinfo=UTC)),)
    with pytest.raises(ValueError, match="increase"):
        supersede(history, broken)


def test_a_naive_as_of_time_is_utc_and_an_aware_one_is_converted():
    """Knowledge times are aware UTC inside."""
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert BiTimestamp(DAY, datetime(2020, 1, 1, 12)).as_of_time == noon
    east = datetime.fromisoformat("2020-01-01T13:00+01:00")
    assert BiTimestamp(DAY, east).as_of_time == noon
    assert BiTimestamp(DAY, east).as_of_time.tzinfo is UTC


@pytest.mark.parametrize(
    "wrong", ["2019-10-31", datetime(2019, 10, 31), None, date(1, 1, 1), date(3000, 1, 1)]
)
def test_an_as_at_date_is_a_date_in_the_range_of_nanoseconds(wrong):
    """Texts and datetimes are refused, and dates that no tick could have."""
    with pytest.raises(BadRequest):
        BiTimestamp(wrong)


@pytest.mark.parametrize("wrong", ["2020-01-01", DAY, 5])
def test_an_as_of_time_is_a_datetime(wrong):
    """Anything else is refused."""
    with pytest.raises(BadRequest):
        BiTimestamp(DAY, wrong)


def test_the_ends_of_time_survive_time_zones():
    """An aware datetime.max or datetime.min does not overflow."""
    west = datetime.max.replace(tzinfo=datetime.fromisoformat("2020-01-01T00:00-05:00").tzinfo)
    assert BiTimestamp(DAY, west).as_of_time == LATEST_AS_OF
    east = datetime.min.replace(tzinfo=datetime.fromisoformat("2020-01-01T00:00+05:00").tzinfo)
    assert BiTimestamp(DAY, east).as_of_time == START_AS_OF
    assert timedelta(microseconds=1) == RESOLUTION


def test_the_examples_in_the_docstrings_hold():
    """Doctests of the core."""
    assert doctest.testmod(bitemporal, extraglobs={"Date": date}).failed == 0
