"""Messages as a hypergraph: one edge a source neuron, its pins the neurons of one population that it reaches.

A spike travels as one message to each core on which the source has a target, so a cut into parts costs, for each edge,
the number of parts that hold one of its pins. Where the source lies in the same population it is a pin too, and the part
that holds it costs nothing (connectivity minus one).
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
    """Edges and pins of one population of ``n`` neurons, both ways round.

    Edge ``e`` holds the pins ``pins[edge_start[e]:edge_start[e + 1]]``; neuron ``v`` lies on the edges
    ``edges[pin_start[v]:pin_start[v + 1]]``. ``weight`` int64 ``(n_edges,)``: spikes of the source, 1 where unknown.
    ``inside`` counts the weight of edges whose source is a pin.
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
    """Return the hypergraph of all projections into a population; a source with several projections is one edge.

    ``spikes`` gives the number of spikes of each neuron by population or input, to weigh the edges with.
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
    """Return the messages between cores that a cut causes when every source fires as often as its weight says."""
    edge = np.repeat(np.arange(graph.n_edges), np.diff(graph.edge_start))
    met = np.unique(edge * cut.n_parts + cut.labels[graph.pins])
    return int(graph.weight[met // cut.n_parts].sum()) - graph.inside


def fewest_messages(graph: Hypergraph, largest_part: int) -> int:
    """Return a bound that no cut into parts of at most ``largest_part`` neurons can beat."""
    parts = -(-np.diff(graph.edge_start) // largest_part)
    return int((parts * graph.weight).sum()) - graph.inside
