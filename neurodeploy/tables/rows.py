"""Formats of the synapses of one source neuron in flash: a row of targets and weights, packed in one of six ways.

A source neuron is a row, a target a column. All formats hold the same synapses; they differ in bytes and in the
instructions that a spike costs. ``OPTIMIZE`` names the rules by which ``choose_format`` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Format: TypeAlias = Literal["rows", "lanes", "idx8", "delta8", "idx16", "bitmap"]
Optimize: TypeAlias = Literal["balance", "flash", "speed"]

OPTIMIZE: tuple[Optimize, ...] = ("balance", "flash", "speed")
"""``balance``: the smallest of the formats that are read fast; ``flash``: the smallest of all; ``speed``: the fewest
instructions."""
_BALANCED: tuple[Format, ...] = ("lanes", "rows", "idx8", "delta8")
LANES_AT_MOST = 257
"""Most rows that lanes add up before 16 bits are full: 257 * 255 = 65,535."""
_EXPECTED_RATE = 0.02
"""Share of the sources that is taken to spike in a step where formats are compared by instructions."""


class Rows(NamedTuple):
    """Synapses sorted by row and then column, without zeros: ``start`` ``(n_rows + 1,)``, ``column``, ``weight``.

    Weights are int32, already divided by their common power of two.
    """

    n_columns: int
    start: NDArray[np.int64]
    column: NDArray[np.int64]
    weight: NDArray[np.int32]

    @property
    def n_rows(self) -> int:
        """Number of source neurons."""
        return int(self.start.size - 1)

    @property
    def row(self) -> NDArray[np.int64]:
        """The row of each synapse."""
        return np.repeat(np.arange(self.n_rows), np.diff(self.start))

    def matrix(self) -> NDArray[np.int32]:
        """Return all weights, ``(n_rows, n_columns)``, with zeros where there is no synapse."""
        full = np.zeros((self.n_rows, self.n_columns), np.int32)
        full[self.row, self.column] = self.weight
        return full


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Rows in a format: the arrays by what they hold, and how many entries a spike of each row reads, ``(n_rows,)``.

    Entries are synapses, and the zeros and fillers that the format stores beside them.
    """

    format: Format
    arrays: Mapping[str, NDArray[Any]]
    entries: NDArray[np.int64]

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())


def make_rows(row: NDArray[Any], column: NDArray[Any], weight: NDArray[Any], shape: tuple[int, int]) -> Rows:
    """Return the synapses of weight other than 0, sorted; ``shape`` is ``(n_rows, n_columns)``."""
    kept = weight != 0
    row, column, weight = row[kept].astype(np.int64), column[kept].astype(np.int64), weight[kept].astype(np.int32)
    order = np.argsort(row * shape[1] + column, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=shape[0]))]).astype(np.int64)
    return Rows(shape[1], start, column[order], weight[order])


def common_shift(weight: NDArray[Any]) -> int:
    """Return how many of the lowest bits are 0 in all weights, 0 where there is none.

    >>> common_shift(np.array([4, -12, 8]))
    2
    """
    used = int(np.bitwise_or.reduce(np.abs(weight.astype(np.int64)))) if weight.size else 0
    return (used & -used).bit_length() - 1 if used else 0


def weights_for(weight: NDArray[np.int32]) -> NDArray[Any]:
    """Return weights in the smallest of int8, uint8 and int16 that holds them."""
    low, high = (int(weight.min()), int(weight.max())) if weight.size else (0, 0)
    if low >= -128 and high <= 127:
        return weight.astype(np.int8)
    return weight.astype(np.uint8) if low >= 0 else weight.astype(np.int16)


def _counts(values: NDArray[Any]) -> NDArray[Any]:
    """Return pointers as uint16, or as uint32 where they need it."""
    return values.astype(np.uint16 if not values.size or values.max() < 2**16 else np.uint32)


def _pack_rows(rows: Rows) -> Packed:
    entries = np.full(rows.n_rows, rows.n_columns, np.int64)
    return Packed("rows", {"weight": weights_for(rows.matrix()).ravel()}, entries)


