"""Runs a network with brian2-loihi in a worker process of a Python that has it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.engines.brian.plan import Record, make_plan
from neurodeploy.engines.checks import Progress, check_run, input_events
from neurodeploy.engines.workers import finished_samples, has_module, start_worker, time_limit
from neurodeploy.errors import MissingPackageError, SimulationError
from neurodeploy.files.arrays import read_npz
from neurodeploy.files.json_text import parse_json
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events, Samples, sorted_events

PYTHON_VARIABLE = "NEURODEPLOY_BRIAN_PYTHON"
WORKER = Path(__file__).with_name("worker.py")
_ADVICE = f"make an environment, pip install brian2-loihi 'numpy<2' there, and set {PYTHON_VARIABLE} to its python"
_START_S = 6.0
"""Time for starting the worker, importing Brian and building the network, and what an object of Brian takes in a step."""
_STEP_PER_OBJECT_S = 2e-4
_POLL_S = 0.05


def run_brian(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    timeout_s: float | None = None,
    progress: Progress | None = None,
) -> Activity:
    """Run the network on samples with brian2-loihi and return the activity.

    Args:
        n_steps: steps run for each sample; by default the steps of the samples plus the depth of the network.
        probe: states to record after each step: pairs of a population and ``u`` or ``v``.
        timeout_s: time limit of the whole run in seconds; by default far above the predicted time.
        progress: called with the numbers of finished and of all samples.

    Raises:
        SimulationError: if the samples or probes do not fit the network, brian2-loihi cannot express it (nothing is
            started), a state leaves 24 bits, which it does not wrap, or the worker fails or runs past its time limit.
        MissingPackageError: if no Python with brian2-loihi is known.
    """
    steps = check_run(network, samples, n_steps, probe)
    plan = make_plan(network)
    python = find_brian_python()
    limit = time_limit(predict_seconds(network, samples, steps)) if timeout_s is None else timeout_s
    with temporary_folder("brian") as folder:
        events = input_events(network, samples, steps)
        _write_job(folder, plan, events, (samples.n_samples, steps), probe)
        _run_worker(folder, python, limit, samples.n_samples, progress)
        found = read_npz(folder / "result.npz")
    left = str(found["overflow"])
    if left:
        raise SimulationError(
            f"brian2-loihi: a state of population '{left}' leaves 24 bits, beyond which it does not compute as the chip; "
            "lower the weights, or use engine reference, event or lava"
        )
    span = (samples.n_samples, steps)
    return Activity(
        engine="brian2-loihi",
        network=network.fingerprint,
        n_steps=steps,
        spikes={**events, **{p.name: _events(found, p.name, p.size, span) for p in network.populations}},
        states={
            (name, state): np.stack([found[f"{state} {name} {i}"] for i in range(span[0])]).astype(np.int32)
            for name, state in probe
        },
    )


def find_brian_python() -> str:
    """Return the interpreter for the worker: ``NEURODEPLOY_BRIAN_PYTHON``, or this Python if it has brian2-loihi.

    Raises:
        MissingPackageError: if there is none; the message says how to make one.
    """
    chosen = os.environ.get(PYTHON_VARIABLE)
    if chosen:
        program = shutil.which(chosen)
        if program is None:
            raise MissingPackageError(f"brian2-loihi: {PYTHON_VARIABLE} is '{chosen}', which is no program; {_ADVICE}")
        return program
    if has_module("brian2_loihi"):
        return sys.executable
    raise MissingPackageError(f"brian2-loihi: this Python ({sys.executable}) does not have it; {_ADVICE}")


def predict_seconds(network: Network, samples: Samples, n_steps: int) -> float:
    """Return the predicted seconds of ``run_brian`` with ``n_steps`` for each sample."""
    objects = len(network.inputs) + 4 * len(network.populations) + 2 * len(network.projections)
    return _START_S + samples.n_samples * n_steps * objects * _STEP_PER_OBJECT_S


def _write_job(
    folder: Path, plan: Record, events: dict[str, Events], span: tuple[int, int], probe: Sequence[tuple[str, str]]
) -> None:
    arrays: dict[str, Any] = {}
    for name, own in events.items():
        arrays |= {f"sample {name}": own.sample, f"step {name}": own.step, f"neuron {name}": own.neuron}
    projections = []
    for i, given in enumerate(plan["projections"]):
        arrays |= {f"{key}{i}": given[key] for key in ("source", "target", "weights")}
        projections.append({key: given[key] for key in ("from", "to", "delay", "exponent")})
    job = plan | {"projections": projections, "n_samples": span[0], "n_steps": span[1], "probe": [*probe]}
    np.savez(folder / "job.npz", job=np.array(json.dumps(job)), **arrays)


def _run_worker(folder: Path, python: str, limit_s: float, n_samples: int, progress: Progress | None) -> None:
    end = time.monotonic() + limit_s
    with (folder / "output").open("wb") as output:
        try:
            worker = start_worker(python, WORKER, folder, output)
        except OSError as error:
            raise MissingPackageError(f"brian2-loihi: cannot start '{python}' ({error.strerror}); {_ADVICE}") from error
        shown = 0
        try:
            while worker.poll() is None:
                if time.monotonic() > end:
                    raise SimulationError(
                        f"brian2-loihi: the worker ran past its time limit of {limit_s:g} s and was ended. Raise --timeout "
                        "(in Python timeout_s), or run fewer samples"
                    )
                finished = finished_samples(folder)
                if progress is not None and finished > shown:
                    progress(finished, n_samples)
                shown = finished
                time.sleep(_POLL_S)
        finally:
            worker.kill()
            worker.communicate()
    _check_ending(folder, python, worker.returncode)
    if progress is not None and shown < n_samples:
        progress(n_samples, n_samples)


def _check_ending(folder: Path, python: str, code: int) -> None:
    if code == 0 and (folder / "result.npz").exists():
        return
    error = folder / "error.json"
    if not error.exists():
        lines = (folder / "output").read_text(errors="replace").strip().splitlines()
        raise SimulationError(
            f"brian2-loihi: the worker ended with {code} and no result; its last words: '{lines[-1] if lines else ''}'"
        )
    message = parse_json(error.read_text())["message"]
    if message.startswith(("ModuleNotFoundError", "ImportError")):
        raise MissingPackageError(f"brian2-loihi: '{python}' cannot run the worker: {message}; {_ADVICE}")
    raise SimulationError(f"brian2-loihi: the worker failed: {message}. Engine reference computes the same")


def _events(found: dict[str, Any], name: str, size: int, span: tuple[int, int]) -> Events:
    n_samples, n_steps = span
    steps = [found[f"step {name} {i}"] for i in range(n_samples)]
    none = np.zeros(0, np.int64)  # of no samples
    neuron = np.concatenate([none, *(found[f"neuron {name} {i}"] for i in range(n_samples))])
    sample, step = np.repeat(np.arange(n_samples), [s.size for s in steps]), np.concatenate([none, *steps])
    order = np.lexsort((neuron, step, sample))
    columns = (column[order].astype(np.int32) for column in (sample, step, neuron))
    return sorted_events((size, n_steps, n_samples), *columns)
