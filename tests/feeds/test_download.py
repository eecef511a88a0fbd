"""From the exchange into a table, over real HTTP on 127.0.0.1."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore
from behemoth.errors import BadRequest, FeedRefused, FeedUnavailable
from behemoth.feeds import CoinbaseClient, download
from behemoth.feeds.sandbox import BuiltInMarket, Sandbox, Tape, read_tape
from tests.data import real

FAST = {"rate": 1e6, "burst": 10**6}
NOON = datetime(2019, 11, 1, 12, 0, 30, tzinfo=UTC)
DAYS = date(2019, 10, 29), date(2019, 10, 31)


def fast(exchange):
    """A client that the rate does not slow down."""
    return CoinbaseClient(exchange.url, rate=1e5, burst=10**5)


def truth(first, last, until=None):
    """What the built-in market traded in these days."""
    start = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp())
    end = start + ((last - first).days + 1) * 86400
    return BuiltInMarket().minutes("BTC-USD", start, end if until is None else until)


def stored(store, **bounds):
    """What a table holds, in the form of the market's minutes."""
    frame = store.select("BTC-USD", **bounds)
    return np.column_stack([frame.index.asi8 / 1e9, frame.to_numpy()])


def test_real_candles_are_stored_bit_for_bit_and_never_asked_twice(tmp_path):
    """All 12,487 rows of nine real days; 473 minutes without a trade; a second run asks nothing."""
    path = real("coinbase_candles_2018/BTC-USD_2018-05-03_2018-05-11.csv")
    with path.open(newline="") as file:
        expected = [[float(text) for text in row] for row in list(csv.reader(file))[1:]]
    days = date(2018, 5, 3), date(2018, 5, 11)
    with (
        Sandbox(Tape("BTC-USD", read_tape(path)), **FAST) as exchange,
        fast(exchange) as client,
        LocalTickstore(tmp_path / "TABLE") as store,
    ):
        first = download(store, client, "BTC-USD", *days)
        assert (first.days, first.candles, first.bins_without_trade) == (9, 12_487, 473)
        assert first.versions_written == 9
        assert stored(store).tobytes() == np.array(expected).tobytes()
        token = store.token
        asked = len(exchange.requests)
        again = download(store, client, "BTC-USD", *days)
        assert (again.versions_written, again.requests, again.days_already_complete) == (0, 0, 9)
        assert (store.token, len(exchange.requests)) == (token, asked)


def test_a_download_is_one_commit_a_day_with_its_observation():
    """Ticks and "asked, and it answered so" stand or fall together."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange, fast(exchange) as client:
        summary = download(store, client, "BTC-USD", *DAYS)
    assert store.token.startswith("3-")
    assert [seen.outcome for seen in store.observations("BTC-USD")] == ["complete"] * 3
    assert sum(seen.rows for seen in store.observations("BTC-USD")) == summary.candles
    assert np.array_equal(stored(store), truth(*DAYS))
    assert list(store.select("BTC-USD").columns) == ["low", "high", "open", "close", "volume"]


def test_requests_share_the_limit_and_none_is_refused():
    """Against the sandbox's own limit, counted by the sandbox."""
    store = MemoryTickstore()
    with Sandbox() as exchange, CoinbaseClient(exchange.url) as client:
        download(store, client, "BTC-USD", date(2019, 10, 25), date(2019, 10, 31))
        assert 429 not in exchange.counts
    assert np.array_equal(stored(store), truth(date(2019, 10, 25), date(2019, 10, 31)))


def test_slow_answers_do_not_slow_the_rate():
    """Against answers that take 200 ms, at least 90 % of the allowed rate is kept."""
    store = MemoryTickstore()
    with (
        Sandbox(latency=0.2, rate=20, burst=30) as exchange,
        CoinbaseClient(exchange.url, rate=20, burst=1) as client,
    ):
        download(store, client, "BTC-USD", date(2019, 10, 15), date(2019, 10, 31))
        candles = [request.at for request in exchange.requests if "candles" in request.target]
    assert (len(candles) - 1) / (candles[-1] - candles[0]) >= 0.9 * 20


