"""The charts of the report page, drawn with plotly: one function for each chart, from records to a figure.

plotly is used because its charts respond to the pointer and scale with the page. Its script is included in the page once
(about 5 MB), so that the page works offline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurodeploy.costs.record import CoreMemory, Cost, Energy, Latency, Memory
from neurodeploy.reports.figures import band, kib, si
from neurodeploy.reports.pictures.cores import mesh_places
from neurodeploy.reports.pictures.svg import EMPTY, FONT, INK, LINE, MUTED, RAMP
from neurodeploy.reports.record import Raster, RasterLayer
from neurodeploy.reports.text import component_name

PAPER = "#ffffff"
ACCENT, WARM, SOFT = "#2a6f97", "#c2703d", "#a9c9dc"


def core_map(memory: Memory) -> go.Figure:
    """Return the cores of the first chip in use as squares; colour: share of the fullest register; grey: not in use."""
    chip = min(core.chip for core in memory.cores)
    used = {core.core: core for core in memory.cores if core.chip == chip}
    places = [place[:2] for place in mesh_places(memory.cores_per_chip, memory.cores_per_tile, memory.mesh)]
    columns, rows = 1 + max(x for x, _ in places), 1 + max(y for _, y in places)
    fill: list[list[float | None]] = [[None] * columns for _ in range(rows)]
    hover = [["no core"] * columns for _ in range(rows)]
    for number, (x, y) in enumerate(places):
        core = used.get(number)
        fill[y][x] = core.fill if core else None
        hover[y][x] = _core_words(core, memory) if core else f"core {number}: not used"
    figure = go.Figure(
        go.Heatmap(
            **{"z": [[0] * columns] * rows, "colorscale": [[0, EMPTY], [1, EMPTY]], "showscale": False},
            **{"xgap": 3, "ygap": 3, "hoverinfo": "text", "hovertext": hover},
        )
    )
    figure.add_trace(
        go.Heatmap(
            **{"z": fill, "zmin": 0, "zmax": 1, "colorscale": RAMP, "hoverinfo": "text", "hovertext": hover},
            **{"xgap": 3, "ygap": 3},
            colorbar={
                **{"title": {"text": "of the fullest limit", "side": "right"}},
                **{"tickformat": ".0%", "thickness": 8, "outlinewidth": 0, "len": 0.9, "tickfont": {"size": 11}},
            },
        )
    )
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x")
    return styled(figure, 60 + 26 * rows)


def _core_words(core: CoreMemory, memory: Memory) -> str:
    held = ", ".join(f"{n:,} of {name}" for name, n in core.neurons.items())
    lines = [f"<b>core {core.core}</b>: {held}", f"synapses: {kib(core.synaptic_bytes)}"]
    lines += [
        f"{name.replace('_', ' ')}: {used:,} of {memory.limits[name]:,}"
        for name, used in core.used.items()
        if name in memory.limits
    ]
    return "<br>".join(lines)


def memory_by_layer(costs: Sequence[Cost]) -> go.Figure:
    """Return the synaptic memory of each layer, one bar for each chip."""
    figure = go.Figure()
    for cost, colour in zip(costs, (ACCENT, SOFT, WARM, MUTED) * len(costs)):
        layers = [layer for layer in cost.memory.layers if layer.synaptic_bytes]
        words = [f"{kib(x.synaptic_bytes)}, {x.cores} {'core' if x.cores == 1 else 'cores'}" for x in layers]
        figure.add_trace(
            go.Bar(
                **{"y": [x.name for x in layers], "x": [x.synaptic_bytes / 1024 for x in layers]},
                **{"orientation": "h", "name": cost.chip_title, "marker_color": colour},
                **{"hovertext": words, "hoverinfo": "text+name", "text": words, "textposition": "auto"},
            )
        )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title="KiB", gridcolor=LINE)
    figure.update_layout(barmode="group", bargap=0.35)
    rows = len(costs) * max(len(cost.memory.layers) for cost in costs)
    return styled(figure, 110 + 26 * rows)


def energy_by_component(energy: Energy, *, graded: bool = False) -> go.Figure:
    """Return the energy per sample of each component, nominal as a bar with its range.

    ``graded``: of a network whose messages carry payloads.
    """
    lines = sorted((x for x in energy.lines if x.energy_j.high > 0), key=lambda x: x.energy_j.nominal)
    scale, unit = _scale(max((x.energy_j.high for x in lines), default=0.0), "J")
    figure = go.Figure(
        go.Bar(
            y=[component_name(x.component, graded=graded) for x in lines],
            x=[x.energy_j.nominal / scale for x in lines],
            orientation="h",
            marker_color=ACCENT,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(x.energy_j.high - x.energy_j.nominal) / scale for x in lines],
                "arrayminus": [(x.energy_j.nominal - x.energy_j.low) / scale for x in lines],
                "color": WARM,
                "thickness": 1.5,
                "width": 4,
            },
            hovertext=[f"{band(x.energy_j, 'J')}<br>{x.price_j.grade}: {x.source}" for x in lines],
            hoverinfo="text",
        )
    )
    figure.update_xaxes(title=unit, gridcolor=LINE)
    figure.update_yaxes(automargin=True)
    return styled(figure, 100 + 30 * len(lines))


def tornado(energy: Energy, *, graded: bool = False) -> go.Figure:
    """Return a tornado chart of the total energy: the range that each price alone causes, widest first."""
    moves = sorted(
        (x for x in energy.lines if x.energy_j.high > x.energy_j.low), key=lambda x: x.energy_j.high - x.energy_j.low
    )
    scale, unit = _scale(max((x.energy_j.high - x.energy_j.low for x in moves), default=0.0), "J")
    names = [component_name(x.component, graded=graded) for x in moves]
    figure = go.Figure()
    for side, colour in (("low", SOFT), ("high", WARM)):
        change = [(getattr(x.energy_j, side) - x.energy_j.nominal) for x in moves]
        figure.add_trace(
            go.Bar(
                **{"y": names, "x": [c / scale for c in change], "orientation": "h", "name": f"{side} price"},
                **{"marker_color": colour, "hovertext": [_signed(c) for c in change], "hoverinfo": "text+name"},
            )
        )
    figure.update_layout(barmode="overlay", bargap=0.35)
    figure.update_xaxes(title=f"change of the total, {unit}", gridcolor=LINE, zerolinecolor=MUTED)
    figure.update_yaxes(automargin=True)
    return styled(figure, 120 + 28 * len(moves))


def step_times(latency: Latency) -> go.Figure:
    """Return the step times over a sample: mean and worst case of all samples, and the slowest sample."""
    trace = latency.trace
    scale, unit = _scale(max(trace.worst_s), "s")
    figure = go.Figure()
    step = list(range(len(trace.step_s)))
    words = [
        f"step {t}: {si(time, 's')}, {'barrier' if core is None else f'core {core}'}"
        for t, (time, core) in enumerate(zip(trace.step_s, trace.core))
    ]
    slowest = {"name": f"slowest sample ({trace.sample})", "hovertext": words, "hoverinfo": "text"}
    for values, style in (
        (trace.worst_s, {"name": "worst of all samples", "line": {"color": WARM, "width": 1, "dash": "dot"}}),
        (trace.mean_s, {"name": "mean", "line": {"color": SOFT, "width": 2}}),
        (trace.step_s, {**slowest, "line": {"color": ACCENT, "width": 2}}),
    ):
        figure.add_trace(go.Scatter(x=step, y=[v / scale for v in values], mode="lines", **style))
    if latency.step_period_s is not None and latency.step_period_s < 5 * max(trace.worst_s):
        figure.add_hline(y=latency.step_period_s / scale, line={"color": INK, "width": 1, "dash": "dash"})
    figure.update_xaxes(title="step", gridcolor=LINE)
    figure.update_yaxes(title=unit, gridcolor=LINE, rangemode="tozero")
    return styled(figure, 300)


def training_curves(epochs: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return loss and accuracy of the training and the validation part over the epochs of ``metrics.jsonl``."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=("loss", "accuracy"))
    numbers = [epoch["epoch"] for epoch in epochs]
    for column, curves in ((1, ("loss", "validation_loss")), (2, ("train_accuracy", "validation_accuracy"))):
        for name, part, colour in zip(curves, ("training", "validation"), (SOFT, ACCENT)):
            line = {"x": numbers, "y": [epoch.get(name) for epoch in epochs], "name": part, "line": {"color": colour}}
            figure.add_trace(go.Scatter(**line, showlegend=column == 1), row=1, col=column)
    figure.update_xaxes(title="epoch", gridcolor=LINE)
    figure.update_yaxes(gridcolor=LINE)
    figure.update_yaxes(title="cross-entropy", col=1)
    figure.update_yaxes(title="share right", tickformat=".0%", col=2)
    return styled(figure, 320)


def spike_raster(raster: Raster) -> go.Figure:
    """Return the raster of one sample, with the layers stacked.

    Layers alternate in colour, unless some messages carry payloads: then the colour is their sign, and large ones are dark.
    """
    figure, base = go.Figure(), 0
    graded = any(layer.payload for layer in raster.layers)
    ticks: list[tuple[float, str]] = []
    for i, layer in enumerate(raster.layers):
        figure.add_trace(
            go.Scatter(
                **{
                    "x": list(layer.step),
                    "y": [base + row for row in layer.row],
                    "mode": "markers",
                    "name": layer.name,
                },
                marker={"symbol": "square", "size": 3, **_marks(layer, graded, i)},
                hovertext=_raster_words(layer),
                hoverinfo="text",
            )
        )
        ticks.append((base + len(layer.neurons) / 2, layer.name))
        base += len(layer.neurons) + 6
    figure.update_xaxes(title="step", range=[-0.5, raster.n_steps - 0.5], gridcolor=LINE)
    figure.update_yaxes(
        tickvals=[at for at, _ in ticks], ticktext=[name for _, name in ticks], autorange="reversed", automargin=True
    )
    figure.update_yaxes(showgrid=False, zeroline=False)
    figure.update_layout(showlegend=False)
    return styled(figure, 420)


def _marks(layer: RasterLayer, graded: bool, number: int) -> dict[str, Any]:
    """Return colour and opacity of the marks of a layer."""
    if not graded:
        return {"color": (ACCENT, WARM)[number % 2]}
    if not layer.payload:
        return {"color": ACCENT}
    top = math.log1p(max(map(abs, layer.payload))) or 1.0
    return {
        "color": [ACCENT if payload > 0 else WARM for payload in layer.payload],
        "opacity": [round(0.25 + 0.75 * math.log1p(abs(payload)) / top, 2) for payload in layer.payload],
    }


def _raster_words(layer: RasterLayer) -> list[str]:
    words = [f"{layer.name} {layer.neurons[r]}, step {t}" for r, t in zip(layer.row, layer.step)]
    return [f"{of}: {payload:,}" for of, payload in zip(words, layer.payload)] if layer.payload else words


def styled(figure: go.Figure, height: int) -> go.Figure:
    """Return the figure in the style of all pages; ``height`` in pixels."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 12, "t": 28, "b": 30},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 11}},
        hoverlabel={"bgcolor": PAPER, "bordercolor": LINE, "font": {"color": INK, "size": 12}},
        modebar={"remove": ["select", "lasso"]},
        dragmode=False,
        template="none",
        xaxis_automargin=True,
        yaxis_automargin=True,
        xaxis_title_standoff=8,
        yaxis_title_standoff=8,
    )
    return figure


def _scale(largest: float, unit: str) -> tuple[float, str]:
    """Return the divisor and the unit in which the largest value has one to three digits before the point."""
    shown = si(largest, unit).split()[1] if largest else unit
    factors = {"p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3}
    return factors.get(shown[: -len(unit)], 1.0), shown


def _signed(joules: float) -> str:
    return f"{'+' if joules >= 0 else '-'}{si(abs(joules), 'J')}"


def figure_json(figure: go.Figure) -> str:
    """Return a figure as JSON that is safe inside a script element of a page."""
    text: str = figure.to_json()
    return text.replace("<", "\\u003c")
