"""Pages of trades are read exactly, or refused."""

from __future__ import annotations

import csv
import doctest
import gzip
import json
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth.errors import BadRequest, FeedError, FeedRefused, FeedUnavailable
from behemoth.feeds.candles import BrokenAnswer
from behemoth.feeds.trades import MissingTrades, Page, parse_trades, values
from behemoth.feeds.trades.values import floats, units
from tests.data import real
from tests.feeds.trading import Exchange

TRADE = {
    "time": "2020-02-17T07:23:16.353Z",
    "trade_id": 7,
    "price": "9042.88000000",
    "size": "0.00846511",
    "side": "sell",
}


def body(*changes):
    """A page of trades: ids from 7 downwards, each with its changes."""
    rows = [TRADE | {"trade_id": 7 - place} | change for place, change in enumerate(changes)]
    return json.dumps(rows).encode()


def text(number):
    """Eight decimals, as the exchange writes them."""
    return f"{number // 10**8}.{number % 10**8:08d}"


def check_exact(rows, trades):
    """Every text of the rows, newest first, follows from what was read."""
    frame = trades.frame().iloc[::-1]
    assert [row["price"] for row in rows] == [text(n) for n in frame["price_e8"]]
    assert [row["size"] for row in rows] == [text(n) for n in frame["size_e8"]]
    assert [float(row["price"]) for row in rows] == frame["price"].tolist()
    assert [float(row["size"]) for row in rows] == frame["size"].tolist()
    assert [row["trade_id"] for row in rows] == frame["trade_id"].tolist()
    assert [datetime.fromisoformat(row["time"]) for row in rows] == list(
        frame.index.to_pydatetime()
    )
    maker = {"buy": "sell", "sell": "buy"}
    assert [row["side"] for row in rows] == [maker[side] for side in frame["side"]]


def test_a_real_page_is_read_exactly():
    """100 trades of BTC-EUR, as the exchange sent them."""
    page = real("coinbase_rest_2020/trades_BTC-EUR.json").read_bytes()
    trades = parse_trades(page)
    assert len(trades) == 100
    check_exact(json.loads(page), trades)


def test_real_matches_are_read_exactly():
    """256 trades of BTC-USD, as the exchange's feed gave them."""
    with gzip.open(real("coinbase_l2_2018/test_match.csv.gz"), "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [
        {name: row[name] for name in TRADE} | {"trade_id": int(row["trade_id"])} for row in rows
    ]
    rows.sort(key=lambda row: -row["trade_id"])
    assert len(rows) == 256
    check_exact(rows, parse_trades(json.dumps(rows).encode(), may_lack=True))


@given(st.integers(0, 2**63 - 1), st.integers(0, 8))
def test_every_number_that_fits_is_exact(number, dropped):
    """Also where a float64 could not tell it from its neighbours, and with fewer decimals."""
    number -= number % 10**dropped
    written = text(number)[: -dropped - (dropped == 8)] if dropped else text(number)
    assert units(written) == number
    assert floats(np.array([number]))[0] == float(written)


@given(st.integers(0, 10**9 - 1), st.integers(1, 9))
def test_a_time_has_up_to_nine_decimals(nanoseconds, digits):
    """Three in 2020, six today; all that a store can keep."""
    decimals = f"{nanoseconds:09d}"[:digits]
    read = parse_trades(body({"time": f"2020-02-17T07:23:16.{decimals}Z"})).time[0]
    assert read == 1_581_924_196 * 10**9 + int(decimals.ljust(9, "0"))


def test_the_side_is_the_aggressors():
    """A maker who sold was bought from."""
    frame = parse_trades(body({"side": "sell"}, {"side": "buy"})).frame()
    assert frame["side"].tolist() == ["sell", "buy"]
    assert frame["trade_id"].tolist() == [6, 7]


def test_the_examples_hold():
    """Those of the docstrings."""
    assert doctest.testmod(values).failed == 0


def test_no_trade_is_a_frame_with_all_columns():
    """Of the types that other frames have."""
    assert (parse_trades(b"[]").frame().dtypes == parse_trades(body({})).frame().dtypes).all()


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"{}",
        b"[1]",
        b"[" * 100_000,
        body({"trade_id": 7}, {"trade_id": 7}),
        body({"trade_id": 7}, {"trade_id": 8}),
        *(body({"trade_id": odd}) for odd in (0, -1, True, "7", 7.0, None, 2**63)),
        *(
            body({"time": odd})
            for odd in (
                "2020-02-17T07:23:16",
                "2020-02-17T07:23:16+00:00",
                "2020-02-17 07:23:16Z",
                "2020-13-17T07:23:16Z",
                "2020-02-30T07:23:16Z",
                "2016-12-31T23:59:60Z",
                "2020-02-17T07:23:16.1234567890Z",
                "1066-02-17T07:23:16Z",
                "2300-02-17T07:23:16Z",
                1581924196,
                None,
            )
        ),
        *(
            body({name: odd})
            for name in ("price", "size")
            for odd in ("1e5", "-1", "+1", "1.", ".1", "1,0", "nan", " 1", "１", "", 1.0, None)
        ),
        *(body({"side": odd}) for odd in ("BUY", "", None, 1, ["buy"])),
        b'[{"trade_id": 7}]',
    ],
)
def test_what_is_odd_is_refused(page):
    """And so asked again: none of it can be what the exchange meant."""
    with pytest.raises(BrokenAnswer):
        parse_trades(page)


def test_a_page_without_some_trades_is_refused_and_they_are_named():
    """Unless somebody only looks where they are."""
    page = body({}, {"trade_id": 5}, {"trade_id": 1})
    with pytest.raises(MissingTrades, match="2 to 4, 6") as caught:
        parse_trades(page)
    assert caught.value.missing == ((2, 4), (6, 6))
    assert parse_trades(page, may_lack=True).missing() == [(2, 4), (6, 6)]


@pytest.mark.parametrize("name", ["price", "size"])
@pytest.mark.parametrize("odd", ["0.000000001", "1.123456789", "92233720368.54775808", "9" * 30])
def test_what_cannot_be_kept_exactly_is_a_clear_error(name, odd):
    """Asking again would not help."""
    with pytest.raises(FeedError, match=f"trade 7 has the {name} '{odd}'"):
        parse_trades(body({name: odd}))


def test_a_client_asks_for_trades_and_again_for_a_page_that_lacks_some():
    """Newest first on the wire, oldest first here."""
    exchange = Exchange()
    with exchange.client() as client:
        assert client.trades("LTC-USD", after=101, limit=10).trade_id.tolist() == [*range(91, 101)]
        exchange.forgotten = {5: 2}
        assert client.page(Page("LTC-USD", 1, 10)).trade_id.tolist() == [*range(1, 11)]
        assert client.counts.retries == 2
        exchange.lost = {5, 6}
        with pytest.raises(FeedUnavailable, match="without the trades 5 to 6"):
            client.page(Page("LTC-USD", 1, 10))
        with pytest.raises(FeedRefused):
            client.trades("NOPE-USD")
        for odd in ({"limit": 0}, {"limit": 1001}, {"after": 0}):
            with pytest.raises(BadRequest):
                client.trades("LTC-USD", **odd)
