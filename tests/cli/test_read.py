"""The commands that read a table, and what every command promises."""

from __future__ import annotations

import csv
import json
from datetime import date

import pandas as pd
import pytest
from typer.testing import CliRunner

from behemoth import BiTimestamp, LocalTickstore, __version__
from behemoth.cli.app import COMMANDS, app
from tests.cli.conftest import TABLE
from tests.cli.running import behemoth
from tests.tickstore.test_verbs import bars


def run(db, *words):
    """Run a command that succeeds, and give what it prints."""
    result = CliRunner().invoke(app, [*words, "--db", str(db)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_symbols_lists_what_there_is(db):
    """One a line, or JSON."""
    assert run(db, "symbols") == "BTC-USD\nETH-USD\n"
    assert json.loads(run(db, "symbols", "--json")) == ["BTC-USD", "ETH-USD"]
    assert json.loads(run(db, "symbols", "--json", "--as-of", "2020-01-01T00:30")) == ["BTC-USD"]


def test_select_shows_ticks_as_of_a_time(db):
    """The corrected day before and after its correction, numbers exact in JSON and CSV."""
    after = json.loads(run(db, "select", "BTC-USD", "--json"))
    assert [row["price"] for row in after] == [0.1 + 0.2, 2.0]
    assert after[0]["time"] == "2019-10-31T00:00:00+00:00"
    before = json.loads(run(db, "select", "BTC-USD", "--json", "--as-of", "2020-01-01 00:30"))
    assert [row["price"] for row in before] == [1.1, 2.0]
    assert run(db, "select", "BTC-USD", "--csv").splitlines()[1].endswith("0.30000000000000004")
    assert "2 rows" in run(db, "select", "BTC-USD")
    assert "100 rows" in run(db, "select", "ETH-USD")
    assert "102 rows" in run(db, "select", "BTC-USD", "ETH-USD")


def test_select_does_nothing_to_a_terminal(db):
    """Control characters are escaped for eyes, and exact for machines."""
    with LocalTickstore(db / TABLE) as store:
        ticks = bars(1.0).assign(**{"note\x1b[1m": ["\x1b[2J\x07"]})
        store.insert("E", BiTimestamp(date(2019, 11, 2)), ticks)
    shown = run(db, "select", "E")
    assert r"note\x1b[1m" in shown
    assert r"\x1b[2J\x07" in shown
    assert "\x1b" not in shown
    assert "\x1b[2J\x07" in run(db, "select", "E", "--csv")
    assert json.loads(run(db, "select", "E", "--json"))[0]["note\x1b[1m"] == "\x1b[2J\x07"


def test_select_writes_a_file(db, tmp_path):
    """CSV by its suffix; another suffix is refused."""
    out = tmp_path / "out.csv"
    run(db, "select", "BTC-USD", "-o", str(out))
    with out.open(newline="") as file:
        assert [float(row["price"]) for row in csv.DictReader(file)] == [0.1 + 0.2, 2.0]
    refused = behemoth("select", "BTC-USD", "--db", str(db), "-o", str(tmp_path / "out.xls"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "neither .csv nor .parquet" in refused.stderr


def test_versions_lists_revisions(db):
    """A table for people, records for machines."""
    shown = run(db, "versions", "BTC-USD")
    assert "2019-10-31" in shown
    assert "now" in shown
    rows = json.loads(run(db, "versions", "BTC-USD", "--json"))
    assert [row["version"] for row in rows] == [0, 1]
    assert rows[0]["end_time"] == rows[1]["start_time"]
    assert json.loads(run(db, "versions", "BTC-USD", "--end", "2019-10-30", "--json")) == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["select", "NOPE"], 1, "no symbol 'NOPE'"),
        (["versions", "NOPE"], 1, "no symbol 'NOPE'"),
        (["select", "BTC-USD", "--start", "2019-11-01", "--end", "2019-10-01"], 2, "before start"),
        (["select", "BTC-USD", "--start", "never"], 2, "start is not a time"),
        (["select", "BTC-USD", "--as-of", "2999-01-01"], 2, "in the future"),
        (["versions", "BTC-USD", "--start", "31.10.2019"], 2, "looks like 2019-10-31"),
        (["select", "NOPE"], 1, "symbols lists those there are"),
        (["versions", "NOPE"], 1, "symbols lists those there are"),
        (["symbols", "--table", "OTHER"], 1, "no table 'OTHER'"),
        (["symbols", "--table", "OTHER"], 1, "--table is one of "),
        (["replay", "behemoth:14-ef4ae291?store=x"], 2, "'behemoth:14-ef4ae291?store=x'"),
        (["symbols", "--table", ""], 2, "name"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(db, words, code, message):
    """1 = not there, 2 = misuse; nothing on stdout, never a traceback."""
    result = behemoth(*words, "--db", str(db))
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_reading_makes_no_folder(tmp_path):
    """A wrong --db is told, not created."""
    result = behemoth("symbols", "--db", str(tmp_path / "nowhere"))
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_every_command_explains_itself_with_an_example():
    """Help for all, and a version."""
    runner = CliRunner()
    for name in COMMANDS:
        shown = runner.invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
        assert f"Example: behemoth {name}" in shown, name
    assert behemoth("--version").stdout == f"behemoth {__version__}\n"
    assert "download" in behemoth("--help").stdout


@pytest.mark.parametrize("words", [["select", "BTC-USD"], ["symbols"]])
def test_an_empty_as_of_is_not_the_newest(db, words):
    """An unset shell variable must not turn a pinned question into one of today."""
    result = behemoth(*words, "--as-of", "", "--db", str(db))
    assert (result.returncode, result.stdout) == (2, "")
    assert "leave it out" in result.stderr


def test_json_refuses_a_name_that_would_come_twice(tmp_path):
    """A column of ticks may be called as an index level is; one line says how to go without it."""
    index = pd.DatetimeIndex(["2019-10-31"], tz="UTC", name="time")
    ticks = pd.DataFrame({"symbol": ["x"], "start_time": [1.0], "price": [2.0]}, index=index)
    with LocalTickstore(tmp_path / TABLE) as store:
        store.insert("BTC-USD", BiTimestamp(date(2019, 10, 31)), ticks)
        store.insert("BTC-EUR", BiTimestamp(date(2019, 10, 31)), ticks)
    for words in (["select", "BTC-USD", "BTC-EUR"], ["vintages", "BTC-USD", "2019-10-31T00:00"]):
        result = behemoth(*words, "--json", "--db", str(tmp_path))
        assert (result.returncode, result.stdout) == (2, ""), result.stderr
        assert result.stderr.count("\n") == 1
        assert "--column" in result.stderr
    only = ["--columns", "price", "--json"]
    rows = json.loads(run(tmp_path, "select", "BTC-USD", "BTC-EUR", *only))
    assert [row["symbol"] for row in rows] == ["BTC-USD", "BTC-EUR"]
