"""`Transaction`: changes that are gathered first and committed together.

What does not live here: how a commit is made (`behemoth.tickstore.writer`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date as Date
from datetime import datetime
from types import TracebackType
from typing import Self, SupportsIndex

import pandas as pd

from behemoth import codec, layout
from behemoth.bitemporal import BiTimestamp, Observation, Revision
from behemoth.errors import BadRequest
from behemoth.tickstore import request
from behemoth.tickstore.changes import Change

Commit = Callable[[Sequence[Change], Sequence[Observation]], list[Revision]]
Step = Callable[[Sequence[Change]], None]

HELD = 1 << 25
"""Bytes of splays that a transaction holds in memory; then it puts them aside."""


class Transaction:
    """Changes to a table, committed all together or not at all; see `Tickstore.transaction`.

    Changes are made in its ``with`` block, which can be entered once. The message and the source
    are the commit's: `Tickstore.transaction` takes them, for all changes together.

    Parameters
    ----------
    timestamp_column
        The name of the time index, or of the column that becomes it.
    clock
        Gives the present, aware UTC.
    commit
        Commits what was gathered.
    put_aside, forget
        Bring the bytes of changes to where they will be committed from, and take them away again.

    Attributes
    ----------
    revisions
        What the changes became, in their order; empty until it is committed.
    """

    def __init__(
        self,
        timestamp_column: str,
        clock: Callable[[], datetime],
        commit: Commit,
        put_aside: Step,
        forget: Step,
    ) -> None:
        self._timestamp_column = timestamp_column
        self._clock = clock
        self._commit = commit
        self._put_aside = put_aside
        self._forget = forget
        self._held: list[Change] = []
        self._bytes = 0
        self._changes: dict[tuple[str, Date], Change] = {}
        self._observations: list[Observation] = []
        self._begun = self._over = False
        self.revisions: list[Revision] = []

    def __enter__(self) -> Self:
        if self._begun:
            raise BadRequest("this transaction was begun already; begin another")
        self._begun = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:  # else what was raised in the block goes on
            self._check_open()
        self._over = True
        changes = list(self._changes.values())
        try:
            if kind is None:
                self.revisions = self._commit(changes, self._observations)
        finally:
            self._forget(changes)
            self._changes.clear()
            self._held.clear()

    def insert(
        self,
        symbol: str,
        bi_timestamp: BiTimestamp,
        ticks: pd.DataFrame,
        *,
        if_changed: bool = False,
        expected_version: SupportsIndex | None = None,
    ) -> None:
        """Insert the ticks of one symbol and date as a new revision, when the block ends.

        Parameters
        ----------
        symbol, bi_timestamp, ticks, if_changed, expected_version
            As for `Tickstore.insert`; each symbol and date once in a transaction.

        Raises
        ------
        BadFrame
            When something in the frame would not come back exactly.
        BadName, BadRequest
            When the symbol is no name, it is in the transaction already, or the block is over.
        """
        self._check_open()
        layout.check_name(symbol)
        request.check_at(bi_timestamp)
        newest = request.version(expected_version)
        dismantled = codec.dismantle(ticks, self._timestamp_column)
        splay = codec.write_splay(dismantled, symbol, bi_timestamp.as_at_date, self._clock())
        self._add(
            Change(
                symbol,
                bi_timestamp,
                splay=splay,
                if_changed=if_changed,
                expected_version=newest,
            )
        )
        self._bytes += splay.size
        if self._bytes > HELD:
            self._put_aside(self._held)
            self._held.clear()
            self._bytes = 0

    def delete(
        self,
        symbol: str,
        bi_timestamp: BiTimestamp,
        *,
        expected_version: SupportsIndex | None = None,
    ) -> None:
        """Say that nothing is known of a symbol and date any more; as `Tickstore.delete`."""
        newest = request.version(expected_version)
        self._add(Change(symbol, bi_timestamp, "delete", expected_version=newest))

    def undelete(
        self,
        symbol: str,
        bi_timestamp: BiTimestamp,
        *,
        expected_version: SupportsIndex | None = None,
    ) -> None:
        """Take a delete back; as `Tickstore.undelete`."""
        newest = request.version(expected_version)
        self._add(Change(symbol, bi_timestamp, "undelete", expected_version=newest))

    def observe(self, observations: Iterable[Observation]) -> None:
        """Keep what a source answered; as `Tickstore.observe`."""
        self._check_open()
        seen = request.items("observations", observations, Observation)
        for observation in seen:
            layout.check_name(observation.symbol)
        self._observations += seen

    def _add(self, change: Change) -> None:
        self._check_open()
        layout.check_name(change.symbol)
        request.check_at(change.at)
        name = change.symbol, change.at.as_at_date
        if name in self._changes:
            raise BadRequest(
                f"{change.symbol!r} {change.at.as_at_date} is in this commit already; a commit has "
                "one revision of each symbol and date at most",
                symbol=change.symbol,
                date=change.at.as_at_date,
            )
        self._changes[name] = change
        if change.splay is not None:
            self._held.append(change)

    def _check_open(self) -> None:
        if not self._begun:
            raise BadRequest("this transaction has not begun; use it in a with block")
        if self._over:
            raise BadRequest("this transaction is over; begin another")
