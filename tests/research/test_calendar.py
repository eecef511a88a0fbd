"""The coverage calendar: each day in its place, in the colour of its state."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, MemoryTickstore, errors
from behemoth.research import coverage_calendar
from behemoth.research.calendar import COLOURS, WEEKDAYS
from behemoth.tickstore.coverage import STATES
from tests.clock import Clock
from tests.tickstore.test_coverage import LATER, A, asked, download, minutes


def drawn(frame, **more):
    """The figure, where plotly is."""
    pytest.importorskip("plotly", reason="the notebooks extra is not installed: no plotly")
    return coverage_calendar(frame, **more)


def test_every_state_has_a_colour_of_its_own():
    assert set(COLOURS) == set(STATES)
    assert len(set(COLOURS.values())) == len(STATES)


def test_a_day_lies_in_its_week_and_says_what_is_known_of_it():
    """The neighbours of New Year, each in its year; pointed at, state, rows and last asking."""
    friday = date(2016, 1, 1)
    with MemoryTickstore(clock=Clock()) as store:
        download(store, friday, range(3))
        store.observe([asked(date(2015, 12, 31), "failed")])
        store.insert(A, BiTimestamp(date(2016, 1, 4)), minutes(date(2016, 1, 4), range(1440)))
        figure = drawn(store.coverage(A), title="Bitcoin")
    assert [trace.name for trace in figure.data] == ["2015", "2016"]
    old, new = (np.array(trace.z, dtype=float) for trace in figure.data)
    states = list(COLOURS)
    assert [(y, x, states[int(old[y, x])]) for y, x in np.argwhere(~np.isnan(old))] == [
        (3, 52, "failed")
    ]
    assert [(WEEKDAYS[y], x, states[int(new[y, x])]) for y, x in np.argwhere(~np.isnan(new))] == [
        ("Mon", 1, "stored"), ("Fri", 0, "complete"), ("Sat", 0, "unasked"), ("Sun", 0, "unasked")
    ]  # fmt: skip
    told = figure.data[1].text
    assert told[4][0] == f"2016-01-01: complete<br>3 rows<br>asked {LATER:%Y-%m-%d %H:%M} UTC"
    assert told[0][1] == "2016-01-04: stored<br>1,440 rows<br>never asked"
    assert figure.layout.title.text == "Bitcoin"


@pytest.mark.parametrize("year", [2000, 2012, 2016, 2019])
def test_a_year_has_a_field_for_each_day(year):
    """Also a leap year that begins on a Sunday and has 54 weeks."""
    days = pd.date_range(f"{year}-01-01", f"{year}-12-31", name="date")
    frame = pd.DataFrame({"state": "empty", "rows": 0, "asked_at": pd.NaT}, index=days)
    figure = drawn(frame)
    fields = np.array(figure.data[0].z, dtype=float)
    assert np.count_nonzero(fields == list(COLOURS).index("empty")) == len(days)
    order = [str(text)[:10] for text in np.array(figure.data[0].text).T.ravel() if text]
    assert order == [f"{date(year, 1, 1) + timedelta(n)}" for n in range(len(days))]


def test_the_colours_are_steps():
    """A state's code is in the middle of its step."""
    days = pd.date_range("2019-10-31", "2019-10-31", name="date")
    frame = pd.DataFrame({"state": ["failed"], "rows": 0, "asked_at": pd.NaT}, index=days)
    axis = drawn(frame).layout.coloraxis
    for code, (state, colour) in enumerate(COLOURS.items()):
        place = (code - axis.cmin) / (axis.cmax - axis.cmin)
        around = [each for each in axis.colorscale if abs(each[0] - place) < 0.6 / len(COLOURS)]
        assert colour in {each[1] for each in around}, state


def test_what_is_no_coverage_is_refused():
    """One line says what to give; nothing to draw is told as such."""
    with MemoryTickstore() as store, pytest.raises(errors.BadRequest, match="no day to draw"):
        coverage_calendar(store.coverage(A))
    for wrong in (None, [], pd.DataFrame({"state": ["empty"]})):
        with pytest.raises(errors.BadRequest, match="coverage"):
            coverage_calendar(wrong)


def test_without_plotly_an_error_names_the_extra():
    """It is imported where it is used, so all else works without it."""
    code = (
        "import sys; sys.modules['plotly'] = None\n"
        "from behemoth import MemoryTickstore, errors, research\n"
        "days = MemoryTickstore().coverage('A', '2019-10-31', '2019-10-31')\n"
        "try: research.coverage_calendar(days)\n"
        "except errors.EnvironmentFailed as error: print(error)"
    )
    told = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "pip install 'behemoth[notebooks]'" in told
