"""The pages of an index give back what was added, whatever is shared between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from behemoth.bitemporal import Observation
from behemoth.index import ROW
from behemoth.stores import MemoryStore
from behemoth.tickstore import kinds
from behemoth.tickstore.kinds import OBSERVATIONS, REVISIONS
from behemoth.tickstore.pages import FULL, Growth, Shelf, Summary, path

TIME = datetime(2020, 1, 1, tzinfo=UTC)


def rows_of(count, commit):
    """Rows of different dates, all of one commit."""
    rows = np.zeros(count, dtype=ROW)
    rows["date"] = np.arange(count)
    rows["version"] = rows["commit"] = rows["start_time"] = commit
    return rows


class Pages:
    """A tree in memory that grows checkpoint by checkpoint."""

    def __init__(self, kind=REVISIONS):
        self.kind = kind
        self.store = MemoryStore()
        self.tree = {}
        self.number = 0

    def add(self, rows):
        """Add the rows of each symbol; give the number of files that were written."""
        self.number += 1
        before = set(self.store.keys("index/"))
        growth = Growth(Shelf(self.store), self.kind, f"{self.number}-ab", dict(self.tree))
        parts = [((name,), np.zeros(len(r), dtype=np.intp), r) for name, r in rows.items()]
        growth.add(self.kind.sheet(parts))
        self.tree = growth.tree
        return len(set(self.store.keys("index/")) - before)

    def read(self, symbol):
        """The rows of a symbol, with nothing remembered."""
        return Shelf(self.store).rows(self.kind, self.tree, symbol)


@pytest.fixture(scope="module")
def grown():
    """Many symbols, one that has more rows than a page holds, and what was added."""
    pages, added = Pages(), {}
    for number in range(1, 5):
        new = {f"S{each}": rows_of(60, number) for each in range(200)}
        new["busy"] = rows_of(FULL, number)
        pages.add(new)
        for name, rows in new.items():
            added.setdefault(name, []).append(rows)
    return pages, {name: np.concatenate(rows) for name, rows in added.items()}


def test_every_row_comes_back_sorted(grown):
    """By date and version; of a symbol that nobody added nothing comes."""
    pages, added = grown
    for name, rows in added.items():
        expected = rows[np.lexsort((rows["version"], rows["date"]))]
        np.testing.assert_array_equal(pages.read(name), expected)
    assert pages.read("stranger") is None


def test_no_page_holds_more_than_it_should(grown):
    """And a symbol's rows are only in pages on its way down."""
    pages, _ = grown
    shelf, sealed = Shelf(pages.store), 0
    for page, files in pages.tree.items():
        for file in files:
            sheet = shelf.sheet(REVISIONS, file)
            assert len(sheet) == file["rows"] <= FULL
            assert all(path(name).startswith(page) for name in sheet.names)
            sealed += "symbol" in file
    assert sealed >= 3
    assert len(pages.tree) > 4


def test_a_small_checkpoint_writes_little_beside_a_big_history():
    """The page on top each time, one further down now and then, never all."""
    pages = Pages()
    pages.add({f"S{each}": rows_of(300, 1) for each in range(300)})
    written = [
        pages.add({f"S{each}": rows_of(30, number) for each in range(number, number + 10)})
        for number in range(2, 22)
    ]
    files = sum(map(len, pages.tree.values()))
    assert files >= 8
    assert np.median(written) == 1
    assert max(written) < files


def test_summaries_hold_without_reading_rows(grown):
    """Of all symbols, from headers."""
    pages, added = grown
    found = Shelf(pages.store).summaries(REVISIONS, pages.tree)
    assert found.keys() == added.keys()
    assert (found["S7"].earliest, found["S7"].latest, found["S7"].deletes) == (1, 4, 0)
    assert 0 < found["S7"].dates <= 60


@pytest.mark.parametrize(
    ("summary", "time", "shown"),
    [
        (Summary(), 5, False),
        (Summary(6, 9, 3, 0), 5, False),
        (Summary(1, 9, 3, 0), 5, True),
        (Summary(1, 5, 3, 2), 5, True),
        (Summary(1, 9, 3, 2), 5, None),
        (Summary(1, 5, 3, 3), 5, None),
    ],
)
def test_a_summary_says_whether_anything_was_known_or_that_rows_must_tell(summary, time, shown):
    """A delete can take one date away at most."""
    assert summary.shows(time) is shown


def test_observations_keep_their_order():
    """By commit, and within one as they were given, whatever the times are."""

    def seen(symbol, minute):
        start = TIME + timedelta(minutes=minute)
        return Observation(symbol, "é", "bars", start, start, start, "partial", minute)

    pages, expected = Pages(OBSERVATIONS), {"A": [], "b/c": []}
    for number in (1, 2, 3):
        new = {name: [(number, seen(name, m)) for m in (9 - number, 4)] for name in expected}
        pages.add({name: kinds.observed_rows(each) for name, each in new.items()})
        for name, each in new.items():
            expected[name] += each
    for name, each in expected.items():
        assert kinds.observations(name, pages.read(name)) == each
    assert Shelf(pages.store).summaries(OBSERVATIONS, pages.tree).keys() == expected.keys()
