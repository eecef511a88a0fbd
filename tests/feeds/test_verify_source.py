"""An exchange that changes its mind is found out, to the bit; and taken at its word if asked to."""

from __future__ import annotations

import random
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore
from behemoth.errors import BadRequest, NotFound, ReadOnly
from behemoth.feeds import CoinbaseClient, download, verify_source
from tests.clock import Clock
from tests.feeds.moody import DAY, FIRST, LAST, Moody, fast, midnight, opened, trades
from tests.profile import FULL

MIDDLE = date(2019, 10, 30)
NOON = midnight(MIDDLE) + DAY // 2


class Scene:
    """A table that was filled from a moody exchange, and the exchange."""

    def __init__(self, market, exchange, client, store, granularity):
        self.market, self.exchange, self.client, self.store = market, exchange, client, store
        self.granularity = granularity
        self.days = FIRST, LAST
        self.notes = []

    def verify(self, **options):
        """Verify all days."""
        options = {"on_note": self.notes.append, "granularity": self.granularity} | options
        return verify_source(self.store, self.client, "BTC-USD", *self.days, **options)

    def row(self, time=NOON):
        """Give the candle that is traded at a time."""
        return self.market.table[self.market.table[:, 0] == time][0]

    def stored(self, **bounds):
        """What the table holds, in the form of the market's minutes."""
        frame = self.store.select("BTC-USD", **bounds)
        return np.column_stack([frame.index.asi8 / 1e9, frame.to_numpy()])


@contextmanager
def scene(table=None, days=(FIRST, LAST), granularity=60, store=None):
    """Fill a table from a market, to be changed then."""
    market = Moody(trades(FIRST, MIDDLE, LAST) if table is None else table)
    with opened(market) as exchange, fast(exchange) as client:
        store = store or MemoryTickstore(clock=Clock())
        download(store, client, "BTC-USD", *days, granularity)
        yield Scene(market, exchange, client, store, granularity)


def found(verification):
    """Give the rows that differ as a set: what happened, and when."""
    rows = verification.rows
    return {
        (int(time.timestamp()), change)
        for time, change in zip(rows.index, rows["change", ""], strict=True)
    }


def outcomes(verification):
    """Give the outcome of each day."""
    return verification.days["outcome"].tolist()


def test_an_exchange_that_says_the_same_is_the_same_and_nothing_is_written():
    with scene() as it:
        token = it.store.token
        asked = it.verify()
        assert outcomes(asked) == ["same"] * 3
        assert (asked.settled, asked.rows_total, len(asked.rows)) == (True, 0, 0)
        assert (asked.token, it.store.token) == (token, token)
        assert asked.requests == len(it.exchange.requests) / 2


def test_a_changed_a_new_and_a_vanished_row_are_shown_with_both_values():
    with scene() as it:
        changed = it.row().copy()
        before, changed[4] = changed[4], changed[4] + 0.125
        late = np.r_[NOON + 60, changed[1:]]
        gone = NOON - 3600
        it.market.put(changed, late)
        it.market.without(gone)
        asked = it.verify()
        assert outcomes(asked) == ["same", "differs", "same"]
        assert found(asked) == {(NOON, "changed"), (NOON + 60, "new"), (gone, "vanished")}
        rows = asked.rows.set_index(asked.rows["change", ""].astype(str))
        assert rows.loc["changed", ("close", "stored")] == before
        assert rows.loc["changed", ("close", "source")] == before + 0.125
        assert np.isnan(rows.loc["new", ("close", "stored")])
        assert np.isnan(rows.loc["vanished", ("close", "source")])
        assert set(rows["date", ""]) == {pd.Timestamp(MIDDLE)}
        assert list(rows["date", ""].index) == ["vanished", "changed", "new"]
        day = asked.days.loc[str(MIDDLE)]
        assert (day["changed"], day["new"], day["vanished"]) == (1, 1, 1)
        assert (day["stored"], day["answered"], day["version"]) == (24, 24, 0)
        assert not asked.settled
        assert it.store.token == asked.token


