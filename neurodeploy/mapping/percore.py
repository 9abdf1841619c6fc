"""The mapped network as a ``Network`` with one population for each part; tests use it to show that no synapse is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neurodeploy.mapping.memory.synapses import Matrix, matrix_of
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import (
    Dense,
    Network,
    Population,
    Projection,
    Sparse,
    Synapses,
)
from neurodeploy.network.neurons import model_of


def per_core(network: Network, mapping: Mapping) -> Network:
    """Return the network with each population replaced by its parts, named ``population@index of the core``.

    Parts keep the order of the neurons. Each synapse appears once, between the parts that hold its two neurons; weights
    of 0 and masks are left out. The result computes the same spikes, unless a projection has a negative weight exponent:
    its sum is then rounded for each source part.
    """
    members = {
        name: [(f"{name}@{i}", load.neurons[name]) for i, load in enumerate(mapping.cores) if name in load.neurons]
        for name in mapping.sizes
    }
    members |= {i.name: [(i.name, np.arange(i.size, dtype=np.int32))] for i in network.inputs}
    return replace(
        network,
        populations=tuple(_part(p, name, held) for p in network.populations for name, held in members[p.name]),
        projections=tuple(q for p in network.projections for q in _blocks(p, members)),
        outputs=tuple(
            replace(o, name=f"{o.name}@{name.rpartition('@')[2]}", population=name)
            for o in network.outputs
            for name, _ in members[o.population]
        ),
    )


def _part(population: Population, name: str, held: NDArray[np.int32]) -> Population:
    return replace(population, name=name, shape=(held.size,), model=model_of(population.model, held))


def _blocks(projection: Projection, members: dict[str, list[tuple[str, NDArray[np.int32]]]]) -> Iterator[Projection]:
    """Yield a projection for each pair of parts that are connected by a synapse of ``projection``."""
    matrix = matrix_of(projection)
    for source, sources in members[projection.source]:
        from_here = _position(sources, matrix.n_source)
        for target, targets in members[projection.target]:
            to_here = _position(targets, matrix.n_target)
            chosen = (from_here[matrix.source] >= 0) & (to_here[matrix.target] >= 0)
            if chosen.any():
                block = Matrix(
                    from_here[matrix.source[chosen]], to_here[matrix.target[chosen]], matrix.weight[chosen],
                    sources.size, targets.size,
                )  # fmt: skip
                synapses, delay = _synapses(projection, block, sources, targets)
                yield replace(
                    projection,
                    name=f"{projection.name}: {source} to {target}",
                    source=source,
                    target=target,
                    synapses=synapses,
                    delay=delay,
                    mask=None,
                )


def _position(held: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """Return the index of each neuron within ``held``, -1 for neurons that are not in it."""
    position = np.full(n, -1, np.int32)
    position[held] = np.arange(held.size, dtype=np.int32)
    return position


def _synapses(
    projection: Projection, block: Matrix, sources: NDArray[np.int32], targets: NDArray[np.int32]
) -> tuple[Synapses, int | NDArray[np.int32]]:
    """Return the synapses of a block and their delay, as ``Sparse``, or as ``Dense`` where delays differ by synapse."""
    delay = projection.delay
    if not isinstance(delay, int) and delay.ndim == 2:
        weights = np.zeros((block.n_target, block.n_source), np.int16)
        weights[block.target, block.source] = block.weight
        return Dense(weights=weights), delay[np.ix_(targets, sources)]
    start = np.concatenate([[0], np.cumsum(np.bincount(block.source, minlength=block.n_source))])
    sparse = Sparse(n_target=block.n_target, start=start, target=block.target, weights=block.weight)
    return sparse, delay if isinstance(delay, int) else delay[sources]
