"""Each fault does over the wire what its help says, as often as it says, and as its seed says."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behemoth import MemoryTickstore
from behemoth.errors import BadRequest
from behemoth.feeds import CoinbaseClient, Window, download
from behemoth.feeds.candles import BrokenAnswer, parse_candles
from behemoth.feeds.sandbox import FAULTS, BuiltInMarket, Faults, Sandbox, rules
from behemoth.feeds.sandbox.rules import Answer
from behemoth.feeds.sandbox.spoiling import GARBAGE, Asked, spoilt
from behemoth.feeds.sandbox.troubled import Troubled
from tests.feeds.test_download import stored

NOW = datetime(2019, 11, 5, 12, 0, 30, tzinfo=UTC)
DAY = date(2019, 10, 31)
MIDNIGHT = 1572480000
WINDOW = Window("BTC-USD", 60, MIDNIGHT, MIDNIGHT + 299 * 60)
RATED = [name for name, fault in FAULTS.items() if fault.rate is not None]
WITHOUT_A_RETRY = ["early", "twice", "slow", "maintenance", "listing", "delisted"]


def sandbox(seed=0, **faults):
    """A sandbox without a limit that matters; fault names have _ for -."""
    chosen = {name.replace("_", "-"): value for name, value in faults.items()}
    return Sandbox(now=NOW, rate=1e6, burst=10**6, faults=Faults(chosen, seed))


def target(first=MIDNIGHT, last=MIDNIGHT + 299 * 60, granularity=60):
    """A request for candles."""
    return f"/products/BTC-USD/candles?granularity={granularity}&start={first}&end={last}"


def get(exchange, path=None, **options):
    """Ask once, on a connection of its own."""
    return httpx.get(exchange.url + (path or target()), **options)


def right(path=None):
    """The body that a good exchange gives."""
    return rules.answer(path or target(), BuiltInMarket(), NOW).encode()


def day_as_answered(exchange, granularity=60, day=MIDNIGHT):
    """All candles of a day, as they are answered now, oldest first."""
    step = 300 * granularity
    rows = []
    for first in range(day, day + 86400, step):
        last = min(first + step, day + 86400) - granularity
        rows = get(exchange, target(first, last, granularity)).json() + rows
    return np.array(rows[::-1], dtype=float).reshape(-1, 6)


# --- decisions ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in RATED if "storm" not in name])
def test_a_fault_happens_as_often_as_its_rate_says(name):
    """Within four standard deviations, for several rates and seeds."""
    for rate, seed in itertools.product([0.0, 0.02, 0.2, 1.0], [1, 2]):
        faults = Faults({name: rate}, seed)
        share = np.mean([faults.happens(name, "x", number) for number in range(5000)])
        assert abs(share - rate) <= 4 * np.sqrt(rate * (1 - rate) / 5000)


@pytest.mark.parametrize("name", ["storm", "storm-rest"])
def test_a_storm_meets_several_requests_in_a_row(name):
    """2 to 5, more where two storms meet; nothing between them."""
    faults = Faults({name: 0.01}, seed=5)
    met = [faults.storms(name, number) for number in range(20_000)]
    lengths = [len(list(group)) for stormy, group in itertools.groupby(met) if stormy]
    assert min(lengths) == 2
    assert sorted(lengths)[int(0.8 * len(lengths))] <= 5
    assert 0.02 < np.mean(met) < 0.05


def test_a_seed_is_a_night():
    """The same seed decides the same, another one something else."""

    def night(seed):
        faults = Faults(dict.fromkeys(RATED, 0.3), seed)
        return [
            (faults.happens(name, number), faults.storms(name, number), faults.refuses(number))
            for name in RATED
            for number in range(50)
        ]

    assert night(1) == night(1) != night(2)


def test_faults_are_read_as_they_are_typed():
    """A later word changes what an earlier one said."""
    faults = Faults.parse(["all", "empty=0.5", "listing=2019-10-30"], seed=3)
    assert set(faults.chosen) == {*RATED, "listing"}
    assert (faults.chosen["empty"], faults.chosen["cut"]) == (0.5, FAULTS["cut"].rate)
    assert faults.day("listing") == date(2019, 10, 30)
    assert not Faults.parse([]).chosen


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("nope", "storm, storm-rest, html-502"),
        ("storm=2", "0 to 1"),
        ("storm=nan", "0 to 1"),
        ("storm=x", "storm=0.1"),
        ("listing", "listing=2019-10-31"),
        ("listing=1", "listing=2019-10-31"),
        ("all=0.5", "all takes no rate"),
    ],
)
def test_what_is_no_fault_is_refused_with_the_way_out(word, part):
    """One line."""
    with pytest.raises(BadRequest, match=re.escape(part)):
        Faults.parse([word])


def test_the_command_lists_the_faults_and_refuses_others():
    """``--help`` has every name; misuse is exit code 2."""
    command = [sys.executable, "-m", "behemoth", "sandbox"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert [name for name in FAULTS if f"- {name}: " not in shown] == []
    wrong = subprocess.run(
        [*command, "--fault", "nope"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, "html-502" in wrong.stderr) == (2, True)


def test_the_sandbox_says_in_the_end_what_went_wrong():
    """How often each fault happened, and what the rate limit itself refused."""
    words = ["sandbox", "--port", "0", "--burst", "2", "--rate", "0.001", "--fault", "html-502=1"]
    command = [sys.executable, "-m", "behemoth", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]
        assert [httpx.get(f"{url}/time").status_code for _ in range(3)] == [502, 502, 429]
        process.terminate()
        told, _ = process.communicate()
    assert "answered 1 x 429, 2 x 502; 1 over the rate limit" in told
    assert "faults 2 x html-502" in told


# --- over the wire --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *(target(), target(MIDNIGHT - 300, MIDNIGHT), target(granularity=3600), target(0, 60)),
        *(target(5, 1), "/products/NOPE", "/products/ETH-USD", "/products/ETH-USD/candles"),
    ],
)
def test_without_a_fault_nothing_is_spoilt(path):
    """Byte for byte; a rate of 0 is none."""
    with (
        Sandbox(now=NOW, clock=lambda: 0.0) as plain,
        Sandbox(now=NOW, clock=lambda: 0.0, faults=Faults(dict.fromkeys(RATED, 0.0))) as none,
    ):
        assert get(plain, path).content == get(none, path).content == right(path)
        assert plain.faults_met == none.faults_met == {}


@pytest.mark.parametrize("name", ["storm", "storm-rest"])
def test_a_storm_is_a_429_of_its_own(name):
    """With Retry-After or without; counted apart from the rate limit's."""
    with sandbox(**{name: 1.0}) as exchange:
        answer = get(exchange)
        assert (answer.status_code, answer.json()) == (429, rules.RATE_LIMITED.body)
        assert answer.headers.get("Retry-After") == {"storm": None, "storm-rest": "1"}[name]
        assert (exchange.over_limit, exchange.faults_met) == (0, {name: 1})


