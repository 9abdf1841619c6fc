"""Dendritic spines (SD-SNN): ranges that follow the weights, and pruning of neurons whose ranges shrink.

Source: Han et al. (arXiv 2211.12219; Information Sciences 689, 2025); rules read in BrainCog's
``examples/Structural_Development/SD-SNN``. ``SpineRewirer`` lists where we differ, and why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.layers import MaskedWeights, Masks, SparseLayer, Weights, copy_into
from neurodeploy.sparse.rewirer import RewiringEvent, events_from_state, events_to_state

PAPER_CONSTANT = 18
"""Memory of a spine in the released script, 18 of 600 epochs; times in the pruning rates are in epochs of that script."""
FEW_SYNAPSES = {"conv": 20, "dense": 50}
"""A neuron with fewer synapses (or than a quarter of its fan-in, if less) counts as pruned when rates are adapted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineSettings:
    """Settings of SD-SNN.

    ``constant``: epochs C that a trend must last, at least 1; ``rate``: multiplies the neuron pruning rates (at least 0);
    ``shrink``: factor of a shrinking range, 0..1. With another constant than 18 the decay of the rates is stretched or
    compressed in proportion, so that as many neurons are pruned over the whole training.
    """

    constant: int = PAPER_CONSTANT
    rate: float = 1.0
    shrink: float = 0.75
    regenerate: bool = True

    def __post_init__(self) -> None:
        if self.constant < 1 or self.rate < 0 or not 0 < self.shrink < 1:
            raise TrainingError(
                f"sparse: spine constant {self.constant} must be 1 or more, rate {self.rate} 0 or more, "
                f"shrink {self.shrink} between 0 and 1"
            )


@dataclass(slots=True, eq=False)
class Spines:
    """The range ``lower <= w <= upper`` of every synapse of one layer, and the streaks of epochs that move it."""

    upper: torch.Tensor
    lower: torch.Tensor
    previous: torch.Tensor
    was_above: torch.Tensor
    was_below: torch.Tensor
    was_falling: torch.Tensor
    n_above: torch.Tensor
    n_below: torch.Tensor
    n_falling: torch.Tensor
    n_wanted: torch.Tensor
    sum_above: torch.Tensor
    sum_below: torch.Tensor

    @classmethod
    def around(cls, weight: torch.Tensor) -> Spines:
        """Return ranges of ``max(w)`` to either side of 0, all streaks at 0."""
        largest = torch.full_like(weight, weight.max().item())
        flags = [torch.zeros_like(weight, dtype=torch.bool) for _ in range(3)]
        counts = [torch.zeros_like(weight, dtype=torch.int32) for _ in range(4)]
        sums = [torch.zeros_like(weight) for _ in range(2)]
        return cls(largest, -largest, weight.clone(), *flags, *counts, *sums)

    def update(self, weight: torch.Tensor, mask: torch.Tensor, settings: SpineSettings) -> None:
        """Update the ranges from the weights at the end of an epoch.

        A weight at or past its upper limit for more than C epochs in a row raises the limit by its mean overshoot; the lower
        limit mirrors that. If the size of a weight falls for more than C epochs in a row, both its limits are multiplied by
        ``shrink``. Weights outside ``mask`` lose their streaks.
        """
        above, below = mask & (weight >= self.upper), mask & (weight <= self.lower)
        falling = mask & (weight.abs() < self.previous.abs())
        self.upper += self._overshoot(
            above & self.was_above, weight - self.upper, self.n_above, self.sum_above, settings
        )
        self.lower += self._overshoot(
            below & self.was_below, weight - self.lower, self.n_below, self.sum_below, settings
        )
        self.n_falling += 1
        self.n_falling *= falling & self.was_falling
        shrinks = self.n_falling >= settings.constant
        factor = torch.where(shrinks, settings.shrink, 1.0)
        self.upper *= factor
        self.lower *= factor
        self.n_falling *= ~shrinks
        self.was_above, self.was_below, self.was_falling = above, below, falling

    def importance(self, mask: torch.Tensor) -> torch.Tensor:
        """Return ``D_i = sum_j norm(upper_ij + |lower_ij|) m_ij`` of every neuron; ``norm`` is min-max over the layer."""
        span = (self.upper + self.lower.abs()).double()
        low, high = span.min(), span.max()
        norm = (span - low) / (high - low) if high > low else torch.full_like(span, 0.5)
        return (norm * mask).flatten(1).sum(1)

    @staticmethod
    def _overshoot(
        counted: torch.Tensor, overshoot: torch.Tensor, n: torch.Tensor, total: torch.Tensor, settings: SpineSettings
    ) -> torch.Tensor:
        """Count one more epoch past a limit; return how far each limit moves now."""
        n.add_(1).mul_(counted)
        total.add_(overshoot).mul_(counted)
        full = n >= settings.constant
        move = torch.where(full, total / settings.constant, 0.0)
        n.mul_(~full)
        total.mul_(~full)
        return move


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunableLayer:
    """A layer as the neurotrophic rates see it: kind, number of neurons, and how many count as pruned, now and before."""

    kind: str
    neurons: int
    pruned: int
    pruned_before: int


