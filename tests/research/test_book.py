"""A book rebuilt is the book that a dictionary keeps, update by update."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth import BiTimestamp, MemoryTickstore, errors
from behemoth.research.book import best, book_at, depth
from tests.data import real
from tests.research.tables import NEW_YORK, recorded, repeatable, stored

START = pd.Timestamp("2019-10-31 22:00", tz="UTC")
SIDES = {"buy": "bid", "sell": "ask", "bid": "bid", "ask": "ask"}
row = st.tuples(
    st.sampled_from(list(SIDES)),
    st.sampled_from([9.0, 9.1, 9.2, 9.3, 0.1 + 0.2, 0.3]),
    st.sampled_from([0.0, 0.5, 1.0, 2.5]),
)
updates = st.lists(st.tuples(st.integers(0, 60), row), max_size=40)
shots = st.dictionaries(st.integers(0, 60), st.lists(row, min_size=1, max_size=6), max_size=3)


def at(place):
    """Some ten minutes lie between two places, so that days change on the way."""
    return START + pd.Timedelta(minutes=10 * place)


def table(rows, kind=object):
    """A table of snapshots or updates."""
    index = pd.DatetimeIndex([at(place) for place, _ in rows], tz="UTC", name="time")
    frame = pd.DataFrame([r for _, r in rows], columns=["side", "price", "size"], index=index)
    return stored(frame.astype({"side": kind})) if rows else MemoryTickstore()


def kept(said, shots, until):
    """The model: a dictionary, update by update, up to and with a place."""
    book, begin = {}, -1
    for place in sorted(shots):
        if place <= until:
            book, begin = {}, place
    for side, price, size in [
        *(shots.get(begin, [])),
        *(r for place, r in sorted(said, key=lambda each: each[0]) if begin <= place <= until),
    ]:
        book[SIDES[side], price] = size
    return {key: size for key, size in book.items() if size > 0}


def as_table(book):
    """The model's book, best first."""
    bids = sorted(((p, s) for (side, p), s in book.items() if side == "bid"), reverse=True)
    asks = sorted((p, s) for (side, p), s in book.items() if side == "ask")
    return {"bid": bids, "ask": asks}


def tops(book):
    """The model's best bid and ask."""
    return [v for side in as_table(book).values() for v in (side or [(np.nan, np.nan)])[0]]


def sides(book):
    """A rebuilt book as the model's."""
    found = book.reset_index()
    for side in ("bid", "ask"):
        assert found.loc[found["side"] == side, "level"].tolist() == list(
            range((found["side"] == side).sum())
        )
    return {
        side: list(zip(one["price"], one["size"], strict=True))
        for side in ("bid", "ask")
        for one in [found[found["side"] == side]]
    }


@repeatable
@given(updates, shots, st.sampled_from([object, "category"]), st.integers(-1, 61))
def test_a_book_is_the_dictionarys(said, shots, kind, place):
    """At any instant, with snapshots in between, on both sides, to the bit of each price."""
    tickstore = table(sorted(said, key=lambda each: each[0]), kind)
    snapshots = table([(when, r) for when in sorted(shots) for r in shots[when]], kind)
    book = book_at(tickstore, "A", at(place), snapshots=snapshots)
    assert sides(book) == as_table(kept(said, shots, place))
    assert list(book.dtypes) == [np.dtype("float64")] * 2
    best_two = book_at(tickstore, "A", at(place), snapshots=snapshots, levels=2)
    assert sides(best_two) == {side: rows[:2] for side, rows in sides(book).items()}


@repeatable
@given(updates, shots, st.integers(-1, 61), st.integers(-1, 61))
def test_the_best_prices_are_the_dictionarys(said, shots, one, two):
    """At each instant that brought something, and at no other."""
    low, high = sorted((one, two))
    tickstore = table(sorted(said, key=lambda each: each[0]))
    snapshots = table([(when, r) for when in sorted(shots) for r in shots[when]])
    found = best(tickstore, "A", at(low), at(high), snapshots=snapshots)
    instants = sorted({*shots, *(place for place, _ in said)})
    expected = {at(p): tops(kept(said, shots, p)) for p in instants if low <= p <= high}
    assert found.index.tolist() == list(expected)
    np.testing.assert_array_equal(
        np.array(list(expected.values())).reshape(-1, 4), found.to_numpy()
    )
    everything = best(tickstore, "A", snapshots=snapshots, tz=NEW_YORK)
    assert everything.index.tolist() == [at(place) for place in instants]
    assert str(everything.index.tz) == NEW_YORK


def test_depth_adds_up_from_the_best_price():
    """And within= leaves out what is far from the middle."""
    said = [("buy", 99.0, 1.0), ("buy", 98.0, 2.0), ("sell", 101.0, 3.0), ("sell", 9e9, 4.0)]
    book = book_at(table([(0, r) for r in said]), "A")
    assert depth(book)["total"].tolist() == [1.0, 3.0, 3.0, 7.0]
    assert depth(book, within=0.01)["price"].tolist() == [99.0, 101.0]
    assert depth(book, within=0.02)["total"].tolist() == [1.0, 3.0, 3.0]
    with pytest.raises(errors.BadRequest, match="a side is empty"):
        depth(book.loc[["bid"]], within=0.01)
    with pytest.raises(errors.BadRequest, match="a book is what book_at gives"):
        depth([1])
    nothing = book_at(MemoryTickstore(), "A")
    assert nothing.empty
    assert depth(nothing).empty


