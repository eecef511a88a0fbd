"""Files of candles on their way into a table: what is taken, what is refused, what is written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore
from behemoth.errors import BadName, BadRequest, Conflict, Corrupt, EnvironmentFailed, NotFound
from behemoth.feeds import PRESETS, candle_format, import_candles, parse_columns
from behemoth.feeds.candles import COLUMNS
from behemoth.feeds.files import spooling, text
from tests.clock import Clock
from tests.data import real
from tests.feeds.spoiler import zipped
from tests.profile import FULL

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = int(datetime(2019, 10, 31, tzinfo=UTC).timestamp())
HEADER = "time,low,high,open,close,volume"
MAP = {"time": "t", "low": "l", "high": "h", "open": "o", "close": "c", "volume": "v"}
COLUMNS_OF = "t,o,h,l,c,v"


def row(minute, *values):
    """A line of Coinbase's order."""
    return ",".join(map(str, (START + 60 * minute, *(values or (1, 4, 2, 3, 5)))))


def csv(*lines):
    """The bytes of a file with a header."""
    return ("\n".join([HEADER, *lines]) + "\n").encode()


@pytest.fixture
def store():
    """An empty table."""
    return MemoryTickstore(clock=Clock(NOW))


@pytest.fixture
def put(store, tmp_path):
    """Imports these bytes."""

    def put(data, name="candles.csv", into=store, **options):
        path = tmp_path / name
        path.write_bytes(data)
        if "columns" not in options:
            options = {"preset": "coinbase", **options}
        return import_candles(into, path, "BTC-USD", clock=Clock(NOW), **options)

    return put


