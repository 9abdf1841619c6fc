"""Repair of faults in a NIR graph that have only one possible meaning; every repair is listed.

``from_nir`` reads the result of ``repaired``, and ``check_nir(fix=...)`` writes it. No repair changes a spike of a graph
that another reader accepts; a fault with two possible meanings is left and becomes an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.neurons import NEURON_KINDS, brief, neuron_shape, node_shape
from neurodeploy.exchange.nir.node_metadata import KEY, entry_of
from neurodeploy.exchange.nir.ops import STATELESS_KINDS, field_shape, output_shape
from neurodeploy.network import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A repair: the node (or "" for the graph), and in words what was done."""

    node: str
    what: str


def repaired(graph: Graph, *, axes_go: bool = False) -> tuple[Graph, tuple[Repair, ...]]:
    """Return a flat graph with complete nodes, and the list of repairs.

    Args:
        axes_go: take leading axes of an Input that the layers behind it do not have for those of batch and time, which the
            file has from the sample that it was exported with.

    Raises:
        NirError: for faults that cannot be repaired; names node and field.
    """
    found: list[Repair] = []
    steps: tuple[Callable[[Graph, list[Repair]], Graph], ...] = (
        _named,
        _flattened,
        _with_own_fields,
        _resolved_edges,
        _single_edges,
        _with_ends,
        partial(_fitted, axes_go=axes_go),
    )
    for step in steps:
        graph = step(graph, found)
    return graph, tuple(found)


def _named(graph: Graph, found: list[Repair]) -> Graph:
    """Return the graph with a misspelt node name in its edges corrected.

    If exactly one edge end names no node, exactly one node has no edge, and one name is a prefix of the other, treat them
    as the same node. Nested graphs in the NIR paper's repository have this fault: the node is ``lif1``, its edges say
    ``lif``.
    """
    inner = {n.name: _named(n.graph, found) for n in graph.nodes.values() if n.graph is not None}
    nodes = {n.name: replace(n, graph=inner[n.name]) if n.name in inner else n for n in graph.nodes.values()}
    graph = replace(graph, nodes=nodes)
    ends = {_resolved(graph, end) for edge in graph.edges for end in edge}
    unknown, alone = sorted(ends - nodes.keys()), sorted(nodes.keys() - ends)
    if len(unknown) != 1 or len(alone) != 1:
        return graph
    (wrong,), (right,) = unknown, alone
    if not wrong or not (right.startswith(wrong) or wrong.startswith(right)):
        return graph
    found.append(Repair(node=right, what=f"edges that name '{wrong}', which is no node, read as '{right}'"))
    edges = (tuple(right if end == wrong else end for end in edge) for edge in graph.edges)
    return replace(graph, edges=tuple((a, b) for a, b in edges))


def _flattened(graph: Graph, found: list[Repair]) -> Graph:
    """Return the graph with the nodes of nested graphs moved up as ``outer.inner``; inner Inputs and Outputs vanish."""
    while any(node.graph is not None for node in graph.nodes.values()):
        name, inner = next((n.name, n.graph) for n in graph.nodes.values() if n.graph is not None)
        graph = _spliced(graph, name, inner)
        found.append(Repair(node=name, what="nested graph put into the outer one"))
    identities = [n.name for n in graph.nodes.values() if n.kind == "Identity"]
    for name in identities:
        graph = _without(graph, name)
        found.append(Repair(node=name, what="Identity removed, its edges joined"))
    return graph


def _spliced(graph: Graph, name: str, inner: Graph) -> Graph:
    ends = {kind: [n.name for n in inner.nodes.values() if n.kind == kind] for kind in ("Input", "Output")}
    for kind, names in ends.items():
        if len(names) != 1:
            raise NirError(
                f"nir: the nested graph '{name}' has {len(names)} {kind} nodes; exactly one is read, so put its nodes into "
                "the outer graph before writing"
            )
    taken = inner.nodes[ends["Input"][0]]
    if entry_of(taken):
        raise NirError(
            f"nir: the Input of the nested graph '{name}' takes payloads ({dict(entry_of(taken))}), which are lost when its "
            f"nodes are put into the outer graph; move the entry '{KEY}' of its metadata to the outer Input"
        )
    nodes = {key: node for key, node in graph.nodes.items() if key != name}
    for node in inner.nodes.values():
        kind = "Identity" if node.kind in ends else node.kind
        nodes[f"{name}.{node.name}"] = replace(node, name=f"{name}.{node.name}", kind=kind)
    edges = [(f"{name}.{a}", f"{name}.{b}") for a, b in inner.edges]
    first, last = f"{name}.{ends['Input'][0]}", f"{name}.{ends['Output'][0]}"
    edges += [(last if a == name else a, first if b == name else b) for a, b in graph.edges]
    flat = replace(graph, nodes=nodes, edges=tuple(edges))
    if inner.nodes[ends["Input"][0]].graph is not None:
        raise NirError(f"nir: the nested graph '{name}' has no plain Input")
    return _without(_without(_resolved_edges(flat, []), first), last)


