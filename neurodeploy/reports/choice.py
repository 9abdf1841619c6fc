"""The table of all chips for one network: which one fits, meets the demands, and costs least, as text, Markdown and page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

from neurodeploy.costs.record import Band, Boundary, Cost, Coverage, Operation, Verdict
from neurodeploy.files.checked import Record
from neurodeploy.reports.figures import band, hours, kib
from neurodeploy.reports.text import Section, as_markdown, as_text

Order = Literal["battery", "energy", "memory"]
"""What the rows are sorted by: hours on the battery, total energy of a sample, or synaptic memory."""

_BOUNDARY: Boundary = "chip"


class ChipRow(Record):
    """A chip in the table; whatever is not known is None, and ``reason`` says why, or which demand is missed by what.

    ``energy_j`` is the total energy of a sample within ``boundary`` at the operating point ``operation``; with ``at_least``
    a part of that boundary has no price. ``dynamic_j`` is that of the events in the cores alone. ``meets``: whether all
    demands are met by the nominal figures. ``remedy`` is the first change that makes the network fit, checked by mapping.
    """

    chip: str
    title: str
    fits: bool
    reason: str = ""
    remedy: str = ""
    cores: int | None = None
    chips: int | None = None
    synaptic_bytes: int | None = None
    sample_s: Band | None = None
    meets: bool | None = None
    dynamic_j: Band | None = None
    boundary: Boundary | None = None
    operation: Operation | None = None
    energy_j: Band | None = None
    at_least: bool = False
    battery_h: Band | None = None
    coverage: Coverage | None = None


class ChipTable(Record):
    """The rows of all chips, best first by ``order``; those that do not fit come last, with the reason."""

    network: str
    n_samples: int
    order: Order
    demands: tuple[str, ...]
    rows: tuple[ChipRow, ...]


def row_of(cost: Cost, reason: str = "") -> ChipRow:
    """Return the row of a chip that the network was mapped to, from its cost."""
    total = cost.total(_BOUNDARY)
    latency = cost.latency
    sample = None if latency is None else (latency.managed_sample_s or latency.sample_s).mean
    return ChipRow(
        chip=cost.chip,
        title=cost.chip_title,
        fits=True,
        reason=reason or "; ".join(_missed(v) for v in cost.verdicts if v.fails),
        cores=cost.memory.n_cores,
        chips=cost.memory.n_chips,
        synaptic_bytes=cost.memory.synaptic_bytes,
        sample_s=sample,
        meets=not any(v.fails for v in cost.verdicts) if cost.verdicts else None,
        dynamic_j=cost.energy.total_j if cost.energy else None,
        boundary=total.boundary if total else None,
        operation=total.operation if total else None,
        energy_j=total.energy_j if total else None,
        at_least=bool(total and total.left_out),
        battery_h=total.battery_h if total else None,
        coverage=cost.coverage.get("energy"),
    )


def _missed(verdict: Verdict) -> str:
    """Return what a demand that is missed needs, nominal with its range."""
    hosted = verdict.needed_with_host_s
    if verdict.met and hosted is not None:
        return f"{verdict.demand}: needs {band(hosted, 's')} with the host's input"
    return f"{verdict.demand}: needs {band(verdict.needed_s, 's')}"


def table_of(
    network: str, n_samples: int, rows: Iterable[ChipRow], *, demands: Sequence[str] = (), battery: bool = False
) -> ChipTable:
    """Return the rows as a sorted table: fitting ones first, then those that meet the demands, then the cheapest.

    Energies are compared within one boundary alone: rows of which a part has no price come after those that have all. Any
    row that gives what it knows may stand here, a microcontroller's too. Without samples, memory decides.
    """
    order: Order = "memory" if not n_samples else "battery" if battery else "energy"

    def place(row: ChipRow) -> tuple[bool, int, bool, bool, float, str]:
        met = {True: 0, None: 1, False: 2}[row.meets] if demands else 0
        value = float(row.synaptic_bytes or 0)
        if order != "memory" and row.energy_j is not None:
            hours = row.battery_h.nominal if order == "battery" and row.battery_h is not None else None
            value = -hours if hours is not None else row.energy_j.nominal
        unknown = order != "memory" and row.energy_j is None
        return not row.fits, met, unknown, row.at_least, value, row.chip

    ranked = tuple(sorted(rows, key=place))
    return ChipTable(network=network, n_samples=n_samples, order=order, demands=tuple(demands), rows=ranked)


def choice_text(table: ChipTable, width: int = 160) -> str:
    """Return the table for a terminal of ``width`` columns."""
    return as_text(_headline(table), _sections(table), width)


def choice_markdown(table: ChipTable) -> str:
    """Return the table as Markdown."""
    return as_markdown(f"Which chip for {table.network}?", _headline(table), _sections(table))


_STYLE = """
body { margin: 40px auto; max-width: 1240px; padding: 0 20px; color: #1d2733; font: 15px/1.5 sans-serif; }
h1 { font-weight: 300; } h2 { font-weight: 400; margin-top: 36px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 6px 12px 6px 0; text-align: left; vertical-align: top; border-bottom: 1px solid #e4e7ec; }
th { color: #667085; font-weight: 500; } td:first-child { font-weight: 600; }
@media (max-width: 700px) {
  body { margin: 20px auto; padding: 0 14px; } thead { display: none; }
  tr { display: block; padding: 8px 0; border-bottom: 1px solid #1d2733; break-inside: avoid; }
  td { display: grid; grid-template-columns: 9em 1fr; padding: 2px 0; border: 0; }
  td::before { content: attr(data-name); color: #667085; font-weight: 400; }
}
@media print { body { margin: 0; } h1, h2, thead { break-after: avoid; } tr { break-inside: avoid; } }
"""
"""On a narrow screen each chip is a block of lines, in which the names of the columns stand on the left."""


def choice_page(table: ChipTable) -> str:
    """Return the table as a page that needs nothing else."""
    title = f"Which chip for {escape(table.network)}?"
    body = "".join(f"<p>{escape(line)}</p>" for line in _headline(table))
    for section in _sections(table):
        names, *rest = [[escape(cell) for cell in row] for row in section.rows]
        head = "".join(f"<th>{name}</th>" for name in names)
        lines = ["".join(f'<td data-name="{name}">{cell}</td>' for name, cell in zip(names, row)) for row in rest]
        rows = f"<thead><tr>{head}</tr></thead>" + "".join(f"<tr>{line}</tr>" for line in lines)
        notes = "".join(f"<p>{escape(note)}</p>" for note in section.notes)
        body += f"<h2>{escape(section.title)}</h2><table>{rows}</table>{notes}"
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{view}<title>{title}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{title}</h1>{body}</body></html>\n"
    )


def _headline(table: ChipTable) -> list[str]:
    fitting = [row for row in table.rows if row.fits]
    if not fitting:
        return [f"No known chip fits {table.network}."]
    best, asked = fitting[0], f" ({', '.join(table.demands)})" if table.demands else ""
    if table.demands and not any(row.meets for row in fitting):
        return [f"No chip is known to meet the demands{asked}."]
    if table.order == "memory":
        return [f"Least memory: {best.title} ({best.chip}). With samples (--data) energy and time decide."]
    if best.energy_j is None:
        return [f"No chip that fits has a price for {table.network}{asked}."]
    least = "at least " if best.at_least else ""
    return [f"Least energy{asked}: {best.title} ({best.chip}), {least}{band(best.energy_j, 'J')} a sample, whole chip."]


def _sections(table: ChipTable) -> list[Section]:
    fitting, failing = [r for r in table.rows if r.fits], [r for r in table.rows if not r.fits]
    energy = "Total energy a sample, whole chip"
    head = ["Chip", "Cores", "Chips", "Memory", *(["Demands"] if table.demands else []), energy]
    battery = any(row.battery_h is not None for row in fitting)
    head += ["Operation", "Cores alone", "Sample", *(["Battery"] if battery else []), "Coverage", "Remark"]
    sections = []
    if fitting:
        notes = [
            "Whole chip: dynamic, static and awake embedded processors as far as they are known; a board draws more. "
            "'at least': a part of it has no price, so such rows come after the complete ones.",
            "Coverage: measured facts of energy inside the printed ranges for chips of this kind, as `bench silicon` finds.",
        ]
        sections.append(Section("Chips that fit", [head, *(_cells(r, table, battery) for r in fitting)], notes))
    if failing:
        rows = [("Chip", "Why not", "Cheapest remedy"), *((r.chip, r.reason, r.remedy or "-") for r in failing)]
        sections.append(Section("Chips that do not fit", rows))
    return sections


def _cells(row: ChipRow, table: ChipTable, battery: bool) -> list[str]:
    met = {True: "met", False: "MISSED", None: "not known"}[row.meets]
    total = "-" if row.energy_j is None else f"{'at least ' * row.at_least}{band(row.energy_j, 'J')}"
    covered = "-" if row.coverage is None or not row.coverage.of else f"{row.coverage.inside} of {row.coverage.of}"
    return [
        row.chip,
        str(row.cores),
        str(row.chips),
        kib(row.synaptic_bytes or 0),
        *([met] if table.demands else []),
        total,
        row.operation or "-",
        "-" if row.dynamic_j is None else band(row.dynamic_j, "J"),
        "-" if row.sample_s is None else band(row.sample_s, "s"),
        *(["-" if row.battery_h is None else hours(row.battery_h)] if battery else []),
        covered,
        row.reason or "-",
    ]
