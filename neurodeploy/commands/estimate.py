"""Memory, energy and latency of a network on a chip."""

from __future__ import annotations

from pathlib import Path

from neurodeploy.chip import Chip, load_chip
from neurodeploy.commands.inputs import load_data, load_network
from neurodeploy.commands.samples import AnySamples
from neurodeploy.costs import pricing
from neurodeploy.costs.counts import check_belongs
from neurodeploy.costs.record import Cost
from neurodeploy.engines.silence import Silence, find_silence
from neurodeploy.engines.table import simulate
from neurodeploy.errors import EstimateError, UsageError
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import load_mapping
from neurodeploy.network.activity import load_activity
from neurodeploy.run_folder import recipe_pins


def estimate(
    file: str | Path,
    *,
    chip: str | None = None,
    reading: AnyReading = None,
    mapping: str | Path | None = None,
    data: AnySamples = None,
    activity: str | Path | None = None,
    engine: str = "event",
    n_samples: int | None = None,
    step_period_s: float | None = None,
    deadline_s: float | None = None,
    rate_hz: float | None = None,
    battery_j: float | None = None,
) -> Cost:
    """Return what a network costs on a chip; without samples or an activity: memory and cores alone.

    With samples, ``warnings`` and ``notes`` of the cost say what the run left unsaid (``engines.silence.Silence``).

    Args:
        file: a NIR file, or a run's folder.
        chip: name of a chip, or a chip file; a run's pins count (``neurodeploy.recipe.pins``).
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        mapping: a mapping of this very network that ``map`` wrote, instead of ``chip``.
        data: samples to run (see ``load_data``).
        activity: the activity of an earlier run instead.
        engine: which simulator runs ``data``.
        n_samples: only so many samples of ``data``.
        step_period_s, deadline_s, rate_hz, battery_j: demands and battery, see ``neurodeploy.estimate``.

    Raises:
        UsageError: where not just one of ``chip`` and ``mapping`` is given, or where both ``data`` and ``activity`` are.
        EstimateError: for samples on a chip whose file has no prices, or a mapping or an activity of another network.
        FitError: where the chip lacks what the network needs, or has no room for it.
    """
    file, mapping, activity = as_path(file), as_path(mapping), as_path(activity)
    if (chip is None) == (mapping is None):
        raise UsageError("estimate: name a chip (--chip NAME), or give a mapping that map --out wrote (--mapping FILE)")
    if data is not None and activity is not None:
        raise UsageError("estimate: give samples to run (--data) or the activity of a run (--activity), not both")
    network = load_network(file, reading=reading)
    given = None if mapping is None else load_mapping(mapping)
    target = load_chip(str(chip)) if given is None else given.chip
    if data is not None or activity is not None:
        check_prices(target)
    placed = given or map_network(network, target, pins=recipe_pins(file, target))
    check_belongs(network, placed, None)
    recorded = None if activity is None else load_activity(activity)
    silence: Silence | None = None
    if data is not None:
        samples = load_data(data, n_samples=n_samples, network=network)
        labels = placed.core_labels()  # of inputs too, where they lie on cores; simulators count populations alone
        labels = {p.name: labels[p.name] for p in network.populations}
        recorded = simulate(network, samples, engine=engine, labels=labels)
        silence = find_silence(network, recorded, samples)
    cost = pricing.estimate(
        network,
        placed,
        recorded,
        step_period_s=step_period_s,
        deadline_s=deadline_s,
        rate_hz=rate_hz,
        battery_j=battery_j,
    )
    if silence is not None:
        notes = (*cost.notes, *(f"{line}." for line in silence.notes))
        cost = cost.model_copy(update={"notes": notes, "warnings": silence.warnings})
    return cost


def check_prices(chip: Chip, *, timed: bool = False) -> None:
    """Refuse a chip whose file has no price for anything that a run does; with ``timed``, one without times.

    Raises:
        EstimateError: naming the tables that its file lacks.
    """
    if timed and chip.latency is None:
        raise EstimateError(
            f"estimate: chip '{chip.name}' has no times, which the demands need: {chip.source_file} has no [latency]; add it, "
            "choose another chip, or leave the demands out"
        )
    if chip.latency is None and not chip.energy.model_dump(exclude_defaults=True):
        raise EstimateError(
            f"estimate: chip '{chip.name}' has no prices: {chip.source_file} has neither [energy] nor [latency]; add them, "
            "choose another chip, or leave the samples out for memory and cores alone"
        )
