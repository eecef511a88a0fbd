"""Which days of a select are mapped from an image, and when an image is written.

What does not live here: what an image is (`behemoth.tickstore.images`), and how splays are read
(`behemoth.tickstore.reader`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from behemoth.bitemporal import LATEST_AS_OF
from behemoth.codec import Ticks
from behemoth.errors import Corrupt
from behemoth.index import Rows
from behemoth.tickstore.images import DAY, Days, Images, name_of, places
from behemoth.tickstore.request import Query
from behemoth.tickstore.state import State

RUN = 8
"""Days from which on mapping an image pays, however few ticks they have."""

KEPT_ROWS = 100_000
"""Ticks from which on an answer is worth keeping."""

COPIED = 4
"""Ticks that are copied from another image in the time in which one is decoded."""

NEVER = -math.inf
"""How much was read of a state that is not kept, or not again."""


class Mapping:
    """Maps what is asked for again.

    Parameters
    ----------
    images
        Where decoded ticks are kept; ``None`` for nowhere.
    state
        What this process knows of the table.
    decode
        Reads all splays of a symbol that these rows of the index name; ``None`` where they are
        damaged, cannot be put behind one another, or take more bytes than fit.
    """

    def __init__(
        self,
        images: Images | None,
        state: State,
        decode: Callable[[str, Rows, Callable[[int], bool]], Ticks | None],
    ) -> None:
        self._images = images
        self._state = state
        self._decode = decode

    def find(self, query: Query, shown: Rows) -> dict[range, Ticks]:
        """Find the runs of days that an image holds, by their places among those shown."""
        images = self._images
        if images is None or not _pays(shown):
            return {}
        state, wanted = "", _days(shown)
        image = images.find(query.symbol)
        lacks = image is None or np.any(places(image.days, wanted) < 0)
        if lacks and images.has_former(query.symbol):
            former = name_of(_days(self._known(query)))
            found = images.find(query.symbol, former)
            state, image = (state, image) if found is None else (former, found)
        if image is None or not {c.name for c in image.columns} >= set(query.columns or ()):
            return {}
        there = places(image.days, wanted)
        breaks = np.flatnonzero((np.diff(there) != 1) | (there[1:] < 0)) + 1
        runs = [
            range(low, high)
            for low, high in pairwise([0, *breaks.tolist(), len(there)])
            if there[low] >= 0 and _pays(shown[low:high])
        ]
        try:
            return {
                run: image.ticks(int(there[run.start]), int(there[run.stop - 1]), query.columns)
                for run in runs
            }
        except (Corrupt, OSError):
            images.drop(query.symbol, state)
            return {}

    def missed(self, query: Query, ticks: Ticks, decoded: int) -> None:
        """Take note of ticks of which so many were read from splays; write an image if it pays.

        That is when more was read than it would hold: of all ticks, at the second asking. It is
        one of the latest state, if that holds all that was known at the time asked for; there,
        everything asked for counts. One of a former state is written once in each process: if it
        had to make room for others, it is not the one to drive them out in turn.
        """
        images = self._images
        if images is None or not images.writable or len(ticks) < KEPT_ROWS:
            return
        latest = query._replace(known_at=LATEST_AS_OF, commit=None)
        kept, known = self._known(latest), self._known(query)
        state, cost = "", float(len(ticks))
        if np.any(places(_days(kept), _days(known)) < 0):
            state, kept = name_of(_days(known)), known
            cost = decoded + (len(ticks) - decoded) / COPIED
        asked, total = (query.symbol, state), int(kept["rows"].sum())
        images.asked[asked] += cost
        if images.asked[asked] <= total:
            return
        image = images.find(*asked)
        if image is not None and np.array_equal(image.days, _days(kept)):
            return
        whole = self._decode(query.symbol, kept, images.fits)
        again = whole is not None and images.keep(*asked, _days(kept), whole)
        images.asked[asked] = 0 if again and not state else NEVER

    def _known(self, query: Query) -> Rows:
        """Find all that was known of a symbol, but for days without ticks."""
        shown = self._state.timeline(query.symbol).shown(query.known_at, query.commit)
        return shown[shown["rows"] > 0]


def _days(rows: Rows) -> Days:
    """Say which splays these rows are, as an image does."""
    days = np.empty(len(rows), dtype=DAY)
    for name in ("date", "splay", "rows"):
        days[name] = rows[name]
    days["digest"] = rows["digest_0"]
    return days


def _pays(rows: Rows) -> bool:
    """Say whether mapping these days is faster than decoding them."""
    return len(rows) >= RUN or bool(rows["rows"].sum() >= KEPT_ROWS)
