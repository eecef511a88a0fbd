import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from behemoth.codec import (
    TEXT_DTYPE,
    dismantle,
    read_summary,
    to_frame,
    to_stacked_frame,
    write_checkpoint,
    write_splay,
)
from behemoth.codec.container import Container
from behemoth.codec.hdf5 import CHUNK, RAW
from tests.codec.strategies import (
    DATE,
    SYMBOL,
    WRITTEN_AT,
    assert_same,
    frames,
    in_order,
    kept,
    read_checkpoint,
    repeatable,
    reread,
    revisions,
    times,
    written,
)


def chunks_of(data):
    return np.frombuffer(Container(data, "a.h5")._chunks, dtype=CHUNK)


@repeatable
@given(frames())
def test_any_frame_comes_back(frame):
    """Every bit of every column comes back, in the stable order of the times."""
    assert_same(in_order(frame), kept(frame))


@repeatable
@given(frames())
def test_the_digest_is_of_the_content(frame):
    """What comes back has the digest of what went in, also when it is kept a second time."""
    ticks = dismantle(frame, "time")
    again = reread(written(ticks))
    assert ticks.digest() == again.digest() == dismantle(to_frame(again), "time").digest()


@repeatable
@given(frames())
def test_chosen_columns_come_in_the_order_asked(frame):
    """Some columns are read without the others; those that are not there are left out."""
    chosen = list(frame.columns[::-2])
    some = reread(written(dismantle(frame, "time")), [*chosen, "not there"])
    assert_same(in_order(frame)[chosen], to_frame(some))


def test_equal_times_keep_their_order():
    """Ticks are sorted stably by time."""
    index = pd.DatetimeIndex(["2020-01-02", "2020-01-01", "2020-01-02", "2020-01-01"])
    frame = pd.DataFrame({"n": [0, 1, 2, 3]}, index=index)
    assert kept(frame)["n"].tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_become_nanoseconds(unit):
    """An index of any unit comes back in nanoseconds, without its freq."""
    index = pd.date_range("2020-01-01", periods=3, freq="h", unit=unit)
    frame = kept(pd.DataFrame({"n": [0, 1, 2]}, index=index))
    assert frame.index.dtype == "M8[ns]"
    assert frame.index.freq is None
    assert list(frame.index) == list(index)


def test_an_aware_index_comes_back_in_utc():
    """An index with a time zone is converted, and ``tz`` converts what comes back."""
    index = pd.date_range("2019-11-03", periods=5, freq="h", tz="America/New_York", name="time")
    frame = pd.DataFrame({"n": np.arange(5)}, index=index)
    ticks = dismantle(frame, "time")
    assert str(to_frame(ticks).index.tz) == "UTC"
    assert list(to_frame(ticks, tz="America/New_York").index) == list(index)


def test_a_time_column_becomes_the_index():
    """A datetime column of the index's name takes its place."""
    frame = pd.DataFrame({"n": [1, 2], "time": times(2)})
    assert_same(frame.set_index("time"), kept(frame))


def test_numbers_of_foreign_byte_order_become_native():
    """Values of big-endian columns stay, their byte order does not."""
    frame = pd.DataFrame({"n": np.array([1, 256], dtype=">i4")}, index=times(2))
    assert kept(frame)["n"].dtype == np.dtype("int32")
    assert kept(frame)["n"].tolist() == [1, 256]


def test_large_frames_are_cut_into_columns():
    """Above 64 Ki rows a chunk holds rows of one column, and the edges come back too."""
    n = 2**16 + 5
    data = {f"c{i}": np.arange(n) * (i + 1.5) for i in range(3)}
    frame = pd.DataFrame({**data, "flag": np.arange(n) % 3 == 0}, index=times(n))
    assert len(chunks_of(written(dismantle(frame, "time")).data)) == 2 * (1 + 3 + 1)
    assert_same(frame, kept(frame))


