"""Networks on chips: cut into core-sized parts under every limit at once, with the exact synaptic memory of each part.

``map_network`` gives a ``Mapping``, ``fit`` a verdict with remedies, ``traffic`` the messages between cores. Rules of
synaptic memory: ``formats.py`` and ``shared.py``; what a part takes: ``parts.py``; splits: ``equal.py``, ``compiler.py``,
``overlap.py``, ``kahypar.py``; places: ``place.py``.
"""

from __future__ import annotations

from collections.abc import Mapping as Sizes
from collections.abc import Sequence
from dataclasses import dataclass

from neurodeploy.activity import Activity
from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import ChipError, FitError, UsageError
from neurodeploy.mapping.assemble import PLACEMENTS, assembled, crowded, spots
from neurodeploy.mapping.compiler import compiler_cut
from neurodeploy.mapping.cutting import CutOne, cut_populations
from neurodeploy.mapping.equal import equal_cut
from neurodeploy.mapping.fit import Fit, Load, Remedy, highest_kept, mapped, verdict
from neurodeploy.mapping.fixed import map_layers, map_recurrent
from neurodeploy.mapping.kahypar import mtkahypar_cut
from neurodeploy.mapping.overlap import overlap_cut
from neurodeploy.mapping.parts import Layers
from neurodeploy.mapping.record import CoreLoad, Mapping, load_mapping, save_mapping
from neurodeploy.mapping.slayer import slayer2loihi_cut
from neurodeploy.mapping.summary import mapping_summary, summary
from neurodeploy.mapping.traffic import Traffic, spike_counts, traffic
from neurodeploy.network import Network, n_nonzero

__all__ = [
    "PLACEMENTS",
    "SPLITS",
    "CoreLoad",
    "Fit",
    "Load",
    "Mapping",
    "Remedy",
    "Traffic",
    "fit",
    "highest_density",
    "load_mapping",
    "map_network",
    "mapping_summary",
    "save_mapping",
    "smallest_chip",
    "summary",
    "traffic",
]

SPLITS: dict[str, CutOne] = {
    "equal": equal_cut,
    "overlap": overlap_cut,
    "mtkahypar": mtkahypar_cut,
    "compiler": compiler_cut,
    "slayer2loihi": slayer2loihi_cut,
}
"""Ways to cut populations into parts, by name."""


def map_network(
    network: Network,
    chip: Chip,
    *,
    split: str = "overlap",
    placement: str = "traffic",
    store_zeros: bool = False,
    activity: Activity | None = None,
    cores: Sizes[str, int] | None = None,
) -> Mapping:
    """Return the network on the chip: each population in parts, one core a part. The same input gives the same mapping.

    Chips whose cores have a fixed place in the network (Speck, Xylo) take neither split nor placement.

    The host injects the spikes of the network's inputs: inputs take no core and no output axons.

    Args:
        network: what to map. Synapses with weight 0 are not stored, even where the mask keeps them.
        chip: the target, with one chip or several.
        split: how populations are cut, a name in ``SPLITS``. ``equal``: fewest contiguous equal parts; ``overlap`` (never
            more cores than ``equal``): neurons that share sources come together; ``mtkahypar``: the same by a hypergraph
            partitioner; ``compiler``: as Lava's Loihi 2 compiler cuts; ``slayer2loihi``: as that tool cuts for Loihi 1.
        placement: ``order`` fills cores in order, ``traffic`` brings parts close to those that they talk to.
        store_zeros: store the zeros of matrices too, as Lava's ``Dense`` process does on Loihi 2.
        activity: spikes of this network, so that ``overlap``, ``mtkahypar`` and ``traffic`` weigh busy neurons more.
        cores: smallest number of cores by layer, where the limits alone would give fewer.

    Raises:
        FitError: if it does not fit; names layer, core, resource, value, limit, chip file and key, and a next step.
        UsageError: for an unknown split, placement or layer, or a number of cores below 1 or above the layer's neurons.
    """
    _check_names(split, placement, chip)
    _check_sizes(network, cores or {})
    _check_mappable(network, chip)
    if chip.recurrent_core is not None:
        return map_recurrent(network, chip)
    if chip.layer_core:
        return map_layers(network, chip)
    spikes = None if activity is None else spike_counts(network, activity)
    layers = Layers(network, chip, store_zeros or split == "slayer2loihi", spikes, split)
    at_least = dict(cores or {})
    while True:
        cuts = cut_populations(layers, SPLITS[split], at_least)
        at = spots(layers, cuts, placement)
        full = crowded(layers, cuts, at)
        if full is None:
            return assembled(layers, cuts, at, split)
        name, error = full
        if cuts[name].n_parts == cuts[name].labels.size:
            raise error
        at_least[name] = max(at_least.get(name, 1), cuts[name].n_parts) + 1


