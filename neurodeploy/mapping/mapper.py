"""The mapper: cuts a network into parts, places the parts on the cores of a chip, and counts the cores' memory."""

from __future__ import annotations

from neurodeploy.chip import Chip
from neurodeploy.dicts import ReadOnlyDict
from neurodeploy.errors import ChipError, FitError, UsageError, check_type
from neurodeploy.mapping.abilities import check_abilities
from neurodeploy.mapping.cuts.compiler import compiler_cut
from neurodeploy.mapping.cuts.equal import equal_cut
from neurodeploy.mapping.cuts.mtkahypar import mtkahypar_cut
from neurodeploy.mapping.cuts.overlap import overlap_cut
from neurodeploy.mapping.cuts.pinned import check_pins, cut_as_pinned, pinned_places
from neurodeploy.mapping.cuts.positions import has_positions
from neurodeploy.mapping.cuts.search import CutOne, cut_populations
from neurodeploy.mapping.cuts.slayer2loihi import slayer2loihi_cut
from neurodeploy.mapping.fixed import map_layers, map_recurrent
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.places.assemble import PLACEMENTS, assembled, crowded, place_parts
from neurodeploy.mapping.places.traffic import spike_counts
from neurodeploy.mapping.program import map_program
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network, n_nonzero
from neurodeploy.network.activity import Activity
from neurodeploy.recipe.pins import Pins

SPLITS: dict[str, CutOne] = {
    "equal": equal_cut,
    "overlap": overlap_cut,
    "mtkahypar": mtkahypar_cut,
    "compiler": compiler_cut,
    "slayer2loihi": slayer2loihi_cut,
}
"""The splits, ways to cut populations into parts, by name."""


_ANY_LAYER = [name for name in SPLITS if name != "slayer2loihi"]
"""Splits that pins may give to a single layer; slayer2loihi stores the synapses of all layers in its own format."""


_BY_POSITION = ("overlap", "mtkahypar")
"""Splits that cut images by position where that takes fewer cores."""


def map_network(
    network: Network,
    chip: Chip,
    *,
    split: str = "overlap",
    placement: str = "traffic",
    store_zeros: bool = False,
    activity: Activity | None = None,
    cores: ReadOnlyDict[str, int] | None = None,
    pins: Pins | None = None,
    prefer: str = "words",
) -> Mapping:
    """Return the mapping of a network onto a chip: each population is cut into parts, and each part has one core.

    The same arguments give the same mapping. Chips whose cores have a fixed role in the network (Speck, Xylo) ignore
    ``split`` and ``placement``. The host injects the spikes of the network's inputs: inputs take no core and no output
    axons.

    Args:
        network: the network to map. Synapses with weight 0 are not stored, even where the mask keeps them.
        chip: the target, with one chip or several.
        split: how populations are cut, a name in ``SPLITS``. ``equal``: fewest contiguous equal parts; ``overlap`` (never
            more cores than ``equal``): neurons that share sources lie together, convolutions channel by channel or
            position by position where output axons bind, whichever takes fewer cores; ``mtkahypar``: the same, found by a
            hypergraph partitioner; ``compiler``: as Lava's Loihi 2 compiler cuts; ``slayer2loihi``: as that tool cuts for
            Loihi 1.
        placement: ``order`` fills cores in order, ``traffic`` puts parts close to the parts that they send messages to.
        store_zeros: store the zeros of matrices too, as Lava's ``Dense`` process does on Loihi 2.
        activity: spikes of this network, so that ``overlap``, ``mtkahypar`` and ``traffic`` weigh busy neurons more.
        cores: smallest number of cores by layer, where the limits alone would give fewer.
        prefer: ``words``: each core stores its lists in the smallest format; ``reads``: in the one that reads the fewest
            synapses (``neurodeploy.choose_mapping`` weighs both).
        pins: choices that the user fixed by hand, layer by layer (``neurodeploy.recipe.pins``).

    Raises:
        FitError: if it does not fit, or needs a kind of neuron, a reset or payloads that the chip has not
            (``abilities.py``); names layer, core, resource, value, limit, chip file and key, and a next step.
        RecipeError: for pins that the network or the chip cannot keep; names file and key.
        UsageError: for an unknown split, placement or layer, or a number of cores below 1 or above the layer's neurons.
    """
    check_type("map", "network", network, Network, "give a Network: as_network(path)")
    check_type("map", "chip", chip, Chip, "give a Chip: load_chip('loihi1')")
    check_type("map", "pins", pins, (Pins, type(None)), "give Pins: load_pins('pins.toml')")
    _check_names(split, placement, chip)
    check_abilities(network, chip)
    _check_sizes(network, cores or {})
    if prefer not in ("words", "reads"):
        raise UsageError(f"map: prefer '{prefer}' is not known; known: words, reads")
    _check_mappable(network, chip)
    given = pins or Pins()
    check_pins(given, network, chip, [name for name in SPLITS if name in (split, *_ANY_LAYER)])
    if chip.microcontroller is not None:
        return map_program(network, chip)
    if chip.recurrent_core is not None:
        return map_recurrent(network, chip)
    if chip.layer_core:
        return map_layers(network, chip)
    spikes = None if activity is None else spike_counts(network, activity)
    bits = {name: layer.weight_bits for name, layer in given.layers.items() if layer.weight_bits is not None}
    layers = Layers(network, chip, store_zeros or split == "slayer2loihi", spikes, split, bits, prefer)
    return _mapped(layers, split, placement, dict(cores or {}), given)


