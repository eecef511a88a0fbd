"""What others wrote, made harmless for a terminal."""

from __future__ import annotations

import unicodedata

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters that move the cursor, turn the text or cannot be shown."""


def printable(text: str) -> str:
    r"""Show control characters escaped, so that they do nothing to a terminal.

    Examples
    --------
    >>> printable("red: \x1b[31m, ü")
    'red: \\x1b[31m, ü'
    """
    if text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in HIDDEN
        else letter
        for letter in text
    )


def printable_lines(text: str) -> str:
    """Do so, but keep the ends of lines."""
    return "\n".join(printable(line) for line in text.split("\n"))
