import subprocess
import sys

import h5py
import hdf5plugin  # noqa: F401 - registers blosc
import numpy as np
import pandas as pd
import pytest
import tables
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from behemoth.codec import dismantle, write_checkpoint
from behemoth.codec.hdf5 import RAW, Stored, hdf5_image
from behemoth.codec.objects import CHUNK_K
from behemoth.codec.ticks import PLAIN_DTYPES
from tests.codec.pytables import pytables_image
from tests.codec.strategies import (
    assert_same,
    kept,
    plain_columns,
    repeatable,
    revisions,
    times,
    written,
)

BLOCK = 512

letters = st.characters(categories=["L", "N"])
names = st.text(letters, max_size=4).map("n{}".format)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
attributes = st.dictionaries(names, texts | st.integers(-(2**63), 2**63 - 1), max_size=5)
groups = st.lists(names, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))


@st.composite
def numbers(draw):
    """Draw an array of numbers or booleans, any bits, 1-D or (columns, rows), empty too."""
    rows = draw(st.integers(0, 5))
    columns = draw(st.integers(1, 5))
    dtype = draw(st.sampled_from(sorted(PLAIN_DTYPES)))
    flat = draw(plain_columns(rows * columns, dtype))
    return flat[:rows] if draw(st.booleans()) else flat.reshape(columns, rows)


@st.composite
def bytestrings(draw):
    """Draw an array of strings of fixed length."""
    width = draw(st.integers(1, 9))
    values = draw(st.lists(st.binary(max_size=width), max_size=5))
    return np.array(values, dtype=f"S{width}")


@st.composite
def contents(draw):
    """Draw the arguments of an image: arrays in groups, all of them with attributes."""
    arrays = [
        [
            Stored(f"{draw(groups)}/a{kind}{number}", data, draw(attributes))
            for number, data in enumerate(draw(st.lists(values, max_size=4)))
        ]
        for kind, values in (("n", numbers()), ("s", bytestrings() | numbers()))
    ]
    return arrays[0], draw(st.dictionaries(groups.filter(bool), attributes, max_size=4)), arrays[1]


def type_facts(kind):
    facts = [kind.get_class(), kind.get_size(), kind.dtype]
    if isinstance(kind, h5py.h5t.TypeStringID):
        facts += [kind.get_cset(), kind.get_strpad(), kind.is_variable_str()]
    if isinstance(kind, h5py.h5t.TypeIntegerID):
        facts += [kind.get_order(), kind.get_sign(), kind.get_precision(), kind.get_offset()]
    if isinstance(kind, h5py.h5t.TypeFloatID):
        facts += [kind.get_order(), kind.get_fields(), kind.get_ebias(), kind.get_norm()]
    return facts


def dataset_facts(dataset):
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    return [
        *(dataset.shape, dataset.maxshape, type_facts(dataset.id.get_type())),
        *(plist.get_layout(), filters, dataset.chunks, dataset[:].tobytes()),
        *(plist.get_fill_time(), plist.get_alloc_time(), plist.fill_value_defined()),
        plist.get_obj_track_times(),
    ]


def tree(path):
    """Give all that HDF5 tells of a file."""
    found = {}

    def look(name, node):
        held = {}
        for key, value in node.attrs.items():
            kept = node.attrs.get_id(key)
            space = kept.get_space().get_simple_extent_type()
            empty = isinstance(value, h5py.Empty)
            held[key] = [type_facts(kept.get_type()), space, None if empty else value.item()]
        is_group = isinstance(node, h5py.Group)
        found[name] = held, sorted(node) if is_group else dataset_facts(node)

    with h5py.File(path) as file:
        look("/", file)
        file.visititems(look)
        return found, file.userblock_size


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("images") / "a.h5"


def write(path, image):
    path.write_bytes(bytes(BLOCK) + image)
    return path


