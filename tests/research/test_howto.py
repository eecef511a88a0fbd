"""The how-tos of research run from top to bottom, and lead to what is there."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["bars-and-joins.md", "order-books.md"])
def test_every_block_runs(page, tmp_path, monkeypatch):
    """In one namespace, as a reader would go through it."""
    text = (HOWTO / page).read_text(encoding="utf-8")
    if "plotly" in text:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip("plotly", reason="it draws with behemoth[notebooks]")
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = BLOCK.findall(text)
    assert len(blocks) > 3
    for block in blocks:
        exec(block, names)  # noqa: S102 - our own page
    assert list(tmp_path.iterdir()) == []
