"""What is checked before anything is written: the old index, and each file that it names.

Files are opened by `behemoth.legacy.spawning`; committing does not live here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from behemoth import layout
from behemoth.codec import Ticks
from behemoth.errors import BadName, Corrupt
from behemoth.legacy import places
from behemoth.legacy.history import Row, problems
from behemoth.legacy.spawning import Reading, Unreadable, Wanted
from behemoth.legacy.summary import BadFile, Progress

SHOWN = 5
"""How many lines about a broken index fit into an error."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds.

    Attributes
    ----------
    place
        Where it is.
    digest
        BLAKE2b-256 of the decoded content, in hex.
    rows
        Number of ticks.
    size
        Bytes that the ticks take in memory, about.
    aware
        Whether the tick times have a time zone.
    """

    place: Path
    digest: str
    rows: int
    size: int
    aware: bool


@dataclass(slots=True)
class Checked:
    """What the files hold, and which of them cannot be imported.

    Attributes
    ----------
    time_name
        The name of the time index; ``None`` until a file has been read.
    contents
        What each good file holds.
    bad
        The other files.
    """

    time_name: str | None = None
    contents: dict[Row, Content] = field(default_factory=dict)
    bad: list[BadFile] = field(default_factory=list)

    def refuse(self, row: Row, place: Path | str, why: str) -> None:
        """Note a file that cannot be imported."""
        self.bad.append(BadFile(str(place), row.symbol, row.date, row.version, why))


def check_index(database: Path, rows: Sequence[Row], odd: Sequence[str], now: datetime) -> None:
    """Refuse an index that contradicts itself.

    Parameters
    ----------
    database
        Whose index it is.
    rows
        What it lists.
    odd
        Lines about what else it lists, which makes no sense.
    now
        The present, aware UTC.

    Raises
    ------
    Corrupt
        With the first few contradictions.
    """
    found = [*odd, *_bad_names(rows), *problems(rows, now)]
    if found:
        more = f"; and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
        raise Corrupt(
            f"{database / 'index.h5'} contradicts itself, nothing was imported: "
            f"{'; '.join(found[:SHOWN])}{more}"
        )


def _bad_names(rows: Sequence[Row]) -> Iterator[str]:
    for symbol in dict.fromkeys(row.symbol for row in rows):
        try:
            layout.check_name(symbol)
        except BadName as error:
            yield error.message


def check_files(
    reading: Reading,
    database: Path,
    rows: Sequence[Row],
    time_name: str | None,
    on_progress: Callable[[Progress], None],
) -> Checked:
    """Read every file, keep nothing of it but what it holds.

    Parameters
    ----------
    reading
        The process that opens files.
    database
        The old database's folder.
    rows
        What its index lists.
    time_name
        The name of the time index; ``None`` takes that of the first file which can be read.
    on_progress
        Is told how far it is.
    """
    checked = Checked(time_name)
    wanted = []
    for row in sorted(rows, key=lambda row: (row.symbol, row.date, row.version)):
        place = places.find(row.path, database)
        if place is None:
            checked.refuse(row, row.path, f"it is neither there nor where it was in {database}")
        else:
            wanted.append(Wanted(row, place))
    done = 0
    while done < len(wanted):
        # Until one file has named the time index, one at a time; all others must name it so too.
        batch = wanted[done:] if checked.time_name is not None else wanted[done : done + 1]
        asked = [Wanted(each.row, each.place, checked.time_name) for each in batch]
        for each, found in zip(asked, reading.read(asked), strict=True):
            _note(checked, each, found)
            done += 1
            on_progress(Progress("checking", done, len(wanted)))
    _refuse_mixed_times(checked)
    return checked


def _note(checked: Checked, wanted: Wanted, found: Ticks | Unreadable) -> None:
    if isinstance(found, Unreadable):
        checked.refuse(wanted.row, wanted.place, found.why)
        return
    checked.time_name = found.time_name
    checked.contents[wanted.row] = Content(
        wanted.place,
        found.digest(),
        len(found),
        found.times.nbytes + sum(column.values.nbytes for column in found.columns),
        found.aware,
    )


def _refuse_mixed_times(checked: Checked) -> None:
    """Refuse what differs from its symbol's first ticks in whether times have a time zone."""
    first: dict[str, Content] = {}
    for row, content in list(checked.contents.items()):
        if not content.rows:
            continue
        other = first.setdefault(row.symbol, content)
        if content.aware != other.aware:
            has = "has a time zone" if content.aware else "has no time zone"
            checked.refuse(row, content.place, f"its time index {has}, unlike {other.place}")
            del checked.contents[row]
