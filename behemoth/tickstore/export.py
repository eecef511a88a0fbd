"""What becomes of a select: a frame, an Arrow table, a Parquet file.

Bytes of tables are made by `behemoth.codec.arrow`; which ticks, `behemoth.tickstore.view` says.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from behemoth import codec
from behemoth.codec import Ticks, arrow
from behemoth.errors import EnvironmentFailed
from behemoth.tickstore.receipts import KEY

if TYPE_CHECKING:
    import pyarrow as pa

Output = Literal["pandas", "arrow", "polars"]

COMPRESSION = "zstd"


def shaped(
    output: Output,
    ticks: Ticks,
    tz: str | None,
    of: Sequence[tuple[str, Ticks]] | None,
    receipt: Mapping[str, Any],
) -> Any:
    """Give ticks as what was asked for.

    Parameters
    ----------
    output
        What.
    ticks
        All of them.
    tz
        The time zone to show.
    of
        Each symbol and its ticks, where a list of symbols was asked for.
    receipt
        Ready for JSON.
    """
    if output != "pandas":
        rows = None if of is None else [(name, len(part)) for name, part in of]
        table = arrow.to_arrow(ticks, tz, rows, receipt)
        return table if output == "arrow" else arrow.to_polars(table)
    if of is None:
        frame = codec.to_frame(ticks, tz)
    else:
        frame = codec.to_stacked_frame(
            [name for name, _ in of], [part for _, part in of], ticks, tz
        )
    frame.attrs[KEY] = dict(receipt)
    return frame


def to_parquet(
    path: Path,
    like: Ticks,
    parts: Iterable[tuple[str, Ticks]],
    tz: str | None,
    stacked: bool,
    receipt: Mapping[str, Any],
) -> None:
    """Write ticks into a Parquet file, a row group for each part.

    Parameters
    ----------
    path
        The file; one that is there is replaced when the new one is whole.
    like
        Columns and types of all parts.
    parts
        Each with its symbol; read while they are written.
    tz
        The time zone to show.
    stacked
        Whether there is a column of symbols.
    receipt
        Ready for JSON.

    Raises
    ------
    EnvironmentFailed
        When it cannot be written, or pyarrow is not installed.
    """

    def table(symbol: str, ticks: Ticks) -> pa.Table:
        return arrow.to_arrow(ticks, tz, [(symbol, len(ticks))] if stacked else None, receipt)

    schema = table("", like.take(slice(0, 0))).schema
    from pyarrow import parquet

    with (
        whole(path) as new,
        parquet.ParquetWriter(new, schema, compression=COMPRESSION) as writer,
    ):
        for symbol, ticks in parts:
            writer.write_table(table(symbol, ticks))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a new file to write beside a path; its name becomes that path when all went well.

    Whatever interrupts it, Ctrl-C too, removes the new file and leaves what was there.

    Raises
    ------
    EnvironmentFailed
        When it cannot be written.
    """
    if not path.parent.is_dir():
        raise EnvironmentFailed(f"{path} cannot be written: there is no folder {path.parent}")
    if path.is_dir():
        raise EnvironmentFailed(f"{path} cannot be written: it is a folder")
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield new
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise EnvironmentFailed(f"{path} cannot be written: {error.strerror or error}") from error
    except BaseException:
        new.unlink(missing_ok=True)
        raise
