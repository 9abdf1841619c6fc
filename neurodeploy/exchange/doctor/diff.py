"""The differences between two NIR graphs, node by node and field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.exchange.nir.graph import Graph, Node, load_graph
from neurodeploy.exchange.nir.node_metadata import KEY, RESETTING_KINDS

if TYPE_CHECKING:
    import nir


@dataclass(frozen=True, slots=True, kw_only=True)
class NirDifference:
    """One difference: ``where`` is a node, a field ``node.field``, an edge ``a -> b`` or ``metadata``."""

    where: str
    what: str


def diff_nir(
    a: Path | str | nir.NIRGraph | Graph, b: Path | str | nir.NIRGraph | Graph, *, metadata: bool = True
) -> tuple[NirDifference, ...]:
    """Return every difference from graph ``a`` to graph ``b``; empty if both hold the same nodes, numbers and edges.

    The order of nodes and edges and the float type of equal numbers do not count as differences. The reset of a neuron and
    the payloads of an Input, which ``to_nir`` records in the metadata of the node, are compared as if they were fields.

    Args:
        metadata: compare the other metadata too.

    Raises:
        FileError: if a file is missing or damaged.
    """
    return tuple(_graphs(load_graph(a), load_graph(b), "", metadata))


def _graphs(a: Graph, b: Graph, prefix: str, metadata: bool) -> Iterator[NirDifference]:
    for name in sorted({*a.nodes, *b.nodes}):
        where = prefix + name
        if name not in b.nodes or name not in a.nodes:
            only, node = ("first", a.nodes[name]) if name in a.nodes else ("second", b.nodes[name])
            yield NirDifference(where=where, what=f"{node.kind} only in the {only}")
        else:
            yield from _nodes(a.nodes[name], b.nodes[name], where, metadata)
    for edge in sorted({*a.edges, *b.edges}):
        before, after = a.edges.count(edge), b.edges.count(edge)
        if before != after:
            what = "edge added" if after > before else "edge removed"
            yield NirDifference(where=f"{prefix}{edge[0]} -> {prefix}{edge[1]}", what=what)
    if metadata:
        yield from _values(a.metadata, b.metadata, f"{prefix}metadata")


def _nodes(a: Node, b: Node, where: str, metadata: bool) -> Iterator[NirDifference]:
    if a.kind != b.kind:
        yield NirDifference(where=where, what=f"type {a.kind} -> {b.kind}")
        return
    if a.graph is not None and b.graph is not None:
        yield from _graphs(a.graph, b.graph, f"{where}.", metadata)
        return
    yield from _values({**_recorded(a), **a.fields}, {**_recorded(b), **b.fields}, where)
    if metadata:
        yield from _values(_other_metadata(a), _other_metadata(b), f"{where}.metadata")


def _recorded(node: Node) -> Mapping[str, Any]:
    """Return the values of a node that NIR has no field for, with those that hold where nothing is recorded."""
    plain: dict[str, Any] = {"reset": "zero"} if node.kind in RESETTING_KINDS else {}
    if node.kind == "Input":
        plain = {"payload_bits": 0, "signed": False, "scale": 1.0}
    own = node.metadata.get(KEY)
    return plain | dict(own) if isinstance(own, Mapping) else plain


def _other_metadata(node: Node) -> Mapping[str, Any]:
    return {name: value for name, value in node.metadata.items() if name != KEY or not isinstance(value, Mapping)}


def _values(a: Mapping[str, Any], b: Mapping[str, Any], where: str) -> Iterator[NirDifference]:
    for name in sorted({*a, *b}):
        here = f"{where}.{name}"
        if name not in a or name not in b:
            yield NirDifference(where=here, what="only in the " + ("first" if name in a else "second"))
        elif isinstance(a[name], Mapping) and isinstance(b[name], Mapping):
            yield from _values(a[name], b[name], here)
        else:
            what = _difference(np.asarray(a[name]), np.asarray(b[name]))
            if what:
                yield NirDifference(where=here, what=what)


def _difference(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> str:
    if a.shape != b.shape:
        return f"shape {a.shape} -> {b.shape}"
    numbers = a.dtype.kind in "iufb" and b.dtype.kind in "iufb"
    if np.array_equal(a, b, equal_nan=numbers):
        return ""
    if not numbers or a.ndim == 0:
        return f"{_brief(a)} -> {_brief(b)}"
    changed = ~((a == b) | (np.isnan(a.astype(float)) & np.isnan(b.astype(float))))
    largest = np.max(np.abs(np.subtract(b, a, dtype=np.float64))[changed])
    return f"{np.count_nonzero(changed)} of {a.size} numbers differ, at most by {largest:g}"


def _brief(value: np.ndarray[Any, Any]) -> str:
    text = " ".join(str(value.tolist()).split())
    return text if len(text) <= 60 else text[:57] + "..."