def same_bits(expected, actual):
    return (expected.dtype, expected.shape, expected.tobytes()) == (
        *(actual.dtype, actual.shape, actual.tobytes()),
    )


@repeatable
@pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")
@given(content=contents())
def test_a_file_is_the_one_that_pytables_writes(path, content):
    """Nodes, types, shapes, filters, attributes and values: all that HDF5 tells is the same."""
    ours = tree(write(path, hdf5_image(*content, BLOCK)[0]))
    assert ours == tree(write(path, pytables_image(*content, BLOCK)[0]))


@repeatable
@pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")
@given(content=contents())
def test_pytables_reads_every_value(path, content):
    """Arrays and attributes come back from PyTables with their types and bits."""
    arrays, groups, plain = content
    write(path, hdf5_image(*content, BLOCK)[0])
    with tables.open_file(path) as file:
        for array in (*arrays, *plain):
            node = file.get_node(array.path)
            assert same_bits(array.data, node.read())
        for place, held in (*groups.items(), *((a.path, a.attributes) for a in (*arrays, *plain))):
            node = file.get_node(place)
            assert set(node._v_attrs._f_list()) == set(held)
            assert {key: node._v_attrs[key] for key in held} == held


@repeatable
@given(content=contents())
def test_the_table_says_where_chunks_are(path, content):
    """Each row has the offset in the whole file, and HDF5's own index has the same."""
    arrays, groups, plain = content
    image, table = hdf5_image(arrays, groups, plain, BLOCK)
    data = write(path, image).read_bytes()
    found = []
    with h5py.File(path) as file:
        for array in (a for a in arrays if a.data.size):
            info = file[array.path].id.get_chunk_info(0)
            found.append((info.byte_offset, info.size, info.filter_mask))
    assert [row[:3] for row in table.tolist()] == found
    for offset, size, _, digest in table.tolist():
        assert xxhash.xxh3_64_intdigest(data[offset : offset + size]) == digest


COLUMNS = [2 * CHUNK_K, 2 * CHUNK_K + 1, 5_000]


@pytest.mark.parametrize("columns", COLUMNS)
def test_trees_of_chunks_have_as_many_levels_as_they_need(path, columns):
    """One node, two levels and three: every chunk is found, and the raw ones are told."""
    rows = (1 << 17) // columns + 1
    data = np.arange(columns * rows).reshape(columns, rows)
    data[3] = np.random.default_rng(0).integers(0, 2**63, size=rows)
    image, table = hdf5_image([Stored("/a", data)], {}, [], BLOCK)
    assert len(table) == columns
    assert RAW in table["mask"]
    write(path, image)
    with h5py.File(path) as file:
        info = [file["a"].id.get_chunk_info_by_coord((n, 0)) for n in range(columns)]
        assert [i.byte_offset for i in info] == table["offset"].tolist()
        assert [i.filter_mask for i in info] == table["mask"].tolist()
        assert same_bits(data, file["a"][:])
    with tables.open_file(path) as file:
        assert same_bits(data, file.root.a.read())


def test_long_arrays_are_cut(path):
    """Chunks of 64 Ki rows, the last of them filled up."""
    data = np.arange(40 * 2**16 + 5, dtype=np.uint8)
    image, table = hdf5_image([Stored("/a", data), Stored("/b", data[None])], {}, [], BLOCK)
    assert len(table) == 82
    with h5py.File(write(path, image)) as file:
        assert same_bits(data, file["a"][:])
        assert same_bits(data[None], file["b"][:])


