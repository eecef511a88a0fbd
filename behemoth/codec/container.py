"""One file: named, chunked, compressed arrays in HDF5, and our header in its user block.

The HDF5 part is for everybody else (pandas, h5py, HDFView). We ourselves read through the header
only: it lists every array and, chunk by chunk, where the bytes lie and what their digest is.

The user block, little-endian, padded with zeros to a power of two of at least 512 bytes::

    offset  size  what
    0       8     magic ``BEHEMOTH``
    8       4     format version
    12      4     S, length of the schema
    16      4     C, number of chunks
    20      4     F, length of the facts
    24      16    xxh3-128 of the header: bytes 0 to 23, and from 40 to the end of the chunk table
    40      32    digest of the content
    72      8     number of rows
    80      16    xxh3-128 of all that follows the user block, for `verify`
    96      S     schema, JSON: ``arrays`` (path, dtype, shape; null is the number of rows), and
                  what the writer says of them; the same in every file of the same columns
    96+S    F     facts, JSON: what this file is
    96+S+F  24*C  chunk table: offset u64, stored size u32, filter mask u32, xxh3-64 u64

Chunks stand in the order of the arrays and, within one, in row-major order. A chunk is a blosc
frame, or the raw bytes where the filter mask is 1 because compressing would not have made it
smaller. A chunk at the edge of its array decodes to the full chunk; the rest is padding. Its shape
follows from the array's (`chunk_shape`). No chunk decodes to more than 1 MiB.

Formats 1 and 2 had one JSON text of ``facts`` and ``arrays`` at offset 40, then the chunk table.

What does not live here: what the arrays mean.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from ctypes import addressof, c_char
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import xxhash

from behemoth.codec.compressor import blosc
from behemoth.codec.hdf5 import (
    MAX_CHUNK_BYTES,
    RAW,
    Attribute,
    Entry,
    Stored,
    chunk_shape,
    hdf5_image,
)
from behemoth.codec.ticks import PLAIN_DTYPES, Array
from behemoth.errors import Corrupt
from behemoth.version import FORMAT

MAGIC = b"BEHEMOTH"
PREFIX = struct.Struct("<8sIIII")
DIGEST_SIZE = 16
START = PREFIX.size + DIGEST_SIZE
CONTENT = struct.Struct("<32sQ16s")
ROW = struct.Struct("<QIIQ")
BLOSC_HEADER = struct.Struct("<BBBBIII")


@dataclass(frozen=True, slots=True)
class Listed:
    """An array as the schema lists it; a length of ``None`` is the number of rows."""

    path: str
    dtype: str
    shape: tuple[int | None, ...]
    chunk: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """What is the same in every file of the same columns.

    Attributes
    ----------
    arrays
        In the order of their chunks.
    more
        What the writer says of them.
    """

    arrays: tuple[Listed, ...]
    more: Mapping[str, Any]


def pack(
    schema: Mapping[str, Any],
    facts: Mapping[str, Any],
    rows: int,
    digest: str,
    arrays: Sequence[Stored],
    groups: Mapping[str, Mapping[str, Attribute]],
    plain: Sequence[Stored] = (),
) -> bytes:
    """Make the bytes of a file.

    Parameters
    ----------
    schema
        What the header says of the columns beside the arrays; JSON-ready.
    facts
        What it says of this file; JSON-ready, in the order that is wanted.
    rows
        The length of the arrays that are as long as the frame.
    digest
        Of the content, 64 hex digits.
    arrays
        What we read back ourselves; chunked, compressed, listed in the header.
    groups
        Attributes of HDF5 groups.
    plain
        Small arrays that only other readers need: uncompressed and not listed.
    """
    count = sum(math.prod(stored.entry.grid) for stored in arrays)
    listed = [_listed(stored, rows) for stored in arrays]
    texts = _json({"arrays": listed, **schema}), _json(facts)
    block = _block_size(START + CONTENT.size + sum(map(len, texts)) + count * ROW.size)

    image, chunks = hdf5_image(arrays, groups, plain, block)
    prefix = PREFIX.pack(MAGIC, FORMAT, len(texts[0]), len(chunks), len(texts[1]))
    content = CONTENT.pack(bytes.fromhex(digest), rows, xxhash.xxh3_128_digest(image))
    rest = content + b"".join(texts) + chunks.tobytes()
    header = prefix + xxhash.xxh3_128_digest(prefix + rest) + rest
    return header.ljust(block, b"\0") + image


def _block_size(used: int) -> int:
    """Give the size of a user block: HDF5 wants a power of two of at least 512."""
    return max(512, 1 << (used - 1).bit_length())


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def _listed(stored: Stored, rows: int) -> dict[str, Any]:
    shape: list[int | None] = list(stored.data.shape)
    if stored.rows:
        if shape[-1] != rows:
            raise ValueError(f"{stored.path} has {shape[-1]} rows, not {rows}")
        shape[-1] = None
    return {"path": stored.path, "dtype": stored.data.dtype.name, "shape": shape}


def corrupt(name: str, what: str) -> Corrupt:
    """Make the error that names a file and says what is wrong with it."""
    return Corrupt(f"{name} is not what it promises: {what}")


@lru_cache(maxsize=256)
def _schema(text: bytes, version: int) -> Schema:
    """Read a schema; raise what a malformed one makes Python raise."""
    value = json.loads(text)
    found = []
    for fact in value.pop("arrays"):
        shape, chunk = tuple(fact["shape"]), None
        if version < 3:
            chunk = tuple(fact["chunk"])
        found.append(Listed(fact["path"], fact["dtype"], shape, chunk))
    for listed in found:
        numbers = (*listed.shape, *(listed.chunk or ()))
        if (
            not isinstance(listed.path, str)
            or listed.dtype not in tuple(PLAIN_DTYPES)
            or not 1 <= len(listed.shape) <= 2
            or not all(n is None or (type(n) is int and n >= 0) for n in numbers)
        ):
            raise ValueError(f"{listed.path!r} is described in a way that cannot be")
    return Schema(tuple(found), value)


@lru_cache(maxsize=8192)
def _layout(text: bytes, version: int, rows: int) -> Layout:
    """Say where the chunks of each array stand in the chunk table."""
    places, first = {}, 0
    for listed in _schema(text, version).arrays:
        shape = tuple(rows if n is None else n for n in listed.shape)
        chunk = listed.chunk or chunk_shape(shape, np.dtype(listed.dtype).itemsize)
        entry = Entry(listed.path, listed.dtype, shape, chunk)
        if (
            len(chunk) != len(shape)
            or (0 not in shape and not all(map(_fits, chunk, shape)))
            or math.prod(chunk) * np.dtype(entry.dtype).itemsize > MAX_CHUNK_BYTES
        ):
            raise ValueError(f"{listed.path!r} is cut in a way that cannot be")
        places[listed.path] = entry, first
        first += math.prod(entry.grid)
    return _schema(text, version), places, first


Layout = tuple[Schema, Mapping[str, tuple[Entry, int]], int]
"""The schema, each array with its first chunk by path, and the number of all chunks."""


class Sliced(Protocol):
    """The bytes of a file, fetched when they are asked for."""

    def __len__(self) -> int:
        """Give the number of bytes."""

    def __getitem__(self, part: slice) -> memoryview:
        """Give a part of the bytes; shorter where they end."""


class Container:
    """A file that is being read: its facts, and its arrays on demand.

    Parameters
    ----------
    data
        All bytes of the file, or something that gives a slice of them when it is asked.
    name
        What messages call it.

    Attributes
    ----------
    schema
        What is the same in every file of the same columns; the very same object.
    rows
        The number of rows, where the header says one.
    content
        The digest of the content, 32 bytes.

    Raises
    ------
    Corrupt
        When the header is not whole, or an array not what the header promises.
    """

    __slots__ = (
        *("_chunks", "_data", "_end", "_facts", "_image", "_name", "_places"),
        *("content", "rows", "schema"),
    )

    def __init__(self, data: bytes | Sliced, name: str) -> None:
        self._name = name
        prefix = bytes(data[:START])
        if len(prefix) < START:
            raise self.corrupt("it is shorter than a header")
        magic, version, length, count, more = PREFIX.unpack_from(prefix)
        if magic != MAGIC:
            raise self.corrupt("it does not begin with a Behemoth header")
        if version > FORMAT:
            raise self.corrupt(
                f"it has format {version} and this version of behemoth reads up to {FORMAT}; "
                "upgrade behemoth"
            )
        facts = CONTENT.size + length if version > 2 else length
        table = facts + more
        size = table + count * ROW.size
        rest = bytes(data[START : START + size])
        if len(rest) < size:
            raise self.corrupt("its header is cut off")
        if xxhash.xxh3_128_digest(prefix[: PREFIX.size] + rest) != prefix[PREFIX.size :]:
            raise self.corrupt("its header does not match its digest")
        if version > 2:
            self.content, self.rows, self._image = CONTENT.unpack_from(rest)
            text = rest[CONTENT.size : facts]
            self._facts = rest[facts:table]
        else:
            self.content, self.rows, self._image = b"", -1, b""
            self._facts = text = rest[:length]
        try:
            self.schema, self._places, chunks = _layout(text, version, self.rows)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self.corrupt(f"its header is not readable: {error}") from error
        if chunks != count:
            raise self.corrupt("its header lists another number of chunks than its arrays have")
        self._chunks = rest[table:]
        self._end = START + size
        self._data = memoryview(data) if isinstance(data, (bytes, bytearray)) else data

    def check_rest(self) -> None:
        """Check the bytes that only other readers need, and the padding in front of them.

        Raises
        ------
        Corrupt
            When one differs. Formats 1 and 2 did not keep their digest.
        """
        if not self._image:
            return
        block = _block_size(self._end)
        if any(self._data[self._end : block]):
            raise self.corrupt("its header is not padded with zeros")
        if xxhash.xxh3_128_digest(self._data[block : len(self._data)]) != self._image:
            raise self.corrupt("the HDF5 part does not match its digest")

    def corrupt(self, what: str) -> Corrupt:
        """Make the error that names this file."""
        return corrupt(self._name, what)

    @property
    def facts(self) -> dict[str, Any]:
        """What the file says it is."""
        try:
            value = json.loads(self._facts)
            return dict(value["facts"] if self.rows < 0 else value)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self.corrupt("its facts are not readable") from error

    def says(self, beginning: bytes) -> bool:
        """Whether the text of its facts begins so; far cheaper than reading them."""
        return self._facts.startswith(beginning)

    def entry(self, path: str, dtype: str, shape: tuple[int, ...]) -> tuple[Entry, int]:
        """Find an array and its first chunk, and insist on its type and shape."""
        entry, first = self._places.get(path, (None, 0))
        if entry is None or (entry.dtype, entry.shape) != (dtype, shape):
            raise self.corrupt(f"it has no {path!r} of {dtype} {shape}")
        return entry, first

    def length(self, path: str) -> int:
        """Give the length of a 1-D array."""
        entry, _ = self._places.get(path, (None, 0))
        if entry is None or len(entry.shape) != 1:
            raise self.corrupt(f"it has no {path!r}")
        return entry.shape[0]

    def read(self, path: str, dtype: str, shape: tuple[int, ...]) -> Array:
        """Decode one array."""
        result = np.empty(shape, dtype=dtype)
        self.read_into(path, result)
        return result

    def read_into(self, path: str, result: Array, rows: Sequence[int] | None = None) -> None:
        """Decode one array, checking every chunk before it is decompressed.

        Parameters
        ----------
        path
            Which array.
        result
            Where it goes; of its type and shape, each row of it contiguous.
        rows
            Of a 2-D array only these rows, in this order; `result` is as high as they are many.
        """
        entry, first = self._places.get(path, (None, 0))
        if (
            entry is None
            or entry.item != result.dtype
            or entry.shape[-1] != result.shape[-1]
            or (entry.shape != result.shape if rows is None else entry.shape[0] <= max(rows))
        ):
            raise self.corrupt(f"it has no {path!r} of {result.dtype} {result.shape}")
        if 0 in entry.shape:
            return
        if entry.chunk == entry.shape:
            if rows is None and result.flags.c_contiguous:
                self._decode(first, result)
            else:
                scratch = np.empty(entry.chunk, dtype=entry.dtype)
                self._decode(first, scratch)
                result[...] = scratch if rows is None else scratch[list(rows)]
            return
        if len(entry.shape) == 1:
            self._read_row(entry, first, result)
            return
        each = entry.grid[1]
        for place, row in enumerate(range(entry.shape[0]) if rows is None else rows):
            self._read_row(entry, first + row * each, result[place])

    def _read_row(self, entry: Entry, first: int, result: Array) -> None:
        """Decode a row of chunks, each 1-D or one row high."""
        step = entry.chunk[-1]
        for number, start in enumerate(range(0, len(result), step), start=first):
            part = result[start : start + step]
            if len(part) == step:
                self._decode(number, part)
            else:
                scratch = np.empty(step, dtype=entry.dtype)
                self._decode(number, scratch)
                part[:] = scratch[: len(part)]

    def _decode(self, number: int, target: Array) -> None:
        """Decode a chunk into a contiguous array; blosc writes past its end unless checked."""
        offset, size, mask, digest = ROW.unpack_from(self._chunks, number * ROW.size)
        stored = self._data[offset : offset + size]
        if len(stored) != size or xxhash.xxh3_64_intdigest(stored) != digest:
            raise self.corrupt(f"the {size} bytes at offset {offset} do not match their digest")
        if mask == RAW:
            if size != target.nbytes:
                raise self.corrupt(f"the raw chunk at offset {offset} has another size")
            target.view(np.uint8).reshape(-1)[:] = np.frombuffer(stored, dtype=np.uint8)
            return
        if mask != 0 or size < BLOSC_HEADER.size:
            raise self.corrupt(f"the chunk at offset {offset} is no blosc frame")
        _, _, _, typesize, decoded, _, length = BLOSC_HEADER.unpack_from(stored)
        if (typesize, decoded, length) != (target.dtype.itemsize, target.nbytes, size):
            raise self.corrupt(f"the chunk at offset {offset} decodes to another size")
        try:
            # Without the check of its arguments, which costs as much as the call.
            blosc().blosc_extension.decompress_ptr(stored, addressof(_start_of(target)))
        except blosc().blosc_extension.error as error:
            raise self.corrupt(f"the chunk at offset {offset} does not decode") from error


_start_of: Callable[[Any], c_char] = c_char.from_buffer
"""The first byte of a writable array; far cheaper than its ``ctypes`` attribute."""


def _fits(chunk: int, shape: int) -> bool:
    return 1 <= chunk <= shape
