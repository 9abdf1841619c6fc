"""Masks at the start of a training, and the groups of positions whose connections are counted."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence

import torch

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.budgets import DISTRIBUTIONS, constant_fan_in
from neurodeploy.sparse.layers import Masks, Weights
from neurodeploy.sparse.selection import ranked, take

Scope = str | tuple[int, int]
"""``layer``, ``neuron``, ``global``, or ``(n, m)``: at most ``n`` connections in every ``m`` successive inputs."""


def find_weights(module: torch.nn.Module, patterns: Sequence[str] = ("*",)) -> dict[str, torch.nn.Parameter]:
    """Return the weights of any module that can be kept sparse, by their full name.

    These are the parameters of two or more axes with more than one possible connection into a neuron.

    Args:
        module: Linear, Conv, recurrent and slayer synapses, and anything else with neurons on the first axis.
        patterns: shell patterns of the names wanted, such as ``"features.*"``; ``"!*head*"`` takes names out again.

    Raises:
        TrainingError: if a pattern matches nothing (lists the names there are), or a layer has weight-norm.
    """
    all_weights = {n: p for n, p in module.named_parameters() if p.ndim >= 2 and p[0].numel() > 1}
    chosen: dict[str, torch.nn.Parameter] = {}
    for pattern in patterns:
        hits = fnmatch.filter(all_weights, pattern.removeprefix("!"))
        if not hits:
            raise TrainingError(
                f"sparse: no weight is named '{pattern}'; there are: {', '.join(all_weights) or 'none'}"
            )
        for name in hits:
            if pattern.startswith("!"):
                chosen.pop(name, None)
            else:
                chosen[name] = all_weights[name]
    _refuse_weight_norm(module, chosen)
    return chosen


def _refuse_weight_norm(module: torch.nn.Module, chosen: Weights) -> None:
    """Refuse parameters from which one of torch's two kinds of weight-norm computes a weight."""
    names = dict(module.named_parameters())
    for name in chosen:
        if ".parametrizations." in f".{name}" or (name.endswith("_v") and f"{name[:-2]}_g" in names):
            raise TrainingError(
                f"sparse: '{name}' is a piece of a weight with weight-norm, which scales every row anew; build the layer "
                "without weight-norm (slayer: weight_norm=False), or leave it out of the patterns"
            )


def initial_masks(
    weights: Weights, *, density: float, distribution: str = "erk", scope: Scope = "layer", seed: int = 0
) -> Masks:
    """Return a random mask with an exact count for each layer.

    Positions are drawn uniformly without replacement (an Erdos-Renyi graph with a fixed number of edges). ESL-SNNs draws
    each connection independently; the exact count makes the density testable (``docs/notes/algorithms.md``,
    section 8, row 2).

    Args:
        weights: the weight of each layer, any shape with output neurons first.
        density: density of all weights together, above 0, at most 1. The counts sum to ``round(density * number of
            weights)``, unless ``scope`` rounds them: to equal rows (``neuron``), or to ``n`` in every ``m`` (which sets the
            density).
        distribution: how connections are shared among the layers: ``erk``, ``er``, ``uniform``, ``dense``.
        scope: the groups whose counts are exact.
        seed: seed of the positions.

    Raises:
        TrainingError: for a density out of range, an unknown distribution, or a layer left without connection.
    """
    alike = {name: torch.zeros(weight.numel()) for name, weight in weights.items()}
    return _lowest(weights, alike, _budgets(weights, density, distribution), scope, seed)


def kept_masks(
    weights: Weights,
    masks: Mapping[str, torch.Tensor],
    *,
    density: float | None = None,
    distribution: str = "erk",
    scope: Scope = "layer",
    seed: int = 0,
) -> Masks:
    """Return masks with exact counts that keep as many connections of a trained network as possible.

    Connections with the largest weights are kept first; if more are asked for than exist, absent positions are drawn at
    random (their weights are 0, so that the network computes the same).

    Args:
        weights: trained weights by layer.
        masks: the connections among them.
        density: as for ``initial_masks``; None keeps the count of each layer, and with ``scope="layer"`` the masks
            themselves.
        distribution, scope, seed: as for ``initial_masks``.

    Raises:
        TrainingError: as ``initial_masks``.
    """
    if density is None:
        budgets = {name: int(mask.sum()) for name, mask in masks.items()}
    else:
        budgets = _budgets(weights, density, distribution)
    with torch.no_grad():
        keys = {n: torch.where(masks[n], -w.abs(), 1.0).flatten().cpu() for n, w in weights.items()}
    return _lowest(weights, keys, budgets, scope, seed)


def _budgets(weights: Weights, density: float, distribution: str) -> dict[str, int]:
    if distribution not in DISTRIBUTIONS:
        raise TrainingError(f"sparse: unknown distribution '{distribution}'; known: {', '.join(DISTRIBUTIONS)}")
    return DISTRIBUTIONS[distribution]({name: tuple(w.shape) for name, w in weights.items()}, density)


