"""Copying a table, commit by commit, while it may be written.

Each commit's splays are made durable in the copy before its log entry, so the copy is at every
moment the table as it was at some token, and copying again goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable

from behemoth import layout
from behemoth import log as ledger
from behemoth.bitemporal import Revision
from behemoth.errors import Conflict, Corrupt
from behemoth.log import Tip
from behemoth.stores import ObjectStore
from behemoth.tickstore import checkpoints
from behemoth.tickstore.state import State, begin
from behemoth.tickstore.verifying import Progress, check_splay


def copy(
    source: ObjectStore, target: ObjectStore, until: Tip, progress: Progress | None = None
) -> None:
    """Copy all commits up to one, with their splays, and write an index checkpoint.

    Raises
    ------
    Conflict
        When the target holds anything but an earlier state of the source.
    Corrupt
        When a file of the source is damaged; the commits before it are copied.
    """
    state = State(target)
    tip = state.refresh()
    if tip.number > until.number or (
        tip.number and checkpoints.entry(source, tip.number)[0] != tip
    ):
        raise Conflict(
            f"{target.name} holds a table at {tip.token}, which is no earlier state of "
            f"{source.name} at {until.token}; choose another place"
        )
    if until.number:
        begin(target)
    for number in range(tip.number + 1, until.number + 1):
        key = layout.log_key(number)
        checkpoints.committed(source, number)  # names it where it is missing
        data = source.get(key)
        commit, tip = ledger.follow(tip, data, source.where(key))
        copy_splays(source, target, commit.revisions)
        put_same(target, key, data)
        if progress is not None:
            progress(number, until.number)
    state.checkpoint()


def copy_splays(source: ObjectStore, target: ObjectStore, revisions: Iterable[Revision]) -> None:
    """Copy the splays of revisions, checked byte by byte."""
    staged, keys = [], []
    try:
        for revision in revisions:
            if revision.kind != "insert" or revision.splay is None:
                continue
            key = layout.splay_key(revision.symbol, revision.date, revision.splay)
            try:
                data = check_splay(source, key, revision)
            except FileNotFoundError as error:
                raise Corrupt(f"{source.where(key)} is missing") from error
            keys.append(key)
            staged.append(target.stage(data))
            try:
                staged[-1] = target.publish_again(staged[-1], data, key)
            except FileExistsError:
                _check_same(target, key, data)
        target.sync(keys)
    finally:
        for handle in staged:
            target.discard(handle)


def put_same(target: ObjectStore, key: str, data: bytes) -> None:
    """Write an object, unless the same one is there, perhaps not durable yet."""
    try:
        target.put(key, data)
    except FileExistsError:
        _check_same(target, key, data)
        target.sync([key])


def _check_same(target: ObjectStore, key: str, data: bytes) -> None:
    if target.get(key) != data:
        raise Conflict(f"{target.where(key)} is there with other content; choose another place")
