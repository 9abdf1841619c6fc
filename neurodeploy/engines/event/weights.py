"""The wires of a projection: its weights stored in the form that a kernel reads fastest, chosen by measured costs.

Weights are stored in one byte where possible: even weights are halved (all weights of mixed sign on the chip are even).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurodeploy.engines.event import kernels as k
from neurodeploy.engines.event.by_source import Ends, IntArray, Lists, largest_sum, lists_of, part_of, runs
from neurodeploy.engines.event.storage import Tables, padded
from neurodeploy.network import STATE_LIMIT, Conv, Dense, Pool, Projection, Synapses

_DENSE_NS, _DENSE_PER_NS, _DENSE_FAR_PER_NS = 0.5, 70.0, 20.0
"""Cost of a spike in the dense kernel: a fixed time in ns, and the int8 weights read per ns (measured: 70-95 in L2).

The last number is the weights per ns for a matrix that exceeds the cache (measured: 16-25).
"""
_CACHED_BYTES = 2**24
_ROWS, _FAR_ROWS = 256, 8
"""Number of rows that the dense kernel sums in registers: as many as an int16 can hold, or for a matrix that exceeds the
cache so few that the processor prefetches each row (with 8, a spike into 8192 neurons takes half the time as with 256)."""
_MOST_ZEROS = 4
"""A matrix that exceeds the cache is stored with zeros only if it takes at most this many times the memory of its lists."""
_SPARSE_NS, _SYNAPSE_NS, _SYNAPSE_FAR_NS = 4.0, 0.5, 0.9
"""Cost of a spike in the sparse kernel in ns: a fixed time, and the time for each stored synapse (measured: 0.4-0.6 within
and 0.8-1.0 outside the cache)."""
_SYNAPSE_BYTES = 3
_FETCH_FROM, _FETCH_AHEAD = 2**19, 8
"""Lists with more synapses than the first number exceed a core's cache; they are prefetched this many sources ahead."""
_WHOLE_ROWS = 12
"""A matrix whose weights are not 0 in at least one place out of so many is read in whole rows if its events carry payloads
(measured: a product takes 0.09 ns in a row and 1.1 ns in a list)."""
_LONGEST_FAN, _MOST_FILLED = 8, 2
"""Lists of at most this many synapses are padded to equal length if that gives at most this many times the synapses."""


def wires_of(tables: Tables, projection: Projection, ends: Ends) -> Iterator[list[int]]:
    """Yield the rows of the table of wires for one projection, and store its weights in ``tables``."""
    synapses, exponent, delay = projection.synapses, projection.weight_exponent, projection.delay
    wraps = isinstance(synapses, Conv | Pool) and largest_sum(synapses) << max(exponent, 0) >= STATE_LIMIT
    private = wraps or exponent < 0
    common = {k.Q_SOURCE: ends.source, k.Q_TARGET: ends.target, k.Q_PRIVATE: private, k.Q_WRAP: wraps}
    common |= {k.Q_SHIFT: exponent} if private else {}
    shift = 0 if private else exponent
    if isinstance(delay, int) or not private:
        yield _row(common, _stored(tables, projection, ends, shift))
        return
    lists = lists_of(projection, ends)
    assert lists.delay is not None
    for d in np.unique(lists.delay):
        part = part_of(lists, lists.delay == d)
        yield _row(common | {k.Q_DELAY: int(d)}, _stored_sparse(tables, part, ends.shape[0], shift))


def graded_wires_of(tables: Tables, projection: Projection, ends: Ends, most: int) -> Iterator[list[int]]:
    """Yield the rows of the table of wires for a projection whose events carry payloads of at most ``most``.

    One wire for each delay: the sums of a wire are kept from step to step, as long as its source repeats its events.
    """
    synapses, exponent = projection.synapses, projection.weight_exponent
    wraps = isinstance(synapses, Conv | Pool) and largest_sum(synapses) * most << max(exponent, 0) >= STATE_LIMIT
    common = {k.Q_SOURCE: ends.source, k.Q_TARGET: ends.target, k.Q_SHIFT: exponent, k.Q_WRAP: wraps}
    if isinstance(synapses, Conv) and ends.conv_order and isinstance(projection.delay, int):
        columns = _stored_conv(tables, synapses, ends, 0, 0)
        yield _row(common, columns, {k.Q_KIND: k.GRADED_SEGMENTS, k.Q_DELAY: projection.delay})
        return
    lists = lists_of(projection, ends)
    delays = [int(projection.delay)] if lists.delay is None else np.unique(lists.delay).tolist()
    for delay in delays:
        own = lists if lists.delay is None else part_of(lists, lists.delay == delay)
        yield _row(common, _stored_graded(tables, own, ends, synapses), {k.Q_DELAY: delay})


