"""The record of a cost estimate: each figure with its range, its grade and the counts behind it.

Records are frozen. All figures are in SI units (joules, seconds, watts, bytes) and energies are per sample. ``events`` are
whole-run totals; divide by ``n_samples``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from neurodeploy.chip import Grade, Quantity
from neurodeploy.errors import EstimateError
from neurodeploy.files.checked import Record, first_problem
from neurodeploy.files.shown import Shown

GRADES: tuple[Grade, ...] = ("measured", "calibrated", "pre-silicon", "published", "guess")
"""The grades of a price, from strong to weak (``chip/numbers.py``)."""

Resource = Literal[
    "neurons and sending",
    "receiving and synapses",
    "synapses",
    "neurons",
    "link between chips",
    "barrier",
    "step period",
    "instructions",
]
"""The resource that decides the length of a step; ``step period`` if the chip waits for the period."""


TIE = 1e-9
"""Share of an allowed time, or of a limit, below which a difference is float rounding."""


def fits_in(needed: float, allowed: float) -> bool:
    """Return whether a figure is at most a limit, ties included."""
    return needed <= allowed * (1 + TIE)


def weakest(grades: Iterable[Grade]) -> Grade:
    """Return the weakest of at least one grade."""
    return max(grades, key=GRADES.index)


class Coverage(Record):
    """How many measured facts of a kind lie in the ranges of a chip, each left out when the range was set; ``source``."""

    inside: int
    of: int
    source: str


def best_grade(coverage: Coverage | None) -> Grade:
    """Return the best grade that a figure may read, by the coverage of its kind on its chip.

    ``guess`` where less than 70 % of the facts lie inside, ``measured`` from 80 % of at least five facts on, ``calibrated``
    between these, and ``published`` where there is no fact at all.
    """
    if coverage is None or not coverage.of:
        return "published"
    share = coverage.inside / coverage.of
    if share < _ENOUGH[0]:
        return "guess"
    return "measured" if share >= _ENOUGH[1] and coverage.of >= _ENOUGH[2] else "calibrated"


_ENOUGH = (0.7, 0.8, 5)
"""Shares of facts inside, and a number of facts."""


class ShortRecord(Record):
    """A record whose plain values leave out the fields ``left_out_if_empty`` where they hold nothing.

    So records of networks without what such a field describes are written as before there was the field.
    """

    left_out_if_empty: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_empty(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = plain(self)
        return {name: value for name, value in values.items() if value or name not in self.left_out_if_empty}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema of the fields, which neither the serializer above nor a check of the whole record changes."""
        own: Any = core_schema
        while own["type"] == "function-after":
            own = own["schema"]
        return handler({name: value for name, value in own.items() if name != "serialization"})


class Band(Record):
    """A figure with its range, ``low <= nominal <= high``, and the grade of the weakest price in it."""

    low: float
    nominal: float
    high: float
    grade: Grade

    @staticmethod
    def of(quantity: Quantity) -> Band:
        """Return the band of a chip file's quantity, in SI units."""
        low, nominal, high = quantity.si
        return Band(low=low, nominal=nominal, high=high, grade=quantity.grade)

    def times(self, factor: float) -> Band:
        """Return the band times a factor of at least 0."""
        return Band(low=self.low * factor, nominal=self.nominal * factor, high=self.high * factor, grade=self.grade)

    def by(self, other: Band) -> Band:
        """Return the product of two bands of non-negative figures."""
        return Band(
            low=self.low * other.low,
            nominal=self.nominal * other.nominal,
            high=self.high * other.high,
            grade=weakest((self.grade, other.grade)),
        )

    def read_by(self, coverage: Coverage | None) -> Band:
        """Return the band with a grade no better than the coverage of its kind."""
        return self.model_copy(update={"grade": weakest((self.grade, best_grade(coverage)))})

    def at_least(self, floor: float) -> Band:
        """Return the band with every figure raised to ``floor``."""
        return Band(
            low=max(self.low, floor), nominal=max(self.nominal, floor), high=max(self.high, floor), grade=self.grade
        )

    def over(self, other: Band) -> Band | None:
        """Return this band divided by another one, as intervals; None where the other one reaches 0."""
        if other.low <= 0:
            return None
        return Band(
            low=self.low / other.high,
            nominal=self.nominal / other.nominal,
            high=self.high / other.low,
            grade=weakest((self.grade, other.grade)),
        )

    @property
    def spread(self) -> float:
        """The width of the range, as a share of the nominal figure; 0 where that is 0."""
        return (self.high - self.low) / self.nominal if self.nominal else 0.0

    @staticmethod
    def total(bands: Iterable[Band]) -> Band | None:
        """Return the sum of the bands as intervals, None if there are no bands."""
        own = list(bands)
        if not own:
            return None
        return Band(
            low=sum(b.low for b in own),
            nominal=sum(b.nominal for b in own),
            high=sum(b.high for b in own),
            grade=weakest(b.grade for b in own),
        )


