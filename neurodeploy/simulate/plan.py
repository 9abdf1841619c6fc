"""A ``Network`` as the flat tables that the compiled loops of ``kernels.py`` read.

Populations that a convolution reaches are numbered inside with the channel running fastest, so that the taps of one spike
are runs of neighbours; ``Plan.orders`` leads back to the outer numbers. Each projection becomes one wire, or one a delay
where its sum is shifted right or wraps at 24 bits, since that is done for each sending step and delay apart.

Weights take one byte each where they allow it: even ones are halved (all weights of mixed sign on the chip are even).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from neurodeploy.simulate import kernels as k

IntArray = NDArray[np.integer[Any]]

_DENSE_NS, _DENSE_PER_NS, _DENSE_FAR_PER_NS = 0.5, 70.0, 20.0
"""Cost of a spike in the dense kernel: this and its int8 weights at so many a nanosecond (measured: 70-95 in L2).

The last number is for a matrix that leaves the cache (measured: 16-25).
"""
_CACHED_BYTES = 2**24
_ROWS, _FAR_ROWS = 256, 8
"""Rows that the dense kernel sums in registers: all that an int16 can hold, or so few that the machine fetches ahead in
each of them; with eight, a spike into 8192 neurons takes half the time that it takes with 256."""
_MOST_ZEROS = 4
"""A matrix that leaves the cache is kept with its zeros only if it takes at most so many times the memory of its lists."""
_SPARSE_NS, _SYNAPSE_NS, _SYNAPSE_FAR_NS = 4.0, 0.5, 0.9
"""Cost of a spike in the sparse kernel: this and so much for each stored synapse (measured: 0.4-0.6; 0.8-1.0 outside the
cache)."""
_SYNAPSE_BYTES = 3
_FETCH_FROM, _FETCH_AHEAD = 2**19, 8
"""Lists of more synapses than this leave the cache of a core; they are fetched so many sources ahead."""
_LONGEST_FAN, _MOST_FILLED = 8, 2
"""Lists of at most so many synapses are made equally long where that makes at most so many times as many."""
_NEVER = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Tables of one network; the columns are named in ``kernels.py``.

    ``orders`` maps a population to the outer number of each inner neuron, where they differ.
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


@dataclass(frozen=True, slots=True, eq=False)
class _Lists:
    """Stored synapses by source, all in inner numbers: ``target[start[j]:start[j + 1]]``; one delay each, or None."""

    start: NDArray[np.int64]
    target: IntArray
    weights: IntArray
    delay: IntArray | None = None


@dataclass(slots=True, eq=False)
class _Store:
    """Arrays of one type that grow by whole parts."""

    dtype: type[np.generic]
    parts: list[NDArray[Any]] = field(default_factory=list)
    size: int = 0

    def add(self, array: NDArray[Any]) -> int:
        """Append and return where the part starts."""
        at = self.size
        self.parts.append(np.ascontiguousarray(array, self.dtype))
        self.size += len(array)
        return at

    def joined(self) -> NDArray[Any]:
        """Return all parts as one read-only array; a single large part is not copied."""
        if len(self.parts) == 1 and self.size > 2**20:
            whole = self.parts[0].view()
        else:
            whole = aligned(self.size, self.dtype)
            np.concatenate([np.zeros(0, self.dtype), *self.parts], out=whole)
        whole.setflags(write=False)
        self.parts = []
        return whole


class _Tables:
    """The arrays that all wires share; each wire holds offsets into them."""

    def __init__(self) -> None:
        self.int8, self.int16 = _Store(np.int8), _Store(np.int16)
        self.target16, self.target32 = _Store(np.uint16), _Store(np.int32)
        self.start, self.segments = _Store(np.int64), _Store(np.int32)
        self.entry_delay, self.source_delay = _Store(np.uint8), _Store(np.int64)

    def joined(self) -> tuple[NDArray[Any], ...]:
        stores = (self.int8, self.int16, self.target16, self.target32, self.start, self.segments)
        return tuple(store.joined() for store in (*stores, self.entry_delay, self.source_delay))


@dataclass(frozen=True, slots=True, eq=False)
class _Ends:
    """Where a projection begins and ends: numbers of nodes, orders of their neurons, and sizes."""

    source: int
    target: int
    source_order: NDArray[np.int32]
    target_rank: NDArray[np.int32]
    conv_order: bool

    @property
    def shape(self) -> tuple[int, int]:
        return self.target_rank.size, self.source_order.size


def compile_network(network: Network) -> Plan:
    """Return the tables of a network."""
    names = tuple(network.sizes)
    orders = {p.name: order for p in network.populations if (order := _inner_order(network, p)) is not None}
    tables = _Tables()
    wires: list[list[int]] = []
    for projection in network.projections:
        wires += _wires(tables, projection, _ends(network, names, orders, projection))
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
    )


def aligned(size: int, dtype: type[np.generic]) -> NDArray[Any]:
    """Return an array of zeros that begins at a cache line, so that no vector lies across two."""
    raw = np.zeros(size * np.dtype(dtype).itemsize + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + size * np.dtype(dtype).itemsize].view(dtype)


def padded(size: int) -> int:
    """Return the size rounded up to a multiple of ``kernels.PAD``."""
    return -(-size // k.PAD) * k.PAD


def _inner_order(network: Network, population: Population) -> NDArray[np.int32] | None:
    """Return the outer number of each inner neuron where a convolution wants channels to run fastest, else None."""
    for projection in network.into(population.name):
        if isinstance(projection.synapses, Conv | Pool):
            shape = projection.synapses.output_shape
            if shape[0] == 1 or shape[1] * shape[2] == 1:
                return None
            return np.arange(population.size, dtype=np.int32).reshape(shape).transpose(1, 2, 0).ravel()
    return None


def _ends(network: Network, names: tuple[str, ...], orders: dict[str, NDArray[np.int32]], p: Projection) -> _Ends:
    source = orders.get(p.source, np.arange(network.sizes[p.source], dtype=np.int32))
    target = orders.get(p.target, np.arange(network.sizes[p.target], dtype=np.int32))
    conv_order = False
    if isinstance(p.synapses, Conv | Pool):
        wanted = np.arange(target.size).reshape(p.synapses.output_shape).transpose(1, 2, 0).ravel()
        conv_order = np.array_equal(target, wanted)
    return _Ends(
        names.index(p.source),
        names.index(p.target) - len(network.inputs),
        source,
        np.argsort(target).astype(np.int32),
        conv_order,
    )


def _ring_rows(network: Network) -> dict[str, int]:
    """Return, by population, for how many steps ahead inputs have to be kept."""
    return {p.name: 1 + max((q.max_delay for q in network.into(p.name)), default=0) for p in network.populations}


def _population_tables(
    network: Network, orders: dict[str, NDArray[np.int32]], rows: dict[str, int], wraps: set[str]
) -> tuple[NDArray[np.int64], NDArray[np.int32], tuple[NDArray[np.int32], ...], NDArray[np.int32]]:
    """Return the table of populations, equal parameters, parameters that differ, and the orders one after the other."""
    table = np.zeros((len(network.populations), k.P_COLUMNS), np.int64)
    scalars = np.zeros((len(table), 4), np.int32)
    each, order = tuple(_Store(np.int32) for _ in range(4)), _Store(np.int32)
    n_states = n_acc = 0
    for row, scalar, population in zip(table, scalars, network.populations):
        name, size, parameters = population.name, padded(population.size), _parameters(population)
        row[k.P_SIZE], row[k.P_PADDED], row[k.P_STATE] = population.size, size, n_states
        row[k.P_FIRST], row[k.P_ROWS], row[k.P_ACC] = population.first_step, rows[name], n_acc
        row[k.P_VECTOR], row[k.P_PERM] = -1, order.add(orders[name]) if name in orders else -1
        if name in orders:
            row[k.P_CHANNELS] = (
                population.size // orders[name][1]
            )  # the outer number of its second channel is its pixels
        row[k.P_BIASED], row[k.P_WRAPS] = np.any(parameters[3]), name in wraps
        row[k.P_FITS] = name not in wraps and current_fits(network, population)
        if all(p.size == 1 for p in parameters):
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
    """Return what is kept of current and voltage (of 4096), the limit of the voltage, and the bias; one or one a neuron."""
    model = spiking_model(population, "simulate")
    limit = np.ravel(model.threshold).astype(np.int32) << STATE_SHIFT if isinstance(model, Cuba) else np.array([_NEVER])
    keep = [DECAY_ONE - np.ravel(decay).astype(np.int32) for decay in (model.current_decay, model.voltage_decay)]
    return [*keep, limit, np.ravel(model.bias).astype(np.int32)]


def current_fits(network: Network, population: Population) -> bool:
    """Return whether no input at all can drive a current of the population to ``+-2**23``.

    With input of at most ``A`` in each step and decay ``d``, the size of a current stays at or below ``64 * A * 4096 / d``.
    """
    most = np.zeros(population.size, np.int64)
    for projection in network.into(population.name):
        # A sum that is shifted right may be rounded down by one for each delay in it.
        rounding = 1 + projection.max_delay if projection.weight_exponent < 0 else 0
        most += (_sizes(projection.synapses) << max(projection.weight_exponent, 0)) + rounding
    decay = int(np.min(spiking_model(population, "simulate").current_decay))
    return int(most.max()) * 64 * DECAY_ONE < STATE_LIMIT * decay


def _sizes(synapses: Synapses) -> NDArray[np.int64]:
    """Return the sum of the sizes of all weights into each target; for a convolution at most that of its largest kernel."""
    if isinstance(synapses, Dense):
        dense: NDArray[np.int64] = np.abs(synapses.weights).sum(axis=1, dtype=np.int64)
        return dense
    if isinstance(synapses, Sparse):
        sizes = np.abs(synapses.weights).astype(np.float64)
        return np.bincount(synapses.target, sizes, synapses.n_target).astype(np.int64)
    return np.full(int(np.prod(synapses.output_shape)), _largest_sum(synapses))


def _wires(tables: _Tables, projection: Projection, ends: _Ends) -> Iterator[list[int]]:
    """Give the rows of the table of wires for one projection, and store its weights."""
    synapses, exponent, delay = projection.synapses, projection.weight_exponent, projection.delay
    wraps = isinstance(synapses, Conv | Pool) and _largest_sum(synapses) << max(exponent, 0) >= STATE_LIMIT
    private = wraps or exponent < 0
    common = {k.Q_SOURCE: ends.source, k.Q_TARGET: ends.target, k.Q_PRIVATE: private, k.Q_WRAP: wraps}
    common |= {k.Q_SHIFT: exponent} if private else {}
    shift = 0 if private else exponent
    if isinstance(delay, int) or not private:
        yield _row(common, _stored(tables, projection, ends, shift))
        return
    lists = _lists(projection, ends)
    assert lists.delay is not None
    for d in np.unique(lists.delay):
        part = _part(lists, lists.delay == d)
        yield _row(common | {k.Q_DELAY: int(d)}, _stored_sparse(tables, part, ends.shape[0], shift))


def _row(*columns: dict[int, int]) -> list[int]:
    row = {column: value for part in columns for column, value in part.items()}
    return [int(row.get(column, 0)) for column in range(k.Q_COLUMNS)]


def _stored(tables: _Tables, projection: Projection, ends: _Ends, shift: int) -> dict[int, int]:
    """Store the weights of a projection in the form that its kernel reads fastest; return its columns."""
    synapses, delay = projection.synapses, projection.delay
    uniform = {k.Q_DELAY: delay} if isinstance(delay, int) else {}
    if isinstance(synapses, Conv) and ends.conv_order and synapses.weights.shape[0] > synapses.groups:
        return _stored_conv(tables, synapses, ends, delay, shift) | uniform
    lists = _lists(projection, ends)
    n_target, n_source = ends.shape
    if isinstance(delay, int) and _dense_is_faster(lists, ends.shape):
        rows = np.zeros((n_source, padded(n_target)), np.int16)
        rows[np.repeat(np.arange(n_source), np.diff(lists.start)), lists.target] = lists.weights
        weights, scale = _bytes(rows, shift)
        if weights.dtype == np.int8:
            group = _ROWS if rows.size <= _CACHED_BYTES else _FAR_ROWS
            columns = {k.Q_KIND: k.DENSE8, k.Q_STRIDE: rows.shape[1], k.Q_SCALE: scale, k.Q_GROUP: group}
            return columns | {k.Q_WEIGHT: tables.int8.add(weights.ravel())} | uniform
    if not isinstance(delay, int) and delay.ndim == 1 and isinstance(synapses, Dense):
        return _stored_rows(tables, lists, ends, delay, shift)
    return _stored_sparse(tables, lists, n_target, shift) | uniform


def _dense_is_faster(lists: _Lists, shape: tuple[int, int]) -> bool:
    """Return whether rows with their zeros are read faster than lists of the stored synapses."""
    n_target, n_source = shape
    columns, stored = padded(n_target), lists.weights.size
    rows_bytes, lists_bytes = columns * n_source, _SYNAPSE_BYTES * stored
    if rows_bytes > max(_CACHED_BYTES, _MOST_ZEROS * lists_bytes):
        return False
    per_ns = _DENSE_PER_NS if rows_bytes <= _CACHED_BYTES else _DENSE_FAR_PER_NS
    synapse_ns = _SYNAPSE_NS if lists_bytes <= _CACHED_BYTES else _SYNAPSE_FAR_NS
    return _DENSE_NS + columns / per_ns < _SPARSE_NS + synapse_ns * stored / n_source


def _bytes(weights: IntArray, shift: int) -> tuple[IntArray, int]:
    """Return weights as int8 where halves or wholes fit, else int16, and the factor that gives their full size."""
    if not np.any(weights & 1):
        return (weights >> 1).astype(np.int8), 2 << shift
    low, high = (int(weights.min()), int(weights.max())) if weights.size else (0, 0)
    return weights.astype(np.int8 if low >= -128 and high <= 127 else np.int16), 1 << shift


def _stored_sparse(tables: _Tables, lists: _Lists, n_target: int, shift: int) -> dict[int, int]:
    if lists.delay is not None and np.any(np.diff(lists.delay)):
        return {
            k.Q_START: tables.start.add(lists.start),
            k.Q_KIND: k.DELAYED,
            k.Q_STRIDE: tables.entry_delay.add(lists.delay),
            k.Q_INDEX: tables.target32.add(lists.target),
            k.Q_WEIGHT: tables.int16.add(lists.weights << shift),
        }
    lists, fan = _equally_long(lists)
    weights, scale = _bytes(lists.weights, shift)
    short, small = n_target <= 2**16, weights.dtype == np.int8
    kind = {(1, 1): k.SPARSE_16_8, (0, 1): k.SPARSE_32_8, (1, 0): k.SPARSE_16_16, (0, 0): k.SPARSE_32_16}[short, small]
    at = {
        k.Q_KIND: kind,
        k.Q_SCALE: scale,
        k.Q_STRIDE: _FETCH_AHEAD if lists.weights.size > _FETCH_FROM else 0,
        k.Q_INDEX: (tables.target16 if short else tables.target32).add(lists.target),
        k.Q_WEIGHT: (tables.int8 if small else tables.int16).add(weights),
    }
    start = {k.Q_FAN: fan} if fan else {k.Q_START: tables.start.add(lists.start)}
    same = {k.Q_DELAY: int(lists.delay[0])} if lists.delay is not None and lists.delay.size else {}
    return start | at | same


def _equally_long(lists: _Lists) -> tuple[_Lists, int]:
    """Return short lists, as those of pools, made equally long by synapses of weight 0, and their length; 0 for others."""
    own = np.diff(lists.start)
    fan = int(own.max(initial=0))
    if not 0 < fan <= _LONGEST_FAN or fan * own.size > _MOST_FILLED * lists.weights.size:
        return lists, 0
    target, weights = np.zeros((2, own.size, fan), lists.target.dtype)
    filled = np.arange(fan) < own[:, None]
    target[filled], weights[filled] = lists.target, lists.weights
    delay = None if lists.delay is None else np.full(target.size, lists.delay.max(initial=0))
    start = np.arange(own.size + 1, dtype=np.int64) * fan
    return _Lists(start, target.ravel(), weights.ravel(), delay), fan


def _stored_rows(tables: _Tables, lists: _Lists, ends: _Ends, delay: IntArray, shift: int) -> dict[int, int]:
    """Store a dense matrix with one delay a source: each source is one segment of all targets."""
    n_target, n_source = ends.shape
    rows = np.zeros((n_source, n_target), np.int16)
    rows[np.repeat(np.arange(n_source), np.diff(lists.start)), lists.target] = lists.weights << shift
    segments = np.stack([np.zeros(n_source), np.arange(n_source) * n_target, np.full(n_source, n_target)], axis=1)
    return {
        k.Q_KIND: k.SEGMENTS,
        k.Q_START: tables.start.add(np.arange(n_source + 1)),
        k.Q_INDEX: tables.segments.add(segments.ravel()) // 3,
        k.Q_WEIGHT: tables.int16.add(rows.ravel()),
        k.Q_STRIDE: tables.source_delay.add(delay[ends.source_order]),
    }


def _stored_conv(tables: _Tables, conv: Conv, ends: _Ends, delay: int | IntArray, shift: int) -> dict[int, int]:
    """Store kernels once, and for each source the runs of neighbours that one of its spikes reaches."""
    source, segments = _runs(conv)
    rank = np.argsort(ends.source_order)
    order = np.argsort(rank[source], kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(rank[source], minlength=ends.shape[1]))])
    # (c_out, c_in, y, x) -> (group, c_in, y, flipped x, c_out of the group)
    kernel = conv.weights.reshape(conv.groups, -1, *conv.weights.shape[1:])[..., ::-1].transpose(0, 2, 3, 4, 1)
    own = -1 if isinstance(delay, int) else tables.source_delay.add(delay[ends.source_order])
    return {
        k.Q_KIND: k.SEGMENTS,
        k.Q_START: tables.start.add(start),
        k.Q_INDEX: tables.segments.add(segments[order].ravel()) // 3,
        k.Q_WEIGHT: tables.int16.add(kernel.ravel() << shift),
        k.Q_STRIDE: own,
    }


def _places(conv: Conv) -> Iterator[tuple[IntArray, IntArray, IntArray, int, int]]:
    """Give, for each tap ``(ky, kx)`` of the kernel, the sources that it takes to an output, and the output's ``y, x``."""
    _, height, width = conv.output_shape
    y, x = np.mgrid[: conv.input_shape[1], : conv.input_shape[2]]
    for ky, kx in np.ndindex(conv.weights.shape[2:]):
        to_y = y + conv.padding[0] - ky * conv.dilation[0]
        to_x = x + conv.padding[1] - kx * conv.dilation[1]
        reached = (to_y % conv.stride[0] == 0) & (to_x % conv.stride[1] == 0)
        to_y, to_x = to_y // conv.stride[0], to_x // conv.stride[1]
        reached &= (to_y >= 0) & (to_y < height) & (to_x >= 0) & (to_x < width)
        yield np.flatnonzero(reached), to_y[reached], to_x[reached], ky, kx


