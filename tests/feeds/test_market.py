"""What the sandbox's candles are made of: minutes, and the candle that is still open."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import numpy as np
import pytest

from behemoth import MemoryTickstore
from behemoth.errors import BadRequest
from behemoth.feeds import CoinbaseClient, download
from behemoth.feeds.sandbox import BuiltInMarket, Sandbox, candles

MIDNIGHT = 1572480000  # 2019-10-31
FAST = {"rate": 1e6, "burst": 10**6}
PINNED = [
    (
        "BTC-USD",
        MIDNIGHT,
        [
            [1572480000.0, 7185.08, 7190.92, 7186.37, 7190.78, 0.35193554],
            [1572480060.0, 7190.02, 7191.07, 7190.78, 7190.49, 0.43657296],
        ],
    ),
    ("LTC-USD", MIDNIGHT, [[1572480000.0, 35.06, 35.09, 35.08, 35.07, 3.46319425]]),
    (
        "ETH-USD",
        1783000020,
        [
            [1783000020.0, 3330.05, 3339.35, 3331.38, 3338.3, 8.15515818],
            [1783000080.0, 3334.42, 3339.9, 3338.3, 3335.02, 14.99089515],
        ],
    ),
]


@pytest.mark.parametrize(("product", "start", "expected"), PINNED)
def test_the_market_is_the_same_on_every_machine(product, start, expected):
    """Pinned minutes: a change of numpy or of the market shows here."""
    assert BuiltInMarket().minutes(product, start, start + 120).tolist() == expected


@pytest.mark.parametrize("product", BuiltInMarket().products)
def test_days_join_at_midnight(product):
    """The price of one day's last minute is that of the next day's first."""
    market = BuiltInMarket()
    for day in range(30):
        midnight = MIDNIGHT + day * 86400
        around = market.minutes(product, midnight - 600, midnight + 600)
        closes, opens = around[:-1, 4], around[1:, 3]
        assert np.abs(opens / closes - 1).max() < 0.02


def test_nothing_is_traded_before_the_listing_and_everything_after():
    """The first minute of the listing's day is the first one there is."""
    market = BuiltInMarket()
    listed = int(datetime(2015, 7, 20, tzinfo=UTC).timestamp())
    assert len(market.minutes("BTC-USD", listed - 86400, listed)) == 0
    assert len(market.minutes("BTC-USD", listed - 86400, listed + 86400)) > 1000


def test_the_open_candle_is_served_as_far_as_it_is_and_never_stored():
    """Its close is not the last word; the client leaves it alone."""
    now = datetime(2019, 10, 31, 12, 0, 30, tzinfo=UTC)
    noon = MIDNIGHT + 12 * 3600
    (final,) = BuiltInMarket().minutes("BTC-USD", noon, noon + 60)
    store = MemoryTickstore()
    with (
        Sandbox(now=now, clock=lambda: 0.0, **FAST) as exchange,
        CoinbaseClient(exchange.url, rate=1e5, burst=10**5) as client,
    ):
        url = f"{exchange.url}/products/BTC-USD/candles?granularity=60"
        newest = httpx.get(url).json()[0]
        download(store, client, "BTC-USD", now.date(), now.date(), partial=True)
    assert (newest[0], newest[3]) == (noon, final[3])
    assert newest[5] == pytest.approx(final[5] / 2)
    assert store.select("BTC-USD").index[-1].timestamp() < noon


@pytest.mark.parametrize("granularity", [60, 300, 3600, 21600, 86400])
def test_no_candle_knows_more_than_its_time(granularity):
    """Nothing that is served at noon depends on what is traded after it."""
    noon = MIDNIGHT + 12 * 3600
    market = BuiltInMarket()

    class Stopped:
        """A market that ends at noon."""

        products = market.products
        listed = market.listed

        def minutes(self, product, start, end):
            return market.minutes(product, start, min(end, noon))

    asked = ("BTC-USD", MIDNIGHT, MIDNIGHT + 86400, granularity, noon)
    assert np.array_equal(candles(Stopped(), *asked), candles(market, *asked))


@pytest.mark.parametrize("now", [datetime.min, datetime.max])
def test_a_sandbox_keeps_to_times_that_can_be_stored(now):
    """One clear line instead of an overflow."""
    with pytest.raises(BadRequest, match="time lies in"):
        Sandbox(now=now)