def test_a_storm_of_429_loses_no_minute():
    """A client that asks four times too fast is told so, rests, and gets everything."""
    store = MemoryTickstore()
    with (
        Sandbox(rate=20, burst=5) as exchange,
        CoinbaseClient(exchange.url, rate=80, burst=30) as client,
    ):
        summary = download(store, client, "BTC-USD", *DAYS)
        assert exchange.counts[429] == summary.retries > 0
    assert np.array_equal(stored(store), truth(*DAYS))


def test_a_day_that_is_not_over_is_left_for_the_next_run():
    """Neither the open candle nor the open day is stored."""
    store = MemoryTickstore()
    today = NOON.date()
    with Sandbox(now=NOON, clock=lambda: 0.0, **FAST) as exchange, fast(exchange) as client:
        notes = []
        summary = download(store, client, "BTC-USD", DAYS[1], today, on_note=notes.append)
    assert (summary.days, summary.days_left) == (1, 1)
    assert "2019-11-01" in notes[0]
    assert np.array_equal(stored(store), truth(DAYS[1], DAYS[1]))


def test_a_partial_day_is_completed_by_the_next_run():
    """What there was stays readable as of then; the open candle is never stored."""
    today, clock = NOON.date(), [NOON]
    store = MemoryTickstore(clock=lambda: clock[0])
    midnight = int(datetime(2019, 11, 1, tzinfo=UTC).timestamp())
    with Sandbox(now=NOON, clock=lambda: 0.0, **FAST) as exchange, fast(exchange) as client:
        first = download(store, client, "BTC-USD", today, today, partial=True)
        port = int(exchange.url.rsplit(":", 1)[1])
    assert first.versions_written == 1
    morning = truth(today, today, until=midnight + 12 * 3600)
    assert np.array_equal(stored(store), morning)
    clock[0] += timedelta(days=1)
    with (
        Sandbox(now=clock[0], clock=lambda: 0.0, port=port, **FAST) as exchange,
        fast(exchange) as client,
    ):
        second = download(store, client, "BTC-USD", today, today)
        third = download(store, client, "BTC-USD", today, today)
    assert (second.versions_written, third.requests) == (1, 0)
    assert np.array_equal(stored(store), truth(today, today))
    assert np.array_equal(stored(store, as_of_time=NOON), morning)


def test_a_late_partial_answer_does_not_replace_a_complete_day():
    """Two runs around midnight: what the other one completed meanwhile stays."""
    store, today = MemoryTickstore(), NOON.date()
    late = NOON + timedelta(days=1)

    def complete_meanwhile(progress):
        if progress.windows == 1 and not store.observations("BTC-USD"):
            with Sandbox(now=late, port=0, **FAST) as other, fast(other) as client:
                download(store, client, "BTC-USD", today, today)
                seen = store.observations("BTC-USD")[-1]
            store.observe([replace(seen, source=exchange.url)])

    with Sandbox(now=NOON, clock=lambda: 0.0, **FAST) as exchange, fast(exchange) as client:
        download(
            store, client, "BTC-USD", today, today, partial=True, on_progress=complete_meanwhile
        )
    assert len(store.revisions("BTC-USD")) == 1
    assert np.array_equal(stored(store), truth(today, today))


def test_a_complete_day_without_a_trade_is_an_observation_and_no_revision():
    """Before the listing; it is not asked for again."""
    store = MemoryTickstore()
    day = date(2015, 7, 19)
    with Sandbox(**FAST) as exchange, fast(exchange) as client:
        summary = download(store, client, "BTC-USD", day, day)
        again = download(store, client, "BTC-USD", day, day)
    assert (summary.days, summary.bins_without_trade, summary.versions_written) == (1, 1440, 0)
    assert store.revisions("BTC-USD") == ()
    assert again.requests == 0


@pytest.mark.parametrize(("granularity", "flag"), [(60, ""), (300, "--granularity 300 ")])
def test_an_empty_answer_does_not_supersede_ticks(granularity, flag):
    """It is doubted, told with the way out, and asked again by the next run."""
    store = MemoryTickstore()
    day = date(2015, 7, 19)
    with Sandbox(**FAST) as exchange, fast(exchange) as client:
        there = truth(DAYS[0], DAYS[0])
        frame = _frame(there)
        frame.index = frame.index - (frame.index[0].normalize() - np.datetime64(day))
        store.insert("BTC-USD", BiTimestamp(day), frame, source=exchange.url)
        notes = []
        summary = download(store, client, "BTC-USD", day, day, granularity, on_note=notes.append)
    assert (summary.days, summary.days_in_doubt) == (0, 1)
    assert "kept" in notes[0]
    way_out = f"verify-source BTC-USD 2015-07-19 2015-07-19 {flag}--update --accept-deletions"
    assert way_out in notes[0]
    assert len(store.select("BTC-USD")) == len(there)
    assert store.observations("BTC-USD") == ()


