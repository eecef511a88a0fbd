"""Images: the ticks of a symbol in one of its states, decoded and mapped into memory.

An image is a cache: one file of plain values for each column, and a manifest that says which splays
they hold. That of the latest state is below ``cache/SYMBOL/``, that of a former one, which some day
has since left, below ``cache/SYMBOL@STATE/``. A splay never changes, so an image is never stale; it
is only behind, or of days that have been superseded.

- A file is appended to behind what any manifest says of it, or unlinked; never patched, never cut.
  So a frame that somebody holds neither changes nor dies.
- A manifest is replaced in one step. Whoever writes holds a lock; who does not get it goes without.
- Values are checked against their digests once in each process, segment by segment. What is
  damaged is unlinked; the splays answer.
- Maps are copy-on-write: whoever writes into a frame has pages of their own.

What does not live here: when an image is wanted (`behemoth.tickstore.mapping`).
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from behemoth import layout
from behemoth import log as ledger
from behemoth.codec import PLAIN_DTYPES, Column, Ticks
from behemoth.errors import Corrupt

DAY = np.dtype([("date", "<i4"), ("splay", "<i4"), ("rows", "<i8"), ("digest", "<u8")])
"""What an image says of a splay; the digest is the first eight bytes of the content's."""

Days = npt.NDArray[np.void]

SEGMENT_ROWS = 1 << 16
"""Values are checked in pieces of about as many rows."""

LIMIT = 4 << 30
"""Bytes that the images of a table take at most."""

SETTLED = 10**9
"""Nanoseconds after which a change of a folder has another time than one that comes now."""

FRESH = 60
"""Seconds for which an image counts as just used; only then it is said anew that it is."""

KINDS = ("plain", "datetime", "timedelta")
"""Kinds of columns whose values mean something by themselves."""

GENERATION = re.compile(r"[0-9a-f]{32}")
FILE = re.compile(r"([0-9a-f]{32})\.\d+")

TIMES = 0
"""Number of the file that holds the tick times; the columns follow."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows up to `end`, with a digest for each file."""

    end: int
    digests: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Image:
    """One image, as its manifest describes it.

    Attributes
    ----------
    folder
        Where its files are.
    generation
        What they are called.
    columns
        Without values.
    days
        Which splays it holds, by date.
    segments
        In the order of their rows.
    checked
        Numbers of segments whose digests have been compared in this process, for each file.
    """

    folder: Path
    generation: str
    time_name: str
    aware: bool
    columns: tuple[Column, ...]
    days: Days
    segments: tuple[Segment, ...]
    checked: set[tuple[int, int]] = field(default_factory=set)
    ends: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.ends = np.concatenate([[0], np.cumsum(self.days["rows"])]).astype(np.int64)

    def ticks(self, first: int, last: int, names: Sequence[str] | None = None) -> Ticks:
        """Map the ticks of the days from one place to another.

        Raises
        ------
        Corrupt
            When the values are not those that were written.
        OSError
            When the files are gone.
        """
        start, end = int(self.ends[first]), int(self.ends[last + 1])
        numbers: Sequence[int] = range(len(self.columns))
        if names is not None:
            place = {column.name: number for number, column in enumerate(self.columns)}
            numbers = [place[name] for name in names]
        return Ticks(
            times=self._mapped(TIMES, "int64", start, end),
            columns=tuple(
                replace(column, values=self._mapped(number + 1, column.values.dtype, start, end))
                for number, column in ((n, self.columns[n]) for n in numbers)
            ),
            time_name=self.time_name,
            aware=self.aware,
        )

    def is_whole(self) -> bool:
        """Say whether its files are there, and as long as they must be to be appended to."""
        items = [8, *(column.values.dtype.itemsize for column in self.columns)]
        try:
            return all(
                self.path(number).lstat().st_size >= int(self.ends[-1]) * item
                for number, item in enumerate(items)
            )
        except OSError:
            return False

    def path(self, number: int) -> Path:
        """Name a file."""
        return self.folder / f"{self.generation}.{number}"

    def _mapped(self, number: int, dtype: npt.DTypeLike, start: int, end: int) -> Any:
        item = np.dtype(dtype).itemsize
        low, high = self._segments_of(start, end)
        begin = self.segments[low - 1].end if low else 0
        until = self.segments[high - 1].end
        with _opened(self.path(number), os.O_RDONLY) as file:
            if os.fstat(file).st_size < until * item:
                raise Corrupt(f"{self.path(number)} is shorter than its manifest says")
            shift = begin * item % mmap.ALLOCATIONGRANULARITY
            origin = begin * item - shift
            length = until * item - origin
            mapped = mmap.mmap(file, length, access=mmap.ACCESS_COPY, offset=origin)
        values = np.frombuffer(mapped, dtype=dtype, count=until - begin, offset=shift)
        for place in range(low, high):
            if (number, place) not in self.checked:
                first = self.segments[place - 1].end if place else 0
                part = values[first - begin : self.segments[place].end - begin]
                if _digest(part) != self.segments[place].digests[number]:
                    raise Corrupt(f"{self.path(number)} does not match its digest")
                self.checked.add((number, place))
        return values[start - begin : end - begin]

    def _segments_of(self, start: int, end: int) -> tuple[int, int]:
        ends = [segment.end for segment in self.segments]
        low = int(np.searchsorted(ends, start, side="right"))
        return low, int(np.searchsorted(ends, end, side="left")) + 1


