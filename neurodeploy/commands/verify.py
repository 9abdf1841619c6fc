"""The same samples on several engines, compared spike by spike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import Progress, load_data, load_network
from neurodeploy.commands.networks import AnyNetwork, as_network
from neurodeploy.engines.table import ENGINES, simulate
from neurodeploy.errors import FileError, MismatchError, UsageError, check_type
from neurodeploy.files.lazy import named_function
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import write_text
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.proofs.compare import compare_activities, readouts
from neurodeploy.proofs.proof import broken, load_proof, make_proof
from neurodeploy.run_folder import CHECKPOINT_FILE, NETWORK_FILE
from neurodeploy.targets.table import TARGETS

ALL_ENGINES = ("slayer", "reference", "event", "lava")
"""Engines that ``verify`` compares on a run's folder."""
NETWORK_ENGINES = ("reference", "event")
"""Engines that it compares where there is no run."""


def _write_json(value: Any, path: Path) -> None:
    write_text(json.dumps(value, indent=1) + "\n", path)


def verify(
    network: AnyNetwork,
    samples: Samples | str | Path | None = None,
    *,
    engines: Sequence[str] | None = None,
    n_samples: int | None = 64,
    out: str | Path | None = None,
    against: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run the same samples on several engines and compare every spike, message and voltage of a read-out.

    ``slayer`` runs the checkpoint of a run's folder, the others the NIR file, so that the file itself is under test.

    Args:
        network: a run's folder, or a network in any other form (``as_network``), where ``slayer`` takes no part.
        samples: samples, or what ``load_data`` reads them from; by default the test part of the run.
        engines: at least two of ``slayer``, the simulators and the targets that can run; by default ``ALL_ENGINES`` for a
            run's folder and else ``NETWORK_ENGINES``.
        n_samples: number of samples from a file or run, at most so many of samples in memory; None: all of them.
        out: JSON file to write the proof to: the outcome with hashes of network, samples and rasters.
        against: an earlier proof; it is checked that all its hashes still hold.
        force: replace ``out`` if it exists.

    Returns:
        The proof (``neurodeploy.proofs.proof``); ``equal`` tells the outcome, ``diagnosis`` explains a difference.

    Raises:
        UsageError: for an unknown engine, fewer than two, ``slayer`` without a run's folder, or a network without data.
        MismatchError: where the run's checkpoint and file do not hold the same network, or ``against`` no longer holds.
    """
    out, against = as_path(out), as_path(against)
    if out is not None and out.exists() and not force:
        raise FileError(f"verify: {out} exists; choose another --out, or --force to replace it")
    earlier = None if against is None else load_proof(against)
    if isinstance(engines, str):
        raise UsageError(f"verify: engines is the text '{engines}'; give a list of names")
    in_run = isinstance(network, str | Path) and Path(network).is_dir()
    proof = prove(network, samples, engines or (ALL_ENGINES if in_run else NETWORK_ENGINES), n_samples, progress)
    if out is not None:
        _write_json(proof, out)
    failed = [] if earlier is None else broken(earlier, proof)
    if failed:
        raise MismatchError(f"verify: {against} no longer holds: {'; '.join(failed)}")
    return proof


def prove(
    source: AnyNetwork,
    data: Samples | str | Path | None,
    engines: Sequence[str],
    n_samples: int | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Return the proof of ``verify``, whose arguments these are."""
    path = Path(source) if isinstance(source, str | Path) else None
    check_engines(path, data, engines)
    # of a run the exported file is under test, and nothing in its place
    network = load_network(path) if path is not None and path.is_dir() else as_network(source)
    samples = _samples(path if data is None else data, n_samples)
    runs = [run_engine(engine, path, network, samples, progress) for engine in engines]
    return make_proof(network, samples, runs, compare_activities(runs, readouts(network)))


def _samples(data: Samples | str | Path | None, n_samples: int | None) -> Samples:
    if isinstance(data, Samples):
        return data if n_samples is None else data.take(0, min(n_samples, data.n_samples))
    check_type("verify", "samples", data, (str, Path), "give Samples, or a path: load_samples(path)")
    assert isinstance(data, str | Path)
    return load_data(data, n_samples=n_samples)


def check_engines(source: Path | None, data: Samples | str | Path | None, engines: Sequence[str]) -> None:
    """Refuse what cannot be compared before anything runs; ``source`` is None for a network in memory.

    Raises:
        UsageError: for an unknown engine, ``slayer`` without a run's folder, or a network without data.
    """
    runnable = [name for name, target in TARGETS.items() if target.run is not None]
    unknown = [e for e in engines if e != "slayer" and e not in ENGINES and e not in runnable]
    if unknown:
        known = ", ".join(["slayer", *ENGINES, *runnable])
        raise UsageError(f"verify: unknown engine '{unknown[0]}'; known: {known}")
    what = source or "a network in memory"
    if "slayer" in engines and not (source and source.is_dir()):
        raise UsageError(
            f"verify: engine 'slayer' runs a checkpoint, but {what} is not a run's folder; name the folder, or leave "
            "slayer out of --engines"
        )
    if data is None and source is None:
        raise UsageError("verify: say which samples to run: verify(network, samples)")
    if data is None and source is not None and not source.is_dir():
        raise UsageError(f"verify: {source} is a file; say which samples to run: neurodeploy verify FILE DATA")


def run_engine(
    engine: str, run: Path | None, network: Network, samples: Samples, progress: Progress | None
) -> Activity:
    """Return what one engine does with the samples, with the voltages of read-outs.

    ``slayer`` runs the checkpoint of the run's folder, which has none.
    """
    if engine in ENGINES:
        return simulate(network, samples, engine=engine, probe=readouts(network), progress=progress)
    if engine != "slayer":
        run_target = named_function(str(TARGETS[engine].run))
        ran: Activity = run_target(network, samples, probe=readouts(network), progress=progress)
        return ran
    assert run is not None, "check_engines refuses slayer without a run's folder"
    from neurodeploy.training.checkpoint import checkpoint_network
    from neurodeploy.training.model.slayer import run_slayer

    model, trained = checkpoint_network(run)
    if trained.fingerprint != network.fingerprint:
        raise MismatchError(
            f"verify: {run / NETWORK_FILE} does not hold the network of {run / CHECKPOINT_FILE}; export again: "
            f"neurodeploy export {run} --force"
        )
    return run_slayer(model, network, samples)
