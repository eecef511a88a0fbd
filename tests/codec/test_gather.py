from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behemoth.codec import concatenate, dismantle, gather, open_splay
from tests.codec.strategies import promise_of, reread, times, written

NAMES = ["a", "b", "n"]


@cache
def part(rows, seed):
    """Make the splay of some rows, after those of lower seeds."""
    chance = np.random.default_rng([rows, seed])
    index = times(rows) + pd.Timedelta(days=100 * seed)
    frame = pd.DataFrame(chance.random((rows, 2)), index=index, columns=["a", "b"])
    return written(dismantle(frame.assign(n=np.arange(rows) + seed), "time"))


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.sampled_from([0, 1, 9, 70_000]), min_size=1, max_size=6),
    columns=st.none() | st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    ready=st.sets(st.integers(0, 5)),
    threads=st.sampled_from([1, 2, 8]),
)
def test_gathering_is_joining_one_by_one(rows, columns, ready, threads):
    """However many threads decode, whichever parts are there already."""
    splays = [part(count, seed) for seed, count in enumerate(rows)]
    parts = [reread(splay, columns) for splay in splays]
    whole = gather(
        lambda number: open_splay(splays[number].data, promise_of(splays[number]), "a.h5"),
        rows,
        columns,
        {number: parts[number] for number in ready if number < len(parts)},
        threads,
    )
    expected = concatenate(parts, sort=False)
    assert whole.names == expected.names
    assert whole.digest() == expected.digest()


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_part_of_another_schema_is_not_gathered(threads):
    """Wherever it is; whoever asked joins them one by one."""
    splays = [part(9, seed) for seed in range(9)]
    other = written(dismantle(pd.DataFrame({"a": np.ones(9)}, index=times(9)), "time"))
    for place in range(len(splays)):
        mixed = [*splays[:place], other, *splays[place + 1 :]]
        found = gather(
            lambda number, mixed=mixed: open_splay(
                mixed[number].data, promise_of(mixed[number]), "a.h5"
            ),
            [9] * len(mixed),
            threads=threads,
        )
        assert found is None
