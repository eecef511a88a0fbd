"""`Tickstore`: the verbs that write. Joins index, layout, codec, object store and clock.

Decides nothing about how a commit is made safe (`behemoth.tickstore.writer`).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, SupportsIndex

import pandas as pd

from behemoth import layout
from behemoth.bitemporal import BiTimestamp, Observation, Revision
from behemoth.errors import BadRequest, CheckpointIgnored, Corrupt, NotFound, ReadOnly
from behemoth.log import Tip
from behemoth.stores import LocalStore, MemoryStore, ObjectStore
from behemoth.tickstore import moments, rebuilding, repairing, request, verifying
from behemoth.tickstore.changes import Change
from behemoth.tickstore.images import Images
from behemoth.tickstore.moments import Tag
from behemoth.tickstore.transaction import Transaction
from behemoth.tickstore.verifying import Progress
from behemoth.tickstore.view import View
from behemoth.tickstore.writer import Reason, Writer, in_doubt, who

Mode = Literal["a", "r"]


def utc_now() -> datetime:
    """Give the present, aware UTC."""
    return datetime.now(UTC)


class Tickstore(View):
    """A table of ticks, bitemporal and append-only. Opening writes nothing.

    Parameters
    ----------
    store
        Where the table lives.
    timestamp_column
        The name of the time index, or of the column that becomes it.
    clock
        Gives the present, aware UTC; for tests.
    mode
        ``"a"``: read and write; the first insert makes the table. ``"r"``: read only; the table
        must be there, and may be on a disk that cannot be written.
    images
        Where decoded ticks are kept; ``None`` for nowhere.

    Raises
    ------
    NotFound
        When a table to read is not there.
    """

    def __init__(
        self,
        store: ObjectStore,
        timestamp_column: str = "time",
        clock: Callable[[], datetime] = utc_now,
        mode: Mode = "a",
        images: Images | None = None,
    ) -> None:
        super().__init__(store, timestamp_column, clock, images)
        request.check_choice("mode", mode, ("a", "r"))
        self.mode = mode
        self._writer = Writer(store, self._state, clock)
        with suppress(Corrupt):  # every verb raises it again but those that mend it
            if self._state.refresh().number == 0 and mode == "r":
                raise NotFound(f"{store.name} is no table; open it with mode='a' to make one")

    def _check_writable(self) -> None:
        self._check_open()
        if self.mode == "r":
            raise ReadOnly(f"{self!r} was opened with mode='r'; open it with mode='a' to write")

    def _refresh_to_write(self) -> Tip:
        self._check_writable()
        return self._refresh()

    def insert(
        self,
        symbol: str,
        bi_timestamp: BiTimestamp,
        ticks: pd.DataFrame,
        *,
        message: str = "",
        source: str = "",
        if_changed: bool = False,
        expected_version: SupportsIndex | None = None,
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
        expected_version
            Insert only if this is the newest version of the symbol and date, -1 for none yet;
            by default, whatever it is.
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
        Conflict
            When another version than the expected one is the newest.
        ReadOnly
            When the table was opened with ``mode="r"``.
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
        with self.transaction(message=message, source=source, commit_id=commit_id) as one:
            one.insert(
                symbol,
                bi_timestamp,
                ticks,
                if_changed=if_changed,
                expected_version=expected_version,
            )
            one.observe(observations)
        return one.revisions[0]

    def insert_many(
        self,
        ticks: Iterable[tuple[str, BiTimestamp, pd.DataFrame]],
        *,
        message: str = "",
        source: str = "",
        if_changed: bool = False,
        observations: Iterable[Observation] = (),
        commit_id: str | None = None,
    ) -> list[Revision]:
        """Insert the ticks of many symbols and dates in one commit: all of them or none.

        Parameters
        ----------
        ticks
            Symbol, bitemporal timestamp and frame of each, as for `insert`; each symbol and date
            once.
        message, source, if_changed, observations, commit_id
            As for `insert`.

        Returns
        -------
        list of Revision
            One for each frame, in their order.

        Examples
        --------
        >>> day = BiTimestamp(Date(2019, 10, 31))
        >>> ticks = pd.DataFrame(
        ...     {"price": [9160.5]}, index=pd.DatetimeIndex(["2019-10-31 12:00"], name="time")
        ... )
        >>> with MemoryTickstore() as tickstore:
        ...     many = [("BTC-USD", day, ticks), ("ETH-USD", day, ticks)]
        ...     {revision.commit for revision in tickstore.insert_many(many)}
        {1}
        """
        with self.transaction(message=message, source=source, commit_id=commit_id) as many:
            for symbol, bi_timestamp, frame in request.triples("ticks", ticks):
                many.insert(symbol, bi_timestamp, frame, if_changed=if_changed)
            many.observe(observations)
        return many.revisions

    def delete(
        self,
        symbol: str,
        bi_timestamp: BiTimestamp,
        *,
        message: str = "",
        source: str = "",
        expected_version: SupportsIndex | None = None,
        commit_id: str | None = None,
    ) -> Revision:
        """Say that nothing is known of a symbol and date any more. What was known stays readable.

        Parameters
        ----------
        symbol, bi_timestamp
            What to delete and, to backdate it, since when.
        message, source, expected_version, commit_id
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
        with self.transaction(message=message, source=source, commit_id=commit_id) as one:
            one.delete(symbol, bi_timestamp, expected_version=expected_version)
        return one.revisions[0]

    def undelete(
        self,
        symbol: str,
        bi_timestamp: BiTimestamp,
        *,
        message: str = "",
        source: str = "",
        expected_version: SupportsIndex | None = None,
        commit_id: str | None = None,
    ) -> Revision:
        """Take a delete back: what was known before it is known again, from now on.

        No ticks are copied, and while it was deleted it stays so for whoever asks as of then.

        Parameters
        ----------
        symbol, bi_timestamp
            What to undelete and, to backdate it, since when.
        message, source, expected_version, commit_id
            As for `insert`.

        Returns
        -------
        Revision
            A numbered revision that names the earlier one's file.

        Raises
        ------
        NotFound
            When it is not deleted.
        """
        with self.transaction(message=message, source=source, commit_id=commit_id) as one:
            one.undelete(symbol, bi_timestamp, expected_version=expected_version)
        return one.revisions[0]

    def observe(
        self,
        observations: Iterable[Observation],
        *,
        message: str = "",
        source: str = "",
        commit_id: str | None = None,
    ) -> None:
        """Keep what a source answered, in a commit without revisions.

        Parameters
        ----------
        observations
            Of any symbols; none of them, and there is no commit.
        message, source, commit_id
            As for `insert`.

        Raises
        ------
        BadName, BadRequest
            When a symbol is no name, or something is no observation.
        ReadOnly, EnvironmentFailed, CommitUnknown
            As `insert` does.
        """
        with self.transaction(message=message, source=source, commit_id=commit_id) as one:
            one.observe(observations)

    def transaction(
        self, *, message: str = "", source: str = "", commit_id: str | None = None
    ) -> Transaction:
        """Begin a set of changes that is committed together, when its ``with`` block ends.

        An exception in the block, or the end of the process, and nothing of it has happened. What
        is inserted is kept compressed, in memory up to some 32 MiB and behind that in ``tmp/``.

        Parameters
        ----------
        message, source, commit_id
            As for `insert`.

        Returns
        -------
        Transaction
            With the verbs `insert`, `delete`, `undelete` and `observe`, each symbol and date
            once; ``revisions`` are there after the block.

        Examples
        --------
        >>> day = BiTimestamp(Date(2019, 10, 31))
        >>> ticks = pd.DataFrame(
        ...     {"price": [9160.5]}, index=pd.DatetimeIndex(["2019-10-31 12:00"], name="time")
        ... )
        >>> tickstore = MemoryTickstore()
        >>> with tickstore.transaction(message="two at once") as both:
        ...     both.insert("BTC-USD", day, ticks)
        ...     both.insert("ETH-USD", day, ticks)
        >>> [revision.commit for revision in both.revisions]
        [1, 1]
        """
        reason = Reason(request.text("message", message), request.text("source", source))
        with in_doubt(commit_id):
            self._refresh_to_write()

        def commit(
            changes: Sequence[Change], observations: Sequence[Observation]
        ) -> list[Revision]:
            return self._commit(changes, observations, reason, commit_id)

        writer = self._writer
        return Transaction(
            self.timestamp_column, self._clock, commit, writer.put_aside, writer.forget
        )

    def _commit(
        self,
        changes: Sequence[Change],
        observations: Sequence[Observation],
        reason: Reason,
        commit_id: str | None,
    ) -> list[Revision]:
        with in_doubt(commit_id):
            self._refresh_to_write()
        revisions = self._writer.commit(changes, observations, reason, commit_id)
        self._try_checkpoint(only_when_due=True)
        return revisions

    def _try_checkpoint(self, only_when_due: bool = False) -> None:
        """Write an index checkpoint; whatever goes wrong, the commit before it stands."""
        try:
            if not only_when_due or self._state.is_due():
                self._state.checkpoint()
        except Exception as error:  # noqa: BLE001 - nothing here may look like a failed commit
            with suppress(CheckpointIgnored):  # where warnings are errors
                warnings.warn(f"no index checkpoint was written: {error}", CheckpointIgnored, 4)

    def tag(self, name: str, message: str = "", at: str | None = None) -> str:
        """Give a token a name, for ever: it can then be asked for by it.

        Parameters
        ----------
        name
            Any text of 1 to 300 characters without control characters that looks like neither a
            token nor a time.
        message
            Why.
        at
            The token that it names; by default the newest.

        Returns
        -------
        str
            The token.

        Raises
        ------
        Conflict
            When there is a tag of this name: it never moves.
        NotFound
            When the token is not of this table, or there is no commit yet.

        Examples
        --------
        >>> token = tickstore.tag("paper-v1", message="as submitted")
        >>> tickstore.select("BTC-USD", as_of_time="paper-v1").equals(ticks)
        True
        """
        newest = self._refresh_to_write()
        moments.check_tag_name(name)
        tip = newest if at is None else self._tip_of(at)
        if tip.number == 0:
            raise NotFound(f"{self._store.name} has no commit yet that a tag could name")
        time = self._clock().astimezone(UTC)
        moments.put_tag(
            self._store, Tag(name, tip.token, time, who(), request.text("message", message))
        )
        return tip.token

    def flush(self) -> None:
        """Write an index checkpoint, so that the next open has no log to fold.

        Not needed for safety: whatever was acknowledged is on disk already.

        Warns
        -----
        CheckpointIgnored
            When it cannot be written.

        Raises
        ------
        ReadOnly
            When the table was opened with ``mode="r"``.
        Corrupt
            When the log is damaged.
        """
        self._refresh_to_write()
        self._try_checkpoint()

    def verify(self, repair: bool = False, progress: Progress | None = None) -> pd.DataFrame:
        """Check all that answers come from against the log, from the first commit on.

        Writers may be at work meanwhile, also while it is repaired.

        Parameters
        ----------
        repair
            Move what is nobody's to ``quarantine/``, and make damaged checkpoints anew. A commit
            that retires the orphans' versions goes first, so that nothing is taken from a writer
            that is alive. No ticks are ever removed.
        progress
            Called with the number of splays checked, and of all.

        Returns
        -------
        pandas.DataFrame
            One row for each finding, none for a table that is sound. Columns: ``problem``,
            ``path`` (in the table's folder), ``detail``, ``symbol``, ``date``, ``version`` (as far
            as they apply), ``repaired``. Problems of what was acknowledged: ``log`` (an entry is
            damaged or missing: `reindex` can make a new table), ``missing`` and ``damaged`` (a
            splay: restore it from a copy), ``tag`` (damaged, or of a state that is not there:
            restore it from a copy, or remove it). What costs time, not answers: ``checkpoint``.
            What is harmless: ``orphan`` and ``leftover`` (of a writer that died, or is at work),
            ``stranger`` (a file that is not the table's).
        """
        if repair:
            self._check_writable()
            findings = repairing.repair(self._store, self._state, self._writer, progress)
        else:
            self._check_open()
            findings = list(verifying.verify(self._store, progress).findings)
        return verifying.table(findings)

    def reindex(
        self, into: Path | str | None = None, progress: Progress | None = None
    ) -> tuple[str, ...]:
        """Make the index anew from the log; or, where the log is damaged, a new table.

        Parameters
        ----------
        into
            Folder of a new table, made out of what is left: the commits before the damage as they
            were; then what whole entries and checkpoints say of later ones; then, of splays that
            nothing else knows, what their own headers say.
        progress
            Called with the number of files done, and of all.

        Returns
        -------
        tuple of str
            What cannot be known any more, one line each; the new table's log keeps it.

        Raises
        ------
        Corrupt
            When the log is damaged, and there is nothing to make a new table `into`.
        Conflict
            When something else is there already.
        """
        if into is not None:
            self._check_open()
            return rebuilding.rebuild_into(self._store, into, self._clock, progress)
        self._check_writable()
        verdict = verifying.verify_index(self._store)
        for finding in verdict.of("log"):
            raise Corrupt(
                f"{self._store.where(finding.path)}: {finding.detail}; reindex(into=...) makes a "
                "new table out of what is left"
            )
        repairing.rebuild_index(self._store, self._state, verdict)
        self.flush()
        return ()

    def destroy(self) -> None:
        """Remove the table for good, all versions of everything, and close it.

        Its folders are removed, and the table's own folder too, if nothing else is in it. The log
        goes last, its first entry last of all: a destroy that was interrupted can be called again.

        Raises
        ------
        NotFound
            When there is no table.
        BadRequest
            When somebody's files lie among the splays.
        """
        tip = self._refresh_to_write()
        if tip.number == 0 and not self._store.exists(layout.BEGINNING):
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
        self._store.destroy([*sorted(years), *layout.FOLDERS[:-1]])
        for key in reversed(self._store.keys("log/")):
            self._store.remove(key)
        self._store.destroy(layout.FOLDERS[-1:])
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
    mode
        ``"a"``: read and write. ``"r"``: read only; the table must be there.
    cache
        Keep the decoded ticks of symbols that are asked for again below ``cache/``, and map them:
        several times the speed, for somewhat more space than the splays take. Never stale, and
        safe to delete at any time. ``False``: neither read nor write it.
    """

    def __init__(
        self,
        path: Path | str,
        timestamp_column: str = "time",
        clock: Callable[[], datetime] = utc_now,
        mode: Mode = "a",
        cache: bool = True,
    ) -> None:
        if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
            raise BadRequest(f"a table is in a folder, not in {path!r}")
        self.path = Path(path)
        images = Images(self.path / "cache", writable=mode == "a") if cache else None
        super().__init__(LocalStore(self.path), timestamp_column, clock, mode, images)


class MemoryTickstore(Tickstore):
    """A table in memory, gone with the process; for tests and for trying things out."""

    def __init__(
        self, timestamp_column: str = "time", clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(MemoryStore(), timestamp_column, clock)