def _with_own_fields(graph: Graph, found: list[Repair]) -> Graph:
    """Return the graph without fields that nodes of their kind do not have; nothing reads them."""
    nodes = dict(graph.nodes)
    for node in graph.nodes.values():
        foreign = [name for name in node.fields if name not in FIELDS.get(node.kind, node.fields)]
        if foreign:
            fields = {name: value for name, value in node.fields.items() if name not in foreign}
            nodes[node.name] = replace(node, fields=fields)
            what = f"{', '.join(foreign)} left out, which {node.kind} nodes do not have"
            found.append(Repair(node=node.name, what=what))
    return replace(graph, nodes=nodes)


_LEAKY = ("tau", "r", "v_leak")
_CUBA = ("tau_syn", "tau_mem", "r", "v_leak", "w_in")
_FIRES = ("v_threshold", "v_reset")
_CONV = ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias")
_POOL = ("kernel_size", "stride", "padding")
FIELDS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "LIF": (*_LEAKY, *_FIRES),
    "LI": _LEAKY,
    "IF": ("r", *_FIRES),
    "I": ("r",),
    "CubaLIF": (*_CUBA, *_FIRES),
    "CubaLI": _CUBA,
    "Threshold": ("threshold",),
    "Linear": ("weight",),
    "Affine": ("weight", "bias"),
    "Scale": ("scale",),
    "Delay": ("delay",),
    "Flatten": ("input_type", "start_dim", "end_dim"),
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
}
"""Fields of the kinds of nodes in nir 1.0.8."""


def _without(graph: Graph, name: str) -> Graph:
    """Return the graph without a node that only passes its signal on."""
    before = [a for a, b in graph.edges if b == name and a != name]
    after = [b for a, b in graph.edges if a == name and b != name]
    kept = [edge for edge in graph.edges if name not in edge]
    nodes = {key: node for key, node in graph.nodes.items() if key != name}
    return replace(graph, nodes=nodes, edges=(*kept, *((a, b) for a in before for b in after)))


def _resolved_edges(graph: Graph, found: list[Repair]) -> Graph:
    """Return the graph with edges that name ``x.input`` or ``x.output`` of a plain node ``x`` leading to ``x``."""
    edges = []
    for edge in graph.edges:
        ends = [_resolved(graph, end) for end in edge]
        if tuple(ends) != edge:
            found.append(Repair(node="", what=f"edge {edge[0]} -> {edge[1]} read as {ends[0]} -> {ends[1]}"))
        edges.append((ends[0], ends[1]))
    return replace(graph, edges=tuple(edges))


def _resolved(graph: Graph, name: str) -> str:
    stem, _, port = name.rpartition(".")
    return stem if name not in graph.nodes and port in ("input", "output") and stem in graph.nodes else name


def _single_edges(graph: Graph, found: list[Repair]) -> Graph:
    edges: dict[tuple[str, str], None] = {}
    for edge in graph.edges:
        if edge in edges:
            found.append(Repair(node="", what=f"edge {edge[0]} -> {edge[1]} stands twice in the file, taken once"))
        edges[edge] = None
    return replace(graph, edges=tuple(edges))