def times(store):
    """The minutes that a table holds, counted from the first day's midnight."""
    return ((store.select("BTC-USD").index.asi8 // 10**9 - START) // 60).tolist()


def test_a_file_becomes_frames_like_downloaded_ones(store, put):
    """Index time, aware UTC, in nanoseconds; low high open close volume, float64."""
    summary = put(csv(row(0, 1, 4, 2, 3, -0.0), row(1), row(1440)))
    frame = store.select("BTC-USD")
    assert (frame.index.name, str(frame.index.dtype)) == ("time", "datetime64[ns, UTC]")
    assert list(frame.columns) == list(COLUMNS)
    assert set(map(str, frame.dtypes)) == {"float64"}
    assert np.array([1, 4, 2, 3, -0.0]).tobytes() == frame.iloc[0].to_numpy().tobytes()
    assert (summary.candles, summary.days, summary.days_written, summary.odd) == (3, 2, 2, 0)
    assert (summary.first_day, summary.last_day) == (date(2019, 10, 31), date(2019, 11, 1))
    log = store.log()
    assert (len(log), log["source"].iloc[0], log["inserts"].iloc[0]) == (1, "file:candles.csv", 2)


@pytest.mark.parametrize(
    ("preset", "line"),
    [
        ("coinbase", "1572480000,1,4,2,3,5"),
        ("bitfinex", "1572480000000,2,3,4,1,5"),
        ("binance", "1572480000000,2,4,1,3,5,1572480059999,9,9,9,9,0"),
        ("binance", "1572480000000000,2,4,1,3,5,1572480059999999,9,9,9,9,0"),
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_a_preset_knows_the_order_and_the_unit_of_an_exchange(store, put, preset, line, header):
    """With or without a line of names; Binance counts microseconds from 2025 on."""
    names = ",".join(PRESETS[preset].order).replace("time,", f"{PRESETS[preset].names[0][0]},", 1)
    data = f"{names}\n{line}\n" if header else line
    put(data.encode(), preset=preset)
    assert times(store) == [0]
    assert store.select("BTC-USD").to_numpy().tolist() == [[1, 4, 2, 3, 5]]


def test_both_of_binances_units_may_be_in_one_file(store, put):
    """Each time says itself which it is."""
    put(
        b"1735689540000,2,4,1,3,5,1,9,9,9,9,0\n1735689600000000,2,4,1,3,5,1,9,9,9,9,0\n",
        preset="binance",
    )
    assert store.select("BTC-USD").index.strftime("%H:%M").tolist() == ["23:59", "00:00"]


@pytest.mark.parametrize(
    ("unit", "time"),
    [
        ("s", "1572480000"),
        ("s", "1572480000.0"),
        ("s", "1.57248e9"),
        ("ms", "1572480000000"),
        ("us", "1572480000000000"),
        ("ns", "1572480000000000000"),
        ("ns", "1572480000000000000.0"),
        ("iso", "2019-10-31"),
        ("iso", "2019-10-31 00:00"),
        ("iso", "2019-10-31T00:00:00.000Z"),
        ("iso", "2019-10-31 02:00:00+02:00"),
    ],
)
@pytest.mark.parametrize("many", [1, 100])
def test_a_column_map_has_a_unit_of_time(store, put, unit, time, many):
    """As numbers of any form, or ISO text; a naive time is UTC. Many lines, or a few."""
    line = f"{time},2,4,1,3,5\n" * many
    put(f"{COLUMNS_OF}\n{line}".encode(), columns=MAP, time_unit=unit)
    assert times(store) == [0]
    assert store.select("BTC-USD").to_numpy().tolist() == [[1, 4, 2, 3, 5]]


def test_a_map_may_count_columns_and_keep_further_ones(store, put):
    """From 1 on; what it does not name is dropped, what it adds is kept in its order."""
    data = b"BTC,1572480000,2,4,1,3,5,77,x\n"
    numbers = dict(zip(("time", "open", "high", "low", "close", "volume"), "234567", strict=True))
    put(data, columns={**numbers, "trades": "8", "again": "3"}, time_unit="s")
    frame = store.select("BTC-USD")
    assert list(frame.columns) == [*COLUMNS, "trades", "again"]
    assert frame.to_numpy().tolist() == [[1, 4, 2, 3, 5, 77, 2]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "with a preset (coinbase, binance, bitfinex), or with columns"),
        ({"preset": "coinbase", "columns": MAP}, "not both"),
        ({"preset": "kraken"}, "presets are coinbase, binance, bitfinex, not 'kraken'"),
        ({"preset": "coinbase", "time_unit": "s"}, "knows its time unit"),
        ({"columns": MAP}, "need a time unit too: s, ms, us, ns, iso"),
        ({"columns": MAP, "time_unit": "h"}, "one of s, ms, us, ns, iso, not 'h'"),
        (
            {"columns": {"time": "t", "low": "l"}, "time_unit": "s"},
            "lack high, open, close, volume",
        ),
        ({"preset": "coinbase", "granularity": 7}, "seconds that divide a day"),
        ({"preset": "coinbase", "granularity": 0}, "seconds that divide a day"),
        ({"preset": "coinbase", "known_from": "ever"}, "day-end"),
    ],
)
def test_a_call_that_cannot_be_is_refused_with_the_way_out(store, tmp_path, options, message):
    with pytest.raises(BadRequest) as error:
        import_candles(store, tmp_path / "not looked at", "BTC-USD", **options)
    assert message in str(error.value)


@pytest.mark.parametrize("words", ["time", "time=", "=t", "time=t,time=u", ""])
def test_a_column_map_is_typed_as_pairs(words):
    with pytest.raises(BadRequest):
        parse_columns(words)


def test_a_symbol_that_is_no_name_is_refused_before_the_file_is_read(store, tmp_path):
    with pytest.raises(BadName):
        import_candles(store, tmp_path / "none", "", preset="coinbase")


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"a,b,c,d,e,f\n", {}, "line 1: column 1 is called 'a', and preset coinbase has 'time'"),
        (b"1,2,3\n", {}, "line 1: the file has 3 columns, and preset coinbase 6"),
        (
            csv().replace(b"low,high", b"high,low"),
            {},
            "column 2 is called 'high', and preset coinbase has 'low' there; choose another preset",
        ),
        (csv(row(0)), {"preset": "binance"}, "6 columns, and preset binance 12"),
        (b"t,l,h,o,c\n", {"columns": MAP, "time_unit": "s"}, "no column 'v' among 't', 'l'"),
        (b"t,t,l,h,o,c,v\n", {"columns": MAP, "time_unit": "s"}, "there are 2 columns 't'"),
        (b"1,2,3,4,5,6\n", {"columns": MAP, "time_unit": "s"}, "name them by number from 1"),
        (
            b"t,l,h,o,c,v\n",
            {"columns": {**MAP, "low": "t"}, "time_unit": "s"},
            "column 1 is the time",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_way_out(store, put, data, options, message):
    with pytest.raises(BadRequest) as error:
        put(data, **options)
    assert "candles.csv: line 1: " in str(error.value)
    assert message in str(error.value)
    assert store.token.startswith("0-")


@pytest.mark.parametrize(
    ("preset", "time", "message"),
    [
        ("coinbase", "1572480000000", "'1572480000000' is not a time in s between 1677 and 2262"),
        ("bitfinex", "1572480000", "'1572480000' would be 1970-01-19 in ms; name the unit"),
        ("coinbase", "1572480001", "2019-10-31 00:00:01.000000 UTC, which starts no candle of 60"),
        ("coinbase", "1767398400", "is 2026-01-03 00:00 UTC, which is to come"),
        ("coinbase", "2019-10-31", "'2019-10-31' is not a time in s"),
        ("coinbase", "", "the cell is empty"),
    ],
)
def test_a_time_that_is_none_of_the_unit_is_refused(put, preset, time, message):
    """Absurd years, no start of a candle, the future."""
    order = ",".join(PRESETS[preset].order).encode()
    with pytest.raises(Corrupt) as error:
        put(order + f"\n{time},1,1,1,1,1\n".encode(), preset=preset)
    assert "candles.csv: line 2, column 1 (time): " in str(error.value)
    assert message in str(error.value)


BAD = {
    "": "the cell is empty",
    " ": "the cell is empty",
    "nan": "'nan' is not finite",
    "-inf": "'-inf' is not finite",
    "1e400": "'1e400' is more than a float64 can hold",
    "abc": "'abc' is not a number",
    "True": "'True' is not a number",
    "1_000": "is not a number",
    "0x10": "is not a number",
    '"1,234.5"': "'1,234.5' is not a number; write it without commas",
    "1\x005": r"'1\x005' is not a number",
    "\u0661": "is not a number",
    '"1': "a quote is not around a whole cell",
    '1"': "a quote is not around a whole cell",
}


@pytest.mark.parametrize("cell", BAD)
@pytest.mark.parametrize("among", [0, 500])
def test_a_cell_that_is_no_finite_number_is_refused_by_line_and_column(store, put, cell, among):
    """Alone, and among many good rows; and nothing of the file is stored."""
    lines = [row(minute) for minute in range(among)]
    lines.insert(among // 2, row(among, 1, 4, cell, 3, 5))
    with pytest.raises(Corrupt) as error:
        put(csv(*lines))
    assert f"candles.csv: line {among // 2 + 2}, column 4 (" in str(error.value)
    assert BAD[cell] in str(error.value)
    assert "1 row is bad, nothing was imported" in str(error.value)
    assert "\n" not in str(error.value)
    assert store.token.startswith("0-")


def test_a_whole_column_of_true_is_no_column_of_ones(put):
    with pytest.raises(Corrupt, match=r"line 2, column 5 \(close\): 'True' is not a number; 200"):
        put(csv(*(row(minute, 1, 1, 1, "True", 1) for minute in range(200))))


GOOD = {
    "1.5": 1.5,
    " 1.5\t": 1.5,
    '"1.5"': 1.5,
    '" 1.5 "': 1.5,
    "1.5e-3": 1.5e-3,
    "+1.5E+3": 1500.0,
    "1.": 1.0,
    ".5": 0.5,
    "-0.0": -0.0,
    "1e-400": 0.0,
    "0.1000000000000000055511151231257827": 0.1,
    "9007199254740993": 9007199254740992.0,
    "5e-324": 5e-324,
    "-40.32": -40.32,
}


@pytest.mark.parametrize("cell", GOOD)
@pytest.mark.parametrize("many", [1, 200])
def test_a_number_becomes_the_nearest_float(store, put, cell, many):
    """Blanks and quotes around it do not count; a price may be negative, as oil was in 2020."""
    put(csv(*(row(minute, cell, 4, 2, 3, 5) for minute in range(many))))
    expected = np.full(many, GOOD[cell]).tobytes()
    assert expected == store.select("BTC-USD")["low"].to_numpy().tobytes()


def test_a_negative_volume_is_bad(put):
    with pytest.raises(Corrupt, match=r"line 2, column 6 \(volume\): '-1' is a negative volume"):
        put(csv(row(0, 1, 1, 1, 1, -1)))


@pytest.mark.parametrize("cells", [5, 7])
def test_a_ragged_row_is_bad(put, cells):
    """Whether it has too few cells or too many."""
    with pytest.raises(
        Corrupt, match=rf"line 3, column {min(cells + 1, 7)} \(.*{cells} cells, not 6"
    ):
        put(csv(row(0), ",".join(["1572480060", *"12345"][:cells] + ["1"] * (cells - 6))))


def test_skipped_rows_are_counted_and_the_first_ten_are_shown(store, put):
    """The others are imported; the observation says that it is not complete."""
    lines = [row(minute, "x" if minute % 3 == 0 else 1, 4, 2, 3, 5) for minute in range(300)]
    summary = put(csv(*lines), skip_bad=True)
    assert (summary.bad, summary.candles) == (100, 200)
    assert [bad.line for bad in summary.bad_rows] == list(range(2, 32, 3))
    assert summary.as_json()["bad_rows"][0]["why"] == "'x' is not a number"
    assert times(store) == [minute for minute in range(300) if minute % 3]
    assert [seen.outcome for seen in store.observations("BTC-USD")] == ["partial"]


def test_a_file_of_nothing_but_bad_rows_is_refused_also_when_they_are_skipped(put):
    with pytest.raises(Corrupt, match=r"line 2, column 2 \(low\).*all 2 rows are bad"):
        put(csv(row(0, "x", 1, 1, 1, 1), row(1, "x", 1, 1, 1, 1)), skip_bad=True)


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf", csv(), csv().strip()])
def test_a_file_without_a_row_is_refused(put, data):
    """Empty, blank or only names: nobody means to import nothing."""
    with pytest.raises(Corrupt, match=r"candles.csv: line 1, column 1: there is no candle in it"):
        put(data)


def test_after_a_thousand_bad_rows_nobody_reads_on(put):
    with pytest.raises(Corrupt, match="at least 1,000 rows are bad"):
        put(csv(*["x"] * 5000))


def test_a_header_in_the_middle_is_a_bad_row(put):
    """As of files that were joined."""
    with pytest.raises(Corrupt, match=r"line 3, column 1 \(time\): 'time' is not a time in s"):
        put(csv(row(0), HEADER, row(1)))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.strip(),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b"\n\n"),
        lambda data: b"\n\n" + data + b" \n\r\n",
        gzip.compress,
        lambda data: gzip.compress(data[:30]) + gzip.compress(data[30:]),
        bz2.compress,
        lzma.compress,
        zipped,
        lambda data: tarred({"candles.csv": data}),
        lambda data: gzip.compress(tarred({"candles.csv": data})),
    ],
    ids=[
        *("no newline", "bom", "crlf", "blank lines", "blank ends"),
        *("gz", "gz parts", "bz2", "xz", "zip", "tar", "tar.gz"),
    ],
)
def test_how_a_file_is_packed_and_how_its_lines_end_makes_no_difference(store, put, change):
    """The first bytes tell how it is packed, not the name."""
    put(change(csv(*map(row, range(100)))), "candles.dat")
    assert times(store) == list(range(100))


