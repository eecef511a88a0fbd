"""``behemoth gaps``: what is missing and why, for people, machines and cron."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from typer.testing import CliRunner

from behemoth import BiTimestamp, LocalTickstore
from behemoth.cli.app import app
from tests.cli.conftest import TABLE
from tests.cli.test_read import behemoth
from tests.clock import Clock
from tests.tickstore.test_coverage import D01, D29, D30, D31, A, asked, download, minutes

WHOLE = [str(D29), str(D29)]
"""A range that lacks nothing but trades."""


@pytest.fixture
def covered(tmp_path):
    """Complete, failed, stored by hand, and the first half of a day; in another state before."""
    clock = Clock(datetime(2020, 2, 1, tzinfo=UTC))
    with LocalTickstore(tmp_path / TABLE, clock=clock) as store:
        download(store, D29, [n for n in range(1440) if n not in (7, 100, 101)])
        clock.tick(3600)
        store.observe([asked(D30, "failed")])
        store.insert(A, BiTimestamp(D31), minutes(D31, range(1430)))
        download(store, D01, range(720), "partial", hours=(0, 12))
    return tmp_path


def gaps(db, *words, code=1):
    """Run the command in this process, and give what it prints."""
    words = ["gaps", A, *words, "--db", str(db)]
    result = CliRunner().invoke(app, words, catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_summary_and_the_spans(covered):
    """Days by state, candles by reason, then each span, the order of time."""
    shown = gaps(covered).splitlines()
    assert shown[:3] == [
        "BTC-USD, 2019-10-29 to 2019-11-01 (UTC), 4 days",
        "days: 1 complete, 1 partial, 1 stored, 1 failed",
        "missing candles of 60 s: 3 no trade, 10 unknown, 720 not fetched, 1,440 failed",
    ]
    rows = [line.split("│") for line in shown if line.startswith("│")]
    assert [[field.strip() for field in row[1:-1]] for row in rows] == [
        ["2019-10-29T00:07", "2019-10-29T00:08", "1", "no trade"],
        ["2019-10-29T01:40", "2019-10-29T01:42", "2", "no trade"],
        ["2019-10-30T00:00", "2019-10-31T00:00", "1,440", "failed"],
        ["2019-10-31T23:50", "2019-11-01T00:00", "10", "unknown"],
        ["2019-11-01T12:00", "2019-11-02T00:00", "720", "not fetched"],
    ]


def test_the_exit_code_is_for_cron(covered):
    """0 where only trades are missing, or what nobody asked for; 1 where something is to fetch."""
    gaps(covered, *WHOLE, code=0)
    gaps(covered, str(D31), str(D31), code=0)  # stored by hand
    gaps(covered, str(D30), str(D30), code=1)  # failed
    gaps(covered, str(D01), str(D01), code=1)  # the rest was not fetched
    gaps(covered, "2019-10-28", str(D29), code=1)  # never asked
    gaps(covered, "--reason", "no trade", code=1)  # what is shown does not matter
    with LocalTickstore(covered / TABLE) as store:
        store.delete(A, BiTimestamp(D29))
    assert "1,440 deleted" in gaps(covered, *WHOLE, code=0)


def test_what_is_shown_can_be_chosen(covered):
    """By reason, the longest first, at most so many; what is left out is said."""
    shown = gaps(covered, "--longest", "-n", "2")
    assert shown.index("│ failed") < shown.index("│ not fetched")
    assert "│ no trade" not in shown
    assert "2 of 5 are shown; see --limit" in shown
    only = gaps(covered, "--reason", "no trade", "--reason", "unknown")
    assert (only.count("│ no trade"), only.count("│ unknown")) == (2, 1)
    assert "│ failed" not in only
    hours = gaps(covered, *WHOLE, "--granularity", "3600", code=0)
    assert "missing: nothing" in hours


def test_json_has_every_span_and_the_sums(covered):
    """For machines: whole, with the granularity that was taken."""
    told = json.loads(gaps(covered, "--json"))
    spans = told.pop("gaps")
    assert told == {
        "symbol": A,
        "first_day": "2019-10-29",
        "last_day": "2019-11-01",
        "granularity": 60,
        "days": {"complete": 1, "partial": 1, "stored": 1, "failed": 1},
        "missing_bins": {"no trade": 3, "unknown": 10, "not fetched": 720, "failed": 1440},
        "missing_seconds": {"no trade": 180, "unknown": 600, "not fetched": 43200, "failed": 86400},
    }
    assert len(spans) == 5
    assert spans[0] == {
        "start": "2019-10-29T00:07:00+00:00",
        "end": "2019-10-29T00:08:00+00:00",
        "bins": 1,
        "reason": "no trade",
    }
    days = json.loads(gaps(covered, "--json", "--days", "--limit", "2"))["coverage"]
    assert [(day["date"], day["state"]) for day in days] == [
        ("2019-10-29", "complete"), ("2019-10-30", "failed")
    ]  # fmt: skip
    assert days[1]["version"] is None
    assert days[1]["failures"] == 1


def test_csv_and_the_days(covered):
    """A table of spans, or of days with their states."""
    rows = list(csv.DictReader(gaps(covered, "--csv").splitlines()))
    assert [row["bins"] for row in rows] == ["1", "2", "1440", "10", "720"]
    rows = list(csv.DictReader(gaps(covered, "--csv", "--days").splitlines()))
    assert [row["state"] for row in rows] == ["complete", "failed", "stored", "partial"]
    shown = gaps(covered, "--days")
    assert "https://exchange.example" in shown
    assert "│ 2019-10-31 │ stored" in shown


def test_as_of_an_earlier_time_less_is_known(covered):
    """Then only the first day had been asked for; at a token and at a time."""
    told = json.loads(gaps(covered, "--json", "--as-of", "2020-02-01T00:30", code=0))
    assert told["days"] == {"complete": 1}
    with LocalTickstore(covered / TABLE, mode="r") as store:
        token = store.log()["token"].iloc[0]
    told = json.loads(gaps(covered, "2019-10-29", "2019-10-30", "--json", "--as-of", token))
    assert told["days"] == {"complete": 1, "unasked": 1}
    assert told["missing_bins"] == {"no trade": 3, "not fetched": 1440}


def test_trades_are_missing_by_the_day(tmp_path):
    """No candles to count: days, and how long."""
    with LocalTickstore(tmp_path / TABLE) as store:
        download(store, D29, range(3), what="trades")
        download(store, D31, [], what="trades")
        store.observe([asked(D01, hours=(0, 12), rows=0, what="trades")])
    shown = gaps(tmp_path)
    assert "missing: 1.5 days no trade, 1.5 days not fetched" in shown
    assert json.loads(gaps(tmp_path, "--json"))["missing_bins"] == {}


def test_the_calendar_is_a_page_of_its_own(covered):
    """With plotly.js in it, so that it needs no network; only as a page."""
    pytest.importorskip("plotly", reason="the notebooks extra is not installed: no plotly")
    page = covered / "calendar.html"
    gaps(covered, "--plot", str(page))
    text = page.read_text(encoding="utf-8")
    assert "BTC-USD: coverage by UTC day" in text
    assert "2019-10-30: failed" in text
    refused = behemoth("gaps", A, "--plot", "calendar.png", "--db", str(covered))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "is not .html" in refused.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["NOPE"], 1, "no symbol 'NOPE'"),
        ([A, "2019-11-01", "2019-10-01"], 2, "before start"),
        ([A, "yesterday"], 2, "looks like 2019-10-31"),
        ([A, "--reason", "none"], 2, "not fetched"),
        ([A, "--granularity", "7"], 2, "divide a day"),
        ([A, "--as-of", ""], 2, "leave it out"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(covered, words, code, message):
    """1 = not there, 2 = misuse; nothing on stdout."""
    result = behemoth("gaps", *words, "--db", str(covered))
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_days_before_anything_was_known_are_said_to_be_so(covered):
    """An open range that lies behind everything holds no day."""
    later = f"{D01 + timedelta(days=30)}"
    assert "nothing was asked for" in gaps(covered, later, code=0)
    assert json.loads(gaps(covered, later, "--json", code=0))["first_day"] is None


def test_a_range_of_centuries_is_added_up(covered):
    """Longer than int64 has nanoseconds."""
    days = (D29 - date(1700, 1, 1)).days
    words = ["1700-01-01", str(D29), "--json", "--longest"]
    found = json.loads(gaps(covered, *words, code=1))
    assert found["missing_bins"] == {"no trade": 3, "not fetched": days * 1440}
    assert found["missing_seconds"]["not fetched"] == days * 86400
    assert [span["bins"] for span in found["gaps"]] == [days * 1440, 2, 1]
