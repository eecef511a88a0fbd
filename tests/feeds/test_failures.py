"""What fails costs no more than it must: windows, days, products, a run."""

from __future__ import annotations

import json
import random
import threading
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from behemoth import BiTimestamp, MemoryTickstore
from behemoth.errors import FeedRefused, FeedUnavailable
from behemoth.feeds import download, download_many
from behemoth.feeds.candles import frame_of
from behemoth.feeds.fetching import DOWN
from behemoth.feeds.sandbox import Sandbox
from tests.feeds.market import NOW, Cut, failing, impatient, seconds
from tests.feeds.test_download import FAST, stored, truth
from tests.profile import FULL

DAYS = date(2019, 10, 26), date(2019, 10, 31)
BAD = "2019-10-28T10:00:00Z"
ATTEMPTS = 8


def outcomes(store, product="BTC-USD"):
    """What is kept of each day, in the order of the commits."""
    return [(seen.start.day, seen.outcome) for seen in store.observations(product)]


def test_a_failed_window_costs_its_day_alone():
    """The others go on; the day is kept as failed, and told with a list at the end."""
    store, notes = MemoryTickstore(), []
    with Sandbox(**FAST) as exchange:
        client, wire = impatient(exchange, failing(BAD))
        with client:
            summary = download(store, client, "BTC-USD", *DAYS, on_note=notes.append)
    assert (summary.days, summary.failed) == (5, (date(2019, 10, 28),))
    assert not summary.is_complete
    asked = wire.candles()
    assert asked.count("2019-10-28T07:00:00Z") == asked.count("2019-10-28T10:00:00Z") == ATTEMPTS
    assert sorted(outcomes(store)) == [
        *[(day, "complete") for day in (26, 27)],
        *[(28, "failed")] * 2,
        *[(day, "complete") for day in (29, 30, 31)],
    ]
    assert {seen.rows for seen in store.observations("BTC-USD") if seen.outcome == "failed"} == {0}
    assert any("2019-10-28: failed" in note and "07:00" in note for note in notes)


def test_a_window_across_midnight_costs_both_its_days():
    """They need its answer, and get it when they are asked once more."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange:
        client, _ = impatient(exchange, failing("2019-10-26T23:00:00Z", times=ATTEMPTS))
        with client:
            summary = download(store, client, "BTC-USD", *DAYS)
    assert [day for day, outcome in outcomes(store) if outcome == "failed"] == [26, 27]
    assert (summary.days, summary.failed) == (6, ())


def test_failed_days_are_asked_once_more_before_the_end():
    """What failed only for a while is complete in the end."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange:
        fault = failing(BAD, times=ATTEMPTS)
        client, _ = impatient(exchange, fault)
        with client:
            summary = download(store, client, "BTC-USD", *DAYS)
            again = download(store, client, "BTC-USD", *DAYS)
    assert (summary.days, summary.failed, summary.is_complete) == (6, (), True)
    assert outcomes(store)[-1] == (28, "complete")
    assert np.array_equal(stored(store), truth(*DAYS))
    assert again.requests == 0


def test_a_failed_day_is_asked_by_the_next_run():
    """And by a repair, which says that it had failed."""
    store, notes = MemoryTickstore(), []
    with Sandbox(**FAST) as exchange:
        client, _ = impatient(exchange, failing(BAD, times=2 * ATTEMPTS))
        with client:
            download(store, client, "BTC-USD", *DAYS)
            repaired = download(store, client, "BTC-USD", repair=True, on_note=notes.append)
    assert (repaired.days, repaired.days_were_failed, repaired.days_were_unasked) == (1, 1, 0)
    assert notes == ["BTC-USD: days to repair: 0 partial, 1 failed, 0 never asked"]
    assert np.array_equal(stored(store), truth(*DAYS))


def test_an_exchange_that_is_down_ends_the_run():
    """After several windows in a row; days that were not asked stay unasked."""

    def down(request):
        return None if request.url.path == "/time" else httpx.Response(503)

    store, first = MemoryTickstore(), date(2018, 1, 1)
    with Sandbox(**FAST) as exchange:
        client, wire = impatient(exchange, down)
        with client, pytest.raises(FeedUnavailable, match="503"):
            download(store, client, "BTC-USD", first, date(2019, 10, 31))
    asked = outcomes(store)
    assert 0 < len(asked) <= len(set(wire.candles()))
    assert {outcome for _, outcome in asked} == {"failed"}
    assert len(asked) < 60
    assert len(set(wire.candles())) >= DOWN


def test_one_bad_day_does_not_count_as_an_exchange_that_is_down():
    """All its windows fail one after the other, and the run goes on."""
    starts = [f"2019-10-26T{hour:02}:00:00Z" for hour in range(20)]
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange:
        client, _ = impatient(exchange, failing(*starts))
        with client:
            summary = download(store, client, "BTC-USD", *DAYS)
    assert summary.failed == (date(2019, 10, 26),)


