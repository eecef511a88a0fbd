"""The version of the tool and of the on-disk format. Nothing else lives here."""

from __future__ import annotations

__version__ = "0.1.0"

FORMAT = 4
"""Number of the on-disk format; every file and log entry carries it."""
