"""``Rewirer``: keeps a model exactly sparse while it trains, and moves its connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.ablation import Ablation
from neurodeploy.sparse.layers import MaskedWeights, Masks, SparseLayer, Weights, copy_into
from neurodeploy.sparse.masks import Pool, Scope
from neurodeploy.sparse.schedules import ConstantPath, CosineRatio, DensityPath, Groups, Ratio
from neurodeploy.sparse.scores import AVERAGE_DECAY, Growth, Score, drop_score, growth_rule
from neurodeploy.sparse.selection import Constraint, Swap, count_by, ranked


@dataclass(frozen=True, slots=True, kw_only=True)
class RewiringEvent:
    """Record of the last rewiring of a layer. ``overlap``: fraction of the grown connections that it had just dropped."""

    step: int
    ratio: float
    dropped: int
    grown: int
    overlap: float
    connections: int


def events_to_state(events: Mapping[str, RewiringEvent]) -> dict[str, Any]:
    """Return events as plain values for a saved state."""
    return {f"event/{name}": asdict(event) for name, event in events.items()}


def events_from_state(state: Mapping[str, Any]) -> dict[str, RewiringEvent]:
    """Return the events that ``events_to_state`` put into a state."""
    return {k.removeprefix("event/"): RewiringEvent(**v) for k, v in state.items() if k.startswith("event/")}


class Rewirer:
    """Masks, rewiring schedule and bookkeeping for the weights of one model and its optimiser.

    Call ``before_step`` between ``loss.backward()`` and ``optimizer.step()``, and ``after_step`` right after it. Every
    ``every_steps`` steps before ``end_step`` a fraction of each group's connections with the lowest drop scores is
    removed, and as many are grown elsewhere: new weights start at exactly 0 and the optimiser's state of all moved
    positions is cleared. Connections grown at the last rewiring are dropped only when no older ones are left, so that a
    new one gets a chance to grow past the quantiser's first level.

    Args:
        weights: the parameters to keep sparse, by layer name, output neurons on the first axis.
        masks: bool tensors of the same shapes; copied.
        optimizer: the optimiser that updates them.
        growth: a name of ``scores.GROWTH``, or a ``Growth`` of your own.
        drop: a name of ``scores.DROP``, or a score of your own.
        ratio: fraction rewired at step 0, falling to 0 along a cosine (0..1, 1 excluded), or any ``Ratio``.
        path: connections after each rewiring; by default their number stays.
        scope: the groups whose counts are exact: ``layer``, ``neuron``, ``(n, m)`` blocks, or ``global``, where connections
            move between layers.
        every_steps: optimiser steps between two rewirings, at least 1.
        end_step: no rewiring from this step on.
        pooled_drop: choose what to drop over the whole layer and not group by group, so that small groups (of two
            connections, say) move as well; growth fills each group up again. Default: only for ``(n, m)`` blocks.
        regrow: whether connections may be grown that were dropped in the same rewiring (they then keep their weight).
        min_fan_in: connections that every neuron keeps: its connections with the highest drop scores.
        allowed: positions by layer that may ever hold a connection; default: all.
        caps: limits that hold from the start and after every rewiring, over all layers in the order of ``weights``
            (``selection.Caps``, ``mapping.budget.meters.ChipBudget``); where they leave no room, drops are undone.
        ablation: removes whole neurons with few salient connections; needs ``scope="neuron"``.
        seed: seed of random growth and of the order of ties.

    Raises:
        TrainingError: for an unknown rule, a value out of range, shapes that do not match, or a weight that is not itself a
            parameter (weight-norm recomputes it, which would undo the mask).

    Source: ESL-SNNs, Shen et al. 2023 (arXiv 2306.03693): sparse from scratch at constant density, prune by magnitude, grow
    at random or by gradient, every T_iter iterations. The ratio and its schedule are not given there; RigL's are used.
    """

    def __init__(
        self,
        weights: Weights,
        masks: Masks,
        optimizer: torch.optim.Optimizer,
        *,
        growth: str | Growth = "random",
        drop: str | Score = "magnitude",
        ratio: float | Ratio = 0.3,
        path: DensityPath | None = None,
        scope: Scope = "layer",
        every_steps: int = 100,
        end_step: int = 10_000,
        pooled_drop: bool | None = None,
        regrow: bool = False,
        min_fan_in: int = 0,
        allowed: Masks | None = None,
        caps: Constraint | None = None,
        ablation: Ablation | None = None,
        seed: int = 0,
    ) -> None:
        if every_steps < 1:
            raise TrainingError(f"sparse: every_steps is {every_steps}, must be at least 1")
        if ablation is not None and scope != "neuron":
            raise TrainingError(f"sparse: neuron ablation needs scope 'neuron', not {scope!r}")
        self.weights = dict(weights)
        self.step = 0
        self.n_rewirings = 0
        self.events: dict[str, RewiringEvent] = {}
        self._growth, self._drop = growth_rule(growth), drop_score(drop)
        self._ratio = CosineRatio(ratio, end_step) if isinstance(ratio, (int, float)) else ratio
        self._path = path or ConstantPath()
        self._every_steps, self._end_step = every_steps, end_step
        self._pooled_drop = isinstance(scope, tuple) if pooled_drop is None else pooled_drop
        self._regrow, self._min_fan_in, self._caps, self._ablation = regrow, min_fan_in, caps, ablation
        self._masked = MaskedWeights(weights, masks, optimizer)
        self._pool = Pool(self._masked.layers, scope)
        self._allowed = self._pool.join(allowed or {n: torch.ones_like(m) for n, m in self.masks.items()})
        self._budgets = {name: int(mask.sum()) for name, mask in self.masks.items()}
        self._generator = torch.Generator().manual_seed(seed)
        if caps is not None:
            caps.room(self._pool.join(self.masks).numpy())

    def before_step(self) -> None:
        """Gather the dense gradients that growth needs, then zero the gradients of absent connections."""
        self._masked.require_gradients()
        for layer in self._masked.layers.values():
            self._gather(layer)
        self._masked.mask_gradients()

    def after_step(self) -> None:
        """Zero absent weights and their optimiser state, and rewire if it is due."""
        due = self._due()
        self._masked.apply()
        self.step += 1
        if due:
            self._rewire()

    def end_epoch(self) -> None:
        """Do nothing; ``SpineRewirer`` has rules for the end of an epoch."""

    @property
    def masks(self) -> Masks:
        """The masks by layer name; not copies."""
        return self._masked.masks

    @property
    def ratio(self) -> float:
        """Fraction of all connections that a rewiring now would ask to move."""
        if self.step + 1 >= self._end_step:
            return 0.0
        groups = self._groups()
        return float((self._ratio(groups) * groups.counts).sum() / max(int(groups.counts.sum()), 1))

    @property
    def settled(self) -> bool:
        """Whether the number of connections is final: it never changes, or no rewiring is left."""
        next_due = (self.step // self._every_steps + 1) * self._every_steps
        return isinstance(self._path, ConstantPath) or next_due >= self._end_step

    def export_masks(self) -> Masks:
        """Return copies of the masks for a checkpoint."""
        return {name: mask.clone() for name, mask in self.masks.items()}

    def density(self) -> dict[str, float]:
        """Return the mask density by layer."""
        return self._masked.density()

    def explored(self) -> dict[str, float]:
        """Return, by layer, the fraction of all possible connections that have existed at some time (ITOP's R_s)."""
        return self._masked.explored()

    def alive(self) -> dict[str, torch.Tensor]:
        """Return, by layer, which output neurons no rule has removed."""
        return {name: layer.alive.clone() for name, layer in self._masked.layers.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return everything a rewirer of the same settings needs to go on: tensors and whole numbers."""
        numbers = {"step": self.step, "n_rewirings": self.n_rewirings}
        numbers.update({f"budget/{name}": budget for name, budget in self._budgets.items()})
        generator = {"generator": self._generator.get_state()}
        return {**self._masked.state_dict(), **events_to_state(self.events), **numbers, **generator}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned.

        Raises:
            TrainingError: if something is missing or belongs to other layers.
        """
        wanted = {key: value for key, value in self.state_dict().items() if not key.startswith("event/")}
        if missing := sorted(set(wanted) - set(state)):
            raise TrainingError(f"sparse: the saved state lacks '{missing[0]}'; it belongs to another model or method")
        generator = torch.empty_like(wanted["generator"])
        copy_into(generator, state, "generator")
        self._masked.load_state_dict(state)
        self._generator.set_state(generator)
        self.events = events_from_state(state)
        self.step, self.n_rewirings = int(state["step"]), int(state["n_rewirings"])
        self._budgets = {name: int(state[f"budget/{name}"]) for name in self._budgets}

    def _due(self) -> bool:
        next_step = self.step + 1
        return next_step % self._every_steps == 0 and next_step < self._end_step

    def _gather(self, layer: SparseLayer) -> None:
        gradient = layer.dense_gradient.detach()
        layer.gradient = gradient.clone() if self._due() else None
        if self._growth.gathers == "average":
            layer.memory.mul_(AVERAGE_DECAY).add_(gradient, alpha=1 - AVERAGE_DECAY)
        elif self._growth.gathers == "sum":
            layer.memory.add_(gradient, alpha=self._masked.learning_rate(layer))

    def _groups(self) -> Groups:
        pool = self._pool
        existing = pool.join(self.masks).nonzero().squeeze(1)
        group = pool.group[existing]
        return Groups(
            step=self.step,
            every_steps=self._every_steps,
            sizes=pool.join(self.weights)[existing].abs(),
            group=group,
            counts=count_by(group, pool.n_groups),
            capacity=pool.capacity,
        )

    def _rewire(self) -> None:
        """Move ``floor(ratio * k)`` connections of every group, and bring its count to what the path asks for."""
        pool, layers = self._pool, self._masked.layers
        groups = self._groups()
        ratio = self._ratio(groups)
        keep = pool.join({n: self._drop(layer, self._generator) for n, layer in layers.items()})
        grow = pool.join({n: self._growth.score(layer, self._generator) for n, layer in layers.items()})
        n_drop = self._pooled(ratio, groups, keep) if self._pooled_drop else _whole(ratio * groups.counts)
        target = self._path(groups)
        if self._ablation is not None:
            target = self._ablate(groups, keep, grow, n_drop)
        loss = groups.counts - target
        n_drop = torch.maximum(n_drop, loss)
        drop, new = self._swap(keep, grow).choose(n_drop, n_drop - loss, self._generator)
        self._move(drop, new, ratio)

    def _pooled(self, ratio: torch.Tensor, groups: Groups, keep: torch.Tensor) -> torch.Tensor:
        """Return how many connections each group loses when the lowest of a whole layer are dropped."""
        pool, n_drop = self._pool, torch.zeros_like(groups.counts)
        active = pool.join(self.masks)
        newest = self._newest()
        for name, part in pool.part.items():
            asked = _whole((ratio * groups.counts)[pool.groups[name]].sum())
            existing = active[part].nonzero().squeeze(1) + part.start
            together = torch.zeros_like(existing)
            order = ranked(keep[existing], together, self._generator, newest[existing])
            n_drop += count_by(pool.group[existing[order[: int(asked)]]], pool.n_groups)
        return n_drop

    def _newest(self) -> torch.Tensor:
        born = self._pool.join({n: layer.born for n, layer in self._masked.layers.items()})
        return (born == self.n_rewirings) & (self.n_rewirings > 0)

    def _swap(self, keep: torch.Tensor, grow: torch.Tensor) -> Swap:
        alive = torch.cat([layer.alive for layer in self._masked.layers.values()])
        return Swap(
            active=self._pool.join(self.masks),
            allowed=self._allowed,
            keep=keep,
            grow=grow,
            newest=self._newest(),
            group=self._pool.group,
            neuron=self._pool.neuron,
            min_fan_in=alive.long() * self._min_fan_in,
            caps=self._caps,
            regrow=self._regrow,
        )

    def _move(self, drop: torch.Tensor, grow: torch.Tensor, ratio: torch.Tensor) -> None:
        both = torch.isin(grow, drop)
        stays = grow[both]
        moved = self._pool.split(drop[~torch.isin(drop, stays)]), self._pool.split(grow[~both])
        regrown = self._pool.split(stays)
        self.n_rewirings += 1
        for name, layer in self._masked.layers.items():
            dropped, grown, back = moved[0][name], moved[1][name], regrown[name]
            self._masked.move(name, dropped, grown, self.n_rewirings)
            if self._growth.gathers == "sum":
                layer.memory.zero_()
            layer.gradient = None
            self.events[name] = RewiringEvent(
                step=self.step,
                ratio=ratio[self._pool.groups[name]].mean().item(),
                dropped=len(dropped) + len(back),
                grown=len(grown) + len(back),
                overlap=len(back) / max(len(grown) + len(back), 1),
                connections=int(layer.mask.sum()),
            )

    def _ablate(self, groups: Groups, keep: torch.Tensor, grow: torch.Tensor, n_drop: torch.Tensor) -> torch.Tensor:
        """Remove neurons with few salient connections; return the equal fan-in of the remaining neurons, by group."""
        assert self._ablation is not None
        target = torch.zeros_like(groups.counts)
        for name, layer in self._masked.layers.items():
            part, rows = self._pool.part[name], self._pool.groups[name]
            self._ablation.update(layer, keep[part], grow[part], int(n_drop[rows].sum()))
            fan_in = min(self._budgets[name] // max(int(layer.alive.sum()), 1), layer.fan_in)
            target[rows] = layer.alive.long() * fan_in
        return target


def _whole(counts: torch.Tensor) -> torch.Tensor:
    """Round down to integers, forgiving the rounding of a product that should be whole."""
    return torch.floor(counts + 1e-9).long()
