"""Sparse weights of a model, with the state that the engine keeps for each connection.

After every optimiser step, weights without a connection are set to zero. The forward pass then equals a pass with the mask
multiplied in, and the gradient stays dense, as with a straight-through mask outside the quantiser; nothing in the model has
to change, and nothing can be exported dense by accident. Of a ``StoredLayer`` only the connections have a weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.errors import TrainingError

Weights = Mapping[str, torch.nn.Parameter]
Masks = dict[str, torch.Tensor]

_KEPT = ("mask", "seen", "born", "memory", "alive")
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1).astype(np.uint8)


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
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight, output neurons first."""
        return tuple(self.weight.shape)

    @property
    def n_connections(self) -> int:
        """Number of connections."""
        return int(self.mask.sum())

    @property
    def density(self) -> float:
        """Fraction of all possible connections that exist, 0..1."""
        return self.mask.double().mean().item()

    @property
    def explored(self) -> float:
        """Fraction of all possible connections that have existed at some time (ITOP's R_s), 0..1."""
        return self.seen.double().mean().item()

    @property
    def places(self) -> torch.Tensor:
        """Flat positions of the connections, rising, int64, on the CPU."""
        return self.mask.flatten().cpu().nonzero().squeeze(1)

    @property
    def existing(self) -> torch.Tensor:
        """The weights of the connections, in the order of ``places``."""
        return self.weight[self.mask]

    def whole(self) -> SparseLayer:
        """Return the layer with a number for every position: itself."""
        return self

    def state(self) -> dict[str, torch.Tensor]:
        """Return copies of the tensors that a resumed training needs, by name."""
        return {key: getattr(self, key).clone() for key in _KEPT}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state`` returned; raises ``TrainingError`` if a tensor is missing or has another shape."""
        for key in _KEPT:
            copy_into(getattr(self, key), state, f"{key}/{self.name}")

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


class Stored(Protocol):
    """Who computes with the stored connections of a layer alone, and holds their weights (``training/model/stored.py``)."""

    weight: torch.nn.Parameter
    """The weights of the connections, float32 ``(n_stored,)``."""
    shape: tuple[int, ...]
    """Shape of the dense weight."""
    watched: bool
    """Whether passes are kept, from which gradients at absent positions follow; setting it forgets those before."""

    @property
    def position(self) -> NDArray[np.int64]:
        """Flat positions of the connections, rising."""
        ...

    def move(self, drop: NDArray[np.int64], grow: NDArray[np.int64], /) -> NDArray[np.int64]:
        """Remove and add connections, new ones with weight 0; return for each its place before, or -1."""
        ...

    def put(self, position: NDArray[np.int64], /) -> None:
        """Store the connections at these positions instead, with weights of 0."""
        ...

    def gradient(self) -> torch.Tensor:
        """Return the dense gradient of the passes that were kept, in the dense shape."""
        ...

    def largest(self, count: int, rng: np.random.Generator, /) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the absent positions with the ``count`` largest gradients and those that equal the last, with sizes."""
        ...


