"""Every trade of a day gets into a table, in whole days, whatever happens on the way."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore
from behemoth.errors import BadRequest, FeedUnavailable
from behemoth.feeds import download, download_trades
from behemoth.feeds.trades.seeking import Seeker
from behemoth.feeds.trades.staging import Staging, place
from behemoth.research import audit
from tests.feeds.market import measured
from tests.feeds.trading import NOON, Exchange, Gone, same, truth

LTC = "LTC-USD"
HALLOWEEN = date(2019, 10, 31)


def run(store, exchange, first=HALLOWEEN, last=None, product=LTC, **options):
    with exchange.client() as client:
        return download_trades(store, client, product, first, last or first, **options)


def outcomes(store, product=LTC):
    return [(seen.start.date(), seen.outcome, seen.rows) for seen in store.observations(product)]


def staged(path):
    return sorted(file for file in (path / "staging").rglob("*") if file.is_file())


def test_three_days_are_stored_to_the_bit_and_never_asked_twice():
    """Ids without a gap, in their order also where times are shared; a second run asks nothing."""
    store, exchange = MemoryTickstore(), Exchange()
    days = date(2019, 10, 29), HALLOWEEN
    first = run(store, exchange, *days)
    frame = store.select(LTC)
    assert same(frame, truth(LTC, *days))
    assert (np.diff(frame["trade_id"]) == 1).all()
    assert frame.index.has_duplicates
    assert (first.days, first.trades, first.versions_written) == (3, 18_000, 3)
    assert outcomes(store) == [(days[0] + timedelta(n), "complete", 6000) for n in range(3)]
    asked = len(exchange.asked)
    assert first.requests == asked <= 18 + 10
    again = run(store, exchange, *days)
    assert (again.requests, again.days_already_complete, len(exchange.asked)) == (0, 3, asked)


def test_a_day_after_one_that_is_stored_begins_where_that_ended():
    """So only its end is sought."""
    store, exchange = MemoryTickstore(), Exchange()
    run(store, exchange, date(2019, 10, 30))
    asked = len(exchange.asked)
    run(store, exchange)
    assert len(exchange.asked) - asked <= 1 + 1 + 6 + 4
    assert same(store.select(LTC), truth(LTC, date(2019, 10, 30), HALLOWEEN))


def test_a_day_far_back_is_found_in_few_requests():
    """Among 100 million trades of four years; and by itself."""
    exchange = Exchange()
    for day in (date(2015, 7, 21), date(2016, 2, 29), date(2018, 1, 17)):
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 10**9
        exchange.asked.clear()
        with exchange.client() as client:
            found = Seeker(client, "BTC-USD").find(int(midnight), int(midnight) + 86400 * 10**9)
        first = 1 + (day - date(2015, 7, 20)).days * 70_000
        assert (found.first, found.last, found.final) == (first, first + 69_999, True)
        assert len(exchange.asked) <= 30


def test_a_day_that_is_not_over_is_left_for_a_later_run():
    """Its trades are not complete, so they are not asked."""
    store, notes = MemoryTickstore(), []
    summary = run(store, Exchange(), HALLOWEEN, date(2019, 11, 1), on_note=notes.append)
    assert (summary.days, summary.days_left) == (1, 1)
    assert "2019-11-01" in notes[0]
    assert outcomes(store) == [(HALLOWEEN, "complete", 6000)]
    with pytest.raises(BadRequest, match="in the future"):
        run(store, Exchange(), date(2019, 11, 2))


def test_a_trade_at_the_very_midnight_is_of_the_day_that_begins():
    """And the last microsecond is of the day that ends."""
    store, exchange = MemoryTickstore(), Exchange()
    run(store, exchange, date(2019, 10, 29), HALLOWEEN)
    frame = store.select(LTC)
    midnights = frame.index[frame.index == frame.index.normalize()]
    assert len(midnights)
    for midnight in midnights:
        version = [r for r in store.revisions(LTC) if r.date == midnight.date()]
        assert version[0].first == midnight.value
    assert (frame.index.asi8 % 86_400_000_000_000 == 86_399_999_999_000).any()


def test_the_days_around_a_leap_second_are_whole():
    """2016-12-31 had 86,401 seconds; unix time, and so the exchange, has not."""
    store, exchange = MemoryTickstore(), Exchange()
    days = date(2016, 12, 31), date(2017, 1, 1)
    summary = run(store, exchange, *days)
    assert (summary.days, summary.trades) == (2, 12_000)
    assert same(store.select(LTC), truth(LTC, *days))


def test_the_listing_day_begins_with_trade_one_and_before_it_there_is_nothing():
    """A day before the listing is complete, without rows."""
    store, exchange = MemoryTickstore(), Exchange()
    summary = run(store, exchange, date(2016, 8, 15), date(2016, 8, 17))
    assert (summary.days, summary.trades, summary.versions_written) == (3, 6000, 1)
    assert [rows for _, _, rows in outcomes(store)] == [0, 0, 6000]
    assert store.select(LTC)["trade_id"].iloc[0] == 1


def test_a_delisted_product_has_no_trades_after_its_last_day():
    """Its last day is whole, though no later trade tells where it ends."""
    market = Gone(date(2019, 10, 30))
    store, exchange = MemoryTickstore(), Exchange(market)
    summary = run(store, exchange, date(2019, 10, 29), HALLOWEEN)
    assert (summary.days, summary.trades) == (3, 12_000)
    assert outcomes(store)[-1] == (HALLOWEEN, "complete", 0)
    expected = truth(LTC, date(2019, 10, 29), date(2019, 10, 30), market)
    assert same(store.select(LTC), expected)


def test_a_product_without_any_trade_is_complete_and_empty():
    """After several askings, because an answer may be empty for no reason; no candle either."""
    store, exchange = MemoryTickstore(), Exchange(now=datetime(2016, 8, 16, 12, tzinfo=UTC))
    summary = run(store, exchange, date(2016, 8, 14), date(2016, 8, 15))
    assert (summary.days, summary.trades, len(exchange.asked)) == (2, 0, 1 + 5 + 2)


def test_answers_that_are_empty_now_and_then_lose_nothing():
    """Every fifth, wherever it falls."""
    store, exchange = MemoryTickstore(), Exchange()
    exchange.empty = 5
    run(store, exchange)
    assert same(store.select(LTC), truth(LTC, HALLOWEEN, HALLOWEEN))


def test_trades_that_stay_missing_fail_their_day_by_name_and_others_are_stored():
    """Nothing half is stored; when they are there, the next run asks only for their pages."""
    store, exchange, notes = MemoryTickstore(), Exchange(), []
    first = int(truth(LTC, HALLOWEEN, HALLOWEEN)[0][0])
    exchange.lost = {first + 2500, first + 2501, first + 4000}
    days = date(2019, 10, 30), HALLOWEEN
    summary = run(store, exchange, *days, on_note=notes.append)
    assert (summary.days, summary.days_failed, summary.whole) == (1, 1, False)
    assert f"ids {first + 2500} to {first + 2501}, {first + 4000}" in summary.failures[0]
    assert "3 trades are missing" in notes[-1]
    assert outcomes(store)[-1] == (HALLOWEEN, "failed", 0)
    assert {revision.date for revision in store.revisions(LTC)} == {days[0]}
    exchange.lost = set()
    assert run(store, exchange, *days).whole
    assert same(store.select(LTC), truth(LTC, *days))


def test_a_gap_at_midnight_fails_both_days():
    """Nobody can tell whose trades they were."""
    store, exchange = MemoryTickstore(), Exchange()
    first = int(truth(LTC, HALLOWEEN, HALLOWEEN)[0][0])
    exchange.lost = {first - 1, first}
    summary = run(store, exchange, date(2019, 10, 30), HALLOWEEN)
    assert summary.days_failed == 2
    assert all(f"ids {first - 1} to {first}" in line for line in summary.failures)


def test_a_trade_that_is_older_than_the_one_before_it_fails_the_day():
    """The order of ids would not be that of times."""
    store, exchange = MemoryTickstore(), Exchange()
    first = int(truth(LTC, HALLOWEEN, HALLOWEEN)[0][0])
    exchange.late = {first + 700: "2019-10-31T00:00:00.000000Z"}
    summary = run(store, exchange)
    assert summary.failures == (
        f"{HALLOWEEN}: trade {first + 700} is older than the one before it",
    )
    assert store.revisions(LTC) == ()


@pytest.mark.parametrize("place", [500, 999])
@pytest.mark.parametrize("time", ["2018-01-01", "2019-10-30"])
def test_a_time_that_contradicts_the_ids_loses_no_trade_silently(time, place):
    """One wrong time, wherever in a page: a complete day has all of its trades."""
    store, exchange = MemoryTickstore(), Exchange()
    newest = exchange.prints.newest(LTC, NOON)
    exchange.late = {newest - place: f"{time}T00:00:00Z"}
    summary = run(store, exchange, date(2019, 10, 29), HALLOWEEN)
    assert {rows for _, outcome, rows in outcomes(store) if outcome == "complete"} <= {6000}
    assert summary.days + summary.days_failed == 3
    if time == "2018-01-01":
        assert summary.days_failed == 3


def test_a_day_without_a_trade_is_believed_only_if_it_has_no_candle():
    """All answers about trades are empty: the candle of the day says otherwise."""
    store, exchange = MemoryTickstore(), Exchange()
    exchange.empty = 1
    summary = run(store, exchange)
    assert summary.failures == (
        f"{HALLOWEEN}: no trade was found, but there is a candle of this day",
    )
    assert outcomes(store) == [(HALLOWEEN, "failed", 0)]


def test_an_exchange_that_passes_over_the_cursor_is_asked_no_more_for_ever():
    """The same page again and again is no answer."""
    exchange = Exchange(deaf=True)
    with pytest.raises(FeedUnavailable, match="not older than asked"):
        run(MemoryTickstore(), exchange)


def test_a_day_goes_on_from_its_pages(tmp_path):
    """What came before the exchange died is not asked again; after the commit nothing is left."""
    exchange = Exchange()
    with LocalTickstore(tmp_path / "T") as store:
        for dead in (2, 1, 1):
            exchange.dead = len(exchange.pages()) + dead
            with pytest.raises(FeedUnavailable):
                run(store, exchange)
            assert outcomes(store) == []
        kept = len(staged(tmp_path / "T")) - 1
        assert kept > 0
        assert list(store.verify()["problem"]) == []
        exchange.dead = None
        asked = len(exchange.asked)
        summary = run(store, exchange)
        assert summary.pages_kept == kept
        assert len(exchange.asked) - asked == 1 + 6 - kept
        assert same(store.select(LTC), truth(LTC, HALLOWEEN, HALLOWEEN))
        assert staged(tmp_path / "T") == []


def interrupted(path, exchange):
    """A table with pages of a day that is not whole."""
    exchange.dead = len(exchange.pages()) + 3
    with LocalTickstore(path) as store, pytest.raises(FeedUnavailable):
        run(store, exchange)
    exchange.dead = None
    assert staged(path)


def test_a_damaged_page_is_asked_again(tmp_path):
    """Cut, or with one bit another."""
    exchange = Exchange()
    interrupted(tmp_path / "T", exchange)
    for number, file in enumerate(staged(tmp_path / "T")):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.unlink()
        file.write_bytes(data[: len(data) - number % 2])
    with LocalTickstore(tmp_path / "T") as store:
        assert run(store, exchange).pages_kept == 0
        assert same(store.select(LTC), truth(LTC, HALLOWEEN, HALLOWEEN))


def test_pages_are_no_part_of_a_table(tmp_path):
    """Verify, repair, copy and destroy take no offence, and pages of a stored day go away."""
    exchange = Exchange()
    with LocalTickstore(tmp_path / "T") as store:
        run(store, exchange, date(2019, 10, 30))
    interrupted(tmp_path / "T", exchange)
    with LocalTickstore(tmp_path / "T") as store:
        assert store.verify(repair=True).empty
        store.copy(tmp_path / "C")
        assert not (tmp_path / "C" / "staging").exists()
        kept = [file.read_bytes() for file in staged(tmp_path / "T")]
        names = staged(tmp_path / "T")
        run(store, exchange)
        assert staged(tmp_path / "T") == []
        for name, data in zip(names, kept, strict=True):  # killed right after the commit
            name.write_bytes(data)
        run(store, exchange)
        assert staged(tmp_path / "T") == []
        store.destroy()
    assert not (tmp_path / "T").exists()


def test_pages_of_another_exchange_are_not_taken(tmp_path):
    """A sandbox's trades are never taken for the exchange's."""
    exchange = Exchange()
    interrupted(tmp_path / "T", exchange)
    with LocalTickstore(tmp_path / "T") as store:
        assert Staging(place(store), "http://exchange", LTC).dates() == {HALLOWEEN}
        assert Staging(place(store), "http://other", LTC).dates() == set()


@pytest.mark.parametrize("source", ["", "http://elsewhere", "http://exchange"])
def test_other_ticks_are_not_superseded_without_a_word(source):
    """A correction by hand, another source's trades, and candles of this very exchange."""
    store, exchange = MemoryTickstore(), Exchange()
    if source == "http://exchange":
        with exchange.client() as client:
            download(store, client, LTC, HALLOWEEN, HALLOWEEN)
    else:
        times = pd.DatetimeIndex(["2019-10-31"], tz="UTC", name="time")
        ticks = pd.DataFrame({"trade_id": [7]}, index=times)
        store.insert(LTC, BiTimestamp(HALLOWEEN), ticks, source=source)
    before = store.token
    with pytest.raises(BadRequest, match="would mix with them; choose another table"):
        run(store, exchange)
    assert store.token == before
    assert run(store, exchange, supersede=True).versions_written == 1


