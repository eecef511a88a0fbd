"""Naive is UTC, an aware time is its instant, and New York changes its clocks twice a year."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, MemoryTickstore, errors
from behemoth.research import asof_join, bars, days
from tests.clock import Clock
from tests.research.tables import NEW_YORK, stored

HERE = ZoneInfo(NEW_YORK)
SPRING, AUTUMN = date(2019, 3, 10), date(2019, 11, 3)
"""At 2:00 the clocks of New York go to 3:00, and at 2:00 back to 1:00."""
MIDNIGHTS = {
    SPRING: (datetime(2019, 3, 10, 5), datetime(2019, 3, 11, 4)),
    AUTUMN: (datetime(2019, 11, 3, 4), datetime(2019, 11, 4, 5)),
}
"""Of New York, that day's and the next one's, in UTC."""


def hours(day, aware=True):
    """A trade an hour, from a day before to two days after; the price counts them."""
    index = pd.date_range(pd.Timestamp(day) - pd.Timedelta("1D"), periods=96, freq="h", name="time")
    frame = pd.DataFrame({"price": np.arange(96.0), "size": 1.0}, index=index.as_unit("ns"))
    return frame.tz_localize("UTC") if aware else frame


def spellings(utc):
    """The same instant, as everyone writes it."""
    aware = utc.replace(tzinfo=ZoneInfo("UTC"))
    local = aware.astimezone(HERE)
    return [
        *(utc, aware, local),
        *(pd.Timestamp(utc), pd.Timestamp(local), np.datetime64(utc)),
        *(utc.isoformat(), aware.isoformat(), local.isoformat()),
    ]


@pytest.mark.parametrize("aware", [True, False])
@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_bounds_of_bars_are_instants_however_they_are_written(day, aware):
    """Naive, UTC and New York, as start and as end; tz= changes nothing about them."""
    tickstore = stored(hours(day, aware))
    low, high = MIDNIGHTS[day]
    end = high - timedelta(hours=1)
    expected = bars(tickstore, "A", "1D", low, end, tz=NEW_YORK)
    assert expected["volume"].tolist() == [23.0 if day == SPRING else 25.0]
    assert expected.index[0] == pd.Timestamp(day, tz=NEW_YORK)
    for start, stop in zip(spellings(low), spellings(end), strict=True):
        found = bars(tickstore, "A", "1D", start, stop, tz=NEW_YORK)
        pd.testing.assert_frame_equal(expected, found)


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_a_day_is_cut_where_the_zone_cuts_it(day):
    """A day of UTC has 24 hours, one of New York 23 or 25; as resample in that zone."""
    tickstore = stored(hours(day))
    utc, local = bars(tickstore, "A", "1D"), bars(tickstore, "A", "1D", tz=NEW_YORK)
    assert utc["volume"].unique().tolist() == [24.0]
    assert local.loc[str(day), "volume"] == (23.0 if day == SPRING else 25.0)
    named = bars(tickstore, "A", "1D", tz="UTC")
    pd.testing.assert_frame_equal(utc, named)
    assert local["volume"].sum() == utc["volume"].sum() == 96.0


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_hours_that_come_twice_are_two_bars_and_one_left_out_is_none(day):
    low, high = MIDNIGHTS[day]
    made = bars(stored(hours(day)), "A", "1h", low, high - pd.Timedelta("1h"), tz=NEW_YORK)
    clock = [time.hour for time in made.index]
    twice = [0, 1, 1, *range(2, 24)]
    assert clock == (twice if day == AUTUMN else [0, 1, *range(3, 24)])
    assert made["volume"].eq(1.0).all()


def test_an_as_of_time_is_an_instant_however_it_is_written():
    """In the hour that New York has twice, each of the two is its own."""
    first, second = datetime(2019, 11, 3, 5, 30), datetime(2019, 11, 3, 6, 30)
    clock = Clock(first.replace(tzinfo=ZoneInfo("UTC")))
    tickstore = MemoryTickstore(clock=clock)
    ticks = hours(AUTUMN).loc[:"2019-11-02"]
    at = BiTimestamp(date(2019, 11, 2))
    tickstore.insert("A", at, ticks)
    clock.now = second.replace(tzinfo=ZoneInfo("UTC"))
    tickstore.insert("A", at, ticks * 2)
    clock.tick(3600)
    left = pd.DataFrame({"a": [1]}, index=[pd.Timestamp("2019-11-02 12:30")])
    for utc, price in ((first, 12.0), (second, 24.0)):
        for when in [each for each in spellings(utc) if not isinstance(each, np.datetime64)]:
            assert bars(tickstore, "A", "12h", as_of_time=when)["open"].tolist() == [0.0, price]
            found = asof_join(left, tickstore, "A", as_of_time=when)
            assert found["price"].tolist() == [price]
            ((_, frame),) = list(days(tickstore, "A", end="2019-11-02", as_of_time=when))
            assert frame["price"].iloc[12] == price


@pytest.mark.parametrize("aware", [True, False])
@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_a_join_matches_instants_whatever_zones_the_sides_are_in(day, aware):
    """Naive, UTC and New York on the left, naive or aware ticks on the right."""
    tickstore = stored(hours(day, aware))
    times = pd.date_range(pd.Timestamp(day), periods=30, freq="47min")
    expected = [float(24 + minutes // 60) for minutes in range(0, 30 * 47, 47)]
    for zone in (None, "UTC", NEW_YORK):
        index = times if zone is None else times.tz_localize("UTC").tz_convert(zone)
        left = pd.DataFrame({"n": range(30)}, index=index)
        found = asof_join(left, tickstore, "A", columns=["price"], time="tick")
        assert found["price"].tolist() == expected
        pd.testing.assert_index_equal(left.index, found.index)
        assert (str(found["tick"].dt.tz) == "UTC") is aware
        column = asof_join(left.rename_axis("t").reset_index(), tickstore, "A", on="t")
        assert column["price"].tolist() == expected


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_an_origin_is_an_instant_of_any_zone(day):
    """Its zone need not be the one that bars are cut in; without one, it is UTC."""
    tickstore = stored(hours(day))
    local = pd.Timestamp(day, tz=NEW_YORK) + pd.Timedelta("90min")
    expected = tickstore.select("A", tz=NEW_YORK).resample("7h", origin=local)["size"].sum()
    for origin in (local, local.tz_convert("UTC"), local.to_pydatetime()):
        found = bars(tickstore, "A", "7h", origin=origin, tz=NEW_YORK)
        pd.testing.assert_series_equal(expected, found["volume"], check_names=False)
    naive = local.tz_convert("UTC").tz_localize(None)
    in_utc = bars(tickstore, "A", "7h", origin=naive)
    assert in_utc.index.tz_convert(NEW_YORK).tolist() == expected.index.tolist()
    of_naive = bars(stored(hours(day, aware=False)), "A", "7h", origin=local)
    assert of_naive.index.tolist() == in_utc.index.tz_localize(None).tolist()


def test_wrong_mixes_are_refused_with_the_way_out():
    """What could be meant in two ways is not guessed."""
    tickstore = stored(hours(AUTUMN))
    stored(hours(AUTUMN, aware=False), "NAIVE", tickstore)
    with pytest.raises(
        errors.BadRequest, match="naive and the bars are cut in America/New_York; w"
    ):
        bars(tickstore, "A", "7h", origin="2019-11-03 01:30", tz=NEW_YORK)
    with pytest.raises(errors.BadRequest, match="some have not; say tz='UTC'"):
        bars(tickstore, ["A", "NAIVE"], "1h")
    both = bars(tickstore, ["A", "NAIVE"], "1h", tz="UTC")
    pd.testing.assert_frame_equal(both.loc["A"], both.loc["NAIVE"])
    mixed = pd.Index([pd.Timestamp("2019-11-03"), pd.Timestamp("2019-11-03", tz=NEW_YORK)])
    left = pd.DataFrame({"n": [1, 2]}, index=mixed)
    with pytest.raises(errors.BadRequest, match=r"not datetime64; say pd.to_datetime\(..., utc="):
        asof_join(left, tickstore, "A")
    with pytest.raises(errors.BadRequest, match="no time zone 'New York'; try 'America/New_York'"):
        bars(tickstore, "A", "1h", tz="New York")
