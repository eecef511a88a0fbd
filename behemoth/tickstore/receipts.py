"""Receipts: which data made a frame, small enough to travel with it and to be printed in a paper.

A receipt names the table, the query, the state (token and as-of time) and a digest of the splays
that were read. What does not live here: reading ticks again (`View.replay`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import numpy as np
import pandas as pd
import xxhash

from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import BadRequest, NotFound
from behemoth.index import Rows
from behemoth.tickstore.moments import TOKEN, Moment
from behemoth.tickstore.times import FIRST_NS, LAST_NS

KEY = "behemoth"
"""Where a receipt lies in a frame's ``attrs``, and in the metadata of Arrow and Parquet."""

SCHEME = "behemoth:"
STORE = re.compile(r"[0-9a-f]{16}|")
DIGEST = re.compile(r"[0-9a-f]{32}")
SECOND = ".000000000"
MANY = ("symbol", "columns")
DIGESTED = ("date", "digest_0", "digest_1", "digest_2", "digest_3")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Which data made a frame. As text it is one line, a URI, from which `replay` reads it again.

    Attributes
    ----------
    token
        The state of the table: number and digest prefix of a commit.
    store
        The table: 16 hex digits of the digest of its first commit, the same in every copy of it.
    symbol
        What was asked for: one symbol, or a tuple of them.
    start, end
        Inclusive instants in UTC, ISO 8601; ``None`` is open.
    as_of_time
        When it was known, UTC, ISO 8601; never after the token's commit.
    columns, tz, schema
        As they were asked for; ``None`` for all columns and for no conversion.
    rows
        How many ticks there were.
    digest
        XXH3-128 over the dates and content digests (BLAKE2b) of the splays, symbol by symbol.
    """

    token: str
    store: str
    symbol: str | tuple[str, ...]
    rows: int
    digest: str
    start: str | None = None
    end: str | None = None
    as_of_time: str | None = None
    columns: tuple[str, ...] | None = None
    tz: str | None = None
    schema: str = "union"

    def __str__(self) -> str:
        """Give the one line: ``behemoth:TOKEN?store=...&symbol=...&rows=...&digest=...``."""
        pairs: list[tuple[str, Any]] = []
        for name, value in list(self.to_dict().items())[1:]:
            if isinstance(value, list) and value:
                pairs += [(f"{name}[]", each) for each in value]
            else:
                pairs.append((name, "" if value == [] else value))
        return f"{SCHEME}{self.token}?{urlencode(pairs, safe=':[]/', quote_via=quote)}"

    def to_dict(self) -> dict[str, Any]:
        """Give it ready for JSON, without what was not asked for; `receipt` reads it again."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name in NAMES
            if (value := getattr(self, name)) is not None and (name, value) != ("schema", "union")
        }


NAMES = tuple(field.name for field in fields(Receipt))


def note(
    store: str,
    moment: Moment,
    symbol: str | tuple[str, ...],
    bounds: tuple[int, int],
    shown: Iterable[tuple[str, Rows]],
    rows: int,
    **asked: Any,
) -> dict[str, Any]:
    """Make the receipt of a select, ready for JSON.

    Parameters
    ----------
    store
        The table's identity.
    moment
        The state that was read.
    symbol
        What was asked for.
    bounds
        UTC nanoseconds.
    shown
        Each symbol, and the rows of the index whose splays were read.
    rows
        How many ticks came of it.
    asked
        ``columns``, ``tz`` and ``schema``.
    """
    start, end = bounds
    known_at = _known_at(moment)
    return Receipt(
        token=moment.tip.token,
        store=store,
        symbol=symbol,
        rows=rows,
        digest=fingerprint(shown),
        start=None if start == FIRST_NS else _text(start),
        end=None if end == LAST_NS else _text(end),
        as_of_time=None if known_at is None else known_at.isoformat().replace("+00:00", "Z"),
        **asked,
    ).to_dict()


