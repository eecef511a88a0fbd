"""The README is true: its commands run, its Python runs, its links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from behemoth import __version__
from tests.legacy.old_database import small

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BEHEMOTH = [sys.executable, "-W", "error", "-c", "from behemoth.cli import main; main()"]


PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("BEHEMOTH_")}
PLAIN |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
ENDLESS = {"lab", "sandbox"}
"""They run until they are stopped; tests of their own run them."""
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/durability.md", "docs/format.md"]
PAGES += sorted(f"docs/adr/{path.name}" for path in (ROOT / "docs" / "adr").glob("*.md"))


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Give the environment of a reader whose exchange is a sandbox."""
    command = [*BEHEMOTH, "sandbox", "--port", "0"]
    with subprocess.Popen(command, env=PLAIN, stdout=subprocess.PIPE, text=True) as sandbox:
        try:
            line = sandbox.stdout.readline()
            url = re.search(r"sandbox exchange at (http://127\.0\.0\.1:\d+)", line)
            assert url, line
            yield PLAIN | {"BEHEMOTH_COINBASE_URL": url[1]}
        finally:
            sandbox.terminate()


@pytest.mark.slow
def test_the_readme_runs_from_top_to_bottom(tmp_path, environment):
    small(tmp_path / "old-db").write()
    done = []
    for kind, block in BLOCK.findall(README):
        if kind == "python":
            command = [sys.executable, "-W", "error", "-c", block]
            run(command, tmp_path, environment)
            done.append("python")
            continue
        for words in commands(block):
            if words[0] == "behemoth" and words[1] not in ENDLESS:
                run([*BEHEMOTH, *words[1:]], tmp_path, environment)
                done.append(words[1])
    assert done[:2] == ["download", "python"]
    assert set(done) == named() - ENDLESS | {"python"}


def test_the_readme_names_every_command_and_no_other():
    table = run([*BEHEMOTH, "--help"], ROOT, PLAIN).partition("Commands")[2]
    offered = re.findall(r"^[^a-z]*([a-z][a-z-]*) {2,}\S", table, re.MULTILINE)
    assert named() == set(offered)


def test_every_command_explains_itself_with_an_example():
    shown = {name: run([*BEHEMOTH, name, "--help"], ROOT, PLAIN) for name in named()}
    assert [name for name, text in shown.items() if f"behemoth {name}" not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    folder = (ROOT / page).parent
    assert [target for target in targets if not (folder / target).exists()] == []


def test_every_promise_names_tests_that_are_there():
    text = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")
    named_tests = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    assert len(named_tests) > 10
    assert [path for path in sorted(named_tests) if not (ROOT / path).is_file()] == []


def test_the_changelog_tells_of_the_current_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == __version__


def named() -> set[str]:
    """Give the commands that the README shows."""
    lines = [words for _, block in BLOCK.findall(README) for words in commands(block)]
    return {words[1] for words in lines if words[0] == "behemoth"}


def commands(block: str) -> list[list[str]]:
    """Give the words of each ``$`` line, without the variables set in front."""
    lines = [shlex.split(line[2:]) for line in block.splitlines() if line.startswith("$ ")]
    return [[word for word in line if not re.match(r"[A-Z_]+=", word)] for line in lines]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command to its end and give what it printed; it must succeed in silence on stderr."""
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, f"{command[-6:]}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
