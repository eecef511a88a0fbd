"""Tables to ask: frames filed by their dates, and a store that tells which files were read."""

from __future__ import annotations

import pandas as pd
from hypothesis import settings

from behemoth import BiTimestamp, MemoryTickstore
from behemoth.layout import parse_splay_key
from behemoth.stores import MemoryStore
from behemoth.tickstore import Tickstore

NEW_YORK = "America/New_York"
repeatable = settings(derandomize=True, deadline=None)
"""The same examples in every run, however slow the machine."""


def stored(frame, symbol="A", tickstore=None):
    """A table that holds the frame, filed by its dates."""
    tickstore = tickstore or MemoryTickstore()
    tickstore.insert_many(
        [(symbol, BiTimestamp(day), part) for day, part in frame.groupby(frame.index.date)]
    )
    return tickstore


class Recording(MemoryStore):
    """An object store that keeps which splays were read."""

    def __init__(self):
        super().__init__()
        self.read = []

    def get(self, key):
        if parse_splay_key(key) is not None:
            self.read.append(key)
        return super().get(key)

    def dates(self):
        """Give the dates of the splays read since the last call, each once."""
        read, self.read = self.read, []
        return list(dict.fromkeys(key.rsplit("/", 1)[0] for key in read))


def recorded(frame, symbol="A"):
    """A table that holds the frame, and the store that tells what is read of it."""
    store = Recording()
    tickstore = stored(frame, symbol, Tickstore(store))
    store.dates()
    return tickstore, store


def daily(start="2019-10-01", days=10, seconds=(3600, 7200)):
    """A few ticks a day, at these seconds of it; the price counts them."""
    first = pd.Timestamp(start, tz="UTC")
    times = [first + pd.Timedelta(days=d, seconds=s) for d in range(days) for s in seconds]
    index = pd.DatetimeIndex(times, name="time").as_unit("ns")
    return pd.DataFrame({"price": [float(n) for n in range(len(times))]}, index=index)
