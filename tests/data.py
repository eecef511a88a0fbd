"""Where real market data is, for the tests that use it; they skip where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(
    os.environ.get("BEHEMOTH_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


def real(name: str) -> Path:
    """Give a file of real data, or skip the test that wants it."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no real market data at {path}; set BEHEMOTH_TEST_DATA")
    return path
