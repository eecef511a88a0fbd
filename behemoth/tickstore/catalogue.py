"""`Catalogue`: what a table holds, since when, who said so; and which state of it is shown.

The ticks themselves are given by `behemoth.tickstore.view`. Decides nothing about time
(`behemoth.bitemporal`); what a process knows of the table is in `behemoth.tickstore.state`. Nothing
here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date as Date
from datetime import datetime
from pathlib import Path, PurePath
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd

from behemoth import index, layout
from behemoth.bitemporal import LATEST_AS_OF, Observation, Revision
from behemoth.errors import BadRequest, Closed
from behemoth.log import Tip
from behemoth.stores import LocalStore, ObjectStore
from behemoth.tickstore import copying, coverage, history, missing, moments, times
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

    def coverage(
        self,
        symbol: str,
        start: Date | str | None = None,
        end: Date | str | None = None,
        *,
        what: str | None = None,
        source: str | None = None,
    ) -> pd.DataFrame:
        """Show what is known of each day: never asked, complete, empty, partial, failed.

        It follows from the observations and the revisions in the log; no file is read. A frozen
        view says what was known then: an answer since its commit, ticks since they count as known.

        Parameters
        ----------
        symbol
            Its name.
        start, end
            First and last UTC day, both included; by default from the first to the last day that
            was asked for or has ticks.
        what, source
            Count only what was asked for so (``"candles/60"``), and only of this source. By
            default, everything.

        Returns
        -------
        pandas.DataFrame
            One row for each day. Index: ``date`` (datetime64[ns], a UTC day). Columns:

            - ``state``, category. ``complete``: all of the day was answered, and ticks are stored.
              ``empty``: all of it was answered, and the source had nothing. ``partial``: a part was
              answered. ``stored``: there are ticks, but nobody was asked; whether they are all is
              unknown. ``deleted``: the ticks were deleted, and the source did not say since that it
              has none. ``failed``: asked, and never answered. ``unasked``: never asked, nothing
              stored. What was answered stays so, whatever a later asking brings; a day may be
              answered in parts.
            - ``rows``: ticks filed under this as-at date. The state looks at the ticks in the time
              of the day as well, which a session date may have brought.
            - ``version``, Int64: of the newest revision of this date, which may be a delete.
            - ``asked_at``, ``first_asked_at`` (datetime64[us, UTC]): the last and the first asking,
              NaT for none; ``askings`` and ``failures``: how many, and how many in vain.
            - ``source``, ``what``: of the last asking.

        Raises
        ------
        BadName
            When the symbol is no name.
        BadRequest
            When a bound is no date, or the end comes before the start.

        Examples
        --------
        >>> with MemoryTickstore() as tickstore:
        ...     revision = tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), ticks)
        ...     tickstore.coverage("BTC-USD", "2019-10-30", "2019-10-31")["state"].tolist()
        ['unasked', 'stored']
        """
        moment, first, last = self._range(symbol, start, end)
        seen = [
            (number, each)
            for number, each in self._seen(symbol, moment)
            if what in (None, each.what) and source in (None, each.source)
        ]
        known = self._state.timeline(symbol).revisions(moment.tip.number, moment.known_at)
        return coverage.table(coverage.fold(seen, known, first, last))

    def gaps(
        self,
        symbol: str,
        start: Date | str | None = None,
        end: Date | str | None = None,
        *,
        granularity: int | None = None,
    ) -> pd.DataFrame:
        """Show which candles are missing, and why: no trade then, or not fetched, or failed.

        Only the times of ticks are read, some days at a time; of days whose answer was as many
        candles as a day has, nothing. A candle that is not over is not missing: for a frozen
        view, one that was not over at its time.

        Parameters
        ----------
        symbol
            Its name.
        start, end
            First and last UTC day, both included; by default from the first to the last day that
            was asked for or has ticks.
        granularity
            Seconds of a candle; they divide a day. By default those of the candles that were asked
            for; where nothing was, 60 in a table that has ``ONE_MIN`` in its name. Otherwise, as
            for trades, there are no candles: what is missing are the days, or parts of days, that
            were not answered, and the days when nothing traded.

        Returns
        -------
        pandas.DataFrame
            One row for each span, in the order of time; what adjoins for the same reason is one,
            across midnight too. ``attrs["granularity"]`` is what was decided. Columns:

            - ``start``, ``end``: datetime64[ns, UTC], half-open: ``[start, end)``.
            - ``bins``: Int64, how many candles; missing where there are none.
            - ``reason``, category. ``no trade``: the source answered for it, and had nothing.
              ``unknown``: stored without an asking, or fewer ticks than the source had. ``not
              fetched``: never asked, or the rest of a partial day. ``failed``: asked in vain.
              ``deleted``: the ticks were deleted.

            A tick is in its candle by its time, whatever its as-at date.

        Raises
        ------
        BadName
            When the symbol is no name.
        BadRequest
            When a bound is no date, the end comes before the start, the granularity does not
            divide a day, or candles of several lengths were asked for and none is named.
        Corrupt
            When a file is not what it promises; names the file.

        Examples
        --------
        >>> index = pd.DatetimeIndex(["2019-10-31 00:00", "2019-10-31 00:02"], name="time")
        >>> bars = pd.DataFrame({"price": [9.0, 9.5]}, index)
        >>> with MemoryTickstore() as tickstore:
        ...     revision = tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), bars)
        ...     tickstore.gaps("BTC-USD", granularity=60)[["bins", "reason"]].to_numpy().tolist()
        [[1, 'unknown'], [1437, 'unknown']]
        """
        moment, first, last = self._range(symbol, start, end)
        seen = self._seen(symbol, moment)
        table = PurePath(self._store.name).name
        seconds = missing.grain((each for _, each in seen), table, granularity)
        seen = [each for each in seen if missing.counts(each[1], seconds)]
        number, known_at = moment.tip.number, moment.known_at
        days = coverage.fold(
            seen, self._state.timeline(symbol).revisions(number, known_at), first, last
        )
        over = 1000 * index.microseconds(self._present(moment))

        def read(low: int, high: int) -> missing.Times:
            ticks, _ = self._reader.read(symbol, (low, high), known_at, number, [], "union")
            return np.empty(0, dtype=np.int64) if ticks is None else ticks.times

        pieces = (
            missing.without_grid(days, over)
            if seconds is None
            else missing.Grid(seconds, over, read).missing(days)
        )
        return missing.table(pieces, seconds)

    def _range(
        self, symbol: str, start: Date | str | None, end: Date | str | None
    ) -> tuple[Moment, Date | None, Date | None]:
        """Check what days of what are asked for, and say of which moment."""
        layout.check_name(symbol)
        first, last = times.whole_date(start), times.whole_date(end)
        coverage.check_range(first, last)
        return self._moment(), first, last

    def _present(self, moment: Moment) -> datetime:
        """Say what time it is in this state: for a frozen one, when it was."""
        if self._pin is None:
            return self._clock()
        if moment.known_at != LATEST_AS_OF:
            return moment.known_at
        return moment.tip.time or self._clock()

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
