"""The rewiring methods: presets of the engine's slots (each states its source, its equations, and where we differ)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, ValidationError

from neurodeploy.errors import TrainingError
from neurodeploy.files.checked import all_problems
from neurodeploy.files.lazy import named_function
from neurodeploy.recipe.sparse import METHODS, MethodSettings
from neurodeploy.sparse.ablation import Ablation
from neurodeploy.sparse.fitted import fit_masks
from neurodeploy.sparse.layers import Masks, Weights
from neurodeploy.sparse.masks import Scope, initial_masks, kept_masks, scale_sparse_init
from neurodeploy.sparse.rewirer import Rewirer
from neurodeploy.sparse.schedules import (
    ConstantRatio,
    CosineRatio,
    CubicPath,
    DensityPath,
    Finish,
    PqRatio,
    Ratio,
    Shrink,
)
from neurodeploy.sparse.scores import Lists, Reach, by_list, prefer_reached
from neurodeploy.sparse.selection import Constraint
from neurodeploy.sparse.sparsity_index import PqSettings
from neurodeploy.sparse.spines import SpineRewirer, SpineSettings


class Budget(Constraint, Protocol):
    """A constraint that also tells which positions share a list, and how strongly a source already reaches each core."""

    reach: Reach
    lists: Lists


class RewiringSettings(MethodSettings):
    """Settings of a rewiring method (each method reads only its own), and what a training run adds to them.

    Attributes:
        end_step: no rewiring from this optimiser step on.
        density: density of all weights together at the start, above 0, at most 1.
        distribution: how connections are shared among the layers: ``erk``, ``er``, ``uniform``; ``start`` with ``start``.
        budget: returns the limits on all connections, given the first masks (``mapping.budget.limits.chip_budget``).
        preference: how strongly growth prefers sources that reach a core of the budget already (``scores.prefer_reached``).
        whole_lists: drop all connections of a source on a core of the budget together, by ``taylor`` (``scores.by_list``).
        start: connections of a trained network to start from, whose weights are then kept as they are (``kept_masks``);
            with ``distribution="start"`` each layer keeps their number.
        inputs: which inputs fire in steps of some training samples, bool ``(n_observations, n_inputs)``, for methods that
            begin from their correlations (``recipe.sparse.Method.reads_inputs``).
        seed: seed of positions, random growth and ties.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    end_step: int
    density: float = 0.1
    distribution: str = "erk"
    budget: Callable[[Masks], Any] | None = None
    preference: float = 0.0
    whole_lists: bool = False
    start: Masks | None = None
    inputs: NDArray[np.bool_] | None = None
    seed: int = 0

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise TrainingError(f"sparse: {all_problems(error, RewiringSettings)}") from error


AnyRewirer = Rewirer | SpineRewirer


def dense(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """Every connection, from the first step to the last: the baseline without sparsity."""
    everything = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}
    return Rewirer(weights, everything, optimizer, ratio=0.0, end_step=0, seed=settings.seed)


