"""Checks that all simulators make before a run, and joining of the parts of a long run into one ``Activity``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.dynamics import OVERFLOWS
from neurodeploy.errors import SimulationError
from neurodeploy.network import Input, Network, bits_for
from neurodeploy.network.activity import MOST_STEPS, Activity, Events, Samples, join_samples, window

IntArray: TypeAlias = NDArray[np.integer[Any]]
Labels: TypeAlias = Mapping[str, IntArray]
Progress: TypeAlias = Callable[[int, int], None]
"""Function that is called with the number of finished samples and the number of all samples."""


def check_run(
    network: Network,
    samples: Samples,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    labels: Labels | None = None,
    on_overflow: str = "report",
) -> int:
    """Return the number of steps to run: ``n_steps``, or the steps of the samples plus the depth of the network.

    Raises:
        SimulationError: if the samples do not belong to the inputs of the network, or a probe, a label, the number of
            steps or the choice for overflows is not possible, or samples and steps are more than memory is taken for.
    """
    if on_overflow not in OVERFLOWS:
        raise SimulationError(f"simulate: on_overflow is '{on_overflow}'; known: {', '.join(OVERFLOWS)}")
    _check_inputs(network, samples)
    names = {population.name: population.model.states for population in network.populations}
    for population, state in probe:
        if state not in names.get(population, ()):
            known = ", ".join(f"{name}: {' '.join(states)}" for name, states in names.items())
            raise SimulationError(
                f"simulate: probe ('{population}', '{state}') is not possible; give a population and one of its states "
                f"({known})"
            )
    for name, label in (labels or {}).items():
        _check_labels(name, np.asarray(label), network.sizes[name] if name in names else None)
    steps = samples.n_steps + network.depth if n_steps is None else n_steps
    if steps < 1:
        raise SimulationError(f"simulate: n_steps is {steps}, must be at least 1")
    if samples.n_samples * steps > MOST_STEPS:
        raise SimulationError(
            f"simulate: {samples.n_samples:,} samples of {steps:,} steps are {samples.n_samples * steps:,} steps; at most "
            f"{MOST_STEPS:,} are run at once. Run fewer steps, or fewer samples"
        )
    return steps


def lasting_steps(network: Network, n_steps: int) -> int:
    """Return the steps after which delayed spikes of samples of ``n_steps`` have arrived; without delays, the default run.

    A spike of step t over a projection with delay k arrives in step t + 1 + k. Delays behind each other add up; connections
    back, on which spikes may circulate for ever, are not counted.
    """
    start = dict.fromkeys((i.name for i in network.inputs), 0) | {p.name: p.first_step for p in network.populations}
    late = dict.fromkeys(start, 0)
    forward = [p for p in network.projections if start[p.target] > start[p.source]]
    for p in sorted(forward, key=lambda p: start[p.target]) if any(p.max_delay for p in forward) else ():
        after = late[p.source] + start[p.source] + 1 + p.max_delay - start[p.target]
        late[p.target] = max(late[p.target], after)
    return n_steps + max(start[name] + late[name] for name in late)


def input_events(network: Network, samples: Samples, n_steps: int) -> dict[str, Events]:
    """Return the events of each input within the steps of the run."""
    return {i.name: window(samples.inputs[i.name], 0, n_steps) for i in network.inputs}


def n_labels(labels: Labels) -> int:
    """Return the number of labels: one more than the highest."""
    return 1 + max((int(np.max(label)) for label in labels.values()), default=-1)


def check_overflow(engine: str, overflow: Mapping[str, int]) -> None:
    """Refuse a run in which a state left 24 bits.

    Raises:
        SimulationError: names the populations and the number of overflows.
    """
    found = {name: n for name, n in overflow.items() if n}
    if found:
        where = ", ".join(f"'{name}' ({n} times)" for name, n in found.items())
        raise SimulationError(
            f"simulate: a state left 24 bits (+-2**23) in {where}, engine '{engine}'; lower the weights or the weight "
            "exponents, raise the decay, or allow it with --on-overflow report (in Python on_overflow='report')"
        )


def join_activities(parts: Sequence[Activity]) -> Activity:
    """Return one activity with the samples of all parts, which must have the same network and number of steps."""
    first = parts[0]
    updated = [part.updated for part in parts if part.updated is not None]
    return Activity(
        engine=first.engine,
        network=first.network,
        n_steps=first.n_steps,
        spikes={name: join_samples([part.spikes[name] for part in parts]) for name in first.spikes},
        states={key: np.concatenate([part.states[key] for part in parts]) for key in first.states},
        updated=np.concatenate(updated) if updated else None,
        overflow={name: sum(part.overflow[name] for part in parts) for name in first.overflow},
    )


def _check_inputs(network: Network, samples: Samples) -> None:
    names = {i.name for i in network.inputs}
    if names != set(samples.inputs):
        raise SimulationError(
            f"simulate: the samples hold events for {sorted(samples.inputs)}, the network has the inputs {sorted(names)}"
        )
    if not samples.n_samples or not samples.n_steps:
        raise SimulationError(
            f"simulate: there are {samples.n_samples} samples of {samples.n_steps} steps, need at least 1"
        )
    for given in network.inputs:
        name, events = given.name, samples.inputs[given.name]
        if events.size != given.size:
            raise SimulationError(
                f"simulate: input '{name}' has {given.size} channels, its events are for {events.size}"
            )
        if not given.graded and events.payload is not None and np.any(events.payload != 1):
            raise SimulationError(
                f"simulate: events for input '{name}' carry payloads, but it takes plain spikes; leave the payloads out "
                f"or give the input payload_bits: Input(name='{name}', ..., payload_bits=8)"
            )
        _check_payloads(given, events)


def _check_payloads(given: Input, events: Events) -> None:
    """Refuse events whose payloads lie outside the range of their input.

    Raises:
        SimulationError: names the input, the first such event with its payload, and the range.
    """
    if not given.graded or events.payload is None:
        return
    low, high = given.payload_range
    outside = np.flatnonzero((events.payload < low) | (events.payload > high))
    if not outside.size:
        return
    at = int(outside[0])
    bad, bits = int(events.payload[at]), given.payload_bits
    advice = "scale the payloads down, or give the input more payload_bits"
    if bad < 0 and not given.signed:
        needed = max(bits_for(bad, 0), bits + 1)
        advice = f"give the input signed payloads (signed=True, payload_bits={needed}), or leave them out"
    raise SimulationError(
        f"simulate: input '{given.name}' takes {'signed ' if given.signed else ''}payloads of {bits} bits, {low}..{high}, "
        f"but channel {int(events.neuron[at])} has {bad} in step {int(events.step[at])} of sample {int(events.sample[at])} "
        f"({outside.size} such events); {advice}"
    )


def _check_labels(name: str, label: IntArray, size: int | None) -> None:
    if size is None:
        raise SimulationError(f"simulate: labels are given for '{name}', which is no population of the network")
    if label.shape != (size,) or label.dtype.kind not in "iu" or label.min() < 0:
        raise SimulationError(
            f"simulate: labels of '{name}' must be {size} whole numbers from 0 on, they are {label.dtype} {label.shape}"
        )
