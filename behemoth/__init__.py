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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_ROOMS = {"__version__": "version", "errors": "errors"} | dict.fromkeys(
    ("BiTimestamp", "Observation", "Revision"), "bitemporal"
)


def __getattr__(name: str) -> Any:
    """Load a public name when it is asked for: the command line must be there before pandas is."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = import_module(f"{__name__}.{_ROOMS.get(name, 'tickstore')}")
    found = globals()[name] = room if name == "errors" else getattr(room, name)
    return found


def __dir__() -> list[str]:
    """Name what is public, loaded or not."""
    return sorted({*globals(), *__all__})
