"""The commands that look after a table."""

from __future__ import annotations

import json
import shutil
from datetime import date

import pytest

from behemoth import BiTimestamp, LocalTickstore
from behemoth.layout import encode_name
from tests.cli.conftest import TABLE
from tests.cli.running import behemoth
from tests.cli.test_read import run
from tests.tickstore.test_verbs import bars
from tests.tickstore.test_verify import flip_time

SPLAY = "2019/10/31/BTC-USD_0000.h5"


def test_log_shows_who_when_and_why(db):
    """The newest last; of one symbol; as JSON."""
    with LocalTickstore(db / TABLE) as store:
        at = BiTimestamp(date(2019, 11, 2))
        store.insert("ETH-USD", at, bars(1.0), message="a correction", source="by hand")
    text = run(db, "log")
    assert "a correction; from by hand" in text
    assert "1 insert, 1 rows" in text
    rows = json.loads(run(db, "log", "ETH-USD", "--json"))
    assert [row["commit"] for row in rows] == [3, 4]
    assert rows[-1]["message"] == "a correction"
    assert len(json.loads(run(db, "log", "-n", "1", "--json"))) == 1
    wrong = behemoth("log", "NOBODY", "--db", str(db))
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)


def test_log_does_nothing_to_a_terminal(db):
    """What others wrote is shown escaped, and is no markup."""
    with LocalTickstore(db / TABLE) as store:
        at = BiTimestamp(date(2019, 11, 2))
        store.insert("E", at, bars(1.0), message="a \x1b[2J [/b]", source="\u202eb\n")
    assert r"a \x1b[2J [/b]; from \u202eb\n" in run(db, "log")
    assert json.loads(run(db, "log", "--json"))[-1]["message"] == "a \x1b[2J [/b]"


def test_verify_says_that_a_table_is_sound(db):
    """Exit code 0."""
    assert run(db, "verify") == "3 splays checked: sound\n"
    facts = json.loads(run(db, "verify", "--json"))
    assert facts == {"sound": True, "splays": 3, "findings": []}


def test_verify_names_damage_and_says_what_to_do(db):
    """Exit code 1."""
    flip_time(db / TABLE / SPLAY)
    found = behemoth("verify", "--repair", "--db", str(db))
    assert found.returncode == 1
    assert f"damaged: {SPLAY}: " in found.stdout
    assert "restore the file from a copy" in found.stdout
    assert found.stdout.endswith("3 splays checked, 1 finding: NOT sound\n")
    facts = json.loads(behemoth("verify", "--json", "--db", str(db)).stdout)
    assert (facts["sound"], facts["findings"][0]["date"]) == (False, "2019-10-31")


def test_verify_repairs_what_a_crash_has_left(db):
    """Nothing that was acknowledged is touched, so the exit code is 0 before and after."""
    shutil.copy(db / TABLE / SPLAY, db / TABLE / SPLAY.replace("0000", "0005"))
    assert "orphan: 2019/10/31/BTC-USD_0005.h5" in run(db, "verify")
    assert "repaired: orphan: 2019/10/31/BTC-USD_0005.h5" in run(db, "verify", "--repair")
    assert run(db, "verify") == "3 splays checked: sound\n"


def test_a_damaged_log_leads_to_a_new_table(db):
    """From verify to reindex --into, which says what it cannot know."""
    for folder in ("log", "index"):
        shutil.rmtree(db / TABLE / folder, ignore_errors=True)
    found = behemoth("verify", "--db", str(db))
    assert found.returncode == 1
    assert (
        "log: restore the entry from a copy; or make a new table out of what is left: "
        "behemoth reindex --into FOLDER" in found.stdout
    )
    new = db / "RECOVERED"
    made = behemoth("reindex", "--into", str(new), "--db", str(db))
    assert made.returncode == 1
    assert "unknown: deletes" in made.stdout
    assert run(db, "symbols", "--table", "RECOVERED") == "BTC-USD\nETH-USD\n"
    assert "unknown in 1-" in run(db, "log", "--table", "RECOVERED")
    told = json.loads(run(db, "log", "--json", "--table", "RECOVERED"))
    assert [f"unknown: {line}" for line in told[0]["unknown"]] == made.stdout.splitlines()[:-1]
    again = behemoth("reindex", "--into", str(new), "--db", str(db))
    assert (again.returncode, "not empty" in again.stderr) == (1, True)


def test_what_copy_and_reindex_made_under_any_name_is_a_table(db, tmp_path):
    """``--table`` takes the name of a folder that is there, else of the table that has it."""
    for words in (["copy", str(tmp_path / "lower")], ["reindex", "--into", str(tmp_path / "new")]):
        behemoth(*words, "--db", str(db))
    assert run(tmp_path, "symbols", "--table", "lower") == "BTC-USD\nETH-USD\n"
    with LocalTickstore(tmp_path / encode_name("mine")) as store:
        store.insert("A", BiTimestamp(date(2019, 10, 31)), bars(1.0))
    assert run(tmp_path, "symbols", "--table", "mine") == "A\n"
    for name in ("..", f"../{tmp_path.name}/lower", "LOWER"):
        wrong = behemoth("symbols", "--table", name, "--db", str(tmp_path))
        assert (wrong.returncode, "no table" in wrong.stderr) == (1, True), name


def test_verify_tells_whole_versions_to_machines(db):
    """Also beside a finding that has none."""
    flip_time(db / TABLE / SPLAY)
    (db / TABLE / "mine.txt").write_text("no file of a table")
    facts = json.loads(behemoth("verify", "--json", "--db", str(db)).stdout)
    found = {row["problem"]: repr(row["version"]) for row in facts["findings"]}
    assert found == {"damaged": "0", "stranger": "None"}


def test_reindex_makes_the_index_anew(db):
    """Nothing is unknown."""
    assert run(db, "reindex") == "the index equals the log\n"
    assert json.loads(run(db, "reindex", "--json")) == {"unknown": []}


def test_copy_copies_a_table_at_a_token(db, tmp_path):
    """And follows what came since."""
    first, *_, last = [row["token"] for row in json.loads(run(db, "log", "--json"))]
    target = tmp_path / "backup" / "TABLE"
    assert run(db, "copy", str(target), "--at", first) == f"{target} is the table at {first}\n"
    assert json.loads(run(db, "copy", str(target), "--json"))["token"] == last
    wrong = behemoth("copy", str(target), "--at", "1-00000000", "--db", str(db))
    assert (wrong.returncode, "another branch" in wrong.stderr) == (1, True)


@pytest.mark.parametrize("command", ["log", "verify", "reindex", "copy x"])
def test_a_table_that_is_not_there_is_one_clear_line(tmp_path, command):
    """Nothing is made by asking."""
    result = behemoth(*command.split(), "--db", str(tmp_path / "db"), cwd=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "no table" in result.stderr
    assert list(tmp_path.iterdir()) == []
