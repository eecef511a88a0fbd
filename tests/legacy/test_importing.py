"""An imported table answers as the old database did, at every instant."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore
from behemoth.errors import BadRequest, Corrupt, NotFound
from behemoth.legacy import history, import_database
from behemoth.legacy.checking import Content
from behemoth.legacy.importing import batches
from behemoth.legacy.spawning import row_of
from tests.legacy.old_database import D1, D2, END, START, T1, T2, OldDatabase, bars, small

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def old(tmp_path):
    """A small database, without its index."""
    return small(tmp_path / "old")


@pytest.fixture
def table(tmp_path):
    return tmp_path / "db" / "TABLE"


def utc(time):
    return {START: BiTimestamp.start_as_of, END: BiTimestamp.latest_as_of}.get(
        time, time.replace(tzinfo=UTC)
    )


def boundaries(old):
    """The instants around both ends of every version, as far as there are any."""
    ends = {time for row in old.rows for time in (row["start_time"], row["end_time"])} - {
        START,
        END,
    }
    around = {time + step for time in map(utc, ends) for step in (-MICROSECOND, 0 * MICROSECOND)}
    return sorted(around | {BiTimestamp.start_as_of})


def believed(old, symbol, day, moment):
    """What the old database answers: the frame of the one row that was known, read by pandas."""
    paths = [
        row["path"]
        for row in old.rows
        if (row["symbol"], row["date"]) == (symbol, day)
        and utc(row["start_time"]) <= moment < utc(row["end_time"])
    ]
    return pd.read_hdf(*paths) if paths else None


def assert_answers_alike(old, table, name="time"):
    """At every instant, for every symbol and date, the frames are equal."""
    with LocalTickstore(table, timestamp_column=name) as store:
        for symbol, day in {(row["symbol"], row["date"]) for row in old.rows}:
            for moment in boundaries(old):
                frame = store.select(symbol, start=day, end=day, as_of_time=moment)
                expected = believed(old, symbol, day, moment)
                if expected is None:
                    assert frame.empty
                    continue
                expected.index = expected.index.as_unit("ns")
                pd.testing.assert_frame_equal(frame, expected, check_freq=False)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A small database and its table, for tests that only look; and what the import told."""
    folder = tmp_path_factory.mktemp("imported")
    old = small(folder / "old")
    before = {path: path.read_bytes() for path in old.write().rglob("*.h5")}
    summary = import_database(old.folder, folder / "db" / "TABLE")
    assert {path: path.read_bytes() for path in old.folder.rglob("*.h5")} == before
    return old, folder / "db" / "TABLE", summary


def test_every_version_is_known_when_it_was(imported):
    """Corrected, deleted, and back again."""
    old, table, summary = imported
    assert_answers_alike(old, table)
    assert (summary.symbols, summary.dates, summary.versions) == (2, 4, 7)
    assert (summary.inserts, summary.deletes, summary.already_there) == (7, 2, 0)
    assert (summary.ticks, summary.verified, summary.bad) == (13, 7, ())


def test_a_delete_is_a_revision_and_its_gap_stays(imported):
    with LocalTickstore(imported[1]) as store:
        told = [(r.kind, r.start_time) for r in store.revisions("ETH-USD") if r.date == D2]
        assert told[:2] == [("insert", utc(T1)), ("delete", utc(T2))]
        assert len(told) == 3
        assert store.select("ETH-USD", as_of_time=utc(T2)).empty
        assert not store.select("ETH-USD", as_of_time=utc(T2) - MICROSECOND).empty


def test_the_log_says_where_it_came_from(imported):
    old, table, _ = imported
    said = [path.read_text() for path in sorted((table / "log").iterdir())[1:]]
    assert len(said) == 3
    assert all(str(old.folder) in each and "2019 code" in each for each in said)


