"""Trades as values: the page that is asked, and what its body says, exactly.

Pure: bytes in, arrays out. Asking for the bytes is the business of `behemoth.feeds.coinbase`.

The exchange's page about trades, and the one about its cursors:
https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducttrades and
https://docs.cdp.coinbase.com/exchange/rest-api/pagination
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from behemoth.errors import FeedError
from behemoth.feeds.candles import BrokenAnswer, excerpt

Ints = NDArray[np.int64]

COLUMNS = ("trade_id", "price", "size", "price_e8", "size_e8", "side")
"""Columns of a frame of trades."""
TABLE = "COINBASE_PRO_TRADES"
"""The table that trades go to."""
WHAT = "trades"
"""What observations call them."""
MAX_TRADES = 1000
"""The exchange answers at most so many trades to one request."""
PLACES = 8
"""Decimals that are kept: `price_e8` and `size_e8` count units of 1e-8."""
UNITS = 10**PLACES
LARGEST = 2**63 - 1

SIDES = pd.CategoricalDtype(["buy", "sell"])

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
_YEARS = "1678", "2261"
"""What fits into nanoseconds as a whole."""
_BOUGHT = {"sell": True, "buy": False}
"""Whether the taker bought, by the side of the maker."""


class MissingTrades(BrokenAnswer):
    """An answer that lacks trades which must be there; never leaves `behemoth.feeds`.

    Attributes
    ----------
    missing : tuple of (int, int)
        The ids, as ranges ``[first, last]``.
    """

    def __init__(self, missing: Sequence[tuple[int, int]]) -> None:
        super().__init__(f"a body without the trades {spans(missing)}")
        self.missing = tuple(missing)


@dataclass(frozen=True, slots=True)
class Page:
    """One request: the trades of a product with the ids ``[first, last]``, at most 1,000.

    The exchange gives what is older than a cursor, newest first, so this is asked as
    ``after=last + 1`` with the limit ``last + 1 - first``.
    """

    product: str
    first: int
    last: int

    def __len__(self) -> int:
        return self.last + 1 - self.first

    def __str__(self) -> str:
        return f"{self.product!r}, trades {self.first} to {self.last}"


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Trades in the order of their ids, oldest first; all arrays are of one length.

    Attributes
    ----------
    trade_id
        The exchange's id: strictly increasing.
    time
        Nanoseconds since 1970, UTC.
    price_e8, size_e8
        Exact, in units of 1e-8 of the quote and the base currency.
    bought
        Whether the aggressor, the taker, bought.
    """

    trade_id: Ints
    time: Ints
    price_e8: Ints
    size_e8: Ints
    bought: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.trade_id)

    def missing(self) -> list[tuple[int, int]]:
        """Give the ids that lie between these but are not there, as ranges ``[first, last]``."""
        return gaps(self.trade_id)

    def check(self, page: Page) -> Trades:
        """Give them back if they are all the trades of a page.

        Raises
        ------
        MissingTrades
            When one is missing; anything beyond the page is cut off before.
        """
        inside = (self.trade_id >= page.first) & (self.trade_id <= page.last)
        found = self.trade_id[inside]
        missing = gaps(np.concatenate([[page.first - 1], found, [page.last + 1]]))
        if missing:
            raise MissingTrades(missing)
        return self.where(inside)

    def where(self, wanted: NDArray[np.bool_]) -> Trades:
        """Give some of them."""
        return Trades(
            self.trade_id[wanted],
            self.time[wanted],
            self.price_e8[wanted],
            self.size_e8[wanted],
            self.bought[wanted],
        )

    def frame(self) -> pd.DataFrame:
        """Give the trades as a frame.

        Returns
        -------
        DataFrame
            Index ``time``: datetime64[ns, UTC]; where several trades share a time, their order is
            that of the ids. Columns: ``trade_id``: int64. ``price``, ``size``: float64, quote and
            base currency, the nearest to the exchange's text. ``price_e8``, ``size_e8``: int64,
            that text times 10^8, exact. ``side``: category of ``buy`` and ``sell``, the
            aggressor's: the exchange's own field is the maker's side, so where it says ``sell``
            the taker bought, and this is ``buy``.
        """
        return pd.DataFrame(
            {
                "trade_id": self.trade_id,
                "price": floats(self.price_e8),
                "size": floats(self.size_e8),
                "price_e8": self.price_e8,
                "size_e8": self.size_e8,
                "side": pd.Categorical.from_codes((~self.bought).astype(np.int8), dtype=SIDES),
            },
            index=pd.DatetimeIndex(self.time.view("datetime64[ns]"), tz="UTC", name="time"),
        )


def joined(parts: Iterable[Trades]) -> Trades:
    """Put pages into one, in their order."""
    parts = [no_trades(), *parts]
    return Trades(
        np.concatenate([part.trade_id for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.price_e8 for part in parts]),
        np.concatenate([part.size_e8 for part in parts]),
        np.concatenate([part.bought for part in parts]),
    )


def no_trades() -> Trades:
    """Give trades that are none."""
    none = np.empty(0, np.int64)
    return Trades(none, none, none, none, np.empty(0, np.bool_))


