"""Many changes in one commit, expected versions, undelete, the log, and opening to read only."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, Observation, errors
from tests.tickstore.test_verbs import AT, DAY, bars, prices

NEXT = BiTimestamp(DAY + timedelta(days=1))


def test_a_transaction_is_one_commit(store):
    """Inserts, deletes, undeletes and observations of many symbols, all known at once."""
    store.insert("B", AT, bars(1.0))
    store.insert("C", AT, bars(2.0))
    store.delete("C", AT)
    seen = Observation("A", "by hand", "bars", DAY_TIME, DAY_TIME, DAY_TIME, "complete", 1)
    with store.transaction(message="all at once", source="by hand") as many:
        many.insert("A", AT, bars(3.0))
        many.delete("B", AT)
        many.undelete("C", AT)
        many.observe([seen])
        assert store.symbols() == ["B"]
    kinds = [(revision.symbol, revision.kind, revision.commit) for revision in many.revisions]
    assert kinds == [("A", "insert", 4), ("B", "delete", 4), ("C", "undelete", 4)]
    assert [prices(store.select(symbol)) for symbol in "ABC"] == [[3.0], [], [2.0]]
    assert store.observations("A") == (seen,)
    last = store.log().loc[4]
    assert (last["message"], last["inserts"], last["undeletes"]) == ("all at once", 1, 1)


DAY_TIME = datetime(2019, 10, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda many: many.insert("B", AT, bars(1.0).reset_index(drop=True)),
        lambda many: many.insert("A", AT, bars(9.0)),
        lambda many: many.delete("B", AT),
        lambda many: many.insert("B", AT, bars(1.0), expected_version=3),
        lambda many: many.insert("B", BiTimestamp(DAY, datetime(2999, 1, 1)), bars(1.0)),
        lambda _: 1 / 0,
    ],
    ids=["bad frame", "twice", "nothing to delete", "conflict", "in the future", "any exception"],
)
def test_a_transaction_is_all_or_nothing(store, spoil):
    """Whatever goes wrong in one change, nothing of the others has happened."""

    def attempt():
        with store.transaction() as many:
            many.insert("A", AT, bars(1.0))
            spoil(many)

    with pytest.raises((errors.BehemothError, ZeroDivisionError)):
        attempt()
    assert (store.token, store.index.empty) == ("0-00000000", True)
    assert store.select("A").empty


def test_an_empty_transaction_makes_no_commit(store):
    """Nothing to say, nothing said."""
    with store.transaction() as none:
        pass
    assert (none.revisions, store.token) == ([], "0-00000000")


def test_a_transaction_is_over_after_its_block(store):
    """What comes later is refused, not forgotten."""
    with store.transaction() as many:
        many.insert("A", AT, bars(1.0))
    with pytest.raises(errors.BadRequest, match="over"):
        many.insert("B", AT, bars(1.0))


def test_a_transaction_is_used_in_one_with_block(store):
    """Neither before it nor a second time; nothing is forgotten in silence."""
    seen = Observation("A", "by hand", "bars", DAY_TIME, DAY_TIME, DAY_TIME, "complete", 1)
    many = store.transaction()
    for verb in (
        lambda: many.insert("A", AT, bars(1.0)),
        lambda: many.delete("A", AT),
        lambda: many.undelete("A", AT),
        lambda: many.observe([seen]),
    ):
        with pytest.raises(errors.BadRequest, match="use it in a with block"):
            verb()
    with many:
        many.insert("A", AT, bars(1.0))
    with pytest.raises(errors.BadRequest, match="begin another"), many:
        pass
    assert store.token.startswith("1-")


def test_what_is_raised_in_a_block_is_what_the_caller_sees(store):
    """Also where somebody has ended the transaction already, and out of a caller's generator."""

    def spoiled():
        yield from ()
        raise TypeError("mine")

    def ended():
        with store.transaction() as many:
            many.__exit__(None, None, None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ended()
    with pytest.raises(TypeError, match="mine"):
        store.observe(spoiled())
    with pytest.raises(errors.BadRequest, match="a list of Observation"):
        store.observe(3)


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8])
def test_an_expected_version_is_a_whole_number_of_any_kind(store, kind):
    """As the index of `versions` gives it."""
    store.insert("A", AT, bars(1.0))
    with pytest.raises(errors.Conflict):
        store.insert("A", AT, bars(2.0), expected_version=kind(1))
    assert store.insert("A", AT, bars(2.0), expected_version=kind(0)).version == 1


