"""The ``behemoth`` command: which commands there are, and what an error looks like.

A command's module is imported when the command is asked for, so that none waits for the others.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from behemoth.cli import ending
from behemoth.cli.printable import printable
from behemoth.errors import BadRequest, BehemothError
from behemoth.version import __version__

COMMANDS = {
    "download": "download",
    "verify-source": "verify_source",
    "symbols": "read",
    "select": "read",
    "versions": "history",
    "log": "history",
    "diff": "history",
    "vintages": "history",
    "gaps": "gaps",
    "tag": "states",
    "replay": "states",
    "verify": "maintain",
    "reindex": "maintain",
    "copy": "maintain",
    "torture": "torture",
    "import": "import_candles",
    "import-legacy": "import_legacy",
    "sandbox": "sandbox",
    "lab": "lab",
}
"""Each command, and the module of this package that it is in."""


def _explained(offered: typer.Typer) -> Any:
    """Make the command; the lines of its help end where the terminal does, not the docstring."""
    command: Any = typer.main.get_command(offered)
    for each in [command, *getattr(command, "commands", {}).values()]:
        paragraphs = (each.help or "").split("\n\n")
        each.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return command


class Commands(TyperGroup):
    """Offers `COMMANDS`, and ends in one line when it is stopped."""

    def list_commands(self, _ctx: Any) -> list[str]:
        """Name them in the order of the help."""
        return list(COMMANDS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """Import a command, or a group of commands; ``None`` where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"behemoth.cli.{COMMANDS[cmd_name]}")
        if isinstance(group := getattr(module, "app", None), typer.Typer):
            return _explained(group)
        settings = getattr(module, "PASSED_ON", None)
        alone = typer.Typer(
            rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False
        )
        alone.command(cmd_name, context_settings=settings)(
            getattr(module, cmd_name.replace("-", "_"))
        )
        return _explained(alone)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with ending.stoppable():
            return super().invoke(ctx)


app = typer.Typer(
    name="behemoth",
    cls=Commands,
    help="A bitemporal tick database for quants, in plain HDF5 files.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)


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
    """Run the command line; errors become one line and an exit code.

    Where nobody reads the output to its end (``| head``), it ends quietly with exit code 1: what
    was asked for was not all said.
    """
    warnings.showwarning = _show_warning
    try:
        try:
            app()
        finally:
            ending.flush()
    except BadRequest as error:
        _fail(error, 2)
    except BehemothError as error:
        _fail(error, 1)
    except UnicodeError as error:
        _fail(f"the output's encoding cannot show this: {error}; try PYTHONIOENCODING=utf-8", 1)
    except BrokenPipeError:
        ending.drop_output()
        sys.exit(1)
    except OSError as error:
        _fail(f"the output cannot be written: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        sys.exit(1)
    sys.exit(0)


def _fail(error: BehemothError | str, code: int) -> NoReturn:
    typer.echo(f"behemoth: {printable(' '.join(str(error).split()))}", err=True)
    sys.exit(code)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"behemoth: warning: {printable(str(message))}", err=True)
