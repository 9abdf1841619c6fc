"""First masks of CH-SNN: from the correlations of the inputs, or with equal degrees on both sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import TrainingError

Bool = NDArray[np.bool_]
Floats = NDArray[np.float64]


def correlations(active: NDArray[np.bool_]) -> Floats:
    """Return ``phi_ij = sqrt(chi2_ij / n)`` of every two inputs, which is the size of Pearson's correlation, 0..1.

    An input that never changes has the correlation 0 with all others; the diagonal is 0.

    Args:
        active: which inputs fire in each observation, a step of a sample, bool ``(n_observations, n_inputs)``.

    Source: SSCTI of CH-SNN (Hua et al., arXiv 2511.05581), the chi-squared statistic of the 2 x 2 table of two inputs.

    >>> correlations(np.array([[1, 1, 0, 0, 1, 0, 1, 0], [1, 1, 0, 0, 0, 0, 1, 1]], bool).T).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    n = len(active)
    given = active.astype(np.float32)
    both = (given.T @ given).astype(np.float64)  # whole numbers below 2**24
    count = np.diag(both)
    covariance = n * both - np.outer(count, count)
    spread = count * (n - count)
    size = np.sqrt(np.outer(spread, spread))
    phi: Floats = np.divide(np.abs(covariance), size, out=np.zeros_like(size), where=size > 0)
    np.fill_diagonal(phi, 0)
    return phi


def correlated_mask(active: NDArray[np.bool_], n_target: int, budget: int, rng: np.random.Generator) -> Bool:
    """Return the mask of a first layer that joins inputs which fire together.

    A neuron stands for one input, its anchor, and is connected to the inputs that correlate most with it, over all neurons
    the pairs with the largest values. Each neuron keeps its best input, and each input that ever changes its best neuron as
    far as the budget allows.

    Args:
        active: as for ``correlations``.
        n_target: neurons of the layer; anchors are the inputs that change most, in turn where there are more neurons.
        budget: connections, at least one for each neuron.
        rng: decides between equal values.

    Returns:
        bool ``(n_target, n_inputs)`` with exactly ``budget`` connections.

    Raises:
        TrainingError: if the budget is below one connection for each neuron.

    Source: SSCTI of CH-SNN. There hidden units copy the inputs in order, which on MNIST leaves 29 % of 256 units without an
    input (pixels that never fire); that each end keeps a connection is ours as well.
    """
    n_inputs = active.shape[1]
    if not n_target <= budget <= n_target * n_inputs:
        raise TrainingError(
            f"sparse: chsnn gives the first layer {budget} connections, but {n_target} neurons of {n_inputs} inputs need "
            f"{n_target} to {n_target * n_inputs}; change sparse.density"
        )
    rate = active.mean(axis=0)
    by_change = np.argsort(-rate * (1 - rate), kind="stable")
    live = np.flatnonzero(rate * (1 - rate) > 0)
    anchors = by_change[: max(len(live), 1)]
    score = correlations(active)[np.resize(anchors, n_target)]
    key = score + 1e-9 * rng.random(score.shape)
    first = np.zeros(score.shape, bool)
    first[np.arange(n_target), key.argmax(axis=1)] = True
    for source in rng.permutation(live)[: budget - n_target]:
        if not first[:, source].any():
            first[key[:, source].argmax(), source] = True
    key[first] = 2 + key[first]
    mask = np.zeros(score.size, bool)
    mask[np.argsort(-key, axis=None, kind="stable")[:budget]] = True
    return mask.reshape(score.shape)


def even_mask(n_target: int, n_source: int, budget: int, rng: np.random.Generator) -> Bool:
    """Return a random mask with equal degrees: on both sides they differ by at most one.

    Args:
        n_target, n_source: shape of the mask.
        budget: connections, 0 to ``n_target * n_source``.
        rng: draws the positions.

    Returns:
        bool ``(n_target, n_source)``.
    """
    mask = np.zeros((n_target, n_source), bool)
    fan_in = np.full(n_target, budget // n_target)
    fan_in[rng.permutation(n_target)[: budget % n_target]] += 1
    fan_out = np.zeros(n_source)
    for target in rng.permutation(n_target):
        least = np.argsort(fan_out + rng.random(n_source), kind="stable")[: fan_in[target]]
        mask[target, least] = True
        fan_out[least] += 1
    return mask