def places(held: Days, wanted: Days) -> npt.NDArray[np.intp]:
    """Find splays among those that are held; -1 for those that are not."""
    found = np.searchsorted(held["date"], wanted["date"])
    found[found == len(held)] = 0
    return np.where(held[found] == wanted, found, -1) if len(held) else found - 1


def name_of(days: Days) -> str:
    """Name the state in which these splays are what is known."""
    return xxhash.xxh3_64_hexdigest(days.tobytes())


def width(columns: Sequence[Column]) -> int:
    """Say how many bytes a tick with these columns takes in an image."""
    return 8 + sum(column.values.dtype.itemsize for column in columns)


class Images:
    """The images of one table.

    Parameters
    ----------
    folder
        The table's ``cache/``; made when the first image is written.
    writable
        Whether images are written, or only read.

    Attributes
    ----------
    asked : dict
        How much was asked for of a symbol and a state since an image was written; all views of a
        table share it.
    """

    def __init__(self, folder: Path, writable: bool = True) -> None:
        self._folder = folder
        self.writable = writable
        self.asked: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._known: dict[Path, tuple[tuple[int, int], Image]] = {}
        self._former: tuple[int, frozenset[str]] = 0, frozenset()

    def find(self, symbol: str, state: str = "") -> Image | None:
        """Find a symbol's image as it is now: of the latest state, or of the one of this name."""
        folder = self._of(symbol, state)
        manifest = folder / "manifest.json"
        try:
            status = manifest.stat()
            stamp = status.st_ino, status.st_mtime_ns
            known = self._known.get(folder)
            current = known is not None and known[0] == stamp
            image = known[1] if known is not None and current else _read(manifest)
            if self.writable and abs(time.time() - status.st_mtime) > FRESH:
                with suppress(OSError):  # says that it is in use; not everybody may
                    os.utime(manifest)
                    stamp = status.st_ino, manifest.stat().st_mtime_ns
        except FileNotFoundError:
            self._known.pop(folder, None)
            return None
        except (OSError, Corrupt, ValueError, KeyError, TypeError, OverflowError):
            self.drop(symbol, state)
            return None
        if known is not None and known[1].generation == image.generation:
            image.checked = known[1].checked
        self._known[folder] = stamp, image
        return image

    def has_former(self, symbol: str) -> bool:
        """Say whether there may be an image of a former state of a symbol."""
        try:
            changed = self._folder.stat().st_mtime_ns
            known, names = self._former
            if changed != known:
                found = (path.name.partition("@") for path in self._folder.iterdir())
                names = frozenset(name for name, at, _ in found if at)
                # The clock of a file system is coarse: another may come within the same instant.
                settled = abs(time.time_ns() - changed) > SETTLED
                self._former = changed if settled else 0, names
        except OSError:
            return False
        return layout.encode_name(symbol) in names

    def fits(self, size: int) -> bool:
        """Say whether an image of so many bytes may be written at all."""
        return size <= LIMIT

    def drop(self, symbol: str, state: str = "") -> None:
        """Unlink an image that is damaged; whoever has it mapped keeps it."""
        folder = self._of(symbol, state)
        self._known.pop(folder, None)
        if self.writable:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, symbol: str, state: str, days: Days, ticks: Ticks) -> bool:
        """Write an image, or append to the one that is there; give up where that is not possible.

        Parameters
        ----------
        symbol
            Whose.
        state
            The name of a former state; empty for the latest.
        days
            The splays, by date.
        ticks
            All their ticks; columns of plain values.

        Returns
        -------
        bool
            Whether it is worth while to try again; nothing is left of what could not be written.
        """
        size = len(ticks) * width(ticks.columns)
        if not self.writable or not self.fits(size):
            return False
        folder = self._of(symbol, state)
        with suppress(OSError):  # a full disk, or one that may not be written: go without
            if self._folder.is_symlink() or folder.is_symlink():
                return False
            self._make_room(size, folder)
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder / "lock") as locked:
                if locked:
                    try:
                        self._keep(folder, self.find(symbol, state), days, ticks)
                    except OSError:
                        self.drop(symbol, state)
                        raise
            return True
        return False

    def _keep(self, folder: Path, image: Image | None, days: Days, ticks: Ticks) -> None:
        described = [column.schema for column in ticks.columns]
        if (
            image is None
            or [column.schema for column in image.columns] != described
            or len(image.days) > len(days)
            or not np.array_equal(image.days, days[: len(image.days)])
            or not image.is_whole()
        ):
            folder.mkdir(parents=True, exist_ok=True)
            image = Image(
                folder=folder,
                generation=uuid.uuid4().hex,
                time_name=ticks.time_name,
                aware=ticks.aware,
                columns=tuple(column.take(slice(0, 0)) for column in ticks.columns),
                days=days[:0],
                segments=(),
            )
        if len(image.days) == len(days):
            return
        files = [ticks.times, *(column.values for column in ticks.columns)]
        start = int(image.ends[-1])
        segments = list(image.segments)
        for number, values in enumerate(files):
            _append(image.path(number), values, start)
        for end in _segment_ends(days["rows"], start):
            segments.append(Segment(end, tuple(_digest(values[start:end]) for values in files)))
            start = end
        image = replace(image, days=days, segments=tuple(segments), checked=image.checked)
        _write(folder / "manifest.json", image)
        for path in folder.iterdir():  # files of former generations
            name = FILE.fullmatch(path.name)
            if name and name[1] != image.generation:
                path.unlink(missing_ok=True)

    def _make_room(self, size: int, own: Path) -> None:
        """Remove images until there is room: of former states first, then the longest unused."""
        if not self._folder.is_dir():
            return
        sizes = {
            folder: sum(path.stat().st_size for path in folder.iterdir())
            for folder in self._folder.iterdir()
            if folder.is_dir() and folder != own
        }
        total = size + sum(sizes.values())
        for folder in sorted(sizes, key=lambda each: ("@" not in each.name, _last_used(each))):
            if total <= LIMIT:
                return
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]

    def _of(self, symbol: str, state: str) -> Path:
        return self._folder / "@".join(filter(None, (layout.encode_name(symbol), state)))


