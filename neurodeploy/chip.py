"""``Chip``: one ``hardware/*.toml`` file as checked, frozen records.

Every number is a table that says where it comes from: ``{ value = .., unit = "..", source = "..", grade = ".." }``, or
a band with ``low``, ``nominal`` and ``high`` in place of ``value``. What is unknown is left out of the file and is
``None`` here, never 0. An unknown key is an error that lists the known ones.

A file may start with ``extends = "loihi1"``: it then holds only what differs (another compiler's limits, a board with
more chips); tables are merged, lists replaced.

Grades, from strong to weak:

- ``measured``: read on silicon;
- ``calibrated``: a model's constant, fitted to measurements of silicon;
- ``pre-silicon``: from circuit simulation before the chip existed;
- ``published``: stated in a paper, a data sheet or a vendor's code or compiler output, without a measurement;
- ``guess``: carried over from another chip or inferred here (the notes call these "uncalibrated" and "derived").
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from neurodeploy.errors import ChipError
from neurodeploy.resources import resource_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Grade = Literal["measured", "calibrated", "pre-silicon", "published", "guess"]

_SI = {
    **{"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12},
    **{"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    **{"W": 1.0, "mW": 1e-3, "uW": 1e-6},
}


class _Table(BaseModel):
    """A TOML table: frozen, strict about types, and with an error for an unknown key that lists the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = [str(key) for key in data if key not in cls.model_fields]
            if unknown:
                known = ", ".join(name for name in cls.model_fields if name not in ("source_file", "sha256"))
                raise ValueError(f"unknown key '{unknown[0]}'; known keys: {known}")
        return data


def _no_price(unit: str) -> str:
    if unit in _SI:
        raise ValueError(f"unit '{unit}' does not belong here: this is a number of things")
    return unit


CountUnit = Annotated[str, AfterValidator(_no_price)]


class Count(_Table):
    """A whole number of at least 1 with its unit, source and grade."""

    value: Annotated[int, Field(ge=1)]
    unit: CountUnit
    source: str
    grade: Grade


class Counts(_Table):
    """A list of whole numbers of at least 0 with unit, source and grade."""

    value: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(tuple), Field(min_length=1)]
    unit: CountUnit
    source: str
    grade: Grade


class Quantity(_Table):
    """A price, time or power as a band ``low <= nominal <= high``; a file may write one ``value`` for all three."""

    low: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    nominal: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    high: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    unit: str
    source: str
    grade: Grade

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if "value" in data:
            if {"low", "nominal", "high"} & set(data):
                raise ValueError("give either value, or low, nominal and high")
            data.update(dict.fromkeys(("low", "nominal", "high"), data.pop("value")))
        unknown = [str(key) for key in data if key not in cls.model_fields]
        if unknown:
            raise ValueError(
                f"unknown key '{unknown[0]}'; known keys: value (or low, nominal, high), unit, source, grade"
            )
        return data

    @model_validator(mode="after")
    def _rising(self) -> Quantity:
        if not self.low <= self.nominal <= self.high:
            raise ValueError(f"needs low <= nominal <= high, got {self.low}, {self.nominal}, {self.high}")
        return self

    @property
    def si(self) -> tuple[float, float, float]:
        """``(low, nominal, high)`` in joules, seconds or watts."""
        return self.low * _SI[self.unit], self.nominal * _SI[self.unit], self.high * _SI[self.unit]


def _unit(base: str) -> Callable[[Quantity], Quantity]:
    known = [unit for unit in _SI if unit.endswith(base)]

    def check(quantity: Quantity) -> Quantity:
        if quantity.unit not in known:
            raise ValueError(f"unit '{quantity.unit}' does not belong here; use one of {', '.join(known)}")
        return quantity

    return check


Joules = Annotated[Quantity, AfterValidator(_unit("J"))]
Seconds = Annotated[Quantity, AfterValidator(_unit("s"))]
Watts = Annotated[Quantity, AfterValidator(_unit("W"))]


class About(_Table):
    """What the chip is. ``simulated_by`` names the arithmetic that our simulators give for it, if any."""

    name: str
    title: str
    year: Annotated[int, Field(ge=1980)]
    process: str | None = None
    evidence: str
    simulated_by: str | None = None
    excludes: str | None = None
    """What its neurons or formats cannot do, in words, for the fit report."""


RULE_NEEDS = {
    "nxtf-sparse": ("header_bits", "index_bits", "list_max"),
    "nxtf-runlength": ("header_bits", "index_bits", "skip_bits", "list_max"),
    "nxtf-dense": ("header_bits", "index_bits", "list_max"),
    "lava-fc": ("header_bits", "index_bits"),
    "lava-conv": ("header_bits",),
    "indexed": ("index_bits",),
    "crossbar": ("row_bits",),
    "matrix": (),
    "slayer2loihi": (),
    "pow2-conv": (),
}
"""Rules of synapse formats and the numbers that each needs."""


