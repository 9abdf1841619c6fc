"""Projections in plainer forms: a list of all synapses, a full matrix, or one set of synapses for each delay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network.record import Projection
from neurodeploy.network.synapses import Conv, Dense, Pool, Sparse, Synapses, synapse_shape

Entries: TypeAlias = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]], NDArray[np.integer[Any]]]


def entries(synapses: Synapses, *, zeros: bool = False) -> Entries:
    """Return source, target and weight of each synapse; convolutions are unrolled.

    Matrices and sparse synapses are sorted by source and then target, convolutions come tap by tap.

    Args:
        zeros: include stored synapses of weight 0: all entries of a matrix, every tap of a kernel.
    """
    if isinstance(synapses, Dense):
        by_source = synapses.weights.T
        source, target = np.nonzero(np.ones_like(by_source) if zeros else by_source)
        return source, target, by_source[source, target]
    stored = _stored(synapses)
    return stored if zeros else _where(stored[2] != 0, stored)


def _where(kept: NDArray[np.bool_], stored: Entries) -> Entries:
    source, target, weights = stored
    return source[kept], target[kept], weights[kept]


def _stored(synapses: Sparse | Conv | Pool) -> Entries:
    if isinstance(synapses, Sparse):
        return source_of_each(synapses), synapses.target, synapses.weights
    return _unrolled(synapses.as_conv() if isinstance(synapses, Pool) else synapses)


def source_of_each(synapses: Sparse) -> NDArray[np.int64]:
    """Return the source neuron of each stored synapse, int64 ``(n_synapses,)``."""
    return np.repeat(np.arange(synapses.start.size - 1), np.diff(synapses.start))


def full_matrix(synapses: Synapses) -> NDArray[np.int16]:
    """Return the weights of dense or sparse synapses, int16 ``(n_target, n_source)``.

    Raises:
        ValueError: for convolutions and pools, which share their weights.
    """
    if isinstance(synapses, Dense):
        return synapses.weights
    if not isinstance(synapses, Sparse):
        raise ValueError(f"{synapses.kind} synapses have no matrix of weights")
    full = np.zeros(synapse_shape(synapses), np.int16)
    full[synapses.target, source_of_each(synapses)] = synapses.weights
    return full


def stored_matrix(synapses: Sparse) -> NDArray[np.bool_]:
    """Return which entries of the full matrix are stored, bool ``(n_target, n_source)``."""
    full = np.zeros(synapse_shape(synapses), np.bool_)
    full[synapses.target, source_of_each(synapses)] = True
    return full


class OneDelay(NamedTuple):
    """The synapses of a projection that share ``delay``; only the marked ``sources`` use them, all if None."""

    synapses: Synapses
    sources: NDArray[np.bool_] | None
    delay: int


def by_delay(projection: Projection) -> Iterator[OneDelay]:
    """Yield one set of synapses for each delay that occurs in a projection."""
    delay, synapses = projection.delay, projection.synapses
    if isinstance(delay, int):
        yield OneDelay(synapses, None, delay)
        return
    for d in np.unique(delay):
        if delay.ndim == 2 and isinstance(synapses, Dense):
            yield OneDelay(Dense(weights=np.where(delay == d, synapses.weights, 0)), None, int(d))
        else:
            yield OneDelay(synapses, delay == d, int(d))


def _unrolled(conv: Conv) -> Entries:
    source, target, weights = (np.concatenate(column) for column in zip(*_taps(conv)))
    return source, target, weights


def _taps(conv: Conv) -> Iterator[Entries]:
    """Yield the synapses of each tap of the kernel."""
    c_out, height, width = conv.output_shape
    group_in, group_out = conv.weights.shape[1], c_out // conv.groups
    out_channel, in_group, y, x = np.indices((c_out, group_in, height, width))
    in_channel = out_channel // group_out * group_in + in_group
    target = (out_channel * height + y) * width + x
    for tap_y, tap_x in np.ndindex(conv.weights.shape[2:]):
        from_y = y * conv.stride[0] + tap_y * conv.dilation[0] - conv.padding[0]
        from_x = x * conv.stride[1] + tap_x * conv.dilation[1] - conv.padding[1]
        inside = (from_y >= 0) & (from_y < conv.input_shape[1]) & (from_x >= 0) & (from_x < conv.input_shape[2])
        source = (in_channel * conv.input_shape[1] + from_y) * conv.input_shape[2] + from_x
        weight = np.broadcast_to(conv.weights[:, :, tap_y, tap_x, None, None], source.shape)
        yield source[inside], target[inside], weight[inside]
