"""``Rewirer``: keeps a model exactly sparse while it trains, and moves its connections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.ablation import Ablation
from neurodeploy.sparse.layers import MaskedWeights, Masks, SparseLayer, Stored, StoredLayer, Weights, copy_into
from neurodeploy.sparse.masks import Pool, Scope, grouping
from neurodeploy.sparse.schedules import ConstantPath, CosineRatio, DensityPath, Groups, Ratio
from neurodeploy.sparse.scores import (
    AVERAGE_DECAY,
    DROP,
    GROWTH,
    Growth,
    Score,
    drop_score,
    few_candidates,
    growth_rule,
    reads_gradient,
)
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
        self._scope, self._seed = scope, seed
        self._pool: Pool | None = Pool(self._masked.shapes, scope)
        self._allowed: torch.Tensor | None = None if allowed is None else self._pool.join(allowed)
        self._budgets = {name: int(mask.sum()) for name, mask in self.masks.items()}
        self._generator = torch.Generator().manual_seed(seed)
        if caps is not None:
            caps.room(self._pool.join(self.masks).numpy())

    @property
    def storable(self) -> bool:
        """Whether layers may be stored: the growth rule gathers no dense gradients from step to step."""
        return self._growth.gathers == "gradient"

    def store(self, stored: Mapping[str, Stored]) -> None:
        """Let others hold the connections of some layers; their parameters, one-dimensional now, are still the weights.

        The dense weights are gone from here on. Rewirings choose the same connections, but where scores are equal: with
        scope ``layer`` or ``global`` and a growth rule of ``scores.GROWTH`` from few candidates, else from positions that
        are made whole for the moment.
        """
        assert self.storable, "dense gradients are not gathered for stored layers"
        for name, own in stored.items():
            self._masked.store(name, own)
        self._pool = None
        self._watch()

    def before_step(self) -> None:
        """Gather the dense gradients that growth needs, then zero the gradients of absent connections."""
        self._masked.require_gradients()
        for layer in self._masked.dense:
            self._gather(layer)
        self._masked.mask_gradients()

    def after_step(self) -> None:
        """Zero absent weights and their optimiser state, and rewire if it is due."""
        due = self._due()
        self._masked.apply()
        self.step += 1
        if due:
            self._rewire()
        self._watch()

    def end_epoch(self) -> None:
        """Do nothing; ``SpineRewirer`` has rules for the end of an epoch."""

    @property
    def masks(self) -> Masks:
        """The masks by layer name; not copies, except those of stored layers."""
        return self._masked.masks

    def existing_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights of the connections by layer name, one-dimensional, in C order."""
        return self._masked.existing()

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
        return {name: layer.mask.clone() for name, layer in self._masked.layers.items()}

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
        self._watch()

    def _due(self) -> bool:
        next_step = self.step + 1
        return next_step % self._every_steps == 0 and next_step < self._end_step

    def _watch(self) -> None:
        """Have the passes of the next step kept where the rewiring after it needs gradients of absent connections."""
        wanted = self._due() and reads_gradient(self._growth)
        for layer in self._masked.layers.values():
            if isinstance(layer, StoredLayer):
                layer.stored.watched = wanted

    def _gather(self, layer: SparseLayer) -> None:
        gradient = layer.dense_gradient.detach()
        layer.gradient = gradient.clone() if self._due() else None
        if self._growth.gathers == "average":
            layer.memory.mul_(AVERAGE_DECAY).add_(gradient, alpha=1 - AVERAGE_DECAY)
        elif self._growth.gathers == "sum":
            layer.memory.add_(gradient, alpha=self._masked.learning_rate(layer))

    def _groups(self) -> Groups:
        shapes, layers = self._masked.shapes, self._masked.layers
        pool = Pool(shapes, self._scope, dict.fromkeys(shapes, torch.zeros(0, dtype=torch.int64)))
        group = torch.cat(
            [grouping(layer.shape, self._scope, layer.places) + pool.groups[n].start for n, layer in layers.items()]
        )
        return Groups(
            step=self.step,
            every_steps=self._every_steps,
            sizes=torch.cat([weight.abs().cpu() for weight in self._masked.existing().values()]),
            group=group,
            counts=count_by(group, pool.n_groups),
            capacity=pool.capacity,
        )

    def _rewire(self) -> None:
        """Move ``floor(ratio * k)`` connections of every group, and bring its count to what the path asks for."""
        groups = self._groups()
        ratio = self._ratio(groups)
        if self._needs_few:
            self._move(*self._few_moves(groups, ratio), ratio)
            return
        views = {name: layer.whole() for name, layer in self._masked.layers.items()}
        pool = self._pool or Pool(self._masked.shapes, self._scope)
        keep = pool.join({n: self._drop(layer, self._generator) for n, layer in views.items()})
        grow = pool.join({n: self._growth.score(layer, self._generator) for n, layer in views.items()})
        n_drop = self._pooled(ratio, groups, keep, pool, views) if self._pooled_drop else _whole(ratio * groups.counts)
        target = self._path(groups)
        if self._ablation is not None:
            target = self._ablate(groups, keep, grow, n_drop, pool, views)
        loss = groups.counts - target
        n_drop = torch.maximum(n_drop, loss)
        swap = self._swap(keep, grow, pool, views)
        drop, new = swap.choose(n_drop, n_drop - loss, self._generator)
        self._move(pool.split(drop), pool.split(new), ratio)

    @property
    def _needs_few(self) -> bool:
        """Whether the connections, and as many of the best absent positions as may grow, decide a rewiring."""
        return (
            self._pool is None
            and self._scope in ("layer", "global")
            and self._growth in GROWTH.values()
            and self._drop in DROP.values()
            and not self._pooled_drop
            and self._caps is None
            and self._ablation is None
            and self._allowed is None
        )

    def _few_moves(self, groups: Groups, ratio: torch.Tensor) -> tuple[Masks, Masks]:
        """Return what drops and grows in each layer, chosen among the connections and a few candidates for growth."""
        loss = groups.counts - self._path(groups)
        n_drop = torch.maximum(_whole(ratio * groups.counts), loss)
        whole = Pool(self._masked.shapes, self._scope, {n: layer.places for n, layer in self._masked.layers.items()})
        views, places, scores = {}, {}, {}
        for number, (name, layer) in enumerate(self._masked.layers.items()):
            if not isinstance(layer, StoredLayer):
                views[name], scores[name] = layer, self._growth.score(layer, self._generator)
                continue
            wanted = min(int((n_drop - loss)[whole.groups[name]].sum()), layer.size - layer.n_connections)
            rng = np.random.default_rng((self._seed, self.n_rewirings, number))
            places[name], active, scores[name] = few_candidates(self._growth, layer, wanted, self._generator, rng)
            views[name] = layer.at(places[name], active)
        pool = Pool(self._masked.shapes, self._scope, places)
        keep = pool.join({n: self._drop(view, self._generator) for n, view in views.items()})
        swap = self._swap(keep, pool.join(scores), pool, views)
        n_positions = sum(math.prod(shape) for shape in self._masked.shapes.values())
        drop, new = swap.choose(n_drop, n_drop - loss, self._generator, n_positions)
        return pool.split(drop), pool.split(new)

    def _pooled(
        self, ratio: torch.Tensor, groups: Groups, keep: torch.Tensor, pool: Pool, views: Mapping[str, SparseLayer]
    ) -> torch.Tensor:
        """Return how many connections each group loses when the lowest of a whole layer are dropped."""
        n_drop = torch.zeros_like(groups.counts)
        active = pool.join({n: view.mask for n, view in views.items()})
        newest = self._newest(pool, views)
        for name, part in pool.part.items():
            asked = _whole((ratio * groups.counts)[pool.groups[name]].sum())
            existing = active[part].nonzero().squeeze(1) + part.start
            together = torch.zeros_like(existing)
            order = ranked(keep[existing], together, self._generator, newest[existing])
            n_drop += count_by(pool.group[existing[order[: int(asked)]]], pool.n_groups)
        return n_drop

    def _newest(self, pool: Pool, views: Mapping[str, SparseLayer]) -> torch.Tensor:
        born = pool.join({n: view.born for n, view in views.items()})
        return (born == self.n_rewirings) & (self.n_rewirings > 0)

    def _swap(self, keep: torch.Tensor, grow: torch.Tensor, pool: Pool, views: Mapping[str, SparseLayer]) -> Swap:
        alive = torch.cat([view.alive for view in views.values()])
        active = pool.join({n: view.mask for n, view in views.items()})
        return Swap(
            active=active,
            allowed=torch.ones_like(active) if self._allowed is None else self._allowed,
            keep=keep,
            grow=grow,
            newest=self._newest(pool, views),
            group=pool.group,
            neuron=pool.neuron,
            min_fan_in=alive.long() * self._min_fan_in,
            caps=self._caps,
            regrow=self._regrow,
        )

    def _move(self, drop: Masks, grow: Masks, ratio: torch.Tensor) -> None:
        """Make the move: flat positions that drop and grow by layer."""
        groups = Pool(self._masked.shapes, self._scope, {n: drop[n][:0] for n in drop}).groups
        self.n_rewirings += 1
        for name, layer in self._masked.layers.items():
            both = torch.isin(grow[name], drop[name])
            back = grow[name][both]
            dropped, grown = drop[name][~torch.isin(drop[name], back)], grow[name][~both]
            self._masked.move(name, dropped, grown, self.n_rewirings)
            if isinstance(layer, SparseLayer):
                if self._growth.gathers == "sum":
                    layer.memory.zero_()
                layer.gradient = None
            self.events[name] = RewiringEvent(
                step=self.step,
                ratio=ratio[groups[name]].mean().item(),
                dropped=len(dropped) + len(back),
                grown=len(grown) + len(back),
                overlap=len(back) / max(len(grown) + len(back), 1),
                connections=layer.n_connections,
            )

    def _ablate(
        self,
        groups: Groups,
        keep: torch.Tensor,
        grow: torch.Tensor,
        n_drop: torch.Tensor,
        pool: Pool,
        views: Mapping[str, SparseLayer],
    ) -> torch.Tensor:
        """Remove neurons with few salient connections; return the equal fan-in of the remaining neurons, by group."""
        assert self._ablation is not None
        target = torch.zeros_like(groups.counts)
        for name, layer in views.items():
            part, rows = pool.part[name], pool.groups[name]
            self._ablation.update(layer, keep[part], grow[part], int(n_drop[rows].sum()))
            fan_in = min(self._budgets[name] // max(int(layer.alive.sum()), 1), layer.fan_in)
            target[rows] = layer.alive.long() * fan_in
        return target


def _whole(counts: torch.Tensor) -> torch.Tensor:
    """Round down to integers, forgiving the rounding of a product that should be whole."""
    return torch.floor(counts + 1e-9).long()
