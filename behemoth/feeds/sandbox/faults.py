"""The faults of a bad night: which there are, and when each of them happens.

Pure: every decision follows from the seed, the fault's name and what it is about (the number of a
request, the question and how often it was asked before, a day), so the same seed gives the same
night. What a spoilt answer looks like is written in `spoiling`, a troubled market in `troubled`;
`server` carries it all out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date as Date
from types import MappingProxyType

from behemoth.errors import BadRequest

SHORTEST_STORM, LONGEST_STORM = 2, 5
"""Requests that a storm meets, both ends included."""
REST = 1
"""Seconds that the ``Retry-After`` of a storm asks for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can go wrong.

    Attributes
    ----------
    what
        What it does, in a line.
    rate
        How often it happens unless told otherwise, as a share of what `per` names; ``None`` for
        a fault that takes a date.
    per
        What the rate is a share of.
    """

    what: str
    rate: float | None
    per: str = "requests"


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "storm": Fault(
            f"429 to {SHORTEST_STORM} to {LONGEST_STORM} requests in a row, without Retry-After",
            0.01,
        ),
        "storm-rest": Fault(f"such a storm with Retry-After: {REST}", 0.005),
        "html-502": Fault("502 and a page of HTML, as a gateway gives", 0.03),
        "garbage": Fault(
            "200 with a wrong body: half of it, another shape, text, NaN, rows cut short, strings",
            0.03,
        ),
        "empty": Fault("200 and an empty list where there are rows", 0.2),
        "early": Fault("rows of before the start in an answer of candles", 0.1),
        "twice": Fault("rows that are there twice", 0.1),
        "cut": Fault("a body shorter than its Content-Length, and the connection ends", 0.03),
        "slow": Fault("the bytes trickle in for about a second", 0.02),
        "refused": Fault("the port is closed for some tenths of a second, connections end", 0.004),
        "revised": Fault(
            "days whose candles change once all of the day was asked: values, and more rows",
            0.05,
            "days",
        ),
        "maintenance": Fault("days with a hole of 1 to 8 hours without a trade", 0.05, "days"),
        "listing": Fault("no trade before this day", None),
        "delisted": Fault("no trade after this day, and then the status delisted", None),
    }
)
"""Every fault by its name. Of those that replace an answer, the first that happens wins."""

Chosen = Mapping[str, "float | Date"]


class Faults:
    """Decide what goes wrong; values only, so it can be asked again and by anyone.

    Parameters
    ----------
    chosen
        Names of `FAULTS`, each with its rate in [0, 1], or with its UTC day.
    seed
        Another seed is another night.

    Raises
    ------
    BadRequest
        When there is no such fault, or its rate or day cannot be; names those that exist.

    Examples
    --------
    >>> night = Faults({"storm": 0.1, "empty": 0.2}, seed=7)
    >>> [number for number in range(40) if night.storms("storm", number)]
    [22, 23, 24, 25, 26, 27, 28, 29]
    """

    def __init__(self, chosen: Chosen | None = None, seed: int = 0) -> None:
        self.chosen = MappingProxyType(
            {name: _checked(name, value) for name, value in (chosen or {}).items()}
        )
        self.seed = seed

    @classmethod
    def parse(cls, words: Iterable[str], seed: int = 0) -> Faults:
        """Read faults as they are typed: ``NAME``, ``NAME=RATE``, ``NAME=DATE`` or ``all``.

        ``all`` is every fault that needs no date. A later word changes what an earlier one said.

        Examples
        --------
        >>> dict(Faults.parse(["storm", "cut=0.5", "listing=2019-10-30"]).chosen)
        {'storm': 0.01, 'cut': 0.5, 'listing': datetime.date(2019, 10, 30)}
        """
        chosen: dict[str, float | Date] = {}
        for word in words:
            name, equals, text = word.partition("=")
            if name == "all":
                if equals:
                    raise BadRequest(
                        f"all takes no rate, each fault has its own; not {word!r}: say all, and "
                        "then those that shall differ, such as empty=0.5"
                    )
                chosen |= {n: fault.rate for n, fault in FAULTS.items() if fault.rate is not None}
            else:
                chosen[name] = _value(name, text if equals else None)
        return cls(chosen, seed)

    def __contains__(self, name: str) -> bool:
        return name in self.chosen

    def day(self, name: str) -> Date | None:
        """Give the day of a fault that takes one, if it is chosen."""
        value = self.chosen.get(name)
        return value if isinstance(value, Date) else None

    def happens(self, name: str, *about: object) -> bool:
        """Whether a fault happens to what it is about."""
        rate = self.chosen.get(name, 0.0)
        return isinstance(rate, float) and self.draw(name, *about) < rate

    def draw(self, *about: object) -> float:
        """Draw a number in [0, 1) for something, always the same."""
        text = " ".join(map(str, (self.seed, *about)))
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) * 2.0**-53

    def pick(self, low: int, high: int, *about: object) -> int:
        """Draw a whole number from ``[low, high]``."""
        return low + int(self.draw(*about) * (high - low + 1))

    def storms(self, name: str, number: int) -> bool:
        """Whether a storm of this name, begun now or a little before, meets a request."""
        return name in self.chosen and any(
            self.happens(name, begin)
            and number < begin + self.pick(SHORTEST_STORM, LONGEST_STORM, name, begin, "length")
            for begin in range(number, max(-1, number - LONGEST_STORM), -1)
        )

    def refuses(self, number: int) -> float:
        """Give the seconds for which the port is closed behind a request; mostly 0."""
        if not self.happens("refused", number):
            return 0.0
        return 0.2 + 0.4 * self.draw("refused", number, "seconds")


def in_words(fault: Fault) -> str:
    """Say what a fault does and how often.

    Examples
    --------
    >>> in_words(FAULTS["slow"])
    'the bytes trickle in for about a second (0.02 of requests)'
    """
    return f"{fault.what} ({'DATE' if fault.rate is None else f'{fault.rate:g} of {fault.per}'})"


def _known(name: str) -> Fault:
    if name not in FAULTS:
        raise BadRequest(f"there is no fault {name!r}; choose from {', '.join(FAULTS)}, or all")
    return FAULTS[name]


def _checked(name: str, value: float | Date) -> float | Date:
    fault = _known(name)
    if fault.rate is None:
        if isinstance(value, Date):
            return value
        raise BadRequest(f"the fault {name!r} takes a day such as {name}=2019-10-31, not {value}")
    if isinstance(value, Date) or not 0 <= value <= 1:
        raise BadRequest(f"the rate of the fault {name!r} lies in 0 to 1, not at {value}")
    return float(value)


def _value(name: str, text: str | None) -> float | Date:
    fault = _known(name)
    try:
        if fault.rate is None:
            return Date.fromisoformat(text or "")
        return fault.rate if text is None else float(text)
    except ValueError:
        way = f"{name}=2019-10-31" if fault.rate is None else f"{name} or {name}=0.1"
        found = name if text is None else f"{name}={text}"
        raise BadRequest(f"a fault of this kind is written {way}, not {found!r}") from None
