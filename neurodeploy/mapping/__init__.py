"""Networks on chips: cut into core-sized parts under every limit at once, with the exact synaptic memory of each part.

``map_network`` gives a ``Mapping``, ``fit`` a verdict with remedies, ``traffic`` the messages between cores. Rules of
synaptic memory: ``formats.py`` and ``shared.py``; what a part takes: ``parts.py``; splits: ``equal.py``, ``compiler.py``,
``overlap.py``, ``kahypar.py``; places: ``place.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Sizes
from dataclasses import dataclass, replace

from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import ChipError, FitError, UsageError
from neurodeploy.mapping.assemble import PLACEMENTS, assembled, crowded, spots
from neurodeploy.mapping.compiler import compiler_cut
from neurodeploy.mapping.cuts.pinned import check_pins, cut_as_pinned, pinned_places
from neurodeploy.mapping.cutting import CutOne, cut_populations
from neurodeploy.mapping.equal import equal_cut
from neurodeploy.mapping.fit import Fit, Load, MapOne, Remedy, highest_kept, mapped, verdict
from neurodeploy.mapping.fixed import map_layers, map_recurrent
from neurodeploy.mapping.kahypar import mtkahypar_cut
from neurodeploy.mapping.overlap import overlap_cut
from neurodeploy.mapping.parts import Layers
from neurodeploy.mapping.record import CoreLoad, Mapping, load_mapping, save_mapping
from neurodeploy.mapping.slayer import slayer2loihi_cut
from neurodeploy.mapping.summary import mapping_summary, summary
from neurodeploy.mapping.traffic import Traffic, spike_counts, traffic
from neurodeploy.network import Network, n_nonzero, require_spiking
from neurodeploy.network.activity import Activity
from neurodeploy.recipe.pins import Pins, load_pins, pins_from_dict

__all__ = [
    "PLACEMENTS",
    "SPLITS",
    "CoreLoad",
    "Fit",
    "Load",
    "Mapping",
    "Pins",
    "Remedy",
    "Traffic",
    "fit",
    "highest_density",
    "load_mapping",
    "load_pins",
    "map_network",
    "mapping_summary",
    "pins_from_dict",
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

_ANY_LAYER = [name for name in SPLITS if name != "slayer2loihi"]
"""Splits that one layer alone may take; slayer2loihi stores the synapses of all layers its own way."""


def map_network(
    network: Network,
    chip: Chip,
    *,
    split: str = "overlap",
    placement: str = "traffic",
    store_zeros: bool = False,
    activity: Activity | None = None,
    cores: Sizes[str, int] | None = None,
    pins: Pins | None = None,
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
        pins: what is fixed by hand, layer by layer (``neurodeploy.mapping.cuts.pinned``).

    Raises:
        NetworkError: for neurons or inputs that no chip file describes: resonate-and-fire, sigma-delta, graded.
        FitError: if it does not fit; names layer, core, resource, value, limit, chip file and key, and a next step.
        RecipeError: for pins that network or chip cannot keep; names file and key.
        UsageError: for an unknown split, placement or layer, or a number of cores below 1 or above the layer's neurons.
    """
    _check_names(split, placement, chip)
    require_spiking(network, "map")
    _check_sizes(network, cores or {})
    _check_mappable(network, chip)
    given = pins or Pins()
    check_pins(given, network, chip, [name for name in SPLITS if name in (split, *_ANY_LAYER)])
    if chip.recurrent_core is not None:
        return map_recurrent(network, chip)
    if chip.layer_core:
        return map_layers(network, chip)
    spikes = None if activity is None else spike_counts(network, activity)
    bits = {name: layer.weight_bits for name, layer in given.layers.items() if layer.weight_bits is not None}
    layers = Layers(network, chip, store_zeros or split == "slayer2loihi", spikes, split, bits)
    return _mapped(layers, split, placement, dict(cores or {}), given)


def _mapped(layers: Layers, split: str, placement: str, least: dict[str, int], pins: Pins) -> Mapping:
    """Return the mapping, its layers cut again while targets on other chips overfill their output axons."""
    fixed = frozenset(name for name, layer in pins.layers.items() if layer.parts is not None)
    least |= {name: max(layer.cores, least.get(name, 1)) for name, layer in pins.layers.items() if layer.cores}
    places = pinned_places(pins, layers.chip)
    notes = (f"pinned by hand ({pins.source_file}): {', '.join(pins.layers)}",) if pins.layers else ()
    cut_one = cut_as_pinned(pins, SPLITS, split)
    cuts = cut_populations(layers, cut_one, least)
    while True:
        at = spots(layers, cuts, placement, places)
        more = crowded(layers, cuts, at, fixed)
        if not more:
            return assembled(layers, cuts, at, split, notes)
        # blocks of equal size may give fewer parts than asked for: the number asked for has to rise
        least |= {name: max(parts, least.get(name, 1) + 1) for name, parts in more.items()}
        cuts = cut_populations(layers, cut_one, least, {name: cut for name, cut in cuts.items() if name not in more})


@dataclass(frozen=True)
class _MapWith:
    """``map_network`` with everything but network and chip fixed; pins hold on the chip that they were written for."""

    split: str
    store_zeros: bool
    pins: Pins | None = None
    pinned_chip: str = ""
    activity: Activity | None = None

    def __call__(self, network: Network, chip: Chip) -> Mapping:
        pins = self.pins if chip.name == self.pinned_chip else None
        return map_network(
            network, chip, split=self.split, store_zeros=self.store_zeros, activity=self.activity, pins=pins
        )

    def other_ways(self) -> Iterator[tuple[str, str, MapOne]]:
        """Give the default split and the storage without zeros where this is not them, and no pins where there are some."""
        if self.pins is not None and self.pins.layers:
            yield "split", f"leave out the pins of {self.pins.source_file}", replace(self, pins=None)
        if self.store_zeros:
            yield "format", "store no zeros (leave out --store-zeros)", replace(self, store_zeros=False)
        if self.split not in ("overlap", "equal", "mtkahypar"):
            yield "split", "cut layers by --split overlap", replace(self, split="overlap")


def fit(
    network: Network,
    chip: Chip,
    *,
    split: str = "overlap",
    store_zeros: bool = False,
    pins: Pins | None = None,
    activity: Activity | None = None,
    remedies: bool = True,
) -> Fit:
    """Return whether a network fits a chip: loads against limits, or the broken limit and verified remedies.

    Args:
        network, chip, split, store_zeros, pins, activity: as for ``map_network``.
        remedies: compute remedies where it does not fit.

    Raises:
        UsageError: for an unknown split.
    """
    return verdict(network, chip, _MapWith(split, store_zeros, pins, chip.name, activity), remedies=remedies)


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
