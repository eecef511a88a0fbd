"""Candles out of CSV: a block of lines at a time with pandas' parser, doubtful lines one by one.

The first line that is not blank holds names if no cell of it is a number. The parser's answer is
taken where it cannot differ from `Judge.line`: plain characters, as many cells in each line as
there are columns, numbers that pass `Judge.good`. A block of which that is not so is cut into
smaller ones, down to a few lines, which are judged one by one; so one bad line costs little.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from behemoth.errors import BadRequest, Corrupt
from behemoth.feeds.files.formats import Format
from behemoth.feeds.files.judging import (
    BLANKS,
    LONGEST,
    Bad,
    Judge,
    Times,
    Values,
    cells_of,
    check_length,
    is_number,
    iso_nanoseconds,
    nanoseconds,
)
from behemoth.feeds.files.opening import Source
from behemoth.feeds.files.pieces import BadRow, Piece, Tally, names_of

FEW, PARTS = 64, 16
"""Lines that are judged one by one, and parts that a doubtful block is cut into."""

EXACT: Any = (
    {"float_precision": "round_trip"}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    else {}
)
"""Makes the parser give the nearest float64; from pandas 3.1 on it does so by itself."""

PLAIN = bytes({*range(256)} - {*range(32), ord('"'), 127} | {*b"\t\n\r"})
QUOTED = re.compile(rb'(?m)(?:^|(?<=,))"([^",\r\n]*)"(?=,|\r?$)')
COMMA, NEWLINE = b",\n"
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PAR1": "Parquet"}


def read_text(
    source: Source, format_: Format, judge: Callable[[tuple[int, ...], int], Judge], tally: Tally
) -> Iterator[Piece]:
    """Read a CSV file.

    Parameters
    ----------
    source
        The file.
    format_
        What its columns mean.
    judge
        Makes the judge, of the places of the columns and the number of cells.
    tally
        Counts the bad rows.

    Raises
    ------
    BadRequest
        When its columns do not fit the format.
    Corrupt, EnvironmentFailed
        When it cannot be read to its end.
    """
    reader: Text | None = None
    for first, block in source.blocks():
        line, rest = first, block
        if first == 1:
            rest = rest.removeprefix(b"\xef\xbb\xbf")
            for mark, what in MARKS.items():
                if rest.startswith(mark):
                    raise Corrupt(f"{source.path}: line 1, column 1: it is {what}, not UTF-8 text")
        while reader is None and rest:
            head, _, below = rest.partition(b"\n")
            head = head.removesuffix(b"\r")
            if head.strip(BLANKS.encode()):
                header, reader = _begun(source, line, head, format_, judge, tally)
                if not header:
                    break
            line, rest = line + 1, below
        if reader is not None and rest:
            yield from reader.pieces(line, rest)


def _begun(
    source: Source,
    line: int,
    head: bytes,
    format_: Format,
    judge: Callable[[tuple[int, ...], int], Judge],
    tally: Tally,
) -> tuple[bool, Text]:
    """Look at the first line: whether it holds names, and the reader of what follows."""
    try:
        check_length(head)
        cells = [cell.strip(BLANKS) for cell in cells_of(head)]
    except Bad as bad:
        raise Corrupt(f"{source.path}: {BadRow(line, bad.place + 1, 'none', bad.why)}") from bad
    header = not any(map(is_number, cells))
    try:
        places = format_.positions(cells if header else None, len(cells))
    except BadRequest as error:
        raise BadRequest(f"{source.path}: line {line}: {error}") from error
    made = judge(places, len(cells))
    tally.names = names_of(made)
    return header, Text(made, tally)


class Text:
    """Reads blocks of lines.

    Parameters
    ----------
    judge
        The rules for rows.
    tally
        Counts the bad ones.
    """

    def __init__(self, judge: Judge, tally: Tally) -> None:
        self._judge = judge
        self._tally = tally
        columns = judge.format.columns
        # The parser gives columns in the order of the file, each place once.
        self._used = sorted(set(judge.places))
        self._order = [self._used.index(place) for place in judge.places[1:]]
        self._time = self._used.index(judge.places[0])
        self._iso = judge.format.unit == "iso"
        self._types: Any = dict.fromkeys(judge.places[1:], "float64")
        if self._iso:
            self._types[judge.places[0]] = str
        self._shape = len(columns)

    def pieces(self, line: int, block: bytes) -> Iterator[Piece]:
        """Read whole lines.

        Parameters
        ----------
        line
            The number of the first one.
        block
            The lines, each with a newline at its end.
        """
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == NEWLINE) + 1
        rows = self._parsed(block, ends)
        if rows is not None:
            yield self._checked(line, block, ends, *rows)
        elif len(ends) <= FEW:
            yield self._judged(line, block.split(b"\n")[:-1])
        else:
            for cut in np.array_split(np.arange(len(ends)), PARTS):
                start = 0 if cut[0] == 0 else ends[cut[0] - 1]
                yield from self.pieces(line + int(cut[0]), block[start : ends[cut[-1]]])

    def _parsed(self, block: bytes, ends: NDArray[np.intp]) -> tuple[Times, Values] | None:
        """Parse many lines at once; ``None`` where the judge could say something else."""
        if np.diff(ends, prepend=0).max() > LONGEST:
            return None
        if b'"' in block:
            block = QUOTED.sub(rb"\1", block)
        if block.translate(None, PLAIN) or not self._is_regular(block, len(ends)):
            return None
        try:
            frame = pd.read_csv(
                io.BytesIO(block),
                header=None,
                names=range(self._judge.width),
                usecols=self._used,
                index_col=False,
                dtype=self._types,
                na_filter=False,
                engine="c",
                encoding="latin-1",  # never fails; in the columns that count, only ASCII passes
                low_memory=False,
                **EXACT,
            )
        except (ValueError, OverflowError):
            return None
        if len(frame) != len(ends):
            return None
        times = self._times(frame.iloc[:, self._time])
        values = np.column_stack([frame.iloc[:, place].to_numpy() for place in self._order])
        if times is None or (np.isin(values[0], (0, 1)).any() and _has_words(block)):
            return None  # the parser takes a column of True and False for ones and zeros
        return times, values

    def _is_regular(self, block: bytes, lines: int) -> bool:
        """Tell whether each line has as many cells as there are columns."""
        if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
            return False
        letters, width = np.frombuffer(block, np.uint8), self._judge.width
        ends = np.flatnonzero((letters == COMMA) | (letters == NEWLINE))
        if len(ends) != lines * width:
            return False
        return bool((letters[ends[width - 1 :: width]] == NEWLINE).all())

    def _times(self, cells: pd.Series[Any]) -> Times | None:
        """Give the times as nanoseconds, -1 for what cannot be said so: that starts no candle."""
        unit = self._judge.format.unit
        if unit == "iso":
            return iso_nanoseconds(cells)
        counts = cells.to_numpy()
        if counts.dtype.kind == "f":
            if not (np.abs(counts) < 2**53).all() or (counts % 1).any():
                return None
            counts = counts.astype(np.int64)
        if counts.dtype != np.int64:
            return None
        times, said = nanoseconds(counts, unit)
        return np.where(said, times, -1)

    def _checked(
        self, line: int, block: bytes, ends: NDArray[np.intp], times: Times, values: Values
    ) -> Piece:
        """Keep the good rows; the judge says why the others are bad."""
        keep = self._judge.good(times, values)
        for number in np.flatnonzero(~keep).tolist():
            start = 0 if number == 0 else ends[number - 1]
            keep[number] = self._judge_into(
                times, values, number, line, block[start : ends[number] - 1]
            )
        lines = line + np.flatnonzero(keep)
        if keep.all():
            return Piece(times, lines, values)
        return Piece(times[keep], lines, values[keep])

    def _judged(self, line: int, lines: list[bytes]) -> Piece:
        times = np.zeros(len(lines), np.int64)
        values = np.zeros((len(lines), self._shape))
        keep = np.array(
            [
                self._judge_into(times, values, number, line, text)
                for number, text in enumerate(lines)
            ],
            dtype=bool,
        )
        return Piece(times[keep], line + np.flatnonzero(keep), values[keep])

    def _judge_into(
        self, times: Times, values: Values, number: int, line: int, text: bytes
    ) -> bool:
        """Put what a line says where its row is, and tell whether it is a candle."""
        try:
            row = self._judge.line(text)
        except Bad as bad:
            self._tally.add(line + number, bad)
            return False
        if row is not None:
            times[number], values[number] = row
        return row is not None


def _has_words(block: bytes) -> bool:
    return any(word in block for word in (b"rue", b"RUE", b"alse", b"ALSE"))
