"""A plain float interpreter of NIR graphs (numpy, float64), the reference for the size of every approximation.

It takes the graph, as its exporter means it (``readings.py``), literally: in each step a signal passes all nodes without
state immediately, neurons take one step of ``dt``, and a connection that closes a cycle carries the spikes of the step
before. It rounds nothing and has no limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.lowering import depth_of, find_paths, recurrent_pairs
from neurodeploy.exchange.nir.neurons import (
    NEURON_KINDS,
    Discretization,
    FloatNeuron,
    Floats,
    after_reset,
    float_neuron,
    node_shape,
)
from neurodeploy.exchange.nir.node_metadata import Reset, input_of
from neurodeploy.exchange.nir.ops import apply, delay_steps, output_shape
from neurodeploy.exchange.nir.own_metadata import recorded_inputs
from neurodeploy.exchange.nir.prepare import opened, prepared
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.network import Shape
from neurodeploy.network.activity import Events

if TYPE_CHECKING:
    import nir


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpretation:
    """The record of a float run of a graph.

    ``spikes`` (bool) and ``voltages`` (float64, before the reset, relative to ``v_reset``) by node, each
    ``(n_samples, n_steps, *shape)``.
    """

    dt: float
    spikes: Mapping[str, NDArray[np.bool_]]
    voltages: Mapping[str, Floats]

    def __post_init__(self) -> None:
        for name in ("spikes", "voltages"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


def interpret(
    source: Path | str | nir.NIRGraph | Graph,
    inputs: Mapping[str, ArrayLike | Events],
    *,
    reading: AnyReading = None,
    dt: float | None = None,
    discretization: Discretization | None = None,
    reset: Reset | None = None,
) -> Interpretation:
    """Run a graph on real-valued inputs and return the spikes and voltages of its neurons.

    Args:
        inputs: by Input node, or the name that ``to_nir`` recorded for it, float ``(n_samples, n_steps, *shape)``, or
            ``(n_samples, n_steps, size)`` flattened; or events, whose payloads are multiplied by the scale that the node's
            metadata says, else by 1.
        reading, dt, discretization: as in ``from_nir``.
        reset: after a spike set the voltage to ``v_reset``, or subtract the threshold from it; by default what the metadata
            of each neuron says, else "zero".

    Raises:
        NirError: as in ``from_nir``, and if the inputs do not fit the graph.
    """
    meant = opened(source, reading=reading, dt=dt, discretization=discretization, reset=reset)
    graph, step = prepared(meant.flat), meant.dt
    signals = _signals(graph, inputs, recorded_inputs(meant.given))
    n_samples, n_steps = next(iter(signals.values())).shape[:2]
    cells = {
        node.name: _Cell(
            float_neuron(node, step, meant.discretization), _arrival(graph, node.name, step), n_samples, n_steps
        )
        for node in graph.nodes.values()
        if node.kind in NEURON_KINDS
    }
    order, late = _order(graph, cells)
    for t in range(n_steps):
        for name in order:
            cell = cells[name]
            sent = {source: _sent(source, name, t, signals, cells, late) for source in cell.arrival.sources}
            cell.step(t, cell.arrival.of(sent) if sent else np.zeros(cell.current.shape))
    return Interpretation(
        dt=step,
        spikes={name: cell.spikes for name, cell in cells.items()},
        voltages={name: cell.voltages for name, cell in cells.items()},
    )


@dataclass(slots=True, eq=False)
class _Arrival:
    """The nodes without state before a neuron, in an order in which each node comes after its predecessors.

    ``before``: predecessors of each of these nodes and of the neuron; ``waiting``: signals inside the Delay nodes, newest
    last.
    """

    target: str
    sources: tuple[str, ...]
    nodes: tuple[Node, ...]
    before: Mapping[str, tuple[str, ...]]
    delays: dict[str, NDArray[np.int64]]
    waiting: dict[str, list[Floats]] = field(default_factory=dict)

    def of(self, sent: Mapping[str, Floats]) -> Floats:
        """Return the input of the neuron in a step, given the signals ``sent`` by the sources."""
        values = dict(sent)
        for node in self.nodes:
            x = self._sum(node.name, values)
            values[node.name] = self._delayed(node.name, x) if node.name in self.delays else apply(node, x)
        return self._sum(self.target, values)

    def _sum(self, name: str, values: Mapping[str, Floats]) -> Floats:
        first: Floats = values[self.before[name][0]]
        for source in self.before[name][1:]:
            first = first + values[source].reshape(first.shape)
        return first

    def _delayed(self, name: str, x: Floats) -> Floats:
        steps = self.delays[name]
        flat = x.reshape(len(x), -1)
        waiting = self.waiting.setdefault(name, [np.zeros_like(flat)] * (int(steps.max()) + 1))
        waiting.append(flat)
        waiting.pop(0)
        left: Floats = np.stack([waiting[-1 - n][:, i] for i, n in enumerate(steps)], axis=1)
        return left.reshape(x.shape)


@dataclass(slots=True, eq=False)
class _Cell:
    """A neuron node with its state during a run."""

    neuron: FloatNeuron
    arrival: _Arrival
    n_samples: int
    n_steps: int
    current: Floats = field(init=False)
    voltage: Floats = field(init=False)
    spikes: NDArray[np.bool_] = field(init=False)
    voltages: Floats = field(init=False)

    def __post_init__(self) -> None:
        shape = self.neuron.shape
        self.current = np.zeros((self.n_samples, *shape))
        self.voltage = np.zeros((self.n_samples, *shape))
        self.spikes = np.zeros((self.n_samples, self.n_steps, *shape), np.bool_)
        self.voltages = np.zeros((self.n_samples, self.n_steps, *shape))

    def step(self, t: int, arriving: Floats) -> None:
        """Update the neurons by step ``t``."""
        neuron = self.neuron
        drive = neuron.current_gain * arriving.reshape(self.current.shape)
        self.current = (1 - neuron.current_factor) * self.current + drive
        self.voltage = (1 - neuron.voltage_factor) * self.voltage + neuron.voltage_gain * self.current + neuron.bias
        self.voltages[:, t] = self.voltage
        if neuron.threshold is not None:
            fired = self.voltage > neuron.threshold
            self.spikes[:, t] = fired
            self.voltage = after_reset(neuron, self.voltage, fired, neuron.threshold)


def _signals(graph: Graph, inputs: Mapping[str, ArrayLike | Events], recorded: Mapping[str, str]) -> dict[str, Floats]:
    """Return the inputs with the shapes of their nodes, float64 ``(n_samples, n_steps, *shape)``."""
    wanted = {n.name: node_shape(n) for n in graph.nodes.values() if n.kind == "Input"}
    inputs = {recorded.get(name, name): values for name, values in inputs.items()}
    if set(inputs) != set(wanted):
        raise NirError(f"nir: inputs are given for {sorted(inputs)}, the graph has {sorted(wanted)}")
    signals = {}
    for name, shape in wanted.items():
        own = inputs[name]
        scale = input_of(graph.nodes[name], shape[-3:]).scale if isinstance(own, Events) else 1.0
        given = np.asarray(own.to_dense() if isinstance(own, Events) else own, np.float64) * scale
        if given.ndim < 3 or int(np.prod(given.shape[2:])) != int(np.prod(shape)):
            raise NirError(f"nir: input '{name}' has shape {given.shape}, expected (n_samples, n_steps, *{shape})")
        signals[name] = given.reshape(*given.shape[:2], *shape)
    if len({s.shape[:2] for s in signals.values()}) != 1:
        raise NirError("nir: the inputs differ in their numbers of samples or steps")
    return signals


def _arrival(graph: Graph, target: str, dt: float) -> _Arrival:
    ways, size = find_paths(graph, target), int(np.prod(node_shape(graph.nodes[target])))
    distance: dict[str, int] = {}
    shapes: dict[str, Shape] = {}
    for way in ways:
        shape = node_shape(graph.nodes[way.source])
        for i, node in enumerate(way.nodes):
            distance[node.name] = max(distance.get(node.name, 0), len(way.nodes) - i)
            shapes[node.name] = shape
            shape = output_shape(node, shape)
        if int(np.prod(shape)) != size:
            last = way.nodes[-1].name if way.nodes else way.source
            raise NirError(f"nir: node '{last}' gives {shape}, but '{target}' has {size} neurons")
    nodes = tuple(graph.nodes[name] for name in sorted(distance, key=lambda name: -distance[name]))
    sources = tuple(dict.fromkeys(way.source for way in ways))
    known = {*distance, *sources}
    before = {name: tuple(a for a, b in graph.edges if b == name and a in known) for name in (*distance, target)}
    delays = {n.name: delay_steps(n, shapes[n.name], dt) for n in nodes if n.kind == "Delay"}
    return _Arrival(target, sources, nodes, before, delays)


def _order(graph: Graph, cells: Mapping[str, _Cell]) -> tuple[list[str], frozenset[tuple[str, str]]]:
    """Return the neurons in their order within a step, and the pairs (source, target) that carry spikes of the step before.

    These are the connections inside a cycle that do not lead to a greater depth.
    """
    pairs = [(source, name) for name, cell in cells.items() for source in cell.arrival.sources]
    reached = {b for a, b in pairs if a != b}
    inputs = [n.name for n in graph.nodes.values() if n.kind == "Input"]
    depth = depth_of(pairs, dict.fromkeys([n for n in cells if n not in reached], 1) | dict.fromkeys(inputs, 0))
    late = recurrent_pairs(pairs, depth)
    order: list[str] = []
    waiting = list(cells)
    while waiting:
        ready = [n for n in waiting if not any(b == n and a in waiting and (a, b) not in late for a, b in pairs)]
        order += ready
        waiting = [n for n in waiting if n not in ready]
    return order, late


def _sent(
    source: str,
    target: str,
    t: int,
    signals: Mapping[str, Floats],
    cells: Mapping[str, _Cell],
    late: frozenset[tuple[str, str]],
) -> Floats:
    """Return the signal from a source to a target in step ``t``."""
    if source in signals:
        return signals[source][:, t]
    spikes = cells[source].spikes
    if (source, target) not in late:
        return spikes[:, t].astype(np.float64)
    return spikes[:, t - 1].astype(np.float64) if t else np.zeros(spikes[:, 0].shape)
