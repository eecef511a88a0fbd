"""Where a file of an old index lies now: the index may have been written on another machine.

Opens nothing.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path, PureWindowsPath

_DATED = (re.compile(r"[0-9]{4}"), re.compile(r"[0-9]{2}"), re.compile(r"[0-9]{2}"))


def candidates(path: str, database: Path) -> list[Path]:
    """Name the places where a file may be, the likeliest first.

    As the index says, if that is absolute; else from the database's folder on. Then by the last
    parts of the path, ``YYYY/MM/DD/file``, in the database's folder.

    Examples
    --------
    >>> [str(place) for place in candidates("/another/2019/10/31/A_0.h5", Path("old"))]
    ['/another/2019/10/31/A_0.h5', 'old/2019/10/31/A_0.h5']
    """
    places = [database / path]  # an absolute path stands for itself
    parts = PureWindowsPath(path).parts[-4:]  # splits at both kinds of slashes
    if len(parts) == 4 and all(
        form.fullmatch(part) for form, part in zip(_DATED, parts[:3], strict=True)
    ):
        places.append(database.joinpath(*parts))
    return places


def find(path: str, database: Path) -> Path | None:
    """Give the first of the `candidates` that is a file; ``None`` where there is none."""
    if not path or "\0" in path:
        return None
    for place in candidates(path, database):
        with suppress(OSError):  # a name that no file here can have
            if place.is_file():
                return place
    return None
