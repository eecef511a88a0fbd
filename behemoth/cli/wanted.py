"""What a download's words mean: symbols, days, and the file that names more symbols.

Pure but for reading that file.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta
from pathlib import Path

from behemoth.errors import BadRequest, EnvironmentFailed

RELATIVE = {"today": timedelta(0), "yesterday": timedelta(days=1)}
"""Words for a day, and how long ago it was."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to download.

    Attributes
    ----------
    symbols
        Each once, in their order.
    first_day, last_day
        UTC days, ``[first_day, last_day]``; ``None`` where a repair is to find them.
    """

    symbols: tuple[str, ...]
    first_day: Date | None
    last_day: Date | None


def told_apart(
    words: Sequence[str],
    today: Date,
    *,
    until: str | None = None,
    symbols: Sequence[str] = (),
    repair: bool = False,
) -> Wanted:
    """Tell symbols from days: the last two words are days, and the last one where `until` is.

    Parameters
    ----------
    words
        As they were typed: symbols, then the first day, then the last one.
    today
        The present UTC day.
    until
        The last day, if it was given as an option.
    symbols
        More symbols, which come after the typed ones.
    repair
        Whether the days may be left out.

    Raises
    ------
    BadRequest
        When there is no symbol, or a day is none.

    Examples
    --------
    >>> told_apart(["BTC-USD", "ETH-USD", "2019-10-30", "yesterday"], Date(2019, 11, 2))
    ... # doctest: +NORMALIZE_WHITESPACE
    Wanted(symbols=('BTC-USD', 'ETH-USD'), first_day=datetime.date(2019, 10, 30),
        last_day=datetime.date(2019, 11, 1))
    """
    names: tuple[str, ...] = ("START",) if until is not None else ("START", "END")
    if repair and not any(_looks_like_a_day(word) for word in words[-len(names) :]):
        names = ()
    if len(words) < len(names) or (names and not any(map(_looks_like_a_day, words))):
        raise BadRequest(
            f"say what to download: symbols, then {' and '.join(names)}, for instance "
            "BTC-USD 2019-10-30 2019-10-31"
        )
    cut = len(words) - len(names)
    if len(names) == 2 and _looks_like_a_day(words[-1]) and not _looks_like_a_day(words[cut]):
        raise BadRequest(
            f"{words[-1]} is one day, and START and END are two; END may be the same day, or "
            "yesterday"
        )
    days = [read_day(word, name, today) for word, name in zip(words[cut:], names, strict=True)]
    if until is not None:
        if not days:
            raise BadRequest("--until needs a first day: SYMBOL START --until END")
        days.append(read_day(until, "--until", today))
    chosen = tuple(dict.fromkeys([*words[:cut], *symbols]))
    for symbol in chosen:
        if _looks_like_a_day(symbol):
            raise BadRequest(f"{symbol} is a day too many; give symbols, then START, then END")
    if not chosen:
        raise BadRequest("name a symbol before the days, BTC-USD for instance, or --symbols-file")
    return Wanted(chosen, *days) if days else Wanted(chosen, None, None)


def read_symbols(path: Path) -> list[str]:
    """Read symbols from a file: one a line; what follows a ``#`` is a comment.

    Raises
    ------
    BadRequest
        When a line holds more than one, or none does.
    EnvironmentFailed
        When the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentFailed(f"{path} cannot be read: {error}") from error
    symbols = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if len(words) > 1:
            raise BadRequest(f"{path}, line {number}: one symbol a line, not {line.strip()!r}")
        symbols += words
    if not symbols:
        raise BadRequest(f"{path} names no symbol; write one a line")
    return symbols


def read_day(text: str, name: str, today: Date) -> Date:
    """Read a UTC day: a date, or a word for one.

    Raises
    ------
    BadRequest
        When it is none; `name` says which it was to be.
    """
    if text in RELATIVE:
        return today - RELATIVE[text]
    with suppress(ValueError):
        day = Date.fromisoformat(text)
        if day.isoformat() == text:
            return day
    raise BadRequest(f"{name} is a date such as 2019-10-31, yesterday or today, not {text!r}")


def _looks_like_a_day(word: str) -> bool:
    digits = word.replace("-", "").replace(".", "").replace("/", "")
    return word in RELATIVE or (digits.isdecimal() and len(digits) >= 6)
