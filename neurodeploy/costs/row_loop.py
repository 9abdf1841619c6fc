"""The compiled loop of ``row_sums``, in a module of its own because it loads the compiler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodeploy.files.loops import compiled


@compiled(nogil=True)
def add_rows(
    start: NDArray[np.int64], row: NDArray[np.int32], table: NDArray[np.int64], sums: NDArray[np.int64]
) -> None:
    """Add to ``sums[i]`` the rows ``row[start[i]:start[i + 1]]`` of the table."""
    for group in range(len(start) - 1):
        own = sums[group]
        for i in range(start[group], start[group + 1]):
            values = table[row[i]]
            for column in range(len(own)):
                own[column] += values[column]
