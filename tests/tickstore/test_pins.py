"""Pins: tokens, tags and times freeze a state, and what is frozen never changes."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, View, errors, receipt
from behemoth.bitemporal import Observation

DAY, NEXT = date(2019, 10, 31), date(2019, 11, 1)
AT = BiTimestamp(DAY)


def bars(*prices, start="2019-10-31"):
    """One bar a minute."""
    index = pd.date_range(start, periods=len(prices), freq="min", tz="UTC", unit="ns", name="time")
    return pd.DataFrame({"price": np.array(prices)}, index=index)


def prices(frame):
    """The prices of a selected frame."""
    return frame["price"].tolist() if "price" in frame else []


def everything(view, names=("A", "B")):
    """What every verb that reads says."""
    return [
        view.token,
        view.symbols(),
        *(view.select(name) for name in names),
        view.select(list(names)),
        view.index,
        *(view.versions(name) for name in names),
        *(view.revisions(name) for name in names),
        *(view.observations(name) for name in names),
        *(view.coverage(name) for name in names),
        *(view.gaps(name, granularity=60) for name in names),
        view.log(),
        view.tags(),
    ]


def same(one, other):
    """Whether two lists of answers are equal."""
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b)
            assert a.attrs == b.attrs
        else:
            assert a == b


def change(store, clock):
    """Everything that can happen to a table later."""
    clock.tick()
    store.insert("A", AT, bars(7.0, 8.0, 9.0), message="later")
    clock.tick()
    store.insert("B", BiTimestamp(NEXT), bars(1.0, start="2019-11-01"))
    clock.tick()
    store.delete("A", AT)
    clock.tick()
    store.undelete("A", AT)
    clock.tick()
    first = not any(each.date == NEXT for each in store.revisions("A"))
    known = BiTimestamp.start_as_of if first else BiTimestamp.latest_as_of
    store.insert("A", BiTimestamp(NEXT, as_of_time=known), bars(5.0))
    store.observe(
        [
            Observation(
                symbol="A",
                source="s",
                what="candles/60",
                outcome="complete",
                start=datetime(2019, 10, 31, tzinfo=UTC),
                end=datetime(2019, 11, 1, tzinfo=UTC),
                asked_at=clock(),
                rows=3,
            )
        ]
    )
    store.flush()


def test_a_token_shows_for_ever_what_it_showed(store, clock):
    """Later inserts, deletes, undeletes, backdated knowledge and observations change nothing."""
    store.insert("A", AT, bars(1.0, 2.0))
    store.insert("B", AT, bars(3.0))
    pinned = store.at(store.token)
    before = everything(pinned)
    change(store, clock)
    same(before, everything(pinned))
    same(before, everything(store.at(pinned.token)))
    assert prices(store.select("A", end=DAY)) == [7.0, 5.0, 8.0, 9.0]


def test_a_time_shows_what_was_known_then_and_stays_so(store, clock):
    """Backdated knowledge that is committed later is not in it: the token is frozen too."""
    store.insert("A", AT, bars(1.0))
    clock.tick()
    store.insert("A", AT, bars(2.0))
    clock.tick()
    store.insert("B", AT, bars(3.0))
    (first, second) = store.revisions("A")
    pinned = store.at(first.start_time)
    before = everything(pinned)
    assert prices(pinned.select("A")) == [1.0]
    assert pinned.symbols() == ["A"]
    assert [r.version for r in pinned.revisions("A")] == [0]
    assert pinned.revisions("A")[0].end_time == BiTimestamp.latest_as_of
    assert len(pinned.index) == 1
    change(store, clock)
    same(before, everything(pinned))
    assert prices(store.select("A", as_of_time=first.start_time)) == [1.0, 5.0]
    with pytest.raises(errors.BadRequest, match="knows nothing of what became known"):
        pinned.select("A", as_of_time=second.start_time)


def test_a_select_takes_a_token_or_a_tag_as_its_as_of_time(store, clock):
    """One path: it is what the frozen view gives."""
    store.insert("A", AT, bars(1.0))
    first = store.tag("v1", message="as submitted")
    clock.tick()
    store.insert("A", AT, bars(2.0))
    for state in (first, "v1"):
        assert prices(store.select("A", as_of_time=state)) == [1.0]
        assert prices(store.at(state).select("A")) == [1.0]
        assert store.symbols(as_of_time=state) == ["A"]
    assert prices(store.select("A")) == [2.0]


def test_a_view_only_reads(store):
    """It has no verb that writes."""
    store.insert("A", AT, bars(1.0))
    pinned = store.at(store.token)
    assert type(pinned) is View
    assert not {"insert", "delete", "tag", "flush", "destroy", "verify"} & set(dir(pinned))
    assert store.token in repr(pinned)
    with pinned:
        assert pinned.symbols() == ["A"]
    with pytest.raises(errors.Closed):
        pinned.symbols()
    assert store.symbols() == ["A"]


def test_a_view_of_a_view_looks_no_further(store, clock):
    """A later token is not known to it, an earlier one is."""
    store.insert("A", AT, bars(1.0))
    first = store.token
    clock.tick()
    store.insert("A", AT, bars(2.0))
    second = store.token
    assert prices(store.at(second).at(first).select("A")) == [1.0]
    with pytest.raises(errors.NotFound, match="1 commits so far"):
        store.at(first).at(second)
    time = store.revisions("A")[0].start_time
    assert prices(store.at(time).select("A", as_of_time=second)) == [1.0]


def test_a_view_at_an_empty_table_stays_empty(store):
    """Nothing was known."""
    pinned = store.at(store.token)
    store.insert("A", AT, bars(1.0))
    assert pinned.symbols() == []
    assert pinned.select("A").empty
    assert pinned.log().empty
    assert pinned.token == "0-00000000"  # noqa: S105


def test_a_tag_never_moves(store, clock):
    """Making one twice is an error, whatever it would name."""
    with pytest.raises(errors.NotFound, match="no commit yet"):
        store.tag("paper-v1")
    store.insert("A", AT, bars(1.0))
    first = store.tag("paper-v1", message="as submitted")
    assert first == store.token
    clock.tick()
    store.insert("A", AT, bars(2.0))
    for at in (None, first, store.token):
        with pytest.raises(errors.Conflict, match=rf"names {first}; a tag never moves"):
            store.tag("paper-v1", at=at)
    assert store.tag("the same", at="paper-v1") == first
    clock.tick()
    assert store.tag("Paper-V1") == store.token
    shown = store.tags()
    assert shown.index.tolist() == ["paper-v1", "the same", "Paper-V1"]
    assert shown["token"].tolist() == [first, first, store.token]
    assert shown.loc["paper-v1", "message"] == "as submitted"
    assert str(shown["time"].dtype) == "datetime64[us, UTC]"
    assert store.at(first).tags().index.tolist() == ["paper-v1", "the same"]


def test_no_tags_is_an_empty_table(store):
    """Of the same columns."""
    assert store.tags().empty
    assert list(store.tags().columns) == ["token", "time", "who", "message"]


@pytest.mark.parametrize("name", ["57-a1b2c3d4", "2019-10-31", "2019-10-31T12:00", "", "a\nb", 5])
def test_a_tag_that_could_be_mistaken_is_refused(store, name):
    """A token, a time, or no name at all."""
    store.insert("A", AT, bars(1.0))
    with pytest.raises(errors.BadName):
        store.tag(name)
    assert store.tags().empty


def test_any_other_text_names_a_tag(store):
    """Lower and upper case are two; long ones and odd ones too."""
    store.insert("A", AT, bars(1.0))
    names = ["x", "X", "CON", "a/b", "Übung 1", "v" * 300, "10-31-2019", "latest"]
    for name in names:
        store.tag(name)
    assert set(store.tags().index) == set(names)
    for name in names:
        assert prices(store.at(name).select("A")) == [1.0]


def test_two_writers_of_one_tag_do_not_both_succeed(tmp_path):
    """Of several processes one makes it, the others are told."""
    with LocalTickstore(tmp_path / "T") as table:
        table.insert("A", AT, bars(1.0))
    code = (
        "import sys; from behemoth import LocalTickstore, errors\n"
        "t = LocalTickstore(sys.argv[1])\n"
        "sys.stdin.readline()\n"
        "try: t.tag('v1'); print('made')\n"
        "except errors.Conflict: print('taken')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "T")]
    crew = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [each.communicate("go\n", timeout=60)[0].strip() for each in crew]
    assert sorted(said) == ["made", "taken", "taken"]


def test_a_damaged_tag_is_an_error_and_found_by_verify(tmp_path):
    """No bit of it may differ; nor may it lie under another's name."""
    table = LocalTickstore(tmp_path / "T")
    table.insert("A", AT, bars(1.0))
    table.tag("V1")
    table.tag("V2")
    assert table.verify().empty
    path = tmp_path / "T/tags/V1.json"
    path.chmod(0o644)
    good = path.read_bytes()
    for at in range(0, len(good), 7):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(errors.Corrupt, match="V1"):
            table.at("V1")
    with pytest.raises(errors.Corrupt, match="V1"):
        table.tags()
    (finding,) = table.verify().itertuples()
    assert (finding.problem, finding.path) == ("tag", "tags/V1.json")
    path.write_bytes((tmp_path / "T/tags/V2.json").read_bytes())
    with pytest.raises(errors.Corrupt, match="is the tag 'V2', not 'V1'"):
        table.at("V1")
    assert table.verify()["problem"].tolist() == ["tag"]
    path.write_bytes(good)
    assert table.verify().empty


