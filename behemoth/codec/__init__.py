"""Frames to bytes and back: what a splay file and an index checkpoint look like inside.

Left to right: a ``DataFrame`` is taken apart into `Ticks` (`frame`), laid out as named arrays
(`splay`, `checkpoint`), and packed into one HDF5 file (`hdf5`, `objects`) whose user block holds
our header (`container`). Reading goes back the same way and trusts only the header: no HDF5
library call, nothing unpickled. `union` joins ticks of several files, `comparing` holds them beside
each other, `gaps` shows what one of them has not. Nothing here knows where bytes are kept.
"""

from behemoth.codec.checkpoint import (
    Page,
    read_checkpoint,
    read_page,
    read_summary,
    write_checkpoint,
)
from behemoth.codec.comparing import align, same
from behemoth.codec.container import Container, Sliced
from behemoth.codec.direct import gather
from behemoth.codec.frame import TEXT_DTYPE, dismantle, time_index, to_frame, to_stacked_frame
from behemoth.codec.gaps import with_gaps
from behemoth.codec.splay import (
    Facts,
    Promise,
    Shape,
    Splay,
    check_splay,
    open_splay,
    read_facts,
    read_splay,
    write_splay,
)
from behemoth.codec.ticks import PLAIN_DTYPES, Column, Ticks
from behemoth.codec.union import Schema, concatenate

__all__ = [
    "PLAIN_DTYPES",
    "TEXT_DTYPE",
    "Column",
    "Container",
    "Facts",
    "Page",
    "Promise",
    "Schema",
    "Shape",
    "Sliced",
    "Splay",
    "Ticks",
    "align",
    "check_splay",
    "concatenate",
    "dismantle",
    "gather",
    "open_splay",
    "read_checkpoint",
    "read_facts",
    "read_page",
    "read_splay",
    "read_summary",
    "same",
    "time_index",
    "to_frame",
    "to_stacked_frame",
    "with_gaps",
    "write_checkpoint",
    "write_splay",
]
