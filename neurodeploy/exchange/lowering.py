"""A flat NIR graph as connections between inputs and neurons: every path through nodes without state becomes one.

Going back from each neuron, the nodes on the way (Linear, Flatten, Delay, ...) are collected until a neuron or an Input is
met. Several edges into a node add up, so each path is a connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.graph import Graph, Node
from neurodeploy.exchange.neurons import NEURON_KINDS, Floats, neuron_shape
from neurodeploy.network import Shape

STATELESS_KINDS = ("Linear", "Affine", "Flatten", "Delay")
SUPPORTED_KINDS = ("Input", "Output", *NEURON_KINDS, *STATELESS_KINDS)
_MAX_PATHS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """A way from an Input or a neuron through ``nodes`` (in the direction of the spikes) to a neuron or an Output."""

    source: str
    target: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Connection:
    """A path as one matrix: float weights ``(n_target, n_source)`` in NIR units, delays in steps, a constant current.

    ``delay`` is one int64 per source neuron; ``bias`` float64 per target neuron or None.
    """

    name: str
    source: str
    target: str
    weights: Floats
    delay: NDArray[np.int64]
    bias: Floats | None


def find_paths(graph: Graph, target: str) -> list[Path]:
    """Return every path that ends at the node ``target``.

    Raises:
        NirError: for a cycle without a neuron, or a graph with too many paths.
    """
    before: dict[str, list[str]] = {}
    for source, end in graph.edges:
        before.setdefault(end, []).append(source)
    found: list[Path] = []
    open_ends: list[tuple[str, tuple[str, ...]]] = [(source, ()) for source in before.get(target, [])]
    while open_ends:
        name, way = open_ends.pop(0)
        kind = graph.nodes[name].kind
        if kind == "Input" or kind in NEURON_KINDS:
            found.append(Path(source=name, target=target, nodes=tuple(graph.nodes[n] for n in way)))
            continue
        if name in way:
            raise NirError(f"nir: {graph.origin}: the cycle through '{name}' holds no neuron, so it has no delay")
        if len(found) + len(open_ends) > _MAX_PATHS:
            raise NirError(f"nir: {graph.origin}: more than {_MAX_PATHS} paths lead to '{target}'")
        open_ends += [(source, (name, *way)) for source in before.get(name, [])]
    return found


def connection(path: Path, source_shape: Shape, target_shape: Shape, dt: float) -> Connection:
    """Return the path as one matrix with delays.

    Raises:
        NirError: with the node that cannot be taken over.
    """
    shape, delay = source_shape, np.zeros(int(np.prod(source_shape)), np.int64)
    weights: Floats | None = None
    bias: Floats | None = None
    name = path.nodes[-1].name if path.nodes else path.target
    for node in path.nodes:
        if node.kind == "Delay":
            if weights is not None:
                raise NirError(f"nir: node '{node.name}' (Delay) follows '{name}'; delays must lie before the weights")
            delay = delay + delay_steps(node, shape, dt)
        elif node.kind == "Flatten":
            shape = flattened(node, shape)
        else:
            if weights is not None:
                raise NirError(f"nir: node '{node.name}' follows '{name}' without a neuron between; multiply the two")
            name, weights, bias = node.name, matrix(node, shape), affine_bias(node)
            shape = (weights.shape[0],)
    if weights is None:
        raise NirError(
            f"nir: '{path.source}' reaches '{path.target}' without weights; put a Linear node (an identity) between"
        )
    if int(np.prod(shape)) != int(np.prod(target_shape)):
        raise NirError(f"nir: node '{name}' gives {shape}, but '{path.target}' has the shape {target_shape}")
    return Connection(name=name, source=path.source, target=path.target, weights=weights, delay=delay, bias=bias)


def array_field(node: Node, name: str) -> Floats:
    """Return a field as finite float64.

    Raises:
        NirError: if it is missing, not numeric or not finite.
    """
    where = f"nir: node '{node.name}' ({node.kind}): {name}"
    value = node.fields.get(name)
    if value is None:
        raise NirError(f"{where} is missing")
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise NirError(f"{where} holds {array.dtype}, expected numbers")
    array = array.astype(np.float64)
    if not np.all(np.isfinite(array)):
        raise NirError(f"{where} holds {array[~np.isfinite(array)].flat[0]}, expected finite numbers")
    return array


def matrix(node: Node, shape: Shape) -> Floats:
    """Return the weights of a Linear or Affine as ``(n_target, n_source)``."""
    weights = array_field(node, "weight")
    if weights.ndim != 2:
        raise NirError(f"nir: node '{node.name}' ({node.kind}): weight has shape {weights.shape}, expected (out, in)")
    if (weights.shape[1],) != shape:
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}): weight has shape {weights.shape}, but {shape} arrives; "
            + ("flatten it first" if len(shape) > 1 else "the second axis must be the number of inputs")
        )
    return weights


def affine_bias(node: Node) -> Floats | None:
    """Return the constant current of an Affine, or None where there is none."""
    if node.kind != "Affine":
        return None
    bias = array_field(node, "bias")
    if bias.size not in (1, len(np.asarray(node.fields["weight"]))):
        raise NirError(f"nir: node '{node.name}' (Affine): bias has shape {bias.shape}, does not match the weight")
    return bias if np.any(bias) else None


def delay_steps(node: Node, shape: Shape, dt: float) -> NDArray[np.int64]:
    """Return the delay of each element in whole steps.

    Raises:
        NirError: if one is negative or lies more than a thousandth of a step beside a whole one.
    """
    delay = array_field(node, "delay")
    if delay.size != 1 and delay.shape != shape:
        raise NirError(f"nir: node '{node.name}' (Delay): delay has shape {delay.shape}, but {shape} arrives")
    steps = np.broadcast_to(delay.reshape(-1) / dt, (int(np.prod(shape)),))
    whole = np.rint(steps)
    if np.any(steps < 0) or np.any(np.abs(steps - whole) > 1e-3):
        bad = steps[(steps < 0) | (np.abs(steps - whole) > 1e-3)][0]
        raise NirError(
            f"nir: node '{node.name}' (Delay): delay {bad * dt:g} is {bad:g} steps of {dt:g}, need whole steps"
        )
    return whole.astype(np.int64)


def flattened(node: Node, shape: Shape) -> Shape:
    """Return what a Flatten makes of a shape (without batch axis)."""
    start = int(np.asarray(node.fields.get("start_dim", 0)))
    end = int(np.asarray(node.fields.get("end_dim", -1))) % len(shape)
    if not 0 <= start <= end:
        raise NirError(f"nir: node '{node.name}' (Flatten): start_dim {start}, end_dim {end} do not fit {shape}")
    return (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])


def node_shape(node: Node) -> Shape:
    """Return the shape of an Input, an Output or a neuron."""
    if node.kind in NEURON_KINDS:
        return neuron_shape(node)
    value = node.fields.get("shape")
    sizes = np.asarray(value if value is not None else 0).reshape(-1)
    if sizes.dtype.kind not in "iuf" or sizes.size == 0 or np.any(sizes < 1) or np.any(sizes != np.rint(sizes)):
        raise NirError(f"nir: node '{node.name}' ({node.kind}): shape is {value}, expected sizes of at least 1")
    return tuple(int(n) for n in sizes)


def hops(connections: list[Connection], inputs: list[str]) -> dict[str, int]:
    """Return the number of connections on the shortest way from an input to each neuron node."""
    found = dict.fromkeys(inputs, 0)
    front = list(inputs)
    while front:
        reached = {c.target: found[c.source] + 1 for c in connections if c.source in front and c.target not in found}
        found.update(reached)
        front = list(reached)
    return found


def first_steps(connections: list[Connection], inputs: list[str]) -> dict[str, int]:
    """Return the step in which each population starts: its depth, so late that no connection must be faster than one step.

    A connection that does not lead to a greater depth inside a cycle is recurrent, which costs its one step in NIR too;
    it does not count.
    """
    depth = hops(connections, inputs)
    start = dict(depth)
    for _ in range(len(start) + 1):
        moved = False
        for c in _forward(connections, depth):
            earliest = start[c.source] + 1 - int(c.delay.min(initial=0))
            if earliest > start[c.target]:
                start[c.target], moved = earliest, True
        if not moved:
            break
    return start


def is_recurrent(c: Connection, connections: list[Connection], depth: dict[str, int]) -> bool:
    """Say whether a connection closes a cycle, so that NIR gives it a step of its own."""
    return depth[c.target] <= depth[c.source] and _reaches(connections, c.target, c.source)


def _forward(connections: list[Connection], depth: dict[str, int]) -> Iterator[Connection]:
    return (c for c in connections if not is_recurrent(c, connections, depth))


def _reaches(connections: list[Connection], start: str, end: str) -> bool:
    seen, front = {start}, [start]
    while front:
        front = [c.target for c in connections if c.source in front and c.target not in seen]
        seen.update(front)
    return end in seen