def tarred(files):
    """Make a tar of files."""
    packed = io.BytesIO()
    with tarfile.TarFile(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(csv(*map(row, range(100))))[:-20],
        gzip.compress(csv(row(0)), mtime=0)[:5],
        gzip.compress(csv(row(0))) + b"garbage",
        bz2.compress(csv(row(0)))[:-5],
        lzma.compress(csv(row(0)))[:-5],
        zipped(csv(row(0)))[:-30],
        zipped(csv(row(0)), ("a", "b")),
        tarred({"a": csv(row(0)), "b": csv(row(1))}),
        csv(row(0)).decode().encode("utf-16"),
        b"\x28\xb5\x2f\xfd rest",
        b"1" * (3 << 20),
    ],
    ids=[
        "gz-half",
        "gz-head",
        "gz-more",
        "bz2",
        "xz",
        "zip",
        "zips",
        "tars",
        "utf-16",
        "zstd",
        "long",
    ],
)
def test_a_file_that_cannot_be_unpacked_to_its_end_is_refused_whole(store, put, data):
    """Also when bad rows are skipped: nobody knows what is missing."""
    with pytest.raises(Corrupt, match=r"candles.csv: line \d+, column 1: "):
        put(data, skip_bad=True)
    assert store.token.startswith("0-")


