"""The results of a finished sweep: as plain values (``results.json``) with front and knee, and as text tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.costs.record import Band
from neurodeploy.reports.facts import versions
from neurodeploy.reports.figures import kib, nominal, percent
from neurodeploy.sweeps.pareto import knee, pareto_front
from neurodeploy.sweeps.plan import Plan, Point

SCHEMA = "neurodeploy.sweep/1"
OBJECTIVES = ("accuracy", "energy_j", "cores", "latency_s")
"""The objectives of the front: accuracy should be high, the other figures low (nominal figures)."""

Row = dict[str, Any]


def make_results(plan: Plan, points: Sequence[Point], rows: Sequence[Row]) -> dict[str, Any]:
    """Return the results of a sweep: plan, recipes, rows, and the indices of the rows on the front and at the knee.

    Rows that lack one of the ``OBJECTIVES`` (no fit, no price, no labels) are left out of the front.
    """
    complete = [i for i, row in enumerate(rows) if all(figure(row, name) is not None for name in OBJECTIVES)]
    costs = np.array([_costs(rows[i]) for i in complete]).reshape(len(complete), len(OBJECTIVES))
    front = [complete[i] for i in np.flatnonzero(pareto_front(costs))]
    best = knee(plane(rows, complete, "energy_j")) if complete else None
    return {
        "schema": SCHEMA,
        "name": plan.name,
        "plan": plan.model_dump(mode="json"),
        "objectives": list(OBJECTIVES),
        "rows": [dict(row) for row in rows],
        "front": front,
        "knee": None if best is None else complete[best],
        "recipes": sorted({point.recipe_text for point in points}),
        "versions": versions(("neurodeploy", "numpy", "torch", "lava-dl")),
    }


def figure(row: Row, name: str) -> float | None:
    """Return a figure of a row (the nominal figure of a band); None if the row lacks it."""
    value = row.get(name)
    return value["nominal"] if isinstance(value, dict) else value


def plane(rows: Sequence[Row], of: Sequence[int], cost: str) -> NDArray[np.float64]:
    """Return two costs of some rows, shape ``(n, 2)``: the logarithm of ``cost`` (ratios count) and the error rate."""
    return np.array([(np.log10(max(figure(rows[i], cost) or 0.0, 1e-30)), 1 - rows[i]["accuracy"]) for i in of])


def _costs(row: Row) -> tuple[float, ...]:
    return tuple(
        -value if name == "accuracy" else value for name in OBJECTIVES if (value := figure(row, name)) is not None
    )


HEADER = (
    *("", "method", "density", "seed", "bits", "chip", "split", "placement"),
    *("accuracy", "energy, chip", "energy, cores", "cores", "latency", "memory"),
)


def table(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows as text under ``HEADER``, best accuracy first; the first column marks the front and the knee."""
    rows = results["rows"]
    order = sorted(range(len(rows)), key=lambda i: -(rows[i].get("accuracy") or 0.0))
    return [_words(rows[i], _mark(i, results)) for i in order]


def _mark(i: int, results: dict[str, Any]) -> str:
    return "knee" if i == results["knee"] else "front" if i in results["front"] else ""


def _words(row: Row, mark: str) -> tuple[str, ...]:
    settings = (
        *(mark, row["method"], "-" if row["density"] is None else f"{row['density']:g}", str(row["seed"])),
        *(str(row["weight_bits"]), row["chip"], row["split"], row["placement"]),
    )
    if row["error"] and "accuracy" not in row:
        return (*settings, "failed", *("-",) * 5)
    right = "-" if row["accuracy"] is None else percent(row["accuracy"])
    if row["error"]:
        return (*settings, right, "failed", *("-",) * 4)
    return (
        *(*settings, right),
        _band_words(row.get("total_energy_j"), "J"),
        _band_words(row["energy_j"], "J"),
        str(row["cores"]),
        _band_words(row["latency_s"], "s"),
        kib(row["synaptic_bytes"]),
    )


def _band_words(band: dict[str, Any] | None, unit: str) -> str:
    return "no price" if band is None else nominal(Band.model_validate(band), unit)


def markdown(results: dict[str, Any]) -> str:
    """Return the sweep as Markdown: the table, and the failed points with their errors."""
    lines = [f"# {results['name']}", "", "| " + " | ".join(HEADER) + " |", "|---" * len(HEADER) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table(results)]
    failed = [f"- {point_words(row)}: {row['error'].splitlines()[0]}" for row in results["rows"] if row["error"]]
    notes = [
        "",
        "Energies are per sample and nominal: of the whole chip, free-running, with static power and embedded CPUs, "
        "and of the events in its cores alone. Latency is that of the mean sample, without management.",
    ]
    return (
        "\n".join([*lines, *notes, *(["", "Points that failed or do not fit:", "", *failed] if failed else [])]) + "\n"
    )


def point_words(row: Row) -> str:
    """Return the settings of a row in one line."""
    density = "" if row["density"] is None else f" at {row['density']:g}"
    return (
        f"{row['method']}{density}, seed {row['seed']}, {row['weight_bits']} bits, {row['chip']}, "
        f"{row['split']}, {row['placement']}"
    )
