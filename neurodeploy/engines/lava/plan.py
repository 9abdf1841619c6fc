"""From a ``Network`` to the records of a Lava job; refuses networks that Lava would compute differently.

A job consists of plain numbers, strings, lists and arrays, so the worker needs neither this package nor pickled objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.lava.neurons import Record, process_record
from neurodeploy.errors import LavaError
from neurodeploy.network import (
    STATE_LIMIT,
    Conv,
    Cuba,
    Dense,
    LeakyIntegrator,
    Network,
    Pool,
    Population,
    Projection,
    ResonateAndFire,
    Sigma,
    Sparse,
    Synapses,
    synapse_shape,
)
from neurodeploy.network.activity import Events, Samples
from neurodeploy.network.unrolled import entries

_HELD = {"bias_mant": -(2**15), "bias_exp": 15}
"""A bias that keeps a population silent until its first step: no current of less than 30 bits outweighs it."""
_MESSAGE_BITS = 24
"""Argument ``num_message_bits`` for messages of populations: above 0, Lava multiplies weights by the message."""
_NEVER = 2**31 - 1
"""A threshold that no state reaches."""
_CONV_PARAMETER_MAX = 127
"""Largest kernel size, stride, padding, dilation and groups of Lava's Conv, which stores them as int8."""


def make_job(network: Network, samples: Samples, n_steps: int, probe: Sequence[tuple[str, str]] = ()) -> Record:
    """Return the job that runs the samples for ``n_steps`` steps each.

    Raises:
        LavaError: if Lava's processes cannot compute the network exactly; names the object and the next step.
    """
    return {
        "n_steps": n_steps,
        "n_samples": samples.n_samples,
        "inputs": [_input(i.name, i.size, samples.inputs[i.name], n_steps) for i in _used_inputs(network)],
        "populations": [_population(p, network, n_steps) for p in network.populations],
        "projections": [_projection(p, network) for p in network.projections] + _ties(network),
        "probe": [list(pair) for pair in probe],
    }


def _used_inputs(network: Network) -> list[Any]:
    sources = {p.source for p in network.projections}
    return [i for i in network.inputs if i.name in sources]


def _input(name: str, size: int, events: Events, n_steps: int) -> Record:
    """Return the record of an input, with the steps of all samples in one row; events after ``n_steps`` are dropped."""
    inside = events.step < n_steps
    time = events.sample[inside].astype(np.int64) * n_steps + events.step[inside]
    payload = np.ones(len(events), np.int32) if events.payload is None else events.payload
    return {"name": name, "size": size, "time": time, "neuron": events.neuron[inside], "payload": payload[inside]}


def _population(population: Population, network: Network, n_steps: int) -> Record:
    record: Record = {
        "name": population.name,
        "size": population.size,
        "first_step": population.first_step,
        "states": list(population.model.states),
        **process_record(population),
    }
    if forgets_by_itself(network, n_steps):
        return record | {"reset_interval": n_steps, "reset_offset": population.first_step + 1}
    early = _earliest_arrival(population, network) < population.first_step
    if population.first_step > 0 and (early or np.any(getattr(population.model, "bias", 0))):
        record["held"] = _held(population)
    return record


def _held(population: Population) -> Record:
    """Return variables with which a population sends nothing; they hold until its first step."""
    model = population.model
    if isinstance(model, Sigma):
        raise LavaError(
            f"lava: population '{population.name}': something arrives before its first step {population.first_step}, and "
            "Lava's Sigma sends whatever it has summed up; give it an earlier first step"
        )
    return dict(_HELD) if isinstance(model, Cuba | LeakyIntegrator) else {"vth": _NEVER}


def forgets_by_itself(network: Network, n_steps: int) -> bool:
    """Return whether Lava's LIFReset suffices to separate samples that follow each other without a gap.

    LIFReset sets a population to 0 at the beginning of its first step in the next sample. That suffices if all spikes of the
    previous sample arrive before: the target's first step must be later than the source's by the longest delay plus one.
    Lava has no process with a reset for other neurons.
    """
    if not all(isinstance(p.model, Cuba | LeakyIntegrator) for p in network.populations):
        return False
    first = {i.name: 0 for i in network.inputs} | {p.name: p.first_step for p in network.populations}
    reached = all(first[p.target] > first[p.source] + p.max_delay for p in network.projections)
    return reached and network.depth < n_steps


