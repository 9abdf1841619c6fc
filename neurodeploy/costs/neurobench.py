"""Activity metrics with the definitions of NeuroBench 2.3.0, from integers and spikes alone.

NeuroBench counts ``T`` calls of each layer, without the chip's lag of one step for each layer. Here the ``T`` steps of a
population begin at its ``first_step``, and a projection counts the spikes that arrive in these steps; ``T`` is the number of
input steps.

A read of a weight because of a message with a payload is a multiply-accumulate here, one because of a spike an accumulate.
NeuroBench decides it for each call of a layer instead: a call whose inputs all happen to be -1, 0 or 1 counts accumulates.
Wires to an encoder (``mapping.memory.synapses.joins_encoder``) are no layer: like a pool they have neither weights nor
operations.

Source: Yik et al., NeuroBench, Nature Communications 2025; definitions read in the package ``neurobench`` 2.3.0
(``metrics/static``, ``metrics/workload``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.costs.counts import is_graded
from neurodeploy.errors import EstimateError
from neurodeploy.mapping.memory.synapses import joins_encoder, matrix_of
from neurodeploy.network import Conv, Network, Pool, Projection, n_nonzero, n_parameters
from neurodeploy.network.activity import Activity, Events

BYTES_PER_WEIGHT = 4
"""Size of a float32 weight, as in the torch models that NeuroBench measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuroBench:
    """Metrics of NeuroBench; numbers of operations are per sample.

    Args:
        footprint_bytes: weights times their size, zeros included (no buffers of a front end's neuron modules).
        parameters: number of weights, zeros included.
        connection_sparsity: share of weights that are zero, rounded to 4 decimals.
        activation_sparsity: share of (neuron, step) pairs without a spike or message.
        effective_acs: accumulates: reads of a non-zero weight because of a spike, per sample.
        effective_macs: multiply-accumulates: reads of a non-zero weight because of a message with a payload, per sample.
        dense_ops: the operations if no weight and no input were zero, per sample. A pool has neither weights nor operations.
        membrane_updates: changes of a voltage, per sample; None without the probes ``(population, "v")``, and for kinds of
            neurons that have no voltage.
        n_steps: number of steps ``T`` that were counted for each population.
    """

    footprint_bytes: int
    parameters: int
    connection_sparsity: float
    activation_sparsity: float
    effective_acs: float
    effective_macs: float
    dense_ops: float
    membrane_updates: float | None
    n_steps: int

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as plain values."""
        return asdict(self)


def neurobench_metrics(
    network: Network, activity: Activity, *, n_steps: int | None = None, bytes_per_weight: int = BYTES_PER_WEIGHT
) -> NeuroBench:
    """Return the metrics of a run.

    Args:
        network: the network that ran.
        activity: the record of the run; membrane updates need the probes ``(population, "v")`` of all populations.
        n_steps: steps ``T`` of a sample; by default the steps of the run minus the depth of the network.
        bytes_per_weight: size of a weight for the footprint.

    Raises:
        EstimateError: if the activity is of another network, or too short.
    """
    steps = activity.n_steps - network.depth if n_steps is None else n_steps
    _check(network, activity, steps)
    weights = [p for p in network.projections if not isinstance(p.synapses, Pool) and not joins_encoder(network, p)]
    parameters = sum(n_parameters(p) for p in weights)
    spikes = sum(_spikes(activity.spikes[p.name], p.first_step, steps) for p in network.populations)
    places = sum(p.size for p in network.populations) * steps * activity.n_samples
    operations = [_operations(network, p, activity, steps) for p in weights]
    graded = [is_graded(network, p.source, activity) for p in weights]
    return NeuroBench(
        footprint_bytes=parameters * bytes_per_weight,
        parameters=parameters,
        connection_sparsity=round((parameters - sum(n_nonzero(p) for p in weights)) / max(1, parameters), 4),
        activation_sparsity=(places - spikes) / places,
        effective_acs=sum(n for (n, _), payload in zip(operations, graded) if not payload) / activity.n_samples,
        effective_macs=sum(n for (n, _), payload in zip(operations, graded) if payload) / activity.n_samples,
        dense_ops=float(sum(dense for _, dense in operations)),
        membrane_updates=_membrane_updates(network, activity, steps),
        n_steps=steps,
    )


def _check(network: Network, activity: Activity, steps: int) -> None:
    if activity.network != network.fingerprint:
        raise EstimateError("estimate: the activity is of another network; simulate this one again")
    if steps < 1 or steps + network.depth > activity.n_steps:
        raise EstimateError(
            f"estimate: {steps} steps of a sample need a run of {steps + network.depth}, this one has {activity.n_steps}"
        )


def _inside(events: Events, first: int, steps: int) -> NDArray[np.bool_]:
    return (events.step >= first) & (events.step < first + steps)


def _spikes(events: Events, first: int, steps: int) -> int:
    return int(np.count_nonzero(_inside(events, first, steps)))


def _operations(network: Network, projection: Projection, activity: Activity, steps: int) -> tuple[int, int]:
    """Return effective operations of all samples, and dense operations of one sample."""
    matrix = matrix_of(projection)
    events, start = activity.spikes[projection.source], network.population(projection.target).first_step - 1
    delay = np.broadcast_to(projection.delay, ()) if isinstance(projection.delay, int) else projection.delay
    if delay.ndim == 2:
        delay = delay[matrix.target, matrix.source]
    elif delay.ndim == 1:
        delay = delay[matrix.source]
    effective = 0
    for d in np.unique(delay):
        own = matrix.source[np.broadcast_to(delay == d, matrix.source.shape)]
        fan_out = np.bincount(own, minlength=matrix.n_source)
        effective += int(fan_out[events.neuron[_inside(events, start - int(d), steps)]].sum())
    every = matrix_of(projection, zeros=True).source.size if isinstance(projection.synapses, Conv) else None
    return effective, (matrix.n_source * matrix.n_target if every is None else every) * steps


def _membrane_updates(network: Network, activity: Activity, steps: int) -> float | None:
    """Return the number of neurons (for the first step) plus the changes of a voltage in later steps, per sample."""
    total = 0
    for p in network.populations:
        voltage = activity.states.get((p.name, "v"))
        if voltage is None:
            return None
        own = voltage[:, p.first_step : p.first_step + steps]
        total += own[:, 0].size + int(np.count_nonzero(np.diff(own, axis=1)))
    return total / activity.n_samples
