"""Research: what quants do with ticks that are stored.

`bars` cuts bars, `joins` joins by time, `days` goes through what does not fit in memory, `book`
rebuilds order books, `calendar` draws what is covered; `pinned` keeps one state of a table while a
question asks several times. How a tickstore keeps ticks does not live here, nor does anything that
writes.

It is loaded when it is asked for, never by ``import behemoth``:

>>> from behemoth import research
>>> research.bars.__name__
'bars'
"""

from behemoth.research import book
from behemoth.research.bars import bars
from behemoth.research.calendar import coverage_calendar
from behemoth.research.days import days
from behemoth.research.joins import asof_join

__all__ = ["asof_join", "bars", "book", "coverage_calendar", "days"]
