"""Compilation of a ``Network`` to the flat tables that the loops of ``kernels.py`` read.

A neuron has an *outer* number, its number in the network, and an *inner* number in the tables. The two differ for
populations that are the target of a convolution: inside, their channels run fastest, so that the taps of a spike are runs of
neighbours; ``Plan.orders`` maps back to outer numbers. Each projection becomes one *wire*. If its sum is shifted right or
wraps at 24 bits, which is done separately for each sending step and delay, it becomes one wire for each delay. So does a
projection whose events carry payloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event import kernels as k
from neurodeploy.engines.event.by_source import Ends, largest_sum
from neurodeploy.engines.event.storage import Store, Tables, padded
from neurodeploy.engines.event.weights import graded_wires_of, wires_of
from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    Conv,
    Cuba,
    Dense,
    Network,
    Pool,
    Population,
    Projection,
    Sparse,
    Synapses,
    spiking_model,
)

_NEVER = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The tables of a network; the columns are named in ``kernels.py``.

    ``orders``: by population, the outer number of each inner neuron, where outer and inner numbers differ.
    """

    names: tuple[str, ...]
    orders: dict[str, NDArray[np.int32]]
    populations: NDArray[np.int64]
    scalars: NDArray[np.int32]
    each: tuple[NDArray[np.int32], ...]
    wires: NDArray[np.int64]
    tables: tuple[NDArray[Any], ...]
    order: NDArray[np.int32]
    n_states: int
    n_sums: int
    n_flags: int
    n_drives: int
    max_channels: int


def compile_network(network: Network) -> Plan:
    """Return the tables of a network."""
    names = tuple(network.sizes)
    orders = {p.name: order for p in network.populations if (order := _inner_order(network, p)) is not None}
    tables = Tables()
    wires: list[list[int]] = []
    n_drives = 0
    for projection in network.projections:
        ends = _ends(network, names, orders, projection)
        most = largest_payload(network, projection.source)
        if most is None:
            wires += wires_of(tables, projection, ends)
            continue
        for wire in graded_wires_of(tables, projection, ends, most):
            wire[k.Q_DRIVE], n_drives = n_drives, n_drives + padded(network.sizes[projection.target])
            wires.append(wire)
    rows = _ring_rows(network)
    wraps = {names[len(network.inputs) + w[k.Q_TARGET]] for w in wires if w[k.Q_WRAP]}
    populations, scalars, each, order = _population_tables(network, orders, rows, wraps)
    last = populations[-1]
    n_acc = int(last[k.P_ACC] + last[k.P_PADDED] * last[k.P_ROWS])
    return Plan(
        names=names,
        orders=orders,
        populations=populations,
        scalars=scalars,
        each=each,
        wires=np.array(wires, np.int64).reshape(-1, k.Q_COLUMNS),
        tables=tables.joined(),
        order=order,
        n_states=int(last[k.P_STATE] + last[k.P_PADDED]),
        n_sums=n_acc,
        n_flags=n_acc if wraps else 0,
        n_drives=n_drives,
        max_channels=int(populations[:, k.P_CHANNELS].max()),
    )


def _inner_order(network: Network, population: Population) -> NDArray[np.int32] | None:
    """Return the outer number of each inner neuron if a convolution needs channels to run fastest, else None."""
    for projection in network.into(population.name):
        if isinstance(projection.synapses, Conv | Pool):
            shape = projection.synapses.output_shape
            if shape[0] == 1 or shape[1] * shape[2] == 1:
                return None
            return np.arange(population.size, dtype=np.int32).reshape(shape).transpose(1, 2, 0).ravel()
    return None


def _ends(network: Network, names: tuple[str, ...], orders: dict[str, NDArray[np.int32]], p: Projection) -> Ends:
    source = orders.get(p.source, np.arange(network.sizes[p.source], dtype=np.int32))
    target = orders.get(p.target, np.arange(network.sizes[p.target], dtype=np.int32))
    conv_order = False
    if isinstance(p.synapses, Conv | Pool):
        wanted = np.arange(target.size).reshape(p.synapses.output_shape).transpose(1, 2, 0).ravel()
        conv_order = np.array_equal(target, wanted)
    return Ends(
        names.index(p.source),
        names.index(p.target) - len(network.inputs),
        source,
        np.argsort(target).astype(np.int32),
        conv_order,
    )


def _ring_rows(network: Network) -> dict[str, int]:
    """Return by population the number of steps ahead for which summed inputs have to be stored."""
    return {p.name: 1 + max((q.max_delay for q in network.into(p.name)), default=0) for p in network.populations}


