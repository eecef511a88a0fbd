"""The sandbox answers as the exchange does."""

from __future__ import annotations

import itertools
import socket
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest

from behemoth.errors import BadRequest, EnvironmentFailed
from behemoth.feeds.sandbox import BuiltInMarket, Sandbox, Tape, read_tape

NOW = datetime(2019, 11, 1, 12, 0, 30, tzinfo=UTC)
TOO_MANY = (
    "granularity too small for the requested time range. "
    "Count of aggregations requested exceeds 300"
)


@pytest.fixture(scope="module")
def exchange():
    """A sandbox whose time stands at noon, without a limit that matters."""
    with Sandbox(now=NOW, rate=1e6, burst=10**6, clock=lambda: 0.0) as sandbox:
        yield sandbox


@pytest.fixture
def ask(exchange):
    """Ask for candles."""

    def ask(product="BTC-USD", **params):
        url = f"{exchange.url}/products/{product}/candles"
        return httpx.get(url, params={"granularity": 60, **params})

    return ask


def test_both_ends_are_included_newest_first(ask):
    """299 minutes apart is 300 candles at most, and no time outside."""
    rows = ask(start="2019-10-31T00:00:00Z", end="2019-10-31T04:59:00Z").json()
    times = [row[0] for row in rows]
    assert 250 < len(times) <= 300
    assert times == sorted(times, reverse=True)
    assert 1572480000 <= times[-1] <= times[0] <= 1572480000 + 299 * 60


def test_unix_seconds_and_iso_times_are_the_same(ask):
    """Both are understood."""
    iso = ask(start="2019-10-31T00:00:00Z", end="2019-10-31T01:00:00Z").json()
    assert ask(start="1572480000", end="1572483600").json() == iso


def test_more_than_three_hundred_is_a_400_with_the_exchanges_words(ask):
    """Start + 300 minutes are up to 301 candles still, because both ends are included."""
    assert ask(start="2019-10-31T00:00:00Z", end="2019-10-31T05:00:00Z").status_code == 200
    answer = ask(start="2019-10-31T00:00:00Z", end="2019-10-31T05:01:00Z")
    assert (answer.status_code, answer.json()) == (400, {"message": TOO_MANY})


@pytest.mark.parametrize("params", [{}, {"start": "2019-10-01T00:00:00Z"}])
def test_a_single_end_is_ignored(ask, params):
    """The answer is the newest candles, the open one among them."""
    times = [row[0] for row in ask(**params).json()]
    assert NOW.timestamp() - 300 * 60 <= times[-1] <= times[0] <= NOW.timestamp()


def test_what_is_not_yet_is_not_served(ask):
    """The sandbox's own clock decides."""
    rows = ask(start="2019-11-01T11:50:00Z", end="2019-11-01T12:40:00Z").json()
    assert max(row[0] for row in rows) <= NOW.timestamp()
    assert ask(start="2019-11-02T00:00:00Z", end="2019-11-02T01:00:00Z").json() == []


def test_before_the_listing_there_is_an_empty_list(ask):
    """200 []."""
    answer = ask(start="2015-07-19T00:00:00Z", end="2015-07-19T04:59:00Z")
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/products/NOPE/candles?granularity=60", 404),
        ("/products/BTC-USD/candles?granularity=61", 400),
        ("/products/BTC-USD/candles?granularity=x", 400),
        ("/products/BTC-USD/candles?granularity=60&start=x&end=y", 400),
        ("/nothing", 404),
        ("/products", 200),
        ("/time", 200),
    ],
)
def test_every_answer_is_json(exchange, path, status):
    """Errors are {"message": ...}."""
    answer = httpx.get(exchange.url + path)
    assert answer.status_code == status
    assert status == 200 or isinstance(answer.json()["message"], str)


def test_a_target_that_is_no_path_is_refused(exchange):
    """As a proxy is asked, or nonsense."""
    with socket.create_connection(("127.0.0.1", int(exchange.url.rpartition(":")[2]))) as wire:
        wire.sendall(b"GET http://[::1 HTTP/1.0\r\nUser-Agent: x\r\n\r\n")
        with wire.makefile("rb") as answer:
            assert b" 400 " in answer.readline()


def test_a_request_without_a_user_agent_is_refused(exchange):
    """As the exchange may do."""
    request = httpx.Request("GET", f"{exchange.url}/time", headers={"User-Agent": ""})
    with httpx.Client() as client:
        assert client.send(request).status_code == 400


