"""HDF5 as bytes, in the terms of the HDF5 File Format Specification, version 3.0.

What a small file needs and no more: a superblock of version 0, object headers of version 1, groups
whose links stand in their headers, and the two indexes of chunks (one chunk alone, or a B-tree).
None of these has a checksum. Files open from HDF5 1.10 on. Sections of the specification are cited
with each function; all numbers are little-endian, all addresses count from the superblock.

What does not live here: numpy, compression, and what the objects are for.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNDEFINED = (1 << 64) - 1
"""The address of what is not there."""

SUPERBLOCK_SIZE = 96
SIGNATURE = b"\x89HDF\r\n\x1a\n"
GROUP_LEAF_K, GROUP_INTERNAL_K = 4, 16
"""Sizes of groups in the old style; we have none, and zero is not legal."""

CHUNK_K = 32
"""Half of how many children a node of a chunk B-tree has; a superblock of version 0 implies it."""

MAX_MESSAGES = (1 << 16) - 1
MAX_MESSAGE_SIZE = (1 << 16) - 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as its B-tree knows it: where in the array, how many bytes, and where they lie."""

    corner: tuple[int, ...]
    size: int
    mask: int
    address: int


class Image:
    """The bytes of a file as they grow: what is put first has the lower address.

    What refers to another object is put after it, so no address is ever corrected. Only the
    superblock knows the end, and `finish` writes it.
    """

    def __init__(self) -> None:
        self._parts = [bytes(SUPERBLOCK_SIZE)]
        self.size = SUPERBLOCK_SIZE

    def put(self, data: bytes) -> int:
        """Append bytes, padded to eight; give their address."""
        address = self.size
        gap = -len(data) % 8
        self._parts += [data, bytes(gap)]
        self.size += len(data) + gap
        return address

    def finish(self, base: int, root: int) -> bytes:
        """Give the whole file, for a superblock at `base` and a root group at the address `root`.

        Superblock of version 0, section II.A. The end is told as a place in the file, unlike all
        other addresses.
        """
        self._parts[0] = struct.pack(
            "<8s8BHHI4Q2QII16x",
            *(SIGNATURE, 0, 0, 0, 0, 0, 8, 8, 0),
            *(GROUP_LEAF_K, GROUP_INTERNAL_K, 0),
            *(base, UNDEFINED, base + self.size, UNDEFINED),
            *(0, root, 0, 0),  # symbol table entry of the root, section III.C
        )
        return b"".join(self._parts)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def object_header(messages: Sequence[bytes]) -> bytes:
    """Make an object header of version 1, section IV.A.1.a."""
    if len(messages) > MAX_MESSAGES:
        raise ValueError(
            f"an HDF5 group has at most {MAX_MESSAGES} members and attributes, not {len(messages)}"
        )
    data = b"".join(messages)
    return struct.pack("<BxHII4x", 1, len(messages), 1, len(data)) + data


def _message(kind: int, data: bytes, *, constant: bool = False) -> bytes:
    if len(data) > MAX_MESSAGE_SIZE:
        raise ValueError(f"an HDF5 attribute has at most {MAX_MESSAGE_SIZE} bytes, not {len(data)}")
    padded = _padded(data)
    return struct.pack("<HHB3x", kind, len(padded), constant) + padded


# Data types and spaces: the bare descriptions, which attributes hold too


def fixed_point(size: int, *, signed: bool) -> bytes:
    """Describe an integer, section IV.A.2.d, class 0."""
    return struct.pack("<B3BIHH", 0x10, signed << 3, 0, 0, size, 0, 8 * size)


def floating_point(size: int, exponent: int, mantissa: int) -> bytes:
    """Describe an IEEE number by how many bits its parts have, section IV.A.2.d, class 1."""
    return struct.pack(
        "<B3BIHH4BI",
        *(0x11, 0x20, exponent + mantissa, 0, size),
        *(0, 8 * size, mantissa, exponent, 0, mantissa, (1 << (exponent - 1)) - 1),
    )


def string(size: int, *, utf8: bool) -> bytes:
    """Describe a string of fixed length, ended by NUL if shorter, section IV.A.2.d, class 3."""
    return struct.pack("<B3BI", 0x13, utf8 << 4, 0, 0, size)


def bit_field(size: int) -> bytes:
    """Describe bits, section IV.A.2.d, class 4."""
    return struct.pack("<B3BIHH", 0x14, 0, 0, 0, size, 0, 8 * size)


NULL = struct.pack("<4B", 2, 0, 0, 2)
"""The dataspace of a value that is empty, section IV.A.2.b, version 2."""

SCALAR = struct.pack("<4B", 2, 0, 0, 0)


def simple(shape: Sequence[int]) -> bytes:
    """Describe an array that cannot grow, section IV.A.2.b, version 2."""
    return struct.pack(f"<4B{len(shape)}Q", 2, len(shape), 0, 1, *shape)


# Messages


def dataspace(space: bytes) -> bytes:
    """Say what shape a dataset has, section IV.A.2.b."""
    return _message(0x0001, space)


