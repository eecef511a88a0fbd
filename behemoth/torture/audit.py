"""Comparing what the processes said with what a fresh open of the table finds.

What does not live here: who wrote, and what was done to them meanwhile (`behemoth.torture.crew`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from behemoth.errors import BehemothError, Corrupt
from behemoth.stores import LocalStore
from behemoth.tickstore import LocalTickstore, Tickstore
from behemoth.torture import content
from behemoth.torture.crew import Account
from behemoth.torture.ledger import Ledger
from behemoth.torture.roles import harm


def audit(table: Path, account: Account, ledger: Ledger) -> None:
    """Fill the ledger with what became of everything that was said.

    Parameters
    ----------
    table
        The table's folder; nobody else writes it now.
    account
        What the processes said.
    ledger
        Gets the outcome.
    """
    ledger.acknowledged = len(account.done)
    with _told(ledger, "the table cannot be opened and repaired"):
        _Audit(table, account, ledger).run()


@contextmanager
def _told(ledger: Ledger, what: str) -> Iterator[None]:
    try:
        yield
    except BehemothError as error:
        ledger.trouble(f"{what}: {error}")


class _LogOnly(LocalStore):
    """A table whose index checkpoints nobody sees."""

    def keys(self, prefix: str) -> list[str]:
        return [] if prefix == "index/" else super().keys(prefix)


class _Audit:
    def __init__(self, table: Path, account: Account, ledger: Ledger) -> None:
        self._table = table
        self._account = account
        self._ledger = ledger
        self._intent_of: dict[int, str] = {}
        self._spoiled: set[str] = set()

    def run(self) -> None:
        with LocalTickstore(self._table) as tickstore:
            index, log = tickstore.index.reset_index(), tickstore.log()
            self._check_order(log, index)
            self._check_commits(log)
            self._check_revisions(index)
            self._check_acknowledged(index)
            self._check_ticks(tickstore, index)
        self._ledger.changed += len(self._spoiled)
        folded = Tickstore(_LogOnly(self._table)).index.reset_index()
        if not folded.equals(index):
            self._ledger.trouble("the index differs from the fold of the log")
        self._check_verify()

    def _check_order(self, log: pd.DataFrame, index: pd.DataFrame) -> None:
        """Numbers without a gap, times strictly increasing, versions unique, files too."""
        if log.index.tolist() != list(range(1, len(log) + 1)):
            self._ledger.trouble("commit numbers have gaps")
        if not (log["time"].is_monotonic_increasing and log["time"].is_unique):
            self._ledger.trouble("commit times do not strictly increase")
        if index.duplicated(["symbol", "date", "version"]).any():
            self._ledger.trouble("two revisions have one version")
        if index.loc[index["kind"] == "insert", "path"].duplicated().any():
            self._ledger.trouble("two revisions have one file")

    def _check_commits(self, log: pd.DataFrame) -> None:
        """Every commit was intended once; every acknowledged one is there."""
        account, ledger = self._account, self._ledger
        made = log[log[["inserts", "deletes", "undeletes"]].sum(axis=1) > 0]
        for name, numbers in made.groupby("message").groups.items():
            if name not in account.intents or name in account.refused:
                ledger.foreign += len(numbers)
                ledger.trouble(f"commit {numbers[0]} ({name!r}) was never made")
            elif len(numbers) > 1:
                ledger.doubled += 1
                ledger.trouble(f"{name} is there {len(numbers)} times: {list(numbers)}")
            self._intent_of |= dict.fromkeys(numbers, str(name))
        there = set(self._intent_of.values())
        for name in account.done.keys() - there:
            ledger.lost += 1
            ledger.trouble(f"{name} was acknowledged as {account.done[name]} and is not there")
        ledger.present = ledger.acknowledged - ledger.lost
        ledger.unacknowledged = len((there - account.done.keys()) & account.intents.keys())

    def _check_revisions(self, index: pd.DataFrame) -> None:
        """Every commit is about all that was intended, and about nothing else."""
        index = index.assign(day=index["date"].dt.strftime("%Y-%m-%d"))
        about_of: dict[int, set[tuple[str, str]]] = defaultdict(set)
        for number, *what in zip(index["commit"], index["symbol"], index["day"], strict=True):
            about_of[number].add((what[0], what[1]))
        for number, about in about_of.items():
            intent = self._account.intents.get(self._intent_of.get(number, ""))
            if intent is not None and about != intent.about:
                self._ledger.halved += 1
                self._ledger.trouble(f"commit {number} has {sorted(about)} of {intent}")

    def _check_acknowledged(self, index: pd.DataFrame) -> None:
        """Versions and digests are those that the writer was told."""
        rows = zip(
            index["commit"],
            index["symbol"],
            index["date"].dt.strftime("%Y-%m-%d"),
            index["version"],
            index["digest"],
            strict=True,
        )
        there = {tuple(row) for row in rows}
        for name, said in self._account.done.items():
            told = {(said["commit"], *revision) for revision in said["revisions"]}
            if not told <= there and name in self._intent_of.values():
                self._spoil(name, f"differs from what was acknowledged: {sorted(told - there)}")

    def _check_ticks(self, tickstore: LocalTickstore, index: pd.DataFrame) -> None:
        """Each revision shows, as of its start, the ticks that its mark stands for."""
        inserts = index[index["kind"] == "insert"]
        wrote = dict(zip(inserts["path"], inserts["commit"].map(self._intent_of), strict=True))
        rows: Any = index.itertuples()  # the stubs know no columns
        for row in rows:
            name, day = self._intent_of.get(row.commit, ""), row.date.date()
            try:
                frame = tickstore.select(row.symbol, day, day, as_of_time=row.start_time)
            except Corrupt as error:
                self._ledger.unreadable += 1
                self._ledger.trouble(str(error))
                continue
            if row.kind == "delete":
                good = frame.empty
            else:
                author = wrote.get(row.path)
                good = isinstance(author, str) and content.is_whole(
                    frame, content.mark_of(author), day
                )
            if not good:
                self._spoil(name, f"shows other ticks of {row.symbol} {day}")

    def _check_verify(self) -> None:
        """Repair finds what a crash explains, and then nothing."""
        with LocalTickstore(self._table) as tickstore:
            found = tickstore.verify(repair=True)
            self._ledger.repairs += 1
            self._ledger.repaired += int(found["repaired"].sum())
            for text in harm(found):
                self._ledger.trouble(f"verify found {text}")
            left = tickstore.verify()
            if len(left):
                self._ledger.trouble(f"after a repair, verify finds {len(left)} more")

    def _spoil(self, name: str, how: str) -> None:
        self._spoiled.add(name)
        self._ledger.trouble(f"{name} {how}")
