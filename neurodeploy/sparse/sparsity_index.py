"""The PQ index of a set of weights, the bound on the weights worth keeping, and the ratio that follows from them.

Source: Diao et al., ICLR 2023 (arXiv 2302.05601) and its reference code; used for spiking networks by Shen et al., ICLR 2025
(arXiv 2502.13572), Eq. 2 to 4. We use the ratio of norms; read as a difference, Eq. 2 would change with the scale of the
weights. ``p`` and ``q`` are not given for spiking networks; 0.5 and 1 explain the published densities (a loss of
about 15.5 % per iteration, which is the ratio of a Gaussian layer), 1 and 2 do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurodeploy.errors import TrainingError

_ROUNDING = 1e-12  # relative; keeps a bound that is a whole number from being rounded up past it


@dataclass(frozen=True, slots=True, kw_only=True)
class PqSettings:
    """Constants of the PQ index and ratio.

    ``p``, ``q``: orders of the norms, ``0 < p < q``. ``gamma >= 0`` multiplies the ratio, ``beta`` caps it (0..1).
    ``eta >= 0`` lowers the bound on the weights kept, ``r = ceil(d (1 + eta)**(-q/(q-p)) (1 - I)**(p q/(q-p)))``; 0.001 is
    the SNN paper's value (``alpha_r`` there).
    """

    p: float = 0.5
    q: float = 1.0
    gamma: float = 1.0
    eta: float = 0.001
    beta: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.p < self.q:
            raise TrainingError(f"sparse: PQ orders are p={self.p}, q={self.q}; they must satisfy 0 < p < q")
        if self.gamma < 0 or self.eta < 0 or not 0 <= self.beta < 1:
            raise TrainingError(
                f"sparse: PQ gamma={self.gamma} and eta={self.eta} must be at least 0, beta={self.beta} in 0..1 (1 excluded)"
            )


DEFAULT = PqSettings()


def pq_index(weights: Any, p: float = 0.5, q: float = 1.0) -> float:
    """Return the PQ index: 0 if all weights are equal in size, near 1 if few of them hold everything.

    ``I(w) = 1 - d**(1/q - 1/p) * ||w||_p / ||w||_q``, computed in float64.

    Args:
        weights: weights of the ``d`` existing connections, any shape (a tensor, an array or a list), no unit.
        p, q: orders of the two norms, ``0 < p < q``.

    Returns:
        A float in ``[0, 1 - d**(1/q - 1/p)]``; 0.0 where every weight is zero.

    Raises:
        TrainingError: if there is no weight or not ``0 < p < q``.

    >>> round(pq_index([1.0, 0.0, 0.0, 0.0]), 6)
    0.75
    """
    sizes, group = _one_group(weights)
    return float(index_by_group(sizes, group, 1, PqSettings(p=p, q=q))[0])


def pq_bound(weights: Any, settings: PqSettings = DEFAULT) -> int:
    """Return how many of the ``d`` weights are worth keeping: ``r`` in ``1..d`` (``d`` where every weight is zero)."""
    sizes, group = _one_group(weights)
    return int(bound_by_group(sizes, group, 1, settings)[0])


def pq_ratio(weights: Any, settings: PqSettings = DEFAULT) -> float:
    """Return the fraction to rewire, ``c = min(max(gamma * (1 - r/d), 0), beta)``.

    >>> pq_ratio([1.0, 1.0, 1.0, 0.0], PqSettings(eta=0.0))
    0.25
    """
    sizes, group = _one_group(weights)
    return float(ratio_by_group(sizes, group, 1, settings)[0])


def index_by_group(sizes: torch.Tensor, group: torch.Tensor, n_groups: int, settings: PqSettings) -> torch.Tensor:
    """Return the PQ index of every group at once, float64 ``(n_groups,)``; 0 for an empty or all-zero group.

    Args:
        sizes: ``|w|`` of all existing connections, ``(n,)``.
        group: group of each, int64 ``(n,)``.
    """
    p, q = settings.p, settings.q
    sizes = sizes.double()
    largest = torch.zeros(n_groups, dtype=torch.float64).scatter_reduce(0, group, sizes, "amax")
    scaled = sizes / torch.where(largest > 0, largest, 1.0)[group]
    d = torch.bincount(group, minlength=n_groups).double().clamp(min=1)
    norm_p = _sum(scaled.pow(p), group, n_groups).pow(1 / p)
    norm_q = _sum(scaled.pow(q), group, n_groups).pow(1 / q)
    index = 1 - d.pow(1 / q - 1 / p) * norm_p / torch.where(norm_q > 0, norm_q, 1.0)
    return torch.where(largest > 0, index.clamp(min=0), 0.0)


def bound_by_group(sizes: torch.Tensor, group: torch.Tensor, n_groups: int, settings: PqSettings) -> torch.Tensor:
    """Return ``r`` of every group, int64; see ``pq_bound``."""
    p, q = settings.p, settings.q
    d = torch.bincount(group, minlength=n_groups)
    kept = (1 - index_by_group(sizes, group, n_groups, settings)).pow(p * q / (q - p))
    bound = d * (1 + settings.eta) ** (-q / (q - p)) * kept
    bound = torch.minimum((bound * (1 - _ROUNDING)).ceil().long(), d)
    is_zero = _sum(sizes.double(), group, n_groups) == 0
    return torch.where(is_zero, d, bound)


def ratio_by_group(sizes: torch.Tensor, group: torch.Tensor, n_groups: int, settings: PqSettings) -> torch.Tensor:
    """Return ``c`` of every group, float64; see ``pq_ratio``."""
    d = torch.bincount(group, minlength=n_groups).double().clamp(min=1)
    removable = d - bound_by_group(sizes, group, n_groups, settings)
    ratio = (settings.gamma * removable / d).clamp(0, settings.beta)
    return torch.where(torch.bincount(group, minlength=n_groups) > 0, ratio, 0.0)


def _sum(values: torch.Tensor, group: torch.Tensor, n_groups: int) -> torch.Tensor:
    return torch.zeros(n_groups, dtype=torch.float64).index_add(0, group, values)


def _one_group(weights: Any) -> tuple[torch.Tensor, torch.Tensor]:
    given = weights.detach().cpu() if isinstance(weights, torch.Tensor) else torch.from_numpy(np.array(weights, float))
    sizes = given.double().abs().flatten()
    if len(sizes) == 0:
        raise TrainingError("sparse: the PQ index of no weights is not defined")
    return sizes, torch.zeros(len(sizes), dtype=torch.int64)
