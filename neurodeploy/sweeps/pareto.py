"""Pareto front and knee of points with several costs that should all be small."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_front(costs: ArrayLike) -> NDArray[np.bool_]:
    """Return which points are on the front: no other point is at most as large in every cost and smaller in one.

    Args:
        costs: shape ``(n, k)``; equal points are on the front together.

    >>> pareto_front([[1, 3], [2, 2], [3, 3]]).tolist()
    [True, True, False]
    """
    points = np.asarray(costs, np.float64)
    if points.size == 0:
        return np.zeros(len(points), np.bool_)
    at_most = (points[:, None, :] <= points[None, :, :]).all(axis=2)
    smaller = (points[:, None, :] < points[None, :, :]).any(axis=2)
    beaten: NDArray[np.bool_] = (at_most & smaller).any(axis=0)
    return ~beaten


def knee(costs: ArrayLike) -> int | None:
    """Return the index of the knee of a front in two costs: the point farthest below the line between the front's ends.

    Both costs are scaled to 0..1 over the front first. None if the front has no point below this line.

    Args:
        costs: shape ``(n, 2)``, in any order; points that are not on the front are ignored.

    Source: Das, "On characterizing the 'knee' of the Pareto curve based on Normal-Boundary Intersection", Structural
    Optimization 18 (1999): the point of the front with the largest distance to the hyperplane through its end points.

    >>> knee([[0, 10], [1, 2], [10, 0], [11, 11]])
    1
    """
    points = np.asarray(costs, np.float64).reshape(-1, 2)
    front = np.flatnonzero(pareto_front(points))
    if front.size < 3:
        return None
    on = points[front]
    low, width = on.min(axis=0), np.ptp(on, axis=0)
    if not width.all():
        return None
    scaled = (on - low) / width
    below = 1 - scaled.sum(axis=1)  # the ends of a front are (0, 1) and (1, 0)
    best = int(np.argmax(below))
    return int(front[best]) if below[best] > 1e-12 else None
