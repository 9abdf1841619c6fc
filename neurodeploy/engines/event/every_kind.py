"""The event-driven engine for all neuron kinds and graded messages; its activity equals that of ``engines/reference.py``.

Messages are added over lists of stored synapses by source. Only neurons that receive something or are not at rest are
updated, by the arithmetic of ``engines/dynamics.py``. A sigma-delta neuron at rest sends nothing, so a constant input costs
nothing.
Networks with only CUBA neurons run on the faster kernels of ``kernels.py``.

All samples of a chunk run side by side: neuron ``i`` of sample ``s`` has the place ``s * size + i``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import Labels, Progress, check_overflow, input_events, join_activities, n_labels
from neurodeploy.engines.dynamics import At, Ints, Overflow, States, busy, step
from neurodeploy.engines.sums import conv_24, shifted
from neurodeploy.files.loops import compiled
from neurodeploy.network import Conv, Network, Pool, Population, Projection, synapse_shape
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.network.unrolled import entries

Places = NDArray[np.int64]

_CHUNK_BYTES = 2**26
_MOSTLY = 0.5
"""If more than this share of the neurons has to be updated, all are: selecting them costs more than it saves."""


def run_messages(
    network: Network,
    samples: Samples,
    *,
    steps: int,
    probe: Sequence[tuple[str, str]] = (),
    labels: Labels | None = None,
    on_overflow: Overflow = "report",
    progress: Progress | None = None,
) -> Activity:
    """Return the activity of the network on samples, like ``run_reference``; the caller has checked the arguments."""
    wires = [wire for projection in network.projections for wire in _wires(projection)]
    chunk = max(1, _CHUNK_BYTES // (64 * sum(network.sizes.values())))
    parts = []
    for first in range(0, samples.n_samples, chunk):
        part = samples.take(first, min(first + chunk, samples.n_samples))
        parts.append(_Run(network, wires, part, steps, on_overflow).activity(probe, labels))
        if on_overflow == "error":
            check_overflow("event", parts[-1].overflow)
        if progress is not None:
            progress(first + part.n_samples, samples.n_samples)
    return join_activities(parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Wire:
    """Stored synapses of one projection and one delay: source ``j`` reaches ``target[start[j]:start[j + 1]]``.

    ``private``: the wire has a separate sum, which is shifted (and wrapped, for a convolution) before it is added to the
    sum of the other wires.
    """

    projection: Projection
    delay: int
    start: NDArray[np.int64]
    target: Ints
    weight: Ints
    private: bool


@dataclass(slots=True, eq=False)
class _Node:
    """A population during a run: states by place, inputs of later steps, flags of neurons not at rest, sent messages."""

    population: Population
    states: States
    real: Ints
    imag: Ints
    wrapped: NDArray[np.bool_]
    moving: NDArray[np.bool_]
    overflow: int = 0
    sent: list[tuple[Places, Ints]] = field(default_factory=list)


def _wires(projection: Projection) -> Iterator[_Wire]:
    """Yield one wire for each delay in the projection."""
    source, target, weight = entries(projection.synapses)
    delay, exponent = np.asarray(projection.delay), projection.weight_exponent
    each = np.broadcast_to(delay, source.shape) if delay.ndim == 0 else delay[source] if delay.ndim == 1 else None
    each = delay[target, source] if each is None else each
    private = exponent < 0 or isinstance(projection.synapses, Conv | Pool)
    n_source = synapse_shape(projection.synapses)[1]
    for d in np.unique(each):
        own = np.flatnonzero(each == d)
        own = own[np.argsort(source[own], kind="stable")]
        start = np.concatenate([[0], np.cumsum(np.bincount(source[own], minlength=n_source))]).astype(np.int64)
        stored = weight[own].astype(np.int32) << (0 if private else exponent)
        yield _Wire(projection, int(d), start, target[own].astype(np.int32), stored.astype(np.int32), private)


class _Run:
    """The run of one chunk of samples."""

    def __init__(
        self, network: Network, wires: list[_Wire], samples: Samples, steps: int, on_overflow: Overflow
    ) -> None:
        self.network, self.wires, self.steps, self.on_overflow = network, wires, steps, on_overflow
        self.n = samples.n_samples
        self.inputs = input_events(network, samples, steps)
        self.arrivals = {name: _by_step(events, steps) for name, events in self.inputs.items()}
        self.nodes = {p.name: self._node(p) for p in network.populations}

    def _node(self, population: Population) -> _Node:
        width = self.n * population.size
        rows = 1 + max((p.max_delay for p in self.network.into(population.name)), default=0)
        states = tuple(np.zeros(width, np.int32) for _ in population.model.states)
        real, imag = np.zeros((rows, width), np.int32), np.zeros((rows, width), np.int32)
        moving = busy(population.model, states, at=self._numbers(population, np.arange(width)))
        return _Node(population, states, real, imag, np.zeros((rows, width), np.bool_), moving)

    def activity(self, probe: Sequence[tuple[str, str]], labels: Labels | None) -> Activity:
        """Run all steps and return the activity."""
        sizes = self.network.sizes
        probed = {(name, which): np.zeros((self.n, self.steps, sizes[name]), np.int32) for name, which in probe}
        updated = None if labels is None else np.zeros((self.n, self.steps, n_labels(labels)), np.int64)
        for t in range(self.steps):
            for name, node in self.nodes.items():
                awake = self._update(node, t)
                if updated is not None and labels is not None and name in labels:
                    sample, neuron = np.divmod(awake, sizes[name])
                    np.add.at(updated[:, t], (sample, np.asarray(labels[name], np.int64)[neuron]), 1)
            for wire in self.wires:
                self._transmit(wire, t)
            for name, which in probed:
                node = self.nodes[name]
                state = node.states[node.population.model.states.index(which)]
                probed[name, which][:, t] = state.reshape(self.n, -1)
        return Activity(
            engine="event",
            network=self.network.fingerprint,
            n_steps=self.steps,
            spikes=self.inputs | {name: self._events(node) for name, node in self.nodes.items()},
            states=probed,
            updated=updated,
            overflow={name: node.overflow for name, node in self.nodes.items()},
        )

    def _update(self, node: _Node, t: int) -> Places:
        """Update the neurons of a population that receive something or are not at rest; return their places."""
        row = t % len(node.real)
        real, imag, wrapped = node.real[row], node.imag[row], node.wrapped[row]
        nobody = np.zeros(0, np.int64)
        if t < node.population.first_step:
            awake = nobody
            node.sent.append((nobody, np.zeros(0, np.int32)))
        else:
            awake = np.flatnonzero(node.moving | (real != 0) | (imag != 0))
            node.overflow += self._step(node, awake, real, imag, wrapped)
        real[:], imag[:], wrapped[:] = 0, 0, False
        return awake

    def _step(self, node: _Node, awake: Places, real: Ints, imag: Ints, wrapped: NDArray[np.bool_]) -> int:
        """Update the awake neurons by one step, store the messages they send, and return how many left 24 bits."""
        model = node.population.model
        picked = awake if awake.size <= _MOSTLY * real.size else np.arange(real.size)
        at = self._numbers(node.population, picked)
        states = tuple(state[picked] for state in node.states)
        done = step(model, states, real[picked], imag[picked], at=at, on_overflow=self.on_overflow)
        for state, new in zip(node.states, done.states):
            state[picked] = new
        node.moving[picked] = busy(model, done.states, at=at)
        sends = np.flatnonzero(done.sent)
        node.sent.append((picked[sends], done.sent[sends].astype(np.int32)))
        # a wrapped sum of 0 wakes no neuron, but counts as an overflow
        resting = np.count_nonzero(wrapped) - np.count_nonzero(wrapped[picked])
        return int(np.count_nonzero(done.overflow | wrapped[picked]) + resting)

    def _numbers(self, population: Population, places: Places) -> At:
        return places % population.size

    def _transmit(self, wire: _Wire, t: int) -> None:
        """Add the messages that the source sent in step ``t`` to the input of the target in step ``t + 1 + delay``."""
        name = wire.projection.source
        place, message = self.arrivals[name][t] if name in self.arrivals else self.nodes[name].sent[t]
        if not place.size:
            return
        node = self.nodes[wire.projection.target]
        row = (t + 1 + wire.delay) % len(node.real)
        rows = node.real if wire.projection.component == "real" else node.imag
        size = (self.network.sizes[name], node.population.size)
        if not wire.private:
            _add(wire.start, wire.target, wire.weight, place, message, *size, rows[row])
            return
        sums = np.zeros(rows.shape[1], np.int32)
        _add(wire.start, wire.target, wire.weight, place, message, *size, sums)
        sums = shifted(sums, wire.projection.weight_exponent)
        if isinstance(wire.projection.synapses, Conv | Pool):
            whole, sums = sums, conv_24(sums, self.on_overflow)
            node.wrapped[row] |= whole != sums
        rows[row] += sums

    def _events(self, node: _Node) -> Events:
        size = node.population.size
        place = np.concatenate([places for places, _ in node.sent])
        step_of = np.repeat(np.arange(self.steps), [places.size for places, _ in node.sent])
        sample, neuron = np.divmod(place, size)
        payload = np.concatenate([messages for _, messages in node.sent]) if node.population.model.graded else None
        return Events(
            size=size,
            n_steps=self.steps,
            n_samples=self.n,
            sample=sample,
            step=step_of,
            neuron=neuron,
            payload=payload,
        )


def _by_step(events: Events, steps: int) -> list[tuple[Places, Ints]]:
    """Return places and messages of an input for each step."""
    order = np.argsort(events.step, kind="stable")
    place = (events.sample.astype(np.int64) * events.size + events.neuron)[order]
    message = np.ones(len(events), np.int32) if events.payload is None else events.payload[order]
    bounds = np.searchsorted(events.step[order], np.arange(1, steps))
    return list(zip(np.split(place, bounds), np.split(message, bounds)))


@compiled(nogil=True)
def _add(
    start: Any, target: Any, weight: Any, place: Any, message: Any, n_source: Any, n_target: Any, sums: Any
) -> None:
    """Add weight times message to ``sums`` for each stored synapse of each message's source; sums wrap at 32 bits."""
    for i in range(place.size):
        sample, source = place[i] // n_source, place[i] % n_source
        base = sample * n_target
        for k in range(start[source], start[source + 1]):
            at = base + target[k]
            sums[at] = np.int32(sums[at] + np.int32(weight[k] * message[i]))
