"""How a command ends before its end: Ctrl-C, a failure, an output that cannot be written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from behemoth.errors import EnvironmentFailed, FeedError, FeedRefused


@contextmanager
def stoppable(then: str = "") -> Iterator[None]:
    """Make Ctrl-C one line and exit code 1.

    Parameters
    ----------
    then
        What to do next.
    """
    try:
        yield
    except KeyboardInterrupt:
        line = "; ".join(filter(None, ("behemoth: stopped; nothing is lost", then)))
        typer.echo(line, err=True)
        raise typer.Exit(1) from None


def why(ended: BaseException, holds: str) -> str:
    """Say in one line why a download ended early; where it may go on, what holds too."""
    stopped = isinstance(ended, KeyboardInterrupt)
    line = "stopped" if stopped else " ".join(str(ended).split())
    passing = isinstance(ended, FeedError | EnvironmentFailed) and not isinstance(
        ended, FeedRefused
    )
    return f"{line}; {holds}" if holds and (stopped or passing) else line


def flush() -> None:
    """Write what was printed; where that fails, raise ``OSError`` once and not again at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        drop_output()
        raise


def drop_output() -> None:
    """Let nothing more be written to stdout."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
