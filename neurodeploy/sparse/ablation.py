"""Removal of whole neurons with few salient connections (SRigL)."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

import torch

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.layers import SparseLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """Rule that removes a neuron for good if it has fewer salient connections than ``threshold`` (0..1) times its fan-in.

    Salient are the connections that a drop by size over the whole layer would keep, and the absent positions with the
    highest growth scores, as many as the drop removes. ``spare``: patterns of names of layers that keep all their neurons
    (the output layer). The last neuron of a layer always stays.

    Source: SRigL, Lasby et al. 2024 (condensed-sparsity, ``rigl_constant_fan.py``), threshold 0.3.
    """

    threshold: float = 0.3
    spare: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise TrainingError(f"sparse: ablation threshold is {self.threshold}, must be in 0..1")

    def update(self, layer: SparseLayer, keep: torch.Tensor, grow: torch.Tensor, n_drop: int) -> None:
        """Mark in ``layer.alive`` which neurons stay.

        Args:
            layer: the layer; its connections are counted.
            keep, grow: drop and growth scores of all its positions, flat.
            n_drop: connections of the layer that the rewiring is about to drop.
        """
        if any(fnmatch.fnmatch(layer.name, pattern) for pattern in self.spare):
            return
        salient = self.salient(layer, keep, grow, n_drop).reshape(layer.n_neurons, -1).sum(1)
        fan_in = layer.mask.flatten(1).sum(1).cpu()
        alive = layer.alive & (salient >= self.threshold * fan_in) & (fan_in > 0)
        if not alive.any():
            alive[torch.where(layer.alive, salient, -1).argmax()] = True
        layer.alive.copy_(alive)

    @staticmethod
    def salient(layer: SparseLayer, keep: torch.Tensor, grow: torch.Tensor, n_drop: int) -> torch.Tensor:
        """Return the salient positions of a layer, flat bool."""
        active = layer.mask.flatten().cpu()
        chosen = torch.zeros_like(active)
        existing, absent = active.nonzero().squeeze(1), (~active).nonzero().squeeze(1)
        n_keep = len(existing) - n_drop
        chosen[existing[torch.argsort(keep[existing], descending=True, stable=True)[:n_keep]]] = True
        # a growth score of zero (a gradient from a silent input) does not make a position salient
        best = absent[torch.argsort(grow[absent], descending=True, stable=True)[:n_drop]]
        chosen[best[grow[best] > 0]] = True
        return chosen
