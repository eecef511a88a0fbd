"""The client against servers that refuse, fail, lie and vanish."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest

from behemoth.errors import BadRequest, Closed, FeedRefused, FeedUnavailable
from behemoth.feeds.asking import Counts
from behemoth.feeds.coinbase import CoinbaseClient
from behemoth.version import __version__
from tests.feeds.liar import lying

START, END = datetime(2019, 10, 31, tzinfo=UTC), datetime(2019, 10, 31, 4, 59, tzinfo=UTC)
SECONDS = int(START.timestamp())
GOOD = (200, f"[[{SECONDS}, 1, 2, 1, 2, 0.5]]".encode(), {})
EMPTY = (200, b"[]", {})
HTML = (502, b"<html><h1>Bad gateway</h1></html>", {"Content-Type": "text/html"})
LIMITED = (429, b'{"message": "Public rate limit exceeded"}', {})


@pytest.fixture
def slept():
    """The seconds that the client has rested, without the test resting too."""
    return []


@pytest.fixture
def client_of(slept):
    """Make clients whose time flies."""
    clients = []

    def make(url):
        now = [0.0]

        def sleep(seconds):
            slept.append(seconds)
            now[0] += seconds

        clients.append(CoinbaseClient(url, clock=lambda: now[0], sleep=sleep))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def ask(client):
    """Ask for the first five hours of a day."""
    return client.candles("BTC-USD", START, END)


def test_a_request_says_what_and_by_whom(client_of):
    """Both ends, always together, a granularity, and a User-Agent."""
    with lying(GOOD) as server:
        assert len(ask(client_of(server.url))) == 1
    ((path, headers),) = server.asked
    assert path == (
        "/products/BTC-USD/candles?granularity=60"
        "&start=2019-10-31T00%3A00%3A00Z&end=2019-10-31T04%3A59%3A00Z"
    )
    assert headers["User-Agent"] == f"behemoth/{__version__}"


@pytest.mark.parametrize(
    "failure",
    [
        LIMITED,
        HTML,
        (500, b"", {}),
        (503, b'{"message": "maintenance"}', {"Retry-After": "7"}),
        (200, HTML[1], {}),
        (200, b"[[1, 2", {}),
        (200, b'{"candles": []}', {}),
        ("cut", b"[[1", {}),
    ],
)
def test_what_may_pass_is_asked_again(client_of, slept, failure):
    """Rate limits, server errors, broken and cut bodies."""
    with lying(failure, failure, GOOD) as server:
        client = client_of(server.url)
        assert len(ask(client)) == 1
    assert len(server.asked) == 3
    assert (client.counts.requests, client.counts.retries) == (3, 2)
    assert sum(slept) > 0.5


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_believed_at_once(client_of, status):
    """The error names the window, the address and what the exchange said."""
    refusal = (status, b'{"message": "NotFound"}', {})
    with lying(refusal) as server, pytest.raises(FeedRefused) as caught:
        ask(client_of(server.url))
    assert len(server.asked) == 1
    assert caught.value.status == status
    for part in ("'BTC-USD'", "2019-10-31 00:00 to 04:59", server.url, "NotFound"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failure_that_stays_is_given_up_with_the_window(client_of):
    """After several attempts, and the last reason is told."""
    with lying(HTML) as server, pytest.raises(FeedUnavailable) as caught:
        ask(client_of(server.url))
    assert len(server.asked) == 8
    assert caught.value.status == 502
    assert "2019-10-31 00:00 to 04:59" in str(caught.value)
    assert "Bad gateway" in str(caught.value)


def test_retry_after_is_honoured(client_of, slept):
    """The next request comes no sooner than the exchange asked for."""
    with lying((429, LIMITED[1], {"Retry-After": "7"}), GOOD) as server:
        ask(client_of(server.url))
    assert sum(slept) >= 7.0


def test_one_who_wants_to_be_left_alone_for_long_is_unavailable(client_of, slept):
    """Nobody waits an hour."""
    rest = (429, LIMITED[1], {"Retry-After": "3600"})
    with lying(rest) as server, pytest.raises(FeedUnavailable):
        ask(client_of(server.url))
    assert len(server.asked) == 1
    assert sum(slept) == 0


def test_an_empty_answer_is_handed_on(client_of):
    """What it is worth, somebody else decides."""
    with lying(EMPTY) as server:
        client = client_of(server.url)
        assert len(ask(client)) == 0
    assert (client.counts.requests, client.counts.retries) == (1, 0)


def test_requests_are_counted_by_product(client_of):
    """And in all."""
    with lying(LIMITED, GOOD) as server:
        client = client_of(server.url)
        ask(client)
        client.candles("ETH-USD", START, END)
    assert client.counts_of("BTC-USD") == Counts(2, 1)
    assert client.counts_of("ETH-USD") == Counts(1, 0)
    assert client.counts == Counts(3, 1)


def test_a_long_wait_is_told_once(client_of):
    """After a few seconds of failing, and not for every attempt of every thread."""
    told = []
    with lying((429, LIMITED[1], {"Retry-After": "7"}), LIMITED, GOOD) as server:
        client = client_of(server.url)
        with client.telling(told.append):
            ask(client)
        assert told == ["the exchange answers 429 'Public rate limit exceeded', waiting 7 s"]
    with lying(LIMITED, GOOD) as server:
        client = client_of(server.url)
        with client.telling(told.append):
            ask(client)
    assert len(told) == 1


def test_a_refused_connection_is_told_too(client_of):
    """With what went wrong."""
    told = []
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = client_of(f"http://127.0.0.1:{closed.getsockname()[1]}")
        with client.telling(told.append), pytest.raises(FeedUnavailable):
            ask(client)
    assert len(told) >= 2
    assert told[0].startswith("the exchange gives no answer: ")
    assert "refused" in told[0]


def test_no_network_is_told_soon_with_the_address(client_of):
    """The first contact gives up after a few attempts."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(FeedUnavailable, match=url) as caught:
            client_of(url).time()
    assert "3 attempts" in str(caught.value)


