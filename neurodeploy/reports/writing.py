"""Making a report, and writing it as JSON, terminal table, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurodeploy.costs.record import Cost
from neurodeploy.errors import MissingPackageError, install_hint, printable
from neurodeploy.files.json_text import to_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.shown import ReportFacts
from neurodeploy.files.writing import write_text
from neurodeploy.reports.record import SCHEMA, checked
from neurodeploy.reports.text import (
    as_markdown,
    as_text,
    cost_sections,
    headline,
    sections,
    target_line,
    verdict_line,
    verdict_lines,
)


def make_report(
    *,
    title: str,
    network: Mapping[str, Any],
    costs: Sequence[Cost],
    left_out: Sequence[Mapping[str, str]] = (),
    accuracy: Mapping[str, Any] | None = None,
    verification: Mapping[str, Any] | None = None,
    raster: Mapping[str, Any] | None = None,
    neurobench: Mapping[str, Any] | None = None,
    silence: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> ReportFacts:
    """Return the content of ``report.json`` as plain values.

    Args:
        title: heading of the report.
        network: result of ``network_facts``.
        costs: one for each chip, in the order of the report.
        left_out: ``chip``, ``title`` and ``reason`` of each chip without figures.
        accuracy: ``test`` (0..1), ``n_samples``, ``held_out`` (False where the samples are not a run's test part), and the
            shares of samples that are ``tied`` and ``silent``.
        verification: result of ``neurodeploy.proofs.compare.Verification.to_json``.
        raster: result of ``raster_facts``.
        neurobench: result of ``neurodeploy.costs.neurobench.NeuroBench.to_json``.
        silence: result of ``neurodeploy.engines.silence.Silence.to_json``.
        provenance: ``command``, ``seed``, ``files`` (name to SHA-256), ``versions``; each may be absent.

    Raises:
        ReportError: if a value does not fit the schema; names its place.
    """
    verdicts = [verdict for cost in costs for verdict in cost.verdicts]
    data = {
        "schema": SCHEMA,
        "title": title,
        "demands_met": all(v.met for v in verdicts) if verdicts else None,
        "network": dict(network),
        "accuracy": accuracy and dict(accuracy),
        "verification": verification and dict(verification),
        "targets": [cost.to_json() for cost in costs],
        "left_out": [dict(chip) for chip in left_out],
        "raster": raster and dict(raster),
        "neurobench": neurobench and dict(neurobench),
        "silence": silence and dict(silence),
        "provenance": dict(provenance or {}),
    }
    return ReportFacts(checked(data).model_dump(mode="json", by_alias=True))


def chips_summary(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return cores, synaptic bytes, dynamic and total energy per sample by chip name; energies are None if unknown.

    ``total_energy_per_sample_j`` is that of the whole chip at the operating point of the report.
    """
    summary = {}
    for cost in checked(dict(report)).targets:
        total = cost.energy.total_j if cost.energy else None
        chip = cost.total("chip")
        summary[cost.chip] = {
            "cores": cost.memory.n_cores,
            "synaptic_bytes": cost.memory.synaptic_bytes,
            "energy_per_sample_j": total and {"low": total.low, "nominal": total.nominal, "high": total.high},
            "total_energy_per_sample_j": chip and chip.energy_j.model_dump(include={"low", "nominal", "high"}),
        }
    return summary


def text_report(report: Mapping[str, Any], width: int = 120) -> str:
    """Return the report for a terminal of ``width`` columns."""
    records = checked(dict(report))
    head = [records.title, "", *verdict_lines(records), *headline(records)]
    return printable(as_text(head, list(sections(records)), width), "\n")


def text_cost(cost: Cost, width: int = 120) -> str:
    """Return the tables of one chip for a terminal of ``width`` columns."""
    head = [*map(verdict_line, cost.verdicts), target_line(cost)]
    return printable(as_text(head, list(cost_sections(cost)), width), "\n")


def markdown_report(report: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    records = checked(dict(report))
    head = [*verdict_lines(records), *headline(records)]
    return printable(as_markdown(records.title, head, list(sections(records))), "\n")


def html_report(report: Mapping[str, Any]) -> str:
    """Return the report as a self-contained page, which needs no network connection.

    Raises:
        MissingPackageError: without jinja2 or plotly (extra ``report``).
    """
    try:
        from neurodeploy.reports.html import page
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"report: the HTML page needs {error.name}, which is not installed; {install_hint('report')}"
        ) from error
    return page(checked(dict(report)))


REPORT_FILES = ("report.json", "report.txt", "report.md", "report.html")


def write_report(
    report: Mapping[str, Any], folder: str | Path, say: Callable[[str], None] | None = None
) -> dict[str, Path]:
    """Write ``REPORT_FILES`` into a folder: JSON, terminal table, Markdown, and a page that works offline.

    All four are made before the first is written, and each replaces an older file atomically. Without jinja2 or plotly the
    page is left out, an older one is removed, and ``say`` is told.

    Returns:
        The paths by ``report_json``, ``report_text``, ``report_markdown`` and, where it was written, ``report_html``.
    """
    folder = as_path(folder)
    texts = {
        "report_json": ("report.json", to_json(report, 1) + "\n"),
        "report_text": ("report.txt", text_report(report)),
        "report_markdown": ("report.md", markdown_report(report)),
    }
    try:
        texts["report_html"] = ("report.html", html_report(report))
    except MissingPackageError as error:
        if say is not None:
            say(f"{error}; the report is written without its page")
    folder.mkdir(parents=True, exist_ok=True)
    if "report_html" not in texts:
        (folder / "report.html").unlink(missing_ok=True)
    for name, text in texts.values():
        write_text(text, folder / name)
    return {key: folder / name for key, (name, _) in texts.items()}
