"""A table that an older version wrote gives the same answers for ever, and can be written on."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from behemoth import BiTimestamp, LocalTickstore
from tests.clock import Clock
from tests.tickstore.test_verbs import AT, bars, prices

STORED = Path(__file__).parents[1] / "fixtures" / "format-1" / "TABLE"
ANSWERS = {
    datetime(2019, 12, 31): [],
    datetime(2020, 1, 1, 0, 0, 0): [1.0, 2.0],
    datetime(2020, 1, 1, 0, 0, 1): [1.0, 2.0, 3.0],
    datetime(2020, 1, 1, 0, 0, 2): [4.0, 5.0, 3.0],
    datetime(2020, 1, 1, 0, 0, 3): [4.0, 5.0],
    datetime(2020, 1, 1, 0, 0, 4): [4.0, 5.0, 6.0],
}


@pytest.fixture(params=["with its checkpoint", "from its log"])
def table(request, tmp_path):
    """A copy of the stored table."""
    copy = tmp_path / "TABLE"
    shutil.copytree(STORED, copy)
    if request.param == "from its log":
        shutil.rmtree(copy / "index")
    return copy


def answers(tickstore):
    """What it says as of each time."""
    return {time: prices(tickstore.select("BTC-USD", as_of_time=time)) for time in ANSWERS}


def test_a_table_of_format_1_gives_its_answers(table):
    """Revisions, a delete, backdated knowledge, observations, checkpoint and token."""
    tickstore = LocalTickstore(table, mode="r")
    assert tickstore.token == "5-e9ea54d7"  # noqa: S105 - a state's name, not a secret
    assert answers(tickstore) == ANSWERS
    (seen,) = tickstore.observations("BTC-USD")
    assert (seen.what, seen.rows, seen.end) == ("bars", 1, datetime(2019, 11, 2, tzinfo=UTC))
    assert tickstore.log()["who"].tolist() == ["quant@desk"] * 5


def test_a_table_of_format_1_can_be_written_on(table):
    """New commits follow the old ones; what was known stays."""
    clock = Clock()
    clock.tick(60)
    tickstore = LocalTickstore(table, clock=clock)
    tickstore.delete("BTC-USD", AT)
    tickstore.insert("BTC-USD", BiTimestamp(date(2019, 11, 2)), bars(7.0, start="2019-11-02"))
    tickstore.undelete("BTC-USD", AT)
    tickstore.flush()
    for opened in (tickstore, LocalTickstore(table, clock=clock)):
        assert answers(opened) == ANSWERS
        assert prices(opened.select("BTC-USD")) == [4.0, 5.0, 6.0, 7.0]
        assert opened.symbols() == ["BTC-USD"]
        assert len(opened.observations("BTC-USD")) == 1
    assert tickstore.verify()["problem"].tolist() == []
