"""What the processes of a torture do: write, read and check, repair.

A writer says what it intends before each verb and what came of it after; a reader raises `Wrong`
for an answer that must not be. What does not live here: who listens, and who is killed
(`behemoth.torture.crew`).
"""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from datetime import date as Date
from functools import partial
from typing import Any, Protocol

import pandas as pd

from behemoth.bitemporal import BiTimestamp, Revision
from behemoth.errors import BadRequest, CommitUnknown, NotFound
from behemoth.tickstore import LocalTickstore
from behemoth.torture import content
from behemoth.torture.settings import Orders, Role

HARMLESS = {"orphan", "leftover"}
"""What a crash may leave, and verify may find."""

REOPEN_EVERY = 20
REMEMBERED = 100
UNKNOWN_TRIES = 20

Act = Callable[..., Sequence[Revision]]
Wish = tuple[list[tuple[str, Date]], Act]
"""Which symbols and dates a verb is about, and how to do it."""


class Say(Protocol):
    """Tells whoever started this process."""

    def __call__(self, **facts: Any) -> None:
        """Tell."""


class Wrong(Exception):
    """An answer that must not be."""


class _Worker(ABC):
    """One process.

    Parameters
    ----------
    orders
        What to do.
    say
        Tells how it goes.
    """

    def __init__(self, orders: Orders, say: Say) -> None:
        self._orders = orders
        self._say = say
        self._chance = random.Random(f"{orders.seed}/{orders.place}/{orders.life}")  # noqa: S311

    @abstractmethod
    def work(self) -> None:
        """Do it, to the end or for ever."""

    def _open(self, mode: Any = "a") -> LocalTickstore:
        """Open the table; what was acknowledged before must be seen."""
        tickstore = LocalTickstore(self._orders.table, mode=mode)
        if _number(tickstore.token) < self._orders.known:
            raise Wrong(f"opened at {tickstore.token}, and {self._orders.known} was acknowledged")
        return tickstore


class Writer(_Worker):
    """Inserts, deletes, undeletes, backdates, writes checkpoints."""

    def work(self) -> None:
        """Commit until the orders are done."""
        wishes: dict[str, Callable[[LocalTickstore, int], Wish]] = {
            "insert": self._insert,
            "transaction": self._transaction,
            "delete": partial(self._one, verb="delete"),
            "undelete": partial(self._one, verb="undelete"),
            "backdate": self._backdate,
        }
        verbs, weights = zip(*self._orders.verbs.items(), strict=True)
        wanted, made = self._orders.commits, 0
        with self._open() as tickstore:
            self._say(ready=True)
            for count in itertools.count():
                if made == wanted:
                    return
                (verb,) = self._chance.choices(verbs, weights)
                if verb == "flush":
                    self._say(doing=verb)
                    tickstore.flush()
                    self._say(did=verb)
                    continue
                name = content.intent_name(self._orders.place, self._orders.life, count)
                about, act = wishes[verb](tickstore, content.mark_of(name))
                made += self._commit(tickstore, name, verb, about, act)

    def _commit(
        self,
        tickstore: LocalTickstore,
        name: str,
        verb: str,
        about: list[tuple[str, Date]],
        act: Act,
    ) -> bool:
        """Say what is intended, do it, and say what came of it."""
        self._say(intent=name, verb=verb, about=[[symbol, str(day)] for symbol, day in about])
        try:
            revisions = _settled(act, name)
        except (BadRequest, NotFound):  # nothing to delete, or knowledge before what is known
            self._say(refused=name)
            return False
        self._say(
            done=name,
            commit=revisions[0].commit,
            token=tickstore.token,
            revisions=[[r.symbol, str(r.date), r.version, r.digest] for r in revisions],
        )
        return True

    def _insert(self, tickstore: LocalTickstore, mark: int) -> Wish:
        symbol, day = self._any_single()
        frame = content.ticks(mark, day)
        return [(symbol, day)], lambda **how: [
            tickstore.insert(symbol, BiTimestamp(day), frame, **how)
        ]

    def _one(self, tickstore: LocalTickstore, _: int, verb: str) -> Wish:
        """Delete or undelete a symbol and date."""
        symbol, day = self._any_single()
        method = tickstore.delete if verb == "delete" else tickstore.undelete
        return [(symbol, day)], lambda **how: [method(symbol, BiTimestamp(day), **how)]

    def _any_single(self) -> tuple[str, Date]:
        symbols = content.singles(self._orders.symbols)
        return self._chance.choice(symbols), self._chance.choice(content.DAYS)

    def _backdate(self, tickstore: LocalTickstore, mark: int) -> Wish:
        """Insert what was known earlier than the commit: since always, or since some time ago."""
        symbol, day = self._chance.choice(content.BACKDATED), self._chance.choice(content.DAYS)
        starts = [r.start_time for r in tickstore.revisions(symbol) if r.date == day]
        known = BiTimestamp.start_as_of
        if starts:
            newest = max(max(starts), datetime(2020, 1, 1, tzinfo=UTC))
            known = newest + (datetime.now(UTC) - newest) * self._chance.random()
        at, frame = BiTimestamp(day, as_of_time=known), content.ticks(mark, day)
        return [(symbol, day)], lambda **how: [tickstore.insert(symbol, at, frame, **how)]

    def _transaction(self, tickstore: LocalTickstore, mark: int) -> Wish:
        """Insert one mark into all symbols that belong together, or delete or undelete them."""
        (kind,) = self._chance.choices(("insert", "delete", "undelete"), (8, 1, 1))
        day = self._chance.choice(content.DAYS)
        frame = content.ticks(mark, day)

        def act(**how: Any) -> Sequence[Revision]:
            with tickstore.transaction(**how) as many:
                for symbol in content.TOGETHER:
                    if kind == "insert":
                        many.insert(symbol, BiTimestamp(day), frame)
                    elif kind == "delete":
                        many.delete(symbol, BiTimestamp(day))
                    else:
                        many.undelete(symbol, BiTimestamp(day))
            return many.revisions

        return [(symbol, day) for symbol in content.TOGETHER], act


