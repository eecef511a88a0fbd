"""Markets with a listing, holes and an end; and a wire that fails where a test wants it to."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import numpy as np

from behemoth.feeds import CoinbaseClient
from behemoth.feeds.fetching import workers
from behemoth.feeds.sandbox import BuiltInMarket, Sandbox

NOW = datetime(2019, 11, 1, 12, 0, 30, tzinfo=UTC)


def seconds(*when):
    """Unix seconds of a UTC time."""
    return int(datetime(*when, tzinfo=UTC).timestamp())


class Cut:
    """The built-in market, with trades in some ranges of unix seconds alone."""

    def __init__(self, *ranges):
        self.whole = BuiltInMarket()
        self.ranges = ranges
        self.products = self.whole.products

    def listed(self, product):
        """The day of the first trade."""
        return self.whole.listed(product)

    def minutes(self, product, start, end):
        """Those of the ranges."""
        table = self.whole.minutes(product, start, end)
        time = table[:, 0]
        inside = [(time >= first) & (time < end) for first, end in self.ranges]
        return table[np.any(inside, axis=0)] if inside else table[:0]


class Wire(httpx.BaseTransport):
    """Sends requests on, but for those that a fault answers."""

    def __init__(self, fault):
        self.fault = fault
        self.asked = []
        self.network = httpx.HTTPTransport()

    def handle_request(self, request):
        """Answer one."""
        self.asked.append(request)
        return self.fault(request) or self.network.handle_request(request)

    def close(self):
        """Let the network go."""
        self.network.close()

    def candles(self, product="BTC-USD"):
        """The starts of the minutes that were asked for."""
        return [
            request.url.params["start"]
            for request in self.asked
            if request.url.path == f"/products/{product}/candles"
            and request.url.params["granularity"] == "60"
        ]


@contextmanager
def measured(rate, **options):
    """A client, and a sandbox to hold it to its rate, whatever a busy machine does.

    A request may come late, but none before its token is due: of all that came, the number k was
    due k / rate after the client began. What is held up under way may arrive at once: that is one
    request of each worker and of the thread that waits for them, and the sandbox allows no more.
    """
    at_once = workers(rate) + 2
    began = time.monotonic()
    with (
        Sandbox(rate=rate, burst=at_once, **options) as exchange,
        CoinbaseClient(exchange.url, rate=rate, burst=1) as client,
    ):
        yield client
        assert exchange.over_limit == 0
        came = [request.at - began for request in exchange.requests]
    assert len(came) > at_once
    assert all(at >= number / rate - 1e-6 for number, at in enumerate(came))


def impatient(exchange, fault=lambda _: None):
    """A client whose rests take no time, and its wire."""
    wire = Wire(fault)
    client = CoinbaseClient(
        exchange.url, rate=1e5, burst=10**5, sleep=lambda _: None, transport=wire
    )
    return client, wire


def failing(*minutes, status=500, times=10**9):
    """A fault: what asks for one of these minutes is answered so, so many times."""
    left = dict.fromkeys(minutes, times)

    def fault(request):
        asked = request.url.params
        if asked.get("granularity") != "60":
            return None
        for minute in minutes:
            if asked["start"] <= minute <= asked["end"] and left[minute] > 0:
                left[minute] -= 1
                return httpx.Response(status, json={"message": "no"})
        return None

    return fault
