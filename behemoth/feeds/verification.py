"""What a verification found: of each day whether the source still says the same, and every row.

Values only: `behemoth.feeds.verifying` makes them, the command line shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date as Date
from datetime import datetime
from typing import Any, Literal

import pandas as pd

Outcome = Literal["same", "differs", "vanished", "failed", "not stored", "not over"]
"""What became of a day, see `VerifiedDay`."""
LOST = ("failed",)
UNLIKE = ("differs", "vanished")
CHANGES = ("changed", "new", "vanished")


@dataclass(frozen=True, slots=True, eq=False)
class VerifiedDay:
    """What became of one day.

    Attributes
    ----------
    date
        The as-at date.
    outcome
        ``"same"``: the source says what is stored, bit by bit. ``"differs"``: rows are changed, new
        or vanished. ``"vanished"``: ticks are stored, and the source has none any more, not one.
        ``"failed"``: no answer that could be used, see `reason`. ``"not stored"``: neither ticks
        nor an earlier answer are there to compare with, and ``"not over"``: the day is not; both
        are not asked for.
    stored, answered
        How many rows are stored, and how many the source has.
    changed, new, vanished
        How many of them differ; `new` only the source has, `vanished` only the table.
    differences
        The rows that differ, as `verify_source` describes them; ``None`` for no row.
    version
        The version that is stored; ``None`` for no ticks.
    written
        The version that took the source's word; ``None`` where nothing was to take, or nothing was
        taken.
    asked_at
        When the last answer came, aware UTC.
    reason
        Why it failed, or why nothing was taken.
    """

    date: Date
    outcome: Outcome
    stored: int = 0
    answered: int = 0
    changed: int = 0
    new: int = 0
    vanished: int = 0
    differences: pd.DataFrame | None = None
    version: int | None = None
    written: int | None = None
    asked_at: datetime | None = None
    reason: str = ""

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do or to decide."""
        return self.outcome not in LOST and (self.outcome not in UNLIKE or self.written is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """What a verification found.

    Attributes
    ----------
    product, granularity, source
        What was verified, and against whom.
    first_day, last_day
        The range that was wanted, ``[first_day, last_day]``.
    token
        The state of the table that was compared.
    days
        One row for each day of the range. Index: ``date`` (datetime64[ns]). Columns: ``outcome``,
        ``stored`` and ``answered`` (rows), ``changed``, ``new`` and ``vanished`` (rows),
        ``version`` and ``written`` (Int64), ``asked_at`` (datetime64[us, UTC]), ``reason``; see
        `VerifiedDay`.
    rows
        The first rows that differ, as many as were to be kept; see `verify_source`.
    rows_total
        How many differ in all.
    settled
        Whether every day could be asked and is the same, or was taken as the source has it.
    requests, retries
        What was asked of the exchange, and how often again after a failure.
    """

    product: str
    granularity: int
    source: str
    first_day: Date
    last_day: Date
    token: str
    days: pd.DataFrame = field(repr=False)
    rows: pd.DataFrame = field(repr=False)
    rows_total: int = 0
    settled: bool = True
    requests: int = 0
    retries: int = 0

    def count(self, outcome: Outcome) -> int:
        """Count the days with this outcome."""
        return int((self.days["outcome"] == outcome).sum())

    @property
    def versions_written(self) -> int:
        """How many days got a new version."""
        return int(self.days["written"].notna().sum())

    def as_json(self) -> dict[str, Any]:
        """Give it as values that JSON knows, without the rows; dates and times as ISO text.

        Days that are the same are only counted.
        """
        shown = self.days[~self.days["outcome"].isin(["same", "not stored", "not over"])]
        outcomes: dict[Outcome, str] = {
            "same": "days_same",
            "differs": "days_differing",
            "vanished": "days_vanished",
            "failed": "days_failed",
            "not stored": "days_not_stored",
            "not over": "days_not_over",
        }
        return {
            "product": self.product,
            "granularity": self.granularity,
            "source": self.source,
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "token": self.token,
            "settled": self.settled,
            **{name: self.count(outcome) for outcome, name in outcomes.items()},
            **{f"rows_{change}": int(self.days[change].sum()) for change in CHANGES},
            "versions_written": self.versions_written,
            "requests": self.requests,
            "retries": self.retries,
            "days": [_plain(date, row) for date, row in shown.iterrows()],
        }


class Report:
    """Gathers what was found, and no more rows than are to be kept.

    Parameters
    ----------
    keep
        How many rows at most.
    on_day
        Called with each day.

    Attributes
    ----------
    days
        The days so far, without their rows.
    frames
        The rows that are kept.
    rows
        How many differ.
    """

    def __init__(self, keep: int, on_day: Callable[[VerifiedDay], None]) -> None:
        self._keep = keep
        self._on_day = on_day
        self.days: list[VerifiedDay] = []
        self.frames: list[pd.DataFrame] = []
        self.rows = 0

    def add(self, day: VerifiedDay) -> None:
        """Tell of a day, and keep it."""
        self._on_day(day)
        if day.differences is not None:
            if self.rows < self._keep:
                self.frames.append(day.differences.iloc[: self._keep - self.rows])
            self.rows += len(day.differences)
        self.days.append(replace(day, differences=None))


def table_of(days: Iterable[VerifiedDay]) -> pd.DataFrame:
    """Give days as a frame, see `Verification.days`; by date."""
    shown: Sequence[VerifiedDay] = sorted(days, key=lambda day: day.date)
    columns: dict[str, Any] = {
        "outcome": pd.Series([day.outcome for day in shown], dtype=object),
        "stored": pd.Series([day.stored for day in shown], dtype="int64"),
        "answered": pd.Series([day.answered for day in shown], dtype="int64"),
        **{
            change: pd.Series([getattr(day, change) for day in shown], dtype="int64")
            for change in CHANGES
        },
        "version": pd.Series([day.version for day in shown], dtype="Int64"),
        "written": pd.Series([day.written for day in shown], dtype="Int64"),
        "asked_at": pd.DatetimeIndex([day.asked_at for day in shown], tz="UTC").as_unit("us"),
        "reason": pd.Series([day.reason for day in shown], dtype=object),
    }
    frame = pd.DataFrame(columns)
    frame.index = pd.DatetimeIndex([day.date for day in shown], name="date").as_unit("ns")
    return frame


def _plain(date: Any, row: pd.Series[Any]) -> dict[str, Any]:
    return {
        "date": f"{date:%Y-%m-%d}",
        **{name: row[name] for name in ("outcome", "reason")},
        **{name: int(row[name]) for name in ("stored", "answered", *CHANGES)},
        **{name: None if pd.isna(row[name]) else int(row[name]) for name in ("version", "written")},
        "asked_at": None if pd.isna(row["asked_at"]) else row["asked_at"].isoformat(),
    }
