"""The command ``import candles``: what it tells, how it ends, and what a kill leaves."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass

import pytest

from behemoth import LocalTickstore
from behemoth.cli import app
from tests.cli.conftest import TABLE
from tests.feeds.test_import import HEADER, csv, row

DAYS = [row(1440 * day + minute) for day in range(5) for minute in range(3)]


@pytest.fixture
def file(tmp_path):
    """Five days in a file."""
    path = tmp_path / "candles.csv.gz"
    path.write_bytes(gzip.compress(csv(*DAYS)))
    return path


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def behemoth(monkeypatch, capsys):
    """Runs a command in this process, from the words that are typed to the exit code."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["behemoth", *words])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main takes it over
        with pytest.raises(SystemExit) as ended:
            app.main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def imported(behemoth, tmp_path):
    """Imports with the preset of the test's files."""
    return lambda *words: behemoth(*command(tmp_path, *words), "--preset", "coinbase")


def command(tmp_path, *words):
    """What a user types."""
    files = map(str, words)
    return ["import", "candles", "--symbol", "BTC-USD", "--db", str(tmp_path / "db"), *files]


def test_an_import_says_what_it_did(imported, tmp_path, file):
    """For people; for machines; and a second time there is nothing to do."""
    first = imported(file)
    assert (first.returncode, first.stderr) == (0, "")
    words = " ".join(first.stdout.split())
    assert words.startswith(f"{file}: BTC-USD, 2019-10-31 to 2019-11-04, in {tmp_path / 'db'}")
    assert "candles 15 days 5 days already there 0 days written 5" in words
    again = imported(file)
    assert (again.returncode, again.stderr) == (0, "")
    assert "it was imported already; nothing was changed" in again.stdout
    told = json.loads(imported(file, "--json").stdout)["files"]
    assert [(each["candles"], each["days_written"]) for each in told] == [(15, 0)]
    with LocalTickstore(tmp_path / "db" / TABLE) as store:
        assert (len(store.select("BTC-USD")), store.token[:2]) == (15, "1-")


def test_columns_are_named_and_the_table_follows_the_granularity(behemoth, tmp_path):
    path = tmp_path / "hours.csv"
    path.write_text("2019-10-31T01:00,2,4,1,3,5,6\n")
    columns = "time=1,open=2,high=3,low=4,close=5,volume=6,trades=7"
    words = ["--columns", columns, "--time-unit", "iso", "--granularity", "3600"]
    done = behemoth(*command(tmp_path, path, *words, "--source", "a friend"))
    assert done.returncode == 0, done.stderr
    with LocalTickstore(tmp_path / "db" / "COINBASE_PRO_ONE_HOUR_BINS") as store:
        assert store.select("BTC-USD").to_numpy().tolist() == [[1, 4, 2, 3, 5, 6]]
        assert store.log()["source"].tolist() == ["a friend"]
    words = ["--columns", columns, "--time-unit", "iso", "--granularity", "1800", "--table", "X"]
    assert behemoth(*command(tmp_path, path, *words)).returncode == 0


def test_one_refused_file_does_not_keep_the_others_out(imported, tmp_path, file):
    """Each is refused in a line; exit code 1."""
    bad = tmp_path / "bad.csv"
    bad.write_bytes(csv(row(0), row(1, "x", 1, 1, 1, 1)))
    done = imported(bad, tmp_path / "none.csv", tmp_path, file, "--json")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3
    told = json.loads(done.stdout)["files"]
    assert f"{bad}: line 3, column 2 (low): 'x' is not a number; 1 row is bad" in told[0]["refused"]
    assert "there is no file" in told[1]["refused"]
    assert "is a folder" in told[2]["refused"]
    assert told[3]["candles"] == 15


def test_bad_rows_that_were_left_out_are_shown(imported, tmp_path):
    """The first ten, how many more, and exit code 1."""
    path = tmp_path / "bad.csv"
    path.write_bytes(csv(row(0), *["\x1b[31m,x"] * 12))
    done = imported(path, "--skip-bad")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 11
    assert (
        lines[0]
        == f"behemoth: {path}: left out: line 3, column 3 (high): the row has 2 cells, not 6"
    )
    assert lines[10] == f"behemoth: {path}: and 2 more"
    assert "bad rows, left out 12" in " ".join(done.stdout.split())


