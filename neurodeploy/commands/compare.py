"""Two reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neurodeploy.reports.compare import Comparison


def compare_files(a: Path, b: Path, *, gate: Path | None = None) -> Comparison:
    """Compare two ``report.json`` files: may ``b`` take the place of ``a``?

    Args:
        gate: TOML file of what may get worse and by how much (``neurodeploy.reports.compare``).
    """
    from neurodeploy.reports.compare import compare_reports, load_gate
    from neurodeploy.reports.record import load_report

    return compare_reports(load_report(a), load_report(b), load_gate(gate) if gate else None)
