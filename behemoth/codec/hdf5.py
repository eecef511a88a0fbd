"""The HDF5 side of a file: chunked, compressed arrays and the attributes that pandas reads.

Only writing lives here: HDF5 libraries never read for us. What the arrays mean, and the header
in front of them, are made elsewhere.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import blosc
import numpy as np
import numpy.typing as npt
import tables
import xxhash

from behemoth.codec.ticks import Array

CHUNK = np.dtype([("offset", "<u8"), ("size", "<u4"), ("mask", "<u4"), ("digest", "<u8")])
"""One row of the chunk table."""

RAW = 1
"""Filter mask of a chunk that is stored as it is."""

MAX_CHUNK_ROWS = 1 << 16
MAX_CHUNK_BYTES = 1 << 20
"""Arrays of at most so many bytes are one chunk; larger ones are cut into columns."""

FILTERS = tables.Filters(complevel=5, complib="blosc:lz4", shuffle=True, fletcher32=False)

_ONE_AT_A_TIME = threading.Lock()
"""PyTables is not safe with threads."""

Attribute = str | int | npt.NDArray[np.int64]
"""PyTables pickles anything else into an attribute, and nothing of ours may be a pickle."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An array to be written.

    Attributes
    ----------
    path
        Where in the HDF5 file, ``"/ticks/axis1"`` for instance.
    data
        1-D, or 2-D as (columns, rows).
    attributes
        What pandas wants to find beside it.
    """

    path: str
    data: Array
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @property
    def chunk(self) -> tuple[int, ...]:
        """The shape of one chunk."""
        if self.data.nbytes <= MAX_CHUNK_BYTES and self.data.shape[-1] <= MAX_CHUNK_ROWS:
            return self.data.shape
        return (*(1 for _ in self.data.shape[:-1]), min(self.data.shape[-1], MAX_CHUNK_ROWS))


@dataclass(frozen=True, slots=True)
class Entry:
    """An array as the header lists it."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """How many chunks lie along each axis."""
        if 0 in self.shape:
            return (0,)
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    def windows(self) -> Iterator[tuple[slice, ...]]:
        """Give the part of the array that each chunk covers, in the order of the chunks."""
        for corner in itertools.product(*(range(n) for n in self.grid)):
            yield tuple(
                slice(i * c, min((i + 1) * c, n))
                for i, c, n in zip(corner, self.chunk, self.shape, strict=False)
            )


def hdf5_image(
    arrays: Sequence[Stored],
    groups: Mapping[str, Mapping[str, Attribute]],
    plain: Sequence[Stored],
    block: int,
) -> tuple[bytes, npt.NDArray[np.void]]:
    """Write an HDF5 file in memory; its offsets count the user block, its image comes without."""
    rows: list[tuple[int, int, int, int]] = []
    with (
        _ONE_AT_A_TIME,
        tables.open_file(
            "splay.h5",
            mode="w",
            driver="H5FD_CORE",
            driver_core_backing_store=0,
            user_block_size=block,
            pytables_sys_attrs=False,  # about themselves; every reader does without
        ) as file,
    ):
        for path, attributes in groups.items():
            parent, _, name = path.rpartition("/")
            group = file.create_group(parent or "/", name, createparents=True)
            _attach(group, attributes)
        for array in (*plain, *(a for a in arrays if not a.data.size)):
            _attach(_create_plain(file, array), array.attributes)
        for array in (a for a in arrays if a.data.size):
            node, chunks = _create_chunked(file, array)
            _attach(node, array.attributes)
            rows += chunks
        file.flush()
        return file.get_file_image(), np.array(rows, dtype=CHUNK)


def _create_plain(file: Any, array: Stored) -> Any:
    """Create a contiguous array; an empty one is legal, pandas reads it by its own shape."""
    parent, _, name = array.path.rpartition("/")
    return file.create_array(parent, name, obj=array.data, createparents=True, track_times=False)


def _create_chunked(file: Any, array: Stored) -> tuple[Any, list[tuple[int, int, int, int]]]:
    parent, _, name = array.path.rpartition("/")
    node = file.create_carray(
        parent,
        name,
        atom=tables.Atom.from_dtype(array.data.dtype),
        shape=array.data.shape,
        chunkshape=array.chunk,
        filters=FILTERS,
        createparents=True,
        track_times=False,
    )
    entry = Entry(array.path, array.data.dtype.name, array.data.shape, array.chunk)
    rows = []
    for window in entry.windows():
        start = tuple(side.start for side in window)
        stored, mask = _compress(array.data[window], array.chunk)
        node.write_chunk(start, stored, filter_mask=mask)
        info = node.chunk_info(start)
        rows.append((info.offset, info.size, info.filter_mask, xxhash.xxh3_64_intdigest(stored)))
    return node, rows


def _compress(values: Array, chunk: tuple[int, ...]) -> tuple[bytes, int]:
    """Compress one chunk, padded to its full shape; give the raw bytes where that is no gain."""
    if values.shape != chunk:
        full = np.zeros(chunk, dtype=values.dtype)
        full[tuple(slice(n) for n in values.shape)] = values
        values = full
    raw = values.tobytes()
    frame: bytes = blosc.compress(
        raw, typesize=values.dtype.itemsize, clevel=5, shuffle=blosc.SHUFFLE, cname="lz4"
    )
    return (frame, 0) if len(frame) < len(raw) else (raw, RAW)


def _attach(node: Any, attributes: Mapping[str, Attribute]) -> None:
    for name, value in attributes.items():
        node._v_attrs[name] = np.array(value) if isinstance(value, int) else value
