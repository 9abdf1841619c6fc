"""The verdict on a network file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.commands.inputs import load_data, load_network
from neurodeploy.commands.samples import AnySamples
from neurodeploy.errors import UsageError
from neurodeploy.exchange.formats import FORMATS, format_of
from neurodeploy.exchange.nir.readings import AnyReading, as_reading
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file, write_text
from neurodeploy.run_folder import NETWORK_FILE

if TYPE_CHECKING:
    from neurodeploy.chip import Chip
    from neurodeploy.exchange.doctor.check import CheckReport


def check(
    file: str | Path,
    *,
    chip: str | None = None,
    fix: str | Path | None = None,
    draw: str | Path | None = None,
    reading: AnyReading = None,
    dt: float | None = None,
    data: AnySamples = None,
    n_samples: int | None = None,
    force: bool = False,
) -> CheckReport:
    """Return the verdict on each node of a NIR file; with ``fix``, write the repaired graph there.

    Of a file of integers (``.nd5``, ``.net``), whose values need no judgement, it says what the ledger holds, and with
    ``chip`` what the chip cannot do.

    Args:
        chip: name of a chip, or a chip file, whose own restrictions count too; weights in floats are rounded to the widest
            weights that it stores, at most 8 bits.
        draw: write a drawing of the graph (SVG) there, nodes coloured by verdict.
        reading: what the framework that wrote the file means by it (``from_nir``).
        dt: length of a step in seconds, where the file does not say.
        data: samples on which is measured what hangs on the reset of the neurons (see ``load_data``); ``n_samples`` takes
            only so many.
        force: replace ``fix`` and ``draw`` if they exist.

    Raises:
        UsageError: for ``fix``, ``draw``, ``reading``, ``dt`` or ``data`` with a file of integers, which holds no graph and
            its own step.
    """
    file, fix, draw = as_path(file), as_path(fix), as_path(draw)
    path = file / NETWORK_FILE if file.is_dir() else file
    kind = format_of(path)
    graph = kind is FORMATS[".nir"]
    no_floats = not kind.floats and (dt is not None or as_reading(reading).of_nir)
    if not graph and (fix is not None or draw is not None or data is not None or no_floats):
        raise UsageError(
            f"check: {path} holds integers and no graph; --fix, --draw and --dt are for NIR files, as are --reading and "
            f"--data: neurodeploy export {path} --out {path.with_suffix('.nir')} writes one"
        )
    for option, made in (("--fix", fix), ("--draw", draw)):
        if made is not None:
            check_new_file("check", made, force=force, option=option)
    known = None
    if chip is not None:
        from neurodeploy.chip import load_chip

        known = load_chip(chip)
    if graph and as_reading(reading).input_shape is not None:
        raise UsageError(f"check: {path} tells the shape of its input; --input-shape is for .net files that do not")
    if not graph:
        return _check_network(path, known, reading, dt)
    from neurodeploy.exchange.doctor.check import check_nir
    from neurodeploy.exchange.doctor.draw import draw_nir

    target: dict[str, Any] = {}
    if known is not None:
        from neurodeploy.mapping.fit.restrictions import find_restrictions

        target = {
            "chip": known.name,
            "weight_bits": max(2, min(8, max(known.weights.bits.value))),
            "restrictions": lambda network: find_restrictions(network, known),
        }
    samples = None if data is None else load_data(data, n_samples=n_samples)
    report = check_nir(path, fix=fix, reading=reading, dt=dt, data=samples, force=force, **target)
    if draw is not None:
        write_text(draw_nir(path, report), draw)
    return report


def _check_network(path: Path, chip: Chip | None, reading: AnyReading, dt: float | None) -> CheckReport:
    """Return the verdict on the network of a file that holds no graph."""
    from neurodeploy.exchange.doctor.networks import check_network
    from neurodeploy.mapping.fit.restrictions import find_restrictions

    network = load_network(path, reading=reading, dt=dt)
    if chip is None:
        return check_network(network, str(path))
    return check_network(network, str(path), chip=chip.name, restrictions=find_restrictions(network, chip))
