"""The commands that show what changed between two states, and what was believed when."""

from __future__ import annotations

import io
import json
from datetime import date

import pandas as pd
from rich.console import Console
from rich.table import Table

from behemoth import BiTimestamp, LocalTickstore
from behemoth.cli.history import folded
from tests.cli.running import behemoth
from tests.cli.test_read import run

BEFORE = "2020-01-01T00:30"


def test_diff_shows_both_values_and_a_summary(db):
    """Of a changed tick only what changed; exit code 0 also where there are differences."""
    shown = run(db, "diff", "BTC-USD", BEFORE)
    assert "price 1.1 -> 0.30000000000000004" in shown
    assert shown.endswith("1 changed, 0 added, 0 removed on 1 day\n")
    assert "\x1b" not in shown
    assert run(db, "diff", "BTC-USD", BEFORE, BEFORE) == "0 changed, 0 added, 0 removed on 0 days\n"


def test_diff_is_exact_for_machines(db):
    """One record for each tick; null where there is none; all of them unless limited."""
    (row,) = json.loads(run(db, "diff", "BTC-USD", BEFORE, "--json"))
    assert row == {
        "time": "2019-10-31T00:00:00+00:00",
        "date": "2019-10-31",
        "change": "changed",
        "a": {"price": 1.1},
        "b": {"price": 0.1 + 0.2},
    }
    added = json.loads(run(db, "diff", "ETH-USD", BEFORE, "--json"))
    assert (len(added), added[0]["a"], added[7]["b"]) == (100, None, {"price": 7.0})
    assert len(json.loads(run(db, "diff", "ETH-USD", BEFORE, "--json", "-n", "3"))) == 3
    assert "the first 20 of 100 are shown" in run(db, "diff", "ETH-USD", BEFORE)


def test_vintages_show_each_belief(db):
    """Since when and until when; for machines exact."""
    shown = run(db, "vintages", "BTC-USD", "2019-10-31T00:00")
    assert "1.1" in shown
    assert "now" in shown
    rows = json.loads(run(db, "vintages", "BTC-USD", "2019-10-31T00:00", "--json"))
    assert [row["price"] for row in rows] == [1.1, 0.1 + 0.2]
    assert rows[0]["end_time"] == rows[1]["start_time"]


def test_nothing_that_was_believed_is_one_line(db):
    """Not the head of an empty table; nothing at all for a symbol list, and null for machines."""
    never = behemoth("vintages", "BTC-USD", "2012-01-01", "--columns", "price", "--db", str(db))
    assert (never.returncode, never.stdout) == (0, "")
    assert never.stderr == "no tick of BTC-USD was ever known at 2012-01-01\n"
    assert run(db, "symbols", "--as-of", "2012-01-01") == ""
    none = behemoth("tag", "--db", str(db))
    assert (none.returncode, none.stdout) == (0, "")
    assert "behemoth tag NAME" in none.stderr


def test_a_narrow_terminal_cuts_nothing_off():
    """A time that does not fit goes on in the next line."""
    shown = Table("start (UTC)", "end, not included", "candles", "reason")
    shown.add_row("2019-10-18T01:33", "2019-10-18T01:34", "1", "no trade")
    console = Console(width=40, file=io.StringIO())
    console.print(folded(shown))
    text = console.file.getvalue()
    cells = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert "".join(cells) == "2019-10-18T01:33"
    assert "…" not in text


def test_what_is_not_there_is_one_line(db):
    """An unknown symbol is not without differences."""
    for words in (["diff", "NOPE", BEFORE], ["vintages", "NOPE", "2019-10-31"]):
        wrong = behemoth(*words, "--db", str(db))
        assert (wrong.returncode, wrong.stdout) == (1, "")
        assert "no symbol 'NOPE'" in wrong.stderr


def test_columns_may_have_the_names_of_what_is_said_of_them(tmp_path):
    """Nothing of a difference or a belief takes a column's value for its own."""
    index = pd.DatetimeIndex(["2019-10-31"], name="time")
    names = ["change", "date", "end_time", "kind", "commit", "version", "position"]
    with LocalTickstore(tmp_path / "BARS") as table:
        for value in (41, 42):
            day = BiTimestamp(date(2019, 10, 31))
            table.insert("A", day, pd.DataFrame({name: [value] for name in names}, index))
            first = table.log()["token"].iloc[0]
    where = ("--db", str(tmp_path), "--table", "BARS")
    shown = behemoth("diff", "A", first, *where)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert {"41", "42"} <= set(shown.stdout.replace(",", " ").split())
    refused = behemoth("vintages", "A", "2019-10-31", *where)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--column" in refused.stderr
    shown = behemoth("vintages", "A", "2019-10-31", "--column", "change", *where)
    assert {"41", "42"} <= set(shown.stdout.replace("│", " ").split())