def _with_ends(graph: Graph, found: list[Repair]) -> Graph:
    """Return the graph with an Input before its roots and an Output after its leaves, if it has no Input or no Output."""
    kinds = {node.kind for node in graph.nodes.values()}
    nodes, edges = dict(graph.nodes), list(graph.edges)
    if "Input" not in kinds:
        roots = [n for n in graph.nodes.values() if n.name not in {b for a, b in graph.edges if a != b}]
        for node in roots:
            name, shape = _free(nodes, "input", node.name, len(roots)), _root_shape(node)
            nodes[name] = Node(name=name, kind="Input", fields={"shape": np.array(shape)})
            edges.insert(0, (name, node.name))
            found.append(Repair(node=name, what=f"Input of shape {shape} added before '{node.name}'"))
    if "Output" not in kinds:
        leaves = [n for n in graph.nodes.values() if n.name not in {a for a, b in graph.edges if a != b}]
        for node in leaves:
            name = _free(nodes, "output", node.name, len(leaves))
            shape = neuron_shape(node) if node.kind in NEURON_KINDS else (1,)
            nodes[name] = Node(name=name, kind="Output", fields={"shape": np.array(shape)})
            edges.append((node.name, name))
            found.append(Repair(node=name, what=f"Output added after '{node.name}'"))
    return replace(graph, nodes=nodes, edges=tuple(edges))


def _free(nodes: dict[str, Node], stem: str, node: str, n: int) -> str:
    wanted = stem if n == 1 else f"{stem}_{node}"
    return next(name for name in (wanted, *(f"{wanted}_{i}" for i in range(2, len(nodes) + 3))) if name not in nodes)


def _root_shape(node: Node) -> Shape:
    if node.kind in NEURON_KINDS:
        return neuron_shape(node)
    weight = field_shape(node, "weight") if node.kind in ("Linear", "Affine", "Conv2d") else ()
    if node.kind in ("Linear", "Affine") and len(weight) > 1:
        return (*weight[:-2], weight[-1])
    if node.kind == "Conv2d" and len(weight) == 4 and node.fields.get("input_shape") is not None:
        sizes = np.ravel(node.fields["input_shape"]), np.ravel(node.fields.get("groups", 1))
        if all(s.dtype.kind in "iuf" and s.size and np.all((s >= 1) & (s < 2**20)) for s in sizes):
            return (weight[1] * int(sizes[1][0]), *(int(n) for n in sizes[0]))
    raise NirError(
        f"nir: the graph has no Input, and node '{node.name}' ({node.kind}) at its start does not tell the shape of one; "
        "add an Input node"
    )


def _fitted(graph: Graph, found: list[Repair], *, axes_go: bool) -> Graph:
    """Return the graph with each node, from the Inputs on, fitted to the shape of its input."""
    nodes = dict(graph.nodes)
    after: dict[str, list[str]] = {}
    for a, b in graph.edges:
        after.setdefault(a, []).append(b)
    arriving: dict[str, Shape] = {}
    front = [n.name for n in nodes.values() if n.kind == "Input"]
    while front:
        name = front.pop(0)
        following = [nodes[n] for n in after.get(name, []) if n in nodes]
        if nodes[name].kind == "Input":
            sure = axes_go or _one_neuron_a_row(following, nodes, after)
            nodes[name], what = _fit_input(nodes[name], following, sure)
        else:
            nodes[name], what = _fit(nodes[name], arriving.get(name), following)
        found += [Repair(node=name, what=w) for w in what]
        if nodes[name].kind == "Output":
            continue
        leaving = _leaving(nodes[name], arriving.get(name))
        for n in after.get(name, []):
            if n in arriving:
                _check_same(nodes[n], arriving[n], leaving, name)
            elif n in nodes:
                arriving[n] = leaving
                front.append(n)
    return replace(graph, nodes=nodes)


def _leaving(node: Node, arriving: Shape | None) -> Shape:
    if node.kind in STATELESS_KINDS and arriving is not None:
        return output_shape(node, arriving)
    return node_shape(node)


def _check_same(node: Node, known: Shape, other: Shape, source: str) -> None:
    if int(np.prod(known)) != int(np.prod(other)):
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}) receives {other} from '{source}', but {known} from another node; "
            "signals that meet must have one shape"
        )


def _fit(node: Node, arriving: Shape | None, following: list[Node]) -> tuple[Node, list[str]]:
    """Return the node fitted to the shape of its input, and a list of the changes in words."""
    if arriving is None:
        return node, []
    if node.kind in NEURON_KINDS:
        return _fit_neuron(node, arriving)
    if node.kind == "Flatten":
        return _fit_flatten(node, arriving, following)
    if node.kind in ("Conv1d", "Conv2d"):
        return _fit_sizes(node, arriving)
    if node.kind == "Output" and node_shape(node) != arriving:
        shape = node_shape(node)
        if shape[-len(arriving) :] != arriving and int(np.prod(shape)) not in (1, int(np.prod(arriving))):
            raise NirError(f"nir: node '{node.name}' (Output): shape is {shape}, but {arriving} arrives")
        return _changed(node, shape=np.array(arriving)), [f"shape {shape} set to {arriving}"]
    return node, []


