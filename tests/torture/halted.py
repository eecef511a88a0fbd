"""A program whose writer halts itself before its n-th call of the object store."""

VERBS = ("the first insert", "insert", "transaction", "flush")

HALTED = """
import os, signal, sys
from pathlib import Path
from behemoth.stores import LocalStore
from behemoth.tickstore import Tickstore
from tests.tickstore.test_verbs import AT, bars

class Halting(LocalStore):
    left, halted = 0, False

def halting(name):
    def step(self, *arguments):
        self.left -= 1
        if self.left == 0:
            self.halted = True
            os.kill(os.getpid(), signal.SIGSTOP)
        return getattr(LocalStore, name)(self, *arguments)
    return step

for name in ("stage", "publish", "sync", "get", "exists", "keys", "remove"):
    setattr(Halting, name, halting(name))

folder, verb, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
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
            for symbol in ("A", "B", "C") if verb == "transaction" else "A":
                many.insert(symbol, AT, bars(9.0))
    print(flush=True)
    step = step + 1 if store.halted else 0
"""
