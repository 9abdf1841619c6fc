"""What brian2-loihi has to build for a network, or why it cannot: its arithmetic equals the definition within these limits.

Source of its side: brian2-loihi 0.5.2, ``loihi_neuron_group.py``, ``loihi_synapses.py`` and ``parameter_checks.py``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import SimulationError
from neurodeploy.network import Cuba, LeakyIntegrator, Network, Population, Projection
from neurodeploy.network.unrolled import by_delay, entries

Record: TypeAlias = dict[str, Any]
_LARGEST_WEIGHT = 2**15 - 1
"""Weights times 2 to their exponent; beyond, brian2-loihi clips what a synapse adds to 21 bits."""


def make_plan(network: Network) -> Record:
    """Return the groups of neurons and the lists of synapses of a network, in numbers and arrays.

    Raises:
        SimulationError: names the population or projection that brian2-loihi cannot express, and why.
    """
    graded = sorted(network.graded)
    if graded:
        raise _refused(f"'{graded[0]}' sends graded messages, and its synapses know only spikes")
    first = _first_spikes(network)
    for population in network.populations:
        if first.get(population.name, population.first_step) < population.first_step:
            raise _refused(
                f"population '{population.name}' starts in step {population.first_step}, and spikes can arrive in step "
                f"{first[population.name]}; its neurons run from step 0"
            )
    return {
        "inputs": {i.name: i.size for i in network.inputs},
        "populations": {p.name: {"size": p.size, **_neuron(p)} for p in network.populations},
        "projections": [part for projection in network.projections for part in _synapses(projection)],
    }


def _refused(why: str) -> SimulationError:
    return SimulationError(f"brian2-loihi: {why}; use engine reference, event or lava")


def _first_spikes(network: Network) -> dict[str, int]:
    """Return for each population the first step in which a spike of the samples can arrive; silent ones are left out."""
    first = {i.name: 0 for i in network.inputs}
    moved = True
    while moved:
        moved = False
        for p in network.projections:
            if p.source in first:
                arrival = first[p.source] + 1 + int(np.min(p.delay))
                if arrival < first.get(p.target, arrival + 1):
                    first[p.target], moved = arrival, True
    return first


def _neuron(population: Population) -> Record:
    model = population.model
    if not isinstance(model, Cuba) or isinstance(model, LeakyIntegrator):
        raise _refused(f"population '{population.name}' has neurons of kind {model.kind}, and it has only CUBA neurons")
    if model.reset != "zero":
        raise _refused(
            f"population '{population.name}' subtracts its threshold when it fires, and its neurons reset to 0"
        )
    if np.any(model.bias):
        raise _refused(f"population '{population.name}' has a bias, and its neurons have none")
    values = {}
    for name in ("current_decay", "voltage_decay", "threshold"):
        different = np.unique(getattr(model, name))
        if different.size > 1:
            raise _refused(
                f"population '{population.name}' has a {name} for each neuron, and its groups have one for all"
            )
        values[name] = int(different[0])
    return values


def _synapses(projection: Projection) -> list[Record]:
    """Return lists of synapses of one delay and one sign: of both signs it would keep only even weights."""
    exponent, name = projection.weight_exponent, projection.name
    found = []
    for one in by_delay(projection):
        source, target, weights = entries(one.synapses)
        if one.sources is not None:
            kept = np.asarray(one.sources, np.bool_)[source]
            source, target, weights = source[kept], target[kept], weights[kept]
        _check_weights(name, weights.astype(np.int64), exponent)
        for own in (weights > 0, weights < 0):
            if own.any():
                lists = {"source": source[own], "target": target[own], "weights": weights[own]}
                arrays = {key: values.astype(np.int64) for key, values in lists.items()}
                ends = {"from": projection.source, "to": projection.target}
                found.append({**ends, **arrays, "delay": one.delay, "exponent": exponent})
    return found


def _check_weights(name: str, weights: NDArray[np.int64], exponent: int) -> None:
    if exponent < 0 and np.any(weights % 2**-exponent):
        raise _refused(
            f"projection '{name}' has the weight exponent {exponent}, which it applies to each weight and the chip to their "
            f"sum; only weights that are multiples of {2**-exponent} give the same"
        )
    if np.any(np.abs(weights) * 2.0**exponent > _LARGEST_WEIGHT):
        raise _refused(
            f"projection '{name}' has a weight that leaves 21 bits with its exponent {exponent}, where it clips"
        )
