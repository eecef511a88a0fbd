import os
import pickle
import struct

import h5py
import numpy as np
import pandas as pd
import pytest
import tables
import xxhash

from behemoth.codec import Promise, dismantle, read_splay, write_checkpoint
from behemoth.codec.container import CONTENT, DIGEST_SIZE, PREFIX, pack
from behemoth.codec.hdf5 import CHUNK, RAW, Stored
from behemoth.errors import Corrupt
from behemoth.version import FORMAT
from tests.codec.strategies import (
    DATE,
    SYMBOL,
    promise_of,
    read_checkpoint,
    reread,
    revisions,
    times,
    written,
)

ROWS = 40
FRAME = pd.DataFrame(
    {"x": np.linspace(0, 1, ROWS), "t": np.array(["buy", "sell"], object)[np.arange(ROWS) % 2]},
    index=times(ROWS),
)
SPLAY = written(dismantle(FRAME, "time"))
PROMISE = promise_of(SPLAY)
REVISIONS = revisions(3)[["start"]]
CHECKPOINT = write_checkpoint(REVISIONS)


def splay_digest(data):
    return read_splay(data, PROMISE, "a.h5").digest()


def is_same_checkpoint(data):
    frame = read_checkpoint(data, "c.h5")
    return frame.index.equals(REVISIONS.index) and frame.equals(REVISIONS)


@pytest.mark.sweep
@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_any_byte_of_a_splay_may_flip(flip):
    """With any byte changed, a splay gives exactly its ticks or is found corrupt."""
    data, found = bytearray(SPLAY.data), 0
    for place in range(len(data)):
        data[place] ^= flip
        try:
            assert splay_digest(data) == SPLAY.digest, place
        except Corrupt:
            found += 1
        data[place] ^= flip
    assert found > 500


@pytest.mark.sweep
def test_any_byte_of_a_checkpoint_may_flip():
    """With any byte changed, a checkpoint gives exactly its revisions or is found corrupt."""
    data, found = bytearray(CHECKPOINT), 0
    for place in range(len(data)):
        data[place] ^= 0xFF
        try:
            assert is_same_checkpoint(data), place
        except Corrupt:
            found += 1
        data[place] ^= 0xFF
    assert found > 500


def test_a_splay_may_end_anywhere():
    """A splay that was cut off, or has grown, is corrupt."""
    for length in range(SPLAY.size):
        with pytest.raises(Corrupt, match="bytes, not"):
            splay_digest(SPLAY.data[:length])
    with pytest.raises(Corrupt, match="bytes, not"):
        splay_digest(SPLAY.data + b"\0")


@pytest.mark.sweep
def test_a_checkpoint_may_end_anywhere():
    """A checkpoint that was cut off gives exactly its revisions or is found corrupt."""
    found = 0
    for length in range(len(CHECKPOINT)):
        try:
            assert is_same_checkpoint(CHECKPOINT[:length]), length
        except Corrupt:
            found += 1
    assert found > 500


def test_the_message_names_the_file():
    """Whoever reads the error learns which file to restore."""
    with pytest.raises(Corrupt, match=r"^a\.h5 is not what it promises: it has 0 bytes"):
        splay_digest(b"")


@pytest.mark.parametrize(
    "promise",
    [
        Promise("ETH-USD", DATE, SPLAY.rows, SPLAY.size, SPLAY.digest),
        Promise(SYMBOL, DATE.replace(day=1), SPLAY.rows, SPLAY.size, SPLAY.digest),
        Promise(SYMBOL, DATE, SPLAY.rows + 1, SPLAY.size, SPLAY.digest),
        Promise(SYMBOL, DATE, SPLAY.rows, SPLAY.size, "0" * 64),
    ],
)
def test_a_whole_splay_of_something_else_is_refused(promise):
    """A good file under the name of another is not what the index promises."""
    with pytest.raises(Corrupt, match=r"its (symbol|date|rows|digest) is"):
        read_splay(SPLAY.data, promise, "a.h5")


def resealed(data, change):
    """Change texts or chunk table of a header and make its digest right again."""
    magic, version, length, count, more = PREFIX.unpack_from(data)
    start = PREFIX.size + DIGEST_SIZE
    middle = start + CONTENT.size
    schema = bytes(data[middle : middle + length])
    facts = bytes(data[middle + length : middle + length + more])
    end = middle + length + more + count * CHUNK.itemsize
    chunks = np.frombuffer(data[middle + length + more : end], dtype=CHUNK).copy()
    data = bytearray(data)
    changed = change(schema, chunks, data)
    schema = schema if changed is None else changed
    prefix = PREFIX.pack(magic, version, len(schema), count, more)
    rest = bytes(data[start:middle]) + schema + facts + chunks.tobytes()
    header = prefix + xxhash.xxh3_128_digest(prefix + rest) + rest
    data[: len(header)] = header
    return bytes(data)


def seal_chunk(chunks, data, number):
    chunk = chunks[number]
    stored = data[int(chunk["offset"]) :][: int(chunk["size"])]
    chunks["digest"][number] = xxhash.xxh3_64_intdigest(bytes(stored))


@pytest.mark.parametrize(("field", "lie"), [(3, 4), (4, 1 << 20), (12, 17)])
def test_a_lying_blosc_frame_is_refused_before_it_is_decompressed(field, lie):
    """Item size, decoded size and length must be the schema's: blosc would write past the end."""

    def change(_, chunks, data):
        offset = int(chunks["offset"][0])
        if field == 3:
            data[offset + field] = lie
        else:
            struct.pack_into("<I", data, offset + field, lie)
        seal_chunk(chunks, data, 0)

    with pytest.raises(Corrupt, match="decodes to another size"):
        splay_digest(resealed(SPLAY.data, change))


