"""How commands end early, and what they do not load."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from datetime import date

import pytest

from behemoth import LocalTickstore
from behemoth.feeds import CoinbaseClient, download
from behemoth.feeds.sandbox import Sandbox
from tests.cli.conftest import TABLE
from tests.cli.test_maintain import SPLAY

BEHEMOTH = [sys.executable, "-W", "error", "-m", "behemoth"]
ENTRY = "log/0000000002.json"


def stopped_at(path, command, **options):
    """Run a command until it reads a file, press Ctrl-C there; give its code and last words."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)  # whoever opens it waits for a writer, and whoever reads it for what is written
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options) as process:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            try:
                writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError:  # nobody reads yet
                time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        os.close(writer)  # it may be on its way to read, and would then wait, signal or not
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, said


@pytest.mark.parametrize(
    ("words", "at", "then"),
    [
        (["verify"], SPLAY, "; run it again"),
        (["copy", "COPY"], SPLAY, "; the same command goes on from there"),
        (["reindex"], ENTRY, "; run it again"),
        (["reindex", "--into", "NEW"], ENTRY, "; run it again, into an empty folder"),
        (["select", "BTC-USD", "--as-of", "2020-01-01T00:30"], SPLAY, ""),
        (["symbols"], ENTRY, ""),
    ],
    ids=["verify", "copy", "reindex", "reindex into", "select", "symbols"],
)
def test_ctrl_c_is_one_line_and_exit_code_1(db, tmp_path, monkeypatch, words, at, then):
    """It says what holds, and how to go on."""
    monkeypatch.chdir(tmp_path)
    code, said = stopped_at(db / TABLE / at, [*BEHEMOTH, *words, "--db", str(db)])
    assert (code, said) == (1, f"behemoth: stopped; nothing is lost{then}\n")


@pytest.mark.parametrize(
    "program", [["-m", "behemoth"], ["-c", "from behemoth.cli import main; main()"]]
)
def test_ctrl_c_while_it_is_loading_is_one_line_too(tmp_path, program):
    """In the half second in which pandas, or here what stands in its place, is imported."""
    gate, late = tmp_path / "gate", tmp_path / "late"
    late.mkdir()
    (late / "pandas.py").write_text(f"import os\nos.read(os.open({str(gate)!r}, 0), 1)\n")
    path = os.pathsep.join([str(late), *filter(None, sys.path)])
    command = [sys.executable, "-W", "error", *program, "symbols"]
    code, said = stopped_at(gate, command, env={**os.environ, "PYTHONPATH": path})
    assert (code, said) == (1, "behemoth: stopped; nothing is lost\n")


@pytest.mark.parametrize(
    "words",
    [
        ["select", "ETH-USD", "--csv"],
        ["select", "ETH-USD"],
        ["symbols"],
        ["versions", "BTC-USD"],
        ["log"],
        ["log", "--json"],
        ["verify"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_an_output_that_nobody_reads_ends_quietly(db, words):
    """As in ``| head``: exit code 1, since not all was said, and no message."""
    reading, writing = os.pipe()
    os.close(reading)
    options = [] if words == ["--help"] else ["--db", str(db)]
    ended = subprocess.run(
        [*BEHEMOTH, *words, *options],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


LOADED = """
import json, sys
sys.argv = ["behemoth", *sys.argv[1:]]
from behemoth.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def test_a_command_loads_only_what_it_needs(db):
    """No exchange client to list symbols."""
    said = subprocess.check_output(
        [sys.executable, "-c", LOADED, "symbols", "--db", str(db)], text=True, timeout=60
    )
    loaded = json.loads(said.splitlines()[-1])
    others = ("httpx", "tenacity", "behemoth.torture", "behemoth.legacy", "behemoth.feeds")
    assert [name for name in loaded if name.startswith(others)] == []
    assert "behemoth.cli.read" in loaded


@pytest.mark.parametrize(
    "words", [["download", "--what", "trades"], ["verify-source"]], ids=["trades", "verify-source"]
)
def test_ctrl_c_on_a_terminal_speaks_below_the_bar(tmp_path, words):
    """In a line of its own, after the bar was drawn for the last time."""
    day = date(2019, 10, 31)
    with Sandbox(latency=0.1) as exchange, CoinbaseClient(exchange.url, rate=1000) as client:
        with LocalTickstore(tmp_path / TABLE) as store:
            download(store, client, "BTC-USD", day, day)
        words = [*words, "BTC-USD", str(day), str(day), "--rate", "5", "--api-url", exchange.url]
        said = stopped_on_a_terminal([*BEHEMOTH, *words, "--db", str(tmp_path)])
    *_, bar, last = [line for line in said.splitlines() if line]
    assert "behemoth" not in bar
    assert re.sub(r"\x1b\[[0-9?]*[A-Za-z]|\r", "", last).startswith("behemoth: stopped; ")


def stopped_on_a_terminal(command):
    """Run a command on a terminal until it draws a bar, press Ctrl-C there; give what it said."""
    ours, theirs = pty.openpty()
    said = b""
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        pressed = False
        while True:
            try:
                read = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            said += read
            if not read:
                break
            if not pressed and re.search(rb"\d/\d", said):
                process.send_signal(signal.SIGINT)
                pressed = True
        assert process.wait(timeout=60) == 1
    os.close(ours)
    return said.decode()
