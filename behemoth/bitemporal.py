"""The bitemporal core: what is known of one (symbol, date), since when and until when.

Pure functions of values, standard library only: no disk, no clock, no pandas. The rest of the
package stores and finds what is decided here.

Two time axes meet in every revision. The *as-at date* says which day the ticks belong to. The
*as-of time* says when they were known: a revision is visible in ``[start_time, end_time)``, and a
revision ends where the next one of its (symbol, date) starts. Start times of one (symbol, date)
strictly increase with the version, so at most one revision is visible at any instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import ClassVar, Literal, get_args

from behemoth.errors import BadRequest, NotFound

Kind = Literal["insert", "delete", "undelete"]
"""What a revision did: brought ticks, took them back (a tombstone), or brought them back."""
Outcome = Literal["complete", "partial", "failed"]
"""What came of asking a source: see `Observation`."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

START_AS_OF = datetime.min.replace(tzinfo=UTC)
LATEST_AS_OF = datetime.max.replace(tzinfo=UTC)
RESOLUTION = timedelta(microseconds=1)
FIRST_DATE, LAST_DATE = Date(1677, 9, 22), Date(2262, 4, 10)
"""As-at dates lie within pandas' nanosecond range."""


def knowledge_time(time: datetime) -> datetime:
    """Bring a time onto the knowledge axis: aware UTC, whole microseconds.

    A naive time is UTC. Nanoseconds (of a ``pandas.Timestamp``) are cut off, which changes no
    comparison with a start time, because those are whole microseconds.
    """
    if not isinstance(time, datetime):
        raise BadRequest(f"an as-of time is a datetime, not {type(time).__name__}: {time!r}")
    if time != time:  # NaT alone differs from itself
        raise BadRequest("an as-of time cannot be NaT")
    try:
        utc = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:  # an aware end of time, east or west of Greenwich
        return LATEST_AS_OF if time.year > 1 else START_AS_OF
    return datetime(
        utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, tzinfo=UTC
    )


@dataclass(frozen=True, slots=True)
class BiTimestamp:
    """A point on both axes: the date that ticks belong to, and since when they are known.

    Parameters
    ----------
    as_at_date
        The date that the ticks belong to. Usually their UTC date, but any label is legal, a
        futures session date for one.
    as_of_time
        Since when the ticks count as known. The default, `latest_as_of`, is the moment of the
        commit. Another time backdates knowledge on purpose; it must be later than the start of
        the revision it supersedes and not in the future. A naive time is UTC.

    Examples
    --------
    >>> BiTimestamp(Date(2019, 10, 31)).as_of_time == BiTimestamp.latest_as_of
    True
    >>> BiTimestamp(Date(2019, 10, 31), as_of_time=datetime(2019, 11, 1)).as_of_time
    datetime.datetime(2019, 11, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """

    as_at_date: Date
    as_of_time: datetime = LATEST_AS_OF

    start_as_of: ClassVar[datetime] = START_AS_OF
    latest_as_of: ClassVar[datetime] = LATEST_AS_OF

    def __post_init__(self) -> None:
        as_at = self.as_at_date
        if isinstance(as_at, datetime) or not isinstance(as_at, Date):
            raise BadRequest(f"an as-at date is a datetime.date, not {as_at!r}; try .date()")
        if not FIRST_DATE <= as_at <= LAST_DATE:
            raise BadRequest(f"an as-at date lies in {FIRST_DATE} to {LAST_DATE}, not {as_at}")
        object.__setattr__(self, "as_of_time", knowledge_time(self.as_of_time))


@dataclass(frozen=True, slots=True)
class Revision:
    """One row of the index: what became known of one (symbol, date), and when.

    Attributes
    ----------
    symbol, date, version
        The name of the revision. Versions of one (symbol, date) increase, with gaps where a
        writer crashed.
    kind
        ``"insert"``, ``"delete"`` or ``"undelete"``.
    start_time, end_time
        The knowledge interval ``[start_time, end_time)``, aware UTC; `BiTimestamp.latest_as_of`
        as the end of what is still believed.
    commit, commit_time
        Number and true time of the commit that brought it.
    splay
        Version whose file holds the ticks: its own for an insert, an earlier one's for an
        undelete; ``None`` for a delete.
    rows, first, last
        Number of ticks, and the first and last tick time in UTC nanoseconds since 1970.
    size
        Bytes of the file.
    digest
        BLAKE2b-256 of the decoded content, in hex.
    aware
        Whether the tick times came with a time zone.
    """

    symbol: str
    date: Date
    version: int
    kind: Kind
    start_time: datetime
    end_time: datetime
    commit: int
    commit_time: datetime
    splay: int | None = None
    rows: int = 0
    first: int | None = None
    last: int | None = None
    size: int = 0
    digest: str = ""
    aware: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """What a source answered: it was asked for this symbol and range, at this time.

    Attributes
    ----------
    symbol
        What was asked for.
    source
        Who was asked, the base URL of an exchange for instance.
    what
        What was asked, ``"candles/60"`` for instance.
    start, end
        The range that was asked, ``[start, end)``, aware UTC; a naive time is UTC.
    asked_at
        When the last answer came, aware UTC, by this machine's clock.
    outcome
        ``"complete"``: the source will add nothing to this range by itself. ``"partial"``: the
        range was not over when it was asked. ``"failed"``: no usable answer came.
    rows
        How many rows the source gave.
    """

    symbol: str
    source: str
    what: str
    start: datetime
    end: datetime
    asked_at: datetime
    outcome: Outcome
    rows: int

    def __post_init__(self) -> None:
        for name in ("symbol", "source", "what", "outcome"):
            if not isinstance(getattr(self, name), str):
                raise BadRequest(f"an observation's {name} is text, not {getattr(self, name)!r}")
        if self.outcome not in OUTCOMES:
            raise BadRequest(
                f"an observation's outcome is one of {', '.join(OUTCOMES)}, not {self.outcome!r}"
            )
        counts = isinstance(self.rows, int) and not isinstance(self.rows, bool)
        if not counts or not 0 <= self.rows < 2**63:
            raise BadRequest(f"an observation's rows are a number of rows, not {self.rows!r}")
        for name in ("start", "end", "asked_at"):
            time = knowledge_time(getattr(self, name))
            if not FIRST_DATE <= time.date() <= LAST_DATE:
                raise BadRequest(f"an observation's {name} lies in {FIRST_DATE} to {LAST_DATE}")
            object.__setattr__(self, name, time)