def test_a_blosc_frame_of_noise_is_refused():
    """What blosc cannot decode is corrupt, and blosc's own error stays inside."""

    def change(_, chunks, data):
        offset, size = int(chunks["offset"][0]), int(chunks["size"][0])
        data[offset + 16 : offset + size] = b"\xff" * (size - 16)
        seal_chunk(chunks, data, 0)

    with pytest.raises(Corrupt, match="does not decode"):
        splay_digest(resealed(SPLAY.data, change))


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("mask", 1, "another size"),
        ("mask", 2, "no blosc frame"),
        ("size", 3, "do not match"),
        ("offset", 2**63, "do not match"),
    ],
)
def test_a_lying_chunk_table_is_refused(column, value, says):
    """Chunks lie inside the file and are of the size that the schema asks for."""

    def change(_, chunks, __):
        chunks[column][0] = value

    with pytest.raises(Corrupt, match=says):
        splay_digest(resealed(SPLAY.data, change))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"int64"', b'"int63"'),
        (b'"int64"', b"[12345]"),
        (b'"shape":[null]', b'"shape":[9999]'),
        (b'"shape":[null]', b'"shape":[  -1]'),
        (b'"shape":[null]', b'"shape":[ 0.4]'),
        (b'"shape":[null]', b'"shape":[[  ]]'),
        (b'"shape":[null]', b'"shape":[    ]'),
        (b'"shape":[1,null]', b'"shape":[null, 1]'),
        (b'"/ticks/axis1"', b'"/ticks/axis7"'),
        (b'"/ticks/axis1"', b"12345678901234"),
        (b'"kind":"text"', b'"kind":"junk"'),
        (b'"kind":"text"', b'"kind":"time"'),
        (b'"columns"', b'"colunms"'),
        (b'"arrays"', b'"arrows"'),
        (b'"time":', b'"dime":'),
        (b"{", b"["),
    ],
)
def test_a_header_of_nonsense_is_refused(old, new):
    """A header with a good digest may still be wrong, and that is no other error than Corrupt."""

    def change(text, *_):
        assert old in text
        return text.replace(old, new)

    with pytest.raises(Corrupt):
        splay_digest(resealed(SPLAY.data, change))


def test_a_newer_format_is_refused():
    """A file of a later format asks for an upgrade instead of guessing."""
    data = bytearray(SPLAY.data)
    struct.pack_into("<I", data, 8, FORMAT + 1)
    with pytest.raises(Corrupt, match="upgrade behemoth"):
        splay_digest(data)


def test_codes_without_a_text_are_refused():
    """A code stands for a text of its column, or for a missing one."""

    def change(_, chunks, data):  # chunks: times, x, codes, text, ends
        assert chunks["mask"][2] == RAW
        offset = int(chunks["offset"][2])
        data[offset : offset + ROWS] = b"\x07" * ROWS
        seal_chunk(chunks, data, 2)

    with pytest.raises(Corrupt, match="stands for no text"):
        splay_digest(resealed(SPLAY.data, change))


@pytest.mark.parametrize("ends", [[3, 2, 7], [3, 9], [3], [-1, 7]])
def test_texts_that_end_nowhere_are_refused(ends):
    """The ends of strings ascend to the end of their text."""
    schema = {
        "time": {"name": "time", "aware": False},
        "columns": [{"name": "t", "kind": "text", "dtype": "int8"}],
    }
    facts = {"symbol": SYMBOL, "date": DATE.isoformat(), "first": 0}
    arrays = [
        Stored("/ticks/axis1", times(1).asi8),
        Stored("/ticks/block0_values", np.zeros((1, 1), dtype=np.int8)),
        Stored("/categories/c0/text", np.frombuffer(b"buysell", dtype=np.uint8), rows=False),
        Stored("/categories/c0/ends", np.array(ends, dtype=np.int64), rows=False),
    ]
    data = pack(schema, facts, 1, "00" * 32, arrays, {})
    with pytest.raises(Corrupt, match="not UTF-8"):
        read_splay(data, Promise(SYMBOL, DATE, 1, len(data), "00" * 32), "a.h5")


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_pickle_in_the_file_is_never_opened(tmp_path):
    """Reading goes through our header only: a pickle that HDF5 readers would run stays shut."""
    sprung = tmp_path / "sprung"
    path = tmp_path / "a.h5"
    path.write_bytes(SPLAY.data)
    with h5py.File(path, "r+") as file:
        for node in ("/", "/ticks", "/ticks/axis1"):
            file[node].attrs["trap"] = np.bytes_(pickle.dumps(Trap(sprung), protocol=0))
    data = path.read_bytes()
    promise = Promise(SYMBOL, DATE, SPLAY.rows, len(data), SPLAY.digest)
    assert read_splay(data, promise, "a.h5").digest() == SPLAY.digest
    assert not sprung.exists()
    with tables.open_file(path) as file:
        _ = file.root.ticks._v_attrs["trap"]
    assert sprung.exists()


def test_what_was_read_is_not_the_file():
    """Ticks are arrays of their own and may be changed."""
    ticks = reread(SPLAY)
    ticks.times[0] += 1
    ticks.columns[0].values[:] = 0
    assert splay_digest(SPLAY.data) == SPLAY.digest
