"""Whose ticks a table holds, and whether a source's answers would mix with another's.

The one rule of downloads and verifications. Reads the table, writes nothing, and asks nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date as Date
from datetime import timedelta

from behemoth.bitemporal import Observation, Revision, visible
from behemoth.errors import BadRequest
from behemoth.feeds.plan import days_between
from behemoth.tickstore import View

RECENT = 16
"""Commits that are read first: of a table that is filled each night they say enough."""


def check_unmixed(
    view: View, product: str, days: Iterable[Date], source: str, what: str, *, unnamed: bool
) -> None:
    """Return if a source's answers would not mix with ticks that another one brought.

    Only ticks that are visible count. Those of the days that are asked must be the source's, or
    it must have agreed with them since. On all other days it is enough that some are: a source
    that is new to the symbol is refused wherever its days lie, because what mixes is the table.
    So what was mixed on purpose needs no more words, and what was superseded wholly is gone.
    Ticks of which the log names no source hinder nobody on other days.

    Parameters
    ----------
    view
        The table.
    product
        The symbol.
    days
        The UTC days that are asked.
    source, what
        Who is asked, and for what.
    unnamed
        Whether ticks of which the log names no source are another's, on the days that are asked.

    Raises
    ------
    BadRequest
        When another source's, or another kind of, ticks are there: names both, and the way out.
    """
    own, stored = (source, what), _stored(view, product)
    asked = sorted(stored.keys() & set(days))
    answers = _answers(view.observations(product), stored)
    for limit in (None,) if asked else (RECENT, None):
        brought = sources_of(view, product, stored, limit)
        holders = {date: _holders(answers[date], brought[date], stored[date]) for date in brought}
        for date in asked:
            who, pairs = brought[date], holders[date]
            if own in pairs or (not pairs and (who == source or not (who or unnamed))):
                continue
            there = [*_named(pairs), f"ticks from {who or 'an unnamed source'}"]
            raise _mixed(product, there[0], own)
        everyone = set().union(*holders.values())
        alone = {brought[date] for date, pairs in holders.items() if not pairs}
        if own in everyone or source in alone:
            return
    if others := [*_named(everyone), *(f"ticks from {who}" for who in sorted(alone) if who)]:
        raise _mixed(product, others[0], own)


def kinds_of(view: View, product: str) -> set[str]:
    """Give the kinds that a symbol's visible ticks are of, as far as a source has said so."""
    stored = _stored(view, product)
    brought, answers = (
        sources_of(view, product, stored),
        _answers(view.observations(product), stored),
    )
    return {
        kind
        for date, history in stored.items()
        for _, kind in _holders(answers[date], brought[date], history)
    }


def histories(view: View, product: str) -> dict[Date, list[Revision]]:
    """Give the revisions of each day of a symbol, deleted days too."""
    found: dict[Date, list[Revision]] = defaultdict(list)
    for revision in view.revisions(product):
        found[revision.date].append(revision)
    return dict(found)


def sources_of(
    view: View, product: str, days: Mapping[Date, Sequence[Revision]], limit: int | None = None
) -> dict[Date, str]:
    """Give who brought the ticks of each day, as the log says; empty where it names nobody.

    With a limit, only of the days that so many of the newest commits have brought.
    """
    if not days:
        return {}
    sources = dict(view.log(product, limit)["source"])
    origins = {date: _origin(history).commit for date, history in days.items()}
    return {date: sources[number] for date, number in origins.items() if number in sources}


def _stored(view: View, product: str) -> dict[Date, list[Revision]]:
    """Give the revisions of each day of which ticks are visible."""
    return {
        date: history
        for date, history in histories(view, product).items()
        if (known := visible(history)) is not None and known.rows
    }


def _answers(
    observations: Iterable[Observation], stored: Mapping[Date, object]
) -> dict[Date, list[Observation]]:
    """Give what was answered about each day that is stored, the last answer at the end."""
    if not stored:
        return {}
    first, last = min(stored), max(stored)
    found: dict[Date, list[Observation]] = {date: [] for date in stored}
    for seen in sorted(observations, key=lambda seen: seen.asked_at):
        if seen.outcome != "failed" and seen.end > seen.start:
            end = (seen.end - timedelta(microseconds=1)).date()
            for date in days_between(max(first, seen.start.date()), min(last, end)):
                if date in stored:
                    found[date].append(seen)
    return found


def _holders(
    answers: Sequence[Observation], brought: str, history: Sequence[Revision]
) -> set[tuple[str, str]]:
    """Name the sources, and kinds, that a day's ticks are of: who brought them, or agreed since.

    Empty for ticks that no source has answered, a correction by hand for instance.
    """
    known = visible(history)
    found = {
        (seen.source, seen.what)
        for seen in answers
        if known is not None and seen.outcome == "complete" and seen.asked_at > known.commit_time
    }
    found.update([(seen.source, seen.what) for seen in answers if seen.source == brought][-1:])
    return found


def _origin(history: Sequence[Revision]) -> Revision:
    """Give the revision that brought the ticks: an undelete's are another's."""
    newest = history[-1]
    return next((each for each in history if each.version == newest.splay), newest)


def _named(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(f"{kind} from {source}" for source, kind in pairs)


def _mixed(product: str, there: str, own: tuple[str, str]) -> BadRequest:
    source, what = own
    return BadRequest(
        f"{product}: this table holds {there}, and {what} from {source} would mix with "
        "them; choose another table with --table, or say --supersede to do it on purpose"
    )
