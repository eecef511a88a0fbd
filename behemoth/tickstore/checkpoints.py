"""Index checkpoints in an object store: written now and then, so that nobody folds the whole log.

A root ``index/TOKEN.json`` says "complete through commit N for these symbols" and lists, for each,
the file of its revisions and that of its observations, with their digests. Files and roots are
immutable; a symbol that did not change keeps its files of an earlier checkpoint.

Who writes them: a writer whose commit is at least `EVERY` after the newest root, and whoever calls
``flush``. The two newest roots stay; what only older ones need is removed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from datetime import date as Date
from typing import Any

import pandas as pd

from behemoth import codec, layout
from behemoth import log as ledger
from behemoth.bitemporal import Observation
from behemoth.errors import Corrupt
from behemoth.index import Timeline
from behemoth.log import Commit, Tip
from behemoth.stores import ObjectStore
from behemoth.stores.base import check_key
from behemoth.version import FORMAT

EVERY = 64
"""The log's tail behind the newest checkpoint is about this long at most."""

KEPT_ROOTS = 2
EPOCH = Date(1970, 1, 1)
TOKEN_NUMBER = re.compile(r"index/(\d+)-")

File = Mapping[str, Any]
"""Key, size and digest of a checkpoint file."""


@dataclass(frozen=True, slots=True)
class Root:
    """Which files together are the index up to a commit."""

    tip: Tip = field(default_factory=Tip)
    symbols: Mapping[str, Mapping[str, File]] = field(default_factory=dict)
    retired: Sequence[str] = ()


def roots(store: ObjectStore) -> list[str]:
    """List the keys of all roots, the newest first."""
    keys = [key for key in store.keys("index/") if layout.parse_root_key(key) is not None]
    return sorted(keys, key=_number, reverse=True)


def _number(key: str) -> int:
    match = TOKEN_NUMBER.match(key)
    return int(match[1]) if match else -1


def entry(store: ObjectStore, number: int) -> tuple[Tip, Commit]:
    """Read one entry of the log by itself."""
    key = layout.log_key(number)
    commit, tip = ledger.decode(store.get(key), store.where(key))
    return tip, commit


def committed(store: ObjectStore, number: int) -> tuple[Tip, Commit]:
    """Read an entry that must be there.

    Raises
    ------
    Corrupt
        When it is not.
    """
    try:
        return entry(store, number)
    except FileNotFoundError as error:
        raise Corrupt(f"{store.where(layout.log_key(number))} is missing") from error