@dataclass(slots=True, eq=False)
class StoredLayer:
    """One sparse weight of which only the connections are held; the counterpart of ``SparseLayer``.

    ``born`` int32 ``(n_stored,)``; ``seen`` has a bit for every possible connection, packed; growth rules that gather dense
    gradients have no place here.
    """

    name: str
    stored: Stored
    born: torch.Tensor
    seen: NDArray[np.uint8]
    alive: torch.Tensor

    @staticmethod
    def after(layer: SparseLayer, stored: Stored) -> StoredLayer:
        """Return what holds the connections of a dense layer from now on."""
        return StoredLayer(
            name=layer.name,
            stored=stored,
            born=layer.born.flatten()[layer.places],
            seen=np.packbits(layer.seen.cpu().numpy().ravel()),
            alive=layer.alive,
        )

    @property
    def weight(self) -> torch.nn.Parameter:
        """The weights of the connections."""
        return self.stored.weight

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense weight, output neurons first."""
        return self.stored.shape

    @property
    def n_neurons(self) -> int:
        """Output neurons: the length of the weight's first axis."""
        return self.shape[0]

    @property
    def fan_in(self) -> int:
        """Possible connections into one neuron."""
        return math.prod(self.shape[1:])

    @property
    def size(self) -> int:
        """Number of possible connections."""
        return math.prod(self.shape)

    @property
    def n_connections(self) -> int:
        """Number of connections."""
        return len(self.weight)

    @property
    def density(self) -> float:
        """Fraction of all possible connections that exist, 0..1."""
        return self.n_connections / self.size

    @property
    def explored(self) -> float:
        """Fraction of all possible connections that have existed at some time (ITOP's R_s), 0..1."""
        return int(_BITS[self.seen].sum(dtype=np.int64)) / self.size

    @property
    def places(self) -> torch.Tensor:
        """Flat positions of the connections, rising, int64."""
        return torch.from_numpy(self.stored.position.copy())

    @property
    def existing(self) -> torch.Tensor:
        """The weights of the connections, in the order of ``places``."""
        return self.weight

    @property
    def mask(self) -> torch.Tensor:
        """A mask made for the caller, in the dense shape."""
        return self.spread(torch.ones(self.n_connections, dtype=torch.bool))

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """Return a dense tensor with these values at the connections and 0 elsewhere."""
        dense = torch.zeros(self.size, dtype=values.dtype)
        dense[self.places] = values
        return dense.reshape(self.shape)

    def whole(self) -> SparseLayer:
        """Return the layer with a number for every position, made for the caller, who must not change it."""
        gradient = self.weight.grad
        dense = self.stored.gradient() if self.stored.watched else None if gradient is None else self.spread(gradient)
        return SparseLayer(
            name=self.name,
            weight=self.spread(self.weight.detach()),  # type: ignore[arg-type]
            mask=self.mask,
            seen=self._seen(),
            born=self.spread(self.born),
            memory=torch.zeros(()).expand(self.shape),
            alive=self.alive,
            gradient=dense,
        )

    def at(self, places: torch.Tensor, active: torch.Tensor) -> SparseLayer:
        """Return the layer with a number for some positions, rising: the ``active`` ones (bool) are all connections."""

        def put(values: torch.Tensor) -> torch.Tensor:
            own = torch.zeros(len(places), dtype=values.dtype)
            own[active] = values
            return own

        gradient = self.weight.grad
        return SparseLayer(
            name=self.name,
            weight=put(self.weight.detach()),  # type: ignore[arg-type]
            mask=active,
            seen=active,
            born=put(self.born),
            memory=torch.zeros(len(places)),
            alive=self.alive,
            gradient=None if gradient is None else put(gradient),
        )

    def was_seen(self, start: int, stop: int) -> torch.Tensor:
        """Return whether there ever was a connection at the flat positions ``start`` to ``stop``; a multiple of 8 begins."""
        bits = np.unpackbits(self.seen[start // 8 : -(-stop // 8)], count=stop - start)
        return torch.from_numpy(bits.astype(np.bool_))

    def move(self, drop: torch.Tensor, grow: torch.Tensor, born: int) -> torch.Tensor:
        """Remove and add connections at flat positions; return for each its place before, or -1."""
        place = torch.from_numpy(self.stored.move(drop.numpy(), grow.numpy()))
        self.born = torch.where(place >= 0, followed(self.born, place), born).to(torch.int32)
        np.bitwise_or.at(self.seen, grow.numpy() // 8, (128 >> (grow.numpy() % 8)).astype(np.uint8))
        return place

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors that a resumed training needs, as a dense layer holds them."""
        return {
            "mask": self.mask,
            "seen": self._seen(),
            "born": self.spread(self.born),
            "memory": torch.zeros(self.shape),
            "alive": self.alive.clone(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state`` returned; the weights are put back by whoever holds them, before this."""
        kept: dict[str, torch.Tensor] = {}
        for key, kind in (("mask", torch.bool), ("seen", torch.bool), ("born", torch.int32)):
            kept[key] = torch.zeros(self.shape, dtype=kind)
            copy_into(kept[key], state, f"{key}/{self.name}")
        copy_into(self.alive, state, f"alive/{self.name}")
        position = kept["mask"].flatten().nonzero().squeeze(1)
        if not torch.equal(position, self.places):
            self.stored.put(position.numpy())
        self.born = kept["born"].flatten()[position]
        self.seen = np.packbits(kept["seen"].numpy().ravel())

    def _seen(self) -> torch.Tensor:
        return self.was_seen(0, self.size).reshape(self.shape)


def followed(values: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Return values after a move, in the order of ``place``: the place before of each connection, -1 for new ones."""
    return torch.where(place >= 0, values[place.clamp(min=0)], torch.zeros((), dtype=values.dtype))


AnyLayer = SparseLayer | StoredLayer


class MaskedWeights:
    """The sparse layers of one model; it keeps weights, gradients and optimiser state zero outside the masks."""

    def __init__(self, weights: Weights, masks: Masks, optimizer: torch.optim.Optimizer) -> None:
        _check(weights, masks, optimizer)
        self.optimizer = optimizer
        self.layers: dict[str, AnyLayer] = {name: _layer(name, weights[name], masks[name]) for name in weights}
        self.apply()

    @property
    def masks(self) -> Masks:
        """The masks by layer name: themselves, not copies, where the layer holds one."""
        return {name: layer.mask for name, layer in self.layers.items()}

    @property
    def dense(self) -> list[SparseLayer]:
        """The layers that hold a number for every possible connection."""
        return [layer for layer in self.layers.values() if isinstance(layer, SparseLayer)]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights by layer name."""
        return {name: layer.shape for name, layer in self.layers.items()}

    def store(self, name: str, stored: Stored) -> None:
        """Let ``stored``, which has this layer's parameter, hold its connections from now on."""
        before = self.layers[name]
        assert isinstance(before, SparseLayer), "a layer is stored once"
        self.layers[name] = StoredLayer.after(before, stored)

    def mask_gradients(self) -> None:
        """Zero the gradients of absent connections."""
        for layer in self.dense:
            layer.dense_gradient.mul_(layer.mask)

    def require_gradients(self) -> None:
        """Raise ``TrainingError`` if a layer has no gradient."""
        for name, layer in self.layers.items():
            if layer.weight.grad is None:
                raise TrainingError(f"sparse: layer '{name}' has no gradient; call before_step after loss.backward()")

    @torch.no_grad()
    def apply(self) -> None:
        """Zero absent weights and their optimiser state."""
        for layer in self.dense:
            layer.weight.mul_(layer.mask)
            for moment in self.moments(layer):
                moment.mul_(layer.mask)

    @torch.no_grad()
    def move(self, name: str, drop: torch.Tensor, grow: torch.Tensor, born: int) -> None:
        """Remove and add connections at flat positions; their weights, moments and gathered gradients become 0."""
        layer = self.layers[name]
        if isinstance(layer, StoredLayer):
            names, state = self._moments(layer), self.optimizer.state.get(layer.weight, {})
            place = layer.move(drop, grow, born)
            state.update({key: followed(state[key], place) for key in names})
            return
        moved = torch.cat([drop, grow]).to(layer.weight.device)
        layer.mask.view(-1)[drop.to(layer.weight.device)] = False
        layer.mask.view(-1)[grow.to(layer.weight.device)] = True
        for values in (layer.weight, layer.memory, *self.moments(layer)):
            values.view(-1)[moved] = 0
        layer.born.view(-1)[grow.to(layer.weight.device)] = born
        layer.seen |= layer.mask

    def moments(self, layer: AnyLayer) -> list[torch.Tensor]:
        """Return the optimiser's tensors that hold one number per weight (momentum, Adam's two moments)."""
        return [self.optimizer.state[layer.weight][key] for key in self._moments(layer)]

    def _moments(self, layer: AnyLayer) -> list[str]:
        """Return the names of the ``moments``."""
        state: Mapping[str, Any] = self.optimizer.state.get(layer.weight, {})
        return [k for k, v in state.items() if isinstance(v, torch.Tensor) and v.shape == layer.weight.shape]

    def learning_rate(self, layer: AnyLayer) -> float:
        """Return the optimiser's learning rate of a layer's weight."""
        groups = self.optimizer.param_groups
        return next(float(g["lr"]) for g in groups if any(p is layer.weight for p in g["params"]))

    def density(self) -> dict[str, float]:
        """Return the mask density by layer."""
        return {name: layer.density for name, layer in self.layers.items()}

    def explored(self) -> dict[str, float]:
        """Return, by layer, the fraction of all possible connections that have existed at some time (ITOP's R_s)."""
        return {name: layer.explored for name, layer in self.layers.items()}

    def existing(self) -> dict[str, torch.Tensor]:
        """Return the weights of the connections by layer name, one-dimensional, in C order."""
        return {name: layer.existing.detach() for name, layer in self.layers.items()}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of all tensors that the engine keeps, named ``<what>/<layer>``."""
        return {f"{key}/{n}": value for n, layer in self.layers.items() for key, value in layer.state().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned; raises ``TrainingError`` if a tensor is missing or has another shape."""
        for layer in self.layers.values():
            layer.restore(state)
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
