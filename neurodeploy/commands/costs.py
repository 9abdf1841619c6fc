"""Commands on what a network costs: estimate and compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurodeploy.activity import load_activity
from neurodeploy.chip import load_chip
from neurodeploy.commands.inputs import load_data, load_network
from neurodeploy.errors import UsageError
from neurodeploy.estimate import estimate as estimate_cost
from neurodeploy.estimate.record import Cost
from neurodeploy.mapping import map_network
from neurodeploy.simulate import simulate as simulate_network

if TYPE_CHECKING:
    from neurodeploy.report.compare import Comparison


def estimate(
    file: Path,
    *,
    chip: str,
    data: str | Path | None = None,
    activity: Path | None = None,
    engine: str = "event",
    n_samples: int | None = None,
    step_period_s: float | None = None,
    deadline_s: float | None = None,
    rate_hz: float | None = None,
) -> Cost:
    """Return what a network costs on a chip; without samples or an activity: memory and cores alone.

    Args:
        file: a NIR file, or a run's folder.
        chip: name of a chip, or a chip file.
        data: samples to run (see ``load_data``).
        activity: the activity of an earlier run instead.
        engine: which simulator runs ``data``.
        n_samples: only so many samples of ``data``.
        step_period_s, deadline_s, rate_hz: demands, see ``neurodeploy.estimate.estimate``.

    Raises:
        UsageError: where both ``data`` and ``activity`` are given.
    """
    if data is not None and activity is not None:
        raise UsageError("estimate: give samples to run (--data) or the activity of a run (--activity), not both")
    network = load_network(file)
    mapping = map_network(network, load_chip(chip))
    recorded = None if activity is None else load_activity(activity)
    if data is not None:
        samples = load_data(data, n_samples=n_samples)
        recorded = simulate_network(network, samples, engine=engine, labels=mapping.core_labels())
    return estimate_cost(
        network, mapping, recorded, step_period_s=step_period_s, deadline_s=deadline_s, rate_hz=rate_hz
    )


def compare_files(a: Path, b: Path, *, gate: Path | None = None) -> Comparison:
    """Compare two ``report.json`` files: may ``b`` take the place of ``a``?

    Args:
        gate: TOML file of what may get worse and by how much (``neurodeploy.report.compare``).
    """
    from neurodeploy.report.compare import compare_reports, load_gate
    from neurodeploy.report.record import load_report

    return compare_reports(load_report(a), load_report(b), load_gate(gate) if gate else None)