@pytest.mark.parametrize("levels", [("symbol", "date"), ("symbol", "date", "version")])
def test_the_paths_of_another_machine_lead_to_the_files(tmp_path, table, levels):
    old = small(tmp_path / "old")
    recorded = {id(row): row["path"] for row in old.rows}
    for row in old.rows:
        inside = row["path"].removeprefix(str(old.folder))
        row["path"] = f"/somewhere/else/db/TABLE{inside}"
    folder = old.write(old.index(*levels, keep_version=len(levels) == 3))
    import_database(folder, table)
    for row in old.rows:
        row["path"] = recorded[id(row)]
    assert_answers_alike(old, table)


def test_compressed_files_and_every_type_come_back(tmp_path, table):
    """Numbers bit by bit, times with and without a zone, texts, an empty day, unsorted ticks."""
    old = OldDatabase(tmp_path / "old")
    frame = bars(D1, 0.1 + 0.2, float("nan"), -0.0).assign(
        count=np.array([1, -(2**62), 3]),
        small=np.array([1, 2, 3], dtype=np.uint8),
        flag=[True, False, True],
        seen=pd.to_datetime(["2019-10-30", None, "2019-10-31"]).astype("datetime64[ns]"),
        local=pd.date_range("2019-10-30", periods=3, tz="Europe/Berlin", unit="ns"),
        side=["buy", None, "sell"],
    )
    blosc = {"complevel": 9, "complib": "blosc:lz4"}
    old.put("A", D1, 0, START, T1, frame, **blosc)
    old.put("A", D1, 1, T1, END, frame.iloc[::-1].sort_index())
    old.put("A", D2, 0, START, END, bars(D2, *range(3000)), complevel=5, complib="blosc")
    old.put("EMPTY", D1, 0, START, END, bars(D1, 1.0).iloc[:0])
    old.put("NAIVE", D1, 0, START, END, bars(D1, 1.0).tz_localize(None))
    import_database(old.write(), table)
    with LocalTickstore(table) as store:
        then = store.select("A", end=D1, as_of_time=utc(T1) - MICROSECOND)
        assert then["close"].to_numpy().tobytes() == frame["close"].to_numpy().tobytes()
        assert then["side"].isna().tolist() == [False, True, False]
        pd.testing.assert_frame_equal(
            then.drop(columns="side"),
            frame.drop(columns="side").set_index(frame.index.as_unit("ns")),
            check_freq=False,
        )
        assert store.select("NAIVE").index.tz is None
        assert len(store.select("A", start=D2)) == 3000
        assert [r.rows for r in store.revisions("EMPTY")] == [0]


@pytest.mark.parametrize("name", ["stamp", None])
def test_the_index_names_the_time_column(tmp_path, table, name):
    old = OldDatabase(tmp_path / "old")
    old.put("A", D1, 0, START, END, bars(D1, 1.0, name=name))
    summary = import_database(old.write(), table)
    assert summary.timestamp_column == (name or "time")
    with LocalTickstore(table, timestamp_column=name or "time") as store:
        assert store.select("A").index.name == (name or "time")


def test_a_column_of_times_becomes_the_index(tmp_path, table):
    """Where the index only counts the rows; another index would be lost, and is refused."""
    old = OldDatabase(tmp_path / "old")
    old.put("A", D1, 0, START, END, bars(D1, 1.0, name="stamp").reset_index())
    folder = old.write()
    (bad,) = import_database(folder, table).bad
    assert "no column 'time'" in bad.why
    assert import_database(folder, table, timestamp_column="stamp").verified == 1
    old.put("A", D2, 0, START, END, bars(D2, 1.0, name="stamp").reset_index().set_index([[7]]))
    (bad,) = import_database(old.write(), table, timestamp_column="stamp").bad
    assert "the index holds something too" in bad.why


def test_a_database_that_lists_nothing_makes_no_table(tmp_path, table):
    old = OldDatabase(tmp_path / "old")
    old.note("A", D1, 0, START, END, "")
    summary = import_database(old.write(old.index().iloc[:0]), table)
    assert (summary.versions, summary.verified) == (0, 0)
    assert not table.exists()


