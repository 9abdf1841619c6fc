"""Pins of a mapping (``recipe.pins``) checked against a network and a chip, and kept by cuts and places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip
from neurodeploy.dicts import ReadOnlyDict
from neurodeploy.mapping.cuts.search import CutOne, excess, excess_error
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.network import Network
from neurodeploy.recipe.pins import LayerPins, Pins, pins_error


def check_pins(pins: Pins, network: Network, chip: Chip, splits: list[str]) -> None:
    """Refuse pins that the network or the chip cannot keep.

    Raises:
        RecipeError: for a layer, split, width or core that is not there, neurons that are missing or given twice, a core
            given twice, or a chip that takes no pins; names file and key.
    """
    known = [p.name for p in network.populations]
    if pins.chip not in (None, chip.name):
        raise pins_error(pins, "chip", f"the pins are for chip '{pins.chip}', not for '{chip.name}'; leave --pin out")
    if pins.layers and (chip.recurrent_core is not None or chip.layer_core):
        raise pins_error(
            pins, "layers", f"the cores of chip '{chip.name}' have a fixed place in the network; remove the pins"
        )
    for name, layer in pins.layers.items():
        if name not in known:
            raise pins_error(pins, f"layers.{name}", f"no such layer; known layers: {', '.join(known)}")
        if layer.split is not None and layer.split not in splits:
            raise pins_error(pins, f"layers.{name}.split", f"'{layer.split}' is not known; known: {', '.join(splits)}")
        if layer.cores is not None and layer.cores > network.sizes[name]:
            raise pins_error(pins, f"layers.{name}.cores", f"{layer.cores} cores for {network.sizes[name]} neurons")
        widths = chip.weights.bits.value
        if layer.weight_bits is not None and layer.weight_bits not in widths:
            raise pins_error(
                pins,
                f"layers.{name}.weight_bits",
                f"chip '{chip.name}' stores {', '.join(map(str, widths))} bits ({chip.source_file}: weights.bits)",
            )
        if layer.parts is not None:
            part_labels(pins, name, network.sizes[name])
    pinned_places(pins, chip)


def part_labels(pins: Pins, name: str, size: int) -> NDArray[np.int32]:
    """Return the part of each neuron of a layer with ``parts``, int32 ``(size,)``.

    Raises:
        RecipeError: for a neuron that is not there, given twice or left out.
    """
    parts = pins.layers[name].parts
    assert parts is not None
    labels = np.full(size, -1, np.int32)
    for i, part in enumerate(parts):
        for given in part.neurons:
            start, _, end = given.partition(":")
            stop = int(end) if end else int(start) + 1
            key = f"layers.{name}.parts.{i}.neurons"
            if not int(start) < stop <= size:
                raise pins_error(pins, key, f"'{given}' is no range within the {size} neurons of the layer")
            taken = np.flatnonzero(labels[int(start) : stop] >= 0)
            if taken.size:
                raise pins_error(pins, key, f"neuron {int(start) + int(taken[0])} is given twice")
            labels[int(start) : stop] = i
    left = np.flatnonzero(labels < 0)
    if left.size:
        raise pins_error(pins, f"layers.{name}.parts", f"neuron {left[0]} and {left.size - 1} more lie on no core")
    return labels


def pinned_cut(pins: Pins, name: str, size: int) -> Cut | None:
    """Return the cut that the parts of a layer make, None where it has none."""
    layer = pins.layers.get(name)
    return None if layer is None or layer.parts is None else Cut(part_labels(pins, name, size), len(layer.parts))


def cut_as_pinned(pins: Pins, cut_by_split: ReadOnlyDict[str, CutOne], split: str) -> CutOne:
    """Return the way to cut populations that keeps the pins, and cuts all other populations by ``split``."""

    def cut_one(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
        own = pins.layers.get(population, LayerPins())
        cut = pinned_cut(pins, population, layers.network.sizes[population])
        if cut is None:
            return cut_by_split[own.split or split](layers, population, cuts, at_least)
        if excess(layers, population, {**cuts, population: cut}):
            advice = f"give that part fewer neurons ({pins.source_file}: layers.{population}.parts)"
            raise excess_error(layers, population, {**cuts, population: cut}, advice)
        return cut

    return cut_one


def pinned_places(pins: Pins, chip: Chip) -> dict[tuple[str, int], int]:
    """Return the running number of the core of each part with a fixed place, by layer and part.

    Raises:
        RecipeError: for a core that the target has not, or that is given twice.
    """
    places: dict[tuple[str, int], int] = {}
    holder: dict[int, str] = {}
    for name, layer in pins.layers.items():
        for i, part in enumerate(layer.parts or []):
            if part.core is None:
                continue
            key, on, per_chip = f"layers.{name}.parts.{i}", part.chip or 0, chip.cores.count.value
            if on >= chip.n_chips or part.core >= per_chip:
                have = f"chips 0 to {chip.n_chips - 1} with cores 0 to {per_chip - 1}"
                raise pins_error(pins, key, f"there is no core {part.core} on chip {on}; '{chip.name}' has {have}")
            number = on * per_chip + part.core
            if number in holder:
                raise pins_error(pins, key, f"core {part.core} on chip {on} is taken by {holder[number]} already")
            places[name, i], holder[number] = number, key
    return places
