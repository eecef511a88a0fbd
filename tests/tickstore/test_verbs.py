"""What each verb of a tickstore promises, case by case."""

from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, errors
from behemoth.bitemporal import RESOLUTION, Observation
from behemoth.tickstore import receipts, view
from behemoth.tickstore import tickstore as tickstore_module

DAY = date(2019, 10, 31)
AT = BiTimestamp(DAY)


def bars(*prices, start="2019-10-31", column="price"):
    """One bar a minute."""
    index = pd.date_range(start, periods=len(prices), freq="min", tz="UTC", unit="ns", name="time")
    return pd.DataFrame({column: np.array(prices)}, index=index)


def prices(frame):
    """The prices of a selected frame."""
    return frame["price"].tolist() if "price" in frame else []


def test_the_columns_that_were_asked_for_come_also_from_days_without_them(store):
    """Wherever the window cuts the days; in the order that was asked for."""
    store.insert("A", AT, bars(1.0, 2.0, 3.0))
    both = bars(4.0, 5.0, 6.0, start="2019-11-01").assign(bid=7.0)
    store.insert("A", BiTimestamp(date(2019, 11, 1)), both)
    whole = store.select("A", columns=["bid", "price"])
    for start in ("2019-10-31T00:00", "2019-10-31T00:01"):
        for end in ("2019-10-31T00:01", "2019-10-31T00:02", "2019-11-01T00:01", "2019-11-02"):
            frame = store.select("A", start, end, columns=["bid", "price"])
            pd.testing.assert_frame_equal(
                frame, whole.loc[pd.Timestamp(start, tz="UTC") : pd.Timestamp(end, tz="UTC")]
            )


def test_a_select_exactly_at_a_corrections_instant_gives_one_version(store, clock):
    """Half-open: at its start the correction holds, a microsecond before it the former."""
    store.insert("BTC-USD", AT, bars(1.0))
    clock.tick()
    corrected = store.insert("BTC-USD", AT, bars(2.0))
    assert prices(store.select("BTC-USD", as_of_time=corrected.start_time)) == [2.0]
    assert prices(store.select("BTC-USD", as_of_time=corrected.start_time - RESOLUTION)) == [1.0]


def test_a_delete_leaves_a_readable_gap_after_a_new_insert(store, clock):
    """What was deleted for a while is missing as of that while, for ever."""
    first = store.insert("BTC-USD", AT, bars(1.0))
    clock.tick()
    gone = store.delete("BTC-USD", AT)
    clock.tick()
    again = store.insert("BTC-USD", AT, bars(2.0))
    assert (first.version, gone.version, again.version) == (0, 1, 2)
    assert prices(store.select("BTC-USD", as_of_time=first.start_time)) == [1.0]
    assert prices(store.select("BTC-USD", as_of_time=gone.start_time)) == []
    assert prices(store.select("BTC-USD", as_of_time=again.start_time)) == [2.0]
    assert store.index["kind"].tolist() == ["insert", "delete", "insert"]
    assert store.index["end_time"].tolist()[:2] == store.index["start_time"].tolist()[1:]


def test_as_of_before_the_first_insert_is_empty(store):
    """No look-ahead: neither ticks nor columns nor the symbol are seen before they were known."""
    revision = store.insert("BTC-USD", AT, bars(1.0))
    before = revision.start_time - RESOLUTION
    frame = store.select("BTC-USD", as_of_time=before)
    assert frame.empty
    assert list(frame.columns) == []
    assert store.symbols(before) == []
    assert store.symbols() == ["BTC-USD"]


def test_knowledge_since_the_start_of_time_is_the_articles_first_version_rule(store):
    """BiTimestamp.start_as_of makes a first version known at every instant."""
    store.insert("BTC-USD", BiTimestamp(DAY, BiTimestamp.start_as_of), bars(1.0))
    for instant in (BiTimestamp.start_as_of, datetime(1999, 1, 1), datetime(2020, 1, 1)):
        assert prices(store.select("BTC-USD", as_of_time=instant)) == [1.0]
    assert store.index["commit_time"].iloc[0] == pd.Timestamp("2020-01-01", tz="UTC")


def test_ticks_filed_under_another_date_are_found_by_their_time(store):
    """A futures session of Friday evening may be filed under Monday."""
    store.insert("ES", BiTimestamp(date(2019, 11, 4)), bars(1.0, 2.0, start="2019-11-01 23:00"))
    assert prices(store.select("ES", start="2019-11-01", end="2019-11-01")) == [1.0, 2.0]
    assert prices(store.select("ES", start="2019-11-04", end="2019-11-04")) == []


