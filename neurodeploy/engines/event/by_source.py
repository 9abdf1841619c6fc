"""The synapses of a projection in the order in which its kernel reads them: by source, in inner numbers.

Inner numbers are the neuron numbers inside the engine (see ``compile.py``), outer numbers those of the ``Network``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network import Conv, Pool, Projection, Sparse
from neurodeploy.network.unrolled import entries

IntArray: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Stored synapses by source, in inner numbers: source ``j`` reaches ``target[start[j]:start[j + 1]]``.

    ``delay``: the delay of each synapse, None if all have the same delay.
    """

    start: NDArray[np.int64]
    target: IntArray
    weights: IntArray
    delay: IntArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Source and target of a projection: their numbers, and the inner orders of their neurons.

    ``source_order``: outer number of each inner source neuron; ``target_rank``: inner number of each outer target neuron;
    ``conv_order``: whether the target's channels run fastest inside.
    """

    source: int
    target: int
    source_order: NDArray[np.int32]
    target_rank: NDArray[np.int32]
    conv_order: bool

    @property
    def shape(self) -> tuple[int, int]:
        return self.target_rank.size, self.source_order.size


def lists_of(projection: Projection, ends: Ends) -> Lists:
    """Return the non-zero synapses of a projection by source, in inner numbers."""
    synapses, delay = projection.synapses, projection.delay
    if isinstance(synapses, Sparse) and _unordered(ends) and isinstance(delay, int):
        return Lists(synapses.start, synapses.target, synapses.weights)
    source, target, weights = entries(synapses)
    each = None
    if not isinstance(delay, int):
        each = delay[source] if delay.ndim == 1 else delay[target, source]
    rank = np.argsort(ends.source_order)[source]
    target = ends.target_rank[target]
    order = np.lexsort((target, rank))
    start = np.concatenate([[0], np.cumsum(np.bincount(rank, minlength=ends.shape[1]))])
    return Lists(start, target[order], weights[order], None if each is None else each[order])


def _unordered(ends: Ends) -> bool:
    """Return whether inner and outer numbers are the same at both ends."""
    same = (np.array_equal(rank, np.arange(rank.size)) for rank in (ends.source_order, ends.target_rank))
    return all(same)


def part_of(lists: Lists, chosen: NDArray[np.bool_]) -> Lists:
    """Return the chosen synapses."""
    before = np.concatenate([[0], np.cumsum(chosen)])
    return Lists(before[lists.start], lists.target[chosen], lists.weights[chosen])


def _places(conv: Conv) -> Iterator[tuple[IntArray, IntArray, IntArray, int, int]]:
    """Yield for each tap of the kernel: the source pixels that it connects to an output, the outputs' y and x, ky, kx."""
    _, height, width = conv.output_shape
    y, x = np.mgrid[: conv.input_shape[1], : conv.input_shape[2]]
    for ky, kx in np.ndindex(conv.weights.shape[2:]):
        to_y = y + conv.padding[0] - ky * conv.dilation[0]
        to_x = x + conv.padding[1] - kx * conv.dilation[1]
        reached = (to_y % conv.stride[0] == 0) & (to_x % conv.stride[1] == 0)
        to_y, to_x = to_y // conv.stride[0], to_x // conv.stride[1]
        reached &= (to_y >= 0) & (to_y < height) & (to_x >= 0) & (to_x < width)
        yield np.flatnonzero(reached), to_y[reached], to_x[reached], ky, kx


def runs(conv: Conv) -> tuple[IntArray, NDArray[np.int32]]:
    """Return the outer number of the source of each run, and the first target, first weight and length of each run.

    A run is a stretch of neighbouring targets that a spike of one source reaches. Targets are numbered with the channel
    running fastest, weights as in ``_stored_conv``. Taps that are neighbours in the target are joined into one run.
    """
    channels, height, width = conv.input_shape
    c_out, _, out_width = conv.output_shape
    per_group, k_width = c_out // conv.groups, conv.weights.shape[3]
    source, first, at = [], [], []
    for pixel, to_y, to_x, ky, kx in _places(conv):
        for channel in range(channels):
            group = channel // (channels // conv.groups)
            source.append(channel * height * width + pixel)
            first.append((to_y * out_width + to_x) * c_out + group * per_group)
            tap = (channel * conv.weights.shape[2] + ky) * k_width + k_width - 1 - kx
            at.append(np.full(pixel.size, tap * per_group))
    columns = [np.concatenate(part) for part in (source, first, at)]
    order = np.lexsort(columns[::-1])
    own, target, weight = (column[order] for column in columns)
    follows = (np.diff(own) == 0) & (np.diff(target) == per_group) & (np.diff(weight) == per_group)
    begins = np.flatnonzero(np.concatenate([own[:1] >= 0, ~follows]))
    length = np.diff(np.append(begins, own.size)) * per_group
    return own[begins], np.stack([target[begins], weight[begins], length], axis=1).astype(np.int32)


def largest_sum(synapses: Conv | Pool) -> int:
    """Return the largest absolute value that a sum of the convolution can have before the exponent is applied."""
    conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
    return int(np.abs(conv.weights.astype(np.int64)).sum(axis=(1, 2, 3)).max())