@pytest.mark.parametrize(
    ("was", "becomes"),
    [(0.0, -0.0), (-0.0, 0.0), (9000.1, np.nextafter(9000.1, 1e9)), (1e-8, np.nextafter(1e-8, 0))],
)
def test_a_single_bit_counts(was, becomes):
    """0.0 is not -0.0, and the last bit is a change; JSON carries both."""
    table = trades(MIDDLE)
    table[5, 5] = was
    with scene(table) as it:
        assert it.verify().settled
        it.market.table[5, 5] = becomes
        asked = it.verify()
        assert found(asked) == {(int(table[5, 0]), "changed")}
        assert asked.rows["volume", "stored"].to_numpy().tobytes() == np.array([was]).tobytes()
        assert asked.rows["volume", "source"].to_numpy().tobytes() == np.array([becomes]).tobytes()
        assert it.verify(update=True).settled
        assert it.stored().tobytes() == it.market.table.tobytes()


def test_an_update_takes_the_days_that_differ_and_both_states_are_readable():
    clock = Clock()
    with scene(store=MemoryTickstore(clock=clock)) as it:
        old, tagged = it.stored(), it.store.tag("before")
        it.market.put([NOON, 1, 2, 1, 2, 3])
        it.market.without(NOON - 3600)
        clock.tick(3600)
        asked = it.verify(update=True, clock=clock)
        assert (asked.settled, asked.versions_written) == (True, 1)
        assert asked.days["written"].dropna().to_dict() == {pd.Timestamp(MIDDLE): 1}
        assert it.stored().tobytes() == it.market.table.tobytes()
        assert it.stored(as_of_time="before").tobytes() == old.tobytes()
        an_hour_ago = clock.now - timedelta(minutes=30)
        assert it.stored(as_of_time=an_hour_ago).tobytes() == old.tobytes()
        changes = it.store.diff("BTC-USD", tagged)["change"].tolist()
        assert sorted(changes) == ["changed", "removed"]
        said = it.store.log(limit=1)["message"].item()
        assert said == "verify-source BTC-USD 2019-10-30 candles/60: 1 changed, 0 new, 1 vanished"


def test_an_update_keeps_an_observation_of_each_day_that_was_asked():
    """Also of those that are the same: that is the audit trail."""
    with scene() as it:
        it.market.put([NOON, 1, 2, 1, 2, 3])
        it.verify(update=True)
        seen = it.store.observations("BTC-USD")[3:]
        assert [(s.start.date(), s.outcome, s.rows) for s in seen] == [
            (day, "complete", 24) for day in (FIRST, MIDDLE, LAST)
        ]
        assert {s.source for s in seen} == {it.exchange.url}
        assert {s.what for s in seen} == {"candles/60"}
        assert len(it.store.revisions("BTC-USD")) == 4


def test_a_second_update_writes_no_version():
    with scene() as it:
        it.market.put([NOON, 1, 2, 1, 2, 3])
        assert it.verify(update=True).versions_written == 1
        again = it.verify(update=True)
        assert (again.versions_written, outcomes(again)) == (0, ["same"] * 3)
        assert len(it.store.revisions("BTC-USD")) == 4


def test_a_day_that_vanished_whole_is_reported_and_kept():
    """Also with an update; nothing at all is written of it."""
    with scene() as it:
        it.market.table = trades(FIRST, LAST)
        asked = it.verify()
        assert outcomes(asked) == ["same", "vanished", "same"]
        assert found(asked) == {(int(t), "vanished") for t in trades(MIDDLE)[:, 0]}
        kept = it.verify(update=True)
        assert (kept.settled, kept.versions_written) == (False, 0)
        assert "kept" in kept.days.loc[str(MIDDLE), "reason"]
        assert len(it.stored()) == 72
        assert [s.start.date() for s in it.store.observations("BTC-USD")[3:]] == [FIRST, LAST]


def test_a_day_that_vanished_whole_is_deleted_when_deletions_are_accepted():
    """By a tombstone: what was known stays readable as of then."""
    with scene() as it:
        token = it.store.token
        it.market.table = trades(FIRST, LAST)
        asked = it.verify(update=True, accept_deletions=True)
        assert (asked.settled, asked.versions_written) == (True, 1)
        newest = [r for r in it.store.revisions("BTC-USD") if r.date == MIDDLE][-1]
        assert newest.kind == "delete"
        assert len(it.stored()) == 48
        assert len(it.stored(as_of_time=token)) == 72
        assert it.store.observations("BTC-USD")[-1].rows == 0
        again = it.verify(update=True, accept_deletions=True)
        assert (outcomes(again), again.versions_written) == (["same"] * 3, 0)


