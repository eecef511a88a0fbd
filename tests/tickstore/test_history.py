"""Diffs and vintages: what changed between two states, and what was believed when."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from itertools import pairwise
from random import Random

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, Tickstore
from behemoth.bitemporal import LATEST_AS_OF
from behemoth.errors import BadRequest, NotFound
from behemoth.stores import MemoryStore
from tests.clock import Clock
from tests.model import Model
from tests.tickstore.faulty import FaultyStore
from tests.tickstore.histories import DAY, SYMBOLS, note, random_steps, say

ON = BiTimestamp(DAY)


def frame(times, **columns):
    index = pd.DatetimeIndex(times, name="time", tz="UTC").as_unit("ns")
    return pd.DataFrame(columns, index=index)


HOURS = [f"2019-10-31 0{hour}:00" for hour in range(4)]


def ticks_known(model, symbol, commit, when):
    """By the model: the price of each (date, time, position)."""
    found = {}
    for day in {fact.date for fact in model.facts if fact.symbol == symbol}:
        said = [
            fact
            for fact in model.facts
            if (fact.symbol, fact.date) == (symbol, day)
            and fact.start <= when
            and fact.commit <= commit
        ]
        for time, price in sorted((said and said[-1].ticks) or (), key=lambda tick: tick[0]):
            place = 0
            while (day, time, place) in found:
                place += 1
            found[day, time, place] = price
    return found


@pytest.mark.parametrize("seed", range(12))
def test_any_history_differs_and_was_believed_as_the_model_says(seed):
    """Deletes, undeletes, backdated knowledge, ticks of one time, ticks outside of their date."""
    chance, clock, model = Random(seed), Clock(), Model()  # noqa: S311 - no secret
    table = MemoryTickstore(clock=clock)
    tokens = []
    for _ in range(14):
        clock.tick(1)
        steps = random_steps(chance, model, clock)
        note(model, say(table, clock, steps), steps)
        tokens.append(table.token)
    commits = {token: int(token.partition("-")[0]) for token in tokens}
    last = commits[tokens[-1]]
    instants = model.boundaries()
    moments = {token: (number, LATEST_AS_OF) for token, number in commits.items()}
    moments |= {when: (last, when) for when in instants}
    for symbol in SYMBOLS:
        for _ in range(25):
            a, b = chance.choices(list(moments), k=2)
            before, after = (ticks_known(model, symbol, *moments[state]) for state in (a, b))
            expected = [
                (time, day, before.get(key), after.get(key))
                for key in sorted(before.keys() | after.keys(), key=lambda k: (k[1], k[0], k[2]))
                for day, time, _ in [key]
                if before.get(key) != after.get(key)
            ]
            assert expected == rows_of(table.diff(symbol, a, b)), (symbol, a, b)
        known = {when: ticks_known(model, symbol, last, when) for when in instants}
        found = table.vintages(symbol, slice(None, None)).reset_index()
        keys = list(
            zip(
                found["date"].dt.date, found["time"].astype("int64"), found["position"], strict=True
            )
        )
        ever = {key for ticks in known.values() for key in ticks}
        assert ever == set(keys)
        for when, ticks in known.items():
            holds = (found["start_time"] <= when) & (when < found["end_time"])
            prices = found["price"] if len(found) else []
            believed = {
                key: price
                for key, price, now in zip(keys, prices, holds, strict=True)
                if now and price == price
            }
            assert ticks == believed, (symbol, when)
        for one in found.groupby(["time", "date", "position"]) if len(found) else ():
            beliefs = one[1]["price"].tolist()
            pairs = pairwise(beliefs)
            assert all(x != y and not (x != x and y != y) for x, y in pairs)


def rows_of(found):
    """Time, date and both prices of each row, and that the change says what they say."""
    if not len(found):
        return []
    before, after = (
        [None if price != price else price for price in found["price"][side]] for side in "ab"
    )
    for change, x, y in zip(found["change"], before, after, strict=True):
        assert change == ("added" if x is None else "removed" if y is None else "changed")
    return list(zip(found.index.asi8.tolist(), found["date"].dt.date, before, after, strict=True))


def test_a_diff_reads_only_the_days_that_differ():
    """Thirty days, one of them corrected: two files, and none where a day was said again."""
    store, clock = FaultyStore(MemoryStore()), Clock()
    table = Tickstore(store, clock=clock)
    days = [date(2019, 10, 1) + timedelta(days=n) for n in range(30)]
    table.insert_many(
        [("A", BiTimestamp(day), frame([f"{day} 12:00"], price=[1.0])) for day in days]
    )
    before = table.token
    table.insert("A", BiTimestamp(days[3]), frame([f"{days[3]} 12:00"], price=[2.0]))
    table.insert("A", BiTimestamp(days[4]), frame([f"{days[4]} 12:00"], price=[1.0]))
    store.arm()
    found = table.diff("A", before)
    assert [[1.0, 2.0]] == found["price"].to_numpy().tolist()
    assert 2 == sum(call.endswith(".h5") and call.startswith("get") for call in store.asked)


def test_values_are_compared_to_the_bit():
    """NaN is NaN; 0.0 is not -0.0; whole numbers stay exact beside a missing one."""
    table = MemoryTickstore()
    big = 2**53 + 1
    table.insert("A", ON, frame(HOURS[:3], x=[np.nan, 0.0, 1.0], n=[big, 1, 2], t=["a", None, "b"]))
    a = table.token
    table.insert(
        "A",
        ON,
        frame(HOURS, x=[np.nan, -0.0, 1.0, 2.0], n=[big, 1, 2, big], t=["a", None, "b", "c"]),
    )
    found = table.diff("A", a)
    assert ["changed", "added"] == found["change"].tolist()
    assert [pd.NA, big] == [found["n"]["a"].iloc[1], found["n"]["b"].iloc[1]]
    assert table.diff("A", a, columns=["t"])["change"].tolist() == ["added"]
    assert table.diff("A", a, end=HOURS[0]).empty
    assert list(table.diff("A", a, end=HOURS[0])["t"].columns) == ["a", "b"]


def test_types_that_differ_and_columns_that_one_state_lacks():
    """A new type alone is no change; text against numbers is; a new column of NaN is none."""
    table = MemoryTickstore()
    table.insert("A", ON, frame(HOURS[:2], n=[1, 2], c=["x", "y"]))
    a = table.token
    same = frame(HOURS[:2], n=[1.0, 2.0], c=pd.Categorical(["x", "y"]), new=[np.nan, np.nan])
    table.insert("A", ON, same)
    assert table.diff("A", a).empty
    table.insert("A", ON, frame(HOURS[:2], n=["1", "2"], c=["x", "z"], new=[np.nan, 3]))
    found = table.diff("A", a)
    assert ["changed"] * 2 == found["change"].tolist()
    assert [1, 2] == found["n"]["a"].tolist()
    assert ["1", "2"] == found["n"]["b"].tolist()
    assert found["new"]["a"].isna().all()
    with pytest.raises(NotFound, match="never had a column"):
        table.diff("A", a, columns=["nope"])


def test_an_unknown_symbol_has_no_history():
    """As a select of it is empty."""
    table = MemoryTickstore()
    table.insert("A", ON, frame(HOURS[:1], x=[1.0]))
    assert table.diff("B", table.token).empty
    assert table.vintages("B", HOURS[0]).empty
    assert ["x"] == [name for name in table.vintages("A", "2018-01-01") if name == "x"]


def test_vintages_of_one_time_are_one_row_for_each_belief():
    """A revision that changes other ticks is none; a delete is a missing value."""
    clock = Clock()
    table = MemoryTickstore(clock=clock)
    for prices in ([1.0, 2.0], [1.0, 3.0], [5.0, 3.0]):
        clock.tick()
        table.insert("A", ON, frame(HOURS[:2], price=prices, size=[1, 1]))
    clock.tick()
    table.delete("A", ON)
    found = table.vintages("A", HOURS[0], "price")
    assert "start_time" == found.index.name
    assert [0, 2, 3] == found["version"].tolist()
    assert [1.0, 5.0] == found["price"].tolist()[:2]
    assert found["price"].isna().tolist() == [False, False, True]
    assert found["end_time"].tolist() == [*found.index[1:], pd.Timestamp(LATEST_AS_OF)]
    wide = table.vintages("A", "2019-10-31", "price")["price"].unstack("start_time")
    assert (2, 4) == wide.shape
    with pytest.raises(BadRequest, match="time, or a range"):
        table.vintages("A", None)


def test_a_frozen_view_knows_no_later_belief():
    """Neither as vintage, nor as the default end of a diff."""
    clock = Clock()
    table = MemoryTickstore(clock=clock)
    table.insert("A", ON, frame(HOURS[:1], price=[1.0]))
    token, when = table.token, clock.now.astimezone(UTC)
    clock.tick()
    table.insert("A", ON, frame(HOURS[:1], price=[2.0]))
    for state in (token, when):
        frozen = table.at(state)
        assert [1.0] == frozen.vintages("A", HOURS[0])["price"].tolist()
        assert frozen.diff("A", token).empty


def test_any_nan_is_the_same():
    """0 / 0 has another sign than the constant, and says no more."""
    table = MemoryTickstore()
    nans = np.array([0x7FF8000000000000, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
    table.insert("A", ON, frame(HOURS[:1], x=nans[:1]))
    before = table.token
    table.insert("A", ON, frame(HOURS[:1], x=nans[1:]))
    assert table.token != before
    assert table.diff("A", before).empty
    assert len(table.vintages("A", ("2019", "2020"))) == 1


@pytest.mark.parametrize("knows", [False, True])
def test_a_frozen_view_does_not_learn_that_times_are_naive(knows):
    """A symbol that was unknown, or without a tick, has the index that a select gives."""
    table = MemoryTickstore()
    table.insert("B", ON, frame(HOURS, x=[1.0, 2.0, 3.0, 4.0]))
    if knows:
        table.insert("A", ON, frame([], x=np.empty(0)))
    view = table.at(table.token)

    def answers():
        return [
            view.select("A"),
            view.select(["A"]),
            view.diff("A", view.token),
            view.vintages("A", DAY),
            view.vintages("A", "2019-10-31T00:00"),
        ]

    before = answers()
    naive = frame(HOURS, x=[1, 2, 3, 4], y=list("abcd")).tz_localize(None)
    table.insert("A", ON, naive)
    assert table.select("A").index.tz is None
    for one, other in zip(before, answers(), strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert {str(each.index.dtype) for each in (before[0], before[2])} == {"datetime64[ns, UTC]"}


def test_times_have_the_name_that_they_were_inserted_with(tmp_path):
    """As in a select; not the one by which the table was opened."""
    with LocalTickstore(tmp_path / "T", timestamp_column="ts") as table:
        for value in (1.0, 2.0):
            table.insert("A", ON, frame(HOURS[:1], x=[value]).rename_axis("ts"))
        first = table.log()["token"].iloc[0]
    with LocalTickstore(tmp_path / "T", mode="r") as table:
        for found in (table.select("A"), table.diff("A", first), table.diff("A", first, first)):
            assert found.index.name == "ts"
        for day in ("2019-10-31", "2030-01-01"):
            assert table.vintages("A", day).index.names == ["ts", "start_time"]


def test_a_column_named_like_a_beliefs_own_is_named_or_refused():
    """Else nobody could tell which of the two is shown."""
    table = MemoryTickstore()
    index = pd.DatetimeIndex(["2019-10-31 12:00"], name="time")
    table.insert("A", BiTimestamp(date(2019, 10, 31)), pd.DataFrame({"kind": [1.0]}, index))
    with pytest.raises(BadRequest, match=r"a column 'kind'.*column="):
        table.vintages("A", "2019-10-31T12:00")
    assert table.vintages("A", "2019-10-31T12:00", "kind")["kind"].tolist() == [1.0]
