"""Makes bad CSV files of candles out of good ones, by chance and by a seed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from datetime import UTC, datetime

HEADERS = {
    "coinbase": "time,low,high,open,close,volume",
    "bitfinex": "ts_ms,open,close,high,low,volume",
    "binance": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore",
}
UNITS = {"coinbase": 1, "bitfinex": 1000, "binance": 1000}
CELLS = [
    *("", " ", "nan", "NaN", "inf", "-inf", "Infinity", "NA", "null", "None", "True", "FALSE"),
    *(
        "1e400",
        "-1e400",
        "1e308",
        "1e-400",
        "9" * 400,
        "1_000",
        "0x10",
        "1d5",
        "--1",
        "+1",
        "1.",
        ".",
    ),
    *('"1,234.5"', "1,234.5", '"1.5"', '" 1.5 "', '"1.5', '1.5"', '1"5', '""', '"a ""b"""', "'1'"),
    *(
        " 1.5",
        "1.5 ",
        "\t1.5\t",
        "1.5\x0b",
        "1\x005",
        "1.5e-3",
        "-0.0",
        "-1",
        "\u0661",
        "\u00a01.5",
    ),
    *("1525305600", "1525305600000", "1525305600000000", "0", "-60", "99999999999999999999"),
    *("1525305601", "1525305600.0", "1.5253056e9", "1e9999999999999999999", "2018-05-03", "x" * 50),
]
ENCODINGS = ("utf-16", "utf-8-sig", "utf-16-le", "utf-32", "cp500")


def good(chance):
    """Make a file that is as it should be: its preset, and its lines."""
    preset = chance.choice(list(HEADERS))
    rows = chance.choice((0, 1, 2, 10, 70, 200))
    start = int(datetime(2018, 5, 3, 23, tzinfo=UTC).timestamp())
    lines = [HEADERS[preset]] if chance.random() < 0.7 else []
    for minute in range(rows):
        prices = [repr(round(chance.uniform(9000, 9100), chance.randrange(9))) for _ in range(4)]
        cells = [str((start + 60 * minute) * UNITS[preset]), *prices, repr(chance.random() * 99)]
        if preset == "binance":
            cells += [str(chance.randrange(10**6)) for _ in range(6)]
        lines.append(",".join(cells))
    return preset, lines


def spoiled(seed):
    """Give a preset, and the bytes of a file that may be bad."""
    chance = random.Random(seed)  # noqa: S311 - the same files again
    preset, lines = good(chance)
    for _ in range(chance.choice((1, 1, 2, 3))):
        if lines:
            chance.choice(LINES)(chance, lines)
    text = chance.choice(("\n", "\n", "\r\n")).join(lines)
    text += chance.choice(("\n", "\n", "", "\n\n", "\r\n \n"))
    data = text.encode("utf-8", "surrogateescape")
    for change in chance.sample(BYTES, chance.choice((0, 0, 1, 1, 2))):
        data = change(chance, data)
    if chance.random() < 0.2:
        data = chance.choice(PACKED)(data)
        if chance.random() < 0.5:
            data = chance.choice(BYTES[:3])(chance, data)
    return preset, data


def cell(chance, lines):
    """Put something else into a cell."""
    number = chance.randrange(len(lines))
    cells = lines[number].split(",")
    cells[chance.randrange(len(cells))] = chance.choice(CELLS)
    lines[number] = ",".join(cells)


def column(chance, lines):
    """Put something else into each cell of a column."""
    place, what = chance.randrange(6), chance.choice(CELLS)
    for number, line in enumerate(lines):
        cells = line.split(",")
        if len(cells) > place and number:
            cells[place] = what
        lines[number] = ",".join(cells)


def swap(chance, lines):
    """Exchange two columns, in a line or in all of them."""
    one, two = chance.sample(range(6), 2)
    all_of_them = chance.random() < 0.5
    for number in range(len(lines)) if all_of_them else [chance.randrange(len(lines))]:
        cells = lines[number].split(",")
        if len(cells) >= 6:
            cells[one], cells[two] = cells[two], cells[one]
        lines[number] = ",".join(cells)


def ragged(chance, lines):
    """Take cells away from a line, or give it more."""
    number = chance.randrange(len(lines))
    cells = lines[number].split(",")
    cells = cells[: chance.randrange(len(cells))] if chance.random() < 0.5 else [*cells, "1"]
    lines[number] = ",".join(cells)


def quoted(chance, lines):
    """Put each cell of some lines into quotes."""
    for number in range(len(lines)):
        if chance.random() < 0.5:
            lines[number] = ",".join(f'"{each}"' for each in lines[number].split(","))


def repeat(chance, lines):
    """Write a line again, or twice."""
    for _ in range(chance.choice((1, 2))):
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))


def contradict(chance, lines):
    """Write a line again with another cell."""
    line = chance.choice(lines).split(",")
    line[-1 if len(line) == 6 else min(5, len(line) - 1)] = "7.5"
    lines.insert(chance.randrange(len(lines) + 1), ",".join(line))


def reorder(chance, lines):
    """Put the rows into another order."""
    rows = lines[1:]
    rows.reverse() if chance.random() < 0.5 else chance.shuffle(rows)
    lines[1:] = rows


def blank(chance, lines):
    """Put a line in that says nothing."""
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(("", " ", "\t", ",,,,,", "\r")))


def headed(chance, lines):
    """Put names in, perhaps twice, perhaps wrong ones."""
    names = chance.choice([*HEADERS.values(), "Time, Low,HIGH,open,close,volume", "a,b,c,d,e,f"])
    lines.insert(chance.choice((0, 0, len(lines) // 2)), names)


def lengthy(chance, lines):
    """Write a line that is too long."""
    lines.insert(chance.randrange(len(lines) + 1), "1," * 40_000)


def emptied(_, lines):
    """Leave the first line alone."""
    del lines[1:]


def cut(chance, data):
    """End somewhere."""
    return data[: chance.randrange(len(data) + 1)]


def flip(chance, data):
    """Change some bytes."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 5))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def garbage(chance, data):
    """Put bytes in that are no text."""
    place = chance.randrange(len(data) + 1)
    return (
        data[:place]
        + chance.choice((b"\0", b"\0" * 9, b"\xff\xfe", b"\r", b"\x0b", b"\x1a"))
        + data[place:]
    )


def encoded(chance, data):
    """Write it in another encoding."""
    return data.decode("latin-1").encode(chance.choice(ENCODINGS), "replace")


def nothing(_chance, _data):
    """Leave nothing."""
    return b""


def zipped(data, names=("candles.csv",)):
    """Make a zip of it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, data)
    return file.getvalue()


LINES = [
    *(cell,) * 5,
    *(column, swap, ragged, quoted, repeat, contradict, reorder, reorder, blank, headed, lengthy),
    emptied,
]
BYTES = [cut, flip, garbage, flip, encoded, nothing]
PACKED = [gzip.compress, bz2.compress, lzma.compress, zipped]
