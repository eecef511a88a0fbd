"""``python -m behemoth`` is the command line."""

from behemoth.cli import main

main()
