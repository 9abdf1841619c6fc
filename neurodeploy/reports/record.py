"""The records of ``report.json``; the JSON schema is made from them (``python -m neurodeploy.reports.schema``).

The schema has a version (``SCHEMA``). Fields that may be absent can be added within a version; any other change needs a new
version number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from neurodeploy.costs.record import Cost, ShortRecord
from neurodeploy.errors import ReportError
from neurodeploy.files.checked import Record, first_problem
from neurodeploy.files.json_text import parse_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.plain import read_text
from neurodeploy.files.shown import ReportFacts, Shown

SCHEMA = "neurodeploy-report/1"
SCHEMA_FILE = Path(__file__).with_name("report.schema.json")
"""The published JSON schema of ``report.json``."""


class ProjectionFacts(Record):
    """Connections of a projection: possible ones, those kept by the mask, and those not zero after quantisation.

    ``kind`` is that of the synapses, or ``wires`` where they only join an encoder with its values: these count as none.
    """

    name: str
    source: str
    target: str
    kind: str
    weights: int
    mask: int
    nonzero: int
    density: float
    density_nonzero: float


class LayerFacts(ShortRecord):
    """A population; ``reset`` where its neurons do not reset to zero."""

    left_out_if_empty = ("reset",)
    name: str
    model: str
    neurons: int
    first_step: int
    reset: str | None = None


class LedgerEntry(Record):
    """An approximation between the origin and the network."""

    where: str
    what: str
    size: str


class NetworkFacts(ShortRecord):
    """Facts about the network; both densities are counted from the network itself.

    ``payload_bits``: bits of the payloads of each input that has some, their sign included.
    """

    left_out_if_empty = ("payload_bits",)
    fingerprint: str
    dt: float
    inputs: dict[str, int]
    neurons: int
    weights: int
    mask: int
    nonzero: int
    density: float
    density_nonzero: float
    layers: tuple[LayerFacts, ...]
    projections: tuple[ProjectionFacts, ...]
    ledger: tuple[LedgerEntry, ...] = ()
    payload_bits: dict[str, int] = Field(default={})


class Accuracy(Record):
    """Share of correctly classified samples; ``held_out``: they are a run's test part, never used to choose anything.

    ``tied`` and ``silent``: shares of samples that the output does not decide (``engines.decoding.Answers``); None in
    reports of older versions.
    """

    test: float = Field(ge=0, le=1)
    n_samples: int = Field(ge=1)
    held_out: bool = True
    tied: float | None = Field(default=None, ge=0, le=1)
    silent: float | None = Field(default=None, ge=0, le=1)
    steps: bool = False
    """Whether every step has a class and a label, so that all shares are of the steps of the samples."""


class VerifiedPopulation(Record):
    """A population in a comparison of engines."""

    name: str
    places: int
    spikes: int
    different: int


class FirstDifference(Record):
    """The earliest place at which two engines differ; ``values``: 0 for no spike, 1 for a spike, or the payload."""

    population: str
    neuron: int
    step: int
    sample: int
    engines: tuple[str, str]
    values: tuple[int, int]


class Verification(Record):
    """Comparison of engines on the same samples: spikes compared and places that differ.

    ``input_spikes_compared``: how many of the spikes are those of the inputs, which every engine is given; None in reports
    of older versions.
    """

    equal: bool
    engines: tuple[str, ...]
    n_samples: int
    n_steps: int
    spikes_compared: int
    input_spikes_compared: int | None = None
    spikes_different: int
    populations: tuple[VerifiedPopulation, ...] = ()
    first_difference: FirstDifference | None = None


class OutputShares(Record):
    """Shares of samples that an output does not decide."""

    tied: float = Field(ge=0, le=1)
    silent: float = Field(ge=0, le=1)


class SilenceFacts(Record):
    """What the network left unsaid on all samples (``engines.silence.Silence``)."""

    n_samples: int
    outputs: dict[str, OutputShares] = Field(default={})
    never_fired: tuple[str, ...] = ()
    empty_samples: int = 0
    cut_samples: int = 0
    never_fire: dict[str, tuple[int, ...]] = Field(default={})
    reach_nothing: dict[str, tuple[int, ...]] = Field(default={})
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class RasterLayer(ShortRecord):
    """Spikes of the neurons shown: row ``i`` is neuron ``neurons[i]``; one entry of ``step`` and ``row`` for each spike.

    ``payload`` has one entry for each message where they carry a payload.
    """

    left_out_if_empty = ("payload",)
    name: str
    size: int
    neurons: tuple[int, ...]
    step: tuple[int, ...]
    row: tuple[int, ...]
    payload: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> RasterLayer:
        if len(self.row) != len(self.step) or len(self.payload) not in (0, len(self.step)):
            raise ValueError("step, row and payload have different lengths")
        if self.row and not 0 <= min(self.row) <= max(self.row) < len(self.neurons):
            raise ValueError(f"a row is none of those of the {len(self.neurons)} neurons")
        return self


class Raster(Record):
    """Spikes of one sample."""

    sample: int
    n_steps: int
    layers: tuple[RasterLayer, ...]


class NeuroBenchFacts(Record):
    """Metrics with the definitions of NeuroBench; ``membrane_updates`` is None if no voltages were recorded."""

    footprint_bytes: int
    parameters: int
    connection_sparsity: float
    activation_sparsity: float
    effective_acs: float
    effective_macs: float
    dense_ops: float
    membrane_updates: float | None
    n_steps: int


class Provenance(Record):
    """Origin of the figures, to reproduce them: files by hash, versions, seed, command."""

    command: str | None = None
    seed: int | None = None
    files: dict[str, str] = Field(default={})
    versions: dict[str, str] = Field(default={})


class LeftOut(Record):
    """A chip that was asked for and has no figures in the report, and why: it does not fit, or has no price."""

    chip: str
    title: str
    reason: str


class Report(Shown, ShortRecord):
    """A whole report."""

    left_out_if_empty = ("left_out",)

    schema_: Literal["neurodeploy-report/1"] = Field(alias="schema")
    title: str
    demands_met: bool | None = None
    """Whether every chip meets every demand by its nominal figures; None if there are no demands."""
    network: NetworkFacts
    accuracy: Accuracy | None
    verification: Verification | None
    targets: tuple[Cost, ...]
    left_out: tuple[LeftOut, ...] = ()
    raster: Raster | None
    neurobench: NeuroBenchFacts | None = None
    silence: SilenceFacts | None = None
    """None in reports of older versions."""
    provenance: Provenance


def checked(data: object) -> Report:
    """Return a report, given as plain values, as records.

    Raises:
        ReportError: if it has another schema or breaks the schema; names the place.
    """
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise ReportError(f"report: schema is {found!r}, expected '{SCHEMA}'; make the report again with this version")
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        raise ReportError(f"report: {first_problem(error)}; make the report again") from error


def load_report(path: str | Path) -> ReportFacts:
    """Read a ``report.json`` file.

    Raises:
        ReportError: if the file cannot be read, is not a report, or has another schema.
    """
    path = as_path(path)
    try:
        data = parse_json(read_text(path))
    except OSError as error:
        raise ReportError(f"report: cannot read {path} ({error.strerror})") from error
    except ValueError as error:
        raise ReportError(f"report: {path} is no JSON file ({error}); make the report again") from error
    try:
        checked(data)
    except ReportError as error:
        raise ReportError(f"report: {path}: {str(error).removeprefix('report: ')}") from error
    return ReportFacts(data)
