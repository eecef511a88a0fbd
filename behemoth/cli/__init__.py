"""The command line: each verb of the library as a command of ``behemoth``.

Parsing, printing and exit codes live here, decisions do not. Exit 0 = done, 1 = not complete,
2 = misuse; an error is one line on stderr, never a traceback.
"""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; also a Ctrl-C while it is still loading is one line."""
    try:
        from behemoth.cli import app
    except KeyboardInterrupt:
        sys.exit("behemoth: stopped; nothing is lost")
    app.main()


__all__ = ["main"]
