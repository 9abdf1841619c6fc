"""Facts measured on silicon, as data: the records of a facts file (TOML), and its reading.

The layout stands in ``docs/facts.md``. A ``[[workload]]`` says what ran: a network (a file, or layers by shape), how it lay
on the chip, and its spikes (recorded, or assumed rates). A ``[[fact]]`` is one measured figure of it. A ``[[prior]]`` says
how far a kind of figure may be off on a chip before any fact is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from neurodeploy.errors import FileError
from neurodeploy.files.checked import Record, all_problems
from neurodeploy.files.paths import as_path
from neurodeploy.files.toml import TomlError, parse_toml

SHIPPED = Path(__file__).with_name("facts.toml")
"""The facts that come with the package."""

Kind = Literal["energy", "time", "static", "cores"]
Role = Literal["validation", "calibration", "bound"]
Activity = Literal["recorded", "assumed"]
Boundary = Literal["cores", "cpus", "chip", "board"]
SCALE = {
    "energy": {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "W": 1.0, "mW": 1e-3, "uW": 1e-6},
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "static": {"W": 1.0, "mW": 1e-3, "uW": 1e-6},
    "cores": {"cores": 1.0},
}
"""Units of each kind of fact, in SI."""
BOUNDARIES: dict[str, tuple[str, ...]] = {
    "energy": ("cores", "cpus", "chip"),
    "time": ("cores", "chip", "board"),
    "static": ("chip", "cpus"),
    "cores": ("cores",),
}
"""Boundaries of each kind of fact."""
Many = Annotated[tuple[float, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]
Whole = Annotated[tuple[int, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list) else value


Pair = Annotated[tuple[int, int], BeforeValidator(_pair)]
"""A number for both axes, or one for the rows and one for the columns."""


class Layer(Record):
    """A layer by shape; just one of ``dense`` (neurons), ``conv`` (channels) and ``pool`` (size of the window).

    ``weight_bits``: in place of that of the workload.
    ``density``: share of its synapses that exist, at random places; ``recurrent``: the same of synapses within the layer.
    """

    dense: int | None = Field(default=None, ge=1)
    conv: int | None = Field(default=None, ge=1)
    pool: int | None = Field(default=None, ge=1)
    kernel: int = Field(default=3, ge=1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    weight_bits: int | None = Field(default=None, ge=1, le=8)
    density: float = Field(default=1.0, gt=0, le=1)
    recurrent: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Layer:
        if sum(size is not None for size in (self.dense, self.conv, self.pool)) != 1:
            raise ValueError("a layer has just one of dense, conv and pool")
        if self.recurrent is not None and self.dense is None:
            raise ValueError("only a dense layer can be recurrent")
        return self


class Workload(Record):
    """What ran: network, mapping and spikes. Files are relative to the facts file, or ``lava-dl:PATH`` in lava-dl's wheel.

    Args:
        name: facts refer to it.
        chip: name of a chip, or a chip file.
        network: file of the network; ``n_layers`` reads only its first layers (``.net``). Or, in its place:
        input, layers: shape of the input, and layers one after the other, with weights that do not matter.
        split: how populations are cut (``map --split``); by default as ``map`` does.
        store_zeros: as the option of ``map``.
        neurons_per_core: in place of ``split``: neurons on each core, for the input first and then layer by layer.
        format, weight_bits: synapse format and width of such a mapping.
        chips: chips that the measured system had, where it held copies of the network; its steps then end with the barrier
            between chips.
        data: recorded spikes: samples (``.npz``), or an array of spikes (``.npy``) whose axes are brought into the order
            ``axes``, the steps first; only ``steps`` of them.
        input_per_step: assumed: mean spikes of all inputs in a step (low, nominal, high, or one for all).
        rates: assumed: share of the other neurons that spike in a step (low, nominal, high). For ``steps`` steps.
    """

    name: str
    chip: str
    network: str | None = None
    n_layers: int | None = None
    input: Whole = ()
    layers: Annotated[tuple[Layer, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)] = ()
    split: str | None = None
    store_zeros: bool = False
    neurons_per_core: Whole = ()
    format: str = "packed"
    weight_bits: int = Field(default=8, ge=1, le=8)
    chips: int = Field(default=1, ge=1)
    data: str | None = None
    axes: Whole = ()
    steps: int | None = Field(default=None, ge=1)
    input_per_step: Many = ()
    rates: Many = ()

    @model_validator(mode="after")
    def _complete(self) -> Workload:
        if (self.network is None) == (not self.layers):
            raise ValueError("give either network (a file) or input and layers")
        if self.layers and not self.input:
            raise ValueError("layers need the shape of their input, as in input = [2, 34, 34]")
        if self.data is not None and self.rates:
            raise ValueError("give either data (recorded spikes) or rates (assumed ones)")
        if self.rates and (len(self.rates) != 3 or list(self.rates) != sorted(self.rates)):
            raise ValueError("rates needs three shares that rise: low, nominal and high, as in [0.01, 0.05, 0.2]")
        if self.rates and not all(0 < rate <= 1 for rate in self.rates):
            raise ValueError("rates are shares above 0, up to 1, of the neurons that spike in a step")
        if self.rates and len(self.input_per_step) not in (1, 3):
            raise ValueError("rates need input_per_step as well: the mean spikes of all inputs in a step, one or three")
        if self.neurons_per_core and self.split:
            raise ValueError("give either split or neurons_per_core")
        return self


class Fact(Record):
    """One measured figure.

    Args:
        workload: name of a ``[[workload]]``; for ``static`` any name, with ``chip`` where it has none.
        quantity: what was measured, in words.
        kind, boundary: ``energy`` within ``cores`` (dynamic), ``cpus`` (with awake CPUs: what is often published as dynamic)
            or ``chip`` (with static power as well); ``time`` of the
            ``cores``, of the ``chip`` (with management) or of the ``board`` (with the host's injection of the input);
            ``static`` power of the ``chip`` or of its awake ``cpus``; number of ``cores``.
        role: ``validation``: nothing was fitted to it; ``calibration``: a number of the chip file was; ``bound``: the
            measurement holds more than the estimate, which has to stay below it.
        activity: ``recorded`` where the spikes (if any matter) are those that ran, ``assumed`` where rates are guessed.
        measured, unit: the figure.
        per: of a ``step`` or of a ``sample``.
        chips: chips that the figure is for (``static``).
        step_us: measured time of a step, which turns energy into power and gives static energy its time.
        without: numbers that the chip file would have without this fact: ``"latency.host_input" = [low, nominal, high]`` in
            the file's own unit. They take the place of the file's when this fact is left out.
        source, note: where the figure stands, and remarks.
    """

    workload: str
    quantity: str
    kind: Kind
    boundary: Boundary
    role: Role = "validation"
    activity: Activity = "recorded"
    measured: float = Field(gt=0, allow_inf_nan=False)
    unit: str
    per: Literal["step", "sample"] | None = None
    chip: str | None = None
    chips: int = Field(default=1, ge=1)
    step_us: float | None = Field(default=None, gt=0)
    without: dict[str, Many] = Field(default={})
    source: str
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Fact:
        if self.unit not in SCALE[self.kind]:
            raise ValueError(f"unit '{self.unit}' is none of kind '{self.kind}'; known: {', '.join(SCALE[self.kind])}")
        if self.boundary not in BOUNDARIES[self.kind]:
            known = ", ".join(BOUNDARIES[self.kind])
            raise ValueError(f"boundary '{self.boundary}' is none of kind '{self.kind}'; known: {known}")
        for name, numbers in self.without.items():
            if len(numbers) != 3 or list(numbers) != sorted(numbers):
                raise ValueError(f'without."{name}" needs three numbers that rise: low, nominal and high')
        return self

    @property
    def si(self) -> float:
        """The figure in joules, watts, seconds or cores."""
        return self.measured * SCALE[self.kind][self.unit]


class Prior(Record):
    """How far a kind of figure may be off on a chip before any fact is known: standard deviation of its logarithm."""

    chip: str
    kind: Kind
    boundary: Boundary | None = None
    factor: float = Field(gt=1)
    """The logarithm of this factor is that deviation: 2 for 'a factor of two'."""
    source: str


class Facts(Record):
    """A facts file."""

    workload: Annotated[tuple[Workload, ...], BeforeValidator(tuple)] = ()
    fact: Annotated[tuple[Fact, ...], BeforeValidator(tuple)] = ()
    prior: Annotated[tuple[Prior, ...], BeforeValidator(tuple)] = ()

    @model_validator(mode="after")
    def _known(self) -> Facts:
        names = [w.name for w in self.workload]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the workload '{twice[0]}' is described twice")
        if not self.fact:
            raise ValueError("it has no [[fact]]")
        for i, fact in enumerate(self.fact):
            if fact.kind == "static" and fact.chip is None and fact.workload not in names:
                raise ValueError(f"fact.{i}, of kind 'static', needs chip, as in chip = \"loihi1\", or a [[workload]]")
            if fact.kind != "static" and fact.workload not in names:
                known = ", ".join(f"'{name}'" for name in names) or "none"
                raise ValueError(
                    f"fact.{i}.workload '{fact.workload}' has no [[workload]] of this name; known: {known}"
                )
        return self


def load_facts(path: str | Path | None = None) -> Facts:
    """Return the facts of a file, by default those of the package.

    Raises:
        FileError: if the file cannot be read, or breaks the layout: names the place and what belongs there.
    """
    file = SHIPPED if path is None else as_path(path)
    try:
        data: Any = parse_toml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"bench: cannot read the facts {file} ({error.strerror})") from error
    except (TomlError, UnicodeDecodeError) as error:
        raise FileError(f"bench: {file} is no TOML file: {error}") from error
    for table in ("workload", "fact", "prior"):
        rows = data.get(table, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise FileError(f"bench: {file}: write [[{table}]] with two brackets, once for each")
    try:
        return Facts.model_validate(data)
    except ValidationError as error:
        problem = all_problems(error, Facts)
        raise FileError(f"bench: {file}: {_place(data, error)}{problem}; docs/facts.md has the layout") from error


def _place(data: dict[str, Any], error: ValidationError) -> str:
    """Return the name of the fact or workload that is wrong."""
    at = error.errors()[0]["loc"]
    if len(at) < 2 or not isinstance(at[1], int):
        return ""
    table = data[str(at[0])][at[1]]
    name = table.get("quantity", table.get("name")) if isinstance(table, dict) else None
    return f"'{name}': " if name else ""
