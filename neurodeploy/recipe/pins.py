"""Pins, the choices of a mapping that a user fixes by hand: cores, split and weight width of a layer, and its parts.

A TOML file, or the table ``[mapping]`` of a recipe (``[mapping.layers.hidden]`` and so on)::

    chip = "loihi1"          # the chip that the pins are meant for; any chip if absent

    [layers.hidden]
    cores = 4                # smallest number of cores
    split = "equal"          # the split that cuts this layer
    weight_bits = 8          # stored bits of a weight, even if fewer suffice

    [[layers.output.parts]]  # a part: its neurons, and its chip and core
    neurons = ["0:5", "8"]   # 0 to 4, and 8
    chip = 0
    core = 12
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from neurodeploy.chip.numbers import Table
from neurodeploy.dicts import ReadOnlyDict
from neurodeploy.errors import RecipeError
from neurodeploy.files.checked import first_problem
from neurodeploy.files.paths import as_path
from neurodeploy.files.plain import read_text
from neurodeploy.files.toml import TomlError, parse_toml

RANGE = r"^[0-9]{1,10}(:[0-9]{1,10})?$"


class Part(Table):
    """The neurons of one part, and where it lies."""

    neurons: Annotated[list[Annotated[str, Field(pattern=RANGE)]], Field(min_length=1)]
    """Numbers of neurons (`"8"`), or ranges without their end (`"0:5"`)."""
    chip: Annotated[int, Field(ge=0)] | None = None
    """Number of the chip of a board."""
    core: Annotated[int, Field(ge=0)] | None = None
    """Number of the core on the chip."""

    @model_validator(mode="after")
    def _placed_on_a_core(self) -> Part:
        if self.chip is not None and self.core is None:
            raise ValueError("chip is given without a core; give both, or core alone for chip 0")
        return self


class LayerPins(Table):
    """The pins of a layer; keys that are absent are chosen as without pins."""

    cores: Annotated[int, Field(ge=1)] | None = None
    """Smallest number of cores."""
    split: str | None = None
    """The split that cuts this layer."""
    weight_bits: Annotated[int, Field(ge=1)] | None = None
    """Stored bits of a weight, even if fewer suffice."""
    parts: Annotated[list[Part], Field(min_length=1)] | None = None
    """The parts that the layer is cut into."""

    @model_validator(mode="after")
    def _parts_are_the_cut(self) -> LayerPins:
        if self.parts is not None and (self.cores is not None or self.split is not None):
            raise ValueError("parts already say how the layer is cut; leave out cores and split")
        return self


class Pins(Table):
    """The pins of a mapping onto ``chip`` (any chip if None), by layer; ``source_file`` names their origin in errors."""

    chip: str | None = None
    """Chip that the pins are meant for; any chip if absent."""
    layers: dict[str, LayerPins] = Field(default_factory=dict)
    """Pins by layer."""
    source_file: str = "pins"
    """Origin of the pins in errors; not a key of the file."""


def load_pins(path: str | Path) -> Pins:
    """Return the pins of a TOML file, or of its table ``[mapping]`` if it has one, as recipes may have.

    Raises:
        RecipeError: for a file that cannot be read or is not TOML, an unknown key or a bad value; names file and key.
    """
    path = as_path(path)
    try:
        data = parse_toml(read_text(path))
    except OSError as error:
        raise RecipeError(f"map: cannot read {path} ({error.strerror}); give a TOML file of pins") from error
    except (TomlError, UnicodeDecodeError) as error:
        raise RecipeError(f"map: {path} is no TOML file: {error}; correct that line") from error
    table = data.get("mapping", data)
    if not isinstance(table, dict):
        raise RecipeError(f"map: {path}: mapping is {table!r}; give a table [mapping] of pins")
    return pins_from_dict(table, str(path))


def pins_from_dict(data: ReadOnlyDict[str, Any], where: str) -> Pins:
    """Return pins given as plain values; ``where`` names their origin in errors.

    Raises:
        RecipeError: for an unknown key or a bad value; names ``where`` and the key.
    """
    try:
        return Pins.model_validate({**data, "source_file": where})
    except ValidationError as error:
        raise RecipeError(f"map: {where}: {first_problem(error, 'top level')}") from error


def pins_error(pins: Pins, key: str, what: str) -> RecipeError:
    """Return the error about one key of ``pins``."""
    return RecipeError(f"map: {pins.source_file}: {key}: {what}")
