"""Spikes through the synapses and neurons of a layer in one compiled loop: sums of a few neurons stay in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.engines.lanes.neurons import respond_at_any_size
from neurodeploy.engines.lanes.sums import COLUMNS, sum_events, sum_masks, sum_rows
from neurodeploy.engines.lanes.vectors import load_16, store
from neurodeploy.files.loops import compiled

FEW = 16
"""Neurons whose sums are made together, where the way of summing does not take more."""
MASKS, EVENTS, ROWS = range(3)
"""Ways of summing."""
_WEIGHT_SCALE = 64
"""Weight units per float unit in slayer."""
_MOST = 2**31 - 128
"""The largest float32 below 2**31."""


@compiled(nogil=True)
def respond_to(
    way: Any, side: Any, spikes: Any, first: Any, stop: Any, span: Any, rooms: Any, neurons: Any, to: Any
) -> Any:
    """Write voltages and spikes of neurons ``first`` to ``stop``, and return the largest current or voltage.

    Args:
        way: of summing.
        side: connections by target, with int16 weights.
        spikes: bits as uint32 ``(channels, words)``, ``ByRow`` and ``ByLane`` as tuples; those that the way does not read
            may be empty.
        span: ``stride``, ``padded``, ``batch`` and ``n_steps``.
        rooms: sums, int32 ``(rows * stride,)`` for the neurons summed together; and ``lists``, ``spread`` and ``tile`` of
            ``sum_rows``.
        neurons: parameters, and factor and shift of the sums.
        to: voltages and bits as ``respond`` takes them, flat, and 16-bit words of a row of bits.
    """
    (masks, rows, lanes) = spikes
    (stride, padded, batch, n_steps) = span
    (sums, lists, spread, tile) = rooms
    (parameters, factor, right) = neurons
    peak = 0.0
    size = COLUMNS if way == ROWS else FEW
    for begin in range(first, stop, size):
        end = min(stop, begin + size)
        if way == MASKS:
            sum_masks(side, masks, begin, end, stride, lists, sums)
        elif way == EVENTS:
            sum_events(side, rows, begin, end, stride, lists, sums)
        else:
            sum_rows(side, lanes, begin, end, stride, lists, spread, tile, sums)
        given = (sums, begin, end - begin, stride, padded, batch, 0, n_steps, 0)
        peak = max(peak, respond_at_any_size(given, parameters, factor, right, to))
    return peak


@compiled(nogil=True)
def respond_to_drive(drive: Any, first: Any, stop: Any, span: Any, sums: Any, neurons: Any, to: Any) -> Any:
    """Do as ``respond_to`` for sums that are given.

    Args:
        drive: sums in slayer's float units, float32 ``(batch, n, steps)``, flat; ``n``; and their steps, which may be a
            single one that stands for all.
        first, stop, span, neurons, to: as in ``respond_to``.
        sums: room, int32 ``(16 * stride,)``, zeros.
    """
    (values, n, n_given) = drive
    (stride, padded, batch, n_steps) = span
    (parameters, factor, right) = neurons
    peak = 0.0
    for begin in range(first, stop, FEW):
        end = min(stop, begin + FEW)
        for sample in range(batch):
            for k in range(end - begin):
                at = (sample * n + begin + k) * n_given
                for t in range(n_given):
                    sums[k * stride + t * padded + sample] = _whole(values[at + t])
        if n_given < n_steps:
            for k in range(end - begin):
                for lane in range(0, padded, 16):
                    same = load_16(sums, k * stride + lane)
                    for t in range(1, n_steps):
                        store(sums, k * stride + t * padded + lane, same)
        given = (sums, begin, end - begin, stride, padded, batch, 0, n_steps, 0)
        peak = max(peak, respond_at_any_size(given, parameters, factor, right, to))
    return peak


@compiled(nogil=True, forceinline=True)
def _whole(value: Any) -> Any:
    """Return a sum in weight units; those that an int32 does not hold are far beyond the states of a neuron."""
    return np.int32(min(max(value * np.float32(_WEIGHT_SCALE), np.float32(-_MOST)), np.float32(_MOST)))
