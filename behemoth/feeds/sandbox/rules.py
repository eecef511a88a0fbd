"""The rules of the exchange: what it answers to a request, as a function of values.

Pure: a request, a market and a time in, an answer out. Sockets, threads, latency and the rate
limit are the business of `behemoth.feeds.sandbox.server`.

The rules, and the words of its errors, are those of the Coinbase Exchange as it has been met.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from behemoth.feeds.candles import GRANULARITIES, MAX_CANDLES
from behemoth.feeds.sandbox.bins import TIME, Market, Table, candles
from behemoth.feeds.sandbox.book import book
from behemoth.feeds.sandbox.prints import Prints

TOO_MANY = (
    "granularity too small for the requested time range. "
    f"Count of aggregations requested exceeds {MAX_CANDLES}"
)

MAX_TRADES = 1000
"""A page of trades is so long, and no longer:
https://docs.cdp.coinbase.com/exchange/rest-api/pagination"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body that becomes JSON, and headers beside the usual ones."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Give the body as JSON; floats in the shortest text that reads back to the same bits."""
        return json.dumps(self.body, allow_nan=False).encode()


NOT_FOUND = Answer(404, {"message": "NotFound"})
RATE_LIMITED = Answer(429, {"message": "Public rate limit exceeded"})
NO_USER_AGENT = Answer(400, {"message": "User-Agent header is required."})


class _Invalid(Exception):
    """A parameter that the exchange refuses; its text is the message."""


def answer(target: str, market: Market, now: datetime, prints: Prints | None = None) -> Answer:
    """Answer a GET request.

    Parameters
    ----------
    target
        Path and query as they were sent.
    market
        Where candles come from.
    now
        The exchange's time, aware UTC.
    prints
        The market's trades; kept from request to request they are drawn once.
    """
    url = urlsplit(target)
    # Split before decoding: an encoded slash belongs to a product's name.
    match [unquote(segment) for segment in url.path.split("/")]:
        case ["", "time"]:
            return Answer(200, {"iso": _iso(now), "epoch": round(now.timestamp(), 3)})
        case ["", "products"]:
            return Answer(200, [_product(product, market, now) for product in market.products])
        case ["", "products", product] if product in market.products:
            return Answer(200, _product(product, market, now))
        case ["", "products", product, "book"] if product in market.products:
            level = parse_qs(url.query).get("level", ["1"])[-1]
            if level not in ("1", "2", "3"):
                return Answer(400, {"message": "Invalid level"})
            return Answer(200, book(product, int(level), market, now))
        case ["", "products", product, "candles"] if product in market.products:
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            try:
                return Answer(200, _candles(product, query, market, now.timestamp()))
            except _Invalid as invalid:
                return Answer(400, {"message": str(invalid)})
        case ["", "products", product, "trades"] if product in market.products:
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            try:
                return _trades(product, query, prints or Prints(market), now)
            except _Invalid as invalid:
                return Answer(400, {"message": str(invalid)})
    return NOT_FOUND


def _trades(product: str, query: Mapping[str, str], prints: Prints, now: datetime) -> Answer:
    """Give a page of trades, newest first: older than `after`, or the next ones after `before`."""
    limit = min(_cursor("limit", query), MAX_TRADES) if "limit" in query else MAX_TRADES
    first, last = 1, prints.newest(product, now)
    if "before" in query:
        first = _cursor("before", query) + 1
        last = min(last, first + limit - 1) if "after" not in query else last
    if "after" in query:
        last = min(last, _cursor("after", query) - 1)
    rows = prints.page(product, max(first, last - limit + 1), last, now)
    if not rows:
        return Answer(200, rows)
    newest, oldest = str(rows[0]["trade_id"]), str(rows[-1]["trade_id"])
    return Answer(200, rows, (("CB-BEFORE", newest), ("CB-AFTER", oldest)))


def _cursor(name: str, query: Mapping[str, str]) -> int:
    text = query[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) < 2**63):
        raise _Invalid(f"{name} cursor value is not valid")
    return int(text)


@dataclass(frozen=True, slots=True)
class Span:
    """The candles that a request is for: those that start in ``[start, end]``, unix seconds."""

    product: str
    granularity: int
    start: int
    end: int


def span_of(target: str, market: Market, now: datetime) -> Span | None:
    """Give the candles that a request is for, if it is a good one for candles."""
    url = urlsplit(target)
    match [unquote(segment) for segment in url.path.split("/")]:
        case ["", "products", product, "candles"] if product in market.products:
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            try:
                return _span(product, query, now.timestamp())
            except _Invalid:
                return None
    return None


def _candles(
    product: str, query: Mapping[str, str], market: Market, now: float
) -> list[list[float]]:
    span = _span(product, query, now)
    table = candles(market, product, span.start, span.end, span.granularity, now)
    return newest_first(table)


def _span(product: str, query: Mapping[str, str], now: float) -> Span:
    granularity = _granularity(query.get("granularity", "60"))
    if "start" in query and "end" in query:
        start, end = _time("start", query["start"]), _time("end", query["end"])
        if end < start:
            raise _Invalid("start must be before end")
        # Both ends are included, so a range of just 300 candles' length gets 301.
        if end - start > MAX_CANDLES * granularity:
            raise _Invalid(TOO_MANY)
    else:  # one of them alone is ignored
        end = int(now // granularity) * granularity
        start = end - (MAX_CANDLES - 1) * granularity
    return Span(product, granularity, start, end)


def newest_first(table: Table) -> list[list[float]]:
    """Give candles as the exchange writes them."""
    rows = [[_plain(number) for number in row] for row in table[::-1].tolist()]
    for row in rows:
        row[TIME] = int(row[TIME])
    return rows


def _plain(number: float) -> float:
    """Write a whole number without a point, as the exchange does; -0.0 would lose its sign."""
    return int(number) if number.is_integer() and 0 < number < 2**53 else number


def _granularity(text: str) -> int:
    if text not in {str(known) for known in GRANULARITIES}:
        raise _Invalid("Unsupported granularity")
    return int(text)


def _time(name: str, text: str) -> int:
    """Read ISO 8601 or unix seconds."""
    try:
        if text.removeprefix("-").isdecimal():
            return int(datetime.fromtimestamp(int(text), UTC).timestamp())
        # A plus sign that was not encoded arrives as a space.
        time = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        return int(aware.timestamp())
    except (ValueError, OverflowError, OSError):
        raise _Invalid(f"Invalid {name}") from None


def _product(product: str, market: Market, now: datetime) -> dict[str, Any]:
    base, _, quote = product.partition("-")
    last = market.delisted(product)
    online = last is None or now.date() <= last
    return {
        "id": product,
        "base_currency": base,
        "quote_currency": quote,
        "quote_increment": "0.01",
        "base_increment": "0.00000001",
        "display_name": product,
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online" if online else "delisted",
        "status_message": "",
        "trading_disabled": not online,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"
