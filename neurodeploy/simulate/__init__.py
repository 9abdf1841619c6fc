"""Simulators: a ``Network`` and input events become an ``Activity``. No chip, no mapping, no torch.

``ENGINES`` names them: ``reference`` is the definition in plain numpy, ``event`` gives the same bits faster, ``lava`` runs
the same integers as Lava processes in a worker, and ``lava-in-process`` steps Lava's process models without its runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from neurodeploy.activity import Activity, Samples
from neurodeploy.errors import UsageError
from neurodeploy.network import Network

ENGINES: Mapping[str, tuple[str, str]] = {
    "reference": ("neurodeploy.simulate.reference", "run_reference"),
    "event": ("neurodeploy.simulate.event", "run_event"),
    "lava": ("neurodeploy.simulate.lava", "run_lava"),
    "lava-in-process": ("neurodeploy.simulate.lava.in_process", "run_lava_in_process"),
}
"""Engine name -> module and function, imported on first use."""


def simulate(
    network: Network,
    samples: Samples,
    *,
    engine: str = "event",
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    labels: Mapping[str, NDArray[np.int32]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Activity:
    """Return what the network does with the samples on one of the ``ENGINES``.

    Args:
        network: what to run.
        samples: input events; every sample starts from state 0.
        engine: name of the engine; all give the same bits.
        n_steps: steps run for each sample; by default those of the samples plus the network's depth.
        probe: ``(population, "u" or "v")`` pairs whose states to record.
        labels: one whole number per neuron, its core, say; asks for ``Activity.updated``. Not on Lava.
        progress: called with the numbers of finished and of all samples.

    Raises:
        UsageError: for an unknown engine.
        SimulationError: for events that do not fit the network.
    """
    if engine not in ENGINES:
        raise UsageError(f"simulate: unknown engine '{engine}'; known: {', '.join(ENGINES)}")
    module, function = ENGINES[engine]
    run: Callable[..., Activity] = getattr(import_module(module), function)
    if labels is None:
        return run(network, samples, n_steps=n_steps, probe=probe, progress=progress)
    if engine.startswith("lava"):
        raise UsageError(f"simulate: engine '{engine}' counts no updated neurons; use another engine with labels")
    return run(network, samples, n_steps=n_steps, probe=probe, labels=labels, progress=progress)
