"""Reads a CSV file of candles one character at a time, by the rules that the how-to page gives.

Written apart from `behemoth.feeds.files`, slow and plain, so that the two can be held side by side.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import zipfile
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

STORED = ("low", "high", "open", "close", "volume")
NAMES = {
    "coinbase": [["time"], ["low"], ["high"], ["open"], ["close"], ["volume"]],
    "bitfinex": [
        ["time", "ts_ms", "mts", "timestamp"],
        *([name] for name in ("open", "close", "high", "low", "volume")),
    ],
    "binance": [
        ["open_time", "time"],
        *([name] for name in ("open", "high", "low", "close", "volume")),
        *([None],) * 6,
    ],
}
"""Of each column from left to right what it may be called; None: nobody looks."""

DAY = 86_400 * 10**9
MINUTE = 60 * 10**9


@dataclass
class Read:
    """What a file says.

    Attributes
    ----------
    refused
        Whether it cannot be read at all, or does not fit.
    bad
        Lines of bad rows.
    good
        Time and values of the good rows, in the order of time.
    """

    refused: bool = False
    bad: set[int] = field(default_factory=set)
    good: list[tuple[int, list[float]]] = field(default_factory=list)


def read(data, preset, now):
    """Read the bytes of a file; `now` in nanoseconds since 1970."""
    try:
        data = unpacked(data)
    except Exception:  # noqa: BLE001 - whatever the standard library says of damaged bytes
        return Read(refused=True)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Read(refused=True)
    if data[:3] == b"\xef\xbb\xbf":
        data = data[3:]
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    names = NAMES[preset]
    result, seen, begun = Read(), {}, False
    for number, line in enumerate(lines, 1):
        if line.endswith(b"\r"):
            line = line[:-1]
        if all(letter in b" \t" for letter in line):
            continue
        cells = split(line) if len(line) <= 65_536 else None
        if not begun:
            begun = True
            if cells is None or len(cells) != len(names):
                return Read(refused=True)
            if all(number_of(cell) is None for cell in cells):
                if any(n != [None] and fold(c) not in n for c, n in zip(cells, names, strict=True)):
                    return Read(refused=True)
                continue
        row = None if cells is None or len(cells) != len(names) else row_of(cells, preset, now)
        if row is None:
            result.bad.add(number)
        else:
            seen.setdefault(row[0], []).append((number, row[1]))
    for time in sorted(seen):
        lines = {}
        for number, values in seen[time]:
            lines.setdefault(np.array(values).tobytes(), number)
        if len(lines) > 1:
            result.bad |= set(lines.values())
        else:
            result.good.append((time, seen[time][0][1]))
    return result


def row_of(cells, preset, now):
    """Give time and values of a row; None for a bad one."""
    time = time_of(cells[0], preset)
    if time is None or time % MINUTE or 0 <= time < 59 * DAY or time > now + DAY:
        return None
    values = []
    for name in STORED:
        place = next(place for place, names in enumerate(NAMES[preset]) if name in names)
        text = number_of(cells[place])
        value = math.inf if text is None else float(text)
        if not math.isfinite(value) or (name == "volume" and value < 0):
            return None
        values.append(value)
    return time, values


def time_of(cell, preset):
    """Give a time in nanoseconds; None where there is none."""
    text = number_of(cell)
    if text is None or len(text.lower().partition("e")[2]) > 4:
        return None
    count = Fraction(text)
    if preset == "coinbase":
        time = count * 10**9
    elif preset == "binance" and count >= 10**14:
        time = count * 10**3
    else:
        time = count * 10**6
    whole = time.denominator == 1 and abs(time) < 2**63
    return int(time) if whole and time > -(2**63) + DAY else None


def number_of(cell):
    """Give the text of a number; None where there is none."""
    text = cell.strip(" \t")
    if not text or any(letter not in "0123456789+-.eE" for letter in text):
        return None
    try:
        float(text)
    except ValueError:
        return None
    return text


def split(line):
    """Cut a line into cells, letter by letter; None where a quote is not around a whole cell."""
    text, cells, place = line.decode("latin-1"), [], 0
    while True:
        cell = ""
        if text[place : place + 1] == '"':
            place += 1
            while True:
                if place >= len(text):
                    return None
                if text[place] != '"':
                    cell += text[place]
                    place += 1
                elif text[place + 1 : place + 2] == '"':
                    cell += '"'
                    place += 2
                else:
                    place += 1
                    break
            if place < len(text) and text[place] != ",":
                return None
        else:
            while place < len(text) and text[place] != ",":
                if text[place] == '"':
                    return None
                cell += text[place]
                place += 1
        cells.append(cell)
        if place == len(text):
            return cells
        place += 1


def fold(name):
    """Write a name as the presets do."""
    return name.strip().lower().replace(" ", "_")


def unpacked(data):
    """Unpack what is packed."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:3] == b"BZh":
        return bz2.decompress(data)
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.decompress(data)
    if data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            (name,) = packed.namelist()
            return packed.read(name)
    return data
