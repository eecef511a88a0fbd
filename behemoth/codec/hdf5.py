"""The HDF5 side of a file: chunked, compressed arrays and the attributes that pandas reads.

Only writing lives here, and no HDF5 library takes part; none reads for us either. How the objects
of a file look as bytes is known in `objects`; what the arrays mean, and the header in front of
them, are made elsewhere.
"""

from __future__ import annotations

import functools
import itertools
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from behemoth.codec import objects
from behemoth.codec.compressor import blosc
from behemoth.codec.objects import Chunk, Image, put_chunk_tree
from behemoth.codec.ticks import Array

CHUNK = np.dtype([("offset", "<u8"), ("size", "<u4"), ("mask", "<u4"), ("digest", "<u8")])
"""One row of the chunk table."""

RAW = 1
"""Filter mask of a chunk that is stored as it is."""

MAX_CHUNK_ROWS = 1 << 16
MAX_CHUNK_BYTES = 1 << 20
"""Arrays of at most so many bytes are one chunk; larger ones are cut into columns."""

LEVEL = 5
LZ4HC = 2
"""Number of the codec in the filter's values."""

Attribute = str | int
"""What an attribute can be; nothing of ours is a pickle."""


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
    rows
        Whether it is as long as the frame.
    """

    path: str
    data: Array
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    rows: bool = True

    @property
    def entry(self) -> Entry:
        """How it is cut."""
        shape, dtype = self.data.shape, self.data.dtype
        return Entry(self.path, dtype.name, shape, chunk_shape(shape, dtype.itemsize))


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Give the shape of a chunk: the whole array, or of a large one rows of one column."""
    if math.prod(shape) * itemsize <= MAX_CHUNK_BYTES and shape[-1] <= MAX_CHUNK_ROWS:
        return shape
    return (*(1 for _ in shape[:-1]), min(shape[-1], MAX_CHUNK_ROWS))


@dataclass(frozen=True, slots=True)
class Entry:
    """An array as the header lists it."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    item: np.dtype[Any] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "item", np.dtype(self.dtype))

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
    image = Image()
    table: list[tuple[int, int, int, int]] = []
    nodes: dict[str, int] = {}
    for array in (*plain, *(a for a in arrays if not a.data.size)):
        nodes[array.path] = _put_contiguous(image, array)
    for array in (a for a in arrays if a.data.size):
        nodes[array.path] = _put_chunked(image, array, block, table)
    root = _put_groups(image, nodes, groups)
    return image.finish(block, root), np.array(table, dtype=CHUNK)


def _put_contiguous(image: Image, array: Stored) -> int:
    """Append an array as it is; an empty one is legal, pandas reads it by its own shape."""
    raw = array.data.tobytes()
    layout = objects.contiguous(image.put(raw), len(raw))
    return _put_dataset(image, array, objects.fill_value(chunked=False), layout)


def _put_chunked(
    image: Image, array: Stored, block: int, table: list[tuple[int, int, int, int]]
) -> int:
    """Append an array in compressed chunks, and their rows to the table."""
    entry = array.entry
    item_size = array.data.dtype.itemsize
    chunks = []
    for window in entry.windows():
        stored, mask = _compress(array.data[window], entry.chunk)
        chunk = Chunk(tuple(s.start for s in window), len(stored), mask, image.put(stored))
        chunks.append(chunk)
        digest = xxhash.xxh3_64_intdigest(stored)
        table.append((block + chunk.address, chunk.size, mask, digest))
    if len(chunks) == 1:
        layout = objects.single_chunk(entry.chunk, item_size, chunks[0])
    else:
        tree = put_chunk_tree(image, entry.chunk, item_size, chunks)
        layout = objects.chunk_tree(entry.chunk, item_size, tree)
    blosc_filter = _filter(item_size, math.prod(entry.chunk) * item_size)
    return _put_dataset(image, array, objects.fill_value(chunked=True), layout, blosc_filter)


def _put_dataset(image: Image, array: Stored, *storage: bytes) -> int:
    return image.put(
        objects.object_header(
            [
                objects.dataspace(objects.simple(array.data.shape)),
                objects.datatype(_type(array.data.dtype)),
                *storage,
                *_attributes(array.attributes),
            ]
        )
    )


def _put_groups(
    image: Image, nodes: Mapping[str, int], groups: Mapping[str, Mapping[str, Attribute]]
) -> int:
    """Append the groups that hold these nodes, the lowest first, and give the root's address."""
    members: dict[str, dict[bytes, int]] = {path: {} for path in ("", *groups)}
    for path in (*groups, *nodes):
        while path := path.rpartition("/")[0]:
            members.setdefault(path, {})

    def link(path: str, address: int) -> None:
        parent, _, name = path.rpartition("/")
        members[parent][name.encode()] = address

    def put(path: str) -> int:
        messages = objects.group(members[path]) + _attributes(groups.get(path, {}))
        return image.put(objects.object_header(messages))

    for path, address in nodes.items():
        link(path, address)
    for path in sorted(filter(None, members), key=lambda path: path.count("/"), reverse=True):
        link(path, put(path))
    return put("")


