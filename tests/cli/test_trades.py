"""``behemoth download --what trades`` and ``behemoth audit``: real processes, HTTP and signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore
from behemoth.feeds.sandbox import Sandbox
from behemoth.feeds.trades import TABLE
from tests.feeds.trading import same, truth
from tests.profile import FULL

NOW = datetime(2019, 11, 1, 12, tzinfo=UTC)
DAY = "2019-10-31"


def command(*words):
    """What a user types."""
    return [sys.executable, "-m", "behemoth", *map(str, words)]


def run(*words):
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def exchange():
    """A sandbox that is in no hurry to refuse."""
    with Sandbox(now=NOW, rate=1e6, burst=10**6) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def db(exchange, tmp_path_factory):
    """A database with the trades and the candles of a day, and what the downloads said."""
    folder = tmp_path_factory.mktemp("db")
    common = ("LTC-USD", DAY, DAY, "--db", folder, "--api-url", exchange.url, "--rate", 1000)
    told = run("download", *common, "--what", "trades")
    assert told.returncode == 0, told.stderr
    assert run("download", *common).returncode == 0
    return folder, told.stdout


def test_a_download_tells_what_it_did(db, exchange):
    """A summary for people, one for machines; a second run asks nothing."""
    folder, told = db
    for part in ("trades                  6,000", "days stored             1", "requests"):
        assert part in told
    words = ("download", "LTC-USD", DAY, DAY, "--what", "trades", "--db", folder, "--json")
    again = run(*words, "--api-url", exchange.url)
    summary = json.loads(again.stdout)
    assert (summary["requests"], summary["days_already_complete"], again.stderr) == (0, 1, "")
    assert (summary["complete"], summary["error"]) == (True, None)
    with LocalTickstore(folder / TABLE, mode="r") as store:
        day = date.fromisoformat(DAY)
        assert same(store.select("LTC-USD"), truth("LTC-USD", day, day))


def test_an_exchange_that_is_not_there_is_told_as_json_too(tmp_path):
    """In the one line that stderr has."""
    words = ("download", "LTC-USD", DAY, DAY, "--what", "trades", "--db", tmp_path, "--json")
    result = run(*words, "--api-url", "http://127.0.0.1:1")
    told = json.loads(result.stdout)
    assert (result.returncode, told["product"], told["complete"]) == (1, "LTC-USD", False)
    assert result.stderr == f"behemoth: {told['error']}\n"
    assert "the same command goes on from there" in told["error"]


def test_symbols_that_were_not_begun_are_told_of(tmp_path):
    """The object keeps its shape, however the run ends."""
    words = ("download", "LTC-USD", "ETH-USD", DAY, DAY, "--what", "trades", "--db", tmp_path)
    result = run(*words, "--json", "--api-url", "http://127.0.0.1:1")
    told = json.loads(result.stdout)
    assert (result.returncode, told["complete"]) == (1, False)
    assert [each["product"] for each in told["symbols"]] == ["LTC-USD", "ETH-USD"]
    assert told["symbols"][1]["error"] == "not begun"
    assert result.stderr == f"behemoth: {told['symbols'][0]['error']}\n"


def test_a_symbol_that_would_mix_is_refused_before_another_is_stored(exchange, tmp_path):
    """So exit code 2 means that nothing was done."""
    table = LocalTickstore(tmp_path / TABLE)
    ticks = pd.DataFrame({"trade_id": [7]}, index=pd.DatetimeIndex([DAY], tz="UTC", name="time"))
    table.insert("LTC-USD", BiTimestamp(date.fromisoformat(DAY)), ticks)
    before = table.token
    words = ("ETH-USD", "LTC-USD", DAY, DAY, "--what", "trades", "--db", tmp_path)
    result = run("download", *words, "--api-url", exchange.url, "--rate", 1000)
    assert (result.returncode, result.stdout) == (2, "")
    assert "LTC-USD: this table holds" in result.stderr
    assert LocalTickstore(tmp_path / TABLE).token == before


def test_a_dry_run_says_that_it_cannot_know_the_requests(tmp_path):
    """It asks nobody, and makes nothing."""
    words = ("download", "LTC-USD", "2019-10-01", DAY, "--what", "trades", "--dry-run")
    words = (*words, "--db", tmp_path, "--api-url", "http://127.0.0.1:1")
    assert "only the exchange knows" in run(*words).stdout
    plan = json.loads(run(*words, "--json").stdout)
    assert (plan["days"], plan["requests"]) == (31, None)
    assert list(tmp_path.iterdir()) == []


def test_a_symbol_that_is_refused_does_not_stop_the_others(exchange, db):
    """One object for machines, as of candles; exit code 1, and the reason on stderr."""
    words = ("NOPE-USD", "LTC-USD", DAY, DAY, "--what", "trades", "--json", "--db", db[0])
    result = run("download", *words, "--api-url", exchange.url)
    told = json.loads(result.stdout)
    assert (result.returncode, told["complete"]) == (1, False)
    assert (told["days_already_complete"], told["requests"]) == (1, 0)
    by_name = {each["product"]: each["error"] for each in told["symbols"]}
    assert by_name["LTC-USD"] is None
    assert "NotFound" in by_name["NOPE-USD"]
    assert "NotFound" in result.stderr
    plan = json.loads(run("download", *words, "--dry-run", "--api-url", exchange.url).stdout)
    assert (plan["days"], plan["requests"], len(plan["symbols"])) == (1, None, 2)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["LTC-USD", DAY, DAY, "--what", "news"], 2, "--what is candles or trades"),
        (["LTC-USD", DAY, DAY, "--what", "trades", "--partial"], 2, "whole days"),
        (["LTC-USD", DAY, DAY, "--what", "trades", "--granularity", "300"], 2, "no granularity"),
        (["NOPE-USD", DAY, DAY, "--what", "trades"], 1, "NotFound"),
        (["LTC-USD", "2020-01-01", "2020-01-01", "--what", "trades"], 2, "in the future"),
    ],
)
def test_what_cannot_be_is_one_clear_line(exchange, tmp_path, words, code, message):
    """Exit code 2 for misuse, 1 for what the exchange refuses."""
    result = run("download", *words, "--db", tmp_path, "--api-url", exchange.url)
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_audit_of_equal_minutes_ends_well(db):
    """And says how many there are."""
    result = run("audit", "LTC-USD", DAY, "--db", db[0])
    assert result.returncode == 0, result.stderr
    assert "minutes that differ     0" in result.stdout
    told = json.loads(run("audit", "LTC-USD", DAY, DAY, "--db", db[0], "--json").stdout)
    assert (told["trades"], told["differing"], told["minutes"]) == (6000, 0, [])


def test_an_audit_of_other_candles_does_not(db):
    """It shows the minute with both values, and exit code 1."""
    with (
        LocalTickstore(db[0] / "COINBASE_PRO_ONE_MIN_BINS", mode="r") as store,
        LocalTickstore(db[0] / "OTHER") as other,
    ):
        frame = store.select("LTC-USD")
        frame.iloc[0, frame.columns.get_loc("close")] += 1
        other.insert("LTC-USD", BiTimestamp(date.fromisoformat(DAY)), frame)
    result = run("audit", "LTC-USD", DAY, "--db", db[0], "--table", "OTHER")
    assert result.returncode == 1
    assert "minutes that differ     1" in result.stdout
    assert "close_candles" in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["LTC-USD", "31.10.2019"], 2, "START is a date"),
        (["LTC-USD", DAY, "2019-10-30"], 2, "before the start"),
        (["LTC-USD", "2019-10-30"], 1, "nothing to compare"),
        (["LTC-USD", "yesterday"], 1, "nothing to compare"),
        (["LTC-USD", DAY, "--trades-table", "NONE"], 1, "an audit needs both"),
    ],
)
def test_an_audit_that_cannot_be_is_one_clear_line(db, words, code, message):
    """With the way out."""
    result = run("audit", *words, "--db", db[0])
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def killed(words, table, day, pages):
    """Run a download until so many pages of a day are kept, end it with kill -9; give the pages."""
    with subprocess.Popen(command(*words), stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(kept(table, day)) < pages:
            assert time.monotonic() < deadline
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    return kept(table, day)


def kept(table, day):
    """The cursors of the pages of a day that are kept."""
    names = [path.name for path in table.glob(f"staging/*/{day}.*-*")]
    return {f"?after={int(name.rpartition('-')[2]) + 1}&" for name in names}


@pytest.mark.sweep
def test_a_download_that_is_killed_three_times_goes_on_mid_day(tmp_path):
    """No page that was kept is asked again, and all is equal to the truth.

    In full 210,000 trades of three days, killed once on each.
    """
    last = date(2019, 10, 31)
    if FULL:
        product, days, rate = "BTC-USD", (date(2019, 10, 29), last), 30
        kills = [(days[0], 20), (date(2019, 10, 30), 30), (last, 50)]
    else:
        product, days, rate = "ETH-USD", (last, last), 10
        kills = [(last, 4), (last, 10), (last, 16)]
    expected = truth(product, *days)
    with Sandbox(now=NOW, rate=1e6, burst=10**6) as exchange:
        words = (product, *days, "--db", tmp_path, "--api-url", exchange.url, "--rate")
        done = []
        for kill in kills:
            cursors = killed(
                ("download", *words, rate, "--what", "trades"), tmp_path / TABLE, *kill
            )
            done.append((cursors, len(exchange.requests)))
        with LocalTickstore(tmp_path / TABLE) as store:
            assert set(store.verify()["problem"]) <= {"leftover"}
        result = run("download", *words, 1000, "--what", "trades", "--json")
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["pages_kept"] >= kills[-1][1]
        asked = [request.target for request in exchange.requests]
        if FULL:
            assert run("download", *words, 1000).returncode == 0
            assert run("audit", *words[:-3]).returncode == 0
    for cursors, count in done:
        assert not [target for target in asked[count:] if any(each in target for each in cursors)]
    pages = {target for target in asked if "?after=" in target}
    assert len(pages) == -(-len(expected[0]) // 1000)
    with LocalTickstore(tmp_path / TABLE) as store:
        assert same(store.select(product), expected)
        assert {revision.version for revision in store.revisions(product)} == {0}
        assert {seen.outcome for seen in store.observations(product)} == {"complete"}


def full_pipe():
    """A pipe that takes no byte more: whoever writes into it waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for size in (65536, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b" " * size)
    os.set_blocking(writer, True)
    return reader, writer


def waits_for_the_pipe(process):
    """Whether the kernel says so of a process."""
    return "pipe" in Path(f"/proc/{process.pid}/wchan").read_text()


@pytest.mark.skipif(not Path("/proc/self/wchan").exists(), reason="no /proc that tells of waiting")
@pytest.mark.parametrize(
    ("more", "holds"),
    [
        ([], "nothing is lost"),
        (
            ["ETH-USD"],
            "every day and page that came stays, the same command goes on from there",
        ),
    ],
)
def test_ctrl_c_while_a_summary_is_printed_is_one_line(exchange, tmp_path, more, holds):
    """Whoever reads the output is slow, and all that was asked is stored, or the next is not."""
    reader, writer = full_pipe()
    words = ("LTC-USD", *more, DAY, DAY, "--db", tmp_path, "--api-url", exchange.url)
    with subprocess.Popen(
        command("download", "--what", "trades", "--rate", 1000, *words),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not waits_for_the_pipe(process):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    os.close(writer)
    os.close(reader)
    assert process.returncode == 1
    assert said == f"behemoth: stopped; {holds}\n"
    with LocalTickstore(tmp_path / TABLE) as store:
        assert store.symbols() == ["LTC-USD"]
