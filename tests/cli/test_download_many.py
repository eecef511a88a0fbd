"""Many symbols, cron and two at once, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from behemoth import LocalTickstore
from behemoth.cli.locking import alone
from behemoth.errors import Conflict, EnvironmentFailed
from tests.cli.test_download import TABLE, command, run, sandbox

DAYS = ("2019-10-30", "2019-10-31")


@pytest.fixture(scope="module")
def exchange():
    """A sandbox that is in no hurry to refuse."""
    with sandbox("--rate", "10000", "--burst", "10000") as url:
        yield url


@pytest.fixture
def words(exchange, tmp_path):
    """The options of every run."""
    return ("--db", str(tmp_path), "--api-url", exchange, "--rate", "1000")


def test_many_symbols_are_summed_up(words, tmp_path):
    """From the line and from a file; one summary each, and a total; a dry run too."""
    names = tmp_path / "symbols.txt"
    names.write_text("LTC-USD\nBTC-USD  # again\n")
    told = ("BTC-USD", "ETH-USD", *DAYS, "--symbols-file", str(names), *words)
    plan = json.loads(run(*told, "--dry-run", "--json").stdout)
    assert (plan["days"], plan["requests"]) == (6, 30)
    result = run(*told)
    assert result.returncode == 0, result.stderr
    for line in ("BTC-USD, 2019", "ETH-USD, 2019", "LTC-USD, 2019", "3 symbols: 6 days stored"):
        assert line in result.stdout
    again = json.loads(run(*told, "--json").stdout)
    assert (again["days_already_complete"], again["requests"], again["complete"]) == (6, 0, True)
    assert again["error"] is None
    assert [each["product"] for each in again["symbols"]] == ["BTC-USD", "ETH-USD", "LTC-USD"]
    with LocalTickstore(tmp_path / TABLE) as store:
        assert store.symbols() == ["BTC-USD", "ETH-USD", "LTC-USD"]


def test_a_refused_product_does_not_stop_the_others(words):
    """Exit 1, and a line that names it, also when it is quiet."""
    result = run("NOPE-USD", "BTC-USD", *DAYS, *words, "--quiet")
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("behemoth: NOPE-USD: ")
    summary = json.loads(run("NOPE-USD", "BTC-USD", *DAYS, *words, "--json").stdout)
    assert (summary["complete"], summary["days_already_complete"]) == (False, 2)
    assert summary["error"] == line.removeprefix("behemoth: ")


def test_a_quiet_run_until_yesterday_says_nothing(words, tmp_path):
    """As cron likes it; and a repair with nothing to do asks nobody."""
    first = (datetime.now(UTC) - timedelta(days=2)).date()
    result = run("BTC-USD", str(first), "--until", "yesterday", "--quiet", *words)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    with LocalTickstore(tmp_path / TABLE) as store:
        assert len(store.revisions("BTC-USD")) == 2
    repaired = run("BTC-USD", "--repair", "--json", *words)
    assert repaired.returncode == 0
    assert json.loads(repaired.stdout)["requests"] == 0
    assert "0 partial, 0 failed, 0 never asked" in repaired.stderr


def test_two_sources_in_one_table_are_misuse(words, tmp_path):
    """One line that names the way out, exit 2, and nothing asked."""
    assert run("BTC-USD", *DAYS, *words, "--quiet").returncode == 0
    other = ("--db", str(tmp_path), "--api-url", "http://127.0.0.1:1")
    result = run("BTC-USD", DAYS[0], "2019-11-01", *other, "--dry-run")
    assert result.returncode == 2
    assert "--table" in result.stderr
    assert "--supersede" in result.stderr


def test_of_two_at_once_the_second_says_who_runs_or_waits(tmp_path):
    """And a process that was killed holds nothing: no lock is ever stale."""
    slow = ("BTC-USD", "2019-09-01", "2019-10-31", "--db", str(tmp_path), "--rate", "20")
    with sandbox("--rate", "10000", "--burst", "10000") as url:
        first = subprocess.Popen(
            command(*slow, "--api-url", url), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        log = tmp_path / TABLE / "log" / "0000000001.json"
        deadline = time.monotonic() + 60
        while not log.exists():
            assert time.monotonic() < deadline
            assert first.poll() is None
            time.sleep(0.01)
        quick = ("ETH-USD", *DAYS, "--db", str(tmp_path), "--rate", "1000", "--api-url", url)
        refused = run(*quick)
        assert (refused.returncode, refused.stdout) == (1, "")
        (line,) = refused.stderr.splitlines()
        assert f"pid {first.pid}, since 20" in line
        assert ": download BTC-USD)" in line
        assert "--wait" in line
        told = run(*quick, "--json")
        assert told.returncode == 1
        assert f"pid {first.pid}, since 20" in json.loads(told.stdout)["error"]
        waiting = subprocess.Popen(
            command(*quick, "--wait"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert "waiting for it" in waiting.stderr.readline()
        assert waiting.poll() is None
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "days stored             2" in out


def test_two_sources_do_not_wait_for_each_other(tmp_path):
    """Each has its own lock, and each database."""
    with (
        alone(tmp_path, "http://a", "this", wait=False, on_wait=print),
        alone(tmp_path, "http://b", "that", wait=False, on_wait=print),
        alone(tmp_path / "other", "http://a", "that", wait=False, on_wait=print),
        pytest.raises(Conflict, match=f"pid {os.getpid()}, since 20.*: this"),
        alone(tmp_path, "http://a", "that", wait=False, on_wait=print),
    ):
        pass
    with alone(tmp_path, "http://a", "that", wait=False, on_wait=print):
        pass
    assert all(path.suffix == ".lock" for path in tmp_path.glob(".download-*"))


def test_a_note_of_one_that_was_killed_is_not_taken_for_the_holders(tmp_path):
    """Who holds the lock now has not signed yet: all that is known is that somebody does."""
    hold = (
        "import sys, time; from pathlib import Path; from behemoth.cli.locking import alone\n"
        "with alone(Path(sys.argv[1]), 'http://a', 'this', wait=False, on_wait=print):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout.readline() == "held\n"
    killed.kill()
    killed.communicate(timeout=30)
    (path,) = tmp_path.glob(".download-*.lock")
    assert json.loads(path.with_suffix(".json").read_text())["pid"] == killed.pid
    unsigned = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", unsigned, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(Conflict, match=r"is running; let it end"),
            alone(tmp_path, "http://a", "that", wait=False, on_wait=print),
        ):
            pass
    finally:
        holder.kill()
        holder.communicate(timeout=30)
    with alone(tmp_path, "http://a", "that", wait=False, on_wait=print):
        signed = json.loads(path.with_suffix(".json").read_text())
    assert (signed["pid"], signed["doing"]) == (os.getpid(), "that")


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    """With the way out."""
    path = tmp_path / "file"
    path.write_text("no folder")
    for db in (path, path / "below"):
        with (
            pytest.raises(EnvironmentFailed, match=r"cannot be locked.*--db"),
            alone(db, "http://a", "this", wait=False, on_wait=print),
        ):
            pass
