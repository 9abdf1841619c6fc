"""Summed input of the targets of a projection: exact integer sums, as the numpy engines compute them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.dynamics import Ints, Overflow
from neurodeploy.network import STATE_LIMIT, Conv, Dense, Pool, Sparse, Synapses


def synaptic_sum(synapses: Synapses, sent: NDArray[Any]) -> Ints:
    """Return the summed input of each target, weights times the messages ``sent``, int32 ``(n_samples, n_target)``.

    ``sent`` has the shape ``(n_samples, n_source)``: bool for spikes, int32 for graded messages, whose sums wrap at 32 bits.
    """
    if isinstance(synapses, Dense):
        if sent.dtype == np.bool_:
            return np.stack([synapses.weights[:, row].sum(axis=1, dtype=np.int32) for row in sent])
        total: Ints = sent.astype(np.int32) @ synapses.weights.T.astype(np.int32)
        return total
    if isinstance(synapses, Sparse):
        return np.stack([_sparse_sum(synapses, row) for row in sent])
    return _conv_sum(synapses.as_conv() if isinstance(synapses, Pool) else synapses, sent)


def shifted(total: Ints, exponent: int) -> Ints:
    """Return the sum times ``2**exponent``; a negative exponent rounds the sum down."""
    return total << exponent if exponent >= 0 else total >> -exponent


def conv_24(total: Ints, on_overflow: Overflow) -> Ints:
    """Return the sum as Lava's Conv computes it, wrapped to ``-2**23..2**23 - 1``, or clipped if ``on_overflow`` says so."""
    if on_overflow == "clip":
        return np.clip(total, 1 - STATE_LIMIT, STATE_LIMIT - 1)
    return (total + STATE_LIMIT) % (2 * STATE_LIMIT) - STATE_LIMIT


def _sparse_sum(synapses: Sparse, sent: NDArray[Any]) -> Ints:
    total = np.zeros(synapses.n_target, np.int32)
    for source in np.flatnonzero(sent):
        own = slice(synapses.start[source], synapses.start[source + 1])
        total[synapses.target[own]] += synapses.weights[own].astype(np.int32) * np.int32(sent[source])
    return total


def _conv_sum(conv: Conv, sent: NDArray[Any]) -> Ints:
    """Return the cross-correlation, summed tap by tap, like torch's ``conv2d`` with groups."""
    n, groups = len(sent), conv.groups
    c_out, height, width = conv.output_shape
    (pad_y, pad_x), (step_y, step_x), (dil_y, dil_x) = conv.padding, conv.stride, conv.dilation
    image = sent.astype(np.int32).reshape(n, groups, -1, *conv.input_shape[1:])
    image = np.pad(image, ((0, 0), (0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    weights = conv.weights.astype(np.int32).reshape(groups, c_out // groups, -1, *conv.weights.shape[2:])
    total = np.zeros((n, groups, c_out // groups, height, width), np.int32)
    for y, x in np.ndindex(conv.weights.shape[2:]):
        rows = slice(y * dil_y, y * dil_y + step_y * (height - 1) + 1, step_y)
        columns = slice(x * dil_x, x * dil_x + step_x * (width - 1) + 1, step_x)
        total += np.einsum("goi,ngihw->ngohw", weights[..., y, x], image[..., rows, columns])
    return total.reshape(n, -1)
