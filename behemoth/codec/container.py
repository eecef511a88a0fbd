"""One file: named, chunked, compressed arrays in HDF5, and our header in its user block.

The HDF5 part is for everybody else (pandas, h5py, HDFView). We ourselves read through the header
only: it lists every array and, chunk by chunk, where the bytes lie and what their digest is.

The user block, little-endian, padded with zeros to a power of two of at least 512 bytes::

    offset  size  what
    0       8     magic ``BEHEMOTH``
    8       4     format version
    12      4     J, length of the JSON text
    16      4     C, number of chunks
    20      4     zero
    24      16    xxh3-128 of the header: bytes 0 to 23, the JSON and the chunk table
    40      J     JSON, UTF-8: ``facts`` of the writer, and ``arrays`` (path, dtype, shape, chunk)
    40+J    24*C  chunk table: offset u64, stored size u32, filter mask u32, xxh3-64 u64

Chunks stand in the order of the arrays and, within one, in row-major order. A chunk is a blosc
frame, or the raw bytes where the filter mask is 1 because compressing would not have made it
smaller. A chunk at the edge of its array decodes to the full chunk; the rest is padding.
No chunk decodes to more than 1 MiB.

What does not live here: what the arrays mean.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import blosc
import numpy as np
import numpy.typing as npt
import xxhash

from behemoth.codec.hdf5 import (
    CHUNK,
    MAX_CHUNK_BYTES,
    RAW,
    Attribute,
    Entry,
    Stored,
    hdf5_image,
)
from behemoth.codec.ticks import PLAIN_DTYPES, Array
from behemoth.errors import Corrupt
from behemoth.version import FORMAT

Chunks = npt.NDArray[np.void]
"""The chunk table; its fields are those of `CHUNK`."""

MAGIC = b"BEHEMOTH"
PREFIX = struct.Struct("<8sIIII")
DIGEST_SIZE = 16
BLOSC_HEADER = struct.Struct("<BBBBIII")
blosc.set_nthreads(1)  # chunks are small: threads belong one level up, around whole files


def pack(
    facts: Mapping[str, Any],
    arrays: Sequence[Stored],
    groups: Mapping[str, Mapping[str, Attribute]],
    plain: Sequence[Stored] = (),
) -> bytes:
    """Make the bytes of a file.

    Parameters
    ----------
    facts
        What the header says beside the arrays; JSON-ready.
    arrays
        What we read back ourselves; chunked, compressed, listed in the header.
    groups
        Attributes of HDF5 groups.
    plain
        Small arrays that only other readers need: uncompressed and not listed.
    """
    entries = [
        Entry(a.path, a.data.dtype.name, a.data.shape, a.chunk if a.data.size else a.data.shape)
        for a in arrays
    ]
    count = sum(math.prod(entry.grid) for entry in entries)
    text = json.dumps(
        {"facts": facts, "arrays": [_listed(entry) for entry in entries]},
        separators=(",", ":"),
        ensure_ascii=True,
    ).encode()
    used = PREFIX.size + DIGEST_SIZE + len(text) + count * CHUNK.itemsize
    block = max(512, 1 << (used - 1).bit_length())

    image, chunks = hdf5_image(arrays, groups, plain, block)
    prefix = PREFIX.pack(MAGIC, FORMAT, len(text), len(chunks), 0)
    digest = xxhash.xxh3_128_digest(prefix + text + chunks.tobytes())
    header = prefix + digest + text + chunks.tobytes()
    return header.ljust(block, b"\0") + image


def _listed(entry: Entry) -> dict[str, Any]:
    return {
        "path": entry.path,
        "dtype": entry.dtype,
        "shape": list(entry.shape),
        "chunk": list(entry.chunk),
    }


def corrupt(name: str, what: str) -> Corrupt:
    """Make the error that names a file and says what is wrong with it."""
    return Corrupt(f"{name} is not what it promises: {what}")


class Container:
    """A file that is being read: its facts, and its arrays on demand.

    Parameters
    ----------
    data
        All bytes of the file.
    name
        What messages call it.

    Raises
    ------
    Corrupt
        When the header is not whole, or an array not what the header promises.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data = memoryview(data)
        self._name = name
        text, self._chunks = self._open_header()
        try:
            header = json.loads(bytes(text))
            self.facts: dict[str, Any] = dict(header["facts"])
            self._entries = [
                Entry(e["path"], e["dtype"], tuple(e["shape"]), tuple(e["chunk"]))
                for e in header["arrays"]
            ]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self.corrupt("its header is not readable") from error
        self._first: dict[str, tuple[Entry, int]] = {}
        first = 0
        for entry in self._entries:
            self._check_entry(entry)
            self._first[entry.path] = entry, first
            first += math.prod(entry.grid)
        if first != len(self._chunks):
            raise self.corrupt("its header lists another number of chunks than its arrays have")

    def corrupt(self, what: str) -> Corrupt:
        """Make the error that names this file."""
        return corrupt(self._name, what)

    def _open_header(self) -> tuple[memoryview, Chunks]:
        start = PREFIX.size + DIGEST_SIZE
        if len(self._data) < start:
            raise self.corrupt("it is shorter than a header")
        magic, version, length, count, _ = PREFIX.unpack_from(self._data)
        if magic != MAGIC:
            raise self.corrupt("it does not begin with a Behemoth header")
        if version > FORMAT:
            raise self.corrupt(
                f"it has format {version} and this version of behemoth reads up to {FORMAT}; "
                "upgrade behemoth"
            )
        end = start + length + count * CHUNK.itemsize
        if end > len(self._data):
            raise self.corrupt("its header is cut off")
        hashed = xxhash.xxh3_128(self._data[: PREFIX.size])
        hashed.update(self._data[start:end])
        if hashed.digest() != self._data[PREFIX.size : start]:
            raise self.corrupt("its header does not match its digest")
        table = np.frombuffer(self._data[start + length : end], dtype=CHUNK)
        return self._data[start : start + length], table

    def _check_entry(self, entry: Entry) -> None:
        numbers = (*entry.shape, *entry.chunk)
        if (
            not isinstance(entry.path, str)
            or entry.dtype not in tuple(PLAIN_DTYPES)
            or not 1 <= len(entry.shape) == len(entry.chunk) <= 2
            or not all(type(n) is int and n >= 0 for n in numbers)
            or (0 not in entry.shape and not all(map(_fits, entry.chunk, entry.shape)))
            or math.prod(entry.chunk) * np.dtype(entry.dtype).itemsize > MAX_CHUNK_BYTES
        ):
            raise self.corrupt(f"its header describes {entry.path!r} in a way that cannot be")

    def entry(self, path: str, dtype: str, shape: tuple[int, ...]) -> Entry:
        """Find an array, and insist on its type and shape."""
        entry, _ = self._first.get(path, (None, 0))
        if entry is None or (entry.dtype, entry.shape) != (dtype, shape):
            raise self.corrupt(f"it has no {path!r} of {dtype} {shape}")
        return entry

    def length(self, path: str) -> int:
        """Give the length of a 1-D array."""
        entry, _ = self._first.get(path, (None, 0))
        if entry is None or len(entry.shape) != 1:
            raise self.corrupt(f"it has no {path!r}")
        return entry.shape[0]

    def read(self, path: str, dtype: str, shape: tuple[int, ...]) -> Array:
        """Decode one array, checking every chunk before it is decompressed."""
        entry = self.entry(path, dtype, shape)
        first = self._first[path][1]
        result = np.empty(shape, dtype=dtype)
        scratch: Array | None = None
        for number, window in enumerate(entry.windows(), start=first):
            part = result[window]
            if part.shape == entry.chunk and part.flags.c_contiguous:
                self._decode(number, part)
                continue
            scratch = np.empty(entry.chunk, dtype=dtype) if scratch is None else scratch
            self._decode(number, scratch)
            result[window] = scratch[tuple(slice(n) for n in part.shape)]
        return result

    def _decode(self, number: int, target: Array) -> None:
        """Decode a chunk into a contiguous array; blosc writes past its end unless checked."""
        offset, size, mask, digest = self._chunks[number].item()
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
            blosc.decompress_ptr(stored, target.ctypes.data)
        except blosc.blosc_extension.error as error:
            raise self.corrupt(f"the chunk at offset {offset} does not decode") from error


def _fits(chunk: int, shape: int) -> bool:
    return 1 <= chunk <= shape
