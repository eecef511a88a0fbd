"""The command line: each verb of the library as a command of ``behemoth``.

Parsing, printing and exit codes live here, decisions do not. Exit 0 = done, 1 = not complete,
2 = misuse; an error is one line on stderr, never a traceback.
"""

from behemoth.cli.app import main

__all__ = ["main"]
