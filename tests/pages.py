"""Runs a page as a reader would: its Python and its commands, from top to bottom, in one folder.

What a page may hold:

- ``python``: all such blocks of a page share one namespace. Where a ``text`` block follows at once,
  it is what they printed.
- ``console``: each line that starts with ``$ `` is given to bash; its exit code must be 0. Where
  other lines follow, they are what it printed.
- ``text`` and ``json``: no code.
- ``{name}``: a directive of the site.

In what is shown ``...`` stands for any text, and on a line of its own for any lines. The sandbox
exchange that pages speak of, `SHOWN_URL`, is one on a free port. `SHOWN_ONLY` are commands that
cannot be tried so: they stay until they are stopped, or change the environment.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from tests.cli import running

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = {"python", "console"}
KINDS = {*CODE, "text", "json"}
SHOWN_ONLY = {"jupyter", "pip", "source"}
STAYS = ("behemoth sandbox", "behemoth lab")
SHOWN_URL = "http://127.0.0.1:8018"


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, the number of its first line, what it printed."""

    kind: str
    text: str
    line: int
    shown: str | None = None


def blocks(page: str) -> list[Block]:
    """Give the fenced blocks of a page; a text block right behind Python is its output."""
    found: list[Block] = []
    end = -1
    for match in FENCE.finditer(page):
        block = Block(match[1].strip(), match[2], page.count("\n", 0, match.start()) + 2)
        follows = found and found[-1].kind == "python" and not page[end : match.start()].strip()
        if follows and block.kind == "text":
            found[-1] = Block("python", found[-1].text, found[-1].line, block.text)
        found.append(block)
        end = match.end()
    return found


def commands(block: str) -> Iterator[tuple[str, str | None]]:
    """Give each command of a console block, and what it is shown to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        last = next(n for n, line in enumerate(lines) if not line.endswith("\\"))
        shown = "\n".join(lines[last + 1 :])
        yield "\n".join(lines[: last + 1]), shown if shown.strip() else None


def words(command: str) -> list[str]:
    """Give the words of a command without the variables set in front of it."""
    return re.sub(r"^(?:[A-Z_]+=\S* )+", "", command).split()


def run(page: Path, folder: Path, exchange: str) -> None:
    """Run a page; the working directory is `folder`, and `os.environ` a reader's.

    Raises
    ------
    AssertionError
        When a command fails or something else is printed than is shown.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name}:{block.line}"
        if block.kind == "python":
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)  # noqa: S102 - the page is ours
            check(where, block.shown, printed.getvalue(), exchange)
        elif block.kind == "console":
            for command, shown in commands(block.text):
                if not (words(command)[0] in SHOWN_ONLY or command.startswith(STAYS)):
                    check(where, shown, in_bash(command, folder, exchange), exchange)


def in_bash(command: str, folder: Path, exchange: str) -> str:
    """Run a command to its end and give what it printed, errors included.

    A command of ours that needs nothing of bash is run in this process, which is faster.
    """
    command = command.replace("\\\n", " ").replace(SHOWN_URL, exchange)
    if command.startswith("behemoth ") and not re.search(r"[|<>$&;`*]", command):
        own = running.behemoth(*shlex.split(command)[1:], cwd=folder)
        assert own.returncode == 0, f"{command}\n{own.stdout}{own.stderr}"
        return own.stderr + own.stdout
    line = ["bash", "-c", command]
    ended = subprocess.run(
        line,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}"
    return ended.stdout


def check(where: str, shown: str | None, printed: str, exchange: str) -> None:
    """Insist that what was printed is what the page shows, if it shows anything."""
    if shown is not None:
        printed = printed.replace(exchange, SHOWN_URL)
        assert matches(shown, printed), f"{where} shows\n{shown}\nand this came:\n{printed}"


def matches(shown: str, printed: str) -> bool:
    r"""Whether a text is as shown; blanks at the ends of lines and empty lines around do not count.

    >>> matches("a ... c", "a b c"), matches("a\n...\nd", "a\nb\nc\nd"), matches("a", "b")
    (True, True, False)
    """
    pattern = ""
    for line in shown.strip("\n").splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(map(re.escape, line.rstrip().split("..."))) + r" *\n"
    return re.fullmatch(pattern, printed.strip("\n") + "\n") is not None


def missing(page: str) -> set[str]:
    """Name what a page needs and is not installed: its imports, and the extras that it names."""
    found = set()
    for block in blocks(page):
        if block.kind == "python":
            found |= {name for name in imported(block.text) if find_spec(name) is None}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for names in re.findall(r"behemoth\[([\w,]+)\]", page):
        for extra in names.split(","):
            found |= {each for each in extras["optional-dependencies"][extra] if absent(each)}
    return found


def imported(code: str) -> set[str]:
    """Name the top-level packages that some code imports."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def absent(requirement: str) -> bool:
    """Whether the package of a requirement is not installed."""
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    try:
        version(match[0])
    except PackageNotFoundError:
        return True
    return False


def reader(folder: Path, exchange: str) -> Mapping[str, str]:
    """Give the environment of a reader: `behemoth` is a command, the exchange a sandbox.

    Parameters
    ----------
    folder
        Where the command is made.
    exchange
        The sandbox's address.
    """
    folder.mkdir()
    command = folder / "behemoth"
    code = "from behemoth.cli import main; main()"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -c "{code}" "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BEHEMOTH_")}
    return plain | {
        "BEHEMOTH_COINBASE_URL": exchange,
        "COLUMNS": "100",
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }
