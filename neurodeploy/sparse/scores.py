"""Drop and growth scores of every position of a layer; a high score means keep, or grow first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.layers import SparseLayer, StoredLayer

Score = Callable[[SparseLayer, torch.Generator], torch.Tensor]
"""Takes a layer and a generator, returns a tensor of the weight's shape."""


def magnitude(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    """Return the size of each weight: large weights are kept."""
    return layer.weight.detach().abs()


def per_sign(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    """Return the rank by size among active weights of the same sign, 0..1: large weights of either sign are kept.

    Dropping the lowest fraction of these ranks drops the same fraction of positive and of negative connections, up to one
    connection; a weight of exactly 0 counts as positive.

    Source: Mocanu et al. 2018 (SET): the smallest positive and the largest negative weights are removed separately.
    """
    weight = layer.weight.detach()
    rank = torch.zeros_like(weight)
    for chosen in (layer.mask & (weight < 0), layer.mask & (weight >= 0)):
        size = weight[chosen].abs()
        order = torch.empty(len(size), dtype=weight.dtype, device=weight.device)
        order[torch.argsort(size, stable=True)] = torch.arange(len(size), dtype=weight.dtype, device=weight.device)
        rank[chosen] = (order + 0.5) / max(len(size), 1)
    return rank


def taylor(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    """Return ``(w * dL/dw)**2``: weights whose removal changes the loss most, to first order, are kept."""
    return (layer.weight.detach() * _gradient(layer)).square()


def random_growth(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:
    """Return random scores: all positions grow alike (SET, Mocanu et al. 2018)."""
    return torch.rand(layer.mask.shape, generator=generator)


def unseen_growth(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:
    """Return random scores, higher where no connection ever was (raises ITOP's explored ratio fastest)."""
    return torch.rand(layer.mask.shape, generator=generator) + (~layer.seen).cpu()


def gradient_growth(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    """Return the size of the dense gradient of the last step (RigL, Evci et al. 2020)."""
    return _gradient(layer).abs()


def memory_growth(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    """Return the size of the gathered dense gradient: of its running average, or its sum since the last rewiring."""
    return layer.memory.abs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A growth rule: its score, and what the engine gathers for it from the dense gradient.

    ``gathers``: ``gradient`` of the last step alone (``layer.gradient``), the running ``average``
    ``m = 0.9 m + 0.1 g``, or the ``sum`` since the last rewiring (both ``layer.memory``).
    """

    score: Score
    gathers: Literal["gradient", "average", "sum"] = "gradient"


Reach = Callable[[str, NDArray[np.bool_]], NDArray[np.float32]]
"""Takes a layer's name and mask; returns for each position how strongly its source already reaches its core, 0 or more."""


def prefer_reached(rule: str | Growth, reach: Reach, strength: float) -> Growth:
    """Return a growth rule that prefers sources which already reach the core: ``score * (1 + strength * reach)``.

    A spike is sent once to each core that it reaches, so such a connection costs no further message and input axon.

    Args:
        rule: a name of ``GROWTH`` or a rule of your own, with scores of 0 or more.
        reach: ``mapping.budget.meters.ChipBudget.reach``, or a function like it.
        strength: 0 gives the rule itself; at 1 a source that reaches a core as strongly as the mean one counts twice.

    Raises:
        TrainingError: for an unknown rule, or a strength below 0.
    """
    base = growth_rule(rule)
    if not strength >= 0:
        raise TrainingError(f"sparse: the preference has strength {strength}, must be 0 or more")
    if strength == 0:
        return base

    def score(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:
        plain = base.score(layer, generator)
        reached = torch.from_numpy(reach(layer.name, layer.mask.cpu().numpy())).to(plain.device)
        return plain * (1 + strength * reached)

    return Growth(score=score, gathers=base.gathers)


Lists = Callable[[str], NDArray[np.int64]]
"""Takes a layer's name; returns the list of every position, numbered from 0, ``(n_positions,)`` in C order."""


def by_list(rule: str | Score, lists: Lists) -> Score:
    """Return a drop score that keeps or drops all connections of a list together: the mean score of those that exist.

    A list holds all connections of a source on a core. If single connections are dropped, the list stays, so that its axon
    is not free for another source; if the whole list is dropped, its axon is free.

    Args:
        rule: a name of ``DROP`` or a score of your own.
        lists: ``mapping.budget.meters.ChipBudget.lists``, or a function like it.
    """
    base = drop_score(rule)

    def score(layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:
        plain = base(layer, generator).flatten().double().cpu()
        list_of, active = torch.from_numpy(lists(layer.name)), layer.mask.flatten().cpu()
        total = torch.zeros(int(list_of.max()) + 1, dtype=torch.float64)
        count = torch.bincount(list_of[active], minlength=len(total))
        total.index_add_(0, list_of[active], plain[active])
        mean = total / count.clamp(min=1)
        return mean[list_of].reshape(layer.mask.shape)

    return score


DROP: Mapping[str, Score] = {"magnitude": magnitude, "per_sign": per_sign, "taylor": taylor}

GROWTH: Mapping[str, Growth] = {
    "random": Growth(score=random_growth),
    "gradient": Growth(score=gradient_growth),
    "unseen": Growth(score=unseen_growth),
    "momentum": Growth(score=memory_growth, gathers="average"),
    "displacement": Growth(score=memory_growth, gathers="sum"),
}

_DRAWN = 2**20
"""Random scores that are drawn at once for a stored layer, a multiple of 8."""


def reads_gradient(growth: Growth) -> bool:
    """Return whether the scores of a rule need the dense gradient."""
    return growth not in (GROWTH["random"], GROWTH["unseen"])


def few_candidates(
    growth: Growth, layer: StoredLayer, count: int, generator: torch.Generator, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the connections of a stored layer and its best absent positions, with the scores of a rule of ``GROWTH``.

    Args:
        growth: ``random``, ``unseen`` or ``gradient``.
        layer: the layer.
        count: absent positions wanted; those that equal the last of them come too.
        generator: gives the random scores, the same as for a dense layer.
        rng: draws absent positions where fewer than ``count`` have a gradient.

    Returns:
        Flat positions, rising; whether a connection exists there; and the scores.
    """
    stored = layer.places
    if growth is GROWTH["gradient"]:
        assert layer.weight.grad is not None
        found, size = layer.stored.largest(count, rng)
        new, own, theirs = torch.from_numpy(found), layer.weight.grad.abs(), torch.from_numpy(size)
    else:
        new, own, theirs = _drawn(layer, stored, count, generator, growth is GROWTH["unseen"])
    places, order = torch.cat([stored, new]).sort()
    active = torch.cat([torch.ones(len(stored), dtype=torch.bool), torch.zeros(len(new), dtype=torch.bool)])
    return places, active[order], torch.cat([own, theirs])[order]


def _drawn(
    layer: StoredLayer, stored: torch.Tensor, count: int, generator: torch.Generator, unseen: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the absent positions with the highest random scores, the scores of the connections, and theirs."""
    own, best, at = torch.zeros(len(stored)), torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    for start in range(0, layer.size, _DRAWN):
        stop = min(start + _DRAWN, layer.size)
        score = torch.rand(stop - start, generator=generator)
        if unseen:
            score += ~layer.was_seen(start, stop)
        first, last = torch.searchsorted(stored, torch.tensor([start, stop])).tolist()
        here = stored[first:last] - start
        own[first:last] = score[here]
        score[here] = -1
        level = _level(best, count)
        above = (score >= level).nonzero().squeeze(1)
        best, at = torch.cat([best, score[above]]), torch.cat([at, above + start])
        kept = best >= _level(best, count)
        best, at = best[kept], at[kept]
    return at, own, best


def _level(scores: torch.Tensor, count: int) -> float:
    """Return the smallest of the ``count`` highest scores, 0 while there are fewer."""
    if count == 0:
        return math.inf
    return 0.0 if len(scores) < count else scores.kthvalue(len(scores) - count + 1).values.item()


AVERAGE_DECAY = 0.9
"""Decay per step of the running average that ``momentum`` growth reads (sparse_learning and GraNet use SGD's 0.9)."""


def growth_rule(rule: str | Growth) -> Growth:
    """Return the growth rule of that name, or the rule itself.

    Raises:
        TrainingError: for an unknown name, and for ``masked_momentum``: an optimiser's buffer that is masked at every step
            is zero at all absent positions except those just dropped, so growth from it undoes the drop (99 % of grown
            connections had just been dropped, ``docs/notes/algorithms.md``, section 11.2).
    """
    if isinstance(rule, Growth):
        return rule
    if rule == "masked_momentum":
        raise TrainingError(
            "sparse: growth 'masked_momentum' is refused: a masked momentum buffer knows only the connections just dropped "
            "and grows them again; use 'momentum', which averages the dense gradient itself"
        )
    if rule not in GROWTH:
        raise TrainingError(f"sparse: unknown growth rule '{rule}'; known: {', '.join(GROWTH)}")
    return GROWTH[rule]


def drop_score(rule: str | Score) -> Score:
    """Return the drop score of that name, or the score itself; raises ``TrainingError`` for an unknown name."""
    if callable(rule):
        return rule
    if rule not in DROP:
        raise TrainingError(f"sparse: unknown drop score '{rule}'; known: {', '.join(DROP)}")
    return DROP[rule]


def _gradient(layer: SparseLayer) -> torch.Tensor:
    assert layer.gradient is not None, "the engine keeps the gradient before a rewiring"
    return layer.gradient