def test_overlapping_dates_come_by_time_then_date_then_position(store):
    """Ticks of one time keep the order of their dates, then that of their insert."""
    index = pd.DatetimeIndex(["2019-10-31 00:00", "2019-10-31 00:00", "2019-10-30 23:59"])
    later = pd.DataFrame({"price": [3.0, 4.0, 1.0]}, index=index.tz_localize("UTC"))
    store.insert("A", BiTimestamp(date(2019, 11, 1)), later)
    store.insert("A", AT, bars(2.0))
    assert prices(store.select("A")) == [1.0, 2.0, 3.0, 4.0]


def test_bounds_are_inclusive_instants_and_a_date_is_the_whole_day(store):
    """end=datetime is an instant (midnight), end=date or a text that says a date the whole day."""
    store.insert("A", AT, bars(*map(float, range(1440))))
    noon = datetime(2019, 10, 31, 12)
    assert len(store.select("A", start=noon, end=noon)) == 1
    assert len(store.select("A", end=datetime(2019, 10, 31))) == 1
    assert len(store.select("A", end=DAY)) == len(store.select("A", end="2019-10-31")) == 1440
    assert len(store.select("A", start="2019-10", end="2019")) == 1440
    assert len(
        store.select("A", start=pd.Timestamp("2019-10-31 07:00", tz="America/New_York"))
    ) == (13 * 60)
    assert len(store.select("A", start=datetime.min, end=datetime.max)) == 1440
    assert len(store.select("A", start=np.datetime64("2019-10-31T23:59"))) == 1


@pytest.mark.parametrize("end", [DAY, "2019-10-31", "2019-10", "2019"])
def test_a_whole_day_ends_with_its_last_nanosecond(store, end):
    """However it is said."""
    last = pd.Timestamp("2019-11-01", tz="UTC").as_unit("ns") - pd.Timedelta(1, "ns")
    if end == "2019":
        last = pd.Timestamp("2020-01-01", tz="UTC").as_unit("ns") - pd.Timedelta(1, "ns")
    index = pd.DatetimeIndex([last, last + pd.Timedelta(1, "ns")], name="time")
    store.insert("A", AT, pd.DataFrame({"price": [1.0, 2.0]}, index=index))
    assert prices(store.select("A", end=end)) == [1.0]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"start": "2019-11-02", "end": "2019-11-01"}, "before start"),
        ({"start": "not a time"}, "start is not a time"),
        ({"end": 5}, "end is a datetime"),
        ({"end": pd.NaT}, "not a time"),
        ({"as_of_time": datetime(2030, 1, 1)}, "in the future"),
        ({"as_of_time": 5}, "as-of time is a datetime, or a token, a tag"),
        ({"as_of_time": None}, "leave it out for the latest"),
        ({"as_of_time": DAY}, "say '2019-10-31' for its midnight"),
        ({"end": "20191031"}, "looks like 2019-10-31"),
        ({"end": "31 October 2019"}, "looks like 2019-10-31"),
        ({"start": "today"}, "looks like 2019-10-31"),
        ({"columns": 5}, "columns"),
        ({"columns": [["price"]]}, "columns"),
        ({"columns": ["price", "price"]}, "twice"),
        ({"tz": 5}, "time zone"),
        ({"columns": "price"}, r"\['price'\]"),
        ({"tz": "Mars/Olympus"}, "time zone"),
        ({"schema": "loose"}, "schema is"),
        ({"missing": "ignore"}, "missing is"),
    ],
)
def test_a_bad_request_is_one_clear_line(store, request_, message):
    """Each says what was wrong."""
    store.insert("A", AT, bars(1.0))
    with pytest.raises(errors.BadRequest, match=message) as caught:
        store.select("A", **request_)
    assert "\n" not in str(caught.value)


def test_an_as_of_text_that_is_no_time_is_a_tag(store):
    """One that nobody made: the error shows what a state looks like."""
    store.insert("A", AT, bars(1.0))
    with pytest.raises(errors.NotFound, match=r"no tag 'now'.*a time like 2019-10-31T12:00"):
        store.select("A", as_of_time="now")


def test_an_unknown_symbol_is_an_empty_frame_or_an_error_on_request(store):
    """As in the seed: empty by default."""
    frame = store.select("NOPE")
    assert frame.empty
    assert frame.index.dtype == "datetime64[ns, UTC]"
    assert frame.index.name == "time"
    with pytest.raises(errors.NotFound, match="NOPE") as caught:
        store.select("NOPE", missing="raise")
    assert caught.value.symbol == "NOPE"
    assert isinstance(caught.value, KeyError)


