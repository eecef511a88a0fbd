"""How big these tests are, and where their ledgers are shown."""

from __future__ import annotations

import pytest

from tests.profile import FULL


@pytest.fixture
def full():
    """Whether this is the full size."""
    return FULL


@pytest.fixture
def tell(capsys, request):
    """Shows what was measured; at full size only, people read it."""

    def show(facts):
        if FULL:
            with capsys.disabled():
                print(f"\n{request.node.name}\n{facts}")  # noqa: T201 - this is the report

    return show
