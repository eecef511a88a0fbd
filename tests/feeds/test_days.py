"""Days that are not like the others, each downloaded."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from behemoth import MemoryTickstore
from behemoth.feeds import download
from behemoth.feeds.sandbox import Sandbox
from tests.feeds.market import Cut, impatient, seconds
from tests.feeds.test_download import FAST, stored, truth

FOREVER = 2**40


def exchange_of(*ranges, now=datetime(2019, 11, 20, 12, tzinfo=UTC)):
    """A sandbox whose time stands still."""
    return Sandbox(Cut(*ranges), now=now, clock=lambda: 0.0, **FAST)


def run(exchange, store, first, last, **options):
    """Download these days."""
    client, wire = impatient(exchange)
    with client:
        return download(store, client, "BTC-USD", first, last, **options), wire


def kept(store):
    """Day, outcome and rows of what was observed."""
    return [(s.start.date(), s.outcome, s.rows) for s in store.observations("BTC-USD")]


@pytest.mark.parametrize(("minute", "candles"), [(1, 1), (727, 727)])
def test_a_partial_day_ends_with_the_last_candle_that_is_over(minute, candles):
    """One minute or some hours after midnight; the open one is never stored."""
    store, day = MemoryTickstore(), date(2019, 10, 31)
    now = datetime(2019, 10, 31, tzinfo=UTC) + timedelta(minutes=minute, seconds=59)
    with exchange_of((0, FOREVER), now=now) as exchange:
        summary, _ = run(exchange, store, day, day, partial=True)
    midnight = seconds(2019, 10, 31)
    expected = truth(day, day, until=midnight + minute * 60)
    assert np.array_equal(stored(store), expected)
    assert kept(store) == [(day, "partial", len(expected))]
    assert (summary.days, len(expected) <= candles) == (1, True)


def test_a_partial_day_without_a_trade_so_far_is_an_observation():
    """Three minutes of nothing are believed with the evidence of the hours before."""
    store, day = MemoryTickstore(), date(2019, 10, 31)
    now = datetime(2019, 10, 31, 0, 3, 30, tzinfo=UTC)
    with exchange_of((0, seconds(2019, 10, 31)), now=now) as exchange:
        summary, wire = run(exchange, store, day, day, partial=True)
    assert kept(store) == [(day, "partial", 0)]
    assert summary.bins_without_trade == 0
    assert len(wire.asked) <= 4


def test_a_day_that_is_not_over_is_not_asked():
    """A second before midnight, by the exchange's clock."""
    store, day = MemoryTickstore(), date(2019, 10, 31)
    with exchange_of((0, FOREVER), now=datetime(2019, 10, 31, 23, 59, 59, tzinfo=UTC)) as exchange:
        summary, wire = run(exchange, store, day, day)
    assert (summary.days, summary.days_left, len(wire.asked)) == (0, 1, 1)


def test_at_midnight_a_day_is_over():
    """The candle of midnight belongs to the next one."""
    store, day = MemoryTickstore(), date(2019, 10, 31)
    with exchange_of((0, FOREVER), now=datetime(2019, 11, 1, tzinfo=UTC)) as exchange:
        summary, _ = run(exchange, store, day, day + timedelta(days=1))
    assert (summary.days, summary.days_left) == (1, 1)
    assert np.array_equal(stored(store), truth(day, day))


def test_the_neighbours_of_a_leap_second_have_1440_minutes():
    """Unix time does not count 23:59:60: the last minute and the next midnight both are there."""
    store, first, last = MemoryTickstore(), date(2016, 12, 31), date(2017, 1, 1)
    with exchange_of((0, FOREVER)) as exchange:
        summary, _ = run(exchange, store, first, last)
    assert summary.days == 2
    assert np.array_equal(stored(store), truth(first, last))
    assert summary.candles + summary.bins_without_trade == 2 * 1440


def test_the_listing_day_begins_with_its_first_trade():
    """The days before it are empty, and cost a handful of requests, not one a window more."""
    store, listing = MemoryTickstore(), seconds(2019, 6, 20, 17, 3)
    first, last = date(2019, 3, 1), date(2019, 6, 21)
    with exchange_of((listing, FOREVER)) as exchange:
        summary, wire = run(exchange, store, first, last)
        again, _ = run(exchange, store, first, last)
    expected = truth(date(2019, 6, 20), last)
    assert np.array_equal(stored(store), expected[expected[:, 0] >= listing])
    assert (summary.days, summary.is_complete, summary.versions_written) == (113, True, 2)
    assert len(wire.asked) <= len(set(wire.candles())) + 20
    assert again.requests == 0


def test_a_delisted_product_is_empty_after_its_last_day():
    """Complete days without a trade, of which none is asked again."""
    store, end = MemoryTickstore(), seconds(2019, 6, 20, 17, 3)
    first, last = date(2019, 6, 19), date(2019, 9, 30)
    with exchange_of((0, end)) as exchange:
        summary, wire = run(exchange, store, first, last)
        again, _ = run(exchange, store, first, last)
    expected = truth(first, date(2019, 6, 20))
    assert np.array_equal(stored(store), expected[expected[:, 0] < end])
    assert (summary.days, summary.is_complete, summary.versions_written) == (104, True, 2)
    assert kept(store)[-1] == (last, "complete", 0)
    assert len(wire.asked) <= len(set(wire.candles())) + 20
    assert again.requests == 0


def test_a_hole_of_some_hours_is_kept_as_minutes_without_a_trade():
    """Maintenance from 3 to 14: two whole windows are empty, and are believed."""
    store, day = MemoryTickstore(), date(2019, 10, 31)
    hole = seconds(2019, 10, 31, 3), seconds(2019, 10, 31, 16)
    with exchange_of((0, hole[0]), (hole[1], FOREVER)) as exchange:
        summary, wire = run(exchange, store, day, day)
    times = stored(store)[:, 0]
    assert not ((times >= hole[0]) & (times < hole[1])).any()
    assert summary.bins_without_trade >= 13 * 60
    assert len(wire.asked) == 1 + 5 + 1
