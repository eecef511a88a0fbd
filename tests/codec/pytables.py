"""The same files as PyTables writes them: what ours must look like to every reader."""

from collections.abc import Mapping, Sequence

import numpy as np
import tables
import xxhash

from behemoth.codec.hdf5 import CHUNK, Attribute, Entry, Stored, _compress

FILTERS = tables.Filters(complevel=5, complib="blosc:lz4hc", shuffle=True, fletcher32=False)


def pytables_image(
    arrays: Sequence[Stored],
    groups: Mapping[str, Mapping[str, Attribute]],
    plain: Sequence[Stored],
    block: int,
) -> tuple[bytes, np.ndarray]:
    """Do what `behemoth.codec.hdf5.hdf5_image` does, with PyTables."""
    rows = []
    with tables.open_file(
        "splay.h5",
        mode="w",
        driver="H5FD_CORE",
        driver_core_backing_store=0,
        user_block_size=block,
        pytables_sys_attrs=False,
    ) as file:
        for path, attributes in groups.items():
            parent, _, name = path.rpartition("/")
            if path not in file:
                file.create_group(parent or "/", name, createparents=True)
            _attach(file.get_node(path), attributes)
        for array in (*plain, *(a for a in arrays if not a.data.size)):
            parent, _, name = array.path.rpartition("/")
            options = {"obj": array.data, "createparents": True, "track_times": False}
            _attach(file.create_array(parent or "/", name, **options), array.attributes)
        for array in (a for a in arrays if a.data.size):
            rows += _create_chunked(file, array)
        file.flush()
        return file.get_file_image(), np.array(rows, dtype=CHUNK)


def _create_chunked(file, array):
    parent, _, name = array.path.rpartition("/")
    node = file.create_carray(
        parent or "/",
        name,
        atom=tables.Atom.from_dtype(array.data.dtype),
        shape=array.data.shape,
        chunkshape=array.entry.chunk,
        filters=FILTERS,
        createparents=True,
        track_times=False,
    )
    _attach(node, array.attributes)
    entry = Entry(array.path, array.data.dtype.name, array.data.shape, array.entry.chunk)
    for window in entry.windows():
        start = tuple(side.start for side in window)
        stored, mask = _compress(array.data[window], array.entry.chunk)
        node.write_chunk(start, stored, filter_mask=mask)
        info = node.chunk_info(start)
        digest = xxhash.xxh3_64_intdigest(stored)
        yield info.offset, info.size, info.filter_mask, digest


def _attach(node, attributes):
    for name, value in attributes.items():
        node._v_attrs[name] = np.array(value) if isinstance(value, int) else value
