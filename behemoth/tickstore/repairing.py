"""Mending a table: what is nobody's goes to quarantine, what is derived is made anew.

No ticks are ever removed. A writer may be at work all the while: its splays are fenced first (see
`Writer.retire`), and staged bytes that are taken from it are staged again.
"""

from __future__ import annotations

from collections.abc import Iterable

from behemoth.stores import ObjectStore
from behemoth.tickstore import verifying
from behemoth.tickstore.state import State
from behemoth.tickstore.verifying import Finding, Progress, Verdict
from behemoth.tickstore.writer import Reason, Writer

REASON = Reason("verify --repair: versions that no commit brought are never used")


def repair(
    store: ObjectStore, state: State, writer: Writer, progress: Progress | None = None
) -> list[Finding]:
    """Verify, and mend what can be mended.

    A damaged log is left alone, and so is all that only the log can tell.
    """
    verdict = verifying.verify(store, progress)
    if verdict.of("log"):
        return list(verdict.findings)
    findings = verdict.of("missing", "damaged", "stranger")
    orphans = {finding.path: finding for finding in verdict.of("orphan")}
    for key in writer.retire(list(orphans), REASON) if orphans else ():
        findings += _quarantined(store, orphans[key], verdict)
    for finding in verdict.of("leftover"):
        findings += _quarantined(store, finding, verdict)
    return findings + rebuild_index(store, state, verdict)


def rebuild_index(store: ObjectStore, state: State, verdict: Verdict) -> list[Finding]:
    """Where a checkpoint differs from the log put all of them aside, and write one anew.

    All, because they share files.
    """
    bad = verdict.of("checkpoint")
    if bad:
        for key in store.keys("index/"):
            _move(store, key, verdict)
        state.begin_anew()
        state.checkpoint()
    return [verifying.mended(finding, f"{finding.detail}; made anew") for finding in bad]


def _quarantined(store: ObjectStore, finding: Finding, verdict: Verdict) -> Iterable[Finding]:
    """Move a file that is nobody's to quarantine; nothing to say when it is gone already."""
    name = _move(store, finding.path, verdict)
    if name is not None:
        yield verifying.mended(finding, f"{finding.detail}; now {name}")


def _move(store: ObjectStore, key: str, verdict: Verdict) -> str | None:
    try:
        return store.move(key, f"quarantine/{verdict.state.tip.token}/{key}")
    except FileNotFoundError:  # the writer was alive, or another repair came first
        return None
