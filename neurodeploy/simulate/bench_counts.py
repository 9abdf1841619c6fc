"""Synaptic operations and messages by core and step, as the bench counts them while it is timed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurodeploy.activity import Activity
from neurodeploy.network import Dense, Network

_PER_CORE = 1024


def core_labels(network: Network) -> dict[str, NDArray[np.int64]]:
    """Return the core of each neuron where each population begins on a core of its own, 1024 neurons a core."""
    labels, first = {}, 0
    for population in network.populations:
        labels[population.name] = first + np.arange(population.size) // _PER_CORE
        first += -(-population.size // _PER_CORE)
    return labels


def core_fans(network: Network) -> dict[str, NDArray[np.int64]]:
    """Return the synapses of each source neuron in each core, ``(neurons, cores)`` by source, for ``core_labels``."""
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
        for core in np.flatnonzero(fan.any(axis=0)).tolist():
            own = np.ascontiguousarray(fan[:, core])
            _receive(events.sample, events.step, events.neuron, activity.n_steps, own, received[:, :, core])
    return received


@njit(cache=True)
def _receive(sample: Any, step: Any, neuron: Any, n_steps: Any, fan: Any, received: Any) -> None:
    """Add the synapses and messages of sorted events to those that one core received, ``(2, places)``."""
    operations, messages, place = np.int64(0), np.int64(0), np.int64(0)
    for i in range(np.uint64(sample.size)):
        now = np.int64(sample[i]) * n_steps + step[i]
        if now != place:
            received[0, place] += operations
            received[1, place] += messages
            operations, messages, place = np.int64(0), np.int64(0), now
        synapses = fan[np.uint64(neuron[i])]
        operations += synapses
        messages += synapses > 0
    received[0, place] += operations
    received[1, place] += messages
