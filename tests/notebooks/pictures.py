"""Takes the pictures of README and docs: ``scripts/picture`` runs it, tests do not.

Every notebook is executed and its whole page opened in a real browser, which must draw each figure
and have no complaint; then the figures that make a picture are put side by side.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import plotly.io as pio

from tests.notebooks import browser
from tests.notebooks.running import NAMES, ROOT, executed, figures

WIDTH = 1200
STYLE = f"body {{ margin: 0; width: {WIDTH}px }} body > div {{ float: left }}"
BOTTOM = """() => Math.max(...[...document.querySelectorAll('.js-plotly-plot')].map(
    plot => plot.getBoundingClientRect().bottom))"""


class Picture(NamedTuple):
    """A picture: its notebook, and the places of its figures, width and height in pixels."""

    notebook: str
    places: dict[str, tuple[int, int]]


PICTURES = {
    "volatility_by_hour.png": Picture(
        "volatility_by_hour", {"line": (1200, 330), "bubble": (600, 430), "heat": (600, 430)}
    ),
    "result_and_pin.png": Picture(
        "reproducible_research", {"believed": (600, 360), "vintages": (600, 360)}
    ),
    "quickstart.png": Picture("quickstart", {"plot": (1200, 420)}),
    "data_quality.png": Picture("data_quality", {"gaps-plot": (600, 330), "hole-plot": (600, 330)}),
}


def main(images: Path, pages: Path) -> None:
    """Execute, look, and take the pictures; `BEHEMOTH_DB` names the database of the notebooks."""
    stories = {}
    for name in NAMES:
        stories[name] = executed(name, {"BEHEMOTH_DB": os.environ["BEHEMOTH_DB"]})
        with browser.opened(WIDTH) as page:
            file = pages / f"{name}.html"
            file.write_text(browser.html(stories[name]), encoding="utf-8")
            browser.look(page, file)
            print(f"{file.relative_to(ROOT)}: marks in each plot {page.evaluate(browser.DRAWN)}")  # noqa: T201
    for name, picture in PICTURES.items():
        with browser.opened(WIDTH) as page:
            file = pages / f"{name}.html"
            drawn = figures(stories[picture.notebook])
            file.write_text(composed(drawn, picture.places), encoding="utf-8")
            browser.look(page, file)
            height = page.evaluate(BOTTOM)
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": height}
            (images / name).write_bytes(page.screenshot(full_page=True, clip=clip))


def composed(drawn: dict[str, Any], places: dict[str, tuple[int, int]]) -> str:
    """Put figures into one page, as large as they are said to be."""
    parts: list[str] = []
    for cell, (width, height) in places.items():
        figure = pio.from_json(pio.to_json(drawn[cell], validate=False), skip_invalid=True)
        figure.update_layout(width=width, height=height, font_size=11, title_font_size=14)
        figure.update_layout(margin={"l": 60, "r": 20, "t": 60, "b": 45})
        plain = {"displayModeBar": False}
        parts.append(figure.to_html(plain, full_html=False, include_plotlyjs=not parts))
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(parts)}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
