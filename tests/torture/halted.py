"""A program whose writer halts itself before its n-th call of the object store."""

VERBS = {"the first insert": 1, "insert": 1, "transaction": 3, "a big transaction": 16, "flush": 1}
"""How many revisions each commits."""

SYMBOLS = "ABCDEFGHIJKLMNOP"

HALTED = """
import os, signal, sys, threading
from pathlib import Path
from behemoth.stores import LocalStore
from behemoth.tickstore import Tickstore
from tests.tickstore.test_verbs import AT, bars
from tests.torture.halted import SYMBOLS

class Halting(LocalStore):
    left, halted, one = 0, False, threading.Lock()

def halting(name):
    def step(self, *arguments):
        with self.one:
            self.left -= 1
            if self.left == 0:
                self.halted = True
                os.kill(os.getpid(), signal.SIGSTOP)
        return getattr(LocalStore, name)(self, *arguments)
    return step

for name in ("stage", "_write", "publish", "sync", "get", "exists", "keys", "remove"):
    setattr(Halting, name, halting(name))

folder, verb, count, step = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
while step:
    store = Halting(Path(folder) / str(step))
    tickstore = Tickstore(store)
    if verb != "the first insert":
        tickstore.insert("B", AT, bars(0.0))
    if verb == "flush":
        tickstore.flush()
        tickstore.insert("A", AT, bars(9.0), message="halted")
        store.left = step
        tickstore.flush()
    else:
        store.left = step
        with tickstore.transaction(message="halted") as many:
            for symbol in SYMBOLS[:count]:
                many.insert(symbol, AT, bars(9.0))
    print(flush=True)
    step = step + 1 if store.halted else 0
"""
