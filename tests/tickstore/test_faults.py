"""Whatever call of whatever verb fails, in whatever way: before or after, never between."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from behemoth import errors
from behemoth.stores import LocalStore, MemoryStore, ObjectStore
from behemoth.tickstore import Tickstore
from behemoth.tickstore.checkpoints import EVERY
from tests.clock import Clock
from tests.model import Model
from tests.profile import FULL
from tests.tickstore.faulty import (
    BEFORE,
    FOR_GOOD,
    KINDS,
    LOST,
    TORN,
    Fault,
    FaultyStore,
    in_memory,
)
from tests.tickstore.histories import (
    DAYS,
    SYMBOLS,
    Answers,
    Step,
    answers,
    is_the_models,
    note,
    say,
    ticks_at,
)

pytestmark = pytest.mark.sweep

A, B, C, NEW = SYMBOLS
START = datetime(2020, 1, 1, tzinfo=UTC)
NOW = START + timedelta(hours=1)
"""When the verbs under test are called."""

HISTORY = [
    [Step("insert", A, ticks_at(1, 2)), Step("insert", B, ticks_at(5))],
    [Step("insert", A, ticks_at(1, 3))],
    [Step("insert", A, ticks_at(7, day=DAYS[1]), DAYS[1]), Step("observe", A)],
    [Step("insert", C, ticks_at(8)), Step("delete", B), Step("observe", B)],
    [Step("delete", C)],
]
CHECKPOINT_AFTER = 3
"""So many commits are in a checkpoint; the others are the log's tail."""

VERBS = {
    "insert": [Step("insert", A, ticks_at(9, 9, 9))],
    "insert of a new symbol": [Step("insert", NEW, ticks_at(1))],
    "backdated insert": [Step("insert", A, ticks_at(4), back=600)],
    "insert_many": [
        Step("insert", A, ticks_at(4)),
        Step("insert", C, ticks_at(5)),
        Step("insert", C, ticks_at(6, day=DAYS[1]), DAYS[1]),
    ],
    "transaction": [
        Step("insert", A, ticks_at(4)),
        Step("insert", B, ticks_at(5)),
        Step("undelete", C),
        Step("delete", A, day=DAYS[1]),
        Step("observe", C),
    ],
    "delete": [Step("delete", A)],
    "undelete": [Step("undelete", C)],
    "observe": [Step("observe", B)],
}
ONE_MORE = [Step("insert", B, ticks_at(77))]


@cache
def history() -> tuple[MemoryStore, Model]:
    """The table that every verb begins with, and its model."""
    disk, model, clock = MemoryStore(), Model(), Clock(START)
    table = Tickstore(disk, clock=clock)
    for number, steps in enumerate(HISTORY, start=1):
        note(model, say(table, clock, steps), steps)
        clock.tick(60)
        if number == CHECKPOINT_AFTER:
            table.flush()
    return disk, model


@cache
def long_history() -> tuple[MemoryStore, Model]:
    """A table whose next commit is followed by an automatic checkpoint."""
    disk, model, clock = MemoryStore(), Model(), Clock(START)
    table = Tickstore(disk, clock=clock)
    for steps in [[Step("observe", B)]] * (EVERY - 1 - len(HISTORY)) + HISTORY:
        note(model, say(table, clock, steps), steps)
        clock.tick(1)
    return disk, model


def opened(disk: ObjectStore) -> Tickstore:
    """Open a table at the time of the tests."""
    return Tickstore(disk, clock=Clock(NOW))


def rival_commits(disk: ObjectStore) -> None:
    """Another writer comes first."""
    say(opened(disk), Clock(NOW), RIVAL)


RIVAL = [Step("insert", A, ticks_at(66)), Step("observe", A)]


