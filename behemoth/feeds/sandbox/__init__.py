"""A sandbox exchange on this machine: for newcomers without a network, the demo and the tests.

`server` speaks HTTP, `rules` decides what is answered, `market` invents candles, `tape` reads
recorded ones, `bins` joins minutes, `prints` splits them into trades. Nothing here knows of the
client.
"""

from behemoth.feeds.sandbox.bins import Market, candles
from behemoth.feeds.sandbox.market import BuiltInMarket
from behemoth.feeds.sandbox.server import Request, Sandbox
from behemoth.feeds.sandbox.tape import Tape, read_tape

__all__ = ["BuiltInMarket", "Market", "Request", "Sandbox", "Tape", "candles", "read_tape"]