def test_importing_again_changes_nothing(old, table):
    folder = old.write()
    import_database(folder, table)
    with LocalTickstore(table) as store:
        token = store.token
        summary = import_database(folder, table)
        assert store.token == token
    assert (summary.inserts, summary.deletes, summary.already_there) == (0, 0, 9)
    assert summary.verified == 7


def test_an_import_goes_on_after_what_is_there(old, table):
    """The first revisions of one day are there already, just so."""
    folder = old.write()
    with LocalTickstore(table) as store:
        for row in old.rows[1:3]:
            at = BiTimestamp(row["date"], as_of_time=utc(row["start_time"]))
            store.insert(row["symbol"], at, pd.read_hdf(row["path"]))
        store.insert("OTHER", BiTimestamp(D1), bars(D1, 1.0))
    assert import_database(folder, table).already_there == 2
    assert_answers_alike(old, table)


@pytest.mark.parametrize(
    ("start", "closes"),
    [(START, (1.0, 2.0)), (T1, (4.0, 5.0))],
    ids=["other ticks", "another time"],
)
def test_a_table_that_knows_something_else_is_refused(old, table, start, closes):
    with LocalTickstore(table) as store:
        store.insert("BTC-USD", BiTimestamp(D2, as_of_time=utc(start)), bars(D2, *closes))
        token = store.token
        with pytest.raises(BadRequest, match="not of this import; import into another table"):
            import_database(old.write(), table)
        assert store.token == token


def test_what_was_added_after_an_import_is_refused(old, table):
    folder = old.write()
    import_database(folder, table)
    with LocalTickstore(table) as store:
        store.insert("BTC-USD", BiTimestamp(D2), bars(D2, 9.0))
    with pytest.raises(BadRequest, match="version 3 of 'BTC-USD' 2019-10-31"):
        import_database(folder, table)


def spoil(old):
    """Lose one file, damage another, put mixed objects into a third; give their rows."""
    lost, damaged, mixed = old.rows[0], old.rows[2], old.rows[5]
    Path(lost["path"]).unlink()
    with Path(damaged["path"]).open("r+b") as file:
        file.write(bytes(4096))
    odd = pd.read_hdf(mixed["path"]).assign(what=[{"a": 1}])
    old.put("ETH-USD", D2, 0, T1, T2, odd)
    old.rows.pop()
    return lost, damaged, mixed


def test_nothing_is_committed_while_a_file_is_bad(old, table):
    """All of them are told, by name."""
    rows = spoil(old)
    summary = import_database(old.write(), table)
    assert not summary.committed
    assert not table.exists()
    assert {bad.file for bad in summary.bad} == {row["path"] for row in rows}
    assert any("column 'what' holds dict objects" in bad.why for bad in summary.bad)


def test_where_a_bad_file_was_left_out_nothing_is_known(old, table):
    """Never the version before it, which was not believed any more."""
    rows = spoil(old)
    summary = import_database(old.write(), table, skip_bad=True)
    assert (summary.committed, len(summary.bad), summary.verified) == (True, 3, 4)
    old.rows = [row for row in old.rows if row not in rows]
    assert_answers_alike(old, table)
    with LocalTickstore(table) as store:
        assert store.select("BTC-USD", as_of_time=utc(T1)).empty
    again = import_database(old.folder, table, skip_bad=True)
    assert (again.inserts, again.deletes) == (0, 0)


def test_days_of_one_symbol_with_and_without_a_zone_do_not_mix(tmp_path, table):
    old = OldDatabase(tmp_path / "old")
    old.put("A", D1, 0, START, END, bars(D1, 1.0))
    naive = old.put("A", D2, 0, START, END, bars(D2, 1.0).tz_localize(None))
    (bad,) = import_database(old.write(), table).bad
    assert bad.file == str(naive)
    assert "has no time zone, unlike" in bad.why


