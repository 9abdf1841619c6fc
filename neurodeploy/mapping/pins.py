"""What a user fixes of a mapping by hand, layer by layer: cores, split, width of a weight, neurons and place of each part.

A TOML file, or the table ``[mapping]`` of a recipe (``[mapping.layers.hidden]`` and so on)::

    chip = "loihi1"          # the chip that this is meant for; any where it is absent

    [layers.hidden]
    cores = 4                # at least so many cores
    split = "equal"          # how this layer is cut
    weight_bits = 8          # stored bits of a weight, where fewer would do

    [[layers.output.parts]]  # the neurons of each core, and where it lies
    neurons = ["0:5", "8"]   # 0 to 4, and 8
    chip = 0
    core = 12
"""

from __future__ import annotations

from collections.abc import Mapping as ReadOnlyDict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from neurodeploy.chip import Chip
from neurodeploy.chip.numbers import Table
from neurodeploy.errors import RecipeError
from neurodeploy.files.checked import first_problem
from neurodeploy.files.toml import TomlError, parse_toml
from neurodeploy.mapping.cut import Cut
from neurodeploy.mapping.cutting import CutOne, excess, excess_error
from neurodeploy.mapping.parts import Layers
from neurodeploy.network import Network

RANGE = r"^[0-9]+(:[0-9]+)?$"


class Part(Table):
    """The neurons of one core: numbers (``"8"``) or ranges without their end (``"0:5"``); its place where it is fixed."""

    neurons: Annotated[list[Annotated[str, Field(pattern=RANGE)]], Field(min_length=1)]
    chip: Annotated[int, Field(ge=0)] | None = None
    core: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _placed_on_a_core(self) -> Part:
        if self.chip is not None and self.core is None:
            raise ValueError("chip is given without a core; give both, or core alone for chip 0")
        return self


class LayerPins(Table):
    """What is fixed of one layer; what is absent is chosen as without pins."""

    cores: Annotated[int, Field(ge=1)] | None = None
    split: str | None = None
    weight_bits: Annotated[int, Field(ge=1)] | None = None
    parts: Annotated[list[Part], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _parts_are_the_cut(self) -> LayerPins:
        if self.parts is not None and (self.cores is not None or self.split is not None):
            raise ValueError("parts already say how the layer is cut; leave out cores and split")
        return self


class Pins(Table):
    """What is fixed of a mapping onto ``chip`` (any where None), by layer; ``source_file`` says where, for errors."""

    chip: str | None = None
    layers: dict[str, LayerPins] = Field(default_factory=dict)
    source_file: str = "pins"


def load_pins(path: Path) -> Pins:
    """Return the pins of a TOML file, or of its table ``[mapping]`` where it has one, as a recipe may.

    Raises:
        RecipeError: for a file that cannot be read or is no TOML, an unknown key or a bad value; names file and key.
    """
    try:
        data = parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"map: cannot read {path} ({error.strerror}); give a TOML file of pins") from error
    except (TomlError, UnicodeDecodeError) as error:
        raise RecipeError(f"map: {path} is no TOML file: {error}; correct that line") from error
    return pins_from_dict(data.get("mapping", data), str(path))


def pins_from_dict(data: ReadOnlyDict[str, Any], where: str) -> Pins:
    """Return pins given as plain values; ``where`` names their origin in errors.

    Raises:
        RecipeError: for an unknown key or a bad value; names ``where`` and the key.
    """
    try:
        return Pins.model_validate({**data, "source_file": where})
    except ValidationError as error:
        raise RecipeError(f"map: {where}: {first_problem(error, 'top level')}") from error


def check_pins(pins: Pins, network: Network, chip: Chip, splits: list[str]) -> None:
    """Refuse pins that the network or the chip cannot keep.

    Raises:
        RecipeError: for a layer, split, width or core that is not there, neurons that are missing or given twice, a core
            given twice, or a chip that takes no pins; names file and key.
    """
    known = [p.name for p in network.populations]
    if pins.chip not in (None, chip.name):
        raise _error(pins, "chip", f"the pins are for chip '{pins.chip}', not for '{chip.name}'; leave --pin out")
    if pins.layers and (chip.recurrent_core is not None or chip.layer_core):
        raise _error(
            pins, "layers", f"the cores of chip '{chip.name}' have a fixed place in the network; remove the pins"
        )
    for name, layer in pins.layers.items():
        if name not in known:
            raise _error(pins, f"layers.{name}", f"no such layer; known layers: {', '.join(known)}")
        if layer.split is not None and layer.split not in splits:
            raise _error(pins, f"layers.{name}.split", f"'{layer.split}' is not known; known: {', '.join(splits)}")
        if layer.cores is not None and layer.cores > network.sizes[name]:
            raise _error(pins, f"layers.{name}.cores", f"{layer.cores} cores for {network.sizes[name]} neurons")
        widths = chip.weights.bits.value
        if layer.weight_bits is not None and layer.weight_bits not in widths:
            raise _error(
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
                raise _error(pins, key, f"'{given}' is no range within the {size} neurons of the layer")
            taken = np.flatnonzero(labels[int(start) : stop] >= 0)
            if taken.size:
                raise _error(pins, key, f"neuron {int(start) + int(taken[0])} is given twice")
            labels[int(start) : stop] = i
    left = np.flatnonzero(labels < 0)
    if left.size:
        raise _error(pins, f"layers.{name}.parts", f"neuron {left[0]} and {left.size - 1} more lie on no core")
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
                raise _error(pins, key, f"there is no core {part.core} on chip {on}; '{chip.name}' has {have}")
            number = on * per_chip + part.core
            if number in holder:
                raise _error(pins, key, f"core {part.core} on chip {on} is taken by {holder[number]} already")
            places[name, i], holder[number] = number, key
    return places


def _error(pins: Pins, key: str, what: str) -> RecipeError:
    return RecipeError(f"map: {pins.source_file}: {key}: {what}")
