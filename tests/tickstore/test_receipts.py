"""Receipts: which data made a frame; and the same frame again, to the bit, from any copy."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import subprocess
import sys
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, Receipt, errors, receipt
from tests.tickstore import make_replay
from tests.tickstore.test_pins import bars, change

DAY, NEXT = date(2019, 10, 31), date(2019, 11, 1)
AT = BiTimestamp(DAY)
QUERIES = [
    {"symbol": "A"},
    {"symbol": "A", "start": "2019-10-31T00:01", "end": DAY},
    {"symbol": "A", "columns": ["price"], "tz": "America/New_York"},
    {"symbol": "A", "columns": []},
    {"symbol": "A", "schema": "strict"},
    {"symbol": ["A", "B", "NOPE"]},
    {"symbol": []},
    {"symbol": "NOPE"},
    {"symbol": "A", "start": "2030"},
]


def filled(store, clock):
    """A table with a history."""
    store.insert("A", AT, bars(1.0, 2.0, -0.0, np.nan))
    clock.tick()
    store.insert("B", AT, bars(3.0))
    clock.tick()
    store.insert("A", AT, bars(1.5, 2.5, -0.0, np.nan))
    return store


def alike(one, other):
    """Whether two frames hold the same bits, and say the same of themselves."""
    pd.testing.assert_frame_equal(one, other, check_exact=True, check_freq=True)
    for name in one.columns:
        if one[name].dtype == np.float64:
            bits = one[name].to_numpy().view(np.int64), other[name].to_numpy().view(np.int64)
            assert np.array_equal(*bits)
    assert one.attrs == other.attrs


@pytest.mark.parametrize("query", QUERIES)
def test_a_replay_is_exact_whatever_happens_later(store, clock, query):
    """Inserts, deletes, undeletes, backdated knowledge, a reindex."""
    filled(store, clock)
    frame = store.select(**query)
    line = str(receipt(frame))
    for _ in range(2):
        alike(frame, store.replay(line))
        alike(frame, store.replay(frame))
        change(store, clock)
        store.reindex()
    alike(frame, store.replay(line))


def test_a_replay_of_what_was_known_at_a_time(store, clock):
    """The receipt holds both the token and the as-of time."""
    filled(store, clock)
    first = store.revisions("A")[0].start_time
    frame = store.select("A", as_of_time=first)
    assert receipt(frame).as_of_time == first.isoformat().replace("+00:00", "Z")
    assert receipt(frame).token == store.token
    change(store, clock)
    alike(frame, store.replay(frame))
    assert not store.select("A", as_of_time=first).equals(frame)  # knowledge was backdated


def test_another_process_and_a_copy_elsewhere_give_the_same(tmp_path, clock):
    """One line of text is all they need."""
    table = filled(LocalTickstore(tmp_path / "T", clock=clock), clock)
    frame = table.select("A")
    line = str(receipt(frame))
    change(table, clock)
    table.copy(tmp_path / "COPY")
    shutil.copytree(tmp_path / "T", tmp_path / "MOVED")
    code = (
        "import sys; from behemoth import LocalTickstore, receipt\n"
        "frame = LocalTickstore(sys.argv[1], mode='r').replay(sys.argv[2])\n"
        "print(receipt(frame)); print(frame['price'].to_numpy().tobytes().hex())\n"
    )
    for name in ("T", "COPY", "MOVED"):
        alike(frame, LocalTickstore(tmp_path / name, mode="r").replay(line))
        command = [sys.executable, "-c", code, str(tmp_path / name), line]
        said, bits = subprocess.check_output(command, text=True).split()
        assert said == line
        assert bits == frame["price"].to_numpy().tobytes().hex()


def test_a_copy_that_went_another_way_is_refused(tmp_path, clock):
    """Its later states are not those of the receipt; the ones before the parting are."""
    table = filled(LocalTickstore(tmp_path / "T", clock=clock), clock)
    before = table.select("A")
    table.copy(tmp_path / "COPY")
    other = LocalTickstore(tmp_path / "COPY", clock=clock)
    other.insert("A", AT, bars(9.0))
    clock.tick()
    table.insert("A", AT, bars(8.0))
    with pytest.raises(errors.NotFound, match="another branch"):
        other.replay(table.select("A"))
    alike(before, other.replay(before))


def test_a_receipt_of_another_table_is_refused(store, clock):
    """Both are named by the digest of their first commit."""
    filled(store, clock)
    other = MemoryTickstore()
    with pytest.raises(errors.NotFound, match="is empty; ask the table it came from"):
        other.replay(store.select("A"))
    other.insert("A", AT, bars(1.0))
    with pytest.raises(errors.NotFound, match="the receipt is of the table"):
        other.replay(store.select("A"))


def test_a_splay_that_is_no_longer_what_it_was_is_named(tmp_path, clock):
    """Changed, exchanged for another version, or gone."""
    table = filled(LocalTickstore(tmp_path / "T", clock=clock, cache=False), clock)
    frame = table.select("A")
    path = tmp_path / "T/2019/10/31/A_0001.h5"
    good = path.read_bytes()
    path.chmod(0o644)
    for bad in (good[:-1], (tmp_path / "T/2019/10/31/A_0000.h5").read_bytes(), None):
        if bad is None:
            path.unlink()
        else:
            path.write_bytes(bad)
        fresh = LocalTickstore(tmp_path / "T", mode="r", cache=False)
        with pytest.raises(errors.Corrupt, match="A_0001") as caught:
            fresh.replay(frame)
        assert (caught.value.symbol, caught.value.date) == ("A", DAY)


def test_a_receipt_that_somebody_changed_is_found_out(store, clock):
    """Another digest or number of rows is not what the table gives."""
    filled(store, clock)
    true = receipt(store.select("A")).to_dict()
    for lie in ({"digest": "0" * 32}, {"rows": 3}, {"end": "2019-10-30T00:00:00Z"}):
        with pytest.raises(errors.Corrupt, match="the receipt says"):
            store.replay(true | lie)


def test_a_receipt_is_small_and_ready_for_json(store, clock):
    """A dictionary of texts and numbers; without what was not asked for."""
    filled(store, clock)
    carried = store.select("A").attrs["behemoth"]
    assert json.loads(json.dumps(carried)) == carried
    assert list(carried) == ["token", "store", "symbol", "rows", "digest", "as_of_time"]
    assert len(json.dumps(carried)) < 250
    assert carried["token"] == store.token
    assert carried["rows"] == 4


def test_a_receipt_is_one_line_that_is_read_again(store, clock):
    """As text, as JSON, as a dictionary, as itself."""
    filled(store, clock)
    for query in QUERIES:
        found = receipt(store.select(**query))
        assert isinstance(found, Receipt)
        line = str(found)
        assert line.startswith(f"behemoth:{store.token}?store=")
        assert line.isascii()
        assert len(line.split()) == 1
        assert f"rows={found.rows}&" in line
        broken = f"{line[:50]}\n  {line[50:]}"  # as a page breaks it
        facts = found.to_dict()
        for form in (line, f" {line}\n", broken, facts, json.dumps(facts), found):
            assert receipt(form) == found


NAMES = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())


@settings(max_examples=200, deadline=None)
@given(
    symbol=st.one_of(NAMES, st.lists(NAMES, max_size=3, unique=True)),
    columns=st.none() | st.lists(st.text(max_size=5), max_size=3, unique=True),
    tz=st.none() | st.sampled_from(["UTC", "America/New_York"]),
)
def test_any_query_can_be_written_on_one_line(symbol, columns, tz):
    """Whatever characters names have."""
    given_ = Receipt(
        token="57-a1b2c3d4",  # noqa: S106
        store="0" * 16,
        symbol=tuple(symbol) if isinstance(symbol, list) else symbol,
        rows=0,
        digest="f" * 32,
        columns=None if columns is None else tuple(columns),
        tz=tz,
    )
    assert receipt(str(given_)) == given_
    assert receipt(json.dumps(given_.to_dict())) == given_


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "behemoth:",
        "behemoth:57-a1b2c3d4",
        "{}",
        "[]",
        "nonsense",
        '{"token": 5}',
        {},
        b"\xff",
        "behemoth:57-a1b2c3d4?store=0&symbol=A&rows=1&digest=" + "0" * 32,
        "behemoth:57-a1b2c3d4?store=&symbol=A&rows=x&digest=" + "0" * 32,
        "behemoth:57-a1b2c3d4?store=&symbol=A&rows=1&more=1&digest=" + "0" * 32,
        "behemoth:57-a1b2c3d4?store=&symbol=A&symbol=B&rows=1&digest=" + "0" * 32,
        "behemoth:57-a1b2c3d4?store=&symbol=A&columns=b&rows=1&digest=" + "0" * 32,
    ],
)
def test_what_is_no_receipt_is_said_so(wrong):
    """One line."""
    with pytest.raises(errors.BadRequest, match="no receipt") as caught:
        receipt(wrong)
    assert "\n" not in str(caught.value)


def test_a_frame_without_a_receipt_is_said_so(store):
    """It was not selected, or lost its attrs."""
    for thing in (pd.DataFrame(), pd.Series(dtype=float), 5, None):
        with pytest.raises(errors.NotFound, match="carries no receipt"):
            receipt(thing)
    frame = store.select("A")
    frame.attrs.clear()
    with pytest.raises(errors.NotFound, match="dropped its attrs"):
        store.replay(frame)


def test_a_receipt_survives_what_pandas_lets_survive(store, clock):
    """Slices, columns, arithmetic, copies and pickles say where they came from."""
    filled(store, clock)
    frame = store.select("A")
    for made in (
        frame.head(1),
        frame["price"],
        frame * 2,
        frame.copy(),
        frame[frame["price"] > 0],
        frame.tz_convert("America/New_York"),
        frame.resample("1h").last(),
        copy.deepcopy(frame),
        pickle.loads(pickle.dumps(frame)),  # noqa: S301
    ):
        assert receipt(made) == receipt(frame)


def test_equal_content_has_equal_digests_wherever_it_is(clock):
    """The digest tells of ticks alone: not of commits, versions or paths."""
    one, other = MemoryTickstore(clock=clock), MemoryTickstore(clock=clock)
    one.insert("A", AT, bars(9.0))
    clock.tick()
    one.insert("A", AT, bars(1.0))
    other.insert("A", AT, bars(1.0))
    first, second = receipt(one.select("A")), receipt(other.select("A"))
    assert first.digest == second.digest
    assert (first.store, first.token) != (second.store, second.token)
    other.insert("B", AT, bars(1.0))
    assert receipt(other.select("B")).digest != first.digest


def test_an_as_of_time_after_the_newest_commit_is_that_commits(store, clock):
    """Nothing more is known then; so a clock that is set back does not matter to a replay."""
    filled(store, clock)
    newest = clock()
    clock.tick(3600)
    frame = store.select("A", as_of_time=clock())
    clock.tick(-7200)
    assert datetime.fromisoformat(receipt(frame).as_of_time) <= newest
    alike(frame, store.replay(frame))


def test_a_receipt_of_an_empty_table_can_be_replayed(store):
    """Also when something has come since."""
    frame = store.select("A")
    store.insert("A", AT, bars(1.0))
    alike(frame, store.replay(frame))


def test_what_is_no_receipt_is_one_line(store, clock):
    """Also where it is nested a million times, or lies in a frame."""
    filled(store, clock)
    frame = store.select("A")
    good = receipt(frame).to_dict()
    frame.attrs["behemoth"] = "made up"
    for bad in (
        "[" * 10**6,
        '{"a":' * 10**6,
        frame,
        good | {"rows": True},
        good | {"rows": float(good["rows"])},
        good | {"symbol": ["A", ["B"]]},
        good | {"token": "\uff11-00000000"},
        good | {"tz": "UTC\n"},
        good | {"tz": " "},
        good | {"start": "2019-10-31T00:00:00+25:99"},
        str(receipt(good)) + "&rows=1",
        str(receipt(good)).replace("rows=4", "rows=" + "9" * 5000),
    ):
        with pytest.raises(errors.BadRequest) as caught:
            store.replay(bad)
        assert "\n" not in str(caught.value)
    with pytest.raises(errors.Corrupt, match="the receipt says 9"):
        store.replay(good | {"rows": 9})


def test_copies_of_copies_replay_and_their_branches_do_not_mix(tmp_path, clock):
    """Copies at tokens, what is rebuilt by a reindex, moved folders, views of what was closed."""
    table = filled(LocalTickstore(tmp_path / "T", clock=clock), clock)
    queries = [*QUERIES, {"symbol": "A", "as_of_time": table.revisions("A")[0].start_time}]
    frames = [table.select(**query) for query in queries]
    state = table.tag("v1")
    change(table, clock)
    table.copy(tmp_path / "ALL")
    table.copy(tmp_path / "THEN", at="v1")
    LocalTickstore(tmp_path / "ALL", clock=clock).copy(tmp_path / "THEN2", at=state)
    LocalTickstore(tmp_path / "ALL", clock=clock).at("v1").copy(tmp_path / "THEN3")
    branch = LocalTickstore(tmp_path / "THEN2", clock=clock)
    branch.insert("A", BiTimestamp(NEXT), bars(4.0, start="2019-11-01"))
    branch.copy(tmp_path / "BRANCH")
    table.reindex(into=tmp_path / "REBUILT")
    (tmp_path / "ALL").rename(tmp_path / "MOVED")
    for name in ("MOVED", "THEN", "THEN2", "THEN3", "BRANCH", "REBUILT"):
        copied = LocalTickstore(tmp_path / name, mode="r", clock=clock)
        view = copied.at("v1")
        copied.close()
        for frame in frames:
            alike(frame, view.replay(str(receipt(frame))))
    later = branch.select("A")
    for other in (table, LocalTickstore(tmp_path / "MOVED"), LocalTickstore(tmp_path / "THEN")):
        with pytest.raises(errors.NotFound):
            other.replay(later)
    alike(later, LocalTickstore(tmp_path / "BRANCH").replay(later))


def test_what_pandas_2_selected_is_replayed_to_the_bit():
    """A stored table that pandas 2 wrote, with the receipts of then, read by the pandas of now."""
    then = json.loads((make_replay.FOLDER / "receipts.json").read_text(encoding="utf-8"))
    assert then["pandas"].startswith("2.")
    table = LocalTickstore(make_replay.FOLDER / "TABLE", mode="r", cache=False)
    assert table.verify().empty
    for selected in then["selected"]:
        frame = table.replay(selected["receipt"])
        assert make_replay.digest(frame) == selected["digest"]
        assert str(receipt(frame)) == selected["receipt"]
    assert len({selected["digest"] for selected in then["selected"]}) > len(make_replay.QUERIES)
