"""Doing the same to many files, a few at a time: a flush waits for the medium, not for a processor.

What does not live here: what is done to a file (`behemoth.stores.local`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

THREADS = 8

MANY = 16
"""Items from which on threads pay."""


def at_once(do: Callable[[Item], Outcome], items: Sequence[Item]) -> list[Outcome]:
    """Do something to each item, and give what came of it, in the order of the items.

    Nothing is being done any more when this returns or raises.

    Raises
    ------
    Exception
        What the first of the items that failed raised; most of those after it were not begun.
    """
    if len(items) < MANY:
        return [do(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS, thread_name_prefix="files") as pool:
        try:
            return [each.result() for each in [pool.submit(do, item) for item in items]]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