@dataclass(frozen=True)
class _MapWith:
    """``map_network`` with everything but network and chip fixed."""

    split: str
    store_zeros: bool

    def __call__(self, network: Network, chip: Chip) -> Mapping:
        return map_network(network, chip, split=self.split, store_zeros=self.store_zeros)


def fit(
    network: Network, chip: Chip, *, split: str = "overlap", store_zeros: bool = False, remedies: bool = True
) -> Fit:
    """Return whether a network fits a chip: loads against limits, or the broken limit and verified remedies.

    Args:
        network, chip, split, store_zeros: as for ``map_network``.
        remedies: compute remedies where it does not fit.

    Raises:
        UsageError: for an unknown split.
    """
    return verdict(network, chip, _MapWith(split, store_zeros), remedies=remedies)


def highest_density(
    network: Network, chip: Chip, *, split: str = "overlap", store_zeros: bool = False
) -> tuple[float, Mapping] | None:
    """Return the largest share of the weights (smallest go first) with which the network fits, and its mapping.

    1.0 where it fits as it is; None where no share of at least 1/128 does.
    """
    map_one = _MapWith(split, store_zeros)
    whole = mapped(network, chip, map_one)
    if whole is not None:
        return 1.0, whole
    return highest_kept(network, chip, map_one, frozenset(p.name for p in network.populations))


def smallest_chip(network: Network, names: Sequence[str], *, split: str = "overlap") -> Mapping | None:
    """Return the mapping on the named target that wastes least: fewest chips, then fewest cores in all, then by name.

    None where the network fits none of them.
    """
    mappings = [mapped(network, load_chip(name), _MapWith(split, False)) for name in names]
    fitting = [m for m in mappings if m is not None]
    return min(fitting, key=lambda m: (m.chip.n_chips, m.chip.n_cores, m.chip.name), default=None)


def _check_names(split: str, placement: str, chip: Chip) -> None:
    if split not in SPLITS:
        raise UsageError(f"map: split '{split}' is not known; known splits: {', '.join(SPLITS)}")
    if placement not in PLACEMENTS:
        raise UsageError(f"map: placement '{placement}' is not known; known placements: {', '.join(PLACEMENTS)}")
    if split == "slayer2loihi" and all(f.split != split for f in chip.synapse_format):
        raise UsageError(
            f"map: split 'slayer2loihi' is one for Loihi 1, chip '{chip.name}' has no format for it; use equal"
        )


def _check_sizes(network: Network, cores: Sizes[str, int]) -> None:
    names = [p.name for p in network.populations]
    for name, n in cores.items():
        if name not in names:
            raise UsageError(f"map: cores for layer '{name}', which is not known; known layers: {', '.join(names)}")
        if not 1 <= n <= network.sizes[name]:
            raise UsageError(f"map: {n} cores for layer '{name}' of {network.sizes[name]} neurons; give 1 to that many")


def _check_mappable(network: Network, chip: Chip) -> None:
    """Refuse a chip without a synapse format, and a layer whose incoming weights are all 0."""
    if not chip.synapse_format:
        raise ChipError(
            f"chip: {chip.source_file}: synapse_format is not there, so nothing can be mapped to chip '{chip.name}'; add one"
        )
    for population in network.populations:
        into = network.into(population.name)
        if into and not any(n_nonzero(p) for p in into):
            raise FitError(
                f"map: layer '{population.name}' receives no synapse: all weights of {', '.join(p.name for p in into)} are "
                "0; check the export, or take the layer out"
            )
