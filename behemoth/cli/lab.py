"""The command ``lab``: JupyterLab in a folder with the notebooks, on a database."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from behemoth.errors import EnvironmentFailed

PASSED_ON = {"ignore_unknown_options": True}
"""How the words are read: options that are not ours belong to JupyterLab. `app` looks for it."""


def lab(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR] [OPTIONS OF JUPYTER LAB]...",
            help="The folder, by default notebooks; made where it is not there. All that follows "
            "goes to jupyter lab.",
            show_default=False,
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only say where it is; open no browser.")
    ] = False,
    db: Annotated[
        Path,
        typer.Option(
            "--db", envvar="BEHEMOTH_DB", help="The database that notebooks find in BEHEMOTH_DB."
        ),
    ] = Path("db"),
) -> None:
    """Open JupyterLab in a folder with the notebooks; it ends as JupyterLab does.

    Notebooks that are not in the folder yet are copied there; what is there already is yours, and
    is never overwritten. Kernels find the database in BEHEMOTH_DB.

    Example: [bold]behemoth lab notebooks --db db --port 8889[/bold]
    """
    if find_spec("jupyterlab") is None:
        raise EnvironmentFailed(
            "there is no JupyterLab in this environment; pip install 'behemoth[notebooks]'"
        )
    options = list(words or ())
    named = options and not options[0].startswith("-")
    folder = Path(options.pop(0) if named else "notebooks").absolute()
    copied = copy_notebooks(folder)
    typer.echo(f"{len(copied)} notebooks copied; JupyterLab opens in {folder}")
    if no_browser:
        options.insert(0, "--no-browser")
    environment = os.environ | {"BEHEMOTH_DB": str(db.absolute())}
    os.chdir(folder)
    command = [sys.executable, "-m", "jupyterlab", *options]
    os.execve(sys.executable, command, environment)  # noqa: S606 - Ctrl-C and exit code are its


def copy_notebooks(folder: Path) -> list[Path]:
    """Copy the notebooks that are not there yet, and give the new files.

    Parameters
    ----------
    folder
        Where to; made with its parents where it is not there.

    Raises
    ------
    EnvironmentFailed
        When the folder cannot be made or written.
    """
    copied = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(_notebooks().glob("*.ipynb")):
            try:
                with (folder / path.name).open("xb") as file:
                    file.write(path.read_bytes())
            except FileExistsError:
                continue
            copied.append(folder / path.name)
    except OSError as error:
        raise EnvironmentFailed(
            f"the notebooks cannot be copied to {folder}: {error.strerror or error}; name another "
            "folder: behemoth lab DIR"
        ) from error
    return copied


def _notebooks() -> Path:
    """Find them: within the package where it was installed, beside it in a clone."""
    package = Path(__file__).parents[1]
    installed = package / "notebooks"
    return installed if installed.is_dir() else package.parent / "notebooks"
