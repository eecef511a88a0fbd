"""Files that were made to do harm, and names that were: neither get out of the table."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import subprocess
import sys
import unicodedata
import warnings
from contextlib import suppress
from copy import deepcopy
from datetime import date
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from behemoth import BiTimestamp, LocalTickstore, MemoryTickstore, codec, errors, layout
from behemoth import log as ledger
from behemoth.cli.app import app
from behemoth.tickstore import Tickstore
from behemoth.tickstore.kinds import EPOCH_DATE
from behemoth.tickstore.pages import digest_of
from tests.clock import Clock
from tests.codec.strategies import read_checkpoint, repeatable
from tests.codec.test_damage import Trap
from tests.tickstore.faulty import DamagedStore, in_memory
from tests.tickstore.histories import Step, say, ticks_at
from tests.tickstore.test_verbs import AT, DAY, bars, prices

NEXT = BiTimestamp(date(2019, 11, 1))


def set_traps(data: bytes, mark: Path) -> bytes:
    """Put a pickle wherever an HDF5 reader would look for one."""
    file = io.BytesIO(data)
    trap = np.bytes_(pickle.dumps(Trap(mark), protocol=0))
    with h5py.File(file, "r+") as hdf5:
        nodes = [hdf5]
        hdf5.visititems(lambda _, node: nodes.append(node))
        for node in nodes:
            for name in ("name", "shape", "freq", "trap", "CLASS", "encoding"):
                with suppress(KeyError):
                    del node.attrs[name]
                node.attrs[name] = trap
    return file.getvalue()


def overwrite(path: Path, data: bytes) -> None:
    """Change what is meant to stay."""
    path.chmod(0o644)
    path.write_bytes(data)


def reseal(path: Path, change) -> None:
    """Change a sealed text and make its digest right again."""
    text, _ = ledger.unseal(path.read_bytes(), str(path))
    change(text)
    overwrite(path, ledger.seal(text))


def plain_pytables(path: Path) -> bytes:
    """A file as any pandas writes it."""
    bars(1.0, 2.0).to_hdf(path, key="ticks", format="fixed")
    return path.read_bytes()


@pytest.fixture
def mark(tmp_path):
    """What a sprung trap makes."""
    return tmp_path / "sprung"


@pytest.fixture
def table(tmp_path, clock):
    """A table of two days with a checkpoint."""
    table = LocalTickstore(tmp_path / "db" / "TABLE", clock=clock)
    table.insert("A", AT, bars(1.0, 2.0))
    table.insert("A", NEXT, bars(3.0, start="2019-11-01"))
    return table


@pytest.fixture(params=["trapped", "trapped and sealed", "plain"])
def hostile(request, table, mark, tmp_path):
    """A table with a hostile file in the place of its second splay, and of its checkpoints."""
    splay = table.path / "2019/11/01/A_0000.h5"
    if request.param == "plain":
        overwrite(splay, set_traps(plain_pytables(tmp_path / "plain.h5"), mark))
        table.flush()
        return table
    overwrite(splay, set_traps(splay.read_bytes(), mark))
    if request.param == "trapped and sealed":
        entry = table.path / "log/0000000002.json"
        reseal(entry, lambda text: text["revisions"][0].update(size=splay.stat().st_size))
        LocalTickstore(table.path).flush()
        (root,) = table.path.glob("index/*.json")
        (file,) = table.path.glob("index/pages/*.h5")
        data = set_traps(file.read_bytes(), mark)
        overwrite(file, data)
        facts = {"size": len(data), "digest": digest_of(data)}
        reseal(root, lambda text: text["pages"]["revisions"][""][0].update(facts))
    else:
        table.flush()
    return table


VERBS = {
    "select": lambda t, _: t.select("A"),
    "select other columns": lambda t, _: t.select("A", columns=["price"], end=DAY),
    "versions": lambda t, _: t.versions("A"),
    "index": lambda t, _: t.index,
    "symbols": lambda t, _: t.symbols(),
    "observations": lambda t, _: t.observations("A"),
    "gaps": lambda t, _: t.gaps("A", granularity=60),
    "log": lambda t, _: t.log(),
    "insert": lambda t, _: t.insert("A", NEXT, bars(5.0), if_changed=True),
    "delete": lambda t, _: t.delete("A", NEXT),
    "undelete": lambda t, _: t.undelete("A", NEXT),
    "flush": lambda t, _: t.flush(),
    "verify": lambda t, _: t.verify(),
    "copy": lambda t, path: t.copy(path / "COPY"),
    "repair": lambda t, _: t.verify(repair=True),
    "reindex": lambda t, _: t.reindex(),
    "reindex into": lambda t, path: t.reindex(path / "NEW"),
    "destroy": lambda t, _: t.destroy(),
}


def test_no_verb_springs_a_trap(hostile, mark, tmp_path, clock):
    """Whether it answers or raises; and the traps are real: PyTables springs one."""
    bait = tmp_path / "bait.h5"
    shutil.copy(hostile.path / "2019/11/01/A_0000.h5", bait)
    for name, verb in VERBS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.CheckpointIgnored)
            with suppress(errors.BehemothError):
                verb(LocalTickstore(hostile.path, clock=clock), tmp_path)
        assert not mark.exists(), name
    assert not hostile.path.exists()
    code = "import sys, tables; tables.open_file(sys.argv[1]).root._v_attrs['trap']"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, bait], check=False)
    assert mark.exists()


def test_a_hostile_file_gives_its_ticks_or_an_error_that_names_it(hostile, clock):
    """It is read through the header alone, whatever else is in it."""
    fresh = LocalTickstore(hostile.path, clock=clock)
    refusal = None
    try:
        assert prices(fresh.select("A")) == [1.0, 2.0, 3.0]
    except errors.Corrupt as error:
        refusal = error
    if refusal is not None:
        assert "2019/11/01/A_0000.h5" in str(refusal)
        assert (refusal.symbol, refusal.date) == ("A", NEXT.as_at_date)
    assert prices(fresh.select("A", end=DAY)) == [1.0, 2.0]


NONSENSE = [None, True, -1, 10**30, 1.5, "x", "../../x", "\ud800", "\0", [], {}, [[]]]


def places(value, path=()):
    """Where something stands in a JSON value."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def lies(text):
    """The text with nonsense in one place after the other; or nothing."""
    for path in places(text):
        for nonsense in [*NONSENSE, "absent"]:
            lie = deepcopy(text)
            place = lie
            for key in path[:-1]:
                place = place[key]
            if nonsense == "absent":
                del place[path[-1]]
            else:
                place[path[-1]] = nonsense
            yield lie