def test_a_client_that_was_closed_says_so(client_of):
    """Not the network."""
    client = client_of("http://127.0.0.1:1")
    client.close()
    with pytest.raises(Closed, match="was closed"):
        client.time()


def test_the_exchanges_time_comes_from_its_body_or_its_date(client_of):
    """GET /time, or the Date of a 404."""
    noon = datetime(2019, 10, 31, 12, tzinfo=UTC)
    with lying((200, b'{"iso": "2019-10-31T12:00:00.000Z", "epoch": 1572523200.0}', {})) as server:
        assert client_of(server.url).time() == noon
    with lying((404, b"{}", {"Date": "Thu, 31 Oct 2019 12:00:00 GMT"})) as server:
        assert client_of(server.url).time().tzinfo is UTC
    with lying((200, b"soon", {})) as server, pytest.raises(FeedUnavailable, match="no time"):
        client_of(server.url).time()


@pytest.mark.parametrize("product", ["../etc", "BTC/USD", "a b", "é?x=1#y"])
def test_a_product_stays_one_segment_of_the_path(client_of, product):
    """Whatever it contains."""
    with lying(GOOD) as server:
        client_of(server.url).candles(product, START, END)
    path = server.asked[0][0].split("?")[0]
    assert path.count("/") == 3


@pytest.mark.parametrize("product", ["", ".", "..", "a\nb"])
def test_what_no_path_can_carry_is_no_product(client_of, product):
    """One clear line, without asking."""
    with pytest.raises(BadRequest, match="product"):
        client_of("http://127.0.0.1:1").candles(product, START, END)


@pytest.mark.parametrize("url", ["", "exchange", "ftp://x", "http://user:pw@x", "http://x?key=1"])
def test_an_address_is_a_plain_one(url):
    """No other scheme, and nothing secret that would end up in the log."""
    with pytest.raises(BadRequest, match="address"):
        CoinbaseClient(url)
