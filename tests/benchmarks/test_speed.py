"""The figures beside the peers: the arithmetic is right, the page is plain, the rounds run."""

from __future__ import annotations

import json
from datetime import date as Date
from pathlib import Path

import numpy as np
import pytest

from benchmarks import machine
from benchmarks.speed import figures, report, samples
from benchmarks.speed.__main__ import main
from benchmarks.speed.figures import BARS, COLD, SELECT, US, Bar, Figures, agree, line, verdict
from benchmarks.speed.peers import WAYS
from benchmarks.speed.session import LEAST, interleave

ROOT = Path(__file__).parents[2]
SETTING = {
    "date": "2019-10-31",
    "size": "full",
    "python": "3.12.1",
    "system": "Linux x86_64",
    "processors": 2,
    "file_system": "ext4",
    "fsync": 0.0038,
    "packages": {"behemoth": "0.1.0", "arcticdb": "6.28.0"},
    "bars": "generated",
    "rows": 1_831_665,
    "days": 1394,
    "trades": (5_000_000, 5),
}


def measured(images=True, **selects):
    found = Figures(setting=dict(SETTING), images=images)
    for name, seconds in selects.items():
        found.add(SELECT, name.replace("_", "-"), *seconds)
    return found


def test_a_median_is_of_all_rounds_and_none_of_none():
    found = measured(behemoth=[3.0, 1.0, 9.0])
    assert found.median(SELECT, US) == 3.0
    assert found.median(SELECT, "article") is None
    assert found.median("nothing", US) is None


@pytest.mark.parametrize(
    ("kind", "limit", "value", "reached"),
    [
        ("times", 0.5, 0.5, True),
        ("times", 0.4, 0.5, False),
        ("faster", 2, 2.0, True),
        ("faster", 3, 2.0, False),
        ("more", -2, -2.0, True),
        ("more", -3, -2.0, False),
    ],
)
def test_a_bar_is_reached_at_its_limit(kind, limit, value, reached):
    bar = Bar("work", (SELECT, US), (SELECT, "arcticdb"), limit, kind)
    found = verdict(bar, measured(behemoth=[2.0], arcticdb=[4.0]))
    assert (found.value, found.reached) == (value, reached)


def test_an_aim_is_told_beside_the_bar():
    bar = Bar("work", (SELECT, COLD), (SELECT, "arcticdb"), 1.3, aim=1.0)
    near = verdict(bar, measured(behemoth_cold=[1.2], arcticdb=[1.0]))
    assert (near.reached, near.aimed) == (True, False)


def test_what_was_not_measured_has_no_verdict():
    bar = Bar("work", (SELECT, US), (SELECT, "arcticdb"), 1, image=True)
    assert verdict(bar, measured(behemoth=[1.0])).reached is None
    assert verdict(bar, measured(images=False, behemoth=[1.0], arcticdb=[1.0])).reached is None


def test_a_straight_line_has_its_slope_and_fits():
    slope, start, r2 = line([(1, 5.0), (2, 7.0), (4, 11.0)])
    assert (slope, start, r2) == pytest.approx((2.0, 3.0, 1.0))
    assert line([(1, 1.0), (2, 9.0), (3, 1.0)]).r2 == pytest.approx(0.0)


def test_who_reads_something_else_is_found():
    agree(SELECT, {"a": (2, 1.0), "b": (2, 1.0 + 1e-12), "floor": (-1, 0.0)})
    with pytest.raises(ValueError, match="c read 2 rows with the sum 5"):
        agree(SELECT, {"a": (2, 1.0), "c": (2, 5.0)})
    with pytest.raises(ValueError, match="c read 3 rows"):
        agree(SELECT, {"a": (2, 1.0), "c": (3, 1.0)})


def test_contenders_take_turns_and_slow_ones_sit_out():
    asked = []
    asks = {name: lambda name=name: asked.append(name) or {} for name in "ab"}
    assert {n: len(a) for n, a in interleave(asks, 5, 60.0).items()} == {"a": 5, "b": 5}
    assert asked == list("ab") * 5
    assert {n: len(a) for n, a in interleave(asks, 5, 0.0).items()} == {"a": LEAST, "b": LEAST}


