"""Turning an old database into a table of today, losing nothing.

First every file is read and everything is checked; nothing is written before. Then what happened is
committed in its order: the first change of every symbol and date, then the second ones, and so on,
each known since when the old database says. At last all of it is held against the old index.
Opening old files does not live here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from behemoth import codec
from behemoth.bitemporal import BiTimestamp
from behemoth.codec import Ticks
from behemoth.errors import BadRequest, Corrupt, NotFound
from behemoth.legacy import history
from behemoth.legacy.checking import Checked, Content, check_files, check_index
from behemoth.legacy.history import Event, Key, Row
from behemoth.legacy.spawning import PATIENCE, Reading, Unreadable, Wanted
from behemoth.legacy.summary import Progress, Summary
from behemoth.legacy.verifying import already_there, verify
from behemoth.tickstore import LocalTickstore
from behemoth.tickstore.tickstore import utc_now

CHANGES, BYTES = 500, 1 << 28
"""A transaction holds at most so many changes, and not many more bytes of ticks."""

MESSAGE = "imported from a database of the 2019 code"


def import_database(
    database: Path,
    table: Path,
    *,
    timestamp_column: str | None = None,
    skip_bad: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], datetime] = utc_now,
    patience: float = PATIENCE,
) -> Summary:
    """Import a database of the 2019 code: every version and every delete, known since it was.

    Opening old files can run code that is hidden in them; it runs in a process of its own, with the
    rights of this user. An import that was stopped goes on when it is called again. Versions are
    numbered anew where there are deletes, which are numbered too. Knowledge times are cut to whole
    microseconds.

    Parameters
    ----------
    database
        The old folder, with its ``index.h5``.
    table
        The folder of the new table.
    timestamp_column
        The name of the time index, or of the column that becomes it; by default, what the first
        file calls its index, or ``"time"``.
    skip_bad
        Leave out the files that cannot be read or kept exactly: nothing is known while they were.
        By default, nothing is committed when there are some.
    on_progress
        Is told how far it is.
    clock
        Gives the present, aware UTC; for tests.
    patience
        Seconds that one file may take.

    Raises
    ------
    NotFound
        When there is no old database.
    Corrupt
        When its index contradicts itself, a file ends or hangs the process that opens it, or what
        was imported does not answer as the old index says.
    BadRequest
        When the table holds something else already.
    """
    _check_places(database, table)
    with Reading(database, patience) as reading:
        rows, odd = reading.rows()
        check_index(database, rows, odd, clock())
        checked = check_files(reading, database, rows, timestamp_column, on_progress)
        summary = Summary(
            database=str(database),
            timestamp_column=checked.time_name or "time",
            symbols=len({row.symbol for row in rows}),
            dates=len({(row.symbol, row.date) for row in rows}),
            versions=len(rows),
            bad=tuple(checked.bad),
            committed=skip_bad or not checked.bad,
        )
        if not summary.committed:
            return summary
        with LocalTickstore(table, summary.timestamp_column, clock) as tickstore:
            histories = history.decide(checked.contents)
            there = already_there(tickstore, histories, checked.contents)
            todo = list(batches(histories, there, checked.contents))
            source = str(database.resolve())
            _commit(tickstore, reading, todo, checked, source, on_progress)
            verified = verify(tickstore, checked.contents, on_progress)
    inserts = sum(event.row is not None for batch in todo for event in batch)
    return replace(
        summary,
        inserts=inserts,
        deletes=sum(map(len, todo)) - inserts,
        already_there=sum(there.values()),
        ticks=sum(content.rows for content in checked.contents.values()),
        verified=verified,
    )


def _check_places(database: Path, table: Path) -> None:
    if not (database / "index.h5").is_file():
        raise NotFound(f"no database of the 2019 code in {database}: there is no index.h5")
    old, new = database.resolve(), table.resolve()
    if old == new or old in new.parents or new in old.parents:
        raise BadRequest(f"the table {table} and the old database {database} share a folder")


def batches(
    histories: Mapping[Key, Sequence[Event]],
    there: Mapping[Key, int],
    contents: Mapping[Row, Content],
) -> Iterator[list[Event]]:
    """Cut what is left to do into transactions, one change of a symbol and date in each."""
    for number, events in enumerate(history.rounds(histories)):
        batch, size = [], 0
        for event in events:
            if number < there.get((event.symbol, event.date), 0):
                continue
            batch.append(event)
            size += 0 if event.row is None else contents[event.row].size
            if len(batch) == CHANGES or size >= BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def _commit(
    tickstore: LocalTickstore,
    reading: Reading,
    batches: Sequence[Sequence[Event]],
    checked: Checked,
    source: str,
    on_progress: Callable[[Progress], None],
) -> None:
    """Commit each batch; files are read again, which must find what it found before."""
    contents, total, done = checked.contents, sum(map(len, batches)), 0
    rows = [event.row for batch in batches for event in batch if event.row is not None]
    found = reading.read(Wanted(row, contents[row].place, checked.time_name) for row in rows)
    for batch in batches:
        with tickstore.transaction(message=MESSAGE, source=source) as transaction:
            for event in batch:
                at = BiTimestamp(event.date, as_of_time=event.time)
                if event.row is None:
                    transaction.delete(event.symbol, at)
                    continue
                ticks = _same(next(found), contents[event.row])
                transaction.insert(event.symbol, at, codec.to_frame(ticks))
        done += len(batch)
        on_progress(Progress("importing", done, total))


def _same(found: Ticks | Unreadable, content: Content) -> Ticks:
    if isinstance(found, Unreadable) or found.digest() != content.digest:
        raise Corrupt(
            f"{content.place} was changed while it was imported; import again when nobody writes"
        )
    return found