def _pack_lanes(rows: Rows) -> Packed | None:
    """Return weights + 128 in words of four columns; bytes 0, 2, 1 and 3 of a word, from the lowest, are columns 0 to 3.

    Two columns are added at a time: bytes 0 and 2 into the 16-bit halves of one word of sums, bytes 1 and 3 into the next.
    """
    if rows.weight.size and (rows.weight.min() < -128 or rows.weight.max() > 127):
        return None
    n_words = -(-rows.n_columns // 4)
    biased = np.full((rows.n_rows, 4 * n_words), 128, np.uint32)
    biased[rows.row, rows.column] = (rows.weight + 128).astype(np.uint32)
    a, b, c, d = (biased[:, k::4] for k in range(4))
    words = a | (b << 16) | (c << 8) | (d << 24)
    return Packed("lanes", {"word": words.ravel()}, np.full(rows.n_rows, 4 * n_words, np.int64))


def _pack_idx8(rows: Rows) -> Packed:
    n_blocks = -(-rows.n_columns // 256)
    block = rows.row * n_blocks + rows.column // 256
    start = np.concatenate([[0], np.cumsum(np.bincount(block, minlength=rows.n_rows * n_blocks))])
    arrays = {
        "start": _counts(start),
        "weight": weights_for(rows.weight),
        "column": (rows.column % 256).astype(np.uint8),
    }
    return Packed("idx8", arrays, np.diff(rows.start))


def _pack_delta8(rows: Rows) -> Packed:
    """Return gaps: each entry moves that far from the column before (from 0 at first) and adds its weight there."""
    first = np.zeros(rows.column.size, np.bool_)
    first[rows.start[:-1][np.diff(rows.start) > 0]] = True
    gap = np.where(first, rows.column, np.diff(rows.column, prepend=0))
    fillers = np.maximum(gap - 1, 0) // 255  # of weight 0 and a gap of 255 each
    at = np.cumsum(fillers + 1) - 1  # where each synapse lands
    n = int(at[-1]) + 1 if at.size else 0
    gaps, weight = np.full(n, 255, np.uint8), np.zeros(n, np.int32)
    gaps[at], weight[at] = (gap - 255 * fillers).astype(np.uint8), rows.weight
    ends = np.concatenate([[0], at + 1])[rows.start]
    return Packed("delta8", {"start": _counts(ends), "weight": weights_for(weight), "gap": gaps}, np.diff(ends))


def _pack_idx16(rows: Rows) -> Packed | None:
    if rows.n_columns > 2**16:
        return None
    arrays = {
        "start": _counts(rows.start),
        "column": rows.column.astype(np.uint16),
        "weight": weights_for(rows.weight),
    }
    return Packed("idx16", arrays, np.diff(rows.start))


def _pack_bitmap(rows: Rows) -> Packed:
    """Return a bit for each column, the lowest bit of a word first, and the weights of the bits that are set."""
    n_words = -(-rows.n_columns // 32)
    bits = np.zeros((rows.n_rows, 32 * n_words), np.bool_)
    bits[rows.row, rows.column] = True
    words = np.packbits(bits, axis=1, bitorder="little").view("<u4").astype(np.uint32)
    arrays = {"word": words.ravel(), "start": _counts(rows.start), "weight": weights_for(rows.weight)}
    return Packed("bitmap", arrays, np.diff(rows.start))


_PACKERS: Mapping[Format, Callable[[Rows], Packed | None]] = {
    "lanes": _pack_lanes,
    "rows": _pack_rows,
    "idx8": _pack_idx8,
    "delta8": _pack_delta8,
    "idx16": _pack_idx16,
    "bitmap": _pack_bitmap,
}


def _instructions(packed: Packed, rows: Rows) -> float:
    """Return about how many instructions a spike costs on a Cortex-M4, by the mean over the rows.

    Only for the choice of a format. Source: counted in qemu, ``docs/c.md``.
    """
    entries = float(packed.entries.mean()) if packed.entries.size else 0.0
    if packed.format == "lanes":
        return 2.3 * entries + 6 * rows.n_columns / max(1.0, _EXPECTED_RATE * rows.n_rows)
    if packed.format == "idx8":
        return 5.6 * entries + 9 * -(-rows.n_columns // 256)
    if packed.format == "bitmap":
        return 9 * entries + 4 * -(-rows.n_columns // 32)
    return {"rows": 5.5, "delta8": 6.2, "idx16": 5.6}[packed.format] * entries + 9


def choose_format(rows: Rows, optimize: Optimize, *, lanes: bool) -> Packed:
    """Return the rows in the format that ``optimize`` chooses; among equals the one with fewer instructions.

    Args:
        lanes: whether the sums of a step may be kept in 16-bit halves of words.
    """
    allowed = _BALANCED if optimize == "balance" else tuple(_PACKERS)
    every = [_PACKERS[name](rows) for name in allowed if lanes or name != "lanes"]
    found = [packed for packed in every if packed is not None]
    cost = {packed.format: _instructions(packed, rows) for packed in found}
    if optimize == "speed":
        return min(found, key=lambda packed: (cost[packed.format], packed.n_bytes))
    return min(found, key=lambda packed: (packed.n_bytes, cost[packed.format]))