def test_the_limits_own_429_are_counted_apart():
    """And asking for the counts costs nothing."""
    faults = Faults({"html-502": 1.0})
    with Sandbox(burst=2, clock=lambda: 0.0, faults=faults) as exchange:
        assert [get(exchange, "/time").status_code for _ in range(5)] == [502, 502, 429, 429, 429]
        counts = get(exchange, "/sandbox/counts").json()
    assert exchange.over_limit == 3
    assert counts == {
        "requests": 5,
        "statuses": {"429": 3, "502": 2},
        "over_limit": 3,
        "faults": {"html-502": 2},
    }


def test_a_gateway_answers_a_page():
    """HTML, not JSON."""
    with sandbox(html_502=1.0) as exchange:
        answer = get(exchange)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert answer.text.startswith("<html>")


def test_slow_bytes_come_in_the_end():
    """Half a second at least, and at most two."""
    with sandbox(slow=1.0) as exchange:
        begin = time.monotonic()
        answer = get(exchange)
        assert 0.4 < time.monotonic() - begin < 3
    assert answer.content == right()


def test_a_cut_body_ends_with_its_connection():
    """Fewer bytes than were promised."""
    with sandbox(cut=1.0) as exchange, httpx.Client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(exchange.url + target())
        with client.stream("GET", exchange.url + target()) as answer:
            got = b""
            with suppress(httpx.RemoteProtocolError):
                for piece in answer.iter_raw():
                    got += piece
        assert got == right()[: len(right()) // 2]


def test_garbage_is_of_every_kind_and_no_candles():
    """No kind of it can be taken for an answer."""
    with sandbox(garbage=1.0) as exchange, httpx.Client() as client:
        answers = [client.get(exchange.url + target()) for _ in range(60)]
    bodies = {answer.content for answer in answers}
    assert len(bodies) == len(GARBAGE)
    assert {answer.status_code for answer in answers} == {200}
    for body in bodies:
        with pytest.raises(BrokenAnswer):
            parse_candles(body, WINDOW)


@given(seed=st.integers(), body=st.sampled_from([[], [[MIDNIGHT, 1, 2, 1, 2, 3.5]], {"iso": "x"}]))
def test_garbage_is_never_right(seed, body):
    """Whatever it is made of."""
    reply = spoilt(Faults({"garbage": 1.0}, seed), Asked(0, target()), lambda: Answer(200, body))
    assert not reply.usable
    with pytest.raises(BrokenAnswer):
        parse_candles(reply.body, WINDOW)


def test_an_empty_answer_is_one_in_five():
    """Of those that would have rows, by default."""
    with sandbox(empty=FAULTS["empty"].rate) as exchange, httpx.Client() as client:
        answers = [client.get(exchange.url + target()).json() for _ in range(200)]
        empty = sum(not rows for rows in answers)
        assert 20 <= empty <= 60
        assert exchange.faults_met == {"empty": empty}
        nothing = client.get(exchange.url + target(0, 60))
        assert (nothing.json(), exchange.faults_met) == ([], {"empty": empty})


def test_early_rows_are_those_before_the_start():
    """One to five, and true ones."""
    before = BuiltInMarket().minutes("BTC-USD", MIDNIGHT - 5 * 60, MIDNIGHT)
    with sandbox(early=1.0) as exchange:
        rows = get(exchange).json()
        early = [row for row in rows if row[0] < MIDNIGHT]
        assert rows[: -len(early)] == rules.answer(target(), BuiltInMarket(), NOW).body
        assert 1 <= len(early) <= 5
        assert early == before[::-1][: len(early)].tolist()
        get(exchange, target(0, 60))
        assert exchange.faults_met == {"early": 1}


def test_rows_that_are_there_twice_are_the_same():
    """None is new, none is missing."""
    with sandbox(twice=1.0) as exchange:
        rows = get(exchange).json()
    once = rules.answer(target(), BuiltInMarket(), NOW).body
    assert len(rows) > len(once)
    assert sorted(map(tuple, {tuple(row) for row in rows})) == sorted(map(tuple, once))


@given(seed=st.integers(), again=st.integers(0, 5))
def test_early_and_repeated_rows_change_nothing_that_is_read(seed, again):
    """A client that clips and takes each candle once reads the same, whatever the seed."""
    before = BuiltInMarket().minutes("BTC-USD", MIDNIGHT - 600, MIDNIGHT)[::-1].tolist()
    reply = spoilt(
        Faults({"early": 1.0, "twice": 1.0}, seed),
        Asked(0, target(), again),
        lambda: rules.answer(target(), BuiltInMarket(), NOW),
        lambda count: before[:count],
    )
    assert set(reply.faults) == {"early", "twice"}
    expected = parse_candles(right(), WINDOW)
    assert parse_candles(reply.body, WINDOW).frame().equals(expected.frame())


def test_the_port_is_closed_for_a_while():
    """Refused for real, on the same port, and open again by itself."""
    night = Faults({"refused": 0.5}, seed=next(s for s in itertools.count() if _refuses_first(s)))
    with Sandbox(now=NOW, faults=night) as exchange, httpx.Client() as client:
        assert client.get(exchange.url + "/time").status_code == 200
        refused, answer = 0, None
        deadline = time.monotonic() + 10
        while answer is None and time.monotonic() < deadline:
            try:
                answer = client.get(exchange.url + target())
            except httpx.ConnectError:
                refused += 1
            except httpx.TransportError:
                pass  # it was under way when the port was closed
        assert refused > 0
        assert answer is not None
        assert answer.content == right()
        assert exchange.faults_met == {"refused": 1}


def _refuses_first(seed):
    """Whether the port is closed behind the first request, and not behind the next ones."""
    faults = Faults({"refused": 0.5}, seed)
    return faults.refuses(0) > 0 and not any(map(faults.refuses, range(1, 4)))


# --- whole days -----------------------------------------------------------------------------


def test_a_revised_day_changes_once_all_of_it_was_asked():
    """Values differ and rows come, the sandbox tells; each granularity stands on its own."""
    final = BuiltInMarket().minutes("BTC-USD", MIDNIGHT, MIDNIGHT + 86400)
    with sandbox(revised=1.0) as exchange:
        believed = exchange.truth("BTC-USD", DAY)
        get(exchange)
        get(exchange)
        (standing,) = exchange.revised
        assert (standing.day, standing.answered, standing.changed) == (DAY, 300, False)
        assert np.array_equal(day_as_answered(exchange), believed)
        assert exchange.revised[0].changed
        assert np.array_equal(exchange.truth("BTC-USD", DAY), final)
        assert np.array_equal(day_as_answered(exchange), final)
        assert not np.array_equal(exchange.truth("BTC-USD", DAY, 300)[:, 5], final[:, 5])
        told = get(exchange, "/sandbox/faults").json()["revised"][0]
        assert (told["day"], told["changed"], told["of"]) == ("2019-10-31", True, 1440)
        rows = get(exchange, "/sandbox/truth?product=BTC-USD&day=2019-10-31").json()
        assert rows[::-1] == final.tolist()
    assert 0 < len(final) - len(believed) <= 4
    same = final[np.isin(final[:, 0], believed[:, 0])]
    assert 0 < (same != believed).any(axis=1).sum() <= 8
    low, high, opened, close = believed[:, 1:5].T
    assert np.all((low <= np.minimum(opened, close)) & (high >= np.maximum(opened, close)))


def test_a_spoilt_answer_does_not_revise_a_day():
    """Only what arrived was told."""
    with sandbox(revised=1.0, empty=1.0) as exchange:
        day_as_answered(exchange)
        assert exchange.revised == ()


def test_maintenance_is_a_hole_of_hours():
    """1 to 8, on days that the seed chooses, for all products; coarser candles agree."""
    with sandbox(maintenance=1.0) as exchange:
        minutes, hours = day_as_answered(exchange), day_as_answered(exchange, 3600)
        first, after = exchange.market.hole(DAY)
        assert 3600 <= after - first <= 8 * 3600
        whole = BuiltInMarket().minutes("BTC-USD", MIDNIGHT, MIDNIGHT + 86400)
        outside = (whole[:, 0] < first) | (whole[:, 0] >= after)
        assert np.array_equal(minutes, whole[outside])
        assert set(hours[:, 0]) == set(minutes[:, 0] // 3600 * 3600)


def test_a_listing_date_moves_the_first_trade():
    """Before it there is a true empty list."""
    with sandbox(listing=DAY) as exchange:
        assert exchange.market.listed("BTC-USD") == DAY
        assert get(exchange, target(MIDNIGHT - 18000, MIDNIGHT - 60)).json() == []
        assert get(exchange).content == right()


def test_a_delisted_product_says_so_and_trades_no_more():
    """Status delisted, an empty book, and history that stays."""
    with sandbox(delisted=DAY) as exchange:
        product = get(exchange, "/products/BTC-USD").json()
        assert (product["status"], product["trading_disabled"]) == ("delisted", True)
        assert get(exchange).content == right()
        assert get(exchange, target(MIDNIGHT + 86400, MIDNIGHT + 86400 + 60)).json() == []
        book = get(exchange, "/products/BTC-USD/book").json()
        assert (book["bids"], book["asks"]) == ([], [])


# --- downloads ------------------------------------------------------------------------------


def hurried(exchange):
    """A client whose clock runs twenty times as fast, so that its patience is a test's."""
    return CoinbaseClient(
        exchange.url,
        rate=4,
        clock=lambda: 20 * time.monotonic(),
        sleep=lambda seconds: time.sleep(seconds / 20),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("storm", 0.05), ("storm-rest", 0.05), ("html-502", 0.3), ("garbage", 0.3)),
        *(("early", 0.5), ("twice", 0.5), ("cut", 0.3), ("slow", 0.1), ("refused", 0.05)),
        *(("maintenance", 1.0), ("listing", date(2019, 10, 30)), ("delisted", date(2019, 10, 30))),
    ],
)
def test_a_download_through_one_fault_ends_complete_and_true(name, value):
    """Three days, each minute once, to the bit."""
    store = MemoryTickstore()
    seed = next(seed for seed in itertools.count() if _begins(name, value, seed))
    with sandbox(seed, **{name: value}) as exchange, hurried(exchange) as client:
        summary = download(store, client, "BTC-USD", date(2019, 10, 29), DAY)
        minutes = exchange.market.minutes("BTC-USD", MIDNIGHT - 2 * 86400, MIDNIGHT + 86400)
        assert exchange.over_limit == 0
        met = exchange.faults_met
    assert np.array_equal(stored(store), minutes)
    assert summary.days == 3
    if name in WITHOUT_A_RETRY:
        assert summary.retries == 0
    else:
        assert met[name] > 0
        assert summary.retries > 0


