"""Coverage and gaps: what is known of each day, and why a candle is missing."""

from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, Observation, errors
from behemoth.stores import MemoryStore
from behemoth.tickstore import Tickstore, covered
from tests import data
from tests.clock import Clock
from tests.profile import FULL
from tests.research.tables import Recording

A, SOURCE = "BTC-USD", "https://exchange.example"
D29, D30, D31, D01 = (date(2019, 10, 29) + timedelta(days=n) for n in range(4))
LATER = datetime(2020, 1, 1, tzinfo=UTC)


def at(day, hour=0.0):
    """An instant of a day; hour 24 is the next midnight."""
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour)


def asked(day, outcome="complete", *, hours=(0, 24), rows=0, when=LATER, what="candles/60", **more):
    """What a source answered for a part of a day, or for days until `end`."""
    begin, end = at(day, hours[0]), more.pop("end", None) or at(day, hours[1])
    source = more.pop("source", SOURCE)
    return Observation(A, source, what, begin, end, when, outcome, rows)


def minutes(day, numbers):
    """A bar for each of these minutes of a day."""
    index = pd.DatetimeIndex([at(day) + timedelta(minutes=int(n)) for n in numbers], name="time")
    return pd.DataFrame({"price": np.arange(float(len(index)))}, index=index.as_unit("ns"))


def download(store, day, numbers, outcome="complete", **more):
    """Store a day as the downloader does: ticks and what was asked, in one commit."""
    ticks = minutes(day, numbers)
    seen = asked(day, outcome, rows=len(ticks), **more)
    if len(ticks):
        store.insert(A, BiTimestamp(day), ticks, observations=[seen])
    else:
        store.observe([seen])


def states(view, *days, **more):
    """The states of days."""
    return view.coverage(A, *days, **more)["state"].tolist()


def gaps(view, *days, **more):
    """Spans from hour to hour, counted from the 30th of October, and their reasons."""
    frame = view.gaps(A, *days, **more)
    start, hour = pd.Timestamp(at(D30)), pd.Timedelta("1h")
    hours = ((frame[name] - start) / hour for name in ("start", "end"))
    return list(zip(*hours, frame["reason"], strict=True))


@pytest.fixture
def store():
    """A table in memory, looked at long after its days."""
    with MemoryTickstore(clock=Clock(datetime(2020, 2, 1, tzinfo=UTC))) as store:
        yield store


FAILED, PARTIAL, COMPLETE = (asked(D30, outcome) for outcome in ("failed", "partial", "complete"))
MORNING = asked(D30, hours=(0, 12))
EVENING = asked(D30, hours=(12, 24))
UNTIL_NOON = asked(D30, "partial", hours=(0, 12), when=at(D30, 12))


