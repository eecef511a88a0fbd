"""The sandbox's trades: the candles of the same market, taken apart."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behemoth.feeds.sandbox import BuiltInMarket, Sandbox, Tape, read_tape, rules
from behemoth.feeds.sandbox.market import EPOCH
from behemoth.feeds.sandbox.prints import Prints, a_day
from tests.data import real
from tests.profile import FULL

DAY = 86400
NOON = datetime(2019, 11, 1, 12, tzinfo=UTC)


def number(day):
    return day.toordinal() - EPOCH


def candles_of(day):
    """The minutes of a day's trades, as a table of candles with the volume in units of 1e-8."""
    minute, start = np.unique(day.time // 60_000_000 * 60, return_index=True)
    end = np.r_[start[1:], len(day.time)] - 1
    low, high = np.minimum.reduceat(day.price, start), np.maximum.reduceat(day.price, start)
    volume = np.add.reduceat(day.size, start)
    prices = np.column_stack([low, high, day.price[start], day.price[end]]) / 1e8
    return np.column_stack([minute, prices]), volume


@pytest.mark.parametrize("product", BuiltInMarket().products)
def test_bars_of_the_trades_are_the_candles_to_the_bit(product):
    """Prices, volume, and which minutes have trades at all; from the listing to today."""
    market = BuiltInMarket()
    listed = number(market.listed(product))
    for day in (listed, listed + 1, 17166, 18200, *range(18300, 18400 if FULL else 18305)):
        minutes = market.minutes(product, day * DAY, (day + 1) * DAY)
        prices, volume = candles_of(Prints(market).day(product, day))
        assert prices.tobytes() == np.ascontiguousarray(minutes[:, :5]).tobytes()
        assert (volume / 1e8).tobytes() == minutes[:, 5].tobytes()


def test_trades_of_real_candles_have_their_prices_and_volume():
    """All but the four minutes whose low or high does not bracket open and close."""
    path = real("coinbase_candles_2018/BTC-USD_2018-05-03_2018-05-11.csv")
    tape = Tape("BTC-USD", read_tape(path))
    prints, odd = Prints(tape), 0
    for day in range(17654, 17663):
        minutes = tape.minutes("BTC-USD", day * DAY, (day + 1) * DAY)
        trades = prints.day("BTC-USD", day)
        prices, volume = candles_of(trades)
        odd += (prices != minutes[:, :5]).any(axis=1).sum()
        assert np.array_equal(volume, np.rint(minutes[:, 5] * 1e8))
        assert trades.first == 1 + (day - 17654) * 70_000
    assert odd == 4


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_any_candles_follow_from_their_trades(data):
    """Whatever was recorded: flat minutes, single ticks, hardly a unit for each price."""
    minutes = sorted(data.draw(st.sets(st.integers(0, 1439), min_size=1, max_size=20)))
    rows = []
    for minute in minutes:
        low = data.draw(st.integers(1, 10**6))
        span = data.draw(st.integers(0, 1000))
        open_, close = (low + data.draw(st.integers(0, span)) for _ in range(2))
        volume = data.draw(st.integers(4, 10**12))
        prices = np.array([low, low + span, open_, close]) / 100
        rows.append([60 * minute, *prices, volume / 1e8])
    table = np.array(rows)
    prices, volume = candles_of(Prints(Tape("X-USD", table)).day("X-USD", 0))
    assert prices.tobytes() == np.ascontiguousarray(table[:, :5]).tobytes()
    assert (volume / 1e8).tobytes() == table[:, 5].tobytes()


def test_a_recorded_minute_with_hardly_any_volume_has_hardly_any_trades():
    """Ids stay without gaps when a day has fewer trades than others."""
    table = np.array([[0, 1, 4, 2, 3, 2e-8], [DAY, 1, 4, 2, 3, 1.0], [3 * DAY, 2, 2, 2, 2, 1e-9]])
    prints = Prints(Tape("X-USD", table))
    assert list(prints.day("X-USD", 0).price) == [200_000_000, 300_000_000]
    assert (prints.day("X-USD", 1).first, len(prints.day("X-USD", 1).time)) == (3, 6000)
    assert [len(prints.day("X-USD", day).time) for day in (2, 3)] == [0, 0]
    assert prints.newest("X-USD", datetime(1970, 1, 9, tzinfo=UTC)) == 6002


def test_a_day_follows_from_its_name_and_has_a_fixed_number_of_trades():
    """So that its first id is arithmetic; times do not go back, and some are shared."""
    for product in BuiltInMarket().products:
        day, again = (Prints(BuiltInMarket()).day(product, 18200) for _ in range(2))
        assert all(
            np.array_equal(getattr(day, name), getattr(again, name))
            for name in ("time", "price", "size", "sold")
        )
        since = 18200 - number(BuiltInMarket().listed(product))
        assert (day.first, len(day.time)) == (1 + since * a_day(product), a_day(product))
        assert 0.2 < (np.diff(day.time) == 0).mean() < 0.4
        assert (np.diff(day.time) >= 0).all()
        assert (day.size > 0).all()


def test_a_traded_midnight_has_a_trade_at_its_first_microsecond():
    """And the day before one at its last: where a day is cut wrongly, it shows."""
    prints = Prints(BuiltInMarket())
    days = [prints.day("BTC-USD", day) for day in range(18200, 18210)]
    assert any(day.time[0] == d * DAY * 10**6 for d, day in enumerate(days, 18200))
    assert any(day.time[-1] == (d + 1) * DAY * 10**6 - 1 for d, day in enumerate(days, 18200))


def ask(query, now=NOON, product="LTC-USD"):
    return rules.answer(f"/products/{product}/trades{query}", BuiltInMarket(), now)


def ids(answer):
    return [trade["trade_id"] for trade in answer.body]


def test_a_page_is_newest_first_and_never_of_the_future():
    """At most 1,000 trades, the cursors in the headers."""
    answer = ask("")
    newest = ids(answer)[0]
    assert ids(answer) == list(range(newest, newest - 1000, -1))
    assert dict(answer.headers) == {"CB-BEFORE": str(newest), "CB-AFTER": str(newest - 999)}
    assert max(trade["time"] for trade in answer.body) <= "2019-11-01T12:00:00.000000Z"
    later = ids(ask("", NOON + timedelta(hours=1)))
    assert later[0] > newest
    assert ids(ask("?limit=2000")) == ids(answer)
    assert set(answer.body[0]) == {"time", "trade_id", "price", "size", "side"}


def test_cursors_lead_back_to_the_first_trade_ever_and_forth():
    """Pages across midnight too; before the first there is nothing."""
    assert ids(ask("?after=6500")) == list(range(6499, 5499, -1))
    assert ids(ask("?after=4")) == [3, 2, 1]
    assert (ids(ask("?after=1")), ask("?after=1").headers) == ([], ())
    assert ids(ask("?before=5&limit=3")) == [8, 7, 6]
    assert ids(ask("?before=5&after=10&limit=2")) == [9, 8]
    assert ids(ask(f"?before={10**9}")) == []
    assert ids(ask("", datetime(2016, 8, 16, 23, tzinfo=UTC))) == []
    listing = ask("", datetime(2016, 8, 18, tzinfo=UTC) - timedelta(microseconds=1))
    assert ids(listing)[0] == 6000


@pytest.mark.parametrize(
    "query",
    ["?limit=0", "?limit=x", "?after=-1", "?before=", "?after=²", f"?after={1:019}{'9' * 5000}"],
)
def test_a_cursor_that_is_no_number_is_refused(query):
    """An empty value is left out by the parser of queries, and means nothing."""
    answer = ask(query)
    assert answer.status == (200 if query.endswith("=") else 400)


def test_an_unknown_product_has_no_trades():
    """As it has no candles."""
    assert ask("", product="NOPE-USD").status == 404


def test_the_headers_go_over_the_wire():
    """From a real server, in a real answer; each day is drawn once."""
    with Sandbox(now=NOON, rate=1e6, burst=10**6) as exchange:
        url = f"{exchange.url}/products/BTC-USD/trades"
        page = httpx.get(url, params={"limit": 10})
        assert page.headers["cb-after"] == str(page.json()[-1]["trade_id"])
        older = httpx.get(url, params={"limit": 10, "after": page.headers["cb-after"]})
        assert older.headers["cb-before"] == str(page.json()[-1]["trade_id"] - 1)
    assert BuiltInMarket().listed("BTC-USD") == date(2015, 7, 20)
