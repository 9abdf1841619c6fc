"""Gradients over stored connections: of the weights, from the lanes of spikes, and of the spikes, through the transpose.

Errors are float32 rows over lanes (``(neurons, stride)``, flat), 0 from ``width`` on. Each gradient is summed in one order,
whichever way computes it and whatever machine or number of threads: that of a weight over its source's spikes in four
partial sums (spike ``k`` in sum ``k % 4``), that of a spike over the targets in rising order, each product fused with its
sum. So the ways give the same bits, and the fastest may be chosen by time. (Over the pixels of a convolution the sums of
its taps are added in float64.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.engines.event.vector import prefetch
from neurodeploy.engines.lanes.vectors import fma, load_16, spread_16, store, turn_16
from neurodeploy.engines.lanes.wiring import G_OWN, into, out_of
from neurodeploy.files.loops import compiled
from neurodeploy.training.lanes.reverse import leak_back
from neurodeploy.training.lanes.tiles import TILE, back_by_tiles, fill_tile

BLOCK = 16
"""Neurons whose errors lie side by side in ``fill_block``."""
AT_ONCE = 6
"""Sources of a product in ``spread_dense``."""
_AHEAD, _LINE = 2, 32

_jit = compiled(nogil=True)
_inlined = compiled(nogil=True, forceinline=True)


@_jit
def gather(side: Any, errors: Any, stride: Any, events: Any, first: Any, stop: Any, lists: Any, gradient: Any) -> None:
    """Add the gradients of the weights into neurons ``first`` to ``stop`` to ``gradient``, by place.

    ``side``: the connections by target, which carry places. ``events``: start, lane and value by channel (``ByRow``).
    """
    (start, lane, value) = events
    (source, place) = lists
    row = np.empty(stride, np.float32)
    for target in range(first, stop):
        n = into(side, target, source, place)
        # a copy in order fetches the row at once; spikes would fetch its lines one by one (measured: twice the time)
        for k in range(0, stride, 16):
            store(row, k, load_16(errors, target * stride + k))
        coming = np.int64(0)
        for i in range(n):
            for _ in range(stride // (16 * n) + 1):  # the next row meanwhile
                prefetch(errors, (target + 1) * stride + coming)
                coming += 16
            begin, end = np.uintp(start[source[i]]), np.uintp(start[source[i] + 1])
            if i + _AHEAD < n:
                ahead = start[source[i + _AHEAD]]
                prefetch(lane, ahead)
                prefetch(lane, ahead + _LINE)
            if value.size > 0:
                gradient[place[i]] += _weighted(row, lane, value, begin, end)
            else:
                gradient[place[i]] += _sum(row, lane, begin, end)


@_inlined
def _sum(row: Any, lane: Any, begin: Any, end: Any) -> Any:
    a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for e in range(begin, end, np.uintp(4)):
        a += row[np.uintp(lane[e])]
        b += row[np.uintp(lane[e + np.uintp(1)])]
        c += row[np.uintp(lane[e + np.uintp(2)])]
        d += row[np.uintp(lane[e + np.uintp(3)])]
    return (a + c) + (b + d)


@_inlined
def _weighted(row: Any, lane: Any, value: Any, begin: Any, end: Any) -> Any:
    a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for e in range(begin, end, np.uintp(4)):
        a += row[np.uintp(lane[e])] * np.float32(value[e])
        b += row[np.uintp(lane[e + np.uintp(1)])] * np.float32(value[e + np.uintp(1)])
        c += row[np.uintp(lane[e + np.uintp(2)])] * np.float32(value[e + np.uintp(2)])
        d += row[np.uintp(lane[e + np.uintp(3)])] * np.float32(value[e + np.uintp(3)])
    return (a + c) + (b + d)


@_jit
def fill_block(
    errors: Any, stride: Any, events: Any, first: Any, n: Any, wanted: Any, side_by_side: Any, block: Any
) -> None:
    """Write the gradients of all weights, stored or not, from the sources to ``n`` neurons (at most 16) from ``first`` on.

    ``wanted``: for each source whether it is asked for, uint8. ``block``: float32 ``(sources * 16,)``. ``side_by_side``:
    room for the errors of 16 neurons, ``(stride * 16,)``.
    """
    _lay_side_by_side(errors, first * stride, stride, stride, n, side_by_side)
    for source in range(events[0].size - 1):
        if wanted[source]:
            store(block, source * BLOCK, _sum_beside(side_by_side, events, source))


@_inlined
def _sum_beside(side_by_side: Any, events: Any, source: Any) -> Any:
    """Return the gradients of the weights from a source to 16 neurons."""
    (start, lane, value) = events
    zero = spread_16(np.float32(0))
    a, b, c, d = zero, zero, zero, zero
    if value.size > 0:
        for e in range(start[source], start[source + 1], 4):
            a = a + load_16(side_by_side, np.int64(lane[e]) * BLOCK) * spread_16(np.float32(value[e]))
            b = b + load_16(side_by_side, np.int64(lane[e + 1]) * BLOCK) * spread_16(np.float32(value[e + 1]))
            c = c + load_16(side_by_side, np.int64(lane[e + 2]) * BLOCK) * spread_16(np.float32(value[e + 2]))
            d = d + load_16(side_by_side, np.int64(lane[e + 3]) * BLOCK) * spread_16(np.float32(value[e + 3]))
    else:
        for e in range(start[source], start[source + 1], 4):
            a = a + load_16(side_by_side, np.int64(lane[e]) * BLOCK)
            b = b + load_16(side_by_side, np.int64(lane[e + 1]) * BLOCK)
            c = c + load_16(side_by_side, np.int64(lane[e + 2]) * BLOCK)
            d = d + load_16(side_by_side, np.int64(lane[e + 3]) * BLOCK)
    return (a + c) + (b + d)


@_inlined
def _lay_side_by_side(errors: Any, at: Any, between: Any, stride: Any, n: Any, side_by_side: Any) -> None:
    """Lay ``n`` rows of errors, the first at ``at`` and ``between`` numbers from one to the next, side by side."""
    if n == BLOCK:
        for lane in range(0, stride, 16):
            turn_16(errors, at + lane, between, side_by_side, lane * BLOCK, BLOCK)
        return
    side_by_side[:] = 0
    for k in range(n):
        for lane in range(stride):
            side_by_side[lane * BLOCK + k] = errors[at + k * between + lane]


@_jit
def gather_blocks(
    side: Any,
    errors: Any,
    stride: Any,
    events: Any,
    first: Any,
    stop: Any,
    lists: Any,
    side_by_side: Any,
    block: Any,
    gradient: Any,
) -> None:
    """Do as ``gather`` by computing all gradients of 16 neurons at a time and picking the stored ones.

    Of a convolution they are 16 channels at a pixel; ``first`` to ``stop`` are whole channels there.
    """
    (source, place) = lists
    pixels = np.int64(1) if side[0].size == 0 else side[0][G_OWN] * side[0][G_OWN + 1]
    wanted = np.zeros(events[0].size - 1, np.uint8)
    union = np.empty(events[0].size - 1, np.int32)
    for begin in range(first, stop, BLOCK * pixels):
        channels = min(BLOCK, (stop - begin) // pixels)
        for pixel in range(pixels):
            n = np.int64(0)
            for channel in range(channels):
                for i in range(into(side, begin + channel * pixels + pixel, source, place)):
                    if not wanted[source[i]]:
                        wanted[source[i]] = 1
                        union[n] = source[i]
                        n += 1
            _lay_side_by_side(errors, (begin + pixel) * stride, pixels * stride, stride, channels, side_by_side)
            for i in range(n):
                wanted[union[i]] = 0
                store(block, np.int64(union[i]) * BLOCK, _sum_beside(side_by_side, events, union[i]))
            for channel in range(channels):
                for i in range(into(side, begin + channel * pixels + pixel, source, place)):
                    gradient[place[i]] += block[np.int64(source[i]) * BLOCK + channel]


@_jit
def spread_sparse(
    side: Any, errors: Any, stride: Any, n_targets: Any, first: Any, stop: Any, lane: Any, end: Any, tile: Any, out: Any
) -> None:
    """Write the gradients of the spikes of sources ``first`` to ``stop`` for lanes ``lane`` to ``end``.

    They go to the first rows of ``out``, ``(rows, stride)``. ``side``: the connections by source one by one, with float32
    weights. ``tile``: float32 ``(n_targets * 64,)``.
    """
    (_, start, target, _, _, weight) = side
    for at in range(lane, end, TILE):
        fill_tile(errors, stride, n_targets, at, tile)
        for source in range(first, stop):
            zero = spread_16(np.float32(0))
            a, b, c, d = zero, zero, zero, zero
            for k in range(start[source], start[source + 1]):
                own, row = spread_16(weight[k]), np.int64(target[k]) * TILE
                a = fma(own, load_16(tile, row), a)
                b = fma(own, load_16(tile, row + 16), b)
                c = fma(own, load_16(tile, row + 32), c)
                d = fma(own, load_16(tile, row + 48), d)
            to = (source - first) * stride + at
            store(out, to, a)
            store(out, to + 16, b)
            store(out, to + 32, c)
            store(out, to + 48, d)


@_jit
def spread_dense(
    side: Any,
    errors: Any,
    stride: Any,
    n_targets: Any,
    first: Any,
    stop: Any,
    lane: Any,
    end: Any,
    tile: Any,
    row: Any,
    out: Any,
) -> None:
    """Do as ``spread_sparse`` with six sources at a time, whose weights are laid out as rows with zeros.

    ``row``: float32 ``(n_targets * 6,)``. The larger ``tile`` is, the more rarely rows are laid out.
    """
    (_, start, target, _, _, weight) = side
    many = max(TILE, tile.size // n_targets // TILE * TILE)
    for at in range(lane, end, many):
        held = min(many, end - at)
        for i in range(n_targets):
            for k in range(0, held, 16):
                store(tile, i * many + k, load_16(errors, i * stride + at + k))
        for source in range(first, stop, AT_ONCE):
            row[:] = 0
            for k in range(min(AT_ONCE, stop - source)):
                for i in range(start[source + k], start[source + k + 1]):
                    row[np.int64(target[i]) * AT_ONCE + k] = weight[i]
            for k in range(0, held, 16):
                to = (source - first) * stride + at + k
                _product(row, tile, n_targets, many, k, stop - source, out, to, stride)


@_inlined
def _product(
    row: Any, tile: Any, n_targets: Any, many: Any, column: Any, left: Any, out: Any, to: Any, stride: Any
) -> None:
    """Write 16 lanes of up to six sources: as many sums as 16 registers of AVX2 hold."""
    zero = spread_16(np.float32(0))
    a, b, c, d, e, f = zero, zero, zero, zero, zero, zero
    for target in range(n_targets):
        x, at = load_16(tile, target * many + column), target * AT_ONCE
        a, b = fma(spread_16(row[at]), x, a), fma(spread_16(row[at + 1]), x, b)
        c, d = fma(spread_16(row[at + 2]), x, c), fma(spread_16(row[at + 3]), x, d)
        e, f = fma(spread_16(row[at + 4]), x, e), fma(spread_16(row[at + 5]), x, f)
    store(out, to, a)
    if left > 1:
        store(out, to + stride, b)
    if left > 2:
        store(out, to + 2 * stride, c)
    if left > 3:
        store(out, to + 3 * stride, d)
    if left > 4:
        store(out, to + 4 * stride, e)
    if left > 5:
        store(out, to + 5 * stride, f)


@_jit
def spread_rows(side: Any, errors: Any, stride: Any, first: Any, stop: Any, lists: Any, out: Any) -> None:
    """Write the gradients of the spikes of sources ``first`` to ``stop`` to the first rows of ``out``, all lanes of a source
    after the other; for a convolution as well.
    """
    (target, weight) = lists
    for source in range(first, stop):
        n = out_of(side, source, target, weight)
        for at in range(0, stride - 16, TILE):
            zero = spread_16(np.float32(0))
            a, b, c, d = zero, zero, zero, zero
            for k in range(n):
                own, row = spread_16(weight[k]), np.int64(target[k]) * stride + at
                a = fma(own, load_16(errors, row), a)
                b = fma(own, load_16(errors, row + 16), b)
                c = fma(own, load_16(errors, row + 32), c)
                d = fma(own, load_16(errors, row + 48), d)
            to = (source - first) * stride + at
            store(out, to, a)
            store(out, to + 16, b)
            store(out, to + 32, c)
            store(out, to + 48, d)


@_jit
def pass_back(first: Any, stop: Any, lanes: Any, neurons: Any, behind: Any, stored: Any, rooms: Any, ways: Any) -> None:
    """Replace the voltages of neurons ``first`` to ``stop`` by errors and add the gradients of the weights into them.

    Sixteen neurons at a time go through all of it, while their rows are in the cache; or all go tile by tile to the errors.

    Args:
        lanes: ``stride``, ``padded`` and ``n_steps`` of the span.
        neurons: voltages of the layer (flat), and leaks.
        behind: gradient of the layer's spikes (flat), and the neuron that its first row belongs to; or that is made here:
            then the connections of the next layer by source with their weights, its errors, and its size.
        stored: connections into the layer by target with their places, events that came in, and the gradient of the
            weights (empty where none is wanted).
        rooms: lists for both kinds of connections, a gradient of 16 rows, what ``gather_blocks`` needs, and what
            ``back_by_tiles`` needs.
        ways: whether the gradient of the spikes is made here, by rows or by tiles, and whether ``gather_blocks`` is used,
            for a matrix alone, as 16 channels at a pixel are no neighbours.
    """
    (stride, _, _) = lanes
    (voltage, leaks) = neurons
    (given, origin, next_side, next_errors, n_next) = behind
    (side, events, weights) = stored
    (lists, next_lists, made, side_by_side, block, tiles) = rooms
    (by_rows, by_tiles, blocks) = ways
    if by_tiles:
        back_by_tiles((next_side, next_errors, n_next), voltage, leaks, lanes, stride - 16, first, stop, tiles)
    for begin in range(first, stop, BLOCK):
        end = min(stop, begin + BLOCK)
        if by_tiles:
            pass
        elif by_rows:
            spread_rows(next_side, next_errors, stride, begin, end, next_lists, made)
            leak_back(voltage, made, leaks, lanes, begin, end, begin)
        else:
            leak_back(voltage, given, leaks, lanes, begin, end, origin)
        if weights.size == 0:
            continue
        if blocks:
            gather_blocks(side, voltage, stride, events, begin, end, lists, side_by_side, block, weights)
        else:
            gather(side, voltage, stride, events, begin, end, lists, weights)