class System(_Table):
    """How many chips the target has; ``board`` is the board's name."""

    chips: Count
    board: str | None = None


class Cores(_Table):
    """Structure of one chip and limits of one core. Per-core limits carry the names that ``CoreLoad.used`` uses."""

    count: Count
    """Cores of one chip."""
    per_tile: Count | None = None
    """Cores that share a router."""
    mesh: Counts | None = None
    """Tiles in x and y direction."""
    word_bits: Count | None = None
    """Bits of one word of synaptic memory."""
    neurons: Count | None = None
    input_axons: Count | None = None
    output_axons: Count | None = None
    axon_map: Count | None = None
    neuron_groups: Count | None = None
    synapse_words: Count | None = None
    pool_words: Count | None = None
    """Words that input axons, neurons, synapses, axon map and output axons share."""
    destinations: Count | None = None
    """Cores that one neuron can send to."""
    weight_values: Count | None = None
    """Different weights, other than 0, that one neuron can receive."""

    @model_validator(mode="after")
    def _consistent(self) -> Cores:
        if self.mesh is None or self.per_tile is None:
            return self
        if len(self.mesh.value) != 2:
            raise ValueError(f"mesh must be [width, height], got {list(self.mesh.value)}")
        places = self.mesh.value[0] * self.mesh.value[1] * self.per_tile.value
        if places < self.count.value:
            raise ValueError(f"count is {self.count.value}, but mesh and per_tile give places for {places} cores only")
        return self

    @property
    def limits(self) -> dict[str, int]:
        """Per-core limits that the file gives, by register."""
        given = {name: getattr(self, name) for name in PER_CORE}
        return {name: count.value for name, count in given.items() if count is not None}


PER_CORE = (
    "neurons",
    "input_axons",
    "output_axons",
    "axon_map",
    "neuron_groups",
    "synapse_words",
    "pool_words",
    "destinations",
    "weight_values",
)
"""Registers of a core that a chip file may limit; keys of ``CoreLoad.used`` and ``Mapping.limits``."""


class Axons(_Table):
    """Table entries that a connection takes; a *shared* connection is one whose neurons point to the same lists."""

    discrete_out: Count | None = None
    """Output entries of a neuron for each destination core; absent where none are known to be taken."""
    shared_out: Count | None = None
    """The same for a shared (convolution) connection."""
    cross_chip_extra: Count | None = None
    """Further output entries where the destination core lies on another chip."""
    shared_in: Count | None = None
    """Input entries of a shared connection on a destination core, in total."""
    map_per_neuron: Count | None = None
    """Axon map entries of a neuron, however many cores it reaches."""


def _rising(counts: Counts) -> Counts:
    if list(counts.value) != sorted(set(counts.value)) or counts.value[0] < 1:
        raise ValueError(f"must rise and start at 1 or more, got {list(counts.value)}")
    return counts


class Weights(_Table):
    """Widths that a stored weight can have."""

    bits: Annotated[Counts, AfterValidator(_rising)]
    """Stored widths, sign included, in rising order; a width between two of them is stored as the larger one."""
    shared_sign: bool = False
    """Whether a list of one sign drops the sign bit."""
    drops_common_power: bool = False
    """Whether a power of two that divides all weights goes into the exponent and is not stored."""
    delay_bits: Count | None = None
    """Bits of the longest delay; absent where the layout with delays is unknown."""
    delay_address_bits: Count | None = None
    """A core with delays of ``d`` bits addresses at most ``2 ** (delay_address_bits - d)`` neurons."""


class SynapseFormat(_Table):
    """One way to lay synapses out in a core's memory. ``rule`` names a function of ``mapping/formats.py``."""

    name: str
    rule: str
    split: str | None = None
    """The split that alone uses this format; absent where every other split may choose it."""
    connection: Literal["list", "shared"] = "list"
    """``list``: a matrix, one list a source neuron; ``shared``: a convolution's kernels."""
    stores_zeros: bool = False
    header_bits: Count | None = None
    row_bits: Count | None = None
    """Bits that a source takes on a core, whatever it holds there: one row of a crossbar."""
    index_bits: Counts | None = None
    """Smallest and largest width of an index."""
    skip_bits: Counts | None = None
    """Smallest and largest width of a run length."""
    list_max: Count | None = None
    """Synapses of one list entry."""
    axon_words_max: Count | None = None
    """Words of one axon."""

    @model_validator(mode="after")
    def _complete(self) -> SynapseFormat:
        if self.rule not in RULE_NEEDS:
            raise ValueError(f"rule '{self.rule}' is not known; known rules: {', '.join(RULE_NEEDS)}")
        missing = [name for name in RULE_NEEDS[self.rule] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"rule '{self.rule}' needs {missing[0]}")
        for name in ("index_bits", "skip_bits"):
            band = getattr(self, name)
            if band is not None and (len(band.value) != 2 or band.value[0] > band.value[1]):
                raise ValueError(f"{name} must be [smallest, largest], got {list(band.value)}")
        return self


