"""A table on disk and in memory, and a clock to turn."""

from __future__ import annotations

import pytest

from behemoth import LocalTickstore, MemoryTickstore
from tests.clock import Clock


@pytest.fixture
def clock():
    """A clock that stands still until it is turned."""
    return Clock()


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path, clock):
    """A table of each kind."""
    if request.param == "local":
        return LocalTickstore(tmp_path / "TABLE", clock=clock)
    return MemoryTickstore(clock=clock)


@pytest.fixture
def local(tmp_path, clock):
    """A table on disk."""
    return LocalTickstore(tmp_path / "TABLE", clock=clock)
