"""Preparation of a NIR graph for lowering: checks, repair and flattening, the step length, and nodes joined or added."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurodeploy.errors import NirError, UsageError
from neurodeploy.exchange.nir.graph import EMPTY, Graph, Node, load_graph
from neurodeploy.exchange.nir.neurons import (
    LI_THRESHOLD,
    NEURON_KINDS,
    READ_OUT,
    Discretization,
    find_dt,
    needs_dt,
    node_shape,
)
from neurodeploy.exchange.nir.node_metadata import KEY, RESETS, RESETTING_KINDS, Reset, entry_of, reset_of
from neurodeploy.exchange.nir.ops import STATELESS_KINDS
from neurodeploy.exchange.nir.own_metadata import NO_CHANGE, check_kept, description_of
from neurodeploy.exchange.nir.readings import (
    READINGS,
    AnyReading,
    Read,
    Reading,
    as_euler,
    as_reading,
    converted,
    recognised,
    reset_is_said,
    suggested,
    with_late_resets,
)
from neurodeploy.exchange.nir.repair import Repair, repaired
from neurodeploy.network import Approximation

if TYPE_CHECKING:
    import nir

DEFAULT_DT = 1e-3
"""Length of a step in seconds, used if nothing in the graph depends on it."""
SUPPORTED_KINDS = (
    "Input",
    "Output",
    *(kind for kind in NEURON_KINDS if kind not in (LI_THRESHOLD, READ_OUT)),
    *STATELESS_KINDS,
    "NIRGraph",
    "Identity",
)


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A graph as it was given, and as it is meant: flat, repaired, and read as its exporter means it.

    Attributes:
        given: the graph of the file.
        flat: the graph without nested graphs, repaired, with parameters that mean what NIR says of them.
        repairs: what was repaired.
        reading: how it was read, and whether this was ``found`` out and not said.
        discretization: form of the time constants of ``flat``.
        dt: length of a step in seconds.
        notes: what the ledger says of the reading.
        reset_said: whether file, framework or user say what a spike does to the voltages.
    """

    given: Graph
    flat: Graph
    repairs: tuple[Repair, ...]
    reading: Reading
    found: bool
    discretization: Discretization
    dt: float
    notes: tuple[Approximation, ...]
    reset_said: bool


def opened(
    source: Path | str | nir.NIRGraph | Graph,
    *,
    reading: AnyReading = None,
    dt: float | None = None,
    discretization: Discretization | None = None,
    reset: Reset | None = None,
) -> Opened:
    """Return the graph in a file, or the given graph, checked, flattened and read as its exporter means it.

    Args:
        reading, dt, discretization, reset: as in ``from_nir``.

    Raises:
        FileError: if the file is missing or damaged.
        NirError: for unsupported kinds of nodes, for edges that lead nowhere, and where nothing tells the length of a step.
        UsageError: for a reading that is not known.
    """
    given = load_graph(source)
    check_graph(given)
    said = as_reading(reading, dt=dt, reset=reset)
    chosen = choose_reading(given, said, discretization)
    flat, repairs = flattened(given, axes_go=not READINGS[chosen.name].literal)
    return understood(given, flat, repairs, chosen, found=chosen.name != said.name and discretization is None)


def choose_reading(given: Graph, said: Reading, discretization: Discretization | None) -> Reading:
    """Return the reading of a graph: what the user says, else what its names and parameters tell, else ``euler``.

    Raises:
        NirError: for another reading than neurodeploy recorded in its own file.
    """
    own = isinstance(description_of(given).get("discretization"), str)
    if said.name and discretization is not None and said.name != discretization:
        raise UsageError(f"nir: reading={said.name} and discretization={discretization} are given; give one of them")
    if own and said.name and not READINGS[said.name].literal:
        raise NirError(
            f"nir: {given.origin} was written by neurodeploy, which records in it how it is meant; leave --reading "
            f"{said.name} out (in Python reading=)"
        )
    name = said.name or discretization or ""
    if not name and not own:
        name = recognised(given, with_dt=said.dt is not None)
    return replace(said, name=name or "euler")


