"""A run, a NIR file or a .net file to a network file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import Progress, load_data, load_network
from neurodeploy.commands.networks import trained_network
from neurodeploy.errors import FileError, UsageError
from neurodeploy.exchange.formats import format_of, write_network
from neurodeploy.files.paths import as_path
from neurodeploy.reports.facts import network_facts
from neurodeploy.run_folder import NETWORK_FILE


def export(
    source: str | Path,
    *,
    out: str | Path | None = None,
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
    source, out = as_path(source), as_path(out)
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
    network = trained_network(source) if trained else load_network(source, data=samples, dt=dt, weight_bits=weight_bits)
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
