"""The notebook runs from top to bottom on a small tickstore and draws every figure."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from behemoth import BiTimestamp, LocalTickstore
from tests.notebooks.running import code, executed, figures

NOTEBOOK = "volatility_by_hour"
FIRST, CORRECTED = date(2019, 10, 18), date(2019, 10, 24)


@pytest.mark.slow
def test_every_figure_of_a_corrected_fortnight_shows_data(tmp_path):
    fortnight(tmp_path)
    correct(tmp_path)
    drawn = figures(executed(NOTEBOOK, {"BEHEMOTH_DB": tmp_path}))
    assert list(drawn) == ["line", "bubble", "heat", "asof"]


@pytest.mark.slow
def test_a_fortnight_without_a_correction_says_so(tmp_path):
    fortnight(tmp_path)
    notebook = executed(NOTEBOOK, {"BEHEMOTH_DB": tmp_path})
    assert list(figures(notebook)) == ["line", "bubble", "heat"]
    (output,) = code(notebook)["asof"]["outputs"]
    assert "No day of BTC-USD has been corrected yet" in output["data"]["text/markdown"]


def fortnight(database: Path) -> None:
    """Store fourteen days of minute bars, restless around 15:00, with minutes without a trade."""
    random = np.random.default_rng(2019)
    with LocalTickstore(database / "COINBASE_PRO_ONE_MIN_BINS") as tickstore:
        for day in (FIRST + timedelta(days=number) for number in range(14)):
            time = pd.date_range(str(day), periods=1440, freq="min", tz="UTC", name="time")
            swing = 1 + np.exp(-((time.hour - 15) ** 2) / 8)
            close = 9000 * np.exp(np.cumsum(random.normal(0, 4e-4, 1440) * swing))
            bars = pd.DataFrame(
                {
                    "low": close * 0.999,
                    "high": close * 1.001,
                    "open": close,
                    "close": close,
                    "volume": random.exponential(5, 1440) * swing,
                },
                index=time,
            )
            traded = bars[random.random(1440) > 0.05]
            tickstore.insert("BTC-USD", BiTimestamp(day), traded)


def correct(database: Path) -> None:
    with LocalTickstore(database / "COINBASE_PRO_ONE_MIN_BINS") as tickstore:
        bars = tickstore.select("BTC-USD", start=CORRECTED, end=CORRECTED)
        bars.iloc[700, bars.columns.get_loc("close")] *= 1.05
        tickstore.insert("BTC-USD", BiTimestamp(CORRECTED), bars)
