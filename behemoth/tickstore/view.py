"""`View`: the verbs that read ticks, in any state of a table.

What a table holds beside them is shown by `behemoth.tickstore.catalogue`. Decides nothing about
bytes (`behemoth.codec`) or files (`behemoth.tickstore.reader`). Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, overload

import pandas as pd

from behemoth import codec, layout
from behemoth.bitemporal import LATEST_AS_OF
from behemoth.codec import Schema, Ticks
from behemoth.errors import BadRequest, Corrupt, NotFound
from behemoth.index import Rows
from behemoth.tickstore import (
    diffing,
    export,
    receipts,
    request,
    times,
    vintages,
)
from behemoth.tickstore.covered import Covered
from behemoth.tickstore.export import Output
from behemoth.tickstore.moments import AsOf, Moment
from behemoth.tickstore.parts import Span, by_rows
from behemoth.tickstore.receipts import Receipt
from behemoth.tickstore.times import Bound

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

Missing = Literal["empty", "raise"]
SPLAYS = ["date", "version", "path", "rows", "first", "last", "size", "digest", "start_time"]
"""Columns of `View.splays`."""


class Asked(NamedTuple):
    """What a request asks for, checked and read."""

    moment: Moment
    symbols: tuple[str, ...]
    bounds: Span
    columns: tuple[str, ...] | None

    def of(self, symbol: str) -> request.Query:
        """Give what is asked for of one symbol."""
        tip, known_at = self.moment
        return request.Query(symbol, self.bounds, known_at, tip.number, self.columns)


class View(Covered):
    """A table of ticks to read: always the newest state, or one that is frozen (`at`)."""

    def at(self, state: AsOf) -> View:
        """Freeze a state: a view with every verb that reads, and for ever the same answers.

        Parameters
        ----------
        state
            A token, the name of a tag, or a time of knowledge (a naive one is UTC). At a time,
            what is shown is what was known then, as far as it is committed now: the newest token
            is frozen with it.

        Returns
        -------
        View
            Its ``token`` is the frozen one. It is closed by itself, and reads on when what it was
            made of is closed.

        Raises
        ------
        BadRequest
            When it is neither a token, nor a name, nor a time; or a time in the future.
        NotFound
            When there is no such tag, or the token is of another table.

        Examples
        --------
        >>> tickstore = MemoryTickstore()
        >>> before = tickstore.at(tickstore.token)
        >>> revision = tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), ticks)
        >>> before.symbols(), tickstore.symbols()
        ([], ['BTC-USD'])
        """
        pin = self._moment(state)
        return View(self._store, self.timestamp_column, self._clock, self._images, self._state, pin)

    @overload
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
        missing: Missing = "empty",
        output: Literal["pandas"] = "pandas",
    ) -> pd.DataFrame: ...

    @overload
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
        missing: Missing = "empty",
        output: Literal["arrow"],
    ) -> pa.Table: ...

    @overload
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
        missing: Missing = "empty",
        output: Literal["polars"],
    ) -> pl.DataFrame: ...

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
        missing: Missing = "empty",
        output: Output = "pandas",
    ) -> pd.DataFrame | pa.Table | pl.DataFrame:
        """Select ticks by their time, as they were known at a time.

        Parameters
        ----------
        symbol
            One symbol, or a list of them.
        start, end
            Inclusive instants; a naive time is UTC. A date, or a text that says only a date, means
            the whole day; mind that ``end=datetime(2019, 10, 31)`` is midnight.
        as_of_time
            When it was known; a naive time is UTC. A token or a tag is that state. By default,
            what is known now.
        columns
            Only these, in this order.
        tz
            Convert the index to this time zone; changes nothing about how bounds are read.
        schema
            ``"union"``: days may differ, missing columns are NaN, NaT or missing text.
            ``"strict"``: raise when they differ.
        missing
            ``"raise"``: raise for a symbol that is unknown; by default the frame is empty.
        output
            ``"arrow"``: a pyarrow.Table, ``"polars"``: a polars.DataFrame. Neither makes a pandas
            frame on the way. Their first column is the time, for a list of symbols after a column
            ``symbol``. A NaN stays NaN; missing texts and NaT are null.

        Returns
        -------
        pandas.DataFrame, or what `output` says
            Index: the times, datetime64[ns, UTC] (naive if they were inserted so), sorted; ticks
            of one time by their date, then as inserted. For a list of symbols a ``symbol`` level
            before it. Columns as inserted. ``attrs["behemoth"]`` is a receipt, see `receipt`; in
            an Arrow table it lies in the schema's metadata. A polars frame carries none.

        Raises
        ------
        BadRequest
            When a bound is no time, the end comes before the start, the as-of time is in the
            future, or the days cannot be joined.
        NotFound
            When a column, tag or token is unknown, or with ``missing="raise"`` a symbol.
        Corrupt
            When a file is not what it promises; names the file.
        EnvironmentFailed
            When the package of the `output` is not installed.

        Examples
        --------
        >>> tickstore = MemoryTickstore()
        >>> tickstore.select("BTC-USD", start="2019-10-01", end=Date(2019, 10, 31)).empty
        True
        """
        request.check_choice("output", output, ("pandas", "arrow", "polars"))
        asked = self._asked(symbol, start, end, as_of_time, columns, tz, schema, missing)
        moment, symbols, _, columns = asked
        parts, shown = [], []
        for name in symbols:
            part, rows = self._reader.read(asked.of(name), schema)
            if part is None and missing == "raise":
                raise NotFound(self._why_nothing(name, moment), symbol=name)
            parts.append(part)
            shown.append((name, rows))
        of = None
        if isinstance(symbol, str):
            (part,) = parts
            whole = self._reader.nothing(columns) if part is None else part
        else:
            of, whole = self._reader.stack(symbols, parts, columns, schema)
        note = self._note(asked, symbol, shown, len(whole), tz, schema)
        return export.shaped(output, whole, tz, of, note)

    def _asked(
        self,
        symbol: str | Sequence[str],
        start: Bound,
        end: Bound,
        as_of_time: AsOf,
        columns: Sequence[str] | None,
        tz: str | None,
        schema: Schema,
        missing: Missing,
    ) -> Asked:
        """Check a request, and read its names and times."""
        moment = self._moment(as_of_time)
        request.check_tz(tz)
        request.check_choice("schema", schema, ("union", "strict"))
        request.check_choice("missing", missing, ("empty", "raise"))
        symbols = (symbol,) if isinstance(symbol, str) else request.names("symbol", symbol)
        for name in symbols:
            layout.check_name(name)
        bounds = times.tick_bounds(start, end)
        chosen = None if columns is None else request.names("columns", columns)
        return Asked(moment, symbols, bounds, chosen)

    def _note(
        self,
        asked: Asked,
        symbol: str | Sequence[str],
        shown: Iterable[tuple[str, Rows]],
        rows: int,
        tz: str | None,
        schema: Schema,
    ) -> dict[str, Any]:
        return receipts.note(
            self._state.identity if asked.moment.tip.number else "",
            asked.moment,
            symbol if isinstance(symbol, str) else asked.symbols,
            asked.bounds,
            shown,
            rows,
            columns=asked.columns,
            tz=tz,
            schema=schema,
        )

    def _sample(
        self, symbol: str, asked: Asked, schema: Schema, missing: Missing
    ) -> tuple[Ticks | None, Rows, int]:
        """Give the columns and types of a select, the files behind it, and how many ticks."""
        sample, shown, rows = self._reader.sample(asked.of(symbol), schema)
        if sample is None and missing == "raise":
            raise NotFound(self._why_nothing(symbol, asked.moment), symbol=symbol)
        return sample, shown, rows

    def _why_nothing(self, symbol: str, moment: Moment) -> str:
        known = self._state.timeline(symbol).revisions(moment.tip.number)
        if not known:
            return f"no symbol {symbol!r} in {self._store.name}; symbols lists those there are"
        since = min(revision.start_time for revision in known)
        return f"nothing of {symbol!r} was known at {moment.known_at}; it is known since {since}"

    def replay(self, receipt: Receipt | pd.DataFrame | dict[str, Any] | str) -> pd.DataFrame:
        """Give the same frame again, to the bit, from this table or any copy of it.

        Parameters
        ----------
        receipt
            As `behemoth.receipt` gives it; or a frame that carries one, or its one line of text.

        Returns
        -------
        pandas.DataFrame
            As `select` gave it.

        Raises
        ------
        NotFound
            When the receipt is of another table, or of a state that this copy has not.
        Corrupt
            When a splay is no longer what it was; names the first one.
        BadRequest
            When it is no receipt.
        """
        asked = receipts.receipt(receipt)
        if asked.store not in ("", self._state.identity):
            raise NotFound(
                f"the receipt is of the table {asked.store}, and {self._store.name} is "
                f"{self._state.identity or 'empty'}; ask the table it came from, or a copy"
            )
        frame = self.at(asked.token).select(
            asked.symbol,
            asked.start,
            asked.end,
            asked.as_of_time or LATEST_AS_OF,
            columns=asked.columns,
            tz=asked.tz,
            schema=cast("Schema", asked.schema),  # select checks it
        )
        found = receipts.receipt(frame)
        if (found.digest, found.rows) != (asked.digest, asked.rows):
            raise Corrupt(
                f"{self._store.name} at {asked.token} gives {found.rows} rows with the digest "
                f"{found.digest}, and the receipt says {asked.rows} with {asked.digest}: it was "
                "changed, or is of another table"
            )
        return frame

    def to_parquet(
        self,
        path: Path | str,
        symbol: str | Sequence[str],
        start: Bound = None,
        end: Bound = None,
        as_of_time: AsOf = LATEST_AS_OF,
        *,
        columns: Sequence[str] | None = None,
        tz: str | None = None,
        schema: Schema = "union",
        missing: Missing = "empty",
        group_rows: int = 1 << 19,
    ) -> Receipt:
        """Write what `select` would give into a Parquet file, some days at a time.

        More may be written than fits into memory. The file gets its name when it is whole;
        whatever stops it leaves what was there.

        Parameters
        ----------
        path
            The file.
        symbol, start, end, as_of_time, columns, tz, schema, missing
            As for `select`.
        group_rows
            Whole days are read and written together, as many as make about so many ticks.

        Returns
        -------
        Receipt
            It lies in the file's metadata too: ``receipt(pyarrow.parquet.read_schema(path))``.
            ``pandas.read_parquet(path)`` gives the frame that `select` gives; but Parquet knows
            neither categories that no tick has nor resolutions of a second.

        Raises
        ------
        EnvironmentFailed
            When the file cannot be written, or pyarrow is not installed.
        BadRequest, NotFound, Corrupt
            As `select` does.
        """
        asked = self._asked(symbol, start, end, as_of_time, columns, tz, schema, missing)
        samples, shown, rows = [], [], 0
        for name in asked.symbols:
            sample, files, count = self._sample(name, asked, schema, missing)
            samples.append(sample)
            shown.append((name, files))
            rows += count
        _, like = self._reader.stack(asked.symbols, samples, asked.columns, schema)
        note = self._note(asked, symbol, shown, rows, tz, schema)

        def parts() -> Iterator[tuple[str, Ticks]]:
            for name, files in shown:
                for span in by_rows(files, asked.bounds, group_rows):
                    yield name, self._reader.part(asked.of(name)._replace(bounds=span), like)

        export.to_parquet(Path(path), like, parts(), tz, not isinstance(symbol, str), note)
        return receipts.receipt(note)

    def splays(
        self,
        symbol: str,
        start: Bound = None,
        end: Bound = None,
        as_of_time: AsOf = LATEST_AS_OF,
    ) -> pd.DataFrame:
        """Show the files that a select would read: for other languages, clusters and the curious.

        Parameters
        ----------
        symbol, start, end, as_of_time
            As for `select`.

        Returns
        -------
        pandas.DataFrame
            One row for each file, by date; none for a symbol that is unknown. Columns: ``date``
            (datetime64[ns], the as-at date), ``version``, ``path`` (in full where the table is on
            disk; ``pandas.read_hdf`` opens it), ``rows``, ``first``, ``last`` (datetime64[ns, UTC]:
            its first and last tick, also those outside of the range), ``size`` (bytes), ``digest``
            (BLAKE2b of the content), ``start_time`` (datetime64[us, UTC], known since).

        Raises
        ------
        BadRequest, NotFound
            As `select` does.

        Examples
        --------
        >>> MemoryTickstore().splays("BTC-USD").empty
        True
        """
        asked = self._asked(symbol, start, end, as_of_time, None, None, "union", "empty")
        if not isinstance(symbol, str):
            raise BadRequest(f"one symbol at a time, not {symbol!r}")
        timeline, (moment, _, bounds, _) = self._state.timeline(symbol), asked
        table = self._table(timeline.visible(moment.known_at, moment.tip.number, bounds))
        table["path"] = [self._store.where(key) for key in table["path"]]
        shown = table.reset_index()[SPLAYS]
        return shown.astype({"path": codec.TEXT_DTYPE, "digest": codec.TEXT_DTYPE})

    def diff(
        self,
        symbol: str,
        a: AsOf,
        b: AsOf | None = None,
        start: Bound = None,
        end: Bound = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Show what differs between two states: ticks added, removed, changed, with both values.

        A tick is known by its as-at date, its time, and its position among the ticks of that time
        and date. Values are compared bit by bit: NaN is the same as NaN, 0.0 is not -0.0. A column
        that one state does not have is missing there; a new type alone is no change. Only days
        whose content differs are read, so years with one corrected day cost two files.

        Parameters
        ----------
        symbol
            Its name.
        a, b
            The states, as `at` takes them: a token, a tag, or a time of knowledge (a naive time is
            UTC); ``b`` is by default what is known now, and may be the earlier one.
        start, end
            Only ticks of these times, as in `select`.
        columns
            Compare and show only these, in this order.

        Returns
        -------
        pandas.DataFrame
            One row for each tick that differs; none for a symbol that neither state knows. Index:
            the times, as `select` gives them, sorted; ticks of one time by their date, then their
            position. Columns: two levels, as those of `pandas.DataFrame.compare`. ``("change",
            "")``: category of added, removed, changed. ``("date", "")``: datetime64[ns], the as-at
            date. ``(NAME, "a")`` and ``(NAME, "b")``: the value in each state, missing where there
            is no tick; whole numbers and booleans in pandas' nullable types, to stay exact.

        Raises
        ------
        BadRequest
            When a state or a bound is none, or the end comes before the start; when a column
            cannot be joined over the days of one state.
        NotFound
            When a tag is unknown, a token not of this table, or a column unknown.
        Corrupt
            When a file is not what it promises; names the file.

        Examples
        --------
        >>> day = BiTimestamp(Date(2019, 10, 31))
        >>> index = pd.DatetimeIndex(["2019-10-31 12:00"], name="time")
        >>> with MemoryTickstore() as tickstore:
        ...     wrong = tickstore.insert("BTC-USD", day, pd.DataFrame({"price": [916.0]}, index))
        ...     before = tickstore.token
        ...     right = tickstore.insert("BTC-USD", day, pd.DataFrame({"price": [9160.5]}, index))
        ...     found = tickstore.diff("BTC-USD", before)
        >>> found["change"].tolist(), found["price"].to_numpy().tolist()
        (['changed'], [[916.0, 9160.5]])
        """
        layout.check_name(symbol)
        if columns is not None:
            columns = request.names("columns", columns)
        bounds = times.tick_bounds(start, end)
        states = self._moment(a), self._moment(LATEST_AS_OF if b is None else b)
        return diffing.diff(self._reader, self._state.timeline(symbol), states, bounds, columns)

    def vintages(
        self,
        symbol: str,
        time_or_range: Bound | tuple[Bound, Bound] | slice,
        column: str | Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Show ticks by when they were believed: one row for each belief about each tick.

        A tick is known by its as-at date, its time, and its position among the ticks of that time
        and date. Beliefs about it start with the first revision of its date. A revision that
        changes nothing of the tick, in the columns that are shown, is no new belief. Knowledge
        that was backdated counts from when it was said to be known; the log has the commit's time.

        A belief holds in ``[start_time, end_time)``: whoever asks what was believed at an instant
        looks at both, because a tick that was taken away has a row without values. Of one tick
        ``["close"].plot(drawstyle="steps-post")`` draws them.

        Parameters
        ----------
        symbol
            Its name.
        time_or_range
            One instant; or a range, both ends included as in `select`: a tuple ``(start, end)``, a
            slice, or a date or text that means a whole day, month or year.
        column
            Show only this one, or these in this order.

        Returns
        -------
        pandas.DataFrame
            Index: ``start_time``, since when it was believed (datetime64[us, UTC]), sorted for
            each tick; of a range the tick's time before it. Columns: those of the ticks, missing
            where the tick was deleted or not there yet (whole numbers and booleans in pandas'
            nullable types, to stay exact); ``end_time``, until when (datetime64[us, UTC],
            `BiTimestamp.latest_as_of` for what is still believed); ``kind`` (insert, delete or
            undelete), ``date`` (datetime64[ns], as-at), ``version`` and ``commit`` of the revision
            that brought it; ``position`` among the ticks of that time and date. A tick column of
            one of these names takes its place where `column` names it. No rows where there never
            was a tick.

        Raises
        ------
        BadRequest
            When it is no time or range, or the end comes before the start; when a column cannot
            be joined over the revisions; when there is one of a belief's own names.
        NotFound
            When a column is unknown.
        Corrupt
            When a file is not what it promises; names the file.

        Examples
        --------
        >>> day = BiTimestamp(Date(2019, 10, 31))
        >>> index = pd.DatetimeIndex(["2019-10-31 12:00"], name="time")
        >>> with MemoryTickstore() as tickstore:
        ...     wrong = tickstore.insert("BTC-USD", day, pd.DataFrame({"price": [916.0]}, index))
        ...     right = tickstore.insert("BTC-USD", day, pd.DataFrame({"price": [9160.5]}, index))
        ...     tickstore.vintages("BTC-USD", "2019-10-31T12:00", "price")["price"].tolist()
        [916.0, 9160.5]
        """
        layout.check_name(symbol)
        columns = None
        if column is not None:
            columns = request.names("column", [column] if isinstance(column, str) else column)
        bounds, is_range = times.instant_or_range(time_or_range)
        moment = self._moment()
        timeline = self._state.timeline(symbol)
        return vintages.vintages(self._reader, timeline, moment, bounds, columns, is_range)
