"""`Covered`: which days of a symbol were asked for, what came of it, and what is missing why.

Decides nothing: the days are judged by `behemoth.tickstore.coverage`, the candles by
`behemoth.tickstore.missing`. Nothing here writes.
"""

from __future__ import annotations

from datetime import date as Date
from datetime import datetime
from pathlib import PurePath

import numpy as np
import pandas as pd

from behemoth import index, layout
from behemoth.bitemporal import LATEST_AS_OF
from behemoth.tickstore import coverage, missing, times
from behemoth.tickstore.catalogue import Catalogue
from behemoth.tickstore.moments import Moment
from behemoth.tickstore.request import Query


class Covered(Catalogue):
    """What there is in a table, and what is not."""

    def coverage(
        self,
        symbol: str,
        start: Date | str | None = None,
        end: Date | str | None = None,
        *,
        what: str | None = None,
        source: str | None = None,
    ) -> pd.DataFrame:
        """Show what is known of each day: never asked, complete, empty, partial, failed.

        It follows from the observations and the revisions in the log; no file is read. A frozen
        view says what was known then: an answer since its commit, ticks since they count as known.

        Parameters
        ----------
        symbol
            Its name.
        start, end
            First and last UTC day, both included; by default from the first to the last day that
            was asked for or has ticks.
        what, source
            Count only what was asked for so (``"candles/60"``), and only of this source. By
            default, everything.

        Returns
        -------
        pandas.DataFrame
            One row for each day. Index: ``date`` (datetime64[ns], a UTC day). Columns:

            - ``state``, category. ``complete``: all of the day was answered, and ticks are stored.
              ``empty``: all of it was answered, and the source had nothing. ``partial``: a part was
              answered. ``stored``: there are ticks, but nobody was asked; whether they are all is
              unknown. ``deleted``: the ticks were deleted, and the source did not say since that it
              has none. ``failed``: asked, and never answered. ``unasked``: never asked, nothing
              stored. What was answered stays so, whatever a later asking brings; a day may be
              answered in parts.
            - ``rows``: ticks filed under this as-at date. The state looks at the ticks in the time
              of the day as well, which a session date may have brought.
            - ``version``, Int64: of the newest revision of this date, which may be a delete.
            - ``asked_at``, ``first_asked_at`` (datetime64[us, UTC]): the last and the first asking,
              NaT for none; ``askings`` and ``failures``: how many, and how many in vain.
            - ``source``, ``what``: of the last asking.

        Raises
        ------
        BadName
            When the symbol is no name.
        BadRequest
            When a bound is no date, or the end comes before the start.

        Examples
        --------
        >>> with MemoryTickstore() as tickstore:
        ...     revision = tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), ticks)
        ...     tickstore.coverage("BTC-USD", "2019-10-30", "2019-10-31")["state"].tolist()
        ['unasked', 'stored']
        """
        moment, first, last = self._range(symbol, start, end)
        seen = [
            (number, each)
            for number, each in self._seen(symbol, moment)
            if what in (None, each.what) and source in (None, each.source)
        ]
        known = self._state.timeline(symbol).revisions(moment.tip.number, moment.known_at)
        return coverage.table(coverage.fold(seen, known, first, last))

    def gaps(
        self,
        symbol: str,
        start: Date | str | None = None,
        end: Date | str | None = None,
        *,
        granularity: int | None = None,
    ) -> pd.DataFrame:
        """Show which candles are missing, and why: no trade then, or not fetched, or failed.

        Only the times of ticks are read, some days at a time; of days whose answer was as many
        candles as a day has, nothing. A candle that is not over is not missing: for a frozen
        view, one that was not over at its time.

        Parameters
        ----------
        symbol
            Its name.
        start, end
            First and last UTC day, both included; by default from the first to the last day that
            was asked for or has ticks.
        granularity
            Seconds of a candle; they divide a day. By default those of the candles that were asked
            for; where nothing was, 60 in a table that has ``ONE_MIN`` in its name. Otherwise, as
            for trades, there are no candles: what is missing are the days, or parts of days, that
            were not answered, and the days when nothing traded.

        Returns
        -------
        pandas.DataFrame
            One row for each span, in the order of time; what adjoins for the same reason is one,
            across midnight too. ``attrs["granularity"]`` is what was decided. Columns:

            - ``start``, ``end``: datetime64[ns, UTC], half-open: ``[start, end)``.
            - ``bins``: Int64, how many candles; missing where there are none.
            - ``reason``, category. ``no trade``: the source answered for it, and had nothing.
              ``unknown``: stored without an asking, or fewer ticks than the source had. ``not
              fetched``: never asked, or the rest of a partial day. ``failed``: asked in vain.
              ``deleted``: the ticks were deleted.

            A tick is in its candle by its time, whatever its as-at date.

        Raises
        ------
        BadName
            When the symbol is no name.
        BadRequest
            When a bound is no date, the end comes before the start, the granularity does not
            divide a day, or candles of several lengths were asked for and none is named.
        Corrupt
            When a file is not what it promises; names the file.

        Examples
        --------
        >>> index = pd.DatetimeIndex(["2019-10-31 00:00", "2019-10-31 00:02"], name="time")
        >>> bars = pd.DataFrame({"price": [9.0, 9.5]}, index)
        >>> with MemoryTickstore() as tickstore:
        ...     revision = tickstore.insert("BTC-USD", BiTimestamp(Date(2019, 10, 31)), bars)
        ...     tickstore.gaps("BTC-USD", granularity=60)[["bins", "reason"]].to_numpy().tolist()
        [[1, 'unknown'], [1437, 'unknown']]
        """
        moment, first, last = self._range(symbol, start, end)
        seen = self._seen(symbol, moment)
        table = PurePath(self._store.name).name
        seconds = missing.grain((each for _, each in seen), table, granularity)
        seen = [each for each in seen if missing.counts(each[1], seconds)]
        number, known_at = moment.tip.number, moment.known_at
        days = coverage.fold(
            seen, self._state.timeline(symbol).revisions(number, known_at), first, last
        )
        over = 1000 * index.microseconds(self._present(moment))

        def read(low: int, high: int) -> missing.Times:
            ticks, _ = self._reader.read(Query(symbol, (low, high), known_at, number, []), "union")
            return np.empty(0, dtype=np.int64) if ticks is None else ticks.times

        pieces = (
            missing.without_grid(days, over)
            if seconds is None
            else missing.Grid(seconds, over, read).missing(days)
        )
        return missing.table(pieces, seconds)

    def _range(
        self, symbol: str, start: Date | str | None, end: Date | str | None
    ) -> tuple[Moment, Date | None, Date | None]:
        """Check what days of what are asked for, and say of which moment."""
        layout.check_name(symbol)
        first, last = times.whole_date(start), times.whole_date(end)
        coverage.check_range(first, last)
        return self._moment(), first, last

    def _present(self, moment: Moment) -> datetime:
        """Say what time it is in this state: for a frozen one, when it was."""
        if self._pin is None:
            return self._clock()
        if moment.known_at != LATEST_AS_OF:
            return moment.known_at
        return moment.tip.time or self._clock()
