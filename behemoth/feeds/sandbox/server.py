"""The sandbox exchange: a server on this machine that answers as the real exchange does.

The clock, latency, the rate limit, the counts and the day's troubles live here; what is answered is
decided by `rules`, how it is spoilt by `spoiling`, and `wire` has the sockets.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import Any, Self

from behemoth.bitemporal import FIRST_DATE, LAST_DATE, knowledge_time
from behemoth.errors import BadRequest, EnvironmentFailed
from behemoth.feeds.ratelimit import TokenBucket
from behemoth.feeds.sandbox import reports, rules
from behemoth.feeds.sandbox.bins import Market, Table, candles
from behemoth.feeds.sandbox.faults import Faults
from behemoth.feeds.sandbox.market import BuiltInMarket
from behemoth.feeds.sandbox.prints import Prints
from behemoth.feeds.sandbox.spoiling import Asked, Reply, Rows, spoilt
from behemoth.feeds.sandbox.troubled import Revising, Standing, Troubled
from behemoth.feeds.sandbox.wire import HOST, Wire

RATE, BURST = 10.0, 15
"""What the real exchange allows to one address."""
REMEMBERED = 100_000
"""Requests of which the sandbox keeps time and target."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the sandbox has answered.

    Attributes
    ----------
    at
        When it came, in monotonic seconds.
    target
        Path and query.
    status
        Of the answer.
    """

    at: float
    target: str
    status: int


class Sandbox:
    """An exchange on 127.0.0.1; it opens as a context manager and answers until it is left.

    Parameters
    ----------
    market
        Where candles come from; the built-in market by default.
    port
        0 means any that is free.
    now
        The exchange's time at the start, from where it goes on; by default, the present. A naive
        time is UTC.
    latency
        Seconds until an answer.
    rate, burst
        Requests a second, and at once after a rest, before a 429.
    clock
        Monotonic seconds.
    faults
        What goes wrong; by default, nothing.

    Attributes
    ----------
    market : Market
        What was traded in the end, with the troubles that `faults` lays over it.

    Examples
    --------
    >>> import httpx
    >>> with Sandbox() as exchange:
    ...     httpx.get(f"{exchange.url}/products/BTC-USD").json()["status"]
    'online'
    """

    def __init__(
        self,
        market: Market | None = None,
        *,
        port: int = 0,
        now: datetime | None = None,
        latency: float = 0.0,
        rate: float = RATE,
        burst: int = BURST,
        clock: Callable[[], float] = time.monotonic,
        faults: Faults | None = None,
    ) -> None:
        if not 0 <= port <= 65535:
            raise BadRequest(f"a port is a number from 0 to 65535, not {port}")
        if not 0 <= latency < float("inf"):
            raise BadRequest(f"latency is a number of seconds, not {latency}")
        self.faults = faults or Faults()
        self.market = BuiltInMarket() if market is None else market
        if not self.faults.chosen.keys().isdisjoint(Troubled.FAULTS):
            self.market = Troubled(self.market, self.faults)
        self._revising = Revising(self.market, self.faults)
        self._prints = Prints(self.market)
        self._port = port
        self._latency = latency
        self._clock = clock
        self._bucket = TokenBucket(rate, burst, clock=clock, rested=True)
        self._began = knowledge_time(now or datetime.now(UTC))
        self._began_at = clock()
        if not FIRST_DATE <= self._began.date() <= LAST_DATE:
            raise BadRequest(f"the exchange's time lies in {FIRST_DATE} to {LAST_DATE}, not {now}")
        self._closing = threading.Event()
        self._recording = threading.Lock()
        self._counts: Counter[int] = Counter()
        self._faults_met: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._number = 0
        self._over_limit = 0
        self._requests: deque[Request] = deque(maxlen=REMEMBERED)
        self._server: Wire | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL, once it is open."""
        if self._server is None:
            raise RuntimeError("the sandbox is not open; use it in a with statement")
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    def now(self) -> datetime:
        """The exchange's time, aware UTC."""
        return self._began + timedelta(seconds=self._clock() - self._began_at)

    @property
    def counts(self) -> dict[int, int]:
        """How many requests were answered with each status."""
        with self._recording:
            return dict(sorted(self._counts.items()))

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests that came, in their order; the newest of them if there were very many."""
        with self._recording:
            return tuple(sorted(self._requests, key=lambda request: request.at))

    @property
    def over_limit(self) -> int:
        """How many requests were answered 429 because they came too fast, not by a fault."""
        with self._recording:
            return self._over_limit

    @property
    def faults_met(self) -> dict[str, int]:
        """How many answers each fault has spoilt, and how often the port was closed."""
        with self._recording:
            return dict(sorted(self._faults_met.items()))

    @property
    def revised(self) -> tuple[Standing, ...]:
        """How the days stand that are revised, as far as they were asked."""
        return self._revising.standings()

    def truth(self, product: str, day: Date, granularity: int = 60) -> Table:
        """Give a day's candles as they would be answered now; a table as in `bins`."""
        return self._revising.truth(product, day, granularity, self.now.timestamp())

    def open(self) -> Self:
        """Begin to answer.

        Raises
        ------
        EnvironmentFailed
            When the port is taken.
        """
        try:
            self._server = Wire(
                self._port, self.answer, self._closing, lambda: self.now.timestamp()
            )
        except OSError as error:
            raise EnvironmentFailed(
                f"port {self._port} of {HOST} cannot be opened: {error.strerror or error}; "
                "choose another one, 0 is any that is free"
            ) from error
        self._thread = threading.Thread(target=self._server.serve, name="sandbox")
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop answering, and end all connections."""
        self._closing.set()
        if self._server is not None and self._thread is not None:
            self._thread.join()
            self._server.hang_up()
            self._server.server_close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, target: str, user_agent: str | None) -> Reply:
        """Answer one GET request, after the latency, within the rate, with the faults it meets."""
        if target.startswith(reports.PREFIX):
            return Reply.of(
                reports.report(target, self._report(), self.faults, self._revising, self.now)
            )
        at = self._clock()
        if not self._bucket.try_take():
            reply = Reply.of(rules.RATE_LIMITED)
            self._record(Request(at, target, reply.status), over_limit=1)
        else:
            reply = self._answer(self._count(target), user_agent)
            self._record(Request(at, target, reply.status), faults=reply.faults)
        if self._latency:
            self._closing.wait(self._latency)
        return reply

    def _answer(self, asked: Asked, user_agent: str | None) -> Reply:
        """Give the right answer, or what a fault makes of it."""
        now, seconds = self.now, self.faults.refuses(asked.number)
        if seconds and self._server is not None and self._server.refuse(seconds):
            self._record(None, faults=("refused",))
        if not user_agent:
            return Reply.of(rules.NO_USER_AGENT)
        span = rules.span_of(asked.target, self.market, now)
        if span is None:
            return spoilt(
                self.faults,
                asked,
                lambda: rules.answer(asked.target, self.market, now, self._prints),
            )
        market = self._revising.seen(span.granularity)

        def before(count: int) -> Rows:
            end = span.start - 1
            start = span.start - count * span.granularity
            table = candles(market, span.product, start, end, span.granularity, now.timestamp())
            return rules.newest_first(table)

        answer = spoilt(self.faults, asked, lambda: rules.answer(asked.target, market, now), before)
        if answer.usable:
            over = min(span.end, int(now.timestamp()) - span.granularity)
            self._revising.answered(span.product, span.granularity, span.start, over)
        return answer

    def _count(self, target: str) -> Asked:
        """Number a request, where faults want to know."""
        if not self.faults.chosen:
            return Asked(0, target)
        with self._recording:
            asked = Asked(self._number, target, self._asked[target])
            self._number += 1
            self._asked[target] += 1
        return asked

    def _record(
        self, request: Request | None, *, over_limit: int = 0, faults: tuple[str, ...] = ()
    ) -> None:
        with self._recording:
            self._over_limit += over_limit
            self._faults_met.update(faults)
            if request is not None:
                self._counts[request.status] += 1
                self._requests.append(request)

    def _report(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "requests": sum(counts.values()),
            "statuses": {str(status): count for status, count in counts.items()},
            "over_limit": self.over_limit,
            "faults": self.faults_met,
        }
