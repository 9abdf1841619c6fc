"""``Rewirer``: keeps a model exactly sparse while it trains, and moves its connections.

The weight itself is kept at zero where there is no connection, after every optimiser step. The forward pass then equals
one with the mask multiplied in, and the gradient stays dense, as a straight-through mask outside the quantiser would
leave it; nothing in the model has to change, and nothing can be exported dense by accident.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.budgets import DISTRIBUTIONS
from neurodeploy.sparse.schedules import cosine_ratio

Weights = Mapping[str, torch.nn.Parameter]
Masks = dict[str, torch.Tensor]
GrowthScore = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def initial_masks(weights: Weights, *, density: float, distribution: str = "erk", seed: int = 0) -> Masks:
    """Return one random mask a layer with exact budgets that sum to ``round(density * number of weights)``.

    Positions are drawn uniformly without replacement (an Erdos-Renyi graph with a fixed number of edges). ESL-SNNs draws
    each connection independently; the exact count makes the density testable (``algorithms.md``, section 8, row 2).

    Args:
        weights: the weight of each layer, any shape with output neurons first.
        density: of all weights together, above 0, at most 1.
        distribution: ``erk`` or ``uniform``.
        seed: of the positions.

    Raises:
        TrainingError: for a density out of range, an unknown distribution, or a layer left without connection.
    """
    if distribution not in DISTRIBUTIONS:
        raise TrainingError(f"sparse: unknown distribution '{distribution}'; known: {', '.join(DISTRIBUTIONS)}")
    budgets = DISTRIBUTIONS[distribution]({name: tuple(w.shape) for name, w in weights.items()}, density)
    generator = torch.Generator().manual_seed(seed)
    masks = {}
    for name, weight in weights.items():
        mask = torch.zeros(weight.numel(), dtype=torch.bool)
        mask[torch.randperm(weight.numel(), generator=generator)[: budgets[name]]] = True
        masks[name] = mask.reshape(weight.shape).to(weight.device)
    return masks


def scale_sparse_init(weights: Weights, masks: Masks) -> None:
    """Zero the masked weights in place and multiply the rest by ``1 / sqrt(layer density)``, which keeps input variance."""
    with torch.no_grad():
        for name, weight in weights.items():
            weight.mul_(masks[name] / math.sqrt(masks[name].float().mean().item()))


def random_growth(gradient: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Score every position alike at random (SET, Mocanu et al. 2018)."""
    return torch.rand(gradient.shape, generator=generator)


