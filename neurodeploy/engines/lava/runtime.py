"""The engine ``lava``: runs a ``Network`` on Lava's runtime in a worker process."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import Progress, check_run, input_events
from neurodeploy.engines.lava import supervise
from neurodeploy.engines.lava.plan import make_job
from neurodeploy.engines.lava.timing import predict_seconds
from neurodeploy.engines.workers import has_module, time_limit
from neurodeploy.errors import LavaError
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.network import Network, Population
from neurodeploy.network.activity import Activity, Events, Samples

PYTHON_VARIABLE = "NEURODEPLOY_LAVA_PYTHON"


def run_lava(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    timeout_s: float | None = None,
    python: str | None = None,
    progress: Progress | None = None,
) -> Activity:
    """Run the network on samples with Lava's fixed-point processes and return the activity.

    Args:
        n_steps: steps run for each sample; by default the steps of the samples plus the depth of the network.
        probe: states to record after each step: pairs of a population and one of its model's ``states``.
        timeout_s: time limit of the whole run in seconds; by default ``time_limit`` of the predicted time.
        python: interpreter with lava-nc for the worker; by default ``find_lava_python()``.
        progress: called with the numbers of finished and of all samples.

    Raises:
        SimulationError: if the samples or probes do not fit the network.
        LavaError: if Lava cannot express the network (nothing is started), or the worker fails or dies.
        LavaTimeoutError: if the worker runs past the time limit.
        KeyboardInterrupt: on Ctrl-C, after the worker has ended.
    """
    steps = check_run(network, samples, n_steps, probe)
    job = make_job(network, samples, steps, probe)
    python = find_lava_python() if python is None else python
    limit = time_limit(predict_seconds(network, samples, steps)) if timeout_s is None else timeout_s
    with (
        supervise.deferred_interrupts() as interrupted,
        temporary_folder("lava") as folder,
    ):
        supervise.run_worker(job, folder, python, limit, progress, interrupted)
        span = (samples.n_samples, steps)
        held = {record["name"] for record in job["populations"] if "held" in record}
        spikes = {
            p.name: _read_spikes(folder / f"spikes{i}.bin", p, span, p.name in held)
            for i, p in enumerate(network.populations)
        }
        states = {
            (population, state): _read_states(folder / f"state{i}.bin", network.population(population), span)
            for i, (population, state) in enumerate(probe)
        }
    return Activity(
        engine="lava",
        network=network.fingerprint,
        n_steps=steps,
        spikes={**input_events(network, samples, steps), **spikes},
        states=states,
    )


def find_lava_python() -> str:
    """Return the interpreter for the worker: ``NEURODEPLOY_LAVA_PYTHON``, or this Python if it has Lava.

    Raises:
        LavaError: if there is none; the message says where it was looked for.
    """
    chosen = os.environ.get(PYTHON_VARIABLE)
    if chosen:
        program = shutil.which(chosen)
        if program is None:
            raise LavaError(
                f"lava: {PYTHON_VARIABLE} is '{chosen}', which is no program; set it to a Python with lava-nc"
            )
        return program
    if has_module("lava.magma"):  # a stray ``lava.py`` is not Lava
        return sys.executable
    version = ".".join(map(str, sys.version_info[:2]))
    raise LavaError(
        f"lava: looked for Lava in {PYTHON_VARIABLE} (not set) and in this Python {version} ({sys.executable}), which has "
        "no package 'lava'. Lava needs Python 3.10: make an environment with it, 'pip install lava-nc==0.10.0' there, and "
        f"set {PYTHON_VARIABLE} to its python"
    )


def _read_spikes(path: Path, population: Population, span: tuple[int, int], held: bool) -> Events:
    """Return the events of a population, without spikes before its first step, which belong to the previous sample.

    Raises:
        LavaError: for such a spike of a population that was ``held`` silent until then; it may have reached others.
    """
    n_samples, n_steps = span
    rows = np.fromfile(path, np.int64).reshape(-1, 3)
    sample, step = np.divmod(rows[:, 0], n_steps)
    own = step >= population.first_step
    if held and not own.all():
        early = int(np.flatnonzero(~own)[0])
        raise LavaError(
            f"lava: population '{population.name}': neuron {int(rows[early, 1])} fired in step {int(step[early])} of sample "
            f"{int(sample[early])}, before its first step {population.first_step}: what arrives then leaves 30 bits, and "
            "nothing keeps Lava's LIF from firing. Give it an earlier first step, or lower weights or payloads"
        )
    return Events(
        size=population.size,
        n_steps=n_steps,
        n_samples=n_samples,
        sample=sample[own].astype(np.int32),
        step=step[own].astype(np.int32),
        neuron=rows[own, 1].astype(np.int32),
        payload=rows[own, 2].astype(np.int32) if population.model.graded else None,
    )


def _read_states(path: Path, population: Population, span: tuple[int, int]) -> NDArray[np.int32]:
    states = np.fromfile(path, np.int32).reshape(*span, population.size)
    states[:, : population.first_step] = 0
    return states
