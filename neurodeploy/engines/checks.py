"""Checks that all simulators make before a run, and joining of the parts of a long run into one ``Activity``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.dynamics import OVERFLOWS
from neurodeploy.errors import SimulationError
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events, Samples, join_samples, window

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
            steps or the choice for overflows is not possible.
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
    return steps


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
            "exponents, raise the decay, or allow it with on_overflow='report'"
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
    sizes = {i.name: i.size for i in network.inputs}
    if set(sizes) != set(samples.inputs):
        raise SimulationError(
            f"simulate: the samples hold events for {sorted(samples.inputs)}, the network has the inputs {sorted(sizes)}"
        )
    if not samples.n_samples or not samples.n_steps:
        raise SimulationError(
            f"simulate: there are {samples.n_samples} samples of {samples.n_steps} steps, need at least 1"
        )
    for name, size in sizes.items():
        events = samples.inputs[name]
        if events.size != size:
            raise SimulationError(f"simulate: input '{name}' has {size} channels, its events are for {events.size}")
        if name not in network.graded and events.payload is not None and np.any(events.payload != 1):
            raise SimulationError(
                f"simulate: the events for input '{name}' carry numbers, but it takes plain spikes; make it "
                "Input(graded=True)"
            )


def _check_labels(name: str, label: IntArray, size: int | None) -> None:
    if size is None:
        raise SimulationError(f"simulate: labels are given for '{name}', which is no population of the network")
    if label.shape != (size,) or label.dtype.kind not in "iu" or label.min() < 0:
        raise SimulationError(
            f"simulate: labels of '{name}' must be {size} whole numbers from 0 on, they are {label.dtype} {label.shape}"
        )
