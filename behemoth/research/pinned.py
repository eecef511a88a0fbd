"""One state of a table, kept while a question asks several times. Writes nothing.

What the verbs of `behemoth.research` have in common: each answer is of one state, whoever writes
meanwhile, and only files that can matter are read. What they make of the ticks lives beside this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF, START_AS_OF
from behemoth.errors import BadRequest
from behemoth.tickstore import request, times
from behemoth.tickstore.times import Bound
from behemoth.tickstore.view import AsOf, View

FIRST_NS, LAST_NS = times.FIRST_NS, times.LAST_NS


@dataclass(frozen=True, slots=True)
class Pinned:
    """A table as it is at one state, and as it was known at one time.

    Parameters
    ----------
    view
        The table.
    as_of_time
        When it was known.
    """

    view: View
    as_of_time: AsOf

    def select(
        self, symbol: str | Sequence[str], start: Bound = None, end: Bound = None, **how: Any
    ) -> pd.DataFrame:
        """Select ticks as `View.select` does."""
        return self.view.select(symbol, start, end, self.as_of_time, **how)

    def between(self, symbol: str | Sequence[str], low: int, high: int, **how: Any) -> pd.DataFrame:
        """Select ticks in ``[low, high]``, UTC nanoseconds since 1970."""
        return self.select(symbol, instant(low), instant(max(low, high)), **how)

    def spans(self, symbol: str) -> npt.NDArray[np.int64]:
        """Give the first and the last tick of each file that can be seen; reads no file.

        Returns
        -------
        numpy.ndarray
            Two columns, UTC nanoseconds since 1970; one row for each file with ticks.
        """
        known_at = times.as_of(self.as_of_time)
        seen = [
            (revision.first, revision.last)
            for revision in self.view.revisions(symbol)
            if revision.start_time <= known_at < revision.end_time and revision.rows > 0
        ]
        return np.array(seen, dtype=np.int64).reshape(-1, 2)

    def at_or_before(self, symbol: str, time: int) -> int | None:
        """Find a tick's time such that the last tick at or before `time` is not before it.

        Reads no file. What is selected from there on holds every tick that a look back from `time`
        can find, and of the files that lie before it no more than one time of ticks.

        Parameters
        ----------
        symbol
            Its name.
        time
            UTC nanoseconds since 1970.

        Returns
        -------
        int or None
            UTC nanoseconds since 1970; ``None`` when there is no tick at or before `time`.
        """
        there = self.spans(symbol)
        there = there[there <= time]
        return int(there.max()) if len(there) else None

    def at_or_after(self, symbol: str, time: int) -> int | None:
        """Find a tick's time such that the first tick at or after `time` is not after it."""
        there = self.spans(symbol)
        there = there[there >= time]
        return int(there.min()) if len(there) else None


def pinned(tickstore: View, as_of_time: AsOf = LATEST_AS_OF) -> Pinned:
    """Keep the state that a table has now.

    Parameters
    ----------
    tickstore
        The table.
    as_of_time
        When it was known; a naive time is UTC. By default, what is known now.
    """
    if not isinstance(tickstore, View):
        raise BadRequest(f"ticks come from a tickstore, not from {type(tickstore).__name__}")
    if as_of_time == LATEST_AS_OF:  # what was known with the newest commit; later ones come later
        newest = tickstore.log(limit=1)["time"]
        as_of_time = newest.iloc[-1].to_pydatetime() if len(newest) else START_AS_OF
    return Pinned(tickstore, as_of_time)


def instant(time: int) -> pd.Timestamp:
    """Give UTC nanoseconds since 1970 as an aware time; beyond pandas' range, its end."""
    return pd.Timestamp(min(max(time, FIRST_NS), LAST_NS), unit="ns", tz="UTC")


def zone(tz: str | None) -> str:
    """Give the time zone to cut in, UTC by default; raise `BadRequest` unless it is one."""
    request.check_tz(tz)
    return "UTC" if tz is None else tz.strip()
