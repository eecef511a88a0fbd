"""The page of figures: markdown made of `Figures`. Pure."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import markdown
from benchmarks.speed import figures, stages
from benchmarks.speed.figures import BARS, COLD, US, Figures, Verdict, line, verdict
from benchmarks.speed.peers import WAYS

START, END = "<!-- figures -->", "<!-- /figures -->"
NONE = "–"
Unit = Callable[[float], str]


def page(found: Figures) -> str:
    """Give everything that was measured as markdown."""
    parts = [
        _setting(found),
        "**What must be reached.** Ratios of medians of interleaved rounds; every value of a "
        "result is summed unless the row is about bytes.",
        _bars(found),
        "![Select, single day, ingest and bytes on disk](images/performance.png)",
        f"**Minute bars**: {found.setting['rows']:,} rows, {found.setting['days']:,} days, "
        f"{found.setting['bars']}. Selects read all of them and sum every value, in a process "
        "that has done so before; a single day is one of many, each read in turn; first: opening, "
        "the first select and the sum in a new process; process: the same with its start, imports "
        "and end; memory: the peak of that process beyond its imports, mapped files included.",
        _table(
            found,
            [
                ("select", figures.SELECT, milliseconds),
                ("a day", figures.DAY, milliseconds),
                ("first", figures.FIRST, milliseconds),
                ("process", figures.TOTAL, milliseconds),
                ("memory", figures.PEAK, megabytes),
                ("ingest", figures.INGEST, in_seconds),
                ("allocated", figures.ALLOCATED, megabytes),
                ("apparent", figures.APPARENT, megabytes),
            ],
        ),
        _image(found),
        _trades_title(found),
        _table(
            found,
            [
                ("a day", figures.TRADES_DAY, milliseconds),
                ("one column of it", figures.TRADES_COLUMN, milliseconds),
                ("ingest", figures.TRADES_INGEST, in_seconds),
                ("allocated", figures.TRADES_DISK, megabytes),
            ],
        ),
        _more(found),
        _stages(found),
        _lines(found),
        markdown.bullets("How each writes, and what it asks of the disk", _syncs(found)),
    ]
    return "\n\n".join(part for part in parts if part)


def into(text: str, part: str) -> str:
    """Put the figures between the two markers of a page."""
    return markdown.into(text, part, START, END)


def milliseconds(seconds: float) -> str:
    """Write a time with three digits.

    Examples
    --------
    >>> milliseconds(0.0123456), milliseconds(5.4321)
    ('12.3 ms', '5,430 ms')
    """
    return f"{digits(seconds * 1e3)} ms"


def in_seconds(seconds: float) -> str:
    """Write a long time."""
    return f"{digits(seconds)} s"


def megabytes(count: float) -> str:
    """Write a size."""
    return f"{digits(count / 1e6)} MB"


def digits(value: float) -> str:
    """Write a number with three significant digits and no exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


def _setting(found: Figures) -> str:
    about = found.setting
    versions = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"Measured on {about['date']} with `scripts/bench --size {about['size']}`: Python "
        f"{about['python']}, {about['system']}, {about['processors']} processors, "
        f"{about['file_system']}, page cache warm; one fsync of a new 4 KiB file takes "
        f"{milliseconds(about['fsync'])}; {versions}. Each contender works in processes of its "
        f"own and they take turns; medians."
    )


def _bars(found: Figures) -> str:
    verdicts = [verdict(bar, found) for bar in BARS]
    rows = [[v.bar.what, _wanted(v), _reached(v), _answer(v, found)] for v in verdicts]
    return markdown.table("work|bar|measured|reached", rows, texts=1)


def _wanted(value: Verdict) -> str:
    bar = value.bar
    if bar.kind == "more":
        return f"at most {_whole(bar.limit)} more"
    aim = "" if bar.aim is None else f", aim {digits(bar.aim)}"
    words = "at least {} times faster" if bar.kind == "faster" else "at most {} ×"
    return words.format(digits(bar.limit)) + aim


def _reached(value: Verdict) -> str:
    if value.value is None:
        return NONE
    if value.bar.kind == "more":
        return f"{_whole(value.value)} more"
    return digits(value.value) + (" times faster" if value.bar.kind == "faster" else " ×")


