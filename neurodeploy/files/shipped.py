"""Folders shipped with neurodeploy, ``hardware/`` and ``models/``: next to the sources, or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def resource_dir(name: str) -> Path:
    """Return the folder ``name`` ("hardware" or "models") that is shipped with neurodeploy."""
    packed = _PACKAGE / "_data" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name