def once(falsify, when=lambda start, end: end - start <= DAY):
    """Let one answer to a window be false, and all others true."""
    told = set()

    def mood(start, end, rows):
        if len(rows) and when(start, end) and not told:
            told.add(start)
            return falsify(rows)
        return rows

    return mood


@pytest.mark.parametrize("falsify", [lambda rows: rows[:0], lambda rows: rows[:-1]])
def test_one_empty_or_shorter_answer_is_no_news(falsify):
    """It is asked again, and what is there again was never gone."""
    with scene() as it:
        it.market.mood = once(falsify)
        asked = it.verify(update=True, accept_deletions=True)
        assert (outcomes(asked), asked.versions_written) == (["same"] * 3, 0)
        assert len(it.stored()) == 72


def test_an_exchange_that_answers_empty_one_time_in_five_changes_nothing():
    """Not even where deletions are accepted: no day is taken for vanished."""
    chance = random.Random(5)  # noqa: S311 - the same flakes each time
    with scene() as it:
        it.market.mood = lambda _s, _e, rows: rows[: len(rows) * (chance.random() > 0.2)]
        asked = it.verify(update=True, accept_deletions=True)
        it.market.mood = lambda _s, _e, rows: rows
        assert (outcomes(asked), asked.versions_written) == (["same"] * 3, 0)
        assert it.verify().settled


def test_a_shorter_answer_is_told_of():
    with scene() as it:
        it.market.mood = once(lambda rows: rows[:-1])
        it.verify()
        assert "1 rows were missing in one answer" in it.notes[-1]


def test_an_answer_that_is_never_the_same_twice_is_not_believed():
    """The day failed, and nothing of it was written."""
    with scene() as it:
        count = iter(range(1000))

        def shrinking(start, end, rows):
            if end - start <= DAY and len(rows) and start <= NOON < end:
                return rows[1 + next(count) % 2 :]
            return rows

        it.market.mood = shrinking
        asked = it.verify(update=True, accept_deletions=True)
        assert outcomes(asked) == ["same", "failed", "same"]
        assert "twice running" in asked.days.loc[str(MIDDLE), "reason"]
        assert (asked.settled, asked.versions_written) == (False, 0)


def test_a_day_that_was_empty_and_has_ticks_now_is_new():
    with scene(trades(FIRST, LAST)) as it:
        assert outcomes(it.verify()) == ["same"] * 3
        it.market.table = trades(FIRST, MIDDLE, LAST)
        asked = it.verify()
        assert outcomes(asked) == ["same", "differs", "same"]
        assert found(asked) == {(int(t), "new") for t in trades(MIDDLE)[:, 0]}
        assert asked.days["version"].isna().tolist() == [False, True, False]
        assert it.verify(update=True).settled
        assert it.stored().tobytes() == it.market.table.tobytes()


def test_a_day_deleted_by_hand_is_asked_again_and_comes_back_with_an_update_only():
    """The same ticks are undeleted, without a copy; other ones are inserted."""
    with scene() as it:
        it.store.delete("BTC-USD", BiTimestamp(MIDDLE))
        it.store.delete("BTC-USD", BiTimestamp(LAST))
        it.market.put([midnight(LAST), 1, 2, 1, 2, 3])
        asked = it.verify()
        assert outcomes(asked) == ["same", "differs", "differs"]
        assert asked.days["new"].tolist() == [0, 24, 24]
        assert len(it.stored()) == 24
        assert it.verify(update=True).settled
        assert [r.kind for r in it.store.revisions("BTC-USD")] == [
            *("insert", "insert", "delete", "undelete", "insert", "delete", "insert")
        ]
        assert it.stored().tobytes() == it.market.table.tobytes()


def test_a_deleted_day_of_which_the_source_has_nothing_is_the_same():
    with scene() as it:
        it.store.delete("BTC-USD", BiTimestamp(MIDDLE))
        it.market.table = trades(FIRST, LAST)
        assert outcomes(it.verify()) == ["same"] * 3


