"""Law 6: what was acknowledged survives kill -9."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from behemoth import LocalTickstore
from tests.tickstore.test_verbs import AT, bars, prices

WRITER = """
import sys
from behemoth import LocalTickstore
from tests.tickstore.test_verbs import AT, bars
with LocalTickstore(sys.argv[1]) as store:
    while True:
        number = len(store.revisions("A"))
        store.insert("A", AT, bars(float(number)))
        print(number, flush=True)
"""


@pytest.mark.parametrize("seed", range(6))
def test_acknowledged_is_present_after_kill_9(tmp_path, seed):
    """A writer is killed at a random moment, three times; the next open works by itself."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible moment, not a secret
    table, acknowledged = tmp_path / "TABLE", -1
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(table)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            for _ in range(chance.randint(1, 40)):
                acknowledged = int(writer.stdout.readline())
            for _ in range(chance.randint(0, 20_000)):  # somewhere within the next commit
                pass
            writer.kill()
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        store = LocalTickstore(table)
        revisions = store.revisions("A")
        assert len(revisions) in (acknowledged + 1, acknowledged + 2)
        for number, revision in enumerate(revisions):
            assert prices(store.select("A", as_of_time=revision.start_time)) == [float(number)]
        store.insert("A", AT, bars(float(len(revisions))))
        acknowledged = len(revisions)
