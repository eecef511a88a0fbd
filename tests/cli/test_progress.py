"""How a download looks while it runs."""

from __future__ import annotations

import io
from datetime import date

from rich.console import Console

from behemoth.cli.progress import Lines, shown
from behemoth.feeds import Progress


def progress(days):
    """So many days of ten."""
    return Progress(5 * days, 50, days, 10, date(2019, 10, days + 1), 1440 * days, "BTC-USD")


def test_a_terminal_shows_a_bar_with_rate_and_time_left():
    """Drawn on stderr."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with shown(quiet=False, console=console) as display:
        display.progress(progress(3))
        display.note("a line [with] brackets")
        display.progress(progress(10))
    assert "10 of 10 days" in screen.getvalue()
    assert "50/50" in screen.getvalue()
    assert "a line [with] brackets" in screen.getvalue()


def test_a_pipe_gets_plain_lines_now_and_then():
    """At most one each ten seconds, and one at the end."""
    screen, now = io.StringIO(), [0.0]
    lines = Lines(Console(file=screen, width=200), clock=lambda: now[0])
    for days in range(11):
        now[0] += 4
        lines.progress(progress(days))
    printed = screen.getvalue().splitlines()
    assert printed[-1].startswith("BTC-USD 2019-10-11: 10 of 10 days, 50 of 50 requests")
    assert len(printed) == 4


def test_json_keeps_quiet_but_for_notes():
    """Nothing but what a person must see."""
    screen = io.StringIO()
    with shown(quiet=True, console=Console(file=screen)) as display:
        display.progress(progress(1))
        display.note("not over yet")
    assert screen.getvalue() == "not over yet\n"
