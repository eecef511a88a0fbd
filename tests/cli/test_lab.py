"""``behemoth lab``: a real JupyterLab on a free port, what it copies, what it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
LAB = [sys.executable, "-m", "behemoth", "lab"]
HIDDEN = "import sys; sys.modules['jupyterlab'] = None; from behemoth.cli import main; main()"
URL = re.compile(r"(http://127\.0\.0\.1:\d+)/lab\?token=(\w+)")
installed = pytest.mark.skipif(
    find_spec("jupyterlab") is None, reason="the notebooks extra is not installed: no jupyterlab"
)


def environment(tmp_path, **more):
    """Give an environment in which Jupyter keeps all it writes below `tmp_path`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BEHEMOTH_")}
    places = {"HOME": tmp_path, "JUPYTER_RUNTIME_DIR": tmp_path / "runtime", "PYTHONPATH": ROOT}
    return plain | {name: str(place) for name, place in (places | more).items()}


def run(folder, *words, env, command=LAB):
    """Run the command to its end."""
    return subprocess.run(
        [*command, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


@contextmanager
def opened(folder, *words, env):
    """Run JupyterLab, give its process, address and token, and end it as `kill PID` does."""
    more = ["--no-browser", "--port", "0", *(["--allow-root"] if os.geteuid() == 0 else [])]
    with (
        (folder / "said.txt").open("w") as said,
        subprocess.Popen(
            [*LAB, *words, *more],
            cwd=folder,
            env=env,
            stdout=said,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            lines = (URL.search(line) for line in process.stderr)
            found = next(match for match in lines if match)
            yield process, found[1], found[2]
        finally:
            process.terminate()
            process.stderr.read()


@installed
@pytest.mark.slow
def test_jupyterlab_serves_the_notebooks_and_its_kernels_find_the_database(tmp_path):
    """Asked over HTTP, with the token that it printed; a kernel of its runs code of ours."""
    env = environment(tmp_path)
    with opened(tmp_path, "mine", "--db", "ticks", env=env) as (process, url, token):
        asked = {"base_url": url, "timeout": 60}
        with httpx.Client(headers={"Authorization": f"token {token}"}, **asked) as client:
            assert httpx.get(f"{url}/api/contents", timeout=60).status_code == 403
            assert client.get("/api/status").json()["kernels"] == 0
            listed = client.get("/api/contents").json()["content"]
            assert sorted(entry["name"] for entry in listed) == NOTEBOOKS
            kernel = client.post("/api/kernels", json={"name": "python3"}).json()["id"]
            told = answer(tmp_path / "runtime" / f"kernel-{kernel}.json")
            assert client.delete(f"/api/kernels/{kernel}").status_code == 204
    assert told == [str(tmp_path / "ticks"), "LocalTickstore"]
    assert process.returncode is not None
    said = f"{len(NOTEBOOKS)} notebooks copied; JupyterLab opens in {tmp_path / 'mine'}\n"
    assert (tmp_path / "said.txt").read_text() == said


def answer(connection):
    """Ask a kernel where the database is, and whether it has Behemoth."""
    from jupyter_client import BlockingKernelClient

    code = "import os, behemoth\nprint(os.environ['BEHEMOTH_DB'], behemoth.LocalTickstore.__name__)"
    told = []
    client = BlockingKernelClient()
    client.load_connection_file(str(connection))
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(
            code, timeout=60, output_hook=lambda said: told.append(said["content"].get("text", ""))
        )
    finally:
        client.stop_channels()
    return "".join(told).split()


@installed
def test_what_is_there_is_never_overwritten(tmp_path):
    """Only what lacks is copied; options go on to JupyterLab, here the one that ends it at once."""
    mine = tmp_path / "notebooks" / NOTEBOOKS[0]
    mine.parent.mkdir()
    mine.write_text("mine")
    ended = run(tmp_path, "--version", env=environment(tmp_path))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{len(NOTEBOOKS) - 1} notebooks copied; ")
    assert mine.read_text() == "mine"
    assert sorted(path.name for path in mine.parent.iterdir()) == NOTEBOOKS
    assert json.loads((mine.parent / NOTEBOOKS[1]).read_text())["nbformat"] == 4
    again = run(tmp_path, "notebooks", "--version", env=environment(tmp_path))
    assert again.stdout.startswith("0 notebooks copied; ")


@installed
@pytest.mark.slow
def test_an_installed_package_brings_its_notebooks(tmp_path):
    """A wheel, built and unpacked, far from the clone."""
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    env = environment(tmp_path, PYTHONPATH=tmp_path / "site")
    ended = run(tmp_path, "here", "--version", env=env)
    assert (ended.returncode, ended.stderr) == (0, "")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert copied == {name: (ROOT / "notebooks" / name).read_bytes() for name in NOTEBOOKS}


def test_without_jupyterlab_it_names_the_extra(tmp_path):
    """One line, exit 1 as where any package lacks, and nothing is copied."""
    command = [sys.executable, "-c", HIDDEN, "lab"]
    ended = run(tmp_path, env=environment(tmp_path), command=command)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "pip install 'behemoth[notebooks]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@installed
def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path):
    """Named, exit 1."""
    (tmp_path / "FILE").write_text("a file where a folder should be")
    ended = run(tmp_path, "FILE", env=environment(tmp_path))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"{tmp_path / 'FILE'}: File exists; name another folder" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
