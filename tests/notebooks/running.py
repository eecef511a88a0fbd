"""Runs notebooks in kernels of their own. What a browser makes of them is `browser`'s."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"


def executed(name: str, environment: Mapping[str, str | Path]) -> Any:
    """Run a notebook from top to bottom; nothing of it may go to stderr.

    Parameters
    ----------
    name
        Its file, without the ending.
    environment
        Variables that its kernel has; none of `BEHEMOTH_...` but these.

    Returns
    -------
    nbformat.NotebookNode
        With outputs.
    """
    pytest.importorskip("plotly", reason="the notebooks extra is not installed: no plotly")
    nbformat = pytest.importorskip("nbformat", reason="the notebooks extra is not installed")
    nbclient = pytest.importorskip("nbclient", reason="the notebooks extra is not installed")
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        extra_arguments=["--log-level=ERROR"],
    )
    with variables({"PYTHONPATH": ROOT, **environment}):
        client.execute()
    outputs = [output for cell in code(notebook).values() for output in cell["outputs"]]
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    return notebook


@contextmanager
def variables(wanted: Mapping[str, str | Path]) -> Iterator[None]:
    """Set environment variables, for kernels inherit them; afterwards they are as before."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("BEHEMOTH_")]:
        del os.environ[name]
    os.environ.update({name: str(value) for name, value in wanted.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def code(notebook: Any) -> dict[str, Any]:
    """Give its code cells by their ids."""
    return {cell["id"]: cell for cell in notebook["cells"] if cell["cell_type"] == "code"}


def figures(notebook: Any) -> dict[str, dict[str, Any]]:
    """Give the plotly figures by the ids of their cells; each trace has something to show."""
    found = {
        name: output["data"][PLOTLY]
        for name, cell in code(notebook).items()
        for output in cell["outputs"]
        if PLOTLY in output.get("data", {})
    }
    for figure in found.values():
        assert figure["data"]
        for trace in figure["data"]:
            assert any(trace.get(axis) for axis in ("x", "y", "z"))
    return found


def axes(figure: Mapping[str, Any]) -> list[str]:
    """Give the titles of a figure's axes."""
    layout = figure["layout"]
    return [
        axis["title"]["text"]
        for name, axis in layout.items()
        if name[:5] in ("xaxis", "yaxis") and "title" in axis
    ]


def shown(cell: Mapping[str, Any]) -> str:
    """Give what a cell shows as text: what it displays as Markdown, HTML or plain text."""
    data = [output.get("data", {}) for output in cell["outputs"]]
    kinds = ("text/markdown", "text/html", "text/plain")
    return "\n".join(next((each[kind] for kind in kinds if kind in each), "") for each in data)
