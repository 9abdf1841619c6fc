"""Spike messages as a hypergraph: each source neuron is an edge, the neurons that it reaches are its pins.

The graph covers the synapses into one population. A spike travels as one message to each core on which the source has a
target, so an edge costs one message for each part that holds one of its pins. A source in the same population is a pin of
its own edge, and the part that holds the source costs nothing (the measure "connectivity minus one").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip.layouts import Ints
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers


@dataclass(frozen=True, slots=True, eq=False)
class Hypergraph:
    """Edges and pins of one population of ``n`` neurons, stored by edge and by neuron.

    Edge ``e`` has the pins ``pins[edge_start[e]:edge_start[e + 1]]``; neuron ``v`` is a pin of the edges
    ``edges[pin_start[v]:pin_start[v + 1]]``. ``weight`` int64 ``(n_edges,)``: spikes of the source, 1 where unknown.
    ``inside``: total weight of the edges whose source lies in the population.
    """

    n: int
    edge_start: Ints
    pins: NDArray[np.int32]
    pin_start: Ints
    edges: NDArray[np.int32]
    weight: Ints
    inside: int

    @property
    def n_edges(self) -> int:
        """Number of source neurons with a target in the population."""
        return self.weight.size


def build_hypergraph(layers: Layers, population: str, spikes: Mapping[str, Ints] | None = None) -> Hypergraph:
    """Return the hypergraph of all projections into a population; a source neuron of several projections is one edge.

    ``spikes``: by population or input, the number of spikes of each neuron, used as weight of its edge.
    """
    network = layers.network
    n = network.population(population).size
    edge_keys, pins, weights, inside = [], [], [], 0
    offset = 0
    for source in dict.fromkeys(p.source for p in network.into(population)):
        matrices = [layers.matrix(p) for p in network.into(population) if p.source == source]
        sources = np.concatenate([m.source for m in matrices]).astype(np.int64)
        targets = np.concatenate([m.target for m in matrices]).astype(np.int64)
        active = np.unique(sources)
        rate = np.ones(network.sizes[source], np.int64) if spikes is None else spikes[source]
        if source == population:
            sources, targets = np.concatenate([sources, active]), np.concatenate([targets, active])
            inside += int(rate[active].sum())
        pairs = np.searchsorted(active, sources) * n + targets
        if np.any(np.diff(pairs) <= 0):
            pairs = np.unique(pairs)
        edge_keys.append(offset + pairs // n)
        pins.append(pairs % n)
        weights.append(rate[active])
        offset += active.size
    none = [np.zeros(0, np.int64)]
    edge, pin = np.concatenate(edge_keys or none), np.concatenate(pins or none)
    by_pin = np.argsort(pin, kind="stable")
    return Hypergraph(
        n=n,
        edge_start=_starts(edge, offset),
        pins=pin.astype(np.int32),
        pin_start=_starts(pin, n),
        edges=edge[by_pin].astype(np.int32),
        weight=np.concatenate(weights or none).astype(np.int64),
        inside=inside,
    )


def _starts(keys: Ints, n: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=n))]).astype(np.int64)


def messages(graph: Hypergraph, cut: Cut) -> int:
    """Return the messages between cores that a cut causes, if each source fires as often as the weight of its edge."""
    edge = np.repeat(np.arange(graph.n_edges), np.diff(graph.edge_start))
    met = np.unique(edge * cut.n_parts + cut.labels[graph.pins])
    return int(graph.weight[met // cut.n_parts].sum()) - graph.inside


def fewest_messages(graph: Hypergraph, largest_part: int) -> int:
    """Return a lower bound on the messages of any cut into parts of at most ``largest_part`` neurons."""
    parts = -(-np.diff(graph.edge_start) // largest_part)
    return int((parts * graph.weight).sum()) - graph.inside