def _attributes(attributes: Mapping[str, Attribute]) -> list[bytes]:
    return [_attribute(name, value) for name, value in attributes.items()]


@functools.lru_cache(maxsize=4096)
def _attribute(name: str, value: Attribute) -> bytes:
    """Write an attribute as PyTables would: int64, or UTF-8 of fixed length, empty if it is."""
    if isinstance(value, int):
        kind = objects.fixed_point(8, signed=True)
        return objects.attribute(name.encode(), kind, objects.SCALAR, struct.pack("<q", value))
    text = value.encode()
    kind = objects.string(max(1, len(text)), utf8=True)
    return objects.attribute(name.encode(), kind, objects.SCALAR if text else objects.NULL, text)


@functools.lru_cache
def _type(dtype: np.dtype[Any]) -> bytes:
    """Describe what an array holds; booleans are bits, as in PyTables."""
    match dtype.kind:
        case "b":
            return objects.bit_field(dtype.itemsize)
        case "i" | "u":
            return objects.fixed_point(dtype.itemsize, signed=dtype.kind == "i")
        case "f":
            parts = np.finfo(dtype)
            return objects.floating_point(dtype.itemsize, parts.nexp, parts.nmant)
        case "S":
            return objects.string(dtype.itemsize, utf8=False)
    raise TypeError(f"no dataset of ours is of {dtype}")


def _filter(item_size: int, chunk_size: int) -> bytes:
    """Say that chunks are blosc frames, as the plugins of PyTables and h5py say it.

    The values: version of the filter, version of the frame, size of an item and of a chunk, level,
    shuffle, lz4hc. Writers need them; a reader believes each frame, which says how it was shuffled.
    """
    values = (2, 2, item_size, chunk_size, LEVEL, blosc().SHUFFLE, LZ4HC)
    return objects.filter_pipeline(32001, b"blosc", values)


def _compress(values: Array, chunk: tuple[int, ...]) -> tuple[bytes, int]:
    """Compress one chunk, padded to its full shape; give the raw bytes where that is no gain.

    Bits are shuffled where lz4, which is fast, finds that better than bytes: prices gain a tenth,
    times would lose much.
    """
    if values.shape != chunk:
        full = np.zeros(chunk, dtype=values.dtype)
        full[tuple(slice(n) for n in values.shape)] = values
        values = full
    raw, size = values.tobytes(), values.dtype.itemsize
    fast = {
        shuffle: len(blosc().compress(raw, size, LEVEL, shuffle, "lz4"))
        for shuffle in (blosc().SHUFFLE, blosc().BITSHUFFLE)
    }
    frame: bytes = blosc().compress(raw, size, LEVEL, min(fast, key=fast.__getitem__), "lz4hc")
    return (frame, 0) if len(frame) < len(raw) else (raw, RAW)
