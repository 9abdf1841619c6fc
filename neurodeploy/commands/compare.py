"""Two reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurodeploy.files.paths import as_path

if TYPE_CHECKING:
    from neurodeploy.reports.compare import Comparison


def compare_files(a: str | Path, b: str | Path, *, gate: str | Path | None = None) -> Comparison:
    """Compare two ``report.json`` files: may ``b`` take the place of ``a``?

    Args:
        gate: TOML file of what may get worse and by how much (``neurodeploy.reports.compare``).
    """
    a, b, gate = as_path(a), as_path(b), as_path(gate)
    from neurodeploy.reports.compare import compare_reports, load_gate
    from neurodeploy.reports.record import load_report

    return compare_reports(load_report(a), load_report(b), load_gate(gate) if gate else None)
