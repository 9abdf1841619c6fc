"""Paths as users give them: public functions take ``str`` and ``Path`` alike."""

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
    """Return the path that is meant, None for None."""
    return None if given is None else Path(given)
