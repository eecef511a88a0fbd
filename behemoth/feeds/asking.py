"""How to ask an exchange politely and stubbornly: one rate for all threads, retries, clear errors.

What lives here is the same for every exchange and every question. What an answer means is told by
`behemoth.feeds.answers`; the questions are in the module of each exchange.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type
from tenacity.wait import wait_exponential_jitter

from behemoth.errors import BadRequest, Closed, FeedRefused, FeedUnavailable
from behemoth.feeds.answers import PassingFailure, Refusal, judge, lost
from behemoth.feeds.candles import BrokenAnswer
from behemoth.feeds.ratelimit import TokenBucket
from behemoth.version import __version__

LONGEST_REST = 120.0
"""An exchange that wants to be left alone for more seconds than these counts as unavailable."""

ADVICE = {
    400: "the request must change",
    401: "this exchange wants a key, which public candles should not need",
    403: "this exchange does not serve this machine",
    404: "check the product's name and the address; /products lists those that exist",
}
"""What to do about a refusal."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a question is tried: attempts in all, and the time-outs of each."""

    attempts: int
    timeout: httpx.Timeout


QUICK = Effort(3, httpx.Timeout(3.0))
"""For the first contact: with no network at all, the verdict is there in a few seconds."""
PATIENT = Effort(8, httpx.Timeout(20.0, connect=10.0))
"""For what follows: about a minute of a failing exchange is sat out."""


WORTH_TELLING = 3.0
"""Seconds of waiting for a failing exchange that a person should know of."""
TELL_EVERY = 10.0
"""Seconds between two such notes, at least; all threads fail together."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was asked so far.

    Attributes
    ----------
    requests
        Requests sent, all of them.
    retries
        How many of them repeated one that had failed.
    """

    requests: int = 0
    retries: int = 0

    def __add__(self, more: Counts) -> Counts:
        return Counts(self.requests + more.requests, self.retries + more.retries)

    def __sub__(self, earlier: Counts) -> Counts:
        return Counts(self.requests - earlier.requests, self.retries - earlier.retries)


class Abandoned(Exception):
    """Raised out of a wait that nobody is interested in any more; never leaves this module."""


