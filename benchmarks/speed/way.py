"""What a contender is: a store used in one way, and how every value of a result is touched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date as Date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from benchmarks.speed import samples
from benchmarks.speed.samples import Days

SYMBOL = "BTC-USD"


class Way(ABC):
    """A store in a folder, used in one way.

    Parameters
    ----------
    folder
        Where the stores of all contenders lie.
    sample
        The file of the data.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    modules: ClassVar[tuple[str, ...]] = ()  # to import before anything is measured
    home: ClassVar[str]  # whose files it reads: the name of the way that writes them
    syncs: ClassVar[str] = ""  # what writing a day asks of the disk
    writes: ClassVar[bool] = False
    reads: ClassVar[bool] = True
    projects: ClassVar[bool] = True  # has a result with columns to choose from
    at_once: ClassVar[bool] = False  # writes everything in one go
    result: ClassVar[str] = "a pandas frame"

    def __init__(self, folder: Path, sample: Path) -> None:
        self.folder = folder / self.home
        self.sample = sample

    def begin(self) -> None:
        """Open the store for writing; it may have to be made."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def append(self, days: Days) -> None:
        """Write these days, one after the other, or in one go."""
        raise NotImplementedError

    @abstractmethod
    def open(self) -> None:
        """Open the store for reading."""

    @abstractmethod
    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,
    ) -> Any:
        """Read the ticks of these days, the last included; all without bounds."""

    def touch(self, found: Any) -> float:
        """Sum every value, the times included; give the sum of the last column."""
        return touch(found)

    def rows(self, found: Any) -> int:
        """Count the ticks of a result."""
        return len(found)


class Files(Way):
    """A file a day, named by it."""

    suffix: ClassVar[str]
    paths: list[Path]

    def open(self) -> None:
        self.paths = sorted(self.folder.glob(f"*{self.suffix}"))

    def between(self, first: Date | None, last: Date | None) -> list[Path]:
        """Give the files of these days."""
        low, high = (first or Date.min).isoformat(), (last or Date.max).isoformat()
        return [path for path in self.paths if low <= path.stem <= high]

    def path(self, day: Date) -> Path:
        """Name the file of a day."""
        return self.folder / f"{day.isoformat()}{self.suffix}"


class Memory(Way):
    """A plain sum over a frame that is in memory: the floor of every warm read."""

    name = home = "memory"
    title = "a frame in memory, its sum alone"
    packages = ("pandas",)

    def open(self) -> None:
        self.frame = samples.load(self.sample)

    def select(
        self,
        first: Date | None = None,
        last: Date | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        frame = self.frame
        if first or last:
            frame = frame.loc[str(first) if first else None : str(last) if last else None]
        return frame if columns is None else frame[list(columns)]


def touch(frame: pd.DataFrame) -> float:
    """Sum every value of a frame, column by column without a copy."""
    total = float(frame.index.to_numpy().view(np.int64).sum())
    for number in range(frame.shape[1]):
        total = float(frame.iloc[:, number].to_numpy().sum())
    return total