def gradient_growth(gradient: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    """Score a position by the size of its dense gradient (RigL, Evci et al. 2020)."""
    return gradient.abs().cpu()


GROWTH: Mapping[str, GrowthScore] = {"random": random_growth, "gradient": gradient_growth}


class Rewirer:
    """Masks, rewiring schedule and bookkeeping for the weights of one model and its optimiser.

    Call ``before_step`` between ``loss.backward()`` and ``optimizer.step()``, and ``after_step`` right after it. Every
    ``every_steps`` steps before ``end_step`` a fraction ``cosine_ratio(step, ratio, end_step)`` of each layer's
    connections with the smallest weights is removed, and as many are grown elsewhere: new weights start at exactly 0 and
    the optimiser's state of all moved positions is cleared. Connections grown at the last rewiring are dropped only when
    no older ones are left, so that a new one gets a chance to grow past the quantiser's first level.

    Args:
        weights: the parameters to keep sparse, by layer name.
        masks: bool tensors of the same shapes; a copy is kept in ``masks``.
        optimizer: the optimiser that updates them.
        growth: ``random`` or ``gradient``.
        ratio: fraction rewired at step 0, 0..1 (1 excluded).
        every_steps: optimiser steps between two rewirings, at least 1.
        end_step: no rewiring from this step on.
        seed: of random growth and of ties.

    Raises:
        TrainingError: for an unknown growth rule, a value out of range, shapes that do not match, or a weight that is not
            a parameter of its own (weight-norm recomputes it, which would undo the mask).

    Source: ESL-SNNs, Shen et al. 2023 (arXiv 2306.03693): sparse from scratch at constant density, prune by magnitude, grow
    at random or by gradient, every T_iter iterations. The ratio and its schedule are not given there; RigL's are used.
    """

    def __init__(
        self,
        weights: Weights,
        masks: Masks,
        optimizer: torch.optim.Optimizer,
        *,
        growth: str = "random",
        ratio: float = 0.3,
        every_steps: int = 100,
        end_step: int = 10_000,
        seed: int = 0,
    ) -> None:
        _check(weights, masks, growth, ratio, every_steps)
        self.weights = dict(weights)
        self.masks = {name: mask.clone() for name, mask in masks.items()}
        self.step = 0
        self.n_rewirings = 0
        self._optimizer = optimizer
        self._growth = GROWTH[growth]
        self._ratio, self._every_steps, self._end_step = ratio, every_steps, end_step
        self._generator = torch.Generator().manual_seed(seed)
        self._born = {name: torch.zeros(mask.shape, dtype=torch.int32) for name, mask in masks.items()}
        self._seen = {name: mask.clone() for name, mask in masks.items()}
        self._dense_gradient: dict[str, torch.Tensor] = {}
        self._apply_masks()

    def before_step(self) -> None:
        """Keep the dense gradients where this step ends in a rewiring, then zero those of absent connections."""
        self._dense_gradient = {}
        for name, weight in self.weights.items():
            if weight.grad is None:
                raise TrainingError(f"sparse: layer '{name}' has no gradient; call before_step after loss.backward()")
            if self._due():
                self._dense_gradient[name] = weight.grad.detach().clone()
            weight.grad.mul_(self.masks[name])

    def after_step(self) -> None:
        """Zero absent weights and their optimiser state, and rewire where it is due."""
        due = self._due()
        self._apply_masks()
        self.step += 1
        if due:
            for name in self.weights:
                self._rewire(name)
            self.n_rewirings += 1
            self._apply_masks()

    @property
    def ratio(self) -> float:
        """Fraction of connections that a rewiring at the current step moves."""
        return cosine_ratio(self.step, self._ratio, self._end_step)

    def density(self) -> dict[str, float]:
        """Return the mask density by layer."""
        return {name: mask.float().mean().item() for name, mask in self.masks.items()}

    def explored(self) -> dict[str, float]:
        """Return, by layer, the fraction of all possible connections that have existed at some time (ITOP's R_s)."""
        return {name: seen.float().mean().item() for name, seen in self._seen.items()}

    def _due(self) -> bool:
        next_step = self.step + 1
        return next_step % self._every_steps == 0 and next_step < self._end_step and self.ratio > 0

    def _rewire(self, name: str) -> None:
        """Move ``floor(ratio * k)`` connections of one layer; the count ``k`` stays exactly the same."""
        mask, weight = self.masks[name].flatten(), self.weights[name].detach().flatten()
        active = mask.nonzero().squeeze(1).cpu()
        inactive = (~mask).nonzero().squeeze(1).cpu()
        n_move = min(int(self.ratio * len(active)), len(inactive))
        if n_move == 0:
            return
        newest = (
            self._born[name].flatten()[active] == self.n_rewirings if self.n_rewirings else torch.zeros(len(active))
        )
        size = weight[active.to(weight.device)].abs().cpu()
        drop = active[_order(size, self._generator, then_by=newest)[:n_move]]
        score = self._growth(self._dense_gradient[name].flatten(), self._generator)[inactive]
        grow = inactive[_order(-score, self._generator)[:n_move]]
        self._move(name, drop, grow)

    def _move(self, name: str, drop: torch.Tensor, grow: torch.Tensor) -> None:
        mask, weight = self.masks[name], self.weights[name]
        with torch.no_grad():
            mask.view(-1)[drop.to(mask.device)] = False
            mask.view(-1)[grow.to(mask.device)] = True
            moved = torch.cat([drop, grow]).to(weight.device)
            weight.view(-1)[moved] = 0
            for state in self._moments(weight):
                state.view(-1)[moved] = 0
        self._born[name].view(-1)[grow] = self.n_rewirings + 1
        self._seen[name] |= mask

    def _apply_masks(self) -> None:
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.mul_(self.masks[name])
                for state in self._moments(weight):
                    state.mul_(self.masks[name])

    def _moments(self, weight: torch.nn.Parameter) -> list[torch.Tensor]:
        """Return the optimiser's tensors that hold one number per weight (momentum, Adam's two moments)."""
        state: Mapping[str, Any] = self._optimizer.state.get(weight, {})
        return [v for v in state.values() if isinstance(v, torch.Tensor) and v.shape == weight.shape]


def _order(key: torch.Tensor, generator: torch.Generator, then_by: torch.Tensor | None = None) -> torch.Tensor:
    """Return indices that sort by ``then_by`` (where given), then by ``key``, ties in random order."""
    order = torch.randperm(len(key), generator=generator)
    order = order[torch.argsort(key[order], stable=True)]
    return order if then_by is None else order[torch.argsort(then_by[order].to(torch.uint8), stable=True)]


def _check(weights: Weights, masks: Masks, growth: str, ratio: float, every_steps: int) -> None:
    if growth not in GROWTH:
        raise TrainingError(f"sparse: unknown growth rule '{growth}'; known: {', '.join(GROWTH)}")
    if not 0 <= ratio < 1:
        raise TrainingError(f"sparse: ratio is {ratio}, must be at least 0 and below 1")
    if every_steps < 1:
        raise TrainingError(f"sparse: every_steps is {every_steps}, must be at least 1")
    if set(weights) != set(masks):
        raise TrainingError(f"sparse: weights {sorted(weights)} and masks {sorted(masks)} name different layers")
    for name, weight in weights.items():
        if not (isinstance(weight, torch.nn.Parameter) and weight.is_leaf):
            raise TrainingError(
                f"sparse: the weight of layer '{name}' is computed from other parameters (weight-norm?), so a mask on it "
                "would be undone; build the layer without weight-norm"
            )
        if masks[name].shape != weight.shape or masks[name].dtype != torch.bool:
            raise TrainingError(
                f"sparse: mask of layer '{name}' is {masks[name].dtype} {tuple(masks[name].shape)}, "
                f"must be bool {tuple(weight.shape)}"
            )