class RacedStore(FaultyStore):
    """A faulty store on which another writer commits just before the first log entry is."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.race_is_over = False

    def publish(self, staged: str, key: str) -> None:
        if key.startswith("log/"):
            self.race()
        super().publish(staged, key)

    def race(self) -> None:
        """Let the other writer commit, once."""
        if not self.race_is_over:
            self.race_is_over = True
            rival_commits(self.inner)


@cache
def expected(verb: str, which: str) -> tuple[Answers, Answers, Answers]:
    """The answers before and after a verb that does not fail, and after one more; the model's."""
    disk, model = (long_history if which == "long" else history)()
    disk, model, clock = in_memory(disk), Model(list(model.facts)), Clock(NOW)
    table = opened(disk)
    if which == "raced":
        note(model, say(table, clock, RIVAL), RIVAL)
    is_the_models(table, model)
    found = [answers(opened(disk))]
    for steps in (VERBS[verb], ONE_MORE):
        note(model, say(table, clock, steps), steps)
        is_the_models(opened(disk), model)
        found.append(answers(opened(disk)))
    before, after, more = found
    return before, after, more


def is_one_of(found: Answers, *states: Answers) -> int:
    """Which of these states it is; fail when it is none."""
    assert found in states
    return states.index(found)


def faults(kind: str, calls: int = 1) -> Iterator[Fault]:
    """Fail at the first call, at the second, ...; "before" is each errno of `BEFORE` in turn."""
    for at in itertools.count(1):
        yield Fault(at, BEFORE[at % len(BEFORE)] if kind == "before" else kind, calls)


def check(
    verb: str, which: str, disk: ObjectStore, faulty: FaultyStore, fault: Fault, again: Fault | None
) -> bool:
    """Let a verb fail once, and its second try too; False when there is no such call."""
    before, after, more = expected(verb, which)
    clock, table, ids = Clock(NOW), opened(faulty), set()
    for this in (fault, again, None):
        faulty.arm(this)
        words = {"commit_id": next(iter(ids))} if ids else {}
        try:
            say(table, clock, VERBS[verb], **words)
            failure = None
        except errors.CommitUnknown as error:
            is_after, failure, ids = None, error, {*ids, error.commit_id}
        except errors.EnvironmentFailed as error:
            is_after, failure = 0, error
        reached, merely_refused = faulty.has_failed, faulty.tore_nothing
        faulty.arm()
        if isinstance(faulty, RacedStore):
            faulty.race()
        if this is fault and not reached:
            assert failure is None
            return False
        if this is fault and merely_refused and not FULL:  # as the other kinds do
            return True
        assert len(ids) <= 1
        if failure is None:
            break
        state = is_one_of(answers(opened(disk)), before, after)
        assert is_after in (None, state), (failure, fault, again)
    say(table, clock, ONE_MORE)
    assert answers(table) == more, (fault, again)
    assert answers(opened(disk)) == more, (fault, again)
    return True


RACED = [verb for verb in VERBS if verb != "backdated insert"]  # the rival's is known later
CASES = [(verb, "short") for verb in VERBS]
CASES += [(verb, "raced") for verb in (RACED if FULL else ["transaction"])]
CASES += [("insert", "long")]
KINDS_TRIED = KINDS if FULL else ("before", TORN, LOST)


def sweep(
    verb: str,
    which: str,
    faults: Iterable[Fault],
    again: Fault | None = None,
    copy: Callable[[ObjectStore], ObjectStore] = in_memory,
) -> int:
    """Try one fault after the other, until the verb makes fewer calls than that; count them."""
    if which == "long" and not FULL:
        faults = itertools.islice(faults, 12, None)  # those of the checkpoint
    source, _ = (long_history if which == "long" else history)()
    tried = 0
    for fault in faults:
        disk = copy(source)
        faulty = RacedStore(disk) if which == "raced" else FaultyStore(disk)
        if not check(verb, which, disk, faulty, fault, again):
            break
        tried += 1
    return tried


