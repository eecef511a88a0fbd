"""Every error that Behemoth raises, as one tree, grouped by what a handler would do.

::

    BehemothError
    ├── BadRequest (ValueError)         change the call
    │   ├── BadFrame                    change the frame: something in it cannot be kept exactly
    │   └── BadName                     change the name of a symbol, a table or a tag
    ├── NotFound (KeyError)             ask for something that exists
    ├── Closed                          open the tickstore again
    ├── ReadOnly                        open it for writing
    ├── Conflict                        read the newest state, decide, try again
    ├── Corrupt                         a file is not what it promises: restore it
    ├── CommitUnknown                   retry with the same ``commit_id``: it never commits twice
    ├── EnvironmentFailed (OSError)     mend the disk, the permissions or the network
    └── FeedError                       the exchange refused, failed or answered nonsense
        ├── FeedRefused                 change the request: asking again will not help
        └── FeedUnavailable             ask again later

    BehemothWarning (UserWarning)
    ├── ClockBehind                     the newest commit is minutes ahead of this clock
    └── CheckpointIgnored               a damaged index checkpoint was passed over: the log answers

What does not live here: any decision about when to raise.
"""

from __future__ import annotations

from datetime import date as Date
from typing import Any


class BehemothError(Exception):
    """Base of all errors; carries what the error is about.

    Parameters
    ----------
    message
        One line: what was asked, what was found, what to do next.
    symbol, date, version
        The splay that the error is about, as far as it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        symbol: str | None = None,
        date: Date | None = None,
        version: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.symbol = symbol
        self.date = date
        self.version = version

    def __str__(self) -> str:
        """Give the message itself; ``KeyError`` would quote it."""
        return self.message


class BadRequest(BehemothError, ValueError):
    """The call asks for something that cannot be."""


class BadFrame(BadRequest):
    """The frame holds something that would not come back exactly."""


class BadName(BadRequest):
    """The text cannot name a symbol, a table or a tag."""


class NotFound(BehemothError, KeyError):
    """There is no such symbol, revision, column or table."""


class Closed(BehemothError):
    """The tickstore, or the client of an exchange, was closed."""


class ReadOnly(BehemothError):
    """The tickstore or view cannot be written."""


class Conflict(BehemothError):
    """Another commit came first and the change no longer fits."""


class Corrupt(BehemothError):
    """A file is not what the log or its own header promises; the message names it."""


class CommitUnknown(BehemothError):
    """The commit may or may not have happened.

    Attributes
    ----------
    commit_id : str
        Pass it as ``commit_id=`` when trying again: what was committed is then found, not repeated.
    """

    def __init__(self, message: str, *, commit_id: str, **about: Any) -> None:
        super().__init__(message, **about)
        self.commit_id = commit_id


class EnvironmentFailed(BehemothError, OSError):
    """The disk, the permissions or the network failed underneath."""


class FeedError(BehemothError):
    """The exchange could not be read.

    Attributes
    ----------
    url : str or None
        What was asked.
    status : int or None
        The HTTP status of the answer, where there was one.
    """

    def __init__(
        self, message: str, *, url: str | None = None, status: int | None = None, **about: Any
    ) -> None:
        super().__init__(message, **about)
        self.url = url
        self.status = status


class FeedRefused(FeedError):
    """The exchange said no (400, 401, 403, 404): asking again will not help."""


class FeedUnavailable(FeedError):
    """The exchange could not be reached or kept failing: ask again later."""


class BehemothWarning(UserWarning):
    """Base of all warnings."""


class ClockBehind(BehemothWarning):
    """The newest commit is minutes ahead of this machine's clock."""


class CheckpointIgnored(BehemothWarning):
    """A damaged index checkpoint was passed over; the answer comes from the log."""