def test_a_page_says_plainly_what_was_reached_and_what_not():
    page = report.page(measured(behemoth_cold=[0.06], arcticdb=[0.05], article=[5.5]))
    (article, arctic, *_) = [row for row in page.splitlines() if row.startswith("| all bars")]
    assert "at least 100 times faster | 91.7 times faster | **no** |" in article
    assert "at most 1.3 ×, aim 1 | 1.2 × | yes, aim not |" in arctic
    assert page.count("not measured") >= len(BARS) - 4
    assert "Behemoth, no image | 60 ms | – |" in page
    assert "one fsync of a new 4 KiB file takes 3.8 ms" in page


def test_a_page_tells_where_no_image_was_kept():
    assert "no image was kept" in report.page(measured(images=False))
    assert "no image was kept" not in report.page(measured())


def test_every_bar_is_about_contenders_that_exist():
    others = {"10,000,000", "1,000", "pandas", figures.CHUNKS}
    assert {name for bar in BARS for _, name in (bar.ours, bar.theirs)} <= {*WAYS, *others}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0012345, "0.00123"), (12.345, "12.3"), (5432.1, "5,430"), (0.0, "0"), (-1.5, "-1.5")],
)
def test_numbers_have_three_digits_and_no_exponent(value, shown):
    assert report.digits(value) == shown


def test_figures_go_between_the_markers():
    text = f"# Title\n{report.START}\nold\n{report.END}\nmore\n"
    assert report.into(text, "new") == text.replace("old", "new")


def test_made_bars_have_the_days_and_rows_that_are_wanted():
    bars = samples.made_bars(1000, 7)
    days = samples.days_of(bars)
    assert len(bars) == 1000
    assert [day for day, _ in days] == [Date(2016, 1, n) for n in range(1, 8)]
    assert {len(frame) for _, frame in days} == {142, 143}
    assert bars.index.is_unique
    assert bars.index.is_monotonic_increasing
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert bars.equals(samples.made_bars(1000, 7))


def test_a_sample_is_the_same_in_every_process(tmp_path):
    trades = samples.trades(500, 5)
    assert len(trades.columns) == 6
    samples.save(trades, tmp_path / "trades.npz")
    assert samples.load(tmp_path / "trades.npz").equals(trades)


def test_bytes_on_disk_are_counted_once_for_each_file(tmp_path):
    (tmp_path / "a").write_bytes(bytes(10_000))
    before = machine.on_disk(tmp_path)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert machine.on_disk(tmp_path)[0] == before[0]
    assert before[1] >= 10_000


@pytest.mark.slow
def test_the_small_profile_runs_from_end_to_end(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("BEHEMOTH_TEST_DATA", str(tmp_path))
    page, output = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text(f"{report.START}\n{report.END}\n", encoding="utf-8")
    only = [word for name in (US, COLD, "article") for word in ("--only", name)]
    assert main([*only, "--into", str(page), "--output", str(output)]) == 0
    found = Figures(**json.loads(output.read_text(encoding="utf-8")))
    assert found.setting["days"] == 60
    for work in (SELECT, figures.DAY, figures.FIRST, figures.PEAK, figures.TRADES_COLUMN):
        assert set(found.numbers[work]) == {US, COLD, "article"}
    assert set(found.numbers[figures.INGEST]) == {US, "article"}
    assert set(found.numbers[figures.IMPORT]) == {US, "pandas"}
    assert set(found.numbers[figures.MANY]) == {US, COLD}
    assert set(found.numbers[figures.INDEX]) == {"100", "1,000"}
    assert np.min([np.min(s) for work in found.numbers.values() for s in work.values()]) >= 0
    assert {kind: len(points) for kind, points in found.lines.items()} == {"rows": 8, "days": 3}
    assert "at least 100 times faster" in page.read_text(encoding="utf-8")
    assert "Write the bars day by day" in capfd.readouterr().err


def test_the_page_of_the_last_measurement_holds_every_bar():
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert [bar.what for bar in BARS if f"| {bar.what} |" not in page] == []
    assert (ROOT / "docs" / "images" / "performance.png").stat().st_size < 200_000
