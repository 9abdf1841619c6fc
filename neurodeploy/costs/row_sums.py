"""Sums over chosen rows of a table, such as what the spikes of each step cause at their destinations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodeploy.files.loops import compiled


@compiled(nogil=True)
def sums_of_rows(start: NDArray[np.int64], row: NDArray[np.int32], table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a sum for each group of rows, int64 ``(n_groups, n_columns)``.

    Args:
        start: group ``i`` is ``row[start[i]:start[i + 1]]``, ``(n_groups + 1,)``.
        row: numbers of rows, each as often as it counts.
        table: ``(n_rows, n_columns)``.
    """
    sums = np.zeros((len(start) - 1, table.shape[1]), np.int64)
    for group in range(len(start) - 1):
        own = sums[group]
        for i in range(start[group], start[group + 1]):
            values = table[row[i]]
            for column in range(len(own)):
                own[column] += values[column]
    return sums
