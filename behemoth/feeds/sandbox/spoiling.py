"""What goes over the wire when an answer is spoilt.

Pure: a right answer and the decisions of `faults` in, a reply out. Sending it, slowly or in part,
is the business of `server`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from behemoth.feeds.sandbox.faults import REST, Faults
from behemoth.feeds.sandbox.rules import RATE_LIMITED, Answer

JSON = "application/json; charset=utf-8"
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body>"
REPLACING = frozenset({"storm", "storm-rest", "html-502", "garbage", "empty", "cut"})
"""Faults after which whoever asked has to ask again."""
CLIPPED = 5
"""Rows of before the start, or repeated ones, that an answer gets at most."""

Rows = list[Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as far as faults depend on it.

    Attributes
    ----------
    number
        Counted from 0, in the order in which requests came.
    target
        Path and query.
    again
        How often this very target was asked before.
    """

    number: int
    target: str
    again: int = 0

    @property
    def lists(self) -> bool:
        """Whether it asks for rows that may be missing, or be there twice."""
        return self.target.partition("?")[0].endswith(("/candles", "/trades"))


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent.

    Attributes
    ----------
    status, body, kind
        The answer; `kind` is its Content-Type.
    headers
        Further ones.
    sent
        Bytes of the body that are sent before the connection ends; by default all of them, and
        it stays.
    seconds
        How long the body takes.
    faults
        Names of the faults that are in it.
    """

    status: int
    body: bytes
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    sent: int | None = None
    seconds: float = 0.0
    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, answer: Answer) -> Reply:
        """Send an answer as it is."""
        return cls(answer.status, answer.encode(), headers=answer.headers)

    @property
    def usable(self) -> bool:
        """Whether all that was asked for is in it."""
        return self.status == 200 and REPLACING.isdisjoint(self.faults)


def spoilt(
    faults: Faults,
    asked: Asked,
    answer: Callable[[], Answer],
    before: Callable[[int], Rows] = lambda _: [],
) -> Reply:
    """Answer a request with the faults that happen to it.

    Parameters
    ----------
    faults
        What happens when.
    asked
        The request.
    answer
        Gives the right answer.
    before
        Gives so many rows that precede those of an answer of candles, newest first.
    """
    if faults.storms("storm", asked.number):
        return replace(Reply.of(RATE_LIMITED), faults=("storm",))
    if faults.storms("storm-rest", asked.number):
        rest = ("Retry-After", str(REST))
        return replace(Reply.of(RATE_LIMITED), headers=(rest,), faults=("storm-rest",))
    if _happens(faults, "html-502", asked):
        return Reply(502, PAGE, "text/html", faults=("html-502",))
    reply = _body(faults, asked, answer(), before)
    if _happens(faults, "cut", asked) and reply.status == 200:
        reply = replace(reply, sent=len(reply.body) // 2, faults=(*reply.faults, "cut"))
    if _happens(faults, "slow", asked):
        seconds = 0.5 + faults.draw("slow", asked.target, asked.again, "seconds")
        reply = replace(reply, seconds=seconds, faults=(*reply.faults, "slow"))
    return reply


def _happens(faults: Faults, name: str, asked: Asked) -> bool:
    # By target, not by number: threads that ask side by side then meet the same faults each time.
    return faults.happens(name, asked.target, asked.again)


def _body(faults: Faults, asked: Asked, answer: Answer, before: Callable[[int], Rows]) -> Reply:
    """Spoil the body of a right answer."""
    if answer.status != 200:
        return Reply.of(answer)
    if _happens(faults, "garbage", asked):
        kind = faults.pick(0, len(GARBAGE) - 1, "garbage", asked.target, asked.again, "kind")
        return replace(Reply.of(answer), body=GARBAGE[kind](answer.body), faults=("garbage",))
    if not (asked.lists and isinstance(answer.body, list)):
        return Reply.of(answer)
    rows: Rows = answer.body
    if rows and _happens(faults, "empty", asked):
        return replace(Reply.of(replace(answer, body=[])), faults=("empty",))
    found: list[str] = []
    if rows and _happens(faults, "twice", asked):
        rows = _repeated(faults, asked, rows)
        found.append("twice")
    if _happens(faults, "early", asked):
        early = before(faults.pick(1, CLIPPED, "early", asked.target, asked.again, "rows"))
        rows = [*rows, *early]
        found += ["early"] if early else []
    return replace(Reply.of(replace(answer, body=rows)), faults=tuple(found))


def _repeated(faults: Faults, asked: Asked, rows: Rows) -> Rows:
    """Repeat a few rows: one right behind itself, the others at the end."""
    about = "twice", asked.target, asked.again
    first = faults.pick(0, len(rows) - 1, *about, "first")
    more = faults.pick(0, CLIPPED - 1, *about, "more")
    return [*rows[: first + 1], rows[first], *rows[first + 1 :], *rows[:more]]


def _half(body: Any) -> bytes:
    text = json.dumps(body).encode()
    return text[: len(text) // 2]


def _another_shape(body: Any) -> bytes:
    return b'{"candles": 5}' if isinstance(body, list) else b"[[], 5]"


def _text(_body: Any) -> bytes:
    return b"Service is starting, please wait"


def _not_a_number(body: Any) -> bytes:
    return json.dumps(_with_row(body, lambda row: [float("nan")] * len(row))).encode()


def _cut_short(body: Any) -> bytes:
    return json.dumps(_with_row(body, lambda row: list(row)[:-1])).encode()


def _strings(body: Any) -> bytes:
    return json.dumps(_with_row(body, lambda row: [str(value) for value in row])).encode()


def _with_row(body: Any, change: Callable[[Sequence[Any]], Rows]) -> Any:
    """Change the last row of a list; what is no list of rows becomes one with a wrong row."""
    rows = body if isinstance(body, list) else []
    return [*rows[:-1], change(rows[-1] if rows else [0] * 6)]


GARBAGE: tuple[Callable[[Any], bytes], ...] = (
    *(_half, _another_shape, _text, _not_a_number, _cut_short, _strings),
)
