"""The log as people read it: one row for each commit."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from behemoth.stores import ObjectStore
from behemoth.tickstore import checkpoints

NUMBERS = ("inserts", "deletes", "undeletes", "rows", "observations", "retired", "backdated")
OBJECTS = ("who", "message", "source", "tool", "unknown", "token", "commit_id")
COLUMNS = (
    *("time", "who", "message", "source", "tool"),
    *NUMBERS,
    *("unknown", "token", "commit_id"),
)


def table(store: ObjectStore, numbers: Iterable[int]) -> pd.DataFrame:
    """Show these commits; see `View.log`."""
    rows = []
    for number in numbers:
        tip, commit = checkpoints.committed(store, number)
        kinds = [revision.kind for revision in commit.revisions]
        rows.append(
            {
                "commit": number,
                "time": commit.time,
                "who": commit.who,
                "message": commit.message,
                "source": commit.source,
                "tool": commit.tool,
                "inserts": kinds.count("insert"),
                "deletes": kinds.count("delete"),
                "undeletes": kinds.count("undelete"),
                "rows": sum(r.rows for r in commit.revisions if r.kind == "insert"),
                "observations": len(commit.observations),
                "retired": len(commit.retired),
                "backdated": sum(r.start_time < commit.time for r in commit.revisions),
                "unknown": commit.reconstructed,
                "token": tip.token,
                "commit_id": commit.commit_id,
            }
        )
    frame = pd.DataFrame(rows, columns=["commit", *COLUMNS], dtype=object)
    times = pd.DatetimeIndex(frame["time"].to_list(), tz="UTC").as_unit("us")
    frame = frame.astype(
        dict.fromkeys(("commit", *NUMBERS), "int64") | dict.fromkeys(OBJECTS, object)
    )
    return frame.assign(time=times).set_index("commit")