@pytest.mark.parametrize(
    ("seen", "stored", "state", "found"),
    [
        ([], False, "unasked", [(0, 24, "not fetched")]),
        ([], True, "stored", [(1, 24, "unknown")]),
        ([COMPLETE], False, "empty", [(0, 24, "no trade")]),
        ([COMPLETE], True, "complete", [(1, 24, "no trade")]),
        ([COMPLETE, FAILED], True, "complete", [(1, 24, "no trade")]),
        ([COMPLETE, UNTIL_NOON], True, "complete", [(1, 24, "no trade")]),
        ([COMPLETE, PARTIAL], True, "complete", [(1, 24, "no trade")]),
        ([FAILED, COMPLETE], False, "empty", [(0, 24, "no trade")]),
        ([FAILED], False, "failed", [(0, 24, "failed")]),
        ([FAILED], True, "failed", [(1, 24, "failed")]),
        ([asked(D30, "failed", hours=(6, 12))], False, "failed",
         [(0, 6, "not fetched"), (6, 12, "failed"), (12, 24, "not fetched")]),
        ([UNTIL_NOON], True, "partial", [(1, 12, "no trade"), (12, 24, "not fetched")]),
        ([UNTIL_NOON, FAILED], True, "partial", [(1, 12, "no trade"), (12, 24, "failed")]),
        ([FAILED, UNTIL_NOON], True, "partial", [(1, 12, "no trade"), (12, 24, "failed")]),
        # of a whole day only as much as was over when it was asked
        ([asked(D30, "partial", when=at(D30, 6))], True, "partial",
         [(1, 6, "no trade"), (6, 24, "not fetched")]),
        # all was over, but it is called partial: nobody knows what is missing
        ([PARTIAL], True, "partial", [(1, 24, "not fetched")]),
        ([MORNING], True, "partial", [(1, 12, "no trade"), (12, 24, "not fetched")]),
        ([MORNING, EVENING], True, "complete", [(1, 24, "no trade")]),
        ([EVENING, MORNING], False, "empty", [(0, 24, "no trade")]),
        ([UNTIL_NOON, EVENING], True, "complete", [(1, 24, "no trade")]),
        ([asked(D29, end=at(D01))], True, "complete", [(1, 24, "no trade")]),
        ([asked(D29, end=at(D30))], False, "unasked", [(0, 24, "not fetched")]),
        ([asked(D29, "partial", end=at(D30, 12), when=at(D30, 12))], True, "partial",
         [(1, 12, "no trade"), (12, 24, "not fetched")]),
        # the source had more than is stored
        ([asked(D30, rows=1440)], False, "partial", [(0, 24, "not fetched")]),
        ([asked(D30, rows=1440)], True, "complete", [(1, 24, "unknown")]),
        ([asked(D30, rows=1440), asked(D30, rows=60)], True, "complete", [(1, 24, "no trade")]),
        # nothing was asked
        ([asked(D30, hours=(5, 5))], False, "unasked", [(0, 24, "not fetched")]),
        # a candle that two askings share is answered, if both are
        ([asked(D30, hours=(0, 12.0125)), asked(D30, hours=(12.0125, 24))], True, "complete",
         [(1, 24, "no trade")]),
        ([asked(D30, hours=(0, 12.0125))], True, "partial",
         [(1, 12, "no trade"), (12, 24, "not fetched")]),
    ],
)  # fmt: skip
def test_what_is_known_of_a_day(store, seen, stored, state, found):
    """Askings in their order, the first hour stored or nothing: a state, and what is missing."""
    for each in seen:
        store.observe([each])
    if stored:
        store.insert(A, BiTimestamp(D30), minutes(D30, range(60)))
    assert states(store, D30, D30) == [state]
    assert gaps(store, D30, D30, granularity=60) == found


def test_the_columns_of_coverage(store):
    """State, rows and version, how often and when it was asked, whom and for what."""
    store.observe([asked(D29, "failed", when=LATER)])
    download(store, D29, [], when=LATER + timedelta(hours=1), source="https://other.example")
    download(store, D30, range(3))
    store.insert(A, BiTimestamp(D30), minutes(D30, range(4)))
    frame = store.coverage(A, D29, D31)
    assert frame.index.name == "date"
    assert frame.index.equals(pd.DatetimeIndex([D29, D30, D31]))
    assert frame["state"].dtype == "category"
    assert frame["state"].tolist() == ["empty", "complete", "unasked"]
    assert frame["rows"].tolist() == [0, 4, 0]
    assert frame["version"].tolist() == [pd.NA, 1, pd.NA]
    assert (frame["askings"].tolist(), frame["failures"].tolist()) == ([2, 1, 0], [1, 0, 0])
    assert frame["asked_at"].iloc[0] == pd.Timestamp(LATER) + pd.Timedelta("1h")
    assert frame["first_asked_at"].iloc[0] == pd.Timestamp(LATER)
    assert frame["asked_at"].isna().tolist() == [False, False, True]
    assert str(frame["asked_at"].dtype) == "datetime64[us, UTC]"
    assert frame["source"].iloc[0] == "https://other.example"
    assert frame["what"].fillna("").tolist() == ["candles/60", "candles/60", ""]
    assert states(store, source=SOURCE) == ["failed", "complete"]
    assert states(store, what="trades") == ["stored"]


def test_the_default_range_is_what_was_asked_or_stored(store):
    """Nothing known, no rows; a range that was asked for is there, whoever knows of it."""
    assert store.coverage(A).empty
    assert store.gaps(A).empty
    assert states(store, D29, D30) == ["unasked", "unasked"]
    store.insert(A, BiTimestamp(D30), minutes(D30, [5]))
    store.observe([asked(D01, "failed")])
    assert store.coverage(A).index.date.tolist() == [D30, D31, D01]
    assert states(store, "2019-10-31") == ["unasked", "failed"]
    assert states(store, end="2019-10-30") == ["stored"]
    assert store.coverage(A, start="2020-01-01").empty