def test_an_empty_result_keeps_columns_and_dtypes_of_a_known_symbol(store):
    """Outside its days, and after a delete."""
    store.insert("A", AT, bars(1, 2))
    frame = store.select("A", start="2020-01-01")
    assert frame.empty
    assert frame.dtypes.to_dict() == {"price": np.dtype("int64")}
    store.delete("A", AT)
    assert store.select("A").dtypes.to_dict() == {"price": np.dtype("int64")}
    assert store.symbols() == []


def test_an_empty_frame_is_a_legal_insert(store):
    """It says that there were no ticks, and takes nothing from other days."""
    store.insert("A", AT, bars(1.0))
    store.insert("A", BiTimestamp(date(2019, 11, 1)), bars(1.0).iloc[:0])
    assert prices(store.select("A")) == [1.0]
    assert store.index["rows"].tolist() == [1, 0]
    assert store.index["first"].isna().tolist() == [False, True]


def test_days_whose_columns_and_types_differ_select_as_their_union(store):
    """Union of columns, numpy promotion, NaN or missing text where absent; strict raises."""
    store.insert("A", AT, bars(1, 2))
    other = bars(2.5, start="2019-11-01").assign(venue=["X"])
    store.insert("A", BiTimestamp(date(2019, 11, 1)), other)
    frame = store.select("A")
    assert frame["price"].tolist() == [1.0, 2.0, 2.5]
    assert frame["venue"].isna().tolist() == [True, True, False]
    with pytest.raises(errors.BadRequest, match="venue"):
        store.select("A", schema="strict")
    assert len(store.select("A", end=DAY, schema="strict")) == 2


def test_columns_are_given_in_the_order_asked_and_unknown_ones_refused(store):
    """A projection."""
    store.insert("A", AT, bars(1.0).assign(size=[5], side=["buy"]))
    assert list(store.select("A", columns=["side", "price"]).columns) == ["side", "price"]
    with pytest.raises(errors.NotFound, match="'bid'"):
        store.select("A", columns=["price", "bid"])


def test_tz_converts_what_comes_back_and_not_how_bounds_are_read(store):
    """Naive bounds stay UTC."""
    store.insert("A", AT, bars(1.0, 2.0))
    frame = store.select("A", start=datetime(2019, 10, 31), tz="America/New_York")
    assert str(frame.index[0]) == "2019-10-30 20:00:00-04:00"
    assert len(frame) == 2


def test_naive_frames_come_back_naive_and_do_not_mix_with_aware_ones(store):
    """A symbol is one or the other."""
    naive = bars(1.0).tz_localize(None)
    store.insert("A", AT, naive)
    pd.testing.assert_frame_equal(store.select("A"), naive, check_freq=False)
    assert str(store.select("A", tz="UTC").index.tz) == "UTC"
    with pytest.raises(errors.BadFrame, match="tz_localize"):
        store.insert("A", BiTimestamp(date(2019, 11, 1)), bars(1.0))
    store.insert("B", AT, bars(1.0))
    with pytest.raises(errors.BadRequest, match="one symbol at a time"):
        store.select(["A", "B"])


def test_a_list_of_symbols_gives_a_symbol_level(store):
    """Symbol by symbol, in the order asked; unknown ones add nothing."""
    store.insert("A", AT, bars(1.0, 2.0))
    store.insert("B", AT, bars(3))
    frame = store.select(["B", "NOPE", "A"])
    assert frame.index.names == ["symbol", "time"]
    assert frame.index.get_level_values("symbol").tolist() == ["B", "A", "A"]
    assert frame["price"].tolist() == [3.0, 1.0, 2.0]
    assert store.select([]).index.names == ["symbol", "time"]
    assert store.select(["NOPE"]).empty
    with pytest.raises(errors.BadRequest, match="twice"):
        store.select(["A", "A"])


def test_unchanged_content_makes_no_version(store):
    """if_changed compares bit by bit with what is visible."""
    first = store.insert("A", AT, bars(1.0), if_changed=True)
    token = store.token
    same = store.insert("A", AT, bars(1.0), if_changed=True)
    assert (same.version, same.commit, store.token) == (first.version, first.commit, token)
    assert store.insert("A", AT, bars(-0.0), if_changed=True).version == 1
    assert store.insert("A", AT, bars(0.0), if_changed=True).version == 2
    assert store.insert("A", AT, bars(0.0)).version == 3


