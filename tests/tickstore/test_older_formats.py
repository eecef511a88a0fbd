"""A table that any version wrote gives the same answers for ever, and can be written on."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from behemoth import BiTimestamp, LocalTickstore
from tests.clock import Clock
from tests.tickstore.test_verbs import AT, bars, prices

STORED = Path(__file__).parents[1] / "fixtures"
TOKENS = {
    "format-1": "5-e9ea54d7",
    "format-2": "5-1da3074d",
    "format-3": "6-651c317d",
    "format-4": "6-b9057163",
}
ANSWERS = {
    "format-1": {
        datetime(2019, 12, 31): [],
        datetime(2020, 1, 1, 0, 0, 0): [1.0, 2.0],
        datetime(2020, 1, 1, 0, 0, 1): [1.0, 2.0, 3.0],
        datetime(2020, 1, 1, 0, 0, 2): [4.0, 5.0, 3.0],
        datetime(2020, 1, 1, 0, 0, 3): [4.0, 5.0],
        datetime(2020, 1, 1, 0, 0, 4): [4.0, 5.0, 6.0],
    },
    "format-2": {
        datetime(2019, 12, 31): [],
        datetime(2020, 1, 1, 0, 0, 0): [1.0, 2.0],
        datetime(2020, 1, 1, 0, 0, 2): [1.0, 2.0, 3.0],
        datetime(2020, 1, 1, 0, 0, 3): [4.0, 5.0],
        datetime(2020, 1, 1, 0, 0, 4): [4.0, 5.0, 3.0],
    },
    "format-3": {
        datetime(2019, 12, 31): [],
        datetime(2020, 1, 1, 0, 0, 0): [1.0, 2.0],
        datetime(2020, 1, 1, 0, 0, 1): [1.0, 2.0, 3.0],
        datetime(2020, 1, 1, 0, 0, 1, 500_000): [4.0, 5.0, 3.0],
        datetime(2020, 1, 1, 0, 0, 3): [4.0, 5.0],
        datetime(2020, 1, 1, 0, 0, 4): [4.0, 5.0, 3.0],
    },
}
ANSWERS["format-4"] = ANSWERS["format-3"]
OUTCOMES = {"format-4": ["complete", "failed"]}


@pytest.fixture(params=sorted(TOKENS))
def version(request):
    """Which format."""
    return request.param


@pytest.fixture(params=["with its checkpoint", "from its log"])
def table(request, tmp_path, version):
    """A copy of the stored table."""
    copy = tmp_path / "TABLE"
    shutil.copytree(STORED / version / "TABLE", copy)
    if request.param == "from its log":
        shutil.rmtree(copy / "index")
    return copy


def answers(tickstore, version):
    """What it says as of each time."""
    return {time: prices(tickstore.select("BTC-USD", as_of_time=time)) for time in ANSWERS[version]}


def test_an_older_table_gives_its_answers(table, version):
    """Revisions, a delete, backdated knowledge, observations, checkpoint and token."""
    tickstore = LocalTickstore(table, mode="r")
    assert tickstore.token == TOKENS[version]
    assert answers(tickstore, version) == ANSWERS[version]
    assert tickstore.verify().empty
    seen, *later = tickstore.observations("BTC-USD")
    assert [seen.outcome, *(one.outcome for one in later)] == OUTCOMES.get(version, ["complete"])
    assert (seen.what, seen.rows, seen.end) == ("bars", 1, datetime(2019, 11, 2, tzinfo=UTC))
    assert tickstore.log()["who"].tolist() == ["quant@desk"] * int(TOKENS[version][0])


def test_an_older_table_can_be_written_on(table, version):
    """New commits follow the old ones; what was known stays."""
    clock = Clock()
    clock.tick(60)
    tickstore = LocalTickstore(table, clock=clock)
    newest = list(ANSWERS[version].values())[-1]
    tickstore.delete("BTC-USD", AT)
    tickstore.insert("BTC-USD", BiTimestamp(date(2019, 11, 2)), bars(7.0, start="2019-11-02"))
    tickstore.undelete("BTC-USD", AT)
    tickstore.flush()
    for opened in (tickstore, LocalTickstore(table, clock=clock)):
        assert answers(opened, version) == ANSWERS[version]
        assert prices(opened.select("BTC-USD")) == [*newest, 7.0]
        assert opened.symbols() == ["BTC-USD"]
        assert len(opened.observations("BTC-USD")) == len(OUTCOMES.get(version, ["complete"]))
    assert tickstore.verify().empty
