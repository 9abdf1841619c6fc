"""CH-SNN: connections are removed by their relative importance and grow by topology alone, without gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.sparse.fitted import fit_masks
from neurodeploy.sparse.layers import Masks, SparseLayer, Weights
from neurodeploy.sparse.masks import initial_masks, kept_masks
from neurodeploy.sparse.methods import RewiringSettings
from neurodeploy.sparse.paths import path_scores
from neurodeploy.sparse.rewirer import Rewirer
from neurodeploy.sparse.schedules import ConstantRatio
from neurodeploy.sparse.scores import Growth
from neurodeploy.sparse.topology import correlated_mask, even_mask

FALLBACK = 1e-3
"""Share of the mean positive growth score that every position has besides, so that a growth never runs out."""


def chsnn(weights: Weights, optimizer: torch.optim.Optimizer, settings: RewiringSettings) -> Rewirer:
    """CH-SNN: sparse from scratch at constant density, soft removal by importance, soft growth by CH3-L3.

    A fraction ``zeta = 0.3`` of each layer's connections goes at every rewiring, drawn so that a connection stays in
    proportion to ``LRS**T``, ``T`` rising from 1 to 3; as many grow, drawn in proportion to CH3-L3 plus a thousandth of its
    mean (``paths.path_scores``). Neurons left without inputs or without outputs lose the rest for good, first of all. The
    mask of a first dense layer follows the correlations of the inputs (``topology.correlated_mask``), others have equal
    degrees.

    Source: Hua et al. 2026 (arXiv 2511.05581), whose code and full text were not at hand, and its parent CHT (arXiv
    2501.19107). There convolutions stay dense; here a kernel's positions count as inputs of their own. There connections of
    dead neurons go in addition to ``zeta``, here first within it; there budgets are equal, here they follow
    ``distribution``. Initial weights: ``training/first_weights.py``.
    """
    masks = _first_masks(weights, settings)
    budget = None
    if settings.budget is not None:
        budget = settings.budget(masks)
        masks = fit_masks(masks, budget, scope="layer", seed=settings.seed)
    if settings.start is None:
        _draw(weights, masks, settings.seed)
    rule = _Topology(0.3 if settings.ratio is None else settings.ratio, settings.end_step)
    rewirer = Rewirer(
        weights,
        masks,
        optimizer,
        ratio=ConstantRatio(rule.ratio),
        drop=rule.keep,
        growth=Growth(score=rule.grow),
        regrow=True,
        caps=budget,
        every_steps=settings.every_steps,
        end_step=settings.end_step,
        seed=settings.seed,
    )
    rule.rewirer = rewirer
    return rewirer


def importance(weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return LRS, ``|w| / (1 + sum over the inputs of its neuron) + |w| / (1 + sum over the outputs of its source)``.

    Where the sums are far below 1 it ranks like the size of weights, far above 1 by their share; so it depends on the unit
    of the weights, which are those of the value 1 and of a threshold of 1.

    Args:
        weight: float ``(n_target, n_source)``.
        mask: connections, bool.

    Source: the hybrid score of CH-SNN (arXiv 2511.05581).
    """
    size = weight.abs() * mask
    return size / (1 + size.sum(1, keepdim=True)) + size / (1 + size.sum(0, keepdim=True))