def understood(given: Graph, flat: Graph, repairs: tuple[Repair, ...], reading: Reading, *, found: bool) -> Opened:
    """Return a flat graph as its reading, which has a name, means it.

    Raises:
        NirError: where nothing tells the length of a step, and for parameters that the reading cannot mean.
    """
    row = READINGS[reading.name]
    own = isinstance(description_of(given).get("discretization"), str)
    if row.literal:
        dt = step_of(flat, reading.dt, row.discretization)
        read = Read(flat if own or reading.name == "euler" else as_euler(flat, row, dt, dt), dt)
    else:
        read = converted(flat, reading)
    graph = with_reset(read.graph, reading.reset or row.reset)
    late = with_late_resets(graph, reading, read.dt)
    notes = [*read.notes, *late.notes]
    if not row.literal:
        notes.insert(0, Approximation(where="graph", what=reading_words(reading, found=found), size=NO_CHANGE))
    return Opened(
        given=given,
        flat=late.graph,
        repairs=repairs,
        reading=reading,
        found=found,
        discretization=row.discretization if own else "euler",
        dt=read.dt,
        notes=tuple(notes),
        reset_said=reset_is_said(given, flat, reading),
    )


def reading_words(reading: Reading, *, found: bool) -> str:
    """Return in words how a graph is read."""
    row = READINGS[reading.name]
    how = ", recognised by names and parameters" if found else ""
    other = "; --reading euler takes it as NIR says" if found else ""
    return f"read as {row.title} writes it{how}: {row.says}{other}" if not row.literal else f"read {row.says}"


def flattened(graph: Graph, *, axes_go: bool = False) -> tuple[Graph, tuple[Repair, ...]]:
    """Return the graph without nested graphs and with the known faults of exporters repaired, and the list of repairs.

    Args:
        axes_go: take axes of Input and Output that the layers do not have for those of batch and time, and drop them.

    Raises:
        NirError: for faults that cannot be repaired, for edges that lead nowhere, and for a node that lost its metadata.
    """
    check_kept(graph)
    flat, repairs = repaired(graph, axes_go=axes_go)
    check_edges(flat)
    return flat, repairs


def check_graph(graph: Graph) -> None:
    """Refuse unknown nodes.

    Raises:
        NirError: names the node.
    """
    for node in graph.nodes.values():
        if node.kind == EMPTY:
            raise NirError(f"nir: {graph.origin}: {empty_words(node)}")
        if node.kind not in SUPPORTED_KINDS:
            raise NirError(
                f"nir: {graph.origin}: node '{node.name}' has type '{node.kind}'; supported: {', '.join(SUPPORTED_KINDS)}"
            )
        if node.graph is not None:
            check_graph(node.graph)


def empty_words(node: Node) -> str:
    """Return in words why a node is empty, and what to do."""
    return (
        f"node '{node.name}' is empty: the exporter did not know the module of this name (Norse 1.1.0, for example, writes "
        "neither Flatten nor LIFRecurrentCell); put a module there that it knows, or a nir node into graph.nodes"
    )


def check_edges(graph: Graph) -> None:
    """Refuse edges that name no node, lead into an Input, or lead out of an Output.

    Raises:
        NirError: names the edge.
    """
    for edge in graph.edges:
        for end in edge:
            if end not in graph.nodes:
                raise NirError(
                    f"nir: {graph.origin}: the edge {edge[0]} -> {edge[1]} names '{end}', which is no node; "
                    f"nodes: {', '.join(list(graph.nodes)[:20])}"
                )
    for a, b in graph.edges:
        if graph.nodes[a].kind == "Output" or graph.nodes[b].kind == "Input":
            raise NirError(
                f"nir: {graph.origin}: the edge {a} -> {b} leads "
                + (f"out of Output '{a}'" if graph.nodes[a].kind == "Output" else f"into Input '{b}'")
                + "; connect the neuron before or after it"
            )


