"""The names of a table's objects: a pure map between what a thing is and the key it lives under.

What does not live here: reading or writing any of them, and what they hold. Names are made so
that two different symbols never share a file, on a case-insensitive file system neither, and so
that no name leaves its folder or means a device.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from behemoth.errors import BadName

FOLDERS = ("tmp", "cache", "staging", "quarantine", "tags", "index", "log")
"""Folders of a table beside its years, in the order of removal: the log, the truth, goes last."""

What = Literal["revisions", "observations"]
"""What a file of an index checkpoint holds."""

BEGINNING = "log/0000000000.json"
"""Made before a table's first splay: where it is missing, the log has been lost."""

LAST_VERSION = 999_999_999
"""Whatever has a larger number is no splay."""

_PLAIN = re.compile(r"[A-Z0-9._-]{0,99}[A-Z0-9_-]")
_UNSAFE = re.compile(r"[^A-Z0-9_-]")  # no dot: CON.anything is a device too
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|(COM|LPT)[0-9])(\..*)?")
_SPLAY = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})/([A-Z0-9._~-]+)_([0-9]{4,9})\.h5")
_LOG = re.compile(r"log/([0-9]{10,})\.json")
_ROOT = re.compile(r"index/([0-9]+-[0-9a-f]+)\.json")
_TAG = re.compile(r"tags/[A-Z0-9._~-]+\.json")


def check_name(name: str) -> str:
    """Give the name back if it can name a symbol, a table or a tag.

    Raises
    ------
    BadName
        Unless it is text of 1 to 300 characters without control characters and lone surrogates.
    """
    if not isinstance(name, str):
        raise BadName(f"a name is text, not {type(name).__name__}: {name!r}")
    if not 1 <= len(name) <= 300:
        found = f"{name[:20]!r}... has {len(name)}" if name else "this one is empty"
        raise BadName(f"a name has 1 to 300 characters and {found}: choose another")
    for place, character in enumerate(name):
        if unicodedata.category(character) in ("Cc", "Cs"):
            kind = "control character" if unicodedata.category(character) == "Cc" else "surrogate"
            raise BadName(f"the name {name!r} has a {kind} at position {place}: take it out")
    return name


@lru_cache(maxsize=65_536)
def encode_name(name: str) -> str:
    """Give the file name of a symbol, a table or a tag.

    Short names of ``A-Z 0-9 . _ -`` stand for themselves; any other becomes a readable beginning,
    ``~`` and the BLAKE2b-128 digest of its UTF-8.

    Raises
    ------
    BadName
        When the text cannot be a name; see `check_name`.

    Examples
    --------
    >>> encode_name("BTC-USD")
    'BTC-USD'
    >>> encode_name("btc/usd")
    'BTC-USD~BAE402591041AADAE323DC58E0934D75'
    """
    check_name(name)
    if _PLAIN.fullmatch(name) and not _DEVICE.fullmatch(name):
        return name
    digest = blake2b(name.encode(), digest_size=16).hexdigest().upper()
    return f"{_UNSAFE.sub('-', name.upper())[:40]}~{digest}"


def splay_key(symbol: str, date: dt.date, version: int) -> str:
    """Name a splay.

    Examples
    --------
    >>> splay_key("BTC-USD", dt.date(2019, 10, 31), 0)
    '2019/10/31/BTC-USD_0000.h5'
    """
    return encoded_splay_key(encode_name(symbol), date, version)


def encoded_splay_key(encoded: str, date: dt.date, version: int) -> str:
    """Name a splay whose symbol is a file name already."""
    return f"{date.isoformat().replace('-', '/')}/{encoded}_{version:04d}.h5"


def parse_splay_key(key: str) -> tuple[dt.date, str, int] | None:
    """Read date, encoded symbol and version off a splay's key; ``None`` for any other key.

    Examples
    --------
    >>> parse_splay_key("2019/10/31/BTC-USD_0000.h5")
    (datetime.date(2019, 10, 31), 'BTC-USD', 0)
    """
    match = _SPLAY.fullmatch(key)
    if not match:
        return None
    year, month, day, encoded, version = match.groups()
    if version != f"{int(version):04d}":
        return None
    try:
        return dt.date(int(year), int(month), int(day)), encoded, int(version)
    except ValueError:  # no such day
        return None


def log_key(number: int) -> str:
    """Name the log entry of a commit.

    Examples
    --------
    >>> log_key(57)
    'log/0000000057.json'
    """
    return f"log/{number:010d}.json"


def parse_log_key(key: str) -> int | None:
    """Read the number off a log entry's key; ``None`` for any other key."""
    match = _LOG.fullmatch(key)
    number = int(match[1]) if match else 0
    return number if number and key == log_key(number) else None


def tag_key(name: str) -> str:
    """Name a tag.

    Examples
    --------
    >>> tag_key("V1")
    'tags/V1.json'
    """
    return f"tags/{encode_name(name)}.json"


def is_tag_key(key: str) -> bool:
    """Whether a key is one that `tag_key` can give."""
    return _TAG.fullmatch(key) is not None


def checkpoint_root_key(token: str) -> str:
    """Name the root object of an index checkpoint.

    Examples
    --------
    >>> checkpoint_root_key("57-a1b2c3d4")
    'index/57-a1b2c3d4.json'
    """
    return f"index/{token}.json"


def parse_root_key(key: str) -> str | None:
    """Read the token off a checkpoint root's key; ``None`` for any other key."""
    match = _ROOT.fullmatch(key)
    return match[1] if match else None


def page_key(token: str, page: str, what: What, attempt: int = 0) -> str:
    """Name a page of an index checkpoint; a later attempt where that name is taken.

    Examples
    --------
    >>> page_key("57-a1b2c3d4", "", "revisions")
    'index/pages/57-a1b2c3d4.top.revisions.h5'
    >>> page_key("57-a1b2c3d4", "031", "observations", 1)
    'index/pages/57-a1b2c3d4.031.observations.1.h5'
    """
    return f"index/pages/{token}.{page or 'top'}.{what}{f'.{attempt}' * (attempt > 0)}.h5"
