"""Lowering of a flat NIR graph to connections between inputs and neurons: each path through nodes without state is one.

Going back from each neuron, the nodes on the way (Linear, Flatten, Delay, ...) are collected until a neuron or an Input is
met. Signals of several edges into a node add up, so each path becomes a separate connection. A path of convolutions, pools
and scales by channel is one convolution wherever their product is one (``products.py``); other linear nodes in a row are
multiplied into one matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.neurons import NEURON_KINDS, Floats
from neurodeploy.exchange.nir.ops import (
    MIXING_KINDS,
    Window,
    apply,
    delay_steps,
    float_field,
    number_field,
    output_shape,
)
from neurodeploy.exchange.nir.products import Kernel, kernel_of, matrix_of
from neurodeploy.network import Conv, Dense, Pool, Shape, Synapses

Suffix: TypeAlias = tuple[str, ...]
"""Names of the nodes on the way from a node with a bias to the target."""
BIASED_KINDS = ("Affine", "Conv1d", "Conv2d")
IDENTITY = "identity synapses inserted"
"""What the ledger says of a path without weights."""
_MAX_PATHS = 10_000
_ROWS_AT_ONCE = 2**16
"""Weights of a matrix that are looked at in floats at once."""
_MAX_UNROLLED = 2**26
"""Elements of the largest matrix that nodes are multiplied into; at 8 bits a weight 64 MiB, more than any chip has."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """A way from an Input or a neuron through ``nodes`` (in the direction of the spikes) to a neuron or an Output."""

    source: str
    target: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Connection:
    """A path as synapses with float weights (32 or 64 bits) in NIR units, delays in steps, and a constant current.

    ``weights`` is ``(n_target, n_source)``, or the kernel if ``form`` is a window (one number for pooling). ``delay``
    is int64 ``(n_source,)``, or ``(n_target, n_source)`` if it differs by target; ``bias`` is the constant current,
    float64 ``(n_target,)`` or None. ``said`` is what the ledger says of nodes that became one.
    """

    name: str
    source: str
    target: str
    weights: NDArray[np.floating[Any]]
    delay: NDArray[np.int64]
    bias: Floats | None = None
    form: Window | None = None
    pooled: bool = False
    said: str = ""

    def most(self, low: int, high: int) -> Floats:
        """Return a bound of what a step brings to each target, ``(n_target,)``, for payloads from ``low`` to ``high``."""
        rows = np.broadcast_to(self.weights, self.weights.shape if self.form is None else self.form.kernel.shape)
        each = rows.reshape(len(rows), -1)
        total = np.zeros(len(each))
        step = max(1, _ROWS_AT_ONCE // max(1, each.shape[1]))
        for first in range(0, len(each), step):  # a large matrix is never there twice
            part = each[first : first + step].astype(np.float64)
            total[first : first + step] = np.maximum(np.maximum(part * low, part * high), 0).sum(axis=1)
        if self.form is None:
            return total
        _, height, width = self.form.output_shape
        return np.repeat(total, height * width)

    def synapses(self, weights: NDArray[np.int16]) -> Synapses:
        """Return the synapses with integer weights of the same shape."""
        if self.form is None:
            return Dense(weights=weights)
        form = self.form
        if self.pooled:
            height, width = form.kernel.shape[2:]
            return Pool(
                input_shape=form.input_shape,
                kernel=(height, width),
                stride=form.stride,
                padding=form.padding,
                weight=int(weights),
            )
        return Conv(
            weights=weights,
            input_shape=form.input_shape,
            stride=form.stride,
            padding=form.padding,
            dilation=form.dilation,
            groups=form.groups,
        )


def find_paths(graph: Graph, target: str) -> list[Path]:
    """Return every path that ends at the node ``target``.

    Raises:
        NirError: for a cycle without a neuron, or a graph with too many paths.
    """
    found: list[Path] = []
    open_ends: list[tuple[str, tuple[str, ...]]] = [(source, ()) for source in graph.before.get(target, [])]
    while open_ends:
        name, way = open_ends.pop(0)
        kind = graph.nodes[name].kind
        if kind == "Input" or kind in NEURON_KINDS:
            found.append(Path(source=name, target=target, nodes=tuple(graph.nodes[n] for n in way)))
            continue
        if name in way:
            raise NirError(
                f"nir: {graph.origin}: the cycle through '{name}' holds no neuron, so nothing delays it; break it or put a "
                "neuron into it"
            )
        if len(found) + len(open_ends) > _MAX_PATHS:
            raise NirError(f"nir: {graph.origin}: more than {_MAX_PATHS} paths lead to '{target}'; simplify the graph")
        open_ends += [(source, (name, *way)) for source in graph.before.get(name, [])]
    return found


def connection(
    path: Path,
    source_shape: Shape,
    target_size: int,
    dt: float,
    *,
    seen: set[Suffix] | None = None,
) -> Connection:
    """Return a path as synapses; a path without weights becomes one-to-one synapses of weight 1, which is what it means.

    Args:
        seen: ways from a node with a bias to the target that other paths have counted already; extended in place.

    Raises:
        NirError: names the node that cannot be imported.
    """
    shapes = [source_shape]
    for node in path.nodes:
        shapes.append(output_shape(node, shapes[-1]))
    mixing = [i for i, node in enumerate(path.nodes) if node.kind in MIXING_KINDS]
    name = path.nodes[mixing[-1]].name if mixing else (path.nodes[-1].name if path.nodes else path.target)
    if int(np.prod(shapes[-1])) != target_size:
        raise NirError(f"nir: node '{name}' gives {shapes[-1]}, but '{path.target}' has {target_size} neurons")
    delay = _delay(path, shapes, mixing, dt)
    found = _linear(path, shapes, mixing)
    if found is None:
        kernel = kernel_of(path.nodes, shapes)
        if isinstance(kernel, str) or delay.ndim == 2:
            why = kernel if isinstance(kernel, str) else "delays behind it differ"
            found = _unrolled(path, shapes, why)
        else:
            found = _window(path, kernel)
    bias = _constant(path.nodes, shapes, set() if seen is None else seen)
    return replace(found, name=name, delay=delay, bias=bias)


def _delay(path: Path, shapes: list[Shape], mixing: list[int], dt: float) -> NDArray[np.int64]:
    """Return the delay of each source neuron, or of each (target, source) pair if Delay nodes follow the weights."""
    first, last = (mixing[0], mixing[-1]) if mixing else (len(path.nodes), -1)
    before = np.zeros(int(np.prod(shapes[0])), np.int64)
    after = np.zeros(int(np.prod(shapes[-1])), np.int64)
    for i, node in enumerate(path.nodes):
        if node.kind != "Delay":
            continue
        steps = delay_steps(node, shapes[i], dt)
        if i < first:
            before = before + steps
        elif np.all(steps == steps[0]):
            before = before + steps[0]
        elif i > last:
            after = after + steps
        else:
            raise NirError(
                f"nir: node '{node.name}' (Delay) lies between two linear nodes and differs by element; only one delay for "
                "all is possible there"
            )
    return before if not after.any() else after[:, None] + before[None, :]


def _constant(nodes: Sequence[Node], shapes: Sequence[Shape], seen: set[Suffix]) -> Floats | None:
    """Return the constant that biases on the path add to each target, or None; leaves out what another path has counted."""
    total: Floats | None = None
    for i, node in enumerate(nodes):
        suffix = tuple(n.name for n in nodes[i:])
        if node.kind not in BIASED_KINDS or suffix in seen or not np.any(number_field(node, "bias")):
            continue
        seen.add(suffix)
        own = apply(node, np.zeros((1, *shapes[i])))
        reached = (_through(nodes[i + 1 :], own) - _through(nodes[i + 1 :], np.zeros_like(own))).reshape(-1)
        total = reached if total is None else total + reached
    return total


def _through(nodes: Sequence[Node], x: Floats) -> Floats:
    for node in nodes:
        x = apply(node, x)
    return x


def _linear(path: Path, shapes: list[Shape], mixing: list[int]) -> Connection | None:
    """Return the connection if the path has one Linear or Affine and only uniform Scale nodes, else None."""
    if len(mixing) != 1 or path.nodes[mixing[0]].kind not in ("Linear", "Affine"):
        return None
    factor = 1.0
    for node in path.nodes:
        if node.kind == "Scale":
            scale = number_field(node, "scale")
            if np.any(scale != scale.flat[0]):
                return None
            factor *= float(scale.flat[0])
    weights = float_field(path.nodes[mixing[0]], "weight")
    if weights.ndim > 2 or int(np.prod(shapes[mixing[0]][:-1])) > 1:
        return None
    if factor != 1:
        weights = factor * weights.astype(np.float64)
    return Connection(name="", source=path.source, target=path.target, weights=weights, delay=np.zeros(0, np.int64))


def _window(path: Path, kernel: Kernel) -> Connection:
    form, size = kernel.form, " x ".join(map(str, kernel.form.kernel.shape[2:]))
    many = sum(node.kind in MIXING_KINDS for node in path.nodes) > 1
    said = f"{', '.join(kernel.nodes)} folded into one kernel of {size}" if many else ""
    return Connection(
        name="",
        source=path.source,
        target=path.target,
        weights=np.asarray(form.kernel.flat[0]) if kernel.pooled else form.kernel,
        delay=np.zeros(0, np.int64),
        form=form,
        pooled=kernel.pooled,
        said=said if kernel.nodes else IDENTITY,
    )


def _unrolled(path: Path, shapes: list[Shape], why: str) -> Connection:
    """Return the path as one matrix; ``why`` says what keeps its nodes from being a convolution."""
    n_source, n_target = int(np.prod(shapes[0])), int(np.prod(shapes[-1]))
    no_kernel = f", because {why}" if why else ""
    if n_source * n_target > _MAX_UNROLLED:
        raise NirError(
            f"nir: the way from '{path.source}' to '{path.target}' would be a matrix of {n_target} x {n_source}{no_kernel}: "
            f"up to {_size(n_source * n_target)} at 8 bits a weight, the limit is {_size(_MAX_UNROLLED)}; put a neuron "
            "between its linear nodes, or take away what keeps them from being one convolution (padding, scales that "
            "differ within a channel)"
        )
    matrix = matrix_of(path.nodes, shapes)
    names = ", ".join(n.name for n in path.nodes if n.kind in (*MIXING_KINDS, "Scale"))
    n = int(np.count_nonzero(matrix))
    cost = f" of {n_target} x {n_source}{no_kernel}: {n} weights, {_size(n)} at 8 bits each"
    return Connection(
        name="",
        source=path.source,
        target=path.target,
        weights=matrix,
        delay=np.zeros(0, np.int64),
        said=f"{names} multiplied into one matrix{cost}" if names else IDENTITY,
    )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB" if n_bytes >= 2**20 else f"{n_bytes / 1024:.1f} KiB"


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """Depth and first step (``start``) of each input and neuron node, and indices of the connections that close a cycle."""

    depth: dict[str, int]
    start: dict[str, int]
    recurrent: frozenset[int]


def depth_of(pairs: Sequence[tuple[str, str]], roots: Mapping[str, int]) -> dict[str, int]:
    """Return the number of connections (``pairs`` of source and target) on the shortest path from a root to each node.

    ``roots`` gives the depth of the root nodes.
    """
    after: dict[str, list[str]] = {}
    for a, b in pairs:
        after.setdefault(a, []).append(b)
    depth = dict(roots)
    level, front = 0, [name for name, d in roots.items() if d == 0]
    while front or level < max(roots.values(), default=0):
        level += 1
        reached = {b for a in front for b in after.get(a, []) if b not in depth}
        depth.update(dict.fromkeys(reached, level))
        front = [*reached, *(name for name, d in roots.items() if d == level)]
    return depth


def recurrent_pairs(pairs: Sequence[tuple[str, str]], depth: Mapping[str, int]) -> frozenset[tuple[str, str]]:
    """Return the pairs that close a cycle: pairs inside a cycle whose target is not deeper than its source."""
    component = _components(pairs)
    return frozenset((a, b) for a, b in pairs if component[a] == component[b] and depth.get(b, 0) <= depth.get(a, 0))


def clock(connections: Sequence[Connection], inputs: Sequence[str], driven: Sequence[str] = ()) -> Clock:
    """Return the first step of each population: its depth, or later, so that each connection has at least one step.

    A connection inside a cycle that does not lead to a greater depth is recurrent: it costs one step in NIR too, and
    does not count for the depth. Neurons in ``driven`` have a bias but no connection from other nodes: their depth is 1.
    """
    roots = dict.fromkeys(driven, 1) | dict.fromkeys(inputs, 0)
    pairs = [(c.source, c.target) for c in connections]
    depth = depth_of(pairs, roots)
    closing = recurrent_pairs(pairs, depth)
    recurrent = frozenset(i for i, pair in enumerate(pairs) if pair in closing)
    start = dict(depth)
    forward = [c for i, c in enumerate(connections) if i not in recurrent and c.source in depth]
    for _ in range(len(start) + 1):
        moved = False
        for c in forward:
            earliest = start[c.source] + 1 - int(c.delay.min(initial=0))
            if earliest > start[c.target]:
                start[c.target], moved = earliest, True
        if not moved:
            break
    return Clock(depth, start, recurrent)


def _components(pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the number of the strongly connected component of each node.

    Source: Sharir, Computers & Mathematics with Applications 7 (1981): from the node that a walk along the pairs finishes
    last, a walk against them reaches exactly its component. scipy has it too, but takes 0.08 s to import.
    """
    along: dict[str, list[str]] = {name: [] for pair in pairs for name in pair}
    against: dict[str, list[str]] = {name: [] for name in along}
    for source, target in pairs:
        along[source].append(target)
        against[target].append(source)
    seen: set[str] = set()
    finished = [name for start in along for name in _finished(start, along, seen)]
    component: dict[str, int] = {}
    seen = set()
    for number, start in enumerate(reversed(finished)):
        component |= dict.fromkeys(_finished(start, against, seen), number)
    return component


def _finished(start: str, following: Mapping[str, Sequence[str]], seen: set[str]) -> list[str]:
    """Return the nodes that can be reached and were not seen, in the order in which a depth-first walk leaves them."""
    if start in seen:
        return []
    seen.add(start)
    left, open_nodes = [], [(start, iter(following[start]))]
    while open_nodes:
        name, rest = open_nodes[-1]
        further = next((other for other in rest if other not in seen), None)
        if further is None:
            left.append(name)
            open_nodes.pop()
        else:
            seen.add(further)
            open_nodes.append((further, iter(following[further])))
    return left