def _runs(conv: Conv) -> tuple[IntArray, NDArray[np.int32]]:
    """Return the outer number of the source of each run, and its first target, first weight and length.

    Targets are numbered with the channel running fastest, weights as in ``_stored_conv``. Taps that lie side by side in
    the target are joined into one run.
    """
    channels, height, width = conv.input_shape
    c_out, _, out_width = conv.output_shape
    per_group, k_width = c_out // conv.groups, conv.weights.shape[3]
    source, first, at = [], [], []
    for pixel, to_y, to_x, ky, kx in _places(conv):
        for channel in range(channels):
            group = channel // (channels // conv.groups)
            source.append(channel * height * width + pixel)
            first.append((to_y * out_width + to_x) * c_out + group * per_group)
            tap = (channel * conv.weights.shape[2] + ky) * k_width + k_width - 1 - kx
            at.append(np.full(pixel.size, tap * per_group))
    columns = [np.concatenate(part) for part in (source, first, at)]
    order = np.lexsort(columns[::-1])
    own, target, weight = (column[order] for column in columns)
    follows = (np.diff(own) == 0) & (np.diff(target) == per_group) & (np.diff(weight) == per_group)
    begins = np.flatnonzero(np.concatenate([own[:1] >= 0, ~follows]))
    length = np.diff(np.append(begins, own.size)) * per_group
    return own[begins], np.stack([target[begins], weight[begins], length], axis=1).astype(np.int32)


