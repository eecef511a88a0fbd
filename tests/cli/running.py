"""Runs a command as `behemoth.cli.main` does, in this process: half a second faster than a new one.

What needs a process of its own (a signal, a terminal, a full disk) starts one.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from behemoth.cli.app import main


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def behemoth(*words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end, in a folder, with more variables in its environment."""
    out, err = stream(), stream()
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["behemoth", *words])
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        warnings.simplefilter("default")
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    said, complained = (each.buffer.getvalue().decode() for each in (out, err))
    return Ended(code if isinstance(code, int) else int(code is not None), said, complained)


def stream() -> io.TextIOWrapper:
    """Make what stands for a pipe."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
