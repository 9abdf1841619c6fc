"""The same samples on several engines, compared spike by spike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import Progress, load_data, load_network
from neurodeploy.commands.networks import AnyNetwork, as_network
from neurodeploy.commands.samples import AnySamples
from neurodeploy.engines.silence import find_silence
from neurodeploy.engines.table import ENGINES, simulate
from neurodeploy.errors import LavaError, MismatchError, UsageError, needing
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.json_text import to_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.shown import ProofFacts
from neurodeploy.files.writing import check_new_file, write_text
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.proofs.compare import compare_activities, readouts
from neurodeploy.proofs.proof import broken, load_proof, make_proof
from neurodeploy.recipe.record import BACKENDS
from neurodeploy.run_folder import CHECKPOINT_FILE, NETWORK_FILE, OLDEST_BACKEND, written_backend
from neurodeploy.targets.table import is_runnable, run_target, runnable

NETWORK_ENGINES = ("reference", "event")
"""Engines that ``verify`` compares where there is no run."""


def default_engines(source: Path | None) -> tuple[str, ...]:
    """Return the engines that ``verify`` compares where none is named.

    Of a run's folder: the forward pass of the backend that trained it, both engines, and Lava. A native run also stands on
    machines that cannot have Lava; there it is compared without. Of everything else: ``NETWORK_ENGINES``.
    """
    if source is None or not source.is_dir():
        return NETWORK_ENGINES
    trainer = written_backend(source / CHECKPOINT_FILE) or OLDEST_BACKEND
    lava = ("lava",) if trainer == "slayer" or _has_lava() else ()
    return (trainer, *NETWORK_ENGINES, *lava)


def _has_lava() -> bool:
    from neurodeploy.engines.lava import find_lava_python

    try:
        find_lava_python()
    except LavaError:
        return False
    return True


def _write_json(value: Any, path: Path) -> None:
    write_text(to_json(value, 1) + "\n", path)


def verify(
    network: AnyNetwork,
    samples: AnySamples = None,
    *,
    engines: Sequence[str] | None = None,
    reading: AnyReading = None,
    n_samples: int | None = 64,
    out: str | Path | None = None,
    against: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ProofFacts:
    """Run the same samples on several engines and compare every spike, message and voltage of a read-out.

    ``native`` and ``slayer`` run the checkpoint of a run's folder with the forward pass of that backend, whichever trained
    it; the others run the NIR file, so that the file itself is under test.

    Args:
        network: a run's folder, or a network in any other form (``as_network``), where no backend takes part.
        samples: samples, or what ``load_data`` reads them from; by default the test part of the run.
        engines: at least two of the backends, the simulators and the targets that can run (``c``, and ``c:cortex-m4`` for
            an emulated processor); by default ``default_engines``.
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        n_samples: at most so many samples; None: all of them.
        out: JSON file to write the proof to: the outcome with hashes of network, samples and rasters.
        against: an earlier proof; it is checked that all its hashes still hold.
        force: replace ``out`` if it exists.

    Returns:
        The proof (``neurodeploy.proofs.proof``); ``equal`` tells the outcome, ``diagnosis`` explains a difference, and
        ``silence`` says what the first engine's run left unsaid (``engines.silence.Silence``), ``targets`` by target what
        was compiled (``sources``: SHA-256 by file) and measured.

    Raises:
        UsageError: for an unknown engine, fewer than two, a backend without a run's folder, or a network without data.
        MismatchError: where the run's checkpoint and file do not hold the same network, or ``against`` no longer holds.
    """
    out, against = as_path(out), as_path(against)
    if out is not None:
        check_new_file("verify", out, force=force)
    earlier = None if against is None else load_proof(against)
    if isinstance(engines, str):
        raise UsageError(f"verify: engines is the text '{engines}'; give a list of names")
    path = Path(network) if isinstance(network, str | Path) else None
    proof = prove(network, samples, engines or default_engines(path), n_samples, progress, reading)
    if out is not None:
        _write_json(proof, out)
    failed = [] if earlier is None else broken(earlier, proof)
    if failed:
        raise MismatchError(f"verify: {against} no longer holds: {'; '.join(failed)}")
    return ProofFacts(proof)


def prove(
    source: AnyNetwork,
    data: AnySamples,
    engines: Sequence[str],
    n_samples: int | None,
    progress: Progress | None,
    reading: AnyReading = None,
) -> dict[str, Any]:
    """Return the proof of ``verify``, whose arguments these are."""
    path = Path(source) if isinstance(source, str | Path) else None
    check_engines(path, data, engines)
    # of a run the exported file is under test, and nothing in its place
    if path is not None and path.is_dir():
        network = load_network(path, reading=reading)
    else:
        network = as_network(source, reading=reading)
    samples = _samples(path if data is None else data, n_samples, network)
    done = [run_engine(engine, path, network, samples, progress) for engine in engines]
    runs = [activity for activity, _ in done]
    proof = make_proof(network, samples, runs, compare_activities(runs, readouts(network)))
    if targets := {activity.engine: facts for activity, facts in done if facts}:
        proof["targets"] = targets
    return proof | {"silence": find_silence(network, runs[0], samples).to_json()}


def _samples(data: AnySamples, n_samples: int | None, network: Network) -> Samples:
    samples = load_data(data, network=network)
    return samples if n_samples is None else samples.take(0, min(n_samples, samples.n_samples))


def check_engines(source: Path | None, data: AnySamples, engines: Sequence[str]) -> None:
    """Refuse what cannot be compared before anything runs; ``source`` is None for a network in memory.

    Raises:
        UsageError: for an unknown engine, a backend without a run's folder, or a network without data.
    """
    unknown = [e for e in engines if e not in BACKENDS and e not in ENGINES and not is_runnable(e)]
    if unknown:
        known = ", ".join([*BACKENDS, *ENGINES, *runnable()])
        raise UsageError(f"verify: unknown engine '{unknown[0]}'; known: {known}")
    what = source or "a network in memory"
    trainer = next((engine for engine in engines if engine in BACKENDS), None)
    if trainer and not (source and source.is_dir()):
        raise UsageError(
            f"verify: engine '{trainer}' runs a checkpoint, but {what} is not a run's folder; name the folder, or leave "
            f"{trainer} out of --engines"
        )
    if data is None and source is None:
        raise UsageError("verify: say which samples to run: verify(network, samples)")
    if data is None and source is not None and not source.is_dir():
        raise UsageError(f"verify: {source} is a file; say which samples to run: neurodeploy verify FILE DATA")


def run_engine(
    engine: str, run: Path | None, network: Network, samples: Samples, progress: Progress | None
) -> tuple[Activity, dict[str, Any]]:
    """Return what one engine does with the samples, with the voltages of read-outs, and what a target says of its run.

    A backend runs the checkpoint of the run's folder, which has none.
    """
    if engine in ENGINES:
        return simulate(network, samples, engine=engine, probe=readouts(network), progress=progress), {}
    if engine not in BACKENDS:
        return run_target(engine, network, samples, probe=readouts(network), progress=progress)
    assert run is not None, "check_engines refuses a backend without a run's folder"
    with needing("verify", "train"):
        from neurodeploy.training.checkpoint import checkpoint_network
        from neurodeploy.training.model.backends import run_trainer

    model, trained = checkpoint_network(run, engine)
    if trained.fingerprint != network.fingerprint:
        raise MismatchError(
            f"verify: {run / NETWORK_FILE} does not hold the network of {run / CHECKPOINT_FILE}; export again: "
            f"neurodeploy export {run} --force"
        )
    return run_trainer(model, network, samples), {}
