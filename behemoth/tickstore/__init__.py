"""The one place that joins index, layout, codec, object store and clock.

`catalogue` says what a table holds, `covered` what is missing and why, `view` gives its ticks,
`tickstore` has the verbs that write; `writer` is the commit protocol, `reader` the way back from
files to frames, `mapping` the short cut of what is asked for again, `state` what a process knows of
the log, `moments` how a state is named, `receipts` what says which data made a frame, `checkpoints`
the index on disk, `request` and `times` what a caller asks for and how it is read.
"""

from behemoth.tickstore.receipts import Receipt, receipt
from behemoth.tickstore.tickstore import LocalTickstore, MemoryTickstore, Tickstore
from behemoth.tickstore.view import View

__all__ = ["LocalTickstore", "MemoryTickstore", "Receipt", "Tickstore", "View", "receipt"]
