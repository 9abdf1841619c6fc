"""Peers in another Python: a process of ``worker.py`` for each network, which gives timings on request."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Generator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from neurodeploy.bench.pythons import python_with
from neurodeploy.errors import SimulationError
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.network import THRESHOLD_MAX, Cuba, Dense, Network
from neurodeploy.network.activity import Activity, Events, Samples

PYTHON_VARIABLES = ("NEURODEPLOY_ORACLE_PYTHON", "NEURODEPLOY_LAVA_PYTHON")
MODULES = {
    "slayer": "lava.lib.dl",
    "snntorch": "snntorch",
    "spikingjelly": "spikingjelly",
    "sanafe": "sanafe",
    "nengo-loihi": "nengo_loihi",
}
BATCHES = {"slayer": 64, "snntorch": 64, "spikingjelly": 64, "sanafe": 1, "nengo-loihi": 1}
LIMIT_S = 300.0
"""Seconds after which a peer that has not answered is killed."""
_SLAYER_THRESHOLDS = 4096
"""slayer's threshold is exact only below 64 of its units (above, float32 loses the small number that slayer adds)."""
_WORKER = Path(__file__).with_name("worker.py")


@lru_cache
def find_python(peer: str) -> str | None:
    """Return a Python that has the peer: this one, or one that ``PYTHON_VARIABLES`` name; None if no Python has it."""
    return python_with(MODULES[peer], filter(None, map(os.environ.get, PYTHON_VARIABLES)))


def missing(peer: str) -> str | None:
    """Return why a peer cannot run here, or None."""
    if find_python(peer) is not None:
        return None
    return (
        f"no package '{MODULES[peer]}' in this Python nor in one that {' or '.join(PYTHON_VARIABLES)} names; install it "
        "in an environment of its own and set the first of them to its python"
    )


def run_peer(peer: str, network: Network, samples: Samples) -> Generator[tuple[float, Activity], None, None]:
    """Yield timings of a peer for a chain of dense layers. Its process lives as long as the generator.

    Raises:
        SimulationError: if the process fails, or does not answer within ``LIMIT_S``.
    """
    n_samples = BATCHES[peer]
    if not _fits(peer, network) or samples.n_samples < n_samples:
        return
    python = find_python(peer)
    assert python is not None
    with temporary_folder("peer") as folder:
        given = samples.take(0, n_samples)
        _write_job(network, given, folder / "job.npz")
        command = [python, str(_WORKER), peer, str(folder / "job.npz"), str(folder / "spikes.npz")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        with (
            open(folder / "messages", "w") as messages,
            subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=messages, text=True, env=environment) as process,
        ):
            try:
                _answer(peer, process, folder)
                activity = _read_activity(peer, network, given.n_steps, folder / "spikes.npz")
                while True:
                    _ask(process)
                    yield float(_answer(peer, process, folder)) / n_samples, activity
            finally:
                process.kill()


def _fits(peer: str, network: Network) -> bool:
    models = [p.model for p in network.populations]
    chain = all(isinstance(p.synapses, Dense) and p.delay == 0 for p in network.projections)
    most = _SLAYER_THRESHOLDS if peer == "slayer" else THRESHOLD_MAX + 1
    return chain and all(isinstance(m, Cuba) and np.max(m.threshold) < most for m in models)


def _write_job(network: Network, samples: Samples, path: Path) -> None:
    (events,) = samples.inputs.values()
    models = [p.model for p in network.populations if isinstance(p.model, Cuba)]
    weights = {
        f"weights{i}": p.synapses.weights for i, p in enumerate(network.projections) if isinstance(p.synapses, Dense)
    }
    np.savez(
        path,
        shape=np.array([events.n_samples, events.n_steps, events.size]),
        events=np.stack([events.sample, events.step, events.neuron]),
        thresholds=np.array([m.threshold for m in models]),
        decays=np.array((models[0].current_decay, models[0].voltage_decay)),
        **weights,
    )


def _ask(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # the answer then says what happened
        os.write(process.stdin.fileno(), b"again\n")


def _answer(peer: str, process: subprocess.Popen[str], folder: Path) -> str:
    """Return the next line of the process."""
    watch = threading.Timer(LIMIT_S, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        watch.cancel()
    if not line:
        said = (folder / "messages").read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise SimulationError(
            f"bench: {peer} ended without an answer, or not within {LIMIT_S:g} s; it said: {said[-1]}"
        )
    return line.strip()


def _read_activity(peer: str, network: Network, n_steps: int, path: Path) -> Activity:
    with np.load(path, allow_pickle=False) as file:
        rasters = [file[name] for name in file.files]
    spikes = {p.name: Events.from_dense(raster[None]) for p, raster in zip(network.populations, rasters)}
    return Activity(engine=peer, network=network.fingerprint, n_steps=n_steps, spikes=spikes)