def test_a_deleted_day_says_so_until_something_comes(store):
    """A visible tombstone, also of a complete day; not where the source had nothing either."""
    download(store, D30, range(60))
    store.delete(A, BiTimestamp(D30))
    assert states(store) == ["deleted"]
    assert gaps(store) == [(0, 24, "deleted")]
    store.observe([asked(D30, rows=60)])
    assert states(store) == ["deleted"]
    store.insert(A, BiTimestamp(D31), minutes(D31, [0]))
    with store.transaction() as both:  # it is gone there too
        both.delete(A, BiTimestamp(D31))
        both.observe([asked(D31, rows=0)])
    assert states(store) == ["deleted", "empty"]
    store.undelete(A, BiTimestamp(D30))
    assert states(store) == ["complete", "empty"]
    assert gaps(store) == [(1, 48, "no trade")]


def test_spans_join_across_midnight_and_whole_weeks(store):
    """One row for as long as the reason is one; half-open, so that spans adjoin."""
    download(store, D30, range(1430))
    download(store, D31, range(10, 1440))
    store.insert(A, BiTimestamp(date(2019, 11, 30)), minutes(date(2019, 11, 30), range(1440)))
    frame = store.gaps(A)
    assert frame["start"].tolist() == [
        pd.Timestamp("2019-10-30T23:50Z"), pd.Timestamp("2019-11-01T00:00Z")
    ]  # fmt: skip
    assert frame["end"].tolist() == [
        pd.Timestamp("2019-10-31T00:10Z"), pd.Timestamp("2019-11-30T00:00Z")
    ]  # fmt: skip
    assert frame["bins"].tolist() == [20, 29 * 1440]
    assert frame["reason"].tolist() == ["no trade", "not fetched"]


def test_the_neighbours_of_a_leap_second_are_whole_days(store):
    """2016 ended with 23:59:60, which unix time does not know: 1,440 minutes, none missing."""
    last, first = date(2016, 12, 31), date(2017, 1, 1)
    download(store, last, range(1440))
    download(store, first, range(1440))
    assert store.gaps(A).empty
    download(store, last, range(1439))
    download(store, first, range(1, 1440))
    (gap,) = store.gaps(A).to_dict("records")
    assert gap["start"] == pd.Timestamp("2016-12-31T23:59Z")
    assert gap["end"] == pd.Timestamp("2017-01-01T00:01Z")
    assert gap["bins"] == 2


def test_the_days_before_the_listing_are_empty(store):
    """Asked, and the exchange had nothing; the listing day begins when it begins."""
    store.observe([asked(D29, end=at(D30))])
    download(store, D30, [])
    download(store, D31, range(720, 1440))
    assert states(store) == ["empty", "empty", "complete"]
    assert gaps(store) == [(-24, 36, "no trade")]


def test_a_day_that_is_not_over_misses_no_candle_that_is_not_over():
    """Of today what was over when it was asked is there, and of the rest what is over by now."""
    clock = Clock(at(D30, 12.01))
    with MemoryTickstore(clock=clock) as store:
        download(store, D30, range(720), "partial", hours=(0, 12), when=clock.now)
        assert states(store) == ["partial"]
        assert store.gaps(A).empty
        clock.now = at(D30, 13)
        assert gaps(store) == [(12, 13, "not fetched")]
        clock.tick(59)
        assert gaps(store, D30, D01) == [(12, 13, "not fetched")]
        clock.now = at(D31, 1)
        assert gaps(store) == [(12, 24, "not fetched")]
        assert gaps(store, D30, D01) == [(12, 25, "not fetched")]
        assert states(store, D30, D01) == ["partial", "unasked", "unasked"]


def test_a_frozen_view_answers_as_it_was_known_then():
    """An asking is known since its commit, and what was over is so by the time of the state."""
    clock = Clock(at(D31, 1))
    with MemoryTickstore(clock=clock) as store:
        download(store, D30, range(60), "partial", hours=(0, 1))
        token = store.token
        clock.tick(7200)
        download(store, D30, range(60))
        store.delete(A, BiTimestamp(D30))
        clock.tick(7200)
        backdated = BiTimestamp(D29, as_of_time=at(D30))
        store.insert(A, backdated, minutes(D29, [0]), observations=[asked(D29, rows=1)])
        now = store.token
        clock.tick(7200)
        assert states(store, D29, D30) == ["complete", "deleted"]
        assert states(store.at(token), D29, D30) == ["unasked", "partial"]
        then = store.at(at(D31, 2))
        # ticks that count as known since then; that somebody asked was not known
        assert states(then, D29, D30) == ["stored", "partial"]
        assert [each.outcome for each in then.observations(A)] == ["partial"]
        assert gaps(then, D30, D31) == [(1, 26, "not fetched")]
        assert gaps(store.at(token), D30, D31) == [(1, 25, "not fetched")]
        assert states(store.at(at(D30)), D29, D30) == ["stored", "unasked"]
        frozen = store.at(now)
        before = frozen.gaps(A, D29, D31)
        clock.tick(86400 * 30)
        download(store, D31, range(1440))
        pd.testing.assert_frame_equal(frozen.gaps(A, D29, D31), before)


