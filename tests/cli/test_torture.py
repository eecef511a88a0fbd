"""The command ``torture``: what it prints, what it leaves behind, what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

BEHEMOTH = [sys.executable, "-W", "error", "-m", "behemoth", "torture"]
SMALL = ["--seconds", "3", "--writers", "2", "--readers", "1", "--stops", "1"]


def run(*words):
    """Run the command to its end."""
    return subprocess.run(
        [*BEHEMOTH, *map(str, words)], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_a_sound_disk_gets_a_ledger_and_exit_code_0(tmp_path):
    """The table, and the verdict as the last line; nothing is left, nothing else touched."""
    (tmp_path / "mine.txt").write_text("mine")
    ended = run("--db", tmp_path, *SMALL)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert any(line.startswith("  commits acknowledged") for line in lines)
    assert lines[-1] == "sound: every acknowledged commit is present, whole and unchanged"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_the_ledger_as_json_and_the_table_kept(tmp_path):
    """One object; the table stays and is one like any other."""
    ended = run("--db", tmp_path, "--json", "--keep", "--kills", 2, *SMALL)
    assert (ended.returncode, ended.stderr) == (0, "")
    ledger = json.loads(ended.stdout)
    assert ledger["sound"] is True
    assert ledger["acknowledged"] == ledger["present"] > 0
    assert (ledger["lost"], ledger["troubles"]) == (0, [])
    (folder,) = tmp_path.glob("behemoth-torture-*")
    assert any((folder / "TABLE" / "log").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_its_folder_is_removed_when_it_is_interrupted(tmp_path, how):
    """Ctrl-C, or a polite kill, while everybody is at work."""
    command = [*BEHEMOTH, "--db", str(tmp_path), "--seconds", "600"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as torture:
        while torture.poll() is None and not list(tmp_path.glob("*/TABLE/log/0000000005.json")):
            time.sleep(0.01)
        torture.send_signal(how)
        said = torture.stderr.read()
    assert torture.returncode == 1
    assert said == (
        "behemoth: stopped before the end, so nothing is known; its folder is removed\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_misuse(tmp_path):
    """It makes none: a typing error would try the wrong disk."""
    ended = run("--db", tmp_path / "nowhere")
    assert ended.returncode == 2
    assert ended.stderr.startswith("behemoth: there is no folder ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["--writers", "0"], ["--readers", "-1"], ["--seconds", "0"], ["--kills", "-1"]],
    ids=" ".join,
)
def test_numbers_that_make_no_torture_are_misuse(tmp_path, words):
    """One clear line."""
    ended = run("--db", tmp_path, *words)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused_clearly(tmp_path):
    """It says which file, why, and what to do."""
    tmp_path.chmod(0o555)
    ended = run("--db", tmp_path)
    tmp_path.chmod(0o755)
    assert ended.returncode == 1
    assert "permission denied" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="a file system that refuses even root")
def test_a_file_system_that_takes_no_files_is_refused_clearly():
    """One line, no traceback."""
    ended = run("--db", "/proc")
    assert ended.returncode == 1
    assert re.match(r"behemoth: cannot write /proc/behemoth-torture-.*another folder", ended.stderr)
    assert len(ended.stderr.splitlines()) == 1