def _fit_input(node: Node, following: list[Node], sure: bool) -> tuple[Node, list[str]]:
    """Fit an Input: leading axes that no layer behind it has are those of batch and time, if ``sure`` or of 1 element."""
    shape = node_shape(node)
    axes = {_AXES.get(n.kind, 0) for n in following}
    if len(axes) != 1 or not 0 < max(axes) < len(shape) or any(_is_batched(n) for n in following):
        return node, []
    own = shape[-max(axes) :]
    if int(np.prod(shape[: -max(axes)])) != 1 and not sure:
        return node, []
    return _changed(node, shape=np.array(own)), [f"shape {shape} read as {own}"]


_AXES = {"Linear": 1, "Affine": 1, "Conv1d": 2, "Conv2d": 3, "SumPool2d": 3, "AvgPool2d": 3}
"""Axes of the input of layers, without those of batch and time."""


def _is_batched(node: Node) -> bool:
    """Return whether a dense layer has weights of its own for each element of leading axes."""
    return node.kind in ("Linear", "Affine") and np.ndim(node.fields.get("weight", 0)) != 2


def _one_neuron_a_row(following: list[Node], nodes: Mapping[str, Node], after: Mapping[str, list[str]]) -> bool:
    """Return whether each dense layer behind an Input leads to as many neurons as its weight has rows, more than one.

    Then leading axes of the Input cannot be elements of the network, for each of which there would be neurons.
    """
    for layer in following:
        rows = np.shape(layer.fields.get("weight", 0))[:1]
        behind = [nodes[n] for n in after.get(layer.name, []) if n in nodes]
        if layer.kind not in ("Linear", "Affine") or not behind:
            return False
        if any(n.kind not in NEURON_KINDS or rows != (int(np.prod(neuron_shape(n))),) or rows == (1,) for n in behind):
            return False
    return bool(following)


def _fit_sizes(node: Node, arriving: Shape) -> tuple[Node, list[str]]:
    """Fit the input_shape of a convolution, which says again what arrives."""
    given = node.fields.get("input_shape")
    if given is not None and np.array_equal(np.ravel(given), arriving[1:]):
        return node, []
    sizes: Any = arriving[1] if node.kind == "Conv1d" and len(arriving) == 2 else np.array(arriving[1:])
    was = "missing input_shape" if given is None else f"input_shape {brief(given)}"
    return _changed(node, input_shape=sizes), [f"{was} set to {arriving[1:]}"]


def _fit_neuron(node: Node, arriving: Shape) -> tuple[Node, list[str]]:
    shape, wanted = neuron_shape(node), arriving
    if int(np.prod(shape)) not in (1, int(np.prod(wanted))):
        raise NirError(f"nir: node '{node.name}' ({node.kind}) has parameters of shape {shape}, but {wanted} arrives")
    if int(np.prod(shape)) > 1:
        wanted = shape
    fields = {k: np.asarray(v) for k, v in node.fields.items() if not isinstance(v, str)}
    scalars = [k for k, v in fields.items() if v.shape != wanted and v.size == 1]
    if not scalars:
        return node, []
    full = {k: np.full(wanted, fields[k].reshape(()), dtype=fields[k].dtype) for k in scalars}
    text = f"one number for {', '.join(scalars)} given to all neurons of {wanted}"
    return _changed(node, **full), [text] if int(np.prod(wanted)) > 1 else []


def _fit_flatten(node: Node, arriving: Shape, following: list[Node]) -> tuple[Node, list[str]]:
    """Fit a Flatten: if it keeps the first axis before a Linear that needs all elements, it was written for a batch axis."""
    total = int(np.prod(arriving))
    wanted = {field_shape(n, "weight")[-1:] for n in following if n.kind in ("Linear", "Affine")}
    made = output_shape(node, arriving)
    if wanted == {(total,)} and made != (total,):
        end = len(arriving) - 1
        changed = _changed(node, start_dim=0, end_dim=end, input_type=np.array(arriving))
        return changed, [f"start_dim set to 0: the next node takes all {total} elements"]
    if node.fields.get("input_type") is None:
        return _changed(node, input_type=np.array(arriving)), [f"missing input shape set to {arriving}"]
    return node, []


def _changed(node: Node, **fields: Any) -> Node:
    return replace(node, fields={**node.fields, **fields})
