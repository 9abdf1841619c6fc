"""Ratios and density paths: fractions of connections that a rewiring moves, and numbers of connections after it.

Both are called once at each rewiring with a ``Groups`` record and return a value for every group. A group is a layer, a
neuron, a block of N:M sparsity, or the whole model (``masks.grouping``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.selection import share_out
from neurodeploy.sparse.sparsity_index import DEFAULT, PqSettings, ratio_by_group


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """The existing connections at a rewiring.

    ``sizes``: ``|w|`` of each, float ``(n,)``; ``group``: group of each, int64 ``(n,)``; ``counts``: connections of each
    group, int64; ``capacity``: positions of each group, int64. ``step`` counts optimiser steps from 1; a rewiring comes
    every ``every_steps`` of them.
    """

    step: int
    every_steps: int
    sizes: torch.Tensor
    group: torch.Tensor
    counts: torch.Tensor
    capacity: torch.Tensor

    def crosses(self, period: int) -> bool:
        """Return whether a multiple of ``period`` steps was reached since the rewiring before."""
        return self.step // period > (self.step - self.every_steps) // period


class Ratio(Protocol):
    """Returns the fraction of its connections that each group moves, float64 ``(n_groups,)`` in 0..1."""

    def __call__(self, groups: Groups, /) -> torch.Tensor: ...


class DensityPath(Protocol):
    """Returns the connections that each group has after the rewiring, int64 ``(n_groups,)``."""

    def __call__(self, groups: Groups, /) -> torch.Tensor: ...


def cosine_ratio(step: int, initial: float, end_step: int) -> float:
    """Return ``initial / 2 * (1 + cos(pi * step / end_step))``, and 0 from ``end_step`` on.

    Source: Evci et al. 2020 (RigL), update schedule.

    >>> cosine_ratio(0, 0.3, 100), round(cosine_ratio(50, 0.3, 100), 6), cosine_ratio(100, 0.3, 100)
    (0.3, 0.15, 0.0)
    """
    if step >= end_step:
        return 0.0
    return initial / 2 * (1 + math.cos(math.pi * step / end_step))


@dataclass(frozen=True, slots=True)
class ConstantRatio:
    """The same fraction for every group at every rewiring, 0..1 (1 excluded)."""

    value: float

    def __post_init__(self) -> None:
        _check_ratio(self.value)

    def __call__(self, groups: Groups, /) -> torch.Tensor:
        return torch.full((len(groups.counts),), self.value, dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class CosineRatio:
    """``cosine_ratio`` of the step, from ``initial`` (0..1, 1 excluded) to 0 at ``end_step``."""

    initial: float
    end_step: int

    def __post_init__(self) -> None:
        _check_ratio(self.initial)

    def __call__(self, groups: Groups, /) -> torch.Tensor:
        value = cosine_ratio(groups.step, self.initial, self.end_step)
        return torch.full((len(groups.counts),), value, dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class PqRatio:
    """The PQ ratio of each group's weights, times a cosine from 1 to 0 over every ``anneal_steps`` steps if given."""

    settings: PqSettings = DEFAULT
    anneal_steps: int | None = None

    def __call__(self, groups: Groups, /) -> torch.Tensor:
        ratio = ratio_by_group(groups.sizes, groups.group, len(groups.counts), self.settings)
        if self.anneal_steps is None:
            return ratio
        return ratio * cosine_ratio(groups.step % self.anneal_steps, 1.0, self.anneal_steps)


@dataclass(frozen=True, slots=True)
class ConstantPath:
    """Every group keeps its number of connections."""

    def __call__(self, groups: Groups, /) -> torch.Tensor:
        return groups.counts


