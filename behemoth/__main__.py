"""``python -m behemoth`` is the command line."""

from behemoth.cli import main

if __name__ == "__main__":
    main()
