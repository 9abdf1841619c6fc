"""Exact choices: so many of each group, by rank and never by threshold, so that ties cannot change a count."""

from __future__ import annotations

from dataclasses import dataclass

import torch


def ranked(
    key: torch.Tensor, group: torch.Tensor, generator: torch.Generator, last: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the indices that sort by group and in it by key, lowest first; ties in random order.

    Args:
        key: any numbers, ``(n,)``.
        group: group of each element, int64 ``(n,)``.
        generator: of the order of ties.
        last: bool ``(n,)``; the elements marked here come after all others of their group.
    """
    order = torch.randperm(len(key), generator=generator)
    order = order[torch.argsort(key[order], stable=True)]
    if last is not None:
        order = order[torch.argsort(last[order].to(torch.uint8), stable=True)]
    return order[torch.argsort(group[order], stable=True)]


def take(order: torch.Tensor, group: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return the first ``counts[g]`` elements of every group ``g`` of an order made by ``ranked`` (or a part of it)."""
    sorted_groups = group[order]
    n_before = torch.bincount(sorted_groups, minlength=len(counts)).cumsum(0).roll(1)
    n_before[0] = 0
    rank = torch.arange(len(order)) - n_before[sorted_groups]
    return order[rank < counts[sorted_groups]]


def count_by(group: torch.Tensor, n_groups: int) -> torch.Tensor:
    """Return how many elements each group has, int64 ``(n_groups,)``."""
    return torch.bincount(group, minlength=n_groups)


def share_out(wanted: torch.Tensor, total: int, limits: torch.Tensor) -> torch.Tensor:
    """Round ``wanted`` to integers that sum to ``total`` exactly, none above its limit (largest remainders first).

    Args:
        wanted: float64 ``(n,)``, at least 0, summing to about ``total``.
        total: at most ``limits.sum()``.
        limits: int64 ``(n,)``.
    """
    counts = torch.minimum(wanted.floor().long(), limits)
    by_remainder = torch.argsort(wanted - wanted.floor(), descending=True, stable=True)
    while (missing := total - int(counts.sum())) != 0:
        room = counts < limits if missing > 0 else counts > 0
        open_places = by_remainder[room[by_remainder]] if missing > 0 else by_remainder[room[by_remainder]].flip(0)
        counts[open_places[: abs(missing)]] += 1 if missing > 0 else -1
    return counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Caps:
    """At most ``limits[g]`` connections in every group ``g`` of positions, such as the words of one core.

    ``group``: group of every position, int64 ``(n_positions,)``; ``limits``: int64 ``(n_groups,)``.
    """

    group: torch.Tensor
    limits: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Swap:
    """What a rewiring may choose from; tensors over all positions, ``(n_positions,)``, unless said otherwise.

    ``active``: connections that exist; ``allowed``: positions that may hold one; ``keep``, ``grow``: scores, higher stays
    or comes first; ``newest``: dropped only after all others; ``group``: what the counts are exact for; ``neuron`` with
    ``min_fan_in`` ``(n_neurons,)``: connections that each neuron keeps; ``regrow``: whether a dropped one may come back.
    """

    active: torch.Tensor
    allowed: torch.Tensor
    keep: torch.Tensor
    grow: torch.Tensor
    newest: torch.Tensor
    group: torch.Tensor
    neuron: torch.Tensor
    min_fan_in: torch.Tensor
    caps: Caps | None = None
    regrow: bool = False

    def choose(
        self, n_drop: torch.Tensor, n_grow: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return positions to drop and to grow, ``n_drop[g]`` and ``n_grow[g]`` in each group.

        Where the candidates for growth run out, as many of the drops with the highest scores are undone, so that the
        count after the swap is the one asked for. Connections that ``min_fan_in`` protects are not dropped.
        """
        droppable = self._droppable(generator)
        limit = count_by(self.group[droppable], len(n_drop))
        n_drop, n_grow = torch.minimum(n_drop, limit), (n_grow - (n_drop - limit).clamp(min=0)).clamp(min=0)
        by_keep = droppable[ranked(self.keep[droppable], self.group[droppable], generator, self.newest[droppable])]
        by_grow = ranked(-self.grow, self.group, generator)
        while True:
            drop = take(by_keep, self.group, n_drop)
            grow = take(self._candidates(by_grow, drop), self.group, n_grow)
            short = n_grow - count_by(self.group[grow], len(n_grow))
            undo = torch.minimum(short, n_drop)
            if not undo.any():
                return drop, grow
            n_drop, n_grow = n_drop - undo, n_grow - undo

    def _droppable(self, generator: torch.Generator) -> torch.Tensor:
        existing = self.active.nonzero().squeeze(1)
        if not self.min_fan_in.any():
            return existing
        best_first = existing[ranked(-self.keep[existing], self.neuron[existing], generator)]
        droppable = self.active.clone()
        droppable[take(best_first, self.neuron, self.min_fan_in)] = False
        return droppable.nonzero().squeeze(1)

    def _candidates(self, by_grow: torch.Tensor, drop: torch.Tensor) -> torch.Tensor:
        """Return the positions that may grow once ``drop`` is gone, in the order given."""
        after = self.active.clone()
        after[drop] = False
        free = self.allowed & ~after
        if not self.regrow:
            free[drop] = False
        if self.caps is not None:
            free = self._within_caps(by_grow[free[by_grow]], after)
        return by_grow[free[by_grow]]

    def _within_caps(self, candidates: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Return as a mask the candidates with the highest scores that every cap still has room for."""
        assert self.caps is not None
        room = (self.caps.limits - count_by(self.caps.group[after], len(self.caps.limits))).clamp(min=0)
        best_first = candidates[torch.argsort(-self.grow[candidates], stable=True)]
        best_first = best_first[torch.argsort(self.caps.group[best_first], stable=True)]
        free = torch.zeros_like(after)
        free[take(best_first, self.caps.group, room)] = True
        return free