def _largest_sum(synapses: Conv | Pool) -> int:
    """Return the largest size that a sum of the convolution can have before its exponent."""
    conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
    return int(np.abs(conv.weights.astype(np.int64)).sum(axis=(1, 2, 3)).max())


def _lists(projection: Projection, ends: _Ends) -> _Lists:
    """Return the stored synapses of a projection by source, in inner numbers, zeros left out."""
    synapses, delay = projection.synapses, projection.delay
    if isinstance(synapses, Sparse) and _unordered(ends) and isinstance(delay, int):
        return _Lists(synapses.start, synapses.target, synapses.weights)
    source, target, weights = _triples(synapses)
    each = None
    if not isinstance(delay, int):
        each = delay[source] if delay.ndim == 1 else delay[target, source]
    rank = np.argsort(ends.source_order)[source]
    target = ends.target_rank[target]
    order = np.lexsort((target, rank))
    start = np.concatenate([[0], np.cumsum(np.bincount(rank, minlength=ends.shape[1]))])
    return _Lists(start, target[order], weights[order], None if each is None else each[order])


def _unordered(ends: _Ends) -> bool:
    """Return whether inner and outer numbers are the same at both ends."""
    same = (np.array_equal(rank, np.arange(rank.size)) for rank in (ends.source_order, ends.target_rank))
    return all(same)


