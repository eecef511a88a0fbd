"""The ledger beside the peers: it counts right, it writes its page, and Behemoth passes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import durability, ledger, machine
from benchmarks.contenders import CONTENDERS, ROWS
from benchmarks.durability import Said
from benchmarks.ledger import Balance, Kill, Race, Setting
from benchmarks.speed.peers import WAYS

ROOT = Path(__file__).parents[2]
A, B = (0, 0), (1, 0)
SETTING = Setting(
    date="2019-10-31",
    size="small",
    python="3.12.1",
    system="Linux x86_64",
    processors=2,
    file_system="ext4",
    packages={"behemoth": "0.1.0", "arcticdb": "6.28.0"},
    workers=4,
    commits=25,
    kills=5,
    limit=60.0,
)


def a_race(**changed):
    counts = {"asked": 100, "acknowledged": 98, "present": 90, "lost": 8, "doubled": 1}
    more = {"torn": 3, "unacknowledged": 0, "errors": 2, "untried": 0, "seconds": 0.44, "kinds": {}}
    return Race(**{"contender": "arcticdb-append", **counts, **more, **changed})


def a_kill(**changed):
    counts = {"kills": 5, "acknowledged": 44, "unopened": 1, "unreadable": 2, "lost": 3}
    more = {"doubled": 4, "torn": 9, "errors": 6, "seconds": 7.4, "kinds": {}}
    return Kill(**{"contender": "pandas-hdf", **counts, **more, **changed})


@pytest.mark.parametrize(
    ("acknowledged", "rows", "balance"),
    [
        (set(), {}, Balance(0, 0, 0, 0, 0)),
        ({A, B}, {A: ROWS, B: ROWS}, Balance(2, 0, 0, 0, 0)),
        ({A, B}, {A: ROWS}, Balance(1, 1, 0, 0, 0)),
        ({A}, {A: 3 * ROWS}, Balance(1, 0, 1, 0, 0)),
        ({A}, {A: ROWS - 1}, Balance(0, 1, 0, 1, 0)),
        ({A}, {A: ROWS + 1}, Balance(1, 0, 0, 1, 0)),
        (set(), {A: 1}, Balance(0, 0, 0, 1, 0)),
        ({A}, {A: ROWS, B: ROWS}, Balance(2, 0, 0, 0, 1)),
    ],
)
def test_a_balance_tells_what_is_lost_doubled_torn_and_unacknowledged(acknowledged, rows, balance):
    assert ledger.balance(acknowledged, rows) == balance


def test_what_a_writer_says_is_heard():
    said = Said()
    assert said.hear(3, "ok 7\n")
    assert not said.hear(3, "error 8 OSError: disk full\n")
    assert not said.hear(4, "error 8 OSError: disk full\n")
    assert not said.hear(4, "late\n")
    assert not said.hear(4, "a warning of some library\n")
    assert said.acknowledged == {(3, 7)}
    assert said.kinds == {"OSError: disk full": 2}


def test_a_page_shows_every_count_under_its_name():
    page = ledger.page(SETTING, [a_race()], [a_kill()])
    assert rows(page)[0] == {
        "store": "ArcticDB",
        "commits go to": "one symbol, `append`",
        "asked": "100",
        "acknowledged": "98",
        "present": "90",
        "lost": "8",
        "doubled": "1",
        "torn": "3",
        "errors": "2",
        "seconds": "0.4",
    }
    assert rows(page)[1] == {
        "store": "pandas HDF5",
        "commits go to": "`to_hdf(append=True)`, a file for each writer",
        "kills": "5",
        "acknowledged": "44",
        "lost": "3",
        "doubled": "4",
        "torn": "9",
        "could not be opened": "1",
        "unreadable files": "2",
        "errors": "6",
        "seconds": "7",
    }


def test_a_page_says_when_on_what_and_how():
    page = ledger.page(SETTING, [a_race(kinds={"OSError: a | b `c`": 2})], [])
    assert "2019-10-31" in page
    assert "Python 3.12.1, Linux x86_64, 2 processors, local disk (ext4)" in page
    assert "behemoth 0.1.0, arcticdb 6.28.0" in page
    assert "concurrent writers to one symbol are not supported" in page
    assert "2 × `OSError: a | b 'c'`" in page


def test_errors_that_differ_only_at_their_end_are_one_line():
    kinds = {f"OSError: {'long ' * 40}{number}": 2 for number in range(20)}
    page = ledger.page(SETTING, [a_race(kinds=kinds)], [])
    assert page.count("OSError") == page.count("40 × `OSError") == 1


def test_a_store_that_cannot_be_read_is_not_shown_as_empty():
    page = ledger.page(SETTING, [a_race(present=None, lost=None, doubled=None, torn=None)], [])
    shown = rows(page)[0]
    assert [shown[name] for name in ("present", "lost", "torn")] == ["unreadable", "–", "–"]


def test_commits_that_were_not_tried_are_told():
    page = ledger.page(SETTING, [a_race(untried=37, seconds=60.2)], [])
    assert rows(page)[0]["seconds"] == "60.2 (37 not tried)"


def test_a_ledger_goes_between_the_markers_and_replaces_the_older_one():
    page = f"# Title\n\n{ledger.START}\nolder\n{ledger.END}\n\nmore\n"
    assert ledger.into(page, "newer\n") == page.replace("older", "newer")


@pytest.mark.parametrize(
    "page",
    [
        "",
        ledger.START,
        ledger.END + ledger.START,
        ledger.START + ledger.END + ledger.START,
        ledger.START + ledger.END + ledger.END,
    ],
)
def test_a_page_without_both_markers_is_refused(page):
    with pytest.raises(ValueError, match="each once"):
        ledger.into(page, "newer")


def test_behemoth_loses_nothing_and_opens_after_a_kill(tmp_path, capfd):
    page, output = tmp_path / "page.md", tmp_path / "ledger.json"
    page.write_text(f"{ledger.START}\n{ledger.END}\n", encoding="utf-8")
    arguments = ["--size", "tiny", "--only", "behemoth-versions", "--into", page]
    assert durability.main([*map(str, arguments), "--output", str(output)]) == 0
    measured = json.loads(output.read_text(encoding="utf-8"))
    (race,), (kill,) = measured["race"], measured["kill"]
    assert (race["asked"], race["acknowledged"], race["present"]) == (6, 6, 6)
    assert kill["kills"] == 1
    assert kill["acknowledged"] >= 2
    for line in (race, kill):
        assert [line[name] for name in ("lost", "doubled", "torn", "errors")] == [0, 0, 0, 0]
        assert line["kinds"] == {}
    assert [row["store"] for row in rows(page.read_text(encoding="utf-8"))] == ["Behemoth"] * 2
    assert "behemoth-versions" in capfd.readouterr().err


def test_what_is_not_installed_is_named():
    assert machine.installed(["behemoth", "numpy"])
    assert not machine.installed(["behemoth", "no-such-package"])
    assert all(contender.packages for contender in CONTENDERS.values())


def test_every_peer_is_pinned_exactly():
    lines = (ROOT / "benchmarks" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert [
        line for line in wanted if not re.match(r"[\w-]+==[\d.]+(; python_version .*)?$", line)
    ] == []
    contenders = [*CONTENDERS.values(), *WAYS.values()]
    used = {package for contender in contenders for package in contender.packages}
    assert used - {"behemoth"} <= {line.partition("==")[0] for line in wanted}


def test_the_page_of_the_last_measurement_holds_a_ledger():
    page = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")
    stores = {row["store"] for row in rows(page.partition("<!-- ledger -->")[2])}
    assert stores == {contender.store for contender in CONTENDERS.values()}


def rows(page):
    """Give the rows of all tables of a page, each by its column."""
    found, header = [], None
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            header = None
        elif header is None:
            header = cells
        elif not cells[0].startswith("---"):
            found.append(dict(zip(header, cells, strict=True)))
    return found