def test_zstd_is_refused_with_the_way_out_whatever_is_installed(put):
    """Its usual reader takes half a file for a whole one."""
    frame = b"\x28\xb5\x2f\xfd\x24\x13\x99\x00\x001572480000,1,1,1,1,1\x00\x00\x00\x00"
    with pytest.raises(Corrupt, match="unpack it first, with zstd -d"):
        put(frame)


def test_a_folder_a_missing_file_and_a_closed_one_are_refused(store, tmp_path):
    with pytest.raises(BadRequest, match="is a folder; name the files in it"):
        import_candles(store, tmp_path, "BTC-USD", preset="coinbase")
    with pytest.raises(NotFound, match="there is no file"):
        import_candles(store, tmp_path / "none.csv", "BTC-USD", preset="coinbase")
    with pytest.raises(EnvironmentFailed, match="cannot read"):
        import_candles(store, tmp_path / ("x" * 300), "BTC-USD", preset="coinbase")


def test_rows_may_come_in_any_order(store, put):
    """Newest first, as exchanges answer, or shuffled over days; the rows of a step back count."""
    minutes = list(range(0, 4320, 7))
    newest = put(csv(*map(row, reversed(minutes))))
    assert (newest.reordered, times(store)) == (len(minutes) - 1, minutes)
    order = np.random.default_rng(6).permutation(minutes).tolist()
    shuffled = put(csv(*map(row, order)), "shuffled.csv", into=(other := MemoryTickstore()))
    assert shuffled.reordered == sum(b < a for a, b in pairwise(order))
    assert times(other) == minutes


