"""`Tickstore`: the verbs. Joins index, layout, codec, object store and clock.

Decides nothing about time (`behemoth.bitemporal`), bytes (`behemoth.codec`) or how a commit is
made safe (`behemoth.tickstore.writer`).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pandas as pd

from behemoth import codec, index, layout
from behemoth.bitemporal import LATEST_AS_OF, BiTimestamp, Observation, Revision
from behemoth.codec import Schema
from behemoth.errors import (
    BadRequest,
    CheckpointIgnored,
    Closed,
    NotFound,
)
from behemoth.log import Tip
from behemoth.stores import LocalStore, MemoryStore, ObjectStore
from behemoth.tickstore import checkpoints, request, times
from behemoth.tickstore.reader import Reader
from behemoth.tickstore.state import State
from behemoth.tickstore.times import Bound
from behemoth.tickstore.writer import Change, Reason, Writer

AsOf = datetime | str


def utc_now() -> datetime:
    """Give the present, aware UTC."""
    return datetime.now(UTC)


class Tickstore:
    """A table of ticks, bitemporal and append-only. Opening writes nothing.

    Parameters
    ----------
    store
        Where the table lives.
    timestamp_column
        The name of the time index, or of the column that becomes it.
    clock
        Gives the present, aware UTC; for tests.
    """

    def __init__(
        self,
        store: ObjectStore,
        timestamp_column: str = "time",
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.timestamp_column = layout.check_name(timestamp_column)
        self._store = store
        self._clock = clock
        self._state = State(store)
        self._writer = Writer(store, self._state, clock)
        self._reader = Reader(store, self._state, timestamp_column)
        self._closed = False
        self._state.refresh()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _refresh(self) -> Tip:
        """Read what is new; the answer to a request is of the commit that this gives."""
        if self._closed:
            raise Closed(f"{self!r} was closed; open it again")
        return self._state.refresh()

    @property
    def token(self) -> str:
        """Number and digest prefix of the newest commit: names this exact state for ever."""
        return self._refresh().token

    def insert(
        self,
        symbol: str,
        bi_timestamp: BiTimestamp,
        ticks: pd.DataFrame,
        *,
        message: str = "",
        source: str = "",
        if_changed: bool = False,
        observations: Iterable[Observation] = (),
        commit_id: str | None = None,
    ) -> Revision:
        """Insert the ticks of one symbol and date as a new revision; they replace what was known.

        When it has returned, the ticks are on disk and survive a crash.

        Parameters
        ----------
        symbol
            Any text of 1 to 300 characters without control characters.
        bi_timestamp
            The date that the ticks belong to and, to backdate knowledge, since when they count as
            known.
        ticks
            Index, or column of that name: `timestamp_column`, datetime64 (a naive time is UTC),
            in any order, duplicates are kept. Columns: numbers, booleans, datetimes, timedeltas,
            strings, categories of strings. Zero rows are legal. Ticks come back sorted stably by
            time, in nanoseconds.
        message, source
            Why, and from where; the log keeps them.
        if_changed
            Make no revision when the visible content is the same, bit by bit.
        observations
            What a source answered; kept in the same commit, with or without a new revision.
        commit_id
            Of a `CommitUnknown`, to try again without ever committing twice.

        Returns
        -------
        Revision
            The new one, or with `if_changed` the one that holds already.

        Raises
        ------
        BadFrame
            When something in the frame would not come back exactly.
        BadName, BadRequest
            When the symbol is no name, or the as-of time cannot be.
        EnvironmentFailed
            When the disk fails; nothing was committed.
        CommitUnknown
            When the disk failed so that nobody can tell.

        Examples
        --------
        >>> ticks = pd.DataFrame(
        ...     {"price": [9160.5]}, index=pd.DatetimeIndex(["2019-10-31 12:00"], name="time")
        ... )
        >>> with MemoryTickstore() as tickstore:
        ...     tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), ticks).version
        0
        """
        self._refresh()
        layout.check_name(symbol)
        _check_at(bi_timestamp)
        dismantled = codec.dismantle(ticks, self.timestamp_column)
        splay = codec.write_splay(dismantled, symbol, bi_timestamp.as_at_date, self._clock())
        change = Change(symbol, bi_timestamp, splay, if_changed)
        return self._commit([change], observations, Reason(message, source), commit_id)[0]

    def delete(
        self,
        symbol: str,
        bi_timestamp: BiTimestamp,
        *,
        message: str = "",
        source: str = "",
        commit_id: str | None = None,
    ) -> Revision:
        """Say that nothing is known of a symbol and date any more. What was known stays readable.

        Parameters
        ----------
        symbol, bi_timestamp
            What to delete and, to backdate it, since when.
        message, source, commit_id
            As for `insert`.

        Returns
        -------
        Revision
            A tombstone: a numbered revision without ticks.

        Raises
        ------
        NotFound
            When there is nothing to delete.
        """
        self._refresh()
        layout.check_name(symbol)
        _check_at(bi_timestamp)
        change = Change(symbol, bi_timestamp)
        return self._commit([change], (), Reason(message, source), commit_id)[0]

    def observe(
        self,
        observations: Iterable[Observation],
        *,
        message: str = "",
        source: str = "",
        commit_id: str | None = None,
    ) -> None:
        """Keep what a source answered, in a commit without revisions; raises as `insert` does."""
        self._refresh()
        self._commit([], observations, Reason(message, source), commit_id)

    def _commit(
        self,
        changes: Sequence[Change],
        observations: Iterable[Observation],
        reason: Reason,
        commit_id: str | None,
    ) -> list[Revision]:
        if not (isinstance(reason.message, str) and isinstance(reason.source, str)):
            raise BadRequest("message and source are texts")
        seen = request.items("observations", observations, Observation)
        for observation in seen:
            layout.check_name(observation.symbol)
        revisions = self._writer.commit(changes, seen, reason, commit_id)
        if self._state.tip.number - self._state.root.tip.number >= checkpoints.EVERY:
            self._try_checkpoint()
        return revisions

    def _try_checkpoint(self) -> None:
        """Write an index checkpoint; whatever goes wrong, the commit before it stands."""
        try:
            self._state.checkpoint()
        except Exception as error:  # noqa: BLE001 - nothing here may look like a failed commit
            with suppress(CheckpointIgnored):  # where warnings are errors
                warnings.warn(f"no index checkpoint was written: {error}", CheckpointIgnored, 4)

    def select(
        self,
        symbol: str | Sequence[str],
        start: Bound = None,
        end: Bound = None,
        as_of_time: AsOf = LATEST_AS_OF,
        *,
        columns: Sequence[str] | None = None,
        tz: str | None = None,
        schema: Schema = "union",
        missing: Literal["empty", "raise"] = "empty",
    ) -> pd.DataFrame:
        """Select ticks by their time, as they were known at a time.

        Parameters
        ----------
        symbol
            One symbol, or a list of them.
        start, end
            Inclusive instants; a naive time is UTC. A date, or a text that says only a date, means
            the whole day; mind that ``end=datetime(2019, 10, 31)`` is midnight.
        as_of_time
            When it was known; a naive time is UTC. By default, what is known now.
        columns
            Only these, in this order.
        tz
            Convert the index to this time zone; changes nothing about how bounds are read.
        schema
            ``"union"``: days may differ, missing columns are NaN, NaT or missing text.
            ``"strict"``: raise when they differ.
        missing
            ``"raise"``: raise for a symbol that is unknown; by default the frame is empty.

        Returns
        -------
        pandas.DataFrame
            Index: the times, datetime64[ns, UTC] (naive if they were inserted so), sorted; ticks
            of one time by their date, then as inserted. For a list of symbols a ``symbol`` level
            before it. Columns as inserted.

        Raises
        ------
        BadRequest
            When a bound is no time, the end comes before the start, the as-of time is in the
            future, or the days cannot be joined.
        NotFound
            When a column is unknown, or with ``missing="raise"`` a symbol.
        Corrupt
            When a file is not what it promises; names the file.

        Examples
        --------
        >>> tickstore = MemoryTickstore()
        >>> tickstore.select("BTC-USD", start="2019-10-01", end=Date(2019, 10, 31)).empty
        True
        """
        tip = self._refresh()
        request.check_tz(tz)
        request.check_choice("schema", schema, ("union", "strict"))
        request.check_choice("missing", missing, ("empty", "raise"))
        if columns is not None:
            columns = request.names("columns", columns)
        bounds = times.tick_bounds(start, end)
        known_at = self._known_at(as_of_time, tip)
        symbols = (symbol,) if isinstance(symbol, str) else request.names("symbol", symbol)
        for name in symbols:
            layout.check_name(name)
        parts = []
        for name in symbols:
            part = self._reader.read(name, bounds, known_at, tip.number, columns, schema)
            if part is None and missing == "raise":
                raise NotFound(self._why_nothing(name, known_at), symbol=name)
            parts.append(part)
        if isinstance(symbol, str):
            (part,) = parts
            return codec.to_frame(self._reader.nothing(columns) if part is None else part, tz)
        return self._reader.stack(symbols, parts, columns, schema, tz)

    def _why_nothing(self, symbol: str, known_at: datetime) -> str:
        starts = [revision.start_time for revision in self._state.timeline(symbol).revisions()]
        if not starts:
            return f"no symbol {symbol!r} in {self._store.name}"
        return f"nothing of {symbol!r} was known at {known_at}; it is known since {min(starts)}"

    def _known_at(self, as_of_time: AsOf, tip: Tip) -> datetime:
        known_at = times.as_of(as_of_time)
        times.not_in_the_future(known_at, self._clock(), tip.time)
        return known_at

    def symbols(self, as_of_time: AsOf = LATEST_AS_OF) -> list[str]:
        """Name the symbols that have ticks, as they were known at a time; sorted."""
        tip = self._refresh()
        known_at = self._known_at(as_of_time, tip)
        return [
            name
            for name in self._state.symbols()
            if self._state.timeline(name).visible(known_at, tip.number)
        ]

    def revisions(self, symbol: str) -> tuple[Revision, ...]:
        """Give every revision of a symbol, by date and version."""
        tip = self._refresh()
        return tuple(self._state.timeline(layout.check_name(symbol)).revisions(tip.number))

    def versions(
        self, symbol: str, start: Date | str | None = None, end: Date | str | None = None
    ) -> pd.DataFrame:
        """Show every revision of a symbol, for the as-at dates ``[start, end]``.

        Returns
        -------
        pandas.DataFrame
            Index and columns as those of `index`.
        """
        first, last = times.whole_date(start) or Date.min, times.whole_date(end) or Date.max
        if last < first:
            raise BadRequest(f"end {end} comes before start {start}")
        return self._table(r for r in self.revisions(symbol) if first <= r.date <= last)

    @property
    def index(self) -> pd.DataFrame:
        """Every revision of every symbol: what is known, since when and until when.

        Returns
        -------
        pandas.DataFrame
            Index: ``symbol``, ``date`` (datetime64[ns], the as-at date), ``version``. Columns:
            ``start_time``, ``end_time`` (datetime64[us, UTC]: known in ``[start, end)``),
            ``kind`` (insert or delete), ``path`` (in the table's folder), ``rows``, ``first``,
            ``last`` (datetime64[ns, UTC]: first and last tick), ``size`` (bytes), ``digest``
            (BLAKE2b of the content), ``commit``, ``commit_time`` (datetime64[us, UTC]).
        """
        tip, state = self._refresh(), self._state
        return self._table(
            revision
            for name in state.symbols()
            for revision in state.timeline(name).revisions(tip.number)
        )

    def _table(self, revisions: Iterable[Revision]) -> pd.DataFrame:
        shown = list(revisions)
        paths = [
            None if r.splay is None else layout.splay_key(r.symbol, r.date, r.splay) for r in shown
        ]
        return index.table(shown, paths)

    def observations(self, symbol: str) -> tuple[Observation, ...]:
        """Give what sources answered about a symbol, in the order of the commits."""
        self._refresh()
        return tuple(seen for _, seen in self._state.observations(layout.check_name(symbol)))

    def flush(self) -> None:
        """Write an index checkpoint, so that the next open has no log to fold.

        Not needed for safety: whatever was acknowledged is on disk already.
        """
        self._refresh()
        self._try_checkpoint()

    def close(self) -> None:
        """Close; every verb but `close` then raises `Closed`."""
        self._closed = True

    def destroy(self) -> None:
        """Remove the table for good, all versions of everything, and close it.

        Its folders are removed, and the table's own folder too, if nothing else is in it. The log
        goes last, so that a destroy that was interrupted can be called again.

        Raises
        ------
        NotFound
            When there is no table.
        BadRequest
            When somebody's files lie among the splays.
        """
        if self._refresh().number == 0:
            raise NotFound(f"{self._store.name} is no table, nothing was removed")
        years = set()
        for key in self._store.keys(""):
            top = key.split("/")[0]
            if layout.parse_splay_key(key) is not None:
                years.add(top)
            elif top.isdecimal():
                raise BadRequest(
                    f"{self._store.where(key)} is not of the table; move it away first"
                )
        self._store.destroy([*sorted(years), *layout.FOLDERS])
        self.close()


class LocalTickstore(Tickstore):
    """A table in a folder of this machine; made by the first insert.

    Parameters
    ----------
    path
        The table's folder.
    timestamp_column
        The name of the time index, or of the column that becomes it.
    clock
        Gives the present, aware UTC; for tests.
    """

    def __init__(
        self,
        path: Path | str,
        timestamp_column: str = "time",
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
            raise BadRequest(f"a table is in a folder, not in {path!r}")
        self.path = Path(path)
        super().__init__(LocalStore(self.path), timestamp_column, clock)


class MemoryTickstore(Tickstore):
    """A table in memory, gone with the process; for tests and for trying things out."""

    def __init__(
        self, timestamp_column: str = "time", clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(MemoryStore(), timestamp_column, clock)


def _check_at(bi_timestamp: BiTimestamp) -> None:
    if not isinstance(bi_timestamp, BiTimestamp):
        raise BadRequest(f"say when with BiTimestamp(date), not {bi_timestamp!r}")
