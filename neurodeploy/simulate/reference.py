"""The definition: what a ``Network`` does, in plain numpy integers, exactly as Lava's fixed-point models compute.

Source: lava-nc 0.10.0, ``proc/lif/models.py`` (``PyLifModelBitAcc``), ``proc/dense/models.py``, ``proc/conv/models.py``,
tag ``fixed_pt``. Weights act as they are stored; Lava itself would cut odd weights of a matrix of mixed signs to even ones.

All samples of a chunk run side by side: states have the shape ``(n_samples, n_neurons)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurodeploy.activity import Activity, Events, Samples
from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    Conv,
    Cuba,
    Dense,
    Network,
    NeuronModel,
    Pool,
    Population,
    Projection,
    Sparse,
    Synapses,
)
from neurodeploy.simulate.inputs import (
    Labels,
    Progress,
    check_overflow,
    check_run,
    input_events,
    join_activities,
    n_labels,
)

_CHUNK_BYTES = 2**28


def run_reference(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    labels: Labels | None = None,
    on_overflow: Literal["report", "error"] = "report",
    progress: Progress | None = None,
) -> Activity:
    """Return what the network does with the samples, each of which starts from state 0.

    Args:
        n_steps: steps run for each sample; by default those of the samples plus the depth of the network.
        probe: pairs of a population and ``"u"`` or ``"v"`` whose state after each step is kept.
        labels: one whole number from 0 on for each neuron of some populations; gives ``Activity.updated``.
        on_overflow: a current that leaves 24 bits wraps once, as in Lava, and is counted; ``"error"`` refuses it.
        progress: called with the samples done and the samples of the run.

    Raises:
        SimulationError: if the samples, probes or labels do not fit the network, or on overflow if so chosen.
    """
    steps = check_run(network, samples, n_steps, probe, labels)
    wires = {p.name: [wire for q in network.into(p.name) for wire in _wires(q)] for p in network.populations}
    chunk = max(1, _CHUNK_BYTES // (steps * sum(network.sizes.values())))
    parts = []
    for first in range(0, samples.n_samples, chunk):
        part = samples.take(first, min(first + chunk, samples.n_samples))
        parts.append(_run_chunk(network, wires, part, steps, probe, labels))
        if on_overflow == "error":
            check_overflow("reference", parts[-1].overflow)
        if progress is not None:
            progress(first + part.n_samples, samples.n_samples)
    return join_activities(parts)


def cuba_step(
    model: NeuronModel, u: NDArray[np.int32], v: NDArray[np.int32], a: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return current, voltage, who fired and whose current left 24 bits, after one step with the summed input ``a``.

    The last axis of ``u``, ``v`` and ``a`` (int32) counts the neurons. All sums are 32-bit integers, as in Lava. The
    current is folded back once: above ``2**23`` by ``-2**24``, at ``-2**23`` and below by ``+2**24``; it overflows where
    Lava leaves the chip's 24 bits, which is ``|u| >= 2**23`` before the fold. The voltage is clipped to ``+-(2**23 - 1)``.
    """
    wide = _decayed(u, model.current_decay) + (a.astype(np.int64) << STATE_SHIFT)
    overflow = np.abs(wide) >= STATE_LIMIT
    u = wide.astype(np.int32)
    u = np.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, np.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u))
    v = _decayed(v, model.voltage_decay).astype(np.int32) + u + np.ravel(model.bias).astype(np.int32)
    v = np.clip(v, 1 - STATE_LIMIT, STATE_LIMIT - 1)
    if not isinstance(model, Cuba):
        return u, v, np.zeros(v.shape, np.bool_), overflow
    fired = v > np.ravel(model.threshold) << STATE_SHIFT
    return u, np.where(fired, 0, v).astype(np.int32), fired, overflow


