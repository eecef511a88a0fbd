"""Torture: is this disk a place for ticks? Processes are killed on it, and a ledger says what held.

`content` says what is written, so that every tick can be traced to its writer; `worker` is one
process and `roles` what it does; `crew` starts, stops and kills them; `audit` compares what they
said with what a fresh open finds; `ledger` is the outcome; `run` joins it all. How a commit is
made safe does not live here (`behemoth.tickstore.writer`).
"""

from behemoth.torture.ledger import Ledger
from behemoth.torture.run import Progress, torture
from behemoth.torture.settings import Settings

__all__ = ["Ledger", "Progress", "Settings", "torture"]