def test_an_exchange_that_fails_in_the_middle_leaves_a_report_of_the_rest():
    """What was asked is told and taken; the day that failed says why."""
    with scene() as it:
        it.market.put([midnight(FIRST), 1, 2, 1, 2, 3])

        def refuse(start, end, rows):
            if start <= NOON < end and end - start <= DAY:
                return np.array([[start + 1.0, 1, 2, 1, 2, 3]])  # no candle of a minute
            return rows

        it.market.mood = refuse
        quick = CoinbaseClient(it.exchange.url, rate=1e5, sleep=lambda _: None)
        with quick as it.client:
            asked = it.verify(update=True)
        assert outcomes(asked) == ["differs", "failed", "same"]
        assert "starts no candle" in asked.days.loc[str(MIDDLE), "reason"]
        assert (asked.settled, asked.versions_written) == (False, 1)
        assert asked.days.loc[str(MIDDLE), "stored"] == 24


def test_a_product_that_was_delisted_is_never_taken_for_vanished():
    """404 is no answer; and an exchange that forgot it all is not believed without a flag."""
    with scene() as it:
        it.market.products = ("ETH-USD",)
        asked = it.verify(update=True, accept_deletions=True)
        assert outcomes(asked) == ["failed"] * 3
        assert "NotFound" in asked.days["reason"].iloc[0]
        it.market.products, it.market.table = ("BTC-USD",), np.empty((0, 6))
        assert outcomes(it.verify(update=True)) == ["vanished"] * 3
        assert len(it.stored()) == 72
        assert it.verify(update=True, accept_deletions=True).versions_written == 3
        assert len(it.stored()) == 0


def test_a_product_that_trades_no_more_is_empty_from_then_on_and_the_same():
    with scene(trades(FIRST)) as it:
        assert outcomes(it.verify()) == ["same"] * 3


def test_days_before_the_listing_were_empty_and_are():
    """The listing day itself is compared like any other."""
    listing = trades(MIDDLE)[7:]
    with scene(np.vstack([listing, trades(LAST)])) as it:
        assert outcomes(it.verify()) == ["same"] * 3
        it.market.put([midnight(MIDDLE), 1, 2, 1, 2, 3])
        assert found(it.verify()) == {(midnight(MIDDLE), "new")}


def test_the_minutes_on_both_sides_of_midnight_belong_to_their_days():
    with scene(trades(FIRST, MIDDLE, LAST, every=60)) as it:
        first, last = midnight(MIDDLE), midnight(MIDDLE) + DAY - 60
        it.market.put([first, 1, 2, 1, 2, 3], [last, 1, 2, 1, 2, 3])
        asked = it.verify()
        assert outcomes(asked) == ["same", "differs", "same"]
        assert found(asked) == {(first, "changed"), (last, "changed")}


def test_the_neighbours_of_a_leap_second_are_days_like_others():
    """2016 ended with a minute of 61 seconds, which unix time does not know."""
    days = date(2016, 12, 31), date(2017, 1, 1)
    with scene(trades(*days, every=60), days) as it:
        it.days = days
        last = midnight(days[1]) - 60
        it.market.put([last, 1, 2, 1, 2, 3])
        asked = it.verify(update=True)
        assert found(asked) == {(last, "changed")}
        assert outcomes(asked) == ["differs", "same"]
        assert it.stored().tobytes() == it.market.table.tobytes()


def test_a_day_that_is_not_over_is_not_asked():
    """What is stored of it in part stays; the exchange's clock decides."""
    today = date(2019, 11, 1)
    with scene(trades(LAST, today)) as it:
        it.days = LAST, today
        download(it.store, it.client, "BTC-USD", *it.days, partial=True)
        asked = it.verify(update=True)
        assert outcomes(asked) == ["same", "not over"]
        assert asked.settled
        assert "2019-11-01" in it.notes[0]


def test_a_day_stored_in_part_that_is_over_now_is_compared_and_completed():
    today = date(2019, 11, 1)
    market = Moody(trades(today))
    store = MemoryTickstore(clock=Clock())
    with opened(market) as exchange, fast(exchange) as client:
        download(store, client, "BTC-USD", today, today, partial=True)
        port = int(exchange.url.rsplit(":", 1)[1])
    tomorrow = datetime(2019, 11, 2, 1, tzinfo=UTC)
    with opened(market, now=tomorrow, port=port) as exchange, fast(exchange) as client:
        asked = verify_source(store, client, "BTC-USD", today, today)
    assert (outcomes(asked), set(asked.days["new"])) == (["differs"], {12})


