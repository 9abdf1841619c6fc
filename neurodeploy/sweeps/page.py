"""The HTML page of a sweep: a picture of accuracy against a selectable cost, with front and knee, and the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from neurodeploy.costs.record import Band
from neurodeploy.reports.figures import si
from neurodeploy.reports.html import drawn, render
from neurodeploy.reports.pictures.charts import ACCENT, WARM, styled
from neurodeploy.reports.pictures.svg import INK, LINE, MUTED
from neurodeploy.sweeps.pareto import knee, pareto_front
from neurodeploy.sweeps.results import HEADER, figure, plane, point_words, table

Row = dict[str, Any]

COSTS = {
    "energy_j": ("Energy, cores", "dynamic energy of the cores a sample, J"),
    "total_energy_j": ("Energy, chip", "energy of the whole chip a sample, free-running, J"),
    "latency_s": ("Latency", "time of the mean sample, s"),
    "cores": ("Cores", "cores"),
    "synaptic_bytes": ("Memory", "synaptic memory, bytes"),
}
"""Costs that the picture can show: cost -> (label of the button, title of the axis)."""

_COLOURS = (ACCENT, WARM, "#5b8c5a", "#8a5a9e", "#b8860b", MUTED)
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "pentagon", "cross")


def render_page(results: dict[str, Any]) -> str:
    """Return the page (self-contained HTML) for the results of a sweep."""
    rows = results["rows"]
    shown = [i for i, row in enumerate(rows) if row.get("accuracy") is not None and row.get("fits")]
    best = results["knee"]
    return render(
        "sweep.html.j2",
        results=results,
        picture=drawn("front", pareto_picture(rows, shown)) if shown else None,
        header=HEADER,
        table=table(results),
        knee=None if best is None else rows[best],
        knee_energy=None if best is None else Band.model_validate(rows[best]["energy_j"]),
        knee_total=Band.model_validate(rows[best]["total_energy_j"])
        if best is not None and rows[best].get("total_energy_j")
        else None,
        knee_words=None if best is None else point_words(rows[best]),
        failed=[(point_words(row), row["error"]) for row in rows if row["error"]],
    )


def pareto_picture(rows: Sequence[Row], shown: Sequence[int]) -> go.Figure:
    """Return the picture of the points (colour: chip, mark: method), the front and its knee, with a button for each cost.

    Args:
        rows: rows of the sweep.
        shown: indices of the rows that have an accuracy and fit their chip.
    """
    views = {cost: _view(rows, shown, cost) for cost in COSTS}
    views = {cost: traces for cost, traces in views.items() if traces}
    first = next(iter(views))
    picture = go.Figure([go.Scatter(**trace) for trace in views[first]])
    buttons = [
        {
            "label": COSTS[cost][0],
            "method": "update",
            "args": [
                {key: [trace.get(key) for trace in traces] for key in ("x", "y", "text", "error_x")},
                {"xaxis.title.text": COSTS[cost][1]},
            ],
        }
        for cost, traces in views.items()
    ]
    picture.update_xaxes(title=COSTS[first][1], type="log", gridcolor=LINE)
    picture.update_yaxes(title="accuracy", tickformat=".1%", gridcolor=LINE)
    picture = styled(picture, 520)
    picture.update_layout(
        updatemenus=[
            {
                **{"type": "dropdown", "direction": "down", "buttons": buttons, "showactive": True},
                **{"x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 8}, "bgcolor": "#ffffff"},
            }
        ],
        legend={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top", "font": {"size": 11}},
        margin={"l": 10, "r": 16, "t": 56, "b": 40},
    )
    return picture


def _view(rows: Sequence[Row], shown: Sequence[int], cost: str) -> list[dict[str, Any]]:
    """Return the traces for one cost: a group of points for each chip and method, the front, and the knee."""
    priced = [i for i in shown if figure(rows[i], cost)]
    if not priced:
        return []
    groups: dict[tuple[str, str], list[int]] = {}
    for i in shown:
        groups.setdefault((rows[i]["chip"], rows[i]["method"]), []).append(i)
    chips, methods = (list(dict.fromkeys(key[axis] for key in groups)) for axis in (0, 1))
    traces = [
        {
            **_points(rows, [i for i in members if i in priced], cost),
            **{"mode": "markers", "name": f"{chip}, {method}", "hoverinfo": "text"},
            "marker": {
                **{"size": 9, "opacity": 0.85, "symbol": _SYMBOLS[methods.index(method) % len(_SYMBOLS)]},
                "color": _COLOURS[chips.index(chip) % len(_COLOURS)],
            },
        }
        for (chip, method), members in groups.items()
    ]
    costs = plane(rows, priced, cost)
    front = sorted((priced[i] for i in pareto_front(costs).nonzero()[0]), key=lambda i: figure(rows[i], cost) or 0.0)
    best = knee(costs)
    line = {
        "mode": "lines",
        "name": "Pareto front",
        "line": {"color": INK, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    ring = {"size": 18, "symbol": "circle-open", "color": INK, "line": {"width": 2}}
    at = [] if best is None else [priced[best]]
    marked = {"mode": "markers", "name": "knee", "marker": ring, "hoverinfo": "text"}
    return [
        *traces,
        {**_points(rows, front, cost, ranges=False), **line},
        {**_points(rows, at, cost, ranges=False), **marked},
    ]


def _points(rows: Sequence[Row], of: Sequence[int], cost: str, *, ranges: bool = True) -> dict[str, Any]:
    values = [figure(rows[i], cost) or 0.0 for i in of]
    bands = [rows[i][cost] for i in of if isinstance(rows[i].get(cost), dict)]
    error = {
        **{"type": "data", "symmetric": False, "thickness": 0.8, "width": 2, "color": MUTED},
        "array": [band["high"] - band["nominal"] for band in bands],
        "arrayminus": [band["nominal"] - band["low"] for band in bands],
        "visible": ranges and bool(bands),
    }
    return {
        "x": values,
        "y": [rows[i]["accuracy"] for i in of],
        "text": [_hover(rows[i]) for i in of],
        "error_x": error,
    }


def _hover(row: Row) -> str:
    energy, latency = figure(row, "energy_j"), figure(row, "latency_s")
    figures = [f"accuracy {row['accuracy']:.2%}", f"{row['cores']} cores, {row['synaptic_bytes'] / 1024:,.1f} KiB"]
    figures += [si(value, unit) for value, unit in ((energy, "J"), (latency, "s")) if value is not None]
    return "<br>".join([point_words(row), *figures])
