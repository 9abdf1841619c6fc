"""Sums of the weights that arrive over stored connections, in three ways that give the same whole numbers.

- ``sum_masks``: each connection adds its weight to a row of int16 lanes where the mask of its source is set. Time grows with
  connections x lanes, not with spikes.
- ``sum_events``: each connection adds its weight at the lanes of its source's spikes. Time grows with connections x spikes.
- ``sum_rows``: 128 neurons at a time, the connections are spread out to a matrix of rows with zeros (never a whole matrix);
  each lane sums in registers the rows of the channels that are active in it, and 64 lanes are transposed together. Time
  grows with spikes x neurons, whatever the density: a zero in a row costs a fiftieth of an index.

Weights are int16 in units of their step, sums int32 in the same units: whole numbers, so that order does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.engines.event.vector import prefetch
from neurodeploy.engines.lanes.vectors import (
    load_16,
    load_32,
    mask_32,
    select,
    spread_16,
    spread_32,
    store,
    to_int16,
    to_int32,
    turn_16,
)
from neurodeploy.engines.lanes.wiring import into
from neurodeploy.files.loops import compiled

COLUMNS = 128
"""Neurons whose rows are spread out together."""
_TILE = 64
_AHEAD, _LINE = 2, 32
"""Lists that are fetched before they are read, and lanes in a line of the cache."""
_MOST = 2**15 - 1
_BYTE_ROWS, _SHORT_ROWS = 255, 127
"""Rows of int8 weights, and of int16 weights of at most 256 in size, whose sum fits int16."""

_jit = compiled(nogil=True)
_inlined = compiled(nogil=True, forceinline=True)


@_jit
def sum_masks(side: Any, masks: Any, first: Any, stop: Any, stride: Any, lists: Any, sums: Any) -> None:
    """Write the sums of neurons ``first`` to ``stop`` to the first rows of ``sums`` (int32, flat).

    ``side``: the connections by target, which carry int16 weights. ``masks``: bits of the channels as uint32 ``(channels,
    words)``. ``lists``: room for the longest list, int32 sources and int16 weights.
    """
    words = masks.shape[1]
    flat = masks.ravel()
    (source, weight) = lists
    for target in range(first, stop):
        n = into(side, target, source, weight)
        row = (target - first) * stride
        begin, more = 0, False
        while begin < n or not more:
            end = _part(weight, begin, n)
            k = 0
            while k + 8 <= words:
                _add_masks_8(flat, words, lists, begin, end, k, sums, row, more)
                k += 8
            while k < words:
                _add_masks_2(flat, words, lists, begin, end, k, sums, row, more)
                k += 2
            begin, more = end, True


@_inlined
def _part(weight: Any, begin: Any, n: Any) -> Any:
    """Return the end of a part of a list whose sums fit int16, whichever of its sources are active.

    Sums on the way there may wrap: additions modulo 2**16 give the right end.
    """
    high, low = np.int64(0), np.int64(0)
    for i in range(begin, n):
        own = np.int64(weight[i])
        if own > 0:
            high += own
        else:
            low += own
        if high > _MOST or low < -_MOST:
            return i
    return n


@_inlined
def _keep(sums: Any, at: Any, part: Any, more: Any) -> None:
    wide = to_int32(part)
    if more:
        wide = wide + load_32(sums, at)
    store(sums, at, wide)


@_inlined
def _add_masks_8(
    flat: Any, words: Any, lists: Any, begin: Any, end: Any, k: Any, sums: Any, row: Any, more: Any
) -> None:
    (source, weight) = lists
    zero = spread_32(np.int16(0))
    a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
    for i in range(begin, end):
        value = spread_32(weight[i])
        at = np.int64(source[i]) * words + k
        prefetch(flat, at + 16)
        a = select(mask_32(flat[at]), a + value, a)
        b = select(mask_32(flat[at + 1]), b + value, b)
        c = select(mask_32(flat[at + 2]), c + value, c)
        d = select(mask_32(flat[at + 3]), d + value, d)
        e = select(mask_32(flat[at + 4]), e + value, e)
        f = select(mask_32(flat[at + 5]), f + value, f)
        g = select(mask_32(flat[at + 6]), g + value, g)
        h = select(mask_32(flat[at + 7]), h + value, h)
    to = row + 32 * k
    _keep(sums, to, a, more)
    _keep(sums, to + 32, b, more)
    _keep(sums, to + 64, c, more)
    _keep(sums, to + 96, d, more)
    _keep(sums, to + 128, e, more)
    _keep(sums, to + 160, f, more)
    _keep(sums, to + 192, g, more)
    _keep(sums, to + 224, h, more)


@_inlined
def _add_masks_2(
    flat: Any, words: Any, lists: Any, begin: Any, end: Any, k: Any, sums: Any, row: Any, more: Any
) -> None:
    (source, weight) = lists
    zero = spread_32(np.int16(0))
    a, b = zero, zero
    for i in range(begin, end):
        value = spread_32(weight[i])
        at = np.int64(source[i]) * words + k
        a = select(mask_32(flat[at]), a + value, a)
        b = select(mask_32(flat[at + 1]), b + value, b)
    _keep(sums, row + 32 * k, a, more)
    _keep(sums, row + 32 * k + 32, b, more)


@_jit
def sum_events(side: Any, events: Any, first: Any, stop: Any, stride: Any, lists: Any, sums: Any) -> None:
    """Write the sums of neurons ``first`` to ``stop``; ``events`` are start, lane and value by channel (``ByRow``).

    The number after the last lane takes the weights of the filling and is set to 0 at the end.
    """
    (start, lane, value) = events
    (source, weight) = lists
    graded = value.size > 0
    for target in range(first, stop):
        n = into(side, target, source, weight)
        row = np.uintp((target - first) * stride)
        sums[row : row + np.uintp(stride)] = 0
        for i in range(n):
            own = np.int32(weight[i])
            begin, end = np.uintp(start[source[i]]), np.uintp(start[source[i] + 1])
            if i + _AHEAD < n:
                ahead = start[source[i + _AHEAD]]
                for k in range(3):
                    prefetch(lane, ahead + k * _LINE)
            if graded:
                for e in range(begin, end):
                    sums[row + np.uintp(lane[e])] += own * value[e]
            else:
                for e in range(begin, end, np.uintp(4)):
                    sums[row + np.uintp(lane[e])] += own
                    sums[row + np.uintp(lane[e + np.uintp(1)])] += own
                    sums[row + np.uintp(lane[e + np.uintp(2)])] += own
                    sums[row + np.uintp(lane[e + np.uintp(3)])] += own
        sums[row + np.uintp(stride) - np.uintp(16)] = 0


@_jit
def sum_rows(
    side: Any,
    active: Any,
    first: Any,
    stop: Any,
    stride: Any,
    lists: Any,
    spread: Any,
    tile: Any,
    sums: Any,
) -> None:
    """Write the sums of at most 128 neurons ``first`` to ``stop`` of a matrix.

    ``active``: first, stop, channel and value by lane (``ByLane``). ``spread``: int8 or int16 ``(sources * 128,)``, an int8
    one for weights that fit; ``tile``: int16 ``(64 * 128,)``, or int32 for payloads.
    """
    (begin, end, channel, value) = active
    (source, weight) = lists
    spread[:] = 0
    fits = True
    for target in range(first, stop):
        n = into(side, target, source, weight)
        fits &= _part(weight, 0, n) == n
        for i in range(n):
            spread[np.int64(source[i]) * COLUMNS + target - first] = weight[i]
    # sums modulo 2**16 are right if all sums fit int16; otherwise so few rows are added that they do
    most = np.int64(2**31) if fits else np.int64(_BYTE_ROWS if spread.itemsize == 1 else _SHORT_ROWS)
    turned = np.empty(256, np.int32)
    width = stride - 16
    for lane in range(0, width, _TILE):
        longest = np.int64(0)
        for k in range(lane, lane + _TILE):
            longest = max(longest, end[k] - begin[k])
        if value.size > 0:
            _tile_payloads(begin, end, channel, value, lane, spread, tile)
            _turn(tile, stop - first, sums, lane, stride, False, turned)
            continue
        part = np.int64(0)
        while part == 0 or part < longest:
            for k in range(lane, lane + _TILE):
                _sum_tile_row(channel, begin[k] + part, min(end[k], begin[k] + part + most), spread, tile, k - lane)
            _turn(tile, stop - first, sums, lane, stride, part > 0, turned)
            part += most


@_inlined
def _sum_tile_row(channel: Any, begin: Any, end: Any, spread: Any, tile: Any, row: Any) -> None:
    zero = spread_32(np.int16(0))
    a, b, c, d = zero, zero, zero, zero
    for e in range(begin, end):
        at = np.int64(channel[e]) * COLUMNS
        a = a + to_int16(load_32(spread, at))
        b = b + to_int16(load_32(spread, at + 32))
        c = c + to_int16(load_32(spread, at + 64))
        d = d + to_int16(load_32(spread, at + 96))
    store(tile, row * COLUMNS, a)
    store(tile, row * COLUMNS + 32, b)
    store(tile, row * COLUMNS + 64, c)
    store(tile, row * COLUMNS + 96, d)


@_inlined
def _tile_payloads(begin: Any, end: Any, channel: Any, value: Any, lane: Any, spread: Any, tile: Any) -> None:
    for k in range(lane, lane + _TILE):
        for column in range(0, COLUMNS, 64):
            zero = spread_16(np.int32(0))
            a, b, c, d = zero, zero, zero, zero
            for e in range(begin[k], end[k]):
                at = np.int64(channel[e]) * COLUMNS + column
                factor = spread_16(value[e])
                a = a + to_int32(load_16(spread, at)) * factor
                b = b + to_int32(load_16(spread, at + 16)) * factor
                c = c + to_int32(load_16(spread, at + 32)) * factor
                d = d + to_int32(load_16(spread, at + 48)) * factor
            to = (k - lane) * COLUMNS + column
            store(tile, to, a)
            store(tile, to + 16, b)
            store(tile, to + 32, c)
            store(tile, to + 48, d)


@_inlined
def _turn(tile: Any, n: Any, sums: Any, lane: Any, stride: Any, more: Any, turned: Any) -> None:
    """Write the tile transposed to the sums of ``n`` neurons, or add it."""
    for column in range(0, n, 16):
        for row in range(0, _TILE, 16):
            at = column * stride + lane + row
            if not more and column + 16 <= n:
                turn_16(tile, row * COLUMNS + column, COLUMNS, sums, at, stride)
                continue
            turn_16(tile, row * COLUMNS + column, COLUMNS, turned, 0, 16)
            for c in range(min(16, n - column)):
                part = load_16(turned, 16 * c)
                store(sums, at + c * stride, part + load_16(sums, at + c * stride) if more else part)