def _frame(minutes):
    from behemoth.feeds.candles import frame_of

    return frame_of(minutes[:, 0].astype(np.int64), minutes[:, 1:]).tz_localize(None)


@pytest.mark.parametrize("policy", ["now", "day-end", "start"])
def test_knowledge_is_backdated_on_purpose(policy):
    """day-end lets a backtest ask "as of 2018" of data downloaded today."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange, fast(exchange) as client:
        download(store, client, "BTC-USD", *DAYS, known_from=policy)
    expected = {
        "now": (0, 0),
        "day-end": (0, len(truth(DAYS[0], DAYS[0]))),
        "start": (len(truth(*DAYS)), len(truth(*DAYS))),
    }[policy]
    midnight = datetime(2019, 10, 30, tzinfo=UTC)
    instants = midnight - timedelta(microseconds=1), midnight
    assert tuple(len(store.select("BTC-USD", as_of_time=at)) for at in instants) == expected


def test_a_product_that_is_not_there_ends_the_download_at_once():
    """404, with the window and the way out."""
    store = MemoryTickstore()
    with (
        Sandbox(**FAST) as exchange,
        fast(exchange) as client,
        pytest.raises(FeedRefused, match=r"'NOPE-USD'.*2019-10-29.*NotFound"),
    ):
        download(store, client, "NOPE-USD", *DAYS)
    assert store.token == "0-00000000"  # noqa: S105 - the name of an empty table


def test_a_window_that_fails_for_good_keeps_the_days_before_it():
    """What was answered by then is stored, as far as whole days are concerned."""
    failing = "2019-10-30T21:00:00Z"

    def answer(request):
        if request.url.path == "/time":
            return httpx.Response(200, json={"iso": "2019-11-01T12:00:00Z"})
        if request.url.params["start"] == failing:
            return httpx.Response(400, json={"message": "no"})
        start = datetime.fromisoformat(request.url.params["start"])
        return httpx.Response(200, json=[[start.timestamp(), 1, 2, 1, 2, 0.5]])

    store = MemoryTickstore()
    transport = httpx.MockTransport(answer)
    with (
        CoinbaseClient("http://exchange", rate=1e5, transport=transport) as client,
        pytest.raises(FeedRefused, match="2019-10-30 21:00"),
    ):
        download(store, client, "BTC-USD", *DAYS)
    days = {revision.date for revision in store.revisions("BTC-USD")}
    assert days == {date(2019, 10, 29)}


def test_no_network_is_told_before_anything_is_written(tmp_path):
    """With the address."""
    with Sandbox(**FAST) as exchange:
        url = exchange.url
    with CoinbaseClient(url) as client, pytest.raises(FeedUnavailable, match=url):
        download(LocalTickstore(tmp_path / "TABLE"), client, "BTC-USD", *DAYS)
    assert list(tmp_path.iterdir()) == []


def test_a_range_in_the_future_is_refused_by_the_exchanges_clock():
    """Not by this machine's."""
    store = MemoryTickstore()
    with (
        Sandbox(now=datetime(2018, 1, 1, tzinfo=UTC), **FAST) as exchange,
        fast(exchange) as client,
        pytest.raises(BadRequest, match="future"),
    ):
        download(store, client, "BTC-USD", *DAYS)


@pytest.mark.parametrize("granularity", [300, 900, 3600, 21600, 86400])
def test_every_granularity_downloads(granularity):
    """Fewer candles, the same volume."""
    store = MemoryTickstore()
    with Sandbox(**FAST) as exchange, fast(exchange) as client:
        summary = download(store, client, "BTC-USD", *DAYS, granularity)
    assert summary.candles <= 3 * 86400 // granularity
    assert store.select("BTC-USD")["volume"].sum() == pytest.approx(truth(*DAYS)[:, 5].sum())