def test_a_conflict_names_the_switch(imported, file):
    assert imported(file, "--source", "a friend").returncode == 0
    file.write_bytes(csv(*(f"{line}7" for line in DAYS)))
    refused = imported(file)
    assert refused.returncode == 1
    assert "2019-10-31 from a friend; 2019-11-01 from a friend" in refused.stderr
    assert "--supersede" in refused.stderr
    done = imported(file, "--supersede")
    assert (done.returncode, "days superseded 5" in " ".join(done.stdout.split())) == (0, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say how the file is laid out"),
        (["--preset", "kraken"], "presets are coinbase, binance, bitfinex"),
        (["--columns", "time"], "columns look like time=ts"),
        (["--preset", "coinbase", "--granularity", "1800"], "60, 300, 900"),
        (["--preset", "coinbase", "--granularity", "61", "--table", "X"], "divide a day"),
        (["--preset", "coinbase", "--known-from", "ever"], "day-end"),
        (["--preset", "coinbase", "--symbol", "\x00"], "control character"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(behemoth, tmp_path, file, words, message):
    """And no file is looked at."""
    done = behemoth(*command(tmp_path, file, *words))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "db").exists()


def test_a_terminal_sees_a_bar(tmp_path, file):
    """Of the file's bytes; it is gone in the end. Nothing of it goes elsewhere."""
    person, terminal = pty.openpty()
    words = [sys.executable, "-m", "behemoth", *command(tmp_path, file, "--preset", "coinbase")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=terminal) as process:
        said = process.stdout.read()
    os.close(terminal)
    shown = os.read(person, 100_000).decode()
    os.close(person)
    assert process.returncode == 0
    assert b"candles                 15" in said
    assert "candles.csv.gz" in shown
    assert "5 of 5 days" in shown


def test_a_kill_in_the_middle_of_a_file_leaves_nothing(imported, tmp_path):
    """It waits for the rest of a pipe when it is killed; the same command then does it all."""
    pipe = tmp_path / "candles.csv"
    os.mkfifo(pipe)
    words = [sys.executable, "-m", "behemoth", *command(tmp_path, pipe, "--preset", "coinbase")]
    lines = csv(*(row(minute) for minute in range(100_000)))
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        writing = os.open(pipe, os.O_WRONLY)
        for start in range(0, len(lines), 4096):  # more than a pipe holds: much has been read then
            os.write(writing, lines[start : start + 4096])
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        os.close(writing)
    assert not (tmp_path / "db").exists()
    pipe.unlink()
    pipe.write_bytes(lines)
    assert imported(pipe).returncode == 0
    with LocalTickstore(tmp_path / "db" / TABLE) as store:
        assert len(store.select("BTC-USD")) == 100_000


STOPS = """
import os, sys
from behemoth import LocalTickstore
from behemoth.feeds import import_candles

def stop(progress):
    if progress.step == "storing" and progress.done == int(sys.argv[3]):
        print("here", flush=True)
        sys.stdin.read()

with LocalTickstore(sys.argv[1]) as store:
    import_candles(store, sys.argv[2], "BTC-USD", preset="coinbase", on_progress=stop)
"""


@pytest.mark.parametrize("day", [0, 3, 5])
def test_a_kill_while_days_are_stored_leaves_the_state_before(imported, tmp_path, file, day):
    """Before the first day, after the third, after the last; importing again completes it."""
    table = tmp_path / "db" / TABLE
    small = tmp_path / "small.csv"
    small.write_text(f"{HEADER}\n{row(0, 9, 9, 9, 9, 9)}\n")
    assert imported(small, "--source", "file:candles.csv.gz").returncode == 0
    with LocalTickstore(table) as store:
        token = store.token
    words = [sys.executable, "-c", STOPS, str(table), str(file), str(day)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    with LocalTickstore(table) as store:
        assert store.token == token
        assert store.select("BTC-USD").to_numpy().tolist() == [[9, 9, 9, 9, 9]]
        assert set(store.verify()["problem"]) <= {"leftover"}
    assert imported(file).returncode == 0
    with LocalTickstore(table) as store:
        assert len(store.select("BTC-USD")) == 15


def test_ctrl_c_is_one_line(tmp_path):
    """That says that the file has changed nothing."""
    pipe = tmp_path / "candles.csv"
    os.mkfifo(pipe)
    words = [sys.executable, "-m", "behemoth", *command(tmp_path, pipe, "--preset", "coinbase")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        writing = os.open(pipe, os.O_WRONLY)
        os.write(writing, csv(*(row(minute) for minute in range(3_000))))
        process.send_signal(signal.SIGINT)
        os.close(writing)  # it may be on its way to read, and would then wait, signal or not
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == (
        "behemoth: stopped; nothing is lost; a file that was not done has changed nothing, the "
        "same command goes on from there\n"
    )
    assert not (tmp_path / "db").exists()
