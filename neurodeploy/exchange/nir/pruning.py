"""Removal of neurons that take no part (``network.idle``) from a flat NIR graph, with their weights on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError, NirError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.neurons import neuron_shape
from neurodeploy.network import Network, difference
from neurodeploy.network.idle import find_idle, removable, without_neurons

_DENSE = ("Linear", "Affine")
_OF_EACH = ("Delay", "Scale", "Threshold")
"""Nodes that do something to each signal by itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pruned:
    """A graph without its idle neurons, and the network that it gives.

    ``removed``: numbers of the neurons that are gone, by node; ``kept``: by node, which idle neurons stay, and why.
    """

    graph: Graph
    network: Network
    removed: dict[str, list[int]]
    kept: dict[str, str]


def prune(graph: Graph, network: Network, read: Callable[[Graph], Network]) -> Pruned:
    """Return a graph without the idle neurons whose removal leaves all others as they are, to the last integer.

    Args:
        graph: a flat graph.
        network: what ``read`` makes of it, with the names of its nodes.
        read: returns the network of a graph.
    """
    gone, kept = removable(network, find_idle(network))
    removed: dict[str, list[int]] = {}
    for name, numbers in gone.items():
        smaller = _without(graph, name, numbers)
        if isinstance(smaller, str):
            kept[name] = smaller
            continue
        wanted = without_neurons(network, {name: numbers})
        try:
            found = read(smaller)
            changed = difference(_plain(wanted), _plain(found))
        except (NirError, NetworkError) as error:
            changed = str(error)
        if changed:
            kept[name] = f"without them the others would be rounded differently ({changed})"
            continue
        graph, network, removed[name] = smaller, found, numbers.tolist()
    return Pruned(graph=graph, network=network, removed=removed, kept=kept)


def _plain(network: Network) -> Network:
    """Return a network with one number for each parameter and delay that is the same everywhere."""
    populations = []
    for p in network.populations:
        model: Any = p.model
        own = {name: getattr(model, name) for name in model.__dataclass_fields__}
        arrays = {name: _one(value) for name, value in own.items() if isinstance(value, np.ndarray)}
        populations.append(replace(p, model=replace(model, **arrays)))
    projections = tuple(replace(q, delay=_one(q.delay)) for q in network.projections)
    return replace(network, populations=tuple(populations), projections=projections)


def _one(value: Any) -> Any:
    array = np.asarray(value)
    return int(array.flat[0]) if array.size and np.all(array == array.flat[0]) else value


def _without(graph: Graph, name: str, gone: NDArray[np.int64]) -> Graph | str:
    """Return the graph without some neurons of a node, or in words what stands in the way."""
    shape = neuron_shape(graph.nodes[name])
    if len(shape) != 1:
        return f"their node has the shape {shape}, from which no single neurons can be taken"
    n = shape[0]
    keep = np.setdiff1d(np.arange(n), gone)
    nodes = dict(graph.nodes)
    nodes[name] = _part_of(nodes[name], n, keep)
    after: dict[str, list[str]] = {}
    for a, b in graph.edges:
        after.setdefault(a, []).append(b)
    for side, beyond, axis in ((graph.before, after, 0), (after, graph.before, 1)):
        waiting = [(other, name) for other in side.get(name, [])]
        while waiting:
            own, near = waiting.pop()
            node = nodes[own]
            if set(beyond.get(own, [])) != {near}:
                return f"'{own}' ({node.kind}) serves other nodes too"
            if node.kind in _OF_EACH:
                nodes[own] = _part_of(node, n, keep)
                waiting += [(other, own) for other in side.get(own, [])]
            elif node.kind in _DENSE and np.ndim(node.fields.get("weight", 0)) == 2:
                nodes[own] = _dense_part(node, keep, axis)
            else:
                return f"'{own}' ({node.kind}) lies beside them, which has no weights of single neurons"
    return replace(graph, nodes=nodes)


def _part_of(node: Node, n: int, keep: NDArray[np.int64]) -> Node:
    """Return a node with the numbers of some of its ``n`` neurons; one number for all stays."""
    fields = {key: np.asarray(v)[keep] if np.shape(v) == (n,) else v for key, v in node.fields.items()}
    return replace(node, fields=fields)


def _dense_part(node: Node, keep: NDArray[np.int64], axis: int) -> Node:
    """Return a Linear or Affine with some of its rows (``axis`` 0, with their biases) or columns."""
    fields = {**node.fields, "weight": np.take(np.asarray(node.fields["weight"]), keep, axis=axis)}
    if axis == 0 and np.ndim(fields.get("bias", 0)):
        fields["bias"] = np.asarray(fields["bias"])[keep]
    return replace(node, fields=fields)
