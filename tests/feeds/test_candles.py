"""What a body of candles says."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth.errors import BadRequest
from behemoth.feeds.candles import BrokenAnswer, Window, parse_candles
from tests.data import real

WINDOW = Window("BTC-USD", 60, 0, 299 * 60)


def body(*rows):
    """A body with these rows."""
    return json.dumps(rows).encode()


@pytest.mark.parametrize("hour", ["00", "05"])
def test_real_bodies_parse_to_three_hundred_exact_rows(hour):
    """Two adjacent answers of the real exchange: every number is the nearest float64."""
    raw = real(f"coinbase_rest_2020/2020-03-20-{hour}-00.json").read_bytes()
    start = datetime(2020, 3, 20, int(hour), tzinfo=UTC)
    end = datetime(2020, 3, 20, int(hour) + 4, 59, tzinfo=UTC)
    window = Window.between("BTC-USD", start, end, 60)
    frame = parse_candles(raw, window).frame()
    assert len(window) == len(frame) == 300
    assert frame.index.is_unique
    expected = sorted(json.loads(raw))
    found = np.column_stack([frame.index.asi8 // 10**9, frame.to_numpy()])
    assert found.tolist() == [[float(number) for number in row] for row in expected]


def test_two_adjacent_windows_hold_no_minute_twice():
    """600 rows, 600 minutes."""
    times = set()
    for hour in ("00", "05"):
        raw = real(f"coinbase_rest_2020/2020-03-20-{hour}-00.json").read_bytes()
        times.update(row[0] for row in json.loads(raw))
    assert len(times) == 600


def test_rows_are_clipped_sorted_and_given_once():
    """The exchange answers newest first, sometimes from before the start, sometimes twice."""
    rows = [[120, 1, 2, 1.5, 1.5, 3], [0, 1, 2, 1.5, 1.5, 3], [120, 1, 2, 1.5, 1.5, 3]]
    candles = parse_candles(body(*rows, [-60, 1, 1, 1, 1, 1], [18000, 1, 1, 1, 1, 1]), WINDOW)
    assert candles.time.tolist() == [0, 120]
    frame = candles.frame()
    assert list(frame.columns) == ["low", "high", "open", "close", "volume"]
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert frame.index.name == "time"
    assert set(map(str, frame.dtypes)) == {"float64"}


def test_no_rows_are_an_empty_frame():
    """With the same columns and types."""
    frame = parse_candles(b"[]", WINDOW).frame()
    assert len(frame) == 0
    assert set(map(str, frame.dtypes)) == {"float64"}


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"<html>502</html>",
        b'{"message": "NotFound"}',
        b"[[0, 1, 2, 3, 4, 5]",
        b"[[0, 1, 2, 3, 4]]",
        b'[[0, "1", 2, 3, 4, 5]]',
        b"[[0, null, 2, 3, 4, 5]]",
        b"[[0, true, 2, 3, 4, 5]]",
        b"[[0, NaN, 2, 3, 4, 5]]",
        b"[[0, 1e999, 2, 3, 4, 5]]",
        b"[[30, 1, 2, 3, 4, 5]]",
        b"[[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 6]]",
        b"[" * 100_000,
        b"\xff\xfe",
        b"[[0, 1, 2, 3, 4, " + b"9" * 400 + b"]]",
    ],
)
def test_a_broken_body_is_never_half_read(broken):
    """HTML, cut JSON, wrong shapes and types, what is not finite, off the grid, contradictory."""
    with pytest.raises(BrokenAnswer):
        parse_candles(broken, WINDOW)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(data):
    """Any body is candles, or a broken answer."""
    with suppress(BrokenAnswer):
        parse_candles(data, WINDOW)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=5, max_size=5))
def test_every_float_is_read_exactly(values):
    """JSON numbers round-trip as float64."""
    candles = parse_candles(body([0, *values]), WINDOW)
    assert candles.values[0].tobytes() == np.array(values).tobytes()


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [("00:00", "04:59", 300), ("00:00:01", "00:02:59", 2), ("00:00", "00:00", 1)],
)
def test_a_window_holds_the_candles_that_start_in_it(start, end, count):
    """Both ends included."""
    day = "2020-03-20T"
    window = Window.between(
        "BTC-USD", datetime.fromisoformat(day + start), datetime.fromisoformat(day + end), 60
    )
    assert len(window) == count


@pytest.mark.parametrize(("start", "end"), [("00:00", "05:00"), ("00:01", "00:00")])
def test_a_window_of_none_or_more_than_three_hundred_is_refused(start, end):
    """The exchange would answer 400."""
    day = "2020-03-20T"
    with pytest.raises(BadRequest, match="1 to 300"):
        Window.between(
            "BTC-USD", datetime.fromisoformat(day + start), datetime.fromisoformat(day + end), 60
        )
