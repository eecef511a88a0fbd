"""The site is whole: it builds without a warning, explains every name, and loads nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import behemoth
from behemoth import errors
from behemoth.cli.app import COMMANDS

pytest.importorskip("sphinx", reason="the site is built on the newest packages only")
ROOT = Path(__file__).parents[1]
LOADS = re.compile(r"<(?!a\b)\w+\b[^>]*?\b(?:src|href|srcset)=[\"']?(?:https?:)?//", re.IGNORECASE)
STYLE_LOADS = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])(?:https?:)?//", re.IGNORECASE)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Build the site as `scripts/docs` does."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet"]
    command += ["-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return folder / "html"


def test_every_page_is_on_the_site(site):
    """A Markdown page that no table of contents names would be a warning."""
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in written()}
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert pages <= built


def test_a_page_loads_nothing_from_elsewhere(site):
    """No script, font, style or picture of another host: it works from a disk, and tells nobody."""
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    styles = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.css")}
    assert [path.name for path, text in pages.items() if LOADS.search(text)] == []
    assert [path.name for path, text in styles.items() if STYLE_LOADS.search(text)] == []


def test_every_public_name_is_explained(site):
    """Each class, verb and error has a place that can be linked."""
    api = (site / "api.html").read_text(encoding="utf-8")
    verbs = [f"Tickstore.{name}" for name in dir(behemoth.Tickstore) if not name.startswith("_")]
    nouns = [name for name in behemoth.__all__ if name not in ("errors", "__version__")]
    assert [name for name in (*verbs, *nouns) if f'id="behemoth.{name}"' not in api] == []
    tree = (site / "errors.html").read_text(encoding="utf-8")
    classes = [name for name, thing in vars(errors).items() if isinstance(thing, type)]
    raised = [name for name in classes if getattr(errors, name).__module__ == errors.__name__]
    assert [name for name in raised if f'id="behemoth.errors.{name}"' not in tree] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_explained(site, command):
    """With an example and each of its options, as its help."""
    text = (site / "commands.html").read_text(encoding="utf-8")
    _, found, rest = text.partition(f'id="behemoth-{command}"')
    assert found
    plain = re.sub(r"<[^>]+>", "", rest.partition("</section>")[0])
    line = [sys.executable, "-m", "behemoth", command, "--help"]
    shown = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert f"$ behemoth {command}" in plain
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown)) - {"--help"}
    assert {option for option in options if option not in plain} == set()


def written() -> list[Path]:
    """Give the Markdown pages."""
    pages = (ROOT / "docs").rglob("*.md")
    return [path for path in pages if "_site" not in path.parts]
