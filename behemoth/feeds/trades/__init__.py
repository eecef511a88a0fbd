"""Trades, every single one: what a page of them says, where a day lies, and how a table gets it.

`values` reads pages, `planning` chooses days, `seeking` finds their ids, `staging` keeps pages
until their day is whole, `gathering` asks for them, `downloading` commits days, `summary` is what
it tells. Candles do not live here.
"""

from behemoth.feeds.trades.values import (
    COLUMNS,
    MAX_TRADES,
    TABLE,
    WHAT,
    MissingTrades,
    Page,
    Trades,
    parse_trades,
)

__all__ = [
    "COLUMNS",
    "MAX_TRADES",
    "TABLE",
    "WHAT",
    "MissingTrades",
    "Page",
    "Trades",
    "parse_trades",
]
