"""Networks with fewer or coarser weights, as the remedies of ``verdict.py`` need them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neurodeploy.mapping.memory.synapses import needed_bits
from neurodeploy.network import Conv, Dense, Network, Pool, Projection, Sparse


def pruned(network: Network, kept: float, layers: frozenset[str]) -> Network:
    """Return the network with only the largest weights of each projection into ``layers``.

    Of the ``n`` non-zero weights ``round(kept * n)`` stay, ties going to the first in order; ``kept`` lies in 0..1.
    """

    def prune(projection: Projection) -> Projection:
        if projection.target not in layers or isinstance(projection.synapses, Pool):
            return projection
        weights = projection.synapses.weights
        size = np.abs(weights.astype(np.int32)).ravel()
        chosen = _largest(size, round(kept * np.count_nonzero(size)))
        return _with_weights(projection, np.where(chosen.reshape(weights.shape), weights, 0).astype(np.int16))

    return replace(network, projections=tuple(prune(p) for p in network.projections))


def _largest(size: NDArray[np.int32], keep: int) -> NDArray[np.bool_]:
    """Return which ``keep`` values are the largest, the first ones among equals; counts by value, which beats sorting."""
    above = np.cumsum(np.bincount(size)[::-1])[::-1]  # how many values are at least 0, 1, 2, ..
    least = int(np.searchsorted(-above, -keep, side="right"))  # the smallest value of which all fit
    chosen: NDArray[np.bool_] = size >= least
    chosen[np.flatnonzero(size == least - 1)[: keep - np.count_nonzero(chosen)]] = True
    return chosen


def requantised(network: Network, bits: int, layers: frozenset[str]) -> Network:
    """Return the network with the weights into ``layers`` rounded to multiples of a power of two, so that ``bits`` suffice.

    A rounded value outside the range is clipped to the range.
    """

    def quantise(projection: Projection) -> Projection:
        if projection.target not in layers or isinstance(projection.synapses, Pool):
            return projection
        return _with_weights(projection, _coarser(projection.synapses.weights, bits))

    return replace(network, projections=tuple(quantise(p) for p in network.projections))


def _coarser(weights: NDArray[np.int16], bits: int) -> NDArray[np.int16]:
    values = weights.astype(np.int32)
    negative, positive = int(values.min(initial=0)) < 0, int(values.max(initial=0)) > 0
    signed = negative and positive
    low, high = -((1 << bits) - 1) if negative else 0, (1 << bits) - 1 if positive else 0
    if signed:
        low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    shift = needed_bits(weights, shared_sign=not signed, drops_common_power=False) - bits
    if shift <= 0 or needed_bits(weights, shared_sign=not signed, drops_common_power=True) <= bits:
        return weights
    rounded = np.clip((values + (1 << shift >> 1)) >> shift, low, high)
    return (rounded << shift).astype(np.int16)


def _with_weights(projection: Projection, weights: NDArray[np.int16]) -> Projection:
    synapses = projection.synapses
    assert isinstance(synapses, Dense | Sparse | Conv)
    return replace(projection, synapses=replace(synapses, weights=weights), mask=None)
