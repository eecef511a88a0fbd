"""How hard a torture is, and the orders that one process of it gets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Self

from behemoth.errors import BadRequest

Role = Literal["writer", "reader", "repairer"]

VERBS: Mapping[str, int] = MappingProxyType(
    {"insert": 6, "transaction": 4, "delete": 2, "undelete": 2, "backdate": 2, "flush": 1}
)
"""What writers do, and how often of each other."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How hard it is.

    Attributes
    ----------
    seconds
        When it ends at the latest; the comparison comes after it.
    writers, readers, repairers
        Numbers of processes of each role.
    kills, stops
        How often one of them is killed (SIGKILL), or halted for a moment (SIGSTOP); ``None``: so
        many a minute as a machine of two cores can stand.
    pace
        After how many verbs, on average, the next is killed or halted, and it ends with the last;
        ``None``: spread over the time.
    max_mb
        It ends early when the table has grown beyond so many megabytes.
    seed
        Of all that is drawn by lot.
    verbs
        What writers do, by weight.
    symbols
        How many symbols the single inserts are spread over.
    commits
        How many commits each writer makes; ``None``: as many as there is time for.
    """

    seconds: float = 30.0
    writers: int = 4
    readers: int = 2
    repairers: int = 1
    kills: int | None = None
    stops: int | None = None
    pace: int | None = None
    max_mb: int = 500
    seed: int = 0
    verbs: Mapping[str, int] = field(default_factory=lambda: VERBS)
    symbols: int = 24
    commits: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no torture."""
        if not 1 <= self.seconds <= 86_400:
            raise BadRequest(f"seconds are 1 to 86,400, not {self.seconds:g}")
        if not 1 <= self.writers <= 64:
            raise BadRequest(f"writers are 1 to 64, not {self.writers}")
        if not 0 <= self.readers <= 64:
            raise BadRequest(f"readers are 0 to 64, not {self.readers}")
        if min(self.kills or 0, self.stops or 0) < 0:
            raise BadRequest("kills and stops are numbers from 0 on")
        if self.max_mb < 1:
            raise BadRequest(f"max-mb is a number from 1 on, not {self.max_mb}")

    @property
    def kills_planned(self) -> int:
        """How many kills there shall be."""
        return round(self.seconds) if self.kills is None else self.kills

    @property
    def stops_planned(self) -> int:
        """How many stops there shall be."""
        return round(self.seconds / 3) if self.stops is None else self.stops


@dataclass(frozen=True, slots=True)
class Orders:
    """What one process is told at its start.

    Attributes
    ----------
    table
        The table's folder.
    role
        What it does.
    place, life
        Which of the processes it is, and for the how manieth time it was started.
    seed, verbs, symbols
        As in `Settings`.
    commits
        After how many commits it ends.
    known
        A commit that was acknowledged before the start: who opens the table now must see it.
    """

    table: str
    role: Role
    place: int
    life: int
    seed: int
    verbs: Mapping[str, int]
    symbols: int
    commits: int | None
    known: int

    def encode(self) -> str:
        """Write the orders as JSON."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps({**facts, "verbs": dict(self.verbs)})

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote."""
        return cls(**json.loads(text))