def living(masks: Mapping[str, torch.Tensor], alive: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return which output neurons of each layer take part: they have inputs and outputs, and were never removed.

    From the last layer to the first neurons without outputs go, then from the first to the last those without inputs; the
    last layer keeps its neurons, and so do layers onto themselves.

    Args:
        masks: connections by layer in the order of the network, output neurons first.
        alive: neurons that were not removed before, by layer.
    """
    flat = {name: mask.flatten(1).clone() for name, mask in masks.items()}
    found = {name: own.clone() for name, own in alive.items()}
    pairs = [(source, name) for name, source in sources(masks).items()]
    for source, name in reversed(pairs):
        flat[name][~found[name]] = False
        found[source] &= by_source(flat[name], len(found[source])).flatten(1).any(1)
    for source, name in pairs:
        flat[source][~found[source]] = False
        found[source] &= flat[source].any(1)
        by_source(flat[name], len(found[source]))[~found[source]] = False
    return found


def sources(masks: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return the layer before each layer, by name, where its outputs are the inputs, as far as their numbers tell."""
    names = [name for name in masks if not name.endswith(_RECURRENT)]
    return {b: a for a, b in zip(names, names[1:]) if masks[b].shape[1] % masks[a].shape[0] == 0}


def by_source(flat: torch.Tensor, n_source: int) -> torch.Tensor:
    """Return a view of a flat mask ``(n_target, n_inputs)`` by source neuron or channel, ``(n_source, n_target, rest)``."""
    return flat.view(len(flat), n_source, -1).transpose(0, 1)


@dataclass(slots=True, eq=False)
class _Topology:
    """The scores of the rewirings of ``rewirer``, which is known once it is made; between them nothing is kept."""

    ratio: float
    end_step: int
    rewirer: Rewirer | None = None
    left: dict[str, torch.Tensor] = field(default_factory=dict)

    def keep(self, layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:
        """Return keys whose largest are a draw in proportion to ``LRS**T``, the lowest for those of removed neurons."""
        assert self.rewirer is not None, "chsnn sets it"
        layer.alive.copy_(living(self.rewirer.masks, self.rewirer.alive())[layer.name])
        weight, mask = layer.weight.detach().flatten(1), layer.mask.flatten(1)
        power = 1 + 2 * min(self.rewirer.step / max(self.end_step, 1), 1.0)
        drawn = power * (importance(weight, mask) + _LEAST).log() + gumbel(tuple(mask.shape), generator)
        key = torch.where(self._takes_part(layer), drawn, -torch.inf).reshape(layer.mask.shape)
        self.left[layer.name] = self._after(layer, key)
        return key

    def grow(self, layer: SparseLayer, generator: torch.Generator) -> torch.Tensor:
        """Return keys whose largest are a draw in proportion to CH3-L3 on what the drop leaves, between live neurons."""
        mask = self.left.pop(layer.name)
        chance = torch.from_numpy(path_scores(mask.numpy()))
        positive = chance[chance > 0]
        chance += FALLBACK * positive.mean() if len(positive) else 1.0
        drawn = chance.log() + gumbel(tuple(mask.shape), generator)
        return torch.where(self._takes_part(layer), drawn, -torch.inf).reshape(layer.mask.shape)

    def _takes_part(self, layer: SparseLayer) -> torch.Tensor:
        """Return the positions between live neurons, bool ``(n_target, n_inputs)``."""
        assert self.rewirer is not None
        flat = layer.mask.flatten(1)
        part = layer.alive[:, None].expand(flat.shape).clone()
        source = sources(self.rewirer.masks).get(layer.name)
        if source is not None:
            alive = self.rewirer.alive()[source]
            by_source(part, len(alive))[~alive] = False
        return part

    def _after(self, layer: SparseLayer, key: torch.Tensor) -> torch.Tensor:
        """Return the mask ``(n_target, n_inputs)`` without the connections that the engine will drop by these keys."""
        assert self.rewirer is not None
        existing = layer.mask.flatten().nonzero().squeeze(1)
        newest = (layer.born.flatten()[existing] == self.rewirer.n_rewirings) & (self.rewirer.n_rewirings > 0)
        n_drop = math.floor(self.ratio * len(existing) + 1e-9)
        order = torch.argsort(key.flatten()[existing], stable=True)
        order = order[torch.argsort(newest[order].to(torch.uint8), stable=True)]
        after = layer.mask.flatten().clone()
        after[existing[order[:n_drop]]] = False
        return after.reshape(layer.mask.flatten(1).shape)


def gumbel(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Return Gumbel noise: the ``k`` largest of ``log p + noise`` are a draw without replacement in proportion to ``p``.

    Source: Kool et al. 2019 (Stochastic beams and where to find them), the Gumbel-top-k trick.
    """
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64).clamp(min=1e-300)
    return -(-uniform.log()).log()


def _first_masks(weights: Weights, settings: RewiringSettings) -> Masks:
    if settings.start is not None:
        density = None if settings.distribution == "start" else settings.density
        how = {"distribution": settings.distribution, "seed": settings.seed}
        return kept_masks(weights, settings.start, density=density, **how)  # type: ignore[arg-type]
    rng = np.random.default_rng((abs(settings.seed), 18))
    random = initial_masks(weights, density=settings.density, distribution=settings.distribution, seed=settings.seed)
    masks = {}
    for number, (name, mask) in enumerate(random.items()):
        (n_target, n_inputs), budget = mask.flatten(1).shape, int(mask.sum())
        seen = settings.inputs
        if number == 0 and seen is not None and seen.shape[1] == n_inputs and budget >= n_target:
            own: NDArray[np.bool_] = correlated_mask(seen, n_target, budget, rng)
        else:
            own = even_mask(n_target, n_inputs, budget, rng)
        masks[name] = torch.from_numpy(own).reshape(mask.shape).to(mask.device)
    return masks


@torch.no_grad()
def _draw(weights: Weights, masks: Masks, seed: int) -> None:
    """Draw weights from a normal distribution, of variance ``2.066 / (inputs that a neuron has)`` for a threshold of 1.

    Source: SSWI of CH-SNN, ``theta**2 sqrt(pi) / (sqrt(2) exp(-1/2) n (1 - S))`` for its middle layers.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, weight in weights.items():
        fan_in = max(float(masks[name].float().sum()) / len(weight), 1.0)
        drawn = torch.randn(weight.shape, generator=generator) * math.sqrt(SSWI / fan_in)
        weight.copy_(drawn.to(weight.device) * masks[name])


SSWI = math.sqrt(math.pi / 2) * math.exp(0.5)
"""Variance times connections into a neuron, for a threshold of 1: 2.066."""
_LEAST = 1e-12
"""Importance of a weight of 0, so that it has a logarithm."""
_RECURRENT = "_recurrent"
"""End of the name of a weight onto its own layer (``training/model/chain.py``)."""
