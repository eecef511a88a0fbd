"""Which column of a file is what: presets of exchanges, and column maps of a user's own.

Pure: names and positions. What a cell may hold is the business of `behemoth.feeds.files.judging`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from behemoth.errors import BadRequest
from behemoth.feeds.candles import COLUMNS

TimeUnit = Literal["s", "ms", "us", "ns", "iso"]
"""What a time counts since 1970, or that it is written as ISO 8601 text."""

Unit = TimeUnit | Literal["ms or us"]


@dataclass(frozen=True, slots=True)
class Format:
    """Where a file keeps the time and the values of its candles.

    Attributes
    ----------
    label
        What a message calls it.
    columns
        The columns that are stored: `COLUMNS`, and others behind them.
    names
        For the time and each of the columns, what the file may call it.
    unit
        How times are written.
    order
        For a preset: all columns of the file from left to right; ``None`` where it is not ours.
    """

    label: str
    columns: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    unit: Unit
    order: tuple[str, ...] | None = None

    def positions(self, header: Sequence[str] | None, width: int) -> tuple[int, ...]:
        """Find the columns in a text file, the time first.

        Parameters
        ----------
        header
            The names in its first line; ``None`` where that holds a candle.
        width
            How many columns it has.

        Raises
        ------
        BadRequest
            When the file does not fit; says what was found and the way out.
        """
        if self.order is None:
            places = tuple(self._mapped(names[0], header, width) for names in self.names)
            if places[0] in places[1:]:
                raise BadRequest(f"column {places[0] + 1} is the time, and cannot be a value too")
            return places
        if width != len(self.order):
            raise BadRequest(
                f"the file has {width} column{'s'[: width != 1]}, and {self.label} "
                f"{len(self.order)} ({','.join(self.order)}); choose another preset, or name the "
                "columns with --columns"
            )
        places = tuple(self.order.index(name) for name in ("time", *self.columns))
        for place, names in zip(places, self.names, strict=True):
            if header is not None and _folded(header[place]) not in names:
                raise BadRequest(
                    f"column {place + 1} is called {header[place][:40]!r}, and {self.label} has "
                    f"{names[0]!r} there; choose another preset, or name the columns with --columns"
                )
        return places

    def named(self, there: Sequence[str]) -> tuple[str, ...]:
        """Find the columns in a file that has names for all of them, the time first.

        Raises
        ------
        BadRequest
            When one is not there, or twice.
        """
        found = []
        for names in self.names:
            fitting = [name for name in there if name in names or _folded(name) in names]
            exact = [name for name in fitting if name == names[0]]
            if len(exact or fitting) != 1:
                raise _absent(names[0], there, len(exact or fitting))
            found += exact or fitting
        return tuple(found)

    def _mapped(self, name: str, header: Sequence[str] | None, width: int) -> int:
        if header is not None and (count := header.count(name)):
            if count > 1:
                raise _absent(name, header, count)
            return header.index(name)
        if name.isascii() and name.isdecimal() and 1 <= int(name[:9]) <= width:
            return int(name) - 1
        if header is None:
            raise BadRequest(
                f"there is no column {name!r}: the file has no line of names, and {width} "
                "columns; name them by number from 1, as in time=1"
            )
        raise _absent(name, header, 0)


def _folded(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _absent(name: str, there: Sequence[str], count: int) -> BadRequest:
    found = ", ".join(repr(each[:40]) for each in there[:20])
    what = "there is no column" if not count else f"there are {count} columns"
    return BadRequest(f"{what} {name!r} among {found}; name the columns with --columns")


def _preset(name: str, order: str, unit: Unit, *times: str) -> Format:
    names = ((*times, "time"), *((column,) for column in COLUMNS))
    return Format(f"preset {name}", COLUMNS, names, unit, tuple(order.split(",")))


PRESETS = {
    "coinbase": _preset("coinbase", "time,low,high,open,close,volume", "s"),
    "binance": _preset(
        "binance",
        "time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore",
        "ms or us",
        "open_time",
    ),
    "bitfinex": _preset(
        "bitfinex", "time,open,close,high,low,volume", "ms", "ts_ms", "mts", "timestamp"
    ),
}
"""Files of exchanges, with or without a first line of names.

``coinbase``: rows as ``GET /products/{id}/candles`` answers them, unix seconds. ``binance``: kline
files of data.binance.vision; its README (github.com/binance/binance-public-data) lists the columns
and says that spot timestamps are microseconds from 2025-01-01 on, milliseconds before; the older
files have no line of names. No kline has a time of 10^14 ms (the year 5138) or before 10^14 us
(1973), so each time says itself which of them it is. ``bitfinex``: rows as ``GET /v2/candles``
answers them (MTS, OPEN, CLOSE, HIGH, LOW, VOLUME), milliseconds; close comes before high and low.
"""


def candle_format(
    preset: str | None = None,
    columns: Mapping[str, str] | None = None,
    time_unit: str | None = None,
) -> Format:
    """Give the format of a preset, or of a column map.

    Parameters
    ----------
    preset
        ``"coinbase"``, ``"binance"`` or ``"bitfinex"``.
    columns
        For ``time``, ``low``, ``high``, ``open``, ``close`` and ``volume``: what the file calls
        them, or their numbers from 1 on. Columns of other names are kept behind these, in their
        order, as float64.
    time_unit
        ``"s"``, ``"ms"``, ``"us"``, ``"ns"`` or ``"iso"``, for a column map; a preset knows its
        own. Where a Parquet file holds timestamps, theirs counts.

    Raises
    ------
    BadRequest
        When there is neither or both, or a name is missing, or is none.
    """
    units = ", ".join(get_args(TimeUnit))
    if time_unit is not None and time_unit not in get_args(TimeUnit):
        raise BadRequest(f"a time unit is one of {units}, not {time_unit!r}")
    if (preset is None) == (columns is None):
        raise BadRequest(
            "say how the file is laid out: with a preset "
            f"({', '.join(PRESETS)}), or with columns such as time=ts,open=o,high=h,...; not both"
        )
    if preset is not None:
        if preset not in PRESETS:
            raise BadRequest(f"presets are {', '.join(PRESETS)}, not {preset!r}; or name columns")
        if time_unit is not None:
            raise BadRequest(f"preset {preset} knows its time unit; leave the time unit out")
        return PRESETS[preset]
    columns = dict(columns or {})
    if lacking := [name for name in ("time", *COLUMNS) if not columns.get(name)]:
        raise BadRequest(f"the columns lack {', '.join(lacking)}; say what the file calls them")
    if time_unit is None:
        raise BadRequest(f"columns need a time unit too: {units}")
    kept = (*COLUMNS, *(name for name in columns if name not in ("time", *COLUMNS)))
    unit: TimeUnit = time_unit  # type: ignore[assignment]
    return Format("the columns", kept, tuple((columns[name],) for name in ("time", *kept)), unit)


def parse_columns(text: str) -> dict[str, str]:
    """Read a column map as it is typed: ``time=ts,open=o``.

    Raises
    ------
    BadRequest
        When it is not of that form, or gives a name twice.

    Examples
    --------
    >>> parse_columns("time=ts,open=o")
    {'time': 'ts', 'open': 'o'}
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        name, sign, theirs = (word.strip() for word in part.partition("="))
        if not (name and sign and theirs):
            raise BadRequest(f"columns look like time=ts,open=o,..., not {part.strip()!r}")
        if name in columns:
            raise BadRequest(f"the columns name {name!r} twice")
        columns[name] = theirs
    return columns
