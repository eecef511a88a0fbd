"""A stretch of which the exchange lost the minutes, but not the hours, costs its days alone."""

from __future__ import annotations

from datetime import date, timedelta

import httpx
import pytest

from behemoth import MemoryTickstore
from behemoth.errors import FeedUnavailable
from behemoth.feeds import download, download_many, verify_source
from tests.feeds.market import impatient
from tests.feeds.moody import Moody, midnight, opened, trades

FIRST = date(2019, 9, 20)
DAYS = [FIRST + timedelta(days=n) for n in range(30)]
LOST = DAYS[5:15]


def lossy(begin, end, rows):
    """A mood: minutes of some days are lost for good; hours and days are still there."""
    if end - begin > 300 * 60:
        return rows
    return rows[(rows[:, 0] < midnight(LOST[0])) | (rows[:, 0] >= midnight(LOST[-1]) + 86400)]


@pytest.fixture
def market():
    """A market that trades on all days, of which some are lost."""
    market = Moody(trades(*DAYS))
    market.mood = lossy
    return market


def test_the_days_behind_a_hole_are_stored_and_the_next_run_asks_for_it_alone(market):
    store = MemoryTickstore()
    with opened(market) as exchange:
        client, _ = impatient(exchange)
        with client:
            first = download(store, client, "BTC-USD", DAYS[0], DAYS[-1])
            assert (first.failed, first.is_complete) == (tuple(LOST), False)
            there = {revision.date for revision in store.revisions("BTC-USD")}
            assert there == {*DAYS}.difference(LOST)
            market.mood = lambda _begin, _end, rows: rows
            last = download(store, client, "BTC-USD", DAYS[0], DAYS[-1])
    assert (last.days, last.days_were_failed, last.is_complete) == (10, 10, True)


def test_a_hole_of_one_product_costs_the_others_nothing(market):
    store = MemoryTickstore()
    with opened(market) as exchange:
        client, _ = impatient(exchange)
        with client:
            market.minutes = _whole_for_eth(market.minutes, market)
            found = download_many(store, client, ["BTC-USD", "ETH-USD"], DAYS[0], DAYS[-1])
    assert [summary.failed for summary in found] == [tuple(LOST), ()]


def _whole_for_eth(minutes, market):
    def answer(product, start, end):
        if product != "ETH-USD":
            return minutes(product, start, end)
        inside = (market.table[:, 0] >= start) & (market.table[:, 0] < end)
        return market.table[inside]

    return answer


def test_a_verification_goes_on_behind_a_hole(market):
    store = MemoryTickstore()
    market.mood = lambda _begin, _end, rows: rows
    with opened(market) as exchange:
        client, _ = impatient(exchange)
        with client:
            download(store, client, "BTC-USD", DAYS[0], DAYS[-1])
            market.mood = lossy
            found = verify_source(store, client, "BTC-USD", DAYS[0], DAYS[-1])
    assert (found.count("same"), found.count("failed")) == (20, 10)
    assert "at odds" in found.days.loc[str(LOST[0]), "reason"]


def test_whoever_answers_with_nonsense_alone_is_down(market):
    """A network that shows its own page to everybody, for one, is not asked for hours."""
    with opened(market) as exchange:
        client, wire = impatient(exchange, lambda _: httpx.Response(200, html="Sign in first"))
        with client, pytest.raises(FeedUnavailable):
            download(MemoryTickstore(), client, "BTC-USD", DAYS[0], DAYS[-1])
    assert len(wire.asked) < 500
