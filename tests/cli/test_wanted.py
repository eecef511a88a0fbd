"""What a download's words mean."""

from __future__ import annotations

from datetime import date

import pytest

from behemoth.cli.wanted import Wanted, read_symbols, told_apart
from behemoth.errors import BadRequest, EnvironmentFailed

TODAY = date(2019, 11, 2)
FIRST, LAST = date(2019, 10, 30), date(2019, 10, 31)


@pytest.mark.parametrize(
    ("words", "options", "expected"),
    [
        ("BTC-USD 2019-10-30 2019-10-31", {}, Wanted(("BTC-USD",), FIRST, LAST)),
        ("A B A 2019-10-30 2019-10-31", {}, Wanted(("A", "B"), FIRST, LAST)),
        ("A 2019-10-30 yesterday", {}, Wanted(("A",), FIRST, date(2019, 11, 1))),
        ("A 2019-10-30", {"until": "2019-10-31"}, Wanted(("A",), FIRST, LAST)),
        ("A B today", {"until": "today"}, Wanted(("A", "B"), TODAY, TODAY)),
        ("2019-10-30 2019-10-31", {"symbols": ["C", "D"]}, Wanted(("C", "D"), FIRST, LAST)),
        ("A B", {"repair": True}, Wanted(("A", "B"), None, None)),
        ("A 2019-10-30 2019-10-31", {"repair": True}, Wanted(("A",), FIRST, LAST)),
        ("", {"repair": True, "symbols": ["C"]}, Wanted(("C",), None, None)),
    ],
)
def test_symbols_and_days_are_told_apart(words, options, expected):
    """The last two words are days, or one where --until is the other."""
    assert told_apart(words.split(), TODAY, **options) == expected


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        ("", {}, "say what to download"),
        ("BTC-USD", {}, "START and END"),
        ("BTC-USD ETH-USD", {}, "START and END"),
        ("BTC-USD 2019-10-30", {}, "2019-10-30 is one day, and START and END are two"),
        ("BTC-USD today", {}, "today is one day"),
        ("2019-10-30 2019-10-31", {}, "name a symbol"),
        ("BTC-USD 2019-10-30 2019-02-30", {}, "END is a date"),
        ("BTC-USD 2019-10-30 2019-10-31", {"until": "today"}, "a day too many"),
        ("BTC-USD 2019-10-30", {"until": "soon"}, "--until is a date"),
        ("BTC-USD", {"until": "today", "repair": True}, "--until needs a first day"),
    ],
)
def test_words_that_say_no_range_are_refused(words, options, message):
    """One clear line."""
    with pytest.raises(BadRequest, match=message):
        told_apart(words.split(), TODAY, **options)


def test_a_file_names_one_symbol_a_line(tmp_path):
    """Empty lines and comments do not count."""
    path = tmp_path / "symbols.txt"
    path.write_text("# majors\nBTC-USD\n\n ETH-USD  # the other one\n")
    assert read_symbols(path) == ["BTC-USD", "ETH-USD"]
    path.write_text("BTC-USD ETH-USD\n")
    with pytest.raises(BadRequest, match="line 1: one symbol a line"):
        read_symbols(path)
    path.write_text("# none\n")
    with pytest.raises(BadRequest, match="names no symbol"):
        read_symbols(path)
    with pytest.raises(EnvironmentFailed, match=r"none\.txt"):
        read_symbols(tmp_path / "none.txt")