def _begins(name, value, seed):
    """Whether a fault that goes by the number of the request begins behind the first few."""
    faults = Faults({name: value}, seed)
    if name not in ("storm", "storm-rest", "refused"):
        return True
    met = [faults.storms(name, number) or faults.refuses(number) > 0 for number in range(6)]
    return any(met) and not any(met[:2])


def test_several_faults_at_once_leave_nothing_wrong():
    """All that a client can see through, together."""
    chosen = {
        "html-502": 0.1,
        "garbage": 0.1,
        "early": 0.3,
        "twice": 0.3,
        "cut": 0.1,
        "storm": 0.04,
    }
    store = MemoryTickstore()
    with (
        Sandbox(now=NOW, rate=1e6, burst=10**6, faults=Faults(chosen, 4)) as exchange,
        hurried(exchange) as client,
    ):
        download(store, client, "BTC-USD", date(2019, 10, 29), DAY)
        met = exchange.faults_met
    truth = BuiltInMarket().minutes("BTC-USD", MIDNIGHT - 2 * 86400, MIDNIGHT + 86400)
    assert np.array_equal(stored(store), truth)
    assert len(met) >= 4


def test_a_troubled_market_is_the_market_where_nothing_is_chosen():
    """Only what is asked for happens."""
    market, whole = Troubled(BuiltInMarket(), Faults()), BuiltInMarket()
    assert market.products == whole.products
    assert (market.listed("ETH-USD"), market.delisted("ETH-USD")) == (date(2016, 5, 18), None)
    assert np.array_equal(
        market.minutes("ETH-USD", 0, 1463600000), whole.minutes("ETH-USD", 0, 1463600000)
    )
    assert replace(Asked(0, target()), again=1).lists
