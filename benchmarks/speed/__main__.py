"""The command line: measure, and write the figures as a page, a picture and JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.speed import further, plot, report
from benchmarks.speed.figures import Figures
from benchmarks.speed.measuring import SIZES, Bench
from benchmarks.speed.peers import WAYS


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", choices=WAYS, action="append", help="may be repeated")
    parser.add_argument("--output", type=Path, help="write everything as JSON to this file")
    parser.add_argument(
        "--into", type=Path, help="a page with the two markers; the picture goes beside it"
    )
    parser.add_argument("--folder", type=Path, help="where to work, an own folder in it")
    given = parser.parse_args(arguments)
    if given.into:
        report.into(given.into.read_text(encoding="utf-8"), "")  # before it takes minutes
    names = [name for name in given.only or WAYS if _there(name)]
    with tempfile.TemporaryDirectory(prefix="behemoth-bench-", dir=given.folder) as folder:
        bench = Bench(Path(folder), names, SIZES[given.size])
        bench.figures.setting = setting(given.size, names, Path(folder))
        run(bench)
    write(bench.figures, given.output, given.into)
    return 0


def run(bench: Bench) -> None:
    """Measure everything, and tell how it goes."""
    for work in (bench.prepare, bench.ingest, bench.select, bench.fresh, bench.trades):
        tell(work.__doc__)
        work()
    for more in further.WORKS:
        tell(more.__doc__)
        more(bench)


def setting(size: str, names: Sequence[str], folder: Path) -> dict[str, object]:
    """Say when, where and on which packages."""
    used = [package for name in names for package in WAYS[name].packages]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "size": size,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count() or 1,
        "file_system": machine.file_system(folder),
        "fsync": machine.fsync_seconds(folder),
        "packages": machine.versions(["behemoth", *used]),
        "trades": SIZES[size].trades[:2],
    }


def write(figures: Figures, output: Path | None, page: Path | None) -> None:
    """Write the figures where they are wanted; on the terminal if nowhere else."""
    shown = report.page(figures)
    if output:
        output.write_text(json.dumps(asdict(figures), indent=1) + "\n", encoding="utf-8")
    if page:
        text = page.read_text(encoding="utf-8")
        page.write_text(report.into(text, shown), encoding="utf-8")
        if machine.installed(["matplotlib"]):
            plot.draw(figures, page.parent / "images" / "performance.png")
    if not (output or page):
        print(shown)


def tell(text: str | None) -> None:
    """Say what is measured now."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def _there(name: str) -> bool:
    there = machine.installed(WAYS[name].packages)
    if not there:
        print(f"{name}: not installed, left out; scripts/bench installs it", file=sys.stderr)
    return there


if __name__ == "__main__":
    sys.exit(main())
