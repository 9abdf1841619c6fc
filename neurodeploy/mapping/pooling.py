"""Kernels on sums of pixels: layers whose pooling the core of the layer before can do, so that a smaller kernel is left.

A sum pool of ``f x f`` before a kernel is the kernel with each tap repeated ``f x f``, its stride and padding times ``f``;
here it is taken apart again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network import Conv, Dense, Shape


def pooled(synapses: Conv | Dense, shape: Shape, sizes: Sequence[int]) -> tuple[int, Conv]:
    """Return the largest size of a sum pool that the synapses begin with, and what is left behind it; 1 for none.

    Args:
        synapses: a convolution, or a matrix, which is a kernel as large as its input.
        shape: ``(channels, height, width)`` of the source.
        sizes: sizes of a pool (height and width) to look for.

    >>> kernel = np.kron([[1, 2], [3, 4]], np.ones((2, 2), np.int16)).astype(np.int16)
    >>> size, left = pooled(Conv(weights=kernel[None, None], input_shape=(1, 8, 8), stride=(2, 2)), (1, 8, 8), (1, 2, 4))
    >>> size, left.weights.tolist(), left.input_shape, left.stride
    (2, [[[[1, 2], [3, 4]]]], (1, 4, 4), (1, 1))
    """
    conv = synapses if isinstance(synapses, Conv) else _as_conv(synapses, shape)
    for size in sorted(sizes, reverse=True):
        left = _behind(conv, size)
        if left is not None:
            return size, left
    return 1, conv


def _as_conv(matrix: Dense, shape: Shape) -> Conv:
    channels, height, width = shape
    return Conv(weights=matrix.weights.reshape(-1, channels, height, width), input_shape=(channels, height, width))


def _behind(conv: Conv, size: int) -> Conv | None:
    """Return the convolution behind the sum pool of ``size`` that the given one begins with, or None if it does not."""
    channels, height, width = conv.input_shape
    moved = [n for n, places in zip(conv.stride, conv.output_shape[1:]) if places > 1]
    if conv.dilation != (1, 1) or any(n % size for n in (*moved, *conv.padding)) or min(height, width) < size:
        return None
    kernel = _cut(conv.weights, conv, size)
    if any(n % size for n in kernel.shape[2:]):
        return None
    taps = kernel[:, :, ::size, ::size]
    if not np.array_equal(taps.repeat(size, axis=2).repeat(size, axis=3), kernel):
        return None
    kept = (channels, height // size, width // size)
    smaller = tuple(k > n + 2 * p // size for k, n, p in zip(taps.shape[2:], kept[1:], conv.padding))
    if any(smaller):
        return None
    left = Conv(
        weights=taps,
        input_shape=kept,
        stride=(max(conv.stride[0] // size, 1), max(conv.stride[1] // size, 1)),
        padding=(conv.padding[0] // size, conv.padding[1] // size),
        groups=conv.groups,
    )
    return left if left.output_shape == conv.output_shape and not _reads_rest(conv, size) else None


def _cut(kernel: NDArray[np.int16], conv: Conv, size: int) -> NDArray[np.int16]:
    """Return the kernel without the rows and columns of zeros at its end that lie on the rest which a pool leaves out."""
    for axis in (0, 1):
        rest = kernel.shape[2 + axis] % size
        end = np.s_[-rest:] if rest else np.s_[:0]
        one_place = conv.output_shape[1 + axis] == 1
        if rest and one_place and not np.any(kernel[(slice(None),) * (2 + axis) + (end,)]):
            kernel = kernel[(slice(None),) * (2 + axis) + (np.s_[:-rest],)]
    return kernel


def _reads_rest(conv: Conv, size: int) -> bool:
    """Return whether a window reads the last rows or columns, which a pool that does not divide the image leaves out."""
    for axis in (0, 1):
        n, stride, padding = conv.input_shape[1 + axis], conv.stride[axis], conv.padding[axis]
        taps = np.flatnonzero(np.any(conv.weights != 0, axis=tuple(a for a in range(4) if a != 2 + axis)))
        last = stride * (conv.output_shape[1 + axis] - 1) + int(taps.max(initial=0)) - padding
        if last >= n // size * size and n % size:
            return True
    return False
