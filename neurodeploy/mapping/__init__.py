"""Networks on chips: cut into core-sized parts under every limit at once, with the exact synaptic memory of each part.

``map_network`` gives a ``Mapping``. Rules of synaptic memory: ``formats.py``; what a part takes: ``parts.py``; splits:
``equal.py``; places: ``place.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import FitError, UsageError
from neurodeploy.mapping.compiler import compiler_cut
from neurodeploy.mapping.cut import Cut
from neurodeploy.mapping.cutting import CutOne, cut_populations, excess_error
from neurodeploy.mapping.equal import equal_cut
from neurodeploy.mapping.fit import Fit, Load, MapOne, Remedy, highest_kept, mapped, verdict
from neurodeploy.mapping.formats import Ints
from neurodeploy.mapping.parts import Layers
from neurodeploy.mapping.place import Spot, spot
from neurodeploy.mapping.record import CoreLoad, Mapping, load_mapping, save_mapping
from neurodeploy.network import Network

__all__ = [
    "SPLITS",
    "CoreLoad",
    "Fit",
    "Load",
    "Mapping",
    "Remedy",
    "fit",
    "highest_density",
    "load_mapping",
    "map_network",
    "save_mapping",
    "smallest_chip",
]

SPLITS: dict[str, CutOne] = {"equal": equal_cut, "compiler": compiler_cut}
"""Ways to cut populations into parts, by name."""


def map_network(network: Network, chip: Chip, *, split: str = "equal", store_zeros: bool = False) -> Mapping:
    """Return the network on the chip: each population in contiguous parts, one core a part, cores filled in order.

    The host injects the spikes of the network's inputs: inputs take no core and no output axons.

    Args:
        network: what to map. Synapses with weight 0 are not stored, even where the mask keeps them.
        chip: the target, with one chip or several.
        split: how populations are cut, a name in ``SPLITS``.
        store_zeros: store the zeros of matrices too, as Lava's ``Dense`` process does on Loihi 2.

    Raises:
        FitError: if it does not fit; names layer, core, resource, value, limit, chip file and key, and a next step.
        UsageError: for an unknown split.
    """
    if split not in SPLITS:
        raise UsageError(f"map: split '{split}' is not known; known splits: {', '.join(SPLITS)}")
    layers = Layers(network, chip, store_zeros)
    at_least: dict[str, int] = {}
    while True:
        cuts = cut_populations(layers, SPLITS[split], at_least)
        spots = _spots(layers, cuts)
        crowded = _crowded(layers, cuts, spots)
        if crowded is None:
            return _mapping(layers, cuts, spots, split)
        if cuts[crowded].n_parts == cuts[crowded].labels.size:
            raise excess_error(layers, crowded, cuts)
        at_least[crowded] = cuts[crowded].n_parts + 1


def fit(network: Network, chip: Chip, *, split: str = "equal", store_zeros: bool = False, remedies: bool = True) -> Fit:
    """Return whether a network fits a chip: loads against limits, or the broken limit and verified remedies.

    Args:
        network, chip, split, store_zeros: as for ``map_network``.
        remedies: compute remedies where it does not fit.

    Raises:
        UsageError: for an unknown split.
    """
    return verdict(network, chip, _map_one(split, store_zeros), remedies=remedies)


def highest_density(
    network: Network, chip: Chip, *, split: str = "equal", store_zeros: bool = False
) -> tuple[float, Mapping] | None:
    """Return the largest share of the weights (smallest go first) with which the network fits, and its mapping.

    1.0 where it fits as it is; None where no share of at least 1/128 does.
    """
    map_one = _map_one(split, store_zeros)
    whole = mapped(network, chip, map_one)
    if whole is not None:
        return 1.0, whole
    return highest_kept(network, chip, map_one, frozenset(p.name for p in network.populations))


def smallest_chip(network: Network, names: Sequence[str], *, split: str = "equal") -> Mapping | None:
    """Return the mapping on the named target that wastes least: fewest chips, then fewest cores in all, then by name.

    None where the network fits none of them.
    """
    mappings = [mapped(network, load_chip(name), _map_one(split, False)) for name in names]
    fitting = [m for m in mappings if m is not None]
    return min(fitting, key=lambda m: (m.chip.n_chips, m.chip.n_cores, m.chip.name), default=None)


def _map_one(split: str, store_zeros: bool) -> MapOne:
    return lambda network, chip: map_network(network, chip, split=split, store_zeros=store_zeros)


def _spots(layers: Layers, cuts: dict[str, Cut]) -> dict[str, list[Spot]]:
    """Return the core of each part: populations in the network's order, parts in theirs."""
    chip = layers.chip
    order = [p.name for p in layers.network.populations]
    total = sum(cuts[name].n_parts for name in order)
    if total > chip.n_cores:
        largest = max(order, key=lambda name: cuts[name].n_parts)
        raise FitError(
            f"map: the network needs {total} cores, {cuts[largest].n_parts} of them for layer '{largest}', but chip "
            f"'{chip.name}' has {chip.n_cores} ({chip.source_file}: cores.count and system.chips); map to more chips, or "
            f"lower the density or the weight width of '{largest}'",
            {"layer": largest, "core": chip.n_cores, "resource": "cores", "used": total, "limit": chip.n_cores},
        )
    number, spots = 0, {}
    for name in order:
        spots[name] = [spot(chip, number + part) for part in range(cuts[name].n_parts)]
        number += cuts[name].n_parts
    return spots


