"""What the sandbox tells of itself, below ``/sandbox``: paths that the exchange does not have.

``/sandbox/counts`` is what came and what went wrong, ``/sandbox/faults`` which faults there are and
how the revised days stand, ``/sandbox/truth?product=&day=&granularity=`` a day's candles as they
would be answered now. They cost no token, meet no fault and are not counted. Pure: values in, an
answer out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date as Date
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from behemoth.feeds.candles import GRANULARITIES
from behemoth.feeds.sandbox.faults import Faults
from behemoth.feeds.sandbox.rules import NOT_FOUND, Answer, newest_first
from behemoth.feeds.sandbox.troubled import Revising

PREFIX = "/sandbox/"


def report(
    target: str, counts: Mapping[str, Any], faults: Faults, revising: Revising, now: datetime
) -> Answer:
    """Answer a request for one of the reports.

    Parameters
    ----------
    target
        Path and query as they were sent.
    counts
        What came.
    faults, revising
        What goes wrong, and what is said of the days.
    now
        The exchange's time, aware UTC.
    """
    url = urlsplit(target)
    match url.path.removeprefix(PREFIX):
        case "counts":
            return Answer(200, counts)
        case "faults":
            return Answer(200, _night(faults, revising))
        case "truth":
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            return _truth(query, revising, now)
    return NOT_FOUND


def _night(faults: Faults, revising: Revising) -> dict[str, Any]:
    return {
        "seed": faults.seed,
        "faults": {name: _plain(value) for name, value in faults.chosen.items()},
        "revised": [
            {name: _plain(value) for name, value in asdict(standing).items()}
            | {"changed": standing.changed}
            for standing in revising.standings()
        ],
    }


def _truth(query: Mapping[str, str], revising: Revising, now: datetime) -> Answer:
    product = query.get("product", "")
    if product not in revising.final.products:
        return NOT_FOUND
    granularity = query.get("granularity", "60")
    if granularity not in {str(known) for known in GRANULARITIES}:
        return Answer(400, {"message": "Unsupported granularity"})
    try:
        day = Date.fromisoformat(query.get("day", ""))
    except ValueError:
        return Answer(400, {"message": "Invalid day"})
    table = revising.truth(product, day, int(granularity), now.timestamp())
    return Answer(200, newest_first(table))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, Date) else value