@pytest.mark.parametrize("kept", [slice(0, -5), slice(5, None), slice(5, 6)])
def test_a_correction_by_hand_hinders_no_later_day(kept):
    """What is left of a day does not tell where the next one begins."""
    store, exchange = MemoryTickstore(), Exchange()
    before = date(2019, 10, 30)
    run(store, exchange, before)
    corrected = store.select(LTC).iloc[kept]
    store.insert(LTC, BiTimestamp(before), corrected)
    summary = run(store, exchange, before, HALLOWEEN)
    assert (summary.days, summary.days_failed) == (1, 0)
    assert same(store.select(LTC, start=HALLOWEEN), truth(LTC, HALLOWEEN, HALLOWEEN))
    assert len(store.select(LTC, before, before)) == len(corrected)


def test_a_day_that_was_deleted_is_left_alone():
    """Also one that this exchange never answered; undeleted, or not, nothing asks for it."""
    store, exchange, notes = MemoryTickstore(), Exchange(), []
    run(store, exchange, date(2019, 10, 29))
    day = date(2019, 10, 30)
    times = pd.DatetimeIndex(["2019-10-30"], tz="UTC", name="time")
    ticks = store.select(LTC).iloc[:1].set_axis(times)
    store.insert(LTC, BiTimestamp(day), ticks)
    store.delete(LTC, BiTimestamp(day))
    summary = run(store, exchange, day, HALLOWEEN, on_note=notes.append)
    assert (summary.days, summary.days_deleted, summary.whole) == (1, 1, True)
    assert store.select(LTC, day, day).empty
    assert notes == ["deleted before, and not asked: 2019-10-30; undelete them to have them back"]
    assert [seen[0] for seen in outcomes(store)] == [date(2019, 10, 29), HALLOWEEN]


