"""Masks that satisfy a constraint from the first step on."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.layers import Masks
from neurodeploy.sparse.masks import Scope, grouping
from neurodeploy.sparse.selection import Constraint, admitted, count_by, ranked


def fit_masks(
    masks: Mapping[str, torch.Tensor], constraint: Constraint, *, scope: Scope = "layer", seed: int = 0
) -> Masks:
    """Return masks with the same counts that keep every limit: the given connections, as far as the limits allow.

    Connections are taken in random order; those that find no room are moved to random free positions. Masks that keep the
    limits already are returned unchanged.

    Args:
        masks: bool tensors by layer name, output neurons first.
        constraint: limits over the positions of all layers, in the order of ``masks``.
        scope: the groups whose counts are kept exactly (``masks.Scope``).
        seed: seed of the order.

    Raises:
        TrainingError: if the limits leave no room for as many connections; says how many found a place.
    """
    group, names = _groups(masks, scope)
    active = torch.cat([mask.flatten().cpu() for mask in masks.values()])
    generator = torch.Generator().manual_seed(seed)
    score = torch.rand(len(active), generator=generator) + active
    counts = count_by(group[active], len(names))
    room = constraint.room(torch.zeros_like(active).numpy())
    chosen = admitted(room, ranked(-score, group, generator), group, score, counts)
    found = count_by(group[chosen], len(names))
    if not torch.equal(found, counts):
        at = int((counts - found).argmax())
        raise TrainingError(
            f"sparse: only {int(found[at])} of {int(counts[at])} connections of {names[at]} find room under the limits, a "
            f"density of {int(found[at]) / int((group == at).sum()):.4f}; lower it, raise the limits, or give more cores"
        )
    new = torch.zeros_like(active)
    new[chosen] = True
    parts = torch.split(new, [mask.numel() for mask in masks.values()])
    return {name: part.reshape(mask.shape).to(mask.device) for (name, mask), part in zip(masks.items(), parts)}


def _groups(masks: Mapping[str, torch.Tensor], scope: Scope) -> tuple[torch.Tensor, list[str]]:
    """Return the group of every position of all layers, in one flat sequence, and a name for each group."""
    if scope == "global":
        return torch.zeros(sum(mask.numel() for mask in masks.values()), dtype=torch.int64), ["all layers together"]
    groups: list[torch.Tensor] = []
    names: list[str] = []
    for name, mask in masks.items():
        own = grouping(mask.shape, scope)
        groups.append(own + len(names))
        names += [f"layer '{name}'" if scope == "layer" else f"a {scope} group of layer '{name}'"] * (int(own[-1]) + 1)
    return torch.cat(groups), names
