"""One day's answer beside what is stored, and what is written of it.

When an answer is believed is decided by `behemoth.feeds.verifying`; here it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Date

import pandas as pd

from behemoth.bitemporal import BiTimestamp, Observation, Revision
from behemoth.errors import BadFrame, Conflict
from behemoth.feeds.fetching import FetchedDay
from behemoth.feeds.stored import StoredDay
from behemoth.feeds.verification import CHANGES, Outcome, VerifiedDay
from behemoth.tickstore import Tickstore, View
from behemoth.tickstore.diffing import beside


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What one answer says of a day, beside what is stored.

    Attributes
    ----------
    fetched
        The answer.
    stored
        What the table had of the day, when the verification began.
    differences
        The rows that differ, see `behemoth.tickstore.diffing.beside`.
    """

    fetched: FetchedDay
    stored: StoredDay
    differences: pd.DataFrame

    @classmethod
    def of(cls, view: View, fetched: FetchedDay, stored: StoredDay) -> Finding:
        """Compare an answer with the ticks that are visible."""
        frame = fetched.frame
        return cls(fetched, stored, beside(view, fetched.day.date, stored.known, frame))

    @property
    def date(self) -> Date:
        """The as-at date."""
        return self.fetched.day.date

    @property
    def outcome(self) -> Outcome:
        """Whether it is the same, differs, or has vanished."""
        if self.differences.empty:
            return "same"
        return "differs" if len(self.fetched.frame) else "vanished"

    def count(self, change: str) -> int:
        """Count the rows that are ``"changed"``, ``"new"`` or ``"vanished"``."""
        return int((self.differences["change", ""] == change).sum())

    def says_the_same(self, other: Finding) -> bool:
        """Compare two answers to the bit."""
        return self.fetched.digest == other.fetched.digest

    def day(self, written: int | None = None, reason: str = "") -> VerifiedDay:
        """Give it as the result of a verification."""
        known = self.stored.known
        return VerifiedDay(
            self.date,
            self.outcome,
            stored=0 if known is None else known.rows,
            answered=len(self.fetched.frame),
            **{change: self.count(change) for change in CHANGES},
            differences=None if self.differences.empty else self.differences,
            version=None if known is None else known.version,
            written=written,
            asked_at=self.fetched.asked_at,
            reason=reason,
        )


class Settler:
    """Makes a day what the source says it is, as far as that is allowed.

    Parameters
    ----------
    table
        The tickstore.
    product, source, what
        Of the observations.
    update, accept_deletions, supersede
        As `behemoth.feeds.verify_source` says.
    """

    def __init__(
        self,
        table: Tickstore,
        product: str,
        source: str,
        what: str,
        *,
        update: bool,
        accept_deletions: bool,
        supersede: bool,
    ) -> None:
        self._table = table
        self._product = product
        self._source = source
        self._what = what
        self._update = update
        self._accept_deletions = accept_deletions
        self._supersede = supersede

    def settle(self, finding: Finding) -> VerifiedDay:
        """Write what is to be written of a day, in one commit, and tell."""
        if not self._update:
            return finding.day()
        if reason := self._objection(finding):
            return finding.day(reason=reason)
        try:
            return finding.day(self._commit(finding))
        except Conflict:
            return finding.day(reason="another writer changed it meanwhile; verify it again")
        except BadFrame as error:  # the symbol's ticks have no time zone, for instance
            return finding.day(reason=f"it does not fit to what is stored: {error}")

    def _objection(self, finding: Finding) -> str:
        """Say why a day may not be made what the source says."""
        known = finding.stored.known
        if finding.outcome == "same" or known is None:
            return ""
        if not finding.stored.source and not self._supersede:
            return (
                f"version {known.version} names no source, it may be a correction by hand; it was "
                "kept, to take the source's word say --supersede"
            )
        if finding.outcome == "vanished" and not self._accept_deletions:
            return (
                "the source has nothing of this day any more; it was kept, to delete it say "
                "--accept-deletions"
            )
        return ""

    def _commit(self, finding: Finding) -> int | None:
        date, newest = finding.date, finding.stored.newest
        counts = [f"{finding.count(change)} {change}" for change in CHANGES]
        said = "the same" if finding.outcome == "same" else ", ".join(counts)
        at = BiTimestamp(date)
        with self._table.transaction(
            message=f"verify-source {self._product} {date} {self._what}: {said}",
            source=self._source,
        ) as one:
            match finding.outcome:
                case "vanished":
                    one.delete(self._product, at, expected_version=newest)
                case "differs" if _was_deleted(finding.stored.history, finding.fetched):
                    one.undelete(self._product, at, expected_version=newest)
                case "differs":
                    frame = finding.fetched.frame
                    one.insert(self._product, at, frame, expected_version=newest)
            one.observe([self._observation(finding.fetched)])
        return one.revisions[0].version if one.revisions else None

    def _observation(self, fetched: FetchedDay) -> Observation:
        return Observation(
            symbol=self._product,
            source=self._source,
            what=self._what,
            start=datetime.fromtimestamp(fetched.day.start, UTC),
            end=datetime.fromtimestamp(fetched.day.end, UTC),
            asked_at=fetched.asked_at,
            outcome="complete",
            rows=len(fetched.frame),
        )


def _was_deleted(history: Sequence[Revision], fetched: FetchedDay) -> bool:
    """Say whether a day is deleted that had these very ticks: then no bytes are copied."""
    if not history or history[-1].kind != "delete":
        return False
    last = [revision for revision in history if revision.splay is not None][-1]
    return last.digest == fetched.digest