def test_rows_are_put_aside_on_disk_when_they_are_many(put, tmp_path):
    """And found again, day by day; the folder of the table stays as it was."""
    rows = spooling.IN_MEMORY // 56 + 10
    minutes = np.arange(rows)[::-1]
    lines = [f"{START - 60 * 10**6 + 60 * minute},1,4,2,3,{minute}" for minute in minutes]
    with LocalTickstore(tmp_path / "T", clock=Clock(NOW)) as table:
        put(csv(*lines), into=table)
        frame = table.select("BTC-USD")
    assert np.array_equal(frame["volume"], np.arange(rows))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["T", "candles.csv"]


def test_identical_rows_are_dropped_and_counted(store, put):
    """Also where the same number is written otherwise."""
    summary = put(csv(row(0), row(1), row(0), row(0, "1.0", 4, 2, 3, 5), row(2)))
    assert (summary.duplicates, summary.candles, times(store)) == (2, 3, [0, 1, 2])


def test_different_rows_for_one_time_are_bad(store, put):
    """All of them, since nobody knows which is true; their repetitions count as such."""
    data = csv(row(0), row(1), row(2), row(1, 9, 9, 9, 9, 9), row(1))
    with pytest.raises(Corrupt) as error:
        put(data)
    assert "line 3, column 1 (time): line 5 has other values for the same time; 2 rows" in str(
        error.value
    )
    summary = put(data, skip_bad=True)
    assert (summary.bad, summary.duplicates, times(store)) == (2, 1, [0, 2])
    assert [bad.line for bad in summary.bad_rows] == [3, 5]


