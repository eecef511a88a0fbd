"""A sandbox exchange on this machine: for newcomers without a network, the demo and the tests.

`server` is the whole and `wire` its sockets; `rules` decides what is answered, `market` invents
candles, `tape` reads recorded ones, `bins` joins minutes, `prints` splits them into trades, `book`
invents orders. What goes wrong is decided by `faults`, written by `spoiling` and, for whole days,
`troubled`; `reports` tells of it. Nothing here knows of the client.
"""

from behemoth.feeds.sandbox.bins import Market, candles
from behemoth.feeds.sandbox.faults import FAULTS, Faults
from behemoth.feeds.sandbox.market import BuiltInMarket
from behemoth.feeds.sandbox.server import Request, Sandbox
from behemoth.feeds.sandbox.tape import Tape, read_tape
from behemoth.feeds.sandbox.troubled import Standing

__all__ = [
    "FAULTS",
    "BuiltInMarket",
    "Faults",
    "Market",
    "Request",
    "Sandbox",
    "Standing",
    "Tape",
    "candles",
    "read_tape",
]
