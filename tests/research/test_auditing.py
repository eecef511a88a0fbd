"""An audit says of each minute whether candles and trades agree."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, MemoryTickstore
from behemoth.errors import NotFound
from behemoth.research import audit

DAY = date(2019, 10, 31)
TIMES = ["2019-10-31 00:00:00", "2019-10-31 00:00:59.999999", "2019-10-31 00:02:00"]


def tables(kind=MemoryTickstore, **changes):
    """Three trades in two minutes, and their candles with some changes."""
    trades, candles = kind(), MemoryTickstore()
    prints = pd.DataFrame(
        {"price": [2.0, 1.0, 3.0], "size_e8": [10_000_000, 20_000_000, 1]},
        index=pd.to_datetime(TIMES, utc=True, format="ISO8601"),
    )
    bars = pd.DataFrame(
        {
            "low": [1.0, 3.0],
            "high": [2.0, 3.0],
            "open": [2.0, 3.0],
            "close": [1.0, 3.0],
            "volume": [0.1 + 0.2, 1e-8],  # a float sum, as an exchange may give it
        },
        index=pd.to_datetime(["2019-10-31 00:00", "2019-10-31 00:02"], utc=True),
    )
    for name, values in changes.items():
        bars[name] = values
    trades.insert("A", BiTimestamp(DAY), prints)
    candles.insert("A", BiTimestamp(DAY), bars)
    return trades, candles


def test_candles_that_follow_from_the_trades_are_equal():
    """A volume is compared at its eighth decimal: its sum of floats is not the exact one."""
    found = audit(*tables(), "A", DAY)
    assert (found.whole, found.equal, found.trades) == (True, 2, 3)
    assert found.as_json()["minutes"] == []


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_a_minute_that_differs_is_shown_with_both_values(field):
    """Whichever field it is, by however little."""
    trades, candles = tables()
    value = candles.select("A")[field].to_numpy().copy()
    value[0] += 1e-8 if field == "volume" else 1e-15 if field == "low" else 1e-12
    found = audit(trades, tables(**{field: value})[1], "A", DAY)
    assert (found.whole, found.equal) == (False, 1)
    row = found.differing.iloc[0]
    assert row[f"{field}_candles"] != row[f"{field}_trades"]
    assert found.as_json()["differing"] == 1
    assert json.dumps(found.as_json(), allow_nan=False)


def test_minutes_that_only_one_side_has_are_told_apart():
    """A minute without a trade has no bar, and no candle."""
    trades, candles = tables()
    first, second = (trades.select("A").iloc[:2], trades.select("A").iloc[2:])
    for part, only in ((first, "only_candles"), (second, "only_candles")):
        fewer = MemoryTickstore()
        fewer.insert("A", BiTimestamp(DAY), part)
        found = audit(fewer, candles, "A", DAY)
        assert (len(getattr(found, only)), found.equal, found.whole) == (1, 1, False)
        assert found.as_json()[only] == 1
    fewer = MemoryTickstore()
    fewer.insert("A", BiTimestamp(DAY), candles.select("A").iloc[:1])
    found = audit(trades, fewer, "A", DAY)
    assert found.only_trades.tolist() == [pd.Timestamp("2019-10-31 00:02", tz="UTC")]
    assert np.isnan(found.differing["open_candles"].iloc[0])


def test_a_side_that_is_not_stored_is_a_clear_error():
    """With the command that gets it; also where one day of several is missing."""
    trades, candles = tables()
    with pytest.raises(NotFound, match=r"no trades of 'A' .* --what trades"):
        audit(MemoryTickstore(), candles, "A", DAY)
    with pytest.raises(NotFound, match="no candles of 'A' are stored for 2019-10-31"):
        audit(trades, MemoryTickstore(), "A", date(2019, 10, 30), DAY)
    with pytest.raises(NotFound, match="2019-11-01"):
        audit(trades, candles, "A", date(2019, 11, 1))


def test_each_side_is_read_in_one_state_whoever_commits_meanwhile():
    """A day that comes between two reads of the trades is in neither of them."""
    later = pd.DataFrame(
        {"price": [9.0], "size_e8": [1]}, index=pd.to_datetime(TIMES[:1], utc=True)
    )

    class Busy(MemoryTickstore):
        def select(self, *asked, **how):
            found = super().select(*asked, **how)
            self.insert("A", BiTimestamp(DAY), later)
            return found

    assert audit(*tables(Busy), "A", DAY).whole


def test_each_side_is_asked_as_it_was_known():
    """A candle that was corrected later differed before."""
    trades, candles = tables(open=[9.0, 3.0])
    before = candles.token
    candles.insert("A", BiTimestamp(DAY), tables()[1].select("A"))
    assert audit(trades, candles, "A", DAY).whole
    assert not audit(trades, candles.at(before), "A", DAY).whole


def test_a_minute_that_has_two_candles_is_not_equal():
    """Not even if they are the same; the second has no counterpart."""
    trades, candles = tables()
    bars = candles.select("A")
    for twice, minutes in ((bars.iloc[:1], 2), (bars.iloc[:1].assign(close=7.0), 1)):
        store = MemoryTickstore()
        store.insert("A", BiTimestamp(DAY), pd.concat([bars.iloc[:minutes], twice]).sort_index())
        found = audit(trades, store, "A", DAY)
        assert found.only_candles.tolist() == [bars.index[0]]
        assert (found.equal, len(found.only_trades)) == (minutes, 2 - minutes)


def test_volumes_beyond_int64_are_added_up_exactly():
    """A coin of which a minute sees 10^11."""
    trades, _ = tables()
    sizes = [2**62 + 1, 2**62 + 2, 3]
    many = MemoryTickstore()
    many.insert("A", BiTimestamp(DAY), trades.select("A").assign(size_e8=sizes))
    volume = [(2**63 + 3) / 10**8, 3e-8]
    assert audit(many, tables(volume=volume)[1], "A", DAY).whole
    volume[0] = np.nextafter(volume[0], 0)
    assert not audit(many, tables(volume=volume)[1], "A", DAY).whole


def test_naive_times_are_utc():
    """On either side, as everywhere."""
    sides = [side.select("A") for side in tables()]
    for naive in range(2):
        stores = MemoryTickstore(), MemoryTickstore()
        for number, (store, ticks) in enumerate(zip(stores, sides, strict=True)):
            ticks = ticks.tz_localize(None) if number == naive else ticks
            store.insert("A", BiTimestamp(DAY), ticks)
        assert audit(*stores, "A", DAY).whole


def test_a_candle_that_is_infinite_is_json_too():
    """As a text: JSON has no number for it."""
    found = audit(*tables(volume=[np.inf, -np.inf]), "A", DAY)
    minutes = json.loads(json.dumps(found.as_json(), allow_nan=False))["minutes"]
    assert [minute["volume_candles"] for minute in minutes] == ["inf", "-inf"]
