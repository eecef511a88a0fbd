"""The token bucket: how fast anyone may ask, whoever asks.

One bucket is shared by all threads of a client, and the sandbox exchange measures its callers with
the same one. Nothing about HTTP lives here, and no decision about what to ask.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from behemoth.errors import BadRequest

TICK = 1e-9
"""Seconds below which sums of floats are noise."""


class TokenBucket:
    """Give `rate` tokens a second, and at most `burst` at once after a quiet time.

    Parameters
    ----------
    rate
        Tokens a second, above 0.
    burst
        Tokens that a long rest saves up, at least 1.
    clock
        Monotonic seconds.
    sleep
        Called with seconds. It may raise to call a waiting `take` off.
    rested
        Whether it begins as after a long rest, with the whole burst. One who asks begins without:
        the program before it, killed a moment ago, may have used the burst up.

    Notes
    -----
    All state is one number: when the next token is due. A rest lets it fall behind the clock, by
    no more than the burst; every token taken moves it on by ``1 / rate``; a pause moves it into
    the future and so uses the saved burst up as well.

    Examples
    --------
    >>> bucket = TokenBucket(rate=10, burst=2, clock=lambda: 0.0)
    >>> [bucket.try_take() for _ in range(2)]
    [True, False]
    >>> bucket = TokenBucket(rate=10, burst=2, clock=lambda: 0.0, rested=True)
    >>> [bucket.try_take() for _ in range(3)]
    [True, True, False]
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        rested: bool = False,
    ) -> None:
        if not 0 < rate < float("inf"):
            raise BadRequest(f"a rate is a number of requests a second above 0, not {rate}")
        if burst < 1:
            raise BadRequest(f"a burst is at least 1 request, not {burst}")
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._sleep = sleep
        self._due = clock() - ((burst - 1) / rate if rested else 0.0)
        self._state = threading.Lock()
        self._turnstile = threading.Lock()

    def take(self) -> None:
        """Wait for a token and take it.

        Only one thread at a time waits for the clock, the others wait for that thread: so nobody
        is overtaken again and again while others win the race for each new token.
        """
        with self._turnstile:
            while (wait := self._take_or_wait()) > 0:
                self._sleep(wait)

    def try_take(self) -> bool:
        """Take a token if one is there now, and tell whether it was."""
        return self._take_or_wait() <= 0

    def pause(self, seconds: float) -> None:
        """Give no token for so many seconds from now, to nobody."""
        with self._state:
            self._due = max(self._due, self._clock() + seconds)

    def _take_or_wait(self) -> float:
        """Take a token and give 0, or give the seconds until one is due."""
        with self._state:
            now = self._clock()
            due = max(self._due, now - (self.burst - 1) / self.rate)
            if due - now > TICK:
                return due - now
            self._due = due + 1 / self.rate
            return 0.0
