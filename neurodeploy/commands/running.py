"""Commands that run a network: simulate, verify, faults, and the simulators' benchmark."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.commands.inputs import Progress, load_data, load_network, silent
from neurodeploy.engines.decode import decode, decoding_probes
from neurodeploy.engines.table import ENGINES, check_offered, find_engine
from neurodeploy.engines.table import simulate as simulate_network
from neurodeploy.errors import FileError, MismatchError, UsageError
from neurodeploy.files.writing import write_text
from neurodeploy.network import Network, Output
from neurodeploy.network.activity import Activity, Samples, save_activity
from neurodeploy.proofs.compare import compare, readouts
from neurodeploy.proofs.proof import broken, load_proof, make_proof
from neurodeploy.run_folder import CHECKPOINT_FILE, NETWORK_FILE

ALL_ENGINES = ("slayer", "reference", "event", "lava")


def simulate(
    file: Path,
    data: str | Path,
    *,
    engine: str = "event",
    n_samples: int | None = None,
    timeout_s: float | None = None,
    on_overflow: str = "report",
    out: Path | None = None,
    force: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> tuple[Activity, dict[str, Any]]:
    """Run the network of a NIR file on samples and decode its outputs; with ``out``, write the activity there as ``.npz``.

    Voltages that an output is decoded from are recorded, on every engine.

    Args:
        timeout_s: time limit for engine ``lava``; by default far above the time that it is predicted to take.
        on_overflow: report, error, wrap or clip (``neurodeploy.engines.simulate``).
        out: file to write; ``force`` replaces an older one.
        say: told how long ``lava`` will take before it starts.

    Returns:
        The activity, and a summary of it as plain values: accuracy where the samples carry labels and there is one
        output; by output its ``decoding``, ``accuracy`` and ``classes`` (one a sample); spikes; overflow (None on
        ``lava``, which does not see it).

    Raises:
        SimulationError: for samples that do not fit, or an output that cannot be decoded as it says.
    """
    if out is not None and out.exists() and not force:
        raise FileError(f"simulate: {out} exists; choose another --out, or --force to replace it")
    check_offered(engine, on_overflow)
    network, samples = load_network(file), load_data(data, n_samples=n_samples)
    probe = decoding_probes(network)
    started = time.perf_counter()
    chosen = find_engine(engine)
    if (seconds := chosen.predict_seconds(network, samples, samples.n_steps + network.depth)) is not None:
        (say or silent)(f"simulate: {engine} will take about {seconds:.0f} s")
    activity = simulate_network(
        network,
        samples,
        engine=engine,
        probe=probe,
        on_overflow=on_overflow,
        timeout_s=timeout_s,
        progress=progress,
    )
    outputs = {o.name: _decoded(network, activity, samples, o) for o in network.outputs}
    facts = {
        "engine": engine,
        "samples": samples.n_samples,
        "steps": activity.n_steps,
        "accuracy": next(iter(outputs.values()))["accuracy"] if len(outputs) == 1 else None,
        "outputs": outputs,
        "spikes": {name: len(events) for name, events in activity.spikes.items()},
        "overflow": dict(activity.overflow) if chosen.sees_overflow else None,
        "seconds": time.perf_counter() - started,
    }
    if out is not None:
        save_activity(activity, out)
    return activity, facts


def _decoded(network: Network, activity: Activity, samples: Samples, output: Output) -> dict[str, Any]:
    classes = decode(network, activity, output.name)
    right = None if samples.labels is None else float(np.mean(classes == samples.labels))
    return {"decoding": output.decoding, "accuracy": right, "classes": classes.tolist()}


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
    return make_proof(network, samples, runs, compare(runs, readouts(network)))


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


def faults(
    file: Path,
    data: str | Path,
    *,
    fault: str,
    rates: Sequence[float],
    engine: str = "event",
    n_samples: int | None = None,
    repeats: int = 3,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the accuracy of a network under one kind of fault at several rates (``neurodeploy.engines.faults``)."""
    from neurodeploy.engines.faults import robustness

    def run(network: Network, samples: Samples) -> Activity:
        return simulate_network(network, samples, engine=engine, probe=decoding_probes(network))

    network, samples = load_network(file), load_data(data, n_samples=n_samples)
    rows = robustness(network, samples, fault=fault, rates=rates, run=run, repeats=repeats, seed=seed)
    return [asdict(row) for row in rows]


def bench_simulate(
    *,
    rounds: int = 3,
    threads: int = 2,
    networks: Sequence[str] = (),
    peers: Sequence[str] = (),
    on_row: Callable[[dict[str, Any]], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the event-driven engine's speed beside its peers on this machine (``neurodeploy.bench.speed.run``).

    Args:
        networks: only cases whose network has one of these names; by default all.
        peers: only these; by default all that can run here.
        say: told which peer is left out, and why.
    """
    from neurodeploy.bench.speed.run import CASES, available_peers
    from neurodeploy.bench.speed.run import bench_simulate as bench

    known = sorted({case.network for case in CASES})
    unknown = [name for name in networks if name not in known]
    if unknown:
        raise UsageError(f"bench: unknown network '{unknown[0]}'; known: {', '.join(known)}")
    cases = [case for case in CASES if not networks or case.network in networks]
    found = available_peers(peers, say=say)
    return [
        dict(row) for row in bench(cases=cases, peers=found, rounds=rounds, threads=threads, progress=on_row, say=say)
    ]


def run_engine(engine: str, run: Path, network: Network, samples: Samples, progress: Progress | None) -> Activity:
    """Return what one engine does with the samples, with the voltages of read-outs.

    ``slayer`` runs the checkpoint of the run's folder, which has none.
    """
    if engine != "slayer":
        return simulate_network(network, samples, engine=engine, probe=readouts(network), progress=progress)
    from neurodeploy.training.checkpoint import checkpoint_network

    model, trained = checkpoint_network(run)
    if trained.fingerprint != network.fingerprint:
        raise MismatchError(
            f"verify: {run / NETWORK_FILE} does not hold the network of {run / CHECKPOINT_FILE}; export again: "
            f"neurodeploy export {run} --force"
        )
    activity: Activity = import_module("neurodeploy.training.model.slayer").run_slayer(model, network, samples)
    return activity
