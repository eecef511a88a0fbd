"""One process of a torture: ``python -m behemoth.torture.worker ORDERS``.

It says on stdout, one JSON object a line, what it is about to do and what has been acknowledged;
`behemoth.torture.roles` says what it does. It ends at once when stdin is closed, so it never
outlives whoever started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
import warnings
from typing import Any

from behemoth.torture.roles import ROLES
from behemoth.torture.settings import Orders


def main(text: str) -> int:
    """Follow the orders; give the exit code."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.showwarning = _show_warning
    orders = Orders.decode(text)
    try:
        ROLES[orders.role](orders, say).work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the ledger tells of it
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"  # noqa: PTH119 - not a place
        say(failed=f"{type(error).__name__}: {error} ({place})")
        return 1
    say(over=True)
    return 0


def say(**facts: Any) -> None:
    """Tell whoever started this process; on return it is in the pipe."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(3)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(warned=str(message))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
