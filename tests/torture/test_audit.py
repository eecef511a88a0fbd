"""The comparison at the end: whatever a disk does to a table is found, and named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from behemoth import BiTimestamp, LocalTickstore
from behemoth.torture import Ledger, Settings, content
from behemoth.torture.audit import audit
from behemoth.torture.crew import Account, Intent
from behemoth.torture.settings import Orders

DAY = content.DAYS[0]
AT = BiTimestamp(DAY)


@pytest.fixture
def table(tmp_path):
    """Five commits of one writer: three inserts, a transaction, a delete."""
    return tmp_path / "TABLE"


@pytest.fixture
def account(table):
    """What that writer said."""
    said = Account()
    with LocalTickstore(table) as store:
        for count in range(3):
            commit(store, said, count, "insert", ["S-0"])
        commit(store, said, 3, "insert", content.TOGETHER)
        commit(store, said, 4, "delete", ["S-0"])
    return said


def commit(store, said, count, verb, symbols):
    """Say what is intended, do it, say what came of it."""
    name = content.intent_name(1, 0, count)
    said.intents[name] = Intent(verb, frozenset((symbol, str(DAY)) for symbol in symbols))
    with store.transaction(message=name) as many:
        for symbol in symbols:
            if verb == "delete":
                many.delete(symbol, AT)
            else:
                many.insert(symbol, AT, content.ticks(content.mark_of(name), DAY))
    revisions = [[r.symbol, str(r.date), r.version, r.digest] for r in many.revisions]
    said.done[name] = {"commit": many.revisions[0].commit, "revisions": revisions}


def audited(table, account):
    """Compare, and give the ledger."""
    ledger = Ledger()
    audit(table, account, ledger)
    return ledger


def test_a_table_that_kept_everything_is_sound(table, account):
    """All acknowledged is present."""
    ledger = audited(table, account)
    assert (ledger.sound, ledger.troubles) == (True, [])
    assert (ledger.acknowledged, ledger.present) == (5, 5)
    assert str(ledger).endswith(": every acknowledged commit is present, whole and unchanged")


def lose_a_commit(table, _):
    (table / "log/0000000005.json").unlink()


def damage_a_splay(table, _):
    path = table / f"{str(DAY).replace('-', '/')}/S-0_0001.h5"
    path.chmod(0o644)
    path.write_bytes(bytes(path.stat().st_size))


def commit_again(table, account):
    with LocalTickstore(table) as store:
        commit(store, account, 0, "insert", ["S-0"])


def commit_what_nobody_intended(table, _):
    with LocalTickstore(table) as store:
        store.insert("S-1", AT, content.ticks(1, DAY), message="1.0-77")


def commit_what_was_refused(_, account):
    account.done.pop("1.0-0")
    account.refused.add("1.0-0")


def commit_a_part(_, account):
    intent = account.intents["1.0-3"]
    account.intents["1.0-3"] = replace(intent, about=intent.about | {("T-99", str(DAY))})


def write_other_ticks(_, account):
    account.done["1.0-1"]["revisions"][0][3] = "0" * 32


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lose_a_commit, "lost"),
        (damage_a_splay, "unreadable"),
        (commit_again, "doubled"),
        (commit_what_nobody_intended, "foreign"),
        (commit_what_was_refused, "foreign"),
        (commit_a_part, "halved"),
        (write_other_ticks, "changed"),
    ],
)
def test_what_a_bad_disk_does_is_found(table, account, spoil, found):
    """It is counted, told in words, and the verdict says so."""
    spoil(table, account)
    ledger = audited(table, account)
    assert not ledger.sound
    assert getattr(ledger, found) == 1
    assert ledger.troubles
    assert f"1 {found}" in ledger.verdict


def test_a_table_that_cannot_be_opened_is_not_sound(table, account):
    """A hole in the log."""
    (table / "log/0000000002.json").unlink()
    ledger = audited(table, account)
    assert not ledger.sound
    assert "missing" in ledger.verdict


def worker(table, known):
    """Start a reader."""
    orders = Orders(str(table), "reader", 1, 0, 0, Settings().verbs, 1, None, known)
    command = [sys.executable, "-m", "behemoth.torture.worker", orders.encode()]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.usefixtures("account")
def test_a_worker_ends_with_whoever_started_it(table):
    """Its stdin closes when the parent dies, however it dies."""
    with worker(table, known=5) as reader:
        assert reader.stdout.readline() == b'{"ready": true}\n'
        reader.stdin.close()
        reader.stdout.read()
    assert reader.returncode == 3


@pytest.mark.usefixtures("account")
def test_a_worker_that_does_not_see_what_was_acknowledged_says_so(table):
    """A file system that shows old folders to new processes."""
    with worker(table, known=6) as reader:
        said = json.loads(reader.stdout.readline())
        assert reader.wait() == 1
    assert said["failed"].startswith("Wrong: opened at 5-")