def test_two_runs_at_once_do_no_harm(tmp_path):
    """One of them stores a day, the other finds it stored, or stores the same."""
    exchange, days, told = Exchange(), (date(2019, 10, 29), HALLOWEEN), []

    def work():
        with LocalTickstore(tmp_path / "T") as store:
            told.append(run(store, exchange, *days))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(summary.whole for summary in told)
    with LocalTickstore(tmp_path / "T") as store:
        assert len(told) == 2
        assert same(store.select(LTC), truth(LTC, *days))
        assert len(store.revisions(LTC)) == 3
        assert store.verify().empty


def test_trades_that_vanish_at_the_exchange_do_not_vanish_here():
    """A day of which trades are stored is never made empty by one answer."""
    store, exchange = MemoryTickstore(), Exchange()
    run(store, exchange)
    with Exchange(Gone(date(2019, 10, 30))).client("http://other") as other:
        summary = download_trades(store, other, LTC, HALLOWEEN, HALLOWEEN, supersede=True)
    assert (summary.days_in_doubt, summary.whole) == (1, False)
    assert len(store.select(LTC)) == 6000


def test_requests_share_the_limit_and_none_is_refused():
    """Seeking and pages, side by side; against the sandbox's own limit."""
    store = MemoryTickstore()
    with measured(rate=10, now=NOON) as client:
        download_trades(store, client, "ETH-USD", HALLOWEEN, HALLOWEEN)
    assert same(store.select("ETH-USD"), truth("ETH-USD", HALLOWEEN, HALLOWEEN))


def test_knowledge_starts_when_it_is_asked_to():
    """As for candles."""
    store = MemoryTickstore()
    run(store, Exchange(), known_from="day-end")
    assert len(store.select(LTC, as_of_time=NOON)) == 6000
    with pytest.raises(BadRequest):
        run(store, Exchange(), known_from="yesterday")


def test_bars_of_stored_trades_are_the_candles_to_the_bit():
    """Rebuilt from what is stored, held against what the exchange serves."""
    trades, candles, exchange = MemoryTickstore(), MemoryTickstore(), Exchange()
    days = date(2019, 10, 29), HALLOWEEN
    run(trades, exchange, *days)
    with exchange.client() as client:
        download(candles, client, LTC, *days)
    found = audit(trades, candles, LTC, *days)
    assert found.whole
    assert (found.trades, found.equal) == (18_000, len(candles.select(LTC)))