class Asker:
    """Ask one exchange over HTTP; safe to share between threads.

    Parameters
    ----------
    base_url
        Where the exchange is; checked by `plain_url`.
    rate, burst
        Requests a second, and at once after a rest, over all threads.
    clock
        Monotonic seconds.
    sleep
        Called with seconds; by default a sleep that `abandoned` cuts short.
    transport
        Another way to send requests than the network.
    """

    def __init__(
        self,
        base_url: str,
        *,
        rate: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base_url = plain_url(base_url)
        self._abandoned = threading.Event()
        self._sleep = sleep or self._abandoned.wait
        self.bucket = TokenBucket(rate, burst, clock=clock, sleep=self._wait)
        self._clock = clock
        self._counts: dict[str, Counts] = {}
        self._counting = threading.Lock()
        self._telling = threading.Lock()
        self._tell: Callable[[str], None] | None = None
        self._told_at = -math.inf
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"User-Agent": f"behemoth/{__version__}", "Accept": "application/json"},
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
            # An exchange on this very machine is not behind the proxy that leads to the others.
            mounts={"all://127.0.0.1": transport, "all://localhost": transport},
            transport=transport,
        )

    @property
    def counts(self) -> Counts:
        """What was asked so far."""
        with self._counting:
            return sum(self._counts.values(), Counts())

    def counts_of(self, topic: str) -> Counts:
        """Give what was asked so far about a topic."""
        with self._counting:
            return self._counts.get(topic, Counts())

    @contextmanager
    def telling(self, tell: Callable[[str], None]) -> Iterator[None]:
        """Within this block, tell when a failing exchange costs more than a few seconds.

        Parameters
        ----------
        tell
            Called with a line, from any thread, by one at a time.
        """
        self._tell = tell
        try:
            yield
        finally:
            self._tell = None

    @contextmanager
    def abandoned(self) -> Iterator[None]:
        """Let no question wait or be retried within this block, in any thread.

        What is on the wire may still be answered; all else ends with `FeedUnavailable`.
        """
        self._abandoned.set()
        try:
            yield
        finally:
            self._abandoned.clear()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self,
        about: str,
        path: str,
        params: Mapping[str, str],
        read: Callable[[httpx.Response], T],
        *,
        effort: Effort,
        accept: Container[int] = (200,),
        topic: str = "",
    ) -> T:
        """Ask until there is an answer that can be read, or enough was tried.

        Parameters
        ----------
        about
            What is asked, for the beginning of an error message.
        path, params
            Where to ask it, below the base URL.
        read
            Reads an answer; raises `BrokenAnswer` if it cannot, and the question is asked again.
        effort
            How hard to try.
        accept
            Statuses that `read` understands.
        topic
            What it is counted under.

        Raises
        ------
        FeedRefused
            When the exchange says no.
        FeedUnavailable
            When it cannot be reached, keeps failing, or wants to be left alone for long.
        Closed
            After `close`.
        """
        if self._http.is_closed:
            raise Closed(f"{about}: the client of {self.base_url} was closed")
        request = self._http.build_request("GET", path, params=params, timeout=effort.timeout)
        url, where = str(request.url), str(request.url.copy_with(query=None))
        retrying = Retrying(
            retry=retry_if_exception_type(PassingFailure),
            stop=_enough(effort.attempts),
            wait=_rest,
            sleep=self._wait,
            before_sleep=lambda state: self._before_retry(state, topic),
        )
        try:
            return retrying(lambda: self._ask_once(request, read, accept, topic))
        except RetryError as gave_up:
            last = gave_up.last_attempt
            failure = last.exception()
            raise FeedUnavailable(
                f"{about}: no usable answer from {where} in {last.attempt_number} attempts, "
                f"the last one: {failure}; check the network and the address, or try again later",
                url=url,
                status=getattr(failure, "status", None),
            ) from failure
        except Refusal as refusal:
            advice = ADVICE.get(refusal.status, "asking again will not help; check the address")
            raise FeedRefused(
                f"{about}: {where} answered {refusal}; {advice}", url=url, status=refusal.status
            ) from None
        except Abandoned:
            raise FeedUnavailable(f"{about}: {where} was no longer asked", url=url) from None

    def _ask_once(
        self,
        request: httpx.Request,
        read: Callable[[httpx.Response], T],
        accept: Container[int],
        topic: str,
    ) -> T:
        self.bucket.take()
        if self._abandoned.is_set():
            raise Abandoned
        self._count(topic, Counts(requests=1))
        try:
            response = self._http.send(request)
        except httpx.RequestError as error:
            raise lost(error) from error
        judge(response, accept)
        try:
            return read(response)
        except BrokenAnswer as broken:
            raise PassingFailure(str(broken), status=response.status_code) from broken

    def _before_retry(self, state: RetryCallState, topic: str) -> None:
        self._count(topic, Counts(retries=1))
        failure = _failure(state)
        if failure.limited:
            self.bucket.pause(state.upcoming_sleep)
        if state.idle_for + state.upcoming_sleep >= WORTH_TELLING:
            self._tell_of(failure, state.upcoming_sleep)

    def _tell_of(self, failure: PassingFailure, seconds: float) -> None:
        with self._telling:
            now = self._clock()
            if self._tell is None or now < self._told_at + TELL_EVERY:
                return
            self._told_at = now
            answers = "answers " if failure.status is not None else "gives "
            self._tell(f"the exchange {answers}{failure}, waiting {math.ceil(seconds)} s")

    def _count(self, topic: str, more: Counts) -> None:
        with self._counting:
            self._counts[topic] = self._counts.get(topic, Counts()) + more

    def _wait(self, seconds: float) -> None:
        self._sleep(seconds)
        if self._abandoned.is_set():
            raise Abandoned


def plain_url(url: str) -> str:
    """Give the base URL as it is written into the log: no trailing slash, nothing secret.

    Raises
    ------
    BadRequest
        When it is not ``http(s)://host[:port][/path]``.

    Examples
    --------
    >>> plain_url("HTTP://127.0.0.1:8018/")
    'http://127.0.0.1:8018'
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    extras = parsed.userinfo or parsed.query or parsed.fragment
    if parsed.scheme not in ("http", "https") or not parsed.host or extras:
        raise BadRequest(
            "an exchange's address is http(s)://host[:port][/path], without user, query or "
            f"fragment, not {url!r}"
        )
    return str(parsed).rstrip("/")


def _failure(state: RetryCallState) -> PassingFailure:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, PassingFailure):
        raise TypeError(f"only a passing failure is tried again, not {failure!r}")
    return failure


_backoff = wait_exponential_jitter(multiplier=0.5, max=15.0, jitter=0.5)


def _rest(state: RetryCallState) -> float:
    """Give the seconds until the next attempt: what the exchange asked for, or the backoff."""
    return _failure(state).rest or _backoff(state)


def _enough(attempts: int) -> Callable[[RetryCallState], bool]:
    """Give up after so many attempts, or when asked to rest for longer than anyone would wait."""
    return lambda state: state.attempt_number >= attempts or state.upcoming_sleep > LONGEST_REST
