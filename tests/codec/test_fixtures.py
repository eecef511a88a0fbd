import pandas as pd
import pytest

from behemoth.codec import Promise, dismantle, read_splay, to_frame
from behemoth.codec.container import Container
from tests.codec.make_fixtures import SPLAYS, STORED, checkpoint
from tests.codec.strategies import DATE, SYMBOL, assert_same, read_checkpoint

DIGESTS = {
    "every-kind.h5": "b4b53c0cbd9a5f4bc634d1ee924daa7d359f8f7e359e771976d8b13a9f83fa7a",
    "empty.h5": "93200f3552fb9741bbcfeb3365d5def52f23f232f2f6c6209e145393316093e3",
    "large.h5": "844fe86e992c0738c9fde4ce26fe546a681ff3ac73a7818ee4c62b297ce6f484",
}

SPLAY = {"tool", "symbol", "date", "written_at", "first", "last"}
FACTS = {
    ("format-1", "splay"): {*SPLAY, "rows", "columns", "digest", "time"},
    ("format-1", "checkpoint"): {"tool", "symbol", "rows", "columns"},
    ("format-3", "splay"): SPLAY,
    ("format-3", "checkpoint"): {"tool", "symbols"},
}


@pytest.fixture(params=["format-1", "format-3"])
def folder(request):
    """Where the files of a format are; 2 has those of 1."""
    return STORED / request.param


@pytest.mark.parametrize("name", SPLAYS)
def test_stored_splays_stay_readable(folder, name):
    """A splay that was stored in this format gives the same values for ever."""
    data, frame = (folder / name).read_bytes(), SPLAYS[name]()
    promise = Promise(SYMBOL, DATE, len(frame), len(data), DIGESTS[name])
    ticks = read_splay(data, promise, name)
    assert_same(frame, to_frame(ticks))
    assert ticks.digest() == DIGESTS[name]


@pytest.mark.parametrize("name", SPLAYS)
def test_the_digest_of_content_never_changes(name):
    """The same frame has the same digest in every version: logs hold it."""
    assert dismantle(SPLAYS[name](), "time").digest() == DIGESTS[name]


def test_read_hdf_opens_stored_splays(folder):
    """A stored splay is a plain frame for pandas."""
    pd.testing.assert_frame_equal(SPLAYS["large.h5"](), pd.read_hdf(folder / "large.h5"))


def test_stored_checkpoints_stay_readable(folder):
    """A checkpoint that was stored in this format gives the same revisions for ever."""
    data = (folder / "checkpoint.h5").read_bytes()
    pd.testing.assert_frame_equal(checkpoint(), read_checkpoint(data, "checkpoint.h5"))
    pd.testing.assert_frame_equal(checkpoint(), pd.read_hdf(folder / "checkpoint.h5"))


@pytest.mark.parametrize("name", [*SPLAYS, "checkpoint.h5"])
def test_headers_hold_their_facts(folder, name):
    """The facts of a header keep their names."""
    container = Container((folder / name).read_bytes(), name)
    assert set(container.facts) == FACTS[folder.name, "splay" if name in SPLAYS else "checkpoint"]
