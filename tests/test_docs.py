"""The pages are true: their commands and their Python run, their links lead somewhere."""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import behemoth
from behemoth import __version__, research
from tests import pages
from tests.cli import running
from tests.legacy.old_database import small
from tests.pages import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "docs").rglob("*.md")
    if "_site" not in path.parts
)
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *DOCS]
RUN = [
    page
    for page in ["README.md", *DOCS]
    if any(block.kind in pages.CODE for block in pages.blocks((ROOT / page).read_text("utf-8")))
]
BEHEMOTH = [sys.executable, "-W", "error", "-m", "behemoth"]
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("BEHEMOTH_")}
PLAIN |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def exchange() -> Iterator[str]:
    """Give the address of a sandbox exchange."""
    command = [*BEHEMOTH, "sandbox", "--port", "0"]
    with subprocess.Popen(command, env=PLAIN, stdout=subprocess.PIPE, text=True) as sandbox:
        try:
            line = sandbox.stdout.readline()
            url = re.search(r"sandbox exchange at (http://127\.0\.0\.1:\d+)", line)
            assert url, line
            yield url[1]
        finally:
            sandbox.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_a_page_runs_from_top_to_bottom(page, exchange, tmp_path, monkeypatch):
    text = (ROOT / page).read_text(encoding="utf-8")
    if missing := pages.missing(text):
        pytest.skip(f"{page} needs {', '.join(sorted(missing))}")
    folder = tmp_path / "reader"
    folder.mkdir()
    if "import-legacy old-db" in text:
        small(folder / "old-db").write()
    for name in [name for name in os.environ if name.startswith("BEHEMOTH_")]:
        monkeypatch.delenv(name)
    for name, value in pages.reader(tmp_path / "bin", exchange).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    pages.run(ROOT / page, folder, exchange)


@pytest.mark.parametrize("page", PAGES)
def test_a_block_says_whether_it_is_code(page):
    """What is neither run nor a directive of the site is marked as text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = pages.blocks(text)
    assert 2 * len(found) == len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE))
    kinds = {block.kind for block in found}
    assert {kind for kind in kinds if not re.fullmatch(r"\{[\w-]+\}.*", kind)} <= pages.KINDS
    for block in found:
        if block.kind == "console":
            assert block.text.startswith("$ "), f"{page}:{block.line}"


def test_what_is_shown_may_leave_out():
    assert doctest.testmod(pages).failed == 0


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "page.md:2 shows"),
        ("```python\nassert False, 7\n```\n", "7"),
        ("```console\n$ echo a\nb\n```\n", "page.md:2 shows"),
        ("```console\n$ exit 1\n```\n", "exit 1"),
        ("```console\n$ echo a\na\n$ echo \\\nb\nc\n```\n", "page.md:2 shows"),
    ],
)
def test_a_page_that_is_not_true_fails(tmp_path, page, message):
    """Whatever is printed but not shown, shown but not printed, or fails."""
    path = tmp_path / "page.md"
    path.write_text(page, encoding="utf-8")
    with pytest.raises(AssertionError, match=re.escape(message)):
        pages.run(path, tmp_path, "http://127.0.0.1:1")


def test_the_readme_names_every_command_and_no_other():
    assert named() == offered()


def test_every_command_explains_itself_with_an_example():
    shown = {name: running.behemoth(name, "--help").stdout for name in named()}
    assert [name for name, text in shown.items() if f"behemoth {name}" not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_to_files_and_headings(page):
    path = ROOT / page
    lost = []
    for target in re.findall(r"\]\(<?([^)>\s]+)>?\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        file = path.parent / place if place else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    assert lost == []


def anchors(page: Path) -> set[str]:
    """Name the headings of a page as a code host and the site do."""
    text = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    titles = re.findall(r"^#{1,3} (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).strip().lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def test_the_reference_has_every_public_name():
    """Each is on a page of the site, under the heading of what it is for."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto\w+:: ([\w.]+)$", page, re.MULTILINE)
    verbs = {f"Tickstore.{name}" for name in dir(behemoth.Tickstore) if not name.startswith("_")}
    assert sorted(listed) == sorted(set(listed))
    assert {*behemoth.__all__, *verbs} - {"errors", "__version__"} <= set(listed)
    assert {f"behemoth.research.{name}" for name in set(research.__all__) - {"book"}} <= set(listed)


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
    consoles = [block.text for block in pages.blocks(README) if block.kind == "console"]
    lines = [pages.words(command) for text in consoles for command, _ in pages.commands(text)]
    return {line[1] for line in lines if line[0] == "behemoth"}


def offered() -> set[str]:
    """Give the commands that there are."""
    table = running.behemoth("--help").stdout.partition("Commands")[2]
    return set(re.findall(r"^[^a-z]*([a-z][a-z-]*) {2,}\S", table, re.MULTILINE))
