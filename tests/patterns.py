"""Recurrent connection patterns to measure splits on: random, in communities, local in space; numbered at random.

Each neuron draws ``fan_out`` targets, repeats left out. All are made from ``rng`` alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network import Sparse


def random_pattern(rng: np.random.Generator, n: int = 2048, fan_out: int = 32) -> Sparse:
    """Return targets drawn from all neurons."""
    return _sparse(rng.integers(n, size=(n, fan_out)), n)


def community_pattern(
    rng: np.random.Generator, n: int = 2048, fan_out: int = 32, size: int = 64, inside: float = 0.85
) -> Sparse:
    """Return targets that lie in the neuron's own community of ``size`` neurons with probability ``inside``."""
    own = np.arange(n)[:, None] // size * size + rng.integers(size, size=(n, fan_out))
    targets = np.where(rng.random((n, fan_out)) < inside, own, rng.integers(n, size=(n, fan_out)))
    return _shuffled(rng, targets, n)


def local_pattern(rng: np.random.Generator, n: int = 2048, fan_out: int = 32, spread: float = 2.5) -> Sparse:
    """Return targets at normally distributed distances on a torus of ``n`` places, 64 in a row."""
    width = 64
    height = n // width
    row, column = np.divmod(np.arange(n), width)
    rows = (row[:, None] + np.rint(rng.normal(0, spread, (n, fan_out))).astype(int)) % height
    columns = (column[:, None] + np.rint(rng.normal(0, spread, (n, fan_out))).astype(int)) % width
    return _shuffled(rng, rows * width + columns, n)


PATTERNS = {"random": random_pattern, "communities": community_pattern, "local": local_pattern}
"""Patterns by name."""


def _shuffled(rng: np.random.Generator, targets: NDArray[np.int64], n: int) -> Sparse:
    """Give every neuron a new number."""
    number = rng.permutation(n)
    renamed = np.empty_like(targets)
    renamed[number] = number[targets]
    return _sparse(renamed, n)


def _sparse(targets: NDArray[np.int64], n: int) -> Sparse:
    pairs = np.unique(np.arange(n)[:, None] * n + targets)
    start = np.concatenate([[0], np.cumsum(np.bincount(pairs // n, minlength=n))])
    return Sparse(n_target=n, start=start, target=pairs % n, weights=np.ones(pairs.size, np.int16))