class CoreMemory(Record):
    """A core in use: ``used`` amounts by register; ``fullest`` names the register with the largest share ``fill``."""

    index: int
    chip: int
    core: int
    tile: int | None
    x: int | None
    y: int | None
    neurons: dict[str, int]
    synaptic_bytes: int
    used: dict[str, int]
    fullest: str | None
    fill: float


class LayerMemory(Record):
    """A population: its neurons, its cores, and the synapses into it; ``formats`` counts cores by format."""

    name: str
    neurons: int
    cores: int
    synaptic_bytes: int
    stored: int
    formats: dict[str, int]
    weight_bits: tuple[int, ...]


class Memory(Record):
    """Memory by core and by layer, and the size of the target; ``mesh`` counts the tiles of a chip in x and y direction."""

    n_cores: int
    cores_available: int
    n_chips: int
    chips_available: int
    cores_per_chip: int
    cores_per_tile: int | None
    mesh: tuple[int, int] | None
    synaptic_bytes: int
    limits: dict[str, int]
    cores: tuple[CoreMemory, ...]
    layers: tuple[LayerMemory, ...]


class EnergyLine(Record):
    """A component of the energy: ``energy_j = events * price_j / n_samples``; the low figure uses ``events_low`` events."""

    component: str
    events: int
    events_low: int
    price_j: Band
    source: str
    energy_j: Band


class Unpriced(Record):
    """A component without a price; ``events`` is None if its events are not counted either."""

    component: str
    events: int | None
    reason: str


class Energy(Record):
    """Dynamic energy per sample under one set of prices; ``total_j`` is None if no component has a price."""

    prices: str
    lines: tuple[EnergyLine, ...]
    total_j: Band | None
    unpriced: tuple[Unpriced, ...]
    notes: tuple[str, ...] = ()


class StaticLine(Record):
    """Static energy per sample: ``power_w`` of one chip times the number of chips and the time of a sample.

    ``whole_j`` charges all chips in use, ``share_j`` only the used share of their cores.
    """

    component: Literal["chip", "host"]
    basis: Literal["free-running", "real-time"]
    power_w: Band
    n_chips: int
    share: float
    time_s: Band
    whole_j: Band
    share_j: Band
    source: str


class Spread(Record):
    """Mean, 99th percentile and worst case of a time."""

    mean: Band
    p99: Band
    worst: Band


class Binding(Record):
    """The number of steps that one core and resource decided; ``core`` is None for the barrier or a lower bound."""

    core: int | None
    resource: Resource
    steps: int


class WorstStep(Record):
    """The longest step: its place, and the core and resource that decided it."""

    sample: int
    step: int
    core: int | None
    resource: Resource
    time_s: float


class Trace(Record):
    """Nominal step times of the slowest sample, with the binding core of each step (None: the barrier), and over samples."""

    sample: int
    step_s: tuple[float, ...]
    core: tuple[int | None, ...]
    mean_s: tuple[float, ...]
    worst_s: tuple[float, ...]


