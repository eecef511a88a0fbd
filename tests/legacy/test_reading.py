"""What old indexes and files look like, as the process that opens them tells."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import tables

from behemoth.bitemporal import LATEST_AS_OF, START_AS_OF
from behemoth.legacy import protocol
from behemoth.legacy.reading import serve, why
from behemoth.legacy.spawning import row_of
from tests.legacy.old_database import D1, D2, END, START, T1, T2, OldDatabase, bars

SHAPES = {
    "symbol and date": ((), {}),
    "symbol, date and version": (("symbol", "date", "version"), {}),
    "version twice": (("symbol", "date", "version"), {"keep_version": True}),
}


def answers(folder, *requests):
    """Everything that is told about a database."""
    asked, told = io.BytesIO(), io.BytesIO()
    for request in requests:
        protocol.send(asked, request)
    asked.seek(0)
    serve(folder, asked, told)
    told.seek(0)
    return [header for header, _ in iter(lambda: protocol.receive(told), None)]


def listed(folder):
    """The rows of an index, and what makes no sense about it."""
    *rows, index = answers(folder)
    assert index["kind"] == "index"
    return [row for each in rows for row in each["rows"]], index["odd"]


def iso(time):
    return time.replace(tzinfo=UTC).isoformat()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_index_has_two_levels_or_three(tmp_path, shape):
    old = OldDatabase(tmp_path / "old")
    old.note("A", D1, 0, T1, T2, "a")
    old.note("B", D2, 1, T2, END, "b")
    levels, options = SHAPES[shape]
    folder = old.write(old.index(*levels, **options))
    assert listed(folder) == (
        [
            ["A", D1.isoformat(), 0, iso(T1), iso(T2), "a"],
            ["B", D2.isoformat(), 1, iso(T2), iso(END), "b"],
        ],
        [],
    )


@pytest.mark.parametrize("day", [D1, pd.Timestamp(D1), D1.isoformat(), np.datetime64(D1)])
def test_a_date_is_a_date_a_timestamp_or_a_text(tmp_path, day):
    old = OldDatabase(tmp_path / "old")
    old.note("A", day, 0, T1, END, "a")
    old.note("B", day, 0, T1, END, "b")
    rows, odd = listed(old.write())
    assert ([row[1] for row in rows], odd) == ([D1.isoformat()] * 2, [])


MISSING = [
    (pd.NaT, pd.NaT),
    (np.datetime64("NaT"), np.datetime64("NaT")),
    (None, None),
    (pd.Timestamp.min, pd.Timestamp.max),
]
BEYOND_NANOSECONDS = [(START, END), (START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))]


@pytest.mark.parametrize(
    ("start", "end", "dtype"),
    [(*ends, object) for ends in MISSING + BEYOND_NANOSECONDS]
    + [(*ends, "datetime64[ns]") for ends in MISSING],
)
def test_the_ends_of_time_are_written_in_many_ways(tmp_path, start, end, dtype):
    """As objects, and where that is possible as datetime64."""
    old = OldDatabase(tmp_path / "old")
    old.note("A", D1, 0, start, T1, "a")
    old.note("A", D1, 1, T1, end, "b")
    frame = old.index()
    for name in ("start_time", "end_time"):
        frame[name] = frame[name].astype(dtype)
    rows, odd = listed(old.write(frame))
    assert odd == []
    first, second = (row_of(*row) for row in rows)
    assert (first.start, first.end) == (START_AS_OF, T1.replace(tzinfo=UTC))
    assert (second.start, second.end) == (T1.replace(tzinfo=UTC), LATEST_AS_OF)


def test_a_naive_time_is_utc_and_nanoseconds_are_cut(tmp_path):
    old = OldDatabase(tmp_path / "old")
    berlin = pd.Timestamp("2019-11-01 09:00", tz="Europe/Berlin")
    old.note("A", D1, 0, pd.Timestamp("2019-11-01 07:00:00.123456789"), berlin, "a")
    rows, _ = listed(old.write())
    assert rows[0][3:5] == ["2019-11-01T07:00:00.123456+00:00", "2019-11-01T08:00:00+00:00"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"symbol": 7}, "its symbol is 7, not text"),
        ({"date": "some day"}, "some day"),
        ({"date": datetime(2019, 10, 31, 5)}, "its date is"),
        ({"date": pd.NaT}, "its date is"),
        ({"version": 0.5}, "its version is 0.5"),
        ({"start": 1.5}, "1.5 is no knowledge time"),
        ({"end": "later"}, "later"),
        ({"path": None}, "its path is"),
    ],
)
def test_a_row_that_makes_no_sense_is_told(tmp_path, change, line):
    row = {"symbol": "A", "date": D1, "version": 0, "start": T1, "end": END, "path": "a"} | change
    old = OldDatabase(tmp_path / "old")
    day = pd.Timestamp(D1) if isinstance(row["date"], datetime) else D1
    old.note("B", day, 0, T1, END, "b")
    old.note(*row.values())
    rows, odd = listed(old.write())
    assert [row[0] for row in rows] == ["B"]
    assert [line in each and each.startswith("row 1 (") for each in odd] == [True]


def test_versions_that_disagree_are_told(tmp_path):
    old = OldDatabase(tmp_path / "old")
    old.note("A", D1, 0, T1, END, "a")
    frame = old.index("symbol", "date", "version", keep_version=True)
    frame["version"] = 1
    assert "its version is 0 and 1" in listed(old.write(frame))[1][0]


def test_what_is_no_index_is_told(tmp_path):
    old = OldDatabase(tmp_path / "old")
    old.note("A", D1, 0, T1, END, "a")
    for frame, reason in [
        (old.index().reset_index(), "not symbol, date"),
        (old.index().drop(columns=["path", "version"]), "it has no path, version"),
        (old.index()["path"], "not a DataFrame"),
    ]:
        (told,) = answers(old.write(frame))
        assert told["kind"] == "unreadable"
        assert reason in told["why"]
    (old.folder / "index.h5").write_bytes(b"no HDF5")
    assert answers(old.folder)[0]["kind"] == "unreadable"


def request(path, time_name=None):
    return {"path": str(path), "symbol": "A", "date": D1.isoformat(), "time_name": time_name}


def test_a_file_has_one_frame_under_any_key(tmp_path):
    old = OldDatabase(tmp_path / "old")
    deep = old.put("A", D1, 0, START, END, bars(D1, 1.0), key="some/where")
    two = old.put("A", D1, 1, START, END, bars(D1, 1.0), key="one")
    bars(D1, 2.0).to_hdf(two, key="two", mode="a")
    series = old.put("A", D1, 2, START, END, bars(D1, 1.0)["close"])
    folder = old.write()
    asked = [request(path) for path in (deep, two, series, folder / "gone.h5")]
    good, twice, odd, gone = answers(folder, *asked)[2:]
    assert (good["kind"], good["rows"]) == ("splay", 1)
    assert "holds 2 frames, not one: /one, /two" in twice["why"]
    assert "not Series" in odd["why"]
    assert gone["kind"] == "bad"


@pytest.mark.parametrize("damage", ["text", "cut", "empty"])
def test_a_damaged_file_is_told_in_one_short_line(tmp_path, damage):
    """And not with a trace through the HDF5 library."""
    old = OldDatabase(tmp_path / "old")
    path = old.put("A", D1, 0, START, END, bars(D1, *range(1000)))
    data = path.read_bytes()
    path.write_bytes({"text": b"no HDF5", "cut": data[: len(data) // 2], "empty": b""}[damage])
    told = answers(old.write(), request(path))[-1]
    assert told == {"kind": "bad", "why": "it is no HDF5 file, or cut off"}


def test_what_the_hdf5_library_says_becomes_one_short_line():
    """Only the sentence behind its trace."""
    trace = "HDF5 error back trace\n\n  File 'H5Z.c', line 1\n\nEnd of HDF5 error back trace\n\n"
    error = tables.exceptions.HDF5ExtError(f"{trace}Problems reading\nthe array data.")
    assert why(error) == "it is damaged: Problems reading the array data."
    assert why(tables.exceptions.HDF5ExtError(trace + "x" * 1000)).endswith("xxx")
    assert len(why(tables.exceptions.HDF5ExtError(trace + "x" * 1000))) == 200
    assert len(why(ValueError("x " * 1000))) == 200


def test_an_empty_index_lists_nothing(tmp_path):
    old = OldDatabase(tmp_path / "old")
    old.note("A", D1, 0, T1, END, "a")
    assert listed(old.write(old.index().iloc[:0])) == ([], [])
