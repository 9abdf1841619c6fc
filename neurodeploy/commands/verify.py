"""The same samples on several engines, compared spike by spike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import Progress, load_data, load_network
from neurodeploy.engines.table import ENGINES, simulate
from neurodeploy.errors import FileError, MismatchError, UsageError
from neurodeploy.files.writing import write_text
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.proofs.compare import compare_activities, readouts
from neurodeploy.proofs.proof import broken, load_proof, make_proof
from neurodeploy.run_folder import CHECKPOINT_FILE, NETWORK_FILE

ALL_ENGINES = ("slayer", "reference", "event", "lava")


def _write_json(value: Any, path: Path) -> None:
    write_text(json.dumps(value, indent=1) + "\n", path)


def verify(
    source: Path,
    data: str | Path | None = None,
    *,
    engines: Sequence[str] = ALL_ENGINES,
    n_samples: int | None = 64,
    out: Path | None = None,
    against: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run the same samples on several engines and compare every spike, message and voltage of a read-out.

    ``slayer`` runs the checkpoint of a run's folder, the others the NIR file, so that the file itself is under test.

    Args:
        source: a run's folder, or a NIR file where ``slayer`` takes no part.
        data: samples (see ``load_data``); by default the test part of the run.
        engines: at least two of ``slayer`` and the simulators.
        out: JSON file to write the proof to: the outcome with hashes of network, samples and rasters.
        against: an earlier proof; it is checked that all its hashes still hold.
        force: replace ``out`` if it exists.

    Returns:
        The proof (``neurodeploy.proofs.proof``); ``equal`` tells the outcome, ``diagnosis`` explains a difference.

    Raises:
        UsageError: for an unknown engine, fewer than two, ``slayer`` without a run's folder, or a file without data.
        MismatchError: where the run's checkpoint and file do not hold the same network, or ``against`` no longer holds.
    """
    if out is not None and out.exists() and not force:
        raise FileError(f"verify: {out} exists; choose another --out, or --force to replace it")
    earlier = None if against is None else load_proof(against)
    proof = prove(source, data, engines, n_samples, progress)
    if out is not None:
        _write_json(proof, out)
    failed = [] if earlier is None else broken(earlier, proof)
    if failed:
        raise MismatchError(f"verify: {against} no longer holds: {'; '.join(failed)}")
    return proof


def prove(
    source: Path, data: str | Path | None, engines: Sequence[str], n_samples: int | None, progress: Progress | None
) -> dict[str, Any]:
    check_engines(source, data, engines)
    network, samples = load_network(source), load_data(source if data is None else data, n_samples=n_samples)
    runs = [run_engine(engine, source, network, samples, progress) for engine in engines]
    return make_proof(network, samples, runs, compare_activities(runs, readouts(network)))


def check_engines(source: Path, data: str | Path | None, engines: Sequence[str]) -> None:
    """Refuse what cannot be compared before anything runs.

    Raises:
        UsageError: for an unknown engine, ``slayer`` without a run's folder, or a file without data.
    """
    unknown = [e for e in engines if e != "slayer" and e not in ENGINES]
    if unknown:
        raise UsageError(f"verify: unknown engine '{unknown[0]}'; known: slayer, {', '.join(ENGINES)}")
    if "slayer" in engines and not source.is_dir():
        raise UsageError(
            f"verify: engine 'slayer' runs a checkpoint, but {source} is not a run's folder; name the folder, or leave "
            "slayer out of --engines"
        )
    if data is None and not source.is_dir():
        raise UsageError(f"verify: {source} is a file; say which samples to run: neurodeploy verify FILE DATA")


def run_engine(engine: str, run: Path, network: Network, samples: Samples, progress: Progress | None) -> Activity:
    """Return what one engine does with the samples, with the voltages of read-outs.

    ``slayer`` runs the checkpoint of the run's folder, which has none.
    """
    if engine != "slayer":
        return simulate(network, samples, engine=engine, probe=readouts(network), progress=progress)
    from neurodeploy.training.checkpoint import checkpoint_network

    model, trained = checkpoint_network(run)
    if trained.fingerprint != network.fingerprint:
        raise MismatchError(
            f"verify: {run / NETWORK_FILE} does not hold the network of {run / CHECKPOINT_FILE}; export again: "
            f"neurodeploy export {run} --force"
        )
    activity: Activity = import_module("neurodeploy.training.model.slayer").run_slayer(model, network, samples)
    return activity