def test_ticks_of_a_session_are_found_by_their_times(store):
    """Monday's session begins on Sunday evening: its minutes are there, Sunday is not empty."""
    sunday, monday = date(2019, 10, 27), date(2019, 10, 28)
    index = pd.date_range("2019-10-27 22:00", "2019-10-28 20:59", freq="min", tz="UTC", name="time")
    store.insert(A, BiTimestamp(monday), pd.DataFrame({"price": 1.0}, index=index))
    frame = store.coverage(A)
    assert frame.index.date.tolist() == [sunday, monday]
    assert (frame["state"].tolist(), frame["rows"].tolist()) == (["stored"] * 2, [0, 23 * 60])
    spans = store.gaps(A, granularity=60)
    assert spans["bins"].tolist() == [22 * 60, 3 * 60]
    assert set(spans["reason"]) == {"unknown"}
    store.observe([asked(sunday, rows=120, end=at(monday))])
    assert states(store) == ["complete", "stored"]
    assert store.gaps(A)["reason"].tolist() == ["no trade", "unknown"]


def test_granularity_is_what_was_asked_for(tmp_path):
    """Else what is given; else a minute, where the table's name says so."""
    with MemoryTickstore(clock=Clock()) as store:
        store.insert(A, BiTimestamp(D30), minutes(D30, [0, 300]))
        assert store.gaps(A).attrs["granularity"] is None
        assert store.gaps(A).empty  # nobody knows what is missing of ticks
        store.observe([asked(D30, rows=2, what="candles/3600")])
        assert store.gaps(A).attrs["granularity"] == 3600
        assert gaps(store) == [(1, 5, "no trade"), (6, 24, "no trade")]
        assert gaps(store, granularity=21600) == [(6, 24, "unknown")]
        store.observe([asked(D30, "failed")])
        with pytest.raises(errors.BadRequest, match=r"60, 3600 seconds .* granularity=60"):
            store.gaps(A)
        assert set(store.gaps(A, granularity=60)["reason"]) == {"failed"}
        for wrong in (0, -60, 7, 86401, True, "60", 60.0):
            with pytest.raises(errors.BadRequest, match="divide a day"):
                store.gaps(A, granularity=wrong)
    with LocalTickstore(tmp_path / "COINBASE_PRO_ONE_MIN_BINS") as table:
        table.insert(A, BiTimestamp(D30), minutes(D30, [0]))
        assert table.gaps(A)["bins"].tolist() == [1439]


def test_trades_have_no_candles_but_days(store):
    """A day is there, or empty, or missing; of a partial day the rest is."""
    download(store, D29, range(3), what="trades")
    download(store, D30, [], what="trades")
    download(store, D01, range(2), "partial", hours=(0, 1), when=at(D01, 1), what="trades")
    frame = store.gaps(A)
    assert frame["bins"].isna().all()
    assert gaps(store) == [
        (0, 24, "no trade"), (24, 48, "not fetched"), (49, 72, "not fetched")
    ]  # fmt: skip
    assert len(store.gaps(A, D29, D29, granularity=60)) == 1  # minutes, if they are asked for


def test_a_whole_day_that_was_answered_is_not_read():
    """The index has its rows; only days that lack something, or came by hand, are opened."""
    recording = Recording()
    with Tickstore(recording, "time", Clock()) as store:
        download(store, D29, range(1440))
        download(store, D30, range(1439))
        store.insert(A, BiTimestamp(D31), minutes(D31, range(1440)))
        download(store, D01, range(1440))
    with Tickstore(recording, "time", Clock()) as store:
        recording.read.clear()
        assert store.gaps(A)["bins"].tolist() == [1]
    assert {key[:10] for key in recording.read} == {"2019/10/30", "2019/10/31"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("2019-11-01", "2019-10-01"), "before start"),
        (("31.10.2019",), "looks like 2019-10-31"),
        (("0001-01-01",), "days lie in"),
    ],
)
def test_a_range_that_cannot_be_is_refused(store, words, message):
    """One line that says what is wrong; so with a name that is none."""
    for verb in (store.coverage, store.gaps):
        with pytest.raises(errors.BadRequest, match=message):
            verb(A, *words)
        with pytest.raises(errors.BadName):
            verb("")


