"""How a table is held against the old index: what it has already, and in the end all of it.

Nothing is committed or mended here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date as Date
from datetime import datetime

from behemoth import codec, layout
from behemoth.bitemporal import LATEST_AS_OF, RESOLUTION, START_AS_OF, Revision, visible
from behemoth.errors import BadRequest, Corrupt
from behemoth.legacy.checking import Content
from behemoth.legacy.history import Event, Key, Row, known
from behemoth.legacy.summary import Progress
from behemoth.tickstore import LocalTickstore


def already_there(
    tickstore: LocalTickstore,
    histories: Mapping[Key, Sequence[Event]],
    contents: Mapping[Row, Content],
) -> dict[Key, int]:
    """Count the events of each history that an earlier import has committed.

    Raises
    ------
    BadRequest
        When the table knows something else of one of these symbols and dates.
    """
    found = {}
    for symbol in dict.fromkeys(symbol for symbol, _ in histories):
        for date, revisions in _by_date(tickstore, symbol).items():
            events = histories.get((symbol, date), ())
            if not events:
                continue
            for number, revision in enumerate(revisions):
                event = events[number] if number < len(events) else None
                if event is None or not _is_of(revision, event, contents):
                    raise BadRequest(
                        f"version {revision.version} of {symbol!r} {date} in {tickstore.path}, "
                        f"known from {revision.start_time}, is not of this import; import into "
                        "another table",
                        symbol=symbol,
                        date=date,
                        version=revision.version,
                    )
            found[symbol, date] = len(revisions)
    return found


def _is_of(revision: Revision, event: Event, contents: Mapping[Row, Content]) -> bool:
    digest = "" if event.row is None else contents[event.row].digest
    return (revision.start_time, revision.digest) == (event.time, digest)


def verify(
    tickstore: LocalTickstore,
    contents: Mapping[Row, Content],
    on_progress: Callable[[Progress], None],
) -> int:
    """Ask the table what it knew at the ends of every version's interval, and read every file.

    Parameters
    ----------
    tickstore
        The new table.
    contents
        What the old database has.
    on_progress
        Is told how far it is.

    Returns
    -------
    int
        How many versions answer as the old index says.

    Raises
    ------
    Corrupt
        At the first one that does not.
    """
    histories: dict[Key, list[Row]] = {}
    for row in contents:
        histories.setdefault((row.symbol, row.date), []).append(row)
    verified = 0
    for symbol in dict.fromkeys(symbol for symbol, _ in histories):
        for date, revisions in _by_date(tickstore, symbol).items():
            rows = histories.pop((symbol, date), [])
            for row in rows:
                _check_answers(tickstore, revisions, rows, row, contents)
                _check_file(tickstore, visible(revisions, row.start), contents[row])
                verified += 1
                on_progress(Progress("verifying", verified, len(contents)))
    for rows in histories.values():
        raise _differs(tickstore, rows[0], rows[0].start)
    return verified


def _check_answers(
    tickstore: LocalTickstore,
    revisions: Sequence[Revision],
    rows: Iterable[Row],
    row: Row,
    contents: Mapping[Row, Content],
) -> None:
    rows = list(rows)
    for time in _ends(row):
        expected, found = known(rows, time), visible(revisions, time)
        digest = None if expected is None else contents[expected].digest
        if digest != (None if found is None else found.digest):
            raise _differs(tickstore, row, time)


def _ends(row: Row) -> Iterator[datetime]:
    """Give the instants around the two ends of a row's interval."""
    if row.start != START_AS_OF:
        yield row.start - RESOLUTION
    yield row.start
    yield row.end - RESOLUTION
    if row.end != LATEST_AS_OF:
        yield row.end


def _check_file(tickstore: LocalTickstore, revision: Revision | None, content: Content) -> None:
    """Decode a file of the new table; it must hold what was read from the old one."""
    if revision is None or revision.splay is None:
        raise Corrupt(f"{content.place} was not imported")
    symbol, date = revision.symbol, revision.date
    path = tickstore.path / layout.splay_key(symbol, date, revision.splay)
    promise = codec.Promise(symbol, date, content.rows, revision.size, content.digest)
    try:
        ticks = codec.read_splay(path.read_bytes(), promise, str(path))
    except OSError as error:
        raise Corrupt(f"{path} cannot be read: {error.strerror or error}") from error
    if ticks.digest() != content.digest:
        raise Corrupt(f"{path} does not hold what {content.place} does")


def _differs(tickstore: LocalTickstore, row: Row, time: datetime) -> Corrupt:
    return Corrupt(
        f"{tickstore.path} does not answer as the old index says: {row}, as of {time}; import "
        "into another table",
        symbol=row.symbol,
        date=row.date,
    )


def _by_date(tickstore: LocalTickstore, symbol: str) -> dict[Date, list[Revision]]:
    found: dict[Date, list[Revision]] = {}
    for revision in tickstore.revisions(symbol):
        found.setdefault(revision.date, []).append(revision)
    return found
