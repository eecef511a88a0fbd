"""The ledger: what was acknowledged, what is there, and the page that shows it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks import markdown
from benchmarks.contenders import CONTENDERS, ROWS, Pair

START, END = "<!-- ledger -->", "<!-- /ledger -->"
MOST_KINDS, LONGEST_KIND = 3, 110


@dataclass
class Race:
    """Writers at the same time, on one store of one contender."""

    contender: str
    asked: int
    acknowledged: int
    present: int | None  # None: a fresh process could not read the store
    lost: int | None
    doubled: int | None
    torn: int | None
    unacknowledged: int | None  # there, although nothing was acknowledged
    errors: int
    untried: int  # the time was over, or the writer was gone
    seconds: float
    kinds: dict[str, int] = field(default_factory=dict)


@dataclass
class Kill:
    """A writer killed again and again, on one store of one contender."""

    contender: str
    kills: int
    acknowledged: int
    unopened: int  # after so many kills a fresh process could not open the store
    unreadable: int  # files, at the end
    lost: int  # acknowledged, and missing after some kill
    doubled: int
    torn: int  # at the end
    errors: int
    seconds: float
    kinds: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """When, where and on which packages it was measured."""

    date: str
    size: str
    python: str
    system: str
    processors: int
    file_system: str
    packages: dict[str, str]
    workers: int
    commits: int
    kills: int
    limit: float


class Balance(NamedTuple):
    """What the writers said against what a reader found, in commits."""

    present: int  # whole
    lost: int  # acknowledged, and not whole
    doubled: int  # there more than once
    torn: int  # there in part
    unacknowledged: int  # whole, although nobody acknowledged it


def balance(acknowledged: set[Pair], rows: Mapping[Pair, int]) -> Balance:
    """Compare the commits that were acknowledged with the rows that are there."""
    whole = {pair for pair, count in rows.items() if count >= ROWS}
    return Balance(
        present=len(whole),
        lost=len(acknowledged - whole),
        doubled=sum(rows[pair] >= 2 * ROWS for pair in whole),
        torn=sum(count % ROWS > 0 for count in rows.values()),
        unacknowledged=len(whole - acknowledged),
    )


def page(setting: Setting, races: Iterable[Race], kills: Iterable[Kill]) -> str:
    """Give the ledger as markdown."""
    races, kills = list(races), list(kills)
    return "\n\n".join(
        [
            _measured(setting),
            f"**{setting.workers} processes at the same time, {setting.commits} commits each**, "
            f"{setting.limit:.0f} s at most; a commit is a day of {ROWS:,} rows. Lost: "
            "acknowledged, and a fresh process does not read all of it when the writers have "
            "ended. Doubled: there more than once. Torn: there in part. An error is a commit that "
            "was refused or that failed; it loses nothing by itself.",
            markdown.table(
                "store|commits go to|asked|acknowledged|present|lost|doubled|torn|errors|seconds",
                [_race(race) for race in races],
            ),
            f"**`kill -9` of the writing process at a random moment, {setting.kills} times** on "
            "one store. After each kill a fresh process opens it without any manual step, and must "
            "read everything that was acknowledged so far; the seconds include the start of every "
            "process. The operating system goes on, so this says nothing about a power cut; what a "
            "commit asks of the disk stands below.",
            markdown.table(
                "store|commits go to|kills|acknowledged|lost|doubled|torn|could not be opened|"
                "unreadable files|errors|seconds",
                [_kill(kill) for kill in kills],
            ),
            markdown.bullets(
                "How each was used; its syncs as strace showed them, outside this run",
                _uses([*races, *kills]),
            ),
            markdown.bullets("Errors, as they were raised", _kinds([*races, *kills])),
        ]
    ).rstrip()


def into(text: str, ledger: str) -> str:
    """Put a ledger between the two markers of a page."""
    return markdown.into(text, ledger, START, END)


def _measured(setting: Setting) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in setting.packages.items())
    return (
        f"Measured on {setting.date} with `scripts/peers --size {setting.size}`: Python "
        f"{setting.python}, {setting.system}, {setting.processors} processors, local disk "
        f"({setting.file_system}); {versions}. Every store with its default settings. The seconds "
        "tell how long it took; they are no comparison of speed."
    )


def _race(race: Race) -> list[str]:
    late = f" ({race.untried} not tried)" if race.untried else ""
    found = ["unreadable" if race.present is None else str(race.present)]
    found += [
        "–" if count is None else str(count) for count in (race.lost, race.doubled, race.torn)
    ]
    numbers = [str(race.asked), str(race.acknowledged), *found, str(race.errors)]
    return [*_names(race), *numbers, f"{race.seconds:.1f}{late}"]


def _kill(kill: Kill) -> list[str]:
    counts = (
        kill.kills,
        kill.acknowledged,
        kill.lost,
        kill.doubled,
        kill.torn,
        kill.unopened,
        kill.unreadable,
        kill.errors,
    )
    return [*_names(kill), *map(str, counts), f"{kill.seconds:.0f}"]


def _names(line: Race | Kill) -> list[str]:
    contender = CONTENDERS[line.contender]
    return [contender.store, contender.way]


def _uses(lines: Sequence[Race | Kill]) -> list[str]:
    used = {CONTENDERS[line.contender].store: CONTENDERS[line.contender] for line in lines}
    return [
        f"{store}: {use.storage}; one more commit syncs: {use.syncs}; {use.note}."
        for store, use in used.items()
    ]


def _kinds(lines: Sequence[Race | Kill]) -> list[str]:
    shown = []
    for line in lines:
        kinds: Counter[str] = Counter()
        for text, count in line.kinds.items():
            kinds[text[:LONGEST_KIND].replace("`", "'")] += count
        what = "writers at the same time" if isinstance(line, Race) else "`kill -9`"
        most = kinds.most_common(MOST_KINDS)
        shown += [f"{line.contender}, {what}: {count} × `{text}`" for text, count in most]
        if len(kinds) > len(most):
            shown.append(f"{line.contender}, {what}: {len(kinds) - len(most)} more kinds")
    return shown
