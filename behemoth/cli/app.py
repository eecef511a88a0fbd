"""The ``behemoth`` command: which commands there are, and what an error looks like."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer

from behemoth.cli.download import download
from behemoth.cli.history import log, versions
from behemoth.cli.import_legacy import import_legacy
from behemoth.cli.maintain import copy, reindex, verify
from behemoth.cli.read import select, symbols
from behemoth.cli.sandbox import sandbox
from behemoth.cli.torture import torture
from behemoth.errors import BadRequest, BehemothError
from behemoth.version import __version__

app = typer.Typer(
    name="behemoth",
    help="A bitemporal tick database for quants, in plain HDF5 files.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
COMMANDS = (
    *(download, symbols, select, versions, log),
    *(verify, reindex, copy, torture, import_legacy, sandbox),
)
for command in COMMANDS:
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"behemoth {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Offer what holds for every command."""


def main() -> NoReturn:
    """Run the command line; errors become one line and an exit code."""
    warnings.showwarning = _show_warning
    try:
        app()
    except BadRequest as error:
        _fail(error, 2)
    except BehemothError as error:
        _fail(error, 1)
    except UnicodeError as error:
        _fail(f"the output's encoding cannot show this: {error}; try PYTHONIOENCODING=utf-8", 1)
    except OSError as error:
        _fail(f"the output cannot be written: {error.strerror or error}", 1)
    sys.exit(0)


def _fail(error: BehemothError | str, code: int) -> NoReturn:
    typer.echo(f"behemoth: {' '.join(str(error).split())}", err=True)
    sys.exit(code)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"behemoth: warning: {message}", err=True)
