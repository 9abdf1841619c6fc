"""The stored synapses of any projection, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network.synapses import Conv, Dense, Pool, Sparse, Synapses

Entries: TypeAlias = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]], NDArray[np.integer[Any]]]


def entries(synapses: Synapses) -> Entries:
    """Return source, target and weight (not 0) of each synapse, convolutions unrolled."""
    if isinstance(synapses, Dense):
        target, source = np.nonzero(synapses.weights)
        return source, target, synapses.weights[target, source]
    if isinstance(synapses, Sparse):
        source = np.repeat(np.arange(synapses.start.size - 1), np.diff(synapses.start))
        stored = synapses.weights != 0
        return source[stored], synapses.target[stored], synapses.weights[stored]
    taps = list(_taps(synapses.as_conv() if isinstance(synapses, Pool) else synapses))
    source, target, weights = (np.concatenate(column) for column in zip(*taps))
    stored = weights != 0
    return source[stored], target[stored], weights[stored]


def _taps(conv: Conv) -> Iterator[Entries]:
    """Give the synapses of each tap of the kernel."""
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
