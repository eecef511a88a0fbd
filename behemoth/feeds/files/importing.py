"""Importing a file of candles into a tickstore: read it, settle its days, commit them at once.

The whole file is read and checked before anything is written. What its rows mean is decided by
`judging`, which of them stay by `spooling`, what of a day may be replaced by `days`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date as Date
from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from behemoth import codec, layout
from behemoth.bitemporal import BiTimestamp, Observation, Revision, visible
from behemoth.errors import BadRequest, Conflict, Corrupt
from behemoth.feeds.downloader import utc_now, what_of
from behemoth.feeds.files.days import Difference, count_odd, needing_a_word, runs
from behemoth.feeds.files.formats import Format, candle_format
from behemoth.feeds.files.judging import Bad, Judge
from behemoth.feeds.files.opening import opened
from behemoth.feeds.files.parquet import read_parquet
from behemoth.feeds.files.pieces import SHOWN, Enough, Tally
from behemoth.feeds.files.spooling import Settled, Spool, spool
from behemoth.feeds.files.summary import ImportProgress, ImportSummary
from behemoth.feeds.files.text import read_text
from behemoth.feeds.plan import DAY, ONE_DAY, KnownFrom, check_known_from, knowledge_start
from behemoth.feeds.unmixed import kinds_of
from behemoth.tickstore import LocalTickstore, Tickstore


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to become of a file."""

    path: Path
    symbol: str
    format: Format
    granularity: int
    source: str
    known_from: KnownFrom
    skip_bad: bool
    supersede: bool


def import_candles(
    table: Tickstore,
    path: Path | str,
    symbol: str,
    *,
    preset: str | None = None,
    columns: Mapping[str, str] | None = None,
    time_unit: str | None = None,
    granularity: int = 60,
    source: str | None = None,
    known_from: KnownFrom = "now",
    skip_bad: bool = False,
    supersede: bool = False,
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[ImportProgress], None] = lambda _: None,
) -> ImportSummary:
    """Import a file of candles, many days of one symbol: all of it in one commit, or nothing.

    CSV, plain or packed (gzip, bzip2, xz, a zip or tar of one file), or Parquet. Rows may be
    in any order; memory does not grow with the file. Every value is the float64 nearest to what
    is written. A file that was imported already writes nothing.

    Parameters
    ----------
    table
        The tickstore. Frames have the index ``time`` (datetime64[ns, UTC], start of the candle)
        and the columns ``low high open close volume`` (float64), then those that `columns` adds.
    path
        The file; for CSV also a pipe.
    symbol
        What its candles become.
    preset, columns, time_unit
        How the file is laid out, as `behemoth.feeds.candle_format` takes it.
    granularity
        Seconds of a candle, a divisor of a day. A row whose time starts none is bad.
    source
        What the log says the candles come from; ``file:NAME`` by default.
    known_from
        Since when they count as known, as for `behemoth.feeds.download`.
    skip_bad
        Leave out the rows that are no candles: cells that are missing, not numbers or not finite,
        negative volumes, and all rows of a time for which there are two different ones. By default
        a file that has one is refused.
    supersede
        Let the file replace what another source gave for its days, or days of which the same
        source gave more candles, or stand beside candles of another length. By default it is
        refused then.
    clock
        Gives the present, aware UTC, as the tickstore's clock does.
    on_progress
        Called as the file is read and as its days are stored.

    Returns
    -------
    ImportSummary

    Raises
    ------
    BadRequest
        When the format does not fit the file, or an argument cannot be.
    NotFound
        When there is no such file.
    Corrupt
        When the file has bad rows, has no candle, or cannot be unpacked; names file, line and
        column.
    Conflict
        When it would replace ticks, or mix with others, and `supersede` is not given, or somebody
        wrote one of its days meanwhile.
    EnvironmentFailed
        When a disk fails, or the file is Parquet and pyarrow is not installed.
    """
    path = Path(path)
    layout.check_name(symbol)
    check_seconds(granularity)
    wish = _Wish(
        path,
        symbol,
        candle_format(preset, columns, time_unit),
        granularity,
        f"file:{path.name}" if source is None else source,
        check_known_from(known_from),
        skip_bad,
        supersede,
    )
    if table.timestamp_column in wish.format.columns:
        raise BadRequest(f"the time index is called {table.timestamp_column!r}, and a column too")
    with spool(_folder(table), len(wish.format.columns)) as rows:
        run = _Import(table, wish, rows, clock, on_progress)
        run.read()
        run.settle()
        run.store()
    return run.summary