def test_candles_whose_high_and_low_bracket_nothing_are_kept_and_counted(store, put):
    """Real data has them; the exchange said so."""
    assert put(csv(row(0, 5, 4, 2, 3, 5), row(1, 1, 2, 2, 3, 5), row(2))).odd == 2
    assert times(store) == [0, 1, 2]


def test_the_same_file_again_writes_nothing(store, put):
    """No version, no commit, and the summary says so."""
    data = csv(*map(row, range(0, 3000, 9)))
    put(data)
    token = store.token
    again = put(data)
    assert (again.days_written, again.days_already_there, store.token) == (0, 3, token)


def test_days_that_changed_get_a_version_and_the_others_do_not(store, put):
    put(csv(row(0), row(1440)))
    summary = put(csv(row(0), row(1440), row(1441), row(2880)))
    assert (summary.days_written, summary.days_superseded, summary.days_already_there) == (2, 1, 1)
    versions = [(each.date.day, each.version) for each in store.revisions("BTC-USD")]
    assert versions == [(31, 0), (1, 0), (1, 1), (2, 0)]


@pytest.mark.parametrize("other", ["an exchange", ""])
def test_ticks_of_another_source_are_not_replaced_silently(store, put, other):
    """Refused before anything is written, with the first days; or superseded on purpose."""
    put(csv(*(row(1440 * day) for day in range(12))), source=other)
    token = store.token
    data = csv(*(row(1440 * day, 1, 4, 2, 3, 6) for day in range(13)))
    with pytest.raises(Conflict) as error:
        put(data)
    assert f"2019-10-31 from {other or 'an unnamed source'}; 2019-11-01" in str(error.value)
    assert "2019-11-09" in str(error.value)
    assert "2019-11-10" not in str(error.value)
    assert "and 2 days more; replace them with --supersede" in str(error.value)
    assert store.token == token
    assert put(data, supersede=True).days_superseded == 12
    assert set(store.select("BTC-USD")["volume"]) == {6.0}


def test_the_same_ticks_of_another_source_are_no_conflict(store, put):
    """Nothing is replaced; that the file has them too is kept."""
    put(csv(row(0)), source="an exchange")
    assert put(csv(row(0))).days_already_there == 1
    assert len(store.revisions("BTC-USD")) == 1
    seen = [each.source for each in store.observations("BTC-USD")]
    assert seen == ["an exchange", "file:candles.csv"]


def test_fewer_candles_of_the_same_source_need_a_word(store, put):
    """Half a file never takes the other half away by itself."""
    put(csv(row(0), row(1), row(2)))
    with pytest.raises(Conflict, match="2019-10-31 with 3 candles, 2 in the file; replace"):
        put(csv(row(0), row(1)))
    assert put(csv(row(0), row(1)), supersede=True).days_superseded == 1
    assert times(store) == [0, 1]


def test_what_was_deleted_is_imported_again(store, put):
    """A tombstone is nothing to replace."""
    put(csv(row(0)))
    store.delete("BTC-USD", BiTimestamp(date(2019, 10, 31)))
    assert put(csv(row(0))).days_written == 1
    assert times(store) == [0]


def test_candles_of_another_length_are_not_mixed_silently(store, put):
    """Not on other days either: the table would have no length any more."""
    put(csv(row(0)))
    before = store.token
    with pytest.raises(Conflict, match=r"candles/300 would mix with them.*--supersede"):
        put(csv(row(1440)), granularity=300)
    assert store.token == before
    assert put(csv(row(1440)), granularity=300, supersede=True).days_written == 1


def test_candles_of_another_length_that_were_deleted_mix_with_nothing(store, put):
    """What is visible counts, as for downloads."""
    put(csv(row(0)), granularity=300)
    store.delete("BTC-USD", BiTimestamp(date(2019, 10, 31)))
    assert put(csv(row(1440))).days_written == 1