def test_strings_that_no_file_encoding_knows_stay_apart(store):
    """A lone surrogate and the text that looks like its escape."""
    texts = ["\ud800", "'\\ud800'", "\udfff", None, ""]
    frame = bars(*range(5))
    frame["text"] = pd.Series(texts, index=frame.index, dtype=object)  # arrow cannot hold them
    store.insert("A", AT, frame)
    found = store.select("A")["text"].tolist()
    assert [None if pd.isna(text) else text for text in found] == texts


def test_a_window_may_lack_a_column_that_the_symbol_has(store):
    """It is NaN there; only a column that the symbol never had is refused."""
    store.insert("A", AT, bars(1.0))
    store.insert("A", BiTimestamp(date(2019, 11, 1)), bars(2.0, start="2019-11-01", column="bid"))
    for window in ({"end": DAY}, {"start": "2019-11-01"}, {"start": "2020-01-01"}):
        frame = store.select("A", columns=(name for name in ("bid", "price")), **window)
        assert list(frame.columns) == ["bid", "price"]
    with pytest.raises(errors.NotFound, match="never had a column 'ask'"):
        store.select("A", columns=["ask"])


def test_a_day_without_ticks_does_not_make_an_empty_answer_naive(store):
    """Alone, beside other symbols, and in what differs."""
    for symbol in ("A", "B"):
        store.insert(symbol, AT, bars(1.0))
    store.insert("A", BiTimestamp(date(2019, 11, 1)), bars(column="bid").tz_localize(None))
    assert list(store.select("A", columns=["bid", "price"]).columns) == ["bid", "price"]
    empty = store.select("A", start="2030")
    assert str(empty.index.dtype) == "datetime64[ns, UTC]"
    assert str(store.diff("A", store.token).index.dtype) == "datetime64[ns, UTC]"
    assert store.select(["A", "B"], start="2030").empty


def test_an_empty_frame_does_not_decide_between_naive_and_aware(store):
    """Only ticks do."""
    store.insert("A", AT, bars(1.0).tz_localize(None).iloc[:0])
    store.insert("A", AT, bars(1.0))
    assert str(store.select("A").index.tz) == "UTC"


def test_unchanged_content_needs_no_later_knowledge(store):
    """if_changed is looked at first, so a backdated insert may be repeated."""
    at = BiTimestamp(DAY, BiTimestamp.start_as_of)
    first = store.insert("A", at, bars(1.0), if_changed=True)
    assert store.insert("A", at, bars(1.0), if_changed=True).version == first.version


def test_what_is_no_observation_or_message_is_refused(store):
    """At the door, before anything is committed."""
    for call in (
        lambda: store.insert("A", AT, bars(1.0), message=b"x"),
        lambda: store.insert("A", AT, bars(1.0), source=object()),
        lambda: store.insert("A", AT, bars(1.0), observations=None),
        lambda: store.observe([{}]),
        lambda: store.versions("A", start="October"),
        lambda: store.versions("A", start=datetime(2019, 10, 31)),
        lambda: store.select(None),
        lambda: store.select(5),
        lambda: Observation("A", "s", "w", datetime(1, 1, 1), datetime.now(), AT, "partial", 1),
        lambda: Observation("A", "s", "w", *[datetime(2020, 1, 1)] * 3, "partial", "many"),
        lambda: MemoryTickstore("a\0b"),
        lambda: LocalTickstore("a\0b"),
        lambda: LocalTickstore(None),
    ):
        with pytest.raises(errors.BadRequest):
            call()
    assert store.symbols() == []


def test_naive_times_of_an_observation_are_utc():
    """As everywhere."""
    naive = datetime(2020, 1, 1)
    seen = Observation("A", "s", "w", naive, naive, naive, "partial", 1)
    assert seen.start == datetime(2020, 1, 1, tzinfo=UTC)


def test_an_observation_is_kept_with_and_without_a_revision(store):
    """In the order of the commits, also through a checkpoint."""
    midnight = datetime(2019, 10, 31, tzinfo=UTC)
    seen = [
        Observation(
            symbol="A",
            source="http://exchange",
            what="candles/60",
            start=midnight,
            end=midnight + timedelta(days=1),
            asked_at=midnight + timedelta(days=2, seconds=-number, microseconds=7),
            outcome="complete",
            rows=number,
        )
        for number in range(3)
    ]
    store.insert("A", AT, bars(1.0), observations=[seen[0]])
    store.insert("A", AT, bars(1.0), if_changed=True, observations=[seen[1]])
    store.flush()
    store.observe([seen[2]])
    assert store.observations("A") == tuple(seen)
    assert len(store.revisions("A")) == 1
    assert store.observations("B") == ()


