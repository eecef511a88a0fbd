"""The command ``import-legacy``: asks first, says what it did, and goes on when called again."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from behemoth import BiTimestamp, LocalTickstore
from behemoth.layout import encode_name
from tests.cli.running import behemoth
from tests.legacy.hostile import GETPID, HANG, poison
from tests.legacy.old_database import D1, END, T1, bars, small


@pytest.fixture
def old(tmp_path):
    """A small database with its index."""
    old = small(tmp_path / "old")
    old.write()
    return old


def imported(old, *words):
    """Import into the table OLD beside it."""
    db = str(old.folder.parent / "db")
    return behemoth("import-legacy", str(old.folder), "--db", db, "--table", "OLD", *words)


def test_an_import_says_what_it_did(old):
    """For people, after a warning; and a second time there is nothing to do."""
    first = imported(old, "--yes", "--table", "from 2019")
    assert first.returncode == 0, first.stderr
    assert first.stderr.startswith(
        "behemoth: warning: opening the files of a 2019 database can run"
    )
    assert "importing: 9 of 9\n" in first.stderr
    words = " ".join(first.stdout.split())
    assert (
        "versions written 7 deletes written 2 already there 0 ticks 13 versions verified 7" in words
    )
    db = old.folder.parent / "db"
    assert first.stdout.splitlines()[0] == f"{old.folder}, as the table from 2019 in {db}"
    again = imported(old, "--yes", "--json", "--table", "from 2019")
    assert again.returncode == 0
    assert len(again.stderr.splitlines()) == 1
    told = json.loads(again.stdout)
    assert (told["inserts"], told["already_there"], told["bad"]) == (0, 9, [])
    with LocalTickstore(db / encode_name("from 2019")) as store:
        assert len(store.select("BTC-USD")) == 6


def test_without_a_yes_and_without_a_terminal_nothing_is_opened(old):
    refused = imported(old)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "see --yes" in refused.stderr
    assert not (old.folder.parent / "db").exists()


@pytest.mark.parametrize(
    ("answer", "code"), [(b"n\n", 1), (b"y\n", 0), (b"\x04", 1)], ids=["no", "yes", "ctrl-d"]
)
def test_a_person_is_asked(old, answer, code):
    """No is taken for an answer."""
    person, terminal = pty.openpty()
    db = old.folder.parent / "db"
    command = [sys.executable, "-m", "behemoth", "import-legacy", str(old.folder)]
    command += ["--db", str(db), "--table", "OLD"]
    os.write(person, answer)
    ended = subprocess.run(
        command, stdin=terminal, capture_output=True, text=True, timeout=60, check=False
    )
    os.close(terminal)
    os.close(person)
    assert ended.returncode == code, ended.stderr
    assert f"Open the files of {old.folder}?" in ended.stderr
    assert db.exists() == (code == 0)
    assert ended.stderr.endswith("behemoth: stopped; nothing was opened\n") == (code == 1)
    assert "Abort" not in ended.stderr


def test_ctrl_c_at_the_question_is_one_line(old):
    """Pressed while it waits for the answer."""
    person, terminal = pty.openpty()
    words = [str(old.folder), "--db", str(old.folder.parent / "db"), "--table", "OLD"]
    command = [sys.executable, "-m", "behemoth", "import-legacy", *words]
    with subprocess.Popen(command, stdin=terminal, stderr=subprocess.PIPE) as importer:
        asked = b""
        while b"Open the files of" not in asked:
            asked += os.read(importer.stderr.fileno(), 1000)
        importer.send_signal(signal.SIGINT)
        os.write(person, b"\n")  # it may be on its way to read, and would then wait for this
        _, said = importer.communicate(timeout=60)
    os.close(terminal)
    os.close(person)
    assert importer.returncode == 1
    assert said.decode().endswith("\nbehemoth: stopped; nothing was opened\n")


def test_ctrl_c_stops_it_in_one_line(old, tmp_path):
    """The process that was at a file ends with it."""
    told = tmp_path / "told"
    os.mkfifo(told)
    poison(old.rows[3]["path"], f"open({str(told)!r}, 'w').write(str({GETPID})), {HANG}")
    command = [sys.executable, "-m", "behemoth", "import-legacy", str(old.folder), "--yes"]
    command += ["--db", str(tmp_path / "db"), "--table", "OLD"]
    listening = os.open(told, os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as importer:
        try:
            assert select.select([listening], [], [], 60)[0]
            opener = int(os.read(listening, 100))
            importer.send_signal(signal.SIGINT)
            _, stderr = importer.communicate(timeout=60)
        finally:
            importer.kill()
    os.close(listening)
    assert importer.returncode == 1
    assert stderr.splitlines()[1:] == [
        "behemoth: stopped; what was committed stays, the same command goes on from there"
    ]
    with pytest.raises(ProcessLookupError):
        os.kill(opener, 0)


def test_bad_files_are_listed_and_can_be_left_out(old):
    path = Path(old.rows[0]["path"])
    path.unlink()
    stopped = imported(old, "--yes", "--json")
    assert stopped.returncode == 1
    told = json.loads(stopped.stdout)
    assert [(bad["file"], bad["date"]) for bad in told["bad"]] == [(str(path), D1.isoformat())]
    assert told["committed"] is False
    assert str(path) in stopped.stderr
    assert (
        "nothing was committed; restore them, or leave them out with --skip-bad" in stopped.stderr
    )
    skipped = imported(old, "--yes", "--skip-bad")
    assert skipped.returncode == 1
    assert "files left out 1" in " ".join(skipped.stdout.split())
    assert str(path) in skipped.stderr


@pytest.mark.parametrize("what", ["no database", "contradiction", "other table", "same folder"])
def test_an_error_is_one_line_and_an_exit_code(old, what):
    words, code, message = ["--yes"], 1, ""
    if what == "no database":
        (old.folder / "index.h5").unlink()
        message = "there is no index.h5"
    elif what == "contradiction":
        old.note("BTC-USD", D1, 1, T1, END, "")
        old.write()
        message = "contradicts itself, nothing was imported: 'BTC-USD' 2019-10-30 version 1"
    elif what == "other table":
        with LocalTickstore(old.folder.parent / "db" / "OLD") as store:
            store.insert("BTC-USD", BiTimestamp(D1), bars(D1, 1.0))
        code, message = 2, "import into another table"
    else:
        words, code, message = ["--yes", "--db", str(old.folder)], 2, "share a folder"
    refused = imported(old, *words)
    assert (refused.returncode, refused.stdout) == (code, "")
    *_, last = refused.stderr.splitlines()
    assert message in last
    assert "Traceback" not in refused.stderr
