"""The picture beside the figures: four works, every contender, shorter is better."""

from __future__ import annotations

from pathlib import Path

from benchmarks.speed import figures
from benchmarks.speed.figures import Figures
from benchmarks.speed.peers import WAYS
from benchmarks.speed.report import in_seconds, megabytes, milliseconds

PANELS = (
    ("Select all bars and sum", figures.SELECT, milliseconds),
    ("Select one day and sum", figures.DAY, milliseconds),
    ("Write day by day, or at once", figures.INGEST, in_seconds),
    ("Bytes on disk, allocated", figures.ALLOCATED, megabytes),
)
OURS, FLOORS, OTHERS = "#c2410c", "#cbd5e1", "#64748b"


def draw(found: Figures, path: Path) -> None:
    """Draw the picture; it needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 7.5), layout="constrained")
    for axis, (title, work, unit) in zip(axes.flat, PANELS, strict=True):
        medians = {name: found.median(work, name) for name in WAYS}
        known = {name: value for name, value in medians.items() if value}
        names = sorted(known, key=lambda name: -known[name])
        bars = axis.barh(
            [WAYS[name].title.partition(":")[0] for name in names],
            [known[name] for name in names],
            color=[_color(name) for name in names],
        )
        axis.bar_label(bars, [unit(known[name]) for name in names], padding=3, fontsize=8)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xscale("log")
        axis.margins(x=0.2)
        axis.xaxis.set_visible(False)
        axis.tick_params(axis="y", length=0, labelsize=8)
        for side in ("top", "right", "bottom"):
            axis.spines[side].set_visible(False)
    figure.suptitle("Shorter is better; the scale is logarithmic", fontsize=9, color=OTHERS)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _color(name: str) -> str:
    if name.startswith(figures.US):
        return OURS
    return FLOORS if name in ("floor", "memory") else OTHERS