def synaptic_sum(synapses: Synapses, sent: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the sum of the weights that the spikes ``sent`` (bool, ``(n_samples, n_source)``) bring to each target."""
    if isinstance(synapses, Dense):
        return np.stack([synapses.weights[:, row].sum(axis=1, dtype=np.int32) for row in sent])
    if isinstance(synapses, Sparse):
        return np.stack([_sparse_sum(synapses, row) for row in sent])
    return _conv_sum(synapses.as_conv() if isinstance(synapses, Pool) else synapses, sent)


@dataclass(frozen=True, slots=True, eq=False)
class _Wire:
    """The synapses of a projection that share one delay; ``sources`` is None or says whose spikes they carry."""

    projection: Projection
    synapses: Synapses
    delay: int
    sources: NDArray[np.bool_] | None = None


@dataclass(slots=True, eq=False)
class _State:
    """Current and voltage of a population, int32 ``(n_samples, size)``, and how often its current left 24 bits."""

    u: NDArray[np.int32]
    v: NDArray[np.int32]
    overflow: int = 0


def _wires(projection: Projection) -> Iterator[_Wire]:
    """Give the projection once for each delay in it."""
    synapses, delay = projection.synapses, projection.delay
    if isinstance(delay, int):
        yield _Wire(projection, synapses, delay)
        return
    for d in np.unique(delay):
        if delay.ndim == 2 and isinstance(synapses, Dense):
            yield _Wire(projection, Dense(weights=np.where(delay == d, synapses.weights, 0)), int(d))
        else:
            yield _Wire(projection, synapses, int(d), delay == d)


def _run_chunk(
    network: Network,
    wires: dict[str, list[_Wire]],
    samples: Samples,
    steps: int,
    probe: Sequence[tuple[str, str]],
    labels: Labels | None,
) -> Activity:
    n = samples.n_samples
    inputs = input_events(network, samples, steps)
    sent = {name: events.to_dense().astype(np.bool_) for name, events in inputs.items()}
    sent.update({p.name: np.zeros((n, steps, p.size), np.bool_) for p in network.populations})
    state = {
        p.name: _State(np.zeros((n, p.size), np.int32), np.zeros((n, p.size), np.int32)) for p in network.populations
    }
    probed = {(name, which): np.zeros((n, steps, network.sizes[name]), np.int32) for name, which in probe}
    updated = None if labels is None else np.zeros((n, steps, n_labels(labels)), np.int64)
    for t in range(steps):
        for population in network.populations:
            name, now = population.name, state[population.name]
            if t >= population.first_step:
                a, wrapped = _arriving(wires[name], sent, t, now.u.shape)
                if updated is not None and labels is not None and name in labels:
                    _count(updated[:, t], _changing(population, now, a), np.asarray(labels[name]))
                now.u, now.v, sent[name][:, t], overflow = cuba_step(population.model, now.u, now.v, a)
                now.overflow += int(np.count_nonzero(overflow | wrapped))
        for name, which in probe:
            probed[name, which][:, t] = state[name].u if which == "u" else state[name].v
    return Activity(
        engine="reference",
        network=network.fingerprint,
        n_steps=steps,
        spikes={**inputs, **{p.name: Events.from_dense(sent[p.name]) for p in network.populations}},
        states=probed,
        updated=updated,
        overflow={name: now.overflow for name, now in state.items()},
    )


def _arriving(
    wires: list[_Wire], sent: dict[str, NDArray[np.bool_]], t: int, shape: tuple[int, ...]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return the input of step ``t``: the shifted sums of all wires, and which sums of a convolution were wrapped."""
    a, wrapped = np.zeros(shape, np.int32), np.zeros(shape, np.bool_)
    for wire in wires:
        sent_at = t - 1 - wire.delay
        if sent_at < 0:
            continue
        spikes = sent[wire.projection.source][:, sent_at]
        part = synaptic_sum(wire.synapses, spikes if wire.sources is None else spikes & wire.sources)
        part = _shifted(part, wire.projection.weight_exponent)
        if isinstance(wire.synapses, Conv | Pool):
            whole, part = part, _wrapped_24(part)
            wrapped |= whole != part
        a += part
    return a, wrapped


def _changing(population: Population, now: _State, a: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which neurons are not at rest in this step: state, input or bias not zero."""
    at_rest: NDArray[np.bool_] = (now.u == 0) & (now.v == 0) & (a == 0) & (np.ravel(population.model.bias) == 0)
    return ~at_rest


def _count(updated: NDArray[np.int64], changing: NDArray[np.bool_], label: NDArray[np.int64]) -> None:
    for sample, row in enumerate(changing):
        updated[sample] += np.bincount(label[row], minlength=updated.shape[-1])


def _decayed(state: NDArray[np.int32], decay: int | NDArray[np.int32]) -> NDArray[np.int64]:
    """Return ``state * (4096 - decay) / 4096``, rounded towards zero."""
    product = state.astype(np.int64) * (DECAY_ONE - np.ravel(decay).astype(np.int64))
    size: NDArray[np.int64] = np.abs(product) >> 12
    return np.sign(product) * size


def _shifted(total: NDArray[np.int32], exponent: int | NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the sum times ``2**exponent``; a negative exponent rounds the sum down."""
    return total << exponent if exponent >= 0 else total >> -exponent


def _wrapped_24(total: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the sum as Lava's Conv gives it: modulo ``2**24``, from ``-2**23`` on."""
    return (total + STATE_LIMIT) % (2 * STATE_LIMIT) - STATE_LIMIT


def _sparse_sum(synapses: Sparse, sent: NDArray[np.bool_]) -> NDArray[np.int32]:
    total = np.zeros(synapses.n_target, np.int32)
    for source in np.flatnonzero(sent):
        own = slice(synapses.start[source], synapses.start[source + 1])
        total[synapses.target[own]] += synapses.weights[own]
    return total


def _conv_sum(conv: Conv, sent: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Cross-correlate, tap by tap: torch's ``conv2d`` with groups."""
    n, groups = len(sent), conv.groups
    c_out, height, width = conv.output_shape
    (pad_y, pad_x), (step_y, step_x), (dil_y, dil_x) = conv.padding, conv.stride, conv.dilation
    image = sent.astype(np.int32).reshape(n, groups, -1, *conv.input_shape[1:])
    image = np.pad(image, ((0, 0), (0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    weights = conv.weights.astype(np.int32).reshape(groups, c_out // groups, -1, *conv.weights.shape[2:])
    total = np.zeros((n, groups, c_out // groups, height, width), np.int32)
    for y, x in np.ndindex(conv.weights.shape[2:]):
        rows = slice(y * dil_y, y * dil_y + step_y * (height - 1) + 1, step_y)
        columns = slice(x * dil_x, x * dil_x + step_x * (width - 1) + 1, step_x)
        total += np.einsum("goi,ngihw->ngohw", weights[..., y, x], image[..., rows, columns])
    return total.reshape(n, -1)
