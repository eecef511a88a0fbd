"""Pages that have come, kept durably until their day is whole: a download goes on mid-day.

Each page is an object of its own below ``staging/`` in the table's folder, with a digest; it is
flushed before it gets its name, so it is there in full or not at all. A page that is damaged, or
that somebody removed, is only asked again. What is asked is decided by `gathering`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from hashlib import blake2b

import numpy as np

from behemoth import layout
from behemoth.feeds.trades.seeking import Found
from behemoth.feeds.trades.values import Page, Trades
from behemoth.stores import LocalStore, MemoryStore, ObjectStore
from behemoth.tickstore import LocalTickstore, Tickstore

DIGEST = 32
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.[a-z0-9-]+")


def place(table: Tickstore) -> ObjectStore:
    """Give the store that pages for a table are kept in: its own folder, if it has one."""
    return LocalStore(table.path) if isinstance(table, LocalTickstore) else MemoryStore()


class Staging:
    """The pages of one product from one source.

    Parameters
    ----------
    store
        Where to keep them.
    source, product
        Whose they are; pages of another source are never taken for these.
    """

    def __init__(self, store: ObjectStore, source: str, product: str) -> None:
        self._store = store
        self._folder = f"staging/{layout.encode_name(product)}~" + (
            blake2b(source.encode(), digest_size=8).hexdigest().upper()
        )

    def keep(self, date: Date, page: Page, trades: Trades, at: datetime) -> None:
        """Keep a page, and when it came."""
        numbers = np.array([(at - EPOCH) // timedelta(microseconds=1), *trades.time])
        arrays = numbers, trades.price_e8, trades.size_e8, trades.bought
        self._put(self._page_key(date, page), b"".join(array.tobytes() for array in arrays))

    def page(self, date: Date, page: Page) -> tuple[Trades, datetime] | None:
        """Give a page that was kept, and when it came; ``None`` if it is not there, or damaged."""
        count = len(page)
        data = self._get(self._page_key(date, page))
        if data is None or len(data) != 8 * (3 * count + 1) + count:
            return None
        numbers = np.frombuffer(data, np.int64, 3 * count + 1)
        bought = np.frombuffer(data, np.bool_, count, offset=numbers.nbytes)
        time, price, size = numbers[1:].reshape(3, count)
        ids = np.arange(page.first, page.last + 1, dtype=np.int64)
        trades = Trades(ids, time, price, size, bought)
        return trades, EPOCH + timedelta(microseconds=int(numbers[0]))

    def keep_ids(self, date: Date, found: Found) -> None:
        """Keep which trades a day has."""
        self._put(self._key(date, "ids"), np.array([found.first, found.last]).tobytes())

    def ids(self, date: Date) -> Found | None:
        """Give which trades a day has, if that was kept."""
        data = self._get(self._key(date, "ids"))
        if data is None or len(data) != 16:
            return None
        first, last = np.frombuffer(data, np.int64).tolist()
        return Found(first, last, final=True)

    def dates(self) -> set[Date]:
        """Give the days of which something is kept."""
        return {date for date, _ in self._names()}

    def clear(self, dates: Container[Date]) -> None:
        """Forget what is kept of some days."""
        for date, key in list(self._names()):
            if date in dates:
                self._store.remove(key)

    def _names(self) -> Iterator[tuple[Date, str]]:
        for key in self._store.keys(f"{self._folder}/"):
            match = _NAME.fullmatch(key.rpartition("/")[2])
            if match:
                yield Date.fromisoformat(match[1]), key

    def _page_key(self, date: Date, page: Page) -> str:
        return self._key(date, f"{page.first}-{page.last}")

    def _key(self, date: Date, name: str) -> str:
        return f"{self._folder}/{date}.{name}"

    def _put(self, key: str, payload: bytes) -> None:
        data = _digest(key, payload) + payload
        try:
            self._store.put(key, data)
        except FileExistsError:  # of another run that is at work, or damaged
            if self._get(key) is None:
                self._store.remove(key)
                self._put(key, payload)

    def _get(self, key: str) -> bytes | None:
        try:
            data = self._store.get(key)
        except FileNotFoundError:
            return None
        payload = data[DIGEST:]
        return payload if _digest(key, payload) == data[:DIGEST] else None


def _digest(key: str, payload: bytes) -> bytes:
    return blake2b(payload, digest_size=DIGEST, key=blake2b(key.encode()).digest()).digest()