def test_deleting_nothing_is_an_error(store):
    """Neither an unknown symbol nor a deleted date can be deleted."""
    with pytest.raises(errors.NotFound, match="nothing to delete"):
        store.delete("A", AT)
    store.insert("A", AT, bars(1.0))
    store.delete("A", AT)
    with pytest.raises(errors.NotFound, match="nothing to delete"):
        store.delete("A", AT)


def test_versions_shows_revisions_of_some_dates(store):
    """By as-at date, both ends included."""
    for day in (30, 31):
        store.insert("A", BiTimestamp(date(2019, 10, day)), bars(1.0))
    store.insert("A", AT, bars(2.0))
    assert len(store.versions("A")) == 3
    shown = store.versions("A", start=DAY)
    assert shown.index.get_level_values("version").tolist() == [0, 1]
    assert shown["path"].tolist() == ["2019/10/31/A_0000.h5", "2019/10/31/A_0001.h5"]
    assert store.versions("B").empty
    with pytest.raises(errors.BadRequest):
        store.versions("A", DAY, date(2019, 10, 30))


def test_a_closed_tickstore_says_so(store):
    """Every verb raises Closed."""
    with store:
        store.insert("A", AT, bars(1.0))
    for verb in (
        lambda: store.select("A"),
        lambda: store.insert("A", AT, bars(1.0)),
        lambda: store.delete("A", AT),
        lambda: store.index,
        lambda: store.token,
        lambda: store.flush(),
        lambda: store.symbols(),
        lambda: store.destroy(),
    ):
        with pytest.raises(errors.Closed):
            verb()
    store.close()


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "x" * 301, "\ud800", 5])
def test_what_is_no_name_is_refused(store, name):
    """Control characters, lone surrogates, nothing and too much."""
    with pytest.raises(errors.BadName):
        store.insert(name, AT, bars(1.0))
    with pytest.raises(errors.BadRequest):
        store.select([name])


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "CON", "🐘", "مرحبا", "x" * 300])
def test_any_text_is_a_symbol_and_stays_inside_the_table(tmp_path, name):
    """It comes back as it was given."""
    table = tmp_path / "deep" / "TABLE"
    with LocalTickstore(table) as store:
        store.insert(name, AT, bars(1.0))
        store.flush()
    with LocalTickstore(table) as store:
        assert store.symbols() == [name]
        assert prices(store.select(name)) == [1.0]
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and table not in path.parents]
    assert outside == []


@pytest.mark.parametrize("at", [DAY, "2019-10-31", None])
def test_insert_says_when_with_a_bitimestamp(store, at):
    """A bare date is refused with the way out."""
    with pytest.raises(errors.BadRequest, match="BiTimestamp"):
        store.insert("A", at, bars(1.0))


def test_the_timestamp_column_may_be_a_column(store):
    """It becomes the index."""
    store.insert("A", AT, bars(1.0, 2.0).reset_index())
    pd.testing.assert_frame_equal(store.select("A"), bars(1.0, 2.0), check_freq=False)


def test_a_selected_frame_can_be_written_to(store):
    """It is the caller's own."""
    store.insert("A", AT, bars(1.0, 2.0))
    frame = store.select("A")
    frame.loc[frame.index[0], "price"] = 9.0
    frame["more"] = 1
    assert prices(store.select("A")) == [1.0, 2.0]


def test_a_part_of_a_day_has_the_columns_that_are_asked_for(store):
    """Also one that only another day has; one that no day has is an error."""
    store.insert("A", AT, bars(1.0, 2.0))
    store.insert("A", BiTimestamp(date(2019, 11, 1)), bars(3.0, start="2019-11-01", column="bid"))
    minute = datetime(2019, 10, 31, 0, 1)
    frame = store.select("A", minute, minute, columns=["bid", "price"])
    assert list(frame.columns) == ["bid", "price"]
    assert frame["bid"].isna().tolist() == [True]
    with pytest.raises(errors.NotFound, match="never had a column 'nope'"):
        store.select("A", minute, minute, columns=["nope"])


def test_the_examples_in_the_docstrings_hold():
    """Doctests of the verbs and of the package."""
    import behemoth

    ticks = bars(1.0)
    table = MemoryTickstore()
    table.insert("BTC-USD", AT, ticks)
    names = {"MemoryTickstore": MemoryTickstore, "BiTimestamp": BiTimestamp, "Date": date}
    names |= {"tickstore": table, "ticks": ticks}
    assert doctest.testmod(receipts).failed == 0
    assert doctest.testmod(tickstore_module, extraglobs=names).failed == 0
    assert doctest.testmod(view, extraglobs=names).failed == 0
    assert doctest.testmod(behemoth).failed == 0
