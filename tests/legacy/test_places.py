"""Where a file of an old index lies now."""

from __future__ import annotations

import pytest

from behemoth.legacy.places import find


@pytest.fixture
def database(tmp_path):
    for name in ("2019/10/31/A_0000.h5", "elsewhere/A_0000.h5"):
        path = tmp_path / "old" / name
        path.parent.mkdir(parents=True)
        path.touch()
    return tmp_path / "old"


def test_an_absolute_path_that_is_there_is_taken(database, tmp_path):
    other = tmp_path / "A_0000.h5"
    other.touch()
    assert find(str(other), database) == other


@pytest.mark.parametrize(
    "path",
    [
        "2019/10/31/A_0000.h5",
        "/another/machine/2019/10/31/A_0000.h5",
        "./db/TABLE/2019/10/31/A_0000.h5",
        "C:\\db\\TABLE\\2019\\10\\31\\A_0000.h5",
    ],
)
def test_a_file_that_moved_with_its_folder_is_found(database, path):
    assert find(path, database) == database / "2019/10/31/A_0000.h5"


def test_a_path_within_the_folder_is_found_whatever_its_shape(database):
    assert find("elsewhere/A_0000.h5", database) == database / "elsewhere/A_0000.h5"


@pytest.mark.parametrize(
    "path", ["", "\0", "2019/10/31", "/gone/A_0000.h5", "x" * 5000, "A/" * 5000]
)
def test_what_is_not_there_is_not_found(database, path):
    assert find(path, database) is None
