"""The sandbox's products and order books have the shapes of the exchange's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from uuid import UUID

import httpx
import pytest

from behemoth.feeds.sandbox import BuiltInMarket, Sandbox
from behemoth.feeds.sandbox.book import book
from tests.data import real

NOW = datetime(2019, 11, 1, 12, 0, 30, tzinfo=UTC)
MARKET = BuiltInMarket()
TIMES = [NOW + timedelta(hours=7 * n, seconds=n) for n in range(6)]


def side(rows):
    """Prices and sizes as exact numbers."""
    return [(Decimal(price), Decimal(size)) for price, size, _ in rows]


def shape(value):
    """What a value is made of."""
    if isinstance(value, list):
        return [shape(part) for part in value]
    return type(value).__name__


@pytest.mark.parametrize("product", MARKET.products)
@pytest.mark.parametrize("now", TIMES)
def test_the_levels_tell_of_one_book_that_is_not_crossed(product, now):
    """Level 2 adds level 3 up by price, level 1 is its top; best prices come first."""
    top, added, orders = (book(product, level, MARKET, now) for level in (1, 2, 3))
    for name, sign in (("bids", -1), ("asks", 1)):
        assert top[name] == added[name][:1]
        prices = [sign * price for price, _ in side(added[name])]
        assert all(a < b for a, b in pairwise(prices))
        summed = [
            [price, sum(size for _, size in side(rows)), len(rows)]
            for price, group in groupby(orders[name], key=lambda row: row[0])
            if (rows := list(group))
        ]
        assert [[row[0], Decimal(row[1]), row[2]] for row in added[name]] == summed
        assert all(size > 0 for _, size in side(orders[name]))
    bid, ask = Decimal(added["bids"][0][0]), Decimal(added["asks"][0][0])
    last = MARKET.minutes(product, int(now.timestamp()) - 86400, int(now.timestamp()))[-1]
    assert 0 < ask - bid < Decimal("0.02")
    assert abs(float(bid) - last[4]) < 0.02 * last[4]
    ids = [row[2] for name in ("bids", "asks") for row in orders[name]]
    assert len(set(map(UUID, ids))) == len(ids)


def test_a_book_is_of_its_second():
    """The same for everyone who asks in it; the sequence goes on with the time."""
    books = [book("BTC-USD", 3, BuiltInMarket(), now) for now in (NOW, NOW, *TIMES[1:])]
    assert books[0] == books[1] != books[2]
    sequences = [each["sequence"] for each in books[1:]]
    assert sequences == sorted(set(sequences))
    assert books[0]["time"] == "2019-11-01T12:00:30.000000Z"


@pytest.mark.parametrize(
    ("level", "name"), [(2, "book_level2_BTC-USD"), (3, "book_level3_BTC-USD")]
)
def test_a_book_is_shaped_as_a_real_one(level, name):
    """Each key that the recorded answer has, and rows of the same kinds."""
    recorded = json.loads(real(f"coinbase_rest_2020/{name}.json").read_text())
    made = book("BTC-USD", level, MARKET, NOW)
    assert recorded.keys() <= made.keys()
    assert type(made["sequence"]) is type(recorded["sequence"])
    for name in ("bids", "asks"):
        assert {str(shape(row)) for row in made[name]} == {
            str(shape(row)) for row in recorded[name]
        }


def test_books_and_products_are_served():
    """Level 1 unless another is asked for; every product with all that the exchange says of it."""
    with Sandbox(now=NOW, clock=lambda: 0.0) as exchange, httpx.Client() as client:
        path = f"{exchange.url}/products/BTC-USD/book"
        for level in (1, 2, 3):
            answer = client.get(path, params={"level": level})
            assert answer.json() == book("BTC-USD", level, MARKET, NOW)
        assert client.get(path).json() == book("BTC-USD", 1, MARKET, NOW)
        assert client.get(path, params={"level": 4}).status_code == 400
        assert client.get(f"{exchange.url}/products/NOPE/book").status_code == 404
        products = client.get(f"{exchange.url}/products").json()
        assert [product["id"] for product in products] == list(MARKET.products)
        for product in products:
            assert client.get(f"{exchange.url}/products/{product['id']}").json() == product
            assert product["status"] == "online"
            assert (product["quote_increment"], product["base_increment"]) == ("0.01", "0.00000001")
            assert "-".join([product["base_currency"], product["quote_currency"]]) == product["id"]
