"""Databases of the 2019 code: folders of pandas HDF5 files with an ``index.h5`` at their top.

Such files can carry pickles that run when they are opened. `reading` opens them in a process of
its own; `spawning` starts that process and trusts nothing that it says, `protocol` is how the two
talk. `places` finds files that have moved, `history` decides what happened when, `importing`
commits it, `summary` is what an import tells. How a tickstore keeps ticks does not live here.
"""

from behemoth.legacy.importing import import_database
from behemoth.legacy.summary import BadFile, Progress, Summary

__all__ = ["BadFile", "Progress", "Summary", "import_database"]
