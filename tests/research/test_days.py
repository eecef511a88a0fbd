"""`days` gives what select gives, day by day, of one state, and holds one day."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth import BiTimestamp, MemoryTickstore, errors
from behemoth.research import days
from tests.research.tables import NEW_YORK, daily, recorded, repeatable, stored

CHANGES = ["2019-03-10", "2019-11-03", "2018-11-04", "2011-12-30"]
ZONES = [None, "UTC", NEW_YORK, "America/Sao_Paulo", "America/Havana", "Pacific/Apia"]
"""The clocks of some change at midnight, and one has left a day out."""


def ticks_at(start, minutes, aware):
    times = pd.Timestamp(start) + pd.to_timedelta(sorted(minutes), unit="min")
    index = pd.DatetimeIndex(times, tz="UTC" if aware else None, name="time").as_unit("ns")
    return pd.DataFrame({"price": np.arange(len(times))}, index=index)


ticks = st.builds(
    ticks_at,
    st.sampled_from(CHANGES),
    st.lists(st.integers(-4000, 4000), min_size=1, max_size=30),
    st.booleans(),
)


@repeatable
@given(ticks, st.sampled_from(ZONES), st.data())
def test_the_days_together_are_what_select_gives(frame, tz, data):
    """Each tick once, on its own calendar day of the zone; the days rise."""
    tickstore = stored(frame)
    edge = st.sampled_from([None, *frame.index])
    low, high = data.draw(st.tuples(edge, edge).filter(lambda e: None in e or e[0] <= e[1]))
    found = dict(days(tickstore, "A", low, high, tz=tz))
    whole = tickstore.select("A", low, high, tz=tz)
    pd.testing.assert_frame_equal(whole, pd.concat(found.values()))
    assert list(found) == sorted(set(whole.index.date))
    assert all(set(part.index.date) == {day} for day, part in found.items())


def test_a_day_of_new_york_is_a_day_of_its_clocks():
    """Of 23, 24 or 25 hours."""
    hours = range(24 * 5)
    spring = stored(ticks_at("2019-03-09 05:00", [60 * hour for hour in hours], True))
    assert [len(part) for _, part in days(spring, "A", tz=NEW_YORK)] == [24, 23, 24, 24, 24, 1]
    autumn = stored(ticks_at("2019-11-02 04:00", [60 * hour for hour in hours], True))
    assert [len(part) for _, part in days(autumn, "A", tz=NEW_YORK)] == [24, 25, 24, 24, 23]


def test_only_the_day_that_is_asked_for_is_read():
    """The next file waits until the caller wants it: memory holds one day."""
    tickstore, store = recorded(daily(days=4))
    going = days(tickstore, "A", start="2019-10-02")
    assert store.dates() == []
    for day in ("02", "03", "04"):
        assert str(next(going)[0]) == f"2019-10-{day}"
        assert store.dates() == [f"2019/10/{day}"]
    assert list(going) == []


def test_every_day_is_of_the_state_at_the_call():
    """Whatever is written, deleted or backdated meanwhile."""
    ticks = daily(days=4)
    tickstore = stored(ticks)
    going = days(tickstore, "A")
    found = [next(going)[1]]
    second, third, fourth = (BiTimestamp(date(2019, 10, day)) for day in (2, 3, 4))
    tickstore.insert("A", second, daily("2019-10-02", 1) * 100)
    tickstore.delete("A", third)
    known = tickstore.revisions("A")[-1].start_time + pd.Timedelta("1us")
    tickstore.insert("A", BiTimestamp(fourth.as_at_date, known), daily("2019-10-04", 1) * 100)
    tickstore.insert("A", BiTimestamp(date(2019, 10, 5)), daily("2019-10-05", 1))
    found += [part for _, part in going]
    pd.testing.assert_frame_equal(ticks, pd.concat(found), check_freq=False)
    assert [str(day) for day, _ in days(tickstore, "A")][2:] == ["2019-10-04", "2019-10-05"]


def test_days_are_of_what_was_known_then():
    """At a time, a token or a tag; what is deleted or undeleted is gone or there."""
    tickstore = stored(daily(days=2))
    token, first = tickstore.token, BiTimestamp(date(2019, 10, 1))
    tickstore.tag("before")
    gone = tickstore.delete("A", first)
    for state in (token, "before"):
        assert len(list(days(tickstore, "A", as_of_time=state))) == 2
    tickstore.undelete("A", first)
    assert len(list(days(tickstore, "A", as_of_time=gone.start_time))) == 1
    assert len(list(days(tickstore, "A"))) == 2


def test_many_symbols_come_together():
    """A list gives a symbol level; days on which one of them has ticks."""
    tickstore = stored(daily("2019-10-03", 1), "B", stored(daily(days=2)))
    found = dict(days(tickstore, ["A", "B"], columns=["price"]))
    assert [len(part) for part in found.values()] == [2, 2, 2]
    whole = tickstore.select(["A", "B"])
    pd.testing.assert_frame_equal(whole, pd.concat(found.values()))
    assert list(days(tickstore, [])) == []
    assert list(days(MemoryTickstore(), "A")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"start": "2019-11-02", "end": "2019-11-01"}, "before start"),
        ({"as_of_time": "2100-01-01T00:00"}, "in the future"),
        ({"tz": "Mars/Olympus"}, "no time zone"),
        ({"columns": "price"}, "columns is a list"),
        ({"symbol": ["A", "A"]}, "twice"),
    ],
)
def test_what_cannot_be_is_refused_at_the_call(words, message):
    with pytest.raises(errors.BadRequest, match=message):
        days(**{"tickstore": stored(daily()), "symbol": "A"} | words)