def _known_at(moment: Moment) -> datetime | None:
    """Give the as-of time; after the newest commit nothing more is known than at it."""
    tip, known_at = moment
    if tip.time is not None:
        return min(tip.time, known_at)
    return None if known_at == LATEST_AS_OF else known_at


def _text(nanoseconds: int) -> str:
    return f"{np.datetime64(nanoseconds, 'ns')}".removesuffix(SECOND) + "Z"


def fingerprint(shown: Iterable[tuple[str, Rows]]) -> str:
    """Digest which days there were and what was in them, symbol by symbol."""
    digest = xxhash.xxh3_128()
    for symbol, rows in shown:
        name = symbol.encode()
        digest.update(len(name).to_bytes(4, "little") + name + len(rows).to_bytes(8, "little"))
        for field in DIGESTED:
            digest.update(rows[field].tobytes())
    return digest.hexdigest()


def receipt(of: Any) -> Receipt:
    """Give the receipt of a frame.

    Parameters
    ----------
    of
        A frame that was selected, an Arrow table or schema made of one; or the receipt itself: as
        its one line, as JSON, as a dictionary.

    Returns
    -------
    Receipt
        ``str()`` of it is one line of text.

    Raises
    ------
    NotFound
        When the frame carries none: it was not selected, or what was done to it dropped ``attrs``.
    BadRequest
        When the text is no receipt.

    Examples
    --------
    >>> from behemoth import MemoryTickstore
    >>> frame = MemoryTickstore().select("BTC-USD", end="2019-10-31")
    >>> receipt(frame).end
    '2019-10-31T23:59:59.999999999Z'
    """
    if isinstance(of, Receipt):
        return of
    carried = _carried(of)
    try:
        if isinstance(carried, (str, bytes)):
            text = carried.decode() if isinstance(carried, bytes) else carried.strip()
            is_line = text.startswith(SCHEME)  # which has no spaces, but a page may have broken it
            return _checked(_parsed("".join(text.split())) if is_line else json.loads(text))
        return _checked(carried)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadRequest(
            "this is no receipt, or not the whole of one, a line like behemoth:57-a1b2c3d4?...: "
            f"{carried!r:.200}"
        ) from error


def _carried(of: Any) -> Any:
    """Find what a frame or table carries."""
    if isinstance(of, (str, bytes, Mapping)):
        return of
    if isinstance(of, (pd.DataFrame, pd.Series)):
        carried = of.attrs.get(KEY)
    else:
        metadata = getattr(getattr(of, "schema", of), "metadata", None)
        carried = metadata.get(KEY.encode()) if isinstance(metadata, Mapping) else None
    if carried is None:
        raise NotFound(
            f"this {type(of).__name__} carries no receipt: it was not selected from a table, or "
            "what was done to it dropped its attrs"
        )
    return carried


def _parsed(line: str) -> dict[str, Any]:
    token, _, query = line.removeprefix(SCHEME).partition("?")
    facts: dict[str, Any] = {"token": token}
    for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=True):
        if name.endswith("[]"):
            facts.setdefault(name[:-2], []).append(value)
        elif name in facts:
            raise ValueError(f"{name} is there twice")
        elif name == "rows":
            facts[name] = int(value or 0)
        else:
            facts[name] = [] if name in MANY and not value else value
    return facts


def _checked(facts: Mapping[str, Any]) -> Receipt:
    """Make a receipt out of what somebody says is one."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    found = Receipt(**values)
    for field in fields(found):
        value = getattr(found, field.name)
        several = field.name in MANY and isinstance(value, tuple)
        wanted = int if field.name == "rows" else str
        missing = value is None and field.default is None
        if not missing and not all(type(v) is wanted for v in (value if several else [value])):
            raise TypeError(f"{field.name} is {value!r}")
    if not (
        TOKEN.fullmatch(found.token)
        and STORE.fullmatch(found.store)
        and DIGEST.fullmatch(found.digest)
        and not isinstance(found.columns, str)
    ):
        raise ValueError("token, store or digest")
    return found
