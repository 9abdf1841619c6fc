"""Plots of the methods bench: accuracy over density, and the possible connections that each method has tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurodeploy.files.writing import replacing

_STYLE = {
    "svg.hashsalt": "neurodeploy",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""Settings of matplotlib; text stays text (a quarter of the size), and names inside the file do not change between runs."""


_SPREAD = 1.4
"""Ratio of the largest to the smallest x position at which the methods of one density are drawn."""


def plot_accuracy(summary: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """Draw mean accuracy over measured density and over synaptic operations as SVG, with the deviation over the seeds.

    The test error is on a logarithmic axis, so that good methods stand apart. Over density, methods with the same
    requested one are side by side in the order of the legend, each shifted by a factor.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    with rc_context(_STYLE):
        figure = Figure(figsize=(11.5, 4.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        methods = list(dict.fromkeys(group["method"] for group in summary))
        for axes, (key, factor, label) in zip(panels, _AXES):
            for place, method in enumerate(methods):
                groups = sorted((g for g in summary if g["method"] == method), key=lambda g: g[key])
                aside = _SPREAD ** ((place + 0.5) / len(methods) - 0.5) if key == "parameter_density" else 1.0
                axes.errorbar(
                    [factor * g[key] * (1 if g["density"] is None else aside) for g in groups],
                    [_error(g) for g in groups],
                    yerr=[g["accuracy_sd"] or 0.0 for g in groups],
                    marker=_MARKERS[place % len(_MARKERS)],
                    color=f"C{place % 10}",
                    markerfacecolor=None if place < 10 else "white",
                    markersize=5,
                    linewidth=0.4,
                    elinewidth=1,
                    capsize=2,
                    label=method if axes is panels[0] else None,
                )
            axes.set(xscale="log", yscale="log", xlabel=label)
            # methods may lie within a factor of two: a finer grid for their errors
            for axis, subs in ((axes.xaxis, (1, 2, 5)), (axes.yaxis, (1, 1.5, 2, 3, 4, 6, 8))):
                axis.set_major_locator(LogLocator(subs=subs))
                axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
                axis.set_minor_formatter("")
            axes.grid(alpha=0.25)
        errors = [_error(group) for group in summary]
        panels[0].set_ylim(1.2 * max(errors), min(errors) / 1.2)
        panels[0].set_ylabel("test error (%)")
        figure.suptitle(title)
        figure.legend(loc="outside right upper", frameon=False)
        _save(figure, path)


def _error(group: Mapping[str, Any]) -> float:
    """Return the mean error of a group in percent, at least 0.01: a logarithmic axis has no 0."""
    return max(100.0 - float(group["accuracy_mean"]), 0.01)


_AXES = (
    ("parameter_density", 100, "weights kept (%)"),
    ("synaptic_operations_per_sample", 1, "synaptic operations per sample"),
)
"""Figure of a group on the horizontal axis of each panel, its factor, and what it is."""


def plot_explored(runs: Mapping[str, Sequence[Mapping[str, Any]]], title: str, path: Path) -> bool:
    """Draw the fraction of all possible connections that have existed so far, over the epochs, in a panel for each layer.

    Args:
        runs: the lines of ``metrics.jsonl`` by method.
        title: title of the whole picture.
        path: SVG file to write; nothing is written if ``runs`` is empty.

    Returns:
        Whether there was anything to draw.
    """
    if not runs:
        return False
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    layers = list(next(iter(runs.values()))[0]["explored"])
    with rc_context(_STYLE):
        figure = Figure(figsize=(max(3.4 * len(layers) + 1.4, 5.5), 3.2), layout="constrained")
        panels = figure.subplots(1, len(layers), sharey=True, squeeze=False)[0]
        for layer, axes in zip(layers, panels):
            for place, (method, epochs) in enumerate(runs.items()):
                axes.plot(
                    [e["epoch"] for e in epochs],
                    [100 * e["explored"][layer] for e in epochs],
                    color=f"C{place % 10}",
                    linestyle=_LINES[place // 10 % len(_LINES)],
                    label=method if axes is panels[0] else None,
                )
            axes.set(title=layer, xlabel="epoch", ylim=(0, 103))
            axes.grid(alpha=0.25)
        panels[0].set_ylabel("connections that have existed (%)")
        figure.suptitle(title)
        figure.legend(loc="outside right upper", frameon=False)
        _save(figure, path)
    return True


_MARKERS = "osD^v<>PX*hpd"
_LINES = ("-", "--", ":")


def _save(figure: Any, path: Path) -> None:
    with replacing(path) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None, "Creator": None})