def _earliest_arrival(population: Population, network: Network) -> int:
    """Return the first step in which a spike can reach the population."""
    first = {i.name: 0 for i in network.inputs} | {p.name: p.first_step for p in network.populations}
    return min(
        (first[p.source] + 1 + int(np.min(p.delay)) for p in network.into(population.name)),
        default=population.first_step,
    )


def _projection(projection: Projection, network: Network) -> Record:
    graded = projection.source in network.graded
    if (
        graded
        and isinstance(projection.synapses, Conv | Pool)
        and (projection.max_delay or projection.weight_exponent < 0)
        and _largest_sum(projection, network) >= STATE_LIMIT
    ):
        raise LavaError(
            f"lava: projection '{projection.name}' is a convolution of graded messages with delays or a negative exponent; "
            "Lava runs it as a sparse matrix, whose sums do not wrap at 24 bits. Leave out delay and exponent, or lower the "
            "weights or the bits of the payloads"
        )
    record = {
        "name": projection.name,
        "source": projection.source,
        "target": projection.target,
        "port": _port(projection, network),
        **_synapses(projection),
    }
    record["arguments"] |= {"num_message_bits": _message_bits(projection, network) if graded else 0}
    return record


def _largest_sum(projection: Projection, network: Network) -> float:
    """Return a bound on the summed input of a convolution or pool from an input; infinite for messages of neurons."""
    given = next((i for i in network.inputs if i.name == projection.source), None)
    if given is None:
        return math.inf
    synapses = projection.synapses.as_conv() if isinstance(projection.synapses, Pool) else projection.synapses
    assert isinstance(synapses, Conv), "asked of convolutions and pools alone"
    weights = int(np.abs(synapses.weights.astype(np.int64)).reshape(len(synapses.weights), -1).sum(1).max())
    return weights * max(map(abs, given.payload_range)) * 2.0**projection.weight_exponent


def _message_bits(projection: Projection, network: Network) -> int:
    """Return the bits of a message; Lava uses them only to tell messages (above 0) from spikes and cuts nothing off."""
    given = next((i for i in network.inputs if i.name == projection.source), None)
    return _MESSAGE_BITS if given is None else given.payload_bits


def _port(projection: Projection, network: Network) -> str:
    complex_state = isinstance(network.population(projection.target).model, ResonateAndFire)
    return f"a_{projection.component}_in" if complex_state else "a_in"


def _synapses(projection: Projection) -> Record:
    synapses = projection.synapses.as_conv() if isinstance(projection.synapses, Pool) else projection.synapses
    if isinstance(synapses, Conv):
        if _is_lava_conv(synapses, projection):
            return {
                "process": "Conv",
                "source_shape": list(synapses.input_shape),
                "arguments": _conv_arguments(synapses, projection.weight_exponent),
            }
        return _sparse_record(projection, _unrolled(synapses, projection))
    if isinstance(synapses, Sparse):
        return _sparse_record(projection, _by_target(synapses))
    return _dense_record(projection, synapses)


def _sign_mode(weights: NDArray[Any], projection: Projection) -> str:
    """Return the sign mode in which Lava keeps all weights as they are."""
    low, high = (int(weights.min()), int(weights.max())) if weights.size else (0, 0)
    if not np.any(weights & 1):
        return "MIXED"
    if low >= 0:
        return "EXCITATORY"
    if high <= 0 and low > -256:
        return "INHIBITORY"
    odd = int(weights[(weights & 1) != 0].flat[0])
    raise LavaError(
        f"lava: projection '{projection.name}' has weights {low}..{high} and the odd weight {odd}; with both signs (or "
        "-256) Lava and Loihi keep even weights only. Make all weights even, or split it into one projection a sign"
    )


def _dense_record(projection: Projection, synapses: Dense) -> Record:
    arguments: Record = {
        "weights": synapses.weights.astype(np.int32),
        "sign_mode": _sign_mode(synapses.weights, projection),
        "weight_exp": projection.weight_exponent,
    }
    if not projection.max_delay:
        return {"process": "Dense", "arguments": arguments}
    arguments["delays"] = np.broadcast_to(projection.delay, synapses.weights.shape).astype(np.int64)
    return {"process": "DelayDense", "arguments": arguments}


def _sparse_record(projection: Projection, weights: _Rows) -> Record:
    arguments: Record = {
        "weights": _parts(weights),
        "sign_mode": _sign_mode(weights.data, projection),
        "weight_exp": projection.weight_exponent,
    }
    if not projection.max_delay or not weights.data.size:
        return {"process": "Sparse", "arguments": arguments}
    delays = np.broadcast_to(projection.delay, weights.shape[1:])[weights.indices].astype(np.int64)
    if not delays.any():
        return {"process": "Sparse", "arguments": arguments}
    return {"process": "DelaySparse", "arguments": arguments | {"delays": _parts(weights.with_data(delays))}}


