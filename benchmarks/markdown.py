"""Markdown as the pages of measurements need it: tables, bullets, a part between markers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def into(text: str, part: str, start: str, end: str) -> str:
    """Put a part between the two markers of a page.

    Raises
    ------
    ValueError
        When the page does not hold each marker once, in order.
    """
    before, first, rest = text.partition(start)
    _, last, after = rest.partition(end)
    if not (first and last) or text.count(start) != 1 or text.count(end) != 1:
        raise ValueError(f"the page needs {start} and then {end}, each once")
    return f"{before}{start}\n{part.strip()}\n{end}{after}"


def table(header: str, rows: Iterable[Sequence[str]], texts: int = 2) -> str:
    """Make a table; so many columns at the left hold texts, the others numbers."""
    names = header.split("|")
    lines = [names, ["---"] * texts + ["---:"] * (len(names) - texts), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def bullets(title: str, lines: Sequence[str]) -> str:
    """Make a list under a title."""
    return f"**{title}.**\n\n" + "\n".join(f"- {line}" for line in lines or ["none"])
