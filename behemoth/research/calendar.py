"""`coverage_calendar`: the days of a symbol as a calendar, coloured by what is known of them.

What is known is decided by `View.coverage`; here it is only drawn, with plotly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behemoth.errors import BadRequest, EnvironmentFailed

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = {
    "complete": "#2a9d5c",
    "empty": "#b5dfc4",
    "partial": "#f2c14e",
    "stored": "#4c78a8",
    "deleted": "#6b5b95",
    "failed": "#c0392b",
    "unasked": "#dcdcdc",
}
"""Of each state, from the best to what was never asked."""

WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
YEAR_HEIGHT = 150
"""Pixels."""
FRAME_HEIGHT = 130


def coverage_calendar(coverage: pd.DataFrame, title: str = "Coverage") -> go.Figure:
    """Draw coverage as a calendar: a row of weeks for each year, a field for each day.

    Parameters
    ----------
    coverage
        What `View.coverage` gave: index ``date``, columns ``state``, ``rows`` and ``asked_at``.
    title
        What stands above it.

    Returns
    -------
    plotly.graph_objects.Figure
        One heat map for each year, the newest below. The colour is the state; who points at a day
        reads its date, state, rows, and when it was last asked for.

    Raises
    ------
    BadRequest
        When it is no coverage, or of no day.
    EnvironmentFailed
        When plotly is not installed.

    Examples
    --------
    >>> with MemoryTickstore() as tickstore:
    ...     days = tickstore.coverage("BTC-USD", "2018-12-25", "2019-01-07")
    >>> figure = coverage_calendar(days)  # doctest: +SKIP
    >>> figure.show()  # doctest: +SKIP
    """
    needed = {"state", "rows", "asked_at"}
    if not isinstance(coverage, pd.DataFrame) or not needed <= set(coverage.columns):
        raise BadRequest("a calendar is drawn of what tickstore.coverage(symbol) gives")
    if coverage.empty:
        raise BadRequest("there is no day to draw: nothing was asked for, and nothing is stored")
    subplots, graphs = _plotly()
    days = pd.DatetimeIndex(coverage.index)
    years = list(range(days[0].year, days[-1].year + 1))
    figure = subplots.make_subplots(
        rows=len(years), vertical_spacing=0.35 / len(years), subplot_titles=list(map(str, years))
    )
    for row, year in enumerate(years, start=1):
        shown, firsts = _year(coverage[days.year == year], year), _months(year)
        figure.add_trace(graphs.Heatmap(**shown, coloraxis="coloraxis", xgap=2, ygap=2), row, 1)
        figure.update_xaxes(
            tickvals=_weeks(firsts).tolist(),
            ticktext=[f"{first:%b}" for first in firsts],
            range=[-0.6, 53.6],
            row=row,
            col=1,
        )
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(
        tickvals=[0, 2, 4, 6], autorange="reversed", showgrid=False, zeroline=False,
        ticktext=WEEKDAYS[::2],
    )  # fmt: skip
    figure.update_xaxes(title="week, UTC", row=len(years), col=1)
    figure.update_yaxes(title="day, UTC", row=len(years), col=1)
    height = FRAME_HEIGHT + YEAR_HEIGHT * len(years)
    return figure.update_layout(
        title=title, height=height, plot_bgcolor="white", coloraxis=_colours()
    )


def _plotly() -> tuple[Any, Any]:
    """Import plotly, which is optional."""
    try:
        from plotly import graph_objects, subplots
    except ImportError as error:
        raise EnvironmentFailed(
            "plotly is not installed; get it with: pip install 'behemoth[notebooks]'"
        ) from error
    return subplots, graph_objects


def _months(year: int) -> pd.DatetimeIndex:
    return pd.date_range(f"{year}-01-01", periods=12, freq="MS")


def _weeks(days: pd.DatetimeIndex) -> pd.Index[int]:
    """Give the week of the year that each day is in; the first ends with its first Sunday."""
    january = days.to_numpy().astype("M8[Y]").astype("M8[D]")
    before = pd.DatetimeIndex(january.astype("M8[ns]")).day_of_week
    return (days.day_of_year - 1 + before) // 7


def _year(coverage: pd.DataFrame, year: int) -> dict[str, Any]:
    """Give the fields of one year: codes of states and what is told of each day."""
    days = pd.DatetimeIndex(coverage.index)
    states = list(COLOURS)
    codes = np.full((7, 54), np.nan)
    told = np.full((7, 54), "", dtype=object)
    places = days.day_of_week, _weeks(days)
    codes[places] = [states.index(state) for state in coverage["state"]]
    told[places] = [
        f"{day:%Y-%m-%d}: {state}<br>{rows:,} rows<br>{_when(asked)}"
        for day, state, rows, asked in zip(
            days, coverage["state"], coverage["rows"], coverage["asked_at"], strict=True
        )
    ]
    return {
        "x": list(range(54)),
        "y": list(range(7)),
        "z": codes,
        "text": told,
        "hovertemplate": "%{text}<extra></extra>",
        "hoverongaps": False,
        "name": str(year),
    }


def _when(asked: pd.Timestamp) -> str:
    return "never asked" if pd.isna(asked) else f"asked {asked:%Y-%m-%d %H:%M} UTC"


def _colours() -> dict[str, Any]:
    """Give a scale of steps, one for each state."""
    size = len(COLOURS)
    scale = [
        [(number + side) / size, colour]
        for number, colour in enumerate(COLOURS.values())
        for side in (0, 1)
    ]
    bar = {"tickvals": list(range(size)), "ticktext": list(COLOURS), "title": "state"}
    return {"cmin": -0.5, "cmax": size - 0.5, "colorscale": scale, "colorbar": bar}