def test_a_refused_product_has_nothing_written():
    """404 at once, and the others of the run go on."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange:
        client, wire = impatient(exchange)
        with client:
            one, two = download_many(store, client, ["NOPE-USD", "BTC-USD"], *DAYS)
            with pytest.raises(FeedRefused, match="NOPE-USD"):
                download(store, client, "NOPE-USD", *DAYS)
    assert "NotFound" in one.refused
    assert (one.days, one.failed, one.is_complete) == (0, (), False)
    assert (two.days, two.refused, two.is_complete) == (6, None, True)
    assert store.observations("NOPE-USD") == ()
    assert len(wire.candles("NOPE-USD")) < 40


def test_one_empty_answer_in_five_gets_no_wrong_day_into_the_table():
    """Days before the listing, a hole and all others are what the market traded."""
    first, last = (date(2018, 10, 1), DAYS[1]) if FULL else (date(2019, 9, 1), DAYS[1])
    listing, hole = seconds(2019, 9, 7, 9), (seconds(2019, 10, 3, 7), seconds(2019, 10, 6, 1))
    market = Cut((listing, hole[0]), (hole[1], 2**40))
    chance, lock = random.Random(5), threading.Lock()  # noqa: S311 - lies are no secrets

    def empty_now_and_then(request):
        with lock:
            lies = chance.random() < 0.2
        return httpx.Response(200, json=[]) if lies and "candles" in request.url.path else None

    store = MemoryTickstore()
    with Sandbox(market, **FAST) as exchange:
        client, wire = impatient(exchange, empty_now_and_then)
        with client:
            summary = download(store, client, "BTC-USD", first, last)
    expected = market.minutes("BTC-USD", listing, seconds(2019, 11, 1))
    assert np.array_equal(stored(store), expected)
    assert summary.is_complete
    assert len(wire.asked) < 1.5 * len(set(wire.candles())) + 30


def shorter(first, count):
    """A fault: the day's minutes lack one in two, so many times."""
    lock, left = threading.Lock(), [count]

    def fault(request):
        start = request.url.params.get("start", "")
        if not start.startswith(first):
            return None
        with lock:
            left[0] -= 1
            if left[0] < 0:
                return None
        request.headers["accept-encoding"] = "identity"
        with httpx.Client() as other:
            rows = other.get(request.url, headers={"User-Agent": "x"}).json()
        return httpx.Response(200, content=json.dumps(rows[::2]))

    return fault


def a_day_with_an_earlier_partial(exchange, store, day):
    """Store the whole day as if only a part of it had been there."""
    minutes = truth(day, day)
    frame = frame_of(minutes[:, 0].astype(np.int64), minutes[:, 1:])
    store.insert("BTC-USD", BiTimestamp(day), frame, source=exchange.url)
    return frame


@pytest.mark.parametrize(("times", "kept"), [(5, True), (10, False)])
def test_a_shorter_answer_must_come_twice(times, kept):
    """It is asked once more as a whole, and supersedes only if it says the same again."""
    store, day, notes = MemoryTickstore(), date(2019, 10, 30), []
    with Sandbox(**FAST) as exchange:
        frame = a_day_with_an_earlier_partial(exchange, store, day)
        client, _ = impatient(exchange, shorter("2019-10-30", times))
        with client:
            summary = download(store, client, "BTC-USD", day, day, on_note=notes.append)
    assert (len(store.select("BTC-USD")) == len(frame)) == kept
    assert summary.days == 1
    assert summary.versions_written == (not kept)
    assert ("superseded" in " ".join(notes)) == (not kept)


def test_answers_that_lack_rows_and_differ_are_doubted():
    """Neither is stored; the note says how to take one over."""
    store, day, notes = MemoryTickstore(), date(2019, 10, 30), []
    with Sandbox(**FAST) as exchange:
        frame = a_day_with_an_earlier_partial(exchange, store, day)
        client, _ = impatient(exchange, shorter("2019-10-30", 7))
        with client:
            summary = download(store, client, "BTC-USD", day, day, on_note=notes.append)
    assert (summary.days, summary.days_in_doubt, summary.is_complete) == (0, 1, False)
    assert len(store.select("BTC-USD")) == len(frame)
    assert "verify-source BTC-USD 2019-10-30 2019-10-30 --update" in notes[-1]
    assert store.observations("BTC-USD") == ()


@pytest.mark.parametrize(("volumes", "doubted"), [((0.0, -0.0), True), ((-0.0, -0.0), False)])
def test_the_same_again_is_the_same_to_the_bit(volumes, doubted):
    """A zero that lost its sign is another answer, as it is for a verification."""
    store, day, left = MemoryTickstore(), date(2019, 10, 30), list(volumes)
    start = seconds(2019, 10, 30)

    def shorter_and_shorter(request):
        if request.url.params.get("granularity") != "300":
            return None
        return httpx.Response(200, json=[[start, 1.0, 1.0, 1.0, 1.0, left.pop(0)]])

    with Sandbox(**FAST) as exchange:
        frame = frame_of(np.array([start, start + 300]), np.zeros((2, 5)))
        store.insert("BTC-USD", BiTimestamp(day), frame, source=exchange.url)
        client, _ = impatient(exchange, shorter_and_shorter)
        with client:
            summary = download(store, client, "BTC-USD", day, day, 300)
    assert (summary.days_in_doubt, len(store.select("BTC-USD"))) == ((1, 2) if doubted else (0, 1))
    assert left == []


def test_a_clock_behind_is_told_once():
    """Not for each day of a run."""
    clock = [NOW]
    store = MemoryTickstore(clock=lambda: clock[0])
    with Sandbox(now=NOW, **FAST) as exchange:
        client, _ = impatient(exchange)
        with client:
            download(store, client, "BTC-USD", DAYS[0], DAYS[0])
            clock[0] = datetime(2019, 11, 1, tzinfo=UTC) - timedelta(days=1)
            with pytest.warns(UserWarning, match="ahead of this clock") as warned:
                download(store, client, "BTC-USD", *DAYS)
    assert len(warned) == 1