def test_somebody_who_writes_a_day_meanwhile_is_not_overwritten(store, put):
    """The import finds out at the commit, and writes nothing."""
    ticks = pd.DataFrame({"a": [1.0]}, index=pd.DatetimeIndex(["2019-10-31"], tz="UTC"))

    def meddle(progress):
        if progress.step == "storing" and progress.done == 0:
            store.insert("BTC-USD", BiTimestamp(date(2019, 10, 31)), ticks)

    with pytest.raises(Conflict, match=r"wrote 2019-10-31 .*import it again"):
        put(csv(row(0), row(1440)), on_progress=meddle)
    assert list(store.select("BTC-USD").columns) == ["a"]


def test_a_table_that_was_exchanged_meanwhile_is_named_as_what_it_is(tmp_path):
    """No day of it was written by another."""
    path, file = tmp_path / "table", tmp_path / "candles.csv"
    file.write_bytes(csv(row(0)))
    ticks = pd.DataFrame({"a": [1.0]}, index=pd.DatetimeIndex(["2019-10-30"], tz="UTC"))
    for folder in ("table", "other"):
        with LocalTickstore(tmp_path / folder) as store:
            store.insert("ETH-USD", BiTimestamp(date(2019, 10, 30)), ticks)

    def exchange(progress):
        if progress.step == "storing" and progress.done == 0:
            path.rename(tmp_path / "gone")
            (tmp_path / "other").rename(path)

    with (
        LocalTickstore(path) as store,
        pytest.raises(Conflict, match="destroyed or exchanged") as error,
    ):
        import_candles(store, file, "BTC-USD", preset="coinbase", on_progress=exchange)
    assert "None" not in str(error.value)


@pytest.mark.parametrize(
    ("policy", "known"),
    [
        ("now", NOW),
        ("day-end", datetime(2019, 11, 1, tzinfo=UTC)),
        ("start", BiTimestamp.start_as_of),
    ],
)
def test_since_when_it_is_known_is_chosen_as_in_a_download(store, put, policy, known):
    put(csv(row(0)), known_from=policy)
    assert [each.start_time for each in store.revisions("BTC-USD")] == [known]


def test_each_unbroken_run_of_days_is_observed(store, put):
    """So a gap of whole days is seen as never asked for."""
    put(csv(row(0), row(1440), row(4 * 1440), row(4 * 1440 + 1)), source="a friend")
    seen = [(each.start, each.end, each.rows) for each in store.observations("BTC-USD")]
    midnight = datetime(2019, 10, 31, tzinfo=UTC)
    days = [midnight + timedelta(days=n) for n in range(6)]
    assert seen == [(days[0], days[2], 2), (days[4], days[5], 2)]
    first = store.observations("BTC-USD")[0]
    assert (first.what, first.source, first.outcome) == ("candles/60", "a friend", "complete")


def test_candles_of_an_hour_start_at_the_hour(store, put):
    put(csv(row(0), row(60)), granularity=3600)
    assert times(store) == [0, 60]
    with pytest.raises(Corrupt, match="starts no candle of 3600 s"):
        put(csv(row(0), row(30)), granularity=3600)


def test_progress_counts_bytes_and_then_days(put):
    told = []
    data = csv(*map(row, range(0, 3 * 1440, 5)))
    put(data, on_progress=told.append)
    assert (told[0].step, told[0].done, told[0].total) == ("reading", 0, len(data))
    assert [(t.done, t.total) for t in told if t.step == "storing"] == [(n, 3) for n in range(4)]
    assert [t.done for t in told if t.step == "reading"][-1] == len(data)


def test_the_names_of_time_and_columns_may_not_clash(put):
    table = MemoryTickstore("when")
    with pytest.raises(BadRequest, match="the time index is called 'when', and a column too"):
        put(b"", into=table, columns={**MAP, "when": "x"}, time_unit="s")


