"""What differs between two NIR files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def diff(a: Path, b: Path, *, metadata: bool = True) -> list[dict[str, str]]:
    """Return what differs between the graphs of two NIR files: nodes, fields, edges; empty where nothing does."""
    from neurodeploy.exchange.doctor.diff import diff_nir

    return [asdict(found) for found in diff_nir(a, b, metadata=metadata)]
