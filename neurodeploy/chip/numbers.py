"""The numbers of a chip file, each with its unit, its source and its grade.

Grades, from strong to weak:

- ``measured``: read on silicon;
- ``calibrated``: a model's constant, fitted to measurements of silicon;
- ``pre-silicon``: from circuit simulation before the chip existed;
- ``published``: stated in a paper, a data sheet or a vendor's code or compiler output, without a measurement;
- ``guess``: carried over from another chip ("uncalibrated" in ``docs/notes/hardware.md``) or inferred here ("derived").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from neurodeploy.files.checked import unknown_key

Grade = Literal["measured", "calibrated", "pre-silicon", "published", "guess"]

_UNITS = {
    "J": {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12},
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "W": {"W": 1.0, "mW": 1e-3, "uW": 1e-6},
    "Hz": {"MHz": 1e6, "kHz": 1e3},
    "instructions": {"instructions": 1.0},
    "cycles": {"cycles": 1.0},
}
_SI = {unit: factor for units in _UNITS.values() for unit, factor in units.items()}


class Table(BaseModel):
    """A TOML table: frozen, strict about types; an unknown key is an error that lists the known keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = [str(key) for key in data if key not in cls.model_fields]
            if unknown:
                known = [name for name in cls.model_fields if name not in ("source_file", "sha256")]
                told = [f"unknown key '{key}'; known keys: {unknown_key(key, known)}" for key in unknown]
                raise ValueError("; ".join(told))
        return data


def _no_price(unit: str) -> str:
    if unit in _SI:
        raise ValueError(f"unit '{unit}' does not belong here: this is a number of things")
    return unit


CountUnit = Annotated[str, AfterValidator(_no_price)]


class Count(Table):
    """A whole number of at least 1 with its unit, source and grade."""

    value: Annotated[int, Field(ge=1)]
    """The number."""
    unit: CountUnit
    """What is counted, in words."""
    source: str
    """Where the number stands: paper and table, data sheet, or file."""
    grade: Grade
    """How well it is known."""


class Counts(Table):
    """A list of whole numbers of at least 0 with unit, source and grade."""

    value: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(tuple), Field(min_length=1)]
    """The numbers."""
    unit: CountUnit
    """What is counted, in words."""
    source: str
    """Where the number stands: paper and table, data sheet, or file."""
    grade: Grade
    """How well it is known."""


class Amount(Table):
    """A whole number of at least 0 with its unit, source and grade; 0 states that the chip has none."""

    value: Annotated[int, Field(ge=0)]
    """The number."""
    unit: CountUnit
    """What is counted, in words."""
    source: str
    """Where the number stands: paper and table, data sheet, or file."""
    grade: Grade
    """How well it is known."""


def _different(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(words)) < len(words):
        raise ValueError(f"a word stands twice in {list(words)}")
    return words


Reset = Literal["zero", "subtract"]
"""What a spike does to a voltage; the words of ``network.neurons.RESETS``."""


class Resets(Table):
    """Resets that neurons can do, with source and grade."""

    value: Annotated[tuple[Reset, ...], BeforeValidator(tuple), Field(min_length=1), AfterValidator(_different)]
    """What a spike can do to a voltage."""
    source: str
    """Where the number stands: paper and table, data sheet, or file."""
    grade: Grade
    """How well it is known."""


NeuronKind = Literal["cuba", "leaky_integrator", "resonate_and_fire", "sigma", "delta", "sigma_delta"]
"""The keys of ``network.neurons.NEURON_KINDS``."""
PLAIN_KINDS: tuple[NeuronKind, ...] = ("cuba", "leaky_integrator")
"""Kinds that every chip has: plain spikes, one real current."""
MESSAGE_KINDS: tuple[NeuronKind, ...] = ("sigma", "delta", "sigma_delta")
"""Kinds that send messages with a payload."""


class NeuronKinds(Table):
    """Kinds of neurons that a core can compute, with source and grade."""

    value: Annotated[tuple[NeuronKind, ...], BeforeValidator(tuple), Field(min_length=1), AfterValidator(_different)]
    """The kinds."""
    source: str
    """Where the number stands: paper and table, data sheet, or file."""
    grade: Grade
    """How well it is known."""


class Quantity(Table):
    """A price, time or power as a band ``low <= nominal <= high``; a file may write one ``value`` for all three."""

    low: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Low end of the range; `value` alone stands for all three."""
    nominal: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """The figure that is reckoned with."""
    high: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """High end of the range."""
    unit: str
    """Unit: J, s or W, with a prefix (pJ, ns, mW)."""
    source: str
    """Where the number stands: paper and table, data sheet, or file."""
    grade: Grade
    """How well it is known."""

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
        """``(low, nominal, high)`` in joules, seconds, watts or hertz; instructions and cycles as they are."""
        return self.low * _SI[self.unit], self.nominal * _SI[self.unit], self.high * _SI[self.unit]


def _unit(base: str) -> Callable[[Quantity], Quantity]:
    known = list(_UNITS[base])

    def check(quantity: Quantity) -> Quantity:
        if quantity.unit not in known:
            raise ValueError(f"unit '{quantity.unit}' does not belong here; use one of {', '.join(known)}")
        return quantity

    return check


Joules = Annotated[Quantity, AfterValidator(_unit("J"))]
Seconds = Annotated[Quantity, AfterValidator(_unit("s"))]
Watts = Annotated[Quantity, AfterValidator(_unit("W"))]
Hertz = Annotated[Quantity, AfterValidator(_unit("Hz"))]
Instructions = Annotated[Quantity, AfterValidator(_unit("instructions"))]
Cycles = Annotated[Quantity, AfterValidator(_unit("cycles"))]