class Reader(_Worker):
    """Asks, asks again, and compares."""

    def work(self) -> None:
        """Read for ever."""
        token, asked = "", list[tuple[datetime, str]]()
        tickstore = self._open("r")
        self._say(ready=True)
        for count in itertools.count(1):
            self._say(doing="read")
            if count % REOPEN_EVERY == 0:
                tickstore = self._open("r")
            newest = tickstore.token
            if _number(newest) < _number(token) or (
                _number(newest) == _number(token) and newest != token
            ):
                raise Wrong(f"the token went from {token} back to {newest}")
            token = newest
            self._check_together(tickstore)
            self._check_single(tickstore)
            self._check_again(tickstore, asked)
            self._say(did="read", checks=4)

    def _check_together(self, tickstore: LocalTickstore) -> None:
        """See all of a transaction or nothing of it."""
        day = self._chance.choice(content.DAYS)
        frame = tickstore.select(content.TOGETHER, day, day)
        if frame.empty:
            return
        marks = frame["mark"].unique().tolist()
        found = frame.index.unique("symbol").tolist()
        if len(marks) != 1 or found != list(content.TOGETHER):
            raise Wrong(f"half a transaction: {day} shows the marks {marks} in {found}")
        for symbol in found:
            _check_whole(frame.loc[symbol], symbol, day)

    def _check_single(self, tickstore: LocalTickstore) -> None:
        """See all ticks of one insert."""
        symbol = self._chance.choice(content.singles(self._orders.symbols))
        day = self._chance.choice(content.DAYS)
        frame = tickstore.select(symbol, day, day)
        if not frame.empty:
            _check_whole(frame, symbol, day)

    def _check_again(self, tickstore: LocalTickstore, asked: list[tuple[datetime, str]]) -> None:
        """Get the answer again that was given before."""
        together = [*content.TOGETHER, *content.singles(self._orders.symbols)[:4]]
        commits = [r.commit_time for symbol in together for r in tickstore.revisions(symbol)]
        if not commits:
            return
        newest = max(commits)
        asked.append((newest, content.digest(tickstore.select(together, as_of_time=newest))))
        if len(asked) > REMEMBERED:
            asked.pop(self._chance.randrange(len(asked)))
        as_of, before = self._chance.choice(asked)
        if content.digest(tickstore.select(together, as_of_time=as_of)) != before:
            raise Wrong(f"the answer as of {as_of} has changed")


class Repairer(_Worker):
    """Verifies and repairs the table under the others' feet."""

    def work(self) -> None:
        """Repair for ever."""
        self._open().close()
        self._say(ready=True)
        while True:
            self._say(doing="verify")
            with self._open() as tickstore:
                found = tickstore.verify(repair=True)
            self._say(did="verify", repaired=int(found["repaired"].sum()), bad=harm(found))


def harm(found: pd.DataFrame) -> list[str]:
    """Give the findings of verify that a crash does not explain, one line each."""
    rows = found[~found["problem"].isin(HARMLESS)]
    return [f"{row.problem} {row.path}: {row.detail}" for row in rows.itertuples()]


def _settled(act: Act, message: str) -> Sequence[Revision]:
    """Commit; ask again where nobody can tell whether it happened."""
    how: dict[str, str] = {"message": message}
    for _ in range(UNKNOWN_TRIES):
        try:
            return act(**how)
        except CommitUnknown as error:
            how["commit_id"] = error.commit_id
    return act(**how)


def _check_whole(frame: pd.DataFrame, symbol: str, day: Date) -> None:
    mark = int(frame["mark"].iloc[0])
    if not content.is_whole(frame, mark, day):
        raise Wrong(f"{symbol} {day} does not show what mark {mark} wrote")


def _number(token: str) -> int:
    return int(token.partition("-")[0] or 0)


ROLES: dict[Role, Callable[[Orders, Say], _Worker]] = {
    "writer": Writer,
    "reader": Reader,
    "repairer": Repairer,
}
