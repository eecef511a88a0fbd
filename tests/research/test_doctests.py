"""The examples in the docstrings of research are true, and research comes only when asked for."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from datetime import date

import pandas as pd
import pytest

from behemoth import BiTimestamp, MemoryTickstore, research

NAMES = {
    "BiTimestamp": BiTimestamp,
    "Date": date,
    "MemoryTickstore": MemoryTickstore,
    "pd": pd,
}


@pytest.mark.parametrize("name", ["", ".bars", ".joins", ".days", ".book", ".calendar"])
def test_the_examples_hold(name):
    module = importlib.import_module(f"behemoth.research{name}")
    found = doctest.testmod(module, extraglobs=NAMES)
    assert found.failed == 0
    assert found.attempted > 0


def test_the_names_of_research_are_these():
    assert research.__all__ == ["asof_join", "bars", "book", "coverage_calendar", "days"]
    public = {name for name in vars(research.book) if not name.startswith("_")}
    assert {"book_at", "best", "depth"} <= public


def test_research_is_loaded_only_when_it_is_asked_for():
    code = "import sys, behemoth; assert not [n for n in sys.modules if 'research' in n]"
    subprocess.run([sys.executable, "-c", code], check=True)
