"""The log: one immutable, numbered entry for each commit; the truth that the index is folded from.

An entry is two lines of text: a JSON object, and the BLAKE2b-256 of that object's bytes in hex.
Each entry carries the digest of the one before, so no entry can be changed unnoticed. Commit 1 is
a table's first; its digest is the table's identity. Pure: bytes in, values out, no disk.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Date
from typing import Any

from behemoth.bitemporal import FIRST_DATE, LAST_DATE, LATEST_AS_OF, Observation, Revision
from behemoth.errors import Corrupt
from behemoth.version import FORMAT

KINDS = ("insert", "delete", "undelete")
VERSIONS = 2**31
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest commit of a state: all that a writer must know to add the next.

    Attributes
    ----------
    number
        0 for a table without a commit.
    digest
        Of the entry, in hex; empty for a table without a commit.
    time
        When it was committed, aware UTC; ``None`` for a table without a commit.
    """

    number: int = 0
    digest: str = ""
    time: datetime | None = None

    @property
    def token(self) -> str:
        """Number and digest prefix: names one state of one table for ever."""
        return f"{self.number}-{self.digest[:8] or '00000000'}"


@dataclass(frozen=True, slots=True)
class Commit:
    """An ordered, numbered, atomic set of revisions and observations.

    Attributes
    ----------
    number
        1, 2, 3, ... without gaps.
    commit_id
        Given by the writer before it tries, so that it can find its own commit again.
    time
        The true commit time, aware UTC, strictly increasing with the number.
    previous
        Digest of the entry before; empty for the first.
    message, source, who, tool
        Why, from where, by whom and with what it was written.
    revisions
        At most one for each (symbol, date).
    observations
        What a source answered.
    retired
        Keys of splays that nobody committed: repair took them away, and their versions, like all
        below them, are never used.
    reconstructed
        What this commit, made from files because the log was lost, cannot know.
    """

    number: int
    commit_id: str
    time: datetime
    previous: str
    message: str
    source: str
    who: str
    tool: str
    revisions: tuple[Revision, ...] = ()
    observations: tuple[Observation, ...] = ()
    retired: tuple[str, ...] = ()
    reconstructed: tuple[str, ...] = ()


def seal(text: Mapping[str, Any]) -> bytes:
    """Write a JSON object and, on the line after, its digest."""
    return _sealed(_json(text))


