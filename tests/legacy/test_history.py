"""From rows of an old index to what happened."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth.bitemporal import LATEST_AS_OF, RESOLUTION, START_AS_OF
from behemoth.legacy.history import Row, decide, known, problems, rounds

DAY = date(2019, 10, 31)
NOW = datetime(2020, 1, 1, tzinfo=UTC)


def at(hours):
    """Some hours into November 2019; ``None`` is left to the ends of time."""
    return datetime(2019, 11, 1, tzinfo=UTC) + timedelta(hours=hours)


def row(version, start=None, end=None, symbol="A", day=DAY):
    return Row(
        symbol,
        day,
        version,
        START_AS_OF if start is None else at(start),
        LATEST_AS_OF if end is None else at(end),
        "",
    )


def told(rows):
    """What happened to the only symbol and date: since when, and which version came."""
    (events,) = decide(rows).values()
    return [(event.time, None if event.row is None else event.row.version) for event in events]


def test_a_version_that_is_still_known_is_one_insert():
    assert told([row(0)]) == [(START_AS_OF, 0)]


def test_a_version_that_another_supersedes_needs_no_delete():
    assert told([row(1, 2), row(0, None, 2)]) == [(START_AS_OF, 0), (at(2), 1)]


def test_a_version_that_ends_alone_was_deleted_then():
    assert told([row(0, 1, 3)]) == [(at(1), 0), (at(3), None)]


def test_a_gap_between_versions_is_a_delete_and_an_insert():
    assert told([row(0, None, 1), row(1, 2)]) == [(START_AS_OF, 0), (at(1), None), (at(2), 1)]


def test_each_symbol_and_date_has_its_own_history_and_rounds_mix_them():
    rows = [row(0, 1, 2), row(0, 5, symbol="B"), row(0, 3, day=date(2019, 11, 1))]
    assert [
        [(e.symbol, e.date.day, e.row is None) for e in each] for each in rounds(decide(rows))
    ] == [
        [("A", 31, False), ("A", 1, False), ("B", 31, False)],
        [("A", 31, True)],
    ]


def test_no_rows_are_no_rounds():
    assert list(rounds(decide([]))) == []


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_the_events_answer_every_instant_as_the_rows_do(shape):
    """Any chain of versions, with and without gaps, with and without an open end."""
    rows, time = [], 0
    for version, (gap, opened) in enumerate(shape):
        time += gap
        start = None if version == 0 and opened else time
        time += 1
        last = version == len(shape) - 1
        rows.append(row(version, start, None if last and opened else time))
    (events,) = decide(reversed(rows)).values()
    assert [event.time for event in events] == sorted({event.time for event in events})
    ends = {moment for each in rows for moment in (each.start, each.end)}
    moments = ends - {START_AS_OF, LATEST_AS_OF}
    for moment in {m + step * RESOLUTION for m in moments for step in (-1, 0)} | {START_AS_OF}:
        newest = next((event for event in reversed(events) if event.time <= moment), None)
        assert (newest.row if newest else None) == known(rows, moment)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([row(0, None, 3), row(1, 2)], "version 1 starts at 2019-11-01T02:00:00+00:00, before"),
        ([row(0), row(1, 2)], "before version 0 ends, never"),
        ([row(0), row(1)], "version 1 starts when version 0 starts, at the start of time"),
        ([row(0, 3, 2)], "it ends at 2019-11-01T02:00:00+00:00, not after it starts"),
        ([row(0, 2, 2)], "not after it starts"),
        ([row(0, 24 * 365)], "it starts in the future"),
        ([row(0, 1, 24 * 365)], "it ends in the future"),
        ([row(0, 1, 2), row(0, 3)], "'A' 2019-10-31 version 0 is there 2 times"),
        ([row(0, day=date(1600, 1, 1))], "dates lie in"),
    ],
)
def test_what_cannot_be_is_named(rows, line):
    assert [line in found for found in problems(rows, NOW)] == [True]


def test_every_contradiction_is_collected_and_a_sound_index_has_none():
    broken = [row(0, 3, 2), row(0, 5, 4, symbol="B"), row(0, symbol="C")]
    assert len(problems(broken, NOW)) == 2
    assert problems([row(0, None, 1), row(1, 1, 2), row(4, 3)], NOW) == []