@pytest.mark.slow
def test_read_hdf_gives_equal_frames_of_two_million_rows(path):
    """A very long day: hundreds of chunks, compressed and raw."""
    n = 2_000_000
    noise = np.random.default_rng(0).integers(0, 2**63, size=n)
    frame = pd.DataFrame({"noise": noise, "flat": 1.5, "step": np.arange(n) // 7}, index=times(n))
    path.write_bytes(written(dismantle(frame, "time")).data)
    assert_same(frame, pd.read_hdf(path))
    assert_same(frame, kept(frame))


@pytest.mark.parametrize("dtype", ["f8", "datetime64[ns, UTC]"])
def test_read_hdf_gives_equal_frames_of_two_thousand_columns(path, dtype):
    """Names longer than a message can be, and a group with thousands of links."""
    values = pd.array(np.arange(3), dtype="i8").astype(dtype)
    data = {f"the long name of column {i}": values for i in range(2_000 if dtype == "f8" else 300)}
    frame = pd.DataFrame(data, index=times(3))
    path.write_bytes(written(dismantle(frame, "time")).data)
    assert_same(frame, pd.read_hdf(path))
    assert_same(frame, kept(frame))


def test_groups_have_thousands_of_members(path):
    """2,000 text columns have a group each, found by every reader."""
    frame = pd.DataFrame({f"t{i}": ["a", None, "é"] for i in range(2_000)}, index=times(3))
    path.write_bytes(written(dismantle(frame, "time")).data)
    assert_same(frame, kept(frame))
    assert pd.read_hdf(path)["t1999"].tolist() == [0, -1, 1]
    with h5py.File(path) as file:
        assert len(file["categories"]) == 2_000
        assert file["categories/c1999/text"][:].tobytes() == "aé".encode()


def test_what_no_object_holds_is_refused():
    """HDF5 keeps attributes of up to 64 KB, and a group has up to 65,535 parts."""
    with pytest.raises(ValueError, match="an HDF5 attribute has at most 65528 bytes, not 70023"):
        hdf5_image([], {"/g": {"a": "x" * 70_000}}, [], BLOCK)
    with pytest.raises(ValueError, match="at most 65535 members and attributes, not 65538"):
        hdf5_image([], {"/g": {f"a{i}": i for i in range(65_536)}}, [], BLOCK)


def test_a_copy_can_be_changed_with_hdf5(path):
    """HDF5 finds room for what somebody adds to a copy of a file, in every group."""
    frame = pd.DataFrame({"x": [1.0, 2.0], "t": ["a", "b"]}, index=times(2))
    path.write_bytes(written(dismantle(frame, "time")).data)
    with h5py.File(path, "r+") as file:
        for group in (file, file["ticks"], file["categories/c1"], file["ticks/axis1"]):
            group.attrs["note"] = "é" * 1_000
        for place in ("", "ticks/", "categories/c1/"):
            for n in range(50):
                file[f"{place}more{n}"] = np.arange(n)
        del file["ticks/more7"]
    with h5py.File(path) as file:
        assert file["categories/c1/more49"][:].tolist() == list(range(49))
        assert len(file["ticks"]) == 4 + 49 + 2
        assert file["ticks/axis1"].attrs["note"] == "é" * 1_000
        assert file["ticks/block0_values"][:].tolist() == [[1, 2]]


def test_the_same_content_has_the_same_bytes():
    """No clock and no chance takes part."""
    frame = pd.DataFrame({"x": [1.0, 2.0], "t": ["a", "b"]}, index=times(2))
    assert written(dismantle(frame, "time")) == written(dismantle(frame, "time"))
    assert write_checkpoint(revisions(3)) == write_checkpoint(revisions(3))


def test_a_day_costs_two_kilobytes_of_hdf5(path):
    """What HDF5 needs beside the chunks of five columns."""
    frame = pd.DataFrame({name: np.zeros(1440) for name in "abcde"}, index=times(1440))
    path.write_bytes(written(dismantle(frame, "time")).data)
    with h5py.File(path) as file:
        stored = [
            file[f"ticks/{name}"].id.get_storage_size() for name in ("axis1", "block0_values")
        ]
        assert path.stat().st_size - file.userblock_size - sum(stored) < 2_048


def test_pytables_is_not_loaded_until_somebody_reads_with_it():
    code = "import sys, behemoth; assert 'tables' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