def _sealed(body: str) -> bytes:
    data = body.encode()
    return data + b"\n" + hashlib.blake2b(data, digest_size=32).hexdigest().encode() + b"\n"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def unseal(data: bytes, name: str) -> tuple[dict[str, Any], str]:
    """Read what `seal` wrote; give the object and its digest.

    Raises
    ------
    Corrupt
        When a single bit differs, or a newer version wrote it.
    """
    body, _, rest = data.partition(b"\n")
    digest = hashlib.blake2b(body, digest_size=32).hexdigest()
    if rest != digest.encode() + b"\n":
        raise Corrupt(f"{name} is not what it promises: its text does not match its digest")
    try:
        value: dict[str, Any] = json.loads(body)
        version = int(value["format"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Corrupt(f"{name} is not what it promises: it has no format") from error
    if version > FORMAT:
        raise Corrupt(
            f"{name} has format {version} and this version of behemoth reads up to {FORMAT}; "
            "upgrade behemoth"
        )
    return value, digest


def encode(commit: Commit) -> bytes:
    """Write an entry."""
    return assemble(
        commit,
        [
            revision_text(revision, revision.start_time == commit.time)
            for revision in commit.revisions
        ],
        [observation_text(seen) for seen in commit.observations],
    )


def assemble(commit: Commit, revisions: Sequence[str], observations: Sequence[str]) -> bytes:
    """Write an entry whose revisions and observations are text already.

    A writer that loses a race for a number writes its entry again, and most of it is the same.
    """
    head = {
        "format": FORMAT,
        "number": commit.number,
        "id": commit.commit_id,
        "time": commit.time.isoformat(),
        "previous": commit.previous,
        "message": commit.message,
        "source": commit.source,
        "who": commit.who,
        "tool": commit.tool,
    }
    for name in ("retired", "reconstructed"):
        if value := getattr(commit, name):
            head[name] = list(value)
    lists = f'"observations":[{",".join(observations)}],"revisions":[{",".join(revisions)}]'
    return _sealed(f"{_json(head)[:-1]},{lists}}}")


def decode(data: bytes, name: str) -> tuple[Commit, Tip]:
    """Read an entry; give the commit, and the tip that the table has with it.

    Raises
    ------
    Corrupt
        When the bytes are not what a writer wrote.
    """
    entry, digest = unseal(data, name)
    try:
        commit = _commit_from_json(entry)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Corrupt(f"{name} is not what it promises: an entry lacks {error}") from error
    return commit, Tip(commit.number, digest, commit.time)


def is_entry(tip: Tip, data: bytes) -> bool:
    """Say whether these bytes are the whole entry of a tip; however long, it is not parsed."""
    body, _, rest = data.partition(b"\n")
    digest = hashlib.blake2b(body, digest_size=32).hexdigest()
    return digest == tip.digest and rest == f"{digest}\n".encode()


def _commit_from_json(entry: Mapping[str, Any]) -> Commit:
    number, time = whole(entry, "number"), instant(entry, "time")
    texts = ("previous", "message", "source", "who", "tool")
    return Commit(
        number=number,
        commit_id=text(entry, "id"),
        time=time,
        **{name: text(entry, name) for name in texts},
        revisions=tuple(_revision_from_json(r, number, time) for r in entry["revisions"]),
        observations=tuple(_observation_from_json(o) for o in entry["observations"]),
        retired=list_of_texts(entry, "retired"),
        reconstructed=list_of_texts(entry, "reconstructed"),
    )


def whole(facts: Mapping[str, Any], name: str, below: int = 2**63) -> int:
    """Give a number from 0 on; raise ``ValueError`` for anything else that was sealed."""
    value = facts[name]
    if type(value) is not int or not 0 <= value < below:
        raise ValueError(f"a number as {name}")
    return value


def text(facts: Mapping[str, Any], name: str) -> str:
    """Give a text; raise ``TypeError`` for anything else."""
    if not isinstance(value := facts[name], str):
        raise TypeError(f"a text as {name}")
    return value


def list_of_texts(facts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Give a list of texts, empty if it is not there; raise ``ValueError`` for anything else."""
    value = facts.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"a list of texts as {name}")
    return tuple(value)


def instant(facts: Mapping[str, Any], name: str) -> datetime:
    """Give an aware time; raise ``ValueError`` for anything else."""
    time = datetime.fromisoformat(text(facts, name))
    if time.tzinfo is None:
        raise ValueError(f"a time zone in {name}")
    return time


def follow(tip: Tip, data: bytes, name: str) -> tuple[Commit, Tip]:
    """Read the entry that follows a tip.

    Raises
    ------
    Corrupt
        When it is damaged, or does not continue the chain of digests.
    """
    commit, new = decode(data, name)
    if (commit.number, commit.previous) != (tip.number + 1, tip.digest):
        raise Corrupt(
            f"{name} does not follow commit {tip.token}: the log is damaged, or mixed from copies "
            "of a table that were both written"
        )
    return commit, new


def revision_text(revision: Revision, from_commit: bool) -> str:
    """Write a revision as JSON; known from its commit on, it needs no start."""
    facts: dict[str, Any] = {
        "symbol": revision.symbol,
        "date": revision.date.isoformat(),
        "version": revision.version,
        "kind": revision.kind,
        "aware": revision.aware,
    }
    if not from_commit:
        facts["start"] = revision.start_time.isoformat()
    if revision.splay is not None:
        facts |= {
            "splay": revision.splay,
            "rows": revision.rows,
            "first": revision.first,
            "last": revision.last,
            "size": revision.size,
            "digest": revision.digest,
        }
    return _json(facts)


def _symbol(facts: Mapping[str, Any]) -> str:
    """Give a symbol; raise ``ValueError`` for a text that no file name or index can hold."""
    name = text(facts, "symbol")
    name.encode()
    return name


def _revision_from_json(facts: Mapping[str, Any], number: int, time: datetime) -> Revision:
    date, has_ticks = Date.fromisoformat(facts["date"]), "splay" in facts
    if not FIRST_DATE <= date <= LAST_DATE or type(facts["aware"]) is not bool:
        raise ValueError("a date that can be, or whether its ticks are aware")
    if text(facts, "kind") not in KINDS or (facts["kind"] == "delete") is has_ticks:
        raise ValueError("a kind that can be")
    if has_ticks and not DIGEST.fullmatch(text(facts, "digest")):
        raise ValueError("a digest")
    return Revision(
        symbol=_symbol(facts),
        date=date,
        version=whole(facts, "version", VERSIONS),
        kind=facts["kind"],
        start_time=instant(facts, "start") if "start" in facts else time,
        end_time=LATEST_AS_OF,
        commit=number,
        commit_time=time,
        splay=whole(facts, "splay", VERSIONS) if has_ticks else None,
        rows=whole(facts, "rows") if has_ticks else 0,
        first=_tick_time(facts, "first") if has_ticks else None,
        last=_tick_time(facts, "last") if has_ticks else None,
        size=whole(facts, "size") if has_ticks else 0,
        digest=facts["digest"] if has_ticks else "",
        aware=facts["aware"],
    )


def _tick_time(facts: Mapping[str, Any], name: str) -> int | None:
    value = facts[name]
    if value is not None and (type(value) is not int or not -(2**63) < value < 2**63):
        raise ValueError(f"a tick time as {name}")
    return value


_OBSERVATION_TIMES = ("start", "end", "asked_at")


def observation_text(seen: Observation) -> str:
    """Write an observation as JSON."""
    facts = {name: getattr(seen, name) for name in Observation.__dataclass_fields__}
    times = {name: facts[name].astimezone(UTC).isoformat() for name in _OBSERVATION_TIMES}
    return _json(facts | times)


def _observation_from_json(facts: Mapping[str, Any]) -> Observation:
    times = {name: datetime.fromisoformat(facts[name]) for name in _OBSERVATION_TIMES}
    return Observation(**{**facts, **times})