@pytest.mark.parametrize("wrong", [True, np.True_, 0.0, np.float64(0), "0", -2, np.int64(-2)])
def test_an_expected_version_is_nothing_else(store, wrong):
    """Not even what Python would take for one."""
    for verb, words in (
        (store.insert, ("A", AT, bars(1.0))),
        (store.delete, ("A", AT)),
        (store.undelete, ("A", AT)),
    ):
        with pytest.raises(errors.BadRequest, match="expected_version"):
            verb(*words, expected_version=wrong)


def test_insert_many_gives_one_revision_for_each_frame(store):
    """In their order, in one commit; unchanged ones keep the revision that they have."""
    store.insert("A", AT, bars(1.0))
    frames = [("B", AT, bars(2.0)), ("A", AT, bars(1.0)), ("A", NEXT, bars(3.0))]
    found = store.insert_many(iter(frames), if_changed=True, message="many")
    assert [(r.symbol, r.date, r.commit) for r in found] == [
        ("B", DAY, 2),
        ("A", DAY, 1),
        ("A", NEXT.as_at_date, 2),
    ]
    assert store.insert_many(frames, if_changed=True) == found
    assert store.insert_many([]) == []


@pytest.mark.parametrize("bad", [[1], ["AB"], [("A", AT)], 3])
def test_insert_many_wants_triples(store, bad):
    """What is no list of (symbol, time, frame) is one clear line."""
    with pytest.raises(errors.BadRequest):
        store.insert_many(bad)


def test_an_expected_version_that_is_not_the_newest_is_a_conflict(store):
    """For those who decide from what they have read; the error says what is there."""
    first = store.insert("A", AT, bars(1.0), expected_version=-1)
    with pytest.raises(errors.Conflict, match="is at version 0") as caught:
        store.insert("A", AT, bars(2.0), expected_version=-1)
    assert (caught.value.symbol, caught.value.date, caught.value.version) == ("A", DAY, 0)
    store.insert("A", AT, bars(2.0), expected_version=first.version)
    with pytest.raises(errors.Conflict, match="has no version yet"):
        store.delete("A", NEXT, expected_version=0)
    store.delete("A", AT, expected_version=1)
    store.undelete("A", AT, expected_version=2)
    assert prices(store.select("A")) == [2.0]
    with pytest.raises(errors.BadRequest, match="expected_version"):
        store.insert("A", AT, bars(1.0), expected_version="3")


def test_undelete_brings_back_what_was_known_and_copies_nothing(store, clock):
    """The gap stays readable; no new file."""
    store.insert("A", AT, bars(1.0))
    second = store.insert("A", AT, bars(2.0))
    deleted = store.delete("A", AT)
    clock.tick()
    undeleted = store.undelete("A", AT, message="it was right")
    assert prices(store.select("A")) == [2.0]
    assert (undeleted.version, undeleted.splay) == (3, second.version)
    assert store.select("A", as_of_time=deleted.start_time).empty
    frame = store.versions("A")
    assert frame["kind"].tolist() == ["insert", "insert", "delete", "undelete"]
    assert frame["path"].iloc[3] == frame["path"].iloc[1]
    again = store.insert("A", AT, bars(2.0), if_changed=True)
    assert again.version == 3


def test_there_must_be_something_to_undelete(store):
    """Neither what is there nor what never was."""
    with pytest.raises(errors.NotFound, match="never had ticks"):
        store.undelete("A", AT)
    store.insert("A", AT, bars(1.0))
    with pytest.raises(errors.NotFound, match="is not deleted"):
        store.undelete("A", AT)