def _last_used(folder: Path) -> float:
    try:
        return (folder / "manifest.json").stat().st_mtime
    except OSError:
        return 0.0


def _segment_ends(rows: npt.NDArray[np.int64], start: int) -> Iterator[int]:
    """Cut the rows behind `start` into segments that end with a day."""
    before = start
    ends = np.cumsum(rows).tolist()
    for end in ends:
        if end - before >= SEGMENT_ROWS or (end == ends[-1] and end > before):
            yield end
            before = end


def _digest(values: Any) -> str:
    return xxhash.xxh3_128_hexdigest(values.data)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file of ours; never what a link leads to, in a table that somebody else has made."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _append(path: Path, values: Any, start: int) -> None:
    """Write the values behind `start` to their place in the file."""
    # A file that has gone meanwhile is not made anew: it would begin with zeros.
    with _opened(path, os.O_WRONLY | (0 if start else os.O_CREAT)) as file:
        data = np.ascontiguousarray(values[start:]).data.cast("B")
        place = start * values.dtype.itemsize
        while data:
            written = os.pwrite(file, data, place)
            data, place = data[written:], place + written


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a lock, or say that somebody else does."""
    with _opened(path, os.O_RDWR | os.O_CREAT) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _write(manifest: Path, image: Image) -> None:
    text = {
        "format": 1,
        "generation": image.generation,
        "time": {"name": image.time_name, "aware": image.aware},
        "columns": [column.schema for column in image.columns],
        "days": {name: image.days[name].tolist() for name in DAY.names or ()},
        "segments": [[segment.end, *segment.digests] for segment in image.segments],
    }
    new = manifest.with_suffix(f".{uuid.uuid4().hex}")
    new.write_bytes(ledger.seal(text))
    new.replace(manifest)


def _read(manifest: Path) -> Image:
    """Read a manifest; raise for one that no writer of ours has made."""
    text, _ = ledger.unseal(manifest.read_bytes(), str(manifest))
    if not GENERATION.fullmatch(text["generation"]):
        raise ValueError("a generation that names no other file")
    days = np.empty(len(text["days"]["date"]), dtype=DAY)
    for name in DAY.names or ():
        days[name] = text["days"][name]
    columns = tuple(
        Column(
            name=fact["name"],
            kind=fact["kind"],
            values=np.empty(0, dtype=fact["dtype"]),
            unit=fact.get("unit"),
            tz=fact.get("tz"),
        )
        for fact in text["columns"]
        if fact["dtype"] in PLAIN_DTYPES and fact["kind"] in KINDS
    )
    segments = tuple(Segment(int(end), tuple(digests)) for end, *digests in text["segments"])
    ends = [0, *(segment.end for segment in segments)]
    if (
        len(columns) != len(text["columns"])
        or any(len(segment.digests) != len(columns) + 1 for segment in segments)
        or any(before >= after for before, after in pairwise(ends))
        or np.any(days["rows"] <= 0)
        or int(days["rows"].sum()) != ends[-1]
    ):
        raise ValueError("columns, days and segments that fit each other")
    return Image(
        folder=manifest.parent,
        generation=text["generation"],
        time_name=text["time"]["name"],
        aware=text["time"]["aware"],
        columns=columns,
        days=days,
        segments=segments,
    )
