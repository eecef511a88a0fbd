"""Naming a state of a table: by a token, by a tag, or by a time of knowledge.

Tags live here too: small sealed files below ``tags/``, made once and never moved. What does not
live here: what was known in a state (`behemoth.index`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from behemoth import layout
from behemoth import log as ledger
from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import BadName, BadRequest, Conflict, Corrupt, NotFound
from behemoth.log import Tip
from behemoth.stores import ObjectStore
from behemoth.tickstore import checkpoints, times
from behemoth.version import FORMAT

AsOf = datetime | str
"""What names a state of a table: a time of knowledge, a token, or a tag."""

TOKEN = re.compile(r"(0|[1-9][0-9]{0,17})-[0-9a-f]{8}")
COLUMNS = ("token", "time", "who", "message")


class Moment(NamedTuple):
    """What is known is asked by this pair, and for a pair there is one answer for ever.

    Attributes
    ----------
    tip
        The commit up to which is read.
    known_at
        The as-of time, aware UTC.
    """

    tip: Tip
    known_at: datetime = LATEST_AS_OF


@dataclass(frozen=True, slots=True)
class Tag:
    """A name for a token.

    Attributes
    ----------
    name
        As it was given.
    token
        What it stands for.
    time
        When it was made, aware UTC.
    who, message
        By whom, and why.
    """

    name: str
    token: str
    time: datetime
    who: str
    message: str


def tip_of(store: ObjectStore, newest: Tip, token: str) -> Tip:
    """Find the commit that a token names.

    Raises
    ------
    BadRequest
        When it is no token.
    NotFound
        When it is of another table, or of another branch of a copied one.
    """
    match = TOKEN.fullmatch(token) if isinstance(token, str) else None
    if match is None:
        raise BadRequest(f"a token is like {newest.token!r}, not {token!r}")
    tip, number = Tip(), int(match[1])
    if number > newest.number:
        raise NotFound(f"{store.name} has {newest.number} commits so far, not {number}")
    if number:
        tip, _ = checkpoints.committed(store, number)
    if tip.token != token:
        raise NotFound(
            f"{token} is of another table, or of another branch of a copied one: here commit "
            f"{number} is {tip.token}"
        )
    return tip


def number_at(store: ObjectStore, moment: Moment) -> int:
    """Find the newest commit that had been made at a moment; 0 for none.

    Revisions say themselves since when they are known; what else a commit brings is known since the
    commit. Reads few entries, because their times rise.
    """
    tip, known_at = moment
    if tip.time is None or tip.time <= known_at:
        return tip.number
    made, later = 0, tip.number
    while later - made > 1:
        middle = (made + later) // 2
        there, _ = checkpoints.committed(store, middle)
        if there.time is not None and there.time <= known_at:
            made = middle
        else:
            later = middle
    return made


def check_tag_name(name: str) -> str:
    """Give the name back if it can name a tag.

    Raises
    ------
    BadName
        When it is no name, or could be read as a token or a time.
    """
    layout.check_name(name)
    if TOKEN.fullmatch(name) or is_time(name):
        raise BadName(f"a tag that looks like a token or a time could be mistaken: {name!r}")
    return name


def is_time(text: str) -> bool:
    """Whether a text is read as a time, not as the name of a tag."""
    return times.ISO_TIME.fullmatch(text.strip()) is not None


def put_tag(store: ObjectStore, tag: Tag) -> None:
    """Make a tag, on the medium when this returns.

    Raises
    ------
    Conflict
        When there is one of this name.
    """
    text = {
        "format": FORMAT,
        "name": tag.name,
        "token": tag.token,
        "time": tag.time.isoformat(),
        "who": tag.who,
        "message": tag.message,
    }
    try:
        store.put(layout.tag_key(tag.name), ledger.seal(text))
    except FileExistsError as error:
        there = get_tag(store, tag.name)
        raise Conflict(
            f"the tag {tag.name!r} is there since {there.time:%Y-%m-%d %H:%M} UTC and names "
            f"{there.token}; a tag never moves: choose another name"
        ) from error


def get_tag(store: ObjectStore, name: str) -> Tag:
    """Read a tag.

    Raises
    ------
    NotFound
        When there is none of this name.
    Corrupt
        When it is damaged.
    """
    try:
        tag = read_tag(store, layout.tag_key(name))
    except FileNotFoundError as error:
        raise NotFound(
            f"{store.name} has no tag {name!r}; a state is a token like '57-a1b2c3d4', a tag, or "
            "a time like 2019-10-31T12:00"
        ) from error
    if tag.name != name:
        raise Corrupt(f"{store.where(layout.tag_key(name))} is the tag {tag.name!r}, not {name!r}")
    return tag


def read_tag(store: ObjectStore, key: str) -> Tag:
    """Read the tag that an object holds; `Corrupt` names a damaged one."""
    text, _ = ledger.unseal(store.get(key), store.where(key))
    try:
        name, token, who, message = (
            ledger.text(text, field) for field in ("name", "token", "who", "message")
        )
        tag = Tag(name, token, ledger.instant(text, "time"), who, message)
    except (KeyError, TypeError, ValueError) as error:
        where = store.where(key)
        raise Corrupt(f"{where} is not what it promises: a tag should have {error}") from error
    if not TOKEN.fullmatch(token):
        raise Corrupt(f"{store.where(key)} is not what it promises: {token!r} is no token")
    return tag


def all_tags(store: ObjectStore) -> Iterator[Tag]:
    """Read every tag, in no order."""
    for key in store.keys("tags/"):
        if layout.is_tag_key(key):
            yield read_tag(store, key)


def table(tags: list[Tag]) -> pd.DataFrame:
    """Show tags; see `View.tags`."""
    rows = sorted(tags, key=lambda tag: (tag.time, tag.name))
    index = pd.Index([tag.name for tag in rows], dtype=object, name="tag")
    data = {name: [getattr(tag, name) for tag in rows] for name in COLUMNS}
    frame = pd.DataFrame(data, index=index, columns=list(COLUMNS), dtype=object)
    return frame.assign(time=pd.DatetimeIndex(data["time"], tz="UTC").as_unit("us"))