def test_a_day_that_was_never_asked_is_not_asked_now():
    """That is the download's business; of nothing at all there is nothing to verify."""
    with scene(days=(FIRST, FIRST)) as it:
        before = len(it.exchange.requests)
        asked = it.verify()
        assert outcomes(asked) == ["same", "not stored", "not stored"]
        assert asked.settled
        targets = [request.target for request in it.exchange.requests[before:]]
        assert [target for target in targets if "2019-10-30T" in target] == []
        with pytest.raises(NotFound, match="download"):
            verify_source(it.store, it.client, "BTC-USD", MIDDLE, LAST)
        with pytest.raises(NotFound, match="ETH-USD"):
            verify_source(it.store, it.client, "ETH-USD", FIRST, LAST)


@pytest.mark.parametrize("granularity", [3600, 86400])
def test_other_granularities_are_verified_in_their_own_tables(granularity):
    with scene(granularity=granularity) as it:
        assert outcomes(it.verify()) == ["same"] * 3
        it.market.put([NOON, 1, 99999, 1, 2, 3])
        start = NOON // granularity * granularity
        assert found(it.verify()) == {(start, "changed")}
        assert it.verify(update=True).settled
        assert it.store.select("BTC-USD")["high"].max() == 99999


def test_another_writer_is_not_overwritten():
    """What changed since the comparison is not superseded by what was compared."""
    with scene() as it:
        it.market.put([NOON, 1, 2, 1, 2, 3])
        mine = it.store.select("BTC-USD", start=MIDDLE, end=MIDDLE) * 2

        def meanwhile(progress):
            if progress.windows == 1 and len(it.store.revisions("BTC-USD")) == 3:
                it.store.insert("BTC-USD", BiTimestamp(MIDDLE), mine)

        asked = it.verify(update=True, on_progress=meanwhile)
        assert (asked.settled, asked.versions_written) == (False, 0)
        assert "another writer" in asked.days.loc[str(MIDDLE), "reason"]
        assert it.store.select("BTC-USD", start=MIDDLE, end=MIDDLE).equals(mine)


def test_a_table_that_is_only_read_can_be_verified_but_not_updated(tmp_path):
    with scene(store=LocalTickstore(tmp_path / "T")) as it:
        it.store.close()
        before = sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts)
        it.store = LocalTickstore(tmp_path / "T", mode="r")
        it.market.put([NOON, 1, 2, 1, 2, 3])
        assert len(it.verify().rows) == 1
        asked = len(it.exchange.requests)
        with pytest.raises(ReadOnly, match="mode='a'"):
            it.verify(update=True)
        assert len(it.exchange.requests) == asked
        assert sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts) == before


def test_deletions_are_accepted_with_an_update_only():
    with scene() as it, pytest.raises(BadRequest, match="update"):
        it.verify(accept_deletions=True)


def test_what_came_from_another_source_is_not_compared():
    """It would be said of the wrong one; with an update it can be superseded on purpose."""
    with scene() as it, opened(it.market) as other, fast(other) as client:
        it.client = client
        it.market.put([NOON, 1, 2, 1, 2, 3])
        for options in ({}, {"update": True}):
            with pytest.raises(BadRequest, match=f"{it.exchange.url}.*{other.url}.*supersede"):
                it.verify(**options)
        assert it.verify(update=True, supersede=True).versions_written == 1
        with pytest.raises(BadRequest, match="update"):
            it.verify(supersede=True)


def test_what_was_superseded_on_purpose_is_compared_from_then_on():
    """Also the days that were the same, and got no version of the new source."""
    with scene() as it, opened(it.market) as other, fast(other) as client:
        it.client = client
        it.market.put([NOON, 1, 2, 1, 2, 3])
        assert it.verify(update=True, supersede=True).versions_written == 1
        assert outcomes(it.verify(update=True)) == ["same"] * 3


def test_candles_of_another_length_are_not_compared():
    with scene() as it, pytest.raises(BadRequest, match=r"candles/60.*candles/300"):
        it.verify(granularity=300)


