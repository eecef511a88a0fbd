"""``behemoth verify-source`` against an exchange that changes its mind: real processes and HTTP."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from behemoth import LocalTickstore
from behemoth.cli.locking import alone
from behemoth.feeds import download
from tests.feeds.moody import FIRST, LAST, Moody, fast, midnight, opened, trades

TABLE = "COINBASE_PRO_ONE_MIN_BINS"
MIDDLE = FIRST.replace(day=30)
NOON = midnight(MIDDLE) + 43200
RANGE = "BTC-USD", str(FIRST), str(LAST)


def command(*words):
    """What a user types."""
    return [sys.executable, "-m", "behemoth", "verify-source", *words]


def run(*words, **options):
    """Run a verification."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("BEHEMOTH_")}
    options = {"capture_output": True, "text": True, "timeout": 120, "env": env} | options
    return subprocess.run(command(*words), check=False, **options)


@pytest.fixture
def place(tmp_path):
    """A database that was filled from a moody exchange: the exchange, its market, the words."""
    market = Moody(trades(FIRST, MIDDLE, LAST))
    with opened(market) as exchange:
        with fast(exchange) as client, LocalTickstore(tmp_path / TABLE) as store:
            download(store, client, "BTC-USD", FIRST, LAST)
        words = (*RANGE, "--db", str(tmp_path), "--api-url", exchange.url, "--rate", "10000")
        yield market, words, tmp_path / TABLE


def test_all_the_same_is_exit_code_0(place):
    _, words, _ = place
    result = run(*words)
    assert result.returncode == 0
    assert "2019-10-31: 3 of 3 days" in result.stderr
    assert "days the same           3" in result.stdout
    assert "days that failed" not in result.stdout


def test_what_differs_is_shown_told_and_taken(place, tmp_path):
    """A table for people, JSON and CSV to the bit for machines; then --update."""
    market, words, folder = place
    before = market.table[market.table[:, 0] == NOON][0]
    market.put([*before[:4], -0.0, 0.1 + 0.2])
    market.without(NOON + 3600)
    result = run(*words)
    assert result.returncode == 1
    for part in (
        "2019-10-30T12:00:00+00:00",
        f"close {before[4]} -> -0.0, volume {before[5]} -> 0.30000000000000004",
        "vanished",
        "days that differ        1",
        "rows changed            1",
        "--update",
    ):
        assert part in result.stdout, result.stdout
    target = tmp_path / "rows.csv"
    result = run(*words, "--json", "--csv", str(target))
    assert (result.returncode, result.stderr) == (1, "")
    told = json.loads(result.stdout)
    assert (told["days_same"], told["days_differing"], told["settled"]) == (2, 1, False)
    assert [(row["time"], row["change"]) for row in told["rows"]] == [
        ("2019-10-30T12:00:00+00:00", "changed"),
        ("2019-10-30T13:00:00+00:00", "vanished"),
    ]
    assert told["rows"][0]["source"]["volume"] == 0.1 + 0.2
    assert str(told["rows"][0]["source"]["close"]) == "-0.0"
    assert told["rows"][1]["source"] is None
    with target.open(newline="") as file:
        changed, vanished = csv.DictReader(file)
    assert (changed["close_source"], vanished["low_source"]) == ("-0.0", "")
    assert float(changed["volume_source"]) == 0.1 + 0.2
    assert [day["date"] for day in told["days"]] == [str(MIDDLE)]
    taken = json.loads(run(*words, "--update", "--json").stdout)
    assert (taken["settled"], taken["versions_written"]) == (True, 1)
    with LocalTickstore(folder, mode="r") as store:
        assert len(store.select("BTC-USD")) == 71
        assert len(store.select("BTC-USD", as_of_time=told["token"])) == 72


def test_a_day_that_vanished_whole_needs_a_word_of_its_own(place):
    market, words, folder = place
    market.table = trades(FIRST, LAST)
    kept = run(*words, "--update", "-n", "2")
    assert kept.returncode == 1
    assert "the first 2 of 24 rows are shown" in kept.stdout
    assert "days vanished whole     1" in kept.stdout
    assert "2019-10-30: the source has nothing of this day any more" in kept.stdout
    assert run(*words, "--update", "--accept-deletions").returncode == 0
    with LocalTickstore(folder, mode="r") as store:
        assert [r.kind for r in store.revisions("BTC-USD") if r.date == MIDDLE][-1] == "delete"


def test_an_exchange_that_is_not_there_is_one_line(place):
    _, words, _ = place
    elsewhere = "--api-url", "http://127.0.0.1:1"
    result = run(*words, *elsewhere, "--update", "--supersede")
    assert "http://127.0.0.1:1" in result.stderr
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("BTC-USD", "2019-10-31", "2019-10-30"), 2, "before the start"),
        ((*RANGE, "--accept-deletions"), 2, "--accept-deletions goes with --update only"),
        ((*RANGE, "--supersede"), 2, "--supersede goes with --update only"),
        ((*RANGE, "--api-url", "http://127.0.0.1:1"), 2, "--supersede"),
        (("ETH-USD", "2019-10-30", "2019-10-31"), 1, "behemoth download"),
        (("BTC-USD", "2019-10-01", "2019-10-02"), 1, "nothing to verify"),
        ((*RANGE, "--granularity", "300"), 1, "no table"),
        ((*RANGE, "--csv", "none/rows.csv"), 1, "no folder"),
        ((*RANGE, "--csv", "."), 1, "it is a folder"),
    ],
)
def test_what_cannot_be_is_one_clear_line(place, words, code, message):
    _, given, folder = place
    result = run(*words[:3], *given[3:], *words[3:], cwd=folder.parent)
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_update_waits_for_nobody_and_a_mere_look_needs_no_lock(place):
    """While a download from this exchange runs, an update says so; or waits, with --wait."""
    _, words, folder = place
    url = words[words.index("--api-url") + 1]
    with alone(folder.parent, url, "this", wait=False, on_wait=print):
        refused = run(*words, "--update")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "another download" in refused.stderr
        assert "--wait" in refused.stderr
        assert run(*words).returncode == 0


@pytest.mark.sweep
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_an_update_that_was_stopped_takes_each_day_once(place, blow):
    """Ctrl-C says what holds; after kill -9 too the next run takes what is left."""
    market, words, folder = place
    market.table[:, 5] += 1
    hold, held = threading.Event(), threading.Event()

    def slow(start, _end, rows):
        if start >= midnight(LAST) and not hold.is_set():
            held.set()
            hold.wait(30)
        return rows

    market.mood = slow
    process = subprocess.Popen(command(*words, "--update"), stderr=subprocess.PIPE, text=True)
    entry = folder / "log" / "0000000004.json"
    deadline = time.monotonic() + 30
    while not (entry.exists() and held.is_set()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(blow)
    if blow == signal.SIGINT:  # what is on the wire is waited for
        hold.set()
    _, told = process.communicate(timeout=60)
    hold.set()
    assert process.returncode != 0
    if blow == signal.SIGINT:
        assert process.returncode == 1
        assert "stopped; every day that was taken stays" in told
        assert "Traceback" not in told
    again = json.loads(run(*words, "--update", "--json").stdout)
    assert again["settled"]
    assert again["versions_written"] < 3
    with LocalTickstore(folder, mode="r") as store:
        assert [r.version for r in store.revisions("BTC-USD")] == [0, 1] * 3
        frame = store.select("BTC-USD")
        assert np.array_equal(frame["volume"].to_numpy(), market.table[:, 5])
