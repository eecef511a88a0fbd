"""Many symbols in one run, repair, and a table that one source fills alone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from behemoth import BiTimestamp, MemoryTickstore
from behemoth.bitemporal import Observation
from behemoth.errors import BadRequest
from behemoth.feeds import CoinbaseClient, Shortfall, download, download_many, plan_download
from behemoth.feeds.asked import asked_range, shortfall
from behemoth.feeds.running import in_turn
from behemoth.feeds.sandbox import BuiltInMarket, Sandbox
from tests.feeds.market import NOW, impatient, measured
from tests.feeds.test_download import FAST, stored, truth

DAYS = date(2019, 10, 26), date(2019, 10, 31)
PRODUCTS = ["BTC-USD", "ETH-USD", "LTC-USD"]


def test_many_symbols_take_turns():
    """None waits for another's end, and each one equals the market."""
    store, seen = MemoryTickstore(), []
    with Sandbox(**FAST) as exchange:
        client, wire = impatient(exchange)
        with client:
            summaries = download_many(
                store, client, PRODUCTS, *DAYS, on_progress=lambda p: seen.append(p)
            )
    assert [summary.product for summary in summaries] == PRODUCTS
    assert sum(summary.requests for summary in summaries) == len(wire.asked) - 1  # the time
    for product, summary in zip(PRODUCTS, summaries, strict=True):
        minutes = BuiltInMarket().minutes(
            product,
            *(int(datetime(2019, m, d, tzinfo=UTC).timestamp()) for m, d in ((10, 26), (11, 1))),
        )
        assert np.array_equal(stored_of(store, product), minutes)
        assert (summary.days, summary.is_complete) == (6, True)
    answered = Counter()
    for before, after in pairwise(seen):
        if after.windows > before.windows:
            answered[after.product] += 1
            assert max(answered.values()) - min(answered[p] for p in PRODUCTS) <= 1
    assert (seen[-1].days, seen[-1].days_total) == (18, 18)


def stored_of(store, product):
    """What a table holds of a product, in the form of the market's minutes."""
    frame = store.select(product)
    return np.column_stack([frame.index.asi8 / 1e9, frame.to_numpy()])


def test_many_symbols_share_one_rate():
    """Against the sandbox's own limit: together they are no faster than one of them may be."""
    store = MemoryTickstore()
    with measured(rate=40) as client:
        download_many(store, client, PRODUCTS, *DAYS)


def test_the_turns_are_fair():
    """Also for windows of different number."""
    assert list(in_turn([[1, 2, 3], [], [4], [5, 6]])) == [1, 4, 5, 2, 6, 3]


def test_no_product_at_all_is_refused():
    """And a text is no list of them."""
    with CoinbaseClient("http://127.0.0.1:1") as client:
        for products in ([], "BTC-USD"):
            with pytest.raises(BadRequest, match="one product or more"):
                download_many(MemoryTickstore(), client, products, *DAYS)


def test_a_repair_asks_what_is_missing_alone():
    """Partial, failed and never asked, between the first and the last day that were asked."""
    store, notes, midnight = MemoryTickstore(), [], datetime(2019, 10, 27, tzinfo=UTC)
    with Sandbox(**FAST) as exchange:
        client, wire = impatient(exchange)
        with client:
            download(store, client, "BTC-USD", DAYS[0], DAYS[0])
            download(store, client, "BTC-USD", DAYS[1], DAYS[1])
            for day, outcome in enumerate(("partial", "failed")):
                start = midnight + timedelta(days=day)
                seen = Observation(
                    *("BTC-USD", exchange.url, "candles/60", start),
                    *(start + timedelta(hours=3), NOW, outcome, 0),
                )
                store.observe([seen], source=exchange.url)
            asked = len(wire.asked)
            summary = download(store, client, "BTC-USD", repair=True, on_note=notes.append)
            assert notes == ["BTC-USD: days to repair: 1 partial, 1 failed, 2 never asked"]
            assert summary.days == 4
            assert len(wire.asked) - asked == summary.requests == 1 + 4 * 1440 // 300 + 1
            again = download(store, client, "BTC-USD", repair=True)
    assert (again.days, again.requests) == (0, 0)
    assert np.array_equal(stored(store), truth(*DAYS))


def test_what_was_never_asked_cannot_be_repaired():
    """It has no range."""
    store = MemoryTickstore()
    with pytest.raises(BadRequest, match="never asked"):
        plan_download(store, "http://a", "BTC-USD", repair=True, now=lambda: NOW)
    with pytest.raises(BadRequest, match="first and a last day"):
        plan_download(store, "http://a", "BTC-USD", now=lambda: NOW)


