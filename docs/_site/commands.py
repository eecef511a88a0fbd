"""The directive ``commands``: every command with its arguments, drawn from the command itself.

What is shown is what ``behemoth COMMAND --help`` shows, taken from the same objects: nothing about
a command is written down twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from behemoth.cli.app import COMMANDS, app

EXAMPLE = re.compile(r"Example: \[bold\](.*?)\[/bold\]", re.DOTALL)
INDENTED = re.compile(r"\n[ \t]+")


class Commands(SphinxDirective):
    """A section for each command: what it does, how it is called, an example, its arguments."""

    def run(self) -> list[nodes.Node]:
        """Give the sections."""
        group: Any = get_command(app)
        sections = []
        for name, command in every((name, group.get_command(None, name)) for name in COMMANDS):
            section = nodes.section(ids=[nodes.make_id(f"behemoth-{name}")])
            section += nodes.title(text=name)
            section += list(described(name, command))
            self.state.document.note_explicit_target(section)
            sections.append(section)
        return sections


def every(commands: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Give commands, and behind a group of commands each of it."""
    for name, command in commands:
        yield name, command
        for each, found in getattr(command, "commands", {}).items():
            yield f"{name} {each}", found


def described(name: str, command: Any) -> Iterator[nodes.Node]:
    """Give the parts of a command's section."""
    text = INDENTED.sub("\n", command.help)
    for paragraph in EXAMPLE.sub("", text).split("\n\n"):
        if words := " ".join(paragraph.split()):
            yield nodes.paragraph(text=words)
    shown = [f"behemoth {name} {' '.join(usage(command))}".rstrip()]
    yield literal("\n".join(shown), "text")
    for example in EXAMPLE.findall(text):
        yield literal("$ " + " ".join(example.split()), "console")
    rows = [
        [called(parameter), explained(parameter)]
        for parameter in command.params
        if parameter.name != "help"
    ]
    if rows:
        yield table(rows)


def usage(command: Any) -> Iterator[str]:
    """Say in which order a command takes what."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = parameter.name.upper()
            word += "..." if parameter.nargs == -1 else ""
            yield word if parameter.required else f"[{word}]"
    yield "COMMAND ..." if hasattr(command, "commands") else "[OPTIONS]"


def called(parameter: Any) -> nodes.paragraph:
    """Give the ways to write a parameter."""
    result = nodes.paragraph()
    if parameter.param_type_name == "argument":
        names = [parameter.name.upper()]
    else:
        names = [*parameter.opts, *parameter.secondary_opts]
    for number, name in enumerate(names):
        if number:
            result += nodes.Text(", ")
        result += nodes.literal(text=name)
    return result


def explained(parameter: Any) -> nodes.paragraph:
    """Say what a parameter means, what it is by default, and which variable sets it."""
    text = " ".join((parameter.help or "").split())
    result = nodes.paragraph(text=text)
    default = parameter.default
    if default not in (None, False, "", ()) and not callable(default) and not parameter.required:
        result += [nodes.Text(" Default: "), nodes.literal(text=str(default)), nodes.Text(".")]
    if variable := getattr(parameter, "envvar", None):
        result += [nodes.Text(" Variable: "), nodes.literal(text=str(variable)), nodes.Text(".")]
    return result


def literal(text: str, language: str) -> nodes.literal_block:
    """Give a block of code."""
    return nodes.literal_block(text, text, language=language)


def table(rows: Any) -> nodes.table:
    """Give a table of two columns without a head."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (30, 70)), cols=2)
    body = nodes.tbody()
    for row in rows:
        body += nodes.row("", *(nodes.entry("", cell) for cell in row))
    group += body
    return nodes.table("", group, classes=["parameters"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
