"""Differences between two NIR files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from neurodeploy.files.paths import as_path


def diff(a: str | Path, b: str | Path, *, metadata: bool = True) -> list[dict[str, str]]:
    """Return what differs between the graphs of two NIR files: nodes, fields, edges; empty where nothing does."""
    a, b = as_path(a), as_path(b)
    from neurodeploy.exchange.doctor.diff import diff_nir

    return [asdict(found) for found in diff_nir(a, b, metadata=metadata)]
