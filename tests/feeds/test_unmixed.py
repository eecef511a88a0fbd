"""Sources mix in a table on purpose alone, and a purpose is told once."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date, timedelta

import pandas as pd
import pytest

from behemoth import BiTimestamp, MemoryTickstore
from behemoth.errors import BadRequest
from behemoth.feeds import download, import_candles, plan_download, verify_source
from tests.feeds.moody import NOW, Moody, fast, opened, trades

DAYS = [date(2019, 10, day) for day in (28, 29, 30, 31)]


@pytest.fixture
def store():
    """A table."""
    return MemoryTickstore()


@pytest.fixture
def ask(store):
    """Downloads days from the exchange ``"a"`` or ``"b"``, which know the same market."""
    with ExitStack() as stack:
        exchanges = {name: stack.enter_context(opened(Moody(trades(*DAYS)))) for name in "ab"}
        clients = {name: stack.enter_context(fast(each)) for name, each in exchanges.items()}

        def asked(name, first, last, **options):
            days = DAYS[first], DAYS[last]
            return download(store, clients[name], "BTC-USD", *days, **options)

        asked.exchanges, asked.clients = exchanges, clients
        yield asked


def refused(ask, name, first, last, there, **options):
    """It names both, and the way out, and asks for no candle."""
    before = ask.clients[name].counts.requests
    with pytest.raises(BadRequest, match=r"--table.*--supersede") as error:
        ask(name, first, last, **options)
    assert there in str(error.value)
    assert ask.exchanges[name].url in str(error.value)
    assert ask.clients[name].counts.requests - before <= 1  # the time


def test_a_newcomer_is_refused_also_for_days_that_nobody_asked(ask):
    """A sandbox beside the exchange: what mixes is the table."""
    ask("a", 0, 1)
    refused(ask, "b", 3, 3, f"candles/60 from {ask.exchanges['a'].url}")
    refused(ask, "a", 3, 3, "candles/60 from", granularity=3600)


def test_what_was_mixed_on_purpose_needs_no_more_words(ask):
    """For new days; those of the other one are protected still."""
    ask("a", 0, 1)
    ask("b", 2, 2, supersede=True)
    assert ask("b", 3, 3).days == 1
    assert ask("a", 0, 1).days_already_complete == 2
    refused(ask, "b", 1, 3, f"candles/60 from {ask.exchanges['a'].url}")
    refused(ask, "a", 1, 2, f"candles/60 from {ask.exchanges['b'].url}")


@pytest.mark.parametrize("others", [1, 40])
def test_ticks_that_another_named_source_brought_are_not_mixed_with(store, ask, others):
    """Also without an observation, on days that nobody asks; those of no name hinder nobody."""
    index = pd.DatetimeIndex(["2019-10-28"], tz="UTC", name="time")
    frame = pd.DataFrame({"close": [1.0]}, index=index)
    for number in range(others):
        day = DAYS[0] - timedelta(days=number)
        store.insert(
            "BTC-USD", BiTimestamp(day), frame.shift(-24 * number, "h"), source="my vendor"
        )
    refused(ask, "a", 0, 1, "ticks from my vendor")
    refused(ask, "a", 1, 1, "ticks from my vendor")
    ask("a", 1, 1, supersede=True)
    assert ask("a", 2, 2).days == 1
    refused(ask, "b", 3, 3, f"candles/60 from {ask.exchanges['a'].url}")


def test_a_correction_by_hand_hinders_no_source_on_other_days(store, ask):
    """The log names nobody for it."""
    index = pd.DatetimeIndex(["2019-10-28"], tz="UTC", name="time")
    store.insert("BTC-USD", BiTimestamp(DAYS[0]), pd.DataFrame({"close": [1.0]}, index=index))
    assert ask("a", 1, 1).days == 1
    refused(ask, "a", 0, 1, "ticks from an unnamed source")


def test_who_was_superseded_wholly_is_a_newcomer_again(ask):
    """Whoever superseded it needs no more words, whatever was answered before."""
    ask("a", 0, 1)
    ask.exchanges["b"].market.table[:, 5] += 1
    assert ask("b", 0, 1, supersede=True).versions_written == 2
    assert ask("b", 0, 2).days == 1
    refused(ask, "a", 3, 3, f"candles/60 from {ask.exchanges['b'].url}")


def test_a_verification_that_agrees_makes_the_days_its_own(store, ask):
    """No version is written, as nothing differs; downloads and verifications know it both."""
    ask("a", 0, 1)
    client = ask.clients["b"]
    with pytest.raises(BadRequest, match="--supersede"):
        verify_source(store, client, "BTC-USD", *DAYS[:2])
    verify_source(store, client, "BTC-USD", *DAYS[:2], update=True, supersede=True)
    assert len(store.revisions("BTC-USD")) == 2
    assert ask("b", 0, 3).days == 2
    assert verify_source(store, client, "BTC-USD", DAYS[0], DAYS[3]).settled


def test_an_imported_file_is_a_source_of_its_own(store, ask, tmp_path):
    """Its days are never asked without a word; others once there was one."""
    path = tmp_path / "old.csv"
    path.write_text("1572220800,1,4,2,3,5\n")
    import_candles(store, path, "BTC-USD", preset="coinbase")
    refused(ask, "a", 0, 1, "candles/60 from file:old.csv")
    refused(ask, "a", 1, 1, "candles/60 from file:old.csv")
    ask("a", 1, 1, supersede=True)
    assert ask("a", 1, 2).days == 1
    refused(ask, "a", 0, 3, "candles/60 from file:old.csv")
    assert ask("a", 0, 0, supersede=True).versions_written == 1
    assert ask("a", 0, 3).days == 1


def test_what_agrees_with_a_source_takes_nothing_from_it(store, ask, tmp_path):
    """A file that repeats its ticks, or a correction by hand."""
    ask("a", 0, 1)
    frame = store.select("BTC-USD", start=DAYS[0], end=DAYS[0])
    rows = zip(frame.index.asi8 // 10**9, *(frame[name] for name in frame), strict=True)
    path = tmp_path / "same.csv"
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    assert import_candles(store, path, "BTC-USD", preset="coinbase").days_already_there == 1
    store.insert("BTC-USD", BiTimestamp(DAYS[1]), frame.iloc[:5].shift(24, "h"), source="by hand")
    assert ask("a", 0, 2).days == 1
    assert verify_source(store, ask.clients["a"], "BTC-USD", DAYS[0], DAYS[0]).settled


def test_what_was_deleted_or_is_empty_mixes_with_nothing(store, ask):
    """Visible ticks alone count."""
    ask("a", 0, 0)
    store.delete("BTC-USD", BiTimestamp(DAYS[0]))
    url = ask.exchanges["b"].url
    todo = plan_download(store, url, "BTC-USD", DAYS[0], DAYS[2], now=lambda: NOW)
    assert (len(todo.days), todo.deleted) == (2, (DAYS[0],))
