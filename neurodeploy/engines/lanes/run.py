"""A run of a network in lanes: up to 64 samples at a time, layer by layer, each layer over all steps.

Spikes equal those of ``run_event`` and ``run_reference``. Samples with a state beyond 24 bits, where the chip's arithmetic
folds and clips, are run again by ``run_event``. Networks that lanes do not take are named by ``refusal``; whether lanes are
faster than the event-driven engine is a matter of batch, density and rate (``engines/fastest.py`` measures it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import Progress, check_overflow, check_run, input_events
from neurodeploy.engines.dynamics import Overflow
from neurodeploy.engines.event.by_source import largest_sum
from neurodeploy.engines.event.run import processors, run_event
from neurodeploy.engines.event.threads import in_order
from neurodeploy.engines.lanes.layer import Room, run_layer
from neurodeploy.engines.lanes.neurons import Neurons, neurons_of, respond
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.engines.lanes.summing import Summing
from neurodeploy.engines.lanes.sums import COLUMNS
from neurodeploy.engines.lanes.wiring import Geometry, Wiring, conv_wiring, matrix_wiring
from neurodeploy.errors import SimulationError
from neurodeploy.network import (
    STATE_LIMIT,
    Conv,
    Network,
    Pool,
    Population,
    Projection,
    sends_spikes_only,
    spiking_model,
)
from neurodeploy.network.activity import Activity, Events, Samples, sorted_events
from neurodeploy.network.unrolled import entries

AT_ONCE = 64
"""Samples of a group: fewer are not worth it."""
_SIZES = (AT_ONCE, 32, 16)
"""Samples that run together: as many as leave some for every thread. With 32, the sums of a neuron over 100 steps fill
half of the nearest cache."""
_Columns: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Spikes of some samples by population (sample, step, neuron), and overflows where there are any."""

    sent: dict[str, _Columns]
    overflow: Mapping[str, int] = field(default_factory=dict)


def run_lanes(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    on_overflow: Overflow = "report",
    progress: Progress | None = None,
    threads: int | None = 1,
) -> Activity:
    """Run the network on samples and return the activity, equal to that of ``run_event``.

    Args:
        n_steps, progress: as in ``run_reference``.
        on_overflow: ``report`` or ``error``.
        threads: threads that share the neurons of a layer; None for one for each processor.

    Raises:
        SimulationError: as ``run_event``, and for a network that lanes do not take.
    """
    threads = threads or processors()
    plan = plan_of(network)
    steps = check_run(network, samples, n_steps)
    inputs = {i.name: _plain(network, i.name, samples.inputs[i.name]) for i in network.inputs}
    overflow = {population.name: 0 for population in network.populations}
    size = next((n for n in _SIZES if samples.n_samples >= n * threads), _SIZES[-1])
    ranges = [(first, min(first + size, samples.n_samples)) for first in range(0, samples.n_samples, size)]

    def work(own: tuple[int, int]) -> _Part:
        first, stop = own
        sent = _run_part(plan, inputs, Span(steps, stop - first), first)
        if sent is not None:
            return _Part(sent)
        whole = run_event(network, samples.take(first, stop), n_steps=steps, threads=1)
        columns = {p.name: whole.spikes[p.name] for p in network.populations}
        return _Part({n: (e.sample + np.int32(first), e.step, e.neuron) for n, e in columns.items()}, whole.overflow)

    parts: list[_Part] = []
    for part, (_, stop) in zip(_all_parts(plan, work, ranges, (steps, size), threads), ranges):
        parts.append(part)
        overflow = {name: n + part.overflow.get(name, 0) for name, n in overflow.items()}
        if on_overflow == "error":
            check_overflow("event", overflow)
        if progress is not None:
            progress(stop, samples.n_samples)
    spikes = {
        p.name: _joined(p.size, steps, samples.n_samples, [q.sent[p.name] for q in parts]) for p in network.populations
    }
    given = input_events(network, samples, steps) if steps < samples.n_steps else _longer(inputs, steps)
    return Activity(
        engine="lanes",
        network=network.fingerprint,
        n_steps=steps,
        spikes={**given, **spikes},
        overflow=overflow,
    )


