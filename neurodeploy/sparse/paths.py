"""CH3-L3: the score of an absent connection from the paths of three connections that join its ends (Cannistraci-Hebb).

Neither weights nor gradients play a part: two layers with equal masks get equal scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodeploy.files.loops import compiled

Indices = NDArray[np.int32]
Floats = NDArray[np.float64]


def path_scores(mask: NDArray[np.bool_]) -> Floats:
    """Return CH3-L3 of every position of a layer: 0 at its connections, and where no path of three connections is.

    ``CH3-L3(u, v) = sum over paths u - z1 - z2 - v of 1 / sqrt((1 + e_z1) (1 + e_z2))``, where ``e_z`` is the number of
    external links of ``z``: those that end neither at ``u`` or ``v`` nor inside the paths. Between two sets of nodes these
    are ``1 + e_z1 = d_z1 - |N(z1) & N(v)|`` and ``1 + e_z2 = d_z2 - |N(z2) & N(u)|``, both at least 1.

    Args:
        mask: bool ``(n_left, n_right)``.

    Returns:
        float64 ``(n_left, n_right)``. Besides, memory takes two bytes for every two nodes of a side; time grows with the
        number of paths, about ``n_left * degree**3``.

    Source: the path form of CHT (Zhang et al., ICLR 2024), by which CH-SNN (Hua et al., arXiv 2511.05581) grows.

    >>> path_scores(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1]], bool)).round(4).tolist()
    [[0.0, 0.0, 1.7071, 0.7071], [0.0, 1.7071, 0.0, 0.7071], [2.0, 0.0, 0.0, 0.0]]
    """
    scores = np.zeros(mask.shape)
    share = 1 / np.sqrt(np.arange(max(mask.shape) + 1).clip(min=1))
    left, right = _neighbours(mask), _neighbours(mask.T)
    _add_paths(*left, *right, _links_outside(*left, *right), _links_outside(*right, *left), share, scores)
    scores[mask] = 0
    return scores


def _neighbours(mask: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """Return the other side's nodes that each row joins, one after the other, and before them where each row begins."""
    row, column = np.nonzero(mask)
    start = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(mask)))))
    return start.astype(np.int32), column.astype(np.int32)


@compiled(nogil=True)
def _links_outside(start: Indices, of_node: Indices, other_start: Indices, of_other: Indices) -> NDArray[np.uint16]:
    """Return ``d_z - |N(z) & N(end)|`` for every two nodes of a side, ``(end, z)``, from the neighbours of both sides."""
    n = len(start) - 1
    outside = np.empty((n, n), np.uint16)
    for end in range(n):
        for z in range(n):
            outside[end, z] = start[z + 1] - start[z]
        for i in range(start[end], start[end + 1]):
            for j in range(other_start[of_node[i]], other_start[of_node[i] + 1]):
                outside[end, of_other[j]] -= 1
    return outside


@compiled(nogil=True, error_model="numpy")
def _add_paths(
    left_start: Indices,
    of_left: Indices,
    right_start: Indices,
    of_right: Indices,
    left_outside: NDArray[np.uint16],
    right_outside: NDArray[np.uint16],
    share: Floats,
    scores: Floats,
) -> None:
    """Add the share of every path ``u - z1 - z2 - v`` to ``scores[u, v]``; a path may not turn back.

    All paths through a node ``z1`` come together, so that what they read stays in the processor's cache.
    """
    near = np.empty(scores.shape[1])
    for z1 in range(len(right_start) - 1):
        for v in range(len(near)):
            near[v] = share[right_outside[v, z1]]
        near[z1] = 0.0
        for i in range(right_start[z1], right_start[z1 + 1]):
            u = of_right[i]
            total = scores[u]
            for j in range(right_start[z1], right_start[z1 + 1]):
                z2 = of_right[j]
                if z2 == u:
                    continue
                own = share[left_outside[u, z2]]
                for k in range(left_start[z2], left_start[z2 + 1]):
                    v = of_left[k]
                    total[v] += own * near[v]
