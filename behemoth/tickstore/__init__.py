"""The one place that joins index, layout, codec, object store and clock.

`tickstore` has the verbs, `writer` the commit protocol, `reader` the way back from files to
frames, `state` what a process knows of the log, `checkpoints` the index on disk, `times` how the
times of a request are read.
"""

from behemoth.tickstore.tickstore import LocalTickstore, MemoryTickstore, Tickstore

__all__ = ["LocalTickstore", "MemoryTickstore", "Tickstore"]