def _population_tables(
    network: Network, orders: dict[str, NDArray[np.int32]], rows: dict[str, int], wraps: set[str]
) -> tuple[NDArray[np.int64], NDArray[np.int32], tuple[NDArray[np.int32], ...], NDArray[np.int32]]:
    """Return the table of populations, parameters equal for all neurons, parameters by neuron, and all orders joined."""
    table = np.zeros((len(network.populations), k.P_COLUMNS), np.int64)
    scalars = np.zeros((len(table), 4), np.int32)
    each, order = tuple(Store(np.int32) for _ in range(4)), Store(np.int32)
    n_states = n_acc = 0
    for row, scalar, population in zip(table, scalars, network.populations):
        name, size, parameters = population.name, padded(population.size), _parameters(population)
        row[k.P_SIZE], row[k.P_PADDED], row[k.P_STATE] = population.size, size, n_states
        row[k.P_FIRST], row[k.P_ROWS], row[k.P_ACC] = population.first_step, rows[name], n_acc
        row[k.P_VECTOR], row[k.P_PERM] = -1, order.add(orders[name]) if name in orders else -1
        if name in orders:
            pixels = orders[name][1]  # the outer number of the second channel
            row[k.P_CHANNELS] = population.size // pixels
        row[k.P_BIASED], row[k.P_WRAPS] = np.any(parameters[3]), name in wraps
        row[k.P_SUBTRACTS] = getattr(population.model, "reset", "zero") == "subtract"
        row[k.P_FITS] = name not in wraps and current_fits(network, population)
        if all(p.size == 1 for p in parameters) and not row[k.P_SUBTRACTS]:
            scalar[:] = [p[0] for p in parameters]
        else:
            inner = orders.get(name, slice(None))
            for store, values, rest in zip(each, parameters, (0, 0, _NEVER, 0)):
                whole = np.full(size, rest, np.int32)
                whole[: population.size] = np.broadcast_to(values, population.size)[inner]
                row[k.P_VECTOR] = store.add(whole)
        n_states += size
        n_acc += size * rows[name]
    return table, scalars, tuple(store.joined() for store in each), order.joined()


def _parameters(population: Population) -> list[NDArray[np.int32]]:
    """Return four parameters, each one number or one for each neuron: the shares of current and voltage that are kept (in
    4096ths), the limit of the voltage, and the bias."""
    model = spiking_model(population, "simulate")
    limit = np.ravel(model.threshold).astype(np.int32) << STATE_SHIFT if isinstance(model, Cuba) else np.array([_NEVER])
    keep = [DECAY_ONE - np.ravel(decay).astype(np.int32) for decay in (model.current_decay, model.voltage_decay)]
    return [*keep, limit, np.ravel(model.bias).astype(np.int32)]


def current_fits(network: Network, population: Population) -> bool:
    """Return whether no input can drive a current of the population to ``+-2**23``.

    With input of at most ``A`` in each step, weights times payloads, and decay ``d``, the size of a current stays at or
    below ``64 * A * 4096 / d``.
    """
    most = np.zeros(population.size, np.int64)
    for projection in network.into(population.name):
        # A sum that is shifted right may be rounded down by one for each delay in it.
        rounding = 1 + projection.max_delay if projection.weight_exponent < 0 else 0
        sizes = _sizes(projection.synapses) * (largest_payload(network, projection.source) or 1)
        # beyond 2**40 a current does not fit in any case, and the sum of all projections stays within 64 bits
        most += np.minimum(sizes, 2**40) * (1 << max(projection.weight_exponent, 0)) + rounding
    decay = int(np.min(spiking_model(population, "simulate").current_decay))
    return int(most.max()) * 64 * DECAY_ONE < STATE_LIMIT * decay


def largest_payload(network: Network, source: str) -> int | None:
    """Return the largest absolute value that an event of an input can carry, None if it carries none."""
    given = next((i for i in network.inputs if i.name == source and i.graded), None)
    return None if given is None else max(abs(end) for end in given.payload_range)


def _sizes(synapses: Synapses) -> NDArray[np.int64]:
    """Return the sum of the absolute weights into each target; for a convolution the bound from its largest kernel."""
    if isinstance(synapses, Dense):
        dense: NDArray[np.int64] = np.abs(synapses.weights).sum(axis=1, dtype=np.int64)
        return dense
    if isinstance(synapses, Sparse):
        sizes = np.abs(synapses.weights).astype(np.float64)
        return np.bincount(synapses.target, sizes, synapses.n_target).astype(np.int64)
    return np.full(int(np.prod(synapses.output_shape)), largest_sum(synapses))
