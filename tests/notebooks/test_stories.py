"""Each notebook is a story that runs from top to bottom, and its figures are drawn."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from behemoth import receipt
from tests import data
from tests.notebooks import browser
from tests.notebooks.running import NAMES, NOTEBOOKS, axes, code, executed, figures, shown
from tests.notebooks.test_volatility_by_hour import correct, fortnight

STORIES = ["data_quality", "quickstart", "reproducible_research", "volatility_by_hour"]
CANDLES = "coinbase_candles_2018/BTC-USD_2018-05-03_2018-05-11.csv"
UNIT = re.compile(r"UTC|USD|US dollars|BTC|volatility|share of")


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Gives executed notebooks by their names, each run once."""
    folder = tmp_path_factory.mktemp("stories")

    @cache
    def run(name):
        if name == "volatility_by_hour":
            fortnight(folder)
            correct(folder)
        return executed(name, {"BEHEMOTH_DB": folder, "BEHEMOTH_TEST_DATA": folder})

    return run


def test_the_notebooks_are_these_and_have_no_outputs():
    assert NAMES == STORIES
    for name in NAMES:
        cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        kept = [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")]
        assert kept == []


@pytest.mark.slow
def test_quickstart_gets_last_weeks_state_again(story):
    notebook = story("quickstart")
    cells = code(notebook)
    assert list(figures(notebook)) == ["plot", "asof-plot"]
    assert shown(cells["fill"]).startswith("7 days, 9,830 candles")
    said = dict(line.rsplit(maxsplit=1) for line in shown(cells["asof"]).splitlines()[:3])
    assert said == {"now": "False", "at the time": "True", "at the tag": "True"}
    line, again = shown(cells["receipt"]).splitlines()
    assert receipt(line.strip("`")).rows == 9830
    assert again == "the same frame: **True**"


@pytest.mark.slow
def test_in_reproducible_research_the_result_moves_and_the_pin_does_not(story):
    notebook = story("reproducible_research")
    cells = code(notebook)
    drawn = figures(notebook)
    assert list(drawn) == ["believed", "diff-plot", "vintages"]
    volatility = re.findall(r">([\d.]+%)</td>", shown(cells["moved"]))
    same = re.findall(r">(True|False)</td>", shown(cells["moved"]))
    assert same == ["False", "True", "True"]
    assert volatility[1] == volatility[2] != volatility[0]
    changes = shown(cells["diff"])
    assert (changes.count("changed"), changes.count("added")) == (4, 1)
    assert [trace["name"] for trace in drawn["vintages"]["data"]] == [
        *("14:30", "14:31", "14:32", "14:33"),
        "14:34 (lost)",
    ]


@pytest.mark.slow
def test_data_quality_finds_every_fault_of_the_recorded_candles():
    """113 minutes are missing, 101 of them in one hole, and four rows cannot be."""
    folder = data.real(CANDLES).parents[1]
    notebook = executed("data_quality", {"BEHEMOTH_TEST_DATA": folder})
    assert "recorded at Coinbase" in shown(code(notebook)["candles"])
    assert "12,487 candles in 9 days" in shown(code(notebook)["candles"])
    assert "113 of 12,600 minutes, in 5 gaps" in shown(code(notebook)["gaps"])
    assert_quality(notebook)


@pytest.mark.slow
def test_data_quality_invents_candles_with_such_faults_and_says_so(story):
    notebook = story("data_quality")
    assert "**invented**" in shown(code(notebook)["candles"])
    assert "113 of 12,600 minutes" in shown(code(notebook)["gaps"])
    assert_quality(notebook)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_figures_have_titles_and_axes_with_units(name, story):
    for figure in figures(story(name)).values():
        assert figure["layout"]["title"]["text"]
        titles = axes(figure)
        assert len(titles) > 1
        assert [title for title in titles if not UNIT.search(title)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_a_browser_draws_every_figure_and_has_no_complaint(name, story, tmp_path):
    """A real one, headless; the page carries plotly.js and asks no network."""
    browser.see(story(name), tmp_path)


@pytest.mark.slow
def test_a_page_that_draws_nothing_is_found_out(tmp_path):
    """So the check above is one."""
    (tmp_path / "empty.html").write_text("<div class='js-plotly-plot'></div>")
    with browser.opened() as page, pytest.raises(AssertionError, match="marks in each plot"):
        browser.look(page, tmp_path / "empty.html", patience=1.0)
    (tmp_path / "loud.html").write_text("<script>nothing()</script>")
    with browser.opened() as page, pytest.raises(AssertionError, match="nothing is not defined"):
        browser.look(page, tmp_path / "loud.html", patience=1.0)


def assert_quality(notebook):
    """The longest hole, four odd rows, four of them corrected, and the original kept."""
    cells = code(notebook)
    assert list(figures(notebook)) == [
        *("gaps-plot", "hole-plot", "coverage", "odd-plot", "noise-plot"),
    ]
    # with the minutes of the last day that lie behind its last candle
    assert shown(cells["coverage"]).startswith("473 unknown")
    longest = re.search(r"<th>0</th>.*?<td>(\d+)</td>\s*</tr>", shown(cells["gaps"]), re.DOTALL)
    assert longest[1] == "101"
    assert len(re.findall(r"<th>2018-", shown(cells["odd"]))) == 4
    assert shown(cells["repair"]).startswith("the original, at the tag, to the bit: **True**")
    assert shown(cells["repair"]).count(">changed<") == 4