class HostInput(Record):
    """Spikes that the host injects, one after the other, and the time that this takes, per sample and on top of all others.

    ``sample_s`` is None where the chip file has no time for it (``latency.host_input``): the times are then those without
    host input.
    """

    spikes: float
    sample_s: Spread | None
    source: str = ""


class Latency(Record):
    """Times of a step and of a sample, free-running, and in real time, where each step takes at least ``step_period_s``.

    ``management_s`` is the time that an embedded processor adds to each step; it is shown separately, and is included only
    in ``real_time_sample_s`` and ``late_steps``.
    """

    model: str
    n_steps: int
    step_s: Spread
    sample_s: Spread
    management_s: Band | None
    step_period_s: float | None
    real_time_sample_s: Spread | None
    late_steps: int | None
    bindings: tuple[Binding, ...]
    worst: WorstStep
    trace: Trace
    unpriced: tuple[Unpriced, ...]
    notes: tuple[str, ...] = ()
    managed_step_s: Spread | None = None
    """``step_s`` with the management of each step; None in records of older versions, as ``managed_sample_s``."""
    managed_sample_s: Spread | None = None
    host_input: HostInput | None = None

    @model_validator(mode="after")
    def _decided(self) -> Latency:
        if not all(binding.steps > 0 for binding in self.bindings) or not self.bindings:
            raise ValueError("bindings: nothing decides a step")
        return self


class Verdict(Record):
    """The verdict whether a demand is met by the nominal and the high figure; ``margin`` is 1 - needed / allowed (nominal).

    ``needed_s`` includes the management time of each step, but no input and output of the host. Ties are met: differences
    below ``TIE`` of the allowed time are those of float rounding.
    """

    demand: Literal["deadline", "rate", "step period"]
    allowed_s: float
    needed_s: Band
    met: bool
    met_at_high: bool
    margin: float
    core: int | None
    resource: Resource
    safe_event_factor: float | None = None
    """Factor by which events may grow and still meet the demand (for deadline and rate a lower bound); None if not met."""
    safe_input_hz: float | None = None
    """The same as spikes of all inputs per second: the mean spikes of a sample, times the factor, in the allowed time."""
    needed_with_host_s: Band | None = None
    """``needed_s`` plus the time in which the host injects the input; None where the chip file has no time for it."""
    met_with_host: bool | None = None
    """Whether the demand is met by the nominal figure of ``needed_with_host_s``."""

    @property
    def fails(self) -> bool:
        """Whether the demand is missed by the nominal figure, host input included where it has a time."""
        return not self.met or self.met_with_host is False


Boundary = Literal["cores", "chip", "board"]
"""How much of a system a figure counts: the events in the cores; the whole chip, with its static power, its embedded CPUs
and their management; the board around it. A microcontroller has one boundary, the chip."""
Operation = Literal["free-running", "period", "rate"]
"""How samples follow each other: at once; at once, with steps of a given period; or at a given rate."""


class Part(Record):
    """A named part of a total, in joules per sample."""

    name: str
    energy_j: Band


class Total(Record):
    """Energy of a sample within a boundary at an operating point.

    ``time_s`` is the time from the start of a sample to that of the next; ``power_w`` the average power in it; ``battery_h``
    the hours on a battery, where one was named. ``left_out`` says what belongs to the boundary and has no price: where it
    is not empty, the figures are at least those given.
    """

    boundary: Boundary
    operation: Operation
    time_s: Band
    energy_j: Band
    power_w: Band
    battery_h: Band | None = None
    parts: tuple[Part, ...]
    left_out: tuple[str, ...] = ()


