"""The reverse pass tile by tile: 64 lanes of a layer's errors are made from those of the next while both are in the cache.

The gradient of a neuron's spikes stays in registers, and goes through the surrogate gradient and the leaks at once. Tiles
of a sample come from its last step to its first; currents and voltages of the reverse pass wait between them. All sums are
made in the order of ``spread_rows`` and ``leak_back``, so that errors have the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.engines.event.vector import prefetch
from neurodeploy.engines.lanes.vectors import (
    fma,
    high_half,
    joined,
    load_16,
    low_half,
    select,
    spread_16,
    spread_32,
    store,
)
from neurodeploy.files.loops import compiled
from neurodeploy.training.lanes.reverse import slope_32, taking_part

TILE = 64
"""Lanes of a tile."""
_AHEAD = 4
_LINE = 16

_jit = compiled(nogil=True)
_inlined = compiled(nogil=True, forceinline=True)


@_jit
def fill_tile(errors: Any, stride: Any, n: Any, at: Any, tile: Any) -> None:
    """Copy lanes ``at`` to ``at + 64`` of ``n`` rows, because rows a page apart exhaust the cache's places."""
    for i in range(n):
        for k in range(0, TILE, _LINE):
            prefetch(errors, (i + _AHEAD) * stride + at + k)
            store(tile, i * TILE + k, load_16(errors, i * stride + at + k))


@_jit
def back_by_tiles(
    behind: Any, voltage: Any, leaks: Any, lanes: Any, end: Any, first: Any, stop: Any, rooms: Any
) -> None:
    """Replace the voltages of neurons ``first`` to ``stop`` by errors, as ``spread_rows`` and ``leak_back`` do.

    Args:
        behind: connections by source one by one, with float32 weights; the errors of the neurons that they reach, float32
            ``(n, stride)``, flat; and the number of these.
        voltage: of the layer, float32 ``(layer, stride)``, flat.
        leaks: of the layer's neurons.
        lanes: ``stride``, ``padded`` and ``n_steps`` of the span.
        end: lanes that are computed, a multiple of 64: ``stride - 16`` for all.
        rooms: a tile, float32 ``(n * 64,)``; and what is left of voltages and currents between tiles, zeros of
            ``((stop - first) * 2 * padded,)``.
    """
    (side, errors, n) = behind
    (_, start, target, _, _, weight) = side
    (tile, left) = rooms
    (stride, padded, n_steps) = lanes
    (keep_u, keep_v, threshold, tau, peak, stays) = leaks
    none, parts = spread_32(np.float32(0)), padded // 16
    # whole tiles of samples go through all steps one after the other, so that what is left of them stays in the cache
    beside = padded // TILE if padded % TILE == 0 else 1
    each = end // TILE // beside
    for q in range(each * beside):
        at = ((each - 1 - q % each) * beside + q // each) * TILE
        fill_tile(errors, stride, n, at, tile)
        held = n_steps * padded - at
        p, o, r, s = at % padded * 2, (at + 16) % padded * 2, (at + 32) % padded * 2, (at + 48) % padded * 2
        for source in range(first, stop):
            row = source * stride + at
            for k in range(0, TILE, _LINE):
                prefetch(voltage, row + _AHEAD * stride + k)
            zero = spread_16(np.float32(0))
            a, b, c, d = zero, zero, zero, zero
            for k in range(start[source], start[source + 1]):
                own, to = spread_16(weight[k]), np.int64(target[k]) * TILE
                a = fma(own, load_16(tile, to), a)
                b = fma(own, load_16(tile, to + 16), b)
                c = fma(own, load_16(tile, to + 32), c)
                d = fma(own, load_16(tile, to + 48), d)
            if held < TILE:  # no step lies behind: what is there in the errors of a recurrent layer means nothing
                b = b if held > 16 else zero
                c = c if held > 32 else zero
                d = zero
            level = spread_32(threshold[source])
            share_u, share_v = spread_16(keep_u[source]), spread_16(keep_v[source])
            waits = (source - first) * 2 * padded
            later = slope_32(joined(load_16(voltage, row + 32), load_16(voltage, row + 48)), level, tau, peak)
            if stays.size > 0:
                own_parts = source * parts
                later = select(taking_part(stays, own_parts + r // 32, own_parts + s // 32), later, none)
            _leak(voltage, row + 48, high_half(later, later), d, share_u, share_v, left, waits + s)
            _leak(voltage, row + 32, low_half(later, later), c, share_u, share_v, left, waits + r)
            earlier = slope_32(joined(load_16(voltage, row), load_16(voltage, row + 16)), level, tau, peak)
            if stays.size > 0:
                own_parts = source * parts
                earlier = select(taking_part(stays, own_parts + p // 32, own_parts + o // 32), earlier, none)
            _leak(voltage, row + 16, high_half(earlier, earlier), b, share_u, share_v, left, waits + o)
            _leak(voltage, row, low_half(earlier, earlier), a, share_u, share_v, left, waits + p)


@_inlined
def _leak(errors: Any, to: Any, slope: Any, gradient: Any, share_u: Any, share_v: Any, left: Any, waits: Any) -> None:
    """Write the errors of 16 samples in one step."""
    v = share_v * load_16(left, waits) + slope * gradient
    u = share_u * load_16(left, waits + 16) + v
    store(left, waits, v)
    store(left, waits + 16, u)
    store(errors, to, u)
