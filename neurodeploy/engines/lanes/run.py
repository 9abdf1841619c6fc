"""A run of a network in lanes: up to 64 samples at a time, layer by layer, each layer over all steps.

Spikes equal those of ``run_event`` and ``run_reference``. Samples with a state beyond 24 bits, where the chip's arithmetic
folds and clips, are run again by ``run_event``. Networks that lanes do not take are named by ``refusal``; whether lanes are
faster than the event-driven engine is a matter of batch, density and rate (``engines/fastest.py`` measures it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import Progress, check_overflow, check_run, input_events
from neurodeploy.engines.dynamics import Overflow
from neurodeploy.engines.event.by_source import largest_sum
from neurodeploy.engines.event.run import processors, run_event
from neurodeploy.engines.lanes.neurons import Neurons, neurons_of, respond
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.engines.lanes.summing import Summing, Sums
from neurodeploy.engines.lanes.sums import COLUMNS
from neurodeploy.engines.lanes.team import Team
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
from neurodeploy.network.activity import Activity, Events, Samples, join_samples, sorted_events
from neurodeploy.network.unrolled import entries

AT_ONCE = 64
"""Samples that run together: the bits of a mask word are those of a step."""


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
    plan, team = plan_of(network), Team(threads or processors())
    steps = check_run(network, samples, n_steps)
    inputs = {i.name: _plain(network, i.name, samples.inputs[i.name]) for i in network.inputs}
    overflow = {population.name: 0 for population in network.populations}
    parts: list[dict[str, Events]] = []
    for first in range(0, samples.n_samples, AT_ONCE):
        stop = min(first + AT_ONCE, samples.n_samples)
        sent = _run_part(plan, inputs, Span(steps, stop - first), first, team)
        if sent is None:
            whole = run_event(network, samples.take(first, stop), n_steps=steps, threads=1)
            sent = {population.name: whole.spikes[population.name] for population in network.populations}
            overflow = {name: overflow[name] + n for name, n in whole.overflow.items()}
            if on_overflow == "error":
                check_overflow("event", overflow)
        parts.append(sent)
        if progress is not None:
            progress(stop, samples.n_samples)
    spikes = {name: join_samples([part[name] for part in parts]) for name in overflow}
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
    """Populations in an order in which each comes after its sources, with what arrives at them."""

    order: tuple[Population, ...]
    arrivals: dict[str, tuple[Arrivals, ...]]
    neurons: dict[str, Neurons]


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


def _run_part(plan: Plan, inputs: dict[str, Events], span: Span, first: int, team: Team) -> dict[str, Events] | None:
    """Return the spikes of the populations for the samples of a span from ``first`` on, None if a state left 24 bits."""

    def moved(source: str, delay: int | NDArray[np.int32]) -> Spikes:
        """Return spikes moved by the step that every spike takes and by their delay."""
        if source in spikes:
            return spikes[source].delayed(1 + delay)
        later = 1 + delay if isinstance(delay, int) else 0
        own = Spikes.of_events(inputs[source], first, first + span.batch, delay=later, n_steps=span.n_steps)
        return own if isinstance(delay, int) else own.delayed(1 + delay)

    spikes: dict[str, Spikes] = {}
    for population in plan.order:
        own = _responded(plan, population, moved, span, team)
        if own is None:
            return None
        spikes[population.name] = own
    return {name: own.to_events() for name, own in spikes.items()}


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
    plan: Plan, population: Population, moved: Callable[..., Spikes], span: Span, team: Team
) -> Spikes | None:
    """Return the spikes of a population, or None if a state left 24 bits."""
    neurons, arrivals = plan.neurons[population.name], plan.arrivals[population.name]
    bits = np.zeros((population.size, span.width // 64), np.uint64)
    nowhere = np.zeros((0, span.stride), np.float32)
    peaks = [0.0]
    exponent = arrivals[0].exponent if len(arrivals) == 1 else 0

    def take(first: int, stop: int, sums: Sums) -> None:
        del stop
        peak = respond(sums, neurons, span, first, exponent, bits, nowhere, population.first_step, beyond=False)
        peaks.append(peak)

    if len(arrivals) == 1:
        arrivals[0].summing.each_block(moved(arrivals[0].source, arrivals[0].delay), take, team)
    else:
        total = span.rows(population.size, np.int64)
        for one in arrivals:
            part = one.summing.sums(moved(one.source, one.delay), team).astype(np.int64)
            total += part << one.exponent if one.exponent >= 0 else part >> -one.exponent
        if np.abs(total).max(initial=0) >= STATE_LIMIT:
            return None  # 64 times as much in a state
        take(0, population.size, total.astype(np.int32))
    return Spikes(span, population.size, bits) if max(peaks) < STATE_LIMIT else None
