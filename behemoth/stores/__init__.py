"""Object stores: where bytes live under names, and nothing about what the bytes mean.

`base` holds the contract, and each backend has a module of its own. What does not live here: the
names (`behemoth.layout`), the formats, and the order in which a commit makes things durable.
"""

from behemoth.stores.base import ObjectStore
from behemoth.stores.local import LocalStore
from behemoth.stores.memory import MemoryStore
from behemoth.stores.ranges import Ranges

__all__ = ["LocalStore", "MemoryStore", "ObjectStore", "Ranges"]
