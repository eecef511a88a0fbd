"""The reader that the format page shows reads every frame, and uses nothing of ours."""

import ast

import numpy as np
import pytest
from hypothesis import given

from behemoth.codec import dismantle
from tests.codec.strategies import frames, repeatable, written
from tests.pages import ROOT, blocks

PAGE = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
READER = [block.text for block in blocks(PAGE) if block.kind == "python"][:2]


@pytest.fixture(scope="module")
def read():
    namespace = {}
    for code in READER:
        exec(code, namespace)  # noqa: S102 - the page is ours
    return namespace["read"]


def test_it_uses_nothing_of_ours():
    """Only numpy and blosc beside the standard library."""
    trees = [ast.walk(ast.parse(code)) for code in READER]
    nodes = [node for tree in trees for node in tree]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names == {"json", "struct", "pathlib", "hashlib", "datetime", "numpy", "blosc"}


def test_it_reads_every_frame(read, tmp_path_factory):
    """Each value of each kind of column, bit for bit; times too."""
    path = tmp_path_factory.mktemp("splays") / "a.h5"

    @repeatable
    @given(frames())
    def check(frame):
        ticks = dismantle(frame, "time")
        path.write_bytes(written(ticks).data)
        _, times, columns = read(path)
        assert times.tolist() == ticks.times.tolist()
        assert list(columns) == list(ticks.names)
        for column in ticks.columns:
            if column.categories is None:
                assert np.asarray(columns[column.name]).tobytes() == column.values.tobytes()
            else:
                expected = [None if c < 0 else column.categories[c] for c in column.values]
                assert columns[column.name] == expected

    check()