class _Rows(NamedTuple):
    """A matrix by rows, in the arrays from which the worker makes scipy's ``csr_matrix``; no entry is 0."""

    data: NDArray[np.integer[Any]]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]
    shape: tuple[int, int]

    @property
    def row(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    def with_data(self, data: NDArray[np.integer[Any]]) -> _Rows:
        """Return the matrix with other values at the places of its entries."""
        return _rows(self.row, self.indices, data, self.shape)


def _rows(
    row: NDArray[np.integer[Any]],
    column: NDArray[np.integer[Any]],
    data: NDArray[np.integer[Any]],
    shape: tuple[int, int],
) -> _Rows:
    """Return the matrix with these entries, each place at most once, in any order."""
    order = np.lexsort((column, row))
    order = order[data[order] != 0]
    start = np.concatenate(([0], np.cumsum(np.bincount(row[order], minlength=shape[0]))))
    return _Rows(data[order], column[order].astype(np.int32), start.astype(np.int32), shape)


def _parts(matrix: _Rows) -> Record:
    return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": list(matrix.shape)}


def _by_target(synapses: Synapses) -> _Rows:
    """Return the matrix of synapses, ``(n_target, n_source)``; convolutions are unrolled."""
    source, target, weights = entries(synapses)
    return _rows(target, source, weights.astype(np.int32), synapse_shape(synapses))


def _is_lava_conv(conv: Conv, projection: Projection) -> bool:
    """Return whether Lava's Conv can compute a convolution: no delay, no negative exponent, all sizes within int8."""
    sizes = (*conv.weights.shape[2:], *conv.stride, *conv.padding, *conv.dilation, conv.groups)
    return not projection.max_delay and projection.weight_exponent >= 0 and max(sizes) <= _CONV_PARAMETER_MAX


def _conv_arguments(conv: Conv, exponent: int) -> Record:
    """Return the arguments of Lava's Conv, which has the axes x, y, channel and flips kernels, where torch does not."""
    channels, height, width = conv.input_shape
    weights = conv.weights.transpose(0, 3, 2, 1)[:, ::-1, ::-1].astype(np.int32) << exponent
    return {
        "weight": np.ascontiguousarray(weights),
        "input_shape": [width, height, channels],
        "stride": list(conv.stride[::-1]),
        "padding": list(conv.padding[::-1]),
        "dilation": list(conv.dilation[::-1]),
        "groups": conv.groups,
    }


def _unrolled(conv: Conv, projection: Projection) -> _Rows:
    """Return the matrix of a convolution, ``(n_target, n_source)``."""
    matrix = _by_target(conv)
    _check_24_bits(matrix, projection)
    return matrix


def _check_24_bits(matrix: _Rows, projection: Projection) -> None:
    """Refuse a convolution as Lava's Sparse process if a sum can leave 24 bits: Sparse does not wrap there."""
    largest = np.bincount(matrix.row, weights=np.abs(matrix.data)).max(initial=0) * 2.0**projection.weight_exponent
    if largest >= STATE_LIMIT:
        raise LavaError(
            f"lava: projection '{projection.name}' is a convolution with delays, run as a sparse matrix; its sum can reach "
            f"{largest:.0f}, beyond 24 bits. Lower its weights or its weight_exponent {projection.weight_exponent}"
        )


def _ties(network: Network) -> list[Record]:
    """Return connections without synapses that make the graph connected, because Lava runs one connected graph.

    They tie the first population to one population of every other part.
    """
    part = {name: name for name in network.sizes}

    def find(name: str) -> str:
        return name if part[name] == name else find(part[name])

    for p in network.projections:
        part[find(p.source)] = find(p.target)
    first = network.populations[0]
    ties = []
    for population in network.populations:
        if find(population.name) != find(first.name):
            part[find(population.name)] = find(first.name)
            none = np.zeros(0, np.int32)
            empty = _rows(none, none, none, (population.size, first.size))
            port = "a_real_in" if isinstance(population.model, ResonateAndFire) else "a_in"
            record = {"name": f"tie {population.name}", "source": first.name, "target": population.name, "port": port}
            arguments = {"weights": _parts(empty), "sign_mode": "MIXED", "weight_exp": 0}
            ties.append(record | {"process": "Sparse", "arguments": arguments})
    return ties
