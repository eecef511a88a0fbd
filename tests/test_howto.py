"""The how-tos run, from the first block to the last."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "howto"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = {"arrow-duckdb-polars": ["pyarrow", "duckdb", "polars"], "dask": ["dask"]}


@pytest.mark.slow
@pytest.mark.parametrize("page", NEEDS)
def test_a_page_runs_from_top_to_bottom(page, tmp_path):
    """All blocks in one namespace, in a process of their own."""
    for module in NEEDS[page]:
        pytest.importorskip(module, reason=f"the page needs {module}, which is not installed")
    text = "\n".join(BLOCK.findall((FOLDER / f"{page}.md").read_text(encoding="utf-8")))
    ended = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