class Energy(_Table):
    """Prices of events. A price that is absent is unknown."""

    synop: dict[str, Joules] = Field(default_factory=dict)
    """By synapse format: one spike reads one stored synapse."""
    neuron_access: Joules | None = None
    """Every mapped neuron, every step."""
    neuron_update: Joules | None = None
    """A neuron with state, input or bias in this step, on top of the access (``Activity.updated``)."""
    neuron_idle: Joules | None = None
    """A mapped neuron without any of these, in every step."""
    spike_out: Joules | None = None
    """A neuron fires."""
    message_out: Joules | None = None
    """A spike is sent to one destination core."""
    hop_ew: Joules | None = None
    """A message crosses one router in east or west direction."""
    hop_ns: Joules | None = None
    """A message crosses one router in north or south direction."""
    learning_update: Joules | None = None
    """A synapse is updated by a learning rule on the chip."""
    noise: Joules | None = None
    """The noise generator draws once."""
    one_high_at_a_time: Annotated[tuple[str, ...], BeforeValidator(tuple)] = ()
    """Prices whose ``high`` values explain the same measurement: only one of them may be taken at a time."""


class BarrierTime(_Table):
    """Time of the barrier at the end of a step when up to ``tiles`` tiles are used."""

    tiles: Annotated[int, Field(ge=1)]
    time: Seconds


class Latency(_Table):
    """Times of events. ``model`` says how they add up to a step.

    ``messages``: slowest core's sum of sending times against slowest core's sum of receiving times, plus barrier.
    ``slowest-unit``: largest of synapse time, neuron time and barrier over all cores.
    """

    model: Literal["messages", "slowest-unit"]
    synop: dict[str, Seconds] = Field(default_factory=dict)
    """By synapse format."""
    neuron_access: Seconds | None = None
    neuron_update: Seconds | None = None
    spike_out: Seconds | None = None
    message_out: Seconds | None = None
    message_in: Seconds | None = None
    hop_ew: Seconds | None = None
    hop_ns: Seconds | None = None
    barrier: Annotated[tuple[BarrierTime, ...], BeforeValidator(tuple)] = ()
    """Rising in tiles; a number of tiles takes the last row that is not above it, as SANA-FE does."""
    barrier_multichip: Seconds | None = None
    """Barrier of a step over several chips."""
    management: Seconds | None = None
    """Time that an embedded processor adds to each step."""
    step_observed: Seconds | None = None
    """A whole step seen on hardware, input and output included."""
    updates_per_step: dict[str, Count] = Field(default_factory=dict)
    """Microcode passes of a neuron update by neuron model."""


class Static(_Table):
    """Power that does not depend on activity."""

    chip: Watts | None = None
    """One chip without activity."""
    host: Watts | None = None
    """Embedded processors that serve one chip."""


class LayerCore(_Table):
    """A core that holds one layer."""

    kernel_words: Count
    neuron_words: Count
    biases: Count


class LayerLimits(_Table):
    """Limits of a layer on a chip that gives each layer a core of its own."""

    input_size: Count
    """Height and width of a layer's input."""
    output_size: Count
    """Height and width of a layer's output."""
    channels: Count
    kernel_size: Count
    strides: Counts
    destinations: Count
    """Layers that one layer can send to."""


class RecurrentCore(_Table):
    """One core with fixed numbers of inputs, hidden and output neurons."""

    inputs: Count
    hidden: Count
    outputs: Count
    mean_fanout: Count
    """Recurrent synapses of a hidden neuron, on average over all hidden neurons of the chip."""
    spikes_per_step: Count
    """Spikes of one neuron in one step."""


