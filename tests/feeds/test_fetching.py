"""Windows are fetched side by side, and handed on in order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import httpx
import pytest

from behemoth import MemoryTickstore
from behemoth.errors import FeedRefused, FeedUnavailable
from behemoth.feeds import CoinbaseClient, download
from behemoth.feeds.candles import Window
from behemoth.feeds.fetching import Fetch, workers
from behemoth.feeds.plan import plan
from tests.feeds.liar import lying

NOW = datetime(2019, 11, 1, 12, tzinfo=UTC)
FIRST, LAST = date(2019, 10, 1), date(2019, 10, 6)
WINDOWS = plan("BTC-USD", FIRST, LAST, now=NOW).windows
LONG = 30.0
"""Seconds after which a test that waits for an event has failed."""


def one_candle(request):
    """The answer to a window: its first candle."""
    start = datetime.fromisoformat(request.url.params["start"]).timestamp()
    return httpx.Response(200, json=[[start, 1, 2, 1, 2, 0.5]])


def client_of(answer):
    """A client that asks a function."""
    transport = httpx.MockTransport(answer)
    return CoinbaseClient("http://exchange", rate=1e5, burst=10**5, transport=transport)


def starts(request):
    """The first minute that a request asks for, in unix seconds."""
    return int(datetime.fromisoformat(request.url.params["start"]).timestamp())


def test_answers_come_in_the_order_of_the_windows():
    """The first window is answered last, and handed on first all the same."""
    others, answered = threading.Event(), []

    def answer(request):
        if starts(request) == WINDOWS[0].first:
            assert others.wait(LONG)
        answered.append(starts(request))
        if len(answered) == len(WINDOWS) - 1:
            others.set()
        return one_candle(request)

    with client_of(answer) as client, Fetch(client, WINDOWS, lambda: NOW) as fetch:
        found = [candles.window for candles in fetch]
    assert found == list(WINDOWS)
    assert answered[-1] == WINDOWS[0].first


def test_days_after_a_failed_window_are_stored_if_they_were_answered():
    """The days on both sides of it hold; only the days that it belongs to are missing."""
    failing = WINDOWS[7]  # of 2 October
    others, answered = threading.Event(), []

    def answer(request):
        if request.url.path == "/time":
            return httpx.Response(200, json={"iso": NOW.isoformat()})
        if starts(request) == failing.first:
            assert others.wait(LONG)
            return httpx.Response(403, json={"message": "no"})
        answered.append(request)
        if len(answered) == len(WINDOWS) - 1:
            others.set()
        return one_candle(request)

    store = MemoryTickstore()
    with client_of(answer) as client, pytest.raises(FeedRefused, match="2019-10-02 11:00"):
        download(store, client, "BTC-USD", FIRST, LAST)
    days = [revision.date.day for revision in store.revisions("BTC-USD")]
    assert days == [1, 3, 4, 5, 6]


def test_nothing_new_is_asked_after_a_failure():
    """Of a long plan, only what was under way."""
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(404, json={"message": "NotFound"})

    windows = [Window("BTC-USD", 60, n * 18000, n * 18000 + 299 * 60) for n in range(2000)]
    with client_of(answer) as client, Fetch(client, windows, lambda: NOW) as fetch:
        answers = list(fetch)
    assert isinstance(fetch.error, FeedRefused)
    assert set(fetch.refused) == {"BTC-USD"}
    assert all(given.candles is None for given in answers)
    assert len(answers) < len(windows)
    assert len(asked) <= len(answers)


def test_an_interruption_ends_all_threads_and_keeps_what_was_stored():
    """Ctrl-C leaves nobody asking."""

    def answer(request):
        if request.url.path == "/time":
            return httpx.Response(200, json={"iso": NOW.isoformat()})
        return one_candle(request)

    def interrupt(progress):
        if progress.days == 2:
            raise KeyboardInterrupt

    store, before = MemoryTickstore(), threading.active_count()
    with client_of(answer) as client, pytest.raises(KeyboardInterrupt):
        download(store, client, "BTC-USD", FIRST, LAST, on_progress=interrupt)
    assert threading.active_count() == before
    assert [revision.date.day for revision in store.revisions("BTC-USD")] == [1, 2]


def test_a_rest_is_cut_short_when_nobody_is_interested_any_more():
    """Ctrl-C does not wait for an exchange that wants to be left alone for a minute."""
    limited = (429, b'{"message": "Public rate limit exceeded"}', {"Retry-After": "60"})
    with (
        lying(limited) as server,
        CoinbaseClient(server.url) as client,
        ThreadPoolExecutor(3) as pool,
    ):
        asked = [pool.submit(client.fetch, window) for window in WINDOWS[:3]]
        with client.abandoned():
            for future in asked:
                with pytest.raises(FeedUnavailable, match="no longer asked"):
                    future.result(LONG)


@pytest.mark.parametrize(("rate", "count"), [(0.1, 2), (10, 20), (1e6, 32)])
def test_as_many_are_in_flight_as_the_rate_needs(rate, count):
    """An answer may take two seconds without slowing it down, within reason."""
    assert workers(rate) == count