def datatype(kind: bytes) -> bytes:
    """Say of what type a dataset is, section IV.A.2.d."""
    return _message(0x0003, kind, constant=True)


def fill_value(*, chunked: bool) -> bytes:
    """Say that what was never written is zero, section IV.A.2.f, version 3.

    Space of chunks is taken one by one and filled; that of a contiguous array when it is written,
    and filled only with a value that somebody has set.
    """
    incremental, late, if_set = 3, 2, 2
    return _message(
        0x0005, bytes([3, incremental if chunked else late | if_set << 2]), constant=True
    )


def contiguous(address: int, size: int) -> bytes:
    """Say where the bytes of an array lie, section IV.A.2.i, version 3."""
    return _message(0x0008, struct.pack("<BBQQ", 3, 1, address if size else UNDEFINED, size))


def single_chunk(shape: Sequence[int], item_size: int, chunk: Chunk) -> bytes:
    """Say where the only chunk of an array lies, section IV.A.2.i, version 4.

    The flag 2 says that filters apply, the mask which of them were left out. HDF5 2 insists that
    the sizes have no more bytes than the largest of them needs.
    """
    sizes = (*shape, item_size)
    width = (max(sizes).bit_length() + 7) // 8
    layout = struct.pack("<5B", 4, 2, 2, len(sizes), width)
    layout += b"".join(size.to_bytes(width, "little") for size in sizes)
    return _message(0x0008, layout + struct.pack("<BQIQ", 1, chunk.size, chunk.mask, chunk.address))


def chunk_tree(shape: Sequence[int], item_size: int, address: int) -> bytes:
    """Say where the B-tree of an array's chunks lies, section IV.A.2.i, version 3."""
    sizes = (*shape, item_size)
    return _message(0x0008, struct.pack(f"<BBBQ{len(sizes)}I", 3, 2, len(sizes), address, *sizes))


def filter_pipeline(number: int, name: bytes, values: Sequence[int]) -> bytes:
    """Name the one filter that chunks went through, section IV.A.2.l, version 2.

    The flag 1 says that a chunk may do without it.
    """
    name += b"\0"
    packed = struct.pack(
        f"<BBHHHH{len(name)}s{len(values)}I",
        *(2, 1, number, len(name), 1, len(values), name, *values),
    )
    return _message(0x000B, packed, constant=True)


def attribute(name: bytes, kind: bytes, space: bytes, value: bytes) -> bytes:
    """Attach a small value to an object, section IV.A.2.m, version 3; the name is UTF-8."""
    name += b"\0"
    head = struct.pack("<BBHHHB", 3, 0, len(name), len(kind), len(space), 1)
    return _message(0x000C, head + name + kind + space + value)


def group(links: Mapping[bytes, int]) -> list[bytes]:
    """Make the messages of a group that links, by UTF-8 names, to objects at these addresses.

    Link info without a heap, group info, and a link message for each: sections IV.A.2.c, k and g.
    """
    return [
        _message(0x0002, struct.pack("<BBQQ", 0, 0, UNDEFINED, UNDEFINED)),
        _message(0x000A, struct.pack("<BB", 0, 0), constant=True),
        *(_message(0x0006, _link(name, address)) for name, address in links.items()),
    ]


def _link(name: bytes, address: int) -> bytes:
    """Link to an object; flag 16: the character set is told, flag 1: the length has two bytes."""
    return struct.pack(f"<BBBH{len(name)}sQ", 1, 16 | 1, 1, len(name), name, address)


def put_chunk_tree(
    image: Image, shape: Sequence[int], item_size: int, chunks: Sequence[Chunk]
) -> int:
    """Append the B-tree of many chunks and give its root, section III.A.1, version 1, node type 1.

    Parameters
    ----------
    shape
        Of one chunk.
    chunks
        In the order of their corners.
    """
    key = struct.Struct(f"<II{len(shape) + 1}Q")
    beyond = [at + length for at, length in zip(chunks[-1].corner, shape, strict=True)]
    end = key.pack(0, 0, *beyond, item_size)
    below = [(key.pack(c.size, c.mask, *c.corner, 0), c.address) for c in chunks]
    level = 0
    while level == 0 or len(below) > 1:
        nodes = [below[i : i + 2 * CHUNK_K] for i in range(0, len(below), 2 * CHUNK_K)]
        size = 24 + (2 * CHUNK_K) * (key.size + 8) + key.size
        places = [UNDEFINED, *range(image.size, image.size + len(nodes) * size, size), UNDEFINED]
        ends = [*(node[0][0] for node in nodes[1:]), end]
        for number, (node, right) in enumerate(zip(nodes, ends, strict=True)):
            left, _, next_ = places[number : number + 3]
            head = struct.pack("<4sBBHQQ", b"TREE", 1, level, len(node), left, next_)
            data = b"".join(first + address.to_bytes(8, "little") for first, address in node)
            image.put((head + data + right).ljust(size, b"\0"))
        below = [(node[0][0], place) for node, place in zip(nodes, places[1:-1], strict=True)]
        level += 1
    return below[0][1]
