"""How thorough the tests are: quick, or with ``BEHEMOTH_PROFILE=full`` every case that there is."""

from __future__ import annotations

import os

FULL = os.environ.get("BEHEMOTH_PROFILE") == "full"
