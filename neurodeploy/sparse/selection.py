"""Selection of an exact number from each group, by rank and never by threshold, so that ties cannot change a count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

_DRAWN = 2**20


def ranked(
    key: torch.Tensor, group: torch.Tensor, generator: torch.Generator, last: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the indices that sort by group and in it by key, lowest first; ties in random order.

    Args:
        key: any numbers, ``(n,)``.
        group: group of each element, int64 ``(n,)``.
        generator: random generator for the order of ties.
        last: bool ``(n,)``; elements marked here come after all other elements of their group.
    """
    order = torch.randperm(len(key), generator=generator)
    order = order[torch.argsort(key[order], stable=True)]
    if last is not None:
        order = order[torch.argsort(last[order].to(torch.uint8), stable=True)]
    return order[torch.argsort(group[order], stable=True)]


def _passed(generator: torch.Generator, n: int) -> torch.Generator:
    """Return a copy of a generator, which itself goes on as if ``n`` elements had been put in random order."""
    before = torch.Generator()
    before.set_state(generator.get_state())
    for start in range(0, n - 1, _DRAWN):
        torch.empty(min(_DRAWN, n - 1 - start), dtype=torch.int32).random_(generator=generator)
    return before


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


class Room(Protocol):
    """Room that limits leave, which connections only reduce. Positions are int64, in the flat sequence of all layers."""

    def fits(self, positions: NDArray[np.int64], /) -> NDArray[np.bool_]:
        """Return which positions could take a connection, each on its own."""
        ...

    def admit(self, positions: NDArray[np.int64], /) -> NDArray[np.bool_]:
        """Take connections at these positions, first ones first, as far as all limits allow; return which were taken.

        If each of them fits on its own, at least the first is taken.
        """
        ...


class Constraint(Protocol):
    """Limits that hold after every rewiring, such as the memory of each core (``mapping.budget``)."""

    def room(self, active: NDArray[np.bool_], /) -> Room:
        """Return the room beside the active positions, bool ``(n_positions,)``; refuses positions that break a limit."""
        ...


def admitted(
    room: Room, candidates: torch.Tensor, group: torch.Tensor, score: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """Return up to ``counts[g]`` candidates of every group ``g`` that the limits allow, high scores first.

    Args:
        room: what the limits leave; it is used up.
        candidates: positions in an order made by ``ranked``, best first in each group.
        group, score: group and score of every position of all layers, ``(n_positions,)``.
        counts: int64 ``(n_groups,)``.
    """
    taken, left = [candidates[:0]], counts.clone()
    open_places = torch.zeros(len(group), dtype=torch.bool)
    while left.any():
        candidates = candidates[torch.from_numpy(room.fits(candidates.numpy()))]
        batch = take(candidates, group, left)
        if not len(batch):
            break
        batch = batch[torch.argsort(-score[batch], stable=True)]
        taken.append(batch[torch.from_numpy(room.admit(batch.numpy()))])
        left -= count_by(group[taken[-1]], len(left))
        open_places[candidates] = True
        open_places[taken[-1]] = False
        candidates = candidates[open_places[candidates]]
    return torch.cat(taken)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Caps:
    """At most ``limits[g]`` connections in every group ``g`` of positions: the simplest ``Constraint``.

    ``group``: group of every position, int64 ``(n_positions,)``; ``limits``: int64 ``(n_groups,)``.
    """

    group: torch.Tensor
    limits: torch.Tensor

    def room(self, active: NDArray[np.bool_]) -> _Places:
        """Return the places left in each group; none if it is over its limit already."""
        used = count_by(self.group[torch.from_numpy(active)], len(self.limits))
        return _Places(self.group, (self.limits - used).clamp(min=0))


@dataclass(slots=True, eq=False)
class _Places:
    group: torch.Tensor
    left: torch.Tensor

    def fits(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        free: NDArray[np.bool_] = (self.left[self.group[torch.from_numpy(positions)]] > 0).numpy()
        return free

    def admit(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        group = self.group[torch.from_numpy(positions)]
        chosen = torch.zeros(len(positions), dtype=torch.bool)
        chosen[take(torch.argsort(group, stable=True), group, self.left)] = True
        self.left = self.left - count_by(group[chosen], len(self.left))
        taken: NDArray[np.bool_] = chosen.numpy()
        return taken


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Swap:
    """The choice at a rewiring: candidates, scores and limits. Tensors are ``(n_positions,)`` unless stated otherwise.

    ``active``: connections that exist; ``allowed``: positions that may hold one; ``keep``, ``grow``: scores, higher stays
    or comes first; ``newest``: connections dropped only after all others; ``group``: groups with exact counts; ``neuron``
    with ``min_fan_in`` ``(n_neurons,)``: connections that each neuron keeps; ``regrow``: whether a connection that was just
    dropped may come back.
    """

    active: torch.Tensor
    allowed: torch.Tensor
    keep: torch.Tensor
    grow: torch.Tensor
    newest: torch.Tensor
    group: torch.Tensor
    neuron: torch.Tensor
    min_fan_in: torch.Tensor
    caps: Constraint | None = None
    regrow: bool = False

    def choose(
        self, n_drop: torch.Tensor, n_grow: torch.Tensor, generator: torch.Generator, n_positions: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return positions to drop and to grow, ``n_drop[g]`` and ``n_grow[g]`` in each group.

        If only some positions are given, of ``n_positions``, the generator is left as all of them would leave it.

        If the candidates for growth run out, as many of the drops with the highest scores are undone, so that the
        count after the swap is the one asked for. Connections that ``min_fan_in`` protects are not dropped.
        """
        droppable = self._droppable(generator)
        limit = count_by(self.group[droppable], len(n_drop))
        n_drop, n_grow = torch.minimum(n_drop, limit), (n_grow - (n_drop - limit).clamp(min=0)).clamp(min=0)
        by_keep = droppable[ranked(self.keep[droppable], self.group[droppable], generator, self.newest[droppable])]
        ties = generator if n_positions is None else _passed(generator, n_positions)
        by_grow = ranked(-self.grow, self.group, ties)
        while True:
            drop = take(by_keep, self.group, n_drop)
            grow = self._grown(by_grow, drop, n_grow)
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

    def _grown(self, by_grow: torch.Tensor, drop: torch.Tensor, n_grow: torch.Tensor) -> torch.Tensor:
        """Return up to ``n_grow`` positions of each group, best first, that may grow once ``drop`` is gone."""
        after = self.active.clone()
        after[drop] = False
        free = self.allowed & ~after
        if not self.regrow:
            free[drop] = False
        candidates = by_grow[free[by_grow]]
        if self.caps is None:
            return take(candidates, self.group, n_grow)
        return admitted(self.caps.room(after.numpy()), candidates, self.group, self.grow, n_grow)