class Baseline(Record):
    """A baseline for the same task, with its energy per sample; None if it is not possible, and ``note`` says why.

    Break-even: the factor by which all spikes could grow, and the density up to which connections could grow, until the
    chip's dynamic energy reaches the energy of the baseline. ``boundary`` is that of ``energy_j``; ``against`` the total of
    the chip within the same boundary, ``times`` the energy of the baseline divided by it, and ``even_activity`` and
    ``even_density`` the break-even of these two, times held fixed. All are None in records of older versions.
    """

    what: str
    energy_j: Band | None
    break_even_activity: float | None
    break_even_density: float | None
    note: str = ""
    boundary: Boundary | None = None
    operation: Operation | None = None
    against_j: Band | None = None
    times: Band | None = None
    even_activity: float | None = None
    even_density: float | None = None


class Payload(Record):
    """The payloads that a population or input really sent, and whether the chip's messages hold them.

    ``bits``: bits that hold all of them, sign included where one is negative; ``chip_bits``: bits of the chip's payloads;
    ``chip_bits`` and ``fits`` are None where the chip file does not say.
    """

    name: str
    messages: int
    lowest: int
    highest: int
    bits: int
    chip_bits: int | None
    fits: bool | None

    @property
    def largest(self) -> int:
        """The largest size of a payload."""
        return max(abs(self.lowest), abs(self.highest))


class Program(ShortRecord):
    """A network as a C program on the core of a microcontroller, and what a dense ANN of the same shape takes there.

    Bytes of flash and RAM with the part's limits; instructions of a mean step, of the longest step and of a sample, None
    without an activity. ``break_even_steps``: a decision of fewer steps takes fewer instructions than one inference of the
    dense ANN, whose weights are int8.
    """

    left_out_if_empty = ("step_instructions", "worst_step_instructions", "sample_instructions", "break_even_steps")
    core: str
    flash_bytes: int
    flash_limit: int
    ram_bytes: int
    ram_limit: int
    dense_macs: int
    dense_instructions: Band
    step_instructions: Band | None = None
    worst_step_instructions: Band | None = None
    sample_instructions: Band | None = None
    break_even_steps: float | None = None


class Cost(Shown, ShortRecord):
    """All results of a cost estimate. Without an activity only memory is known, and the rest is None or empty."""

    left_out_if_empty = ("payloads", "warnings", "totals", "battery_j", "coverage", "program")
    chip: str
    chip_title: str
    chip_source: str
    evidence: str
    network: str
    engine: str | None
    n_samples: int
    n_steps: int
    memory: Memory
    counts: dict[str, int] = Field(default={})
    energy: Energy | None = None
    second_opinions: tuple[Energy, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    static: tuple[StaticLine, ...] = ()
    latency: Latency | None = None
    verdicts: tuple[Verdict, ...] = ()
    program: Program | None = None
    """On microcontrollers."""
    totals: tuple[Total, ...] = ()
    """By operating point, free-running first, and by boundary from the inside out."""
    battery_j: float | None = None
    """Energy of the battery that ``totals`` were asked for."""
    coverage: dict[str, Coverage] = Field(default={})
    """How well the ranges of each kind of figure hold: keys ``energy``, ``time``, ``static``, ``cores``."""
    payloads: tuple[Payload, ...] = ()
    """Of populations and inputs whose messages carry one."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What makes the activity a doubtful one to price: layers that never fire, outputs that are silent."""

    def total(self, boundary: Boundary, operation: Operation | None = None) -> Total | None:
        """Return the total of a boundary at an operating point, by default the one that was asked for; None if unknown."""
        found = [t for t in self.totals if t.boundary == boundary and operation in (None, t.operation)]
        return found[-1] if found else None

    def to_json(self) -> dict[str, Any]:
        """Return the cost as plain values."""
        return self.model_dump(mode="json")

    @staticmethod
    def from_json(data: object) -> Cost:
        """Return the cost from its description as plain values, as ``to_json`` gives it.

        Raises:
            EstimateError: if the description breaks the schema; names the place.
        """
        try:
            return Cost.model_validate(data)
        except ValidationError as error:
            raise EstimateError(f"estimate: no cost record: {first_problem(error)}; estimate again") from error