def neurotrophic_rates(rates: list[float], layers: list[PrunableLayer], time: int, scale: float = 1.0) -> list[float]:
    """Return the cumulative percentages of pruned neurons one of the paper's epochs later.

    ``rho += exp(-t/5) (N_l - P_l) / (N_l+1 - P'_l+1)`` for a convolution, with ``P'`` of the epoch before, as layers are
    pruned in order; ``rho += a (N - P) / 10`` with ``a = exp(-t)/2`` up to ``t = 23`` and 0.0005 after, for a dense layer.

    Args:
        rates: percentage of each layer but the output, 0..100.
        layers: all layers in order, the output included.
        time: ``t``, epochs since pruning began.
        scale: multiplies the increments.
    """
    after = []
    for rate, layer, following in zip(rates, layers, layers[1:]):
        alive = layer.neurons - layer.pruned
        if layer.kind == "conv":
            step = math.exp(-time / 5) * alive / max(following.neurons - following.pruned_before, 1)
        else:
            step = (0.5 * math.exp(-time) if time <= 23 else 0.0005) * alive / 10
        after.append(min(rate + scale * step, 100.0))
    return after


class SpineRewirer:
    """Rewirer of SD-SNN: starts dense; each epoch ranges move, weights are clipped, neurons pruned, synapses regenerated.

    Call ``before_step`` and ``after_step`` as with ``Rewirer``, and ``end_epoch`` after each epoch. With ``e`` counted from
    0 and the constant C: ranges start at ``e = 0`` and move from ``e = 1`` on (``Spines.update``); for ``e > C`` weights are
    clipped into them; for ``e > 2C`` synapses regenerate that were wanted for more than C epochs in a row, then the
    ``floor(N rho / 100)`` neurons of lowest importance lose all their connections (``rho`` is cumulative,
    ``neurotrophic_rates``). The output layer keeps its neurons.

    We differ from the released code, which its authors may not have used:

    - ranges move in all layers; there, because of an indentation, ranges of convolutions stay where they
      started;
    - masks hold after every step, and moments of absent connections are zero; there masks are applied once an epoch;
    - a synapse is wanted by the size of its dense gradient summed over the epoch, within its layer, so that negative ones
      regenerate too; there by the signed weight it drifts to between two maskings. It starts at 0;
    - a neuron counts as pruned below 20 or 50 synapses (convolution, dense) as there, or a quarter of its fan-in if less.

    Args:
        weights: by name in the order of the network, which must be a chain without biases (a pruned neuron then is silent).
        optimizer: the optimiser that updates them.
        settings: see ``SpineSettings``.

    Raises:
        TrainingError: if a layer does not fit the layer before it, or a weight cannot be masked (``Rewirer``).
    """

    def __init__(
        self, weights: Weights, optimizer: torch.optim.Optimizer, settings: SpineSettings | None = None
    ) -> None:
        masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}
        self.settings = settings or SpineSettings()
        self.weights = dict(weights)
        self.step = self.epoch = self.n_rewirings = 0
        self.events: dict[str, RewiringEvent] = {}
        self._masked = MaskedWeights(weights, masks, optimizer)
        self._layers = self._masked.dense
        self._spines = {layer.name: Spines.around(layer.weight.detach()) for layer in self._layers}
        self.rates = [0.5 if _kind(layer) == "conv" else 2.0 for layer in self._layers[:-1]]
        _check_chain(self._layers)

    def before_step(self) -> None:
        """Gather the dense gradients, then zero the gradients of absent connections."""
        self._masked.require_gradients()
        for layer in self._layers:
            layer.memory.add_(layer.dense_gradient, alpha=self._masked.learning_rate(layer))
        self._masked.mask_gradients()

    def after_step(self) -> None:
        """Zero absent weights and their optimiser state."""
        self._masked.apply()
        self.step += 1

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Apply the rules that are due at the end of an epoch."""
        start = 2 * self.settings.constant + 1
        for layer in self._layers:
            if self.epoch == 0:
                self._spines[layer.name] = Spines.around(layer.weight.detach())
            else:
                self._spines[layer.name].update(layer.weight.detach(), layer.mask, self.settings)
            self._clip(layer)
        if self.epoch >= start:
            before = {layer.name: layer.mask.clone() for layer in self._layers}
            self._regenerate()
            pruned_before = [_n_pruned(layer) for layer in self._layers]
            self._prune()
            self._adapt_rates(pruned_before)
            self._record(before)
        for layer in self._layers:
            layer.memory.zero_()
            self._spines[layer.name].previous.copy_(layer.weight)
        self.epoch += 1

    storable = False
    """Its ranges belong to every possible connection."""

    def existing_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights of the connections by layer name, one-dimensional, in C order."""
        return self._masked.existing()

    @property
    def masks(self) -> Masks:
        """The masks that training uses, by layer name; not copies."""
        return self._masked.masks

    @property
    def ratio(self) -> float:
        """Largest fraction of a layer's neurons that is pruned after the next epoch (once pruning has started)."""
        return max(self.rates, default=0.0) / 100

    @property
    def settled(self) -> bool:
        """Whether pruning has slowed down to its last rate (23 of the paper's epochs after its start)."""
        return self._paper_time(self.epoch) > 23

    def export_masks(self) -> Masks:
        """Return masks without the connections out of pruned neurons, which are silent, so that nothing changes."""
        masks = {layer.name: layer.mask.clone() for layer in self._layers}
        for layer, following in zip(self._layers, self._layers[1:]):
            silent = (~layer.mask.flatten(1).any(1)).nonzero().squeeze(1)
            columns = masks[following.name].view(following.n_neurons, layer.n_neurons, -1)
            columns[:, silent] = False
        return masks

    def density(self) -> dict[str, float]:
        """Return the density of the exported masks by layer."""
        return {name: mask.double().mean().item() for name, mask in self.export_masks().items()}

    def explored(self) -> dict[str, float]:
        """Return, by layer, the fraction of all possible connections that have existed at some time: always 1."""
        return self._masked.explored()

    def alive(self) -> dict[str, torch.Tensor]:
        """Return, by layer, which output neurons have a connection."""
        return {layer.name: layer.mask.flatten(1).any(1).cpu() for layer in self._layers}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed training needs: tensors and numbers."""
        state: dict[str, Any] = {"step": self.step, "epoch": self.epoch, "n_rewirings": self.n_rewirings}
        state.update({f"rate/{i}": rate for i, rate in enumerate(self.rates)})
        for name, spines in self._spines.items():
            state.update({f"{f.name}/{name}": getattr(spines, f.name).clone() for f in fields(Spines)})
        return {**self._masked.state_dict(), **events_to_state(self.events), **state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned; raises ``TrainingError`` if something is missing or has another shape."""
        wanted = {key for key in self.state_dict() if not key.startswith("event/")}
        if missing := sorted(wanted - set(state)):
            raise TrainingError(f"sparse: the saved state lacks '{missing[0]}'; it belongs to another model or method")
        for name, spines in self._spines.items():
            for field in fields(Spines):
                copy_into(getattr(spines, field.name), state, f"{field.name}/{name}")
        self._masked.load_state_dict(state)
        self.events = events_from_state(state)
        self.step, self.epoch, self.n_rewirings = int(state["step"]), int(state["epoch"]), int(state["n_rewirings"])
        self.rates = [float(state[f"rate/{i}"]) for i in range(len(self.rates))]

    def _clip(self, layer: SparseLayer) -> None:
        if self.epoch > self.settings.constant:
            spines = self._spines[layer.name]
            layer.weight.copy_(torch.maximum(torch.minimum(layer.weight, spines.upper), spines.lower))

    def _paper_time(self, epoch: int) -> float:
        """Return the number of epochs of the paper's script since pruning began."""
        return (epoch - 2 * self.settings.constant - 1) * PAPER_CONSTANT / self.settings.constant

    def _regenerate(self) -> None:
        """Restore the synapses that were wanted for more than C epochs in a row; in convolutions whole kernels."""
        if not self.settings.regenerate:
            return
        growth = 1.1 ** min(self._paper_time(self.epoch), 60.0)
        for layer in self._layers:
            absent = ~layer.mask
            score = layer.memory.flatten(2).abs().sum(2) if layer.weight.ndim > 2 else layer.memory.abs()
            percentile = min(99.0, (65 if _kind(layer) == "conv" else 60) + growth)
            rank = 1 + int(percentile / 100 * (score.numel() - 1))
            wanted = (score > score.flatten().kthvalue(rank).values).reshape(
                *score.shape, *[1] * (layer.weight.ndim - 2)
            ) & absent
            n_wanted = self._spines[layer.name].n_wanted
            n_wanted.add_(1).mul_(wanted)
            grow = (n_wanted > self.settings.constant).flatten().nonzero().squeeze(1)
            n_wanted.view(-1)[grow] = 0
            self._masked.move(layer.name, grow[:0], grow, self.epoch)

    def _prune(self) -> None:
        for layer, rate in zip(self._layers, self.rates):
            n_pruned = min(int(layer.n_neurons * rate / 100), layer.n_neurons - 1)
            importance = self._spines[layer.name].importance(layer.mask).cpu()
            empty_first = torch.argsort(layer.mask.flatten(1).any(1).cpu().to(torch.uint8), stable=True)
            order = empty_first[torch.argsort(importance[empty_first], stable=True)]
            gone = torch.zeros(layer.n_neurons, dtype=torch.bool)
            gone[order[:n_pruned]] = True
            rows = gone.to(layer.mask.device).reshape(-1, *[1] * (layer.mask.ndim - 1)) & layer.mask
            self._masked.move(
                layer.name, rows.flatten().nonzero().squeeze(1), torch.empty(0, dtype=torch.int64), self.epoch
            )

    def _adapt_rates(self, pruned_before: list[int]) -> None:
        """Advance the rates by as many of the paper's epochs as one of ours stands for."""
        pruned = [_n_pruned(layer) for layer in self._layers]
        first, last = int(self._paper_time(self.epoch)), int(self._paper_time(self.epoch + 1))
        for time in range(first, last):
            layers = [
                PrunableLayer(kind=_kind(layer), neurons=layer.n_neurons, pruned=now, pruned_before=before)
                for layer, now, before in zip(self._layers, pruned, pruned_before)
            ]
            self.rates = neurotrophic_rates(self.rates, layers, time, self.settings.rate)
            # within one of our epochs, what the rates ask for counts as pruned already
            asked = [int(layer.neurons * rate / 100) for layer, rate in zip(layers, self.rates)]
            pruned_before, pruned = pruned, [max(n, wanted) for n, wanted in zip(pruned, [*asked, 0])]

    def _record(self, before: Masks) -> None:
        self.n_rewirings += 1
        for layer, rate in zip(self._layers, [*self.rates, 0.0]):
            old = before[layer.name]
            self.events[layer.name] = RewiringEvent(
                step=self.step,
                ratio=rate / 100,
                dropped=int((old & ~layer.mask).sum()),
                grown=int((layer.mask & ~old).sum()),
                overlap=0.0,
                connections=int(layer.mask.sum()),
            )


def _kind(layer: SparseLayer) -> str:
    return "conv" if layer.weight[0, 0].numel() > 1 else "dense"


def _n_pruned(layer: SparseLayer) -> int:
    few = min(FEW_SYNAPSES[_kind(layer)], layer.fan_in // 4)
    surviving = layer.mask.flatten(1).sum(1)
    return int(((surviving < few) | (surviving == 0)).sum())


def _check_chain(layers: list[SparseLayer]) -> None:
    for layer, following in zip(layers, layers[1:]):
        if following.weight.shape[1] % layer.n_neurons:
            raise TrainingError(
                f"sparse: sdsnn needs a chain of layers, but '{following.name}' takes {following.weight.shape[1]} inputs "
                f"after the {layer.n_neurons} neurons of '{layer.name}'; choose another method"
            )