class Chip(_Table):
    """A target: structure, limits, synapse formats and prices, each with its source.

    ``source_file`` and ``sha256`` say which file it came from and what the file (with all that it extends) held.
    """

    chip: About
    system: System
    cores: Cores
    weights: Weights
    axons: Axons | None = None
    synapse_format: Annotated[tuple[SynapseFormat, ...], BeforeValidator(tuple)] = ()
    energy: Energy = Field(default_factory=Energy)
    energy_alternative: dict[str, Energy] = Field(default_factory=dict)
    """Whole other sets of prices, as second opinions on lines of their own."""
    latency: Latency | None = None
    static: Static = Field(default_factory=Static)
    layer_core: Annotated[tuple[LayerCore, ...], BeforeValidator(tuple)] = ()
    layer_limits: LayerLimits | None = None
    recurrent_core: RecurrentCore | None = None
    source_file: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        """Name of the chip, as ``load_chip`` takes it."""
        return self.chip.name

    @property
    def n_chips(self) -> int:
        """Number of chips of the target."""
        return self.system.chips.value

    @property
    def n_cores(self) -> int:
        """Number of cores of the target, over all its chips."""
        return self.n_chips * self.cores.count.value

    @property
    def source(self) -> str:
        """File and content of the description, as ``path (sha256 0123456789ab)``."""
        return f"{self.source_file} (sha256 {self.sha256[:12]})"

    def format(self, name: str) -> SynapseFormat:
        """Return the synapse format called ``name``."""
        return next(f for f in self.synapse_format if f.name == name)


FOLDERS_VARIABLE = "NEURODEPLOY_CHIPS"
"""Environment variable with folders of further chip files, separated as in PATH."""
ENTRY_POINTS = "neurodeploy.chips"
"""Entry point group under which a package offers a folder of chip files: a ``Path`` or a text, or a function of none."""


def chip_folders() -> list[Path]:
    """Return the folders with chip files: those that came with neurodeploy, the user's, and those of other packages."""
    given = [Path(folder) for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]
    offered = [point.load() for point in entry_points(group=ENTRY_POINTS)]
    return [resource_dir("hardware"), *given, *(Path(folder() if callable(folder) else folder) for folder in offered)]


def chip_names() -> list[str]:
    """Return the names of all chips in ``chip_folders``, sorted."""
    return sorted({path.stem for folder in chip_folders() for path in folder.glob("*.toml")})


def load_chip(name_or_path: str | Path) -> Chip:
    """Return a chip by name, from the first of ``chip_folders`` that has it, or one from a ``.toml`` file.

    Raises:
        ChipError: for a name that is not known, a file that cannot be read, or one that breaks the schema; the message
            gives file and key.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = _found(str(name_or_path))
    return _checked(_read(path, ()), path)


def _found(name: str) -> Path:
    shipped = resource_dir("hardware") / f"{name}.toml"
    if shipped.is_file():
        return shipped
    found = [folder / f"{name}.toml" for folder in chip_folders() if (folder / f"{name}.toml").is_file()]
    if not found:
        raise ChipError(
            f"chip: '{name}' is not known; known chips: {', '.join(chip_names())}; or give a .toml file, or a folder of "
            f"them in {FOLDERS_VARIABLE}"
        )
    return found[0]


def new_chip_text(name: str, base: str = "loihi2") -> str:
    """Return the text of a chip file that extends another one, to be filled in.

    Raises:
        ChipError: if ``base`` is not known.
    """
    load_chip(base)
    return f"""# Every number is a table with unit, source and grade (measured, calibrated, pre-silicon, published, guess).
# Leave out what is unknown. Tables given here replace those of the chip that this one extends.
extends = "{base}"

[chip]
name = "{name}"
title = "{name}"

# [cores]
# synapse_words = {{ value = 16000, unit = "words", source = "where it stands", grade = "guess" }}
"""


def chip_from_dict(data: Mapping[str, Any]) -> Chip:
    """Return the chip that ``Chip.model_dump(mode="json")`` described.

    Raises:
        ChipError: if the description breaks the schema.
    """
    return _checked(dict(data), Path(str(data.get("source_file") or "chip")), stamped=True)


def _checked(data: dict[str, Any], path: Path, *, stamped: bool = False) -> Chip:
    if not stamped:
        digest = hashlib.sha256(repr(sorted(data.items())).encode()).hexdigest()
        data = {**data, "source_file": f"{path.parent.name}/{path.name}", "sha256": digest}
    try:
        return Chip.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ChipError(f"chip: {path}: {key or 'top level'}: {what}{more}; correct the file") from error


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Return a chip file as a dict, with the file that it extends merged in."""
    if path in seen:
        raise ChipError(f"chip: {path}: extends leads back to itself; remove it from one of the files")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ChipError(
            f"chip: cannot read {path} ({error.strerror}); known chips: {', '.join(chip_names())}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChipError(f"chip: {path} is no TOML file: {error}; correct that line") from error
    base = data.pop("extends", None)
    if base is None:
        return data
    beside = path.parent / f"{base}.toml"
    return _merged(_read(beside if beside.is_file() else _found(str(base)), (*seen, path)), data)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the tables of ``own`` merged in; a number's table is replaced as a whole."""
    result = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict) and "grade" not in value
        result[key] = _merged(base[key], value) if both else value
    return result
