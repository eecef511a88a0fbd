"""What the machine says: packages, file system, bytes on disk, memory, the cost of an fsync."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from behemoth import __version__

BLOCK = 512  # what st_blocks counts, whatever the file system's own block is
PAGE = b"\1" * 4096


def installed(packages: Iterable[str]) -> bool:
    """Tell whether these packages are there."""
    try:
        versions(packages)
    except PackageNotFoundError:
        return False
    return True


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Give the version of each package, in their order, each once."""
    return {
        package: __version__ if package == "behemoth" else version(package) for package in packages
    }


def file_system(folder: Path) -> str:
    """Name the kind of file system that a folder lies on, where the system tells."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "unknown"
    rows = [row.split() for row in mounts.read_text(encoding="utf-8").splitlines()]
    over = [row for row in rows if folder.resolve().is_relative_to(row[1])]
    return max(over, key=lambda row: len(row[1]))[2]


def on_disk(folder: Path) -> tuple[int, int]:
    """Count the bytes below a folder: allocated, and apparent; folders themselves included."""
    found = [folder.lstat(), *(path.lstat() for path in folder.rglob("*"))]
    inodes = {(status.st_dev, status.st_ino): status for status in found}.values()
    return (
        sum(status.st_blocks * BLOCK for status in inodes),
        sum(status.st_size for status in inodes),
    )


def fsync_seconds(folder: Path, times: int = 40) -> float:
    """Measure one fsync of a new file of a page; the median."""
    seconds = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for number in range(times):
            with (Path(place) / str(number)).open("wb", buffering=0) as file:
                file.write(PAGE)
                begun = time.perf_counter()
                os.fsync(file.fileno())
                seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def bytes_read() -> int:
    """Count the bytes that this process has read so far; 0 where the system does not tell."""
    return _proc("io", "rchar:")


def memory() -> tuple[int, int]:
    """Give the resident bytes of this process: now, and at most so far; 0 for what is unknown."""
    now, most = (_proc("status", name) * 1024 for name in ("VmRSS:", "VmHWM:"))
    if not most:
        unit = 1 if sys.platform == "darwin" else 1024
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return now, most


def _proc(file: str, name: str) -> int:
    path = Path("/proc/self") / file
    if not path.exists():
        return 0
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0