def test_the_rate_is_limited_and_the_requests_counted():
    """15 at once, then 429."""
    with Sandbox(clock=lambda: 0.0) as sandbox, httpx.Client() as client:
        answers = [client.get(f"{sandbox.url}/time") for _ in range(18)]
    assert [answer.status_code for answer in answers] == [200] * 15 + [429] * 3
    assert answers[-1].json() == {"message": "Public rate limit exceeded"}
    assert sandbox.counts == {200: 15, 429: 3}


def test_the_market_is_the_same_whatever_was_asked_before():
    """A minute depends on nothing but the product and itself."""
    start = 1572480000
    whole = BuiltInMarket().minutes("BTC-USD", start, start + 2 * 86400)
    other = BuiltInMarket()
    other.minutes("ETH-USD", start, start + 60)
    parts = [
        other.minutes("BTC-USD", a, b)
        for a, b in itertools.pairwise([start, start + 3600, start + 86460, start + 2 * 86400])
    ]
    assert np.array_equal(np.concatenate(parts), whole)


def test_the_market_is_plausible():
    """Prices in cents that bracket, empty minutes, busier American hours, no jumps."""
    start, days = 1569888000, 31
    minutes = BuiltInMarket().minutes("BTC-USD", start, start + days * 86400)
    time, low, high, opened, close, volume = minutes.T
    assert 0.9 < len(minutes) / (days * 1440) < 0.999
    assert np.all((low <= np.minimum(opened, close)) & (high >= np.maximum(opened, close)))
    assert np.array_equal(np.round(minutes[:, 1:5], 2), minutes[:, 1:5])
    assert volume.min() > 0
    hour = (time // 3600 % 24).astype(int)[1:]
    moves = np.diff(np.log(close))
    assert moves[hour == 14].std() > 1.5 * moves[hour == 4].std()
    assert np.abs(moves).max() < 0.05


def test_longer_candles_join_the_minutes(ask):
    """Open of the first, close of the last, extremes, and the sum of the volumes."""
    span = {"start": "2019-10-31T00:00:00Z", "end": "2019-10-31T00:59:00Z"}
    minutes = ask(**span).json()[::-1]
    (hour,) = ask(granularity=3600, start=span["start"], end=span["start"]).json()
    assert hour[1] == min(row[1] for row in minutes)
    assert hour[2] == max(row[2] for row in minutes)
    assert (hour[3], hour[4]) == (minutes[0][3], minutes[-1][4])
    assert hour[5] == pytest.approx(sum(row[5] for row in minutes))


def test_recorded_candles_are_served_as_they_are(tmp_path):
    """Every number is the nearest float64 of its text."""
    path = tmp_path / "tape.csv"
    path.write_text("time,low,high,open,close,volume\n60,1,2,1,2,14.015226120000003\n0,1,2,1,2,3\n")
    with Sandbox(Tape("X-Y", read_tape(path))) as sandbox:
        url = f"{sandbox.url}/products/X-Y/candles?granularity=60&start=0&end=60"
        rows = httpx.get(url).json()
    assert rows == [[60, 1, 2, 1, 2, 14.015226120000003], [0, 1, 2, 1, 2, 3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no"),
        ("time,low\n1,2\n", "row 1"),
        ("time,low,high,open,close,volume\n", "no candle"),
        ("time,low,high,open,close,volume\n0,1,2,1,2,x\n", "row 2.*volume"),
        ("time,low,high,open,close,volume\n0,1,2,1,2\n", "row 2"),
        ("time,low,high,open,close,volume\n30,1,2,1,2,3\n", "row 2.*time"),
        ("time,low,high,open,close,volume\n0,1,2,1,2,3\n0,1,2,1,2,3\n", "row 3"),
        ("time,low,high,open,close,volume\n0,1,2,1,2,nan\n", "row 2.*volume"),
    ],
)
def test_a_bad_tape_is_refused_with_file_row_and_column(tmp_path, text, message):
    """One clear line."""
    path = tmp_path / "tape.csv"
    path.write_text(text)
    with pytest.raises(BadRequest, match=message) as caught:
        read_tape(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tape_or_a_port_that_cannot_be_opened_is_told(tmp_path):
    """The environment's fault."""
    with pytest.raises(EnvironmentFailed, match=r"none\.csv"):
        read_tape(tmp_path / "none.csv")
    with Sandbox() as first, pytest.raises(EnvironmentFailed, match="port"):
        Sandbox(port=int(first.url.rsplit(":", 1)[1])).open()
