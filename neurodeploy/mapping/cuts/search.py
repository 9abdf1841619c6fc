"""Search shared by all splits: the order in which populations are cut, and the limits that every part must keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from neurodeploy.chip.layouts import Ints
from neurodeploy.errors import FitError
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers

CutOne: TypeAlias = Callable[[Layers, str, dict[str, Cut], int], Cut]
"""A split: ``(layers, population, cuts of other populations, smallest number of parts) -> cut`` that keeps every limit."""


def cut_populations(
    layers: Layers, cut_one: CutOne, at_least: dict[str, int], made: dict[str, Cut] | None = None
) -> dict[str, Cut]:
    """Return a cut of each population, from the outputs backwards, since a part's output axons depend on its targets.

    ``at_least``: smallest number of parts by population; ``made``: cuts that exist already. While the cuts of other
    populations make a population overfill a core, it is cut again into at least one part more. The number of parts never
    falls, so the search ends.

    Raises:
        FitError: if a single neuron of a population breaks a limit of a core.
    """
    order = sorted(layers.network.populations, key=lambda p: p.first_step, reverse=True)
    cuts = dict(made or {})
    least = {**at_least, **{name: max(at_least.get(name, 1), cut.n_parts + 1) for name, cut in cuts.items()}}
    changed = True
    while changed:
        changed = False
        for p in order:
            if p.name not in cuts or excess(layers, p.name, cuts):
                cuts[p.name] = cut_one(layers, p.name, cuts, least.get(p.name, 1))
                least[p.name] = max(least.get(p.name, 1), cuts[p.name].n_parts) + 1
                changed = True
    return cuts


def excess(layers: Layers, population: str, cuts: dict[str, Cut]) -> dict[str, Ints]:
    """Return the registers in which a part of a population breaks a limit, with the amounts of all parts; empty if none."""
    limits = layers.limits(population)
    used = layers.use(population, cuts)
    return {name: amount for name, amount in used.items() if amount.max() > limits[name]}


NO_CUT_HELPS = "no cut into more parts helps: lower the fan-in of its neurons, or map to another chip"
"""Advice of the error for a population that does not fit, however it is cut."""


def excess_error(layers: Layers, population: str, cuts: dict[str, Cut], advice: str = NO_CUT_HELPS) -> FitError:
    """Return the error for a population with a part that overfills a core; the message ends with ``advice``."""
    over = excess(layers, population, cuts)
    limits, chip = layers.limits(population), layers.chip
    name, amount = max(over.items(), key=lambda item: item[1].max() / limits[item[0]])
    part, used, limit = int(amount.argmax()), int(amount.max()), limits[name]
    neurons = cuts[population].sizes[part]
    return FitError(
        f"map: layer '{population}' needs {used} {name.replace('_', ' ')} on its core {part}, which holds {neurons} of its "
        f"neurons, but a core of chip '{chip.name}' allows {limit} ({chip.source_file}: cores.{name}); {advice}",
        {"layer": population, "core": part, "resource": name, "used": used, "limit": limit},
    )