def parse_trades(body: bytes, *, may_lack: bool = False) -> Trades:
    """Read a page of trades exactly; oldest first.

    Parameters
    ----------
    body
        JSON ``[{"time", "trade_id", "price", "size", "side"}, ...]``, newest first. Further
        fields are passed over.
    may_lack
        Whether ids may be missing between others.

    Raises
    ------
    BrokenAnswer
        When the body is no such JSON; when ids do not strictly descend; when a time is not ISO
        with up to nine decimals in UTC, price or size no plain decimal, or the side unknown.
    MissingTrades
        When ids are missing between others.
    FeedError
        When a price or a size has more than 8 decimals, zeros at the end apart, or does not fit
        into int64.

    Examples
    --------
    >>> body = b'[{"time": "2020-02-17T07:23:16.353Z", "trade_id": 7, "price": "9042.88", '
    >>> body += b'"size": "0.00846511", "side": "sell"}]'
    >>> trades = parse_trades(body)
    >>> trades.price_e8.tolist(), trades.size_e8.tolist(), trades.bought.tolist()
    ([904288000000], [846511], [True])
    """
    rows = _rows(body)[::-1]
    ids = _ids(rows)
    trades = Trades(
        ids,
        _times([row.get("time") for row in rows]),
        _exact("price", rows),
        _exact("size", rows),
        _sides([row.get("side") for row in rows]),
    )
    if not may_lack and (missing := trades.missing()):
        raise MissingTrades(missing)
    return trades


def units(text: str) -> int:
    """Give a plain decimal in units of 1e-8, exactly.

    Raises
    ------
    BrokenAnswer
        When it is no plain decimal.
    OverflowError
        When it cannot be told in int64; the text says why.

    Examples
    --------
    >>> units("9042.88000000")
    904288000000
    >>> units("1.5000000000")
    150000000
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise BrokenAnswer(f"{text[:80]!r} is no plain decimal")
    whole, decimals = match[1], (match[2] or "").rstrip("0")
    if len(decimals) > PLACES:
        raise OverflowError(f"more than {PLACES} decimals")
    if len(whole) > 19 or (number := int(whole + decimals.ljust(PLACES, "0"))) > LARGEST:
        raise OverflowError(f"more than {LARGEST} units of 1e-8")
    return number


def floats(exact: Ints) -> NDArray[np.float64]:
    """Give numbers in units of 1e-8 as the nearest float64."""
    given = exact / UNITS
    for place in np.flatnonzero(exact > 2**53):  # the integer itself would be rounded first
        given[place] = int(exact[place]) / UNITS
    return np.asarray(given)


def gaps(ids: Ints) -> list[tuple[int, int]]:
    """Give what is missing between increasing ids, as ranges ``[first, last]``."""
    at = np.flatnonzero(np.diff(ids) != 1)
    return [(int(ids[place]) + 1, int(ids[place + 1]) - 1) for place in at]


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join ranges of ids that adjoin, in their order."""
    whole: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if whole and whole[-1][1] + 1 == first:
            first = whole.pop()[0]
        whole.append((first, last))
    return whole


def spans(ranges: Iterable[tuple[int, int]], shown: int = 5) -> str:
    """Write ranges of ids for a message.

    Examples
    --------
    >>> spans([(3, 3), (7, 8), (9, 9)])
    '3, 7 to 9'
    """
    ranges = merged(ranges)
    texts = [f"{first}" if first == last else f"{first} to {last}" for first, last in ranges]
    more = [f"and {len(texts) - shown} more ranges"] * (len(texts) > shown)
    return ", ".join(texts[:shown] + more)


def _rows(body: bytes) -> list[dict[str, Any]]:
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        raise BrokenAnswer(f"a body that is no JSON: {excerpt(body)}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokenAnswer(f"a body that is no list of trades: {excerpt(body)}")
    return rows


def _ids(rows: Sequence[dict[str, Any]]) -> Ints:
    ids = [row.get("trade_id") for row in rows]
    for number in ids:
        # A boolean is an int to Python, so types are compared exactly.
        if type(number) is not int or not 0 < number <= LARGEST:
            raise BrokenAnswer(f"a trade_id that is none: {str(number)[:80]!r}")
    array = np.array(ids, dtype=np.int64)
    if not (array[1:] > array[:-1]).all():
        raise BrokenAnswer("trade ids that do not strictly descend")
    return array


def _times(texts: Sequence[Any]) -> Ints:
    for text in texts:
        if not isinstance(text, str) or not _TIME.fullmatch(text):
            raise BrokenAnswer(f"a time that is not ISO in UTC: {str(text)[:80]!r}")
        if not _YEARS[0] <= text[:4] <= _YEARS[1]:
            raise BrokenAnswer(f"a time that no int64 of nanoseconds can hold: {text!r}")
    try:
        return np.array([text[:-1] for text in texts], dtype="datetime64[ns]").view(np.int64)
    except ValueError as error:  # a month 13, a second 60
        raise BrokenAnswer(f"a time that does not exist: {error}") from None


def _exact(name: str, rows: Sequence[dict[str, Any]]) -> Ints:
    numbers = []
    for row in rows:
        text = row.get(name)
        if not isinstance(text, str):
            raise BrokenAnswer(f"a {name} that is no text: {str(text)[:80]!r}")
        try:
            numbers.append(units(text))
        except OverflowError as error:
            raise FeedError(
                f"trade {row['trade_id']} has the {name} {text[:80]!r}, {error}: it cannot be kept "
                "exactly, so trades of this product cannot be stored"
            ) from None
    return np.array(numbers, dtype=np.int64)


def _sides(sides: Sequence[Any]) -> NDArray[np.bool_]:
    for side in sides:
        if side not in ("buy", "sell"):
            raise BrokenAnswer(f"a side that is neither buy nor sell: {str(side)[:80]!r}")
    return np.array([_BOUGHT[side] for side in sides], dtype=np.bool_)