def test_an_undelete_can_be_backdated(store, clock):
    """Law 7 holds for it too."""
    store.insert("A", AT, bars(1.0))
    clock.tick()
    deleted = store.delete("A", AT)
    clock.tick(10)
    known = deleted.start_time + timedelta(seconds=5)
    store.undelete("A", BiTimestamp(DAY, as_of_time=known))
    assert store.select("A", as_of_time=known - timedelta(microseconds=1)).empty
    assert prices(store.select("A", as_of_time=known)) == [1.0]


def test_the_log_says_who_when_why_and_with_what(store, clock):
    """One row for each commit; limited to a symbol or to the newest."""
    store.insert("A", AT, bars(1.0, 2.0), message="first", source="by hand")
    clock.tick()
    known = BiTimestamp(DAY, as_of_time=clock.now - timedelta(seconds=0.5))
    store.insert_many([("A", known, bars(3.0)), ("B", AT, bars(4.0))])
    store.delete("B", AT)
    log = store.log()
    assert log.index.tolist() == [1, 2, 3]
    assert log["time"].is_monotonic_increasing
    assert str(log["time"].dtype) == "datetime64[us, UTC]"
    assert log["rows"].tolist() == [2, 2, 0]
    assert log["backdated"].tolist() == [0, 1, 0]
    assert log["deletes"].tolist() == [0, 0, 1]
    assert "@" in log["who"].iloc[0]
    assert log["tool"].iloc[0].startswith("behemoth ")
    assert log["unknown"].tolist() == [(), (), ()]
    assert log["token"].iloc[-1] == store.token
    assert store.log("B").index.tolist() == [2, 3]
    assert store.log(limit=1).index.tolist() == [3]
    assert store.log("A", limit=1).index.tolist() == [2]
    assert store.log(limit=0).empty
    assert store.log("nobody").empty
    assert store.log("nobody").dtypes.equals(log.dtypes)
    with pytest.raises(errors.BadRequest, match="limit"):
        store.log(limit=-1)


def write_verbs(store):
    """Every verb that writes."""
    seen = Observation("A", "by hand", "bars", DAY_TIME, DAY_TIME, DAY_TIME, "complete", 1)
    return {
        "insert": lambda: store.insert("A", AT, bars(1.0)),
        "insert_many": lambda: store.insert_many([("A", AT, bars(1.0))]),
        "transaction": lambda: store.transaction(),
        "delete": lambda: store.delete("A", AT),
        "undelete": lambda: store.undelete("A", AT),
        "observe": lambda: store.observe([seen]),
        "flush": store.flush,
        "destroy": store.destroy,
    }


def test_a_table_opened_to_read_refuses_every_verb_that_writes(local):
    """Reading works; what another process commits is seen."""
    local.insert("A", AT, bars(1.0))
    reader = LocalTickstore(local.path, mode="r", clock=local._clock)
    files = sorted(local.path.rglob("*"))
    for verb in write_verbs(reader).values():
        with pytest.raises(errors.ReadOnly, match="mode='a'"):
            verb()
    assert sorted(local.path.rglob("*")) == files
    local.insert("A", NEXT, bars(2.0, start="2019-11-01"))
    assert prices(reader.select("A")) == [1.0, 2.0]


def test_a_table_to_read_must_be_there(tmp_path):
    """Nothing is made by looking."""
    with pytest.raises(errors.NotFound, match="no table"):
        LocalTickstore(tmp_path / "TABLE", mode="r")
    with pytest.raises(errors.BadRequest, match="mode"):
        LocalTickstore(tmp_path / "TABLE", mode="w")
    assert list(tmp_path.iterdir()) == []


def test_a_big_transaction_comes_through_between_small_commits(local, clock):
    """What another writer commits meanwhile moves only what it touched."""
    days = [BiTimestamp(date(2019, 1, 1) + timedelta(days=n)) for n in range(30)]
    other = LocalTickstore(local.path, clock=clock)
    with local.transaction() as big:
        for day in days:
            big.insert("A", day, bars(1.0))
        other.insert("A", days[3], bars(2.0))
        other.insert("B", days[3], bars(3.0))
    assert {revision.commit for revision in big.revisions} == {3}
    assert [revision.version for revision in big.revisions] == [0, 0, 0, 1] + [0] * 26
    pd.testing.assert_frame_equal(other.index, local.index)