def _mapped(layers: Layers, split: str, placement: str, least: dict[str, int], pins: Pins) -> Mapping:
    """Return the mapping; layers are cut again while targets on other chips overfill their output axons."""
    fixed = frozenset(name for name, layer in pins.layers.items() if layer.parts is not None)
    least |= {name: max(layer.cores, least.get(name, 1)) for name, layer in pins.layers.items() if layer.cores}
    places = pinned_places(pins, layers.chip)
    notes = (f"pinned by hand ({pins.source_file}): {', '.join(pins.layers)}",) if pins.layers else ()
    cuts, cut_one = _fewest_parts(layers, pins, split, least)
    while True:
        at = place_parts(layers, cuts, placement, places)
        more = crowded(layers, cuts, at, fixed)
        if not more:
            return assembled(layers, cuts, at, split, notes)
        # blocks of equal size may give fewer parts than requested, so the requested number has to rise
        least |= {name: max(parts, least.get(name, 1) + 1) for name, parts in more.items()}
        cuts = cut_populations(layers, cut_one, least, {name: cut for name, cut in cuts.items() if name not in more})


def _fewest_parts(layers: Layers, pins: Pins, split: str, least: dict[str, int]) -> tuple[dict[str, Cut], CutOne]:
    """Return the cuts by a split, and that split; or, where images are cut channel by channel with fewer cores, those.

    Raises:
        FitError: if parts of one neuron break a limit of a core either way.
    """
    cut_one = cut_as_pinned(pins, SPLITS, split)
    splits = {p.name: _split_of(pins, p.name, split) for p in layers.network.populations}
    images = {name for name, own in splits.items() if own in _BY_POSITION and has_positions(layers, name)}

    def by_channels(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
        return (equal_cut if population in images else cut_one)(layers, population, cuts, at_least)

    try:
        cuts = cut_populations(layers, cut_one, least)
    except FitError:
        if not images:
            raise
        return cut_populations(layers, by_channels, least), by_channels
    if all(cuts[name].contiguous for name in images):
        return cuts, cut_one
    try:
        other = cut_populations(layers, by_channels, least)
    except FitError:
        return cuts, cut_one
    fewer = sum(cut.n_parts for cut in other.values()) < sum(cut.n_parts for cut in cuts.values())
    return (other, by_channels) if fewer else (cuts, cut_one)


def _split_of(pins: Pins, name: str, split: str) -> str | None:
    """Return the split that cuts a layer, None where its parts are pinned."""
    own = pins.layers.get(name)
    return split if own is None else None if own.parts is not None else own.split or split


def _check_names(split: str, placement: str, chip: Chip) -> None:
    if split not in SPLITS:
        raise UsageError(f"map: split '{split}' is not known; known splits: {', '.join(SPLITS)}")
    if placement not in PLACEMENTS:
        raise UsageError(f"map: placement '{placement}' is not known; known placements: {', '.join(PLACEMENTS)}")
    if split == "slayer2loihi" and all(f.split != split for f in chip.synapse_format):
        raise UsageError(
            f"map: split 'slayer2loihi' is one for Loihi 1, chip '{chip.name}' has no format for it; use equal"
        )


def _check_sizes(network: Network, cores: ReadOnlyDict[str, int]) -> None:
    names = [p.name for p in network.populations]
    for name, n in cores.items():
        if name not in names:
            raise UsageError(f"map: cores for layer '{name}', which is not known; known layers: {', '.join(names)}")
        if not 1 <= n <= network.sizes[name]:
            raise UsageError(f"map: {n} cores for layer '{name}' of {network.sizes[name]} neurons; give 1 to that many")


def _check_mappable(network: Network, chip: Chip) -> None:
    """Refuse a chip without a synapse format, and a layer whose incoming weights are all 0."""
    if not chip.synapse_format and chip.microcontroller is None:
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