def check_seconds(granularity: int) -> None:
    """Return if candles can be of so many seconds.

    Raises
    ------
    BadRequest
        When they do not divide a day.
    """
    if granularity < 1 or DAY % granularity:
        raise BadRequest(f"a candle has seconds that divide a day, such as 60, not {granularity}")


def _folder(table: Tickstore) -> Path | None:
    """Find a folder on the table's disk; making the table's own would be a trace of it."""
    if not isinstance(table, LocalTickstore):
        return None
    path = table.path.absolute()
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), None)


class _Import:
    """The import of one file under way."""

    summary: ImportSummary

    def __init__(
        self,
        table: Tickstore,
        wish: _Wish,
        rows: Spool,
        clock: Callable[[], datetime],
        on_progress: Callable[[ImportProgress], None],
    ) -> None:
        self._table = table
        self._wish = wish
        self._rows = rows
        self._clock = clock
        self._on_progress = on_progress
        self._tally = Tally(wish.skip_bad)
        self._columns = pd.Index(wish.format.columns, dtype=object)  # made once: a frame is a day
        self._counts: dict[Date, int] = {}
        self._todo: list[Date] = []
        self._histories: dict[Date, list[Revision]] = {}

    def read(self) -> None:
        """Put all rows aside, and refuse a file that cannot be read."""
        with opened(self._wish.path) as source:
            is_parquet = source.is_parquet or self._wish.path.suffix in (".parquet", ".pq")
            read = read_parquet if is_parquet else read_text
            told = ImportProgress("reading", 0, source.total)
            self._on_progress(told)
            try:
                for piece in read(source, self._wish.format, self._judge, self._tally):
                    self._rows.add(piece)
                    self._on_progress(replace(told, done=source.done))
            except Enough:
                raise self._has_bad("at least ") from None

    def _judge(self, places: tuple[int, ...], width: int) -> Judge:
        latest = int((self._clock() + ONE_DAY).timestamp()) * 10**9
        wish = self._wish
        return Judge(wish.format, wish.granularity, latest, places, width)

    def settle(self) -> None:
        """Decide what becomes of each day; nothing is written before."""
        for revision in self._table.revisions(self._wish.symbol):
            self._histories.setdefault(revision.date, []).append(revision)
        odd = superseded = there = 0
        duplicates = self._rows.repeated
        differing: list[Difference] = []
        for date in self._rows.days():
            settled = self._rows.day(date)
            duplicates += settled.repeated
            self._note(settled)
            if not len(settled.times):
                continue
            self._counts[date] = len(settled.times)
            odd += count_odd(settled.values)
            known = visible(self._histories.get(date, ()))
            if known is None or not known.rows:
                self._todo.append(date)
            elif self._digest(settled) == known.digest:
                there += 1
            else:
                differing.append(Difference(date, known, len(settled.times)))
                superseded += 1
                self._todo.append(date)
        if self._tally.count and not self._wish.skip_bad:
            raise self._has_bad("")
        if not self._counts:
            raise self._is_empty()
        if not self._wish.supersede:
            self._check_kind()
            self._check_superseding(differing)
        self.summary = ImportSummary(
            file=str(self._wish.path),
            symbol=self._wish.symbol,
            source=self._wish.source,
            granularity=self._wish.granularity,
            first_day=min(self._counts),
            last_day=max(self._counts),
            days=len(self._counts),
            candles=sum(self._counts.values()),
            days_written=len(self._todo),
            days_superseded=superseded,
            days_already_there=there,
            duplicates=duplicates,
            reordered=self._rows.reordered,
            odd=odd,
            bad=self._tally.count,
            bad_rows=tuple(self._tally.shown()),
        )

    def store(self) -> None:
        """Commit all days together, with the observation of what the file holds."""
        seen = self._new_observations()
        if not self._todo and not seen:
            return
        try:
            self._commit(seen)
        except Conflict as error:
            if error.date is None:
                raise
            raise Conflict(
                f"{self._wish.path}: nothing was imported, because another wrote {error.date} "
                "of it meanwhile; import it again",
                symbol=error.symbol,
                date=error.date,
            ) from error

    def _commit(self, seen: Sequence[Observation]) -> None:
        wish, summary = self._wish, self.summary
        message = f"import {wish.symbol} {what_of(wish.granularity)} from {wish.path.name}"
        told = ImportProgress("storing", 0, summary.days_written)
        self._on_progress(told)
        with self._table.transaction(message=message, source=wish.source) as transaction:
            for done, date in enumerate(self._todo, 1):
                history = self._histories.get(date, [])
                start = knowledge_start(wish.known_from, date, history, self._clock())
                transaction.insert(
                    wish.symbol,
                    BiTimestamp(date, as_of_time=start),
                    self._frame(self._rows.day(date)),
                    expected_version=history[-1].version if history else -1,
                )
                self._on_progress(replace(told, done=done))
            transaction.observe(seen)

    def _note(self, settled: Settled) -> None:
        """Count the rows of times that have two different ones."""
        time = self._tally.names.index("time")
        try:
            for line, other in settled.differing:
                self._tally.add(line, Bad(time, f"line {other} has other values for the same time"))
        except Enough:
            raise self._has_bad("at least ") from None

    def _frame(self, settled: Settled) -> pd.DataFrame:
        """Make the frame of a day, in the shape that a download gives."""
        times = settled.times.view("datetime64[ns]")
        index = pd.DatetimeIndex(times, tz="UTC", name=self._table.timestamp_column)
        return pd.DataFrame(settled.values, index=index, columns=self._columns)

    def _digest(self, settled: Settled) -> str:
        return codec.dismantle(self._frame(settled), self._table.timestamp_column).digest()

    def _has_bad(self, about: str) -> Corrupt:
        count = self._tally.count
        are = "row is" if count == 1 else "rows are"
        return Corrupt(
            f"{self._wish.path}: {self._tally.shown()[0]}; {about}{count:,} {are} bad, nothing was "
            "imported: mend the file, or leave them out with --skip-bad",
            symbol=self._wish.symbol,
        )

    def _is_empty(self) -> Corrupt:
        if self._tally.count:
            why = f"{self._tally.shown()[0]}; all {self._tally.count:,} rows are bad"
        else:
            why = "line 1, column 1: there is no candle in it"
        return Corrupt(f"{self._wish.path}: {why}; nothing was imported", symbol=self._wish.symbol)

    def _check_kind(self) -> None:
        """Refuse to put candles beside trades, or beside candles of another length."""
        wish, what = self._wish, what_of(self._wish.granularity)
        if others := sorted(kinds_of(self._table, wish.symbol) - {what}):
            raise Conflict(
                f"{wish.path}: nothing was imported, because this table holds {others[0]} of "
                f"{wish.symbol!r}, and {what} would mix with them; choose another table with "
                "--table, or say --supersede to do it on purpose",
                symbol=wish.symbol,
            )

    def _check_superseding(self, differing: Sequence[Difference]) -> None:
        """Refuse to replace what another source gave, or more with less."""
        if not differing:
            return
        sources = self._table.log(self._wish.symbol)["source"].to_dict()
        others = needing_a_word(differing, sources, self._wish.source)
        if others:
            more = f" and {len(others) - SHOWN:,} days more" if len(others) > SHOWN else ""
            raise Conflict(
                f"{self._wish.path}: nothing was imported, because other ticks are stored already: "
                f"{'; '.join(others[:SHOWN])}{more}; replace them with --supersede",
                symbol=self._wish.symbol,
                date=differing[0].date,
            )

    def _new_observations(self) -> list[Observation]:
        """Say what the file holds, unless that was said before: each unbroken run of its days."""
        wish, now = self._wish, self._clock()
        known = {
            (seen.start, seen.end, seen.outcome, seen.rows)
            for seen in self._table.observations(wish.symbol)
            if (seen.source, seen.what) == (wish.source, what_of(wish.granularity))
        }
        outcome: Literal["complete", "partial"] = "partial" if self._tally.count else "complete"
        return [
            Observation(
                wish.symbol,
                wish.source,
                what_of(wish.granularity),
                start,
                end,
                now,
                outcome,
                rows,
            )
            for start, end, rows in runs(self._counts)
            if (start, end, outcome, rows) not in known
        ]
