"""Sums over chosen rows of a table, such as what the spikes of each step cause at their destinations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 2**16
"""Numbers that numpy copies out of the table at a time: they stay in the processor's cache until they are summed."""
_WORTH_COMPILING = 2**21
"""Numbers to add from which the compiled loop saves more time than it takes to load the compiler."""


def sums_of_rows(
    start: NDArray[np.int64], row: NDArray[np.int32], table: NDArray[np.int64] | NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return a sum for each group of rows, int64 ``(n_groups, n_columns)``.

    Args:
        start: group ``i`` is ``row[start[i]:start[i + 1]]``, ``(n_groups + 1,)``.
        row: numbers of rows, each as often as it counts.
        table: ``(n_rows, n_columns)``.
    """
    if row.size * table.shape[1] >= _WORTH_COMPILING:
        from neurodeploy.costs.row_loop import add_rows

        sums = np.zeros((start.size - 1, table.shape[1]), np.int64)
        add_rows(start, row, np.array(table, np.int64, order="C"), sums)
        return sums
    return _summed(start, row, table)


def _summed(
    start: NDArray[np.int64], row: NDArray[np.int32], table: NDArray[np.int64] | NDArray[np.bool_]
) -> NDArray[np.int64]:
    sums = np.zeros((start.size - 1, table.shape[1]), np.int64)
    filled = np.flatnonzero(np.diff(start))  # reduceat has no empty groups
    first, last = start[filled], start[filled + 1]
    rows_at_once = max(1, _AT_ONCE // max(1, table.shape[1]))
    done = 0
    while done < filled.size:
        end = max(done + 1, int(np.searchsorted(last, first[done] + rows_at_once, side="right")))
        chosen = table[row[first[done] : last[end - 1]]]
        sums[filled[done:end]] = np.add.reduceat(chosen, first[done:end] - first[done], axis=0, dtype=np.int64)
        done = end
    return sums
