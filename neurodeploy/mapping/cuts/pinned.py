"""Pins, the parts of a mapping that the user fixes (``recipe.pins``): checks, and the cuts and places that keep them."""

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
        RecipeError: for an unknown layer, split, width or core, neurons that are missing or given twice, a core
            given twice, or a chip that allows no pins; names file and key.
    """
    known = [p.name for p in network.populations]
    if pins.chip not in (None, chip.name):
        raise pins_error(pins, "chip", f"the pins are for chip '{pins.chip}', not for '{chip.name}'; leave --pin out")
    if pins.layers and chip.fixed:
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
        RecipeError: for a neuron that does not exist, is given twice or is left out.
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
    """Return the cut into the pinned parts of a layer, None where its parts are not pinned."""
    layer = pins.layers.get(name)
    return None if layer is None or layer.parts is None else Cut(part_labels(pins, name, size), len(layer.parts))


def cut_as_pinned(pins: Pins, cut_by_split: ReadOnlyDict[str, CutOne], split: str) -> CutOne:
    """Return a function that cuts pinned populations as the pins say, and all other populations by ``split``."""

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
    """Return ``(layer, part) -> core`` for the parts with a pinned core, cores counted over all chips.

    Raises:
        RecipeError: for a core that the target does not have, or that is given twice.
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