def test_a_correction_by_hand_is_compared_and_kept():
    """It names no source; to take the exchange's word instead must be said."""
    with scene() as it:
        mine = it.store.select("BTC-USD", start=MIDDLE, end=MIDDLE) * 2
        it.store.insert("BTC-USD", BiTimestamp(MIDDLE), mine, message="I know better")
        assert outcomes(it.verify()) == ["same", "differs", "same"]
        kept = it.verify(update=True)
        assert "--supersede" in kept.days.loc[str(MIDDLE), "reason"]
        assert (kept.settled, kept.versions_written) == (False, 0)
        assert it.verify(update=True, supersede=True).settled
        assert it.stored().tobytes() == it.market.table.tobytes()


def test_ticks_without_a_time_zone_are_compared_by_their_instants():
    """They cannot be superseded by ticks that have one; that is told, and stops nothing else."""
    with scene() as it:
        store, aware = MemoryTickstore(clock=Clock()), it.store.select("BTC-USD")
        for day in (FIRST, MIDDLE):
            ticks = aware.loc[str(day)].tz_localize(None)
            store.insert("BTC-USD", BiTimestamp(day), ticks, source=it.exchange.url)
        it.store = store
        it.market.put([NOON, 1, 2, 1, 2, 3])
        asked = it.verify(update=True)
        assert outcomes(asked) == ["same", "differs", "not stored"]
        assert found(asked) == {(NOON, "changed")}
        assert "time zone" in asked.days.loc[str(MIDDLE), "reason"]


def test_an_undeleted_day_is_of_whom_it_was_before():
    with scene() as it:
        it.store.delete("BTC-USD", BiTimestamp(MIDDLE))
        it.store.undelete("BTC-USD", BiTimestamp(MIDDLE))
        it.market.put([NOON, 1, 2, 1, 2, 3])
        assert it.verify(update=True).settled


def test_only_as_many_rows_are_kept_as_are_wanted_and_all_are_handed_on():
    """In the order of the days; so memory is bounded whatever the exchange says."""
    with scene() as it:
        it.market.table[:, 5] += 1
        handed = []
        asked = it.verify(keep=5, on_day=lambda day: handed.append((day.date, day.changed)))
        assert (len(asked.rows), asked.rows_total) == (5, 72)
        assert handed == [(day, 24) for day in (FIRST, MIDDLE, LAST)]


def test_a_column_of_ones_own_is_told_of():
    """A table that was enriched by hand is compared by what it has."""
    with scene(trades(MIDDLE)) as it:
        ticks = it.store.select("BTC-USD").assign(checked=True)
        it.store.insert("BTC-USD", BiTimestamp(MIDDLE), ticks)
        asked = it.verify()
        assert asked.days["changed"].sum() == 24
        assert asked.rows["checked", "stored"].all()


def test_no_window_is_asked_twice_where_nothing_changed():
    """A download and a verification ask each window once each, the same ones."""
    with scene(trades(FIRST, MIDDLE, LAST)) as it:
        filled = [r.target for r in it.exchange.requests if "candles" in r.target]
        it.verify()
        verified = [r.target for r in it.exchange.requests if "candles" in r.target][len(filled) :]
        assert len(set(filled)) == len(filled) == 15
        assert sorted(verified) == sorted(filled)


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["change", "drop", "add"]),
        st.integers(0, 3 * 24 - 1),
        st.integers(1, 5),
        st.sampled_from([0.0, -0.0, 1e-8, 9000.125, 1e300]),
    ),
    max_size=12,
)


@settings(max_examples=60 if FULL else 12, deadline=None)
@given(EDITS)
def test_random_edits_are_reported_exactly(edits):
    """Set equality with a model of two dictionaries."""
    with scene() as it:
        model = {row[0]: row[1:].tobytes() for row in it.market.table}
        for what, number, column, value in edits:
            time = midnight(FIRST) + number * 3600
            if what == "drop":
                it.market.without(time)
                continue
            at = time + (60 if what == "add" else 0)
            row = np.array([at, 1, 2, 1, 2, 3], dtype=float)
            row[column] = value
            it.market.put(row)
        now = {row[0]: row[1:].tobytes() for row in it.market.table}
        expected = {(int(time), "new") for time in now.keys() - model.keys()}
        expected |= {(int(time), "vanished") for time in model.keys() - now.keys()}
        both = model.keys() & now.keys()
        expected |= {(int(time), "changed") for time in both if model[time] != now[time]}
        assert found(it.verify()) == expected
        assert it.verify(update=True, accept_deletions=True).settled
        assert it.stored().tobytes() == it.market.table.tobytes()