def test_a_closed_table_answers_nothing(store):
    """As every verb."""
    store.close()
    for verb in (store.coverage, store.gaps):
        with pytest.raises(errors.Closed):
            verb(A)


def test_the_examples_hold():
    """Those in the docstrings."""
    names = {name: globals()[name] for name in ("BiTimestamp", "MemoryTickstore", "pd")}
    names |= {"Date": date, "ticks": minutes(D31, [0])}
    assert doctest.testmod(covered, extraglobs=names).failed == 0


def test_the_missing_weeks_of_bitfinex_are_listed(tmp_path):
    """In 2016 sixty days and one week are not there; single minutes nobody can be sure of."""
    file = data.real("bitfinex_1m/BTCUSD_2016_1m.csv.gz")
    ticks = pd.read_csv(file, index_col="ts_ms", dtype=float)
    ticks.index = pd.to_datetime(ticks.index.astype("int64"), unit="ms", utc=True).rename("time")
    with LocalTickstore(tmp_path / "BITFINEX_ONE_MIN_BINS", clock=Clock()) as store:
        store.insert_many(
            (A, BiTimestamp(day), part) for day, part in ticks.groupby(ticks.index.date)
        )
        frame, days = store.gaps(A), store.coverage(A)
    weeks = frame[frame["bins"] >= 7 * 1440]
    assert [(f"{row.start:%m-%d}", f"{row.end:%m-%d}") for row in weeks.itertuples()] == [
        ("04-02", "06-01"), ("08-03", "08-10")
    ]  # fmt: skip
    assert set(weeks["reason"]) == {"not fetched"}
    assert days["state"].value_counts()[["stored", "unasked"]].tolist() == [299, 67]
    assert frame["bins"].sum() + len(ticks.index.unique()) == 366 * 1440


# A brute-force model: each slot of half an hour, by itself, against everything that was ever said.

SLOT = timedelta(minutes=30)
DAYS = [D29, D30, D31]
SLOTS = 48
WORST = ["no trade", "unknown", "not fetched", "failed", "deleted"]
slots = st.integers(0, len(DAYS) * SLOTS)
said = st.tuples(
    st.just("observe"),
    st.tuples(slots, slots).map(sorted),
    st.sampled_from(["complete", "partial", "failed"]),
    st.one_of(st.just(0), st.integers(0, 60)),
    slots,
    st.sampled_from(["candles/3600", "trades", "candles/60"]),
)
whole_days = st.tuples(
    st.just("observe"),
    st.tuples(st.integers(0, 2), st.integers(1, 3)).map(
        lambda days: [min(days[0] * SLOTS, days[1] * SLOTS), max(days[0] * SLOTS, days[1] * SLOTS)]
    ),
    st.sampled_from(["complete", "partial", "failed"]),
    st.integers(0, 30),
    st.just(3 * SLOTS),
    st.just("candles/3600"),
)
stored = st.tuples(
    st.just("insert"),
    st.sampled_from(DAYS),
    st.lists(st.integers(0, SLOTS - 1), max_size=30),
    st.sampled_from([0, 0, -7]),  # slots by which a session begins before its date
)
downloaded = st.tuples(st.just("download"), st.sampled_from(DAYS), st.sets(st.integers(0, 23)))
deleted = st.tuples(st.just("delete"), st.sampled_from(DAYS))
histories = st.lists(
    st.one_of(said, whole_days, stored, downloaded, deleted), min_size=1, max_size=8
)


def tell(store, event):
    """Do what happened."""
    match event:
        case ("observe", (first, last), outcome, rows, when, what):
            begin, end, now = (at(D29) + n * SLOT for n in (first, last, when))
            store.observe([Observation(A, SOURCE, what, begin, end, now, outcome, rows)])
        case ("insert", day, places, shift):
            ticks = minutes(day, [(place + shift) * 30 for place in places])
            store.insert(A, BiTimestamp(day), ticks)
        case ("download", day, hours):
            download(store, day, [60 * hour for hour in sorted(hours)], what="candles/3600")
        case ("delete", day):
            if any(r.date == day and r.end_time.year == 9999 and r.kind != "delete"
                   for r in store.revisions(A)):  # fmt: skip
                store.delete(A, BiTimestamp(day))


