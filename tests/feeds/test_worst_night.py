"""The worst night: all faults at once, ``kill -9`` on the way, and in the end nothing is wrong.

Real processes over loopback, as a user starts them. The sandbox says what the truth is, what it
spoilt, and whether anyone came too fast.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from behemoth import LocalTickstore
from behemoth.feeds.sandbox.spoiling import REPLACING
from tests.profile import FULL

DAYS = 1000 if FULL else 25
RATE = 150 if FULL else 100
BURST = 48
"""More than a client saves up (12) and has under way (32), so that only a rate can break it."""
FIRST = date(2016, 12, 29)
LISTING = FIRST + timedelta(days=2)
LAST = FIRST + timedelta(days=DAYS - 1)
KILLS = [DAYS // 4, DAYS // 2, 3 * DAYS // 4]
"""Entries in the log at which the download is killed."""
RUNS = 20
TABLE = "COINBASE_PRO_ONE_MIN_BINS"
QUIETER = {"storm": 0.003, "storm-rest": 0.003, "html-502": 0.01, "garbage": 0.01}
"""How often what makes a client wait happens in a short night; it happens all the same."""
SEED = 9831
LOST = 0 if FULL else len(KILLS)
"""How many times more of what was asked ahead may be lost: of a short range it may be all of it."""


def behemoth(*words):
    """What a user types."""
    return [sys.executable, "-m", "behemoth", *map(str, words)]


@contextmanager
def exchange(*words):
    """Run a sandbox, and give its address."""
    command = behemoth(
        *("sandbox", "--port", 0, "--rate", RATE, "--burst", BURST, "--now", "2019-11-05"), *words
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def downloading(url, db):
    """Start the download."""
    words = ("BTC-USD", FIRST, LAST, "--db", db, "--rate", RATE, "--api-url", url)
    return subprocess.Popen(
        behemoth("download", *words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def report(url, name, **query):
    """Ask the sandbox what it knows of itself; that meets no fault, but a closed port."""
    with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
        return client.get(f"{url}/sandbox/{name}", params=query).raise_for_status().json()


def entries(db):
    """How many commits there are."""
    log = db / TABLE / "log"
    return len(list(log.glob("*.json"))) if log.exists() else 0


def killed_at(count, url, db):
    """Download until the log has so many entries, and kill what is running then."""
    for _ in range(RUNS):
        with downloading(url, db) as process:
            while process.poll() is None:
                if entries(db) >= count:
                    process.kill()
                    process.communicate()
                    return process.returncode == -signal.SIGKILL
                time.sleep(0.01)
            assert process.returncode in (0, 1), process.communicate()
    return False


def finished(url, db):
    """Give the same command until it is done."""
    for number in range(1, RUNS + 1):
        with downloading(url, db) as process:
            _, said = process.communicate()
            assert "Traceback" not in said
            if process.returncode == 0:
                return number
            assert process.returncode == 1, said
    pytest.fail(f"the download is not done after {RUNS} runs; the last one said: {said}")


def clean_requests(tmp_path):
    """How many requests the same range takes of an exchange that behaves: time, and windows."""
    computed = 1 + -(-DAYS * 1440 // 300)
    if FULL:
        with exchange() as url:
            assert finished(url, tmp_path / "clean") == 1
            assert report(url, "counts")["requests"] == computed
    return computed


def verified(url, db, day):
    """Ask for a day again, and store what has changed."""
    words = ("BTC-USD", day, day, "--update", "--db", db, "--rate", RATE, "--api-url", url)
    for _ in range(RUNS):
        ended = subprocess.run(
            behemoth("verify-source", *words), capture_output=True, text=True, check=False
        )
        if ended.returncode == 0:
            return
        assert ended.returncode == 1, ended.stderr
    pytest.fail(f"{day} is not verified after {RUNS} runs: {ended.stdout}{ended.stderr}")


def observed_complete(store):
    """The days that the log says were asked for and answered."""
    midnights = {
        seen.start.date()
        for seen in store.observations("BTC-USD")
        if seen.outcome == "complete" and seen.end - seen.start == timedelta(days=1)
    }
    return sorted(midnights)


def truth_of(url, days):
    """What the sandbox says was traded, oldest first."""
    rows = [report(url, "truth", product="BTC-USD", day=str(day))[::-1] for day in days]
    return np.array([row for of_day in rows for row in of_day], dtype=float)


@pytest.mark.sweep
def test_a_download_through_everything_ends_complete_and_true(tmp_path):
    """Every day, every minute once, to the bit, and never too fast."""
    began, clean, db = time.monotonic(), clean_requests(tmp_path), tmp_path / "db"
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    faults = ["all", f"listing={LISTING}"]
    faults += [] if FULL else [f"{name}={rate}" for name, rate in QUIETER.items()]
    words = [word for fault in faults for word in ("--fault", fault)]
    with exchange(*words, "--seed", SEED) as url:
        assert all(killed_at(count, url, db) for count in KILLS)
        runs = len(KILLS) + finished(url, db)
        counts = report(url, "counts")
        revised = [each for each in report(url, "faults")["revised"] if each["granularity"] == 60]
        assert len(revised) > 0
        assert all(each["changed"] for each in revised)
        for each in revised:
            verified(url, db, each["day"])
        truth = truth_of(url, days)
        over = report(url, "counts")["over_limit"]
    forced = sum(counts["faults"].get(name, 0) for name in REPLACING)
    figures = {"days": DAYS, "clean": clean, **counts, "forced": forced, "runs": runs}
    figures |= {"revised": len(revised), "seconds": round(time.monotonic() - began)}
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    with LocalTickstore(db / TABLE) as store:
        assert observed_complete(store) == days
        ticks = store.select("BTC-USD")
    assert ticks.index.is_unique
    found = np.column_stack([ticks.index.asi8 / 1e9, ticks.to_numpy()])
    assert found.tobytes() == truth.tobytes()
    assert datetime.fromtimestamp(truth[0][0], UTC).date() == LISTING
    assert over == 0, figures
    assert counts["requests"] <= (1.5 + LOST) * clean + forced, figures
    kinds = {*REPLACING, "early", "twice", "slow", "refused"}
    assert len(kinds & counts["faults"].keys()) >= (len(kinds) if FULL else 7), figures
