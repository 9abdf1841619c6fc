"""Comparison of two reports, and a gate for continuous integration: limits on how much each figure may get worse.

A gate is a TOML file; every key may be absent, and an absent key sets no limit::

    require_equal = true            # no spike may differ in B
    min_accuracy = 0.95             # of B
    max_accuracy_drop = 0.005       # A - B

    [max_increase]                  # B / A - 1, for every chip
    cores = 0.0
    synaptic_bytes = 0.05
    energy = 0.05               # dynamic, in the cores
    total_energy = 0.05         # whole chip, at the operating point of the report
    latency = 0.10
    connections = 0.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from neurodeploy.costs.record import Cost
from neurodeploy.errors import ReportError
from neurodeploy.files.checked import Record, first_problem
from neurodeploy.files.paths import as_path
from neurodeploy.files.plain import read_text
from neurodeploy.files.toml import TomlError, parse_toml
from neurodeploy.reports.figures import kib, percent, points, si
from neurodeploy.reports.record import Report, checked
from neurodeploy.reports.text import Section, as_markdown

Figure = Literal["cores", "synaptic_bytes", "energy", "total_energy", "latency", "connections"]

_OF_COST: dict[Figure, tuple[str, Callable[[Cost], float | None], Callable[[float], str]]] = {
    "cores": ("cores", lambda c: c.memory.n_cores, lambda v: f"{v:,.0f}"),
    "synaptic_bytes": ("synaptic memory", lambda c: c.memory.synaptic_bytes, lambda v: kib(int(v))),
    "energy": (
        "dynamic energy per sample",
        lambda c: c.energy.total_j.nominal if c.energy and c.energy.total_j else None,
        lambda v: si(v, "J"),
    ),
    "total_energy": (
        "total energy per sample, whole chip",
        lambda c: total.energy_j.nominal if (total := c.total("chip")) else None,
        lambda v: si(v, "J"),
    ),
    "latency": (
        "time per sample",
        lambda c: c.latency.sample_s.mean.nominal if c.latency else None,
        lambda v: si(v, "s"),
    ),
}
"""Figure of a chip -> its name, a function that reads it, a function that formats it. Less is better for all of them."""


_ACCURACY = "test accuracy"


class Gate(Record):
    """Limits on what may get worse from report A to report B."""

    require_equal: bool = False
    """B must have a proof that all engines agree."""
    min_accuracy: float | None = Field(default=None, ge=0, le=1)
    """Least accuracy of B, 0 to 1."""
    max_accuracy_drop: float | None = Field(default=None, ge=0, le=1)
    """Most that the accuracy may fall from A to B, in shares: 0.01 is one point."""
    max_increase: dict[Figure, float] = Field(default={})
    """Most that a figure may rise from A to B, in shares of A: 0.1 is 10 %."""


class Row(Record):
    """A figure in both reports; ``change`` is ``b / a - 1``, None if undefined; ``failed`` says why the gate fails it."""

    figure: str
    chip: str | None
    a: float | None
    b: float | None
    shown_a: str
    shown_b: str
    change: float | None
    failed: str | None


class Comparison(Record):
    """All figures of two reports, and remarks on what makes them hard to compare."""

    a: str
    b: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    gated: bool = True
    """Whether a gate was given; without one nothing is judged."""

    @property
    def ok(self) -> bool:
        """Whether the gate lets report B pass."""
        return not self.failures

    @property
    def failures(self) -> list[str]:
        """Reasons why the gate does not let report B pass; empty if it does."""
        return [row.failed for row in self.rows if row.failed]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        return {"ok": self.ok, "failures": self.failures, **self.model_dump(mode="json")}

    def markdown(self) -> str:
        """Return the comparison as Markdown, for a pull request."""
        rows = [("figure", "chip", self.a, self.b, "change", "")]
        for row in self.rows:
            change = "" if row.change is None else f"{100 * row.change:+.2f} %"
            if row.figure == _ACCURACY and row.a is not None and row.b is not None:
                change = f"{100 * (row.b - row.a):+.2f} points"
            rows.append(
                (row.figure, row.chip or "", row.shown_a, row.shown_b, change, "**fails**" if row.failed else "")
            )
        verdict = "The gate passes." if self.ok else "The gate fails."
        verdict = verdict if self.gated else "No gate was given, so nothing is judged (--gate FILE.toml)."
        return as_markdown(
            f"{self.b} against {self.a}", [verdict, *self.failures], [Section("Figures", rows, self.notes)]
        )


def compare_reports(a: Mapping[str, Any], b: Mapping[str, Any], gate: Gate | None = None) -> Comparison:
    """Return the comparison of two reports, judged by a gate: whether ``b`` may replace ``a``.

    Raises:
        ReportError: if one of them is not a report, or has another schema.
    """
    first, second, judged, gate = checked(dict(a)), checked(dict(b)), gate is not None, gate or Gate()
    notes = tuple(_remarks(first, second))
    rows = [*_whole(first, second, gate), *_chips(first, second, gate)]
    names = (
        (first.title, second.title) if first.title != second.title else (f"{first.title} (A)", f"{second.title} (B)")
    )
    return Comparison(a=names[0], b=names[1], rows=tuple(rows), notes=notes, gated=judged)


def load_gate(path: str | Path) -> Gate:
    """Read a gate from a TOML file.

    Raises:
        ReportError: if the file cannot be read, or has an unknown key or a value out of range.
    """
    path = as_path(path)
    try:
        return Gate.model_validate(parse_toml(read_text(path)))
    except OSError as error:
        raise ReportError(f"compare: cannot read the gate {path} ({error.strerror})") from error
    except (TomlError, UnicodeDecodeError) as error:
        raise ReportError(f"compare: the gate {path} is no TOML file: {error}") from error
    except ValidationError as error:
        known = ", ".join((*Gate.model_fields, *(f"max_increase.{name}" for name in (*_OF_COST, "connections"))))
        raise ReportError(f"compare: gate {path}: {first_problem(error)}; known keys: {known}") from error


def _whole(a: Report, b: Report, gate: Gate) -> Iterator[Row]:
    """Yield the figures that do not belong to a chip."""
    yield _exactness(a, b, gate)
    yield _accuracy(a, b, gate)
    yield _judged("connections", "connections kept", None, a.network.mask, b.network.mask, lambda v: f"{v:,.0f}", gate)


def _exactness(a: Report, b: Report, gate: Gate) -> Row:
    different = [r.verification.spikes_different if r.verification else None for r in (a, b)]
    failed = None
    if gate.require_equal and different[1] is None:
        failed = "B compares no engines, but the gate requires that no spike differs."
    elif gate.require_equal and different[1]:
        failed = f"{different[1]:,} spikes differ in B, the gate requires 0."
    return Row(
        **{"figure": "spikes that differ", "chip": None, "a": different[0], "b": different[1], "change": None},
        shown_a=_number(different[0]),
        shown_b=_number(different[1]),
        failed=failed,
    )


def _accuracy(a: Report, b: Report, gate: Gate) -> Row:
    old, new = (r.accuracy.test if r.accuracy else None for r in (a, b))
    failed = None
    if new is None and (gate.min_accuracy is not None or gate.max_accuracy_drop is not None):
        failed = "B has no accuracy, but the gate limits it."
    elif new is not None and gate.min_accuracy is not None and new < gate.min_accuracy:
        failed = f"Accuracy is {percent(new)}, the gate requires {percent(gate.min_accuracy)}."
    elif new is not None and old is not None and _falls(old - new, gate):
        failed = f"Accuracy falls by {points(old - new)}, the gate allows {points(gate.max_accuracy_drop or 0)}."
    shown = ["-" if v is None else percent(v) for v in (old, new)]
    return Row(
        **{"figure": _ACCURACY, "chip": None, "a": old, "b": new, "change": None},
        shown_a=shown[0],
        shown_b=shown[1],
        failed=failed,
    )


def _falls(drop: float, gate: Gate) -> bool:
    """Return whether accuracy drops by more than allowed; a drop of exactly the limit passes despite float rounding."""
    return gate.max_accuracy_drop is not None and drop > gate.max_accuracy_drop + 1e-12


def _chips(a: Report, b: Report, gate: Gate) -> Iterator[Row]:
    """Yield the figures of all chips in either report."""
    old, new = ({cost.chip: cost for cost in r.targets} for r in (a, b))
    for chip in dict.fromkeys((*old, *new)):
        for figure, (name, read, show) in _OF_COST.items():
            values = [read(costs[chip]) if chip in costs else None for costs in (old, new)]
            yield _judged(figure, name, chip, values[0], values[1], show, gate)


def _judged(
    figure: Figure,
    name: str,
    chip: str | None,
    a: float | None,
    b: float | None,
    show: Callable[[float], str],
    gate: Gate,
) -> Row:
    change = b / a - 1 if a and b is not None else None
    allowed = gate.max_increase.get(figure)
    shown = ["-" if v is None else show(v) for v in (a, b)]
    where = f"{name} on {chip}" if chip else name
    failed = None
    if allowed is not None and a is not None and b is None:
        failed = f"{where}: not in B, but the gate limits it."
    elif allowed is not None and a is not None and b is not None and b > a * (1 + allowed) * (1 + 1e-12):
        grown = f"grows by {percent(change)}" if change is not None else "grows"
        failed = f"{where} {grown} ({shown[0]} to {shown[1]}), the gate allows {percent(allowed)}."
    return Row(figure=name, chip=chip, a=a, b=b, shown_a=shown[0], shown_b=shown[1], change=change, failed=failed)


def _remarks(a: Report, b: Report) -> Iterator[str]:
    old, new = ({cost.chip: cost for cost in r.targets} for r in (a, b))
    if a.network.fingerprint != b.network.fingerprint:
        yield "The two reports are of different networks."
    for chip in dict.fromkeys((*old, *new)):
        if chip not in old or chip not in new:
            yield f"{chip} is only in {'B' if chip in new else 'A'}."
            continue
        if old[chip].chip_source != new[chip].chip_source:
            yield f"{chip}: the chip file changed ({old[chip].chip_source} to {new[chip].chip_source})."
        if old[chip].n_samples != new[chip].n_samples:
            yield f"{chip}: {old[chip].n_samples} samples in A, {new[chip].n_samples} in B."
        grades = [c.energy.total_j.grade if c.energy and c.energy.total_j else None for c in (old[chip], new[chip])]
        if grades[0] != grades[1]:
            yield f"{chip}: energy is of grade {grades[0]} in A and {grades[1]} in B; do not rank them by it alone."


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
