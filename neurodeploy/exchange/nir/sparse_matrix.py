"""Sparse float matrices, and their products with each other and with dense ones.

A sum adds its terms one after the other, in the order of the left matrix's columns, on every machine: a graph gives the same
bits wherever it is read, which the routines of numpy for dense matrices do not promise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodeploy.files.loops import compiled

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


class SparseMatrix(NamedTuple):
    """The entries of a matrix row by row: those of row ``i`` are ``start[i]`` to ``start[i + 1]`` of the other two.

    Args:
        start: int64 ``(n_rows + 1,)``.
        column, value: int64 and float64 ``(n_entries,)``; no column comes twice in a row.
        width: number of columns.
    """

    start: Places
    column: Places
    value: Floats
    width: int

    def dense(self) -> Floats:
        """Return the matrix with its zeros, float64 ``(n_rows, width)``."""
        full = np.zeros((self.start.size - 1, self.width))
        full[np.repeat(np.arange(self.start.size - 1), np.diff(self.start)), self.column] = self.value
        return full

    def times(self, other: SparseMatrix) -> SparseMatrix:
        """Return the product ``self @ other``; the columns of a row come in the order in which they are met."""
        start, column, value = _product(
            self.start, self.column, self.value, other.start, other.column, other.value, other.width
        )
        return SparseMatrix(start, column, value, other.width)


def of_entries(row: Places, column: Places, value: Floats, shape: tuple[int, int]) -> SparseMatrix:
    """Return the matrix ``(n_rows, width)`` with these entries, each place at most once, in any order."""
    order = np.lexsort((column, row))
    return _sorted(row, column[order], value[order], shape)


def _sorted(row: Places, column: Places, value: Floats, shape: tuple[int, int]) -> SparseMatrix:
    start = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=shape[0]))))
    return SparseMatrix(start, column, value.astype(np.float64), shape[1])


def of_dense(matrix: NDArray[np.generic]) -> SparseMatrix:
    """Return the entries of a matrix that are not 0."""
    row, column = np.nonzero(matrix)
    return _sorted(row, column, matrix[row, column].astype(np.float64), (matrix.shape[0], matrix.shape[1]))


@compiled(nogil=True)
def _product(
    start: Places, column: Places, value: Floats, start2: Places, column2: Places, value2: Floats, width: int
) -> tuple[Places, Places, Floats]:
    """Return start, column and value of the product: first the entries of each row are counted, then summed."""
    n = len(start) - 1
    first = np.zeros(n + 1, np.int64)
    seen = np.full(width, -1, np.int64)
    for i in range(n):
        first[i + 1] = first[i]
        for e in range(start[i], start[i + 1]):
            for f in range(start2[column[e]], start2[column[e] + 1]):
                if seen[column2[f]] != i:
                    seen[column2[f]] = i
                    first[i + 1] += 1
    met, total = np.zeros(first[n], np.int64), np.zeros(first[n])
    sums, seen = np.zeros(width), np.full(width, -1, np.int64)
    for i in range(n):
        end = first[i]
        for e in range(start[i], start[i + 1]):
            for f in range(start2[column[e]], start2[column[e] + 1]):
                k = column2[f]
                if seen[k] != i:
                    seen[k] = i
                    met[end] = k
                    end += 1
                sums[k] += value[e] * value2[f]
        for e in range(first[i], end):
            total[e] = sums[met[e]]
            sums[met[e]] = 0.0
    return first, met, total


@compiled(nogil=True)
def sums_of_rows(weights: Floats, rows: Floats) -> Floats:
    """Return the product ``weights @ rows``, ``(n, width)``; zeros of ``weights`` ``(n, n_rows)`` are skipped."""
    total = np.zeros((weights.shape[0], rows.shape[1]))
    for i in range(weights.shape[0]):
        own = total[i]
        for j in range(weights.shape[1]):
            weight = weights[i, j]
            if weight != 0:
                row = rows[j]
                for k in range(len(own)):
                    own[k] += weight * row[k]
    return total
