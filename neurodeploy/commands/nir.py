"""Commands on network files: export, check, diff."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.commands.inputs import Progress, load_data, load_network
from neurodeploy.errors import FileError, UsageError
from neurodeploy.exchange.formats import format_of, write_network
from neurodeploy.files.writing import write_text
from neurodeploy.network import Network
from neurodeploy.reports.facts import network_facts
from neurodeploy.run_folder import NETWORK_FILE

if TYPE_CHECKING:
    from neurodeploy.exchange.doctor.check import CheckReport


def export(
    source: Path,
    *,
    out: Path | None = None,
    data: str | Path | None = None,
    n_samples: int | None = None,
    dt: float | None = None,
    weight_bits: int = 8,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a network as a NIR file, or as lava-dl's ``.net`` file where ``out`` ends so.

    The file is read back and compared before the function returns. A NIR file in floats, from another framework, becomes
    one in integers; with ``data`` the scale of each layer is chosen on it, and the integers are held against the floats.

    Args:
        source: a run's folder or checkpoint, a ``.net`` file of lava-dl, or a NIR file.
        out: file to write; by default ``model.nir`` in the run's folder, or the source with the suffix ``.nir``.
        data: samples for a NIR file in floats (see ``load_data``); ``n_samples`` takes only so many.
        dt: length of a step in seconds, where a NIR file does not say.
        weight_bits: bits for weights of a NIR file that have to be rounded, 2 to 8.
        force: replace ``out`` if it exists.
        progress: called with the samples done and all samples while integers and floats are compared.

    Returns:
        The path, its size in bytes, the counts of connections, recounted from the file, the fingerprint, the ledger of
        approximations, and with ``data`` under ``beside_floats`` how the whole network differs from the floats.
    """
    path = out or (source / NETWORK_FILE if source.is_dir() else source.with_suffix(".nir"))
    if path == source:
        raise UsageError(f"export: {source} would replace itself; name another file with --out")
    if path.exists() and not force:
        raise FileError(f"export: {path} exists; choose another --out, or --force to replace it")
    trained = source.is_dir() or source.suffix == ".safetensors"
    if (trained or not format_of(source).floats) and (data is not None or dt is not None):
        raise UsageError(
            f"export: {source} holds integers and its own step; --data and --dt are for NIR files in floats"
        )
    samples = None if data is None else load_data(data, n_samples=n_samples)
    network = _trained(source) if trained else load_network(source, data=samples, dt=dt, weight_bits=weight_bits)
    write_network(network, path, force=force)
    facts = network_facts(load_network(path))
    result = {
        "path": str(path),
        "bytes": path.stat().st_size,
        **{key: facts[key] for key in ("weights", "mask", "nonzero", "density", "density_nonzero", "fingerprint")},
        "ledger": [asdict(entry) for entry in network.ledger],
    }
    if samples is not None:
        from neurodeploy.proofs.floats import beside_floats

        result["beside_floats"] = beside_floats(source, network, samples, progress)
    return result


def _trained(source: Path) -> Network:
    from neurodeploy.training.checkpoint import checkpoint_network

    network: Network = checkpoint_network(source)[1]
    return network


def check(
    file: Path,
    *,
    chip: str | None = None,
    fix: Path | None = None,
    draw: Path | None = None,
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
    from neurodeploy.exchange.doctor.check import check_nir
    from neurodeploy.exchange.doctor.draw import draw_nir

    if draw is not None and draw.exists() and not force:
        raise FileError(f"check: {draw} exists; choose another --draw, or --force to replace it")
    path = file / NETWORK_FILE if file.is_dir() else file
    target: dict[str, Any] = {}
    if chip is not None:
        from neurodeploy.chip import load_chip
        from neurodeploy.mapping.fit.restrictions import restrictions

        known = load_chip(chip)
        target = {
            "chip": known.name,
            "weight_bits": max(2, min(8, max(known.weights.bits.value))),
            "restrictions": lambda network: restrictions(network, known),
        }
    report = check_nir(path, fix=fix, dt=dt, force=force, **target)
    if draw is not None:
        write_text(draw_nir(path, report), draw)
    return report


def diff(a: Path, b: Path, *, metadata: bool = True) -> list[dict[str, str]]:
    """Return what differs between the graphs of two NIR files: nodes, fields, edges; empty where nothing does."""
    from neurodeploy.exchange.doctor.diff import diff_nir

    return [asdict(found) for found in diff_nir(a, b, metadata=metadata)]
