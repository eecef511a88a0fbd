"""Old files that carry a pickle which runs when they are opened."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import tables

GETPID = "__import__('os').getpid()"
MARK = f"open({{path!r}}, 'a').write(str({GETPID}) + ' ')"
"""Leaves the number of the process that ran it in a file."""

DIE = f"__import__('os').kill({GETPID}, 9)"
LEAVE = "__import__('sys').exit('had enough')"
HANG = "__import__('time').sleep(3600)"
SHOUT = "print('x' * 100_000), __import__('os').write(1, b'noise' * 1000)"


class Pickled:
    """Runs an expression when it is unpickled, and then is the name of an index."""

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"(({self._expression}), 'time')[1]",)


def poison(path: Path | str, expression: str, axis: str = "axis1") -> None:
    """Hide an expression in the name of an axis, by default the time index; pandas reads both."""
    with warnings.catch_warnings(), tables.open_file(str(path), "a") as file:
        (group,) = (node for node in file.iter_nodes("/"))
        group._f_get_child(axis)._v_attrs["name"] = Pickled(expression)