def test_incompressible_columns_are_stored_raw():
    """A chunk that compressing would not make smaller holds the bytes themselves."""
    n = 2**16 + 5
    noise = np.random.default_rng(0).integers(0, 2**64, size=n, dtype=np.uint64)
    frame = pd.DataFrame({"noise": noise, "calm": np.zeros(n, dtype=np.int64)}, index=times(n))
    masks = chunks_of(written(dismantle(frame, "time")).data)["mask"].tolist()
    assert masks.count(RAW) == 1  # the padded edge compresses
    assert_same(frame, kept(frame))


def test_wide_frames_come_back():
    """200 columns of several types keep their order."""
    frame = pd.DataFrame(
        {f"c{i}": np.arange(7).astype(["f8", "i4", "bool"][i % 3]) for i in range(200)},
        index=times(7),
    )
    assert_same(frame, kept(frame))


@pytest.mark.parametrize("n", [0, 1])
def test_small_frames_come_back(n):
    """No rows, or one, and no columns, are legal."""
    frame = pd.DataFrame({"x": np.ones(n), "t": np.array(["a"] * n, dtype=object)}, index=times(n))
    assert_same(frame, kept(frame))
    assert_same(frame[[]], kept(frame[[]]))


def test_many_strings_come_back():
    """Codes widen with the number of different strings."""
    texts = [f"order {i % 40_000}" for i in range(50_000)]
    frame = pd.DataFrame({"id": np.array(texts, dtype=object)}, index=times(len(texts)))
    assert kept(frame)["id"].tolist() == texts
    assert kept(frame)["id"].dtype == TEXT_DTYPE


def test_missing_strings_are_nan():
    """None, NaN and NA all stand for a missing string, and NaN comes back."""
    frame = pd.DataFrame({"t": np.array(["a", None, np.nan, pd.NA], object)}, index=times(4))
    assert kept(frame)["t"].isna().tolist() == [False, True, True, True]
    assert kept(frame)["t"].tolist()[1:] == pytest.approx([np.nan] * 3, nan_ok=True)


def test_files_are_deterministic():
    """The same ticks give the same bytes, whenever they are written."""
    frame = pd.DataFrame({"x": [1.5, 2.5], "t": ["a", "b"]}, index=times(2))
    ticks = dismantle(frame, "time")
    assert written(ticks) == written(ticks)
    later = write_splay(ticks, SYMBOL, DATE, WRITTEN_AT + dt.timedelta(seconds=1)).data
    first = written(ticks).data
    assert sum(a != b for a, b in zip(first, later, strict=True)) <= 16 + 1  # digest and second


def test_a_splay_says_what_the_log_needs():
    """Rows, first and last tick, size, digest and awareness are given beside the bytes."""
    splay = written(dismantle(pd.DataFrame({"x": [1.0, 2.0]}, index=times(2, tz="UTC")), "time"))
    first, last = times(2).asi8.tolist()
    assert (splay.rows, splay.first, splay.last, splay.aware) == (2, first, last, True)
    empty = written(dismantle(pd.DataFrame({"x": []}, index=times(0)), "time"))
    assert (empty.rows, empty.first, empty.last, empty.aware) == (0, None, None, False)


def test_ticks_between_are_inclusive():
    """A range has both its ends."""
    ticks = dismantle(pd.DataFrame({"x": np.arange(5.0)}, index=times(5)), "time")
    first, last = times(5).asi8[[1, 3]].tolist()
    assert to_frame(ticks.between(first, last))["x"].tolist() == [1, 2, 3]
    assert len(ticks.between(first + 1, first + 2)) == 0


