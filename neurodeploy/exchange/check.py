"""``check_nir``: the NIR doctor. One verdict for each node of a graph, with the reason and the size of the change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from neurodeploy.errors import NirError
from neurodeploy.exchange.from_nir import from_nir
from neurodeploy.exchange.graph import Graph, Node, load_graph
from neurodeploy.exchange.lowering import SUPPORTED_KINDS
from neurodeploy.exchange.neurons import Discretization, find_dt
from neurodeploy.network import Approximation

Verdict = Literal["faithful", "approximate", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVerdict:
    """What becomes of one node: ``reason`` says why it is not faithful, ``size`` by how much it changes."""

    name: str
    type: str
    verdict: Verdict
    reason: str = ""
    size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Verdicts on all nodes of a graph. ``ok`` is True when nothing is unsupported."""

    source: str
    nir_version: str
    dt: float | None
    nodes: tuple[NodeVerdict, ...]
    repairs: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True when nothing is unsupported."""
        return all(node.verdict != "unsupported" for node in self.nodes)

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=2)


def check_nir(
    path: Path | str | Graph,
    *,
    fix: Path | None = None,
    dt: float | None = None,
    discretization: Discretization = "euler",
    weight_bits: int = 8,
) -> CheckReport:
    """Return a verdict for each node of a NIR file: what ``from_nir`` would do with it.

    Raises:
        FileError: if the file is missing or damaged.
    """
    if fix is not None:
        raise NirError("check: repairs are not written yet")
    graph = load_graph(path)
    found = {node.name: _unknown(node) for node in graph.nodes.values()}
    if not any(found.values()):
        found |= _converted(graph, dt, discretization, weight_bits)
    nodes = tuple(
        found[name] or NodeVerdict(name=name, type=node.kind, verdict="faithful") for name, node in graph.nodes.items()
    )
    whole = found.get("")
    return CheckReport(
        source=graph.origin,
        nir_version=graph.version,
        dt=_dt(graph, dt, discretization),
        nodes=nodes if whole is None else (*nodes, whole),
    )


def _unknown(node: Node) -> NodeVerdict | None:
    if node.kind in SUPPORTED_KINDS:
        return None
    reason = f"no counterpart on the chip; supported: {', '.join(SUPPORTED_KINDS)}"
    return NodeVerdict(name=node.name, type=node.kind, verdict="unsupported", reason=reason)


def _converted(
    graph: Graph, dt: float | None, discretization: Discretization, weight_bits: int
) -> Mapping[str, NodeVerdict | None]:
    """Return the verdicts that a conversion gives, by node; the name ``""`` stands for the graph as a whole."""
    try:
        network = from_nir(graph, dt=dt, discretization=discretization, weight_bits=weight_bits, strict=False)
    except NirError as error:
        text = str(error)
        name = next((n for n in graph.nodes if f"'{n}'" in text), "")
        kind = graph.nodes[name].kind if name else "NIRGraph"
        return {name: NodeVerdict(name=name, type=kind, verdict="unsupported", reason=text)}
    return {entry.where: _approximate(graph, entry) for entry in network.ledger}


def _approximate(graph: Graph, entry: Approximation) -> NodeVerdict:
    kind = graph.nodes[entry.where].kind if entry.where in graph.nodes else "NIRGraph"
    return NodeVerdict(name=entry.where, type=kind, verdict="approximate", reason=entry.what, size=entry.size)


def _dt(graph: Graph, dt: float | None, discretization: Discretization) -> float | None:
    if dt is not None:
        return dt
    try:
        return find_dt(graph, discretization)
    except NirError:
        return None
