"""Differences between two network files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from neurodeploy.commands.inputs import load_network
from neurodeploy.exchange.formats import FORMATS, format_of
from neurodeploy.exchange.nir.readings import AnyReading, Reading, as_reading
from neurodeploy.files.paths import as_path


def diff(a: str | Path, b: str | Path, *, reading: AnyReading = None, metadata: bool = True) -> list[dict[str, str]]:
    """Return what differs between two network files; empty where nothing does.

    Two NIR files are compared as graphs: nodes, fields, edges. With any other file the networks are compared: inputs,
    populations, projections and outputs by name, every value, and their order.

    Args:
        reading: what the framework that wrote a NIR file means by it (``from_nir``), where it is compared with another kind.
        metadata: compare metadata too; of networks, the ledger.
    """
    a, b = as_path(a), as_path(b)
    if any(format_of(path) is not FORMATS[".nir"] for path in (a, b)):
        from neurodeploy.exchange.doctor.networks import diff_networks

        networks = [load_network(path, reading=_own_part(reading, path)) for path in (a, b)]
        return [asdict(found) for found in diff_networks(*networks, ledger=metadata)]
    from neurodeploy.exchange.doctor.diff import diff_nir

    return [asdict(found) for found in diff_nir(a, b, metadata=metadata)]


def _own_part(given: AnyReading, path: Path) -> Reading:
    """Return what a reading says of one of the files: the shape of an input is for ``.net`` files, the rest for NIR."""
    said, kind = as_reading(given), format_of(path)
    return Reading(
        name=said.name if kind.floats else "",
        dt=said.dt if kind.floats else None,
        reset=said.reset if kind.floats else None,
        input_shape=said.input_shape if "input_shape" in kind.takes else None,
    )
