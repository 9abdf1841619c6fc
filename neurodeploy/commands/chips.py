"""Chips: a list of them, and new chip files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neurodeploy.chip import load_chip, new_chip_text
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file, write_text


def new_chip(name: str, *, base: str = "loihi2", out: str | Path | None = None, force: bool = False) -> Path:
    """Write a chip file that extends a known chip, to be filled in; by default ``NAME.toml`` in this folder."""
    out = as_path(out)
    path = out or Path(f"{name}.toml")
    check_new_file("chips", path, force=force)
    write_text(new_chip_text(name, base), path)
    return path


def chip_rows(name: str) -> list[dict[str, str]]:
    """Return every number of a chip, and what its neurons can do, with key, value, unit, grade and source."""
    return list(_rows("", load_chip(name).model_dump(exclude_none=True)))


def _rows(key: str, value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict) and "grade" in value:
        band = [value[k] for k in ("low", "nominal", "high") if k in value]
        shown = (
            f"{band[0]:g} / {band[1]:g} / {band[2]:g}" if len(set(band)) > 1 else band[0] if band else value["value"]
        )
        shown = " ".join(str(v) for v in shown) if isinstance(shown, tuple | list) else str(shown)
        unit = value.get("unit", "")  # words have none
        yield {"key": key, "value": shown, "unit": unit, "grade": value["grade"], "source": value["source"]}
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _rows(f"{key}.{name}".lstrip("."), inner)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            named = inner.get("name", i) if isinstance(inner, dict) else i
            yield from _rows(f"{key}[{named}]", inner)