def refusal(network: Network) -> str | None:
    """Return why lanes do not take a network, or None if they do."""
    if not sends_spikes_only(network):
        return "it has neurons other than CUBA and leaky integrators"
    try:
        _order(network)
    except CycleError:
        return "it has a cycle, and a layer runs over all steps at once"
    for projection in network.projections:
        synapses, exponent = projection.synapses, max(projection.weight_exponent, 0)
        if isinstance(synapses, Conv | Pool) and largest_sum(synapses) << exponent >= STATE_LIMIT:
            return f"a sum of projection '{projection.name}' may wrap at 24 bits"
        if projection.source in network.graded and np.ndim(projection.delay):
            return f"payloads with a delay for each source (projection '{projection.name}')"
    return None


def bytes_a_step(network: Network) -> int:
    """Return about how much memory a step of ``AT_ONCE`` samples takes: bits of all neurons, and sums of some at a time.

    Populations with several projections add them up in 64 bits, all neurons at once.
    """
    joined = [p.size for p in network.populations if len(network.into(p.name)) > 1]
    return AT_ONCE * (sum(network.sizes.values()) // 8 + 8 * max(joined, default=COLUMNS))


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Connections of a projection with delays that may be moved together: ``delay`` beyond the one step, by source."""

    source: str
    summing: Summing
    exponent: int
    delay: int | NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Populations in an order in which each comes after its sources, with what arrives at them.

    ``rooms``: arrays of finished parts for reuse. ``measured``: steps and samples of parts that have run.
    """

    order: tuple[Population, ...]
    arrivals: dict[str, tuple[Arrivals, ...]]
    neurons: dict[str, Neurons]
    rooms: list[Room] = field(default_factory=list)
    measured: set[tuple[int, int]] = field(default_factory=set)


_plans: WeakKeyDictionary[Network, Plan] = WeakKeyDictionary()


def plan_of(network: Network) -> Plan:
    """Return the plan of a network, which is kept as long as the network exists.

    Raises:
        SimulationError: for a network that lanes do not take.
    """
    if network not in _plans:
        if reason := refusal(network):
            raise SimulationError(f"simulate: lanes cannot run this network: {reason}; use the engine event")
        names = _order(network)
        order = tuple(network.population(name) for name in names)
        _plans[network] = Plan(
            order=order,
            arrivals={p.name: tuple(a for q in network.into(p.name) for a in _arrivals(network, q)) for p in order},
            neurons={p.name: neurons_of(spiking_model(p, "simulate"), p.size) for p in order},
        )
    return _plans[network]


def _order(network: Network) -> list[str]:
    sources = {p.name: {q.source for q in network.into(p.name)} for p in network.populations}
    inputs = {i.name for i in network.inputs}
    return [name for name in TopologicalSorter(sources).static_order() if name not in inputs]


def _arrivals(network: Network, projection: Projection) -> Iterator[Arrivals]:
    """Yield the connections of a projection, one part for each delay where parts cannot be moved together.

    A sum that is shifted right is rounded down for each delay by itself.
    """
    synapses, delay, exponent = projection.synapses, projection.delay, projection.weight_exponent
    if isinstance(synapses, Conv | Pool) and (isinstance(delay, int) or exponent >= 0):
        conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
        c_out, c_in, height, width = conv.weights.shape
        geometry = Geometry(
            taken=conv.input_shape,
            kernels=(c_out, c_in, height, width),
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            groups=conv.groups,
        )
        position = np.flatnonzero(conv.weights)
        whole = conv.weights.ravel()[position]
        yield _arrival(projection.source, conv_wiring(geometry, position), whole, exponent, delay)
        return
    shape = network.sizes[projection.target], network.sizes[projection.source]
    source, target, weights = entries(synapses)
    position = target.astype(np.int64) * shape[1] + source
    rising = np.argsort(position)
    position = position[rising]
    whole = np.asarray(weights[rising], np.int16)
    if isinstance(delay, int) or (delay.ndim == 1 and exponent >= 0):
        yield _arrival(projection.source, matrix_wiring(shape, position), whole, exponent, delay)
        return
    target, source = np.divmod(position, shape[1])
    each = delay[source] if delay.ndim == 1 else delay[target, source]
    for one in np.unique(each):
        own = each == one
        wiring = matrix_wiring(shape, position[own])
        yield _arrival(projection.source, wiring, whole[own], exponent, int(one))


def _arrival(
    source: str, wiring: Wiring, weights: NDArray[np.int16], exponent: int, delay: int | NDArray[np.int32]
) -> Arrivals:
    """Return connections with halved weights if all are even, which then fit a byte."""
    halved = not np.any(weights & 1)
    summing = Summing(wiring)
    summing.set(weights >> 1 if halved else weights)
    return Arrivals(source, summing, exponent + halved, delay)


def _all_parts(
    plan: Plan,
    work: Callable[[tuple[int, int]], _Part],
    ranges: list[tuple[int, int]],
    kind: tuple[int, int],
    threads: int,
) -> Iterator[_Part]:
    """Yield all parts in order; the first of a kind runs by itself, so that nothing disturbs what is measured there."""
    first = 0 if kind in plan.measured else 1
    yield from map(work, ranges[:first])
    plan.measured.add(kind)
    yield from in_order(work, ranges[first:], threads)


def _joined(size: int, n_steps: int, n_samples: int, parts: list[_Columns]) -> Events:
    columns = parts[0] if len(parts) == 1 else [np.concatenate(several) for several in zip(*parts)]
    return sorted_events((size, n_steps, n_samples), *columns)


def _run_part(plan: Plan, inputs: dict[str, Events], span: Span, first: int) -> dict[str, _Columns] | None:
    """Return the spikes of the populations for the samples of a span from ``first`` on, None if a state left 24 bits."""

    def moved(source: str, delay: int | NDArray[np.int32]) -> Spikes:
        """Return spikes moved by the step that every spike takes and by their delay."""
        if source in spikes:
            return spikes[source].delayed(1 + delay)
        later = 1 + delay if isinstance(delay, int) else 0
        own = Spikes.of_events(inputs[source], first, first + span.batch, delay=later, n_steps=span.n_steps)
        return own if isinstance(delay, int) else own.delayed(1 + delay)

    spikes: dict[str, Spikes] = {}
    room = _free(plan.rooms)
    for population in plan.order:
        own = _responded(plan, population, spikes, moved, span, room)
        if own is None:
            return None
        spikes[population.name] = own
    sent = {name: own.columns(first) for name, own in spikes.items()}
    plan.rooms.append(room)
    return sent


def _free(rooms: list[Room]) -> Room:
    try:
        return rooms.pop()
    except IndexError:
        return Room()


def _longer(inputs: dict[str, Events], steps: int) -> dict[str, Events]:
    """Return events with more steps, without a copy."""
    return {
        name: sorted_events((e.size, steps, e.n_samples), e.sample, e.step, e.neuron, e.payload)
        for name, e in inputs.items()
    }


def _plain(network: Network, name: str, events: Events) -> Events:
    """Return the events of an input with payloads if it takes any, else without."""
    graded = name in network.graded
    if graded == (events.payload is not None):
        return events
    payload = np.ones(len(events), np.int32) if graded else None
    span = events.size, events.n_steps, events.n_samples
    return sorted_events(span, events.sample, events.step, events.neuron, payload)


def _responded(
    plan: Plan,
    population: Population,
    sent: Mapping[str, Spikes],
    moved: Callable[..., Spikes],
    span: Span,
    room: Room,
) -> Spikes | None:
    """Return the spikes of a population, or None if a state left 24 bits; ``sent`` are those of populations before it."""
    neurons, arrivals = plan.neurons[population.name], plan.arrivals[population.name]
    if len(arrivals) == 1:
        one = arrivals[0]
        later = 1 + one.delay if isinstance(one.delay, int) else population.first_step + 1
        if one.source in sent and later <= population.first_step:
            given = sent[one.source]
        else:
            given, later = moved(one.source, one.delay), 0
        own, peak = run_layer(one.summing, neurons, given, one.exponent, population.first_step, later, room)
        return own if peak < STATE_LIMIT else None
    total = span.rows(population.size, np.int64)
    for one in arrivals:
        part = one.summing.sums(moved(one.source, one.delay)).astype(np.int64)
        total += part << one.exponent if one.exponent >= 0 else part >> -one.exponent
    if np.abs(total).max(initial=0) >= STATE_LIMIT:
        return None  # 64 times as much in a state
    bits = np.zeros((population.size, span.width // 64), np.uint64)
    nowhere = np.zeros((0, span.stride), np.float32)
    peak = respond(total.astype(np.int32), neurons, span, 0, 0, bits, nowhere, population.first_step, beyond=False)
    return Spikes(span, population.size, bits) if peak < STATE_LIMIT else None
