"""A run or a network file to a network file of another format."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import Progress, load_data, load_network
from neurodeploy.commands.networks import trained_network
from neurodeploy.errors import FileError, NetworkError, NirError, UsageError
from neurodeploy.exchange.formats import ANY_NETWORK, FORMATS, format_of, format_to_write, write_network
from neurodeploy.exchange.nir.readings import AnyReading, as_reading
from neurodeploy.files.paths import as_path
from neurodeploy.network import Network
from neurodeploy.network.relays import with_relays
from neurodeploy.reports.facts import network_facts
from neurodeploy.run_folder import NETWORK_FILE


def export(
    source: str | Path,
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    n_samples: int | None = None,
    reading: AnyReading = None,
    dt: float | None = None,
    weight_bits: int = 8,
    input_shape: tuple[int, ...] | None = None,
    max_delay: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a network in the format of the suffix of ``out``: NIR, ``.nd5`` or lava-dl's ``.net``.

    The file is read back and compared before the function returns. A NIR file in floats, from another framework, becomes
    one in integers; with ``data`` the scale of each layer is chosen on it, and the integers are held against the floats.

    Args:
        source: a run's folder or checkpoint, or a network file (``.nir``, ``.nd5``, ``.net``).
        out: file to write; by default ``model.nir`` in the run's folder, or the source with the suffix ``.nir``.
            A ``.nd5`` file holds every network, the others refuse what they cannot say.
        data: samples for a NIR file in floats (see ``load_data``); ``n_samples`` takes only so many.
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        dt: length of a step in seconds, where a NIR file does not say.
        weight_bits: bits for weights of a NIR file that have to be rounded, 2 to 8.
        input_shape: shape of the input of a ``.net`` file that begins with a convolution (``from_netx``).
        max_delay: longest delay of a synapse in steps; longer ones go through relay neurons (``from_nir``).
        force: replace ``out`` if it exists.
        progress: called with the samples done and all samples while integers and floats are compared.

    Returns:
        The path, its size in bytes, the counts of connections, recounted from the file, the fingerprint, the ledger of
        approximations, under ``reset`` what hangs on the reset of the neurons (``ResetCost``) where a NIR file does not say
            it, and with ``data`` under ``beside_floats`` how the whole network differs from the floats, with the shares of
            samples that are ``tied`` and ``silent``, and under ``silence`` what its run left unsaid
            (``engines.silence.Silence``).

    Raises:
        UsageError: for an ``out`` whose suffix no format has, and choices that do not go together.
        FileError: if ``out`` exists and ``force`` is not set.
        NetworkError, NirError: for what the format cannot hold.
    """
    source, out = as_path(source), as_path(out)
    path = out or (source / NETWORK_FILE if source.is_dir() else source.with_suffix(".nir"))
    format_to_write(path)
    if path == source:
        raise UsageError(f"export: {source} would replace itself; name another file with --out")
    if path.exists() and not force:
        raise FileError(f"export: {path} exists; choose another --out, or --force to replace it")
    trained = source.is_dir() or source.suffix == ".safetensors"
    floats = not trained and format_of(source).floats
    said = as_reading(reading, dt=dt, input_shape=input_shape)
    if not floats and (data is not None or said.of_nir):
        raise UsageError(
            f"export: {source} holds integers and its own step; --data and --dt are for NIR files in floats, as is --reading"
        )
    samples = None if data is None else load_data(data, n_samples=n_samples)
    if trained:
        if said.input_shape is not None:
            raise UsageError(
                f"export: {source} tells the shape of its input; --input-shape is for .net files that do not"
            )
        network = trained_network(source)
        network = network if max_delay is None else with_relays(network, max_delay)
    else:
        network = load_network(source, data=samples, reading=said, weight_bits=weight_bits, max_delay=max_delay)
    _write(network, source, path, force)
    facts = network_facts(load_network(path))
    result = {
        "path": str(path),
        "bytes": path.stat().st_size,
        **{key: facts[key] for key in ("weights", "mask", "nonzero", "density", "density_nonzero", "fingerprint")},
        "ledger": [asdict(entry) for entry in network.ledger],
    }
    if floats and format_of(source) is FORMATS[".nir"]:
        from neurodeploy.exchange.doctor.resets import reset_cost

        cost = reset_cost(source, reading=reading, dt=dt, data=samples)
        result["reset"] = None if cost is None else cost.to_dict()
    if samples is not None:
        from neurodeploy.engines.decoding import decoding_probes
        from neurodeploy.engines.silence import find_silence
        from neurodeploy.engines.table import simulate
        from neurodeploy.proofs.floats import beside_floats, renamed

        beside = beside_floats(source, network, samples, progress, reading=reading, dt=dt)
        own = renamed(samples, network)
        silence = find_silence(network, simulate(network, own, probe=decoding_probes(network)), own)
        if beside is not None and len(silence.outputs) == 1:
            beside |= next(iter(silence.outputs.values()))
        result |= {"beside_floats": beside, "silence": silence.to_json()}
    return result


def _write(network: Network, source: Path, path: Path, force: bool) -> None:
    """Write a network; where the format cannot hold it, say which one can."""
    try:
        write_network(network, path, force=force)
    except (NetworkError, NirError) as error:
        other = path.with_suffix(ANY_NETWORK)
        if path.suffix.lower() == ANY_NETWORK or other == source:
            raise
        raise type(error)(f"{error}. A {ANY_NETWORK} file holds every network: --out {other}") from error