def _whole(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else digits(value)


def _answer(value: Verdict, found: Figures) -> str:
    if value.reached is None:
        missing = value.bar.image and not found.images
        return "no image was kept" if missing else "not measured"
    aim = {None: "", True: ", aim too", False: ", aim not"}[value.aimed]
    return ("yes" if value.reached else "**no**") + aim


def _table(found: Figures, columns: list[tuple[str, str, Unit]]) -> str:
    works = [work for _, work, _ in columns]
    names = [n for n in WAYS if any(n in found.numbers.get(work, {}) for work in works)]
    rows = [
        [WAYS[name].title, *(_cell(found, work, name, unit) for _, work, unit in columns)]
        for name in names
    ]
    return markdown.table("|".join(["store", *(title for title, _, _ in columns)]), rows, texts=1)


def _cell(found: Figures, work: str, name: str, unit: Unit) -> str:
    value = found.median(work, name)
    return NONE if value is None else unit(value)


def _image(found: Figures) -> str:
    image = found.median(figures.IMAGE, US)
    if not found.images or image is None:
        return ""
    size = megabytes(image)
    return f"The image of these bars takes {size} more on disk; `cache=False` does without."


def _trades_title(found: Figures) -> str:
    rows, days = found.setting["trades"]
    return f"**Trades**: {rows:,} rows over {days} days, six columns, generated."


def _more(found: Figures) -> str:
    lines = []
    for work, names in (
        (figures.MANY, (COLD, US)),
        (figures.ONE, (COLD, US)),
        (figures.IMPORT, (US, "pandas")),
    ):
        for name in names:
            value = found.median(work, name)
            who = WAYS[name].title if name in WAYS else name
            if value is not None:
                lines.append(f"{work}: {who}: {milliseconds(value)}")
    read = found.median(figures.COLUMN_BYTES, COLD)
    chunks = found.median(figures.COLUMN_BYTES, figures.CHUNKS)
    if read is not None and chunks is not None:
        lines.append(
            f"a column of a day of trades: {read:,.0f} bytes read, of which {chunks:,.0f} are "
            "the compressed chunks of the column and the times"
        )
    if "versions" in found.setting:
        days, versions = found.setting["version_days"], found.setting["versions"]
        lines.append(f"as-of: {days} days, {versions} versions of each, asked as of the middle")
    return markdown.bullets("More", lines)


def _stages(found: Figures) -> str:
    if not found.stages:
        return ""
    whole = found.stages[stages.WHOLE]
    floor = sum(found.stages[name] for name in stages.FLOOR)
    rows = [
        [name, milliseconds(seconds), f"{100 * seconds / whole:.0f} %"]
        for name, seconds in found.stages.items()
    ]
    return (
        "**Where a select without an image spends its time.** Each stage alone, in one thread, on "
        "the same files; where threads overlap, the rest is what they save.\n\n"
        + markdown.table("stage|time|of the whole", rows, texts=1)
        + f"\n\nThe floor of these bytes ({'; '.join(stages.FLOOR)}) is {milliseconds(floor)}."
    )


def _lines(found: Figures) -> str:
    rows = []
    for kind, points in found.lines.items():
        fit = line(points)
        per = digits(fit.slope * (1e9 if kind == figures.ROWS_LINE else 1e6))
        unit = "ns a row" if kind == figures.ROWS_LINE else "µs a day, rows constant"
        straight = "yes" if fit.r2 >= figures.STRAIGHT else "**no**"
        shown = "; ".join(f"{x:,.0f}: {milliseconds(y)}" for x, y in points)
        rows.append([kind, f"{per} {unit}", f"{fit.r2:.4f}", straight, shown])
    if not rows:
        return ""
    title = "**Scaling of a select without an image.** Straight: R² of at least "
    table = markdown.table("against|slope|R²|straight|points", rows, texts=1)
    return f"{title}{figures.STRAIGHT}.\n\n{table}"


def _syncs(found: Figures) -> list[str]:
    return [
        f"{WAYS[name].title}: {WAYS[name].syncs}"
        for name in found.numbers.get(figures.INGEST, {})
        if name in WAYS
    ]