@pytest.mark.parametrize(
    ("call", "kind", "outcome"),
    [
        ("stage", "ENOSPC", errors.EnvironmentFailed),
        ("publish 2019", "EIO", errors.EnvironmentFailed),
        ("sync 2019", "EIO", errors.EnvironmentFailed),
        ("publish log", "EACCES", errors.EnvironmentFailed),
        ("publish log", LOST, None),
        ("sync log", "EIO", errors.CommitUnknown),
        ("sync log", LOST, errors.CommitUnknown),
        ("remove tmp", "EIO", None),
        ("publish index", "ENOSPC", None),
    ],
)
def test_what_the_caller_is_told(call, kind, outcome):
    """Nothing happened, or nobody can tell; a lost answer is found by the id in the entry."""
    disk = in_memory(long_history()[0])
    splays = disk.keys("2019/")
    rehearsal = FaultyStore(in_memory(disk))
    table = opened(rehearsal)
    rehearsal.arm()
    say(table, Clock(NOW), VERBS["insert"])
    place = next(n for n, asked in enumerate(rehearsal.asked, start=1) if asked.startswith(call))
    faulty = FaultyStore(disk)
    table = opened(faulty)
    faulty.arm(Fault(place, kind))
    if outcome is None:
        assert say(table, Clock(NOW), VERBS["insert"])[0].commit == EVERY
    else:
        with pytest.raises(outcome) as caught:
            say(table, Clock(NOW), VERBS["insert"])
        assert type(caught.value) is outcome
        assert (len(disk.keys("2019/")) == len(splays)) is (outcome is errors.EnvironmentFailed)


@pytest.mark.parametrize("kind", KINDS_TRIED)
@pytest.mark.parametrize(("verb", "which"), CASES)
def test_a_fault_at_any_call_leaves_before_or_after(verb, which, kind):
    """The error says which; a second try commits once; the handle goes on."""
    assert sweep(verb, which, faults(kind)) >= 10


@pytest.mark.parametrize("verb", VERBS if FULL else ["transaction"])
def test_a_fault_at_any_call_on_disk_leaves_before_or_after(tmp_path, verb):
    """Files behave as memory does."""
    source, _ = history()
    original, numbers = LocalStore(tmp_path / "ORIGINAL"), itertools.count()
    for key in source.keys(""):
        original.put(key, source.get(key))

    def copy(_: ObjectStore) -> ObjectStore:
        path = tmp_path / str(next(numbers))
        shutil.copytree(original.name, path, copy_function=os.link)
        return LocalStore(path)

    turns = [*BEFORE, TORN, LOST]
    for shift in range(len(turns) if FULL else 1):
        kinds = (Fault(at, turns[(at + shift) % len(turns)]) for at in itertools.count(1))
        assert sweep(verb, "short", kinds, copy=copy) >= 10


@pytest.mark.parametrize("kind", ["before", LOST])
@pytest.mark.parametrize("verb", VERBS if FULL else ["transaction"])
def test_a_disk_that_fails_for_good_leaves_before_or_after(verb, kind):
    """From any call on, nothing works any more; then it is mended."""
    assert sweep(verb, "short", faults(kind, FOR_GOOD)) >= 10


def in_doubt(verb: str, kind: str) -> Fault:
    """Find the fault after which nobody can tell whether the commit has happened."""
    source, _ = history()
    for fault in faults(kind, FOR_GOOD):
        faulty = FaultyStore(in_memory(source))
        table = opened(faulty)
        faulty.arm(fault)
        with suppress(errors.EnvironmentFailed):
            try:
                say(table, Clock(NOW), VERBS[verb])
            except errors.CommitUnknown:
                return fault
    raise AssertionError


@pytest.mark.parametrize("kind", KINDS_TRIED if FULL else ["before", LOST])
@pytest.mark.parametrize("had_happened", [False, True])
@pytest.mark.parametrize("verb", VERBS if FULL else ["transaction", "delete"])
def test_a_second_try_that_fails_too_still_commits_once(verb, had_happened, kind):
    """As long as nobody can tell, the error says so; whoever believes it commits once."""
    first = in_doubt(verb, LOST if had_happened else "before")
    for again in faults(kind):
        assert sweep(verb, "short", [first], again) == 1
        if not was_reached(verb, first, again):
            break


def was_reached(verb: str, first: Fault, again: Fault) -> bool:
    """Whether the second try makes so many calls."""
    source, _ = history()
    faulty = FaultyStore(in_memory(source))
    table = opened(faulty)
    faulty.arm(first)
    with pytest.raises(errors.CommitUnknown) as caught:
        say(table, Clock(NOW), VERBS[verb])
    faulty.arm(again)
    with suppress(errors.EnvironmentFailed, errors.CommitUnknown):
        say(table, Clock(NOW), VERBS[verb], commit_id=caught.value.commit_id)
    return faulty.has_failed
