"""``behemoth download`` against ``behemoth sandbox``: real processes, real HTTP, real signals."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from behemoth import LocalTickstore
from tests.cli.running import behemoth
from tests.feeds.liar import Middle, serving
from tests.feeds.test_download import stored, truth

TABLE = "COINBASE_PRO_ONE_MIN_BINS"


@contextmanager
def sandbox(*words):
    """Run the sandbox as a user would, and give its address."""
    command = [sys.executable, "-m", "behemoth", "sandbox", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("sandbox exchange at http://127.0.0.1:"), line
            yield line.split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def command(*words):
    """What a user types."""
    return [sys.executable, "-m", "behemoth", "download", *words]


def run(*words, **options):
    """Run a download."""
    return behemoth("download", *words, **options)


@pytest.fixture(scope="module")
def exchange():
    """A sandbox that is in no hurry to refuse."""
    with sandbox("--rate", "10000", "--burst", "10000") as url:
        yield url


def test_download_tells_what_it_did(exchange, tmp_path):
    """A summary for people, and the ticks in the table; a second run has nothing to do."""
    words = ("BTC-USD", "2019-10-30", "2019-10-31", "--db", str(tmp_path), "--rate", "1000")
    first = run(*words, "--api-url", exchange)
    assert (first.returncode, "Traceback" in first.stderr) == (0, False)
    for part in ("days stored", "candles", "minutes without a trade", "requests", "retries"):
        assert part in first.stdout
    days = date(2019, 10, 30), date(2019, 10, 31)
    with LocalTickstore(tmp_path / TABLE) as store:
        assert np.array_equal(stored(store), truth(*days))
    again = run(*words, "--json", "--api-url", exchange)
    summary = json.loads(again.stdout)
    assert (summary["requests"], summary["days_already_complete"]) == (0, 2)
    assert (summary["complete"], summary["error"], "symbols" in summary) == (True, None, False)
    assert again.stderr == ""


def test_the_exchange_may_be_named_by_the_environment(exchange, tmp_path):
    """BEHEMOTH_COINBASE_URL and BEHEMOTH_DB, and another granularity has another table."""
    import os

    env = os.environ | {"BEHEMOTH_COINBASE_URL": exchange, "BEHEMOTH_DB": str(tmp_path)}
    result = run("ETH-USD", "2019-10-31", "2019-10-31", "--granularity", "3600", env=env)
    assert result.returncode == 0
    with LocalTickstore(tmp_path / "COINBASE_PRO_ONE_HOUR_BINS") as store:
        assert len(store.select("ETH-USD")) == 24


def test_dry_run_asks_nobody(tmp_path):
    """The article's four years: 7,512 requests, under 20 minutes."""
    words = ("BTC-USD", "2015-07-20", "2019-10-31", "--db", str(tmp_path), "--dry-run")
    plan = json.loads(run(*words, "--json", "--api-url", "http://127.0.0.1:1").stdout)
    assert plan["requests"] <= 7512
    assert plan["seconds"] < 20 * 60
    assert "7,512 requests" in run(*words, "--api-url", "http://127.0.0.1:1").stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["NOPE-USD", "2019-10-30", "2019-10-31"], 1, "NotFound"),
        (["BTC-USD", "2019-10-31", "2019-10-30"], 2, "before the start"),
        (["BTC-USD", "31.10.2019", "2019-10-31"], 2, "START is a date such as 2019-10-31"),
        (["BTC-USD", "2019-10-31", "2019-02-30"], 2, "END is a date"),
        (["BTC-USD", "20191030", "2019-10-31"], 2, "START is a date"),
        (["BTC-USD", "2199-01-01", "2199-01-02"], 2, "in the future"),
        (["BTC-USD", "2019-10-30", "2019-10-31", "--granularity", "61"], 2, "60, 300, 900"),
        (["BTC-USD", "2019-10-30", "2019-10-31", "--known-from", "never"], 2, "day-end"),
        (["BTC-USD", "2019-10-30", "2019-10-31", "--rate", "0"], 2, "above 0"),
        (["BTC-USD", "2019-10-30", "2019-10-31", "--api-url", "ftp://x"], 2, "address"),
        (["BTC-USD", "2019-10-30", "2019-10-31", "--db", "FILE"], 1, "FILE"),
    ],
)
def test_what_cannot_be_is_one_clear_line(exchange, tmp_path, words, code, message):
    """And an exit code: 1 = not complete, 2 = misuse."""
    (tmp_path / "FILE").write_text("a file where a folder should be")
    options = ["--api-url", exchange] if "--api-url" not in words else []
    result = run(*words, *options, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (code, "")
    lines = result.stderr.strip().splitlines()
    assert message in lines[-1]
    assert len(lines) == 1


def test_a_database_folder_that_cannot_be_written_is_one_clear_line(exchange):
    """Named, exit 1."""
    result = run("BTC-USD", "2019-10-31", "2019-10-31", "--db", "/proc/db", "--api-url", exchange)
    assert result.returncode == 1
    assert "/proc/db" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("what", ["candles", "trades"])
def test_a_table_that_cannot_be_opened_is_told_as_json_too(exchange, tmp_path, what):
    """In the one line that stderr has; nothing came that could stay."""
    file = tmp_path / "file"
    file.write_text("no folder")
    words = ("BTC-USD", "2019-10-31", "2019-10-31", "--what", what, "--json")
    result = run(*words, "--db", file, "--api-url", exchange)
    told = json.loads(result.stdout)
    assert (result.returncode, told["complete"]) == (1, False)
    assert result.stderr == f"behemoth: {told['error']}\n"
    assert str(file) in told["error"]
    assert "goes on from there" not in told["error"]


@pytest.mark.parametrize("as_json", [False, True])
def test_no_network_at_all_names_the_address(tmp_path, as_json):
    """Soon, exit 1, and nothing is written; as JSON too."""
    words = ("BTC-USD", "2019-10-31", "2019-10-31", *(["--json"] if as_json else []))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = run(*words, "--api-url", url, cwd=tmp_path)
    assert (result.returncode, result.stdout != "") == (1, as_json)
    assert url in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    if as_json:
        summary = json.loads(result.stdout)
        assert result.stderr == f"behemoth: {summary['error']}\n"
        assert (summary["product"], summary["last_day"]) == ("BTC-USD", "2019-10-31")
        assert (summary["complete"], summary["days"], summary["retries"]) == (False, 0, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["db"]
    assert all(path.name.startswith(".download-") for path in (tmp_path / "db").iterdir())


def from_then_on(day, reply):
    """A fault: this reply to whatever asks for candles of a day or later."""

    def fault(path):
        start = parse_qs(urlsplit(path).query).get("start", [""])[0]
        return reply if start >= day else None

    return fault


@pytest.mark.parametrize("symbols", [["BTC-USD"], ["BTC-USD", "ETH-USD"]])
@pytest.mark.parametrize("status", [503, 403])
def test_a_run_that_is_cut_off_prints_its_summary_as_json(exchange, tmp_path, status, symbols):
    """What was stored by then, and in one line why it ended; stderr has that line too."""
    reply = status, b'{"message": "no more"}', {"Retry-After": "999"}
    words = (*symbols, "2019-10-28", "2019-10-31", "--db", str(tmp_path), "--json")
    with serving(Middle(exchange, from_then_on("2019-10-29", reply))) as middle:
        result = run(*words, "--rate", "1000", "--api-url", middle.url)
    assert result.returncode == 1
    summary = json.loads(result.stdout)
    assert (summary["complete"], summary["days"]) == (False, len(symbols))
    assert str(status) in summary["error"]
    assert "Traceback" not in result.stderr
    parts = [line.removeprefix("behemoth: ") for line in result.stderr.splitlines()]
    assert summary["error"] == "; ".join(parts[-1 if status == 503 else -len(symbols) :])
    each = [one["days"] for one in summary.get("symbols", [])]
    assert each == ([1, 1] if len(symbols) > 1 else [])
    if status == 503:
        assert "the same command goes on from there" in summary["error"]


@pytest.mark.parametrize(
    ("status", "ahead", "over"),
    [(200, 1, False), (404, 1, False), (404, 0, True), (200, None, True)],
)
def test_a_clock_that_is_a_day_ahead_completes_no_day(exchange, tmp_path, status, ahead, over):
    """The exchange's answer is dated; a date that is not there tells nothing."""
    now = datetime.now(UTC)
    dated = None if ahead is None else format_datetime(now - timedelta(days=ahead), usegmt=True)
    time_of_day = status, json.dumps({"iso": now.isoformat()}).encode(), {"Date": dated}
    yesterday = str(now.date() - timedelta(days=1))
    words = ("BTC-USD", yesterday, "--until", yesterday, "--db", str(tmp_path), "--json")
    fault = {"/time": time_of_day}.get
    with serving(Middle(exchange, fault)) as middle:
        result = run(*words, "--rate", "1000", "--api-url", middle.url)
    assert result.returncode == 0
    summary = json.loads(result.stdout)
    assert (summary["days"], summary["days_left"]) == (int(over), int(not over))
    assert ("this machine's clock is ahead" in result.stderr) == (not over)
    with LocalTickstore(tmp_path / TABLE) as store:
        seen = [each.outcome for each in store.observations("BTC-USD")]
    assert seen == ["complete"] * over


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_goes_on_where_it_was(tmp_path, blow):
    """Ctrl-C says so; after kill -9 too the same command completes, and equals the truth."""
    first, last = date(2019, 10, 1), date(2019, 10, 31)
    words = ("BTC-USD", str(first), str(last), "--db", str(tmp_path), "--rate", "50")
    with sandbox("--rate", "10000", "--burst", "10000") as url:
        process = subprocess.Popen(
            command(*words, "--json", "--api-url", url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        log = tmp_path / TABLE / "log"
        deadline = time.monotonic() + 60
        while not (log / "0000000003.json").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(blow)
        printed, told = process.communicate(timeout=60)
        if blow == signal.SIGINT:
            assert process.returncode == 1
            assert "same command" in told
            assert "Traceback" not in told
            cut = json.loads(printed)
            assert (cut["complete"], cut["error"].startswith("stopped; ")) == (False, True)
        with LocalTickstore(tmp_path / TABLE) as store:
            done = len(store.revisions("BTC-USD"))
        assert 3 <= done < 31
        summary = json.loads(run(*words, "--json", "--rate", "1000", "--api-url", url).stdout)
    assert (summary["days_already_complete"], summary["days"]) == (done, 31 - done)
    with LocalTickstore(tmp_path / TABLE) as store:
        assert np.array_equal(stored(store), truth(first, last))
        # Where the blow fell into a commit, that commit's number is skipped; no day is there twice.
        assert len(store.revisions("BTC-USD")) == 31


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--candles", "none.csv"], "none.csv"),
        (["--now", "noon"], "--now looks like"),
        (["--port", "99999"], "port"),
        (["--latency", "-1"], "latency"),
    ],
)
def test_a_sandbox_that_cannot_be_is_one_clear_line(tmp_path, words, message):
    """Nothing is served."""
    result = subprocess.run(
        [sys.executable, "-m", "behemoth", "sandbox", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