def static(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """A random graph with exact counts that never changes: the baseline without rewiring."""
    return _rewirer(weights, optimizer, settings, ratio=0.0, end_step=0)


def set_(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """SET: the smallest positive and the largest negative weights are removed, as many connections grow at random.

    A fraction ``zeta = 0.3`` of either sign is removed at every rewiring, to the end.

    Source: Mocanu et al. 2018 and its code. There the output layer stays dense and a rewiring comes every epoch; here
    budgets follow ``distribution`` (ERK gives small layers more) and ``every_steps`` is free.
    """
    zeta = ConstantRatio(0.3 if settings.ratio is None else settings.ratio)
    return _rewirer(weights, optimizer, settings, drop="per_sign", growth="random", ratio=zeta)


def rigl(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """RigL: the smallest weights are removed, connections grow where the dense gradient of the last batch is largest.

    ``ratio(t) = alpha / 2 (1 + cos(pi t / T_end))``, ``alpha = 0.3``, ERK. Connections dropped in the same rewiring may come
    back and then keep their weight; all others start at 0.

    Source: Evci et al. 2020, ``rigl/sparse_optimizers_base.py``. There rewiring replaces an optimiser step, here it follows
    one; connections of the last rewiring go last here.
    """
    return _rewirer(weights, optimizer, settings, growth="gradient", regrow=True)


def granet(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """GraNet: density falls along a cubic curve; besides, every rewiring drops connections and grows as many by gradient.

    ``d(t) = d_f + (d_i - d_f) (1 - t / T_end)**3``; each layer keeps its share of the globally largest weights. The
    regeneration ratio is 0.5 and falls along a cosine.

    Source: Liu et al. 2021 (initial density 0.5, final 0.1). Counts are exact here. NDSNN's falling density is alike.
    """
    if not 0 < settings.floor <= settings.density:
        raise TrainingError(
            f"sparse: granet falls from density {settings.density} to floor {settings.floor}; "
            "set a floor above 0 and below the density"
        )
    last = max(settings.end_step - settings.every_steps, 1)
    path = CubicPath(initial=settings.density, final=settings.floor, start_step=0, end_step=last)
    return _rewirer(weights, optimizer, settings, growth="gradient", path=path, default_ratio=0.5)


def srigl(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """SRigL: RigL with the same fan-in for every neuron; neurons with few salient connections are removed.

    Smallest weights are dropped over the layer, then every neuron grows back to the common fan-in. A neuron with fewer than
    30 % salient connections is ablated and its connections are shared among the other neurons; the last layer keeps its
    neurons.

    Source: Lasby et al. 2024, ``rigl_constant_fan.py``. There ablation may begin at any step; here at the first.
    """
    ablation = Ablation(threshold=settings.ablation, spare=(list(weights)[-1],))
    return _rewirer(
        weights, optimizer, settings, growth="gradient", scope="neuron", pooled_drop=True, ablation=ablation
    )


def esl(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """ESL-SNNs: sparse from scratch at constant density; the smallest weights are removed, growth is random or by gradient.

    ``n = floor(z(t) k)`` connections of each layer move every T_iter iterations, ``z(t) = z0 / 2 (1 + cos(pi t / T_end))``.

    Source: Shen et al. 2023 (arXiv 2306.03693). T_iter, z0 and its schedule are not given there; RigL's are used. There each
    connection of the first graph is drawn independently; here counts are exact.
    """
    return _rewirer(weights, optimizer, settings, growth=settings.growth or "random")


def pq(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """Two-stage rewiring by PQ index: the weights' sparsity sets how many connections move and how far density falls.

    ``c = min(max(gamma (1 - r/d), 0), beta)`` (``sparsity_index.py``) of each layer or neuron. Within an iteration a
    fraction ``c``, falling to 0 along a cosine, is dropped by size and grown by the average of the dense gradient. At its
    end, with ``shrink``, each group loses ``floor(c k)`` connections; without it density stays, as the paper's Algorithm 1
    reads. ``gamma`` speeds up that loss alone: freshly grown zeros raise ``c``, so that with ``gamma`` above 1 rewiring
    would feed on itself until every weight is new.

    Source: Shen et al. 2025 (arXiv 2502.13572), after Diao et al. 2023 (arXiv 2302.05601). The published density falls
    although the algorithm regrows what it removes; a shrink by ``c`` per iteration reproduces its path. ``p``, ``q`` and the
    frequency are not given. Momentum growth reads a separate average: an optimiser's masked buffer would undo the drop.
    Controls with the same budget: ``schedule = "fixed"`` puts 0.155 (a Gaussian layer's ``c``) in the place of ``c``,
    ``"cosine"`` a cosine from twice that to 0 over the training. With ``finish`` all three end at ``floor`` exactly.
    """
    period = max((settings.end_step - settings.every_steps) // settings.iterations, 1)
    measured = PqSettings(p=settings.p, q=settings.q, gamma=settings.gamma, eta=settings.eta)
    calm = PqSettings(p=settings.p, q=settings.q, eta=settings.eta)
    fixed = 0.155
    rules: Mapping[str, tuple[Ratio, Ratio]] = {
        "pq": (PqRatio(calm, anneal_steps=period), PqRatio(measured)),
        "fixed": (ConstantRatio(fixed), ConstantRatio(settings.gamma * fixed)),
        "cosine": (
            CosineRatio(2 * fixed, settings.end_step),
            CosineRatio(2 * settings.gamma * fixed, settings.end_step),
        ),
    }
    inner, outer = rules[settings.schedule]
    path: DensityPath | None = None
    if settings.shrink:
        path = Shrink(iteration_steps=period, ratio=outer, floor=settings.floor)
    if path is not None and settings.finish:
        last = max(settings.end_step - 1, 0) // settings.every_steps * settings.every_steps
        path = Finish(path=path, floor=settings.floor, start_step=round((1 - settings.finish) * last), end_step=last)
    growth = settings.growth or "momentum"
    return _rewirer(weights, optimizer, settings, growth=growth, ratio=inner, path=path, scope=settings.scope)


def sdsnn(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> SpineRewirer:
    """SD-SNN: starts dense; neurons whose spine ranges shrink are pruned, absent synapses may regenerate.

    Source, rules and differences: ``spines.SpineRewirer``. Call its ``end_epoch`` after each epoch.
    """
    spines = SpineSettings(constant=settings.spine_constant, rate=settings.spine_rate)
    return SpineRewirer(weights, optimizer, spines)


def rkd(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """Reverse distillation with an evolving structure: ``esl`` whose growth follows the gradient of the total loss.

    The total loss, ``(1 - a) L + a T**2 KL(teacher || student)`` with a weaker teacher, is the training's part
    (``training.losses``); since growth reads its gradient, the teacher steers the structure as well as the weights.

    Source: Xu et al. 2023 (arXiv 2304.09500); its constants and its structural rule are not known, ``a = 0.3``, ``T = 4``
    and the engine of ESL-SNNs are our choice. Controls: no distillation, label smoothing, a stronger teacher.
    """
    return _rewirer(weights, optimizer, settings, growth=settings.growth or "gradient")


def start_rewiring(
    method: str, weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings
) -> AnyRewirer:
    """Make weights sparse as the method starts, scale them to keep their neurons' input variance, and return the rewirer.

    Args:
        method: a name of ``METHODS``.
        weights: the parameters by layer name in the order of the network; changed in place.
        optimizer: the optimiser that updates them.
        settings: see ``RewiringSettings``.

    Raises:
        TrainingError: for an unknown method or a setting out of range.
    """
    if method not in METHODS:
        raise TrainingError(f"sparse: unknown method '{method}'; known: {', '.join(METHODS)}")
    rewirer: AnyRewirer = named_function(METHODS[method].start)(weights, optimizer, settings)
    return rewirer


def above_floor(method: str, settings: RewiringSettings, masks: Masks) -> str | None:
    """Return a line for the user if ``pq``, told to shrink to a ``floor`` above 0, has ended above it; else None.

    ``pq`` decides from the weights how far to shrink, so ``floor`` is only a lower bound.
    """
    if method != "pq" or not settings.shrink or settings.floor == 0:
        return None
    kept, possible = sum(int(m.sum()) for m in masks.values()), sum(m.numel() for m in masks.values())
    at_floor = round(settings.floor * possible)
    if kept <= at_floor:
        return None
    return (
        f"density {kept / possible:.4g} is above floor {settings.floor:g} ({kept} connections, {at_floor} at the floor); "
        "more sparse.iterations or a larger sparse.gamma bring it lower"
    )


def _rewirer(
    weights: Weights,
    optimizer: torch.optim.Optimizer,
    settings: RewiringSettings,
    *,
    ratio: float | Ratio | None = None,
    default_ratio: float = 0.3,
    end_step: int | None = None,
    scope: Scope = "layer",
    **slots: Any,
) -> Rewirer:
    masks = _first_masks(weights, settings, scope)
    if settings.budget is not None:
        slots["caps"] = budget = settings.budget(masks)
        masks = fit_masks(masks, budget, scope=scope, seed=settings.seed)
        slots["growth"] = prefer_reached(slots.get("growth", "random"), budget.reach, settings.preference)
        if settings.whole_lists:
            slots["drop"] = by_list("taylor", budget.lists)
    if settings.start is None:
        scale_sparse_init(weights, masks)
    if ratio is None:
        ratio = default_ratio if settings.ratio is None else settings.ratio
    return Rewirer(
        weights,
        masks,
        optimizer,
        ratio=ratio,
        scope=scope,
        every_steps=settings.every_steps,
        end_step=settings.end_step if end_step is None else end_step,
        seed=settings.seed,
        **slots,
    )


def _first_masks(weights: Weights, settings: RewiringSettings, scope: Scope) -> Masks:
    how: dict[str, Any] = {"distribution": settings.distribution, "scope": scope, "seed": settings.seed}
    if settings.start is None:
        return initial_masks(weights, density=settings.density, **how)
    density = None if settings.distribution == "start" else settings.density
    return kept_masks(weights, settings.start, density=density, **how)
