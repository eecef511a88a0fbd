import h5py
import hdf5plugin  # noqa: F401 - registers blosc
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from behemoth.codec import dismantle, write_checkpoint
from tests.codec.strategies import (
    assert_same,
    aware_columns,
    bits,
    datetime_columns,
    frames,
    in_order,
    kept,
    names_without,
    plain_columns,
    repeatable,
    revisions,
    timedelta_columns,
    times,
    written,
)

PANDAS_2 = pd.__version__.startswith("2.")
plain_pandas = frames(
    (plain_columns, datetime_columns, timedelta_columns, aware_columns), names_without("nan")
)


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("splays") / "a.h5"


def every_kind(n=4):
    data = {
        "price": np.linspace(1, 2, n),
        "half": np.linspace(1, 2, n).astype("f2"),
        "flag": np.arange(n) % 2 == 0,
        "": np.arange(n),
        "seen": times(n),
        "local": times(n, tz="America/New_York"),
        "utc": times(n, tz="UTC"),
        "also utc": times(n, tz="UTC") + pd.Timedelta(1, "ns"),
        "lag": np.arange(n).astype("m8[ns]"),
        "side": np.array([None, "buy", "sell"], dtype=object)[np.arange(n) % 3],
        "venue": pd.Categorical(np.array(["x", "y"])[np.arange(n) % 2]),
    }
    return pd.DataFrame(data, index=times(n, tz="UTC"))


def in_nanoseconds(frame):
    timed = [name for name in frame.columns if frame[name].dtype.kind in "Mm"]
    return frame.assign(**{name: frame[name].array.as_unit("ns") for name in timed})


@repeatable
@given(frame=plain_pandas)
def test_read_hdf_gives_an_equal_frame(path, frame):
    """Numbers, booleans, datetimes and timedeltas are the same in ``read_hdf``, in nanoseconds."""
    path.write_bytes(written(dismantle(frame, "time")).data)
    assert_same(in_nanoseconds(in_order(frame)), pd.read_hdf(path))


@pytest.mark.parametrize("n", [0, 1, 4])
def test_read_hdf_shows_codes_for_text(path, n):
    """A text or category column shows its integer codes, -1 where it is missing."""
    frame = every_kind(n)
    path.write_bytes(written(dismantle(frame, "time")).data)
    plain = pd.read_hdf(path)
    assert_same(frame.drop(columns=["side", "venue"]), plain.drop(columns=["side", "venue"]))
    assert plain["side"].tolist() == [-1, 0, 1, -1][:n]
    assert plain["venue"].tolist() == [0, 1, 0, 1][:n]


def test_read_hdf_gives_equal_large_frames(path):
    """Chunks that are columns, raw ones too, are what pandas expects."""
    n = 2**16 + 5
    noise = np.random.default_rng(0).integers(0, 2**63, size=n)
    frame = pd.DataFrame({"noise": noise, "x": np.arange(n), "y": np.ones(n)}, index=times(n))
    path.write_bytes(written(dismantle(frame, "time")).data)
    assert_same(frame, pd.read_hdf(path))


def test_read_hdf_gives_equal_wide_frames(path):
    """200 columns of several types come in their order."""
    types = ["f8", "i4", "bool", "M8[ns]"]
    data = {f"c{i}": np.arange(7).astype(types[i % 4]) for i in range(200)}
    frame = pd.DataFrame(data, index=times(7))
    path.write_bytes(written(dismantle(frame, "time")).data)
    assert_same(frame, pd.read_hdf(path))


def test_a_column_called_nan(path):
    """A column named nan is kept; pandas 2 takes the name for a missing one in ``read_hdf``."""
    frame = pd.DataFrame({"nan": [1.0], "x": [2.0]}, index=times(1))
    assert_same(frame, kept(frame))
    path.write_bytes(written(dismantle(frame, "time")).data)
    plain = pd.read_hdf(path)
    assert plain.iloc[0].tolist() == [1.0, 2.0]
    assert pd.isna(plain.columns[0]) if PANDAS_2 else plain.columns[0] == "nan"


def test_the_header_is_a_user_block(path):
    """HDF5 skips our header: its size is a power of two of at least 512."""
    for n in (1, 30, 300):
        frame = pd.DataFrame({f"c{i}": [1.0] for i in range(n)}, index=times(1))
        path.write_bytes(written(dismantle(frame, "time")).data)
        with h5py.File(path) as file:
            assert file.userblock_size >= 512
            assert file.userblock_size & (file.userblock_size - 1) == 0


def test_h5py_opens_the_arrays(path):
    """Any HDF5 library with the blosc filter sees blocks as (columns, rows)."""
    frame = pd.DataFrame({"a": [1.0, 2], "b": [3.0, 4], "t": ["é", ""]}, index=times(2))
    path.write_bytes(written(dismantle(frame, "time")).data)
    with h5py.File(path) as file:
        assert set(file) == {"ticks", "categories"}
        assert file["ticks/axis0"][:].tolist() == [b"a", b"b", b"t"]
        assert file["ticks/axis1"][:].tolist() == times(2).asi8.tolist()
        assert file["ticks/block0_values"][:].tolist() == [[1, 2], [3, 4]]
        assert file["categories/c2/text"][:].tobytes() == "é".encode()
        assert file["categories/c2/ends"][:].tolist() == [2, 2]


def attributes_of(path):
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, node: found.extend((name, *i) for i in node.attrs.items()))
        found.extend(("/", *item) for item in file.attrs.items())
    return found


@pytest.mark.parametrize("n", [0, 4])
@pytest.mark.parametrize("time_name", ["time", "", "ends with.", "cos\nsystem\n(S'false'\ntR."])
def test_nothing_is_pickled(path, n, time_name):
    """Every attribute is text or a number, and a text is never taken for a pickle."""
    frame = every_kind(n).drop(columns="").rename_axis(time_name)
    path.write_bytes(written(dismantle(frame, time_name)).data)
    attributes = attributes_of(path)
    path.write_bytes(write_checkpoint(revisions(n)))
    attributes += attributes_of(path)
    assert len(attributes) > 50
    for node, key, value in attributes:
        if isinstance(value, np.bytes_ | bytes | str):
            raw = value if isinstance(value, bytes) else value.encode()
            assert not raw.startswith(b"\x80"), (node, key)
            assert b"numpy" not in raw, (node, key)
            assert b"pandas" not in raw, (node, key)
            assert not raw.endswith(b".") or key == "name", (node, key)
        else:
            assert isinstance(value, np.integer | h5py.Empty), (node, key)


@pytest.mark.parametrize("time_name", ["", "ends with.", "cos\nsystem\n(S'false'\ntR."])
def test_read_hdf_takes_the_name_of_the_index_as_text(path, time_name):
    """A name that looks like a pickle comes back as the name that it is."""
    frame = pd.DataFrame({"x": [1.0]}, index=times(1).rename(time_name))
    path.write_bytes(written(dismantle(frame, time_name)).data)
    assert_same(frame, pd.read_hdf(path), time_name)


@pytest.mark.parametrize("n", [0, 1, 40_000])
def test_read_hdf_gives_an_equal_checkpoint(path, n):
    """A checkpoint is a plain frame with a MultiIndex of symbol, date and version."""
    frame = revisions(n)
    path.write_bytes(write_checkpoint(frame))
    plain = pd.read_hdf(path)
    pd.testing.assert_frame_equal(frame, plain)
    for name in frame.columns:
        assert bits(frame[name]) == bits(plain[name])