class Brute:
    """What is known, by looking at every slot and every fact."""

    def __init__(self, revisions, seen, ticks):
        self.newest = {each.date: each for each in revisions}
        self.seen = seen
        self.ticks = ticks

    def answers(self, seen, slot):
        """Whether an asking answered for a slot."""
        start, end = at(D29) + slot * SLOT, at(D29) + (slot + 1) * SLOT
        if seen.outcome == "failed" or not (seen.start <= start and end <= seen.end):
            return False
        if seen.outcome == "partial":
            left_out = seen.end <= seen.asked_at and seen.end == at(seen.end.date())
            return end <= seen.asked_at and not left_out
        return True

    def touches(self, seen, slot):
        return seen.start <= at(D29) + slot * SLOT < seen.end

    def judge(self, number):
        """The state of a day, and for each of its slots why a candle would be missing."""
        day, of_day = DAYS[number], range(number * SLOTS, (number + 1) * SLOTS)
        low, high = pd.Timestamp(at(day)).value, pd.Timestamp(at(day, 24)).value
        held = sum(
            each.rows
            for each in self.newest.values()
            if each.rows and (each.date == day or (each.first < high and each.last >= low))
        )
        seen = [
            (n, each) for n, each in self.seen if any(self.touches(each, slot) for slot in of_day)
        ]
        inside = [
            each for _, each in seen
            if each.outcome != "failed" and at(day) <= each.start and each.end <= at(day, 24)
        ]  # fmt: skip
        short = bool(inside) and inside[-1].rows > held
        answered = {
            slot for slot in of_day
            if any(self.answers(each, slot) for _, each in seen) and not (short and not held)
        }  # fmt: skip
        failed = {
            slot for slot in of_day
            if any(each.outcome == "failed" and self.touches(each, slot) for _, each in seen)
        }  # fmt: skip
        newest = self.newest.get(day)
        gone = newest is not None and newest.kind == "delete"
        if gone and any(
            n >= newest.commit and (each.outcome, each.rows) == ("complete", 0)
            and each.start <= at(day) and at(day, 24) <= each.end
            for n, each in seen
        ):  # fmt: skip
            gone = False
        if gone:
            return "deleted", ["deleted"] * SLOTS
        if not seen:
            there = newest is not None or held
            state = "stored" if there else "unasked"
            return state, ["unknown" if there else "not fetched"] * SLOTS
        why = [
            ("unknown" if short else "no trade")
            if slot in answered
            else ("failed" if slot in failed else "not fetched")
            for slot in of_day
        ]
        if len(answered) == SLOTS:
            return ("complete" if held else "empty"), why
        if any(each.outcome != "failed" for _, each in seen):
            return "partial", why
        return "failed", why

    def missing(self, number):
        """For each hour of a day why its candle is missing, or nothing."""
        _, why = self.judge(number)
        found = []
        for hour in range(24):
            start = at(DAYS[number], hour)
            there = any(start <= tick < start + timedelta(hours=1) for tick in self.ticks)
            found.append(None if there else max(why[2 * hour : 2 * hour + 2], key=WORST.index))
        return found


def joined(reasons):
    """Spans of hours that have the same reason."""
    found, hour = [], 0
    for reason, run in groupby(reasons):
        size = len(list(run))
        if reason is not None:
            found.append((hour - 24, hour - 24 + size, reason))
        hour += size
    return found


@settings(max_examples=500 if FULL else 50, deadline=None, derandomize=not FULL)
@given(histories)
def test_coverage_and_gaps_equal_the_model_slot_by_slot(history):
    """After any history, now and in every earlier state of it."""
    clock = Clock(LATER)
    with Tickstore(MemoryStore(), "time", clock) as store:
        tokens = []
        for event in history:
            clock.tick()
            tell(store, event)
            tokens.append((store.token, clock.now))
        for token, when in {tokens[-1], tokens[len(tokens) // 2]}:
            number = int(token.split("-")[0])
            for view in (store.at(token), store.at(when)):
                seen = [each for each in store._seen(A, store._moment()) if each[0] <= number]
                ticks = view.select(A).index
                ticks = ticks if ticks.tz is not None else ticks.tz_localize("UTC")
                counted = [each for each in seen if each[1].what != "candles/60"]
                everything = Brute(view.revisions(A), seen, ticks)
                expected = [everything.judge(n)[0] for n in range(len(DAYS))]
                assert states(view, D29, D31) == expected
                brute = Brute(view.revisions(A), counted, ticks)
                hours = [each for n in range(len(DAYS)) for each in brute.missing(n)]
                assert gaps(view, D29, D31, granularity=3600) == joined(hours)
