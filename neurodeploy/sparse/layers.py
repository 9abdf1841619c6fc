"""Sparse weights of a model, with the state that the engine keeps for each connection.

After every optimiser step, weights without a connection are set to zero. The forward pass then equals a pass with the mask
multiplied in, and the gradient stays dense, as with a straight-through mask outside the quantiser; nothing in the model has
to change, and nothing can be exported dense by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from neurodeploy.errors import TrainingError

Weights = Mapping[str, torch.nn.Parameter]
Masks = dict[str, torch.Tensor]

_KEPT = ("mask", "seen", "born", "memory", "alive")


@dataclass(slots=True, eq=False)
class SparseLayer:
    """One sparse weight. Tensors have the weight's shape; ``alive`` has one element for each output neuron.

    ``born`` is the number of the rewiring that grew a connection (0: there from the start); ``seen`` marks connections
    that existed at some time; ``memory`` is the average or sum of dense gradients that the growth rule reads; ``gradient``
    is the dense gradient of the last step before a rewiring.
    """

    name: str
    weight: torch.nn.Parameter
    mask: torch.Tensor
    seen: torch.Tensor
    born: torch.Tensor
    memory: torch.Tensor
    alive: torch.Tensor
    gradient: torch.Tensor | None = None

    @property
    def n_neurons(self) -> int:
        """Output neurons: the length of the weight's first axis."""
        return self.weight.shape[0]

    @property
    def fan_in(self) -> int:
        """Possible connections into one neuron."""
        return self.weight[0].numel()

    @property
    def dense_gradient(self) -> torch.Tensor:
        """The weight's gradient after ``loss.backward()``; ``MaskedWeights.require_gradients`` checks that there is one."""
        assert self.weight.grad is not None
        return self.weight.grad


class MaskedWeights:
    """The sparse layers of one model; it keeps weights, gradients and optimiser state zero outside the masks."""

    def __init__(self, weights: Weights, masks: Masks, optimizer: torch.optim.Optimizer) -> None:
        _check(weights, masks, optimizer)
        self.optimizer = optimizer
        self.layers = {name: _layer(name, weights[name], masks[name]) for name in weights}
        self.apply()

    @property
    def masks(self) -> Masks:
        """The masks themselves by layer name, not copies."""
        return {name: layer.mask for name, layer in self.layers.items()}

    def mask_gradients(self) -> None:
        """Zero the gradients of absent connections."""
        for layer in self.layers.values():
            layer.dense_gradient.mul_(layer.mask)

    def require_gradients(self) -> None:
        """Raise ``TrainingError`` if a layer has no gradient."""
        for name, layer in self.layers.items():
            if layer.weight.grad is None:
                raise TrainingError(f"sparse: layer '{name}' has no gradient; call before_step after loss.backward()")

    @torch.no_grad()
    def apply(self) -> None:
        """Zero absent weights and their optimiser state."""
        for layer in self.layers.values():
            layer.weight.mul_(layer.mask)
            for moment in self.moments(layer):
                moment.mul_(layer.mask)

    @torch.no_grad()
    def move(self, name: str, drop: torch.Tensor, grow: torch.Tensor, born: int) -> None:
        """Remove and add connections at flat positions; their weights, moments and gathered gradients become 0."""
        layer = self.layers[name]
        moved = torch.cat([drop, grow]).to(layer.weight.device)
        layer.mask.view(-1)[drop.to(layer.weight.device)] = False
        layer.mask.view(-1)[grow.to(layer.weight.device)] = True
        for values in (layer.weight, layer.memory, *self.moments(layer)):
            values.view(-1)[moved] = 0
        layer.born.view(-1)[grow.to(layer.weight.device)] = born
        layer.seen |= layer.mask

    def moments(self, layer: SparseLayer) -> list[torch.Tensor]:
        """Return the optimiser's tensors that hold one number per weight (momentum, Adam's two moments)."""
        state: Mapping[str, Any] = self.optimizer.state.get(layer.weight, {})
        return [v for v in state.values() if isinstance(v, torch.Tensor) and v.shape == layer.weight.shape]

    def learning_rate(self, layer: SparseLayer) -> float:
        """Return the optimiser's learning rate of a layer's weight."""
        groups = self.optimizer.param_groups
        return next(float(g["lr"]) for g in groups if any(p is layer.weight for p in g["params"]))

    def density(self) -> dict[str, float]:
        """Return the mask density by layer."""
        return {name: layer.mask.double().mean().item() for name, layer in self.layers.items()}

    def explored(self) -> dict[str, float]:
        """Return, by layer, the fraction of all possible connections that have existed at some time (ITOP's R_s)."""
        return {name: layer.seen.double().mean().item() for name, layer in self.layers.items()}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of all tensors that the engine keeps, named ``<what>/<layer>``."""
        return {f"{key}/{n}": getattr(layer, key).clone() for n, layer in self.layers.items() for key in _KEPT}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned; raises ``TrainingError`` if a tensor is missing or has another shape."""
        for name, layer in self.layers.items():
            for key in _KEPT:
                copy_into(getattr(layer, key), state, f"{key}/{name}")
        self.apply()


@torch.no_grad()
def copy_into(target: torch.Tensor, state: Mapping[str, Any], key: str) -> None:
    """Copy ``state[key]`` into ``target``, refusing a missing tensor or one of another shape."""
    given = state.get(key)
    if not isinstance(given, torch.Tensor) or given.shape != target.shape:
        found = f"shape {tuple(given.shape)}" if isinstance(given, torch.Tensor) else "nothing"
        raise TrainingError(f"sparse: state '{key}' should have shape {tuple(target.shape)}, found {found}")
    target.copy_(given)


def _layer(name: str, weight: torch.nn.Parameter, mask: torch.Tensor) -> SparseLayer:
    own = mask.to(weight.device).clone()
    return SparseLayer(
        name=name,
        weight=weight,
        mask=own,
        seen=own.clone(),
        born=torch.zeros(own.shape, dtype=torch.int32, device=weight.device),
        memory=torch.zeros_like(weight, requires_grad=False),
        alive=torch.ones(own.shape[0], dtype=torch.bool),
    )


def _check(weights: Weights, masks: Masks, optimizer: torch.optim.Optimizer) -> None:
    if set(weights) != set(masks):
        raise TrainingError(f"sparse: weights {sorted(weights)} and masks {sorted(masks)} name different layers")
    updated = {id(p) for group in optimizer.param_groups for p in group["params"]}
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
        if not weight.is_contiguous():
            raise TrainingError(f"sparse: the weight of layer '{name}' is not contiguous in memory; make it so first")
        if id(weight) not in updated:
            raise TrainingError(f"sparse: layer '{name}' is not among the optimiser's parameters; pass it there too")