def _stored_graded(tables: Tables, lists: Lists, ends: Ends, synapses: Synapses) -> dict[int, int]:
    """Store the weights of a wire with payloads: whole rows of a matrix that is not sparse, else the stored synapses."""
    n_target, n_source = ends.shape
    if isinstance(synapses, Dense) and lists.weights.size * _WHOLE_ROWS >= n_target * n_source:
        return _stored_rows(tables, lists, ends, np.zeros(n_source, np.int64), 0) | {k.Q_KIND: k.GRADED_SEGMENTS}
    return {
        k.Q_KIND: k.GRADED_SPARSE,
        k.Q_START: tables.start.add(lists.start),
        k.Q_INDEX: tables.target32.add(lists.target),
        k.Q_WEIGHT: tables.int16.add(lists.weights),
    }


def _row(*columns: dict[int, int]) -> list[int]:
    row = {column: value for part in columns for column, value in part.items()}
    return [int(row.get(column, 0)) for column in range(k.Q_COLUMNS)]


def _stored(tables: Tables, projection: Projection, ends: Ends, shift: int) -> dict[int, int]:
    """Store the weights of a projection in the form that its kernel reads fastest; return the wire's columns."""
    synapses, delay = projection.synapses, projection.delay
    uniform = {k.Q_DELAY: delay} if isinstance(delay, int) else {}
    if isinstance(synapses, Conv) and ends.conv_order and synapses.weights.shape[0] > synapses.groups:
        return _stored_conv(tables, synapses, ends, delay, shift) | uniform
    lists = lists_of(projection, ends)
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


def _dense_is_faster(lists: Lists, shape: tuple[int, int]) -> bool:
    """Return whether reading whole rows, zeros included, is faster than reading lists of the stored synapses."""
    n_target, n_source = shape
    columns, stored = padded(n_target), lists.weights.size
    rows_bytes, lists_bytes = columns * n_source, _SYNAPSE_BYTES * stored
    if rows_bytes > max(_CACHED_BYTES, _MOST_ZEROS * lists_bytes):
        return False
    per_ns = _DENSE_PER_NS if rows_bytes <= _CACHED_BYTES else _DENSE_FAR_PER_NS
    synapse_ns = _SYNAPSE_NS if lists_bytes <= _CACHED_BYTES else _SYNAPSE_FAR_NS
    return _DENSE_NS + columns / per_ns < _SPARSE_NS + synapse_ns * stored / n_source


def _bytes(weights: IntArray, shift: int) -> tuple[IntArray, int]:
    """Return the weights as int8 if they or their halves fit, else int16, and the factor that restores their values."""
    if not np.any(weights & 1):
        return (weights >> 1).astype(np.int8), 2 << shift
    low, high = (int(weights.min()), int(weights.max())) if weights.size else (0, 0)
    return weights.astype(np.int8 if low >= -128 and high <= 127 else np.int16), 1 << shift


def _stored_sparse(tables: Tables, lists: Lists, n_target: int, shift: int) -> dict[int, int]:
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


def _equally_long(lists: Lists) -> tuple[Lists, int]:
    """Return short lists (as of pools) padded to equal length with weights of 0, and this length; 0 for other lists."""
    own = np.diff(lists.start)
    fan = int(own.max(initial=0))
    if not 0 < fan <= _LONGEST_FAN or fan * own.size > _MOST_FILLED * lists.weights.size:
        return lists, 0
    target, weights = np.zeros((2, own.size, fan), lists.target.dtype)
    filled = np.arange(fan) < own[:, None]
    target[filled], weights[filled] = lists.target, lists.weights
    delay = None if lists.delay is None else np.full(target.size, lists.delay.max(initial=0))
    start = np.arange(own.size + 1, dtype=np.int64) * fan
    return Lists(start, target.ravel(), weights.ravel(), delay), fan


def _stored_rows(tables: Tables, lists: Lists, ends: Ends, delay: IntArray, shift: int) -> dict[int, int]:
    """Store a dense matrix with one delay for each source: each source has one segment with all targets."""
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


def _stored_conv(tables: Tables, conv: Conv, ends: Ends, delay: int | IntArray, shift: int) -> dict[int, int]:
    """Store kernels once, and for each source the runs of neighbouring targets that its spike reaches."""
    source, segments = runs(conv)
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
