"""``Cost``: what a mapped network takes on a chip, each figure with its range, its grade and the counts behind it.

Records are frozen. All figures are in SI units (joules, seconds, watts, bytes) and energies are per sample. ``events`` are
whole-run totals; divide by ``n_samples``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, ValidationError

from neurodeploy.chip import Grade, Quantity
from neurodeploy.errors import EstimateError
from neurodeploy.files.checked import Record, first_problem

GRADES: tuple[Grade, ...] = ("measured", "calibrated", "pre-silicon", "published", "guess")
"""From strong to weak."""

Resource = Literal["neurons and sending", "receiving and synapses", "synapses", "neurons", "barrier", "step period"]
"""What the length of a step comes from; ``step period`` where the chip waits for it."""


def weakest(grades: Iterable[Grade]) -> Grade:
    """Return the weakest of at least one grade."""
    return max(grades, key=GRADES.index)


class Band(Record):
    """A figure with its range, ``low <= nominal <= high``, and the grade of the weakest price in it."""

    low: float
    nominal: float
    high: float
    grade: Grade

    @staticmethod
    def of(quantity: Quantity) -> Band:
        """Return a quantity of a chip file in SI units."""
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

    def at_least(self, floor: float) -> Band:
        """Return the band with every figure raised to ``floor``."""
        return Band(
            low=max(self.low, floor), nominal=max(self.nominal, floor), high=max(self.high, floor), grade=self.grade
        )

    @staticmethod
    def total(bands: Iterable[Band]) -> Band | None:
        """Return the interval sum, None for no band."""
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
    """One used core: ``used`` against the limits by register; ``fullest`` names the register that is filled most."""

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
    """One population: its neurons, cores, and the synapses that lead into it; ``formats`` counts cores by format."""

    name: str
    neurons: int
    cores: int
    synaptic_bytes: int
    stored: int
    formats: dict[str, int]
    weight_bits: tuple[int, ...]


class Memory(Record):
    """Memory by core and by layer, and what the target offers; ``mesh`` are tiles of one chip in x and y direction."""

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
    """One component: ``energy_j = events * price_j / n_samples``; the low figure takes ``events_low`` events."""

    component: str
    events: int
    events_low: int
    price_j: Band
    source: str
    energy_j: Band


class Unpriced(Record):
    """Something that happens and has no price; ``events`` is None where it is not counted either."""

    component: str
    events: int | None
    reason: str


class Energy(Record):
    """Dynamic energy per sample under one set of prices; ``total_j`` is None where nothing has a price."""

    prices: str
    lines: tuple[EnergyLine, ...]
    total_j: Band | None
    unpriced: tuple[Unpriced, ...]
    notes: tuple[str, ...] = ()


class StaticLine(Record):
    """Energy per sample that flows without activity: ``power_w`` of one chip times chips and the time of a sample.

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
    """How many steps one core and resource decided; ``core`` is None where the barrier or a floor did."""

    core: int | None
    resource: Resource
    steps: int


class WorstStep(Record):
    """The longest step: where it is, and what made it long."""

    sample: int
    step: int
    core: int | None
    resource: Resource
    time_s: float


class Trace(Record):
    """Nominal step times of the slowest sample, with the binding core of each step (None: barrier), and over samples."""

    sample: int
    step_s: tuple[float, ...]
    core: tuple[int | None, ...]
    mean_s: tuple[float, ...]
    worst_s: tuple[float, ...]


class Latency(Record):
    """Times of a step and of a sample, free-running; ``real_time`` where each step takes at least ``step_period_s``.

    ``management_s`` is added to each step by an embedded processor; it is a line of its own, and part only of
    ``real_time_sample_s`` and ``late_steps``.
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


class Verdict(Record):
    """Whether a demand is met by the nominal and by the high figure; ``margin`` is 1 - needed / allowed (nominal).

    What is needed includes the management of each step, and no input and output of the host.
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
    """How many times as many events would still meet it (a lower bound for deadline and rate); None where none do."""
    safe_input_hz: float | None = None
    """The same as spikes of all inputs a second, on average over the run: those of a sample in the time allowed for it."""


class Baseline(Record):
    """The same task done otherwise, with its energy per sample; None where it is not possible, and ``note`` says why.

    Break-even: by how much all spikes could grow, and up to which density, until the chip's dynamic energy reaches it.
    """

    what: str
    energy_j: Band | None
    break_even_activity: float | None
    break_even_density: float | None
    note: str = ""


class Cost(Record):
    """Everything ``estimate`` found. Without an activity only memory is known, and the rest is None."""

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
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the cost as plain values."""
        return self.model_dump(mode="json")

    @staticmethod
    def from_json(data: object) -> Cost:
        """Return the cost that ``to_json`` described.

        Raises:
            EstimateError: if it breaks the schema, with the place.
        """
        try:
            return Cost.model_validate(data)
        except ValidationError as error:
            raise EstimateError(f"estimate: no cost record: {first_problem(error)}; estimate again") from error