def _triples(synapses: Dense | Sparse | Conv | Pool) -> tuple[IntArray, IntArray, IntArray]:
    """Return source, target and weight (not 0) of each unrolled synapse, in outer numbers."""
    if isinstance(synapses, Dense):
        source, target = np.nonzero(synapses.weights.T)
        return source, target, synapses.weights[target, source]
    if isinstance(synapses, Sparse):
        source = np.repeat(np.arange(synapses.start.size - 1), np.diff(synapses.start))
        return source, synapses.target, synapses.weights
    conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
    channels, height, width = conv.input_shape
    c_out, out_height, out_width = conv.output_shape
    parts = []
    for pixel, to_y, to_x, ky, kx in _places(conv):
        for to_channel, channel in np.ndindex(c_out, channels // conv.groups):
            weight = conv.weights[to_channel, channel, ky, kx]
            if weight:
                own = channel + to_channel // (c_out // conv.groups) * (channels // conv.groups)
                reached = (to_channel * out_height + to_y) * out_width + to_x
                parts.append((own * height * width + pixel, reached, np.full(pixel.size, weight)))
    if not parts:
        return (np.zeros(0, np.int64),) * 3
    source, target, weights = (np.concatenate(part) for part in zip(*parts))
    return source, target, weights


def _part(lists: _Lists, chosen: NDArray[np.bool_]) -> _Lists:
    """Return the chosen synapses."""
    before = np.concatenate([[0], np.cumsum(chosen)])
    return _Lists(before[lists.start], lists.target[chosen], lists.weights[chosen])
