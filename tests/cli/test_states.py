"""``behemoth tag``, ``replay`` and ``--as-of`` with what they name."""

from __future__ import annotations

import json
from datetime import date

import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, receipt
from tests.cli.conftest import TABLE
from tests.cli.running import behemoth

DAY = BiTimestamp(date(2019, 10, 31))


def run(*words):
    """Run the real command."""
    return behemoth(*map(str, words))


def corrected(db):
    """Correct the day, as somebody else would."""
    with LocalTickstore(db / TABLE) as tickstore:
        frame = tickstore.select("BTC-USD")
        tickstore.insert("BTC-USD", DAY, frame * 2)


def test_a_tag_names_a_state_for_ever(db):
    """It is told, listed, and asked for."""
    before = run("select", "BTC-USD", "--csv", "--db", db)
    made = run("tag", "paper-v1", "-m", "as submitted", "--db", db)
    assert made.returncode == 0
    assert made.stdout.strip() == LocalTickstore(db / TABLE, mode="r").token
    corrected(db)
    assert run("select", "BTC-USD", "--csv", "--db", db).stdout != before.stdout
    for state in ("paper-v1", made.stdout.strip()):
        assert (
            run("select", "BTC-USD", "--csv", "--as-of", state, "--db", db).stdout == before.stdout
        )
        assert (
            run("symbols", "--as-of", state, "--db", db).stdout == run("symbols", "--db", db).stdout
        )
    listed = run("tag", "--db", db).stdout
    assert "paper-v1" in listed
    assert "as submitted" in listed
    (row,) = json.loads(run("tag", "--json", "--db", db).stdout)
    assert (row["tag"], row["token"]) == ("paper-v1", made.stdout.strip())
    again = run("tag", "paper-v1", "--db", db)
    assert again.returncode == 1
    assert "never moves" in again.stderr
    earlier = json.loads(
        run("tag", "second", "--at", made.stdout.strip(), "--json", "--db", db).stdout
    )
    assert earlier == {"tag": "second", "token": made.stdout.strip()}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tag", "2019-10-31"], 2, "could be mistaken"),
        (["tag", "-m", "why"], 2, "which name?"),
        (["tag", "v1", "--at", ""], 2, "a state is a token"),
        (["select", "BTC-USD", "-o", "nowhere/x.csv"], 1, "there is no folder nowhere"),
        (["tag", "v1", "--at", "nope"], 1, "no tag 'nope'"),
        (["tag", "v1", "--at", "9-00000000"], 1, "commits so far"),
        (["tag", "v1", "--table", "NOPE"], 1, "no table 'NOPE'"),
        (["tag", "--table", "NOPE"], 1, "no table 'NOPE'"),
        (["select", "BTC-USD", "--as-of", "nope"], 1, "no tag 'nope'"),
        (["replay", "nonsense"], 2, "no receipt"),
        (["replay", "behemoth:1-00000000?store=&symbol=A&rows=0&digest=" + 32 * "0"], 1, "1-"),
    ],
)
def test_what_is_no_state_is_one_line(db, words, code, said):
    """And an exit code that says whose fault it is."""
    ended = run(*words, "--db", db)
    assert ended.returncode == code
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (db / "NOPE").exists()


def test_a_select_prints_the_line_that_replays_it(db):
    """Whatever was corrected meanwhile."""
    shown = run("select", "BTC-USD", "--tz", "America/New_York", "--db", db).stdout
    line = shown.splitlines()[-1]
    before = run("replay", line, "--csv", "--db", db)
    assert before.returncode == 0
    corrected(db)
    assert run("replay", line, "--csv", "--db", db).stdout == before.stdout
    assert run("replay", line, "--db", db).stdout == shown
    assert len(json.loads(run("replay", line, "--json", "--db", db).stdout)) == receipt(line).rows
    frame = LocalTickstore(db / TABLE, mode="r").replay(line)
    assert isinstance(frame.index.dtype, pd.DatetimeTZDtype)
    assert str(frame.index.dtype.tz) == "America/New_York"