def test_the_digest_tells_contents_apart():
    """A bit, a name, a unit or a row more makes another digest."""
    ticks = dismantle(pd.DataFrame({"x": [0.0], "t": ["a"]}, index=times(1)), "time")
    others = [
        pd.DataFrame({"x": [-0.0], "t": ["a"]}, index=times(1)),
        pd.DataFrame({"y": [0.0], "t": ["a"]}, index=times(1)),
        pd.DataFrame({"x": [0], "t": ["a"]}, index=times(1)),
        pd.DataFrame({"x": [0.0], "t": ["b"]}, index=times(1)),
        pd.DataFrame({"x": [0.0], "t": [None]}, index=times(1)),
        pd.DataFrame({"x": [0.0], "t": pd.Categorical(["a"])}, index=times(1)),
        pd.DataFrame({"x": [0.0], "t": ["a"]}, index=times(1, tz="UTC")),
        pd.DataFrame({"x": [0.0] * 2, "t": ["a"] * 2}, index=times(2)),
    ]
    digests = {dismantle(other, "time").digest() for other in others}
    assert len(digests | {ticks.digest()}) == len(others) + 1


def test_the_digest_ignores_how_codes_are_kept():
    """Unused texts, their order and the width of codes are no content."""
    ticks = dismantle(pd.DataFrame({"t": ["a", "b", None, "a"]}, index=times(4)), "time")
    column = dataclasses.replace(
        ticks.columns[0],
        values=np.array([2, 0, -1, 2], dtype=np.int64),
        categories=("b", "unused", "a"),
    )
    assert dataclasses.replace(ticks, columns=(column,)).digest() == ticks.digest()


def test_several_symbols_stack():
    """One frame of several symbols has a MultiIndex of symbol and time."""
    parts = [dismantle(pd.DataFrame({"x": np.ones(n)}, index=times(n)), "time") for n in (2, 0, 1)]
    whole = dismantle(pd.DataFrame({"x": np.ones(3)}, index=times(3)), "time")
    frame = to_stacked_frame(["B", "C", "A"], parts, whole)
    assert frame.index.names == ["symbol", "time"]
    assert frame.index.get_level_values("symbol").tolist() == ["B", "B", "A"]
    assert frame.index.get_level_values("symbol").dtype == TEXT_DTYPE


@pytest.mark.parametrize("n", [0, 1, 40_000])
def test_checkpoints_come_back(n):
    """A checkpoint holds the same frame, many revisions or none."""
    frame = revisions(n)
    pd.testing.assert_frame_equal(frame, read_checkpoint(write_checkpoint(frame), "c.h5"))


def test_checkpoints_keep_the_order_of_rows():
    """Rows need not be sorted, and columns may be none."""
    frame = revisions(5).iloc[[3, 1, 4, 0]]
    pd.testing.assert_frame_equal(frame, read_checkpoint(write_checkpoint(frame), "c.h5"))
    pd.testing.assert_index_equal(
        frame.index, read_checkpoint(write_checkpoint(frame[[]]), "c.h5").index
    )


def test_a_checkpoint_has_many_symbols():
    """They come back in their order, and the header names them."""
    frame = pd.concat([revisions(2), revisions(3).rename({"BTC-USD": "é"})])
    data = write_checkpoint(frame, {"deletes": [2, 3]})
    pd.testing.assert_frame_equal(frame, read_checkpoint(data, "c.h5"))
    assert read_summary(data, "c.h5")["symbols"] == ["BTC-USD", "é"]
    assert read_summary(data, "c.h5")["deletes"] == [2, 3]
    assert read_summary(write_checkpoint(frame.iloc[-1:]), "c.h5")["symbols"] == ["é"]


def test_checkpoints_are_deterministic():
    """The same revisions give the same bytes."""
    assert write_checkpoint(revisions(9)) == write_checkpoint(revisions(9))


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (revisions(1).droplevel("version"), "the index of a checkpoint"),
        (revisions(1).rename(index={7: 8}, level=2).assign(text="a"), "numbers and booleans"),
        (revisions(1).set_axis(revisions(1).index.set_levels([7], level=0)), "texts"),
    ],
)
def test_checkpoints_refuse_other_frames(frame, says):
    """Only numbers, by symbol, date and version, make a checkpoint."""
    with pytest.raises(ValueError, match=says):
        write_checkpoint(frame)