def test_only_what_came_since_the_snapshot_is_read():
    """Neither earlier updates nor earlier snapshots, nor what came after the instant."""
    rows = [(144 * day, ("buy", 9.0 + day, 1.0)) for day in range(5)]
    index = pd.DatetimeIndex([at(place) for place, _ in rows], name="time")
    frame = pd.DataFrame([r for _, r in rows], columns=["side", "price", "size"], index=index)
    tickstore, store = recorded(frame)
    snapshots, kept_snapshots = recorded(frame.iloc[[0, 2]])
    book = book_at(tickstore, "A", at(3 * 144), snapshots=snapshots)
    assert book["price"].tolist() == [12.0, 11.0]
    assert kept_snapshots.dates() == ["2019/11/02"]
    assert store.dates() == ["2019/11/02", "2019/11/03"]


def test_a_book_is_of_what_was_known_then():
    tickstore = table([(0, ("buy", 9.0, 1.0))])
    before = tickstore.revisions("A")[0].start_time
    tickstore.delete("A", BiTimestamp(date(2019, 10, 31)))
    assert len(book_at(tickstore, "A", as_of_time=before)) == 1
    assert book_at(tickstore, "A").empty


@pytest.mark.parametrize("said", [("up", 9.0, 1.0), ("buy", np.nan, 1.0), ("buy", 9.0, -1.0)])
def test_rows_that_are_no_book_are_refused(said):
    tickstore = table([(0, ("sell", 9.5, 1.0)), (0, said)])
    for ask in (book_at, best):
        with pytest.raises(errors.BadRequest, match="of 'A' is of no book; side is one of buy,"):
            ask(tickstore, "A")


def test_a_request_that_cannot_be_is_refused_with_the_way_out():
    tickstore = table([(0, ("buy", 9.0, 1.0))])
    with pytest.raises(errors.BadRequest, match=r"of one instant.*; write 2019-10-31T00:00"):
        book_at(tickstore, "A", "2019-10-31")
    with pytest.raises(errors.BadRequest, match="levels is a number of prices"):
        book_at(tickstore, "A", levels=-1)
    with pytest.raises(errors.BadRequest, match="before start"):
        best(tickstore, "A", "2019-11-02", "2019-11-01")
    prices = stored(pd.DataFrame({"price": [1.0]}, index=[START.tz_localize(None)]))
    with pytest.raises(errors.NotFound, match="never had a column 'side'"):
        book_at(prices, "A")
    text = stored(pd.DataFrame({"side": "buy", "price": "x", "size": 1.0}, index=[START]))
    with pytest.raises(errors.BadRequest, match="price and size of 'A' are numbers"):
        book_at(text, "A")


@pytest.fixture(scope="module")
def coinbase():
    """The real hour of 2018: tables of its updates and of the snapshot before them."""
    folder = real("coinbase_l2_2018")
    hour = [pd.read_csv(folder / f"l2update_15min_{part}.csv.gz") for part in (1, 2, 3, 4)]
    said = pd.concat(hour, ignore_index=True)
    said = said.assign(time=pd.to_datetime(said["time"]))
    whole = [pd.read_csv(folder / f"snapshot_{side}.csv.gz") for side in ("bids", "asks")]
    shot = pd.concat(whole, ignore_index=True).assign(time=said["time"].iloc[0])
    shot["price"] = shot["price"].astype("float64")
    day, tables = BiTimestamp(date(2018, 4, 24)), []
    for frame in (said, shot):
        tables.append(MemoryTickstore())
        tables[-1].insert("BTC-USD", day, frame.astype({"side": "category"}))
    return *tables, said, shot


def test_the_real_hour_ends_where_it_ended_and_never_crosses(coinbase):
    """9227.61 to 9227.62, after 193,848 updates onto 27,819 prices."""
    tickstore, snapshots, said, _ = coinbase
    assert len(said) == 193_848
    book = book_at(tickstore, "BTC-USD", snapshots=snapshots)
    assert (book.loc[("bid", 0), "price"], book.loc[("ask", 0), "price"]) == (9227.61, 9227.62)
    prices = best(tickstore, "BTC-USD", snapshots=snapshots)
    assert prices.index.is_unique
    assert prices.index[-1] == said["time"].iloc[-1]
    assert prices.notna().all(axis=None)
    assert (prices["bid"] < prices["ask"]).all()
    assert prices.iloc[-1][["bid", "ask"]].tolist() == [9227.61, 9227.62]
    chart = depth(book, within=0.01)
    assert chart.groupby(level="side")["total"].last().gt(100).all()


def test_the_real_book_of_any_instant_is_the_dictionarys(coinbase):
    """The snapshot's own, one in the middle, and the last."""
    tickstore, snapshots, said, shot = coinbase
    prices = best(tickstore, "BTC-USD", snapshots=snapshots)
    book = dict(zip(zip(shot["side"], shot["price"], strict=True), shot["size"], strict=True))
    done = 0
    for place in (1, len(said) // 2, len(said)):
        when = said["time"].iloc[place - 1]
        until = int((said["time"] <= when).sum())
        rows = said.iloc[done:until]
        for side, price, size in zip(rows["side"], rows["price"], rows["size"], strict=True):
            book[side, price] = size
        done = until
        model = {(SIDES[side], price): size for (side, price), size in book.items() if size > 0}
        found = book_at(tickstore, "BTC-USD", when, snapshots=snapshots)
        assert sides(found) == as_table(model)
        assert prices.loc[when].tolist() == tops(model)
