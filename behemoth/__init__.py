"""Behemoth: a bitemporal tick database for quants, in plain HDF5 files.

>>> from datetime import date
>>> import pandas as pd
>>> from behemoth import BiTimestamp, MemoryTickstore
>>> ticks = pd.DataFrame(
...     {"price": [9160.5, 9161.0]},
...     index=pd.DatetimeIndex(["2019-10-31 12:00", "2019-10-31 12:01"], name="time"),
... )
>>> tickstore = MemoryTickstore()
>>> revision = tickstore.insert("BTC-USD", BiTimestamp(date(2019, 10, 31)), ticks)
>>> tickstore.select("BTC-USD", end="2019-10-31")["price"].tolist()
[9160.5, 9161.0]
"""

from behemoth import errors
from behemoth.bitemporal import BiTimestamp, Observation, Revision
from behemoth.tickstore import (
    LocalTickstore,
    MemoryTickstore,
    Receipt,
    Tickstore,
    View,
    receipt,
)
from behemoth.version import __version__

__all__ = [
    "BiTimestamp",
    "LocalTickstore",
    "MemoryTickstore",
    "Observation",
    "Receipt",
    "Revision",
    "Tickstore",
    "View",
    "__version__",
    "errors",
    "receipt",
]