def next_commit_time(now: datetime, newest: datetime | None) -> datetime:
    """Give a commit's time: now, but always later than the newest commit.

    A clock that steps back therefore delays no one and reorders nothing.
    """
    if newest is None:
        return knowledge_time(now)
    return max(knowledge_time(now), newest + RESOLUTION)


def known_from(
    bi_timestamp: BiTimestamp, commit_time: datetime, superseded: Revision | None
) -> datetime:
    """Give the start of knowledge of a new revision.

    Raises
    ------
    BadRequest
        When the asked time is in the future, or not later than the start of what it supersedes.
    """
    asked = bi_timestamp.as_of_time
    if asked == LATEST_AS_OF:
        return commit_time
    if asked > commit_time:
        raise BadRequest(
            f"knowledge cannot start in the future: as_of_time={asked}, now {commit_time}",
            date=bi_timestamp.as_at_date,
        )
    if superseded is not None and asked <= superseded.start_time:
        raise BadRequest(
            f"knowledge from {asked} would not be later than version {superseded.version} of "
            f"{superseded.symbol!r} {superseded.date}, known from {superseded.start_time}; "
            "an answer about the past never changes",
            symbol=superseded.symbol,
            date=superseded.date,
            version=superseded.version,
        )
    return asked


def supersede(history: Sequence[Revision], revision: Revision) -> tuple[Revision, ...]:
    """Add a revision to the history of its (symbol, date); the former newest one ends there.

    Parameters
    ----------
    history
        All revisions of one (symbol, date) in the order of their versions.
    revision
        The new one; its version and its start must be later than all before.
    """
    if history:
        newest = history[-1]
        if (newest.symbol, newest.date) != (revision.symbol, revision.date):
            raise ValueError("a history is of one symbol and date")
        if revision.version <= newest.version or revision.start_time <= newest.start_time:
            raise ValueError("versions and start times of a history strictly increase")
        history = (*history[:-1], replace(newest, end_time=revision.start_time))
    return (*history, replace(revision, end_time=LATEST_AS_OF))


def retract(history: Sequence[Revision], tombstone: Revision) -> tuple[Revision, ...]:
    """Add a delete to the history of its (symbol, date).

    Raises
    ------
    NotFound
        When nothing is there to delete.
    """
    if visible(history) is None:
        raise NotFound(
            f"nothing to delete: {tombstone.symbol!r} {tombstone.date} has no ticks",
            symbol=tombstone.symbol,
            date=tombstone.date,
        )
    return supersede(history, tombstone)


def restore(history: Sequence[Revision], undelete: Revision) -> tuple[Revision, ...]:
    """Add an undelete to the history of its (symbol, date): the ticks last known are so again.

    Parameters
    ----------
    history
        All revisions of one (symbol, date) in the order of their versions.
    undelete
        The new one, without ticks; it gets the file of the revision that it brings back.

    Raises
    ------
    NotFound
        When nothing was deleted.
    """
    known = [revision for revision in history if revision.splay is not None]
    if not known or visible(history) is not None:
        raise NotFound(
            f"nothing to undelete: {undelete.symbol!r} {undelete.date} "
            f"{'is not deleted' if known else 'never had ticks'}",
            symbol=undelete.symbol,
            date=undelete.date,
        )
    ticks = known[-1]
    return supersede(
        history,
        replace(
            undelete,
            splay=ticks.splay,
            rows=ticks.rows,
            first=ticks.first,
            last=ticks.last,
            size=ticks.size,
            digest=ticks.digest,
            aware=ticks.aware,
        ),
    )


def visible(
    history: Sequence[Revision], as_of_time: datetime = LATEST_AS_OF, commit: int | None = None
) -> Revision | None:
    """Find the revision of one (symbol, date) that was known at a time.

    Parameters
    ----------
    history
        All revisions of one (symbol, date) in the order of their versions.
    as_of_time
        Aware UTC.
    commit
        Look only at what was committed up to this number; everything by default.

    Returns
    -------
    Revision or None
        ``None`` before the first revision and where it was deleted.
    """
    for revision in reversed(history):
        if revision.start_time <= as_of_time and (commit is None or revision.commit <= commit):
            return None if revision.kind == "delete" else revision
    return None
