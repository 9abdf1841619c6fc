"""Paths given by users: public functions accept both ``str`` and ``Path``."""

from __future__ import annotations

from pathlib import Path
from typing import overload


@overload
def as_path(given: str | Path) -> Path: ...
@overload
def as_path(given: None) -> None: ...
@overload
def as_path(given: str | Path | None) -> Path | None: ...
def as_path(given: str | Path | None) -> Path | None:
    """Return the given path as a ``Path``, None for None."""
    return None if given is None else Path(given)
