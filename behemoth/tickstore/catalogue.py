"""`Catalogue`: what a table holds, since when, who said so; and which state of it is shown.

Which days were asked for is told by `behemoth.tickstore.covered`, and the ticks are given by
`behemoth.tickstore.view`. Decides nothing about time (`behemoth.bitemporal`); what a process knows
of the table is in `behemoth.tickstore.state`. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date as Date
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd

from behemoth import index, layout
from behemoth.bitemporal import LATEST_AS_OF, Observation, Revision
from behemoth.errors import BadRequest, Closed
from behemoth.log import Tip
from behemoth.stores import LocalStore, ObjectStore
from behemoth.tickstore import copying, history, moments, times
from behemoth.tickstore.images import Images
from behemoth.tickstore.kinds import Seen
from behemoth.tickstore.moments import AsOf, Moment
from behemoth.tickstore.reader import Reader
from behemoth.tickstore.state import State
from behemoth.tickstore.verifying import Progress


class Catalogue:
    """What there is in a table.

    Parameters
    ----------
    store
        Where the table lives.
    timestamp_column
        The name of the time index.
    clock
        Gives the present, aware UTC.
    images
        Where decoded ticks are kept; ``None`` for nowhere.
    state
        What this process knows of the table already.
    pin
        Show this state, whatever is written later; by default, always the newest.
    """

    def __init__(
        self,
        store: ObjectStore,
        timestamp_column: str,
        clock: Callable[[], datetime],
        images: Images | None = None,
        state: State | None = None,
        pin: Moment | None = None,
    ) -> None:
        self.timestamp_column = layout.check_name(timestamp_column)
        self._store = store
        self._clock = clock
        self._images = images
        self._state = state or State(store)
        self._reader = Reader(store, self._state, timestamp_column, images)
        self._pin = pin
        self._closed = False

    def __repr__(self) -> str:
        pin = "" if self._pin is None else f", {self._pin.tip.token}"
        if self._pin is not None and self._pin.known_at != LATEST_AS_OF:
            pin += f", {self._pin.known_at}"
        return f"{type(self).__name__}({self._store.name!r}{pin})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close; every verb but `close` then raises `Closed`."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"{self!r} was closed; open it again")

    def _refresh(self) -> Tip:
        """Read what is new; the answer to a request is of the commit that this gives."""
        self._check_open()
        if self._pin is not None:
            return self._pin.tip
        return self._state.refresh()

    def _moment(self, state: AsOf = LATEST_AS_OF) -> Moment:
        """Find the state that a time, a token or a tag names, among those that this view knows."""
        tip = self._refresh()
        latest = LATEST_AS_OF if self._pin is None else self._pin.known_at
        if state == "":
            raise BadRequest(f"a state is a token like {tip.token!r}, a tag or a time, not ''")
        if isinstance(state, str) and not moments.is_time(state):
            self._state.check_log()
            is_token = moments.TOKEN.fullmatch(state)
            token = state if is_token else moments.get_tag(self._store, state).token
            return Moment(moments.tip_of(self._store, tip, token), latest)
        known_at = times.as_of(state)
        if known_at == LATEST_AS_OF:
            return Moment(tip, latest)
        if known_at > latest:
            raise BadRequest(f"{self!r} knows nothing of what became known until {known_at}")
        times.not_in_the_future(known_at, self._clock(), tip.time)
        return Moment(tip, known_at)

    @property
    def token(self) -> str:
        """Number and digest prefix of the newest commit, which name this state for ever."""
        return self._refresh().token

    def tags(self) -> pd.DataFrame:
        """Show the names that tokens were given, the oldest first.

        A frozen view shows the names of its states, also those that were given since.

        Returns
        -------
        pandas.DataFrame
            Index: ``tag``. Columns: ``token``; ``time`` (datetime64[us, UTC], when it was made);
            ``who``; ``message``.

        Raises
        ------
        Corrupt
            When one is damaged; names it.
        """
        newest = self._refresh().number
        self._state.check_log()
        found = moments.all_tags(self._store)
        return moments.table([tag for tag in found if int(tag.token.split("-")[0]) <= newest])

    def symbols(self, as_of_time: AsOf = LATEST_AS_OF) -> list[str]:
        """Name the symbols that have ticks, as they were known at a time; sorted.

        Parameters
        ----------
        as_of_time
            When it was known; a naive time is UTC. A token or a tag is that state. By default,
            what is known now.

        Raises
        ------
        BadRequest
            When the as-of time is no time, or in the future.
        NotFound
            When there is no such tag or token.
        """
        tip, known_at = self._moment(as_of_time)
        return self._state.shown(known_at, tip.number)

    def revisions(self, symbol: str) -> tuple[Revision, ...]:
        """Give every revision of a symbol, by date and version; none for one that is unknown.

        Parameters
        ----------
        symbol
            Its name.

        Returns
        -------
        tuple of Revision
            Those known in ``[start_time, end_time)``, aware UTC; ``first`` and ``last`` tick are
            nanoseconds since 1970 UTC, ``size`` is bytes.

        Raises
        ------
        BadName
            When the symbol is no name.
        """
        tip, known_at = self._moment()
        timeline = self._state.timeline(layout.check_name(symbol))
        return tuple(timeline.revisions(tip.number, known_at))

    def versions(
        self, symbol: str, start: Date | str | None = None, end: Date | str | None = None
    ) -> pd.DataFrame:
        """Show every revision of a symbol, for the as-at dates ``[start, end]``.

        Parameters
        ----------
        symbol
            Its name.
        start, end
            First and last as-at date, both included; by default, all.

        Returns
        -------
        pandas.DataFrame
            Index and columns as those of `index`; no rows for a symbol that is unknown.

        Raises
        ------
        BadName
            When the symbol is no name.
        BadRequest
            When a bound is no date, or the end comes before the start.
        """
        first, last = times.whole_date(start) or Date.min, times.whole_date(end) or Date.max
        if last < first:
            raise BadRequest(f"end {end} comes before start {start}")
        return self._table(r for r in self.revisions(symbol) if first <= r.date <= last)

    @property
    def index(self) -> pd.DataFrame:
        """Every revision of every symbol, with what is known, since when and until when.

        Returns
        -------
        pandas.DataFrame
            Index: ``symbol``, ``date`` (datetime64[ns], the as-at date), ``version``. Columns:
            ``start_time``, ``end_time`` (datetime64[us, UTC]: known in ``[start, end)``),
            ``kind`` (insert, delete or undelete), ``path`` (in the table's folder), ``rows``,
            ``first``, ``last`` (datetime64[ns, UTC]: first and last tick), ``size`` (bytes),
            ``digest`` (BLAKE2b of the content), ``commit``, ``commit_time`` (datetime64[us, UTC]).
        """
        (tip, known_at), state = self._moment(), self._state
        return self._table(
            revision
            for name in state.symbols()
            for revision in state.timeline(name).revisions(tip.number, known_at)
        )

    def _table(self, revisions: Iterable[Revision]) -> pd.DataFrame:
        shown = list(revisions)
        paths = [
            None if r.splay is None else layout.splay_key(r.symbol, r.date, r.splay) for r in shown
        ]
        return index.table(shown, paths)

    def observations(self, symbol: str) -> tuple[Observation, ...]:
        """Give what sources answered about a symbol, in the order of the commits.

        Parameters
        ----------
        symbol
            Its name.

        Returns
        -------
        tuple of Observation
            Their times are aware UTC; none for a symbol that is unknown.

        Raises
        ------
        BadName
            When the symbol is no name.
        """
        return tuple(seen for _, seen in self._seen(layout.check_name(symbol), self._moment()))

    def _seen(self, symbol: str, moment: Moment) -> list[Seen]:
        """Give what was observed of a symbol by a moment, with the numbers of the commits."""
        newest = moments.number_at(self._store, moment)
        return [each for each in self._state.observations(symbol) if each[0] <= newest]

    def _tip_of(self, state: str) -> Tip:
        """Find the commit that a token or tag names; times are refused."""
        if not isinstance(state, str) or moments.is_time(state):
            raise BadRequest(f"say which state by a token like {self.token!r}, not {state!r}")
        return self._moment(state).tip

    def log(self, symbol: str | None = None, limit: int | None = None) -> pd.DataFrame:
        """Show the commits: who, when, why, with what.

        Parameters
        ----------
        symbol
            Only the commits that say something of this symbol.
        limit
            Only the newest ones, at most so many.

        Returns
        -------
        pandas.DataFrame
            Index: ``commit``, its number. Columns: ``time`` (datetime64[us, UTC]), ``who``,
            ``message``, ``source``, ``tool``, ``inserts``, ``deletes``, ``undeletes`` (numbers of
            revisions), ``rows`` (ticks inserted), ``observations``, ``retired`` (numbers),
            ``backdated`` (revisions known from an earlier time than the commit's), ``unknown``
            (tuple of texts: what a commit that was made from what was left of a damaged table
            cannot know; else empty), ``token``, ``commit_id``.

        Raises
        ------
        BadRequest
            When the limit is no number of commits.
        Corrupt
            When an entry is damaged; names it.
        """
        tip = self._refresh()
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise BadRequest(f"limit is a number of commits, not {limit!r}")
        self._state.check_log()
        if symbol is None:
            numbers: Iterable[int] = range(1, tip.number + 1)
        else:
            said = [r.commit for r in self._state.timeline(layout.check_name(symbol)).revisions()]
            said += [number for number, _ in self._state.observations(symbol)]
            numbers = sorted({number for number in said if number <= tip.number})
        shown = list(numbers)
        return history.table(
            self._store, shown[max(0, len(shown) - limit) :] if limit is not None else shown
        )

    def copy(
        self, destination: Path | str, at: str | None = None, progress: Progress | None = None
    ) -> str:
        """Copy the table to a folder, as it is now or was at a token; it may be written meanwhile.

        Every byte is checked on the way. The copy is at each moment a table at an earlier token:
        after an interrupt, or to follow what came since, copy again to the same place.

        Parameters
        ----------
        destination
            The new table's folder; one that is there must hold an earlier state of this table.
        at
            The token or tag of the state to copy; by default the newest. A time is no such state:
            what was known then is not all that is to be kept.
        progress
            Called with the number of the commit that is copied, and of the last.

        Returns
        -------
        str
            The copy's token.

        Raises
        ------
        NotFound
            When the token is not of this table.
        Conflict
            When something else is there.
        Corrupt
            When a file is damaged; names it.
        """
        tip = self._refresh() if at is None else self._tip_of(at)
        copying.copy(
            self._store, LocalStore(copying.place(destination, self._store)), tip, progress
        )
        return tip.token
