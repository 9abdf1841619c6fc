"""The verdict on a NIR file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.errors import FileError
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import write_text
from neurodeploy.run_folder import NETWORK_FILE

if TYPE_CHECKING:
    from neurodeploy.exchange.doctor.check import CheckReport


def check(
    file: str | Path,
    *,
    chip: str | None = None,
    fix: str | Path | None = None,
    draw: str | Path | None = None,
    dt: float | None = None,
    force: bool = False,
) -> CheckReport:
    """Return the verdict on each node of a NIR file; with ``fix``, write the repaired graph there.

    Args:
        chip: name of a chip, or a chip file, whose own restrictions count too; weights in floats are rounded to the widest
            weights that it stores, at most 8 bits.
        draw: write a drawing of the graph (SVG) there, nodes coloured by verdict.
        dt: length of a step in seconds, where the file does not say.
        force: replace ``fix`` and ``draw`` if they exist.
    """
    file, fix, draw = as_path(file), as_path(fix), as_path(draw)
    from neurodeploy.exchange.doctor.check import check_nir
    from neurodeploy.exchange.doctor.draw import draw_nir

    if draw is not None and draw.exists() and not force:
        raise FileError(f"check: {draw} exists; choose another --draw, or --force to replace it")
    path = file / NETWORK_FILE if file.is_dir() else file
    target: dict[str, Any] = {}
    if chip is not None:
        from neurodeploy.chip import load_chip
        from neurodeploy.mapping.fit.restrictions import find_restrictions

        known = load_chip(chip)
        target = {
            "chip": known.name,
            "weight_bits": max(2, min(8, max(known.weights.bits.value))),
            "restrictions": lambda network: find_restrictions(network, known),
        }
    report = check_nir(path, fix=fix, dt=dt, force=force, **target)
    if draw is not None:
        write_text(draw_nir(path, report), draw)
    return report