def test_an_index_that_contradicts_itself_is_refused_before_anything(old, table):
    old.note("BTC-USD", D1, 1, T1, END, old.rows[0]["path"])
    old.note("ETH\n", D1, 0, T1, END, old.rows[0]["path"])
    old.note("ETH-USD", D1, "x", T1, END, old.rows[0]["path"])
    for row in old.rows:
        row["version"] = str(row["version"]) if row["version"] != "x" else "x"
    with pytest.raises(Corrupt, match="contradicts itself") as refused:
        import_database(old.write(), table)
    assert "nothing was imported" in str(refused.value)
    assert not table.exists()


def test_an_overlap_names_the_row(old, table):
    old.note("BTC-USD", D1, 1, T1, END, old.rows[0]["path"])
    with pytest.raises(Corrupt, match="'BTC-USD' 2019-10-30 version 1 starts at 2019-11-01T08:00"):
        import_database(old.write(), table)
    assert not table.exists()


def test_a_folder_without_an_index_is_no_database(tmp_path, table):
    with pytest.raises(NotFound, match=r"there is no index\.h5"):
        import_database(tmp_path, table)


def test_a_table_never_shares_a_folder_with_the_old_files(old):
    folder = old.write()
    for table in (folder, folder / "TABLE", folder.parent):
        with pytest.raises(BadRequest, match="share a folder"):
            import_database(folder, table)


def test_a_file_that_changes_meanwhile_stops_the_import(old, table):
    """Nothing of the changed file is committed."""
    folder, last = old.write(), old.rows[3]

    def change(progress):
        if (progress.step, progress.done) == ("checking", 7):
            bars(D2, 99.0).to_hdf(last["path"], key="ticks", mode="w")

    with pytest.raises(Corrupt, match="was changed while it was imported"):
        import_database(folder, table, on_progress=change)
    with LocalTickstore(table) as store:
        assert max(store.select("BTC-USD")["close"]) < 99


def sizes(*megabytes):
    """Histories of one day each, and how big their ticks are."""
    rows = [
        history.Row("A", D1 - timedelta(days=n), 0, utc(START), utc(END), "")
        for n in range(len(megabytes))
    ]
    contents = {
        row: Content(Path("a"), "", 1, size << 20, True)
        for row, size in zip(rows, megabytes, strict=True)
    }
    return history.decide(rows), {}, contents


def test_a_round_is_cut_into_transactions():
    """No more than 500 changes in each, and not many more than 256 MB; later rounds come later."""
    assert [len(batch) for batch in batches(*sizes(*[0] * 1001))] == [500, 500, 1]
    assert sorted(len(batch) for batch in batches(*sizes(*[100] * 7))) == [1, 3, 3]
    histories, _, contents = sizes(0, 0)
    histories["A", D1] *= 2
    assert [len(batch) for batch in batches(histories, {}, contents)] == [2, 1]
    assert [len(batch) for batch in batches(histories, {("A", D1): 1}, contents)] == [1, 1]


def test_a_moved_table_and_a_lost_old_database_change_nothing(old, table, tmp_path):
    """The import is whole: nothing leads back to the old files."""
    import_database(old.write(), table)
    with LocalTickstore(table) as store:
        before = store.index.drop(columns="path")
    table.rename(tmp_path / "MOVED")
    shutil.rmtree(old.folder)
    with LocalTickstore(tmp_path / "MOVED") as store:
        pd.testing.assert_frame_equal(store.index.drop(columns="path"), before)
        assert len(store.select("BTC-USD")) == 6


def test_rows_of_the_index_are_checked_once_more():
    """The process that reads them is not trusted."""
    good = ("A", "2019-10-30", 0, "2019-11-01T00:00:00+00:00", None, "a")
    assert row_of(*good) == history.Row(
        "A", D1, 0, datetime(2019, 11, 1, tzinfo=UTC), BiTimestamp.latest_as_of, "a"
    )
    for place, wrong in [(0, 1), (1, "soon"), (2, "0"), (3, "2019-11-01"), (3, "now"), (5, None)]:
        values = list(good)
        values[place] = wrong
        with pytest.raises((ValueError, TypeError)):
            row_of(*values)
    with pytest.raises((ValueError, TypeError)):
        row_of(*good, "more")
