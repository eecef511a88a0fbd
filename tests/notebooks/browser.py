"""Opens executed notebooks in a headless Chromium, as pages that need no network.

It judges what the browser says; which notebooks are run, and with what, is not decided here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.running import PLOTLY, figures

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DRAWN = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot =>
    [...plot.querySelectorAll('.cartesianlayer .mlayer :is(path, image)')].filter(mark => {
        const box = mark.getBoundingClientRect();
        return (mark.getAttribute('d') || mark.tagName == 'image') && box.width + box.height > 0;
    }).length)"""
"""How many lines, bars, bubbles and maps each plot of a page shows."""
ALL_DRAWN = f"() => {{ const n = ({DRAWN})(); return n.length && n.every(Boolean) }}"


@contextmanager
def opened(width: int = 1200) -> Iterator[Any]:
    """Start a browser and give a page of it; skip where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium here: apt-get install chromium, or scripts/picture")
    driver = pytest.importorskip("playwright.sync_api", reason="there is no playwright here")
    with driver.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": width, "height": 800})
        finally:
            browser.close()


def html(notebook: Any) -> str:
    """Convert an executed notebook into a page that carries plotly.js, and asks no network."""
    import nbconvert
    import plotly.io as pio

    copy = deepcopy(notebook)
    outputs = (output for cell in copy["cells"] for output in cell.get("outputs", []))
    for data in (output.get("data", {}) for output in outputs):
        if PLOTLY in data:  # plotly's own page would ask for MathJax
            figure = pio.from_json(pio.to_json(data.pop(PLOTLY), validate=False))
            data["text/html"] = figure.to_html(
                full_html=False, include_plotlyjs=False, default_height="450px"
            )
    nowhere = dict.fromkeys(
        ("require_js_url", "mathjax_url", "jquery_url", "mermaid_js_url", "widget_renderer_url"), ""
    )
    page, _ = nbconvert.HTMLExporter(**nowhere).from_notebook_node(copy)
    return page


def look(page: Any, file: Path, patience: float = 30.0) -> None:
    """Open a file, and wait until its plots are drawn; it must not complain, nor leave the disk."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda asked: complaints.append(asked.url) if asked.url.startswith("http") else None,
    )
    page.goto(file.as_uri())
    try:
        page.wait_for_function(ALL_DRAWN, timeout=patience * 1000)
    except Exception as error:
        raise AssertionError(
            f"{file}: marks in each plot: {page.evaluate(DRAWN)}; {complaints}"
        ) from error
    assert complaints == []


def see(notebook: Any, folder: Path) -> None:
    """Show an executed notebook to a browser: every figure of it is drawn."""
    with opened() as page:
        file = folder / "notebook.html"
        file.write_text(html(notebook), encoding="utf-8")
        look(page, file)
        assert len(page.evaluate(DRAWN)) == len(figures(notebook))