def test_a_tag_of_another_branch_is_refused(tmp_path):
    """A tag that was carried into another table names no state of it."""
    one, other = LocalTickstore(tmp_path / "ONE"), LocalTickstore(tmp_path / "OTHER")
    for table in (one, other):
        table.insert("A", AT, bars(1.0))
    one.tag("V1")
    (tmp_path / "OTHER/tags").mkdir()
    (tmp_path / "ONE/tags/V1.json").rename(tmp_path / "OTHER/tags/V1.json")
    with pytest.raises(errors.NotFound, match="of another table"):
        other.at("V1")
    assert other.verify()["problem"].tolist() == ["tag"]


def test_a_copy_has_the_tags_of_its_states(tmp_path, clock):
    """Those of later states stay behind, until they are copied too."""
    table = LocalTickstore(tmp_path / "T", clock=clock)
    table.insert("A", AT, bars(1.0))
    first = table.tag("v1")
    clock.tick()
    table.insert("A", AT, bars(2.0))
    table.tag("v2")
    table.copy(tmp_path / "COPY", at="v1")
    copied = LocalTickstore(tmp_path / "COPY", mode="r")
    assert copied.token == first
    assert copied.tags().index.tolist() == ["v1"]
    table.copy(tmp_path / "COPY")
    assert copied.tags().index.tolist() == ["v1", "v2"]
    assert prices(copied.at("v1").select("A")) == [1.0]
    assert copied.verify().empty


