"""`audit`: do the candles of an exchange follow from its trades? Minute by minute.

Bars are cut out of the trades by `behemoth.research.bars`, volumes from exact integers. Which day
is stored, and from where, is the business of the downloaders.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import NotFound
from behemoth.research.bars import bars
from behemoth.tickstore.moments import AsOf
from behemoth.tickstore.view import View

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")
UNIT = 1e8


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What candles and trades say of the same minutes.

    Attributes
    ----------
    symbol, first_day, last_day
        What was compared, all of ``[first_day, last_day]``, UTC.
    trades
        How many trades the bars were made of.
    equal
        How many minutes are the same on both sides.
    differing
        The others, also those that only one side has. Index ``time``: datetime64[ns, UTC], the
        start of the minute. Columns ``open_candles``, ``open_trades``, and so on for ``high low
        close volume``: float64, NaN where that side has no such minute.
    """

    symbol: str
    first_day: Date
    last_day: Date
    trades: int
    equal: int
    differing: pd.DataFrame

    @property
    def whole(self) -> bool:
        """Whether both say the same of every minute."""
        return len(self.differing) == 0

    @property
    def only_candles(self) -> pd.DatetimeIndex:
        """Minutes that have a candle, but no trade, and those of a second candle."""
        return self._where("open_trades")

    @property
    def only_trades(self) -> pd.DatetimeIndex:
        """Minutes that have trades, but no candle."""
        return self._where("open_candles")

    def _where(self, missing: str) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.differing.index[self.differing[missing].isna()])

    def as_json(self) -> dict[str, Any]:
        """Give it as values that JSON knows; times as ISO text, null for what is not there.

        JSON has no infinity, so that is a text.
        """
        rows = self.differing.astype(object).where(self.differing.notna(), None)
        rows = rows.where(~np.isinf(self.differing), self.differing.astype(str))
        minutes = [time.isoformat() for time in self.differing.index]
        return {
            "symbol": self.symbol,
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "trades": self.trades,
            "equal": self.equal,
            "differing": len(self.differing) - len(self.only_candles) - len(self.only_trades),
            "only_candles": len(self.only_candles),
            "only_trades": len(self.only_trades),
            "minutes": [
                {"time": time, **row}
                for time, row in zip(minutes, rows.to_dict("records"), strict=True)
            ],
        }


def audit(
    trades: View,
    candles: View,
    symbol: str,
    first_day: Date,
    last_day: Date | None = None,
    *,
    trades_as_of: AsOf = LATEST_AS_OF,
    candles_as_of: AsOf = LATEST_AS_OF,
) -> Audit:
    """Rebuild minute bars from trades, and compare them with the candles.

    Prices are compared to the bit. Volumes are compared at the eighth decimal, the last that a
    size has: the trades' sum is exact, an exchange may have summed floats. Naive times are UTC.

    Parameters
    ----------
    trades
        Where the trades are: columns ``price`` and ``size_e8``, as `download_trades` stores them.
    candles
        Where the candles of one minute are: ``open high low close volume``.
    symbol
        Whose.
    first_day, last_day
        UTC days, ``[first_day, last_day]``; by default one day.
    trades_as_of, candles_as_of
        As they were known at these times.

    Returns
    -------
    Audit

    Raises
    ------
    NotFound
        When one side has not a single tick on a day, but the other has; or both have none.

    Examples
    --------
    >>> trades, candles = MemoryTickstore(), MemoryTickstore()
    >>> minute = pd.to_datetime(["2019-10-31 12:00"])
    >>> day = BiTimestamp(Date(2019, 10, 31))
    >>> print_ = pd.DataFrame({"price": [9.0], "size_e8": [150_000_000]}, index=minute)
    >>> bar = pd.DataFrame(
    ...     {"open": [9.0], "high": [9.0], "low": [9.0], "close": [9.5], "volume": [1.5]},
    ...     index=minute,
    ... )
    >>> revisions = trades.insert("BTC-USD", day, print_), candles.insert("BTC-USD", day, bar)
    >>> found = audit(trades, candles, "BTC-USD", Date(2019, 10, 31))
    >>> found.differing.filter(like="close")  # doctest: +NORMALIZE_WHITESPACE
                               close_candles  close_trades
    time
    2019-10-31 12:00:00+00:00            9.5           9.0
    """
    last_day = first_day if last_day is None else last_day
    # Frozen: each is read more than once, and a commit may come in between.
    trades, candles = trades.at(trades_as_of), candles.at(candles_as_of)
    days, of = (first_day, last_day), {"price": "price"}
    built = bars(trades, symbol, "1min", *days, columns=of, tz="UTC")
    built = built[built["open"].notna()]
    ticks = trades.select(symbol, *days, columns=["size_e8"], tz="UTC")
    built = built.assign(volume=_volumes(ticks))
    stored = candles.select(symbol, *days, columns=list(FIELDS), tz="UTC")
    _check_both(symbol, ticks.index, stored.index, first_day)
    differing, equal = _compared(stored, built)
    return Audit(symbol, first_day, last_day, len(ticks), equal, differing)


def _check_both(
    symbol: str, trades: pd.Index[Any], candles: pd.Index[Any], first_day: Date
) -> None:
    """Raise `NotFound` for a day that only one of them has, and where both have none."""
    traded, listed = (
        set(pd.DatetimeIndex(index).normalize().unique().date) for index in (trades, candles)
    )
    sides = ("trades", " --what trades", listed - traded), ("candles", "", traded - listed)
    for side, how, days in sides:
        if days or not traded:
            day = min(days, default=first_day)
            raise NotFound(
                f"no {side} of {symbol!r} are stored for {day}, so there is nothing to compare; "
                f"get them with: behemoth download {symbol} {day} {day}{how}",
                symbol=symbol,
                date=day,
            )


def _compared(stored: pd.DataFrame, built: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Give the minutes that differ, both values of each field, and the number of the others."""
    stored, built = _numbered(stored), _numbered(built)
    minutes = stored.index.union(built.index)
    ours, theirs = built.reindex(minutes), stored.reindex(minutes)
    same = np.ones(len(minutes), dtype=bool)
    shown: dict[str, npt.NDArray[np.float64]] = {}
    for field in FIELDS:
        left, right = theirs[field].to_numpy("float64"), ours[field].to_numpy("float64")
        if field == "volume":
            same &= np.rint(left * UNIT) == np.rint(right * UNIT)
        else:
            same &= left == right
        shown |= {f"{field}_candles": left, f"{field}_trades": right}
    table = pd.DataFrame(shown, index=minutes.get_level_values(0).rename("time"))
    return table[~same], int(same.sum())


def _numbered(minutes: pd.DataFrame) -> pd.DataFrame:
    """Number those that are there twice, so that the second has no counterpart."""
    return minutes.set_index(minutes.groupby(level=0).cumcount(), append=True)


def _volumes(ticks: pd.DataFrame) -> pd.Series[Any]:
    """Give each minute's volume: the float64 nearest to the exact sum, which int64 may not hold."""
    minutes = pd.DatetimeIndex(ticks.index).floor("min")
    sizes = ticks["size_e8"].to_numpy("int64")
    parts = pd.DataFrame({"high": sizes >> 32, "low": sizes & 0xFFFFFFFF}, index=minutes)
    sums = parts.groupby(level=0).sum()
    volumes = [
        ((high << 32) + low) / 10**8
        for high, low in zip(sums["high"].tolist(), sums["low"].tolist(), strict=True)
    ]
    return pd.Series(volumes, index=sums.index, dtype="float64")
