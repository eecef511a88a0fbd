"""The door to blosc, which is loaded with the first chunk: importing it costs a notebook 15 ms."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def blosc() -> Any:
    """Give the library; it keeps to one thread, because chunks are small.

    Threads belong one level up, around whole files.
    """
    import blosc as library

    library.set_nthreads(1)
    return library
