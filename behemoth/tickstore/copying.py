"""Copying a table, commit by commit, while it may be written.

Each commit's splays are made durable in the copy before its log entry, so the copy is at every
moment the table as it was at some token, and copying again goes on from there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from behemoth import layout
from behemoth import log as ledger
from behemoth.bitemporal import Revision
from behemoth.errors import BadRequest, Conflict, Corrupt, EnvironmentFailed
from behemoth.log import Tip
from behemoth.stores import LocalStore, ObjectStore
from behemoth.tickstore import checkpoints, moments
from behemoth.tickstore.state import State, begin
from behemoth.tickstore.verifying import Progress, check_splay

STAGED = re.compile(r"tmp/[0-9a-f]{32}")
"""What a copy that was killed may have left beside splays."""

Damaged = Callable[[str, Exception], None]
"""Told of a splay that cannot be copied: its key, and what is wrong with it."""


def place(destination: Path | str, source: ObjectStore) -> Path:
    """Give the full path of a folder for another table.

    Raises
    ------
    BadRequest
        When it is no path, or it is inside the source's folder, or that inside it.
    """
    if not _is_path(destination):
        raise BadRequest(f"a table is in a folder, not in {destination!r}")
    path = Path(destination).absolute()
    if isinstance(source, LocalStore):
        there, here = Path(os.path.realpath(path)), Path(os.path.realpath(source.name))
        if there.is_relative_to(here) or here.is_relative_to(there):
            raise BadRequest(
                f"{path} and the table {source.name} are one inside the other; choose another place"
            )
    return path


def _is_path(value: object) -> bool:
    try:
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        return isinstance(text, str) and text != "" and b"\0" not in os.fsencode(text)
    except ValueError:  # no file system can encode it
        return False


def copy(
    source: ObjectStore, target: ObjectStore, until: Tip, progress: Progress | None = None
) -> None:
    """Copy all commits up to one, with their splays and tags, and write an index checkpoint.

    Raises
    ------
    Conflict
        When the target holds anything but an earlier state of the source.
    Corrupt
        When a file of the source is damaged, the commits before it are copied; or when one of the
        target has another size.
    """
    _check_ours(source, target, until)
    state = State(target)
    state.fold_log()
    tip = state.tip
    if tip.number > until.number or (
        tip.number and checkpoints.entry(source, tip.number)[0] != tip
    ):
        raise Conflict(
            f"{target.name} holds a table at {tip.token}, which is no earlier state of "
            f"{source.name} at {until.token}; choose another place"
        )

    def stop(key: str, error: Exception) -> None:
        if isinstance(error, EnvironmentFailed):
            raise error
        reason = error if isinstance(error, Corrupt) else f"{source.where(key)} is missing"
        raise Corrupt(f"{reason}; reindex(into=...) makes a new table of all else") from error

    if until.number:
        begin(target)
    done = _look_after(source, target, state, stop)
    for number in range(tip.number + 1, until.number + 1):
        key = layout.log_key(number)
        checkpoints.committed(source, number)  # names it where it is missing
        data = source.get(key)
        commit, tip = ledger.follow(tip, data, source.where(key))
        copy_splays(source, target, commit.revisions, done, stop)
        put_same(target, key, data)
        if progress is not None:
            progress(number, until.number)
    for tag in moments.all_tags(source):
        if int(tag.token.split("-")[0]) <= until.number:
            key = layout.tag_key(tag.name)
            put_same(target, key, source.get(key))
    state.checkpoint()


def _check_ours(source: ObjectStore, target: ObjectStore, until: Tip) -> None:
    """Raise when the target is neither empty nor a table; it may be one without a commit yet."""
    if any(target.exists(layout.log_key(number)) for number in (0, 1)):
        return
    ours: set[str] = set()
    if until.number:
        _, first = checkpoints.entry(source, 1)
        ours = {
            layout.splay_key(revision.symbol, revision.date, revision.splay)
            for revision in first.revisions
            if revision.splay is not None
        }
    for key in target.keys(""):
        if key not in ours and not STAGED.fullmatch(key):
            raise Conflict(
                f"{target.name} is neither empty nor a table: {target.where(key)} is in it; choose "
                "another place"
            )


def _look_after(
    source: ObjectStore, target: ObjectStore, state: State, damaged: Damaged
) -> set[str]:
    """Copy anew the splays that the target has lost; give all that are there."""
    done: set[str] = set()
    for symbol in state.symbols():
        lost = []
        for revision in state.timeline(symbol).revisions():
            if revision.splay is None:
                continue
            key = layout.splay_key(revision.symbol, revision.date, revision.splay)
            try:
                size = target.size(key)
            except FileNotFoundError:
                lost.append(revision)
                continue
            if size != revision.size:
                raise Corrupt(
                    f"{target.where(key)} has {size} bytes, not {revision.size}: remove it and "
                    "copy again"
                )
            done.add(key)
        copy_splays(source, target, lost, done, damaged)
    return done


def copy_splays(
    source: ObjectStore,
    target: ObjectStore,
    revisions: Iterable[Revision],
    done: set[str],
    damaged: Damaged,
) -> None:
    """Copy the splays that revisions name, checked byte by byte, unless they are `done`."""
    staged, keys = [], []
    try:
        for revision in revisions:
            if revision.splay is None:
                continue
            key = layout.splay_key(revision.symbol, revision.date, revision.splay)
            if key in done:
                continue
            done.add(key)
            try:
                data = check_splay(source, key, revision)
            except (Corrupt, FileNotFoundError, EnvironmentFailed) as error:
                damaged(key, error)
                continue
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