READERS = {
    "select": lambda table: prices(table.select("A")),
    "index": lambda table: table.index.size,
    "observations": lambda table: table.observations("A"),
    "log": lambda table: table.log().size,
}


@pytest.fixture(scope="module")
def disk():
    """A table with a correction, a delete, an observation, and a checkpoint in between."""
    disk, clock = DamagedStore(), Clock()
    table = Tickstore(disk, clock=clock)
    table.insert("A", AT, bars(1.0))
    clock.tick()
    steps = [Step("insert", "A", ticks_at(2), back=0.5), Step("observe", "A")]
    say(table, clock, steps)
    table.flush()
    table.delete("A", AT)
    return disk


@pytest.mark.parametrize(
    "prefix", ["log/0000000001", "log/0000000002", "log/0000000003", "index/2-"]
)
def test_sealed_nonsense_is_refused(disk, prefix):
    """Whoever can write a text can seal it: that is an error of ours, or for an index a warning."""
    key = next(key for key in disk.keys("") if key.startswith(prefix) and key.endswith(".json"))
    text, _ = ledger.unseal(disk.get(key), key)
    for lie in lies(text):
        disk.damaged = key, ledger.seal(lie)
        for read in READERS.values():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", errors.CheckpointIgnored)
                with suppress(errors.Corrupt, errors.BadName):
                    read(Tickstore(disk))
    disk.damaged = "", b""


@pytest.mark.parametrize("what", ["revisions", "observations"])
def test_a_sealed_checkpoint_of_something_else_is_passed_over(disk, what):
    """A whole file that is not what it is read for."""
    expected = [read(Tickstore(disk)) for read in READERS.values()]
    other = in_memory(disk)
    (root,) = [key for key in disk.keys("index/") if key.endswith(".json")]
    text, _ = ledger.unseal(disk.get(root), root)
    (facts,) = text["pages"][what][""]
    data = other.get(facts["key"])
    if what == "revisions":
        data = codec.write_checkpoint(read_checkpoint(data, "")[["rows"]])
    else:
        splay = codec.write_splay(codec.dismantle(bars(1.0), "time"), "", EPOCH_DATE, Clock().now)
        data = splay.data
        facts |= {"rows": splay.rows, "content": splay.digest}
    facts |= {"size": len(data), "digest": digest_of(data)}
    for key, changed in ((facts["key"], data), (root, ledger.seal(text))):
        other.remove(key)
        other.put(key, changed)
    with pytest.warns(errors.CheckpointIgnored, match="lacks"):
        assert [read(Tickstore(other)) for read in READERS.values()] == expected