def _lowest(
    weights: Weights, keys: Mapping[str, torch.Tensor], budgets: Mapping[str, int], scope: Scope, seed: int
) -> Masks:
    """Return masks of the positions with the lowest keys in each group, as many as the budgets give it."""
    generator = torch.Generator().manual_seed(seed)
    masks = {}
    for name, weight in weights.items():
        shape = tuple(weight.shape)
        group = grouping(shape, scope)
        order = ranked(keys[name], group, generator)
        mask = torch.zeros(weight.numel(), dtype=torch.bool)
        mask[take(order, group, _counts(shape, budgets[name], scope, group))] = True
        masks[name] = mask.reshape(shape).to(weight.device)
    return masks


def grouping(shape: Sequence[int], scope: Scope, places: torch.Tensor | None = None) -> torch.Tensor:
    """Return the group of positions of a weight, numbered from 0, int64: of all in C order, or of ``places`` alone."""
    size, fan_in = math.prod(shape), math.prod(shape[1:])
    position = torch.arange(size) if places is None else places
    if scope in ("layer", "global"):
        return torch.zeros(len(position), dtype=torch.int64)
    neuron: torch.Tensor = position // fan_in
    if scope == "neuron":
        return neuron
    if not (isinstance(scope, tuple) and len(scope) == 2 and 0 < scope[0] <= scope[1]):
        raise TrainingError(f"sparse: unknown scope {scope!r}; known: layer, neuron, global, or (n, m) with 0 < n <= m")
    blocks_a_row = -(-fan_in // scope[1])
    group: torch.Tensor = neuron * blocks_a_row + position % fan_in // scope[1]
    return group


def _capacity(shape: Sequence[int], scope: Scope) -> torch.Tensor:
    """Return the number of positions of each group of a weight, int64."""
    fan_in = math.prod(shape[1:])
    if scope in ("layer", "global"):
        return torch.tensor([math.prod(shape)])
    if not isinstance(scope, tuple):
        return torch.full((shape[0],), fan_in)
    row = torch.full((-(-fan_in // scope[1]),), scope[1])
    row[-1] = fan_in - scope[1] * (len(row) - 1)
    return row.repeat(shape[0])


def scale_sparse_init(weights: Weights, masks: Mapping[str, torch.Tensor]) -> None:
    """Zero the masked weights in place and multiply the rest by ``1 / sqrt(layer density)``, which keeps input variance."""
    with torch.no_grad():
        for name, weight in weights.items():
            weight.mul_(masks[name] / math.sqrt(masks[name].float().mean().item()))


class Pool:
    """Positions of all layers in one flat sequence, with the group and the neuron of each; tensors are on the CPU.

    Args:
        shapes: shape of each layer's weight.
        scope: the groups.
        places: flat positions in a layer, rising, if only some belong to the sequence; by default all do.

    ``group`` and ``neuron`` are int64 ``(n_positions,)``; ``capacity`` is the number of positions of each group, counting
    those that are left out; ``part`` the slice of the sequence that each layer has; ``groups`` the groups of each layer.
    """

    def __init__(
        self, shapes: Mapping[str, Sequence[int]], scope: Scope, places: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        self.part: dict[str, slice] = {}
        self.groups: dict[str, slice] = {}
        self._places = dict(places or {})
        group, neuron, capacity = [], [], []
        n_positions = n_groups = n_neurons = 0
        for name, shape in shapes.items():
            own, size = grouping(shape, scope, self._places.get(name)), _capacity(shape, scope)
            first = 0 if scope == "global" else n_groups
            self.part[name] = slice(n_positions, n_positions + len(own))
            group.append(own + first)
            neuron.append(grouping(shape, "neuron", self._places.get(name)) + n_neurons)
            capacity.append(size)
            n_positions += len(own)
            n_neurons += shape[0]
            n_groups = first + len(size)
            self.groups[name] = slice(first, n_groups)
        self.group, self.neuron = torch.cat(group), torch.cat(neuron)
        self.n_groups, self.n_neurons = n_groups, n_neurons
        self.capacity = sum(capacity).reshape(1) if scope == "global" else torch.cat(capacity)  # type: ignore[union-attr]

    def join(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the tensors of all layers as one flat tensor on the CPU."""
        return torch.cat([values[name].detach().flatten().cpu() for name in self.part])

    def split(self, positions: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return positions in the flat sequence as flat positions within each layer."""
        found = {}
        for name, part in self.part.items():
            own = positions[(positions >= part.start) & (positions < part.stop)] - part.start
            found[name] = self._places[name][own] if name in self._places else own
        return found


def _counts(shape: Sequence[int], budget: int, scope: Scope, group: torch.Tensor) -> torch.Tensor:
    if scope in ("layer", "global"):
        return torch.tensor([budget])
    if scope == "neuron":
        return torch.full((shape[0],), constant_fan_in(shape, budget))
    assert isinstance(scope, tuple), "grouping refuses other scopes"
    return torch.bincount(group).clamp(max=scope[0])
