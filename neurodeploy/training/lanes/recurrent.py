"""Neurons whose spikes return one step later through stored connections, forward and reverse, step by step.

16 samples at a time: their states and the spikes of the last step stay in the cache. The gradient goes back in time through
the recurrent weights only, not through the decaying states, as in slayer's recurrent blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.lanes.neurons import Neurons
from neurodeploy.engines.lanes.spikes import Span, Words
from neurodeploy.engines.lanes.vectors import (
    absolute,
    decayed,
    fma,
    larger,
    load_16,
    mask_16,
    select,
    spread_16,
    store,
    to_float32,
    word,
)
from neurodeploy.engines.lanes.wiring import Side
from neurodeploy.files.loops import compiled
from neurodeploy.network import STATE_LIMIT, STATE_SHIFT

Floats = NDArray[np.float32]
_jit = compiled(nogil=True)


def respond_recurrently(
    sums: NDArray[np.int32],
    side: Side,
    neurons: Neurons,
    span: Span,
    exponent: int,
    part: int,
    bits: Words,
    voltage: Floats,
) -> float:
    """Write voltages and spikes of a layer for the 16 samples ``16 * part`` and after; return the largest state.

    Args:
        sums: from the layer before, int32 ``(n, stride)``, in units of ``2**exponent`` weight units.
        side: the recurrent connections by target, which carry int16 weights in the same units.
        neurons, span, bits, voltage: as in ``respond``.
    """
    factor, right = 2.0 ** (STATE_SHIFT + max(exponent, 0)), max(-exponent, 0)
    where = len(sums), span.stride, span.padded, span.batch, span.n_steps, part
    (_, start, source, _, _, weight) = side
    out = voltage.reshape(-1), bits.view(np.uint16).reshape(-1), bits.shape[1] * 4
    lists = start, source, weight
    peak = float(_respond(sums.reshape(-1), lists, neurons, factor, right, where, out))
    if peak >= STATE_LIMIT:
        peak = float(_respond_exactly(sums.reshape(-1), lists, neurons, factor, right, where, out))
    return peak


def return_back(slope: Floats, gradient: Floats, side: Side, span: Span, part: int) -> None:
    """Replace the slopes of 16 samples by the gradients of the sums, in slayer's float units.

    Args:
        slope: surrogate gradient at each voltage, float32 ``(n, stride)``.
        gradient: of the spikes from what follows the layer.
        side: the recurrent connections by source, which carry float32 weights.
    """
    (_, start, target, _, _, weight) = side
    where = len(slope), span.stride, span.padded, span.n_steps, part
    _return_back(slope.reshape(-1), gradient.reshape(-1), (start, target, weight), where)


@_jit
def _respond(sums: Any, lists: Any, neurons: Any, factor: Any, right: Any, where: Any, out: Any) -> Any:
    (n, stride, padded, batch, n_steps, part) = where
    (voltage, halves, words) = out
    (start, source, weight) = lists
    (keep_u, keep_v, limit, bias, subtracts) = neurons
    zero, none = spread_16(np.float32(0)), spread_16(np.int32(0))
    scale, unit, shift = spread_16(np.float32(factor)), spread_16(np.float32(1 / 4096)), spread_16(np.int32(right))
    left = batch - 16 * part
    valid = mask_16(np.uint16(0xFFFF) if left >= 16 else np.uint16((1 << max(left, 0)) - 1))
    u_all, v_all = np.zeros(16 * n, np.float32), np.zeros(16 * n, np.float32)
    before, now = np.zeros(n, np.uint16), np.zeros(n, np.uint16)
    top = zero
    for t in range(n_steps):
        for i in range(n):
            at = i * stride + t * padded + 16 * part
            total = load_16(sums, at)
            for k in range(start[i], start[i + 1]):
                total = total + select(mask_16(before[source[k]]), spread_16(np.int32(weight[k])), none)
            share_u, share_v = spread_16(np.float32(keep_u[i])), spread_16(np.float32(keep_v[i]))
            level = spread_16(np.float32(limit[i]))
            constant = select(valid, spread_16(np.float32(bias[i])), zero)
            u = fma(to_float32(total >> shift), scale, decayed(load_16(u_all, 16 * i), share_u))
            v = decayed(load_16(v_all, 16 * i), share_v) + u + constant
            top = larger(top, larger(absolute(u), absolute(v)))
            store(voltage, at, v * unit)
            fires = v > level
            now[i] = word(fires)
            halves[i * words + (t * padded + 16 * part) // 16] = now[i]
            store(u_all, 16 * i, u)
            store(v_all, 16 * i, select(fires, v - level, v) if subtracts else select(fires, zero, v))
        before, now = now, before
    last = np.empty(16, np.float32)
    store(last, 0, top)
    return last.max()


@_jit
def _respond_exactly(sums: Any, lists: Any, neurons: Any, factor: Any, right: Any, where: Any, out: Any) -> Any:
    """Do the same in float64, exact below 2**41, with slayer's float32 round trip of the current."""
    (n, stride, padded, batch, n_steps, part) = where
    (voltage, halves, words) = out
    (start, source, weight) = lists
    (keep_u, keep_v, limit, bias, subtracts) = neurons
    u_all, v_all = np.zeros((n, 16)), np.zeros((n, 16))
    before, now = np.zeros(n, np.uint16), np.zeros(n, np.uint16)
    peak = 0.0
    for t in range(n_steps):
        for i in range(n):
            at = i * stride + t * padded + 16 * part
            now[i] = 0
            for b in range(min(16, batch - 16 * part)):
                total = np.int64(sums[at + b])
                for k in range(start[i], start[i + 1]):
                    if before[source[k]] >> b & 1:
                        total += weight[k]
                u = np.trunc(u_all[i, b] * keep_u[i]) + np.float64(np.float32(total >> right)) * factor
                v = np.trunc(v_all[i, b] * keep_v[i]) + np.float64(np.float32(u)) + bias[i]
                peak = max(peak, max(abs(u), abs(v)))
                voltage[at + b] = np.float32(v) / np.float32(4096)
                if v > limit[i]:
                    now[i] |= np.uint16(1 << b)
                    v = v - limit[i] if subtracts else 0.0
                u_all[i, b], v_all[i, b] = u, v
            halves[i * words + (t * padded + 16 * part) // 16] = now[i]
        before, now = now, before
    return peak


@_jit
def _return_back(slope: Any, gradient: Any, lists: Any, where: Any) -> None:
    (n, stride, padded, n_steps, part) = where
    (start, target, weight) = lists
    zero = spread_16(np.float32(0))
    later, now = np.zeros(16 * n, np.float32), np.zeros(16 * n, np.float32)
    for t in range(n_steps - 1, -1, -1):
        for i in range(n):
            at = i * stride + t * padded + 16 * part
            total = zero
            for k in range(start[i], start[i + 1]):
                total = fma(spread_16(weight[k]), load_16(later, 16 * np.int64(target[k])), total)
            error = load_16(slope, at) * (total + load_16(gradient, at))
            store(slope, at, error)
            store(now, 16 * i, error)
        later, now = now, later