def read_root(store: ObjectStore, key: str) -> Root:
    """Read a root; raise `Corrupt` when it is damaged."""
    text, _ = ledger.unseal(store.get(key), store.where(key))
    try:
        number, time = ledger.whole(text, "number"), ledger.instant(text, "time")
        tip = Tip(number, ledger.text(text, "entry"), time)
        for files in text["symbols"].values():
            for what, file in files.items():
                _check_file(file, what)
        return Root(tip, text["symbols"], ledger.list_of_texts(text, "retired"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Corrupt(f"{store.where(key)} is not what it promises: it lacks {error}") from error


def _check_file(file: File, what: str) -> None:
    """Raise unless it is a file of a checkpoint."""
    if not ledger.text(file, "key").startswith("index/"):
        raise ValueError("a key in index/")
    check_key(file["key"])
    ledger.text(file, "digest")
    ledger.whole(file, "size")
    if what == "observations":
        ledger.whole(file, "rows")
        ledger.text(file, "content")


def read_timeline(store: ObjectStore, root: Root, symbol: str) -> Timeline | None:
    """Read a symbol's revisions; ``None`` where the checkpoint has none."""
    data, name = _read(store, root, symbol, "revisions")
    if data is None:
        return None
    frame = codec.read_checkpoint(data, name)
    with _made_of(name):
        return Timeline.from_checkpoint(symbol, frame)


def read_observations(
    store: ObjectStore, root: Root, symbol: str
) -> list[tuple[int, Observation]] | None:
    """Read a symbol's observations; ``None`` where the checkpoint has none."""
    data, name = _read(store, root, symbol, "observations")
    if data is None:
        return None
    file = root.symbols[symbol]["observations"]
    promise = codec.Promise(symbol, EPOCH, file["rows"], len(data), file["content"])
    frame = codec.to_frame(codec.read_splay(data, promise, name))
    with _made_of(name):
        frame = frame.reset_index().sort_values("position")
        return [
            (
                row["commit"],
                Observation(
                    symbol=symbol,
                    source=row["source"],
                    what=row["what"],
                    start=row["start"].to_pydatetime(),
                    end=row["end"].to_pydatetime(),
                    asked_at=row["asked_at"].to_pydatetime(),
                    outcome=row["outcome"],
                    rows=row["rows"],
                ),
            )
            for row in frame.to_dict("records")
        ]


@contextmanager
def _made_of(name: str) -> Iterator[None]:
    """Raise `Corrupt` where a whole file lacks what it is read for."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise Corrupt(f"{name} is not what it promises: it lacks {error}") from error


def _read(store: ObjectStore, root: Root, symbol: str, what: str) -> tuple[bytes | None, str]:
    file = root.symbols.get(symbol, {}).get(what)
    if file is None:
        return None, ""
    data, name = store.get(file["key"]), store.where(file["key"])
    if len(data) != file["size"] or _digest(data) != file["digest"]:
        raise Corrupt(f"{name} is not what it promises: it does not match its digest")
    return data, name


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def write(
    store: ObjectStore,
    tip: Tip,
    base: Root,
    changed: Mapping[str, tuple[Timeline, list[tuple[int, Observation]]]],
    retired: Sequence[str] = (),
) -> Root:
    """Write the checkpoint of a state.

    Parameters
    ----------
    store
        Where the table lives.
    tip
        The state's newest commit.
    base
        An earlier checkpoint; its files serve the symbols that did not change.
    changed
        Timeline and observations of the symbols that did.
    retired
        For each date and symbol the key of the highest version that repair took away.
    """
    symbols = {name: dict(files) for name, files in base.symbols.items()}
    for name, (timeline, seen) in changed.items():
        files: dict[str, File] = {}
        if len(timeline.rows):
            data = codec.write_checkpoint(timeline.checkpoint())
            files["revisions"] = _put(store, tip.token, name, "revisions", data)
        if seen:
            splay = _observations_splay(name, seen)
            file = _put(store, tip.token, name, "observations", splay.data)
            files["observations"] = {**file, "rows": splay.rows, "content": splay.digest}
        symbols[name] = files
    root = Root(tip, symbols, retired)
    text = {
        "format": FORMAT,
        "number": tip.number,
        "entry": tip.digest,
        "time": (tip.time or datetime.now(UTC)).isoformat(),
        "symbols": symbols,
        "retired": list(retired),
    }
    with suppress(FileExistsError):  # another process checkpointed the same state
        store.put(layout.checkpoint_root_key(tip.token), ledger.seal(text))
    return root


def _put(store: ObjectStore, token: str, symbol: str, what: layout.What, data: bytes) -> File:
    """Write a file under the first name that is free: others may be damaged leftovers."""
    attempt = 0
    while True:
        key = layout.checkpoint_key(token, symbol, what, attempt)
        try:
            store.put(key, data)
        except FileExistsError:
            attempt += 1
        else:
            return {"key": key, "size": len(data), "digest": _digest(data)}


def _observations_splay(symbol: str, seen: list[tuple[int, Observation]]) -> codec.Splay:
    def times(name: str) -> pd.DatetimeIndex:
        values = [getattr(observation, name) for _, observation in seen]
        return pd.DatetimeIndex(values).as_unit("ns").tz_convert("UTC")

    texts = ("source", "what", "outcome")
    frame = pd.DataFrame(
        {
            "start": times("start"),
            "end": times("end"),
            "rows": [observation.rows for _, observation in seen],
            "commit": [number for number, _ in seen],
            "position": range(len(seen)),
            **{name: [getattr(observation, name) for _, observation in seen] for name in texts},
        },
        index=times("asked_at").rename("asked_at"),
    )
    ticks = codec.dismantle(frame, "asked_at")
    return codec.write_splay(ticks, symbol, EPOCH, datetime(1970, 1, 1, tzinfo=UTC))


def prune(store: ObjectStore) -> None:
    """Remove old roots first, then the files that no kept root names; a damaged one names none."""
    keys = roots(store)
    kept = keys[:KEPT_ROOTS]
    if len(keys) == len(kept):
        return
    needed: set[str] = set()
    for key in kept:
        with suppress(Corrupt, FileNotFoundError):
            files = read_root(store, key).symbols.values()
            needed.update(file["key"] for each in files for file in each.values())
    oldest = _number(kept[-1])
    for key in keys[KEPT_ROOTS:]:
        store.remove(key)
    for key in store.keys("index/"):
        if key not in needed and key not in kept and _number(key) < oldest:
            store.remove(key)