def test_a_new_table_out_of_a_damaged_one_keeps_the_tags_it_can(tmp_path, clock):
    """What was tagged before the damage is the same state there; the others are listed."""
    table = LocalTickstore(tmp_path / "T", clock=clock)
    for number in range(3):
        table.insert("A", AT, bars(float(number)))
        clock.tick()
        table.tag(f"v{number}")
    path = tmp_path / "T/log/0000000002.json"
    path.chmod(0o644)
    path.write_bytes(b"gone")
    unknown = LocalTickstore(tmp_path / "T").reindex(into=tmp_path / "NEW")
    assert sum("what the tag" in line for line in unknown) == 2
    mended = LocalTickstore(tmp_path / "NEW", mode="r")
    assert mended.tags().index.tolist() == ["v0"]
    assert prices(mended.at("v0").select("A")) == [0.0]
    assert mended.verify().empty


def test_a_read_only_table_can_be_frozen_but_not_tagged(tmp_path):
    """Nothing is written there."""
    with LocalTickstore(tmp_path / "T") as table:
        table.insert("A", AT, bars(1.0))
    table = LocalTickstore(tmp_path / "T", mode="r")
    assert prices(table.at(table.token).select("A")) == [1.0]
    with pytest.raises(errors.ReadOnly):
        table.tag("v1")


def test_memory_and_disk_agree_about_what_no_state_is():
    """Neither a token, a tag, nor a time."""
    table = MemoryTickstore()
    table.insert("A", AT, bars(1.0))
    for state, error in (
        ("nope", errors.NotFound),
        ("9-00000000", errors.NotFound),
        ("1-00000000", errors.NotFound),
        ("2019-13-45", errors.BadRequest),
        (datetime(2999, 1, 1), errors.BadRequest),
        (5, errors.BadRequest),
        (None, errors.BadRequest),
        ("", errors.BadRequest),
    ):
        with pytest.raises(error) as caught:
            table.at(state)
        assert "\n" not in str(caught.value)


def test_a_table_made_anew_in_the_same_folder_is_not_taken_for_the_old_one(tmp_path):
    """Of as many commits, and of the same ticks; a view of the old one is still open."""
    old = LocalTickstore(tmp_path / "T")
    for day in (DAY, NEXT):
        old.insert("A", BiTimestamp(day), bars(1.0, start=str(day)))
    view, store = old.at(old.tag("v1")), receipt(old.select("A")).store
    LocalTickstore(tmp_path / "T").destroy()
    new = LocalTickstore(tmp_path / "T")
    for day in (DAY, NEXT):
        new.insert("A", BiTimestamp(day), bars(1.0, start=str(day)))
    token = new.tag("v1")
    for ask in (view.log, view.tags, lambda: old.at("v1"), lambda: old.at(token), old.log):
        with pytest.raises(errors.Conflict, match="destroyed or exchanged; open it again"):
            ask()
    assert receipt(view.select("A")).store == store
    with pytest.raises(errors.NotFound, match="of the table"):
        old.replay(new.select("A"))


def test_a_column_of_later_is_unknown_to_an_earlier_state(store, clock):
    """Neither by name, nor in an empty frame, nor as a type."""
    store.insert("A", AT, bars(1.0, 2.0))
    view = store.at(store.token)
    clock.tick()
    store.insert("A", AT, bars(1, 2).assign(size=["x", "y"]))
    store.insert("A", BiTimestamp(NEXT), bars(3, start="2019-11-01").assign(size=4.0))
    with pytest.raises(errors.NotFound, match="never had a column 'size'"):
        view.select("A", columns=["size"])
    for frame in (view.select("A", start="2030"), view.select("A", schema="strict")):
        assert frame.dtypes.to_dict() == {"price": np.float64}
    assert list(view.vintages("A", NEXT).columns[:1]) == ["price"]
    assert ("size", "a") not in view.diff("A", view.token).columns