def step_of(graph: Graph, dt: float | None, discretization: Discretization) -> float:
    """Return the length of a step: from the caller, else from neurodeploy's metadata, else from the neurons.

    Raises:
        NirError: if none of these gives it, or the metadata names the other ``discretization``.
    """
    described = description_of(graph)
    recorded = described.get("discretization")
    if isinstance(recorded, str) and recorded != discretization:
        raise NirError(
            f"nir: {graph.origin} was written in the {recorded} form, but is read as {discretization}; read it with "
            f"--reading {recorded} (in Python pass discretization='{recorded}')"
        )
    if dt is not None and not (np.isfinite(dt) and dt > 0):
        raise NirError(f"nir: dt is {dt}, must be a positive number of seconds")
    given = _positive(described.get("dt")) if dt is None else dt
    if given is None:
        return find_dt(graph, discretization, suggested(graph)) if needs_dt(graph) else DEFAULT_DT
    return float(given)


def _positive(value: object) -> float | None:
    """Return the recorded length of a step, or None if ``value`` is not a positive number."""
    if not isinstance(value, int | float | np.number) or np.iscomplexobj(value):
        return None
    return float(value) if np.isfinite(value) and value > 0 else None


def with_reset(graph: Graph, reset: Reset | None) -> Graph:
    """Return the flat graph whose neurons have the reset that the caller chose, where the file says nothing of it.

    Raises:
        NirError: for an unknown reset, and where neurodeploy recorded another one.
    """
    if reset is None:
        return graph
    if reset not in RESETS:
        raise NirError(f"nir: reset='{reset}' is not possible; choose {' or '.join(RESETS)}")
    written = "zero" if isinstance(description_of(graph).get("reset"), str) else None
    nodes = dict(graph.nodes)
    for node in graph.nodes.values():
        if node.kind not in RESETTING_KINDS:
            continue
        recorded = reset_of(node) if "reset" in entry_of(node) else written
        if recorded not in (None, reset):
            raise NirError(
                f"nir: {graph.origin}: node '{node.name}' was written with reset '{recorded}', but is read with "
                f"reset='{reset}'; leave reset out, and change the populations afterwards if another one is meant"
            )
        nodes[node.name] = replace(node, metadata={**node.metadata, KEY: {**entry_of(node), "reset": reset}})
    return replace(graph, nodes=nodes)


def prepared(graph: Graph) -> Graph:
    """Return a flat graph in which each source of spikes is a single node and each Output reads a neuron."""
    return _with_read_outs(_with_pairs(graph))


def _with_pairs(graph: Graph) -> Graph:
    """Join each LI whose only successor is a Threshold with that Threshold (Spyx writes spiking neurons in this way)."""
    for node in graph.nodes.values():
        before = [a for a, b in graph.edges if b == node.name]
        if node.kind != "Threshold" or len(before) != 1 or graph.nodes[before[0]].kind != "LI":
            continue
        if [b for a, b in graph.edges if a == before[0]] != [node.name]:
            continue
        own = graph.nodes[before[0]]
        fields = {**own.fields, "threshold": node.fields.get("threshold")}
        nodes = {key: n for key, n in graph.nodes.items() if key != node.name}
        nodes[own.name] = replace(own, kind=LI_THRESHOLD, fields=fields, metadata={**own.metadata, **node.metadata})
        edges = [(before[0] if a == node.name else a, b) for a, b in graph.edges if b != node.name]
        graph = replace(graph, nodes=nodes, edges=tuple(edges))
    return graph


def _with_read_outs(graph: Graph) -> Graph:
    """Insert a summing neuron before each Output that reads weights; its voltage is the sum of one step."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for node in graph.nodes.values():
        if node.kind != "Output" or read_neuron(graph, node) is not None:
            continue
        name = f"{node.name}_sum"
        nodes[name] = Node(name=name, kind=READ_OUT, fields={"v_leak": np.zeros(node_shape(node))})
        edges = [(a, name if b == node.name else b) for a, b in edges] + [(name, node.name)]
    return replace(graph, nodes=nodes, edges=tuple(edges))


def read_neuron(graph: Graph, output: Node) -> str | None:
    """Return the neuron that an Output reads, directly or through a Flatten."""
    name = output.name
    while True:
        before = [a for a, b in graph.edges if b == name]
        if len(before) != 1:
            return None
        name = before[0]
        if graph.nodes[name].kind in NEURON_KINDS:
            return name
        if graph.nodes[name].kind != "Flatten":
            return None
