"""The layout of a ``.nd5`` file: names, limits, and how a large array is cut into blocks. ``docs/nd5.md`` explains it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from neurodeploy.errors import NetworkError
from neurodeploy.network import Pool, Shape

FORMAT = "neurodeploy-network"
"""Attribute ``format`` of the file."""
VERSION = 1
"""Attribute ``version`` of the file. It rises when an older reader would misread a file, not when a record gains a field."""
HEADER = "header"
"""Dataset of everything but the arrays, as JSON text."""
AGAIN = "export the network again, or get a whole copy"
"""What to do about a file that is damaged, for messages."""
MAX_HEADER = 2**28
"""Largest header that is read, in bytes."""
MAX_CHUNK = 2**26
"""Largest chunk of a dataset that is read, in bytes; ours are ``BLOCK_BYTES``."""
MAX_WINDOWS = 2**24
"""Largest number of channels times places of a window, for a pooling, which is checked with kernels of that size."""
BLOCK_BYTES = 2**20
"""Bytes of an array that are written, read and compressed at once."""
SMALL_BYTES = 2**12
"""Arrays up to so many bytes are stored in one piece and not compressed."""


def block_shape(shape: Shape, itemsize: int) -> Shape:
    """Return the shape of the blocks of an array: as many of the last axes as ``BLOCK_BYTES`` hold.

    >>> block_shape((5000, 300), 2), block_shape((4, 3, 5, 5), 2), block_shape((3, 2**20), 2)
    ((1747, 300), (4, 3, 5, 5), (1, 524288))
    """
    room, block = BLOCK_BYTES // itemsize, list[int]()
    for n in reversed(shape):
        block.insert(0, max(1, min(n, room)))
        room //= max(n, 1)
    return tuple(block)


def blocks(shape: Shape, itemsize: int) -> Iterator[tuple[slice, ...]]:
    """Yield the places of the blocks of an array; nothing for an array without elements."""
    steps = block_shape(shape, itemsize)
    for first in product(*(range(0, n, step) for n, step in zip(shape, steps))):
        yield tuple(slice(i, min(i + step, n)) for i, step, n in zip(first, steps, shape))


def stored_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which a file holds numbers: little-endian; eight bools are one byte."""
    return np.dtype(np.uint8) if dtype == np.bool_ else dtype.newbyteorder("<")


def stored_shape(dtype: np.dtype[Any], shape: Shape) -> Shape:
    """Return the shape in which a file holds an array: the bits of bools lie in one row, and whole bytes of them."""
    return (-(-math.prod(shape) // 8),) if dtype == np.bool_ else shape


def check_pool(channels: int, kernel: Shape, where: str) -> None:
    """Refuse a pooling whose windows are too large to be checked.

    Raises:
        NetworkError: naming the limit.
    """
    n = channels * math.prod(kernel)
    if n > MAX_WINDOWS:
        raise NetworkError(
            f"{where}: {Pool.kind} of {channels} channels with windows {kernel}, {n} places; at most {MAX_WINDOWS}"
        )
