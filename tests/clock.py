"""A clock that tests turn by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Gives the time it was set to."""

    def __init__(self, now: datetime = datetime(2020, 1, 1, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 1.0) -> datetime:
        """Move on (or back) and give the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now