def seen(start, end, outcome="complete", source="http://a", what="candles/60"):
    """An observation of a range of hours since midnight of 1 October."""
    begin = datetime(2019, 10, 1, tzinfo=UTC)
    return Observation(
        *("X", source, what, begin + timedelta(hours=start), begin + timedelta(hours=end)),
        *(NOW, outcome, 0),
    )


def test_days_come_to_be_missing_in_three_ways():
    """A part that was answered outweighs a failure; other sources do not count."""
    days = [date(2019, 10, day) for day in range(1, 7)]
    observations = [
        seen(0, 5, "partial"),
        seen(0, 24, "failed"),
        seen(24, 48, "failed"),
        seen(60, 72),
        seen(72, 96, source="http://b"),
        seen(72, 96, what="candles/300"),
        seen(72, 72, "partial"),
    ]
    assert shortfall(days, observations, "http://a", "candles/60") == Shortfall(2, 1, 3)
    assert asked_range(observations, "http://a", "candles/60") == (days[0], days[2])
    assert asked_range([], "http://a", "candles/60") is None
    assert shortfall([], observations, "http://a", "candles/60") == Shortfall()


def test_another_source_does_not_mix_into_a_table():
    """Before anything is asked; on purpose it may."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange, Sandbox(**FAST) as other:
        client, _ = impatient(exchange)
        with client:
            download(store, client, "BTC-USD", DAYS[0], DAYS[0])
        client, wire = impatient(other)
        with client:
            with pytest.raises(BadRequest, match=r"--table.*--supersede") as caught:
                download(store, client, "BTC-USD", *DAYS)
            assert exchange.url in str(caught.value)
            assert other.url in str(caught.value)
            assert wire.candles() == []
            download(store, client, "ETH-USD", *DAYS)
            summary = download(store, client, "BTC-USD", *DAYS, supersede=True)
    assert (summary.days, summary.versions_written) == (6, 5)


def test_another_granularity_does_not_mix_into_a_table():
    """Hours beside minutes of the same symbol."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange:
        client, _ = impatient(exchange)
        with client:
            download(store, client, "BTC-USD", *DAYS)
            with pytest.raises(BadRequest, match=r"candles/60 from .* candles/3600 from"):
                download(store, client, "BTC-USD", *DAYS, 3600)


def test_ticks_that_somebody_else_inserted_are_not_superseded():
    """But a day that was complete, and corrected by hand, is not asked at all."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange:
        client, _ = impatient(exchange)
        with client:
            download(store, client, "BTC-USD", DAYS[0], DAYS[0])
            frame = store.select("BTC-USD")
            store.insert("BTC-USD", BiTimestamp(DAYS[0]), frame.iloc[:5], source="by hand")
            assert download(store, client, "BTC-USD", DAYS[0], DAYS[0]).requests == 0
            store.insert("BTC-USD", BiTimestamp(DAYS[1]), frame.iloc[:5], source="by hand")
            with pytest.raises(BadRequest, match="by hand"):
                download(store, client, "BTC-USD", *DAYS)


def test_a_day_that_was_deleted_stays_deleted():
    """It is told, not asked."""
    store, notes, day = MemoryTickstore(), [], date(2019, 10, 28)
    with Sandbox(**FAST) as exchange:
        client, _ = impatient(exchange)
        with client:
            store.insert("BTC-USD", BiTimestamp(day), truth_frame(day), source=exchange.url)
            store.delete("BTC-USD", BiTimestamp(day))
            summary = download(store, client, "BTC-USD", *DAYS, on_note=notes.append)
    assert (summary.days, summary.days_deleted) == (5, 1)
    assert "deleted before, and not asked: 2019-10-28" in notes[0]
    assert day not in {tick.date() for tick in store.select("BTC-USD").index}


def truth_frame(day):
    """A day of the market as a frame."""
    from behemoth.feeds.candles import frame_of

    minutes = truth(day, day)
    return frame_of(minutes[:, 0].astype(np.int64), minutes[:, 1:])


def test_backdating_stored_days_is_said_to_change_nothing():
    """--known-from is for new ones."""
    store, notes = MemoryTickstore(), []
    with Sandbox(**FAST) as exchange:
        client, _ = impatient(exchange)
        with client:
            download(store, client, "BTC-USD", DAYS[0], DAYS[0])
            download(store, client, "BTC-USD", *DAYS, known_from="day-end", on_note=notes.append)
    assert "1 days are stored already" in notes[0]
