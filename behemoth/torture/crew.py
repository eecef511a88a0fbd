"""The processes of a torture: started, heard, halted, killed, started again, and always reaped.

What does not live here: what they do (`behemoth.torture.roles`) and whether the table is sound
(`behemoth.torture.audit`). Each is ended by its own id, and ends itself when its stdin closes.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from behemoth.torture.ledger import Ledger
from behemoth.torture.settings import Orders, Role, Settings

TICK = 0.05
"""Seconds between two looks at the time, at most."""

LONGEST_HALT = 1.0
LONGEST_VERB = 0.03
"""Seconds; for drawing a moment within a verb."""

Disturbance = Literal["kill", "halt"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What a writer was about to do."""

    verb: str
    about: frozenset[tuple[str, str]]


@dataclass(slots=True)
class Account:
    """What all processes said, by the name of the intent.

    Attributes
    ----------
    intents
        What was about to be done.
    done
        What was acknowledged: the commit and its (symbol, date, version, digest).
    refused
        What was answered with a clear no.
    """

    intents: dict[str, Intent] = field(default_factory=dict)
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Member:
    """One process, as its parent knows it."""

    orders: Orders
    process: subprocess.Popen[bytes]
    heard: bytes = b""
    ready: bool = False
    verb: str = ""
    made: int = 0
    over: bool = False
    failed: bool = False
    killed: bool = False
    halted: bool = False


