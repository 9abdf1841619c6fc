"""The reference engine, which defines the behaviour of a ``Network``: plain numpy integers, exactly as in Lava.

Source: lava-nc 0.10.0, ``proc/dense/models.py``, ``proc/conv/models.py``, tag ``fixed_pt``; neurons are in ``dynamics.py``.
Weights are used as they are stored; Lava itself would cut odd weights in a matrix of mixed signs to even ones.

All samples of a chunk run side by side: states have the shape ``(n_samples, n_neurons)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import (
    Labels,
    Progress,
    check_overflow,
    check_run,
    input_events,
    join_activities,
    n_labels,
)
from neurodeploy.engines.dynamics import Ints, Overflow, States, busy, step
from neurodeploy.engines.sums import conv_24, shifted, synaptic_sum
from neurodeploy.network import Conv, Network, Pool, Projection, SpikingModel, Synapses
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.network.unrolled import by_delay

_CHUNK_BYTES = 2**28


def run_reference(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    labels: Labels | None = None,
    on_overflow: Overflow = "report",
    progress: Progress | None = None,
) -> Activity:
    """Run the network on samples, each starting from state 0, and return the activity.

    Args:
        n_steps: steps run for each sample; by default the steps of the samples plus the depth of the network.
        probe: states to record after each step: pairs of a population and one of its model's ``states``.
        labels: by population, a whole number from 0 for each neuron; asks for ``Activity.updated``.
        on_overflow: choice for a state that leaves 24 bits. ``"report"`` counts it and goes on as Lava does: the current
            wraps once. ``"error"`` refuses it; ``"wrap"`` wraps sums until they fit; ``"clip"`` limits them to
            ``+-(2**23 - 1)``.
        progress: called with the numbers of finished and of all samples.

    Raises:
        SimulationError: if the samples, probes or labels do not fit the network, or for an overflow with ``"error"``.
    """
    steps = check_run(network, samples, n_steps, probe, labels, on_overflow)
    wires = {p.name: [wire for q in network.into(p.name) for wire in _wires(q)] for p in network.populations}
    chunk = max(1, _CHUNK_BYTES // (steps * sum(network.sizes.values())))
    parts = []
    for first in range(0, samples.n_samples, chunk):
        part = samples.take(first, min(first + chunk, samples.n_samples))
        parts.append(_run_chunk(network, wires, part, steps, probe, labels, on_overflow))
        if on_overflow == "error":
            check_overflow("reference", parts[-1].overflow)
        if progress is not None:
            progress(first + part.n_samples, samples.n_samples)
    return join_activities(parts)


def cuba_step(
    model: SpikingModel, u: Ints, v: Ints, a: Ints
) -> tuple[Ints, Ints, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return current, voltage, spikes and overflows of the current after one step with the summed input ``a``."""
    done = step(model, (u, v), a, np.zeros_like(a))
    u, v = done.states
    return u, v, done.sent, done.overflow


@dataclass(frozen=True, slots=True, eq=False)
class _Wire:
    """The synapses of a projection that share one delay; only the marked ``sources`` use them, all if None."""

    projection: Projection
    synapses: Synapses
    delay: int
    sources: NDArray[np.bool_] | None = None


@dataclass(slots=True, eq=False)
class _State:
    """The states of a population, int32 ``(n_samples, size)`` each, and the number of overflows of 24 bits."""

    states: States
    overflow: int = 0


def _wires(projection: Projection) -> list[_Wire]:
    return [_Wire(projection, one.synapses, one.delay, one.sources) for one in by_delay(projection)]


def _run_chunk(
    network: Network,
    wires: dict[str, list[_Wire]],
    samples: Samples,
    steps: int,
    probe: Sequence[tuple[str, str]],
    labels: Labels | None,
    on_overflow: Overflow,
) -> Activity:
    n = samples.n_samples
    inputs = input_events(network, samples, steps)
    sent = _rasters(network, inputs, (n, steps))
    state = {
        p.name: _State(tuple(np.zeros((n, p.size), np.int32) for _ in p.model.states)) for p in network.populations
    }
    probed = {(name, which): np.zeros((n, steps, network.sizes[name]), np.int32) for name, which in probe}
    updated = None if labels is None else np.zeros((n, steps, n_labels(labels)), np.int64)
    for t in range(steps):
        for population in network.populations:
            name, now, model = population.name, state[population.name], population.model
            if t >= population.first_step:
                real, imag, wrapped = _arriving(wires[name], sent, t, now.states[0].shape, on_overflow)
                if updated is not None and labels is not None and name in labels:
                    changing = busy(model, now.states) | (real != 0) | (imag != 0)
                    _count(updated[:, t], changing, np.asarray(labels[name]))
                done = step(model, now.states, real, imag, on_overflow=on_overflow)
                now.states, sent[name][:, t] = done.states, done.sent
                now.overflow += int(np.count_nonzero(done.overflow | wrapped))
        for name, which in probe:
            probed[name, which][:, t] = state[name].states[network.population(name).model.states.index(which)]
    return Activity(
        engine="reference",
        network=network.fingerprint,
        n_steps=steps,
        spikes=inputs | {p.name: Events.from_dense(sent[p.name], graded=p.model.graded) for p in network.populations},
        states=probed,
        updated=updated,
        overflow={name: now.overflow for name, now in state.items()},
    )


def _rasters(network: Network, inputs: dict[str, Events], span: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """Return the messages of each input and population, ``(n_samples, n_steps, size)``: bool, int32 if graded."""
    kinds = {name: np.int32 if name in network.graded else np.bool_ for name in network.sizes}
    sent: dict[str, NDArray[Any]] = {name: events.to_dense().astype(kinds[name]) for name, events in inputs.items()}
    return sent | {p.name: np.zeros((*span, p.size), kinds[p.name]) for p in network.populations}


def _arriving(
    wires: list[_Wire], sent: dict[str, NDArray[Any]], t: int, shape: tuple[int, ...], on_overflow: Overflow
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Return the real and the imaginary input of step ``t``, each the sum over all wires, and flags of sums over 24 bits."""
    real, imag, wrapped = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.bool_)
    for wire in wires:
        sent_at = t - 1 - wire.delay
        if sent_at < 0:
            continue
        messages = sent[wire.projection.source][:, sent_at]
        part = synaptic_sum(wire.synapses, messages if wire.sources is None else messages * wire.sources)
        part = shifted(part, wire.projection.weight_exponent)
        if isinstance(wire.synapses, Conv | Pool):
            whole, part = part, conv_24(part, on_overflow)
            wrapped |= whole != part
        total = real if wire.projection.component == "real" else imag
        total += part
    return real, imag, wrapped


def _count(updated: NDArray[np.int64], changing: NDArray[np.bool_], label: NDArray[np.int64]) -> None:
    for sample, row in enumerate(changing):
        updated[sample] += np.bincount(label[row], minlength=updated.shape[-1])