def _cross_chip(layers: Layers, population: str, cuts: dict[str, Cut], spots: dict[str, list[Spot]]) -> Ints:
    """Return the output entries that each part takes because targets lie on other chips."""
    cut = cuts[population]
    total = np.zeros(cut.n_parts, np.int64)
    extra = layers.chip.axons.cross_chip_extra if layers.chip.axons else None
    if extra is None or layers.chip.n_chips == 1:
        return total
    home = np.array([s.chip for s in spots[population]])[cut.labels]
    for p in layers.network.projections:
        if p.source == population:
            on = layers.lists(p, cuts[p.target])
            away = np.array([s.chip for s in spots[p.target]])[on.part] != home[on.source]
            total += extra.value * np.bincount(cut.labels[on.source[away]], minlength=cut.n_parts)
    return total


def _crowded(layers: Layers, cuts: dict[str, Cut], spots: dict[str, list[Spot]]) -> str | None:
    """Return a population that overfills its output axons once targets on other chips are counted, or None."""
    limit = layers.chip.cores.limits.get("output_axons")
    for name in cuts:
        extra = _cross_chip(layers, name, cuts, spots)
        if limit is not None and extra.any() and (layers.use(name, cuts)["output_axons"] + extra).max() > limit:
            return name
    return None


def _mapping(layers: Layers, cuts: dict[str, Cut], spots: dict[str, list[Spot]], split: str) -> Mapping:
    network, chip = layers.network, layers.chip
    loads = [load for p in network.populations for load in _loads(layers, p.name, cuts, spots)]
    return Mapping(
        chip=chip,
        network=network.fingerprint,
        sizes={p.name: p.size for p in network.populations},
        sources={p.name: p.source for p in network.projections},
        targets={p.name: p.target for p in network.projections},
        cores=tuple(loads),
        limits=chip.cores.limits,
        split=split,
    )


def _loads(layers: Layers, population: str, cuts: dict[str, Cut], spots: dict[str, list[Spot]]) -> list[CoreLoad]:
    cut = cuts[population]
    used = layers.use(population, cuts)
    if "output_axons" in used:
        used["output_axons"] = used["output_axons"] + _cross_chip(layers, population, cuts, spots)
    uses = {p.name: layers.projection_use(p, cut) for p in layers.network.into(population)}
    return [
        CoreLoad(
            chip=at.chip,
            core=at.core,
            tile=at.tile,
            x=at.x,
            y=at.y,
            neurons={population: cut.members(part)},
            words={name: int(use.words[part]) for name, use in uses.items()},
            formats={name: use.formats[part] for name, use in uses.items()},
            weight_bits={name: use.weight_bits[part] for name, use in uses.items()},
            stored={name: int(use.stored[part]) for name, use in uses.items()},
            used={name: int(amount[part]) for name, amount in used.items()},
        )
        for part, at in enumerate(spots[population])
    ]