@dataclass(frozen=True, slots=True, kw_only=True)
class CubicPath:
    """All groups together fall from density ``initial`` to ``final`` along a cubic curve between two steps.

    ``d(t) = final + (initial - final) * (1 - (t - start_step) / (end_step - start_step))**3``. With ``by_magnitude`` a
    group gets as many connections as it has of the globally largest weights (GraNet, Liu et al. 2021); without it all groups
    shrink in proportion.
    """

    initial: float
    final: float
    start_step: int
    end_step: int
    by_magnitude: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.final <= self.initial <= 1 or not 0 <= self.start_step < self.end_step:
            raise TrainingError(
                f"sparse: a cubic path from density {self.initial} to {self.final} between steps {self.start_step} and "
                f"{self.end_step} is not possible; densities fall within 0..1, steps rise"
            )

    def density(self, step: int) -> float:
        """Return the density aimed at after the rewiring at ``step``."""
        passed = min(max((step - self.start_step) / (self.end_step - self.start_step), 0.0), 1.0)
        return self.final + (self.initial - self.final) * (1 - passed) ** 3

    def __call__(self, groups: Groups, /) -> torch.Tensor:
        total = min(round(self.density(groups.step) * int(groups.capacity.sum())), int(groups.counts.sum()))
        if self.by_magnitude:
            largest = torch.argsort(groups.sizes, descending=True, stable=True)[:total]
            return torch.bincount(groups.group[largest], minlength=len(groups.counts))
        return share_out(groups.counts.double() * (total / int(groups.counts.sum())), total, groups.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink:
    """Each group loses ``floor(c * k)`` connections at the end of every iteration of ``iteration_steps`` steps.

    ``c`` is the ratio of the group (by default PQ's), ``k`` its number of connections. The density of all groups together
    never falls below ``floor``: the last loss is reduced in proportion. Within an iteration the counts stay.
    """

    iteration_steps: int
    ratio: Ratio = PqRatio()
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.iteration_steps < 1 or not 0 <= self.floor < 1:
            raise TrainingError(
                f"sparse: shrinking in iterations of {self.iteration_steps} steps (must be 1 or more) to a density floor of "
                f"{self.floor} (must be in 0..1, 1 excluded) is not possible"
            )

    def __call__(self, groups: Groups, /) -> torch.Tensor:
        if not groups.crosses(self.iteration_steps):
            return groups.counts
        loss = torch.floor(self.ratio(groups) * groups.counts + 1e-9).long()
        at_most = max(int(groups.counts.sum()) - round(self.floor * int(groups.capacity.sum())), 0)
        if int(loss.sum()) > at_most:
            loss = share_out(loss.double() * (at_most / int(loss.sum())), at_most, loss)
        return groups.counts - loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Another path, and from ``start_step`` on a cubic fall of all groups together to density ``floor`` at ``end_step``.

    From the density that is there at a rewiring, ``d``, the next rewiring takes ``floor + (d - floor) f**3``, ``f`` the part
    of the steps to ``end_step`` that is left since then: a cubic curve from wherever ``path`` came, exact at its end. Each
    group keeps as many connections as it has of the largest weights (``CubicPath``).
    """

    path: DensityPath
    floor: float
    start_step: int
    end_step: int

    def __post_init__(self) -> None:
        if not 0 < self.floor < 1 or not 0 <= self.start_step < self.end_step:
            raise TrainingError(
                f"sparse: a final fall to the floor {self.floor} between steps {self.start_step} and {self.end_step} is not "
                "possible; set sparse.floor above 0, and more steps than one rewiring takes"
            )

    def __call__(self, groups: Groups, /) -> torch.Tensor:
        before = self.path(groups)
        if groups.step <= self.start_step:
            return before
        last = max(groups.step - groups.every_steps, self.start_step)
        left = max(self.end_step - groups.step, 0) / max(self.end_step - last, 1)
        lowest, now = round(self.floor * int(groups.capacity.sum())), int(before.sum())
        total = min(lowest + math.floor((now - lowest) * left**3), now)
        largest = torch.argsort(groups.sizes, descending=True, stable=True)[:total]
        return torch.bincount(groups.group[largest], minlength=len(groups.counts))


def _check_ratio(value: float) -> None:
    if not 0 <= value < 1:
        raise TrainingError(f"sparse: ratio is {value}, must be at least 0 and below 1")
