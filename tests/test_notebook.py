"""The notebook runs from top to bottom on a small tickstore and draws every figure."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "volatility_by_hour.ipynb"
FIRST, CORRECTED = date(2019, 10, 18), date(2019, 10, 24)
PLOTLY = "application/vnd.plotly.v1+json"


def test_the_committed_notebook_has_no_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [
        cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")
    ] == []


@pytest.mark.slow
def test_every_figure_of_a_corrected_fortnight_shows_data(tmp_path, monkeypatch):
    fortnight(tmp_path)
    correct(tmp_path)
    figures = drawn(executed(tmp_path, monkeypatch))
    assert list(figures) == ["line", "bubble", "heat", "asof"]
    for figure in figures.values():
        assert figure["data"]
        for trace in figure["data"]:
            assert any(trace.get(axis) for axis in ("x", "y", "z"))


@pytest.mark.slow
def test_a_fortnight_without_a_correction_says_so(tmp_path, monkeypatch):
    fortnight(tmp_path)
    cells = executed(tmp_path, monkeypatch)
    assert list(drawn(cells)) == ["line", "bubble", "heat"]
    (output,) = cells["asof"]["outputs"]
    assert "No day of BTC-USD has been corrected yet" in output["data"]["text/markdown"]


def fortnight(database: Path) -> None:
    """Store fourteen days of minute bars, restless around 15:00, with minutes without a trade."""
    random = np.random.default_rng(2019)
    with LocalTickstore(database / "COINBASE_PRO_ONE_MIN_BINS") as tickstore:
        for day in (FIRST + timedelta(days=number) for number in range(14)):
            time = pd.date_range(str(day), periods=1440, freq="min", tz="UTC", name="time")
            swing = 1 + np.exp(-((time.hour - 15) ** 2) / 8)
            close = 9000 * np.exp(np.cumsum(random.normal(0, 4e-4, 1440) * swing))
            bars = pd.DataFrame(
                {
                    "low": close * 0.999,
                    "high": close * 1.001,
                    "open": close,
                    "close": close,
                    "volume": random.exponential(5, 1440) * swing,
                },
                index=time,
            )
            traded = bars[random.random(1440) > 0.05]
            tickstore.insert("BTC-USD", BiTimestamp(day), traded)


def correct(database: Path) -> None:
    with LocalTickstore(database / "COINBASE_PRO_ONE_MIN_BINS") as tickstore:
        bars = tickstore.select("BTC-USD", start=CORRECTED, end=CORRECTED)
        bars.iloc[700, bars.columns.get_loc("close")] *= 1.05
        tickstore.insert("BTC-USD", BiTimestamp(CORRECTED), bars)


def executed(database: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict]:
    """Run the notebook and give its code cells by their ids; nothing may go to stderr."""
    pytest.importorskip("plotly", reason="the notebooks extra is not installed: no plotly")
    nbformat = pytest.importorskip("nbformat", reason="the notebooks extra is not installed")
    nbclient = pytest.importorskip("nbclient", reason="the notebooks extra is not installed")
    monkeypatch.setenv("BEHEMOTH_DB", str(database))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=folder).execute()
    cells = {cell["id"]: cell for cell in notebook["cells"] if cell["cell_type"] == "code"}
    outputs = [output for cell in cells.values() for output in cell["outputs"]]
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    return cells


def drawn(cells: dict[str, dict]) -> dict[str, dict]:
    """Give the plotly figures by the ids of their cells."""
    return {
        name: output["data"][PLOTLY]
        for name, cell in cells.items()
        for output in cell["outputs"]
        if PLOTLY in output.get("data", {})
    }
