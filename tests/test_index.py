"""The index of a symbol answers as the pure core does, date by date."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from behemoth.bitemporal import (
    LATEST_AS_OF,
    RESOLUTION,
    START_AS_OF,
    Revision,
    retract,
    supersede,
    visible,
)
from behemoth.index import Timeline, checkpoint, from_checkpoint, table

ZERO = datetime(2020, 1, 1, tzinfo=UTC)
DATES = [date(2019, 10, 29), date(2019, 10, 31), date(1969, 12, 31)]


@st.composite
def commits(draw):
    """Commits of one symbol, each of one revision; and the histories that they make."""
    histories = dict.fromkeys(DATES, ())
    made = []
    for number in range(1, draw(st.integers(0, 12)) + 1):
        day = draw(st.sampled_from(DATES))
        time = ZERO + timedelta(seconds=number)
        history = histories[day]
        earliest = history[-1].start_time + RESOLUTION if history else START_AS_OF
        start = draw(st.sampled_from([time, max(earliest, time - timedelta(seconds=2))]))
        version = history[-1].version + draw(st.integers(1, 2)) if history else 0
        revision = Revision("A", day, version, "insert", start, LATEST_AS_OF, number, time)
        if visible(history) is not None and draw(st.booleans()):
            histories[day] = retract(history, replace(revision, kind="delete"))
        else:
            first = number * 10**9
            full = replace(
                revision, splay=version, rows=2, first=first, last=first + 10, digest="ab" * 32
            )
            histories[day] = supersede(history, full)
        made.append(replace(histories[day][-1], end_time=LATEST_AS_OF))
    return made, histories


def folded(made):
    """Fold commit by commit."""
    timeline = Timeline("A")
    for revision in made:
        timeline = timeline.with_revisions([revision])
    return timeline


@given(commits())
def test_knowledge_intervals_are_those_of_the_core(case):
    """Every revision, by date and version, with its start and its end."""
    made, histories = case
    expected = [revision for day in sorted(DATES) for revision in histories[day]]
    assert folded(made).revisions() == expected
    assert Timeline("A").with_revisions(made).revisions() == expected


@given(commits(), st.integers(0, 13), st.integers(-3, 13), st.sampled_from([-1, 0, 1]))
def test_what_is_visible_is_what_the_core_says(case, commit, second, step):
    """At any instant, at any commit, for all dates at once."""
    made, histories = case
    instant = ZERO + timedelta(seconds=second) + step * RESOLUTION
    found = folded(made).visible(instant, commit)
    expected = [visible(histories[day], instant, commit) for day in sorted(DATES)]
    assert [(r.date, r.version) for r in found] == [(r.date, r.version) for r in expected if r]


@given(commits(), st.integers(0, 13))
def test_only_revisions_with_ticks_in_the_range_are_read(case, second):
    """Both ends of the range are included."""
    made, _ = case
    at = second * 10**9 + 5
    found = folded(made).visible(ticks=(at, at))
    expected = [r for r in folded(made).visible() if r.first <= at <= r.last]
    assert found == expected


@given(commits())
def test_folding_twice_changes_nothing(case):
    """As after an interrupt."""
    made, _ = case
    timeline = folded(made)
    assert timeline.with_revisions(made).revisions() == timeline.revisions()


@given(commits())
def test_a_checkpoint_gives_the_same_timeline_back(case):
    """Also through the frame's own index."""
    made, _ = case
    timeline = folded(made)
    rows = timeline.rows
    frame = checkpoint(["A"], np.zeros(len(rows), dtype=int), rows)
    assert frame.index.names == ["symbol", "date", "version"]
    days = frame.index.get_level_values("date").to_numpy().astype("M8[D]").astype(int)
    columns = {name: frame[name].to_numpy() for name in frame}
    again = from_checkpoint(days, frame.index.get_level_values("version").to_numpy(), columns)
    assert Timeline("A", again).revisions() == timeline.revisions()


@given(commits())
def test_the_table_that_users_see_has_one_row_for_each_revision(case):
    """Types do not depend on what is in it."""
    made, _ = case
    revisions = folded(made).revisions()
    frame = table(revisions, [None] * len(revisions))
    assert len(frame) == len(revisions)
    assert str(frame["start_time"].dtype) == "datetime64[us, UTC]"
    assert str(frame["first"].dtype) == "datetime64[ns, UTC]"
    assert frame["end_time"].tolist() == [pd.Timestamp(r.end_time) for r in revisions]