def test_the_real_candles_of_nine_days_with_their_odd_ones(store):
    """12,487 rows, 4 of them odd, volumes that are float noise."""
    path = real("coinbase_candles_2018/BTC-USD_2018-05-03_2018-05-11.csv")
    summary = import_candles(store, path, "BTC-USD", preset="coinbase")
    assert (summary.candles, summary.odd, summary.days) == (12_487, 4, 9)
    kwargs = {"float_precision": "round_trip"} if text.EXACT else {}
    expected = pd.read_csv(path, **kwargs)[list(COLUMNS)].to_numpy(np.float64)
    assert expected.tobytes() == store.select("BTC-USD").to_numpy().tobytes()


numbers = st.floats(allow_nan=False, allow_infinity=False)
volumes = st.floats(0, allow_nan=False, allow_infinity=False) | st.just(-0.0)
candles = st.dictionaries(
    st.integers(0, 4000), st.tuples(numbers, numbers, numbers, numbers, volumes), min_size=1
)


@settings(deadline=None, max_examples=60)
@given(rows=candles, order=st.randoms(), few=st.sampled_from([1, 64]))
def test_an_import_equals_an_insert_of_the_frame(rows, order, few, tmp_path_factory):
    """Every bit, and so each day's digest; read in one go, or judged row by row."""
    frame = pd.DataFrame.from_dict(rows, "index", columns=list(COLUMNS), dtype="float64")
    index = pd.to_datetime(START + 60 * np.array(list(rows)), unit="s", utc=True)
    frame.index = pd.DatetimeIndex(index, name="time").as_unit("ns")
    lines = [row(minute, *map(repr, values)) for minute, values in rows.items()]
    order.shuffle(lines)
    if few == 1:
        lines.insert(0, "")  # a blank line makes the parser doubt the block
    path = tmp_path_factory.mktemp("import") / "candles.csv"
    path.write_bytes(csv(*lines))
    imported, inserted = MemoryTickstore(clock=Clock(NOW)), MemoryTickstore(clock=Clock(NOW))
    import_candles(imported, path, "A", preset="coinbase", clock=Clock(NOW))
    inserted.insert_many(
        ("A", BiTimestamp(day), part) for day, part in frame.groupby(frame.index.date)
    )
    digests = [
        [(each.date, each.digest) for each in store.revisions("A")]
        for store in (imported, inserted)
    ]
    assert digests[0] == digests[1]


@settings(deadline=None, max_examples=200 if FULL else 30)
@given(cells=st.lists(st.text("0123456789+-.eE \t_nf", max_size=12), min_size=70, max_size=90))
def test_the_parser_and_the_judge_never_disagree(cells):
    """What is read many lines at a time is what is read line by line."""
    made = candle_format("coinbase")
    judge = text.Judge(made, 60, 2**62, (0, 1, 2, 3, 4, 5), 6)
    block = "".join(f"{row(n, cell, 4, 2, 3, 5)}\n" for n, cell in enumerate(cells)).encode()
    many, one = text.Tally(skip=True), text.Tally(skip=True)
    whole = list(text.Text(judge, many).pieces(1, block))
    lines = block.split(b"\n")[:-1]
    single = [
        p for n, line in enumerate(lines) for p in text.Text(judge, one).pieces(n, line + b"\n")
    ]
    assert many.count == one.count
    for name in ("times", "values"):
        found = [np.concatenate([getattr(p, name) for p in each]) for each in (whole, single)]
        assert found[0].tobytes() == found[1].tobytes()


def test_a_packed_file_that_unpacks_to_very_much_does_not_fill_memory(put):
    """Twelve MB of the same row, of blanks, of one long line, out of a few KB."""
    for data in (row(0).encode() + b"\n", b" " * 999 + b"\n", b"1"):
        packed = gzip.compress(data * (12_000_000 // len(data)), 1)
        tracemalloc.start()
        try:
            if data.startswith(b"15"):
                assert put(packed).candles == 1
            else:
                with pytest.raises(Corrupt):
                    put(packed)
            assert tracemalloc.get_traced_memory()[1] < 30 << 20
        finally:
            tracemalloc.stop()
