"""Spikes through the synapses and neurons of a layer in one compiled loop: sums of a few neurons stay in the cache."""

from __future__ import annotations

from typing import Any

from neurodeploy.engines.lanes.neurons import respond_at_any_size
from neurodeploy.engines.lanes.sums import COLUMNS, sum_events, sum_masks, sum_rows
from neurodeploy.files.loops import compiled

FEW = 16
"""Neurons whose sums are made together, where the way of summing does not take more."""
MASKS, EVENTS, ROWS = range(3)
"""Ways of summing."""


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
        given = (sums, begin, end - begin, stride, padded, batch, 0, n_steps)
        peak = max(peak, respond_at_any_size(given, parameters, factor, right, to))
    return peak