NAMES = {
    "separator": "a/b",
    "absolute": "/etc/passwd",
    "parents": "../../x",
    "dots": "..",
    "dot": ".",
    "backslashes": "C:\\x",
    "backslash parents": "..\\..\\x",
    "stream": "a:b",
    "long": "X" * 300,
    "long and wide": "ä" * 300,
    "emoji": "🚀" * 300,
    "right to left": "שקל \u202etxt.exe",
    "combining": "e\u0301\u0323",
    "composed": "\u1eb9\u0301",
    "spaces": "   ",
    "trailing space": "A ",
    "trailing dot": "A.",
    "leading dot": ".A",
    "device": "CON",
    "device file": "nul.txt",
    "port": "COM1",
    "twin": "btc",
    "other twin": "BTC",
    "third twin": "Btc",
    "dash": "-rf",
    "long option": "--help",
    "tilde": "~",
    "home": "~root",
    "looks encoded": "BTC-USD~BAE402591041AADAE323DC58E0934D75",
    "wildcards": "*?[a]",
    "variable": "$HOME`id`;",
    "quotes": "'\"",
    "markup": "[red]x[/red]",
    "percent": "%2e%2e%2f",
    "looks like a version": "A_0001",
    "looks like a splay": "A_0000.h5",
    "looks like a folder": "log",
    "no-break": "\u00a0\u200b\ufeff",
    "unassigned": "\U000e0080\uffff",
}


def files(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def test_any_name_stays_inside_and_comes_back(tmp_path, clock):
    """In symbols, index, log and select, from a fresh open with and without a checkpoint."""
    home = tmp_path / "outer" / "db"
    table = LocalTickstore(home / "TABLE", clock=clock)
    names = sorted(NAMES.values())
    many = [(name, AT, bars(float(place))) for place, name in enumerate(names)]
    table.insert_many(many)
    for _ in range(2):
        fresh = LocalTickstore(home / "TABLE", clock=clock)
        assert fresh.symbols() == names
        assert fresh.index.index.get_level_values("symbol").tolist() == names
        stacked = fresh.select(names)
        assert stacked.index.get_level_values("symbol").tolist() == names
        assert stacked["price"].tolist() == [float(place) for place in range(len(names))]
        for place, name in enumerate(names):
            assert prices(fresh.select(name)) == [float(place)]
        assert all(len(fresh.log(name)) == 1 for name in names)
        assert fresh.verify().empty
        fresh.flush()
    assert files(tmp_path) == [f"outer/db/TABLE/{name}" for name in files(home / "TABLE")]
    splays = list((home / "TABLE" / "2019/10/31").iterdir())
    assert len({path.name.casefold() for path in splays}) == len(names)
    fresh.copy(home / "COPY")
    assert LocalTickstore(home / "COPY", clock=clock).symbols() == names


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_can_name_a_table(tmp_path, name):
    """On the command line too; its folder is one of the database's, and none is made to read."""
    db = tmp_path / "outer" / "db"
    words = ["symbols", "--db", str(db), f"--table={name}", "--json"]
    assert CliRunner().invoke(app, words).exit_code != 0
    assert files(tmp_path) == []
    LocalTickstore(db / layout.encode_name(name)).insert(name, AT, bars(1.0))
    (folder,) = db.iterdir()
    assert len(files(folder)) == 3
    assert len(files(tmp_path)) == 3
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == [name]


@pytest.mark.parametrize(
    "name",
    ["", "X" * 301, "A\0B", "\0", "A\nB", "A\tB", "\x7f", "\x85", "\ud800", "A\udfffB", "\x1b[31m"],
)
def test_what_cannot_be_a_name_is_refused_by_every_verb(store, name):
    """In one line, and nothing has happened."""
    for verb in (
        lambda: store.insert(name, AT, bars(1.0)),
        lambda: store.insert_many([("A", AT, bars(1.0)), (name, AT, bars(1.0))]),
        lambda: store.delete(name, AT),
        lambda: store.undelete(name, AT),
        lambda: store.select(name),
        lambda: store.select(["A", name]),
        lambda: store.versions(name),
        lambda: store.revisions(name),
        lambda: store.observations(name),
        lambda: store.coverage(name),
        lambda: store.gaps(name),
        lambda: store.log(name),
    ):
        with pytest.raises(errors.BadName) as caught:
            verb()
        assert str(caught.value).isprintable()
    assert store.token == "0-00000000"  # noqa: S105 - no secret


TABLE = MemoryTickstore()
any_text = st.text(st.characters(), max_size=310)


@repeatable
@given(any_text)
def test_any_text_is_a_name_that_comes_back_or_is_refused(name):
    """By one rule: 1 to 300 characters, none of them control characters or lone surrogates."""
    kinds = {unicodedata.category(character) for character in name}
    if 1 <= len(name) <= 300 and kinds.isdisjoint({"Cc", "Cs"}):
        TABLE.insert(name, AT, bars(float(len(name))))
        assert name in TABLE.symbols()
        frame = TABLE.select([name])
        assert frame.index.get_level_values("symbol").tolist() == [name]
        assert frame["price"].tolist() == [float(len(name))]
        path = TABLE.versions(name)["path"].iloc[-1]
        assert layout.parse_splay_key(path) is not None
    else:
        with pytest.raises(errors.BadName):
            TABLE.insert(name, AT, bars(1.0))
