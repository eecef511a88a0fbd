"""The sandbox exchange: a server on this machine that answers as the real exchange does.

Sockets, threads, the clock, latency and the rate limit live here; what is answered is decided by
`behemoth.feeds.sandbox.rules`.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Self

from behemoth.bitemporal import FIRST_DATE, LAST_DATE, knowledge_time
from behemoth.errors import BadRequest, EnvironmentFailed
from behemoth.feeds.ratelimit import TokenBucket
from behemoth.feeds.sandbox import rules
from behemoth.feeds.sandbox.bins import Market
from behemoth.feeds.sandbox.market import BuiltInMarket
from behemoth.feeds.sandbox.prints import Prints
from behemoth.feeds.sandbox.rules import Answer

HOST = "127.0.0.1"
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
    ) -> None:
        if not 0 <= port <= 65535:
            raise BadRequest(f"a port is a number from 0 to 65535, not {port}")
        if not 0 <= latency < float("inf"):
            raise BadRequest(f"latency is a number of seconds, not {latency}")
        self.market = BuiltInMarket() if market is None else market
        self._prints = Prints(self.market)
        self._port = port
        self._latency = latency
        self._clock = clock
        self._bucket = TokenBucket(rate, burst, clock=clock)
        self._began = knowledge_time(now or datetime.now(UTC))
        self._began_at = clock()
        if not FIRST_DATE <= self._began.date() <= LAST_DATE:
            raise BadRequest(f"the exchange's time lies in {FIRST_DATE} to {LAST_DATE}, not {now}")
        self._closing = threading.Event()
        self._recording = threading.Lock()
        self._counts: Counter[int] = Counter()
        self._requests: deque[Request] = deque(maxlen=REMEMBERED)
        self._server: _Server | None = None
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

    def open(self) -> Self:
        """Begin to answer.

        Raises
        ------
        EnvironmentFailed
            When the port is taken.
        """
        try:
            self._server = _Server((HOST, self._port), self)
        except OSError as error:
            raise EnvironmentFailed(
                f"port {self._port} of {HOST} cannot be opened: {error.strerror or error}; "
                "choose another one, 0 is any that is free"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox"
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop answering, and end all connections."""
        self._closing.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.hang_up()
            self._server.server_close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, target: str, user_agent: str | None) -> Answer:
        """Answer one GET request, after the latency and within the rate."""
        at = self._clock()
        if not self._bucket.try_take():
            reply = rules.RATE_LIMITED
        elif not user_agent:
            reply = rules.NO_USER_AGENT
        else:
            reply = rules.answer(target, self.market, self.now, self._prints)
        with self._recording:
            self._counts[reply.status] += 1
            self._requests.append(Request(at, target, reply.status))
        if self._latency:
            self._closing.wait(self._latency)
        return reply


class _Server(ThreadingHTTPServer):
    """Holds the connections, so that they can be ended."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without a look-up."""
        # HTTPServer would look its own name up, which takes seconds where no name server answers.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Let a connection go."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away; it may whenever it likes."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End all connections, so that the threads that listen to them end too."""
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # the client may have been quicker
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the sandbox."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # headers and body leave in one piece
    server: _Server

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._send(self.server.sandbox.answer(self.path, self.headers.get("User-Agent")))

    def send_error(self, code: int, message: str | None = None, *_: object) -> None:
        """Answer what is no GET request; the exchange's errors are JSON."""
        self.close_connection = True
        self._send(Answer(code, {"message": message or self.responses[code][0]}))

    def version_string(self) -> str:
        """Name the server."""
        return "behemoth-sandbox"

    def log_message(self, *_: object) -> None:
        """Keep quiet: the sandbox counts instead."""

    def _send(self, reply: Answer) -> None:
        body = reply.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
