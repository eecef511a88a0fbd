"""Law 6: what was acknowledged survives kill -9, whatever was killed, and nobody has to mend it."""

from __future__ import annotations

import pytest

from behemoth.torture import Settings, torture

CREWS = {
    "a writer alone": {"writers": 1, "readers": 0, "repairers": 0, "stops": 0},
    "a writer and a repair": {"writers": 1, "readers": 0, "repairers": 1, "stops": 0},
    "many of each": {"writers": 4, "readers": 2, "repairers": 1, "stops": 5},
}


@pytest.mark.slow
@pytest.mark.parametrize("crew", CREWS)
def test_kill_9_at_random_moments_loses_nothing(tmp_path, full, tell, crew):
    """Insert, transaction, checkpoint, delete, undelete, repair; the next open works by itself."""
    kills = 110 if full else 14
    settings = Settings(seconds=1200, kills=kills, pace=6, seed=1, **CREWS[crew])
    ledger = torture(tmp_path, settings)
    tell(ledger)
    assert ledger.troubles == []
    assert ledger.sound
    assert ledger.acknowledged == ledger.present > kills
    assert ledger.kills == kills
    if full:
        assert ledger.kills_in.keys() >= {"insert", "transaction"}
