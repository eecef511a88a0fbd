"""What came of a torture: numbers, and the first troubles in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

HARM = ("lost", "doubled", "changed", "foreign", "halved", "unreadable")
"""Numbers that are 0 on a sound disk."""

TOLD = 20
"""How many troubles are kept in words."""


@dataclass(slots=True)
class Ledger:
    """What was acknowledged, what is there, and what was done to the processes meanwhile.

    Attributes
    ----------
    processes
        How many were started.
    acknowledged, present, lost
        Commits: of how many a writer heard that they are done, and how many of them are there.
    unacknowledged
        Commits that are there whole, whose writer was killed before it heard so.
    doubled, changed, foreign, halved
        Commits that are there twice, differ from what was written, that nobody intended, or that
        lack a part.
    unreadable
        Splays that cannot be read.
    kills, kills_in, stops
        How often a process was killed, within which verb, and how often one was halted.
    checkpoints, repairs, repaired
        How often ``flush`` and ``verify(repair=True)`` came to an end, and what they mended.
    reader_checks
        How many answers were compared.
    warnings
        How many warnings there were.
    seconds, bytes
        How long it took, and how much there was on disk at the end.
    troubles
        Everything that should not be, in words; the first ones.
    """

    processes: int = 0
    acknowledged: int = 0
    present: int = 0
    lost: int = 0
    unacknowledged: int = 0
    doubled: int = 0
    changed: int = 0
    foreign: int = 0
    halved: int = 0
    unreadable: int = 0
    kills: int = 0
    kills_in: dict[str, int] = field(default_factory=dict)
    stops: int = 0
    checkpoints: int = 0
    repairs: int = 0
    repaired: int = 0
    reader_checks: int = 0
    warnings: int = 0
    seconds: float = 0.0
    bytes: int = 0
    troubles: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether everything held."""
        return not self.troubles and not any(getattr(self, name) for name in HARM)

    def trouble(self, text: str) -> None:
        """Note something that should not be."""
        if len(self.troubles) < TOLD:
            self.troubles.append(text)

    def as_json(self) -> Mapping[str, Any]:
        """Give it as plain values."""
        return {"sound": self.sound, **asdict(self), "seconds": round(self.seconds, 1)}

    def __str__(self) -> str:
        """Show it as a table, with the verdict as the last line."""
        within = ", ".join(f"{n:,} in {verb}" for verb, n in sorted(self.kills_in.items()))
        rows = {
            "processes started": f"{self.processes:,}",
            "killed (SIGKILL)": f"{self.kills:,}" + (f": {within}" if within else ""),
            "halted (SIGSTOP)": f"{self.stops:,}",
            "commits acknowledged": f"{self.acknowledged:,}",
            "  present": f"{self.present:,}",
            "  lost": f"{self.lost:,}",
            "  doubled": f"{self.doubled:,}",
            "  changed": f"{self.changed:,}",
            "  in part": f"{self.halved:,}",
            "commits that nobody made": f"{self.foreign:,}",
            "done, not acknowledged": f"{self.unacknowledged:,}",
            "unreadable files": f"{self.unreadable:,}",
            "checkpoints": f"{self.checkpoints:,}",
            "repairs": f"{self.repairs:,}, which moved {self.repaired:,} leftovers away",
            "reader checks": f"{self.reader_checks:,}",
            "warnings": f"{self.warnings:,}",
            "seconds": f"{self.seconds:.1f}",
            "bytes": f"{self.bytes:,}",
        }
        lines = [f"  {name:<26}{value}" for name, value in rows.items()]
        return "\n".join([*lines, self.verdict])

    @property
    def verdict(self) -> str:
        """Say in one line what it means."""
        if self.sound:
            return "sound: every acknowledged commit is present, whole and unchanged"
        found = [f"{getattr(self, name):,} {name}" for name in HARM if getattr(self, name)]
        first = [self.troubles[0]] if self.troubles else []
        return f"NOT SOUND: {'; '.join([*found, *first])}"
