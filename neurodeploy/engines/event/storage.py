"""The arrays that the wires of a compiled network share, and their layout in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event import kernels as k


def aligned(size: int, dtype: type[np.generic]) -> NDArray[Any]:
    """Return an array of zeros that begins at a cache line, so that no vector crosses a cache line."""
    raw = np.zeros(size * np.dtype(dtype).itemsize + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + size * np.dtype(dtype).itemsize].view(dtype)


def padded(size: int) -> int:
    """Return the size rounded up to a multiple of ``kernels.PAD``."""
    return -(-size // k.PAD) * k.PAD


@dataclass(slots=True, eq=False)
class Store:
    """A growing array: parts are appended, and joined at the end."""

    dtype: type[np.generic]
    parts: list[NDArray[Any]] = field(default_factory=list)
    size: int = 0

    def add(self, array: NDArray[Any]) -> int:
        """Append a part and return the index of its first element."""
        at = self.size
        self.parts.append(np.ascontiguousarray(array, self.dtype))
        self.size += len(array)
        return at

    def joined(self) -> NDArray[Any]:
        """Return all parts as one read-only array; a single large part is not copied."""
        if len(self.parts) == 1 and self.size > 2**20:
            whole = self.parts[0].view()
        else:
            whole = aligned(self.size, self.dtype)
            np.concatenate([np.zeros(0, self.dtype), *self.parts], out=whole)
        whole.setflags(write=False)
        self.parts = []
        return whole


class Tables:
    """The arrays that all wires share; each wire holds offsets into them."""

    def __init__(self) -> None:
        self.int8, self.int16 = Store(np.int8), Store(np.int16)
        self.target16, self.target32 = Store(np.uint16), Store(np.int32)
        self.start, self.segments = Store(np.int64), Store(np.int32)
        self.entry_delay, self.source_delay = Store(np.uint8), Store(np.int64)

    def joined(self) -> tuple[NDArray[Any], ...]:
        stores = (self.int8, self.int16, self.target16, self.target32, self.start, self.segments)
        return tuple(store.joined() for store in (*stores, self.entry_delay, self.source_delay))