class Crew:
    """Processes that write, read and repair one table.

    Parameters
    ----------
    table
        The table's folder.
    settings
        How many, and what is done to them.
    account
        Keeps what they say.
    ledger
        Keeps the counts.
    """

    def __init__(self, table: Path, settings: Settings, account: Account, ledger: Ledger) -> None:
        self._table = table
        self._settings = settings
        self._account = account
        self._ledger = ledger
        self._chance = random.Random(settings.seed)  # noqa: S311 - a moment, not a secret
        self._selector = selectors.DefaultSelector()
        self._members: list[_Member] = []
        self._known = 1
        self._beats = 0
        self._plan = self._drawn()
        self._resting: list[tuple[float, _Member]] = []

    def _drawn(self) -> list[tuple[float, Disturbance]]:
        """Draw when somebody is killed or halted: seconds, or verbs, since the start; by time."""
        kinds: list[Disturbance] = ["kill"] * self._settings.kills_planned
        kinds += ["halt"] * self._settings.stops_planned
        self._chance.shuffle(kinds)
        last = self._settings.seconds
        if self._settings.pace is not None:
            last = float(self._settings.pace * len(kinds))
        return list(zip(sorted(self._chance.uniform(0.0, last) for _ in kinds), kinds, strict=True))

    def __enter__(self) -> Self:
        numbers: dict[Role, int] = {
            "writer": self._settings.writers,
            "reader": self._settings.readers,
            "repairer": self._settings.repairers,
        }
        roles = [role for role, number in numbers.items() for _ in range(number)]
        try:
            for place, role in enumerate(roles, start=1):
                self._start(role, place, 0, self._settings.commits)
            while not all(member.ready for member in self._members):
                self._hear(TICK)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def work(self, until: Callable[[float], bool]) -> None:
        """Let them work until the time is over, every writer is done, or `until` says so."""
        begun, paced = time.monotonic(), self._settings.pace is not None
        while (now := time.monotonic() - begun) < self._settings.seconds:
            self._hear(TICK)
            if until(now) or not any(m.orders.role == "writer" for m in self._members):
                return
            self._wake(time.monotonic())
            while self._plan and self._plan[0][0] <= (self._beats if paced else now):
                if not self._disturb(self._plan[0][1]):
                    break
                self._plan.pop(0)
            if paced and not self._plan:
                return

    def _start(self, role: Role, place: int, life: int, commits: int | None) -> None:
        orders = Orders(
            table=str(self._table),
            role=role,
            place=place,
            life=life,
            seed=self._settings.seed,
            verbs=self._settings.verbs,
            symbols=self._settings.symbols,
            commits=commits,
            known=self._known,
        )
        process = subprocess.Popen(  # noqa: S603 - our own worker
            [sys.executable, "-P", "-m", "behemoth.torture.worker", orders.encode()],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the parent alone
        )
        member = _Member(orders, process)
        self._members.append(member)
        self._selector.register(_output(member), selectors.EVENT_READ, member)
        self._ledger.processes += 1

    def _hear(self, seconds: float) -> None:
        """Listen to whoever speaks; see who has ended, and start who was killed again."""
        for key, _ in self._selector.select(seconds):
            member: _Member = key.data
            if not self._listen(member):
                self._reap(member)
                if member.killed:
                    left = member.orders.commits
                    self._start(
                        member.orders.role,
                        member.orders.place,
                        member.orders.life + 1,
                        None if left is None else left - member.made,
                    )

    def _listen(self, member: _Member) -> bool:
        """Take what a process said; ``False`` when it will say no more."""
        data = os.read(_output(member), 1 << 16)
        *lines, member.heard = (member.heard + data).split(b"\n")
        for line in lines:
            self._take(member, json.loads(line))
        return bool(data)

    def _take(self, member: _Member, said: dict[str, Any]) -> None:
        account, ledger = self._account, self._ledger
        match said:
            case {"intent": name, "verb": verb, "about": about}:
                account.intents[name] = Intent(verb, frozenset((s, day) for s, day in about))
                member.verb = verb
                self._beats += 1
            case {"done": name}:
                account.done[name] = said
                self._known = max(self._known, said["commit"])
                member.made += 1
                member.verb = ""
            case {"refused": name}:
                account.refused.add(name)
                member.verb = ""
            case {"doing": verb}:
                member.verb = verb
                self._beats += verb == "flush"
            case {"did": verb}:
                ledger.checkpoints += verb == "flush"
                ledger.repairs += verb == "verify"
                ledger.repaired += said.get("repaired", 0)
                ledger.reader_checks += said.get("checks", 0)
                for text in said.get("bad", ()):
                    ledger.trouble(f"verify found {text}")
                member.verb = ""
            case {"warned": _}:
                ledger.warnings += 1
            case {"failed": text}:
                member.failed = True
                ledger.trouble(f"a {member.orders.role} failed in {member.verb or 'open'}: {text}")
            case {"ready": _}:
                member.ready = True
            case {"over": _}:
                member.over = True

    def _disturb(self, kind: Disturbance) -> bool:
        """Kill or halt somebody; ``False`` when nobody is there for it."""
        able = [m for m in self._members if m.ready and not m.killed and not m.over]
        if kind == "halt":
            able = [member for member in able if not member.halted]
        if not able:
            return False
        member = self._chance.choice(able)
        time.sleep(self._chance.uniform(0.0, LONGEST_VERB))  # anywhere within the verb
        if kind == "halt":
            member.process.send_signal(signal.SIGSTOP)
            member.halted = True
            self._ledger.stops += 1
            until = time.monotonic() + self._chance.uniform(0.0, LONGEST_HALT)
            self._resting.append((until, member))
        else:
            member.process.kill()
            member.killed = True
            self._ledger.kills += 1
            verb = member.verb or "between"
            self._ledger.kills_in[verb] = self._ledger.kills_in.get(verb, 0) + 1
        return True

    def _wake(self, now: float) -> None:
        """Let those go on whose halt is over."""
        for until, member in list(self._resting):
            if until <= now:
                self._resting.remove((until, member))
                member.halted = False
                if member in self._members:  # not reaped, so the process id is still its own
                    member.process.send_signal(signal.SIGCONT)

    def _reap(self, member: _Member) -> None:
        """Take leave of a process that has closed its output."""
        self._selector.unregister(_output(member))
        self._members.remove(member)
        code = _close(member)
        if not (member.killed or member.over or member.failed):
            role, verb = member.orders.role, member.verb or "open"
            self._ledger.trouble(f"a {role} ended in {verb} with exit code {code}")

    def _end(self) -> None:
        """Kill all, hear their last words, reap them."""
        for member in self._members:
            member.killed = True
            member.process.kill()
        for member in list(self._members):
            while self._listen(member):
                pass
            self._reap(member)
        self._selector.close()


def _output(member: _Member) -> int:
    assert member.process.stdout is not None  # noqa: S101 - it was asked for
    return member.process.stdout.fileno()


def _close(member: _Member) -> int:
    for pipe in (member.process.stdin, member.process.stdout):
        if pipe is not None:
            pipe.close()
    return member.process.wait()
