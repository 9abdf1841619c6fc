"""Counts of synaptic operations and messages for each core and step, made while the engine is timed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.files.loops import compiled
from neurodeploy.network import Dense, Network
from neurodeploy.network.activity import Activity

_PER_CORE = 1024


def core_labels(network: Network) -> dict[str, NDArray[np.int64]]:
    """Return the core of each neuron: every population starts on a new core, and a core takes 1024 neurons."""
    labels, first = {}, 0
    for population in network.populations:
        labels[population.name] = first + np.arange(population.size) // _PER_CORE
        first += -(-population.size // _PER_CORE)
    return labels


def core_fans(network: Network) -> dict[str, NDArray[np.int64]]:
    """Return the synapses that each neuron has in each core of ``core_labels``, ``(neurons, cores)`` by source."""
    labels = core_labels(network)
    n_cores = 1 + max(int(label.max()) for label in labels.values())
    fans = {name: np.zeros((size, n_cores), np.int64) for name, size in network.sizes.items()}
    for projection in network.projections:
        if isinstance(projection.synapses, Dense):
            stored = projection.synapses.weights != 0
            for core in np.unique(labels[projection.target]):
                fans[projection.source][:, core] += stored[labels[projection.target] == core].sum(axis=0)
    return fans


def core_events(activity: Activity, fans: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return synaptic operations and messages that each core receives, ``(2, samples * steps, cores)``.

    A message is a spike that reaches a core, however many synapses it has there.
    """
    n_cores = next(iter(fans.values())).shape[1]
    received = np.zeros((2, activity.n_samples * activity.n_steps, n_cores), np.int64)
    for name, fan in fans.items():
        events = activity.spikes[name]
        # numbers of another type than the column's would make numpy convert the whole column
        begins = np.searchsorted(events.sample, np.arange(events.n_samples + 1, dtype=np.int32))
        for core in np.flatnonzero(fan.any(axis=0)).tolist():
            own = fan[:, core] + (fan[:, core] > 0) * _MESSAGE
            _receive(begins, events.step, events.neuron, activity.n_steps, own, received[:, :, core])
    return received


_MESSAGE = 1 << 40
"""Value of a message in a sum whose low 40 bits count synapses, so that one addition counts both."""


@compiled()
def _receive(begins: Any, step: Any, neuron: Any, n_steps: Any, fan: Any, received: Any) -> None:
    """Add synapses and messages of sorted events to ``received``, the counts of one core, ``(2, samples * steps)``."""
    # running sum of a sample up to each step: overwritten by every event, so that nothing tests where a step ends
    upto = np.zeros(n_steps, np.int64)
    for sample in range(begins.size - 1):
        upto[:] = 0
        total = np.int64(0)
        for i in range(np.uint64(begins[sample]), np.uint64(begins[sample + 1])):
            total += fan[np.uint64(neuron[i])]
            upto[np.uint64(step[i])] = total
        before = np.int64(0)
        for t in range(n_steps):
            now = max(upto[t], before)
            received[0, sample * n_steps + t] += (now - before) & (_MESSAGE - 1)
            received[1, sample * n_steps + t] += (now - before) >> 40
            before = now
