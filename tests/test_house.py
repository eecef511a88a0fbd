"""The house is in order: what lies where, what the pipelines call, what no file may say."""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"behemoth", "benchmarks", "docs", "notebooks", "scripts", "tests"}
FILES = {
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "azure-pipelines.yml",
    "constraints-oldest.txt",
    "constraints.txt",
    "pyproject.toml",
}
MADE_BY_TOOLS = {"build", "db", "demo", "dist"}
SCRIPTS = {
    "bench",
    "check",
    "demo",
    "docs",
    "environment",
    "peers",
    "picture",
    "test",
    "test-oldest",
    "torture",
}
ADRS = [
    "0001-columnar-splays-that-pandas-reads.md",
    "0002-a-log-is-the-truth-and-the-index-is-derived.md",
    "0003-knowledge-starts-when-it-is-committed.md",
    "0004-two-packages-are-replaced.md",
    "0005-repair-fences-before-it-moves.md",
    "0006-we-write-hdf5-ourselves.md",
    "0007-fast-reads.md",
    "0008-the-index-is-a-tree-of-pages.md",
    "0009-a-frame-carries-its-receipt.md",
    "0010-trades-keep-exact-integers-beside-floats.md",
]
FORBIDDEN = [
    "/wo" + "rk/",
    "/ro" + "ot/",
    "/ho" + "me/",
    "/op" + "t/",
    "pypi" + ".org",
    "python" + "hosted",
    "index" + "-url",
    "find" + "-links",
]


def texts() -> dict[str, str]:
    """Give the text of every file of ours by its path."""
    places = [ROOT / name for name in FILES] + [
        path for name in (*FOLDERS, ".ci") for path in (ROOT / name).rglob("*") if path.is_file()
    ]
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in places
        if not any("cache" in part for part in path.relative_to(ROOT).parts)
    }


def test_the_top_level_is_the_one_that_is_written_down():
    there = {path.name for path in ROOT.iterdir()}
    shown = {name for name in there - MADE_BY_TOOLS if not name.startswith(".") or name in FILES}
    assert shown == FOLDERS | FILES
    assert (ROOT / ".ci" / "run").is_file()


def test_scripts_are_executable_verbs():
    scripts = {path.name for path in (ROOT / "scripts").iterdir()}
    assert scripts == SCRIPTS
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]:
        assert os.access(path, os.X_OK), path
        assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n# "), path
        assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8"), path


def test_the_pipelines_call_only_scripts():
    azure = (ROOT / "azure-pipelines.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"(?:script|bash): (.*)", azure)) == {
        "scripts/check",
        "scripts/test-oldest",
        "scripts/torture",
    }
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    called = [line for line in lines if line.startswith("scripts/")]
    assert called == ["scripts/test-oldest", "scripts/check", "scripts/docs"]


def test_the_torture_runs_every_night():
    """At full size, and not for each change: it takes too long."""
    azure = (ROOT / "azure-pipelines.yml").read_text(encoding="utf-8")
    schedules, _, jobs = azure.partition("\njobs:\n")
    assert re.search(r"^schedules:\n  - cron: \"\d+ \d+ \* \* \*\"$", schedules, re.MULTILINE)
    torture = jobs.partition("  - job: torture\n")[2]
    assert torture.startswith("    condition: eq(variables['Build.Reason'], 'Schedule')\n")
    assert "- script: scripts/torture\n" in torture


def test_azure_has_every_supported_python_on_linux_and_macos():
    azure = (ROOT / "azure-pipelines.yml").read_text(encoding="utf-8")
    rows = re.findall(r"image: (\w+)-latest, python: \"([\d.]+)\"", azure)
    wanted = {(system, f"3.{n}") for system in ("ubuntu", "macos") for n in (11, 12, 13)}
    assert set(rows) == wanted


@pytest.mark.parametrize("number", range(1, len(ADRS) + 1))
def test_a_decision_goes_from_the_problem_to_the_consequences(number):
    name = ADRS[number - 1]
    text = (ROOT / "docs" / "adr" / name).read_text(encoding="utf-8")
    assert text.startswith(f"# {number}. ")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections == ["Problem", "Options", "Decision", "Consequences"]


def test_the_decisions_are_numbered_without_a_gap():
    pages = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert pages[: len(ADRS)] == ADRS
    assert [int(page[:4]) for page in pages] == list(range(1, len(pages) + 1))


def test_constraints_pin_every_direct_dependency_exactly():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    core = project["project"]["dependencies"]
    tests = project["dependency-groups"]["test"]
    extras = project["project"]["optional-dependencies"]
    more = [each for extra in ("notebooks", "arrow", "polars", "dask") for each in extras[extra]]
    more += project["dependency-groups"]["interop"]
    check = project["dependency-groups"]["check"]
    docs = project["dependency-groups"]["docs"]
    assert names(core + tests + more + check + docs) <= pinned("constraints.txt")
    assert names(core + tests) <= pinned("constraints-oldest.txt")


def test_the_pictures_are_small():
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > 200_000] == []


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_file_tells_of_a_machine_or_a_registry(word):
    assert [path for path, text in texts().items() if word in text] == []


def test_the_license_is_apache():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def test_notebooks_name_no_kernel_of_a_machine():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        assert metadata["kernelspec"]["name"] == "python3"


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements}


def pinned(file: str) -> set[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0] for line in lines if "==" in line}
